//! The header block at a place of a source: all of a large message that has to be in memory.

use std::sync::Arc;

use pki::plaintext::Plaintext;

use crate::{
    HeaderBlock, Limits, MailFault,
    source::{Source, after, disk, some},
};

/// Octets looked at before more is read: most header blocks fit.
const WINDOW: usize = 8 * 1024;

/// A header block with the empty line that ends it, in memory.
pub(crate) struct Head {
    octets: Plaintext,
}

impl Head {
    /// Reads the block that begins at this place.
    ///
    /// # Errors
    /// Those of the source. A block over the limit is found by [`Self::block`], which gets a little more than
    /// may be there.
    pub(crate) fn read(source: &dyn Source, from: u64, limits: &Limits) -> Result<Self, MailFault> {
        let most = limits.header.saturating_add(limits.line.saturating_mul(2)).saturating_add(8);
        if let Some(all) = source.memory() {
            let all = after(all, from);
            // As much as is looked at below, which stops at the first piece that goes over.
            let window = all.get(..most.saturating_add(WINDOW)).unwrap_or(all);
            let length = end(window, 0).unwrap_or(window.len().min(most));
            return Ok(Self { octets: window.get(..length).unwrap_or_default().to_vec().into() });
        }
        let mut reader = source.reader(from).map_err(|error| disk(&error))?;
        let mut octets = Plaintext::with_capacity(WINDOW);
        let mut chunk = Plaintext::from(vec![0; WINDOW]);
        loop {
            let more = some(&mut reader, &mut chunk).map_err(|error| disk(&error))?;
            // The empty line may lie across two pieces.
            let searched = octets.len().saturating_sub(3);
            octets.extend_from_slice(more);
            if let Some(end) = end(&octets, searched) {
                octets.truncate(end);
                return Ok(Self { octets });
            }
            if more.is_empty() || octets.len() > most {
                octets.truncate(most);
                return Ok(Self { octets });
            }
        }
    }

    /// The fields.
    ///
    /// # Errors
    /// As [`HeaderBlock::parse`].
    pub(crate) fn block(&self, limits: &Limits) -> Result<HeaderBlock<'_>, MailFault> {
        HeaderBlock::parse(&self.octets, limits)
    }

    /// Everything, with the empty line if there is one.
    pub(crate) fn octets(&self) -> &[u8] {
        &self.octets
    }

    /// Octets of it: the body begins behind.
    pub(crate) fn len(&self) -> u64 {
        u64::try_from(self.octets.len()).unwrap_or(u64::MAX)
    }
}

/// Where the header block ends, its empty line included.
fn end(octets: &[u8], searched: usize) -> Option<usize> {
    if octets.starts_with(b"\r\n") {
        return Some(2);
    }
    let tail = octets.get(searched..)?;
    let at = memchr::memmem::find(tail, b"\r\n\r\n")?;
    Some(searched.saturating_add(at).saturating_add(4))
}

/// An entity somewhere in a source.
#[derive(Clone)]
pub(crate) struct Entity {
    pub(crate) source: Arc<dyn Source>,
    pub(crate) from: u64,
}

impl Entity {
    pub(crate) fn head(&self, limits: &Limits) -> Result<Head, MailFault> {
        Head::read(&*self.source, self.from, limits)
    }

    /// Where its body begins.
    pub(crate) fn body(&self, head: &Head) -> u64 {
        self.from.saturating_add(head.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_as_much_as_is_header_and_no_more() {
        let limits = Limits::default();
        for fold in [0, 1, 2, 3, 5] {
            let fields = format!("A: {}\r\n", "x".repeat(900)).repeat(9);
            let pad = format!("B: {}\r\n", "y".repeat((WINDOW + fold - 4) % 900));
            let text = format!("{fields}{pad}\r\nbody\r\n\r\n").into_bytes();
            let head = Head::read(&text, 0, &limits).unwrap();
            assert_eq!(&text[head.octets().len()..], b"body\r\n\r\n");
            assert_eq!(head.block(&limits).unwrap().fields().len(), 10);
        }
        assert_eq!(Head::read(b"\r\nbody", 0, &limits).unwrap().octets(), b"\r\n");
        assert_eq!(Head::read(b"..A: b\r\n", 2, &limits).unwrap().octets(), b"A: b\r\n");
        assert!(Head::read(b"", 0, &limits).unwrap().octets().is_empty());
        let long = "A: x\r\n".repeat(100_000).into_bytes();
        let head = Head::read(&long, 0, &limits).unwrap();
        assert!(head.block(&Limits { fields: 1_000_000, ..limits }).is_err_and(|f| f == MailFault::HeaderTooLong));
    }
}
