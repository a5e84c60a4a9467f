//! The signed file of certificates that each operator publishes.
//!
//! First octet even: the rest is a whole file, as an attacker would send it. Odd: the rest is a text that
//! the operator signs, so that the fuzzer reaches what stands behind the signature.

use std::time::Duration;

use ident::{Address, Domain, StructureId};
use pki::{
    book::{BookOwner, BookUse},
    cms,
    keys::{DecryptionKey, SigningKey},
    partner_file::{Expected, Held, PartnerDraft, PartnerEntry, PartnerFile, sign},
    path::{Purpose, RevocationMode, Validator, ValidatorBuilder},
};

use crate::{
    Target,
    world::{self, NOW, READER_EC, SIGNER},
};

/// The target.
pub const TARGET: Target = Target {
    name: "partner_file",
    covers: &["pki/src/partner_file/mod.rs", "pki/src/partner_file/content.rs"],
    run,
    seeds,
};

thread_local! {
    static VALIDATOR: Validator = ValidatorBuilder::new()
        .anchor(Purpose::Organisation, world::root())
        .anchor(Purpose::Email, world::root())
        .test_category(true)
        .revocation(RevocationMode::NotJudged)
        .build()
        .expect("a validator");
}

const DAY: Duration = Duration::from_secs(86_400);
const DOMAIN: &str = "ch-exemple.test";

fn verify(file: &[u8]) -> Option<PartnerFile> {
    let named = |domain: &Domain| match domain.as_str() {
        DOMAIN => vec![world::hospital().id],
        _ => Vec::new(),
    };
    let held = |_: &StructureId| -> Option<Held> { None };
    VALIDATOR.with(|validator| {
        PartnerFile::verify(file, &Expected { validator, named: &named, operator: None, held: &held }, NOW).ok()
    })
}

fn run(data: &[u8]) -> bool {
    let Some((&kind, rest)) = data.split_first() else {
        return false;
    };
    if kind % 2 == 0 {
        let _ = verify(rest);
        return false;
    }
    let Ok(signed) = cms::sign(rest, &*SIGNER, NOW, &[]) else {
        return false;
    };
    let Some(file) = verify(&signed) else {
        return false;
    };
    for entry in file.entries() {
        let domain = match &entry.owner {
            BookOwner::Domain(domain) => domain,
            BookOwner::Address(address) => address.domain(),
        };
        assert_eq!(domain.as_str(), DOMAIN, "an operator speaks for its own domains only");
    }
    (file.serial(), file.issued(), file.expires()) != (7, NOW.minus(DAY), NOW.plus(DAY))
}

fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let address = Address::parse("anne.martin-test@ch-exemple.test").expect("an address");
    let domain = || BookOwner::Domain(Domain::parse(DOMAIN).expect("a domain"));
    let signs = SigningKey::certificate(&*SIGNER).clone();
    let reads = DecryptionKey::certificate(&*READER_EC).clone();
    let entry = |owner, usage, certificate: &pki::certificate::Certificate| PartnerEntry {
        owner,
        usage,
        certificate: certificate.clone(),
    };
    let draft = PartnerDraft {
        operator: world::hospital().id,
        serial: 7,
        issued: NOW.minus(DAY),
        expires: NOW.plus(DAY),
        entries: vec![
            entry(domain(), BookUse::Signs, &signs),
            entry(domain(), BookUse::Reads, &reads),
            entry(BookOwner::Address(address), BookUse::Reads, &reads),
        ],
    };
    let file = sign(&draft, &*SIGNER).expect("a file");
    let text = cms::verify(&file, None, &[]).expect("our own file").content.to_vec();
    vec![("file", [b"F".as_slice(), &file].concat()), ("text", [b"w".as_slice(), &text].concat())]
}
