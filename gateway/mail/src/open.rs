//! Opening: what a received message is under its layers, and what its signature really covers.
//!
//! The walk follows the root only, from layer to layer: a container or signature that is merely a
//! part of the message never counts (A12). Nothing here decides; [`crate::judge()`] does.

use std::{
    fmt,
    io::{self, Read},
    ops::Range,
    sync::Arc,
};

use ident::{Bilingual, Fingerprint, Timestamp};
use openssl::sha::Sha256;
use pki::{
    certificate::Certificate,
    cms::{self, CmsError, ContainerKind, ContentReader, Malformed, OpenError, Opening, Outline, Proof, StreamFault},
    keys::{DecryptionKey, TokenFault},
};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::{
    Facts, HeaderBlock, Limits, MailFault,
    attributes::{Said, said},
    coding::{Decoded, skip},
    head::{Entity, Head},
    lines::Fragments,
    media::{MediaType, TransferEncoding, file_name},
    mime::{self, Survey},
    read::scan,
    seal::{HP_CIPHER, HP_CIPHER_BARE},
    source::{InMemory, Letter, Part, Room, Source, disk, settled},
};

/// How the content key is had.
#[derive(Clone, Copy)]
pub enum Access<'a> {
    /// With our private keys, in this order.
    Keys(&'a [&'a dyn DecryptionKey]),
    /// With the content key that an earlier opening gave: no private-key operation.
    ContentKey(&'a [u8]),
}

/// How a message was encrypted.
#[derive(Clone, PartialEq, Eq)]
pub struct Encryption {
    /// Cipher, as people write it.
    pub cipher: &'static str,
    /// Key transport, as people write it.
    pub key_transport: &'static str,
    /// Whether the cipher vouches for the content (never for its author, A24).
    pub authenticated: bool,
    /// Which certificate of ours it was encrypted for; unknown when opened by content key.
    pub recipient: Option<Fingerprint>,
    /// The content key, for opening again at delivery.
    pub content_key: Zeroizing<Vec<u8>>,
}

/// What the signature at the root is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signature {
    /// There is none at the root.
    None,
    /// There is one, and its structure or mathematics are wrong.
    Broken(CmsError),
    /// There is one, but outside the encryption: it says nothing about who wrote the content (H9).
    Outside,
    /// It verifies and covers everything that is handed over.
    Good(Box<Signed>),
}

/// A signature that verifies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// The signer's certificate; its path is still to be judged.
    pub signer: Certificate,
    /// Scheme and digest.
    pub algorithm: String,
    /// When the signer claims to have signed; never a time to judge by.
    pub signing_time: Option<Timestamp>,
    /// Our attributes in its signed part.
    pub said: Said,
}

/// A received message under its layers.
#[derive(Clone)]
pub struct Opened {
    /// Header facts of what came over the wire.
    pub outer: Facts,
    /// The message to hand over. Empty when the signature is broken.
    pub inner: Letter,
    /// Octets of it.
    pub inner_size: u64,
    /// Its header facts; those of the outer header when the signature is broken.
    pub facts: Facts,
    /// SHA-256 of `inner`: delivery opens again and must get the same (design §3).
    pub inner_digest: Fingerprint,
    /// The encryption layer, if there was one.
    pub encryption: Option<Encryption>,
    /// The signature.
    pub signature: Signature,
    /// Whether the inner header came from the protected part.
    pub header_protected: bool,
    /// What hides below the root of `inner`; only looked for when no signature covers it.
    pub survey: Survey,
}

impl fmt::Debug for Encryption {
    /// Never the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encryption")
            .field("cipher", &self.cipher)
            .field("key_transport", &self.key_transport)
            .field("authenticated", &self.authenticated)
            .field("recipient", &self.recipient)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Opened {
    /// How it was protected; never what it says (promise 3).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened")
            .field("octets", &self.inner_size)
            .field("encryption", &self.encryption)
            .field("signature", &self.signature)
            .field("header_protected", &self.header_protected)
            .field("survey", &self.survey)
            .finish_non_exhaustive()
    }
}

/// Why a message cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OpenFault {
    /// It cannot be read.
    #[error(transparent)]
    Mail(#[from] MailFault),
    /// Its container is no container.
    #[error("the container is malformed: {0}")]
    Container(#[from] Malformed),
    /// It is for none of our keys.
    #[error("the message is not encrypted for any of our keys")]
    NotForUs,
    /// Decryption failed, or what came out of an unauthenticated cipher bears no good signature:
    /// one answer for all, so that nobody learns which (H4, H9, A2, A9).
    #[error(
        "the message could not be opened: damaged, or encrypted without authentication and without valid signature"
    )]
    Failed,
    /// Refused by policy or form before a key was used.
    #[error(transparent)]
    Refused(cms::Refusal),
    /// Compressed or otherwise unknown content (A20).
    #[error("the container holds {0}, which is not accepted")]
    Kind(String),
    /// More layers than the limit (A20).
    #[error("the message has too many layers of protection")]
    Layers,
    /// A second encryption under the first.
    #[error("the message is encrypted twice")]
    EncryptedTwice,
    /// Our key cannot be reached now, whatever the message holds: later.
    #[error("our decryption key cannot be reached now: {0}")]
    KeyUnavailable(TokenFault),
}

impl From<OpenError> for OpenFault {
    fn from(fault: OpenError) -> Self {
        match fault {
            OpenError::NotForUs => Self::NotForUs,
            OpenError::Refused(refusal) => Self::Refused(refusal),
            OpenError::Unavailable(fault) => Self::KeyUnavailable(fault),
            _ => Self::Failed,
        }
    }
}

impl OpenFault {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Mail(fault) => fault.code(),
            Self::Container(_) => "cms_malformed",
            Self::NotForUs => "not_for_us",
            Self::Failed => "decryption_failed",
            Self::Refused(refusal) => refusal.code(),
            Self::Kind(_) => "container_kind",
            Self::Layers => "too_many_layers",
            Self::EncryptedTwice => "encrypted_twice",
            Self::KeyUnavailable(_) => "key_unavailable",
        }
    }

    /// What to tell the peer.
    pub fn text(&self) -> Bilingual {
        match self {
            Self::Mail(fault) => fault.text(),
            Self::NotForUs => Bilingual::new(
                "Le message n'est chiffré pour aucune de nos clés. Rechargez notre certificat et renvoyez.",
                "The message is not encrypted for any of our keys. Fetch our certificate again and resend.",
            ),
            Self::Failed => Bilingual::new(
                "Le message n'a pas pu être ouvert : il est abîmé, ou chiffré sans authentification ni signature valable.",
                "The message could not be opened: it is damaged, or encrypted without authentication and without a valid signature.",
            ),
            Self::KeyUnavailable(_) => Bilingual::new(
                "Notre clé de lecture n'est pas disponible pour le moment. Renvoyez le message plus tard : rien n'est perdu.",
                "Our reading key is not available right now. Send the message again later: nothing is lost.",
            ),
            Self::Container(_) | Self::Refused(_) | Self::Kind(_) | Self::Layers | Self::EncryptedTwice => {
                Bilingual::new(
                    format!("La protection S/MIME du message n'est pas acceptée ({}).", self.code()),
                    format!("The S/MIME protection of the message is not accepted ({}).", self.code()),
                )
            }
        }
    }
}

/// Opens a received message in memory. `known` are certificates that a signer may be found among.
///
/// # Errors
/// See [`OpenFault`]. A signature that does not verify is no error here but [`Signature::Broken`].
pub fn open(message: &[u8], access: Access<'_>, known: &[Certificate], limits: &Limits) -> Result<Opened, OpenFault> {
    open_source(Arc::new(Zeroizing::new(message.to_vec())), access, known, limits, &InMemory)
}

/// As [`open`], for a message of any size. What decryption makes goes into `room`; everything else is read
/// where it is.
///
/// # Errors
/// As [`open`]; [`MailFault::Storage`] when the message cannot be read or there is no room.
pub fn open_source(
    message: Arc<dyn Source>,
    access: Access<'_>,
    known: &[Certificate],
    limits: &Limits,
    room: &dyn Room,
) -> Result<Opened, OpenFault> {
    let (outer, _) = scan(&*message, limits, |_| ())?;
    let mut walk = Walk { access, known, limits, room, encryption: None, signature: Signature::None, layers: 0 };
    let walked = walk.descend(message).and_then(|root| walk.finish(outer, &root));
    match walked {
        Err(OpenFault::Mail(fault @ MailFault::Storage(_))) => Err(fault.into()),
        Err(_) if walk.hides_faults() => Err(OpenFault::Failed),
        walked => walked,
    }
}

/// The entity at the bottom of all layers.
struct Root {
    entity: Entity,
    /// Whether it is still the received message itself.
    untouched: bool,
    /// Whether it is a whole message that came in a message/rfc822 wrap.
    whole: bool,
    /// Header block of the message that the entity came in, for entities that are no whole message.
    frame: Vec<u8>,
}

/// What one step of the walk did.
enum Step {
    /// The content of an opaque container is the next root.
    Into(Arc<dyn Source>),
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
}

struct Walk<'a> {
    access: Access<'a>,
    known: &'a [Certificate],
    limits: &'a Limits,
    room: &'a dyn Room,
    encryption: Option<Encryption>,
    signature: Signature,
    layers: usize,
}

impl Walk<'_> {
    /// Takes layer after layer off the root.
    fn descend(&mut self, message: Arc<dyn Source>) -> Result<Root, OpenFault> {
        let entity = Entity { source: message, from: 0 };
        let mut root = Root { entity, untouched: true, whole: false, frame: Vec::new() };
        loop {
            let head = root.entity.head(self.limits)?;
            let block = head.block(self.limits)?;
            let media = MediaType::of(&block)?;
            let body = Entity { source: Arc::clone(&root.entity.source), from: root.entity.body(&head) };
            let step = if media.is_pkcs7_mime(file_name(&block)?.as_deref()) {
                self.count()?;
                self.container(body, TransferEncoding::of(&block)?)?
            } else if is_clear_signed(&media) {
                self.count()?;
                self.clear_signed(&body, &media)?
            } else if !root.untouched && !root.whole && is_wrap(&media) {
                if TransferEncoding::of(&block)? != TransferEncoding::Identity {
                    return Err(MailFault::Mime("Content-Transfer-Encoding").into());
                }
                // Once signed, the message inside is its reader's: its own layers stay as they are.
                root = Root { entity: body, untouched: false, whole: true, frame: Vec::new() };
                if self.signature != Signature::None {
                    return Ok(root);
                }
                continue;
            } else {
                Step::Stop
            };
            match step {
                Step::Into(source) => {
                    let own = root.untouched || root.whole;
                    let frame = if own { [block.block(), b"\r\n"].concat() } else { root.frame.clone() };
                    root = Root { entity: Entity { source, from: 0 }, untouched: false, whole: false, frame };
                }
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
        let container = Container::find(decoded(body, encoding)?)?;
        match container.outline.kind() {
            ContainerKind::Signed => {
                let content: Arc<dyn Source> = Arc::new(Content(Arc::clone(&container.source)));
                let content = settled(content)?;
                let good = self.verified(&container.outline, false, &*content)?;
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
            Access::ContentKey(key) => Opening::with_content_key(&container.outline, key)?,
        };
        let mut scratch = self.room.scratch(container.outline.content_length());
        let mut reader = container.source.reader(0).map_err(|error| disk(&error))?;
        opening.decrypt(&mut *reader, &mut *scratch).map_err(|fault| match fault {
            StreamFault::Io(error) => disk(&error).into(),
            StreamFault::Refused(fault) => OpenFault::from(fault),
        })?;
        self.encryption = Some(Encryption {
            cipher: opening.cipher(),
            key_transport: opening.key_transport,
            authenticated: opening.authenticated(),
            recipient: opening.recipient,
            content_key: opening.content_key,
        });
        canonical(scratch.into_source().map_err(|error| disk(&error))?, self.limits)
    }

    /// `multipart/signed`: exactly two parts, the second a signature without content (A10).
    fn clear_signed(&mut self, body: &Entity, media: &MediaType) -> Result<Step, OpenFault> {
        let malformed = || MailFault::Mime("multipart/signed");
        let stream = body.source.reader(body.from).map_err(|error| disk(&error))?;
        let places = mime::places(stream, media.boundary()?, 2).map_err(|fault| match fault {
            MailFault::Storage(_) => fault,
            _ => malformed(),
        })?;
        let [content, signature] = places.as_slice() else { return Err(malformed().into()) };
        let part = |place: &Range<u64>| -> Arc<dyn Source> {
            let at = |octets: u64| body.from.saturating_add(octets);
            Arc::new(Part { source: Arc::clone(&body.source), from: at(place.start), to: Some(at(place.end)) })
        };
        let signature = Entity { source: part(signature), from: 0 };
        let head = signature.head(self.limits)?;
        let block = head.block(self.limits)?;
        if !MediaType::of(&block)?.is_pkcs7_signature() {
            return Err(malformed().into());
        }
        let body = Entity { from: signature.body(&head), ..signature.clone() };
        let container = Container::find(decoded(body, TransferEncoding::of(&block)?)?);
        let content = part(content);
        let good = match container {
            Ok(container) => self.verified(&container.outline, true, &*content)?,
            Err(OpenFault::Container(fault)) => {
                self.signature = Signature::Broken(fault.into());
                false
            }
            Err(fault) => return Err(fault),
        };
        if !good {
            return Ok(Step::Stop);
        }
        let inside = Head::read(&*content, 0, self.limits)?;
        let inside = inside.block(self.limits)?;
        // Only a container inside is taken apart; else the clear signature stays for the reader.
        let container = MediaType::of(&inside)?.is_pkcs7_mime(file_name(&inside)?.as_deref());
        Ok(if container { Step::Into(content) } else { Step::Stop })
    }

    /// Checks a signature and notes the result: whether it is good. The innermost good one counts, and one
    /// bad one is enough: nothing is taken out of it.
    fn verified(&mut self, outline: &Outline, detached: bool, content: &dyn Source) -> Result<bool, OpenFault> {
        let mut content = content.reader(0).map_err(|error| disk(&error))?;
        match cms::verify_stream(outline, detached, &mut *content, self.known) {
            Ok(proof) => {
                self.signature = Signature::Good(Box::new(signed(proof)));
                Ok(true)
            }
            Err(StreamFault::Refused(fault)) => {
                self.signature = Signature::Broken(fault);
                Ok(false)
            }
            Err(StreamFault::Io(error)) => Err(disk(&error).into()),
        }
    }

    /// Under a cipher without authentication every fault looks the same (A2, H9).
    fn hides_faults(&self) -> bool {
        let cbc = self.encryption.as_ref().is_some_and(|encryption| !encryption.authenticated);
        cbc && !matches!(self.signature, Signature::Good(_))
    }

    fn finish(&mut self, outer: Facts, root: &Root) -> Result<Opened, OpenFault> {
        if self.hides_faults() {
            return Err(OpenFault::Failed);
        }
        let broken = matches!(self.signature, Signature::Broken(_));
        let (inner, header_protected) =
            if broken { (Letter::of(Zeroizing::default()), false) } else { handed_over(root, self.limits)? };
        let mut hash = Sha256::new();
        let (facts, octets) =
            if broken { (outer.clone(), 0) } else { scan(&inner, self.limits, |octets| hash.update(octets))? };
        let survey = match self.signature {
            Signature::None | Signature::Outside => {
                mime::survey_stream(inner.reader(0).map_err(|error| disk(&error))?, self.limits)?
            }
            Signature::Good(_) | Signature::Broken(_) => Survey::default(),
        };
        Ok(Opened {
            outer,
            inner_digest: Fingerprint::new(hash.finish()),
            inner,
            inner_size: u64::try_from(octets).unwrap_or(u64::MAX),
            facts,
            encryption: self.encryption.take(),
            signature: std::mem::replace(&mut self.signature, Signature::None),
            header_protected,
            survey,
        })
    }
}

impl Container {
    fn find(source: Arc<dyn Source>) -> Result<Self, OpenFault> {
        let mut reader = source.reader(0).map_err(|error| disk(&error))?;
        let outline = Outline::read(&mut *reader).map_err(|fault| match fault {
            StreamFault::Io(error) => disk(&error).into(),
            StreamFault::Refused(fault) => OpenFault::Container(fault),
        })?;
        drop(reader);
        Ok(Self { source, outline })
    }
}

/// A body without its transfer encoding.
fn decoded(body: Entity, encoding: TransferEncoding) -> Result<Arc<dyn Source>, MailFault> {
    let Entity { source, from } = body;
    match encoding {
        TransferEncoding::Identity => Ok(Arc::new(Part { source, from, to: None })),
        TransferEncoding::Base64 => settled(Arc::new(Decoded { source, from })),
        TransferEncoding::QuotedPrintable => Err(MailFault::Mime("Content-Transfer-Encoding")),
    }
}

/// Decrypted content whose lines end in LF alone, as `openssl cms` without `-crlfeol` writes the
/// entity that it encrypts: its header shows it. Nothing is signed at this point, so repair is allowed
/// (H13); content under a signature is never touched.
fn canonical(content: Arc<dyn Source>, limits: &Limits) -> Result<Arc<dyn Source>, OpenFault> {
    let mut lines = Fragments::new(content.reader(0).map_err(|error| disk(&error))?);
    let mut seen = 0usize;
    let mut bare = false;
    while let Some(line) = lines.next().map_err(|error| disk(&error))? {
        seen = seen.saturating_add(line.text.len());
        bare |= line.text.ends_with(b"\n") && !line.text.ends_with(b"\r\n");
        if matches!(line.text, b"\n" | b"\r\n") || seen > limits.header {
            break;
        }
    }
    drop(lines);
    Ok(if bare { Arc::new(Repaired(content)) } else { content })
}

/// A source whose every LF has a CR before it.
struct Repaired(Arc<dyn Source>);

impl Source for Repaired {
    fn reader(&self, from: u64) -> io::Result<Box<dyn Read + Send + '_>> {
        let lines = Fragments::new(self.0.reader(0)?);
        let mut reader = Repairing { lines, ready: Zeroizing::default(), given: 0, carriage: false };
        skip(&mut reader, from)?;
        Ok(Box::new(reader))
    }
}

struct Repairing<R> {
    lines: Fragments<R>,
    ready: Zeroizing<Vec<u8>>,
    given: usize,
    carriage: bool,
}

impl<R: Read> Read for Repairing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.given == self.ready.len() {
            self.ready.clear();
            self.given = 0;
            let Some(line) = self.lines.next()? else { return Ok(0) };
            match line.text.strip_suffix(b"\n") {
                Some(text) => {
                    self.ready.extend_from_slice(text);
                    let carriage = if text.is_empty() { self.carriage } else { text.ends_with(b"\r") };
                    self.ready.extend_from_slice(if carriage { b"\n" } else { b"\r\n" });
                }
                None => self.ready.extend_from_slice(line.text),
            }
            self.carriage = !line.ends && line.text.ends_with(b"\r");
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

fn signed(verified: Proof) -> Signed {
    Signed {
        algorithm: format!("{} {}", verified.scheme, verified.digest),
        signing_time: verified.signing_time,
        said: said(&verified.attributes),
        signer: verified.signer,
    }
}

/// Without the `protocol` that RFC 1847 asks for, some readers still show a signature: so it has to be one.
fn is_clear_signed(media: &MediaType) -> bool {
    media.essence == "multipart/signed"
        && media.parameter("protocol").is_none_or(|protocol| {
            matches!(
                protocol.to_ascii_lowercase().as_str(),
                "application/pkcs7-signature" | "application/x-pkcs7-signature"
            )
        })
}

/// A whole message as content; with `hp` the entity is itself the message (RFC 9788 §2.1).
fn is_wrap(media: &MediaType) -> bool {
    media.parameter("hp").is_none() && matches!(media.essence.as_str(), "message/rfc822" | "message/global")
}

/// The message for the reader, and whether its header was protected.
fn handed_over(root: &Root, limits: &Limits) -> Result<(Letter, bool), OpenFault> {
    let Entity { source, from } = &root.entity;
    let source = Arc::clone(source);
    if root.untouched || root.whole {
        return Ok((Letter::new(Zeroizing::default(), source, *from), root.whole));
    }
    let head = root.entity.head(limits)?;
    let block = head.block(limits)?;
    let protected = MediaType::of(&block)?.parameter("hp").is_some();
    let mut out = Zeroizing::new(Vec::with_capacity(head.octets().len().saturating_add(4096)));
    if protected {
        for field in block.fields().iter().filter(|field| !field.is("HP-Outer")) {
            let marks = [HP_CIPHER, HP_CIPHER_BARE];
            match marks.iter().find_map(|mark| field.raw().strip_suffix(mark.as_bytes())) {
                Some(plain) if field.is("Content-Type") => out.extend_from_slice(&[plain, b"\r\n"].concat()),
                _ => out.extend_from_slice(field.raw()),
            }
        }
    } else {
        // A mail client signed a MIME entity only: the header is the outer one, its MIME fields
        // are the entity's. Other fields in the entity have no meaning (RFC 8551 §3.1).
        let outer = HeaderBlock::parse(&root.frame, limits)?;
        let is_mime = |name: &str| name.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("Content-"));
        for field in outer.fields().iter().filter(|field| !is_mime(field.name())) {
            out.extend_from_slice(field.raw());
        }
        for field in block.fields().iter().filter(|field| is_mime(field.name())) {
            out.extend_from_slice(field.raw());
        }
    }
    out.extend_from_slice(b"\r\n");
    Ok((Letter::new(out, source, root.entity.body(&head)), protected))
}
