//! Keys of each kind, and messages of each size.

use ident::{Address, Clock, StructureId, SystemClock, Timestamp};
use openssl::{
    ec::{EcGroup, EcKey},
    nid::Nid,
    pkey::{PKey, Private},
    rsa::Rsa,
};
use pki::issue::{
    Authority, AuthorityRequest, CertificateRequest, KeyAlgorithm, Profile, ServerMailUse, Structure, Validity,
};
use pki::keys::FileKey;

/// The kinds of key that are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Rsa(u32),
    P256,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Rsa(2048), Self::Rsa(3072), Self::P256];

    pub(crate) fn name(self) -> String {
        match self {
            Self::Rsa(bits) => format!("RSA-{bits}"),
            Self::P256 => "P-256".to_owned(),
        }
    }

    fn make(self) -> PKey<Private> {
        match self {
            Self::Rsa(bits) => PKey::from_rsa(Rsa::generate(bits).unwrap()).unwrap(),
            Self::P256 => {
                let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
                PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
            }
        }
    }
}

/// One domain that signs, one that reads.
pub(crate) struct World {
    pub(crate) kind: Kind,
    pub(crate) signer: FileKey,
    pub(crate) reader: FileKey,
    pub(crate) now: Timestamp,
}

impl World {
    pub(crate) fn new(kind: Kind) -> Self {
        let now = SystemClock.now();
        let validity = Validity::days(now, 100);
        let authority = Authority::root(&AuthorityRequest::new("RACINE BANC", KeyAlgorithm::P256, validity)).unwrap();
        let structure = Structure::new(StructureId::parse("1990000001").unwrap(), "CH EXEMPLE-TEST", "Paris (75)");
        let holder = |usage| {
            let key = kind.make();
            let profile = Profile::ServerMail {
                name: "ch-exemple.test".into(),
                structure: structure.clone(),
                usage,
                emails: vec![],
            };
            // What the certificate allows goes by the kind of key.
            let usual = if kind == Kind::P256 { KeyAlgorithm::P256 } else { KeyAlgorithm::Rsa2048 };
            let (_, issued) = authority.certify(&CertificateRequest::new(profile, usual, validity), &key).unwrap();
            let certificate = pki::certificate::Certificate::from_der(&issued).unwrap();
            FileKey::from_pem(&key.private_key_to_pem_pkcs8().unwrap(), certificate.to_pem().as_bytes(), None).unwrap()
        };
        Self { kind, signer: holder(ServerMailUse::Sign), reader: holder(ServerMailUse::Confidentiality), now }
    }
}

/// Who reads every message.
pub(crate) fn reader() -> Address {
    Address::parse("claire.moreau-test@ch-autre.test").unwrap()
}

/// A message of about this many octets: a letter with an attachment, as mail programs write it.
pub(crate) fn message(octets: usize) -> Vec<u8> {
    let mut out = format!(
        "From: \"Dr MARTIN-TEST, Anne\" <anne.martin-test@ch-exemple.test>\r\nTo: Claire <{}>\r\nSubject: Lettre de liaison\r\n\
         Date: Sun, 22 Nov 2026 10:00:00 +0100\r\nMessage-ID: <1@ch-exemple.test>\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nBonjour.\r\n--b\r\n\
         Content-Type: application/pdf; name=lettre.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n",
        reader()
    )
    .into_bytes();
    let missing = octets.saturating_sub(out.len() + 8);
    let attachment: Vec<u8> = (0..missing / 78 * 57).map(|at| (at * 31 % 251) as u8).collect();
    mail::mime::write_base64(&mut out, &attachment);
    out.extend_from_slice(b"--b--\r\n");
    out
}
