//! Mailboxes that nobody uses: measured by the trail, told to the operator, closed by an order like any other where the
//! operator has settled that (BAL-4). Whoever wants one kept says `keep_unused`; `reopen` undoes.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use annuaire::{
    RegisteredMailbox,
    desk::{Carried, National, Order, Rules},
};
use ident::{Address, Timestamp};
use tokio::sync::watch;
use trail::{Event, Record};

use super::{FileError, Note, RegistryFile, activity::Activity};
use crate::{config::Inactive, gateway::Gateway, health, snapshot::Snapshot};

/// How often the trail is looked at.
const LOOK: Duration = Duration::from_secs(3);
/// Entries that are read at once.
const ENTRIES: u64 = 2000;
/// How far it was read is written at least so often.
const KEEP: Duration = Duration::from_secs(3600);
/// So many mailboxes may be closed in one look, or this share of the open ones, whichever is more.
const CLOSED_AT_ONCE: usize = 5;
const CLOSED_SHARE: usize = 20;
/// The alarm of mailboxes that nobody uses.
const UNUSED: &str = "mailboxes-unused";
/// The alarm of unused mailboxes that are not closed, or whose use cannot be measured.
const FAILING: &str = "unused-not-closed";

/// Measures, tells and closes until `stopping` turns true.
pub(crate) async fn run(gateway: Arc<Gateway>, mut stopping: watch::Receiver<bool>) {
    let mut keeper = Keeper::default();
    let mut alarms = [None; 2];
    loop {
        let found = match gateway.snapshot().config.annuaire.inactive.clone() {
            None => {
                keeper = Keeper::default();
                Found::default()
            }
            Some(settings) => {
                // Its own thread: a year of a trail takes its time, and the mail does not wait for it.
                let (worker, stop) = (Arc::clone(&gateway), stopping.clone());
                let look = tokio::task::spawn_blocking(move || {
                    let found = keeper.look(&worker, &settings, &stop);
                    (keeper, found)
                });
                let (kept, found) =
                    look.await.unwrap_or_else(|error| (Keeper::default(), Found::failed(error.to_string())));
                keeper = kept;
                found
            }
        };
        alarms = tell(&gateway, alarms, found);
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            _ = stopping.wait_for(|stopping| *stopping) => return,
        }
    }
}

/// What is remembered from one look to the next.
#[derive(Default)]
struct Keeper {
    activity: Option<Activity>,
    /// Why the last closing failed, and until when it is not tried again.
    failed: Option<(Timestamp, String)>,
}

/// What one look found.
#[derive(Debug, Default, PartialEq, Eq)]
struct Found {
    unused: usize,
    first: Option<String>,
    failed: Option<String>,
}

impl Found {
    fn failed(why: String) -> Self {
        Self { failed: Some(why), ..Self::default() }
    }
}

fn tell(gateway: &Gateway, before: [Option<&'static str>; 2], found: Found) -> [Option<&'static str>; 2] {
    let [unused, failing] = before;
    let first = found.first.map(|first| (UNUSED, warning(found.unused, &first)));
    [
        health::tell(
            gateway,
            unused,
            first,
            "mailboxes carry no mail: see `sceau annuaire mailbox list --unused`, keep one by `change --keep-unused true`",
        ),
        health::tell(gateway, failing, found.failed.map(|why| (FAILING, why)), "unused mailboxes are not closed"),
    ]
}

/// What the warning says: what is measured, and what is not. Whoever only reads looks unused here, and may be told so wrongly.
fn warning(count: usize, first: &str) -> String {
    format!(
        "{count} boîte(s) sans message émis ni remis, {first} la première ; la lecture n'est pas mesurée : demandez au titulaire \
         avant de fermer / {count} mailbox(es) without a message sent or delivered, {first} first; reading is not measured: ask \
         the holder before it is closed"
    )
}

/// Why a mailbox is closed, for the trail.
fn reason(since: Timestamp) -> String {
    let since = since.rfc3339();
    format!(
        "aucun message émis ni remis depuis {since} (lecture non mesurée) / not used since {since}: no message sent or \
         delivered (reading is not measured)"
    )
}

impl Keeper {
    fn look(&mut self, gateway: &Gateway, settings: &Inactive, stopping: &watch::Receiver<bool>) -> Found {
        let (snapshot, now) = (gateway.snapshot(), gateway.now());
        let measured = measure(self.activity.take(), gateway, &snapshot, now, stopping);
        let activity = match measured {
            Ok(Some(activity)) => self.activity.insert(activity),
            Ok(None) => return Found::default(),
            Err(why) => return Found::failed(why),
        };
        let (mut found, mut keys, mut due) = (Found::default(), BTreeSet::new(), Vec::new());
        let mut open = 0usize;
        for own in snapshot.domains.values() {
            open = open.saturating_add(own.registry.mailboxes().iter().filter(|it| it.is_open()).count());
            for (mailbox, since) in activity.unused(&own.registry, settings.warn_after.0, now) {
                keys.insert(mailbox.address.key());
                found.first.get_or_insert_with(|| mailbox.address.to_string());
                if is_due(settings, activity.told(mailbox), since, now) {
                    due.push((mailbox, since));
                }
            }
        }
        found.unused = keys.len();
        if activity.tell(&keys, now)
            && let Err(error) = activity.write(&gateway.data())
        {
            found.failed = Some(error.to_string());
            return found;
        }
        self.failed = self.failed.take().filter(|(until, _)| now < *until && !due.is_empty());
        if self.failed.is_none() && !due.is_empty() {
            let outcome = if due.len() > CLOSED_AT_ONCE.max(open.div_euclid(CLOSED_SHARE)) {
                Err(format!("{} would be closed at once: close them by `sceau annuaire mailbox import`", due.len()))
            } else {
                close(gateway, &snapshot, &due, now)
            };
            self.failed = outcome.err().map(|why| (now.plus(KEEP), why));
        }
        found.failed = self.failed.as_ref().map(|(_, why)| why.clone());
        found
    }
}

/// Whether it is closed now: it was told for as long as was settled, too.
fn is_due(settings: &Inactive, told: Option<Timestamp>, unused: Timestamp, now: Timestamp) -> bool {
    let long = settings.close_after.is_some_and(|close| now.since(unused) >= close.0);
    long && told.is_some_and(|told| now.since(told) >= settings.notice.0)
}

/// The uses up to now. None while there is no trail yet, or when the service stops meanwhile.
fn measure(
    before: Option<Activity>,
    gateway: &Gateway,
    snapshot: &Snapshot,
    now: Timestamp,
    stopping: &watch::Receiver<bool>,
) -> Result<Option<Activity>, String> {
    if gateway.checkpoints.ours().is_none() {
        return Ok(None);
    }
    let data = gateway.data();
    let reader = gateway.secrets.reader(&data).map_err(|error| error.to_string())?;
    let mut activity = match before {
        Some(activity) => activity,
        None => Activity::read(&data).map_err(|error| error.to_string())?.unwrap_or_default(),
    };
    activity.begins_anew(reader.checkpoint().map_err(|error| error.to_string())?.0.size);
    let domains = snapshot.domains.keys().cloned().collect();
    let mut news = activity.written().is_none_or(|written| now.since(written) >= KEEP);
    loop {
        if *stopping.borrow() {
            return Ok(None);
        }
        let entries = reader.from(activity.entries, ENTRIES).map_err(|error| error.to_string())?;
        if entries.is_empty() {
            break;
        }
        news |= activity.take(&entries, &domains);
    }
    activity.is_current(now);
    if news {
        let registries: Vec<_> = snapshot.domains.values().map(|own| &*own.registry).collect();
        activity.tidy(&registries);
        activity.write(&data).map_err(|error| error.to_string())?;
        activity.was_written(now);
        tracing::debug!(entries = activity.entries, "uses of mailboxes measured");
    }
    Ok(Some(activity))
}

/// Closes them by orders in their registries, each told to the trail with its reason.
fn close(
    gateway: &Gateway,
    snapshot: &Snapshot,
    due: &[(&RegisteredMailbox, Timestamp)],
    now: Timestamp,
) -> Result<(), String> {
    let mut files: BTreeMap<PathBuf, Vec<(&Address, Timestamp)>> = BTreeMap::new();
    for configured in &snapshot.config.domains {
        let here = due.iter().filter(|(own, _)| own.address.domain() == &configured.name);
        let here: Vec<_> = here.map(|(own, since)| (&own.address, *since)).collect();
        if !here.is_empty() {
            files.entry(gateway.path(&configured.registry)).or_default().extend(here);
        }
    }
    for (path, boxes) in files {
        let file = RegistryFile::new(path);
        close_in(&file, &boxes, now, |note| {
            let event = Event::OperatorAction {
                operator: gateway.masker.text(&note.by),
                action: note.action.clone(),
                target: gateway.masker.text(&note.target),
                reason: note.reason.as_ref().map(|reason| gateway.masker.text(reason)),
            };
            gateway.record(Record::new(note.at, event));
        })
        .map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// Closes mailboxes of one registry. What the trail was to be told before is told, too.
fn close_in(
    file: &RegistryFile,
    boxes: &[(&Address, Timestamp)],
    now: Timestamp,
    tell: impl Fn(&Note),
) -> Result<(), FileError> {
    let rules = Rules { domains: BTreeSet::new(), reuse_after: None, accept_unknown: false, now };
    let mut changing = file.change()?;
    let mut notes = Vec::new();
    for (address, since) in boxes {
        // Whoever was quicker: an order of a moment ago that keeps it, or closes it with a successor.
        if !changing.draft.mailbox(address).is_some_and(|own| own.is_open() && !own.keep_unused) {
            continue;
        }
        let order = Order::Close { address: (*address).clone(), successor: None };
        if let Ok(Carried::Done(_)) = changing.draft.carry_out(&order, National::default(), &rules) {
            let reason = reason(*since);
            tracing::info!(%address, reason, "mailbox closed");
            notes.push(Note {
                at: now,
                by: "sceau [annuaire.inactive]".to_owned(),
                action: order.verb().to_owned(),
                target: address.to_string(),
                reason: Some(reason),
            });
        }
    }
    changing.write(notes)?;
    changing.untold().iter().for_each(tell);
    changing.told()
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, fs};

    use super::*;
    use crate::config::Span;

    const AT: Timestamp = Timestamp::from_seconds(1_796_000_000);
    const DAY: Duration = Duration::from_secs(86_400);

    /// REG-5.
    #[test]
    fn a_mailbox_is_closed_only_where_that_is_settled_and_after_notice() {
        let never = Inactive::default();
        let settled = Inactive { close_after: Some(Span(DAY * 365)), ..Inactive::default() };
        let now = AT.plus(DAY * 400);
        assert!(!is_due(&never, Some(AT), AT, now));
        assert!(is_due(&settled, Some(now.minus(DAY * 30)), AT, now));
        assert!(!is_due(&settled, Some(now.minus(DAY * 29)), AT, now), "its holder had no month");
        assert!(!is_due(&settled, None, AT, now), "nobody was told");
        assert!(!is_due(&settled, Some(AT), now.minus(DAY * 364), now));
    }

    /// REG-5.
    #[test]
    fn what_is_closed_is_an_order_in_the_registry_with_its_reason() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("registry.toml");
        let entry = |name: &str, more: &str| {
            format!(
                "[[mailbox]]\naddress = \"{name}@ch-exemple.test\"\ntype = \"PER\"\nowner = \"899700000001\"\n{more}\n"
            )
        };
        fs::write(&path, [entry("a", ""), entry("b", "keep_unused = true"), entry("c", "")].concat()).unwrap();
        let address = |name: &str| Address::parse(&format!("{name}@ch-exemple.test")).unwrap();
        let boxes = [address("a"), address("b"), address("gone")];
        let boxes: Vec<_> = boxes.iter().map(|address| (address, AT)).collect();
        let told = RefCell::new(Vec::new());
        let file = RegistryFile::new(path.clone());
        close_in(&file, &boxes, AT.plus(DAY * 400), |note| told.borrow_mut().push(note.clone())).unwrap();
        let registry = annuaire::Registry::read(&path).unwrap();
        let open: Vec<_> = registry.mailboxes().iter().map(RegisteredMailbox::is_open).collect();
        assert_eq!(open, [false, true, true]);
        let told = told.into_inner();
        assert_eq!(told.len(), 1);
        assert_eq!((told[0].action.as_str(), told[0].target.as_str()), ("mailbox.close", "a@ch-exemple.test"));
        assert!(told[0].reason.as_ref().unwrap().contains("not used since 2026-"));
    }

    /// REG-5: who only reads is not seen to; the warning says so, in both languages.
    #[test]
    fn the_warning_says_that_reading_is_not_measured() {
        let words = warning(3, "a@ch-exemple.test");
        assert!(words.contains("3 boîte(s) sans message émis ni remis, a@ch-exemple.test"), "{words}");
        assert!(words.contains("la lecture n'est pas mesurée") && words.contains("reading is not measured"), "{words}");
        let reason = reason(AT);
        assert!(reason.contains("lecture non mesurée") && reason.contains("reading is not measured"), "{reason}");
    }
}
