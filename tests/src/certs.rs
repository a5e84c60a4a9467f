//! Certificates for the peers themselves: just enough to try a starter, and for strangers that the
//! trust space does not know. The trust space of the stories comes from `pki::issue`.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use openssl::asn1::{Asn1Integer, Asn1Time};
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::x509::extension::{BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAlternativeName};
use openssl::x509::{X509, X509Builder, X509NameBuilder};

use crate::place::Scratch;

/// A key and its certificate.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The private key.
    pub key: PKey<Private>,
    /// The certificate.
    pub certificate: X509,
}

/// The files of [`Credentials`], in PEM.
#[derive(Clone, Debug)]
pub struct CredentialFiles {
    /// The certificate.
    pub certificate: PathBuf,
    /// The key, without passphrase.
    pub key: PathBuf,
}

impl Credentials {
    /// Reads PEM files: the certificate, the certificates that stand behind it in the same file, the key.
    #[must_use]
    #[track_caller]
    pub fn load(certificate: &Path, key: &Path) -> (Self, Vec<X509>) {
        let mut chain = certificates(certificate);
        let key = PKey::private_key_from_pem(&std::fs::read(key).unwrap()).unwrap();
        (Self { key, certificate: chain.remove(0) }, chain)
    }

    /// Writes `<name>.crt` and `<name>.key` into `scratch`.
    #[must_use]
    pub fn write(&self, scratch: &Scratch, name: &str) -> CredentialFiles {
        CredentialFiles {
            certificate: scratch.write(&format!("{name}.crt"), self.certificate.to_pem().unwrap()),
            key: scratch.write(&format!("{name}.key"), self.key.private_key_to_pem_pkcs8().unwrap()),
        }
    }
}

/// The certificates of a PEM file.
#[must_use]
#[track_caller]
pub fn certificates(file: &Path) -> Vec<X509> {
    let pem = std::fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    X509::stack_from_pem(&pem).unwrap()
}

/// What a certificate is for.
#[derive(Clone, Debug)]
pub enum Use<'a> {
    /// A TLS server (and client, as mail relays are both) with these host names.
    Server(&'a [&'a str], Option<IpAddr>),
    /// A TLS client.
    Client,
    /// Signing and reading mail, with this address.
    Mail(&'a str),
}

/// A root of our own, valid from yesterday for a year.
#[derive(Debug)]
pub struct Authority(Credentials);

impl Authority {
    /// A new self-signed root.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let key = new_key();
        let mut builder = unsigned(name, &key);
        let subject = subject(name);
        builder.set_issuer_name(&subject).unwrap();
        builder.append_extension(BasicConstraints::new().critical().ca().build().unwrap()).unwrap();
        builder.append_extension(KeyUsage::new().critical().key_cert_sign().crl_sign().build().unwrap()).unwrap();
        builder.sign(&key, MessageDigest::sha256()).unwrap();
        Self(Credentials { key, certificate: builder.build() })
    }

    /// Its certificate.
    #[must_use]
    pub fn certificate(&self) -> &X509 {
        &self.0.certificate
    }

    /// Its certificate as a PEM file.
    #[must_use]
    pub fn write(&self, scratch: &Scratch, name: &str) -> PathBuf {
        scratch.write(&format!("{name}.crt"), self.0.certificate.to_pem().unwrap())
    }

    /// A certificate with a new key.
    #[must_use]
    pub fn issue(&self, name: &str, used_for: &Use<'_>) -> Credentials {
        let key = new_key();
        let mut builder = unsigned(name, &key);
        builder.set_issuer_name(self.0.certificate.subject_name()).unwrap();
        builder.append_extension(BasicConstraints::new().critical().build().unwrap()).unwrap();
        let mut names = SubjectAlternativeName::new();
        let mut extended = ExtendedKeyUsage::new();
        let mut usage = KeyUsage::new();
        usage.critical().digital_signature();
        match used_for {
            Use::Server(hosts, address) => {
                for host in *hosts {
                    names.dns(host);
                }
                if let Some(address) = address {
                    names.ip(&address.to_string());
                }
                extended.server_auth().client_auth();
            }
            Use::Client => {
                extended.client_auth();
            }
            Use::Mail(address) => {
                names.email(address);
                extended.email_protection();
                usage.key_agreement();
            }
        }
        builder.append_extension(usage.build().unwrap()).unwrap();
        builder.append_extension(extended.build().unwrap()).unwrap();
        if !matches!(used_for, Use::Client) {
            let context = builder.x509v3_context(Some(&self.0.certificate), None);
            let names = names.build(&context).unwrap();
            builder.append_extension(names).unwrap();
        }
        builder.sign(&self.0.key, MessageDigest::sha256()).unwrap();
        Credentials { key, certificate: builder.build() }
    }
}

fn new_key() -> PKey<Private> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
}

fn subject(name: &str) -> openssl::x509::X509Name {
    let mut subject = X509NameBuilder::new().unwrap();
    subject.append_entry_by_text("CN", name).unwrap();
    subject.build()
}

fn unsigned(name: &str, key: &PKey<Private>) -> X509Builder {
    let mut builder = X509Builder::new().unwrap();
    builder.set_version(2).unwrap();
    let mut serial = BigNum::new().unwrap();
    serial.rand(120, openssl::bn::MsbOption::ONE, false).unwrap();
    builder.set_serial_number(&Asn1Integer::from_bn(&serial).unwrap()).unwrap();
    builder.set_subject_name(&subject(name)).unwrap();
    builder.set_pubkey(key).unwrap();
    let yesterday = time::OffsetDateTime::now_utc().unix_timestamp() - 86_400;
    builder.set_not_before(&Asn1Time::from_unix(yesterday).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::from_unix(yesterday + 366 * 86_400).unwrap()).unwrap();
    builder
}
