//! What is fetched in the background takes effect in running gateways, by a clock that the test moves.
//! The gateways run inside the test: the program itself knows no clock but the machine's.

// Asserting is what tests do, in their helpers too.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

use std::{
    net::TcpListener,
    path::PathBuf,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use ident::{Clock, ManualClock, SystemClock, Timestamp};
use pki::{
    certificate::Certificate,
    issue::{
        AuthorityRequest, CertificateRequest, CrlRequest, Extension, Issued, KeyAlgorithm, Profile, Publication,
        Reason, Revocation, Validity,
    },
    path::Purpose,
};
use sceau::{
    config::Loaded,
    demo::{
        cast::Place::{self, A, B, C},
        space::IdentityFiles,
    },
    gateway::Gateway,
    refresh::{Folder, Refresher, report},
};
use tests::{
    gateway::sceau_json,
    inside::Inside,
    place::loopback,
    process::PATIENCE,
    publisher::{HOST, Publisher},
    responder::Responder,
    wire::{Reply, Wire},
    world::{World, assert_refused, hand_over, letter},
};

const HOUR: Duration = Duration::from_secs(3600);

/// A space whose gateways ask for the persons' list at this publisher.
fn space(start: Timestamp) -> (World, Publisher) {
    let world = World::with(KeyAlgorithm::P256, start);
    let publisher = Publisher::start();
    publish(&world, &publisher, start, 1);
    for place in [A, B] {
        world.append(place, "sceau.toml", &publisher.section(&["/persons.crl"], "10m"));
    }
    (world, publisher)
}

/// Publishes the persons' list as of a moment.
fn publish(world: &World, publisher: &Publisher, now: Timestamp, number: u64) {
    let lists = world.authorities.persons.lists(now, number).unwrap();
    publisher.publish("/persons.crl", lists.issuing.der());
}

fn certificate(world: &World, card: &str) -> Certificate {
    let pem = std::fs::read(&world.card(card).certificate).unwrap();
    Certificate::list_from_pem(&pem).unwrap().remove(0)
}

fn serial(world: &World, card: &str) -> Vec<u8> {
    certificate(world, card).serial().to_vec()
}

fn mail(wire: &mut Wire, from: &str) -> Reply {
    wire.say(&format!("MAIL FROM:<{from}>"));
    let reply = wire.reply();
    wire.exchange("RSET", 250);
    reply
}

/// Says MAIL, each time in a new session, until the answer is what is waited for.
#[track_caller]
fn wait_for(world: &World, place: Place, card: &str, code: u16, says: &str) {
    let begun = Instant::now();
    loop {
        let reply = mail(&mut new_session(world, place, card), &world.address(card));
        if reply.code == code && reply.text().contains(says) {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "still {} {}", reply.code, reply.text());
    }
}

#[track_caller]
fn new_session(world: &World, place: Place, card: &str) -> Wire {
    world.submission(place, world.card(card))
}

/// Issue 4, Must show: a practitioner revoked at 10:00 is refused by every running gateway within the
/// configured refresh, on kept sessions too; nobody had to reload anything.
#[test]
fn a_practitioner_revoked_at_ten_is_refused_everywhere_within_the_refresh() {
    let start = SystemClock.now();
    let (mut world, publisher) = space(start);
    let clock = Arc::new(ManualClock::at(start));
    let _a = Inside::serve(world.configuration(A), &clock);
    let _b = Inside::serve(world.configuration(B), &clock);
    let martin = world.address("martin");
    let mut kept = new_session(&world, A, "martin");
    assert_eq!(mail(&mut kept, &martin).code, 250);
    let mut elsewhere = new_session(&world, B, "martin");
    // Hospital B does not know this practitioner's address as one of its own, but the card is good.
    let before = mail(&mut elsewhere, &martin);
    assert!(before.code == 550 && !before.text().contains("certificate-revoked"), "{}", before.text());

    let ten = start.plus(2 * HOUR);
    clock.set(ten);
    let number = serial(&world, "martin");
    world.authorities.persons.revoke(number, ten);
    publish(&world, &publisher, ten, 2);
    clock.advance(Duration::from_secs(600));
    wait_for(&world, A, "martin", 550, "[certificate-revoked]");
    // A kept session does not outlive it.
    assert_refused(&mail(&mut kept, &martin), 550, "certificate-revoked");
    wait_for(&world, B, "martin", 550, "[certificate-revoked]");
    // Colleagues write on.
    assert_eq!(mail(&mut new_session(&world, B, "moreau"), &world.address("moreau")).code, 250);
}

/// What cannot be told waits, what is revoked is refused whatever the age of the list; what was fetched
/// outlives a restart; a publisher that comes back ends the wait.
#[test]
fn stale_lists_defer_and_still_revoke_and_copies_outlive_a_restart() {
    let start = SystemClock.now();
    let (mut world, publisher) = space(start);
    let clock = Arc::new(ManualClock::at(start));
    // Newer than the configured file, which is good for a week, and good for two hours only.
    let leroy = Revocation { serial: serial(&world, "leroy"), reason: Reason::KeyCompromise, at: start };
    let short = |revoked| CrlRequest { revoked, this_update: start, next_update: start.plus(2 * HOUR), number: 2 };
    publisher.publish("/persons.crl", world.authorities.persons.issuing.crl(&short(vec![leroy])).unwrap().der());
    let a = Inside::serve(world.configuration(A), &clock);
    wait_for(&world, A, "martin", 250, "");
    publisher.wait_until_asked(1);
    publisher.set_down(true);
    clock.set(start.plus(27 * HOUR));
    wait_for(&world, A, "martin", 451, "[certificate-undetermined]");
    drop(a);

    let a = Inside::serve(world.configuration(A), &clock);
    let told = mail(&mut new_session(&world, A, "martin"), &world.address("martin"));
    assert_refused(&told, 451, "certificate-undetermined");
    wait_for(&world, A, "leroy", 550, "[certificate-revoked]");
    let asked = publisher.asked();
    clock.advance(HOUR);
    publisher.wait_until_asked(asked + 1);
    let configuration = world.configuration(A);
    let begun = Instant::now();
    loop {
        let (_, doctor) = sceau_json(&["doctor", "--config", configuration.to_str().unwrap()]);
        let said = doctor.to_string();
        if said.contains("/persons.crl: last success") && said.contains("status 503") {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "{said}");
    }

    publish(&world, &publisher, clock.now(), 3);
    publisher.set_down(false);
    clock.advance(HOUR);
    wait_for(&world, A, "martin", 250, "");
    let number = serial(&world, "martin");
    world.authorities.persons.revoke(number, clock.now());
    publish(&world, &publisher, clock.now(), 4);
    clock.advance(HOUR);
    wait_for(&world, A, "martin", 550, "[certificate-revoked]");
    // In force first, then remembered: a stop in between would have it fetched again.
    let folder = Folder::below(&Loaded::read(&configuration).unwrap().data());
    let begun = Instant::now();
    while !folder.read().unwrap().sources.values().any(|entry| entry.last_try == Some(clock.now())) {
        assert!(begun.elapsed() < PATIENCE, "it is never remembered");
        thread::yield_now();
    }
    drop(a);

    // The next start does not forget what the last one learned.
    publisher.set_down(true);
    let _a = Inside::serve(configuration, &clock);
    let told = mail(&mut new_session(&world, A, "martin"), &world.address("martin"));
    assert_refused(&told, 550, "certificate-revoked");
}

/// A kill at any moment after a list took effect does not bring back what it took away: the list is on the
/// disk first. Here the round in which it came never ends, because another publisher never answers.
#[test]
fn what_took_effect_is_not_forgotten_by_a_kill_before_the_round_ends() {
    let start = SystemClock.now();
    let mut world = World::with(KeyAlgorithm::P256, start);
    let publisher = Publisher::start();
    let number = serial(&world, "martin");
    let silent = TcpListener::bind((loopback(), 0)).unwrap();
    let never = format!("crls = [\"http://{HOST}:{}/never.crl\", ", silent.local_addr().unwrap().port());
    publish(&world, &publisher, start, 1);
    world.authorities.persons.revoke(number, start);
    publish(&world, &publisher, start, 2);
    world.append(A, "sceau.toml", &publisher.section(&["/persons.crl"], "10m").replace("crls = [", &never));

    let mut a = world.serve(A);
    wait_for(&world, A, "martin", 550, "[certificate-revoked]");
    a.kill();
    publisher.set_down(true);
    let _a = world.serve(A);
    let told = mail(&mut new_session(&world, A, "martin"), &world.address("martin"));
    assert_refused(&told, 550, "certificate-revoked");
}

/// A server of hospital B whose certificate must be stapled and whose status only OCSP tells.
struct Stapled {
    world: World,
    responder: Responder,
    issued: Issued,
    identity: IdentityFiles,
}

fn stapled_space(start: Timestamp) -> Stapled {
    let world = World::with(KeyAlgorithm::P256, start);
    let (listener, url) = Responder::bind();
    let publication = Publication { ocsp: Some(url), ..Publication::default() };
    let validity = Validity::days(start.minus(Duration::from_secs(86_400)), 300);
    let request = AuthorityRequest::new("AGRAFES SERVEURS", KeyAlgorithm::P256, validity);
    let servers = world.authorities.servers.root.intermediate(&AuthorityRequest { publication, ..request }).unwrap();
    let responder = Responder::start(listener, &servers, start);
    let profile = Profile::ServerTls { host: B.host(), alternatives: vec![], structure: B.structure().unwrap() };
    let mut request = CertificateRequest::new(profile, KeyAlgorithm::P256, validity);
    let value = vec![0x30, 0x03, 0x02, 0x01, 0x05];
    request.extra.push(Extension { oid: "1.3.6.1.5.5.7.1.24".to_owned(), critical: false, value });
    let issued = servers.issue(&request).unwrap();
    responder.say(&issued, false);
    let folder = world.folder().to_owned();
    let authority = servers.certificate_pem();
    std::fs::write(folder.join("agrafes.pem"), &authority).unwrap();
    let (certificate, key) = (folder.join("ch-b/tls.pem"), folder.join("ch-b/tls.key"));
    std::fs::write(&certificate, format!("{}{authority}", issued.certificate_pem())).unwrap();
    std::fs::write(&key, &*issued.key_pem().unwrap()).unwrap();
    for place in [A, B] {
        world.edit(place, "sceau.toml", "intermediates = [", "intermediates = [\"../agrafes.pem\", ");
    }
    let section = format!(
        "[refresh]\nhosts = [{:?}]\nocsp = true\nevery = \"10m\"\nretry = \"60s\"\naddresses = {{ {HOST:?} = \"{}\" }}\n",
        responder.site(),
        loopback()
    );
    world.append(B, "sceau.toml", &section);
    let fingerprint = issued.certificate().unwrap().fingerprint();
    Stapled { world, responder, issued, identity: IdentityFiles { certificate, key, fingerprint } }
}

impl Stapled {
    /// What A would do with B's server: exit code, reason.
    fn probe(&self) -> (Option<i32>, String) {
        let configuration = self.world.configuration(A);
        let (code, told) = sceau_json(&["probe", "ch-b.mssante.test", "--config", configuration.to_str().unwrap()]);
        assert_eq!(told["servers"][0]["tls"]["must_staple"], true, "{told}");
        (code, told["servers"][0]["why"].as_str().unwrap_or_default().to_owned())
    }

    /// B says MAIL at A's door for operators.
    fn mail_of_b(&self) -> Reply {
        mail(&mut self.world.exchange(A, &self.identity), &self.world.address("moreau"))
    }

    fn submit(&self, subject: &str) -> String {
        let (from, to) = (self.world.address("martin"), self.world.address("moreau"));
        let mut wire = new_session(&self.world, A, "martin");
        assert_eq!(hand_over(&mut wire, &from, &to, &letter(&from, &to, subject)).code, 250);
        format!("{}@wire.test", subject.replace(' ', "."))
    }

    /// Waits until the story of a message says this.
    #[track_caller]
    fn wait_for_why(&self, message: &str, part: &str) {
        let configuration = self.world.configuration(A);
        let begun = Instant::now();
        loop {
            let (_, told) = sceau_json(&["why", message, "--config", configuration.to_str().unwrap()]);
            if told.to_string().contains(part) {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{part} is never told: {told}");
        }
    }
}

/// Two gateways and OpenSSL's responder. The answer about B's certificate is fetched in the background and
/// stapled; A demands it, honours it, and keeps it: undetermined is 451, revoked is 550, a missing staple
/// keeps mail here. B's answer outlives a restart.
#[test]
fn a_stapled_answer_is_demanded_honoured_and_kept_between_two_gateways() {
    let start = SystemClock.now();
    let it = stapled_space(start);
    let clock = Arc::new(ManualClock::at(start));
    let store = it.world.inner_store(B);
    it.responder.set_down(true);
    let _a = Inside::serve(it.world.configuration(A), &clock);
    let b = Inside::serve(it.world.configuration(B), &clock);
    // Minute by minute, until the background has done its work.
    let minutes_until = |what: &str, done: &dyn Fn() -> bool| {
        let begun = Instant::now();
        while !done() {
            assert!(begun.elapsed() < PATIENCE, "{what}: {:?}", it.probe());
            clock.advance(Duration::from_secs(60));
        }
    };

    let (code, why) = it.probe();
    assert!(code == Some(1) && why.contains("demands a stapled OCSP answer"), "{code:?} {why}");
    let message = it.submit("Sans agrafe");
    it.wait_for_why(&message, "demands a stapled OCSP answer");
    assert_refused(&it.mail_of_b(), 451, "certificate-undetermined");

    it.responder.set_down(false);
    minutes_until("the answer is not stapled", &|| it.probe().0 == Some(0));
    // Those before may have waited too long by this clock.
    it.submit("Avec agrafe");
    assert!(!store.wait_for(1).is_empty());
    assert_eq!(it.mail_of_b().code, 250, "what was stapled counts for the other direction too");

    it.responder.set_down(true);
    drop(b);
    let _b = Inside::serve(it.world.configuration(B), &clock);
    assert_eq!(it.probe().0, Some(0), "the answer is forgotten");

    it.responder.say(&it.issued, true);
    it.responder.set_down(false);
    minutes_until("the revocation is not seen", &|| it.probe().1.contains("revoked"));
    let message = it.submit("Revoque");
    it.wait_for_why(&message, "revoked by its authority");
    assert_refused(&it.mail_of_b(), 550, "certificate-revoked");
}

/// A gateway that serves nobody, and its refresher: rounds are run by hand.
struct ByHand {
    gateway: Arc<Gateway>,
    records: tokio::sync::mpsc::Receiver<trail::Record>,
    refresher: Refresher,
    clock: Arc<ManualClock>,
    configuration: PathBuf,
}

impl ByHand {
    fn new(world: &World, clock: &Arc<ManualClock>) -> Self {
        let configuration = world.configuration(A);
        let (gateway, records) = Gateway::open(configuration.clone(), clock.clone()).unwrap();
        let refresher = Refresher::open(&gateway).unwrap();
        Self { gateway, records, refresher, clock: clock.clone(), configuration }
    }

    /// An hour later: what the last error of the first source is, if there is one.
    async fn hour(&self) -> Option<String> {
        self.clock.advance(HOUR);
        self.refresher.round(&self.gateway).await;
        let loaded = Loaded::read(&self.configuration).unwrap();
        let report = report(&loaded, &self.gateway.snapshot(), self.clock.now()).unwrap();
        report[0].entry.error.clone()
    }

    fn believes(&self, certificate: &Certificate) -> bool {
        self.gateway.snapshot().validator.verify(certificate, &[], Purpose::Person, self.clock.now()).is_valid()
    }

    fn alarms(&mut self) -> Vec<String> {
        let mut found = Vec::new();
        while let Ok(record) = self.records.try_recv() {
            match record.event {
                trail::Event::AlarmRaised { code, .. } => found.push(format!("raised {code}")),
                trail::Event::AlarmCleared { code } => found.push(format!("cleared {code}")),
                trail::Event::RevocationGrace { .. } => found.push("grace".to_owned()),
                _ => {}
            }
        }
        found
    }
}

/// Whatever a publisher says that is not a newer list of the right signer changes nothing, and is told with
/// the address and the reason.
#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_that_lies_changes_nothing() {
    let start = SystemClock.now();
    let (world, publisher) = space(start);
    let clock = Arc::new(ManualClock::at(start));
    let gateway = ByHand::new(&world, &clock);
    let martin = certificate(&world, "martin");
    publish(&world, &publisher, start, 5);
    assert_eq!(gateway.hour().await, None);
    assert!(gateway.believes(&martin));

    let everybody = |number, this_update: Timestamp| CrlRequest {
        revoked: vec![Revocation { serial: serial(&world, "martin"), reason: Reason::KeyCompromise, at: start }],
        this_update,
        next_update: this_update.plus(24 * HOUR),
        number,
    };
    let (own, other) = (&world.authorities.persons.issuing, &world.authorities.other.issuing);
    let good = own.crl(&everybody(9, start)).unwrap();
    let lies: [(Vec<u8>, &str); 7] = [
        (b"<html><p>Page introuvable</p></html>".to_vec(), "no usable revocation list"),
        (Vec::new(), "no usable revocation list"),
        (good.der()[..good.der().len() - 9].to_vec(), "no usable revocation list"),
        (other.crl(&everybody(9, start)).unwrap().der().to_vec(), "nobody whom we trust signed it"),
        (own.crl(&everybody(4, start)).unwrap().der().to_vec(), "older than what we hold"),
        (own.crl(&everybody(9, start.minus(5 * HOUR))).unwrap().der().to_vec(), "older than what we hold"),
        (own.crl(&everybody(9, start.plus(500 * HOUR))).unwrap().der().to_vec(), "dated in the future"),
    ];
    for (lie, reason) in lies {
        publisher.publish("/persons.crl", lie);
        let error = gateway.hour().await.unwrap_or_else(|| panic!("taken, expected: {reason}"));
        assert!(error.starts_with(&publisher.url("/persons.crl")) && error.contains(reason), "{error}");
        assert!(gateway.believes(&martin), "{reason}");
    }
    publisher.publish("/persons.crl", good.der());
    assert_eq!(gateway.hour().await, None);
    assert!(!gateway.believes(&martin));
}

/// A source that fails for long is an alarm, a list in its grace another, one past it a third; each ends.
/// While nothing has changed the publisher says so, and is not asked for the list again.
#[tokio::test(flavor = "multi_thread")]
async fn failing_sources_and_ending_lists_raise_alarms() {
    let start = SystemClock.now();
    let (world, publisher) = space(start);
    let clock = Arc::new(ManualClock::at(start));
    let mut gateway = ByHand::new(&world, &clock);
    let own = &world.authorities.persons.issuing;
    let short = CrlRequest { revoked: vec![], this_update: start, next_update: start.plus(12 * HOUR), number: 2 };
    publisher.publish("/persons.crl", own.crl(&short).unwrap().der());
    assert_eq!(gateway.hour().await, None);
    assert_eq!(gateway.hour().await, None);
    assert_eq!(publisher.unchanged(), 1);
    assert_eq!(gateway.alarms(), Vec::<String>::new());

    publisher.set_down(true);
    let mut said = Vec::new();
    for _ in 0..40 {
        assert!(gateway.hour().await.is_some_and(|error| error.contains("status 503")));
        said.append(&mut gateway.alarms());
    }
    let expected = [
        "raised refresh-failing",
        "raised revocation-grace",
        "grace",
        "cleared revocation-grace",
        "raised revocation-stale",
    ];
    assert_eq!(said, expected);
    publish(&world, &publisher, clock.now().plus(HOUR), 3);
    publisher.set_down(false);
    assert_eq!(gateway.hour().await, None);
    said = gateway.alarms();
    said.sort();
    assert_eq!(said, ["cleared refresh-failing", "cleared revocation-stale"]);
}

/// The trust list comes over HTTPS from a server that our own anchors vouch for, and that is who it says.
#[tokio::test(flavor = "multi_thread")]
async fn the_trust_list_is_fetched_from_a_server_that_our_anchors_vouch_for() {
    let start = SystemClock.now();
    let world = World::with(KeyAlgorithm::P256, start);
    let publisher = Publisher::start_tls(&world.space.operator.certificate, &world.space.operator.key);
    let (address, port) = (publisher.address().ip(), publisher.address().port());
    let list = std::fs::read(world.space.trust_list()).unwrap();
    publisher.publish("/liste.xml", list);
    let host = C.host();
    world.append(
        A,
        "sceau.toml",
        &format!("[refresh]\nlist = \"https://{host}:{port}/liste.xml\"\naddresses = {{ {host:?} = \"{address}\" }}\n"),
    );
    let clock = Arc::new(ManualClock::at(start));
    assert_eq!(ByHand::new(&world, &clock).hour().await, None);
    assert_eq!(publisher.asked(), 1);

    // The same server under another name.
    world.edit(A, "sceau.toml", &format!("https://{host}:"), "https://autre.exemple.test:");
    world.edit(A, "sceau.toml", &format!("{host:?} = "), "\"autre.exemple.test\" = ");
    let error = ByHand::new(&world, &clock).hour().await.unwrap();
    assert!(error.contains("not for autre.exemple.test"), "{error}");
    assert_eq!(publisher.asked(), 1, "it was asked before it was judged");
}
