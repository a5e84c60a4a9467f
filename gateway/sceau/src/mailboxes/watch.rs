//! Registries that were changed are in force within a second, without a reload of anything else; the trail is told how
//! they differ, whoever changed them.

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use annuaire::{RegisteredMailbox, Registry};
use ident::Domain;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use trail::{Event, Record, RegistryChange};

use super::FileStamp;
use crate::{gateway::Gateway, health, replace::replace};

/// How often the files are looked at: one call to the system each.
const LOOK: Duration = Duration::from_millis(500);
/// The alarm of a registry that cannot be read: the one before stays in force.
const REFUSED: &str = "registry-refused";

/// Follows the registries until `stopping` turns true.
pub(crate) async fn run(gateway: Arc<Gateway>, mut stopping: watch::Receiver<bool>) {
    let mut follower = Follower::default();
    loop {
        follower.look(&gateway).await;
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            _ = stopping.wait_for(|stopping| *stopping) => return,
        }
    }
}

#[derive(Default)]
struct Follower {
    /// What was in force when it was last told.
    told: BTreeMap<Domain, Arc<Registry>>,
    /// Versions that could not be read.
    wrong: BTreeMap<Domain, (FileStamp, String)>,
    alarm: Option<&'static str>,
}

impl Follower {
    async fn look(&mut self, gateway: &Arc<Gateway>) {
        let snapshot = gateway.snapshot();
        let mut changed: Vec<(Domain, PathBuf)> = Vec::new();
        for configured in &snapshot.config.domains {
            let (Some(own), path) = (snapshot.own(&configured.name), gateway.path(&configured.registry)) else {
                continue;
            };
            let stamp = FileStamp::of(&path);
            if stamp == own.registry_stamp {
                self.wrong.remove(&own.name);
            } else if self.wrong.get(&own.name).is_none_or(|(wrong, _)| *wrong != stamp) {
                changed.push((own.name.clone(), path));
            }
        }
        self.wrong.retain(|domain, _| snapshot.own(domain).is_some());
        if !changed.is_empty() {
            self.take_up(gateway, changed).await;
        }
        let why: Vec<&str> = self.wrong.values().map(|(_, why)| why.as_str()).collect();
        let trouble = (!why.is_empty()).then(|| (REFUSED, why.join("; ")));
        self.alarm = health::tell(gateway, self.alarm, trouble, "a registry is refused, the one before stays in force");
        self.tell(gateway);
    }

    async fn take_up(&mut self, gateway: &Arc<Gateway>, changed: Vec<(Domain, PathBuf)>) {
        let worker = Arc::clone(gateway);
        let read = tokio::task::spawn_blocking(move || {
            let (mut good, mut wrong) = (BTreeMap::new(), BTreeMap::new());
            for (domain, path) in changed {
                // Before the content: a change between the two is read again.
                let stamp = FileStamp::of(&path);
                match Registry::read(&path) {
                    Ok(registry) => drop(good.insert(domain, (Arc::new(registry), stamp))),
                    Err(error) => drop(wrong.insert(domain, (stamp, format!("{}: {error}", path.display())))),
                }
            }
            if !good.is_empty() {
                let _one_at_a_time = worker.changing();
                worker.replace(worker.snapshot().registering(good));
                worker.wake.notify_one();
            }
            wrong
        });
        match read.await {
            Ok(wrong) => self.wrong.extend(wrong),
            Err(error) => tracing::error!(%error, "a registry could not be read"),
        }
    }

    /// Says what is in force now, and how it differs from what was.
    fn tell(&mut self, gateway: &Gateway) {
        let snapshot = gateway.snapshot();
        let mut news = false;
        for own in snapshot.domains.values() {
            let before = self.told.get(&own.name);
            if before.is_some_and(|before| Arc::ptr_eq(before, &own.registry)) {
                continue;
            }
            news = true;
            let change = before.map(|before| differences(before, &own.registry));
            let mailboxes = open(&own.registry);
            let digest = own.registry.digest().to_owned();
            if before.is_none_or(|before| before.digest() != digest) {
                tracing::info!(domain = %own.name, digest, mailboxes, "registry in force");
                let event = Event::RegistryLoaded { domain: own.name.clone(), digest, mailboxes, change };
                gateway.record(Record::new(gateway.now(), event));
            }
            self.told.insert(own.name.clone(), Arc::clone(&own.registry));
        }
        self.told.retain(|domain, _| snapshot.own(domain).is_some());
        if news {
            let all = self.told.iter().map(|(domain, registry)| (domain.clone(), registry.digest().to_owned()));
            InForce(all.collect()).write(&gateway.data());
        }
    }
}

fn open(registry: &Registry) -> u64 {
    u64::try_from(registry.mailboxes().iter().filter(|own| own.is_open()).count()).unwrap_or(u64::MAX)
}

/// What the difference is called in the trail.
fn differences(before: &Registry, after: &Registry) -> RegistryChange {
    let known: HashMap<String, &RegisteredMailbox> =
        before.mailboxes().iter().map(|own| (own.address.key(), own)).collect();
    let mut change = RegistryChange { created: 0, changed: 0, closed: 0 };
    let mut left = known.values().filter(|own| own.is_open()).count();
    for own in after.mailboxes() {
        let former = known.get(&own.address.key()).filter(|former| former.is_open());
        match (former, own.is_open()) {
            (None, true) => change.created = change.created.saturating_add(1),
            (Some(former), true) => {
                left = left.saturating_sub(1);
                if (RegisteredMailbox { line: own.line, ..(**former).clone() }) != *own {
                    change.changed = change.changed.saturating_add(1);
                }
            }
            _ => {}
        }
    }
    change.closed = u64::try_from(left).unwrap_or(u64::MAX);
    change
}

/// Which registries are in force, for whoever waits for theirs to be: a file in the data folder.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct InForce(BTreeMap<Domain, String>);

impl InForce {
    fn path(data: &Path) -> PathBuf {
        data.join("registries.json")
    }

    fn write(&self, data: &Path) {
        let written = serde_json::to_vec(self).map_err(std::io::Error::from);
        if let Err(error) = written.and_then(|octets| replace(&Self::path(data), &octets)) {
            tracing::warn!(%error, "which registries are in force could not be noted: commands that wait for it wait in vain");
        }
    }

    /// Whether a gateway answers by this registry.
    pub(crate) fn is(data: &Path, domain: &Domain, digest: &str) -> bool {
        let read = std::fs::read(Self::path(data)).ok();
        let held: Option<Self> = read.and_then(|octets| serde_json::from_slice(&octets).ok());
        held.is_some_and(|held| held.0.get(domain).is_some_and(|known| known == digest))
    }
}
