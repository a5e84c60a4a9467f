//! Technical identifiers: made of the national ones, so that they stay the same from one generation to the next.
//!
//! `003-` people, `005-` activities, `001-` structures, as the national server begins its own (reference §3.1), and
//! `004-` services. A FHIR id has 64 characters of `[A-Za-z0-9.-]`: others are written `.hh`, and what does not fit ends
//! in a digest.

use openssl::sha::sha256;

use super::item::Item;
use crate::{
    Activity, Generation, Mailbox, MailboxType, Person, Structure,
    ask::Work,
    generation::{hex, partition},
};

/// Longest id.
const MAX_ID: usize = 64;
/// Most keys with one start among which a digest is looked for.
const MAX_ALIKE: u32 = 4096;

/// Octets of a digest with its mark.
const DIGESTED: usize = 18;
/// Octets of the digest of a service's address with its hyphen.
const SERVICE_DIGEST: usize = 17;
/// Octets that one character of a key takes at most.
const LONGEST: usize = 12;
/// What hashing one key costs, in list entries read.
const HASH: u64 = 250;

/// Prefix of people.
pub(super) const PERSON: &str = "003-";
/// Prefix of activities.
pub(super) const ROLE: &str = "005-";
/// Prefix of structures.
pub(super) const PLACE: &str = "001-";
/// Prefix of services.
pub(super) const SERVICE: &str = "004-";

fn digest(text: &str, digits: usize) -> String {
    let mut hex = hex(&sha256(text.as_bytes()));
    hex.truncate(digits);
    hex
}

/// A key in the characters that an id may have.
fn encode(prefix: &str, key: &str, room: usize) -> String {
    let escaped = |key: &str| -> String {
        let one = |c: char| {
            let plain = c.is_ascii_alphanumeric() || c == '-';
            let mut octets = [0; 4];
            let octets = c.encode_utf8(&mut octets).bytes();
            if plain { c.to_string() } else { octets.map(|byte| format!(".{byte:02x}")).collect() }
        };
        key.chars().map(one).collect()
    };
    let whole = escaped(key);
    if prefix.len().saturating_add(whole.len()) <= room {
        return format!("{prefix}{whole}");
    }
    let mut start = String::new();
    for c in key.chars() {
        let next = escaped(&c.to_string());
        if start.len().saturating_add(next.len()) > room.saturating_sub(prefix.len()).saturating_sub(DIGESTED) {
            break;
        }
        start.push_str(&next);
    }
    format!("{prefix}{start}..{}", digest(key, 16))
}

/// What an id stands for: a key, or the start of one and its digest.
fn decode(id: &str) -> Option<(String, Option<&str>)> {
    let (text, digest) = match id.split_once("..") {
        Some((text, digest)) => (text, Some(digest)),
        None => (id, None),
    };
    let mut octets = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        octets.push(match byte {
            b'.' => {
                let mut digit = || bytes.next().and_then(|byte| char::from(byte).to_digit(16));
                let (high, low) = (digit()?, digit()?);
                u8::try_from(high.saturating_mul(16).saturating_add(low)).ok()?
            }
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' => byte,
            _ => return None,
        });
    }
    Some((String::from_utf8(octets).ok()?, digest))
}

/// The row of a sorted column whose key an id stands for; `room` is what a whole key had.
fn row_of(g: &Generation, id: &str, room: usize, work: &Work, text: impl Fn(u32) -> u32, rows: u32) -> Option<u32> {
    let (key, wanted) = decode(id)?;
    if key.is_empty() {
        return None;
    }
    let from = g.lower_bound(rows, &key, &text);
    match wanted {
        None => (from < rows && g.text.get(text(from)) == key).then_some(from),
        Some(wanted) => {
            // A digest stands behind as much of the key as there was room for: a short start is nothing that we wrote, and
            // half the country would have to be hashed for it.
            if id.find("..").is_none_or(|start| start.saturating_add(DIGESTED).saturating_add(LONGEST) <= room) {
                return None;
            }
            let to = partition(from, rows, |row| g.text.get(text(row)).starts_with(&key));
            let mut alike = (from..to.min(from.saturating_add(MAX_ALIKE))).take_while(|_| !work.is_spent());
            alike.find(|row| {
                work.spend(HASH);
                digest(g.text.get(text(*row)), 16) == wanted
            })
        }
    }
}

/// The id of a person.
pub(super) fn person(person: &Person<'_>) -> String {
    person_key(person.id_text())
}

/// The id of the person with this national identifier.
pub(super) fn person_key(key: &str) -> String {
    encode(PERSON, key, MAX_ID)
}

/// The id of a structure.
pub(super) fn place(place: &Structure<'_>) -> String {
    place_key(place.key())
}

/// The id of the structure with this key.
pub(super) fn place_key(key: &str) -> String {
    encode(PLACE, key, MAX_ID)
}

/// The id of a service: that of its structure, and a digest of its address. The address itself does not stand in it: ids
/// are told of what has left, too, and of what was put on the red list.
pub(super) fn service(mailbox: &Mailbox<'_>) -> String {
    let place = mailbox.structures().next().map_or("", |place| place.key());
    let start = encode(SERVICE, place, MAX_ID.saturating_sub(SERVICE_DIGEST));
    format!("{start}-{}", digest(mailbox.key(), 16))
}

/// The service of this id among the mailboxes of its structure.
fn find_service<'g>(g: &'g Generation, id: &str, work: &Work) -> Option<Mailbox<'g>> {
    let (start, wanted) = id.strip_prefix(SERVICE)?.rsplit_once('-')?;
    let t = &g.tables;
    let room = MAX_ID.saturating_sub(SERVICE_DIGEST).saturating_sub(SERVICE.len());
    let row = row_of(g, start, room, work, |row| t.structure_key.text_at(row), t.structure_key.len())?;
    let mailboxes = Structure { generation: g, row }.mailboxes().take_while(|_| !work.is_spent());
    mailboxes.filter(is_service).find(|mailbox| {
        work.spend(HASH);
        digest(mailbox.key(), 16) == wanted && mailbox.structures().next().is_some_and(|place| place.row == row)
    })
}

/// What tells an activity from the others of the same person: profession, place, function and kind. The extracts have
/// no identifier of activities.
fn role_digest(activity: &Activity<'_>) -> String {
    let t = &activity.generation.tables;
    let text = |column: &crate::generation::Column| {
        activity.generation.text.get(column.text_at(activity.row)).split('|').next().unwrap_or_default()
    };
    let place = activity.structure().map_or("", |place| place.key());
    digest(&[text(&t.activity_profession), place, text(&t.activity_function), text(&t.activity_kind)].join("|"), 10)
}

/// The id of an activity.
pub(super) fn role(activity: &Activity<'_>) -> String {
    let own = role_digest(activity);
    let person = activity.person();
    let before = person.activities().take_while(|other| other.row < activity.row);
    let twins = before.filter(|other| role_digest(other) == own).count();
    let start = encode(ROLE, person.id_text(), MAX_ID.saturating_sub(14));
    if twins == 0 { format!("{start}-{own}") } else { format!("{start}-{own}{twins:03}") }
}

/// Whether an id is of an activity of the person with this national identifier.
pub(super) fn is_role_of(person: &str, id: &str) -> bool {
    let start = encode(ROLE, person, MAX_ID.saturating_sub(14));
    id.strip_prefix(&start).is_some_and(|rest| rest.starts_with('-'))
}

/// Whose activity an id names.
pub(super) fn role_person<'g>(g: &'g Generation, id: &str, work: &Work) -> Option<Person<'g>> {
    let (start, _) = id.strip_prefix(ROLE)?.rsplit_once('-')?;
    let t = &g.tables;
    let room = MAX_ID.saturating_sub(14).saturating_sub(ROLE.len());
    let row = row_of(g, start, room, work, |row| t.person_id.text_at(row), t.person_id.len())?;
    Some(Person { generation: g, row })
}

/// What an id names in a generation.
pub(super) fn find<'g>(g: &'g Generation, id: &str, work: &Work) -> Option<Item<'g>> {
    let t = &g.tables;
    let room = MAX_ID.saturating_sub(PERSON.len());
    if let Some(rest) = id.strip_prefix(PERSON) {
        let row = row_of(g, rest, room, work, |row| t.person_id.text_at(row), t.person_id.len())?;
        return Some(Item::Person(Person { generation: g, row }));
    }
    if let Some(rest) = id.strip_prefix(PLACE) {
        let row = row_of(g, rest, room, work, |row| t.structure_key.text_at(row), t.structure_key.len())?;
        return Some(Item::Place(Structure { generation: g, row }));
    }
    if id.starts_with(SERVICE) {
        return find_service(g, id, work).map(Item::Service);
    }
    role_person(g, id, work)?.activities().find(|activity| role(activity) == id).map(Item::Role)
}

/// Whether a mailbox is that of a service: an organisation's, with the name of a service, in a structure.
pub(super) fn is_service(mailbox: &Mailbox<'_>) -> bool {
    mailbox.kind() == MailboxType::Organisation
        && !mailbox.service().is_empty()
        && mailbox.people().next().is_none()
        && mailbox.structures().next().is_some()
}

/// The key of the person or structure that an id stands for, whether or not it is there.
pub(super) fn key_of(id: &str) -> Option<String> {
    let rest = id.strip_prefix(PERSON).or_else(|| id.strip_prefix(PLACE))?;
    decode(rest).filter(|(_, digest)| digest.is_none()).map(|(key, _)| key)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ids_are_those_of_the_national_registers() {
        assert_eq!(person_key("899700000001"), "003-899700000001");
        assert_eq!(person_key("3990000001/0001"), "003-3990000001.2f0001");
        assert_eq!(key_of("003-3990000001.2f0001").as_deref(), Some("3990000001/0001"));
        for id in ["003-", "003-é", "003-.zz", "003-a_b", "x"] {
            assert!(key_of(id).is_none_or(|key| key.is_empty()), "{id}");
        }
    }

    proptest! {
        #[test]
        fn every_key_fits_and_is_read_again(key in "\\PC{1,90}") {
            let id = place_key(&key);
            prop_assert!(id.len() <= MAX_ID, "{} is long", id);
            prop_assert!(id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.'));
            let (text, digest) = decode(id.strip_prefix(PLACE).unwrap()).unwrap();
            prop_assert!(key.starts_with(&text));
            prop_assert!(digest.is_some() || text == key);
        }
    }
}
