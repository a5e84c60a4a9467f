//! The bodies of one message while they are made. A message to a thousand blind recipients is a
//! thousand bodies; what is more than a few small ones waits on the disk for its commit.

use std::io::{self, Write};

use mail::{MailFault, SealFault};
use store::{BodyContent, MAX_INLINE_BODY, Staging as _, Store, StoreError};

use super::{kept, storage, unsealed};
use crate::{
    refusal::Refusal,
    rest::{ObjectKey, SegmentWriter, sealed_length},
};

/// Octets of a message's bodies that are kept in memory until they are committed.
const MAX_IN_HAND: u64 = 4 * 1024 * 1024;

/// How much of a message's bodies is in memory.
#[derive(Debug, Default)]
pub(crate) struct InHand {
    octets: u64,
}

/// Why a body could not be written.
pub(crate) enum Unwritten {
    /// What makes it failed.
    Source(SealFault),
    /// Where it goes failed.
    Store(StoreError),
}

impl From<io::Error> for Unwritten {
    fn from(error: io::Error) -> Self {
        Self::Source(MailFault::Storage(error.kind()).into())
    }
}

impl From<SealFault> for Unwritten {
    fn from(fault: SealFault) -> Self {
        Self::Source(fault)
    }
}

impl From<StoreError> for Unwritten {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Unwritten> for Refusal {
    fn from(unwritten: Unwritten) -> Self {
        match unwritten {
            Unwritten::Source(SealFault::Mail(MailFault::Storage(kind))) => kept(kind),
            Unwritten::Source(fault) => unsealed(&fault),
            Unwritten::Store(error) => storage(&error),
        }
    }
}

/// Writes a body of known size.
pub(crate) type Writer<'w> = &'w mut dyn FnMut(&mut dyn Write) -> Result<(), SealFault>;

impl InHand {
    /// Has a body of this size written where it belongs: into memory, or down to the disk. Sealed or under the
    /// storage key it is already. Blocking.
    ///
    /// # Errors
    /// Of either side; nothing is left then.
    pub(crate) fn write<S: Store>(
        &mut self,
        store: &S,
        size: u64,
        write: Writer<'_>,
    ) -> Result<BodyContent, Unwritten> {
        let octets = self.octets.saturating_add(size);
        let small = usize::try_from(size).is_ok_and(|size| size <= MAX_INLINE_BODY);
        if small || octets <= MAX_IN_HAND {
            self.octets = octets;
            let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
            write(&mut bytes)?;
            return Ok(BodyContent::Bytes(bytes));
        }
        let mut staging = store.stage()?;
        write(&mut staging)?;
        Ok(BodyContent::Staged(staging.finish()?))
    }

    /// The same, encrypted under a key of the storage.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub(crate) fn write_under<S: Store>(
        &mut self,
        store: &S,
        key: &ObjectKey,
        size: u64,
        write: Writer<'_>,
    ) -> Result<BodyContent, Unwritten> {
        self.write(store, sealed_length(size), &mut |out| {
            let mut sealed = SegmentWriter::new(key, out);
            write(&mut sealed)?;
            sealed.finish().map(|_| ()).map_err(|error| MailFault::Storage(error.kind()).into())
        })
    }
}

#[cfg(test)]
mod tests {
    use store::{SqliteOptions, SqliteStore};

    use super::*;

    /// RX10, A20: what one message costs in memory does not grow with its recipients.
    #[test]
    fn many_large_bodies_do_not_pile_up_in_memory() {
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = SqliteStore::open(folder.path(), SqliteOptions::default()).unwrap();
        let mut hand = InHand::default();
        let mut kept = Vec::new();
        let octets = vec![7; 1024 * 1024];
        let mut write = |size: usize| {
            let octets = octets.get(..size).unwrap();
            let content = hand.write(&store, size as u64, &mut |out| {
                out.write_all(octets).map_err(|error| MailFault::Storage(error.kind()).into())
            });
            content.unwrap_or_else(|_| panic!("not written"))
        };
        for _ in 0..10 {
            kept.push(write(1024 * 1024));
        }
        let staged = |content: &BodyContent| matches!(content, BodyContent::Staged(_));
        assert_eq!(kept.iter().filter(|content| !staged(content)).count(), 4);
        // Small ones are rows anyway.
        assert!(!staged(&write(MAX_INLINE_BODY)));
        // A message that is refused after all leaves nothing, nor does a body that cannot be made.
        drop(kept);
        let failed = hand.write(&store, 1 << 30, &mut |out| {
            let _ = out.write_all(&octets);
            Err(MailFault::Storage(io::ErrorKind::StorageFull).into())
        });
        let refusal = failed.map(|_| ()).map_err(Refusal::from).unwrap_err();
        assert_eq!((refusal.id, refusal.is_temporary()), (crate::refusal::RefusalId::StorageFull, true));
        let left = std::fs::read_dir(folder.path().join("bodies")).unwrap();
        let files = left.flat_map(|shard| std::fs::read_dir(shard.unwrap().path()).unwrap()).count();
        assert_eq!(files, 0);
    }
}
