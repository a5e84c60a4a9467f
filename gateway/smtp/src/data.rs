//! The body between 354 and the final dot, both ways. Only `CR LF . CR LF` ends a message, and a
//! CR, LF or NUL anywhere else ends the connection: what one server reads as text, another must
//! not be able to read as a command (SM1, SM2; CVE-2023-51764 and its family).

#[cfg(test)]
pub(crate) mod tests;

use thiserror::Error;

/// Why a body was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
pub enum BodyFault {
    /// A CR that no LF follows.
    #[error("the message holds a carriage return that no line feed follows")]
    BareCr,
    /// An LF that no CR precedes.
    #[error("the message holds a line feed that no carriage return precedes")]
    BareLf,
    /// A NUL octet.
    #[error("the message holds a NUL octet")]
    Nul,
    /// A line over the limit.
    #[error("the message has a line that is too long")]
    LineTooLong,
    /// The message is over the size limit.
    #[error("the message is larger than allowed")]
    TooLarge,
    /// Sending only: the last line has no CR LF.
    #[error("the message does not end in CR LF")]
    Unterminated,
}

/// How far a [`DataReader`] came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Octets taken from the input. Less than all of it only at the end of the message.
    pub taken: usize,
    /// The final dot was read.
    pub finished: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// After CR LF, and at the very start (SM7).
    LineStart,
    /// After a dot that starts a line.
    Dot,
    /// After a dot that starts a line, and CR.
    DotCr,
    /// Within a line.
    Inside,
    /// After a CR within a line or at its start.
    Cr,
}

/// Reads one body: removes the dots that the sender stuffed, finds the true end, counts.
#[derive(Debug)]
pub struct DataReader {
    place: Place,
    size: u64,
    max_size: u64,
    line: usize,
    max_line: usize,
}

impl DataReader {
    /// A reader that stands right behind the 354.
    ///
    /// `max_size` counts the octets of the message, line ends included and stuffed dots not
    /// (RFC 1870 §3). `max_line` counts a line without its CR LF.
    pub const fn new(max_size: u64, max_line: usize) -> Self {
        Self { place: Place::LineStart, size: 0, max_size, line: 0, max_line }
    }

    /// Octets of the message so far, also those beyond the limit.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Whether the size limit was passed. Reading goes on to the true end all the same (SM3);
    /// what is beyond the limit is not written to `out`.
    pub const fn is_oversize(&self) -> bool {
        self.size > self.max_size
    }

    /// Reads `input` and appends the message's octets to `out`.
    ///
    /// # Errors
    /// [`BodyFault::BareCr`], [`BodyFault::BareLf`], [`BodyFault::Nul`] or
    /// [`BodyFault::LineTooLong`]: nothing that follows may be read as anything.
    pub fn read(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<Progress, BodyFault> {
        let mut rest = input;
        while let Some((&octet, after)) = rest.split_first() {
            rest = match (self.place, octet) {
                (_, 0) => return Err(BodyFault::Nul),
                (Place::DotCr, b'\n') => {
                    return Ok(Progress { taken: input.len().saturating_sub(after.len()), finished: true });
                }
                (Place::Cr, b'\n') => {
                    self.keep(b"\r\n", out);
                    self.line = 0;
                    self.place = Place::LineStart;
                    after
                }
                (Place::Cr | Place::DotCr, _) => return Err(BodyFault::BareCr),
                (_, b'\n') => return Err(BodyFault::BareLf),
                (Place::LineStart, b'.') => {
                    self.place = Place::Dot;
                    after
                }
                (Place::Dot, b'\r') => {
                    self.place = Place::DotCr;
                    after
                }
                (_, b'\r') => {
                    self.place = Place::Cr;
                    after
                }
                (Place::LineStart | Place::Dot | Place::Inside, _) => self.read_text(rest, out)?,
            };
        }
        Ok(Progress { taken: input.len(), finished: false })
    }

    /// Takes the run of ordinary octets at the start of `rest`; there is at least one.
    fn read_text<'a>(&mut self, rest: &'a [u8], out: &mut Vec<u8>) -> Result<&'a [u8], BodyFault> {
        let end = rest.iter().position(|octet| matches!(octet, b'\r' | b'\n' | 0)).unwrap_or(rest.len());
        let (text, after) = rest.split_at_checked(end).unwrap_or((rest, &[]));
        self.line = self.line.saturating_add(text.len());
        if self.line > self.max_line {
            return Err(BodyFault::LineTooLong);
        }
        self.keep(text, out);
        self.place = Place::Inside;
        Ok(after)
    }

    /// Writes what is still under the size limit: an over-size message may be cut, never kept.
    fn keep(&mut self, octets: &[u8], out: &mut Vec<u8>) {
        self.size = self.size.saturating_add(u64::try_from(octets.len()).unwrap_or(u64::MAX));
        if self.size <= self.max_size {
            out.extend_from_slice(octets);
        }
    }
}

/// Writes one body: stuffs dots, and refuses to send what the reader would refuse (SM4).
#[derive(Debug)]
pub struct DataWriter {
    place: Place,
}

impl Default for DataWriter {
    fn default() -> Self {
        Self::new()
    }
}

impl DataWriter {
    /// A writer at the start of a body.
    pub const fn new() -> Self {
        Self { place: Place::LineStart }
    }

    /// Appends `body` to `out`, dots stuffed: at most one dot for every three octets.
    ///
    /// # Errors
    /// [`BodyFault::BareCr`], [`BodyFault::BareLf`] or [`BodyFault::Nul`]. The message must then
    /// not be ended: the connection is dropped and the stored body held, never repaired (SM4).
    pub fn write(&mut self, body: &[u8], out: &mut Vec<u8>) -> Result<(), BodyFault> {
        let mut rest = body;
        while let Some((&octet, after)) = rest.split_first() {
            rest = match (self.place, octet) {
                (_, 0) => return Err(BodyFault::Nul),
                (Place::Cr, b'\n') => {
                    out.extend_from_slice(b"\r\n");
                    self.place = Place::LineStart;
                    after
                }
                (Place::Cr, _) => return Err(BodyFault::BareCr),
                (_, b'\n') => return Err(BodyFault::BareLf),
                (_, b'\r') => {
                    self.place = Place::Cr;
                    after
                }
                (place, _) => {
                    if place == Place::LineStart && octet == b'.' {
                        out.push(b'.');
                    }
                    let end = rest.iter().position(|octet| matches!(octet, b'\r' | b'\n' | 0)).unwrap_or(rest.len());
                    let (text, after) = rest.split_at_checked(end).unwrap_or((rest, &[]));
                    out.extend_from_slice(text);
                    self.place = Place::Inside;
                    after
                }
            };
        }
        Ok(())
    }

    /// Appends the final dot.
    ///
    /// # Errors
    /// [`BodyFault::Unterminated`] when the last line has no CR LF: adding one would send other
    /// bytes than were stored and signed.
    pub fn finish(self, out: &mut Vec<u8>) -> Result<(), BodyFault> {
        if self.place != Place::LineStart {
            return Err(BodyFault::Unterminated);
        }
        out.extend_from_slice(b".\r\n");
        Ok(())
    }
}
