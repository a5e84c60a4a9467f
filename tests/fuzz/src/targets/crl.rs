//! Revocation lists, which come over clear HTTP (RFC 5280 §5).

use pki::crl::RevocationList;

use crate::{Target, world};

/// The target.
pub const TARGET: Target = Target { name: "crl", covers: &["pki/src/crl.rs"], run, seeds };

fn run(data: &[u8]) -> bool {
    let Ok(lists) = RevocationList::list_from(data) else {
        return false;
    };
    let mut deep = false;
    for list in &lists {
        let _ = (list.issuer().to_string(), list.this_update(), list.next_update(), list.digest(), list.is_delta());
        assert!(list.may_follow(list), "a list may be offered again");
        deep |= list.number() != [7];
    }
    deep
}

fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let authority = world::authority();
    let list = authority.crl(&world::revoked()).expect("a list");
    let mut empty = world::revoked();
    empty.revoked.clear();
    let empty = authority.crl(&empty).expect("a list");
    vec![
        ("three", list.der().to_vec()),
        ("empty", empty.der().to_vec()),
        ("pem", [list.pem(), empty.pem()].concat().into_bytes()),
    ]
}
