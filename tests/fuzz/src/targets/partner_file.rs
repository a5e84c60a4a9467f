//! The signed file of certificates that each operator publishes.
//!
//! The input is the text, which the operator signs: its container is the `cms` target's.

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
    let Ok(signed) = cms::sign(data, &*SIGNER, NOW, &[]) else {
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
    // Read to the end and believed, in another spelling than any seed's.
    data.iter().any(u8::is_ascii_whitespace)
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
    let nothing = PartnerDraft { entries: Vec::new(), ..draft.clone() };
    let file = |draft: &PartnerDraft| sign(draft, &*SIGNER).expect("a file");
    let text = |draft: &PartnerDraft| cms::verify(&file(draft), None, &[]).expect("our own file").content.to_vec();
    vec![("text", text(&draft)), ("nothing", text(&nothing))]
}
