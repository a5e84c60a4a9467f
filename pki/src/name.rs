//! Distinguished names as sets of attribute–value pairs (PKI-9).

use std::{collections::BTreeSet, fmt};

use crate::{
    der::tag,
    der_reader::{self, Malformed, Read, Reader},
};

/// The attribute types that names in the trust space use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Attribute {
    /// CN, commonName.
    CommonName,
    /// SN, surname.
    Surname,
    /// GN, givenName.
    GivenName,
    /// T, title: the profession of a card holder.
    Title,
    /// O, organizationName.
    Organization,
    /// OU, organizationalUnitName: holds the structure's national identifier.
    OrganizationalUnit,
    /// ST, stateOrProvinceName: the department.
    State,
    /// L, localityName.
    Locality,
    /// C, countryName.
    Country,
    /// pseudonym.
    Pseudonym,
    /// serialNumber (of the subject, not of the certificate).
    SerialNumber,
    /// organizationIdentifier.
    OrganizationIdentifier,
    /// emailAddress: shown, never trusted.
    Email,
    /// DC, domainComponent.
    DomainComponent,
    /// UID, userId.
    UserId,
    /// STREET, streetAddress.
    Street,
    /// postalCode.
    PostalCode,
    /// description.
    Description,
    /// initials.
    Initials,
    /// generationQualifier.
    GenerationQualifier,
    /// dnQualifier.
    DnQualifier,
}

/// Attribute, object identifier, names that people write: the first is the one that we print.
const ATTRIBUTES: &[(Attribute, &str, &[&str])] = &[
    (Attribute::CommonName, "2.5.4.3", &["CN", "commonName"]),
    (Attribute::Surname, "2.5.4.4", &["SN", "surname"]),
    (Attribute::GivenName, "2.5.4.42", &["GN", "givenName", "G"]),
    (Attribute::Title, "2.5.4.12", &["title", "T"]),
    (Attribute::Organization, "2.5.4.10", &["O", "organizationName"]),
    (Attribute::OrganizationalUnit, "2.5.4.11", &["OU", "organizationalUnitName"]),
    (Attribute::State, "2.5.4.8", &["ST", "S", "SP", "stateOrProvinceName"]),
    (Attribute::Locality, "2.5.4.7", &["L", "localityName"]),
    (Attribute::Country, "2.5.4.6", &["C", "countryName"]),
    (Attribute::Pseudonym, "2.5.4.65", &["pseudonym"]),
    (Attribute::SerialNumber, "2.5.4.5", &["serialNumber"]),
    (Attribute::OrganizationIdentifier, "2.5.4.97", &["organizationIdentifier"]),
    (Attribute::Email, "1.2.840.113549.1.9.1", &["emailAddress", "E", "email"]),
    (Attribute::DomainComponent, "0.9.2342.19200300.100.1.25", &["DC", "domainComponent"]),
    (Attribute::UserId, "0.9.2342.19200300.100.1.1", &["UID", "userId"]),
    (Attribute::Street, "2.5.4.9", &["STREET", "streetAddress"]),
    (Attribute::PostalCode, "2.5.4.17", &["postalCode"]),
    (Attribute::Description, "2.5.4.13", &["description"]),
    (Attribute::Initials, "2.5.4.43", &["initials"]),
    (Attribute::GenerationQualifier, "2.5.4.44", &["generationQualifier"]),
    (Attribute::DnQualifier, "2.5.4.46", &["dnQualifier"]),
];

impl Attribute {
    /// Its object identifier.
    pub fn oid(self) -> &'static str {
        ATTRIBUTES.iter().find(|(attribute, ..)| *attribute == self).map_or("", |(_, oid, _)| oid)
    }
}

/// The identifier behind a type as people write it: a known name in any letter case, or dotted.
pub(crate) fn attribute_oid(written: &str) -> Option<String> {
    let written = written.trim();
    if let Some((_, oid, _)) =
        ATTRIBUTES.iter().find(|(.., names)| names.iter().any(|name| name.eq_ignore_ascii_case(written)))
    {
        return Some((*oid).to_owned());
    }
    let dotted = written.strip_prefix("OID.").or_else(|| written.strip_prefix("oid.")).unwrap_or(written);
    crate::der::oid(dotted).map(|_| dotted.to_owned())
}

/// One attribute of a name: type and value as text.
#[derive(Debug, Clone)]
struct Pair {
    oid: String,
    value: String,
}

/// A distinguished name: a sequence of RDNs, each of them a *set* of attribute–value pairs.
///
/// Two names are equal when their RDNs are, pair by pair, whatever the order inside an RDN, the
/// string type, the letter case and the number of blanks (RFC 5280 §7.1).
#[derive(Debug, Clone)]
pub struct Name {
    der: Vec<u8>,
    rdns: Vec<Vec<Pair>>,
    /// What is compared: names are looked up far more often than they are read.
    canonical: String,
}

impl Name {
    /// Most attributes in one name; real ones have about ten.
    const MAX_PAIRS: usize = 64;
    /// Longest value of an attribute, in octets; the longest bound of X.520 in use is 128 characters.
    const MAX_VALUE: usize = 1024;

    pub(crate) fn read(der: &[u8]) -> Read<Self> {
        let mut rdns = Vec::new();
        let mut count = 0usize;
        let mut sequence = Reader::only(der, tag::SEQUENCE)?.inside();
        while !sequence.is_empty() {
            let mut set = sequence.expect(tag::SET)?.inside();
            let mut rdn = Vec::with_capacity(1);
            while !set.is_empty() {
                let mut pair = set.expect(tag::SEQUENCE)?.inside();
                let oid = der_reader::oid(pair.expect(tag::OID)?.value)?;
                let element = pair.next()?;
                pair.end()?;
                if element.value.len() > Self::MAX_VALUE {
                    return Err(Malformed);
                }
                // A type that is no text is kept as its octets, so that it still compares.
                let value = der_reader::text(&element).unwrap_or_else(|Malformed| hexadecimal(element.whole));
                rdn.push(Pair { oid, value });
                count = count.saturating_add(1);
                if count > Self::MAX_PAIRS {
                    return Err(Malformed);
                }
            }
            if rdn.is_empty() {
                return Err(Malformed);
            }
            rdns.push(rdn);
        }
        let canonical = canonical(&rdns);
        Ok(Self { der: der.to_vec(), rdns, canonical })
    }

    /// This name with one more RDN, given by the content of its SET (nameRelativeToCRLIssuer).
    pub(crate) fn extended(&self, rdn: &[u8]) -> Read<Self> {
        let sequence = Reader::only(&self.der, tag::SEQUENCE)?.value;
        let set = crate::der::tlv(tag::SET, rdn);
        Self::read(&crate::der::sequence(&[sequence, &set]))
    }

    /// The encoded name, as it stands in the certificate.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Whether it has no attribute at all.
    pub fn is_empty(&self) -> bool {
        self.rdns.is_empty()
    }

    /// All values of an attribute, in the order of the name.
    pub fn get(&self, attribute: Attribute) -> Vec<&str> {
        let oid = attribute.oid();
        self.pairs().filter(|pair| pair.oid == oid).map(|pair| pair.value.as_str()).collect()
    }

    /// The value of an attribute that occurs exactly once.
    pub fn single(&self, attribute: Attribute) -> Option<&str> {
        match self.get(attribute).as_slice() {
            [only] => Some(only),
            _ => None,
        }
    }

    /// A character that no honest name holds (NUL, line ends, other controls): such a name shows
    /// one thing and is another.
    pub fn has_control_characters(&self) -> bool {
        self.pairs().any(|pair| pair.value.chars().any(char::is_control))
    }

    fn pairs(&self) -> impl Iterator<Item = &Pair> {
        self.rdns.iter().flatten()
    }

    /// Type and value of every attribute, last RDN first, as texts write names.
    pub(crate) fn pairs_reversed(&self) -> Vec<(String, String)> {
        let flat = self.rdns.iter().rev().flatten();
        flat.map(|pair| (pair.oid.clone(), pair.value.clone())).collect()
    }
}

/// Sets of pairs in sequence. Lengths stand in front of everything, so that no value can pretend
/// to be a border.
fn canonical(rdns: &[Vec<Pair>]) -> String {
    let mut out = String::new();
    for rdn in rdns {
        let pairs: BTreeSet<String> = rdn
            .iter()
            .map(|pair| (&pair.oid, comparable(&pair.value)))
            .map(|(oid, value)| format!("{oid}={}:{value}", value.len()))
            .collect();
        out.push_str(&format!("{}[", pairs.len()));
        out.extend(pairs);
        out.push(']');
    }
    out
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.canonical == other.canonical
    }
}

impl Eq for Name {}

impl std::hash::Hash for Name {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.canonical.hash(state);
    }
}

/// Letter case and blanks do not tell two names apart (RFC 5280 §7.1, RFC 4518 §2.6.1).
pub(crate) fn comparable(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for word in value.split_whitespace() {
        if !out.is_empty() {
            out.push(' ');
        }
        out.extend(word.chars().flat_map(char::to_lowercase));
    }
    out
}

fn hexadecimal(octets: &[u8]) -> String {
    octets.iter().fold("#".to_owned(), |text, octet| format!("{text}{octet:02x}"))
}

/// RFC 4514: last RDN first, `+` between the pairs of one RDN, specials escaped.
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, rdn) in self.rdns.iter().rev().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            for (inner, pair) in rdn.iter().enumerate() {
                if inner > 0 {
                    f.write_str("+")?;
                }
                write_pair(f, &pair.oid, &pair.value)?;
            }
        }
        Ok(())
    }
}

pub(crate) fn write_pair(f: &mut fmt::Formatter<'_>, oid: &str, value: &str) -> fmt::Result {
    let name = ATTRIBUTES
        .iter()
        .find(|(_, known, _)| *known == oid)
        .and_then(|(.., names)| names.first())
        .copied()
        .unwrap_or(oid);
    write!(f, "{name}=")?;
    let last = value.chars().count().saturating_sub(1);
    for (index, c) in value.chars().enumerate() {
        match c {
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' => write!(f, "\\{c}")?,
            '#' | ' ' if index == 0 => write!(f, "\\{c}")?,
            ' ' if index == last => write!(f, "\\{c}")?,
            _ if c.is_control() => {
                let mut buffer = [0u8; 4];
                c.encode_utf8(&mut buffer).bytes().try_for_each(|octet| write!(f, "\\{octet:02x}"))?;
            }
            _ => write!(f, "{c}")?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::der;

    fn pair(attribute: Attribute, string_tag: u8, value: &[u8]) -> Vec<u8> {
        der::sequence(&[der::oid(attribute.oid()).unwrap(), der::tlv(string_tag, value)])
    }

    fn name(rdns: &[&[Vec<u8>]]) -> Name {
        let sets: Vec<Vec<u8>> = rdns.iter().map(|rdn| der::set_of(rdn)).collect();
        Name::read(&der::sequence(&sets)).unwrap()
    }

    #[test]
    fn a_multi_valued_rdn_is_a_set() {
        let cn = pair(Attribute::CommonName, tag::UTF8_STRING, b"899700000001");
        let sn = pair(Attribute::Surname, tag::UTF8_STRING, b"MARTIN-TEST");
        let gn = pair(Attribute::GivenName, tag::UTF8_STRING, "Zoé".as_bytes());
        let card = name(&[&[cn.clone(), sn.clone(), gn.clone()]]);
        assert_eq!(card.single(Attribute::CommonName), Some("899700000001"));
        assert_eq!(card.single(Attribute::GivenName), Some("Zoé"));
        // DER sorts a set; a name written in another order is still the same name.
        let unsorted = der::sequence(&[der::tlv(tag::SET, &[sn.clone(), gn.clone(), cn.clone()].concat())]);
        assert_eq!(Name::read(&unsorted).unwrap(), card);
        // The same attributes in three RDNs are another name.
        assert_ne!(name(&[&[cn], &[sn], &[gn]]), card);
    }

    #[test]
    fn compares_without_case_blanks_and_string_type() {
        let a = name(&[&[pair(Attribute::Organization, tag::PRINTABLE_STRING, b"CH  Exemple ")]]);
        let b = name(&[&[pair(Attribute::Organization, tag::UTF8_STRING, b"ch EXEMPLE")]]);
        assert_eq!(a, b);
        assert_ne!(a, name(&[&[pair(Attribute::OrganizationalUnit, tag::UTF8_STRING, b"ch EXEMPLE")]]));
    }

    #[test]
    fn prints_rfc_4514() {
        let value = name(&[
            &[pair(Attribute::Country, tag::PRINTABLE_STRING, b"FR")],
            &[pair(Attribute::Organization, tag::UTF8_STRING, b" A, B+\"C\\;<x>\n ")],
            &[
                pair(Attribute::CommonName, tag::UTF8_STRING, b"#1"),
                pair(Attribute::Surname, tag::UTF8_STRING, "É".as_bytes()),
            ],
        ]);
        assert_eq!(value.to_string(), "CN=\\#1+SN=É,O=\\ A\\, B\\+\\\"C\\\\\\;\\<x\\>\\0a\\ ,C=FR");
        assert!(value.has_control_characters());
    }

    #[test]
    fn aliases_name_the_same_attribute() {
        for (written, attribute) in [
            ("GN", Attribute::GivenName),
            ("g", Attribute::GivenName),
            ("S", Attribute::State),
            ("T", Attribute::Title),
            ("oid.2.5.4.11", Attribute::OrganizationalUnit),
        ] {
            assert_eq!(attribute_oid(written).as_deref(), Some(attribute.oid()), "{written}");
        }
        assert_eq!(attribute_oid("nonsense"), None);
    }

    #[test]
    fn refuses_broken_names() {
        for octets in [&[0x30, 2, 0x31, 0][..], &[0x30, 1, 0], &[0x31, 0], &[]] {
            assert!(Name::read(octets).is_err());
        }
        let one = der::set_of(&[pair(Attribute::CommonName, tag::UTF8_STRING, b"x")]);
        assert!(Name::read(&der::sequence(&vec![one.clone(); 64])).is_ok());
        assert!(Name::read(&der::sequence(&vec![one; 65])).is_err());
    }
}
