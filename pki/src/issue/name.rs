//! Subject and issuer names: a list of RDNs, each a set of attribute–value pairs (PKI-9).

use crate::der;

/// An attribute type of a distinguished name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NamePart {
    /// C, two letters.
    Country,
    /// ST; in the trust space a department, `Paris (75)`.
    State,
    /// L.
    Locality,
    /// O.
    Organisation,
    /// OU; several are usual, their values all count.
    Unit,
    /// CN; the national id on cards.
    CommonName,
    /// SN.
    Surname,
    /// GN.
    GivenName,
    /// title: the profession's label.
    Title,
    /// pseudonym, on staff cards.
    Pseudonym,
    /// E, which must never be trusted; here so that tests can offer it.
    Email,
}

impl NamePart {
    const fn oid(self) -> &'static str {
        match self {
            Self::Country => "2.5.4.6",
            Self::State => "2.5.4.8",
            Self::Locality => "2.5.4.7",
            Self::Organisation => "2.5.4.10",
            Self::Unit => "2.5.4.11",
            Self::CommonName => "2.5.4.3",
            Self::Surname => "2.5.4.4",
            Self::GivenName => "2.5.4.42",
            Self::Title => "2.5.4.12",
            Self::Pseudonym => "2.5.4.65",
            Self::Email => "1.2.840.113549.1.9.1",
        }
    }

    /// Country is a PrintableString, e-mail an IA5String, all others UTF8String (RFC 5280 §4.1.2.4).
    fn value(self, text: &str) -> Vec<u8> {
        match self {
            Self::Country => der::tlv(der::tag::PRINTABLE_STRING, text.as_bytes()),
            Self::Email => der::tlv(der::tag::IA5_STRING, text.as_bytes()),
            _ => der::utf8(text),
        }
    }
}

/// A distinguished name under construction, first RDN first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SubjectName {
    rdns: Vec<Vec<(NamePart, String)>>,
}

impl SubjectName {
    /// A name that starts with `C=FR`.
    pub fn french() -> Self {
        Self::default().with(NamePart::Country, "FR")
    }

    /// The name of a fictional authority in the national shape, its two OU values included:
    /// `C=FR, O=AUTORITE FICTIVE, OU=0002 999999999, OU=IGC-SANTE TEST, CN=TEST AC <name>`.
    pub fn authority(name: &str) -> Self {
        Self::french()
            .with(NamePart::Organisation, "AUTORITE FICTIVE SCEAU")
            .with(NamePart::Unit, "0002 999999999")
            .with(NamePart::Unit, "IGC-SANTE TEST")
            .with(NamePart::CommonName, &format!("TEST AC {name}"))
    }

    /// One more RDN of a single attribute.
    #[must_use]
    pub fn with(self, part: NamePart, value: &str) -> Self {
        self.with_set(&[(part, value)])
    }

    /// One more RDN of several attributes, as cards have it.
    #[must_use]
    pub fn with_set(mut self, parts: &[(NamePart, &str)]) -> Self {
        self.rdns.push(parts.iter().map(|(part, value)| (*part, (*value).to_owned())).collect());
        self
    }

    /// The DER form.
    pub fn to_der(&self) -> Vec<u8> {
        let rdns: Vec<_> = self.rdns.iter().map(|rdn| rdn_der(rdn)).collect();
        der::sequence(&rdns)
    }
}

fn rdn_der(parts: &[(NamePart, String)]) -> Vec<u8> {
    let pairs: Vec<_> = parts
        .iter()
        .map(|(part, value)| der::sequence(&[der::oid(part.oid()).unwrap_or_default(), part.value(value)]))
        .collect();
    der::set_of(&pairs)
}
