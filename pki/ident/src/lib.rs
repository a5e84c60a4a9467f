//! The nouns that every part of Sceau shares: mail addresses and domains, national identifiers of
//! persons and structures, card numbers, certificate fingerprints, points in time, and sentences
//! written in both languages.
//!
//! Everything here is a *checked* value: if it exists, it has the right form. Nothing here reads
//! a clock, a file or a socket by itself.
#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

mod address;
mod bilingual;
mod clock;
mod domain;
mod fingerprint;
mod person_id;
mod structure_id;

pub use address::{Address, AddressError, MAX_ADDRESS, MAX_LOCAL_PART, is_format};
pub use bilingual::Bilingual;
pub use clock::{Clock, ManualClock, SystemClock, Timestamp};
pub use domain::{Domain, DomainError, MAX_DOMAIN};
pub use fingerprint::{Fingerprint, FingerprintError};
pub use person_id::{CardNumber, PersonId, PersonIdError, PersonIdKind};
pub use structure_id::{StructureId, StructureIdError, StructureIdKind};
