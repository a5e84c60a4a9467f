//! Opening encrypted containers: EnvelopedData (RFC 5652 §6) and AuthEnvelopedData (RFC 5083).
//!
//! Everything that can be judged without a private key is judged first and refused with its
//! reason. After that there is one attempt with one key and one answer for every failure (H4, A9).

use std::{
    fmt,
    io::{self, BufRead, Read, Write},
};

use ident::Fingerprint;
use openssl::error::ErrorStack;
use zeroize::Zeroizing;

use super::{
    ContainerKind, OpenError,
    algorithm::{Algorithm, BLOCK, ContentAlgorithm, TAG},
    attribute::{self, Attribute, Received},
    container,
    content::Decryptor,
    error::Refusal,
    oid,
    reader::{Element, Malformed, Octets, Reader},
    recipient::{self, Entry},
    splitter::{ContentReader, Outline, StreamFault, filled},
};
use crate::{der, keys::DecryptionKey, plaintext::Plaintext};

/// Octets decrypted at once: as much as a processor's nearest cache holds.
const CHUNK: usize = 16 * 1024;

/// What was inside an encrypted container, and how it was protected.
pub struct Opened {
    /// The decrypted content.
    pub content: Zeroizing<Vec<u8>>,
    /// The content cipher, as people write it: `AES-256-GCM`.
    pub cipher: &'static str,
    /// How the content key was transported: `RSA-OAEP SHA-256`.
    pub key_transport: &'static str,
    /// See [`Opening::authenticated`].
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
    let (outline, encrypted) = Outline::of(cms)?;
    let opening = Opening::with_keys(&outline, keys)?;
    let content = opening.decrypt_all(&encrypted)?;
    let recipient = opening.recipient.ok_or(OpenError::NotForUs)?;
    let (cipher, authenticated) = (opening.cipher(), opening.authenticated());
    Ok(Opened {
        content,
        cipher,
        key_transport: opening.key_transport,
        authenticated,
        recipient,
        content_key: opening.content_key,
    })
}

/// Decrypts again with the content key that [`open`] gave, without a private-key operation.
///
/// # Errors
/// As [`open`].
pub fn reopen(cms: &[u8], content_key: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    let (outline, encrypted) = Outline::of(cms)?;
    Opening::with_content_key(&outline, content_key)?.decrypt_all(&encrypted)
}

/// An encrypted container whose content key we have: everything but the content is judged.
pub struct Opening<'o> {
    encrypted: Encrypted<'o>,
    /// How the content key was transported: `RSA-OAEP SHA-256`.
    pub key_transport: &'static str,
    /// The certificate of ours that it was encrypted for; unknown when opened by content key.
    pub recipient: Option<Fingerprint>,
    /// The content key, for opening again without a private-key operation.
    pub content_key: Zeroizing<Vec<u8>>,
    /// Whether every reader that was asked got this content key.
    whole: bool,
}

impl<'o> Opening<'o> {
    /// With the first of our keys that the container names, in the order given.
    ///
    /// # Errors
    /// As [`open`].
    pub fn with_keys(outline: &'o Outline, keys: &[&dyn DecryptionKey]) -> Result<Self, OpenError> {
        let encrypted = Encrypted::read(outline)?;
        let attempt = recipient::choose(&encrypted.recipients, keys, encrypted.algorithm.key_length)?;
        let (recipient, key_transport) = (Some(attempt.recipient()), attempt.name);
        let content_key = attempt.content_key()?;
        Ok(Self { encrypted, key_transport, recipient, content_key, whole: true })
    }

    /// With the first key of each of several readers that the container names: every one of them has to be able to
    /// read it by itself. All are asked before any key is used, so that what one of them cannot read tells nothing
    /// about the key of another (H4). [`Self::is_whole`] says whether they got the same.
    ///
    /// # Errors
    /// As [`open`]; [`OpenError::NotForUs`] if one of them is not named, or there is none.
    pub fn with_keys_of_each(outline: &'o Outline, readers: &[Vec<&dyn DecryptionKey>]) -> Result<Self, OpenError> {
        let encrypted = Encrypted::read(outline)?;
        let choose = |keys: &Vec<_>| recipient::choose(&encrypted.recipients, keys, encrypted.algorithm.key_length);
        let attempts = readers.iter().map(choose).collect::<Result<Vec<_>, _>>()?;
        let first = attempts.first().ok_or(OpenError::NotForUs)?;
        let (recipient, key_transport) = (Some(first.recipient()), first.name);
        let found = attempts.into_iter().map(recipient::Attempt::content_key).collect::<Result<Vec<_>, _>>()?;
        let (content_key, others) = found.split_first().ok_or(OpenError::NotForUs)?;
        // An entry that only names its reader gives another key: what is behind it is opened all the same, and the
        // message fails where every other failure shows (A9).
        let whole = others.iter().fold(true, |whole, other| {
            whole & (other.len() == content_key.len() && openssl::memcmp::eq(other, content_key))
        });
        let content_key = content_key.clone();
        Ok(Self { encrypted, key_transport, recipient, content_key, whole })
    }

    /// Whether every reader got the same content key. If not, the caller does with the content all that it would do,
    /// and then answers as to [`OpenError::Failed`].
    pub const fn is_whole(&self) -> bool {
        self.whole
    }

    /// With the content key that an earlier opening gave.
    ///
    /// # Errors
    /// As [`open`].
    pub fn with_content_key(outline: &'o Outline, content_key: &[u8]) -> Result<Self, OpenError> {
        let encrypted = Encrypted::read(outline)?;
        if content_key.len() != encrypted.algorithm.key_length {
            return Err(OpenError::Failed);
        }
        let content_key = Zeroizing::new(content_key.to_vec());
        Ok(Self { encrypted, key_transport: "content key", recipient: None, content_key, whole: true })
    }

    /// The content cipher, as people write it: `AES-256-GCM`.
    pub fn cipher(&self) -> &'static str {
        self.encrypted.algorithm.name
    }

    /// Whether the cipher itself vouches that the content is unchanged. It never says who wrote it
    /// (A24). If not, a broken container may also show up here as *wrong content*: the caller must
    /// find a valid signature inside and answer to anything else as to [`OpenError::Failed`] (H9).
    pub fn authenticated(&self) -> bool {
        self.encrypted.algorithm.authenticated
    }

    /// The attributes beside the encrypted content that nothing protects: anybody may have changed them.
    pub fn unprotected(&self) -> &[Attribute] {
        &self.encrypted.unprotected
    }

    /// The identifiers of all recipients, as received.
    pub fn recipient_identifiers(&self) -> impl Iterator<Item = &[u8]> {
        self.encrypted.recipients.iter().map(|entry| entry.identifier)
    }

    /// Decrypts the content from the stream of the container into `out`, which belongs to nobody before this
    /// returns `Ok`: tag or padding are judged last (A18). `Ok(false)` means that the padding of a cipher without
    /// authentication was wrong: the caller does with the content all that it would do, and then answers as to
    /// [`OpenError::Failed`], so that the time that it takes tells nobody which (A9).
    ///
    /// # Errors
    /// Those of the streams; [`OpenError::Failed`] for everything else.
    pub fn decrypt(&self, container: &mut dyn Read, out: &mut dyn Write) -> Result<bool, StreamFault<OpenError>> {
        self.decrypt_content(&mut ContentReader::new(container), out)
    }

    /// As [`Self::decrypt`], of the container's content alone.
    ///
    /// # Errors
    /// As [`Self::decrypt`].
    pub fn decrypt_content(
        &self,
        encrypted: &mut dyn BufRead,
        out: &mut dyn Write,
    ) -> Result<bool, StreamFault<OpenError>> {
        let most = CHUNK.min(usize::try_from(self.encrypted.length).unwrap_or(CHUNK));
        let mut plain = Plaintext::with_capacity(most.saturating_add(3 * BLOCK));
        self.pieces(encrypted, &mut plain, |plain| {
            out.write_all(plain)?;
            plain.clear();
            Ok(())
        })
    }

    /// As [`Self::decrypt_content`], into memory: `out` has room for the content and four blocks more, so that no
    /// growth leaves a copy behind.
    ///
    /// # Errors
    /// As [`Self::decrypt`].
    pub fn decrypt_in_memory(
        &self,
        encrypted: &mut dyn BufRead,
        out: &mut Plaintext,
    ) -> Result<bool, StreamFault<OpenError>> {
        self.pieces(encrypted, out, |_| Ok(()))
    }

    /// Appends piece by piece what the content becomes; `each` sees what there is after each of them.
    fn pieces(
        &self,
        encrypted: &mut dyn BufRead,
        plain: &mut Plaintext,
        mut each: impl FnMut(&mut Plaintext) -> io::Result<()>,
    ) -> Result<bool, StreamFault<OpenError>> {
        let failed = |_| StreamFault::Refused(OpenError::Failed);
        let mut decryptor = self.encrypted.decryptor(&self.content_key).map_err(failed)?;
        loop {
            let octets = filled(encrypted)?;
            if octets.is_empty() {
                break;
            }
            let octets = octets.get(..CHUNK).unwrap_or(octets);
            let taken = octets.len();
            decryptor.update(octets, plain).map_err(failed)?;
            each(plain)?;
            encrypted.consume(taken);
        }
        let sound = decryptor.finish(plain).map_err(failed)?;
        each(plain)?;
        Ok(sound)
    }

    /// The buffer is reserved whole, so that no copy of the plaintext is left behind by growth.
    fn decrypt_all(&self, encrypted: &Octets<'_>) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let failed = |_| OpenError::Failed;
        let mut content = Zeroizing::new(Vec::with_capacity(encrypted.len().saturating_add(2 * BLOCK)));
        let mut decryptor = self.encrypted.decryptor(&self.content_key).map_err(failed)?;
        for piece in encrypted.pieces() {
            decryptor.update(piece, &mut content).map_err(failed)?;
        }
        let sound = decryptor.finish(&mut content).map_err(failed)?;
        sound.then_some(content).ok_or(OpenError::Failed)
    }
}

/// A container after every check that needs no key.
struct Encrypted<'a> {
    recipients: Vec<Entry<'a>>,
    algorithm: ContentAlgorithm<'a>,
    associated: Option<Vec<u8>>,
    tag: Vec<u8>,
    unprotected: Vec<Attribute>,
    /// Octets of encrypted content.
    length: u64,
}

impl<'a> Encrypted<'a> {
    fn read(outline: &'a Outline) -> Result<Self, Refusal> {
        match container::read(outline.octets())? {
            (ContainerKind::AuthEnveloped, members) => Self::authenticated(members, outline.content_length()),
            (ContainerKind::Enveloped, members) => Self::enveloped(members, outline.content_length()),
            (ContainerKind::Compressed, _) => Err(Refusal::Compressed),
            (other, _) => Err(Refusal::NotEncrypted(other.to_string())),
        }
    }

    /// EnvelopedData ::= SEQUENCE { version, [0] originatorInfo OPTIONAL, recipientInfos,
    /// encryptedContentInfo, [1] unprotectedAttrs OPTIONAL }
    fn enveloped(mut members: Reader<'a>, length: u64) -> Result<Self, Refusal> {
        let recipients = start(&mut members)?;
        let info = ContentInfo::read(&mut members)?;
        let unprotected = unprotected(&mut members, 0xa1)?;
        members.end("the enveloped data")?;
        info.require_data()?;
        let algorithm = ContentAlgorithm::unauthenticated(&info.algorithm)?;
        if length == 0 || !length.is_multiple_of(BLOCK as u64) {
            return Err(Refusal::CiphertextLength);
        }
        Ok(Self { recipients, algorithm, associated: None, tag: Vec::new(), unprotected, length })
    }

    /// AuthEnvelopedData ::= SEQUENCE { version, [0] originatorInfo OPTIONAL, recipientInfos,
    /// authEncryptedContentInfo, [1] authAttrs OPTIONAL, mac, [2] unauthAttrs OPTIONAL }
    fn authenticated(mut members: Reader<'a>, length: u64) -> Result<Self, Refusal> {
        let recipients = start(&mut members)?;
        let info = ContentInfo::read(&mut members)?;
        let attributes = members.optional(0xa1)?;
        let tag = members.octets("the authentication tag")?;
        let unprotected = unprotected(&mut members, 0xa2)?;
        members.end("the authenticated enveloped data")?;
        info.require_data()?;
        let algorithm = ContentAlgorithm::authenticated(&info.algorithm)?;
        if tag.len() != TAG {
            return Err(Refusal::TagLength(tag.len()));
        }
        let associated = attributes.map(|attributes| associated(&attributes, info.content_type)).transpose()?;
        Ok(Self { recipients, algorithm, associated, tag: tag.joined().into_owned(), unprotected, length })
    }

    fn decryptor(&self, key: &[u8]) -> Result<Decryptor, ErrorStack> {
        Decryptor::new(&self.algorithm, key, self.associated.as_deref(), &self.tag)
    }
}

fn unprotected(members: &mut Reader<'_>, tag: u8) -> Result<Vec<Attribute>, Malformed> {
    let Some(set) = members.optional(tag)? else { return Ok(Vec::new()) };
    Ok(attribute::read(&set)?.iter().map(Received::to_public).collect())
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
}

impl<'a> ContentInfo<'a> {
    fn read(members: &mut Reader<'a>) -> Result<Self, Malformed> {
        const WHAT: &str = "the encrypted content";
        let mut inner = members.sequence(WHAT)?;
        let content_type = inner.oid("the content type")?;
        let algorithm = Algorithm::read(&mut inner, "the content encryption algorithm")?;
        // Empty in an outline; what matters is that it is there and what it is.
        inner.optional_string(0x80)?.ok_or(Malformed::Expected(WHAT))?.octets()?;
        inner.end(WHAT)?;
        Ok(Self { content_type, algorithm })
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
