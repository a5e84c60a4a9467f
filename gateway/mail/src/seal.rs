//! Sealing: sign, then encrypt, under an outer header that says no more than the envelope does.

use std::io::Write;

use ident::{Address, Fingerprint, Timestamp};
use pki::{
    certificate::Certificate,
    cms::{Attribute, CmsError, ContentCipher, Encrypting, Frame, RsaTransport, Signing},
    keys::SigningKey,
    plaintext::Plaintext,
};
use thiserror::Error;

use crate::{
    Assurance, Facts, HeaderBlock, Limits, MailFault, ProtectionHint, attributes, clean,
    coding::{self, Encoder},
    groups,
    head::Head,
    header::Field,
    inner, read_source,
    source::{CHUNK, Source, disk, each_chunk},
    words::{folded, text_field},
};

/// The outer subject where the configuration names none: the real one stays inside.
pub const DEFAULT_SUBJECT: &str = "Message sécurisé";

/// The suffix that marks our protected payloads (RFC 9788 §2.1.1), as we write it.
pub(crate) const HP_CIPHER: &str = ";\r\n hp=\"cipher\"\r\n";
/// The same behind a value that ends with a semicolon of its own: another fold, so that opening
/// gives back exactly what was there.
pub(crate) const HP_CIPHER_BARE: &str = "\r\n\thp=\"cipher\"\r\n";

/// How a message is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Profile {
    /// Between gateways: the whole message as message/rfc822, signed opaquely, in AES-256-GCM.
    Gateway,
    /// For mail clients: protected headers (RFC 9788), signed opaquely, in AES-256-CBC (H9).
    Client,
    /// The whole message as message/rfc822, signed opaquely, not encrypted.
    SignedOnly,
}

impl Profile {
    /// How content keys are wrapped for RSA certificates where nothing is known of the one who reads. Mail
    /// programs read PKCS#1 v1.5 everywhere and OAEP here and there (decision 0030); gateways read OAEP.
    pub const fn rsa_transport(self) -> RsaTransport {
        match self {
            Self::Client => RsaTransport::Pkcs1,
            Self::Gateway | Self::SignedOnly => RsaTransport::OaepSha256,
        }
    }
}

/// How the signed container stands inside the encryption of [`Profile::Gateway`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Inside {
    /// As it is: nobody breaks lines in there, and a third less is encrypted and sent.
    #[default]
    Binary,
    /// In base64, as mail clients' own tools expect it (`openssl cms` reads no other form).
    Base64,
}

/// One body to seal.
#[derive(Clone, Copy)]
pub struct SealRequest<'a> {
    /// The admitted message.
    pub message: &'a dyn Source,
    /// Envelope recipients of this body: see [`crate::groups()`].
    pub recipients: &'a [Address],
    /// Who signs.
    pub signer: &'a dyn SigningKey,
    /// Certificates to encrypt to; empty for [`Profile::SignedOnly`].
    pub to: &'a [&'a Certificate],
    /// How.
    pub profile: Profile,
    /// How the signed container stands inside; for mail clients always in base64.
    pub inside: Inside,
    /// Now.
    pub at: Timestamp,
    /// Who was authenticated; written into the signed part.
    pub assurance: Option<&'a Assurance>,
    /// Further signed attributes, such as [`attributes::checkpoint`].
    pub extra: &'a [Attribute],
    /// Our name in `Authentication-Results`: such fields never leave (A17).
    pub authserv_id: &'a str,
    /// The constant outer subject.
    pub subject: &'a str,
    /// Limits of reading.
    pub limits: &'a Limits,
}

/// A sealed body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedMessage {
    /// The message to queue and relay.
    pub bytes: Vec<u8>,
    /// The digest of the message inside, as its reader will find it ([`crate::Opened::inner_digest`]).
    pub inner_digest: Fingerprint,
}

/// Why a message could not be sealed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SealFault {
    /// The message cannot be read.
    #[error(transparent)]
    Mail(#[from] MailFault),
    /// The container could not be made.
    #[error(transparent)]
    Cms(#[from] CmsError),
    /// Certificates for a profile that does not encrypt, or none for one that does.
    #[error("the profile and the recipients' certificates do not fit each other")]
    Recipients,
    /// More than one recipient that the header does not name: blind copies would betray each other (A22).
    #[error("a body may have one blind-copy recipient and nobody beside it")]
    BlindCopy,
    /// A time stamp is required and was not had.
    #[error("no time stamp was had: {0}")]
    Stamp(String),
}

/// Has a signature stamped: gives the unsigned attribute to write beside it, or none.
pub type Stamping<'s> = &'s dyn Fn(&[u8]) -> Result<Option<Attribute>, SealFault>;

/// Seals one body for one group of recipients, in memory, wrapping content keys as the profile does
/// ([`Profile::rsa_transport`]).
///
/// # Errors
/// See [`SealFault`].
pub fn seal(request: &SealRequest<'_>) -> Result<SealedMessage, SealFault> {
    seal_with(request, request.profile.rsa_transport())
}

/// As [`seal`], choosing how content keys are wrapped for RSA certificates.
///
/// # Errors
/// As [`seal`].
pub fn seal_with(request: &SealRequest<'_>, transport: RsaTransport) -> Result<SealedMessage, SealFault> {
    let facts = read_source(request.message, request.limits)?;
    let plan = SealPlan::new(request, &facts, transport)?;
    let inner_digest = plan.inner_digest();
    Ok(SealedMessage { bytes: plan.into_bytes()?, inner_digest })
}

/// A body that is signed and ready to be written: the first of the two passes over the message is done, and
/// the size of what will be written is known to the octet.
pub struct SealPlan<'a> {
    message: &'a dyn Source,
    body: u64,
    inner_digest: Fingerprint,
    /// Header of the outermost entity.
    outer: Vec<u8>,
    /// What stands between the layers.
    layers: Layers,
    size: u64,
}

/// What is written around the payload, from the inside.
struct Layers {
    payload_head: Plaintext,
    signed: Frame,
    encryption: Option<Encryption>,
}

/// The encryption of an entity that holds the signed container.
struct Encryption {
    entity_head: Vec<u8>,
    /// Whether the signed container inside stands in base64; else as it is.
    base64: bool,
    container: Encrypting,
}

impl<'a> SealPlan<'a> {
    /// Digests and signs. `facts` are those of the message, which somebody has read before.
    ///
    /// # Errors
    /// See [`SealFault`].
    pub fn new(request: &SealRequest<'a>, facts: &Facts, transport: RsaTransport) -> Result<Self, SealFault> {
        Self::stamped(request, facts, transport, &|_| Ok(None))
    }

    /// As [`Self::new`], with a time stamp beside the signature (RFC 3161 appendix A).
    ///
    /// # Errors
    /// See [`SealFault`]; those of `stamp`.
    pub fn stamped(
        request: &SealRequest<'a>,
        facts: &Facts,
        transport: RsaTransport,
        stamp: Stamping<'_>,
    ) -> Result<Self, SealFault> {
        if request.to.is_empty() != (request.profile == Profile::SignedOnly) {
            return Err(SealFault::Recipients);
        }
        let blind = request.recipients.iter().filter(|recipient| !facts.names(recipient)).count();
        if blind > 1 || (blind == 1 && request.recipients.len() > 1) {
            return Err(SealFault::BlindCopy);
        }
        let intended = groups::intended(facts, request.recipients);
        // More than every receiver reads: said before anybody hears that it was taken (promise 1).
        if intended.len() > attributes::MAX_RECIPIENTS {
            return Err(MailFault::TooManyMailboxes("To").into());
        }
        let head = Head::read(request.message, 0, request.limits)?;
        let inner_head = clean::for_sending(head.octets(), request.authserv_id, request.limits)?.into_owned();
        let inner_head = Plaintext::from(inner_head);
        let outer = outer_header(facts, &inner_head, request)?;
        // What the author signed stays a message of its own: with the header on its own layer, a reader would
        // take its signature off together with ours (decision 0026).
        let whole = request.profile != Profile::Client || facts.protection != ProtectionHint::None;
        let payload_head = Plaintext::from(match whole {
            true => wrapped(facts, &inner_head),
            false => protected(&inner_head, &outer, request.limits)?,
        });
        let mut extra = vec![attributes::intended_recipients(&intended)];
        extra.extend(request.assurance.map(attributes::assurance));
        extra.extend_from_slice(request.extra);
        let mut signing = Signing::new(request.signer)?;
        let mut octets = 0u64;
        let mut digest = |chunk: &[u8]| {
            octets = octets.saturating_add(count(chunk));
            signing.update(chunk).map_err(SealFault::from)
        };
        digest(&payload_head)?;
        each_chunk(request.message, head.len(), &mut digest)?;
        let signed = signing.signed(request.at, &extra)?;
        let inner_digest = match whole {
            true => {
                let before = payload_head.len().saturating_sub(inner_head.len());
                inner::of_signed(&[], signed.content_digest(), u64::try_from(before).unwrap_or(u64::MAX))
            }
            false => inner::of_signed(&inner_head, signed.content_digest(), count(&payload_head)),
        };
        let unsigned: Vec<Attribute> = stamp(signed.value())?.into_iter().collect();
        let signed = signed.opaque(&unsigned)?;
        let signed_length = signed.length(octets);
        let encryption = Encryption::new(signed_length, transport, request)?;
        let kind = match request.profile {
            Profile::SignedOnly => "signed-data",
            Profile::Gateway => "authEnveloped-data",
            Profile::Client => "enveloped-data",
        };
        let outer = format!("{outer}{}", container_header(kind, "base64")).into_bytes();
        let container =
            encryption.as_ref().map_or(signed_length, |it| it.container.length().try_into().unwrap_or(u64::MAX));
        let size = count(&outer).saturating_add(coding::length(container));
        let layers = Layers { payload_head, signed, encryption };
        Ok(Self { message: request.message, body: head.len(), inner_digest, outer, layers, size })
    }

    /// The outer header, which everybody on the way reads.
    pub fn header(&self) -> &[u8] {
        &self.outer
    }

    /// Octets that will be written.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The digest of the message inside, as its reader will find it ([`crate::Opened::inner_digest`]).
    pub const fn inner_digest(&self) -> Fingerprint {
        self.inner_digest
    }

    /// Writes the sealed message: the second pass over the message, with bounded buffers.
    ///
    /// # Errors
    /// [`MailFault::Storage`] when either side fails, and what the library cannot do.
    pub fn write(self, out: &mut dyn Write) -> Result<(), SealFault> {
        self.through(Some(out)).map(drop)
    }

    /// The sealed message in memory, written there at once.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn into_bytes(self) -> Result<Vec<u8>, SealFault> {
        self.through(None)
    }

    fn through(self, out: Option<&mut dyn Write>) -> Result<Vec<u8>, SealFault> {
        let Layers { payload_head, signed, encryption } = self.layers;
        let size = if out.is_some() { 0 } else { usize::try_from(self.size).unwrap_or(0) };
        let mut pipe = Pipe::new(encryption, out, size);
        pipe.begin(&self.outer)?;
        pipe.signed(&signed.before)?;
        pipe.signed(&payload_head)?;
        each_chunk(self.message, self.body, |octets| pipe.signed(octets))?;
        pipe.signed(&signed.after)?;
        pipe.finish()
    }
}

impl Encryption {
    fn new(signed: u64, transport: RsaTransport, request: &SealRequest<'_>) -> Result<Option<Self>, SealFault> {
        let (cipher, base64) = match request.profile {
            Profile::SignedOnly => return Ok(None),
            Profile::Gateway => (ContentCipher::Aes256Gcm, request.inside == Inside::Base64),
            Profile::Client => (ContentCipher::Aes256Cbc, true),
        };
        let entity_head = container_header("signed-data", if base64 { "base64" } else { "binary" }).into_bytes();
        let inside = if base64 { coding::length(signed) } else { signed };
        let length = usize::try_from(count(&entity_head).saturating_add(inside)).unwrap_or(usize::MAX);
        let container = Encrypting::new(length, request.to, cipher, transport)?;
        Ok(Some(Self { entity_head, base64, container }))
    }
}

/// Most that base64 makes of the octets that come at once ([`crate::source::CHUNK`]), and what was left before.
const PIECE: usize = CHUNK * 3 / 2;

/// Octets of the signed container on their way out: base64 if a mail client is to read it, encryption,
/// base64 again.
struct Pipe<'o> {
    encryption: Option<Encryption>,
    inner: Option<Encoder>,
    entity: Plaintext,
    container: Vec<u8>,
    outer: Encoder,
    /// What was made and not written yet; all of it, if it is not to be written anywhere.
    text: Vec<u8>,
    out: Option<&'o mut dyn Write>,
}

impl<'o> Pipe<'o> {
    /// `size` is what will be made, where it stays in memory.
    fn new(encryption: Option<Encryption>, out: Option<&'o mut dyn Write>, size: usize) -> Self {
        let inner = encryption.as_ref().filter(|it| it.base64).map(|_| Encoder::default());
        // Room for one piece, or for everything if that is less: growth would leave copies behind.
        let room = encryption.as_ref().map_or(0, |it| it.container.length().min(PIECE));
        let entity = Plaintext::with_capacity(if inner.is_some() { room } else { 0 });
        let text = if out.is_some() { room.saturating_mul(3) / 2 } else { size };
        let (container, text) = (Vec::with_capacity(room), Vec::with_capacity(text));
        Self { encryption, inner, entity, container, outer: Encoder::default(), text, out }
    }

    fn begin(&mut self, outer: &[u8]) -> Result<(), SealFault> {
        self.text.extend_from_slice(outer);
        let head = self.encryption.as_mut().map(|it| std::mem::take(&mut it.entity_head)).unwrap_or_default();
        self.encrypt(&head)?;
        self.drain()
    }

    /// In pieces that stay in the nearest cache from one step to the next.
    fn signed(&mut self, octets: &[u8]) -> Result<(), SealFault> {
        octets.chunks(CHUNK).try_for_each(|piece| self.piece(piece))
    }

    fn piece(&mut self, octets: &[u8]) -> Result<(), SealFault> {
        if let Some(encoder) = &mut self.inner {
            let mut entity = std::mem::take(&mut self.entity);
            entity.clear();
            encoder.update(octets, &mut entity);
            self.encrypt(&entity)?;
            self.entity = entity;
        } else {
            self.encrypt(octets)?;
        }
        self.drain()
    }

    /// What is encrypted goes on to the outer base64; without encryption, as it is.
    fn encrypt(&mut self, octets: &[u8]) -> Result<(), SealFault> {
        match &mut self.encryption {
            Some(encryption) => {
                self.container.clear();
                encryption.container.update(octets, &mut self.container)?;
                self.outer.update(&self.container, &mut self.text);
            }
            None => self.outer.update(octets, &mut self.text),
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<u8>, SealFault> {
        if let Some(encoder) = self.inner.take() {
            let mut entity = Plaintext::default();
            encoder.finish(&mut entity);
            self.encrypt(&entity)?;
        }
        if let Some(encryption) = self.encryption.take() {
            self.container.clear();
            encryption.container.finish(&mut self.container)?;
            self.outer.update(&self.container, &mut self.text);
        }
        std::mem::take(&mut self.outer).finish(&mut self.text);
        self.drain()?;
        Ok(self.text)
    }

    fn drain(&mut self) -> Result<(), SealFault> {
        if let Some(out) = &mut self.out {
            out.write_all(&self.text).map_err(|error| disk(&error))?;
            self.text.clear();
        }
        Ok(())
    }
}

fn count(octets: &[u8]) -> u64 {
    u64::try_from(octets.len()).unwrap_or(u64::MAX)
}

/// Least that sealing makes of a message of this many octets: what is over a limit already is refused before
/// anything but its size is known.
pub fn size_floor(profile: Profile, octets: u64) -> u64 {
    match profile {
        Profile::SignedOnly | Profile::Gateway => coding::length(octets),
        Profile::Client => coding::length(coding::length(octets)),
    }
}

/// Upper bound of what sealing with [`Inside::Binary`] makes of a message of this many octets, for the size limits of the
/// next hop: base64 in 76 columns, for mail clients once more inside the encryption.
/// `named` counts the addresses in `To` and `Cc`, `readers` the certificates.
pub fn size_bound(profile: Profile, octets: u64, named: u64, readers: u64) -> u64 {
    // Certificates, attributes and headers; addresses stand in the header, the signed list and HP-Outer.
    const FRAME: u64 = 24 * 1024;
    const ADDRESS: u64 = 300;
    const READER: u64 = 2048;
    const STAMP: u64 = pki::timestamp::MAX_TOKEN as u64;
    let addresses = named.saturating_add(1).saturating_mul(ADDRESS);
    let signed = octets.saturating_add(FRAME).saturating_add(STAMP).saturating_add(addresses.saturating_mul(2));
    let container = match profile {
        Profile::SignedOnly => signed,
        Profile::Gateway => signed.saturating_add(readers.saturating_mul(READER)),
        Profile::Client => coding::length(signed).saturating_add(readers.saturating_mul(READER)),
    };
    coding::length(container).saturating_add(addresses).saturating_add(FRAME)
}

/// MIME fields of an entity that is one container. The media type's spelling is RFC 8551's (H18).
fn container_header(smime_type: &str, encoding: &str) -> String {
    format!(
        "Content-Type: application/pkcs7-mime; smime-type={smime_type};\r\n name=smime.p7m\r\n\
         Content-Transfer-Encoding: {encoding}\r\n\
         Content-Disposition: attachment; filename=smime.p7m\r\n\r\n"
    )
}

/// The outer header: what the envelope says anyway. Addresses without display names, the constant
/// subject, and what loop protection needs (RFC 3834).
fn outer_header(facts: &Facts, inner: &[u8], request: &SealRequest<'_>) -> Result<String, MailFault> {
    let block = HeaderBlock::parse(inner, request.limits)?;
    let date = match (block.one("Date")?, facts.date) {
        (Some(_), Some(at)) => at,
        _ => request.at,
    };
    let mut out = format!("Date: {}\r\n", date.rfc5322());
    out.push_str(&addresses("From", std::slice::from_ref(&facts.from)));
    for (name, all) in [("To", &facts.to), ("Cc", &facts.cc)] {
        if !all.is_empty() {
            out.push_str(&addresses(name, all));
        }
    }
    out.push_str(&text_field("Subject", request.subject));
    if let Some(id) = &facts.message_id {
        out.push_str(&format!("Message-ID: <{id}>\r\n"));
    }
    if facts.auto_submitted {
        out.push_str("Auto-Submitted: auto-generated\r\n");
    }
    out.push_str("MIME-Version: 1.0\r\n");
    Ok(out)
}

fn addresses(name: &str, all: &[Address]) -> String {
    let last = all.len().saturating_sub(1);
    let pieces: Vec<String> = all
        .iter()
        .enumerate()
        .map(|(at, address)| format!("<{address}>{}", if at == last { "" } else { "," }))
        .collect();
    folded(name, pieces.iter().map(String::as_str))
}

/// Everything before the body of the message as a message/rfc822 entity (RFC 8551 §3.1), or message/global
/// (RFC 6532).
fn wrapped(facts: &Facts, inner: &[u8]) -> Vec<u8> {
    let kind = if facts.utf8_header { "message/global" } else { "message/rfc822" };
    let encoding = if inner.is_ascii() && !facts.eight_bit_body { "7bit" } else { "8bit" };
    let header = format!("Content-Type: {kind}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n");
    [header.as_bytes(), inner].concat()
}

/// The header of the message as a payload with protected headers (RFC 9788): its own fields stay on it, its
/// `Content-Type` says `hp="cipher"`, and `HP-Outer` repeats what is visible outside.
fn protected(inner: &[u8], outer: &str, limits: &Limits) -> Result<Vec<u8>, MailFault> {
    let block = HeaderBlock::parse(inner, limits)?;
    let mut out = Vec::with_capacity(inner.len().saturating_add(outer.len()).saturating_add(256));
    let typed = block.one("Content-Type")?;
    for field in block.fields().iter().filter(|field| !field.is("HP-Outer")) {
        match typed {
            Some(content) if content == field => out.extend_from_slice(&content_type(Some(field))),
            _ => out.extend_from_slice(field.raw()),
        }
    }
    if typed.is_none() {
        out.extend_from_slice(&content_type(None));
    }
    let visible = HeaderBlock::parse(outer.as_bytes(), limits)?;
    for field in visible.fields().iter().filter(|field| !field.is("MIME-Version")) {
        out.extend_from_slice(b"HP-Outer: ");
        out.extend_from_slice(field.raw());
    }
    out.extend_from_slice(b"\r\n");
    Ok(out)
}

fn content_type(field: Option<&Field<'_>>) -> Vec<u8> {
    let raw = field.map_or(&b"Content-Type: text/plain; charset=us-ascii\r\n"[..], Field::raw);
    let open = raw.strip_suffix(b"\r\n").unwrap_or(raw);
    let mark = if open.trim_ascii_end().ends_with(b";") { HP_CIPHER_BARE } else { HP_CIPHER };
    [open, mark.as_bytes()].concat()
}
