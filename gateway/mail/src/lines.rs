//! Lines of messages of any size: whether they may stand in a message, and where they begin.

use std::io::{self, Read};

use pki::plaintext::Plaintext;

use crate::{
    Limits, MailFault,
    source::{CHUNK, Source, after, some},
};

/// Octets looked at together: their line ends are counted in one octet.
const BLOCK: usize = 128;
/// Octets whose lines are looked at together, where they have different lengths.
const WINDOW: usize = 2048;
/// Columns of a line of base64 (RFC 2045 §6.8), as all but all software writes it: most of most messages.
const COLUMNS: usize = 76;
/// Such lines that are judged together.
const TOGETHER: usize = 16;

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
        let mut rest = octets;
        // Tried once: what is wrong further on must not be looked for again from each line before it.
        let mut untried = true;
        while !rest.is_empty() {
            if untried && self.in_body && self.length == 0 && !self.carriage {
                rest = self.regular_lines(rest);
                let window = rest.get(..WINDOW).unwrap_or(rest);
                let whole = memchr::memrchr(b'\n', window).map_or(0, |last| last.saturating_add(1));
                let (lines, after) = rest.split_at_checked(whole).unwrap_or((&[], rest));
                untried = self.good_lines(lines);
                if untried {
                    rest = after;
                    if whole > 0 || rest.is_empty() {
                        continue;
                    }
                }
            }
            let end = memchr::memchr(b'\n', rest);
            let (text, after) = rest.split_at_checked(end.unwrap_or(rest.len())).unwrap_or((rest, &[]));
            self.part_of_line(text, end.is_some())?;
            rest = after.get(1..).unwrap_or_default();
        }
        Ok(())
    }

    /// Takes lines of base64 of the usual length, as long as nothing else comes, and gives back what follows them.
    fn regular_lines<'t>(&mut self, text: &'t [u8]) -> &'t [u8] {
        if self.limits.line < COLUMNS {
            return text;
        }
        let mut count = 0usize;
        for lines in text.as_chunks::<{ COLUMNS + 2 }>().0.chunks(TOGETHER) {
            let Some(ascii) = regular(lines) else { break };
            self.eight_bit_body |= !ascii;
            count = count.saturating_add(lines.len());
        }
        self.number = self.number.saturating_add(count);
        text.get(count.saturating_mul(COLUMNS + 2)..).unwrap_or_default()
    }

    /// Takes whole lines of the body at once if there is nothing wrong with them. Else nothing is taken, and going
    /// through them one by one says what it is.
    fn good_lines(&mut self, lines: &[u8]) -> bool {
        let Some((first, behind)) = lines.split_first() else { return true };
        let (mut wrong, mut all, mut count) = (*first == b'\n' || *first == 0, *first, 0usize);
        // No branch in it, so that the compiler makes vectors of it: each octet beside the one before.
        for (before, these) in lines.chunks(BLOCK).zip(behind.chunks(BLOCK)) {
            let mut ends = 0u8;
            for (before, this) in before.iter().zip(these) {
                wrong |= (*before == b'\r') != (*this == b'\n');
                wrong |= *this == 0;
                all |= *this;
                ends = ends.wrapping_add(u8::from(*this == b'\n'));
            }
            count = count.saturating_add(usize::from(ends));
        }
        if wrong || !self.lengths_fit(lines) {
            return false;
        }
        self.eight_bit_body |= !all.is_ascii();
        self.number = self.number.saturating_add(count);
        true
    }

    /// Whether no line is over the limit: from each line on, an end is looked for backwards from the limit.
    fn lengths_fit(&self, lines: &[u8]) -> bool {
        let most = self.limits.line.saturating_add(2);
        let mut rest = lines;
        while rest.len() > most {
            let window = rest.get(..most).unwrap_or_default();
            let Some(end) = memchr::memrchr(b'\n', window) else { return false };
            rest = rest.get(end.saturating_add(1)..).unwrap_or_default();
        }
        true
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
        // One pass without a branch in it, over all octets of all messages.
        let (mut carriage, mut nul, mut all) = (false, false, 0u8);
        for octet in plain {
            carriage |= *octet == b'\r';
            nul |= *octet == 0;
            all |= *octet;
        }
        if carriage {
            return Err(MailFault::BareCr(self.number));
        }
        if nul {
            return Err(MailFault::Nul(self.number));
        }
        self.eight_bit_body |= self.in_body && !all.is_ascii();
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

/// Whether these are lines with their ends where they belong and, before them, no octet up to CR: neither a NUL nor
/// another end. Then, whether all octets are ASCII.
///
/// Eight octets at a time in a number: the compiler makes vectors of that or not, and it is fast either way.
fn regular(lines: &[[u8; COLUMNS + 2]]) -> Option<bool> {
    let (mut above, mut all, mut ended) = (HIGH, 0u64, true);
    for [columns @ .., carriage, newline] in lines {
        ended &= *carriage == b'\r' && *newline == b'\n';
        for octets in columns.as_chunks::<8>().0 {
            let octets = u64::from_le_bytes(*octets);
            above &= above_cr(octets);
            all |= octets;
        }
        // The last eight overlap the ones before.
        let last = u64::from_le_bytes(*columns.last_chunk::<8>()?);
        above &= above_cr(last);
        all |= last;
    }
    (ended && above == HIGH).then_some(all & HIGH == 0)
}

/// The highest bit of each of eight octets.
const HIGH: u64 = 0x8080_8080_8080_8080;

/// Has the highest bit of each octet that is greater than CR.
const fn above_cr(octets: u64) -> u64 {
    // What is missing from one more than CR to the highest bit.
    const TO_HIGH: u64 = 0x7272_7272_7272_7272;
    (octets & !HIGH).wrapping_add(TO_HIGH) | octets
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

/// Cuts octets into lines, the very long ones into several pieces: alike, wherever the octets are.
pub(crate) struct Fragments<'s> {
    input: Input<'s>,
    at: u64,
    begins: bool,
}

enum Input<'s> {
    /// What is left of octets in memory.
    Memory(&'s [u8]),
    Stream(Stream<'s>),
}

impl<'s> Fragments<'s> {
    /// Of a source, from this place on.
    pub(crate) fn of(source: &'s dyn Source, from: u64) -> io::Result<Self> {
        Ok(match source.memory() {
            Some(octets) => Self::over(after(octets, from)),
            None => Self::new(Input::Stream(Stream::new(source.reader(from)?))),
        })
    }

    /// Of octets in memory.
    pub(crate) const fn over(octets: &'s [u8]) -> Self {
        Self::new(Input::Memory(octets))
    }

    const fn new(input: Input<'s>) -> Self {
        Self { input, at: 0, begins: true }
    }

    /// Passes over what is at hand up to a line that begins with two dashes: no other is a delimiter. What is not
    /// passed over comes as it would have come.
    pub(crate) fn pass_to_dashes(&mut self) {
        let (ready, whole) = match &self.input {
            Input::Memory(rest) => (*rest, true),
            Input::Stream(stream) => (stream.ready(), false),
        };
        if self.begins && (ready.starts_with(b"--") || ready.len() < 2) {
            return;
        }
        let passed = match memchr::memmem::find(ready, b"\n--") {
            Some(end) => end.saturating_add(1),
            None if whole => ready.len(),
            // More may come behind the last two.
            None => ready.len().saturating_sub(2),
        };
        let Some(last) = passed.checked_sub(1).and_then(|last| ready.get(last)) else { return };
        self.begins = *last == b'\n';
        self.at = self.at.saturating_add(u64::try_from(passed).unwrap_or(u64::MAX));
        match &mut self.input {
            Input::Memory(rest) => *rest = rest.get(passed..).unwrap_or_default(),
            Input::Stream(stream) => stream.from = stream.from.saturating_add(passed),
        }
    }

    /// The next piece.
    pub(crate) fn next(&mut self) -> io::Result<Option<Fragment<'_>>> {
        let (text, last) = match &mut self.input {
            Input::Memory(rest) => {
                let window = rest.get(..CHUNK).unwrap_or(rest);
                let length = memchr::memchr(b'\n', window).map_or(window.len(), |end| end.saturating_add(1));
                let (text, after) = rest.split_at_checked(length).unwrap_or((rest, &[]));
                *rest = after;
                (text, after.is_empty())
            }
            Input::Stream(stream) => stream.next()?,
        };
        if text.is_empty() {
            return Ok(None);
        }
        let (at, begins) = (self.at, self.begins);
        self.at = at.saturating_add(u64::try_from(text.len()).unwrap_or(u64::MAX));
        let newline = text.ends_with(b"\n");
        self.begins = newline;
        Ok(Some(Fragment { at, text, begins, ends: newline || last }))
    }
}

struct Stream<'s> {
    input: Box<dyn Read + Send + 's>,
    buffer: Plaintext,
    from: usize,
    filled: usize,
    over: bool,
}

impl<'s> Stream<'s> {
    fn new(input: Box<dyn Read + Send + 's>) -> Self {
        Self { input, buffer: Plaintext::from(vec![0; CHUNK]), from: 0, filled: 0, over: false }
    }

    /// What was read and not given yet.
    fn ready(&self) -> &[u8] {
        self.buffer.get(self.from..self.filled).unwrap_or_default()
    }

    /// The next piece, and whether nothing follows it.
    fn next(&mut self) -> io::Result<(&[u8], bool)> {
        let length = loop {
            let ready = self.ready();
            if let Some(at) = memchr::memchr(b'\n', ready) {
                break at.saturating_add(1);
            }
            let full = ready.len() == self.buffer.len();
            if self.over || full {
                break ready.len();
            }
            self.fill()?;
        };
        let (from, to) = (self.from, self.from.saturating_add(length));
        self.from = to;
        let last = self.over && to == self.filled;
        Ok((self.buffer.get(from..to).unwrap_or_default(), last))
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
        let streamed = Fragments::new(Input::Stream(Stream::new(Box::new(&text[..]))));
        for mut fragments in [streamed, Fragments::over(&text)] {
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

        /// Many lines at once are judged as each by itself.
        #[test]
        fn lines_at_once_are_judged_as_one_by_one(
            good in "(([a-zé]{0,5}\r\n){0,40}){1,3}", odd in "[aé\r\n\0]{0,3}", at in 0usize..400, step in 1usize..400,
        ) {
            let limits = Limits { line: 8, ..Limits::default() };
            let mut text = [b"A: b\r\n\r\n", good.as_bytes()].concat();
            let at = at.min(text.len());
            text.splice(at..at, odd.bytes());
            let judged = |step: usize| {
                let mut check = LineCheck::new(&limits);
                text.chunks(step).try_for_each(|chunk| check.update(chunk))?;
                check.finish()
            };
            // Octet by octet there is never a whole line.
            prop_assert_eq!(judged(step).ok(), judged(1).ok());
        }

        /// So are those of base64, with anything among them.
        #[test]
        fn lines_of_base64_are_judged_as_one_by_one(
            lines in 0usize..60, odd in "[aé\r\n\0\t\x0e]{0,3}", at in 0usize..5000, cut in 0usize..3, step in 1usize..6000,
        ) {
            let limits = Limits { line: COLUMNS, ..Limits::default() };
            let line = format!("{}\r\n", "Ab+/".repeat(COLUMNS / 4));
            let mut text = format!("A: b\r\n\r\n{}", line.repeat(lines)).into_bytes();
            let at = at.min(text.len());
            text.splice(at..at.saturating_add(cut).min(text.len()), odd.bytes());
            let judged = |step: usize| {
                let mut check = LineCheck::new(&limits);
                text.chunks(step).try_for_each(|chunk| check.update(chunk))?;
                check.finish()
            };
            prop_assert_eq!(judged(step).ok(), judged(1).ok());
        }

        /// Nothing that begins like a delimiter is passed over, and what follows comes as it would have.
        #[test]
        fn only_what_is_no_delimiter_is_passed_over(
            text in "([ab-]{0,3}(\r\n|\n|-))*", long in 0usize..3, passes in proptest::collection::vec(any::<bool>(), 1..20),
        ) {
            let text = [text.as_bytes(), &vec![b'x'; long * (CHUNK - 3)], b"\n--a\r\n\n--", text.as_bytes()].concat();
            let delimiters = |passing: bool, mut fragments: Fragments<'_>| {
                let (mut found, mut passes) = (Vec::new(), passes.iter().cycle());
                loop {
                    if passing && *passes.next().unwrap() {
                        fragments.pass_to_dashes();
                    }
                    let Some(piece) = fragments.next().unwrap() else { break };
                    if piece.begins && piece.text.starts_with(b"--") {
                        found.push((piece.at, piece.text.to_vec(), piece.ends));
                    }
                }
                found
            };
            let streamed = || Fragments::new(Input::Stream(Stream::new(Box::new(&text[..]))));
            let all = delimiters(false, Fragments::over(&text));
            prop_assert_eq!(&delimiters(true, Fragments::over(&text)), &all);
            prop_assert_eq!(&delimiters(true, streamed()), &all);
        }
    }
}
