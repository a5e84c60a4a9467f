//! A byte queue with a fixed bound, for what a peer sent and nobody has read yet.

/// Octets received and not yet read. Never holds more than its bound.
#[derive(Debug)]
pub(crate) struct Buffer {
    octets: Vec<u8>,
    start: usize,
    bound: usize,
}

impl Buffer {
    /// An empty buffer that will hold at most `bound` octets; nothing is allocated yet.
    pub(crate) const fn new(bound: usize) -> Self {
        Self { octets: Vec::new(), start: 0, bound }
    }

    /// How much more it takes.
    pub(crate) fn capacity(&self) -> usize {
        self.bound.saturating_sub(self.unread().len())
    }

    /// Takes what fits and says how much that was.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> usize {
        let fits = bytes.get(..self.capacity()).unwrap_or(bytes);
        if self.start > 0 {
            self.octets.drain(..self.start);
            self.start = 0;
        }
        self.octets.extend_from_slice(fits);
        fits.len()
    }

    /// What has not been read.
    pub(crate) fn unread(&self) -> &[u8] {
        self.octets.get(self.start..).unwrap_or_default()
    }

    /// Marks octets as read.
    pub(crate) fn consume(&mut self, count: usize) {
        self.start = self.start.saturating_add(count).min(self.octets.len());
        if self.start == self.octets.len() {
            self.octets.clear();
            self.start = 0;
        }
    }

    /// Whether everything was read.
    pub(crate) fn is_empty(&self) -> bool {
        self.unread().is_empty()
    }

    /// Gives the memory of a large body back when nothing is left of it (RX2).
    pub(crate) fn release(&mut self) {
        if self.is_empty() {
            self.clear();
        }
    }

    /// Forgets everything and gives the memory back.
    pub(crate) fn clear(&mut self) {
        self.octets = Vec::new();
        self.start = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_holds_more_than_its_bound() {
        let mut buffer = Buffer::new(4);
        assert_eq!((buffer.push(b"abcdef"), buffer.capacity()), (4, 0));
        buffer.consume(3);
        assert_eq!((buffer.unread(), buffer.capacity()), (&b"d"[..], 3));
        assert_eq!((buffer.push(b"xyz!"), buffer.unread()), (3, &b"dxyz"[..]));
        buffer.consume(9);
        assert!(buffer.is_empty());
    }
}
