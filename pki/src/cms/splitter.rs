//! Cutting a CMS object of any size into its content and everything around it, as it comes in.
//!
//! Only the content of a container is ever large. What stands around it (recipients, certificates,
//! signatures) is kept, bounded, as the same object *with its content left empty*: the [`Outline`]. It is read
//! by the same strict code whatever the size of the content, which passes by once for each thing that has to
//! be done with it: digested, or decrypted.

use std::{
    io::{self, BufRead, Read},
    ops::Range,
};

use thiserror::Error;

use super::{
    container::ContainerKind,
    reader::{Length, MAX_DEPTH, MAX_SEGMENTS, MAX_STRINGS, Malformed, Octets, Reader, header},
};
use crate::{der, plaintext::Plaintext};

/// Octets around the content: a thousand recipients, certificates, signed recipient lists.
const MAX_OUTLINE: usize = 4 << 20;
/// Octets of a tag and a length.
const MAX_HEADER: usize = 10;
/// Octets taken from the input at once.
const CHUNK: usize = 16 * 1024;

const SEQUENCE_IN_PIECES: u8 = der::tag::OCTET_STRING | 0x20;

/// Why a step over a stream failed: the stream itself, or what is in it.
#[derive(Debug, Error)]
pub enum StreamFault<E: std::error::Error + 'static> {
    /// Reading the container or writing what comes of it failed; nothing is known about the container.
    #[error("what is being worked on cannot be read or kept: {0}")]
    Io(#[from] io::Error),
    /// The container is refused.
    #[error(transparent)]
    Refused(E),
}

/// What an open constructed value is to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// ContentInfo.
    Object,
    /// Its `[0]` EXPLICIT.
    Explicit,
    /// SignedData, EnvelopedData, AuthEnvelopedData.
    Body,
    /// EncapsulatedContentInfo, EncryptedContentInfo.
    Holder,
    /// `[0]` around the content: EXPLICIT of an OCTET STRING, or an IMPLICIT one in pieces.
    Content,
    /// An OCTET STRING in pieces inside it.
    Pieces,
    /// Kept as it is.
    Kept,
}

struct Open {
    role: Role,
    /// Where it ends, if its length is definite.
    end: Option<u64>,
    members: u32,
}

#[derive(Clone, Copy)]
enum Doing {
    Header,
    Keep(u64),
    Content(u64),
    /// The object is of a type that nobody here opens: nothing behind its type is looked at.
    Nothing,
}

/// The state machine: octets go in, pieces of content come out, the outline grows.
pub(crate) struct Splitter {
    doing: Doing,
    open: Vec<Open>,
    header: Vec<u8>,
    at: u64,
    outline: Vec<u8>,
    kind: Option<ContainerKind>,
    length: u64,
    /// Where the first piece of the content begins.
    begins: u64,
    pieces: usize,
    /// Octet strings in pieces, which may have none.
    strings: usize,
    complete: bool,
}

impl Splitter {
    pub(crate) fn new() -> Self {
        Self {
            doing: Doing::Header,
            open: Vec::new(),
            header: Vec::with_capacity(MAX_HEADER),
            at: 0,
            outline: Vec::new(),
            kind: None,
            length: 0,
            begins: 0,
            pieces: 0,
            strings: 0,
            complete: false,
        }
    }

    /// Takes the next octets; `content` gets what is content among them.
    pub(crate) fn feed<'a>(
        &mut self,
        mut octets: &'a [u8],
        content: &mut dyn FnMut(&'a [u8]),
    ) -> Result<(), Malformed> {
        while !octets.is_empty() {
            let left = match self.doing {
                Doing::Header => {
                    octets = self.feed_header(octets)?;
                    continue;
                }
                Doing::Keep(left) | Doing::Content(left) => left,
                Doing::Nothing => return Ok(()),
            };
            let now = usize::try_from(left).unwrap_or(usize::MAX).min(octets.len());
            let (these, rest) = octets.split_at_checked(now).unwrap_or((octets, &[]));
            octets = rest;
            let left = left.saturating_sub(count(now));
            self.at = self.at.saturating_add(count(now));
            self.doing = match self.doing {
                Doing::Content(_) => {
                    self.length = self.length.saturating_add(count(now));
                    content(these);
                    Doing::Content(left)
                }
                _ => {
                    self.keep(these)?;
                    Doing::Keep(left)
                }
            };
            if left == 0 {
                self.ended();
            }
        }
        Ok(())
    }

    /// Whether nothing that comes can change the outline.
    const fn has_seen_enough(&self) -> bool {
        matches!(self.doing, Doing::Nothing)
    }

    /// The outline, once everything was fed.
    pub(crate) fn finish(self) -> Result<Outline, Malformed> {
        match self.kind {
            Some(kind) if self.complete => {
                let place = (self.pieces == 1).then(|| self.begins..self.begins.saturating_add(self.length));
                Ok(Outline { octets: self.outline, kind, length: self.length, place })
            }
            None if self.complete => Err(Malformed::Expected("the content")),
            _ => Err(Malformed::Truncated),
        }
    }

    fn feed_header<'a>(&mut self, octets: &'a [u8]) -> Result<&'a [u8], Malformed> {
        if self.complete {
            return Err(Malformed::Trailing("the CMS object"));
        }
        let (first, rest) = octets.split_first().ok_or(Malformed::Truncated)?;
        self.header.push(*first);
        self.at = self.at.saturating_add(1);
        if self.end().is_some_and(|end| self.at > end) {
            return Err(Malformed::Length);
        }
        let bytes = std::mem::take(&mut self.header);
        match header(&bytes) {
            Ok((tag, length, _)) => self.value(tag, length, &bytes)?,
            Err(Malformed::Truncated) if bytes.len() < MAX_HEADER => self.header = bytes,
            Err(fault) => return Err(fault),
        }
        Ok(rest)
    }

    /// Where the innermost open value of definite length ends.
    fn end(&self) -> Option<u64> {
        self.open.iter().rev().find_map(|open| open.end)
    }

    /// A value begins, or one of indefinite length ends.
    fn value(&mut self, tag: u8, length: Length, header: &[u8]) -> Result<(), Malformed> {
        if tag == 0 {
            return self.end_of_contents(length);
        }
        let end = match length {
            Length::Definite(length) => {
                let end = self.at.checked_add(count(length)).ok_or(Malformed::Length)?;
                if self.end().is_some_and(|outer| end > outer) {
                    return Err(Malformed::Length);
                }
                Some(end)
            }
            Length::Indefinite => None,
        };
        let members = self.open.last_mut().map_or(0, |open| {
            let before = open.members;
            open.members = before.saturating_add(1);
            before
        });
        let role = self.open.last().map(|open| open.role);
        match (role, tag) {
            (None, der::tag::SEQUENCE) => self.descend(tag, Role::Object, end),
            (None, _) => Err(Malformed::Expected("the CMS object")),
            (Some(Role::Object), 0xa0) => match self.settle_kind()? {
                ContainerKind::Other(_) | ContainerKind::Compressed => {
                    // Empty to whoever reads the outline: its type is all that will be asked.
                    self.keep(&[tag, 0, 0, 0])?;
                    self.open.clear();
                    self.complete = true;
                    self.doing = Doing::Nothing;
                    Ok(())
                }
                _ => self.descend(tag, Role::Explicit, end),
            },
            (Some(Role::Explicit), der::tag::SEQUENCE) => self.descend(tag, Role::Body, end),
            (Some(Role::Body), der::tag::SEQUENCE) => self.descend(tag, Role::Holder, end),
            (Some(Role::Holder), 0x80) => {
                self.keep(&[0x80, 0])?;
                self.piece(end)
            }
            (Some(Role::Holder), 0xa0) => self.descend(tag, Role::Content, end),
            (Some(Role::Content), der::tag::OCTET_STRING | SEQUENCE_IN_PIECES) => {
                let signed = self.kind == Some(ContainerKind::Signed);
                match members {
                    0 => self.keep(&[der::tag::OCTET_STRING, 0])?,
                    _ if signed => return Err(Malformed::Trailing("the signed content")),
                    _ => {}
                }
                self.content(tag, end)
            }
            (Some(Role::Pieces), der::tag::OCTET_STRING | SEQUENCE_IN_PIECES) => self.content(tag, end),
            (Some(Role::Content | Role::Pieces), _) => Err(Malformed::Tag),
            (Some(_), _) => {
                self.keep(header)?;
                self.passed_over(end)
            }
        }
    }

    fn content(&mut self, tag: u8, end: Option<u64>) -> Result<(), Malformed> {
        if tag == der::tag::OCTET_STRING {
            return self.piece(end);
        }
        self.strings = self.strings.saturating_add(1);
        if self.strings > MAX_STRINGS {
            return Err(Malformed::TooMany("pieces of an octet string"));
        }
        self.push(Role::Pieces, end)
    }

    /// Opens a value that the outline shows with an indefinite length.
    fn descend(&mut self, tag: u8, role: Role, end: Option<u64>) -> Result<(), Malformed> {
        self.keep(&[tag, 0x80])?;
        self.push(role, end)
    }

    fn push(&mut self, role: Role, end: Option<u64>) -> Result<(), Malformed> {
        if self.open.len() >= MAX_DEPTH.into() {
            return Err(Malformed::TooDeep);
        }
        self.open.push(Open { role, end, members: 0 });
        self.ended();
        Ok(())
    }

    fn piece(&mut self, end: Option<u64>) -> Result<(), Malformed> {
        self.pieces = self.pieces.saturating_add(1);
        if self.pieces > MAX_SEGMENTS {
            return Err(Malformed::TooMany("pieces of an octet string"));
        }
        if self.pieces == 1 {
            self.begins = self.at;
        }
        self.doing = Doing::Content(self.left(end));
        self.ended();
        Ok(())
    }

    /// A value that is not taken apart.
    fn passed_over(&mut self, end: Option<u64>) -> Result<(), Malformed> {
        if end.is_none() {
            return self.push(Role::Kept, None);
        }
        self.doing = Doing::Keep(self.left(end));
        self.ended();
        Ok(())
    }

    fn left(&self, end: Option<u64>) -> u64 {
        end.unwrap_or(self.at).saturating_sub(self.at)
    }

    fn end_of_contents(&mut self, length: Length) -> Result<(), Malformed> {
        match (self.open.last(), length) {
            (Some(Open { end: None, role, .. }), Length::Definite(0)) => {
                let kept = *role == Role::Kept;
                if kept {
                    self.keep(&[0, 0])?;
                }
                self.close();
                self.ended();
                Ok(())
            }
            _ => Err(Malformed::Tag),
        }
    }

    /// Closes every value that ends here.
    fn ended(&mut self) {
        if matches!(self.doing, Doing::Keep(left) | Doing::Content(left) if left > 0) {
            return;
        }
        self.doing = Doing::Header;
        while self.open.last().is_some_and(|open| open.end == Some(self.at)) {
            self.close();
        }
        self.complete = self.open.is_empty();
    }

    fn close(&mut self) {
        let Some(closed) = self.open.pop() else { return };
        let shown = matches!(closed.role, Role::Object | Role::Explicit | Role::Body | Role::Holder | Role::Content);
        if shown {
            self.outline.extend_from_slice(&[0, 0]);
        }
    }

    fn settle_kind(&mut self) -> Result<ContainerKind, Malformed> {
        let members = self.outline.get(2..).unwrap_or_default();
        let kind = ContainerKind::of(Reader::new(members).oid("the content type")?);
        self.kind = Some(kind.clone());
        Ok(kind)
    }

    fn keep(&mut self, octets: &[u8]) -> Result<(), Malformed> {
        if self.outline.len().saturating_add(octets.len()) > MAX_OUTLINE {
            return Err(Malformed::TooMany("octets around the content"));
        }
        self.outline.extend_from_slice(octets);
        Ok(())
    }
}

fn count(octets: usize) -> u64 {
    u64::try_from(octets).unwrap_or(u64::MAX)
}

/// A CMS object without its content, and how much content it has.
#[derive(Clone)]
pub struct Outline {
    octets: Vec<u8>,
    kind: ContainerKind,
    length: u64,
    place: Option<Range<u64>>,
}

impl Outline {
    /// Reads a whole object from a stream and keeps everything but its content.
    ///
    /// # Errors
    /// Those of the stream, or the object is malformed or has too much around its content.
    pub fn read(input: &mut dyn BufRead) -> Result<Self, StreamFault<Malformed>> {
        let mut splitter = Splitter::new();
        loop {
            let octets = filled(input)?;
            if octets.is_empty() || splitter.has_seen_enough() {
                return splitter.finish().map_err(StreamFault::Refused);
            }
            // Octets in memory are lent all at once: taken like this, no more of them is asked for than of a stream.
            let octets = octets.get(..CHUNK).unwrap_or(octets);
            let taken = octets.len();
            splitter.feed(octets, &mut |_| ()).map_err(StreamFault::Refused)?;
            input.consume(taken);
        }
    }

    /// The same of an object in memory, with its content in place.
    pub(crate) fn of(cms: &[u8]) -> Result<(Self, Octets<'_>), Malformed> {
        let mut splitter = Splitter::new();
        let mut pieces = Vec::new();
        splitter.feed(cms, &mut |piece| pieces.push(piece))?;
        Ok((splitter.finish()?, Octets::from(pieces)))
    }

    /// What the object is, by its object identifier and nothing else (H18).
    pub const fn kind(&self) -> &ContainerKind {
        &self.kind
    }

    /// Octets of content.
    pub const fn content_length(&self) -> u64 {
        self.length
    }

    /// Where the content lies in the object, if it is in one piece: it can be read there.
    pub fn content_place(&self) -> Option<Range<u64>> {
        self.place.clone()
    }

    pub(crate) fn octets(&self) -> &[u8] {
        &self.octets
    }
}

/// Reads the content of a CMS object out of the stream of the object.
///
/// For an object whose [`Outline`] was read without a fault; one that is malformed here is not what it was
/// then, and the read fails with [`io::ErrorKind::InvalidData`].
pub struct ContentReader<R> {
    input: R,
    splitter: Splitter,
    chunk: Plaintext,
    ready: Plaintext,
    given: usize,
}

impl<R: Read> ContentReader<R> {
    /// Over the stream of a whole object.
    pub fn new(input: R) -> Self {
        let (chunk, ready) = (Plaintext::from(vec![0; CHUNK]), Plaintext::with_capacity(CHUNK));
        Self { input, splitter: Splitter::new(), chunk, ready, given: 0 }
    }
}

impl<R: Read> BufRead for ContentReader<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.given == self.ready.len() {
            self.ready.clear();
            self.given = 0;
            let octets = some(&mut self.input, &mut self.chunk)?;
            if octets.is_empty() {
                break;
            }
            let ready = &mut self.ready;
            let fed = self.splitter.feed(octets, &mut |piece| ready.extend_from_slice(piece));
            fed.map_err(|fault| io::Error::new(io::ErrorKind::InvalidData, fault))?;
        }
        Ok(self.ready.get(self.given..).unwrap_or_default())
    }

    fn consume(&mut self, octets: usize) {
        self.given = self.given.saturating_add(octets).min(self.ready.len());
    }
}

impl<R: Read> Read for ContentReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}

/// The next octets, none at the end.
pub(crate) fn some<'b, R: Read + ?Sized>(input: &mut R, buffer: &'b mut [u8]) -> io::Result<&'b [u8]> {
    loop {
        match input.read(buffer) {
            Ok(read) => return Ok(buffer.get(..read).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// What comes next and is not consumed yet, none at the end.
pub(crate) fn filled(input: &mut dyn BufRead) -> io::Result<&[u8]> {
    while let Err(error) = input.fill_buf() {
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    input.fill_buf()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cms::{container, oid};

    fn object(kind: &[u8], body: &[u8]) -> Vec<u8> {
        der::sequence(&[der::tlv(der::tag::OID, kind), der::context(0, &[body])])
    }

    fn signed(content: &[u8]) -> Vec<u8> {
        let holder = der::sequence(&[&der::tlv(der::tag::OID, oid::DATA)[..], content]);
        object(oid::SIGNED_DATA, &der::sequence(&[der::integer(1), der::set_of::<Vec<u8>>(&[]), holder, vec![0x31, 0]]))
    }

    fn split(cms: &[u8], step: usize) -> Result<(Vec<u8>, Vec<u8>), Malformed> {
        let mut splitter = Splitter::new();
        let mut content = Vec::new();
        for chunk in cms.chunks(step.max(1)) {
            splitter.feed(chunk, &mut |piece| content.extend_from_slice(piece))?;
        }
        Ok((splitter.finish()?.octets, content))
    }

    #[test]
    fn content_comes_out_and_the_rest_stays_whatever_the_form() {
        let definite = der::context(0, &[der::octet_string(b"contenu")]);
        let pieces =
            [&[0xa0, 0x80, 0x24, 0x80][..], &[4, 4], b"cont", &[0x24, 5, 4, 3], b"enu", &[0, 0, 0, 0]].concat();
        for content in [definite, pieces] {
            let cms = signed(&content);
            for step in [1, 2, 3, 7, 1000] {
                let (outline, found) = split(&cms, step).unwrap();
                assert_eq!(found, b"contenu");
                let place = Outline::read(&mut &cms[..]).unwrap().content_place();
                let place = place.map(|place| &cms[place.start as usize..place.end as usize]);
                assert_eq!(
                    place,
                    (!cms.contains(&0x24)).then_some(&b"contenu"[..]),
                    "where it lies, if it is one piece"
                );
                let (kind, mut members) = container::read(&outline).unwrap();
                assert_eq!(kind, ContainerKind::Signed);
                members.small("the version").unwrap();
                members.expect(der::tag::SET, "digests").unwrap();
                let mut holder = members.sequence("holder").unwrap();
                holder.oid("type").unwrap();
                let mut explicit = holder.expect(0xa0, "explicit").unwrap().members().unwrap();
                assert_eq!(explicit.octets("content").unwrap().len(), 0);
                explicit.end("content").unwrap();
                members.expect(der::tag::SET, "signers").unwrap();
                members.end("all").unwrap();
            }
        }
    }

    #[test]
    fn implicit_content_in_one_piece_or_several() {
        let whole = der::tlv(0x80, b"chiffre");
        let several = [&[0xa0, 0x80, 4, 3][..], b"chi", &[4, 4], b"ffre", &[0, 0]].concat();
        for content in [whole, several] {
            let holder = der::sequence(&[&der::tlv(der::tag::OID, oid::DATA)[..], &content]);
            let cms = object(oid::ENVELOPED_DATA, &der::sequence(&[der::integer(0), holder]));
            assert_eq!(split(&cms, 1).unwrap().1, b"chiffre");
        }
    }

    #[test]
    fn two_signed_contents_are_refused() {
        let twice = der::context(0, &[der::octet_string(b"a"), der::octet_string(b"b")]);
        assert_eq!(split(&signed(&twice), 9).unwrap_err(), Malformed::Trailing("the signed content"));
    }

    #[test]
    fn what_is_wrong_outside_is_refused_here() {
        let cms = signed(&der::context(0, &[der::octet_string(b"contenu")]));
        assert_eq!(split(&cms[..cms.len() - 1], 5).unwrap_err(), Malformed::Truncated);
        assert_eq!(split(&[&cms[..], &[0]].concat(), 5).unwrap_err(), Malformed::Trailing("the CMS object"));
        assert_eq!(split(&[0x30, 3, 6, 9, 1], 1).unwrap_err(), Malformed::Length);
        assert!(split(b"MIME-Version: 1.0", 4).is_err());
        let deep = [&[0x30, 0x80][..], &[0x31, 0x80].repeat(40)].concat();
        assert_eq!(split(&deep, 9).unwrap_err(), Malformed::TooDeep);
        let wide = object(oid::SIGNED_DATA, &der::sequence(&[der::octet_string(&vec![0; MAX_OUTLINE])]));
        assert_eq!(split(&wide, 4096).unwrap_err(), Malformed::TooMany("octets around the content"));
    }

    #[test]
    fn what_nobody_opens_is_not_even_read() {
        // Millions of members, none of which is looked at: what is taken ends soon behind the type, from a stream as
        // from memory, which lends everything at once.
        for kind in [oid::COMPRESSED_DATA, &[0x2a, 3, 4]] {
            let cms = object(kind, &[4, 0].repeat(2 << 20));
            let taken = |left: usize| {
                let taken = cms.len() - left;
                assert!(taken <= CHUNK, "{taken} octets were taken");
            };
            let mut memory = &cms[..];
            let outline = Outline::read(&mut memory).unwrap();
            taken(memory.len());
            assert_eq!(container::kind(outline.octets()).as_ref(), Ok(outline.kind()));
            let mut stream = io::BufReader::new(&cms[..]);
            assert_eq!(Outline::read(&mut stream).unwrap().octets(), outline.octets());
            taken(stream.get_ref().len());
        }

        let cms = object(oid::COMPRESSED_DATA, &der::octet_string(&vec![7; 5 << 20]));
        let (outline, content) = split(&cms, 4096).unwrap();
        assert!(outline.len() < 64 && content.is_empty());
        assert_eq!(container::kind(&outline), Ok(ContainerKind::Compressed));
    }

    proptest! {
        #[test]
        fn never_panics_and_chunks_do_not_matter(
            noise in proptest::collection::vec(prop_oneof![
                Just(0u8), Just(0x30), Just(0x80), Just(0xa0), Just(4), Just(0x24), Just(6), any::<u8>()], 0..60),
            at in 0usize..60,
            step in 1usize..9,
        ) {
            let mut cms = signed(&der::context(0, &[der::octet_string(b"contenu")]));
            let at = at.min(cms.len());
            cms.splice(at..(at + noise.len() / 4).min(cms.len()), noise);
            prop_assert_eq!(split(&cms, step).ok(), split(&cms, cms.len()).ok());
        }
    }
}
