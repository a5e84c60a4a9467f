//! The signed list of trusted domains, XAdES in XML (mssante §5).
//!
//! First octet even: the rest is a whole document, as an attacker would send it. Odd: the rest are the
//! words of a list that its publisher signs, so that the fuzzer reaches what stands behind the signature.

use ident::Domain;
use pki::{
    path::{Purpose, RevocationMode, Validator, ValidatorBuilder},
    trust_list::{OperatorName, TrustList, TrustListDraft, TrustListEntry, TrustListProfile, sign_trust_list},
};

use crate::{
    Target,
    world::{self, NOW},
};

/// The target.
pub const TARGET: Target = Target {
    name: "trust_list",
    covers: &[
        "pki/src/trust_list.rs",
        "pki/src/trust_list/xades.rs",
        "pki/src/trust_list/operator.rs",
        "pki/src/c14n.rs",
    ],
    run,
    seeds,
};

thread_local! {
    static VALIDATOR: Validator = ValidatorBuilder::new()
        .anchor(Purpose::Organisation, world::root())
        .test_category(true)
        .revocation(RevocationMode::NotJudged)
        .build()
        .expect("a validator");
}

fn profile() -> TrustListProfile {
    TrustListProfile {
        root: "ListeBlancheMSSante".into(),
        namespace: "https://listeblanche.mssante.fr/schema".into(),
        signer_cn: "Liste TEST".into(),
        signer_ou: "1990000001".into(),
    }
}

fn verify(document: &[u8]) -> Option<TrustList> {
    VALIDATOR.with(|validator| TrustList::verify(document, &profile(), validator, NOW)).ok()
}

fn run(data: &[u8]) -> bool {
    match data.split_first() {
        Some((kind, document)) if kind % 2 == 0 => {
            if let Some(list) = verify(document) {
                assert!(list.domains().count() > 0, "an empty list is no list");
            }
            false
        }
        Some((_, words)) => signed(words),
        None => false,
    }
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

fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let words = "ch-exemple.test|CH Exemple <Test> & fils|CN=mx.ch-exemple.test, OU=1990000001, O=CH, C=FR\n\
                 santé.test|é|CN=a.test,C=FR|CN=b.test,C=FR\n";
    let entries = words.lines().filter_map(entry).collect();
    let draft = TrustListDraft { profile: profile(), generated: NOW, entries };
    let document = sign_trust_list(&draft, &*world::PUBLISHER, NOW).expect("a list");
    vec![("document", [b"D".as_slice(), &document].concat()), ("words", [b"w", words.as_bytes()].concat())]
}
