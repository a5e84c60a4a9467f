//! Binds at a hospital whose clock is moved by hand: how many are judged, and for how long they hold.

use std::{future::Future, net::Ipv4Addr, task::Poll, time::Duration};

use tokio::sync::oneshot;
use zeroize::Zeroizing;

use super::*;
use crate::{
    demo::cast::Place,
    ldap::house::{House, NOW, PASSWORD, hash},
};

const ACCOUNT: &str = "\n[[ldap.account]]\nname = \"Annuaire-App\"\npassword = \"app.hash\"\n";

fn peer(last: u8) -> IpAddr {
    Ipv4Addr::new(192, 0, 2, last).into()
}

fn password(name: &str, password: &str) -> Bind {
    Bind::Simple { name: name.to_owned(), password: Zeroizing::new(password.as_bytes().to_vec()) }
}

impl House {
    fn judge(&self, from: u8, tls: Option<&TlsFacts>, bind: Bind) -> impl Future<Output = Result<Caller, Ending>> {
        judge(&self.gateway, &self.face, peer(from), tls, bind)
    }

    /// How a bind by password ends.
    fn tries(&self, from: u8, name: &str, word: &str) -> Code {
        let outcome = self.runtime.block_on(self.judge(from, None, password(name, word)));
        outcome.map_or_else(|ending| ending.code, |_| Code::Success)
    }

    fn holds(&self, caller: &Caller, tls: Option<&TlsFacts>) -> bool {
        self.runtime.block_on(caller.proof.still_holds(&self.gateway, tls))
    }
}

/// Whether it ends when it is asked once; else it is where it can go no further.
async fn ends<F: Future + Unpin>(work: &mut F) -> Option<F::Output> {
    // Time for what it starts elsewhere in this runtime.
    for _ in 0..10 {
        let polled = std::future::poll_fn(|context| Poll::Ready(std::pin::Pin::new(&mut *work).poll(context))).await;
        if let Poll::Ready(output) = polled {
            return Some(output);
        }
        tokio::task::yield_now().await;
    }
    None
}

fn code(outcome: Option<Result<Caller, Ending>>) -> Option<Code> {
    outcome.map(|outcome| outcome.map_or_else(|ending| ending.code, |_| Code::Success))
}

#[test]
fn an_address_tries_ten_passwords_a_minute() {
    let house = House::with(ACCOUNT);
    // Known before, and for a while.
    assert_eq!(house.tries(1, "annuaire-app", PASSWORD), Code::Success);
    let tried: Vec<Code> = (0..25).map(|_| house.tries(1, "annuaire-app", "mauvais-mot")).collect();
    assert!(tried.iter().take(19).all(|code| *code == Code::InvalidCredentials), "{tried:?}");
    assert!(tried.iter().skip(19).all(|code| *code == Code::Busy), "twice a minute's worth at once: {tried:?}");
    // Names make no difference: they are as free as passwords.
    assert_eq!(house.tries(1, "somebody-else", "mauvais-mot"), Code::Busy);
    assert_eq!(house.tries(1, "annuaire-app", PASSWORD), Code::Success, "what was right a moment ago costs nothing");
    assert_eq!(house.tries(2, "annuaire-app", "mauvais-mot"), Code::InvalidCredentials, "others are judged");
    house.clock.advance(Duration::from_secs(60));
    let later: Vec<Code> = (0..15).map(|_| house.tries(1, "annuaire-app", "mauvais-mot")).collect();
    assert_eq!(later.iter().filter(|code| **code == Code::InvalidCredentials).count(), 10, "{later:?}");
}

#[test]
fn one_password_is_hashed_at_a_time_and_few_wait() {
    let house = House::with(ACCOUNT);
    house.runtime.block_on(async {
        // Somebody's password is being hashed.
        let one = house.face.hashes.acquire().await.unwrap();
        assert_eq!(house.face.hashes.available_permits(), 0, "and nobody else's");
        let bind = || password("annuaire-app", PASSWORD);
        let mut waiting = Vec::new();
        for from in 0..8 {
            for _ in 0..4 {
                let mut bind = Box::pin(house.judge(from, None, bind()));
                assert_eq!(code(ends(&mut bind).await), None, "it waits");
                waiting.push(bind);
            }
            let mut fifth = Box::pin(house.judge(from, None, bind()));
            assert_eq!(code(ends(&mut fifth).await), Some(Code::Busy), "four of one address");
        }
        let mut other = Box::pin(house.judge(100, None, bind()));
        assert_eq!(code(ends(&mut other).await), Some(Code::Busy), "32 in all");
        drop(one);
        for bind in waiting {
            assert!(bind.await.is_ok());
        }
        let mut other = Box::pin(house.judge(100, None, password("annuaire-app", "mauvais-mot")));
        assert_eq!((&mut other).await.err().map(|ending| ending.code), Some(Code::InvalidCredentials));
    });
}

/// A hash goes on when its connection is gone, and counts until it is done: else who hangs up at once hashes as many
/// at a time as there are threads.
#[test]
fn who_hangs_up_leaves_the_place_taken_until_the_hash_is_done() {
    let house = House::with(ACCOUNT);
    house.runtime.block_on(async {
        let (go_on, told) = oneshot::channel::<()>();
        let busy = tokio::task::spawn_blocking(move || told.blocking_recv());
        let mut bind = Box::pin(house.judge(1, None, password("annuaire-app", "mauvais-mot")));
        assert_eq!(code(ends(&mut bind).await), None, "it waits for a thread");
        drop(bind);
        assert_eq!(house.face.hashes.available_permits(), 0);
        let room = Room { all: 1, each: 1 };
        assert!(house.face.hashing.enter(peer(2), room).is_none());
        go_on.send(()).unwrap();
        busy.await.unwrap().unwrap();
        drop(house.face.hashes.acquire().await.unwrap());
        assert!(house.face.hashing.enter(peer(2), room).is_some());
    });
}

#[test]
fn without_accounts_no_password_is_hashed() {
    let house = House::with("");
    house.runtime.block_on(async {
        let _one = house.face.hashes.acquire().await.unwrap();
        for _ in 0..100 {
            let mut bind = Box::pin(house.judge(1, None, password("annuaire-app", PASSWORD)));
            assert_eq!(code(ends(&mut bind).await), Some(Code::InvalidCredentials), "at once");
        }
    });
}

#[test]
fn an_account_is_what_it_was_until_its_password_or_its_rights_change() {
    let house = House::with(ACCOUNT);
    let bound = || house.runtime.block_on(house.judge(1, None, password("ANNUAIRE-APP", PASSWORD))).ok().unwrap();
    let caller = bound();
    assert_eq!(caller.name, "Annuaire-App", "as it is configured");
    house.reconfigure("\"Annuaire-App\"", "\"annuaire-app\"");
    assert!(!house.holds(&caller, None), "another name");
    let caller = bound();
    house.gateway.reload().unwrap();
    assert!(house.holds(&caller, None), "nothing has changed");
    house.reconfigure("\"app.hash\"\n", "\"app.hash\"\nwhole = true\n");
    assert!(!house.holds(&caller, None), "more rights than it was bound with");
    let caller = bound();
    let file = house.space.configuration(Place::A).with_file_name("app.hash");
    std::fs::write(&file, hash("un-autre-mot")).unwrap();
    house.gateway.reload().unwrap();
    assert!(!house.holds(&caller, None), "another password");
    assert_eq!(house.tries(1, "annuaire-app", PASSWORD), Code::InvalidCredentials, "nor is the old one remembered");
}

#[test]
fn a_card_holds_until_it_is_revoked() {
    let mut house = House::with(ACCOUNT);
    let card = house.card("martin");
    let bind = Bind::External { wanted: None };
    let caller = house.runtime.block_on(house.judge(1, Some(&card), bind)).ok().unwrap();
    assert_eq!(caller.name, "899700000017");
    house.gateway.reload().unwrap();
    assert!(house.holds(&caller, Some(&card)));
    assert!(!house.holds(&caller, Some(&house.card("durand"))), "another card");
    assert!(!house.holds(&caller, None), "no card");
    let serial = card.peer.first().unwrap().serial().to_vec();
    house.authorities.persons.revoke(serial, NOW);
    let list = house.authorities.persons.lists(NOW, 2).unwrap();
    std::fs::write(house.space.folder.join("crl/persons.crl"), list.issuing.pem()).unwrap();
    house.gateway.reload().unwrap();
    assert!(!house.holds(&caller, Some(&card)));
}
