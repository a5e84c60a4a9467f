//! The signed file of certificates that each operator publishes.
//!
//! An input that begins as DER does is the file as it comes from the net. Any other is the text in it,
//! which the operator signs when it can be read, so that the fuzzer reaches what stands behind the signature.

use std::time::Duration;

use ident::{Domain, Fingerprint, StructureId};
use pki::{
    book::BookOwner,
    cms,
    partner_file::{Expected, Held, PartnerDraft, PartnerFile, sign},
    path::{Purpose, RevocationMode, Validator, ValidatorBuilder},
};

use crate::{
    Target, samples,
    world::{self, NOW, SIGNER},
};

/// The target.
pub const TARGET: Target = Target {
    name: "partner_file",
    covers: &["pki/src/partner_file/mod.rs", "pki/src/partner_file/content.rs"],
    run,
    seeds: samples::partner_file::all,
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
    let hospital = world::hospital().id;
    let named = |domain: &Domain| match domain.as_str() {
        DOMAIN => vec![world::hospital().id],
        _ => Vec::new(),
    };
    let before = Held { serial: 5, issued: NOW.minus(DAY.saturating_mul(2)), digest: Fingerprint::new([0; 32]) };
    let held = |_: &StructureId| Some(before.clone());
    VALIDATOR.with(|validator| {
        let expected = Expected { validator, named: &named, operator: Some(&hospital), held: &held };
        PartnerFile::verify(file, &expected, NOW).ok()
    })
}

fn run(data: &[u8]) -> bool {
    if data.first() == Some(&0x30) {
        let _ = verify(data).is_some_and(|file| believed(&file));
        return false;
    }
    // Most texts end here. Signing and judging is fifty times as much work, so it is for those that can be read.
    let Ok(draft) = PartnerDraft::read(data) else {
        return false;
    };
    if let Ok(again) = sign(&draft, &*SIGNER) {
        let again = cms::verify(&again, None, &[]).expect("our own signature");
        assert_eq!(PartnerDraft::read(&again.content).as_ref(), Ok(&draft), "what we write is what we read");
    }
    let signed = cms::sign(data, &*SIGNER, NOW, &[]).expect("a container");
    // Read to the end and believed, with a number or a date that no seed has.
    let usual = (7, NOW.minus(DAY), NOW.plus(DAY));
    verify(&signed).is_some_and(|file| believed(&file) && (file.serial(), file.issued(), file.expires()) != usual)
}

/// Everything that the rest of the program asks a file.
fn believed(file: &PartnerFile) -> bool {
    let entries = file.entries().iter().chain(file.left_out().iter().map(|left| &left.entry));
    for entry in entries {
        let domain = match &entry.owner {
            BookOwner::Domain(domain) => domain,
            BookOwner::Address(address) => address.domain(),
        };
        assert_eq!(domain.as_str(), DOMAIN, "an operator speaks for its own domains only");
    }
    assert_eq!(*file.operator(), world::hospital().id, "only the hospital's word counts");
    assert!(file.serial() > 5 && file.expires() > NOW && file.issued() < file.expires(), "a file in force");
    let _ = (file.digest(), file.signer());
    true
}
