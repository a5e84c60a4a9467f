//! Who asks: an address, and a certificate where the configuration asks for one.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use ident::{Fingerprint, StructureId, Timestamp};
use pki::{
    certificate::Certificate,
    identity::Identity,
    path::{Purpose, Verdict},
};

use crate::{admission::cards, config::Clients, snapshot::Snapshot};

/// How long a verdict is believed, where nothing else has changed: a page is four requests, and each letter one more.
const BELIEVED: Duration = Duration::from_secs(5);

/// Who is at the other end of a connection.
pub(super) struct Caller {
    pub(super) address: IpAddr,
    pub(super) certificates: Vec<Certificate>,
    judged: Mutex<Option<Judged>>,
}

/// A verdict, and the world that it was given in.
struct Judged {
    world: Weak<Snapshot>,
    at: Timestamp,
    verdict: Result<Known, String>,
}

impl Caller {
    pub(super) fn new(address: IpAddr, certificates: Vec<Certificate>) -> Self {
        Self { address, certificates, judged: Mutex::default() }
    }

    /// What was found out a moment ago, in the same world.
    pub(super) fn believed(&self, world: &Arc<Snapshot>, now: Timestamp) -> Option<Result<Known, String>> {
        let judged = self.judged.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = |it: &&Judged| now >= it.at && now.since(it.at) < BELIEVED;
        let same = |it: &&Judged| it.world.ptr_eq(&Arc::downgrade(world));
        judged.as_ref().filter(same).filter(fresh).map(|judged| judged.verdict.clone())
    }

    pub(super) fn remember(&self, world: &Arc<Snapshot>, at: Timestamp, verdict: Result<Known, String>) {
        let judged = Judged { world: Arc::downgrade(world), at, verdict };
        *self.judged.lock().unwrap_or_else(PoisonError::into_inner) = Some(judged);
    }
}

/// Somebody whose certificate holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Known {
    /// Of the certificate.
    pub(super) fingerprint: Fingerprint,
    /// National identifier, for the access log.
    pub(super) id: String,
    /// The structure that it stands for, where it is one's.
    pub(super) structure: Option<StructureId>,
}

/// Who shows these certificates, leaf first.
///
/// # Errors
/// A word for the log: why nobody of the trust space does.
pub(super) fn known(snapshot: &Snapshot, shown: &[Certificate], at: Timestamp) -> Result<Known, String> {
    let Some((leaf, others)) = shown.split_first() else { return Err("no certificate".to_owned()) };
    let (purpose, id, structure) = match Identity::of(leaf).map_err(|error| error.to_string())? {
        Identity::Person(person) => (Purpose::Person, person.id.to_string(), None),
        Identity::Staff(staff) => (Purpose::Person, staff.id.to_string(), None),
        Identity::Organisation(organisation) => {
            (Purpose::Organisation, organisation.structure.to_string(), Some(organisation.structure))
        }
        Identity::Server(_) => return Err("a server's certificate".to_owned()),
    };
    // A stolen card does not look people up, either.
    match cards::unless_opposed(snapshot, snapshot.verify(leaf, others, purpose, at), leaf, at) {
        Verdict::Valid(_) => Ok(Known { fingerprint: leaf.fingerprint(), id, structure }),
        Verdict::Invalid(finding) | Verdict::Undetermined(finding) => Err(finding.code.to_owned()),
    }
}

/// Whether strangers are answered, too.
pub(super) fn strangers_welcome(snapshot: &Snapshot) -> bool {
    snapshot.config.http.clients != Clients::Certificate
}
