//! The walk from layer to layer, at the root of the message.

use std::{
    io::{self, Read},
    ops::Range,
    sync::Arc,
};

use ident::Fingerprint;
use openssl::sha::Sha256;
use pki::{
    certificate::Certificate,
    cms::{self, ContainerKind, ContentReader, Opening, Outline, StreamFault},
};
use zeroize::Zeroizing;

use super::{
    Access, Encryption, HeaderOrigin, OpenFault, Opened, Signature, author::author, frame::ClearSigned,
    hand_over::HandedOver, label::is_container, repair::canonical, signed,
};
use crate::{
    Facts, HeaderBlock, Limits, MailFault,
    coding::{Decoded, skip},
    head::{Entity, Head},
    inner,
    lines::Fragments,
    media::{MediaType, TransferEncoding, file_name},
    mime::{self, Survey},
    read::scan,
    recipient_emails::Outside,
    source::{Letter, Part, Room, Source, disk, settled},
};

/// The entity at the bottom of all layers.
pub(super) struct Root {
    pub(super) entity: Entity,
    pub(super) shape: Shape,
    /// The digest of the entity, its header included, if the signature that counts covers all of it.
    covered: Option<Vec<u8>>,
    /// The message that the entity came in, for entities that are no whole message.
    pub(super) frame: Frame,
}

/// What the root is.
pub(super) enum Shape {
    /// Still the received message itself.
    Received,
    /// A whole message, from a message/rfc822 wrap.
    Message,
    /// Content of a container that is no whole message.
    Entity,
    /// `multipart/signed` with a good signature that stays.
    ClearSigned(ClearSigned),
}

/// The header block of a message, and where it comes from.
#[derive(Clone)]
pub(super) struct Frame {
    octets: Vec<u8>,
    pub(super) origin: HeaderOrigin,
}

impl Frame {
    const NONE: Self = Self { octets: Vec::new(), origin: HeaderOrigin::Wire };

    pub(super) fn block(&self, limits: &Limits) -> Result<HeaderBlock<'_>, MailFault> {
        HeaderBlock::parse(&self.octets, limits)
    }
}

impl Root {
    /// Where the root's own header comes from.
    pub(super) const fn header(&self) -> HeaderOrigin {
        match self.shape {
            Shape::Received => HeaderOrigin::Wire,
            _ if self.covered.is_some() => HeaderOrigin::Signed,
            _ => HeaderOrigin::Inside,
        }
    }

    /// The message around what comes out of a layer of this root.
    fn frame_of(&self, block: &HeaderBlock<'_>) -> Frame {
        match self.shape {
            Shape::Received | Shape::Message => {
                Frame { octets: [block.block(), b"\r\n"].concat(), origin: self.header() }
            }
            Shape::Entity | Shape::ClearSigned(_) => self.frame.clone(),
        }
    }

    /// The digest of what is handed over of this root, if it is signed content under a header: [`inner::of_signed`].
    fn digest(&self, handed_over: &Letter) -> Option<Fingerprint> {
        match (&self.shape, &self.covered) {
            (Shape::Message | Shape::Entity, Some(signed)) => {
                let (head, from) = handed_over.parts();
                Some(inner::of_signed(head, signed, from))
            }
            _ => None,
        }
    }
}

/// What one step of the walk did.
enum Step {
    /// The content of an opaque container is the next root.
    Into(Arc<dyn Source>),
    /// The root is clear-signed, and that stays.
    ClearSigned(ClearSigned),
    /// The root stays, and is not to be taken apart further.
    Stop,
}

/// A container somewhere in a message, without its transfer encoding.
struct Container {
    source: Arc<dyn Source>,
    outline: Outline,
}

/// What a container holds.
struct Content(Arc<dyn Source>);

impl Source for Content {
    fn reader(&self, from: u64) -> io::Result<Box<dyn Read + Send + '_>> {
        let mut reader = ContentReader::new(self.0.reader(0)?);
        skip(&mut reader, from)?;
        Ok(Box::new(reader))
    }

    fn layers(&self) -> usize {
        self.0.layers().saturating_add(1)
    }
}

pub(super) struct Walk<'a> {
    access: Access<'a>,
    known: &'a [Certificate],
    limits: &'a Limits,
    room: &'a dyn Room,
    encryption: Option<Encryption>,
    signature: Signature,
    /// The digest that the last good signature covers.
    signed: Vec<u8>,
    layers: usize,
    /// What was decrypted cannot be what was encrypted: nothing comes of it, at the end.
    damaged: bool,
    /// Certificates of signers that the message lacks.
    lent: Vec<Certificate>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(access: Access<'a>, known: &'a [Certificate], limits: &'a Limits, room: &'a dyn Room) -> Self {
        let (encryption, signature, signed, lent) = (None, Signature::None, Vec::new(), Vec::new());
        Self { access, known, limits, room, encryption, signature, signed, layers: 0, damaged: false, lent }
    }

    /// Takes layer after layer off the root.
    pub(super) fn descend(&mut self, message: Arc<dyn Source>) -> Result<Root, OpenFault> {
        let entity = Entity { source: message, from: 0 };
        let mut root = Root { entity, shape: Shape::Received, covered: None, frame: Frame::NONE };
        loop {
            let head = root.entity.head(self.limits)?;
            let block = head.block(self.limits)?;
            let media = MediaType::of(&block)?;
            let body = Entity { source: Arc::clone(&root.entity.source), from: root.entity.body(&head) };
            let step = if media.is_pkcs7_mime(file_name(&block)?.as_deref()) {
                self.count()?;
                self.container(body, TransferEncoding::of(&block)?)?
            } else if media.is_clear_signed() {
                self.count()?;
                untouched_encoding(&block)?;
                self.clear_signed(&body, &media)?
            } else if matches!(root.shape, Shape::Entity) && is_wrap(&media) {
                untouched_encoding(&block)?;
                root = Root { entity: body, shape: Shape::Message, frame: Frame::NONE, ..root };
                // Once signed, the message inside is its reader's: its own layers stay as they are.
                if self.signature != Signature::None {
                    return Ok(root);
                }
                continue;
            } else if is_container(&body, TransferEncoding::of(&block)?) {
                return Err(OpenFault::Mislabelled);
            } else {
                Step::Stop
            };
            let frame = root.frame_of(&block);
            match step {
                Step::Into(source) => {
                    let good = matches!(self.signature, Signature::Good(_));
                    let covered = good.then(|| std::mem::take(&mut self.signed));
                    root = Root { entity: Entity { source, from: 0 }, shape: Shape::Entity, covered, frame };
                }
                Step::ClearSigned(signed) => return Ok(Root { shape: Shape::ClearSigned(signed), frame, ..root }),
                Step::Stop => return Ok(root),
            }
        }
    }

    fn count(&mut self) -> Result<(), OpenFault> {
        self.layers = self.layers.saturating_add(1);
        if self.layers > self.limits.layers { Err(OpenFault::Layers) } else { Ok(()) }
    }

    /// An opaque container: decided by its OID, whatever the media type says (H18).
    fn container(&mut self, body: Entity, encoding: TransferEncoding) -> Result<Step, OpenFault> {
        let container = Container::find(self.decoded(body, encoding)?)?;
        match container.outline.kind() {
            ContainerKind::Signed => {
                let content = container.content_in_place();
                let content = settled(content, self.room, container.outline.content_length())?;
                let good = self.verified(&container.outline, false, &*content)?.is_some();
                Ok(if good { Step::Into(content) } else { Step::Stop })
            }
            ContainerKind::Enveloped | ContainerKind::AuthEnveloped => self.decrypt(&container).map(Step::Into),
            other => Err(OpenFault::Kind(other.to_string())),
        }
    }

    fn decrypt(&mut self, container: &Container) -> Result<Arc<dyn Source>, OpenFault> {
        if self.encryption.is_some() {
            return Err(OpenFault::EncryptedTwice);
        }
        // Whatever was signed so far was signed as ciphertext.
        if self.signature != Signature::None {
            self.signature = Signature::Outside;
        }
        let opening = match self.access {
            Access::Keys(keys) => Opening::with_keys(&container.outline, keys)?,
            Access::EachOf(readers) => Opening::with_keys_of_each(&container.outline, readers)?,
            Access::ContentKey(key) => Opening::with_content_key(&container.outline, key)?,
        };
        let mut scratch = self.room.scratch(container.outline.content_length());
        let encrypted = container.content_in_place();
        let mut reader = encrypted.pieces(0).map_err(|error| disk(&error))?;
        let decrypted = match scratch.memory() {
            Some(memory) => opening.decrypt_in_memory(&mut *reader, memory),
            None => opening.decrypt_content(&mut *reader, &mut *scratch),
        };
        match decrypted {
            // A wrong padding is treated as a right one to the end, and nobody can tell them apart (A9).
            Ok(sound) => self.damaged = !sound || !opening.is_whole(),
            Err(StreamFault::Io(error)) => return Err(disk(&error).into()),
            Err(StreamFault::Refused(fault)) => return Err(fault.into()),
        }
        let identifiers = opening.recipient_identifiers().map(<[u8]>::to_vec);
        self.encryption = Some(Encryption {
            outside: Outside::of(opening.unprotected(), identifiers),
            cipher: opening.cipher(),
            key_transport: opening.key_transport,
            authenticated: opening.authenticated(),
            recipient: opening.recipient,
            content_key: opening.content_key,
        });
        canonical(scratch.into_source().map_err(|error| disk(&error))?, self.limits)
    }

    /// Verifies the one signature at the root of a message and gives what it signs; `None` where there is none.
    /// What is encrypted, or packed otherwise, bears none.
    pub(super) fn only_signature(&mut self, message: &Arc<dyn Source>) -> Result<Option<Arc<dyn Source>>, OpenFault> {
        let root = Entity { source: Arc::clone(message), from: 0 };
        let head = root.head(self.limits)?;
        let block = head.block(self.limits)?;
        let media = MediaType::of(&block)?;
        let body = Entity { source: Arc::clone(message), from: root.body(&head) };
        let content: Arc<dyn Source> = if media.is_pkcs7_mime(file_name(&block)?.as_deref()) {
            let container = Container::find(self.decoded(body, TransferEncoding::of(&block)?)?)?;
            if *container.outline.kind() != ContainerKind::Signed {
                return Ok(None);
            }
            let content = container.content_in_place();
            self.verified(&container.outline, false, &*content)?;
            content
        } else if media.is_clear_signed() {
            untouched_encoding(&block)?;
            let (content, signature) = self.clear_parts(&body, &media)?;
            self.clear_verified(&signature, &content)?;
            Arc::new(content)
        } else {
            return Ok(None);
        };
        Ok(Some(content))
    }

    /// What was found about signatures so far.
    pub(super) fn signature(self) -> Signature {
        self.signature
    }

    /// `multipart/signed`, taken apart only around another container.
    fn clear_signed(&mut self, body: &Entity, media: &MediaType) -> Result<Step, OpenFault> {
        let (content, signature) = self.clear_parts(body, media)?;
        let Some((container, digest)) = self.clear_verified(&signature, &content)? else { return Ok(Step::Stop) };
        let inside = Head::read(&content, 0, self.limits)?;
        let inside = inside.block(self.limits)?;
        // Only a container inside is taken apart; else the clear signature stays for the reader.
        Ok(if MediaType::of(&inside)?.is_pkcs7_mime(file_name(&inside)?.as_deref()) {
            Step::Into(Arc::new(content))
        } else {
            Step::ClearSigned(ClearSigned::new(content, &*container.source, digest)?)
        })
    }

    /// Exactly two parts: the content and its signature (A10).
    fn clear_parts(&mut self, body: &Entity, media: &MediaType) -> Result<(Part, Entity), OpenFault> {
        let malformed = || MailFault::Mime("multipart/signed");
        let lines = Fragments::of(&*body.source, body.from).map_err(|error| disk(&error))?;
        let boundary = media.signed_boundary()?;
        let places = mime::places(lines, boundary, 2).map_err(|fault| match fault {
            MailFault::Storage(_) => fault,
            _ => malformed(),
        })?;
        let [content, signature] = places.as_slice() else { return Err(malformed().into()) };
        if self.unauthenticated() && !ends_there(body, boundary, signature)? {
            // Whoever handled the ciphertext may have put it there: what became of it must decide nothing (A2, A9).
            self.damaged = true;
        }
        let at = |octets: u64| body.from.saturating_add(octets);
        let part = |from, to| Part { source: Arc::clone(&body.source), from: at(from), to: Some(at(to)) };
        let signature = part(signature.start, signature.end);
        Ok((part(content.start, content.end), Entity { source: Arc::new(signature), from: 0 }))
    }

    /// Checks the second part of `multipart/signed` over the first: a signature without content (A10). A good
    /// one comes back, with what it digests with.
    fn clear_verified(
        &mut self,
        signature: &Entity,
        content: &dyn Source,
    ) -> Result<Option<(Container, &'static str)>, OpenFault> {
        let head = signature.head(self.limits)?;
        let block = head.block(self.limits)?;
        if !MediaType::of(&block)?.is_pkcs7_signature() {
            return Err(MailFault::Mime("multipart/signed").into());
        }
        let body = Entity { from: signature.body(&head), ..signature.clone() };
        match Container::find(self.decoded(body, TransferEncoding::of(&block)?)?) {
            Ok(container) => {
                let digest = self.verified(&container.outline, true, content)?;
                Ok(digest.map(|digest| (container, digest)))
            }
            Err(OpenFault::Container(fault)) => {
                self.signature = Signature::Broken(fault.into());
                Ok(None)
            }
            Err(fault) => Err(fault),
        }
    }

    /// Checks a signature and notes the result: what a good one digests with. The innermost good one counts, and
    /// one bad one is enough: nothing is taken out of it.
    fn verified(
        &mut self,
        outline: &Outline,
        detached: bool,
        content: &dyn Source,
    ) -> Result<Option<&'static str>, OpenFault> {
        let mut content = content.pieces(0).map_err(|error| disk(&error))?;
        match cms::verify_stream(outline, detached, &mut *content, self.known) {
            Ok(proof) => {
                let digest = proof.digest;
                self.signed.clone_from(&proof.content_digest);
                if !proof.certificates.iter().any(|carried| carried == proof.signer.der()) {
                    self.lent.push(proof.signer.clone());
                }
                self.signature = Signature::Good(Box::new(signed(proof)));
                Ok(Some(digest))
            }
            Err(StreamFault::Refused(fault)) => {
                self.signature = Signature::Broken(fault);
                Ok(None)
            }
            Err(StreamFault::Io(error)) => Err(disk(&error).into()),
        }
    }

    /// A body without its transfer encoding.
    fn decoded(&self, body: Entity, encoding: TransferEncoding) -> Result<Arc<dyn Source>, MailFault> {
        let Entity { source, from } = body;
        match encoding {
            TransferEncoding::Identity => Ok(Arc::new(Part { source, from, to: None })),
            TransferEncoding::Base64 => {
                let most = u64::try_from(self.limits.message).unwrap_or(u64::MAX);
                Decoded { source, from }.settled(self.room, most)
            }
            TransferEncoding::QuotedPrintable => Err(MailFault::Mime("Content-Transfer-Encoding")),
        }
    }

    /// What is below the root. A signer answers for what it signed, sloppy part headers included; limits and
    /// fields that are there twice hold for everybody (A14, A20).
    fn survey(&self, inner: &Letter) -> Result<Survey, MailFault> {
        let found = mime::survey_lines(Fragments::of(inner, 0).map_err(|error| disk(&error))?, self.limits);
        match (found, &self.signature) {
            (Err(MailFault::Mime(_)), Signature::Good(_)) => Ok(Survey::default()),
            (found, _) => found,
        }
    }

    fn unauthenticated(&self) -> bool {
        self.encryption.as_ref().is_some_and(|encryption| !encryption.authenticated)
    }

    /// Whether what is looked at now came out of a decryption.
    pub(super) fn is_decrypted(&self) -> bool {
        self.encryption.is_some()
    }

    /// Under a cipher without authentication every fault looks the same (A2, H9).
    pub(super) fn hides_faults(&self) -> bool {
        self.damaged || (self.unauthenticated() && !matches!(self.signature, Signature::Good(_)))
    }

    pub(super) fn finish(&mut self, outer: Facts, root: &Root) -> Result<Opened, OpenFault> {
        if self.hides_faults() {
            return Err(OpenFault::Failed);
        }
        let broken = matches!(self.signature, Signature::Broken(_));
        let nothing = || HandedOver {
            letter: Letter::of(Zeroizing::default()),
            header: HeaderOrigin::Wire,
            outer_fields_differ: false,
        };
        let handed_over = if broken { nothing() } else { HandedOver::of(root, self.limits)? };
        let HandedOver { letter: inner, header, outer_fields_differ } = handed_over;
        // Without a tag whoever handled the message may have written what no signature covers (A2).
        if self.unauthenticated() && header == HeaderOrigin::Inside {
            return Err(OpenFault::Failed);
        }
        let of_signed = root.digest(&inner).filter(|_| !broken);
        let mut hash = Sha256::new();
        let (facts, octets) = match &of_signed {
            _ if broken => (outer.clone(), 0),
            Some(_) => scan(&inner, self.limits, |_| ())?,
            None => scan(&inner, self.limits, |octets| hash.update(octets))?,
        };
        let author = match self.signature {
            Signature::Good(_) if matches!(root.shape, Shape::Message) => {
                let message: Arc<dyn Source> = Arc::new(inner.clone());
                author(&message, &facts, self.known, self.limits, self.room)?.map(Box::new)
            }
            _ => None,
        };
        let survey = if broken { Survey::default() } else { self.survey(&inner)? };
        Ok(Opened {
            outer,
            inner_digest: of_signed.unwrap_or_else(|| Fingerprint::new(hash.finish())),
            inner,
            inner_size: u64::try_from(octets).unwrap_or(u64::MAX),
            facts,
            encryption: self.encryption.take(),
            signature: std::mem::replace(&mut self.signature, Signature::None),
            header,
            outer_fields_differ,
            survey,
            author,
            lent: std::mem::take(&mut self.lent),
        })
    }
}

impl Container {
    fn find(source: Arc<dyn Source>) -> Result<Self, OpenFault> {
        let mut reader = source.pieces(0).map_err(|error| disk(&error))?;
        let outline = Outline::read(&mut *reader).map_err(|fault| match fault {
            StreamFault::Io(error) => disk(&error).into(),
            StreamFault::Refused(fault) => OpenFault::Container(fault),
        })?;
        drop(reader);
        Ok(Self { source, outline })
    }

    /// What it holds, where it lies if that is one piece, as it is in what gateways send.
    fn content_in_place(&self) -> Arc<dyn Source> {
        let source = Arc::clone(&self.source);
        match self.outline.content_place() {
            Some(place) => Arc::new(Part { source, from: place.start, to: Some(place.end) }),
            None => Arc::new(Content(source)),
        }
    }
}

/// Whether a multipart body ends with its last delimiter, line ends aside. The preamble, in which some programs say
/// what a signature is, is dropped in any case and has no part in the padding.
fn ends_there(body: &Entity, boundary: &str, last: &Range<u64>) -> Result<bool, MailFault> {
    const LINE_ENDS: u64 = 8;
    let closing = format!("\r\n--{boundary}--");
    let most = u64::try_from(closing.len()).unwrap_or(u64::MAX).saturating_add(LINE_ENDS).saturating_add(1);
    let reader = body.source.reader(body.from.saturating_add(last.end)).map_err(|error| disk(&error))?;
    let mut end = Vec::new();
    reader.take(most).read_to_end(&mut end).map_err(|error| disk(&error))?;
    let whole = u64::try_from(end.len()).is_ok_and(|length| length < most);
    let behind = end.strip_prefix(closing.as_bytes());
    Ok(whole && behind.is_some_and(|behind| behind.iter().all(|octet| matches!(octet, b'\r' | b'\n'))))
}

/// Containers in a part are encoded; what is around parts is not (RFC 2045 §6.4).
fn untouched_encoding(block: &HeaderBlock<'_>) -> Result<(), MailFault> {
    match TransferEncoding::of(block)? {
        TransferEncoding::Identity => Ok(()),
        _ => Err(MailFault::Mime("Content-Transfer-Encoding")),
    }
}

/// A whole message as content; with `hp` the entity is itself the message (RFC 9788 §2.1).
pub(super) fn is_wrap(media: &MediaType) -> bool {
    media.header_protection().is_none() && matches!(media.essence.as_str(), "message/rfc822" | "message/global")
}
