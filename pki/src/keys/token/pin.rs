//! PINs: read when needed, wiped after use, and never tried twice when wrong.

use zeroize::Zeroizing;

use super::PinFault;

/// What a token says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TokenFacts {
    /// Label.
    pub label: String,
    /// Manufacturer.
    pub manufacturer: String,
    /// Model.
    pub model: String,
    /// Serial number.
    pub serial: String,
    /// Since the last good login a wrong PIN was entered.
    pub wrong_before: bool,
    /// The next wrong PIN locks it.
    pub last_try: bool,
    /// It is locked.
    pub locked: bool,
}

/// What the token said about a PIN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PinOutcome {
    /// It let us in.
    Accepted,
    /// It said that the PIN is wrong.
    Refused,
    /// It said something else: the PIN may or may not have been counted.
    Unknown,
}

/// Who holds the PIN and remembers what became of it, across restarts.
///
/// `begin` must be on stable storage before it returns: a crash between try and answer must not lead to
/// a second try of a wrong PIN, because cards lock after the third.
pub trait PinKeeper: Send + Sync {
    /// The PIN to try now.
    ///
    /// # Errors
    /// Why none may be tried.
    fn begin(&self, token: &TokenFacts) -> Result<Zeroizing<String>, PinFault>;

    /// What became of it.
    fn end(&self, token: &TokenFacts, outcome: PinOutcome);
}
