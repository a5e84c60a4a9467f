//! The signed list of trusted domains, XAdES in XML (mssante §5).
//!
//! The first octet says what the rest is. `w`: the words of a list that its publisher writes and signs.
//! `l`: the text of a list that its publisher signs as it stands. Both so that the fuzzer reaches what
//! stands behind the signature. Any other: a whole document, as an attacker would send it.

use ident::Domain;
use pki::{
    keys::SigningKey,
    partner_file::operators_of,
    path::{Purpose, RevocationMode, Validator, ValidatorBuilder},
    trust_list::{
        OperatorName, TrustList, TrustListDraft, TrustListEntry, TrustListProfile, sign_trust_list, sign_written_list,
    },
};

use crate::{
    Target, samples,
    world::{self, NOW},
};

/// The target.
pub const TARGET: Target = Target {
    name: "trust_list",
    covers: &[
        "pki/src/trust_list.rs",
        "pki/src/trust_list/bounds.rs",
        "pki/src/trust_list/xades.rs",
        "pki/src/trust_list/operator.rs",
        "pki/src/c14n.rs",
    ],
    run,
    seeds: samples::trust_list::all,
};

thread_local! {
    static VALIDATOR: Validator = ValidatorBuilder::new()
        .anchor(Purpose::Organisation, world::root())
        .test_category(true)
        .revocation(RevocationMode::NotJudged)
        .build()
        .expect("a validator");
}

/// Name of the list's root element.
pub const ROOT: &str = "ListeBlancheMSSante";
/// Its namespace.
pub const NAMESPACE: &str = "https://listeblanche.mssante.fr/schema";

/// What the list must look like.
pub fn profile() -> TrustListProfile {
    TrustListProfile {
        root: ROOT.into(),
        namespace: NAMESPACE.into(),
        signer_cn: "Liste TEST".into(),
        signer_ou: "1990000001".into(),
    }
}

fn verify(document: &[u8]) -> Option<TrustList> {
    VALIDATOR.with(|validator| TrustList::verify(document, &profile(), validator, NOW)).ok()
}

fn run(data: &[u8]) -> bool {
    match data.split_first() {
        Some((b'w', words)) => signed(words),
        Some((b'l', list)) => std::str::from_utf8(list).is_ok_and(written),
        Some((_, document)) => {
            if let Some(list) = verify(document) {
                read(&list);
            }
            false
        }
        None => false,
    }
}

/// The text of a list, as its publisher wrote and signed it. Only what is well-formed is worth a signature.
fn written(list: &str) -> bool {
    let Ok(document) = sign_written_list(&profile().root, list, &*world::PUBLISHER, NOW) else {
        return false;
    };
    if let Some(list) = verify(&document) {
        read(&list);
    }
    false
}

/// Everything that the rest of the program asks a list.
fn read(list: &TrustList) {
    assert!(list.domains().count() > 0, "an empty list is no list");
    let signer = SigningKey::certificate(&*world::PUBLISHER);
    for domain in list.domains() {
        assert!(list.lists(domain) && !list.operators(domain).is_empty(), "somebody speaks for each domain");
        let _ = (list.entry(domain), list.speaks_for(signer, domain), operators_of(list, domain));
    }
    assert_eq!(list.may_follow(list), Ok(()), "a list may be offered again");
    assert!(list.generated() <= NOW.plus(std::time::Duration::from_secs(300)), "no list is from the future");
    let _ = list.problems();
}

/// Lines `domain|operator|operator|description`, signed, must be read again as they were written.
fn signed(words: &[u8]) -> bool {
    let Ok(words) = std::str::from_utf8(words) else {
        return false;
    };
    let entries: Vec<TrustListEntry> = words.lines().take(50).filter_map(entry).collect();
    let written = entries.len();
    let draft = TrustListDraft { profile: profile(), generated: NOW, entries };
    let Ok(document) = sign_trust_list(&draft, &*world::PUBLISHER, NOW) else {
        return false;
    };
    let list = verify(&document);
    list.iter().for_each(read);
    assert!(written == 0 || list.is_some(), "what we sign must be read again");
    list.is_some_and(|list| list.entries().any(|entry| entry.operators.len() == 3))
}

fn entry(line: &str) -> Option<TrustListEntry> {
    let mut cells = line.split('|');
    let domain = Domain::parse(cells.next()?).ok()?;
    let description: String = cells.next()?.chars().filter(|c| !c.is_control()).collect();
    let operators: Vec<_> = cells.filter_map(|cell| OperatorName::parse(cell).ok()).collect();
    if operators.is_empty() {
        return None;
    }
    Some(TrustListEntry {
        domain,
        description: description.clone(),
        operators,
        responsible: description,
        support: "support@ch-exemple.test".into(),
        updated: "2026-09-01T04:00:00Z".into(),
    })
}
