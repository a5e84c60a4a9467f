//! Lists that come, shrink, return and are refused, on the demonstration's first hospital with a clock that
//! is moved by hand.

use std::{fmt::Write as _, fs, path::Path, path::PathBuf, sync::Arc, time::Duration};

use ident::{Address, Clock as _, Domain, ManualClock, Timestamp};
use pki::{
    certificate::Certificate,
    keys::FileKey,
    trust_list::{OperatorName, TrustListDraft, TrustListEntry, TrustListError, sign_trust_list},
};

use store::{Changes, Direction, Envelope, Filter, Message, NewMessage, NewRecipient, Notify, Page, State, Store as _};
use tokio::runtime::Runtime;
use trail::QueueId;

use super::*;
use crate::{
    admission::{
        caller::{identify, identify_operator},
        exchange::{self, admit_sender},
        recipient::admit_recipient,
    },
    config::Loaded,
    delivery,
    demo::{
        cast::Place,
        space::{Space, SpaceSettings},
    },
    gateway::{Gateway, StartError},
    intake::in_hand::InHand,
    queued::{BodyNotes, Notes, digest, under_storage_key},
    refusal::{Refusal, RefusalId},
    snapshot::{Snapshot, list_profile},
};

const TEN_O_CLOCK: Timestamp = Timestamp::from_seconds(1_790_000_000);
const HOUR: Duration = Duration::from_secs(3600);

/// A hospital in a space of its own.
struct Hospital {
    space: Space,
    clock: Arc<ManualClock>,
    _folder: tempfile::TempDir,
}

impl Hospital {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = SpaceSettings::small(folder.path(), TEN_O_CLOCK, 20);
        let clock = Arc::new(ManualClock::at(TEN_O_CLOCK));
        let space = Space::create(&settings).unwrap();
        // The demonstration is in a hurry; this is a day in a hospital.
        let file = space.configuration(Place::A);
        let mut text = fs::read_to_string(&file).unwrap();
        for (hurried, real) in [
            ("first_retry = \"1s\"", "first_retry = \"5m\""),
            ("lifetime = \"5m\"", "lifetime = \"5d\""),
            ("delay_notices = [\"15s\", \"60s\"]", "delay_notices = [\"1h\", \"4h\"]"),
        ] {
            assert!(text.contains(hurried), "{hurried}");
            text = text.replace(hurried, real);
        }
        fs::write(&file, text).unwrap();
        Self { space, clock, _folder: folder }
    }

    fn start(&self) -> Result<Arc<Gateway>, StartError> {
        Gateway::open(self.space.configuration(Place::A), Arc::clone(&self.clock) as _).map(|(gateway, _)| gateway)
    }

    fn loaded(&self) -> Loaded {
        Loaded::read(&self.space.configuration(Place::A)).unwrap()
    }

    fn file(&self) -> PathBuf {
        self.space.trust_list()
    }

    /// The entries of the space's own list.
    fn entries(&self) -> Vec<TrustListEntry> {
        let loaded = self.loaded();
        Snapshot::load(&loaded, self.clock.now()).unwrap().trust_list.entries().cloned().collect()
    }

    /// A list of these entries, made at this moment, signed by whom everybody expects.
    fn signed(&self, entries: Vec<TrustListEntry>, generated: Timestamp) -> Vec<u8> {
        let file = |name: &str| fs::read(self.file().with_file_name(name)).unwrap();
        let key = FileKey::from_pem(&file("signer.key"), &file("signer.pem"), None).unwrap();
        let profile = list_profile(&self.loaded().config);
        sign_trust_list(&TrustListDraft { profile, generated, entries }, &key, generated).unwrap()
    }
}

fn fictional(name: &str) -> TrustListEntry {
    TrustListEntry {
        domain: Domain::parse(name).unwrap(),
        description: "CH FICTIF-TEST".into(),
        operators: vec![OperatorName::parse(&format!("CN=mss.{name},O=CH FICTIF-TEST,C=FR")).unwrap()],
        responsible: String::new(),
        support: String::new(),
        updated: String::new(),
    }
}

fn troubles(gateway: &Gateway) -> Vec<&'static str> {
    super::watch::alarms(&gateway.snapshot(), gateway.now()).into_keys().collect()
}

#[test]
fn an_accepted_list_outlives_a_restart_and_no_older_one_comes_back() {
    let hospital = Hospital::new();
    let first = fs::read(hospital.file()).unwrap();
    let gateway = hospital.start().unwrap();
    let newer = hospital.signed([hospital.entries(), vec![fictional("nouveau.test")]].concat(), TEN_O_CLOCK.plus(HOUR));
    assert!(matches!(gateway.offer_trust_list(&newer), Offered::Refused(Refused { why: TrustListError::Future(_) })));
    hospital.clock.advance(HOUR);
    let Offered::InForce(fresh) = gateway.offer_trust_list(&newer) else { panic!("refused") };
    assert_eq!((fresh.diff.added.len(), fresh.diff.removed.len(), fresh.shrunk), (1, 0, false));
    assert!(matches!(gateway.offer_trust_list(&newer), Offered::Same));
    let rolled_back = gateway.offer_trust_list(&first);
    assert!(
        matches!(rolled_back, Offered::Refused(Refused { why: TrustListError::RollBack { .. } })),
        "{rolled_back:?}"
    );
    drop(gateway);

    // The configured file is still the older one: it does not come back, and somebody is told.
    let gateway = hospital.start().unwrap();
    assert!(gateway.snapshot().trust_list.lists(&Domain::parse("nouveau.test").unwrap()));
    assert_eq!(troubles(&gateway), ["trust-list-refused"]);
    drop(gateway);
    // Where lists are fetched that is how it always is.
    let configuration = hospital.space.configuration(Place::A);
    let before = fs::read_to_string(&configuration).unwrap();
    let fetched = before.clone() + "\n[refresh]\nlist = \"http://127.0.0.1:9/liste.xml\"\n";
    fs::write(&configuration, fetched).unwrap();
    let gateway = hospital.start().unwrap();
    assert!(gateway.snapshot().trust_list.lists(&Domain::parse("nouveau.test").unwrap()));
    assert_eq!(troubles(&gateway), [""; 0]);
    drop(gateway);
    fs::write(&configuration, before).unwrap();
    // Nor with no file at all.
    fs::remove_file(hospital.file()).unwrap();
    let gateway = hospital.start().unwrap();
    assert_eq!(gateway.snapshot().held.memory.generated, TEN_O_CLOCK.plus(HOUR));
    drop(gateway);

    // The copy altered on the disk is nobody's list, and the older file still does not come back.
    fs::write(hospital.file(), &first).unwrap();
    let folder = hospital.loaded().data().join("trust");
    let copy = fs::read_dir(&folder).unwrap().flatten().find(|e| e.file_name().to_string_lossy().ends_with(".xml"));
    let copy = copy.unwrap().path();
    assert_eq!(fs::read(&copy).unwrap(), newer, "as received");
    fs::write(&copy, String::from_utf8(newer.clone()).unwrap().replace("nouveau.test", "mechant.test")).unwrap();
    assert!(
        matches!(hospital.start(), Err(StartError::Configuration(_))),
        "neither the altered copy nor the older file"
    );
    // The very list that was accepted mends it.
    fs::write(hospital.file(), &newer).unwrap();
    let gateway = hospital.start().unwrap();
    assert!(gateway.snapshot().trust_list.lists(&Domain::parse("nouveau.test").unwrap()));
    drop(gateway);
    // What is remembered is never forgotten by itself.
    fs::write(folder.join("state.json"), "{}").unwrap();
    assert!(matches!(hospital.start(), Err(StartError::Configuration(_))));
}

#[test]
fn a_broken_new_file_leaves_the_old_list_in_force_with_an_alarm() {
    let hospital = Hospital::new();
    let gateway = hospital.start().unwrap();
    let good = fs::read(hospital.file()).unwrap();
    hospital.clock.advance(HOUR);
    let newer = hospital.signed(vec![fictional("seul.test")], hospital.clock.now());
    let half = newer.get(..newer.len() / 2).unwrap().to_vec();
    let forged = String::from_utf8(newer.clone()).unwrap().replace("seul.test", "autre.test").into_bytes();
    for broken in [half, forged, Vec::new()] {
        fs::write(hospital.file(), &broken).unwrap();
        gateway.reload().unwrap();
        assert_eq!(gateway.snapshot().trust_list.domains().count(), 3);
        assert_eq!(troubles(&gateway), ["trust-list-refused"]);
        assert!(matches!(gateway.offer_trust_list(&broken), Offered::Refused(_)));
    }
    fs::write(hospital.file(), &good).unwrap();
    gateway.reload().unwrap();
    assert!(troubles(&gateway).is_empty(), "the alarm ends with its cause");
    fs::write(hospital.file(), &newer).unwrap();
    gateway.reload().unwrap();
    assert_eq!(gateway.snapshot().trust_list.domains().count(), 1);
}

#[test]
fn an_old_list_and_a_signer_who_cannot_be_judged_raise_alarms_and_stop_nothing() {
    let hospital = Hospital::new();
    drop(hospital.start().unwrap());
    // Long after every revocation list that we hold.
    hospital.clock.advance(HOUR * 24 * 60);
    let gateway = hospital.start().unwrap();
    assert_eq!(troubles(&gateway), ["trust-list-age", "trust-list-signer"]);
    assert_eq!(gateway.snapshot().trust_list.domains().count(), 3);
}

// --- mail that the list concerns ---

const MARTIN: &str = "anne.martin-test@ch-a.mssante.test";

/// A gateway with its queue, attended by hand.
struct Attended {
    hospital: Hospital,
    open: Option<Arc<Gateway>>,
    runtime: Runtime,
    watch: Watch,
}

impl Attended {
    fn new() -> Self {
        Self::of(Hospital::new())
    }

    fn of(hospital: Hospital) -> Self {
        let open = Some(hospital.start().unwrap());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { hospital, open, runtime, watch: Watch::default() }
    }

    /// Ends the gateway and starts another one.
    fn restart(&mut self) {
        let before = self.open.take();
        drop(before);
        self.open = Some(self.hospital.start().unwrap());
        self.watch = Watch::default();
        let gateway = Arc::clone(self.gateway());
        self.runtime.block_on(self.watch.look(&gateway));
    }

    fn gateway(&self) -> &Arc<Gateway> {
        self.open.as_ref().unwrap()
    }

    fn now(&self) -> Timestamp {
        self.gateway().now()
    }

    /// Offers a list of these entries, made now.
    fn offer(&self, entries: Vec<TrustListEntry>) -> Arc<Fresh> {
        match self.gateway().offer_trust_list(&self.hospital.signed(entries, self.now())) {
            Offered::InForce(fresh) => fresh,
            other => panic!("{other:?}"),
        }
    }

    /// Looks at what changed, then tries all that is due.
    fn attend(&mut self) {
        let gateway = Arc::clone(self.gateway());
        self.runtime.block_on(self.watch.look(&gateway));
        self.runtime.block_on(delivery::attend(self.gateway()));
    }

    /// A message of Dr MARTIN-TEST that waits for these, as if it had been taken earlier.
    fn queue(&self, to: &[&str]) -> QueueId {
        self.queue_with(MARTIN, to, Notes::new([BodyNotes::default()]), |address| {
            store::Destination::Relay(address.domain().clone())
        })
    }

    fn queue_with(
        &self,
        from: &str,
        to: &[&str],
        notes: Notes,
        way: impl Fn(&Address) -> store::Destination,
    ) -> QueueId {
        // As if it were sealed: what is not leaves for few.
        self.queue_as(from, to, notes, Some("gateway"), way)
    }

    fn queue_as(
        &self,
        from: &str,
        to: &[&str],
        notes: Notes,
        profile: Option<&str>,
        way: impl Fn(&Address) -> store::Destination,
    ) -> QueueId {
        let (id, now) = (self.gateway().queue_id(), self.now());
        let text = format!(
            "From: <{from}>\r\nTo: <{}>\r\nSubject: attente\r\nMessage-ID: <{id}@ch-a.test>\r\n\r\nrien\r\n",
            to[0]
        );
        let recipient = |address: &&str| {
            let address = Address::parse(address).unwrap();
            let destination = way(&address);
            NewRecipient { destination, address, body: 0, notify: Notify::default(), orcpt: None, due: now }
        };
        let body = under_storage_key(self.gateway(), &mut InHand::default(), &text.as_bytes(), text.len() as u64);
        let body = store::NewBody { profile: profile.map(str::to_owned), ..body.unwrap() };
        let message = NewMessage {
            id,
            direction: Direction::Outgoing,
            envelope: Envelope { sender: Some(Address::parse(from).unwrap()), ..Envelope::default() },
            message_id: Some(format!("{id}@ch-a.test")),
            digest: digest(text.as_bytes()),
            size: text.len() as u64,
            accepted: now,
            expires: self.gateway().schedule.expires(now),
            repeat: None,
            bodies: vec![body],
            recipients: to.iter().map(recipient).collect(),
            notes: notes.to_json(),
            records: Vec::new(),
        };
        let message = self.gateway().binder.bind(message).unwrap();
        self.runtime.block_on(self.gateway().store.commit(Changes::message(message))).unwrap();
        id
    }

    fn message(&self, id: QueueId) -> Message {
        self.runtime.block_on(self.gateway().store.message(id)).unwrap().unwrap()
    }

    /// Where the recipients of a message stand: `waiting CODE`, `failed CODE`…
    fn states(&self, id: QueueId) -> Vec<String> {
        let state = |recipient: &store::Recipient| match &recipient.progress.state {
            State::Queued { last, .. } => {
                format!("waiting {}", last.as_ref().map(|reason| reason.code.as_str()).unwrap_or_default())
            }
            State::Failed { reason, .. } => format!("failed {}", reason.code),
            other => format!("{other:?}"),
        };
        let mut states: Vec<String> = self.message(id).recipients.iter().map(state).collect();
        states.dedup();
        states
    }

    /// Notices that were written to our own users.
    fn notices(&self) -> usize {
        let all =
            self.runtime.block_on(self.gateway().store.list(Filter::default(), Page { after: None, limit: 5000 }));
        all.unwrap().iter().filter(|message| message.info.envelope.sender.is_none()).count()
    }

    fn orders(&self) -> OrderBook {
        OrderBook::below(&self.gateway().data())
    }

    fn block(&self, target: Target, mail: Fate, lasts: Duration) -> Block {
        let (since, until) = (self.now(), self.now().plus(lasts));
        let (by, reason) = ("exploitant-test".to_owned(), "compte pirate".to_owned());
        self.orders().block(Block { id: String::new(), target, mail, since, until, by, reason }).unwrap()
    }

    fn send(&self, to: &str) -> Result<(), RefusalId> {
        let to = Address::parse(to).unwrap();
        admit_recipient(&self.gateway().snapshot(), &to, self.now()).map(|_| ()).map_err(|refusal| refusal.id)
    }

    /// The other hospital's server brings mail from this address.
    fn bring(&self, from: &str) -> Result<(), RefusalId> {
        let chain = certificates(&self.hospital.space.gateways[1].certificate);
        let snapshot = self.gateway().snapshot();
        let admitted = identify_operator(&snapshot, &chain, self.now())
            .and_then(|operator| admit_sender(&snapshot, &operator, Some(&Address::parse(from).unwrap()), self.now()));
        admitted.map_err(|refusal: Refusal| refusal.id)
    }
}

fn certificates(file: &Path) -> Vec<Certificate> {
    Certificate::list_from_pem(&fs::read(file).unwrap()).unwrap()
}

fn domain(name: &str) -> Domain {
    Domain::parse(name).unwrap()
}

/// The space of the spring of 2026 has 8,655 domains, 1,027 of them of one operator.
const NATION: usize = 8_655;

/// Our three domains and fictional ones, so many in all.
fn space_of(domains: usize, own: &[TrustListEntry]) -> Vec<TrustListEntry> {
    let mut entries = own.to_vec();
    entries.extend((3..domains).map(|n| fictional(&format!("d{}.mssante.test", n - 3))));
    entries
}

const MOREAU: &str = "claire.moreau-test@ch-b.mssante.test";

/// Hospital B and so many others are struck off.
fn struck_off(others: u32, entries: &[TrustListEntry]) -> Vec<TrustListEntry> {
    let leaves = |entry: &TrustListEntry| {
        let name = entry.domain.as_str();
        let number = name.strip_prefix('d').and_then(|rest| rest.split('.').next()?.parse::<u32>().ok());
        name == "ch-b.mssante.test" || number.is_some_and(|number| number < others)
    };
    entries.iter().filter(|entry| !leaves(entry)).cloned().collect()
}

const ONE: &str = "dr.un-test@d1.mssante.test";

/// What was taken unsealed, for a domain that is sealed for by now, does not leave in the clear (promise 2).
#[test]
fn what_waits_unsealed_does_not_leave_once_its_domain_is_sealed() {
    let mut attended = Attended::new();
    let unsealed = |to: &str| {
        attended.queue_as(MARTIN, &[to], Notes::new([BodyNotes::default()]), None, |address| {
            store::Destination::Relay(address.domain().clone())
        })
    };
    let (to_b, to_c) = (unsealed(MOREAU), unsealed("jean.petit-test@operateur-c.mssante.test"));
    let sealed = attended.queue(&["jean.petit-test@operateur-c.mssante.test"]);
    attended.attend();
    assert_eq!(attended.states(to_b), ["failed domain-now-sealed"]);
    assert_eq!(
        (attended.states(to_c), attended.states(sealed)),
        (vec!["waiting unreachable".into()], vec!["waiting unreachable".into()])
    );
    assert_eq!(attended.notices(), 1);
}

#[test]
fn domains_struck_off_in_great_number_wait_then_are_refused() {
    let mut attended = Attended::new();
    let entries = space_of(NATION, &attended.hospital.entries());
    attended.hospital.clock.advance(HOUR);
    attended.offer(entries.clone());
    attended.hospital.clock.advance(HOUR);
    let ids = [attended.queue(&[ONE, "a@d2.mssante.test"]), attended.queue(&["b@d1025.mssante.test"])];
    let kept = attended.queue(&["c@d1026.mssante.test"]);
    assert_eq!(attended.bring(MOREAU), Ok(()));

    let fresh = attended.offer(struck_off(1_026, &entries));
    assert_eq!((fresh.diff.removed.len(), fresh.diff.after, fresh.shrunk), (1_027, 7_628, true));
    let struck_at = attended.now();
    let snapshot = attended.gateway().snapshot();
    assert!(!snapshot.trusts(&domain("d1.mssante.test"), struck_at), "trust ends at once");
    assert_eq!(snapshot.waiting(struck_at).count(), 1_027);
    attended.attend();
    for id in ids {
        assert_eq!(attended.states(id), ["waiting domain-waiting"]);
        assert!(attended.message(id).recipients.iter().all(|recipient| recipient.progress.notices == 1));
    }
    assert_eq!(attended.states(kept), ["waiting route"], "mail to everybody else goes its way");
    assert_eq!(attended.notices(), 3, "the sender is told once of each domain");
    assert_eq!(attended.bring(MOREAU), Err(RefusalId::DomainWaiting), "451 to the operator that lost its domain");
    assert_eq!(attended.send(MOREAU), Ok(()), "taken, to wait");
    assert_eq!(attended.send("x@d5000.inconnu.test"), Err(RefusalId::OutsideTrustedSpace));

    // All day long nothing bounces, and nobody is told again.
    for _ in 0..23 {
        attended.hospital.clock.advance(HOUR);
        attended.attend();
    }
    assert_eq!((attended.states(ids[0]), attended.notices()), (vec!["waiting domain-waiting".to_owned()], 3 + 2));
    assert!(troubles(attended.gateway()).contains(&"trust-list-shrunk"));
    // Then the period is over: 550 in both directions.
    attended.hospital.clock.set(struck_at.plus(HOUR * 24));
    attended.attend();
    assert_eq!(attended.states(ids[0]), ["failed outside-trusted-space"]);
    assert_eq!(attended.states(ids[1]), ["failed outside-trusted-space"]);
    assert_eq!(attended.bring(MOREAU), Err(RefusalId::PeerNotListed));
    assert_eq!(attended.send(MOREAU), Err(RefusalId::OutsideTrustedSpace));
    assert!(!troubles(attended.gateway()).contains(&"trust-list-shrunk"));
}

#[test]
fn a_list_truncated_by_mistake_and_restored_two_hours_later_bounces_nothing() {
    let mut attended = Attended::new();
    let entries = space_of(NATION, &attended.hospital.entries());
    attended.hospital.clock.advance(HOUR);
    attended.offer(entries.clone());
    let addresses: Vec<String> = (0..60).map(|n| format!("dr.test@d{n}.mssante.test")).collect();
    let ids: Vec<QueueId> = addresses
        .chunks(100)
        .map(|part| attended.queue(&part.iter().map(String::as_str).collect::<Vec<_>>()))
        .collect();
    attended.hospital.clock.advance(HOUR);
    attended.offer(struck_off(1_026, &entries));
    attended.attend();
    attended.hospital.clock.advance(HOUR);
    attended.attend();
    // The gateway may even restart meanwhile: what waits is remembered.
    attended.restart();
    assert_eq!(attended.bring(MOREAU), Err(RefusalId::DomainWaiting));
    attended.hospital.clock.advance(HOUR);
    let restored = attended.offer(entries);
    assert_eq!((restored.diff.added.len(), restored.shrunk), (1_027, false));
    attended.attend();
    for id in ids {
        assert_eq!(attended.states(id), ["waiting route"], "on its way again at once, nothing failed");
    }
    assert_eq!(attended.bring(MOREAU), Ok(()));
    assert_eq!(attended.notices(), 60, "one delay notice for each domain, no failure");
    assert!(!troubles(attended.gateway()).contains(&"trust-list-shrunk"));
}

#[test]
fn an_ordinary_removal_takes_effect_at_once() {
    let mut attended = Attended::new();
    let entries = space_of(600, &attended.hospital.entries());
    attended.hospital.clock.advance(HOUR);
    attended.offer(entries.clone());
    let id = attended.queue(&[ONE]);
    attended.hospital.clock.advance(HOUR);
    let without: Vec<_> = entries.iter().filter(|entry| entry.domain != domain("d1.mssante.test")).cloned().collect();
    assert!(!attended.offer(without).shrunk);
    attended.attend();
    assert_eq!(attended.states(id), ["failed outside-trusted-space"]);
    assert_eq!(attended.send(ONE), Err(RefusalId::OutsideTrustedSpace));
}

#[test]
fn a_list_that_shrinks_a_little_each_hour_has_shrunk() {
    let attended = Attended::new();
    let mut entries = space_of(600, &attended.hospital.entries());
    attended.hospital.clock.advance(HOUR);
    attended.offer(entries.clone());
    let mut shrunk = Vec::new();
    for _ in 0..3 {
        entries.truncate(entries.len() - 2);
        attended.hospital.clock.advance(HOUR);
        shrunk.push(attended.offer(entries.clone()).shrunk);
    }
    assert_eq!(shrunk, [false, false, true], "6 of 600 within a day are 1 %");
    assert_eq!(attended.gateway().snapshot().waiting(attended.now()).count(), 6);
}

#[test]
fn an_operator_says_that_a_shrinkage_is_meant_and_the_waiting_ends() {
    let mut attended = Attended::new();
    let entries = space_of(600, &attended.hospital.entries());
    attended.hospital.clock.advance(HOUR);
    attended.offer(entries.clone());
    let id = attended.queue(&[ONE]);
    attended.hospital.clock.advance(HOUR);
    attended.offer(struck_off(20, &entries));
    attended.attend();
    assert_eq!(attended.states(id), ["waiting domain-waiting"]);
    attended.hospital.clock.advance(HOUR);
    let (by, reason) = ("exploitant-test".to_owned(), "confirmé par l'agence".to_owned());
    attended.orders().confirm(Confirmed { at: attended.now(), by, reason }).unwrap();
    attended.attend();
    assert_eq!(attended.states(id), ["failed outside-trusted-space"]);
    assert_eq!(attended.bring(MOREAU), Err(RefusalId::PeerNotListed));
    // It concerns that shrinkage and no later one.
    attended.hospital.clock.advance(HOUR);
    attended.offer(entries.clone());
    attended.hospital.clock.advance(HOUR);
    attended.offer(struck_off(20, &entries));
    assert_eq!(attended.bring(MOREAU), Err(RefusalId::DomainWaiting));
}

// --- orders ---

#[test]
fn a_block_refuses_both_directions_and_ends_by_itself() {
    let mut attended = Attended::new();
    let targets = [
        (Target::Domain(domain("ch-b.mssante.test")), true),
        (Target::Mailbox(Address::parse(MOREAU).unwrap()), true),
        (
            Target::Operator({
                let snapshot = attended.gateway().snapshot();
                let name = snapshot.trust_list.operators(&domain("ch-b.mssante.test"))[0].to_string();
                Operator::try_from(name).unwrap()
            }),
            true,
        ),
        // Another operator's certificate may be blocked without the domain itself.
        (Target::Certificate(attended.hospital.space.gateways[1].fingerprint), false),
    ];
    let other = "dr.autre-test@ch-b.mssante.test";
    for (fate, refusal, stopped) in [
        (Fate::Hold, RefusalId::BlockedForNow, "waiting blocked-for-now"),
        (Fate::Refuse, RefusalId::Blocked, "failed blocked"),
    ] {
        for (target, outwards) in &targets {
            let id = attended.queue(&[MOREAU]);
            let block = attended.block(target.clone(), fate, HOUR);
            assert_eq!(attended.bring(MOREAU), Err(refusal), "{target}, at once");
            let whole = !matches!(target, Target::Mailbox(_));
            assert_eq!(attended.bring(other).is_err(), whole, "{target}");
            if *outwards {
                assert_eq!(attended.send(MOREAU), Err(refusal), "{target}");
                attended.attend();
                assert_eq!(attended.states(id), [stopped], "{target}");
            }
            // It survives a restart.
            attended.restart();
            assert_eq!(attended.bring(MOREAU), Err(refusal), "{target}, after a restart");
            if matches!(fate, Fate::Hold) {
                attended.orders().unblock(&block.id, None, attended.now()).unwrap();
            } else {
                attended.hospital.clock.advance(HOUR);
            }
            assert_eq!(attended.bring(MOREAU), Ok(()), "{target}, over");
            attended.attend();
            assert!(
                !attended.states(id)[0].contains("blocked-for-now"),
                "it goes on at once: {:?}",
                attended.states(id)
            );
        }
    }
}

#[test]
fn a_block_finds_what_waits_by_whoever_brought_it() {
    let mut attended = Attended::new();
    let operator = certificates(&attended.hospital.space.gateways[1].certificate);
    let card = certificates(&attended.hospital.space.holder("martin").unwrap().card.certificate);
    let name = Operator::try_from(OperatorName::of(operator[0].subject()).to_string()).unwrap();
    let inner = |_: &Address| store::Destination::Inner(domain("ch-a.mssante.test"));
    let relay = |address: &Address| store::Destination::Relay(address.domain().clone());
    let by_operator = || Bearer::new(&operator, Some(&card[0]));
    let brought = |bearer: Bearer| Notes::new([BodyNotes::default()]).brought_by(bearer);
    for (fate, stopped) in [(Fate::Hold, "waiting blocked-for-now"), (Fate::Refuse, "failed blocked")] {
        for target in [
            Target::Operator(name.clone()),
            Target::Certificate(operator[0].fingerprint()),
            Target::Certificate(card[0].fingerprint()),
        ] {
            let id = attended.queue_with(MARTIN, &[MARTIN], brought(by_operator()), inner);
            let other = attended.queue_with(MARTIN, &[MARTIN], brought(Bearer::new(&[], None)), inner);
            attended.block(target.clone(), fate, HOUR);
            attended.attend();
            assert_eq!(attended.states(id), [stopped], "{target}");
            assert_ne!(attended.states(other), [stopped], "{target} concerns nobody else");
            attended.hospital.clock.advance(HOUR);
        }
        // A message that was submitted with a stolen card and has not left yet.
        let id = attended.queue_with(MARTIN, &[MOREAU], brought(Bearer::new(&card, None)), relay);
        attended.block(Target::Certificate(card[0].fingerprint()), fate, HOUR);
        attended.attend();
        assert_eq!(attended.states(id), [stopped]);
        attended.hospital.clock.advance(HOUR);
    }
}

#[test]
fn a_block_of_one_of_our_own_stops_them_and_spoils_nobody_else() {
    let attended = Attended::new();
    let holder = |key: &str| certificates(&attended.hospital.space.holder(key).unwrap().card.certificate);
    let identified = |key: &str| {
        identify(&attended.gateway().snapshot(), &holder(key), attended.now()).map(|_| ()).map_err(|it| it.id)
    };
    let card = holder("martin")[0].fingerprint();
    attended.block(Target::Certificate(card), Fate::Refuse, HOUR);
    assert_eq!(identified("martin"), Err(RefusalId::Blocked));
    assert_eq!(identified("durand"), Ok(()));
    let martin = Address::parse(MARTIN).unwrap();
    attended.block(Target::Mailbox(martin.clone()), Fate::Hold, HOUR);
    let snapshot = attended.gateway().snapshot();
    assert_eq!(snapshot.unblocked(&martin, attended.now()).unwrap_err().id, RefusalId::BlockedForNow);
    let inward = exchange::admit_recipient(&snapshot, &martin, attended.now());
    assert_eq!(inward.unwrap_err().id, RefusalId::BlockedForNow);
    // What waits from a blocked mailbox waits on.
    let mut attended = attended;
    let id = attended.queue(&["jean.petit-test@operateur-c.mssante.test"]);
    attended.attend();
    assert_eq!(attended.states(id), ["waiting blocked-for-now"]);
}

#[test]
fn orders_that_cannot_be_read_leave_those_before_in_force() {
    let attended = Attended::new();
    attended.block(Target::Domain(domain("ch-b.mssante.test")), Fate::Refuse, HOUR);
    assert_eq!(attended.bring(MOREAU), Err(RefusalId::Blocked));
    fs::write(attended.orders().path(), "{").unwrap();
    assert_eq!(attended.bring(MOREAU), Err(RefusalId::Blocked), "a broken file forgets no block");
    assert_eq!(troubles(attended.gateway()), ["orders-unreadable"]);
    assert!(matches!(attended.hospital.start(), Err(StartError::Configuration(_))), "nor does a restart");
}

// --- break-glass ---

const STRANGER: &str = "dr.exception-test@hors-liste.test";

fn with_administrators() -> Hospital {
    let hospital = Hospital::new();
    let file = hospital.space.configuration(Place::A);
    let mut text = fs::read_to_string(&file).unwrap();
    for key in ["martin", "durand"] {
        let certificate = &hospital.space.holder(key).unwrap().card.certificate;
        let certificate = fs::canonicalize(certificate).unwrap();
        let _ =
            write!(text, "\n[[trust.administrator]]\nname = \"{key}\"\ncertificate = \"{}\"\n", certificate.display());
    }
    fs::write(file, text).unwrap();
    hospital
}

fn key_of(hospital: &Hospital, key: &str) -> FileKey {
    let card = &hospital.space.holder(key).unwrap().card;
    FileKey::from_pem(&fs::read(&card.key).unwrap(), &fs::read(&card.certificate).unwrap(), None).unwrap()
}

#[test]
fn break_glass_takes_two_administrators_and_ends_by_itself() {
    let attended = Attended::of(with_administrators());
    let now = attended.now();
    let stranger = certificates(&attended.hospital.space.stranger.certificate);
    let operator = || Operator::try_from(OperatorName::of(stranger[0].subject()).to_string()).unwrap();
    let entry = |gateway: &str, hours: u32| {
        let span = (now, now.plus(HOUR * hours));
        let reason = "liste en panne, urgences".to_owned();
        Entry::new(domain(gateway), format!("{gateway}-{hours}"), domain("hors-liste.test"), operator(), span, reason)
    };
    let own = attended.gateway().snapshot().config.server.hostname.clone();
    let judge = |signed: &Signed| signed.grant(attended.gateway().snapshot().grant_rules(), now);
    let signed = |entry: &Entry, keys: &[&str]| {
        let mut signed = Signed::unsigned(entry);
        for key in keys {
            signed.sign(&key_of(&attended.hospital, key), now).unwrap();
        }
        signed
    };
    // One alone, one twice, somebody who is no administrator, and a text changed after signing.
    let good = entry(own.as_str(), 4);
    for (keys, count) in [(&["martin"][..], 1), (&["martin", "martin"], 1), (&["martin", "robert"], 1), (&[], 0)] {
        let outcome = judge(&signed(&good, keys)).unwrap_err();
        assert!(matches!(outcome, GrantError::Signatures { signed, .. } if signed == count), "{keys:?}: {outcome}");
    }
    let mut changed = signed(&good, &["martin", "durand"]);
    changed.entry = changed.entry.replace("hors-liste.test", "mechant.test");
    assert!(matches!(judge(&changed), Err(GrantError::Signatures { signed: 0, .. })));
    let both = ["martin", "durand"];
    assert!(matches!(judge(&signed(&entry("autre.test", 4), &both)), Err(GrantError::Gateway(_))));
    assert!(matches!(judge(&signed(&entry(own.as_str(), 25), &both)), Err(GrantError::Duration(24))));

    let bring = |attended: &Attended| {
        let snapshot = attended.gateway().snapshot();
        let operator = identify_operator(&snapshot, &stranger, attended.now())?;
        admit_sender(&snapshot, &operator, Some(&Address::parse(STRANGER).unwrap()), attended.now())
    };
    assert_eq!(bring(&attended).unwrap_err().id, RefusalId::PeerNotListed);
    // A file that somebody writes by hand grants nothing.
    let alone = signed(&good, &["martin"]);
    attended.orders().grant(&alone, &good, now).unwrap();
    assert_eq!(bring(&attended).unwrap_err().id, RefusalId::PeerNotListed);
    assert_eq!(troubles(attended.gateway()), ["orders-idle"]);
    fs::remove_file(attended.orders().path()).unwrap();

    let whole = signed(&good, &both);
    assert_eq!(judge(&whole).unwrap().by, ["martin", "durand"]);
    attended.orders().grant(&whole, &good, now).unwrap();
    assert_eq!(bring(&attended), Ok(()), "at once");
    assert_eq!(troubles(attended.gateway()), ["break-glass"]);
    let elsewhere = Address::parse("x@ailleurs.test").unwrap();
    let snapshot = attended.gateway().snapshot();
    assert!(admit_sender(&snapshot, &stranger[0], Some(&elsewhere), now).is_err(), "for that domain only");
    assert!(!snapshot.speaks_for(
        &certificates(&attended.hospital.space.gateways[1].certificate)[0],
        &domain("hors-liste.test"),
        now
    ));
    // A block is stronger; and it ends by itself.
    attended.block(Target::Domain(domain("hors-liste.test")), Fate::Refuse, HOUR);
    assert_eq!(bring(&attended).unwrap_err().id, RefusalId::Blocked);
    attended.hospital.clock.advance(HOUR * 2);
    assert_eq!(bring(&attended), Ok(()));
    // Taken back by one person, for good: the same paper does not count twice.
    attended.orders().take_back(&good.id, attended.now()).unwrap();
    assert_eq!(bring(&attended).unwrap_err().id, RefusalId::PeerNotListed);
    assert!(matches!(attended.orders().grant(&whole, &good, attended.now()), Err(OrderError::Repeated(_))));
    let later = entry(own.as_str(), 3);
    attended.orders().grant(&signed(&later, &both), &later, attended.now()).unwrap();
    assert_eq!(bring(&attended), Ok(()));
    attended.hospital.clock.set(now.plus(HOUR * 3));
    assert_eq!(bring(&attended).unwrap_err().id, RefusalId::PeerNotListed);
    assert!(troubles(attended.gateway()).is_empty());
}

#[test]
fn one_person_is_not_two_administrators() {
    let hospital = with_administrators();
    let file = hospital.space.configuration(Place::A);
    let text = fs::read_to_string(&file).unwrap();
    let martin = fs::canonicalize(&hospital.space.holder("martin").unwrap().card.certificate).unwrap();
    let again = format!("\n[[trust.administrator]]\nname = \"deux\"\ncertificate = \"{}\"\n", martin.display());
    fs::write(&file, text + &again).unwrap();
    let Err(StartError::Configuration(problems)) = hospital.start() else { panic!("accepted") };
    assert!(problems[0].what.contains("is there twice"), "{problems:?}");
}

/// Promise 1: nobody is given up in silence. A delay that could not be told counts as not told; what has had
/// its time waits for a notice to become possible, for a bounded while, and then the trail says that none went.
#[test]
fn what_cannot_be_told_yet_is_not_over_and_not_told() {
    let mut attended = Attended::new();
    // Nobody behind the gateway, and a sender to whom nothing can be sealed.
    let inner = |address: &Address| store::Destination::Inner(address.domain().clone());
    let id = attended.queue_with("quelquun@inconnu.test", &[MARTIN], Notes::new([BodyNotes::default()]), inner);
    let recipient = |attended: &Attended| attended.message(id).recipients.remove(0);
    attended.hospital.clock.advance(HOUR * 2);
    attended.attend();
    assert!(matches!(recipient(&attended).progress.state, State::Queued { .. }));
    assert_eq!((recipient(&attended).progress.notices, attended.notices()), (0, 0));
    let expires = attended.message(id).info.expires;
    for hours in [1, 20, 70] {
        attended.hospital.clock.set(expires.plus(HOUR * hours));
        attended.attend();
        assert!(matches!(recipient(&attended).progress.state, State::Queued { .. }), "after {hours} hours");
    }
    attended.hospital.clock.set(expires.plus(HOUR * 73));
    attended.attend();
    assert!(matches!(recipient(&attended).progress.state, State::Expired { .. }));
    let query = store::EventQuery { message: Some(id), ..store::EventQuery::default() };
    let records = attended.runtime.block_on(attended.gateway().store.events(query)).unwrap();
    let untold =
        |record: &trail::Record| matches!(&record.event, trail::Event::NotificationSent { suppressed: Some(_), .. });
    assert_eq!(records.iter().filter(|record| untold(record)).count(), 1);
    assert_eq!(attended.notices(), 0);
}
