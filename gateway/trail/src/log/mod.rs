//! The log that cannot be quietly changed: a Merkle tree of salted commitments in C2SP tiles,
//! signed checkpoints, and the records, each under its own key.

pub(crate) mod checkpoint;
mod error;
mod evidence;
#[cfg(test)]
mod evidence_tests;
mod export;
mod history;
mod keys;
mod layout;
mod merkle;
mod note;
mod reader;
mod retention;
#[cfg(test)]
mod retention_tests;
mod seal;
mod sequencer;
#[cfg(test)]
mod tamper_tests;
#[cfg(test)]
mod tests;
mod verify;

pub use checkpoint::Checkpoint;
pub use error::TrailError;
pub use evidence::{
    About, Bundle, BundleError, BundleReport, KnownOutcome, MAX_BUNDLE, MAX_EVIDENCE, ProvenCheckpoint, ProvenEntry,
};
pub use export::Wanted;
pub(crate) use keys::{KeyTable, empty_log};
pub use merkle::{
    Hash, ProofError, RangeRoot, check_consistency, check_inclusion, consistency_proof, empty_root, inclusion_proof,
    leaf_hash, node_hash, root_of,
};
pub use note::{NoteError, NoteKey, NoteSigner, NoteVerifier};
pub use reader::{Hit, Search, Shown, TrailReader};
pub use retention::{Due, Hold, Outcome, Purge, Retention};
pub use seal::commitment;
pub use sequencer::{Sequenced, Trail, TrailRecovery, TrailSecrets};
pub use verify::{Finding, KnownCheckpoint, Report, verify};
