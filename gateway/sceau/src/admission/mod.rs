//! Admission: pure functions from a snapshot and facts to a decision with its reason.
//!
//! Nothing here reads a clock, a file or a socket, and nothing here sends. `sceau explain` runs
//! the same functions as the sessions do.

pub mod caller;
pub(crate) mod cards;
pub mod content;
pub mod exchange;
pub mod form;
pub mod recipient;
pub mod rights;
pub mod strength;

#[cfg(test)]
mod tests;
