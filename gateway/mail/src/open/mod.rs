//! Opening: what a received message is under its layers, and what its signature really covers.
//!
//! The walk follows the root only, from layer to layer: a container or signature that is merely a
//! part of the message never counts (A12). Nothing here decides; [`crate::judge()`] does.

mod author;
mod fault;
mod frame;
mod hand_over;
mod label;
mod repair;
mod walk;

use std::{fmt, sync::Arc};

use ident::{Fingerprint, Timestamp};
use openssl::sha::Sha256;
use pki::{
    certificate::Certificate,
    cms::{CmsError, Proof},
    guard::caught,
    keys::DecryptionKey,
    timestamp::{self, TimeStamp},
};
use zeroize::Zeroizing;

use self::walk::Walk;
pub use self::{author::author, fault::OpenFault};
use crate::{
    Facts, Limits, MailFault, ProtectionHint,
    attributes::{Said, said},
    mime::Survey,
    read::scan,
    recipient_emails::Outside,
    source::{InMemory, Letter, Room, Source, each_chunk},
};

/// How the content key is had.
#[derive(Clone, Copy)]
pub enum Access<'a> {
    /// With our private keys, in this order.
    Keys(&'a [&'a dyn DecryptionKey]),
    /// With a private key of each of several readers, their own in this order: every one has to be able to read the
    /// message by itself, and none is used if another is not named (A16, H4).
    EachOf(&'a [Vec<&'a dyn DecryptionKey>]),
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
    /// Whom it says it is for, outside of any signature.
    pub outside: Outside,
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

/// Where the header comes from that the reader gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderOrigin {
    /// What came over the wire, readable for everybody on the way. No signature covers it.
    Wire,
    /// From under the encryption, but no signature that counts covers it.
    Inside,
    /// The signature that counts covers it (RFC 9788, or a message/rfc822 wrap).
    Signed,
}

/// A signature that verifies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// The signer's certificate; its path is still to be judged.
    pub signer: Certificate,
    /// Other certificates over the same key that the signature may mean as well; see [`pki::cms::Proof`].
    pub twins: Vec<Certificate>,
    /// Whether the signature says which certificate it means.
    pub names_certificate: bool,
    /// Scheme and digest.
    pub algorithm: String,
    /// When the signer claims to have signed; never a time to judge by.
    pub signing_time: Option<Timestamp>,
    /// Our attributes in its signed part.
    pub said: Said,
    /// The time stamp beside the signature. Nobody signed that it is there.
    pub stamp: Option<Stamp>,
}

/// A time stamp as it was read (RFC 3161).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stamp {
    /// It is about this signature; its authority is still to be judged.
    Read(Box<TimeStamp>),
    /// It counts for nothing, with this code.
    Bad(&'static str),
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
    /// SHA-256 of `inner`, or of the signed digest that stands for its octets and of what is put around them:
    /// delivery opens again and must get the same (design §3, decision 0041).
    pub inner_digest: Fingerprint,
    /// The encryption layer, if there was one.
    pub encryption: Option<Encryption>,
    /// The signature.
    pub signature: Signature,
    /// Where the header of `inner` comes from.
    pub header: HeaderOrigin,
    /// Subject or date outside are not the signed ones, although the signer says that they would be (RFC 9788,
    /// `hp="clear"`). The reader gets the signed ones; of an [`author()`]'s signature those outside.
    pub outer_fields_differ: bool,
    /// What hides below the root of `inner`; not looked for when its signature is broken.
    pub survey: Survey,
    /// The author's own signature inside the wrap of a gateway, as a message to judge: see [`author()`].
    pub author: Option<Box<Opened>>,
    /// Certificates of signers that did not come with the message but from `known`: whoever opens it again needs
    /// them again.
    pub lent: Vec<Certificate>,
}

impl Opened {
    /// Whether a good signature stands at the root of what is handed over, or an encryption of its own, for its
    /// reader's program to open: then nothing may be put around it (RFC 8551 §3.5). What merely looks like one is none.
    pub fn keeps_signature(&self) -> bool {
        match (&self.author, &self.signature) {
            (Some(author), _) => matches!(author.signature, Signature::Good(_)),
            (None, Signature::Good(_)) => self.facts.protection != ProtectionHint::None,
            _ => false,
        }
    }

    /// Whether this is the message that had this `inner_digest` when it was judged. Versions before decision 0041
    /// digested the octets of every message: what they accepted is still known.
    ///
    /// # Errors
    /// Those of the source of `inner`.
    pub fn is_what_was_judged(&self, digest: Fingerprint) -> Result<bool, MailFault> {
        if digest == self.inner_digest {
            return Ok(true);
        }
        let mut hash = Sha256::new();
        each_chunk(&self.inner, 0, |octets| {
            hash.update(octets);
            Ok::<_, MailFault>(())
        })?;
        Ok(digest == Fingerprint::new(hash.finish()))
    }
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
            .field("header", &self.header)
            .field("survey", &self.survey)
            .finish_non_exhaustive()
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
    caught("a message", || walked(message, access, known, limits, room))?
}

fn walked(
    message: Arc<dyn Source>,
    access: Access<'_>,
    known: &[Certificate],
    limits: &Limits,
    room: &dyn Room,
) -> Result<Opened, OpenFault> {
    let (outer, _) = scan(&*message, limits, |_| ())?;
    let mut walk = Walk::new(access, known, limits, room);
    let walked = walk.descend(message).and_then(|root| walk.finish(outer, &root));
    match walked {
        Err(OpenFault::Mail(fault @ MailFault::Storage(_))) => Err(fault.into()),
        Err(_) if walk.hides_faults() => Err(OpenFault::Failed),
        Err(fault) if walk.is_decrypted() => Err(fault.inside()),
        walked => walked,
    }
}

fn signed(verified: Proof) -> Signed {
    Signed {
        algorithm: format!("{} {}", verified.scheme, verified.digest),
        signing_time: verified.signing_time,
        said: said(&verified.attributes),
        stamp: stamp(&verified),
        signer: verified.signer,
        twins: verified.twins,
        names_certificate: verified.names_certificate,
    }
}

/// One attribute with one token, or nothing that counts.
fn stamp(proof: &Proof) -> Option<Stamp> {
    let mut found = proof.unsigned.iter().filter(|attribute| attribute.oid == timestamp::ATTRIBUTE);
    let first = found.next()?;
    Some(match (first.values.as_slice(), found.next()) {
        ([token], None) => match TimeStamp::about(token, &proof.value) {
            Ok(stamp) => Stamp::Read(Box::new(stamp)),
            Err(fault) => Stamp::Bad(fault.code()),
        },
        _ => Stamp::Bad("timestamp_repeated"),
    })
}
