//! Messages that are too large for memory: read as often as needed, kept wherever the caller keeps them.
//!
//! A [`Source`] is a run of octets that can be read again from any place; layers of protection are sources
//! over sources, so that nothing is copied but what decryption makes. Small ones are plain memory.

use std::{
    fmt,
    io::{self, BufRead, Read, Write},
    sync::Arc,
};

use pki::plaintext::Plaintext;
use zeroize::Zeroizing;

use crate::{Limits, MailFault, head::Head};

/// Up to here octets that come out of a layer are kept in memory.
pub(crate) const SMALL: usize = 4 << 20;
/// Octets moved at once: buffers are wiped whole, so a larger one costs more than it spares.
pub(crate) const CHUNK: usize = 16 * 1024;

/// Octets that can be read more than once.
pub trait Source: Send + Sync {
    /// Reads from this place to the end.
    ///
    /// # Errors
    /// Those of wherever the octets are.
    fn reader(&self, from: u64) -> io::Result<Box<dyn Read + Send + '_>>;

    /// How many layers each pass over it takes off again; what is kept somewhere has none.
    fn layers(&self) -> usize {
        0
    }

    /// All octets, where they lie in memory anyway: then nothing is copied to go through them.
    fn memory(&self) -> Option<&[u8]> {
        None
    }

    /// As [`Self::reader`], in pieces: those that lie in memory are lent, not copied.
    ///
    /// # Errors
    /// Those of wherever the octets are.
    fn pieces(&self, from: u64) -> io::Result<Box<dyn BufRead + Send + '_>> {
        Ok(match self.memory() {
            Some(octets) => Box::new(after(octets, from)),
            None => Box::new(Pieces::new(self.reader(from)?)),
        })
    }
}

/// Where octets go that become a source afterwards. Dropping it leaves nothing.
pub trait Scratch: Write + Send {
    /// Where it is written to, if that is memory with room for what was announced and 64 octets more: then nothing is
    /// copied on its way there.
    fn memory(&mut self) -> Option<&mut Plaintext> {
        None
    }

    /// What was written.
    ///
    /// # Errors
    /// Those of wherever the octets are.
    fn into_source(self: Box<Self>) -> io::Result<Arc<dyn Source>>;
}

/// Octets handed on at once where they are not copied: as much as a processor's cache holds.
pub(crate) const RUN: usize = 64 * 1024;

/// Gives room for what decryption makes: nobody reads it before the verdict (A18).
pub trait Room: Sync {
    /// Room for about this many octets: more may come, and must then be found.
    fn scratch(&self, octets: u64) -> Box<dyn Scratch>;
}

/// Room in memory, for messages that are small or that the caller holds in memory anyway.
#[derive(Debug, Clone, Copy, Default)]
pub struct InMemory;

impl Room for InMemory {
    fn scratch(&self, octets: u64) -> Box<dyn Scratch> {
        // Reserved whole: then nothing has to grow.
        let octets = usize::try_from(octets).unwrap_or(0).saturating_add(64);
        Box::new(Memory(Plaintext::with_capacity(octets)))
    }
}

struct Memory(Plaintext);

impl Memory {
    /// Moves what is there into a larger buffer, if these octets do not fit: the old one is wiped, as growth in place
    /// would not do.
    fn make_room(&mut self, octets: usize) {
        let needed = self.0.len().saturating_add(octets);
        if needed > self.0.capacity() {
            let mut wider = Plaintext::with_capacity(needed.max(self.0.len().saturating_mul(2)));
            wider.extend_from_slice(&self.0);
            self.0 = wider;
        }
    }
}

impl Write for Memory {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.make_room(octets.len());
        self.0.extend_from_slice(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Scratch for Memory {
    fn memory(&mut self) -> Option<&mut Plaintext> {
        Some(&mut self.0)
    }

    fn into_source(self: Box<Self>) -> io::Result<Arc<dyn Source>> {
        Ok(Arc::new(self.0))
    }
}

/// What stands from this place on.
pub(crate) fn after(octets: &[u8], from: u64) -> &[u8] {
    octets.get(usize::try_from(from).unwrap_or(usize::MAX)..).unwrap_or_default()
}

fn slice_reader(octets: &[u8], from: u64) -> Box<dyn Read + Send + '_> {
    Box::new(after(octets, from))
}

impl Source for Vec<u8> {
    fn reader(&self, from: u64) -> io::Result<Box<dyn Read + Send + '_>> {
        Ok(slice_reader(self, from))
    }

    fn memory(&self) -> Option<&[u8]> {
        Some(self)
    }
}

impl Source for Zeroizing<Vec<u8>> {
    fn reader(&self, from: u64) -> io::Result<Box<dyn Read + Send + '_>> {
        Ok(slice_reader(self, from))
    }

    fn memory(&self) -> Option<&[u8]> {
        Some(self)
    }
}

impl Source for Plaintext {
    fn reader(&self, from: u64) -> io::Result<Box<dyn Read + Send + '_>> {
        Ok(slice_reader(self, from))
    }

    fn memory(&self) -> Option<&[u8]> {
        Some(self)
    }
}

impl Source for &[u8] {
    fn reader(&self, from: u64) -> io::Result<Box<dyn Read + Send + '_>> {
        Ok(slice_reader(self, from))
    }

    fn memory(&self) -> Option<&[u8]> {
        Some(self)
    }
}

impl<const N: usize> Source for [u8; N] {
    fn reader(&self, from: u64) -> io::Result<Box<dyn Read + Send + '_>> {
        Ok(slice_reader(self, from))
    }
}

/// A stretch of another source.
pub(crate) struct Part {
    pub(crate) source: Arc<dyn Source>,
    pub(crate) from: u64,
    /// To its end, or to here.
    pub(crate) to: Option<u64>,
}

impl Source for Part {
    fn reader(&self, from: u64) -> io::Result<Box<dyn Read + Send + '_>> {
        let from = self.from.saturating_add(from);
        let reader = self.source.reader(from)?;
        Ok(match self.to {
            Some(to) => Box::new(reader.take(to.saturating_sub(from))),
            None => reader,
        })
    }

    fn layers(&self) -> usize {
        self.source.layers()
    }

    fn memory(&self) -> Option<&[u8]> {
        let all = after(self.source.memory()?, self.from);
        let length = self.to.map(|to| usize::try_from(to.saturating_sub(self.from)).unwrap_or(usize::MAX));
        Some(length.and_then(|length| all.get(..length)).unwrap_or(all))
    }
}

/// One source of known length, then some octets.
pub(crate) struct Joined {
    pub(crate) first: Arc<dyn Source>,
    /// Octets of the first.
    pub(crate) length: u64,
    pub(crate) then: Zeroizing<Vec<u8>>,
}

impl Source for Joined {
    fn reader(&self, from: u64) -> io::Result<Box<dyn Read + Send + '_>> {
        Ok(match from.checked_sub(self.length) {
            Some(behind) => slice_reader(&self.then, behind),
            None => Box::new(self.first.reader(from)?.chain(slice_reader(&self.then, 0))),
        })
    }

    fn layers(&self) -> usize {
        self.first.layers()
    }
}

/// A message: some octets of its own, then the rest of a source. So fields are put on top of a message, or
/// its header is replaced, without a copy of what is below.
#[derive(Clone)]
pub struct Letter {
    head: Arc<Zeroizing<Vec<u8>>>,
    rest: Arc<dyn Source>,
    from: u64,
}

impl Letter {
    /// `head`, then everything in `rest` from this place on.
    pub fn new(head: Zeroizing<Vec<u8>>, rest: Arc<dyn Source>, from: u64) -> Self {
        Self { head: Arc::new(head), rest, from }
    }

    /// What it has of its own, and where in the rest it goes on.
    pub(crate) fn parts(&self) -> (&[u8], u64) {
        (&self.head, self.from)
    }

    /// A message in memory.
    pub fn of(octets: Zeroizing<Vec<u8>>) -> Self {
        Self::new(octets, Arc::new(Vec::new()), 0)
    }

    /// All of it in memory, if it is no longer than `limit`.
    ///
    /// # Errors
    /// Those of the source; [`MailFault::TooLong`].
    pub fn bytes(&self, limit: usize) -> Result<Zeroizing<Vec<u8>>, MailFault> {
        let mut octets = Zeroizing::new(Vec::new());
        let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
        self.reader(0).and_then(|reader| reader.take(most).read_to_end(&mut octets)).map_err(|error| disk(&error))?;
        if octets.len() > limit { Err(MailFault::TooLong(limit)) } else { Ok(octets) }
    }
}

impl Source for Letter {
    fn reader(&self, from: u64) -> io::Result<Box<dyn Read + Send + '_>> {
        let head = u64::try_from(self.head.len()).unwrap_or(u64::MAX);
        match usize::try_from(from).ok().and_then(|from| self.head.get(from..)) {
            Some(own) if !own.is_empty() => Ok(Box::new(own.chain(self.rest.reader(self.from)?))),
            _ => self.rest.reader(self.from.saturating_add(from.saturating_sub(head))),
        }
    }

    fn layers(&self) -> usize {
        self.rest.layers()
    }

    fn pieces(&self, from: u64) -> io::Result<Box<dyn BufRead + Send + '_>> {
        let head = u64::try_from(self.head.len()).unwrap_or(u64::MAX);
        Ok(match from.checked_sub(head) {
            Some(behind) => self.rest.pieces(self.from.saturating_add(behind))?,
            None => Box::new(after(&self.head, from).chain(self.rest.pieces(self.from)?)),
        })
    }

    fn memory(&self) -> Option<&[u8]> {
        if self.head.is_empty() { self.rest.memory().map(|rest| after(rest, self.from)) } else { None }
    }
}

impl fmt::Debug for Letter {
    /// Never what it says (promise 3).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Letter(..)")
    }
}

/// What comes out of a layer, ready to be read as often as the next one asks. What is small goes into memory, where
/// its layers cost nothing to go through again. Of what is large one layer is taken off anew in each pass; a second
/// one on top would make every pass cost both, and a message may have many (A20): its octets, at most so many, go
/// into `room` instead. What it might be at most is never asked for (A20): only what is there takes memory.
pub(crate) fn settled(source: Arc<dyn Source>, room: &dyn Room, most: u64) -> Result<Arc<dyn Source>, MailFault> {
    if source.memory().is_some() {
        return Ok(source);
    }
    let mut reader = source.reader(0).map_err(|error| disk(&error))?;
    let octets = first(&mut reader, most).map_err(|error| disk(&error))?;
    if octets.len() <= SMALL {
        return Ok(Arc::new(octets));
    }
    if source.layers() <= 1 {
        drop(reader);
        return Ok(source);
    }
    let known = u64::try_from(octets.len().saturating_mul(2)).unwrap_or(u64::MAX);
    let mut scratch = room.scratch(most.min(known));
    let rest = &mut Pieces::new(reader);
    let kept = scratch.write_all(&octets).and_then(|()| pour(rest, &mut *scratch)).map_err(|error| disk(&error));
    kept?;
    scratch.into_source().map_err(|error| disk(&error))
}

/// Up to one octet more than is small. Growth would leave copies behind, and room for the largest is room to wipe:
/// most letters fit in the little that is asked for first.
fn first(reader: &mut dyn Read, most: u64) -> io::Result<Plaintext> {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let mut octets = Plaintext::default();
    for (limit, room) in [(RUN, RUN), (SMALL, most.clamp(RUN, SMALL))] {
        let mut wider = Plaintext::with_capacity(room.saturating_add(64));
        wider.extend_from_slice(&octets);
        octets = wider;
        let wanted = limit.saturating_add(1).saturating_sub(octets.len());
        (&mut *reader).take(u64::try_from(wanted).unwrap_or(u64::MAX)).read_to_end(&mut octets)?;
        if octets.len() <= limit {
            break;
        }
    }
    Ok(octets)
}

/// Writes all of a source; says how much it was.
///
/// # Errors
/// Those of both sides.
pub fn copy(source: &dyn Source, out: &mut dyn Write) -> io::Result<u64> {
    pour(&mut *source.pieces(0)?, out)
}

fn pour(reader: &mut dyn BufRead, out: &mut dyn Write) -> io::Result<u64> {
    let mut copied = 0u64;
    loop {
        let octets = reader.fill_buf()?;
        let taken = octets.len();
        if taken == 0 {
            return Ok(copied);
        }
        out.write_all(octets)?;
        reader.consume(taken);
        copied = copied.saturating_add(u64::try_from(taken).unwrap_or(u64::MAX));
    }
}

/// The header block of a message, with the empty line that ends it.
///
/// # Errors
/// Those of the source.
pub fn header(message: &dyn Source, limits: &Limits) -> Result<Vec<u8>, MailFault> {
    Head::read(message, 0, limits).map(|head| head.octets().to_vec())
}

/// Hands all octets of a source from this place on to `each`, piece by piece.
pub(crate) fn each_chunk<E: From<MailFault>>(
    source: &dyn Source,
    from: u64,
    mut each: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let mut reader = source.pieces(from).map_err(|error| disk(&error))?;
    loop {
        let octets = reader.fill_buf().map_err(|error| disk(&error))?;
        let octets = octets.get(..RUN).unwrap_or(octets);
        let taken = octets.len();
        if taken == 0 {
            return Ok(());
        }
        each(octets)?;
        reader.consume(taken);
    }
}

/// As the standard library's, but wiped.
struct Pieces<R> {
    input: R,
    buffer: Plaintext,
    from: usize,
    to: usize,
}

impl<R: Read> Pieces<R> {
    fn new(input: R) -> Self {
        Self { input, buffer: Plaintext::from(vec![0; CHUNK]), from: 0, to: 0 }
    }
}

impl<R: Read> BufRead for Pieces<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.from == self.to {
            self.from = 0;
            self.to = 0;
            self.to = some(&mut self.input, &mut self.buffer)?.len();
        }
        Ok(self.buffer.get(self.from..self.to).unwrap_or_default())
    }

    fn consume(&mut self, octets: usize) {
        self.from = self.from.saturating_add(octets).min(self.to);
    }
}

impl<R: Read> Read for Pieces<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}

/// The next octets, none at the end.
pub(crate) fn some<'b>(input: &mut dyn Read, buffer: &'b mut [u8]) -> io::Result<&'b [u8]> {
    loop {
        match input.read(buffer) {
            Ok(read) => return Ok(buffer.get(..read).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// What a failed read means: a fault of the message that a layer found, or one of the place where it is kept.
pub(crate) fn disk(error: &io::Error) -> MailFault {
    let inside = error.get_ref().and_then(|inside| inside.downcast_ref::<MailFault>());
    inside.cloned().unwrap_or(MailFault::Storage(error.kind()))
}

/// A fault of the message, on its way through a reader.
pub(crate) fn invalid(fault: MailFault) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(source: &dyn Source, from: u64) -> Vec<u8> {
        let mut out = Vec::new();
        source.reader(from).unwrap().read_to_end(&mut out).unwrap();
        out
    }

    #[test]
    fn sources_can_be_read_from_anywhere() {
        let body: Arc<dyn Source> = Arc::new(b"0123456789".to_vec());
        let part = Part { source: Arc::clone(&body), from: 2, to: Some(6) };
        assert_eq!((all(&part, 0), all(&part, 3), all(&part, 9)), (b"2345".to_vec(), b"5".to_vec(), vec![]));
        let joined = Joined { first: Arc::new(part), length: 4, then: Zeroizing::new(b"xy".to_vec()) };
        for (from, expected) in [(0, &b"2345xy"[..]), (3, b"5xy"), (4, b"xy"), (5, b"y"), (6, b""), (9, b"")] {
            assert_eq!(all(&joined, from), expected, "{from}");
        }
        let letter = Letter::new(Zeroizing::new(b"ab".to_vec()), body, 8);
        for (from, expected) in [(0, &b"ab89"[..]), (1, b"b89"), (2, b"89"), (3, b"9"), (4, b""), (9, b"")] {
            assert_eq!(all(&letter, from), expected, "{from}");
            let mut lent = Vec::new();
            letter.pieces(from).unwrap().read_to_end(&mut lent).unwrap();
            assert_eq!(lent, expected, "{from}, in pieces");
        }
        assert_eq!(*letter.bytes(4).unwrap(), b"ab89");
        assert_eq!(letter.bytes(3), Err(MailFault::TooLong(3)));
    }

    #[test]
    fn only_what_is_small_moves_into_memory() {
        struct Counted(Vec<u8>, std::sync::atomic::AtomicUsize);
        impl Source for Counted {
            fn reader(&self, from: u64) -> io::Result<Box<dyn Read + Send + '_>> {
                self.1.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                self.0.reader(from)
            }
        }
        for (octets, reads) in [(RUN, 1), (RUN + 1, 1), (SMALL, 1), (SMALL + 1, 3)] {
            let counted = Arc::new(Counted(vec![7; octets], std::sync::atomic::AtomicUsize::new(0)));
            let settled = settled(counted.clone(), &InMemory, 0).unwrap();
            assert_eq!((all(&*settled, 0).len(), all(&*settled, 1).len()), (octets, octets - 1));
            assert_eq!(counted.1.load(std::sync::atomic::Ordering::Relaxed), reads);
        }
    }

    /// A limit is no size: what a message might be at most is never reserved (A20), and what grows leaves no copy.
    #[test]
    fn nothing_is_reserved_for_what_only_might_come() {
        struct Asked(std::sync::Mutex<Vec<u64>>);
        impl Room for Asked {
            fn scratch(&self, octets: u64) -> Box<dyn Scratch> {
                self.0.lock().unwrap().push(octets);
                let mut scratch = InMemory.scratch(octets);
                assert!(scratch.memory().unwrap().capacity() <= 3 * SMALL);
                scratch
            }
        }
        struct Layers(Vec<u8>);
        impl Source for Layers {
            fn reader(&self, from: u64) -> io::Result<Box<dyn Read + Send + '_>> {
                self.0.reader(from)
            }
            fn layers(&self) -> usize {
                2
            }
        }
        let octets: Vec<u8> = (0..3 * SMALL as u32).map(|i| (i % 251) as u8).collect();
        let asked = Asked(std::sync::Mutex::default());
        let settled = settled(Arc::new(Layers(octets.clone())), &asked, 512 << 20).unwrap();
        assert!(settled.memory() == Some(&octets[..]));
        let asked = asked.0.into_inner().unwrap();
        assert!(asked.len() == 1 && asked[0] <= 3 * SMALL as u64, "{asked:?}");
    }
}
