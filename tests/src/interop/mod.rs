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
    /// `gateway`
    Gateway,
    /// `client`
    Client,
    /// `signed-only`
    SignedOnly,
}

impl Form {
    /// The name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Client => "client",
            Self::SignedOnly => "signed-only",
        }
    }

    /// What encrypts it.
    #[must_use]
    pub fn cipher(self) -> Option<Cipher> {
        match self {
            Self::Gateway => Some(Cipher::Gcm),
            Self::Client => Some(Cipher::Cbc),
            Self::SignedOnly => None,
        }
    }
}

/// The body of a MIME entity in base64, and its header.
///
/// # Errors
/// It has no header, or another encoding.
pub fn container(entity: &[u8]) -> Done {
    let text = std::str::from_utf8(entity).map_err(|_| "not text".to_owned())?.replace("\r\n", "\n");
    let (header, body) = text.split_once("\n\n").ok_or("no header")?;
    if !header.contains("pkcs7-mime") || !header.to_lowercase().contains("base64") {
        return Err(format!("not a container in base64: {header}"));
    }
    openssl::base64::decode_block(&body.replace('\n', "")).map_err(|error| error.to_string())
}

/// An entity around a container.
#[must_use]
pub fn entity(kind: &str, cms: &[u8]) -> Vec<u8> {
    let mut out = format!(
        "Content-Type: application/pkcs7-mime; smime-type={kind}; name=smime.p7m\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    );
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
    let mut entity_of = entity("signed-data", &signed);
    if let Some(cipher) = form.cipher() {
        let sealed = peer.encrypt(&pair.reader, cipher, &entity_of).map_err(|why| format!("encrypt: {why}"))?;
        let kind = if cipher == Cipher::Gcm { "authEnveloped-data" } else { "enveloped-data" };
        entity_of = entity(kind, &sealed);
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
