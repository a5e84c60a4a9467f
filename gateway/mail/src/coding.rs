//! Base64 of any size, written and read as it goes by (RFC 2045 §6.8).

use std::{
    io::{self, Read},
    sync::Arc,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use zeroize::{Zeroize, Zeroizing};

use crate::{
    MailFault,
    source::{CHUNK, Source, invalid, some},
};

/// Columns of the base64 that we write.
const COLUMNS: usize = 76;
/// Octets in a line of it.
const LINE: usize = COLUMNS / 4 * 3;
/// Octets that are encoded at once: whole lines.
const RUN: usize = LINE * 256;

/// Octets of base64 in lines of 76 columns with CRLF, for this many octets.
pub(crate) const fn length(octets: u64) -> u64 {
    let lines = octets.div_ceil(LINE as u64);
    octets.div_ceil(3).saturating_mul(4).saturating_add(lines.saturating_mul(2))
}

/// Writes base64 in lines of 76 columns with CRLF.
#[derive(Default)]
pub(crate) struct Encoder {
    /// Octets that make no whole line yet.
    carry: Zeroizing<Vec<u8>>,
}

impl Encoder {
    /// Appends the lines that these octets complete.
    pub(crate) fn update(&mut self, mut octets: &[u8], out: &mut Vec<u8>) {
        if !self.carry.is_empty() {
            let missing = LINE.saturating_sub(self.carry.len()).min(octets.len());
            let (first, rest) = octets.split_at_checked(missing).unwrap_or((octets, &[]));
            self.carry.extend_from_slice(first);
            octets = rest;
            if self.carry.len() < LINE {
                return;
            }
            lines(&self.carry, out);
            self.carry.clear();
        }
        let whole = octets.len().saturating_sub(octets.len() % LINE);
        let (whole, rest) = octets.split_at_checked(whole).unwrap_or((octets, &[]));
        lines(whole, out);
        self.carry.extend_from_slice(rest);
    }

    /// Appends the last line.
    pub(crate) fn finish(self, out: &mut Vec<u8>) {
        lines(&self.carry, out);
    }
}

/// Encodes a run at once, and then cuts it into lines: much faster than line by line.
fn lines(octets: &[u8], out: &mut Vec<u8>) {
    let mut text = [0; RUN / 3 * 4];
    for run in octets.chunks(RUN) {
        // The buffer always has room.
        let written = STANDARD.encode_slice(run, &mut text).unwrap_or(0);
        out.reserve(written.saturating_add(2 * 257));
        for line in text.get(..written).unwrap_or_default().chunks(COLUMNS) {
            out.extend_from_slice(line);
            out.extend_from_slice(b"\r\n");
        }
    }
}

/// Reads base64 however it is broken into lines.
pub(crate) struct Decoder {
    /// Digits that make no whole group yet.
    digits: Zeroizing<Vec<u8>>,
    padded: bool,
}

impl Decoder {
    pub(crate) fn new() -> Self {
        Self { digits: Zeroizing::new(Vec::with_capacity(CHUNK.saturating_add(4))), padded: false }
    }

    /// Appends what these characters decode to.
    pub(crate) fn update(&mut self, text: &[u8], out: &mut Vec<u8>) -> Result<(), MailFault> {
        for line in text.split(|octet| matches!(octet, b'\n' | b'\r')) {
            self.digits.extend_from_slice(line.trim_ascii());
        }
        let whole = self.digits.len().saturating_sub(self.digits.len() % 4);
        self.groups(whole, out)
    }

    /// Judges what is left.
    pub(crate) fn finish(mut self, out: &mut Vec<u8>) -> Result<(), MailFault> {
        let left = self.digits.len();
        self.groups(left, out)
    }

    fn groups(&mut self, whole: usize, out: &mut Vec<u8>) -> Result<(), MailFault> {
        let digits = self.digits.get(..whole).unwrap_or_default();
        if digits.is_empty() {
            return Ok(());
        }
        let wrong = || MailFault::Mime("base64");
        // Padding ends it: what follows would be read by some and not by others.
        if std::mem::replace(&mut self.padded, digits.ends_with(b"=")) {
            return Err(wrong());
        }
        STANDARD.decode_vec(digits, out).map_err(|_| wrong())?;
        self.digits.drain(..whole);
        Ok(())
    }
}

/// What base64 in another source decodes to.
pub(crate) struct Decoded {
    pub(crate) source: Arc<dyn Source>,
    pub(crate) from: u64,
}

impl Source for Decoded {
    fn reader(&self, from: u64) -> io::Result<Box<dyn Read + Send + '_>> {
        let mut reader = Decoding {
            input: self.source.reader(self.from)?,
            decoder: Some(Decoder::new()),
            chunk: Zeroizing::new(vec![0; CHUNK]),
            ready: Vec::with_capacity(CHUNK),
            given: 0,
        };
        skip(&mut reader, from)?;
        Ok(Box::new(reader))
    }

    fn layers(&self) -> usize {
        self.source.layers().saturating_add(1)
    }
}

/// Reads over octets that are not wanted.
pub(crate) fn skip(reader: &mut dyn Read, octets: u64) -> io::Result<()> {
    io::copy(&mut reader.take(octets), &mut io::sink()).map(|_| ())
}

struct Decoding<'s> {
    input: Box<dyn Read + Send + 's>,
    decoder: Option<Decoder>,
    chunk: Zeroizing<Vec<u8>>,
    ready: Vec<u8>,
    given: usize,
}

impl Read for Decoding<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.given == self.ready.len() {
            self.ready.clear();
            self.given = 0;
            let octets = some(&mut self.input, &mut self.chunk)?;
            match (self.decoder.as_mut(), octets.is_empty()) {
                (Some(decoder), false) => decoder.update(octets, &mut self.ready).map_err(invalid)?,
                _ => match self.decoder.take() {
                    Some(decoder) => decoder.finish(&mut self.ready).map_err(invalid)?,
                    None => return Ok(0),
                },
            }
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

impl Drop for Decoding<'_> {
    fn drop(&mut self) {
        self.ready.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decoded(text: &[u8], step: usize) -> Result<Vec<u8>, MailFault> {
        let (mut decoder, mut out) = (Decoder::new(), Vec::new());
        text.chunks(step).try_for_each(|chunk| decoder.update(chunk, &mut out))?;
        decoder.finish(&mut out)?;
        Ok(out)
    }

    #[test]
    fn padding_ends_it_wherever_the_pieces_are_cut() {
        for step in [1, 3, 4, 5, 100] {
            assert_eq!(decoded(b"AAAA\r\n  AA==\r\n\r\n", step).unwrap(), [0; 4]);
            for wrong in [&b"AA==AAAA"[..], b"AA=A", b"AA!A", b"AAA", b"A===", b"AB=="] {
                assert!(decoded(wrong, step).is_err(), "{}", wrong.escape_ascii());
            }
        }
    }

    proptest! {
        #[test]
        fn comes_back_in_any_pieces(data in proptest::collection::vec(any::<u8>(), 0..800), a in 1usize..200, b in 1usize..200) {
            let (mut encoder, mut text) = (Encoder::default(), Vec::new());
            data.chunks(a).for_each(|chunk| encoder.update(chunk, &mut text));
            encoder.finish(&mut text);
            prop_assert_eq!(text.len() as u64, length(data.len() as u64));
            prop_assert!(text.split(|c| *c == b'\n').all(|line| line.len() <= 77));
            prop_assert_eq!(decoded(&text, b).unwrap(), data.clone());
            let source = Decoded { source: Arc::new(text), from: 0 };
            let from = data.len().min(b);
            let mut rest = Vec::new();
            source.reader(from as u64).unwrap().read_to_end(&mut rest).unwrap();
            prop_assert_eq!(&rest[..], &data[from..]);
        }
    }
}
