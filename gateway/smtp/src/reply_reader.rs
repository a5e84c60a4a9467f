//! Reads a peer's replies within fixed bounds (RP6, RP7).

use thiserror::Error;

use crate::{Reply, escape};

/// Longest line accepted from a peer: four times what RFC 5321 §4.5.3.1.5 allows.
const MAX_LINE: usize = 2048;
/// Most lines of one reply. EHLO lists of known servers stay under 40.
const MAX_LINES: usize = 128;
/// Most octets of one reply.
const MAX_OCTETS: usize = 16 * 1024;

/// Why what a peer said is no reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
pub enum ReplyFault {
    /// A line of more than 2048 octets, or one that never ends (RP7).
    #[error("a reply line is longer than 2048 octets")]
    LineTooLong,
    /// Over 128 lines or 16 KiB (RP6).
    #[error("the reply has too many lines")]
    TooLong,
    /// CR or LF alone, or a NUL.
    #[error("a reply line does not end in CR LF, or holds a NUL")]
    LineEnd,
    /// No three-digit code from 200 to 599 followed by a blank, a hyphen or the line's end.
    #[error("a reply line does not start with a reply code")]
    Code,
    /// The lines of one reply carry different codes.
    #[error("the lines of one reply carry different codes")]
    MixedCodes,
}

/// Collects one reply after the other. Holds at most one unfinished reply, never more than
/// 16 KiB of the peer's text.
#[derive(Debug, Default)]
pub struct ReplyReader {
    line: Vec<u8>,
    code: Option<u16>,
    lines: Vec<String>,
    octets: usize,
}

impl ReplyReader {
    /// A reader with nothing read.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether a reply has begun and is not complete.
    pub fn is_inside(&self) -> bool {
        !self.line.is_empty() || !self.lines.is_empty()
    }

    /// Reads up to the end of one reply. Gives how many octets it took, and the reply when it is
    /// complete; what follows it is left alone, so that a caller can see that something does.
    ///
    /// # Errors
    /// See [`ReplyFault`]; nothing more can be read from this peer then.
    pub fn read(&mut self, input: &[u8]) -> Result<(usize, Option<Reply>), ReplyFault> {
        for (index, &octet) in input.iter().enumerate() {
            if self.line.last() == Some(&b'\r') {
                if octet != b'\n' {
                    return Err(ReplyFault::LineEnd);
                }
                self.line.pop();
                if let Some(reply) = self.end_line()? {
                    return Ok((index.saturating_add(1), Some(reply)));
                }
                continue;
            }
            if matches!(octet, b'\n' | 0) {
                return Err(ReplyFault::LineEnd);
            }
            if self.line.len() >= MAX_LINE {
                return Err(ReplyFault::LineTooLong);
            }
            self.line.push(octet);
        }
        Ok((input.len(), None))
    }

    fn end_line(&mut self) -> Result<Option<Reply>, ReplyFault> {
        let line = std::mem::take(&mut self.line);
        self.octets = self.octets.saturating_add(line.len());
        if self.lines.len() >= MAX_LINES || self.octets > MAX_OCTETS {
            return Err(ReplyFault::TooLong);
        }
        let (code, rest) = line.split_at_checked(3).ok_or(ReplyFault::Code)?;
        let code = read_code(code).ok_or(ReplyFault::Code)?;
        let (more, text) = match rest.split_first() {
            None => (false, rest),
            Some((b' ', text)) => (false, text),
            Some((b'-', text)) => (true, text),
            Some(_) => return Err(ReplyFault::Code),
        };
        if self.code.is_some_and(|earlier| earlier != code) {
            return Err(ReplyFault::MixedCodes);
        }
        self.lines.push(escape(text));
        if more {
            self.code = Some(code);
            return Ok(None);
        }
        self.code = None;
        self.octets = 0;
        Ok(Some(Reply::received(code, std::mem::take(&mut self.lines))))
    }
}

fn read_code(digits: &[u8]) -> Option<u16> {
    let text = std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()))?;
    text.parse().ok().filter(|code| (200..=599).contains(code))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read_all(input: &[u8]) -> Result<Vec<Reply>, ReplyFault> {
        let (mut reader, mut rest, mut replies) = (ReplyReader::new(), input, Vec::new());
        while !rest.is_empty() {
            let (taken, reply) = reader.read(rest)?;
            rest = &rest[taken..];
            replies.extend(reply);
        }
        Ok(replies)
    }

    #[test]
    fn reads_replies_and_their_codes() {
        let replies = read_all(b"220 hi\r\n250-mx.test\r\n250-SIZE 10\r\n250 DSN\r\n550 5.1.1 no\r\n354\r\n").unwrap();
        assert_eq!(replies.len(), 4);
        assert_eq!(replies[1].lines(), ["mx.test", "SIZE 10", "DSN"]);
        assert_eq!((replies[2].enhanced(), replies[2].lines()), (Some((5, 1, 1).into()), &["no".to_owned()][..]));
        assert_eq!((replies[3].code(), replies[3].lines()), (354, &[String::new()][..]));
    }

    #[test]
    fn enhanced_code_of_another_class_is_text() {
        let replies = read_all(b"250-2.1.0 a\r\n250-2.1.0 b\r\n250 c\r\n451 5.0.0 d\r\n").unwrap();
        assert_eq!(replies[0].lines(), ["a", "b", "c"]);
        assert_eq!((replies[1].enhanced(), replies[1].lines()), (None, &["5.0.0 d".to_owned()][..]));
    }

    #[test]
    fn faults() {
        let long = [b"250 ".as_slice(), &[b'a'; 3000], b"\r\n"].concat();
        let cases: [(&[u8], ReplyFault); 14] = [
            (b"250 a\n", ReplyFault::LineEnd),
            (b"250 a\r\r\n", ReplyFault::LineEnd),
            (b"250 a\rb\r\n", ReplyFault::LineEnd),
            (b"250 \0\r\n", ReplyFault::LineEnd),
            (b"\r\n", ReplyFault::Code),
            (b"25\r\n", ReplyFault::Code),
            (b"25x a\r\n", ReplyFault::Code),
            (b"+25 a\r\n", ReplyFault::Code),
            (b"199 a\r\n", ReplyFault::Code),
            (b"600 a\r\n", ReplyFault::Code),
            (b"250_a\r\n", ReplyFault::Code),
            (b"2500 a\r\n", ReplyFault::Code),
            (b"250-a\r\n550 b\r\n", ReplyFault::MixedCodes),
            (&long, ReplyFault::LineTooLong),
        ];
        for (input, fault) in cases {
            assert_eq!(read_all(input).unwrap_err(), fault, "{:?}", escape(&input[..input.len().min(40)]));
        }
    }

    /// RP6: a reply of a million lines is given up after 128, whatever comes.
    #[test]
    fn rp6_endless_reply() {
        let mut reader = ReplyReader::new();
        let outcome = (0..1_000_000).find_map(|n| reader.read(b"250-x\r\n").err().map(|fault| (n, fault)));
        assert_eq!(outcome, Some((128, ReplyFault::TooLong)));
        let mut reader = ReplyReader::new();
        let line = [b"250-".as_slice(), &[b'a'; 2000], b"\r\n"].concat();
        let outcome = (0..1_000).find_map(|n| reader.read(&line).err().map(|fault| (n, fault)));
        assert_eq!(outcome, Some((8, ReplyFault::TooLong)));
    }

    /// RP7: a reply that never ends its line is given up after 2048 octets.
    #[test]
    fn rp7_endless_line() {
        let mut reader = ReplyReader::new();
        let outcome = (0..1_000_000).find_map(|n| reader.read(b"2").err().map(|fault| (n, fault)));
        assert_eq!(outcome, Some((2048, ReplyFault::LineTooLong)));
    }

    /// The bounds are those of one reply, not of a session.
    #[test]
    fn many_replies_are_fine() {
        let input = b"250-a longer line of text\r\n250 ok\r\n".repeat(2000);
        assert_eq!(read_all(&input).map(|replies| replies.len()), Ok(2000));
    }

    /// IN5: hostile text comes out as printable ASCII.
    #[test]
    fn in5_hostile_text() {
        let replies = read_all(b"550 5.7.1 \x1b[2J\xff\\n\tX: y\r\n").unwrap();
        assert_eq!(replies[0].lines(), ["\\x1B[2J\\xFF\\x5Cn\\x09X: y"]);
    }

    proptest! {
        /// RP7: splitting changes nothing; nothing panics; memory is bounded.
        #[test]
        fn splits_change_nothing(input in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..200),
            "(2[0-9]{2}[- ][a-z.0-9 ]{0,9}\r\n|[0-9]{1,3}|\r|\n|-){0,20}".prop_map(String::into_bytes),
        ], cut in 0usize..200) {
            let whole = read_all(&input);
            let (head, tail) = input.split_at(cut.min(input.len()));
            let (mut reader, mut replies, mut fault) = (ReplyReader::new(), Vec::new(), None);
            'all: for mut part in [head, tail] {
                while !part.is_empty() {
                    match reader.read(part) {
                        Ok((taken, reply)) => { part = &part[taken..]; replies.extend(reply); }
                        Err(found) => { fault = Some(found); break 'all; }
                    }
                }
            }
            prop_assert_eq!(whole, fault.map_or(Ok(replies), Err));
        }
    }
}
