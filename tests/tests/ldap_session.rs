//! What a connection to the directory may do, for as long as it may: nobody's rights outlive what they rest on.

// Asserting is what tests do, in their helpers too.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used
)]

use ident::{Clock as _, SystemClock};
use pki::certificate::Certificate;
use sceau::demo::cast::Place::A;
use tests::ldap::{Client, PASSWORD, Served, anonymous, code, external, filter, search, simple};

const SUCCESS: u8 = 0;
const UNAVAILABLE: u8 = 52;
const READ_AGAIN: &[&str] = &["configuration, trust list, revocation lists and directory read again"];

/// A connection that has said who it is.
fn bound(mut client: Client, bind: &[u8]) -> Client {
    assert!(client.send(bind));
    assert_eq!(code(&client.message()), SUCCESS);
    client
}

#[test]
fn a_bound_connection_ends_when_what_it_rests_on_does() {
    let mut place = Served::with("");
    let asked = search(&filter("(uid=899700000017)"), 0);
    let mut all = [
        ("nobody", bound(Client::connect(place.open), &anonymous())),
        ("an account", bound(Client::connect(place.open), &simple("annuaire-app", PASSWORD))),
        ("a card", bound(Client::showing(place.world.card("martin"), place.cards), &external())),
    ];
    let mut answered = |when: &str| {
        for (who, client) in &mut all {
            assert!(client.send(&asked));
            let (entries, code) = client.entries();
            assert_eq!((entries.len(), code), (1, SUCCESS), "{who} {when}");
        }
    };
    answered("at first");
    place.gateway.hang_up();
    place.gateway.wait_for_lines(READ_AGAIN, 1);
    answered("when nothing has changed");

    // Nobody may ask any more without a name; the account is another's; the card is revoked.
    place.world.edit(A, "sceau.toml", "anonymous = true", "anonymous = false");
    place.world.edit(A, "sceau.toml", "name = \"annuaire-app\"", "name = \"another-app\"");
    let (persons, now) = (&mut place.world.authorities.persons, SystemClock.now());
    let card = std::fs::read(&place.world.space.holder("martin").unwrap().card.certificate).unwrap();
    persons.revoke(Certificate::from_pem(&card).unwrap().serial().to_vec(), now);
    let list = persons.lists(now, 2).unwrap().issuing.pem();
    std::fs::write(place.world.folder().join("crl/persons.crl"), list).unwrap();
    place.gateway.hang_up();
    place.gateway.wait_for_lines(READ_AGAIN, 2);
    for (who, mut client) in all {
        assert!(client.send(&asked));
        let said = client.message();
        // Message 0: a notice of disconnection, and no answer.
        assert_eq!((&said[..4], code(&said)), (&[2, 1, 0, 0x78][..], UNAVAILABLE), "{who}");
        assert!(client.rest().is_empty(), "{who}");
    }
}
