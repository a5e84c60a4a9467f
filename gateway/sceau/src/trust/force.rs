//! Putting a list in force: first on the shelf, then in the running gateway, then told.

use std::sync::Arc;

use trail::{Event, Record, TrustListChange};

use super::{Fresh, Held, Offer, Refused, Shelf, ShelfError, consider};
use crate::{gateway::Gateway, snapshot};

/// What became of a list that was offered to a running gateway.
#[derive(Debug)]
pub enum Offered {
    /// It is the very list in force.
    Same,
    /// It is in force, and on stable storage.
    InForce(Arc<Fresh>),
    /// It may not be in force: the list before still is.
    Refused(Refused),
    /// It may, but cannot be remembered: the list before is in force until it can.
    NotKept(ShelfError),
}

impl Gateway {
    /// Considers a list that came in (fetched, or put there by somebody), and puts it in force if it is good:
    /// verified, not older than the one in force, written down. Blocking; a refusal is logged and trailed.
    pub fn offer_trust_list(&self, xml: &[u8]) -> Offered {
        let _one_at_a_time = self.changing();
        let current = self.snapshot();
        let profile = snapshot::list_profile(&current.config);
        let rules = super::Rules {
            profile: &profile,
            validator: &current.validator,
            shrinkage: current.config.trust.shrinkage,
        };
        let held = match consider(Some(&current.held), xml, rules, self.now()) {
            Offer::Same => return Offered::Same,
            Offer::Accepted(held) => *held,
            Offer::Refused(refused) => {
                tracing::error!(why = %refused, "a trust list is refused, the one before stays in force");
                let reason = self.masker.text(&refused.to_string());
                self.record(Record::new(self.now(), Event::TrustListRefused { reason }));
                return Offered::Refused(refused);
            }
        };
        match put_on_shelf(&Shelf::below(&self.data()), held) {
            Ok((held, fresh)) => {
                self.replace(current.under(held, self.now()));
                fresh.iter().for_each(|fresh| tell(self, fresh));
                fresh.map_or(Offered::Same, Offered::InForce)
            }
            Err(error) => {
                tracing::error!(%error, "a good trust list cannot be remembered: the one before stays in force");
                Offered::NotKept(error)
            }
        }
    }
}

/// Writes a list that was just accepted; gives back what then holds, and what was new.
pub(crate) fn put_on_shelf(shelf: &Shelf, mut held: Held) -> Result<(Held, Option<Arc<Fresh>>), ShelfError> {
    let fresh = held.fresh.take();
    if let Some(fresh) = &fresh {
        shelf.write(&held.memory, &fresh.xml)?;
    }
    Ok((held, fresh))
}

/// Log and trail: which list is in force, and what it changed.
pub(crate) fn tell(gateway: &Gateway, fresh: &Fresh) {
    let snapshot = gateway.snapshot();
    let (list, diff) = (&snapshot.trust_list, &fresh.diff);
    tracing::info!(
        generated = %list.generated(),
        domains = diff.after,
        added = diff.added.len(),
        removed = diff.removed.len(),
        changed = diff.changed.len(),
        "a new trust list is in force"
    );
    if fresh.shrunk {
        tracing::error!(
            removed = diff.removed.len(),
            "the trust list shrank abnormally: trust ends at once, mail to and from what was struck off waits; \
             if that is meant, `sceau trust accept`"
        );
    }
    let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    let change = TrustListChange {
        added: count(diff.added.len()),
        removed: count(diff.removed.len()),
        changed: count(diff.changed.len()),
        shrunk: fresh.shrunk,
    };
    let event = Event::TrustListLoaded {
        digest: list.digest(),
        generated: list.generated(),
        domains: count(diff.after),
        change: Some(change),
    };
    gateway.record(Record::new(gateway.now(), event));
}
