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
    judged: Judged<Snapshot, Result<Known, String>>,
}

/// The last verdict, the world that it was given in, and when.
struct Judged<W, V> {
    last: Mutex<Option<(Weak<W>, Timestamp, V)>>,
}

impl<W, V: Clone> Judged<W, V> {
    fn believed(&self, world: &Arc<W>, now: Timestamp) -> Option<V> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let (of, at, verdict) = last.as_ref()?;
        let fresh = now >= *at && now.since(*at) < BELIEVED;
        (fresh && of.ptr_eq(&Arc::downgrade(world))).then(|| verdict.clone())
    }

    fn remember(&self, world: &Arc<W>, at: Timestamp, verdict: V) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((Arc::downgrade(world), at, verdict));
    }
}

impl Caller {
    pub(super) fn new(address: IpAddr, certificates: Vec<Certificate>) -> Self {
        Self { address, certificates, judged: Judged { last: Mutex::new(None) } }
    }

    /// What was found out a moment ago, in the same world.
    pub(super) fn believed(&self, world: &Arc<Snapshot>, now: Timestamp) -> Option<Result<Known, String>> {
        self.judged.believed(world, now)
    }

    pub(super) fn remember(&self, world: &Arc<Snapshot>, at: Timestamp, verdict: Result<Known, String>) {
        self.judged.remember(world, at, verdict);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_is_believed_for_a_moment_in_its_own_world() {
        let (world, other) = (Arc::new(1), Arc::new(1));
        let judged = Judged { last: Mutex::new(None) };
        let now = Timestamp::from_seconds(1_000_000);
        let after = |seconds| now.plus(Duration::from_secs(seconds));
        assert_eq!(judged.believed(&world, now), None);
        judged.remember(&world, now, "good");
        assert_eq!(judged.believed(&world, after(4)), Some("good"));
        assert_eq!(judged.believed(&world, after(5)), None);
        assert_eq!(judged.believed(&other, now), None, "another world, another verdict");
        judged.remember(&world, after(10), "good");
        assert_eq!(judged.believed(&world, now), None, "a clock that was set back makes no verdict young");
    }
}
