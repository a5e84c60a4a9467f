//! Tests of the container layer as a whole. `openssl cms` is the second opinion: it shares our
//! primitives, not a line of our container code.

mod encrypted;
mod interop;
mod signed;
mod tamper;
mod wycheproof;

use std::{path::PathBuf, process::Command, sync::OnceLock};

use ident::Timestamp;
use openssl::{
    asn1::Asn1Time,
    bn::BigNum,
    ec::{EcGroup, EcKey},
    hash::MessageDigest,
    nid::Nid,
    pkey::{Id, PKey, Private},
    rsa::Rsa,
    x509::{X509, X509NameBuilder, extension::SubjectKeyIdentifier},
};
use tempfile::TempDir;

use crate::{
    certificate::Certificate,
    keys::{FileKey, KeyError, SignatureScheme, SigningKey},
};

/// A message as it stands in a mail: CRLF lines, more than one block and more than one piece.
pub(super) fn message() -> Vec<u8> {
    b"Content-Type: text/plain; charset=utf-8\r\n\r\nBonjour Dr MARTIN-TEST,\r\n"
        .iter()
        .copied()
        .chain(b"Compte rendu fictif.\r\n".repeat(1000))
        .collect()
}

pub(super) fn at() -> Timestamp {
    Timestamp::parse("2026-11-21T22:57:00Z").unwrap()
}

/// Keys with self-signed certificates, and a folder where the command line finds them.
pub(super) struct Cast {
    folder: TempDir,
    pub(super) rsa: FileKey,
    pub(super) other_rsa: FileKey,
    pub(super) p256: FileKey,
    pub(super) p384: FileKey,
    pub(super) ed25519: FileKey,
    pub(super) x25519: FileKey,
}

pub(super) fn cast() -> &'static Cast {
    static CAST: OnceLock<Cast> = OnceLock::new();
    CAST.get_or_init(|| {
        let folder = TempDir::new().unwrap();
        let rsa = |name| identity(&folder, name, PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap());
        let curve = |name, nid| {
            let group = EcGroup::from_curve_name(nid).unwrap();
            identity(&folder, name, PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap())
        };
        Cast {
            rsa: rsa("rsa"),
            other_rsa: rsa("other"),
            p256: curve("p256", Nid::X9_62_PRIME256V1),
            p384: curve("p384", Nid::SECP384R1),
            ed25519: identity(&folder, "ed25519", PKey::generate_ed25519().unwrap()),
            x25519: identity(&folder, "x25519", PKey::generate_x25519().unwrap()),
            folder,
        }
    })
}

impl Cast {
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

pub(super) fn identity(folder: &TempDir, name: &str, key: PKey<Private>) -> FileKey {
    let mut subject = X509NameBuilder::new().unwrap();
    subject.append_entry_by_text("O", "HOPITAL-TEST").unwrap();
    subject.append_entry_by_text("CN", &format!("Dr MARTIN-TEST {name}")).unwrap();
    let subject = subject.build();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    // Serial numbers that begin with a set bit need a leading zero: the case that goes wrong.
    let serial = BigNum::from_slice(&[0x80, name.len().try_into().unwrap(), name.as_bytes()[0]]).unwrap();
    builder.set_serial_number(&serial.to_asn1_integer().unwrap()).unwrap();
    builder.set_subject_name(&subject).unwrap();
    builder.set_issuer_name(&subject).unwrap();
    builder.set_not_before(&Asn1Time::from_unix(at().seconds() - 400 * 86_400).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::from_unix(at().seconds() + 4000 * 86_400).unwrap()).unwrap();
    builder.set_pubkey(&key).unwrap();
    let key_id = SubjectKeyIdentifier::new().build(&builder.x509v3_context(None, None)).unwrap();
    builder.append_extension(key_id).unwrap();
    match key.id() {
        Id::ED25519 => builder.sign(&key, MessageDigest::null()).unwrap(),
        // It agrees and signs nothing: somebody else has to.
        Id::X25519 => builder.sign(&PKey::generate_ed25519().unwrap(), MessageDigest::null()).unwrap(),
        _ => builder.sign(&key, MessageDigest::sha256()).unwrap(),
    }
    let x509 = builder.build();
    std::fs::write(folder.path().join(format!("{name}.crt")), x509.to_pem().unwrap()).unwrap();
    std::fs::write(folder.path().join(format!("{name}.key")), key.private_key_to_pem_pkcs8().unwrap()).unwrap();
    FileKey::new(key, Certificate::from_openssl(&x509).unwrap(), vec![]).unwrap()
}

/// A key that signs with one given scheme.
pub(super) struct Only<'a>(pub(super) &'a FileKey, pub(super) [SignatureScheme; 1]);

impl SigningKey for Only<'_> {
    fn certificate(&self) -> &Certificate {
        self.0.certificate()
    }

    fn schemes(&self) -> &[SignatureScheme] {
        &self.1
    }

    fn sign(&self, scheme: SignatureScheme, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        self.0.sign(scheme, message)
    }
}

/// Runs `openssl cms` in the folder of the cast with `input` as its input file. Arguments are split
/// at blanks. The output, or what it complained about.
pub(super) fn openssl_cms(arguments: &str, input: &[u8]) -> Result<Vec<u8>, String> {
    let scratch = TempDir::new().unwrap();
    let (from, to) = (scratch.path().join("in"), scratch.path().join("out"));
    std::fs::write(&from, input).unwrap();
    let ran = Command::new("openssl")
        .current_dir(cast().folder.path())
        .args(["cms", "-binary", "-in"])
        .arg(&from)
        .arg("-out")
        .arg(&to)
        .args(arguments.split_whitespace())
        .output()
        .unwrap();
    if !ran.status.success() {
        return Err(format!("openssl cms {arguments}: {}", String::from_utf8_lossy(&ran.stderr)));
    }
    Ok(std::fs::read(to).unwrap())
}
