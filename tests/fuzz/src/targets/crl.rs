//! Revocation lists, which come over clear HTTP (RFC 5280 §5).

use std::time::Duration;

use pki::{
    crl::RevocationList,
    keys::SigningKey,
    path::{Purpose, RevocationMode, Validator, ValidatorBuilder},
    status::{Offer, RevocationStore},
};

use crate::{
    Target, samples,
    world::{self, NOW, SIGNER},
};

/// The target.
pub const TARGET: Target = Target { name: "crl", covers: &["pki/src/crl.rs", "pki/src/algorithm.rs"], run, seeds };

fn run(data: &[u8]) -> bool {
    let Ok(lists) = RevocationList::list_from(data) else {
        return false;
    };
    let mut deep = false;
    for list in lists {
        let _ = (list.issuer().to_string(), list.this_update(), list.next_update(), list.digest(), list.is_delta());
        assert!(list.may_follow(&list), "a list may be offered again");
        assert!(!list.is_empty() || list.find(list.issuer(), &[1, 1, 2, 3]).is_none(), "an empty list lists nobody");
        let elsewhere = list.find(world::root().subject(), &[1, 1, 2, 3]);
        assert!(elsewhere.is_none_or(|listed| listed.reason <= 10), "there are eleven reasons");
        // A number that no seed has, in a list that is in order.
        deep |= !matches!(list.number(), [0 | 7 | 0xff]);
        judge(list);
    }
    deep
}

/// A list that the authority signed decides about its certificates; another one decides nothing.
fn judge(list: RevocationList) {
    let leaf = SigningKey::certificate(&*SIGNER);
    let store = RevocationStore::new();
    let taken = VALIDATOR.with(|validator| store.offer_list(list, validator, NOW)) == Offer::Taken;
    if taken {
        let lists = store.lists();
        let validator = lists.into_iter().fold(builder(), ValidatorBuilder::revocation_list).build();
        let _ = validator.expect("a validator").verify(leaf, &[], Purpose::Organisation, NOW);
    }
}

fn builder() -> ValidatorBuilder {
    let grace = Duration::from_secs(7 * 86_400);
    ValidatorBuilder::new()
        .anchor(Purpose::Organisation, world::root())
        .test_category(true)
        .revocation(RevocationMode::Required { grace })
}

thread_local! {
    static VALIDATOR: Validator = builder().build().expect("a validator");
}

fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let authority = world::authority();
    let list = authority.crl(&world::revoked()).expect("a list");
    let mut empty = world::revoked();
    empty.revoked.clear();
    let empty = authority.crl(&empty).expect("a list");
    let issued = vec![
        ("three", list.der().to_vec()),
        ("empty", empty.der().to_vec()),
        ("pem", [list.pem(), empty.pem()].concat().into_bytes()),
    ];
    [issued, samples::crl::all()].concat()
}
