//! Lines of messages of any size: whether they may stand in a message, and where they begin.

use std::io::{self, Read};

use zeroize::Zeroizing;

use crate::{
    Limits, MailFault,
    source::{CHUNK, some},
};

/// Judges the lines of a message as it goes by: CRLF only, no NUL, no line over the limit (H13, A21).
pub(crate) struct LineCheck<'l> {
    limits: &'l Limits,
    /// Line, counted from 1.
    number: usize,
    /// Octets of the line so far.
    length: usize,
    carriage: bool,
    octets: usize,
    in_body: bool,
    eight_bit_body: bool,
}

impl<'l> LineCheck<'l> {
    pub(crate) const fn new(limits: &'l Limits) -> Self {
        Self { limits, number: 1, length: 0, carriage: false, octets: 0, in_body: false, eight_bit_body: false }
    }

    /// Takes the next octets.
    pub(crate) fn update(&mut self, octets: &[u8]) -> Result<(), MailFault> {
        self.octets = self.octets.saturating_add(octets.len());
        if self.octets > self.limits.message {
            return Err(MailFault::TooLong(self.limits.message));
        }
        for run in octets.split_inclusive(|octet| *octet == b'\n') {
            let (text, ends) = match run.strip_suffix(b"\n") {
                Some(text) => (text, true),
                None => (run, false),
            };
            self.part_of_line(text, ends)?;
        }
        Ok(())
    }

    fn part_of_line(&mut self, text: &[u8], ends: bool) -> Result<(), MailFault> {
        if self.carriage && !text.is_empty() {
            return Err(MailFault::BareCr(self.number));
        }
        let (plain, carriage) = match text.strip_suffix(b"\r") {
            Some(plain) => (plain, true),
            None => (text, self.carriage),
        };
        self.carriage = carriage;
        if ends && !carriage {
            return Err(MailFault::BareLf(self.number));
        }
        self.length = self.length.saturating_add(plain.len());
        if self.length > self.limits.line {
            return Err(MailFault::LongLine(self.number));
        }
        if plain.contains(&b'\r') {
            return Err(MailFault::BareCr(self.number));
        }
        if plain.contains(&0) {
            return Err(MailFault::Nul(self.number));
        }
        self.eight_bit_body |= self.in_body && !plain.is_ascii();
        if ends {
            self.in_body |= self.length == 0;
            self.number = self.number.saturating_add(1);
            self.length = 0;
            self.carriage = false;
        }
        Ok(())
    }

    /// Whether the body has octets over 127, and how many octets there were.
    pub(crate) fn finish(self) -> Result<(bool, usize), MailFault> {
        if self.carriage { Err(MailFault::BareCr(self.number)) } else { Ok((self.eight_bit_body, self.octets)) }
    }
}

/// Part of a line: lines that fit come in one.
pub(crate) struct Fragment<'f> {
    /// Where it stands in the input.
    pub(crate) at: u64,
    pub(crate) text: &'f [u8],
    /// It is the start of a line.
    pub(crate) begins: bool,
    /// It reaches to the end of its line, or of the input.
    pub(crate) ends: bool,
}

/// Cuts a stream into lines, the very long ones into several pieces.
pub(crate) struct Fragments<R> {
    input: R,
    buffer: Zeroizing<Vec<u8>>,
    from: usize,
    filled: usize,
    at: u64,
    begins: bool,
    over: bool,
}

impl<R: Read> Fragments<R> {
    pub(crate) fn new(input: R) -> Self {
        Self { input, buffer: Zeroizing::new(vec![0; CHUNK]), from: 0, filled: 0, at: 0, begins: true, over: false }
    }

    /// The next piece.
    pub(crate) fn next(&mut self) -> io::Result<Option<Fragment<'_>>> {
        let length = loop {
            let ready = self.buffer.get(self.from..self.filled).unwrap_or_default();
            if let Some(at) = ready.iter().position(|octet| *octet == b'\n') {
                break at.saturating_add(1);
            }
            let full = ready.len() == self.buffer.len();
            if self.over || full {
                break ready.len();
            }
            self.fill()?;
        };
        if length == 0 {
            return Ok(None);
        }
        let (from, to) = (self.from, self.from.saturating_add(length));
        let (at, begins) = (self.at, self.begins);
        self.from = to;
        self.at = at.saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
        let text = self.buffer.get(from..to).unwrap_or_default();
        let newline = text.ends_with(b"\n");
        self.begins = newline;
        let last = self.over && to == self.filled;
        Ok(Some(Fragment { at, text, begins, ends: newline || last }))
    }

    fn fill(&mut self) -> io::Result<()> {
        self.buffer.copy_within(self.from..self.filled, 0);
        self.filled = self.filled.saturating_sub(self.from);
        self.from = 0;
        let read = some(&mut self.input, self.buffer.get_mut(self.filled..).unwrap_or_default())?.len();
        self.filled = self.filled.saturating_add(read);
        self.over = read == 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn long_lines_come_in_pieces_and_nothing_is_lost() {
        let text = [&b"ab\r\n"[..], &[b'x'; CHUNK + 7], b"\n", b"end"].concat();
        let mut fragments = Fragments::new(&text[..]);
        let mut found = Vec::new();
        let mut seen = Vec::new();
        while let Some(piece) = fragments.next().unwrap() {
            assert_eq!(piece.at as usize, found.len());
            found.extend_from_slice(piece.text);
            seen.push((piece.text.len(), piece.begins, piece.ends));
        }
        assert_eq!(found, text);
        assert_eq!(seen, [(4, true, true), (CHUNK, true, false), (8, false, true), (3, true, true)]);
    }

    proptest! {
        /// However a message is cut into pieces, it is judged alike.
        #[test]
        fn pieces_do_not_matter(text in "[aé\r\n\0]{0,16}", step in 1usize..5) {
            let limits = Limits { line: 5, ..Limits::default() };
            let judged = |step: usize| {
                let mut check = LineCheck::new(&limits);
                text.as_bytes().chunks(step).try_for_each(|chunk| check.update(chunk))?;
                check.finish()
            };
            prop_assert_eq!(judged(step).ok(), judged(100).ok());
        }
    }
}
