//! Sealing: sign, then encrypt, under an outer header that says no more than the envelope does.

use ident::{Address, Fingerprint, Timestamp};
use openssl::sha::sha256;
use pki::{
    certificate::Certificate,
    cms::{self, Attribute, CmsError, ContentCipher, RsaTransport},
    keys::SigningKey,
};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::{
    Assurance, Facts, HeaderBlock, Limits, MailFault, attributes, clean, groups,
    header::Field,
    mime::write_base64,
    read,
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

/// One body to seal.
#[derive(Clone, Copy)]
pub struct SealRequest<'a> {
    /// The admitted message.
    pub message: &'a [u8],
    /// Envelope recipients of this body: see [`crate::groups()`].
    pub recipients: &'a [Address],
    /// Who signs.
    pub signer: &'a dyn SigningKey,
    /// Certificates to encrypt to; empty for [`Profile::SignedOnly`].
    pub to: &'a [&'a Certificate],
    /// How.
    pub profile: Profile,
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
    /// SHA-256 of `bytes`.
    pub digest: Fingerprint,
    /// SHA-256 of the message inside, as its reader will get it.
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
}

/// Seals one body for one group of recipients.
///
/// # Errors
/// See [`SealFault`].
pub fn seal(request: &SealRequest<'_>) -> Result<SealedMessage, SealFault> {
    seal_with(request, RsaTransport::default())
}

/// As [`seal`], choosing how content keys are wrapped for RSA certificates.
///
/// # Errors
/// As [`seal`].
pub fn seal_with(request: &SealRequest<'_>, transport: RsaTransport) -> Result<SealedMessage, SealFault> {
    if request.to.is_empty() != (request.profile == Profile::SignedOnly) {
        return Err(SealFault::Recipients);
    }
    let facts = read(request.message, request.limits)?;
    let blind = request.recipients.iter().filter(|recipient| !facts.names(recipient)).count();
    if blind > 1 || (blind == 1 && request.recipients.len() > 1) {
        return Err(SealFault::BlindCopy);
    }
    let inner = clean::for_sending(request.message, request.authserv_id, request.limits)?;
    let outer = outer_header(&facts, &inner, request)?;
    let payload = Zeroizing::new(match request.profile {
        Profile::Gateway | Profile::SignedOnly => wrapped(&facts, &inner),
        Profile::Client => protected(&inner, &outer, request.limits)?,
    });
    let mut extra = vec![attributes::intended_recipients(&groups::intended(&facts, request.recipients))];
    extra.extend(request.assurance.map(attributes::assurance));
    extra.extend_from_slice(request.extra);
    let signed = Zeroizing::new(cms::sign(&payload, request.signer, request.at, &extra)?);
    drop(payload);
    let bytes = match request.profile {
        Profile::SignedOnly => message(&outer, "signed-data", &signed),
        Profile::Gateway => {
            encrypted(&outer, "authEnveloped-data", &signed, ContentCipher::Aes256Gcm, transport, request)?
        }
        Profile::Client => encrypted(&outer, "enveloped-data", &signed, ContentCipher::Aes256Cbc, transport, request)?,
    };
    Ok(SealedMessage {
        digest: Fingerprint::new(sha256(&bytes)),
        inner_digest: Fingerprint::new(sha256(&inner)),
        bytes,
    })
}

/// Upper bound of what sealing makes of a message of this many octets, for the size limits of the
/// next hop: base64 in 76 columns, once for the signature and once more for the encryption.
/// `named` counts the addresses in `To` and `Cc`, `readers` the certificates.
pub fn size_bound(profile: Profile, octets: u64, named: u64, readers: u64) -> u64 {
    // Certificates, attributes and headers; addresses stand in the header, the signed list and HP-Outer.
    const FRAME: u64 = 24 * 1024;
    const ADDRESS: u64 = 300;
    const READER: u64 = 2048;
    let coded = |octets: u64| octets.div_ceil(57).saturating_mul(78);
    let addresses = named.saturating_add(1).saturating_mul(ADDRESS);
    let signed = coded(octets.saturating_add(FRAME).saturating_add(addresses.saturating_mul(2)));
    match profile {
        Profile::SignedOnly => signed.saturating_add(addresses).saturating_add(FRAME),
        Profile::Gateway | Profile::Client => {
            coded(signed.saturating_add(readers.saturating_mul(READER))).saturating_add(addresses).saturating_add(FRAME)
        }
    }
}

fn encrypted(
    outer: &str,
    smime_type: &str,
    signed: &[u8],
    cipher: ContentCipher,
    transport: RsaTransport,
    request: &SealRequest<'_>,
) -> Result<Vec<u8>, SealFault> {
    let entity = Zeroizing::new(message("", "signed-data", signed));
    let container = cms::encrypt_with(&entity, request.to, cipher, transport)?;
    Ok(message(outer, smime_type, &container))
}

/// A header, then one container in base64. The media type's spelling is RFC 8551's (H18).
fn message(header: &str, smime_type: &str, container: &[u8]) -> Vec<u8> {
    let content = format!(
        "Content-Type: application/pkcs7-mime; smime-type={smime_type};\r\n name=smime.p7m\r\n\
         Content-Transfer-Encoding: base64\r\n\
         Content-Disposition: attachment; filename=smime.p7m\r\n\r\n"
    );
    let mut out = Vec::with_capacity(container.len().saturating_mul(7).saturating_div(5).saturating_add(1024));
    out.extend_from_slice(header.as_bytes());
    out.extend_from_slice(content.as_bytes());
    write_base64(&mut out, container);
    out
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

/// The message as a message/rfc822 entity (RFC 8551 §3.1), or message/global (RFC 6532).
fn wrapped(facts: &Facts, inner: &[u8]) -> Vec<u8> {
    let kind = if facts.utf8_header { "message/global" } else { "message/rfc822" };
    let encoding = if inner.is_ascii() { "7bit" } else { "8bit" };
    let header = format!("Content-Type: {kind}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n");
    [header.as_bytes(), inner].concat()
}

/// The message as a payload with protected headers (RFC 9788): its own fields stay on it, its
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
    out.extend_from_slice(block.body());
    Ok(out)
}

fn content_type(field: Option<&Field<'_>>) -> Vec<u8> {
    let raw = field.map_or(&b"Content-Type: text/plain; charset=us-ascii\r\n"[..], Field::raw);
    let open = raw.strip_suffix(b"\r\n").unwrap_or(raw);
    let mark = if open.trim_ascii_end().ends_with(b";") { HP_CIPHER_BARE } else { HP_CIPHER };
    [open, mark.as_bytes()].concat()
}
