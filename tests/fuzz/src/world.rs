//! The small fictional trust space of the targets. Its keys are kept beside the corpus: inputs sealed
//! for them must open in a later year, too.

use std::{fs, path::PathBuf, sync::LazyLock};

use ident::{Address, CardNumber, PersonId, StructureId, Timestamp};
use openssl::pkey::{PKey, Private};
use pki::{
    certificate::Certificate,
    issue::{
        Authority, AuthorityRequest, CardKind, CardUse, CertificateRequest, CrlRequest, Issued, KeyAlgorithm,
        OcspDraft, OcspSigner, OcspStatement, OrganisationUse, Profile, Reason, Revocation, ServerMailUse, Structure,
        Validity,
    },
    keys::{FileKey, SigningKey},
};

use crate::forge;

/// The time at which every input is judged.
pub const NOW: Timestamp = Timestamp::from_seconds(1_790_000_000);

/// The nonce of every OCSP question.
pub const NONCE: [u8; 32] = [7; 32];

/// Where the keys are kept.
fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/keys"))
}

/// A kept file.
pub fn kept(name: &str) -> Vec<u8> {
    fs::read(folder().join(name)).expect("the key is kept in tests/fuzz/keys")
}

/// A kept key with its certificate.
pub fn key(name: &str) -> FileKey {
    FileKey::from_pem(&kept(&format!("{name}.key")), &kept(&format!("{name}.pem")), None).expect("a key that reads")
}

/// The kept root's certificate.
pub fn root() -> Certificate {
    SigningKey::certificate(&*ROOT).clone()
}

/// Signs the seeds that only an authority can sign.
pub static ROOT: LazyLock<FileKey> = LazyLock::new(|| key("root"));
/// Signs messages for the domain.
pub static SIGNER: LazyLock<FileKey> = LazyLock::new(|| key("signer"));
/// Signs the trust list.
pub static PUBLISHER: LazyLock<FileKey> = LazyLock::new(|| key("publisher"));
/// Reads what is sealed with RSA.
pub static READER_RSA: LazyLock<FileKey> = LazyLock::new(|| key("reader-rsa"));
/// Reads what is sealed with P-256.
pub static READER_EC: LazyLock<FileKey> = LazyLock::new(|| key("reader-ec"));

/// Reads what is sealed with X25519.
pub static READER_X25519: LazyLock<FileKey> = LazyLock::new(|| key("reader-x25519"));
/// A doctor, who signs with a card.
pub static DOCTOR: LazyLock<FileKey> = LazyLock::new(|| key("doctor"));
/// Signs for the mailbox that its certificate names.
pub static MAILER: LazyLock<FileKey> = LazyLock::new(|| key("mailer"));

/// A fictional hospital.
pub fn hospital() -> Structure {
    Structure::new(StructureId::parse("1990000001").expect("an id"), "CH EXEMPLE-TEST", "Paris (75)")
}

/// The authority behind the keys, made anew: for seeds that need one.
pub fn authority() -> Authority {
    let request = AuthorityRequest::new("RACINE EXEMPLE", KeyAlgorithm::P256, Validity::days(NOW, 36_500));
    Authority::root(&request).expect("a root")
}

/// Something under that authority.
pub fn issue(authority: &Authority, profile: Profile, key: KeyAlgorithm) -> Issued {
    authority.issue(&CertificateRequest::new(profile, key, Validity::days(NOW, 36_500))).expect("a certificate")
}

/// A certificate of the hospital.
pub fn organisation(label: &str, usage: OrganisationUse) -> Profile {
    Profile::Organisation { structure: hospital(), label: label.into(), usage, emails: vec![] }
}

/// What its list says: three certificates, for three reasons.
pub fn revoked() -> CrlRequest {
    let day = std::time::Duration::from_secs(86_400);
    let entry = |serial: u8, reason| Revocation { serial: vec![serial, 1, 2, 3], reason, at: NOW.minus(day) };
    CrlRequest {
        revoked: vec![
            entry(1, Reason::KeyCompromise),
            entry(2, Reason::Unspecified),
            entry(3, Reason::CertificateHold),
        ],
        this_update: NOW.minus(day),
        next_update: NOW.plus(day),
        number: 7,
    }
}

/// Makes the kept keys where there are none. Only for a new corpus: old inputs need the old keys.
pub fn make_keys() {
    make_first_keys();
    for (name, profile) in [("doctor", doctor()), ("mailer", mailer())] {
        if !folder().join(format!("{name}.key")).exists() {
            adopted(name, profile, None);
        }
    }
    if !folder().join("reader-x25519.key").exists() {
        let reader = organisation("SCEAU", OrganisationUse::Confidentiality);
        adopted("reader-x25519", reader, Some(PKey::generate_x25519().expect("a key")));
    }
}

fn doctor() -> Profile {
    Profile::Person {
        id: PersonId::parse("899700000017").expect("an id"),
        family: "MARTIN-TEST".into(),
        given: "Anne".into(),
        title: "Médecin".into(),
        structure: None,
        card: CardNumber::parse("2990000001").expect("a card number"),
        kind: CardKind::Cps,
        usage: CardUse::Signature,
    }
}

fn mailer() -> Profile {
    let emails = vec![Address::parse("anne.martin-test@ch-exemple.test").expect("an address")];
    Profile::ServerMail { name: "ch-exemple.test".into(), structure: hospital(), usage: ServerMailUse::Sign, emails }
}

/// A certificate as another authority issues it, signed by the kept root: its key was kept, the authority was not.
/// For the key of the certificate, or for this one.
fn adopted(name: &str, profile: Profile, key: Option<PKey<Private>>) {
    let issued = issue(&authority(), profile, KeyAlgorithm::P256);
    let parts = forge::members(issued.certificate_der());
    let root = SigningKey::certificate(&*ROOT);
    let body = forge::with_members(parts.first().expect("a signed part"), |all| {
        forge::set(all, forge::place::ISSUER, root.subject().der().to_vec());
        if let Some(key) = &key {
            forge::set(all, forge::place::KEY, forge::key(key));
        }
        let extensions = all.get_mut(forge::place::EXTENSIONS).expect("extensions");
        *extensions = forge::edit(extensions, &[0], &|list| {
            // Without the name of the other authority's key.
            forge::with_members(list, |all| {
                all.retain(|one| !one.windows(3).any(|octets| octets == [0x55, 0x1d, 0x23]))
            })
        });
    });
    let write = |kind: &str, octets: &[u8]| {
        fs::write(folder().join(format!("{name}.{kind}")), octets).expect("the key can be written");
    };
    write("pem", &forge::pem("CERTIFICATE", &forge::signed(&body)));
    let own = key.map(|key| key.private_key_to_pem_pkcs8().expect("a key"));
    write("key", &own.unwrap_or_else(|| issued.key_pem().expect("a key").to_vec()));
}

fn make_first_keys() {
    if folder().exists() {
        return;
    }
    let write = |name: &str, octets: &[u8]| fs::write(folder().join(name), octets).expect("the key can be written");
    fs::create_dir_all(folder()).expect("the folder can be made");
    let root = authority();
    write("root.pem", root.certificate_pem().as_bytes());
    write("root.key", &root.key_pem().expect("a key"));
    let roles = [
        ("signer", "SCEAU", OrganisationUse::Sign, KeyAlgorithm::P256),
        ("publisher", "Liste TEST", OrganisationUse::Sign, KeyAlgorithm::Rsa2048),
        ("reader-rsa", "SCEAU", OrganisationUse::Confidentiality, KeyAlgorithm::Rsa2048),
        ("reader-ec", "SCEAU", OrganisationUse::Confidentiality, KeyAlgorithm::P256),
    ];
    for (name, label, usage, kind) in roles {
        let issued = issue(&root, organisation(label, usage), kind);
        write(&format!("{name}.pem"), issued.certificate_pem().as_bytes());
        write(&format!("{name}.key"), &issued.key_pem().expect("a key"));
        if name == "signer" {
            for (name, answer) in answers(&root, issued.serial()) {
                write(name, &answer);
            }
        }
    }
}

/// What the authority's responder says about one certificate. Kept with the keys: only their authority can say it.
fn answers(authority: &Authority, serial: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let day = std::time::Duration::from_secs(86_400);
    let draft = |status| OcspDraft::new(serial, status, NOW.minus(day), NOW.plus(day));
    let answer = |draft: &OcspDraft, signer| authority.ocsp_answer(draft, signer).expect("an answer");
    let mut asked = draft(OcspStatement::Good);
    (asked.nonce, asked.by_key) = (Some(NONCE.to_vec()), true);
    let revoked = draft(OcspStatement::Revoked { at: NOW.minus(day), reason: Reason::KeyCompromise });
    let delegate = issue(authority, organisation("OCSP", OrganisationUse::Sign), KeyAlgorithm::P256);
    vec![
        ("ocsp-good", answer(&asked, OcspSigner::Authority)),
        ("ocsp-revoked", answer(&revoked, OcspSigner::Authority)),
        ("ocsp-unknown", answer(&draft(OcspStatement::Unknown), OcspSigner::Authority)),
        ("ocsp-delegated", answer(&draft(OcspStatement::Good), OcspSigner::Delegate(&delegate))),
        ("ocsp-later", Authority::ocsp_refusal(3)),
    ]
}
