//! The frame of a clear-signed message as it is handed over: ours, around exactly what was verified.
//!
//! Everything around the two parts is whoever's (preamble, epilogue, boundary, fields of the multipart), and
//! readers do not agree on where a part begins. So nothing of it is handed over (specs/decisions/0040): the
//! signed part goes out octet for octet in a frame that is written here, the signature behind it.

use std::{io::Read, sync::Arc};

use openssl::sha::Sha256;
use zeroize::Zeroizing;

use crate::{
    HeaderBlock, Limits, MailFault,
    head::{Entity, Head},
    lines::Fragments,
    mime::write_base64,
    source::{Joined, Letter, Part, Source, disk},
};

/// Octets of a detached signature: certificates and attributes.
const MAX_SIGNATURE: usize = 8 << 20;
/// Letters of a boundary that come from the digest: 160 bit.
const DIGITS: usize = 40;

/// What a good clear signature covers, and the signature.
pub(super) struct ClearSigned {
    content: Arc<dyn Source>,
    octets: u64,
    signature: Zeroizing<Vec<u8>>,
    digest: &'static str,
}

impl ClearSigned {
    /// A signed part, and the container that signs it without its transfer encoding. `digest` names what the
    /// signature digests with.
    pub(super) fn new(content: Part, signature: &dyn Source, digest: &'static str) -> Result<Self, MailFault> {
        let mut octets = Zeroizing::new(Vec::new());
        let most = u64::try_from(MAX_SIGNATURE).unwrap_or(u64::MAX).saturating_add(1);
        let reader = signature.reader(0).map_err(|error| disk(&error))?;
        reader.take(most).read_to_end(&mut octets).map_err(|error| disk(&error))?;
        if octets.len() > MAX_SIGNATURE {
            return Err(MailFault::TooLong(MAX_SIGNATURE));
        }
        let length = content.to.unwrap_or(content.from).saturating_sub(content.from);
        Ok(Self { content: Arc::new(content), octets: length, signature: octets, digest })
    }

    /// The header of the signed part.
    pub(super) fn head(&self, limits: &Limits) -> Result<Head, MailFault> {
        Entity { source: Arc::clone(&self.content), from: 0 }.head(limits)
    }

    /// The whole message: the fields of this block that are no MIME fields, our frame, what was verified. Always
    /// the same octets for the same message: delivery opens again and compares (design §3).
    pub(super) fn message(&self, block: &HeaderBlock<'_>) -> Result<Letter, MailFault> {
        let (boundary, eight_bit) = self.boundary()?;
        let mut head = Zeroizing::new(Vec::with_capacity(block.block().len().saturating_add(512)));
        let ours = |field: &crate::Field<'_>| is_mime(field.name()) || field.is("MIME-Version") || field.is("HP-Outer");
        for field in block.fields().iter().filter(|field| !ours(field)) {
            head.extend_from_slice(field.raw());
        }
        let encoding = if eight_bit { "Content-Transfer-Encoding: 8bit\r\n" } else { "" };
        let frame = format!(
            "MIME-Version: 1.0\r\nContent-Type: multipart/signed; protocol=\"application/pkcs7-signature\";\r\n \
             micalg={}; boundary={boundary}\r\n{encoding}\r\n--{boundary}\r\n",
            self.digest.to_ascii_lowercase(),
        );
        head.extend_from_slice(frame.as_bytes());
        let part = format!(
            "\r\n--{boundary}\r\nContent-Type: application/pkcs7-signature; name=smime.p7s\r\n\
             Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=smime.p7s\r\n\r\n",
        );
        let mut then = Zeroizing::new(part.into_bytes());
        write_base64(&mut then, &self.signature);
        then.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
        let rest = Joined { first: Arc::clone(&self.content), length: self.octets, then };
        Ok(Letter::new(head, Arc::new(rest), 0))
    }

    /// A boundary that no line of the signed part begins with, and whether the part has octets over 127. Base64
    /// has no line of that form.
    ///
    /// It is a digest of the signature, which itself depends on the content: nobody writes a content that
    /// contains it. Should one do, the next is taken.
    fn boundary(&self) -> Result<(String, bool), MailFault> {
        let mut number = 0u64;
        loop {
            let mut hash = Sha256::new();
            hash.update(b"sceau frame of a clear signature");
            hash.update(&number.to_be_bytes());
            hash.update(&self.signature);
            let digits: String = hash.finish().iter().map(|octet| format!("{octet:02x}")).collect();
            let boundary = format!("sceau-{}", digits.get(..DIGITS).unwrap_or_default());
            let (found, eight_bit) = self.look_for(&format!("--{boundary}"))?;
            if !found {
                return Ok((boundary, eight_bit));
            }
            number = number.saturating_add(1);
        }
    }

    fn look_for(&self, delimiter: &str) -> Result<(bool, bool), MailFault> {
        let (mut found, mut eight_bit) = (false, false);
        let mut lines = Fragments::of(&*self.content, 0).map_err(|error| disk(&error))?;
        while let Some(line) = lines.next().map_err(|error| disk(&error))? {
            found |= line.begins && line.text.starts_with(delimiter.as_bytes());
            eight_bit |= !line.text.is_ascii();
        }
        Ok((found, eight_bit))
    }
}

/// Whether a field describes the entity that it stands on, and no message.
pub(super) fn is_mime(name: &str) -> bool {
    name.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("Content-"))
}
