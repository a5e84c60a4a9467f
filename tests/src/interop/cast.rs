//! Who writes and reads in the matrix: one pair for each kind of key, under one root.

use std::path::PathBuf;

use openssl::asn1::{Asn1Integer, Asn1Time};
use openssl::bn::{BigNum, MsbOption};
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkcs12::Pkcs12;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::x509::extension::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAlternativeName, SubjectKeyIdentifier,
};
use openssl::x509::{X509, X509Builder, X509Name, X509NameBuilder};

use crate::certs::{CredentialFiles, Credentials};
use crate::place::Scratch;

/// The password of every PKCS#12 file here.
pub const PASSWORD: &str = "exemple";

/// The kinds of key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Keys {
    /// RSA with 2048 bits.
    Rsa2048,
    /// RSA with 3072 bits.
    Rsa3072,
    /// NIST P-256.
    P256,
    /// NIST P-384.
    P384,
    /// Ed25519 to sign, X25519 to read.
    Edwards,
}

/// One certificate with its key, and its files.
pub struct Identity {
    /// Mail address, which is also how peers find it.
    pub address: String,
    /// Key and certificate.
    pub credentials: Credentials,
    /// PEM files.
    pub files: CredentialFiles,
    /// PKCS#12 file under [`PASSWORD`].
    pub pkcs12: PathBuf,
}

/// Who signs and who reads with one kind of key.
pub struct Pair {
    /// Their kind.
    pub keys: Keys,
    /// The author.
    pub signer: Identity,
    /// The recipient.
    pub reader: Identity,
}

/// Everybody, under one root.
pub struct Cast {
    /// Where the files are.
    pub scratch: Scratch,
    /// The root as a PEM file.
    pub root: PathBuf,
    root_key: PKey<Private>,
    root_certificate: X509,
    /// A pair for each kind of key.
    pub pairs: Vec<Pair>,
}

impl Cast {
    /// Makes root and pairs.
    #[must_use]
    pub fn new(kinds: &[Keys]) -> Self {
        let scratch = Scratch::new("interop");
        let root_key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
        let name = subject("RACINE INTEROP-TEST");
        let mut builder = unsigned(&name, &name, &root_key);
        builder.append_extension(BasicConstraints::new().critical().ca().build().unwrap()).unwrap();
        builder.append_extension(KeyUsage::new().critical().key_cert_sign().crl_sign().build().unwrap()).unwrap();
        let identifier = SubjectKeyIdentifier::new().build(&builder.x509v3_context(None, None)).unwrap();
        builder.append_extension(identifier).unwrap();
        builder.sign(&root_key, MessageDigest::sha256()).unwrap();
        let root_certificate = builder.build();
        let root = scratch.write("root.crt", root_certificate.to_pem().unwrap());
        let mut cast = Self { scratch, root, root_key, root_certificate, pairs: Vec::new() };
        for keys in kinds {
            let pair = Pair { keys: *keys, signer: cast.identity(*keys, true), reader: cast.identity(*keys, false) };
            cast.pairs.push(pair);
        }
        cast
    }

    /// The root itself.
    #[must_use]
    pub fn root_certificate(&self) -> &X509 {
        &self.root_certificate
    }

    fn identity(&self, keys: Keys, signs: bool) -> Identity {
        let key = key(keys, signs);
        let who = if signs { "signe" } else { "lit" };
        let local = format!("{who}.{keys:?}").to_lowercase();
        let address = format!("{local}@ch-{}.test", if signs { "exemple" } else { "autre" });
        let name = subject(&format!("Dr {}-TEST {keys:?}", if signs { "MARTIN" } else { "PETIT" }));
        let mut builder = unsigned(&name, self.root_certificate.subject_name(), &key);
        builder.append_extension(BasicConstraints::new().critical().build().unwrap()).unwrap();
        let mut usage = KeyUsage::new();
        usage.critical();
        match (signs, keys) {
            (true, _) => usage.digital_signature(),
            (false, Keys::Rsa2048 | Keys::Rsa3072) => usage.key_encipherment(),
            (false, _) => usage.key_agreement(),
        };
        builder.append_extension(usage.build().unwrap()).unwrap();
        builder.append_extension(ExtendedKeyUsage::new().email_protection().build().unwrap()).unwrap();
        let context = builder.x509v3_context(Some(&self.root_certificate), None);
        let names = SubjectAlternativeName::new().email(&address).build(&context).unwrap();
        let issuer = AuthorityKeyIdentifier::new().keyid(true).build(&context).unwrap();
        let own = SubjectKeyIdentifier::new().build(&context).unwrap();
        for extension in [names, issuer, own] {
            builder.append_extension(extension).unwrap();
        }
        builder.sign(&self.root_key, MessageDigest::sha256()).unwrap();
        let credentials = Credentials { key, certificate: builder.build() };
        let files = credentials.write(&self.scratch, &local);
        let mut pkcs12 = Pkcs12::builder();
        pkcs12.name(&local).pkey(&credentials.key).cert(&credentials.certificate);
        // What the oldest reader among the peers knows.
        let old = Nid::PBE_WITHSHA1AND3_KEY_TRIPLEDES_CBC;
        pkcs12.key_algorithm(old).cert_algorithm(old).mac_md(MessageDigest::sha1());
        let pkcs12 = pkcs12.build2(PASSWORD).unwrap().to_der().unwrap();
        let pkcs12 = self.scratch.write(&format!("{local}.p12"), pkcs12);
        Identity { address, credentials, files, pkcs12 }
    }
}

fn key(keys: Keys, signs: bool) -> PKey<Private> {
    let curve = |nid| PKey::from_ec_key(EcKey::generate(&EcGroup::from_curve_name(nid).unwrap()).unwrap()).unwrap();
    match keys {
        Keys::Rsa2048 => PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap(),
        Keys::Rsa3072 => PKey::from_rsa(Rsa::generate(3072).unwrap()).unwrap(),
        Keys::P256 => curve(Nid::X9_62_PRIME256V1),
        Keys::P384 => curve(Nid::SECP384R1),
        Keys::Edwards if signs => PKey::generate_ed25519().unwrap(),
        Keys::Edwards => PKey::generate_x25519().unwrap(),
    }
}

fn subject(common: &str) -> X509Name {
    let mut name = X509NameBuilder::new().unwrap();
    name.append_entry_by_text("O", "CH EXEMPLE-TEST").unwrap();
    name.append_entry_by_text("CN", common).unwrap();
    name.build()
}

fn unsigned(name: &X509Name, issuer: &openssl::x509::X509NameRef, key: &PKey<Private>) -> X509Builder {
    let mut builder = X509Builder::new().unwrap();
    builder.set_version(2).unwrap();
    let mut serial = BigNum::new().unwrap();
    serial.rand(120, MsbOption::ONE, false).unwrap();
    builder.set_serial_number(&Asn1Integer::from_bn(&serial).unwrap()).unwrap();
    builder.set_subject_name(name).unwrap();
    builder.set_issuer_name(issuer).unwrap();
    builder.set_pubkey(key).unwrap();
    let yesterday = time::OffsetDateTime::now_utc().unix_timestamp() - 86_400;
    builder.set_not_before(&Asn1Time::from_unix(yesterday).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::from_unix(yesterday + 366 * 86_400).unwrap()).unwrap();
    builder
}
