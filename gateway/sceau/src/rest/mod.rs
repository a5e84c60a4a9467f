//! What rests with us is never readable: the sealed spool of messages in hand, and the vault
//! that protects what waits in the queue in our own charge.

mod segment;
mod spool;
mod vault;

pub use segment::{ObjectKey, SegmentError, SegmentReader, SegmentWriter, sealed_length};
pub use spool::{Spool, SpoolRoom};
pub use vault::{StorageKeyId, Vault};
