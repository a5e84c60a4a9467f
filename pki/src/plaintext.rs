//! Octets that are wiped when they go: what was decrypted, and what is about to be encrypted.

use std::{
    fmt,
    ops::{Deref, DerefMut},
};

use crate::ffi;

/// A buffer that is wiped whole before its memory is given back.
///
/// It does what `Zeroizing<Vec<u8>>` does, a word at a time instead of an octet at a time: messages pass through
/// several such buffers, and of a large one that took as long as its digest. As there, growth leaves a copy
/// behind: reserve first.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Plaintext(Vec<u8>);

impl Plaintext {
    /// An empty buffer with room for so many octets.
    pub fn with_capacity(octets: usize) -> Self {
        Self(Vec::with_capacity(octets))
    }
}

impl From<Vec<u8>> for Plaintext {
    fn from(octets: Vec<u8>) -> Self {
        Self(octets)
    }
}

impl Deref for Plaintext {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.0
    }
}

impl DerefMut for Plaintext {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }
}

impl Drop for Plaintext {
    fn drop(&mut self) {
        ffi::wipe(&mut self.0);
    }
}

impl fmt::Debug for Plaintext {
    /// Never what it says (promise 3).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Plaintext({} octets)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wiping_reaches_what_was_cut_off() {
        let mut octets = vec![7u8; 1000];
        octets.truncate(10);
        ffi::wipe(&mut octets);
        assert!(octets.is_empty() && octets.capacity() >= 1000);
        octets.resize(10, 1);
        // What lies behind was written by nobody but the wiping.
        let all = ffi::tests::whole(&mut octets, 1000);
        assert_eq!((all[..10].iter().max(), all[10..].iter().max()), (Some(&1), Some(&0)));
    }

    #[test]
    fn says_nothing() {
        assert_eq!(format!("{:?}", Plaintext::from(b"secret".to_vec())), "Plaintext(6 octets)");
    }
}
