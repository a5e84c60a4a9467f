//! Line ends of decrypted content that whoever encrypted it left bare.

use std::{
    io::{self, Read},
    sync::Arc,
};

use pki::plaintext::Plaintext;

use super::OpenFault;
use crate::{
    Limits,
    coding::skip,
    lines::Fragments,
    source::{Source, disk},
};

/// Decrypted content whose lines end in LF alone, as `openssl cms` without `-crlfeol` writes the
/// entity that it encrypts: its header shows it. Nothing is signed at this point, so repair is allowed
/// (H13); content under a signature is never touched.
pub(super) fn canonical(content: Arc<dyn Source>, limits: &Limits) -> Result<Arc<dyn Source>, OpenFault> {
    let mut lines = Fragments::of(&*content, 0).map_err(|error| disk(&error))?;
    let mut seen = 0usize;
    let mut bare = false;
    while let Some(line) = lines.next().map_err(|error| disk(&error))? {
        seen = seen.saturating_add(line.text.len());
        bare |= line.text.ends_with(b"\n") && !line.text.ends_with(b"\r\n");
        if matches!(line.text, b"\n" | b"\r\n") || seen > limits.header {
            break;
        }
    }
    drop(lines);
    Ok(if bare { Arc::new(Repaired(content)) } else { content })
}

/// A source whose every LF has a CR before it.
struct Repaired(Arc<dyn Source>);

impl Source for Repaired {
    fn reader(&self, from: u64) -> io::Result<Box<dyn Read + Send + '_>> {
        let lines = Fragments::of(&*self.0, 0)?;
        let mut reader = Repairing { lines, ready: Plaintext::default(), given: 0, carriage: false };
        skip(&mut reader, from)?;
        Ok(Box::new(reader))
    }

    fn layers(&self) -> usize {
        self.0.layers().saturating_add(1)
    }
}

struct Repairing<'s> {
    lines: Fragments<'s>,
    ready: Plaintext,
    given: usize,
    carriage: bool,
}

impl Read for Repairing<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.given == self.ready.len() {
            self.ready.clear();
            self.given = 0;
            let Some(line) = self.lines.next()? else { return Ok(0) };
            match line.text.strip_suffix(b"\n") {
                Some(text) => {
                    self.ready.extend_from_slice(text);
                    let carriage = if text.is_empty() { self.carriage } else { text.ends_with(b"\r") };
                    self.ready.extend_from_slice(if carriage { b"\n" } else { b"\r\n" });
                }
                None => self.ready.extend_from_slice(line.text),
            }
            self.carriage = !line.ends && line.text.ends_with(b"\r");
        }
        let ready = self.ready.get(self.given..).unwrap_or_default();
        let count = ready.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..count), ready.get(..count)) {
            to.copy_from_slice(from);
        }
        self.given = self.given.saturating_add(count);
        Ok(count)
    }
}
