//! Octets that may be passwords: nothing of them is left in memory that is given back.

use zeroize::{Zeroize as _, Zeroizing};

/// Octets that came and are not read yet.
#[derive(Default)]
pub(super) struct Wiped(Zeroizing<Vec<u8>>);

impl std::fmt::Debug for Wiped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} octets", self.0.len())
    }
}

impl Wiped {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn octets(&self) -> &[u8] {
        &self.0
    }

    /// Adds octets. What grows moves: the place where it was is wiped.
    pub(super) fn push(&mut self, octets: &[u8]) {
        let whole = self.0.len().saturating_add(octets.len());
        if whole > self.0.capacity() {
            let mut larger = Zeroizing::new(Vec::with_capacity(whole));
            larger.extend_from_slice(&self.0);
            self.0 = larger;
        }
        self.0.extend_from_slice(octets);
    }

    /// Takes away the first `count` octets.
    pub(super) fn forget(&mut self, count: usize) {
        let left = self.0.len().saturating_sub(count);
        if count == 0 {
            return;
        }
        let from = count.min(self.0.len());
        self.0.copy_within(from.., 0);
        if let Some(old) = self.0.get_mut(left..) {
            old.zeroize();
        }
        self.0.truncate(left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_away_is_not_there_any_more() {
        let mut octets = Wiped::default();
        octets.push(b"mot-de-passe");
        octets.push(b" et la suite");
        octets.forget(13);
        assert_eq!(octets.octets(), b"et la suite");
        octets.forget(0);
        octets.push(b"!");
        assert_eq!(octets.octets(), b"et la suite!");
        octets.forget(100);
        assert!(octets.is_empty());
        assert!(!format!("{octets:?}").contains("passe"));
    }
}
