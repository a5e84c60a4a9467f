//! Lines of any input, each within a limit, counted as an editor counts them.

use std::io::{self, BufRead};

/// Longest line that is read; a longer one is passed over and reported.
pub(crate) const MAX_LINE: usize = 64 * 1024;

/// What stands on a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Line<'a> {
    /// Its octets, without the line end.
    Bytes(&'a [u8]),
    /// More than [`MAX_LINE`] octets.
    TooLong,
}

/// Reads line by line into one buffer.
#[derive(Debug)]
pub(crate) struct Lines<R> {
    input: R,
    buffer: Vec<u8>,
    number: u64,
}

impl<R: BufRead> Lines<R> {
    pub(crate) fn new(input: R) -> Self {
        Self { input, buffer: Vec::new(), number: 0 }
    }

    /// The next line and its number, from 1; `None` at the end. LF and CRLF both end a line.
    pub(crate) fn next(&mut self) -> io::Result<Option<(u64, Line<'_>)>> {
        self.buffer.clear();
        let mut started = false;
        let mut too_long = false;
        loop {
            let available = match self.input.fill_buf() {
                Ok(available) => available,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if available.is_empty() {
                break;
            }
            started = true;
            let end = available.iter().position(|byte| *byte == b'\n');
            let piece = available.get(..end.unwrap_or(available.len())).unwrap_or_default();
            if self.buffer.len().saturating_add(piece.len()) > MAX_LINE {
                too_long = true;
            } else if !too_long {
                self.buffer.extend_from_slice(piece);
            }
            let used = end.map_or(available.len(), |end| end.saturating_add(1));
            self.input.consume(used);
            if end.is_some() {
                break;
            }
        }
        if !started {
            return Ok(None);
        }
        self.number = self.number.saturating_add(1);
        if too_long {
            return Ok(Some((self.number, Line::TooLong)));
        }
        let line = self.buffer.strip_suffix(b"\r").unwrap_or(&self.buffer);
        Ok(Some((self.number, Line::Bytes(line))))
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    fn all(input: &[u8]) -> Vec<Option<Vec<u8>>> {
        // A tiny buffer, so that lines cross its edges.
        let mut lines = Lines::new(BufReader::with_capacity(3, input));
        let mut found = Vec::new();
        while let Some((number, line)) = lines.next().unwrap() {
            assert_eq!(number, found.len() as u64 + 1);
            found.push(match line {
                Line::Bytes(bytes) => Some(bytes.to_vec()),
                Line::TooLong => None,
            });
        }
        found
    }

    #[test]
    fn both_line_ends_and_a_missing_last_one() {
        let text = |line: &str| Some(line.as_bytes().to_vec());
        assert_eq!(all(b"a\r\n\nbcdef\nlast"), [text("a"), text(""), text("bcdef"), text("last")]);
        assert_eq!(all(b""), Vec::<Option<Vec<u8>>>::new());
    }

    #[test]
    fn a_line_over_the_limit_does_not_take_the_next_one_with_it() {
        let exact = vec![b'x'; MAX_LINE];
        let input = [exact.as_slice(), b"\n", &exact, b"y\n", b"next"].concat();
        assert_eq!(all(&input), [Some(exact), None, Some(b"next".to_vec())]);
    }
}
