//! Base64 of any size, written and read as it goes by (RFC 2045 §6.8).

use std::{
    io::{self, BufRead, Read},
    sync::Arc,
};

use base64_simd::STANDARD;
use pki::plaintext::Plaintext;

use crate::{
    MailFault,
    source::{CHUNK, Room, SMALL, Source, after, invalid, settled},
};

/// Columns of the base64 that we write.
const COLUMNS: usize = 76;
/// Octets in a line of it.
const LINE: usize = COLUMNS / 4 * 3;
/// A line of it as it is written, with its end.
const WHOLE: usize = COLUMNS + 2;
/// Octets that are encoded at once: whole lines.
const RUN: usize = LINE * 256;
/// Octets of text that are decoded at once: whole lines, if they are as we write them.
const TEXT: usize = WHOLE * 210;

/// Octets of base64 in lines of 76 columns with CRLF, for this many octets.
pub(crate) const fn length(octets: u64) -> u64 {
    let lines = octets.div_ceil(LINE as u64);
    octets.div_ceil(3).saturating_mul(4).saturating_add(lines.saturating_mul(2))
}

/// Writes base64 in lines of 76 columns with CRLF.
#[derive(Default)]
pub(crate) struct Encoder {
    /// Octets that make no whole line yet.
    carry: Plaintext,
    /// What was encoded last, before it is cut into lines.
    text: Plaintext,
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
            lines(&self.carry, &mut self.text, out);
            self.carry.clear();
        }
        let whole = octets.len().saturating_sub(octets.len() % LINE);
        let (whole, rest) = octets.split_at_checked(whole).unwrap_or((octets, &[]));
        lines(whole, &mut self.text, out);
        self.carry.extend_from_slice(rest);
    }

    /// Appends the last line.
    pub(crate) fn finish(mut self, out: &mut Vec<u8>) {
        lines(&self.carry, &mut self.text, out);
    }
}

/// Encodes a run at once, and then cuts it into lines: much faster than line by line.
fn lines(octets: &[u8], text: &mut Vec<u8>, out: &mut Vec<u8>) {
    for run in octets.chunks(RUN) {
        text.clear();
        // Once and whole: growth would leave copies behind.
        text.reserve(RUN / 3 * 4);
        STANDARD.encode_append(run, text);
        let (whole, last) = text.as_chunks::<COLUMNS>();
        out.reserve(text.len().saturating_add(whole.len().saturating_add(1).saturating_mul(2)));
        for line in whole {
            out.extend_from_slice(line);
            out.extend_from_slice(b"\r\n");
        }
        if !last.is_empty() {
            out.extend_from_slice(last);
            out.extend_from_slice(b"\r\n");
        }
    }
}

/// Reads base64 however it is broken into lines.
pub(crate) struct Decoder {
    /// Digits that make no whole group yet.
    digits: Plaintext,
    /// Columns of the last line: most likely those of the next.
    columns: usize,
    padded: bool,
}

impl Decoder {
    pub(crate) fn new() -> Self {
        Self { digits: Plaintext::with_capacity(TEXT.saturating_add(4)), columns: COLUMNS, padded: false }
    }

    /// Appends what these characters decode to.
    pub(crate) fn update(&mut self, text: &[u8], out: &mut Vec<u8>) -> Result<(), MailFault> {
        text.chunks(TEXT).try_for_each(|text| self.run(text, out))
    }

    fn run(&mut self, text: &[u8], out: &mut Vec<u8>) -> Result<(), MailFault> {
        let (digits, padded, decoded) = (self.digits.len(), self.padded, out.len());
        self.take_regular(text);
        // What waits for the next run is not decoded in this one.
        let waiting = self.digits.iter().rev().take(self.digits.len() % 4);
        let regular = if waiting.copied().any(|digit| digit.is_ascii_whitespace()) {
            Err(MailFault::Mime("base64"))
        } else {
            self.whole_groups(out)
        };
        regular.or_else(|_| {
            // A line end or a blank may have been taken for a digit, where lines change their length.
            self.digits.truncate(digits);
            self.padded = padded;
            out.truncate(decoded);
            self.take(text);
            self.whole_groups(out)
        })
    }

    /// Takes digits out of lines that are as long as the one before, looking only at their ends. Whatever is not
    /// a digit is found when it is decoded.
    fn take_regular(&mut self, text: &[u8]) {
        let mut rest = text;
        if self.columns == COLUMNS {
            // Nearly all there are, in pieces of known length.
            for line in text.as_chunks::<WHOLE>().0 {
                let [digits @ .., b'\r', b'\n'] = line else { break };
                self.digits.extend_from_slice(digits);
                rest = rest.get(WHOLE..).unwrap_or_default();
            }
        }
        while !rest.is_empty() {
            match rest.split_at_checked(self.columns).map(|(line, after)| (line, after.strip_prefix(b"\r\n"))) {
                Some((line, Some(after))) => {
                    self.digits.extend_from_slice(line);
                    rest = after;
                }
                _ => rest = self.take_line(rest),
            }
        }
    }

    /// Takes digits wherever they stand: blanks within a line are passed over as line ends are (RFC 2045 §6.8), in
    /// whatever pieces the text comes.
    fn take(&mut self, text: &[u8]) {
        self.digits.extend(text.iter().filter(|octet| !octet.is_ascii_whitespace()));
    }

    /// Takes those of one line, and gives back what follows it.
    fn take_line<'t>(&mut self, text: &'t [u8]) -> &'t [u8] {
        let end = memchr::memchr2(b'\n', b'\r', text).unwrap_or(text.len());
        let (line, after) = text.split_at_checked(end).unwrap_or((text, &[]));
        self.columns = line.len();
        self.digits.extend_from_slice(line.trim_ascii());
        after.strip_prefix(b"\r\n").or_else(|| after.get(1..)).unwrap_or_default()
    }

    fn whole_groups(&mut self, out: &mut Vec<u8>) -> Result<(), MailFault> {
        let whole = self.digits.len().saturating_sub(self.digits.len() % 4);
        self.groups(whole, out)
    }

    /// Judges what is left.
    pub(crate) fn finish(mut self, out: &mut Vec<u8>) -> Result<(), MailFault> {
        let left = self.digits.len();
        self.groups(left, out)
    }

    /// Decodes the first digits. Those of a run that fails stay: [`Self::run`] takes them otherwise.
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
        STANDARD.decode_append(digits, out).map_err(|_| wrong())?;
        self.digits.drain(..whole);
        Ok(())
    }
}

/// What base64 in another source decodes to.
pub(crate) struct Decoded {
    pub(crate) source: Arc<dyn Source>,
    pub(crate) from: u64,
}

impl Decoded {
    /// Ready to be read often, as [`settled`] has it; at once, if the text lies in memory and is small.
    pub(crate) fn settled(self, room: &dyn Room, most: u64) -> Result<Arc<dyn Source>, MailFault> {
        // A little more than it will be: line ends are among the digits.
        let size = |text: &[u8]| text.len().div_ceil(4).saturating_mul(3);
        let text = self.source.memory().map(|octets| after(octets, self.from));
        let Some(text) = text.filter(|text| size(text) <= SMALL) else {
            return settled(Arc::new(self), room, most);
        };
        let about = size(text);
        let (mut decoder, mut out) = (Decoder::new(), Plaintext::with_capacity(about));
        decoder.update(text, &mut out)?;
        decoder.finish(&mut out)?;
        Ok(Arc::new(out))
    }
}

impl Source for Decoded {
    fn reader(&self, from: u64) -> io::Result<Box<dyn Read + Send + '_>> {
        let mut reader = Decoding {
            input: self.source.pieces(self.from)?,
            decoder: Some(Decoder::new()),
            ready: Plaintext::with_capacity(CHUNK),
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
    input: Box<dyn BufRead + Send + 's>,
    decoder: Option<Decoder>,
    ready: Plaintext,
    given: usize,
}

impl Decoding<'_> {
    /// Decodes some more into the buffer; false at the end.
    fn more(&mut self) -> io::Result<bool> {
        let octets = self.input.fill_buf()?;
        let octets = octets.get(..CHUNK).unwrap_or(octets);
        let taken = octets.len();
        match self.decoder.as_mut() {
            Some(decoder) if taken > 0 => decoder.update(octets, &mut self.ready).map_err(invalid)?,
            _ => match self.decoder.take() {
                Some(decoder) => decoder.finish(&mut self.ready).map_err(invalid)?,
                None => return Ok(false),
            },
        }
        self.input.consume(taken);
        Ok(true)
    }
}

impl Read for Decoding<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.given == self.ready.len() {
            self.ready.clear();
            self.given = 0;
            if !self.more()? {
                return Ok(0);
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
        /// What is read, and what is refused, is what the plain decoder reads and refuses without line ends.
        #[test]
        fn reads_what_the_plain_decoder_reads(
            groups in "([A-Za-z0-9+/]{4}){0,60}", end in "|[A-Za-z0-9+/=]{0,6}", odd in "[!\0é=]?", at in 0usize..250,
            columns in 1usize..100, ends in proptest::sample::select(vec!["\r\n", "\n", " \r\n", "\r\n\r\n", "\r", " ", "\t "]),
            step in 1usize..300,
        ) {
            use base64::{Engine, engine::general_purpose};
            let mut digits = format!("{groups}{end}");
            let at = at.min(digits.len());
            digits.insert_str(at, &odd);
            let lines: Vec<&[u8]> = digits.as_bytes().chunks(columns).collect();
            let text = lines.join(ends.as_bytes());
            let expected = general_purpose::STANDARD.decode(&digits).ok();
            prop_assert_eq!(decoded(&text, step).ok(), expected);
        }

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
