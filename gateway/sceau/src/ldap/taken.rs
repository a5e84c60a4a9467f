//! Entries that somebody may be shown: taken from the allowance before a search is begun, for else many searches at once
//! would be shown the last entry that is left.

use std::sync::Arc;

use super::Face;
use crate::{
    allowance::{Allowed, Peer},
    gateway::Gateway,
};

/// What a search has taken; what it does not use goes back when this is dropped.
pub(super) struct Taken {
    face: Arc<Face>,
    gateway: Arc<Gateway>,
    peer: Peer,
    allowed: Allowed,
    left: usize,
}

impl Taken {
    /// Takes a search and so many entries.
    ///
    /// # Errors
    /// In how many seconds to come back.
    pub(super) fn take(
        gateway: &Arc<Gateway>,
        face: &Arc<Face>,
        (peer, allowed): (Peer, Allowed),
        entries: usize,
    ) -> Result<Self, u64> {
        face.allowances.reserve(&peer, entries, allowed, gateway.now())?;
        Ok(Self { face: Arc::clone(face), gateway: Arc::clone(gateway), peer, allowed, left: entries })
    }

    /// So much was shown, or cost as much as if it had been.
    pub(super) fn shown(mut self, entries: usize) {
        if let Some(more) = entries.checked_sub(self.left) {
            self.face.allowances.shown(&self.peer, more, self.allowed, self.gateway.now());
        }
        self.left = self.left.saturating_sub(entries);
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if self.left > 0 {
            self.face.allowances.give_back(&self.peer, self.left, self.allowed, self.gateway.now());
        }
    }
}
