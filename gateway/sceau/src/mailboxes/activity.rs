//! When each of our mailboxes was last used, as far as this gateway carried the messages: derived from the trail, so that
//! no crash makes it forget a use, and thrown away at will.
//!
//! Reading is the inner mail system's matter and is not seen here. So a mailbox that still gets mail counts as used.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use annuaire::{RegisteredMailbox, Registry};
use ident::{Domain, Timestamp};
use serde::{Deserialize, Serialize};
use trail::{Direction, Event, Party, Record, log::Hit};

use crate::replace::replace;

/// Largest such file.
const MAX_FILE: u64 = 64 * 1024 * 1024;
/// What was not looked at for so long is not known.
const FRESH: Duration = Duration::from_secs(2 * 86_400);
const DAY: i64 = 86_400_000;

/// The uses of our mailboxes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Activity {
    /// Entries of the trail that were looked at.
    pub(crate) entries: u64,
    /// From when on every use is known.
    since: Option<Timestamp>,
    /// Until when.
    until: Option<Timestamp>,
    boxes: BTreeMap<String, Uses>,
    /// Since when somebody is told that a mailbox is not used.
    told: BTreeMap<String, Timestamp>,
    /// When this was last written.
    #[serde(skip)]
    written: Option<Timestamp>,
}

/// The last uses of a mailbox, to the day: the first of that day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Uses {
    /// A message was taken from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sent: Option<Timestamp>,
    /// One was delivered to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) delivered: Option<Timestamp>,
}

/// What is known of a mailbox's use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// Nobody looked, or not lately.
    NotMeasured,
    /// It is measured.
    Measured {
        /// From when on.
        since: Timestamp,
        /// The last uses, if there were any.
        last: Uses,
        /// Since when it is not used.
        unused: Timestamp,
        /// Since when somebody is told.
        told: Option<Timestamp>,
    },
}

impl Activity {
    /// Takes entries of the trail in, in their order. Whether there is news worth keeping.
    pub(crate) fn take(&mut self, entries: &[Hit], own: &BTreeSet<Domain>) -> bool {
        let mut news = false;
        for entry in entries {
            self.entries = entry.leaf.saturating_add(1);
            match entry.records.first() {
                // Erased before it was looked at: nothing before what comes next is known.
                None => self.since = None,
                Some(first) => self.since = self.since.or(Some(first.at)),
            }
            for record in &entry.records {
                news |= self.note(record, own);
            }
        }
        news
    }

    fn note(&mut self, record: &Record, own: &BTreeSet<Domain>) -> bool {
        let ours = |party: &Party| match party {
            Party::Mailbox(address) if own.contains(address.domain()) => Some(address.key()),
            _ => None,
        };
        match &record.event {
            Event::Accepted(facts) if facts.direction != Direction::Incoming => {
                let mut news = false;
                for key in facts.from.iter().chain(&facts.author).filter_map(ours) {
                    news |= later(&mut self.boxes.entry(key).or_default().sent, record.at);
                }
                news
            }
            Event::Delivered { .. } => {
                let to = record.recipient.as_ref().and_then(ours);
                to.is_some_and(|key| later(&mut self.boxes.entry(key).or_default().delivered, record.at))
            }
            _ => false,
        }
    }

    /// The trail has so many entries: if there were more of them, it is another one, and what it knows begins anew.
    pub(crate) fn begins_anew(&mut self, size: u64) {
        if size < self.entries {
            (self.entries, self.since, self.until) = (0, None, None);
        }
    }

    /// Everything that was there has been looked at.
    pub(crate) fn is_current(&mut self, now: Timestamp) {
        self.until = Some(now);
    }

    /// When this was last written, as far as we did.
    pub(crate) const fn written(&self) -> Option<Timestamp> {
        self.written
    }

    /// It was written now.
    pub(crate) fn was_written(&mut self, now: Timestamp) {
        self.written = Some(now);
    }

    /// What is known of a mailbox.
    pub(crate) fn of(&self, own: &RegisteredMailbox, now: Timestamp) -> Use {
        let (Some(since), Some(until)) = (self.since, self.until) else { return Use::NotMeasured };
        if now.since(until) > FRESH || until > now.plus(FRESH) {
            return Use::NotMeasured;
        }
        let key = own.address.key();
        let last = self.boxes.get(&key).copied().unwrap_or_default();
        let since = own.created.map_or(since, |created| created.max(since));
        let unused = last.sent.max(last.delivered).map_or(since, |last| last.max(since));
        Use::Measured { since, last, unused, told: self.told.get(&key).copied() }
    }

    /// Open mailboxes that were not used for so long, but for those that their holders want kept.
    pub(crate) fn unused<'r>(
        &self,
        registry: &'r Registry,
        longer_than: Duration,
        now: Timestamp,
    ) -> Vec<(&'r RegisteredMailbox, Timestamp)> {
        let open = registry.mailboxes().iter().filter(|own| own.is_open() && !own.keep_unused);
        let unused = open.filter_map(|own| match self.of(own, now) {
            Use::Measured { unused, .. } if now.since(unused) >= longer_than => Some((own, unused)),
            _ => None,
        });
        unused.collect()
    }

    /// Says of which mailboxes somebody is told now; whoever is not among them is told anew one day. Whether that is news.
    pub(crate) fn tell(&mut self, keys: &BTreeSet<String>, now: Timestamp) -> bool {
        let before = self.told.len();
        self.told.retain(|key, _| keys.contains(key));
        let fewer = self.told.len() != before;
        let fresh: Vec<String> = keys.iter().filter(|key| !self.told.contains_key(*key)).cloned().collect();
        let more = !fresh.is_empty();
        self.told.extend(fresh.into_iter().map(|key| (key, now)));
        fewer || more
    }

    /// Since when somebody is told.
    pub(crate) fn told(&self, own: &RegisteredMailbox) -> Option<Timestamp> {
        self.told.get(&own.address.key()).copied()
    }

    /// Forgets what is no mailbox of ours.
    pub(crate) fn tidy(&mut self, registries: &[&Registry]) {
        let ours: BTreeSet<String> =
            registries.iter().flat_map(|own| own.mailboxes()).map(|own| own.address.key()).collect();
        self.boxes.retain(|key, _| ours.contains(key));
    }

    fn path(data: &Path) -> PathBuf {
        data.join("mailbox-activity.json")
    }

    /// What was written last; nothing if nobody measured.
    ///
    /// # Errors
    /// Those of the disk; a file that is not ours.
    pub(crate) fn read(data: &Path) -> io::Result<Option<Self>> {
        let path = Self::path(data);
        match fs::metadata(&path) {
            Ok(found) if found.len() > MAX_FILE => Err(io::Error::other("the file of activity is too large")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            _ => Ok(Some(serde_json::from_str(&fs::read_to_string(&path)?)?)),
        }
    }

    /// Writes it.
    ///
    /// # Errors
    /// Those of the disk.
    pub(crate) fn write(&self, data: &Path) -> io::Result<()> {
        replace(&Self::path(data), &serde_json::to_vec(self)?)
    }
}

/// Whether this is a use on a later day.
fn later(last: &mut Option<Timestamp>, at: Timestamp) -> bool {
    let day = |at: Timestamp| at.millis().div_euclid(DAY);
    let news = last.is_none_or(|last| day(at) > day(last));
    if news {
        *last = Some(at);
    }
    news
}

#[cfg(test)]
mod tests {
    use ident::Address;
    use trail::{Acceptance, DeliveryFacts};

    use super::*;

    const AT: Timestamp = Timestamp::from_seconds(1_796_000_000);

    fn day(days: u32) -> Timestamp {
        AT.plus(Duration::from_secs(86_400) * days)
    }

    fn registry(more: &str) -> Registry {
        let text = format!(
            "[[mailbox]]\naddress = \"a@ch-exemple.test\"\ntype = \"PER\"\nowner = \"899700000001\"\n{more}\n\
             [[mailbox]]\naddress = \"b@ch-exemple.test\"\ntype = \"PER\"\nowner = \"899700000002\"\n"
        );
        Registry::parse(&text).unwrap()
    }

    fn party(text: &str) -> Party {
        Party::Mailbox(Address::parse(text).unwrap())
    }

    fn sent(leaf: u64, from: &str, at: Timestamp) -> Hit {
        let facts = Acceptance {
            direction: Direction::Outgoing,
            from: Some(party(from)),
            author: None,
            message_id: None,
            digest: ident::Fingerprint::new([0; 32]),
            size: 1,
            recipients: 1,
            connection: None,
            speaker: None,
            policy: None,
            trust_list: None,
            directory: None,
        };
        Hit { leaf, records: vec![Record::new(at, Event::Accepted(Box::new(facts)))] }
    }

    fn delivered(leaf: u64, to: &str, at: Timestamp) -> Hit {
        let delivery = DeliveryFacts::default();
        let record = Record::new(at, Event::Delivered { number: 1, delivery }).of_recipient(party(to));
        Hit { leaf, records: vec![record] }
    }

    fn own() -> BTreeSet<Domain> {
        BTreeSet::from([Domain::parse("ch-exemple.test").unwrap()])
    }

    fn unused(activity: &Activity, registry: &Registry, days: u32, now: Timestamp) -> Vec<String> {
        let longer = Duration::from_secs(86_400) * days;
        activity.unused(registry, longer, now).iter().map(|(own, _)| own.address.to_string()).collect()
    }

    /// REG-5.
    #[test]
    fn a_mailbox_is_unused_when_neither_sent_from_nor_delivered_to_since_it_is_measured() {
        let (mut activity, plain) = (Activity::default(), registry(""));
        let entries = [sent(0, "A@ch-exemple.test", day(0)), delivered(1, "b@ch-exemple.test", day(100))];
        assert!(activity.take(&entries, &own()));
        assert!(!activity.take(&[delivered(2, "b@ch-exemple.test", day(100).plus(Duration::from_secs(60)))], &own()));
        assert!(!activity.take(&[delivered(3, "x@ch-autre.test", day(100))], &own()));
        assert_eq!(activity.of(&plain.mailboxes()[0], day(100)), Use::NotMeasured, "nobody said how far it was read");
        activity.is_current(day(120));
        assert_eq!(unused(&activity, &plain, 101, day(120)), ["a@ch-exemple.test"]);
        assert_eq!(unused(&activity, &plain, 20, day(120)), ["a@ch-exemple.test", "b@ch-exemple.test"]);
        assert!(unused(&activity, &plain, 121, day(120)).is_empty());
        assert_eq!(activity.entries, 4);
        let Use::Measured { last, unused, .. } = activity.of(&plain.mailboxes()[1], day(120)) else { panic!() };
        assert_eq!((last.sent, last.delivered, unused), (None, Some(day(100)), day(100)));
        activity.begins_anew(4);
        assert_eq!(activity.entries, 4);
        // What its holder wants kept, what is closed, and what was opened since.
        for more in ["keep_unused = true", "closed = \"2026-11-30\"", &format!("created = \"{}\"", day(50).rfc3339())] {
            assert!(self::unused(&activity, &registry(more), 101, day(120)).is_empty(), "{more}");
        }
    }

    /// REG-5: never closed on what nobody measured.
    #[test]
    fn what_was_erased_or_not_looked_at_is_not_measured() {
        let (mut activity, plain) = (Activity::default(), registry(""));
        activity.is_current(day(400));
        assert!(unused(&activity, &plain, 0, day(400)).is_empty(), "an empty trail says nothing");
        activity.take(&[sent(0, "a@ch-exemple.test", day(0))], &own());
        activity.take(&[Hit { leaf: 1, records: vec![] }, sent(2, "a@ch-exemple.test", day(300))], &own());
        activity.is_current(day(400));
        assert_eq!(unused(&activity, &plain, 100, day(400)), ["a@ch-exemple.test", "b@ch-exemple.test"]);
        assert!(unused(&activity, &plain, 101, day(400)).is_empty(), "before day 300 nothing is known");
        assert!(unused(&activity, &plain, 100, day(403)).is_empty(), "the gateway was away");
        assert!(unused(&activity, &plain, 100, day(10)).is_empty(), "a clock that was set back");
        activity.begins_anew(2);
        assert_eq!((activity.entries, activity.of(&plain.mailboxes()[0], day(400))), (0, Use::NotMeasured));
    }

    /// REG-5.
    #[test]
    fn it_is_told_once_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Activity::read(folder.path()).unwrap(), None);
        let mut activity = Activity::default();
        activity.take(&[sent(0, "a@ch-exemple.test", day(0)), sent(1, "gone@ch-exemple.test", day(1))], &own());
        let keys = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<BTreeSet<String>>();
        assert!(activity.tell(&keys(&["a@ch-exemple.test"]), day(1)));
        assert!(!activity.tell(&keys(&["a@ch-exemple.test"]), day(2)));
        let plain = registry("");
        assert_eq!(activity.told(&plain.mailboxes()[0]), Some(day(1)));
        activity.tidy(&[&plain]);
        assert_eq!(activity.boxes.len(), 1);
        activity.write(folder.path()).unwrap();
        assert_eq!(Activity::read(folder.path()).unwrap(), Some(activity.clone()));
        assert!(activity.tell(&keys(&[]), day(3)));
        assert_eq!(activity.told(&plain.mailboxes()[0]), None);
        fs::write(Activity::path(folder.path()), "{").unwrap();
        assert!(Activity::read(folder.path()).is_err());
    }
}
