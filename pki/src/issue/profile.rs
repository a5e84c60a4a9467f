//! What each kind of certificate looks like: subject, key usage, purposes, private extensions.

use ident::{Address, CardNumber, PersonId, StructureId};

use super::{
    IssueError, KeyAlgorithm,
    encode::{ascii, extension, oid},
    name::{NamePart, SubjectName},
};
use crate::der;

/// Extension: type of card (TRE_G02).
const CARD_TYPE: &str = "1.2.250.1.71.1.2.2";
/// Extension: issuer and number of the card.
const CARD_NUMBER: &str = "1.2.250.1.71.1.2.3";
/// The fictional issuer that stands before the card number in that extension.
const CARD_ISSUER: &str = "8025000001";

/// A health structure as certificates name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Structure {
    /// National id, in OU.
    pub id: StructureId,
    /// Legal name, in O.
    pub name: String,
    /// Department with its number, `Paris (75)`, in ST.
    pub department: String,
}

impl Structure {
    /// All three facts at once.
    pub fn new(id: StructureId, name: impl Into<String>, department: impl Into<String>) -> Self {
        Self { id, name: name.into(), department: department.into() }
    }

    /// `C=FR, ST=…, O=…, OU=<id>`: the start of every name that belongs to a structure.
    fn named(&self) -> SubjectName {
        SubjectName::french()
            .with(NamePart::State, &self.department)
            .with(NamePart::Organisation, &self.name)
            .with(NamePart::Unit, self.id.as_str())
    }
}

/// A professional's card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CardKind {
    /// Practising professional.
    Cps,
    /// Professional in training.
    Cpf,
}

/// A staff card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StaffKind {
    /// Employee of a health establishment.
    Cpe,
    /// Administrative staff.
    Cpa,
}

/// Which of a card's two certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CardUse {
    /// TLS client authentication and log-on.
    Authentication,
    /// Signatures of documents and mail.
    Signature,
}

/// Which organisation certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrganisationUse {
    /// AUTH_CLI: software that connects on the structure's behalf.
    AuthClient,
    /// SIGN: seals of the structure.
    Sign,
    /// CONF: what others encrypt to.
    Confidentiality,
}

/// What a mail certificate of a server (a domain, or one mailbox) is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerMailUse {
    /// Signs for the domain.
    Sign,
    /// Reads for the domain.
    Confidentiality,
}

/// An extension given by hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extension {
    /// Dotted object identifier.
    pub oid: String,
    /// Whether a reader that does not know it must refuse.
    pub critical: bool,
    /// DER of its value.
    pub value: Vec<u8>,
}

/// Who a certificate is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Profile {
    /// Card of a professional: one multi-valued RDN `GN+SN+CN=<national id>`, a title, no e-mail.
    Person {
        /// National id, in CN.
        id: PersonId,
        /// Family name.
        family: String,
        /// Given name.
        given: String,
        /// Label of the profession.
        title: String,
        /// Where the holder works, when the card says so.
        structure: Option<Structure>,
        /// Number of the card.
        card: CardNumber,
        /// Kind of card.
        kind: CardKind,
        /// Which certificate of the card.
        usage: CardUse,
    },
    /// Card of an employee: the id is that of the structure followed by an internal number.
    Staff {
        /// National id, in CN.
        id: PersonId,
        /// Family name.
        family: String,
        /// Given name.
        given: String,
        /// The employer.
        structure: Structure,
        /// Number of the card.
        card: CardNumber,
        /// Kind of card.
        kind: StaffKind,
    },
    /// Certificate of a structure: application, seal or encryption.
    Organisation {
        /// Who holds it.
        structure: Structure,
        /// Name of the application or service, in CN.
        label: String,
        /// What it may do.
        usage: OrganisationUse,
        /// Mailboxes it speaks for; usually none.
        emails: Vec<Address>,
    },
    /// TLS certificate of a server, for both ends of a relay.
    ServerTls {
        /// Fully qualified name, in CN and SAN.
        host: String,
        /// Further names, in SAN only.
        alternatives: Vec<String>,
        /// Who runs it.
        structure: Structure,
    },
    /// S/MIME certificate of a mail domain or of one mailbox (SERV SIGN, SERV CONF).
    ServerMail {
        /// Domain or address, in CN.
        name: String,
        /// Who runs it.
        structure: Structure,
        /// Signing or encryption.
        usage: ServerMailUse,
        /// Addresses in SAN; none for a whole domain.
        emails: Vec<Address>,
    },
    /// A responder that answers for its authority (RFC 6960 §4.2.2.2).
    OcspResponder {
        /// Its name, in CN.
        name: String,
        /// Whether the authority says that nobody publishes its status.
        nocheck: bool,
    },
    /// Anything else, for tests of what must be refused.
    Custom {
        /// The subject.
        subject: SubjectName,
        /// All extensions but the key identifiers and the publication points.
        extensions: Vec<Extension>,
    },
}

/// Key usage bits (RFC 5280 §4.2.1.3), by name.
#[derive(Clone, Copy)]
enum Usage {
    DigitalSignature,
    SignatureAndCommitment,
    Encipherment,
}

mod eku {
    pub(super) const SERVER: &str = "1.3.6.1.5.5.7.3.1";
    pub(super) const CLIENT: &str = "1.3.6.1.5.5.7.3.2";
    pub(super) const EMAIL: &str = "1.3.6.1.5.5.7.3.4";
    pub(super) const OCSP_SIGNING: &str = "1.3.6.1.5.5.7.3.9";
    pub(super) const SMART_CARD_LOGON: &str = "1.3.6.1.4.1.311.20.2.2";
}

impl Profile {
    /// The subject name that this profile prescribes.
    pub fn subject(&self) -> SubjectName {
        match self {
            Self::Person { id, family, given, title, structure, .. } => structure
                .as_ref()
                .map_or_else(SubjectName::french, Structure::named)
                .with(NamePart::Title, title)
                .with_set(&person_rdn(id, family, given)),
            Self::Staff { id, family, given, structure, kind: StaffKind::Cpa, .. } => {
                structure.named().with_set(&person_rdn(id, family, given))
            }
            Self::Staff { id, family, structure, kind: StaffKind::Cpe, .. } => structure
                .named()
                .with(NamePart::Title, "Carte de service santé ou social")
                .with(NamePart::Pseudonym, family)
                .with(NamePart::CommonName, id.as_str()),
            Self::Organisation { structure, label, .. } => structure.named().with(NamePart::CommonName, label),
            Self::ServerTls { structure, host, .. } => structure.named().with(NamePart::CommonName, host),
            Self::ServerMail { structure, name, .. } => structure.named().with(NamePart::CommonName, name),
            Self::OcspResponder { name, .. } => SubjectName::french().with(NamePart::CommonName, name),
            Self::Custom { subject, .. } => subject.clone(),
        }
    }

    /// First octet of the category extension (TRE_G01) without the TEST bit; `None` for custom ones.
    pub(super) const fn category(&self) -> Option<u8> {
        match self {
            Self::Person { .. } | Self::Staff { .. } => Some(0x00),
            Self::ServerTls { .. } | Self::ServerMail { .. } => Some(0x02),
            Self::Organisation { .. } => Some(0x03),
            Self::OcspResponder { .. } | Self::Custom { .. } => None,
        }
    }

    /// The extensions that follow from the profile alone.
    pub(super) fn extensions(&self, key: KeyAlgorithm) -> Result<Vec<Vec<u8>>, IssueError> {
        let (usage, purposes) = match self {
            Self::Person { usage: CardUse::Authentication, .. } | Self::Staff { .. } => {
                (Usage::DigitalSignature, vec![eku::CLIENT, eku::SMART_CARD_LOGON])
            }
            Self::Person { usage: CardUse::Signature, .. } => (Usage::SignatureAndCommitment, vec![eku::EMAIL]),
            Self::Organisation { usage: OrganisationUse::AuthClient, .. } => {
                (Usage::DigitalSignature, vec![eku::CLIENT])
            }
            Self::Organisation { usage: OrganisationUse::Sign, .. }
            | Self::ServerMail { usage: ServerMailUse::Sign, .. } => (Usage::SignatureAndCommitment, vec![eku::EMAIL]),
            Self::Organisation { usage: OrganisationUse::Confidentiality, .. }
            | Self::ServerMail { usage: ServerMailUse::Confidentiality, .. } => (Usage::Encipherment, vec![eku::EMAIL]),
            Self::ServerTls { .. } => (Usage::DigitalSignature, vec![eku::SERVER, eku::CLIENT]),
            Self::OcspResponder { .. } => (Usage::DigitalSignature, vec![eku::OCSP_SIGNING]),
            Self::Custom { extensions, .. } => {
                return extensions.iter().map(|e| extension(&e.oid, e.critical, &e.value)).collect();
            }
        };
        let mut out = vec![key_usage(usage, key)?, extended_key_usage(&purposes)?];
        out.extend(self.alternative_names()?);
        out.extend(self.card_extensions()?);
        if matches!(self, Self::OcspResponder { nocheck: true, .. }) {
            out.push(extension("1.3.6.1.5.5.7.48.1.5", false, &der::null())?);
        }
        Ok(out)
    }

    fn alternative_names(&self) -> Result<Option<Vec<u8>>, IssueError> {
        let names: Vec<Vec<u8>> = match self {
            Self::Organisation { emails, .. } | Self::ServerMail { emails, .. } => {
                emails.iter().map(rfc822_name).collect::<Result<_, _>>()?
            }
            Self::ServerTls { host, alternatives, .. } => {
                let mut names = vec![der::context_primitive(2, ascii(host)?)];
                for name in alternatives {
                    names.push(der::context_primitive(2, ascii(name)?));
                }
                names
            }
            // A card carries a log-on name and no mail address (pki.md §7).
            Self::Person { card, usage: CardUse::Authentication, .. } | Self::Staff { card, .. } => {
                vec![user_principal_name(&format!("{card}@carte.test"))?]
            }
            Self::Person { .. } | Self::OcspResponder { .. } | Self::Custom { .. } => vec![],
        };
        if names.is_empty() {
            return Ok(None);
        }
        extension("2.5.29.17", false, &der::sequence(&names)).map(Some)
    }

    fn card_extensions(&self) -> Result<Vec<Vec<u8>>, IssueError> {
        let (code, card) = match self {
            Self::Person { kind: CardKind::Cps, card, .. } => (0, card),
            Self::Person { kind: CardKind::Cpf, card, .. } => (1, card),
            Self::Staff { kind: StaffKind::Cpe, card, .. } => (2, card),
            Self::Staff { kind: StaffKind::Cpa, card, .. } => (3, card),
            _ => return Ok(vec![]),
        };
        let number = format!("{CARD_ISSUER}/{card}");
        Ok(vec![
            extension(CARD_TYPE, false, &der::octet_string(&[code]))?,
            extension(CARD_NUMBER, false, &der::tlv(der::tag::PRINTABLE_STRING, number.as_bytes()))?,
        ])
    }
}

fn person_rdn<'a>(id: &'a PersonId, family: &'a str, given: &'a str) -> [(NamePart, &'a str); 3] {
    [(NamePart::GivenName, given), (NamePart::Surname, family), (NamePart::CommonName, id.as_str())]
}

fn key_usage(usage: Usage, key: KeyAlgorithm) -> Result<Vec<u8>, IssueError> {
    // digitalSignature, nonRepudiation, keyEncipherment, dataEncipherment, keyAgreement
    let bits: &[bool] = match (usage, key) {
        (Usage::DigitalSignature, _) => &[true],
        (Usage::SignatureAndCommitment, _) => &[true, true],
        (Usage::Encipherment, KeyAlgorithm::P256) => &[false, false, false, false, true],
        (Usage::Encipherment, _) => &[false, false, true],
    };
    extension("2.5.29.15", true, &der::named_bits(bits))
}

fn extended_key_usage(purposes: &[&str]) -> Result<Vec<u8>, IssueError> {
    let oids = purposes.iter().map(|p| oid(p)).collect::<Result<Vec<_>, _>>()?;
    extension("2.5.29.37", false, &der::sequence(&oids))
}

fn rfc822_name(address: &Address) -> Result<Vec<u8>, IssueError> {
    let text = address.to_string();
    Ok(der::context_primitive(1, ascii(&text)?))
}

/// GeneralName otherName of type UPN.
fn user_principal_name(text: &str) -> Result<Vec<u8>, IssueError> {
    let value = der::context(0, &[der::utf8(text)]);
    Ok(der::context(0, &[oid("1.3.6.1.4.1.311.20.2.3")?, value]))
}
