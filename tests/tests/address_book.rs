//! A real Thunderbird has our directory as its address book, over TLS: it completes what is typed into "To:", finds
//! people in the tab for address books, and fetches the certificate of whom it shall encrypt for. Pictures of its
//! windows are kept as `address-book-*.png` beside the built program.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

use ident::{Address, Clock as _, SystemClock};
use pki::issue::{KeyAlgorithm, Profile as Issued, ServerMailUse};
use sceau::demo::cast::Place::{A, B};
use tests::capture::{Sink, SinkOptions};
use tests::certs::CredentialFiles;
use tests::gateway::binary;
use tests::interop::container;
use tests::ldap::{BASE, Served};
use tests::mint::{Mint, Minted};
use tests::openssl_cli::cms_decrypt;
use tests::thunderbird::{Profile, Thunderbird};
use tests::world::World;

const BOOK: &str = "Annuaire (test)";
const TEXT: &str = "Texte confidentiel";

fn keep(name: &str, picture: &[u8]) {
    std::fs::write(binary().with_file_name(format!("address-book-{name}.png")), picture).unwrap();
}

/// Two doctors and the certificates that mail for them is encrypted with; the book of hospital A knows the second's.
struct Doctors {
    anne: String,
    claire: String,
    annes: Minted,
    claires: Minted,
}

impl Doctors {
    fn of(world: &World) -> Self {
        let mint = Mint::trusted_in(world, SystemClock.now());
        let [anne, claire] = ["martin", "moreau"].map(|who| world.address(who));
        let reads = |name: &str, place, address: &str| {
            mint.mail_with(name, place, ServerMailUse::Confidentiality, |request| {
                request.key = KeyAlgorithm::Rsa2048;
                if let Issued::ServerMail { emails, .. } = &mut request.profile {
                    emails.push(Address::parse(address).unwrap());
                }
            })
        };
        let (annes, claires) = (reads("anne-reads", A, &anne), reads("claire-reads", B, &claire));
        let entry = "certificate = \"../mint/claire-reads.pem\"";
        world.append(A, "sceau.toml", &format!("[[book]]\naddress = \"{claire}\"\nuse = \"reads\"\n{entry}\n"));
        Self { anne, claire, annes, claires }
    }
}

#[test]
fn thunderbird_writes_to_whom_our_directory_finds() {
    let world = World::new();
    let doctors = Doctors::of(&world);
    let Doctors { anne, claire, .. } = &doctors;
    let place = Served::in_world(world, "");
    let (world, log) = (&place.world, &place.gateway);
    let paul = world.address("durand");
    let sink = Sink::start(SinkOptions::smtp());
    let file = |name: &str| world.folder().join("mint").join(name);
    let profile = Profile::new()
        .authority_of_servers(&world.space.anchor("servers"))
        .authority(&file("root.pem"), true)
        .authority(&file("issuing.pem"), false)
        .minted_key(&doctors.annes)
        .account(anne, place.open)
        .sends_through(sink.address())
        .address_book(BOOK, &A.host(), place.open, BASE);
    let mut thunderbird = Thunderbird::start(profile);

    // Whoever is hidden is offered to nobody.
    let typed = thunderbird.write_to("durand-t", &paul);
    assert!(typed.to.is_empty() && typed.offered.concat().iter().all(|one| !one.contains(&paul)), "{typed:?}");
    // Each key is a search of its own over a connection of its own: in the end she is there, and is taken.
    let typed = thunderbird.write_to("moreau-t", claire);
    keep("completed", &thunderbird.picture("msgcompose"));
    assert_eq!(typed.to, [format!("Claire MOREAU-TEST <{claire}>")], "{typed:?}");
    for typed in ["m", "mo", "mor", "more", "morea", "moreau", "moreau-", "moreau-t"] {
        let filter = format!("(|(cn=*{typed}*)(mail=*{typed}*)(givenName=*{typed}*)(sn=*{typed}*))");
        log.wait_for_line(&["LDAP search", &filter]);
    }

    // It has no certificate of hers, fetches it from the directory, and encrypts for her.
    let (before, missing) = thunderbird.send_encrypted(anne, "Sujet", TEXT);
    assert_eq!((before, missing), (vec![], vec![]), "certificates of whom");
    let sent = sink.wait_for(1).remove(0);
    assert_eq!(sent.recipients, [format!("<{claire}>")]);
    let keys = CredentialFiles { certificate: doctors.claires.certificate.clone(), key: doctors.claires.key.clone() };
    let inside = cms_decrypt("DER", &container(&sent.message).unwrap(), &keys).success();
    assert!(String::from_utf8(inside).unwrap().contains(TEXT));

    // In the tab for address books, words in any order find her, and nobody hidden.
    let found = thunderbird.find(BOOK, "moreau claire");
    keep("found", &thunderbird.picture("mail:3pane"));
    let addresses: Vec<&str> = found.iter().flat_map(|card| &card.addresses).map(String::as_str).collect();
    assert_eq!((found[0].name.as_str(), &addresses[..]), ("Claire MOREAU-TEST", &[claire.as_str()][..]), "{found:?}");
    let found = thunderbird.find(BOOK, "durand-test");
    assert!(found.iter().all(|card| !card.addresses.contains(&paul)), "{found:?}");
}
