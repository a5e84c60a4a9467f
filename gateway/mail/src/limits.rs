//! Bounds on everything that is read. They are checked before anything is kept (A20, IN16).

/// How much of a message is read before it is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Octets of a whole message.
    pub message: usize,
    /// Octets of a header block.
    pub header: usize,
    /// Fields in a header block.
    pub fields: usize,
    /// Octets of a line, its CRLF not counted (RFC 5322 §2.1.1).
    pub line: usize,
    /// Mailboxes in one address field.
    pub mailboxes: usize,
    /// Parts of a MIME tree.
    pub parts: usize,
    /// Nested MIME levels.
    pub depth: usize,
    /// Nested CMS layers.
    pub layers: usize,
    /// `Received` fields before a message counts as looping (LP1).
    pub hops: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message: 100 << 20,
            header: 256 << 10,
            fields: 1000,
            line: 998,
            mailboxes: 1000,
            parts: 10_000,
            depth: 64,
            layers: 5,
            hops: 50,
        }
    }
}
