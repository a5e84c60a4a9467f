use ident::{Address, Domain};
use pki::cms::Capability::{Aes256Gcm, AesCbc, RsaOaepSha256};

use super::*;

const DAY: Duration = Duration::from_secs(86_400);
const KEEP: Duration = Duration::from_secs(400 * 86_400);

fn now() -> Timestamp {
    Timestamp::parse("2026-11-22T10:00:00Z").unwrap()
}

fn client() -> Capabilities {
    Capabilities::new([AesCbc])
}

fn key(owner: BookOwner, octet: u8) -> ReadingKey {
    ReadingKey { owner, certificate: Fingerprint::new([octet; 32]) }
}

fn house() -> ReadingKey {
    key(BookOwner::Domain(Domain::parse("ch-autre.test").unwrap()), 1)
}

fn mailbox() -> ReadingKey {
    key(BookOwner::Address(Address::parse("dr.test@ch-autre.test").unwrap()), 1)
}

fn said(capabilities: &Capabilities, signed: Timestamp, received: Timestamp) -> Said {
    Said { capabilities: capabilities.clone(), signed, received, signer: Fingerprint::new([7; 32]) }
}

fn learn(store: &CapabilityStore, capabilities: &Capabilities, signed: Timestamp, received: Timestamp) -> Lesson {
    store.learn(&house(), said(capabilities, signed, received), None, KEEP).unwrap()
}

fn known(store: &CapabilityStore, key: &ReadingKey) -> Option<Capabilities> {
    store.of(key, now(), KEEP).map(|learned| learned.capabilities)
}

#[test]
fn the_newest_signature_counts_and_an_old_one_sent_again_changes_nothing() {
    let store = CapabilityStore::default();
    let gateway = Capabilities::ours();
    assert_eq!(learn(&store, &client(), now(), now()), Lesson::Taken);
    assert_eq!(learn(&store, &gateway, now().plus(DAY), now().plus(DAY)), Lesson::Taken);
    // The first message again, and one that was held back on the way.
    assert_eq!(learn(&store, &client(), now(), now().plus(DAY * 2)), Lesson::Older);
    assert_eq!(learn(&store, &client(), now().plus(DAY), now().plus(DAY * 2)), Lesson::Older);
    assert_eq!(known(&store, &house()), Some(gateway.clone()));
    // That nothing changed counts too: what is replayed afterwards is older still.
    assert_eq!(learn(&store, &gateway, now().plus(DAY * 3), now().plus(DAY * 3)), Lesson::Known);
    assert_eq!(learn(&store, &client(), now().plus(DAY * 2), now().plus(DAY * 3)), Lesson::Older);
}

/// What is said of one key is not believed of another: of a new operator's, or of a mailbox's own.
#[test]
fn what_is_said_is_about_one_key_of_one_owner() {
    let store = CapabilityStore::default();
    let other = ReadingKey { certificate: Fingerprint::new([2; 32]), ..house() };
    assert_eq!(learn(&store, &client(), now(), now()), Lesson::Taken);
    assert_eq!((known(&store, &house()), known(&store, &other)), (Some(client()), None));
    assert_eq!(known(&store, &mailbox()), None);
    let gateway = said(&Capabilities::ours(), now(), now());
    assert_eq!(store.learn(&other, gateway, None, KEEP).unwrap(), Lesson::Taken);
    assert_eq!(known(&store, &house()), Some(client()));
}

/// One old message, or one mail program in a house, does not weaken what a whole domain is written; and whoever it
/// concerns hears what was read before.
#[test]
fn a_domain_that_reads_better_is_believed_less_only_when_it_says_so_again_another_day() {
    let store = CapabilityStore::default();
    let gateway = Capabilities::ours();
    let at = |hours: u32| now().plus(Duration::from_secs(3600) * hours);
    let first = Lesson::Doubted(Some(gateway.clone()));
    assert_eq!(learn(&store, &gateway, at(0), at(0)), Lesson::Taken);
    assert_eq!(learn(&store, &client(), at(1), at(1)), first);
    assert_eq!(learn(&store, &gateway, at(2), at(2)), Lesson::Known);
    assert_eq!(learn(&store, &client(), at(25), at(25)), first);
    assert_eq!(known(&store, &house()), Some(gateway.clone()));
    // The better list again: it was a program among others.
    assert_eq!(learn(&store, &gateway, at(40), at(40)), Lesson::Known);
    assert_eq!(learn(&store, &client(), at(50), at(50)), first);
    assert_eq!(learn(&store, &client(), at(51), at(51)), Lesson::Doubted(None));
    assert_eq!(learn(&store, &client(), at(74), at(74)), Lesson::Weakened(gateway.clone()));
    assert_eq!(known(&store, &house()), Some(client()));
    // Upwards at once; and a mailbox, which is one program, either way.
    assert_eq!(learn(&store, &gateway, at(75), at(75)), Lesson::Taken);
    for (hour, capabilities) in [(0, &gateway), (1, &client())] {
        let said = said(capabilities, at(hour), at(hour));
        assert_eq!(store.learn(&mailbox(), said, None, KEEP).unwrap(), Lesson::Taken);
    }
}

/// What an operator published is weakened as slowly; the older of the two says nothing.
#[test]
fn what_was_published_is_what_a_signature_would_weaken() {
    let store = CapabilityStore::default();
    let published = Stated { capabilities: Capabilities::ours(), at: now(), source: "a file".into() };
    let at = |hours: u32| now().plus(Duration::from_secs(3600) * hours);
    let learn = |hours| store.learn(&house(), said(&client(), at(hours), at(hours)), Some(&published), KEEP).unwrap();
    assert_eq!(learn(0), Lesson::Older);
    assert_eq!(known(&store, &house()), None);
    assert_eq!(learn(1), Lesson::Doubted(Some(Capabilities::ours())));
    assert_eq!(store.of(&house(), now(), KEEP).unwrap().signed, published.at, "no newer than the file");
    assert_eq!(learn(24), Lesson::Doubted(None));
    assert_eq!(learn(25), Lesson::Weakened(Capabilities::ours()));
    assert_eq!(known(&store, &house()), Some(client()));
}

/// What is in the file stops no start, and it does not grow for ever.
#[test]
fn the_file_is_written_anew_and_whatever_is_in_it_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("capabilities.jsonl");
    std::fs::write(&file, b"\xff\xfe\n{}\n").unwrap();
    let open = || CapabilityStore::open(folder.path(), now().plus(DAY)).unwrap();
    let store = open();
    let lists = [client(), Capabilities::ours()];
    for (second, list) in (0..u32::try_from(SPENT_LINES).unwrap() * 2).zip(lists.iter().cycle()) {
        let at = now().plus(Duration::from_secs(1) * second);
        assert_eq!(store.learn(&mailbox(), said(list, at, at), None, KEEP).unwrap(), Lesson::Taken);
    }
    let lines = std::fs::read_to_string(&file).unwrap().lines().count();
    assert!(lines < SPENT_LINES + 10, "{lines}");
    assert_eq!(known(&open(), &mailbox()), Some(Capabilities::ours()));
    std::fs::File::create(&file).unwrap().set_len(MAX_FILE + 1).unwrap();
    assert_eq!(known(&open(), &mailbox()), None);
}

/// Who has not been heard of for so long is forgotten, here and on the disk.
#[test]
fn what_nobody_says_any_more_is_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("capabilities.jsonl");
    let store = CapabilityStore::open(folder.path(), now()).unwrap();
    learn(&store, &client(), now(), now());
    let last = now().plus(KEEP).minus(Duration::from_secs(1));
    assert!(store.of(&house(), last, KEEP).is_some() && store.of(&house(), now().plus(KEEP), KEEP).is_none());
    let later = now().plus(KEEP);
    store.learn(&mailbox(), said(&client(), later, later), None, KEEP).unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains("dr.test@ch-autre.test") && !text.contains("\"ch-autre.test\""), "{text}");
    // Said again, it is a beginning: nothing is weakened that was over.
    assert_eq!(learn(&store, &client(), later, later), Lesson::Taken);
}

/// A clock that was ahead once does not have the last word until its time comes.
#[test]
fn lines_of_a_time_to_come_are_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let store = CapabilityStore::open(folder.path(), now()).unwrap();
    let ahead = now().plus(DAY * 365);
    learn(&store, &Capabilities::ours(), ahead, ahead);
    let again = CapabilityStore::open(folder.path(), now()).unwrap();
    assert_eq!(known(&again, &house()), None);
    assert_eq!(learn(&again, &client(), now(), now()), Lesson::Taken);
}

/// Those heard of longest ago make room: nobody fills the memory for good.
#[test]
fn a_full_memory_forgets_who_was_heard_of_longest_ago() {
    let mut memory = Memory::default();
    let learned = |number: usize| Learned {
        owner: format!("ch-{number}.test"),
        reader: Fingerprint::new([1; 32]),
        capabilities: client(),
        signed: now(),
        received: now().plus(Duration::from_secs(1) * u32::try_from(number).unwrap()),
        signer: Fingerprint::new([7; 32]),
        doubted: None,
    };
    (0..=MAX_KEYS).for_each(|number| memory.insert(learned(number)));
    assert!(memory.keys.len() <= MAX_KEYS && memory.keys.len() >= MAX_KEYS - ROOM - 1, "{}", memory.keys.len());
    let holds = |number| memory.keys.contains_key(&learned(number).place());
    assert!(!holds(0) && holds(MAX_KEYS) && holds(MAX_KEYS - 1));
}

#[test]
fn times_that_are_not_of_today_and_ciphers_that_nobody_writes_teach_nothing() {
    let store = CapabilityStore::default();
    for (capabilities, signed) in [
        (&client(), now().plus(AHEAD + Duration::from_secs(1))),
        (&client(), now().minus(OLDEST + Duration::from_secs(1))),
        (&Capabilities::default(), now()),
        (&Capabilities::new([RsaOaepSha256]), now()),
    ] {
        assert_eq!(learn(&store, capabilities, signed, now()), Lesson::Useless, "{capabilities} {signed}");
    }
    assert_eq!(known(&store, &house()), None);
}

#[test]
fn it_is_remembered_over_restarts_and_torn_lines_are_not_continued() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("capabilities.jsonl");
    let store = CapabilityStore::open(folder.path(), now()).unwrap();
    let gateway = Capabilities::new([Aes256Gcm, AesCbc, RsaOaepSha256]);
    learn(&store, &client(), now(), now());
    // The same within a day is not written again.
    assert_eq!(learn(&store, &client(), now().plus(DAY / 2), now().plus(DAY / 2)), Lesson::Known);
    assert_eq!(std::fs::read_to_string(&file).unwrap().lines().count(), 1);
    learn(&store, &gateway, now().plus(DAY), now().plus(DAY));
    // What a later build writes besides is passed over.
    let text = std::fs::read_to_string(&file).unwrap().replace("\"owner\":", "\"later\":[1],\"owner\":");
    std::fs::write(&file, format!("nonsense\n{text}{{\"owner\":")).unwrap();
    let again = CapabilityStore::open(folder.path(), now().plus(DAY)).unwrap();
    let learned = again.of(&house(), now(), KEEP).unwrap();
    assert_eq!((learned.capabilities, learned.signed, learned.received), (gateway, now().plus(DAY), now().plus(DAY)));
    learn(&again, &client(), now().plus(DAY * 2), now().plus(DAY * 2));
    let text = std::fs::read_to_string(&file).unwrap();
    assert_eq!(text.lines().count(), 4, "{text}");
    assert!(text.lines().skip(1).all(|line| serde_json::from_str::<Learned>(line).is_ok()), "{text}");
}
