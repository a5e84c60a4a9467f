//! The border around readers that are not ours, and around those of ours that read what strangers send.
//!
//! A fault in a reader must cost the one input that met it, and nothing else (H22): no thread, no lock, no
//! other message. Whoever reads foreign octets with somebody else's code does it through [`caught`].

use std::panic::{AssertUnwindSafe, catch_unwind};

use thiserror::Error;

/// A reader stopped in the middle of its work: a fault of the program, met by this input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the reader of {0} broke off: a fault of this program, which this input met")]
pub struct BrokenOff(pub &'static str);

/// Runs a reader. What it was working on is given up when it breaks off, so nothing half-done is seen after.
///
/// # Errors
/// [`BrokenOff`] with the name of what was read.
pub fn caught<T>(what: &'static str, read: impl FnOnce() -> T) -> Result<T, BrokenOff> {
    catch_unwind(AssertUnwindSafe(read)).map_err(|_| BrokenOff(what))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_planted_panic_is_an_error_that_names_the_reader() {
        let planted = |octets: &[u8]| octets[7];
        assert_eq!(caught("an octet", || planted(b"12345678")), Ok(b'8'));
        let broken = caught("an octet", || planted(b""));
        assert_eq!(broken, Err(BrokenOff("an octet")));
        assert_eq!(
            broken.unwrap_err().to_string(),
            "the reader of an octet broke off: a fault of this program, which this input met"
        );
    }
}
