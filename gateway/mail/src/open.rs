//! Opening: what a received message is under its layers, and what its signature really covers.
//!
//! The walk follows the root only, from layer to layer: a container or signature that is merely a
//! part of the message never counts (A12). Nothing here decides; [`crate::judge()`] does.

use std::{borrow::Cow, fmt};

use ident::{Bilingual, Fingerprint, Timestamp};
use openssl::sha::sha256;
use pki::{
    certificate::Certificate,
    cms::{self, CmsError, ContainerKind, Malformed, OpenError, Verified},
    keys::{DecryptionKey, TokenFault},
};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::{
    Facts, HeaderBlock, Limits, MailFault,
    attributes::{Said, said},
    media::{MediaType, TransferEncoding, file_name},
    mime::{self, Survey},
    read,
    seal::{HP_CIPHER, HP_CIPHER_BARE},
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
#[derive(Clone, PartialEq, Eq)]
pub struct Opened {
    /// Header facts of what came over the wire.
    pub outer: Facts,
    /// The message to hand over. Empty when the signature is broken.
    pub inner: Zeroizing<Vec<u8>>,
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
            .field("octets", &self.inner.len())
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

/// Opens a received message. `known` are certificates that a signer may be found among.
///
/// # Errors
/// See [`OpenFault`]. A signature that does not verify is no error here but [`Signature::Broken`].
pub fn open(message: &[u8], access: Access<'_>, known: &[Certificate], limits: &Limits) -> Result<Opened, OpenFault> {
    let outer = read(message, limits)?;
    let mut walk = Walk { access, known, limits, encryption: None, signature: Signature::None, layers: 0 };
    match walk.descend(message) {
        Ok(root) => walk.finish(outer, &root),
        Err(_) if walk.hides_faults() => Err(OpenFault::Failed),
        Err(fault) => Err(fault),
    }
}

/// The entity at the bottom of all layers.
struct Root {
    entity: Zeroizing<Vec<u8>>,
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
    Into(Zeroizing<Vec<u8>>),
    /// The root stays, and is not to be taken apart further.
    Stop,
}

struct Walk<'a> {
    access: Access<'a>,
    known: &'a [Certificate],
    limits: &'a Limits,
    encryption: Option<Encryption>,
    signature: Signature,
    layers: usize,
}

impl Walk<'_> {
    /// Takes layer after layer off the root.
    fn descend(&mut self, message: &[u8]) -> Result<Root, OpenFault> {
        let mut root =
            Root { entity: Zeroizing::new(message.to_vec()), untouched: true, whole: false, frame: Vec::new() };
        loop {
            let block = HeaderBlock::parse(&root.entity, self.limits)?;
            let media = MediaType::of(&block)?;
            let step = if media.is_pkcs7_mime(file_name(&block)?.as_deref()) {
                self.count()?;
                self.container(&block)?
            } else if is_clear_signed(&media) {
                self.count()?;
                self.clear_signed(&block, &media)?
            } else if !root.untouched && !root.whole && is_wrap(&media) {
                if TransferEncoding::of(&block)? != TransferEncoding::Identity {
                    return Err(MailFault::Mime("Content-Transfer-Encoding").into());
                }
                let inner = Zeroizing::new(block.body().to_vec());
                // Once signed, the message inside is its reader's: its own layers stay as they are.
                root = Root { entity: inner, untouched: false, whole: true, frame: Vec::new() };
                if self.signature != Signature::None {
                    return Ok(root);
                }
                continue;
            } else {
                Step::Stop
            };
            match step {
                Step::Into(entity) => {
                    let own = root.untouched || root.whole;
                    let frame = if own { [block.block(), b"\r\n"].concat() } else { root.frame.clone() };
                    root = Root { entity, untouched: false, whole: false, frame };
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
    fn container(&mut self, block: &HeaderBlock<'_>) -> Result<Step, OpenFault> {
        let der = mime::decode(block.body(), TransferEncoding::of(block)?)?;
        match cms::kind(&der)? {
            ContainerKind::Signed => Ok(match self.verified(&der, None) {
                Some(content) => Step::Into(content),
                None => Step::Stop,
            }),
            ContainerKind::Enveloped => self.decrypt(&der, false).map(Step::Into),
            ContainerKind::AuthEnveloped => self.decrypt(&der, true).map(Step::Into),
            other => Err(OpenFault::Kind(other.to_string())),
        }
    }

    fn decrypt(&mut self, der: &[u8], authenticated: bool) -> Result<Zeroizing<Vec<u8>>, OpenFault> {
        if self.encryption.is_some() {
            return Err(OpenFault::EncryptedTwice);
        }
        // Whatever was signed so far was signed as ciphertext.
        if self.signature != Signature::None {
            self.signature = Signature::Outside;
        }
        match self.access {
            Access::Keys(keys) => {
                let opened = cms::open(der, keys)?;
                self.encryption = Some(Encryption {
                    cipher: opened.cipher,
                    key_transport: opened.key_transport,
                    authenticated: opened.authenticated,
                    recipient: Some(opened.recipient),
                    content_key: opened.content_key,
                });
                Ok(canonical(opened.content))
            }
            Access::ContentKey(key) => {
                let content = cms::reopen(der, key)?;
                self.encryption = Some(Encryption {
                    cipher: if authenticated { "AEAD" } else { "CBC" },
                    key_transport: "content key",
                    authenticated,
                    recipient: None,
                    content_key: Zeroizing::new(key.to_vec()),
                });
                Ok(canonical(content))
            }
        }
    }

    /// `multipart/signed`: exactly two parts, the second a signature without content (A10).
    fn clear_signed(&mut self, block: &HeaderBlock<'_>, media: &MediaType) -> Result<Step, OpenFault> {
        let parts = mime::parts(block.body(), media.boundary()?, 2).map_err(|_| MailFault::Mime("multipart/signed"))?;
        let [content, signature] = parts.as_slice() else { return Err(MailFault::Mime("multipart/signed").into()) };
        let block = HeaderBlock::parse(signature, self.limits)?;
        if !MediaType::of(&block)?.is_pkcs7_signature() {
            return Err(MailFault::Mime("multipart/signed").into());
        }
        let der = mime::decode(block.body(), TransferEncoding::of(&block)?)?;
        if self.verified(&der, Some(content)).is_none() {
            return Ok(Step::Stop);
        }
        let inside = HeaderBlock::parse(content, self.limits)?;
        let media = MediaType::of(&inside)?;
        // Only a container inside is taken apart; else the clear signature stays for the reader.
        let container = media.is_pkcs7_mime(file_name(&inside)?.as_deref());
        Ok(if container { Step::Into(Zeroizing::new(content.to_vec())) } else { Step::Stop })
    }

    /// Checks a signature and notes the result. The innermost good one counts, and one bad one is
    /// enough: nothing is taken out of it.
    fn verified(&mut self, der: &[u8], detached: Option<&[u8]>) -> Option<Zeroizing<Vec<u8>>> {
        match cms::verify(der, detached, self.known) {
            Ok(verified) => {
                let content = match &verified.content {
                    Cow::Borrowed(content) => content.to_vec(),
                    Cow::Owned(content) => content.clone(),
                };
                self.signature = Signature::Good(Box::new(signed(verified)));
                Some(Zeroizing::new(content))
            }
            Err(fault) => {
                self.signature = Signature::Broken(fault);
                None
            }
        }
    }

    /// Under a cipher without authentication every fault looks the same (A2, H9).
    fn hides_faults(&self) -> bool {
        let cbc = self.encryption.as_ref().is_some_and(|encryption| !encryption.authenticated);
        cbc && !matches!(self.signature, Signature::Good(_))
    }

    fn finish(self, outer: Facts, root: &Root) -> Result<Opened, OpenFault> {
        if self.hides_faults() {
            return Err(OpenFault::Failed);
        }
        let broken = matches!(self.signature, Signature::Broken(_));
        let (inner, header_protected) =
            if broken { (Zeroizing::new(Vec::new()), false) } else { handed_over(root, self.limits)? };
        let facts = if broken { outer.clone() } else { read(&inner, self.limits)? };
        let survey = match self.signature {
            Signature::None | Signature::Outside => mime::survey(&inner, self.limits)?,
            Signature::Good(_) | Signature::Broken(_) => Survey::default(),
        };
        Ok(Opened {
            outer,
            inner_digest: Fingerprint::new(sha256(&inner)),
            inner,
            facts,
            encryption: self.encryption,
            signature: self.signature,
            header_protected,
            survey,
        })
    }
}

/// Decrypted content whose lines end in LF alone, as `openssl cms` without `-crlfeol` writes the
/// entity that it encrypts. Nothing is signed at this point, so repair is allowed (H13); content
/// under a signature is never touched.
fn canonical(content: Zeroizing<Vec<u8>>) -> Zeroizing<Vec<u8>> {
    let bare = content.split(|octet| *octet == b'\n').rev().skip(1).any(|line| !line.ends_with(b"\r"));
    if !bare {
        return content;
    }
    let mut out = Zeroizing::new(Vec::with_capacity(content.len().saturating_add(content.len() / 32)));
    for line in content.split_inclusive(|octet| *octet == b'\n') {
        match line.strip_suffix(b"\n") {
            Some(text) => {
                out.extend_from_slice(text.strip_suffix(b"\r").unwrap_or(text));
                out.extend_from_slice(b"\r\n");
            }
            None => out.extend_from_slice(line),
        }
    }
    out
}

fn signed(verified: Verified<'_>) -> Signed {
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
fn handed_over(root: &Root, limits: &Limits) -> Result<(Zeroizing<Vec<u8>>, bool), OpenFault> {
    if root.untouched || root.whole {
        return Ok((root.entity.clone(), root.whole));
    }
    let block = HeaderBlock::parse(&root.entity, limits)?;
    let protected = MediaType::of(&block)?.parameter("hp").is_some();
    let mut out = Zeroizing::new(Vec::with_capacity(root.entity.len().saturating_add(4096)));
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
    out.extend_from_slice(block.body());
    Ok((out, protected))
}
