//! Opening encrypted containers: EnvelopedData (RFC 5652 §6) and AuthEnvelopedData (RFC 5083).
//!
//! Everything that can be judged without a private key is judged first and refused with its
//! reason. After that there is one attempt with one key and one answer for every failure (H4, A9).

use std::fmt;

use ident::Fingerprint;
use zeroize::Zeroizing;

use super::{
    ContainerKind, OpenError,
    algorithm::{Algorithm, BLOCK, ContentAlgorithm, TAG},
    attribute, container, content,
    error::Refusal,
    oid,
    reader::{Element, Malformed, Octets, Reader},
    recipient::{self, Entry},
};
use crate::{der, keys::DecryptionKey};

/// What was inside an encrypted container, and how it was protected.
pub struct Opened {
    /// The decrypted content.
    pub content: Zeroizing<Vec<u8>>,
    /// The content cipher, as people write it: `AES-256-GCM`.
    pub cipher: &'static str,
    /// How the content key was transported: `RSA-OAEP SHA-256`.
    pub key_transport: &'static str,
    /// Whether the cipher itself vouches that the content is unchanged. It never says who wrote it
    /// (A24). If not, a broken container may also show up here as *wrong content*: the caller must
    /// find a valid signature inside and answer to anything else as to [`OpenError::Failed`] (H9).
    pub authenticated: bool,
    /// The certificate of ours that it was encrypted for.
    pub recipient: Fingerprint,
    /// The content key, for [`reopen`].
    pub content_key: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for Opened {
    /// Says how it was protected; never what, never with which key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened")
            .field("cipher", &self.cipher)
            .field("key_transport", &self.key_transport)
            .field("authenticated", &self.authenticated)
            .field("recipient", &self.recipient)
            .finish_non_exhaustive()
    }
}

/// Opens an encrypted container with the first of our keys that it names, in the order given.
///
/// # Errors
/// [`OpenError::Refused`] before any private key is used, [`OpenError::NotForUs`], or
/// [`OpenError::Failed`] for everything that went wrong after.
pub fn open(cms: &[u8], keys: &[&dyn DecryptionKey]) -> Result<Opened, OpenError> {
    let encrypted = Encrypted::read(cms)?;
    let attempt = recipient::choose(&encrypted.recipients, keys, encrypted.algorithm.key_length)?;
    let (recipient, key_transport) = (attempt.recipient(), attempt.name);
    let content_key = attempt.content_key()?;
    let content = encrypted.decrypt(&content_key)?;
    Ok(Opened {
        content,
        cipher: encrypted.algorithm.name,
        key_transport,
        authenticated: encrypted.algorithm.authenticated,
        recipient,
        content_key,
    })
}

/// Decrypts again with the content key that [`open`] gave, without a private-key operation.
///
/// # Errors
/// As [`open`].
pub fn reopen(cms: &[u8], content_key: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    let encrypted = Encrypted::read(cms)?;
    if content_key.len() != encrypted.algorithm.key_length {
        return Err(OpenError::Failed);
    }
    encrypted.decrypt(content_key)
}

/// A container after every check that needs no key.
struct Encrypted<'a> {
    recipients: Vec<Entry<'a>>,
    algorithm: ContentAlgorithm<'a>,
    associated: Option<Vec<u8>>,
    content: Octets<'a>,
    tag: Vec<u8>,
}

impl<'a> Encrypted<'a> {
    fn read(cms: &'a [u8]) -> Result<Self, Refusal> {
        match container::read(cms)? {
            (ContainerKind::AuthEnveloped, members) => Self::authenticated(members),
            (ContainerKind::Enveloped, members) => Self::enveloped(members),
            (ContainerKind::Compressed, _) => Err(Refusal::Compressed),
            (other, _) => Err(Refusal::NotEncrypted(other.to_string())),
        }
    }

    /// EnvelopedData ::= SEQUENCE { version, [0] originatorInfo OPTIONAL, recipientInfos,
    /// encryptedContentInfo, [1] unprotectedAttrs OPTIONAL }
    fn enveloped(mut members: Reader<'a>) -> Result<Self, Refusal> {
        let recipients = start(&mut members)?;
        let info = ContentInfo::read(&mut members)?;
        if let Some(unprotected) = members.optional(0xa1)? {
            attribute::read(&unprotected)?;
        }
        members.end("the enveloped data")?;
        info.require_data()?;
        let algorithm = ContentAlgorithm::unauthenticated(&info.algorithm)?;
        let length = info.content.len();
        if length == 0 || !length.is_multiple_of(BLOCK) {
            return Err(Refusal::CiphertextLength);
        }
        Ok(Self { recipients, algorithm, associated: None, content: info.content, tag: Vec::new() })
    }

    /// AuthEnvelopedData ::= SEQUENCE { version, [0] originatorInfo OPTIONAL, recipientInfos,
    /// authEncryptedContentInfo, [1] authAttrs OPTIONAL, mac, [2] unauthAttrs OPTIONAL }
    fn authenticated(mut members: Reader<'a>) -> Result<Self, Refusal> {
        let recipients = start(&mut members)?;
        let info = ContentInfo::read(&mut members)?;
        let attributes = members.optional(0xa1)?;
        let tag = members.octets("the authentication tag")?;
        if let Some(unauthenticated) = members.optional(0xa2)? {
            attribute::read(&unauthenticated)?;
        }
        members.end("the authenticated enveloped data")?;
        info.require_data()?;
        let algorithm = ContentAlgorithm::authenticated(&info.algorithm)?;
        if tag.len() != TAG {
            return Err(Refusal::TagLength(tag.len()));
        }
        let associated = attributes.map(|attributes| associated(&attributes, info.content_type)).transpose()?;
        Ok(Self { recipients, algorithm, associated, content: info.content, tag: tag.joined().into_owned() })
    }

    fn decrypt(&self, key: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        content::decrypt(&self.algorithm, key, self.associated.as_deref(), &self.content, &self.tag)
            .map_err(|_| OpenError::Failed)
    }
}

/// Version, refused originator information, recipients.
fn start<'a>(members: &mut Reader<'a>) -> Result<Vec<Entry<'a>>, Refusal> {
    members.small("the version")?;
    if members.optional(0xa0)?.is_some() {
        return Err(Refusal::OriginatorInfo);
    }
    recipient::read(&members.expect(der::tag::SET, "the recipients")?)
}

/// EncryptedContentInfo (RFC 5652 §6.1).
struct ContentInfo<'a> {
    content_type: &'a [u8],
    algorithm: Algorithm<'a>,
    content: Octets<'a>,
}

impl<'a> ContentInfo<'a> {
    fn read(members: &mut Reader<'a>) -> Result<Self, Malformed> {
        const WHAT: &str = "the encrypted content";
        let mut inner = members.sequence(WHAT)?;
        let content_type = inner.oid("the content type")?;
        let algorithm = Algorithm::read(&mut inner, "the content encryption algorithm")?;
        let content = inner.optional_string(0x80)?.ok_or(Malformed::Expected(WHAT))?.octets()?;
        inner.end(WHAT)?;
        Ok(Self { content_type, algorithm, content })
    }

    fn require_data(&self) -> Result<(), Refusal> {
        if self.content_type == oid::DATA { Ok(()) } else { Err(Refusal::ContentType(oid::name(self.content_type))) }
    }
}

/// The additional authenticated data: authAttrs with the tag of a SET OF (RFC 5083 §2.2).
fn associated(attributes: &Element<'_>, content_type: &[u8]) -> Result<Vec<u8>, Refusal> {
    let read = attribute::read(attributes)?;
    let named =
        attribute::single(&read, oid::CONTENT_TYPE, "contentType").map_err(|_| Refusal::AuthenticatedAttributes)?;
    let contradicts = named.is_some_and(|value| value.tag != der::tag::OID || value.content != content_type);
    if read.is_empty() || contradicts {
        return Err(Refusal::AuthenticatedAttributes);
    }
    Ok(attributes.retagged(der::tag::SET)?)
}
