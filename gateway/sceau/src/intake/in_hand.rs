//! The bodies of one message while they are made. A message to a thousand blind recipients is a
//! thousand bodies; what is more than a few large ones waits on the disk for its commit.

use std::io::Write as _;

use store::{BodyContent, MAX_INLINE_BODY, NewBody, Staging as _, Store, StoreError};

/// Octets of a message's bodies that are kept in memory until they are committed.
const MAX_IN_HAND: usize = 32 * 1024 * 1024;

/// How much of a message's bodies is in memory.
#[derive(Debug, Default)]
pub(super) struct InHand {
    octets: usize,
}

impl InHand {
    /// Keeps a body in memory, or writes it down: sealed or under the storage key it is already. Blocking.
    ///
    /// # Errors
    /// Those of the store.
    pub(super) fn keep<S: Store>(&mut self, store: &S, body: NewBody) -> Result<NewBody, StoreError> {
        let BodyContent::Bytes(bytes) = &body.content else { return Ok(body) };
        let octets = self.octets.saturating_add(bytes.len());
        if bytes.len() <= MAX_INLINE_BODY || octets <= MAX_IN_HAND {
            self.octets = octets;
            return Ok(body);
        }
        let mut staging = store.stage()?;
        staging.write_all(bytes).map_err(|error| match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => StoreError::Full(error.to_string()),
            _ => StoreError::Unavailable(error.to_string()),
        })?;
        Ok(NewBody { content: BodyContent::Staged(staging.finish()?), ..body })
    }
}

#[cfg(test)]
mod tests {
    use store::{Protection, SqliteOptions, SqliteStore};

    use super::*;

    fn body(octets: usize) -> NewBody {
        NewBody {
            content: BodyContent::Bytes(vec![7; octets]),
            protection: Protection::Sealed,
            profile: None,
            content_key: None,
            inner: None,
        }
    }

    fn staged(body: &NewBody) -> bool {
        matches!(body.content, BodyContent::Staged(_))
    }

    /// RX10, A20: what one message costs in memory does not grow with its recipients.
    #[test]
    fn many_large_bodies_do_not_pile_up_in_memory() {
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = SqliteStore::open(folder.path(), SqliteOptions::default()).unwrap();
        let mut hand = InHand::default();
        let mut kept = Vec::new();
        for _ in 0..40 {
            kept.push(hand.keep(&store, body(1024 * 1024)).unwrap());
        }
        assert_eq!(kept.iter().filter(|body| !staged(body)).count(), 32);
        // Small ones are rows anyway.
        assert!(!staged(&hand.keep(&store, body(MAX_INLINE_BODY)).unwrap()));
        // A message that is refused after all leaves nothing.
        drop(kept);
        let left = std::fs::read_dir(folder.path().join("bodies")).unwrap();
        let files = left.flat_map(|shard| std::fs::read_dir(shard.unwrap().path()).unwrap()).count();
        assert_eq!(files, 0);
    }
}
