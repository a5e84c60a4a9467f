//! Layers of protection, put on as a sender would: signed, encrypted, wrapped. What stands behind a signature or a tag
//! cannot be changed from outside, so the targets put it on themselves, around whatever the input is.

use openssl::symm::{Cipher, encrypt, encrypt_aead};
use pki::{
    cms::{self, Attribute},
    der,
    keys::{DecryptionKey, FileKey},
};

use crate::{
    forge::{algorithm, oid},
    samples::message::{READER, SENDER},
    world::{DOCTOR, MAILER, NOW, READER_EC, READER_RSA, ROOT, SIGNER},
};

/// The content key of every layer of encryption here: opened again with it, no private key is used.
pub const CONTENT_KEY: [u8; 32] = [7; 32];

/// What stands over every message here.
pub fn header() -> String {
    format!(
        "From: \"Dr MARTIN-TEST, Anne\" <{SENDER}>\r\nTo: Claire <{READER}>\r\nSubject: Lettre\r\n\
         Date: Sun, 22 Nov 2026 10:00:00 +0100\r\nMessage-ID: <1@ch-exemple.test>\r\nMIME-Version: 1.0\r\n"
    )
}

/// A MIME entity in the making.
pub struct Layers {
    /// Header and body so far.
    pub entity: Vec<u8>,
    /// What the next signature says besides.
    pub attributes: Vec<Attribute>,
    /// What stands beside the next ciphertext, where anybody can change it.
    pub outside: Vec<Attribute>,
}

impl Layers {
    /// Around this entity.
    pub fn around(entity: &[u8]) -> Self {
        Self { entity: entity.to_vec(), attributes: Vec::new(), outside: Vec::new() }
    }

    /// Puts on the layer of this letter; `None` for a letter without meaning.
    pub fn put(&mut self, layer: u8) -> Option<()> {
        self.entity = match layer {
            b's' => part("application/pkcs7-mime; smime-type=signed-data", &self.signed(&SIGNER)?),
            b'd' => part("application/pkcs7-mime; smime-type=signed-data", &self.signed(&DOCTOR)?),
            b'a' => part("application/x-pkcs7-mime; name=smime.p7m", &self.signed(&MAILER)?),
            // With keys that sign no mail.
            b'x' => part("application/pkcs7-mime", &self.signed(&READER_EC)?),
            b'z' => part("application/pkcs7-mime", &self.signed(&ROOT)?),
            b'o' => part("application/octet-stream; name=smime.p7m", &self.signed(&SIGNER)?),
            b'c' => self.apart(&SIGNER)?,
            b'e' => self.apart(&DOCTOR)?,
            b'g' => part("application/pkcs7-mime; smime-type=authEnveloped-data", &self.authenticated()),
            b'b' => part("application/pkcs7-mime; smime-type=enveloped-data", &self.enveloped()),
            b'w' => [b"Content-Type: message/rfc822\r\n\r\n", self.entity.as_slice()].concat(),
            b'f' => [header().as_bytes(), &self.entity].concat(),
            b'm' => {
                let head = b"Content-Type: multipart/mixed; boundary=m\r\n\r\n--m\r\n\r\nx\r\n--m\r\n";
                [head, self.entity.as_slice(), b"\r\n--m--\r\n"].concat()
            }
            _ => return None,
        };
        Some(())
    }

    /// The whole message.
    pub fn message(self) -> Vec<u8> {
        [header().as_bytes(), &self.entity].concat()
    }

    fn signed(&mut self, key: &FileKey) -> Option<Vec<u8>> {
        cms::sign(&self.entity, key, NOW, &std::mem::take(&mut self.attributes)).ok()
    }

    /// AuthEnvelopedData under the content key, for a reader who needs no key of his own here.
    fn authenticated(&mut self) -> Vec<u8> {
        let mut tag = [0; 16];
        let encrypted = encrypt_aead(Cipher::aes_256_gcm(), &CONTENT_KEY, Some(&[7; 12]), &[], &self.entity, &mut tag);
        let parameters = der::sequence(&[der::octet_string(&[7; 12]), der::integer(16)]);
        let info = info("2.16.840.1.101.3.4.1.46", &parameters, &encrypted.expect("encrypted"));
        let body = [vec![der::integer(0), readers(), info, der::octet_string(&tag)], self.beside(2)].concat();
        object("1.2.840.113549.1.9.16.1.23", &der::sequence(&body))
    }

    /// EnvelopedData likewise.
    fn enveloped(&mut self) -> Vec<u8> {
        let encrypted = encrypt(Cipher::aes_256_cbc(), &CONTENT_KEY, Some(&[7; 16]), &self.entity).expect("encrypted");
        let info = info("2.16.840.1.101.3.4.1.42", &der::octet_string(&[7; 16]), &encrypted);
        let body = [vec![der::integer(0), readers(), info], self.beside(1)].concat();
        object("1.2.840.113549.1.7.3", &der::sequence(&body))
    }

    fn beside(&mut self, number: u8) -> Vec<Vec<u8>> {
        let attribute = |it: Attribute| der::sequence(&[oid(&it.oid), der::set_of(&it.values)]);
        let all: Vec<Vec<u8>> = std::mem::take(&mut self.outside).into_iter().map(attribute).collect();
        if all.is_empty() { Vec::new() } else { vec![der::context(number, &all)] }
    }

    /// A signature beside what it signs.
    fn apart(&mut self, key: &FileKey) -> Option<Vec<u8>> {
        let signature = cms::sign_detached(&self.entity, key, NOW, &std::mem::take(&mut self.attributes)).ok()?;
        Some(beside(&self.entity, &signature))
    }
}

/// multipart/signed.
pub fn beside(entity: &[u8], signature: &[u8]) -> Vec<u8> {
    let head = b"Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; micalg=sha-256; boundary=s\r\n\r\n--s\r\n";
    let signature = part("application/pkcs7-signature; name=smime.p7s", signature);
    [head, entity, b"\r\n--s\r\n", &signature, b"--s--\r\n"].concat()
}

/// An entity that holds this in base64.
pub fn part(kind: &str, content: &[u8]) -> Vec<u8> {
    let mut out = format!("Content-Type: {kind}\r\nContent-Transfer-Encoding: base64\r\n\r\n").into_bytes();
    mail::mime::write_base64(&mut out, content);
    out
}

/// One reader by name, whose wrapped key is never looked at.
fn readers() -> Vec<u8> {
    let how = algorithm("1.2.840.113549.1.1.1", &der::null());
    der::set_of(&[der::sequence(&[der::integer(0), reader_id(), how, der::octet_string(b"x")])])
}

/// How that reader is named.
pub fn reader_id() -> Vec<u8> {
    let reader = DecryptionKey::certificate(&*READER_RSA);
    der::sequence(&[reader.issuer_der().to_vec(), der::tlv(der::tag::INTEGER, reader.serial())])
}

fn info(cipher: &str, parameters: &[u8], encrypted: &[u8]) -> Vec<u8> {
    let members = [oid("1.2.840.113549.1.7.1"), algorithm(cipher, parameters), der::context_primitive(0, encrypted)];
    der::sequence(&members)
}

fn object(kind: &str, body: &[u8]) -> Vec<u8> {
    der::sequence(&[oid(kind), der::context(0, &[body])])
}
