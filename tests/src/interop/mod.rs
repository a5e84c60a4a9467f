//! Other S/MIME software as judge of ours, and ours of theirs: one matrix of who reads whom.
//!
//! Every peer does four things to bare CMS objects in DER, each with the tool that its people use: sign,
//! encrypt, decrypt, verify. What is MIME around them is spelled here once more.

mod bouncy_castle;
pub mod cast;
mod gpgsm;
mod nss;
mod openssl_tool;
mod python;

use std::fmt::Write as _;

use self::cast::{Identity, Pair};
pub use self::{
    bouncy_castle::BouncyCastle, cast::Cast, gpgsm::Gpgsm, nss::Nss, openssl_tool::OpenSsl, python::Python,
};

/// What is written around content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cipher {
    /// AES-256-GCM in authenticated-enveloped data.
    Gcm,
    /// AES-256-CBC in enveloped data.
    Cbc,
}

/// What a peer makes of a task: the octets, or its own words for why not.
pub type Done = Result<Vec<u8>, String>;

/// One other implementation.
pub trait Peer {
    /// Its name in the matrix.
    fn name(&self) -> &'static str;

    /// What it calls itself.
    fn version(&self) -> String;

    /// Signs opaquely, RSA with PSS where asked.
    fn sign(&self, signer: &Identity, pss: bool, content: &[u8]) -> Done;

    /// Encrypts for one recipient.
    fn encrypt(&self, reader: &Identity, cipher: Cipher, content: &[u8]) -> Done;

    /// Decrypts with one recipient's key.
    fn decrypt(&self, reader: &Identity, cms: &[u8]) -> Done;

    /// Verifies an opaque signature up to the root, and that it is this signer's; gives the content.
    fn verify(&self, signer: &Identity, cms: &[u8]) -> Done;
}

/// How a message is protected, with the names of `sceau seal`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `gateway`, the signed part in base64 for a way that may rewrite lines
    Gateway,
    /// `gateway` as gateways send it: the signed part as octets
    GatewayBinary,
    /// `client`
    Client,
    /// `signed-only`
    SignedOnly,
}

impl Form {
    /// The name on the command line, and how the inside is spelled where that differs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::GatewayBinary => "gateway binary",
            Self::Client => "client",
            Self::SignedOnly => "signed-only",
        }
    }

    /// What encrypts it.
    #[must_use]
    pub fn cipher(self) -> Option<Cipher> {
        match self {
            Self::Gateway | Self::GatewayBinary => Some(Cipher::Gcm),
            Self::Client => Some(Cipher::Cbc),
            Self::SignedOnly => None,
        }
    }
}

/// The container that a MIME entity holds, in base64 or as octets.
///
/// # Errors
/// It has no header, or another encoding.
pub fn container(entity: &[u8]) -> Done {
    let end = entity.windows(4).position(|four| four == b"\r\n\r\n").map(|at| (at, at + 4));
    let end = end.or_else(|| entity.windows(2).position(|two| two == b"\n\n").map(|at| (at, at + 2)));
    let (end, body) = end.ok_or("no header")?;
    let header = String::from_utf8_lossy(&entity[..end]).to_lowercase();
    let encoded = header.contains("content-transfer-encoding: base64");
    if !header.contains("pkcs7-mime") || !encoded && !header.contains("content-transfer-encoding: binary") {
        return Err(format!("not a container in base64 or as octets: {header}"));
    }
    if !encoded {
        return Ok(entity[body..].to_vec());
    }
    let text: String = entity[body..].iter().map(|octet| char::from(*octet)).filter(|c| !c.is_whitespace()).collect();
    openssl::base64::decode_block(&text).map_err(|error| error.to_string())
}

/// An entity around a container, in base64 or as octets.
#[must_use]
pub fn entity(kind: &str, cms: &[u8], binary: bool) -> Vec<u8> {
    let encoding = if binary { "binary" } else { "base64" };
    let mut out = format!(
        "Content-Type: application/pkcs7-mime; smime-type={kind}; name=smime.p7m\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    );
    if binary {
        return [out.as_bytes(), cms].concat();
    }
    for line in openssl::base64::encode_block(cms).as_bytes().chunks(76) {
        let _ = write!(out, "{}\r\n", std::str::from_utf8(line).unwrap());
    }
    out.into_bytes()
}

/// A peer opens what Sceau sealed: the signed content.
///
/// # Errors
/// In the peer's words.
pub fn opened_by(peer: &dyn Peer, pair: &Pair, form: Form, mail: &[u8]) -> Done {
    let mut cms = container(mail)?;
    if form.cipher().is_some() {
        let inside = peer.decrypt(&pair.reader, &cms).map_err(|why| format!("decrypt: {why}"))?;
        cms = container(&inside).map_err(|why| format!("decrypt gave {why}"))?;
    }
    peer.verify(&pair.signer, &cms).map_err(|why| format!("verify: {why}"))
}

/// A peer signs and encrypts this entity as a mail of its signer's.
///
/// # Errors
/// In the peer's words.
pub fn made_by(peer: &dyn Peer, pair: &Pair, form: Form, pss: bool, content: &[u8]) -> Done {
    let signed = peer.sign(&pair.signer, pss, content).map_err(|why| format!("sign: {why}"))?;
    let mut entity_of = entity("signed-data", &signed, form == Form::GatewayBinary);
    if let Some(cipher) = form.cipher() {
        let sealed = peer.encrypt(&pair.reader, cipher, &entity_of).map_err(|why| format!("encrypt: {why}"))?;
        let kind = if cipher == Cipher::Gcm { "authEnveloped-data" } else { "enveloped-data" };
        entity_of = entity(kind, &sealed, false);
    }
    let header = format!(
        "Date: Sun, 22 Nov 2026 10:00:00 +0000\r\nFrom: <{}>\r\nTo: <{}>\r\nSubject: essai\r\nMessage-ID: <interop@ch-exemple.test>\r\nMIME-Version: 1.0\r\n",
        pair.signer.address, pair.reader.address
    );
    Ok([header.as_bytes(), &entity_of].concat())
}

/// The last line of what a tool said, without what differs from run to run.
#[must_use]
pub fn complaint(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines.join(" | ")
}
