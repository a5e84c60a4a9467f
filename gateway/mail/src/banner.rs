//! The verdict as a part of the message itself, for mail programs that show none of our header fields.
//!
//! The message becomes a `multipart/mixed`: first a short text in French and English, then everything as it was.
//! Not for a message that keeps a signature of its own ([`crate::Opened::keeps_signature`]): a part around it would
//! hide the signature from the program that could check it (RFC 8551 §3.5). That is its caller's to know: by its header
//! alone anything may look signed.

use std::sync::Arc;

use openssl::rand::rand_bytes;
use zeroize::Zeroizing;

use crate::{
    Limits, MailFault,
    annotate::notice_of,
    head::Head,
    mime::write_base64,
    source::{Joined, Letter, Part, Source},
};

/// Octets of chance in a boundary: nobody who writes a message can know it.
const CHANCE: usize = 18;

/// A message with the notice that stands in `results` (our result fields) in front of its content, and its new
/// size; none for what has no notice.
///
/// # Errors
/// A header that cannot be read, and those of the source.
pub fn with_banner(
    message: &Arc<dyn Source>,
    size: u64,
    results: &str,
    limits: &Limits,
) -> Result<Option<(Letter, u64)>, MailFault> {
    let Some(notice) = notice_of(results, limits)? else { return Ok(None) };
    let head = Head::read(&**message, 0, limits)?;
    let block = head.block(limits)?;
    let (mut outer, mut inner) = (Zeroizing::new(Vec::new()), Zeroizing::new(Vec::new()));
    let mut eight_bit = false;
    for field in block.fields() {
        let of_part = field.name().get(..8).is_some_and(|start| start.eq_ignore_ascii_case("Content-"));
        if field.is("Content-Transfer-Encoding") {
            eight_bit = matches!(field.value().trim().to_ascii_lowercase().as_str(), "8bit" | "binary");
        }
        if of_part {
            inner.extend_from_slice(field.raw());
        } else if !field.is("MIME-Version") {
            outer.extend_from_slice(field.raw());
        }
    }
    let boundary = boundary()?;
    let encoding = if eight_bit { "Content-Transfer-Encoding: 8bit\r\n" } else { "" };
    outer.extend_from_slice(
        format!(
            "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"{boundary}\"\r\n{encoding}\r\n\
             --{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\
             Content-Disposition: inline\r\n\r\n"
        )
        .as_bytes(),
    );
    write_base64(&mut outer, format!("{}\r\n{}\r\n", notice.fr, notice.en).as_bytes());
    outer.extend_from_slice(format!("--{boundary}\r\n").as_bytes());
    outer.extend_from_slice(&inner);
    outer.extend_from_slice(b"\r\n");
    let then = Zeroizing::new(format!("\r\n--{boundary}--\r\n").into_bytes());
    let octets = |bytes: &[u8]| u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let body = size.saturating_sub(head.len());
    let whole = body.saturating_add(octets(&outer)).saturating_add(octets(&then));
    let rest = Part { source: Arc::clone(message), from: head.len(), to: Some(size) };
    let rest = Joined { first: Arc::new(rest), length: body, then };
    Ok(Some((Letter::new(outer, Arc::new(rest), 0), whole)))
}

fn boundary() -> Result<String, MailFault> {
    let mut chance = [0; CHANCE];
    rand_bytes(&mut chance).map_err(|_| MailFault::Storage(std::io::ErrorKind::Other))?;
    let digits: String = chance.iter().map(|octet| format!("{octet:02x}")).collect();
    Ok(format!("sceau-{digits}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{HeaderBlock, media::MediaType, mime, words};

    const RESULTS: &str = "Received: by gw.ch-exemple.test\r\nX-Sceau-Notice: =?utf-8?Q?Sign=C3=A9_par_Dr_TEST?=\r\n\
                           X-Sceau-Notice-En: Signed by Dr TEST\r\n";

    fn shown(message: &str, results: &str) -> Option<String> {
        let source: Arc<dyn Source> = Arc::new(message.replace('\n', "\r\n").into_bytes());
        let size = message.replace('\n', "\r\n").len() as u64;
        let (letter, size) = with_banner(&source, size, results, &Limits::default()).unwrap()?;
        let bytes = letter.bytes(1 << 20).unwrap();
        assert_eq!(bytes.len() as u64, size);
        // From any place on it is the same message.
        let mut tail = Vec::new();
        std::io::Read::read_to_end(&mut letter.reader(100).unwrap(), &mut tail).unwrap();
        assert_eq!(tail, bytes[100..]);
        Some(String::from_utf8(bytes.to_vec()).unwrap())
    }

    #[test]
    fn the_verdict_stands_before_the_message() {
        for (content, body) in [
            ("", "bonjour\n"),
            ("Content-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: 8bit\n", "<p>été\n"),
            ("Content-Type: multipart/mixed; boundary=x\n", "--x\n\nun\n--x--\n"),
            ("Content-Type: text/plain\nContent-Transfer-Encoding: quoted-printable\n", "fin sans ligne"),
        ] {
            let message = format!("From: a@x.test\nSubject: essai\nMIME-Version: 1.0\n{content}\n{body}");
            let text = shown(&message, RESULTS).unwrap();
            let limits = Limits::default();
            let block = HeaderBlock::parse(text.as_bytes(), &limits).unwrap();
            let media = MediaType::of(&block).unwrap();
            assert_eq!(block.fields().iter().filter(|field| field.is("MIME-Version")).count(), 1);
            assert_eq!(words::decode(&block.one("Subject").unwrap().unwrap().value()), "essai");
            let body_at = text.find("\r\n\r\n").unwrap() + 4;
            let parts = mime::parts(&text.as_bytes()[body_at..], media.boundary().unwrap(), 9).unwrap();
            let [banner, inner] = parts.as_slice() else { panic!("{text}") };
            let banner_at = banner.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
            let banner = mime::decode(&banner[banner_at..], crate::media::TransferEncoding::Base64).unwrap();
            assert_eq!(std::str::from_utf8(&banner).unwrap(), "Signé par Dr TEST\r\nSigned by Dr TEST\r\n");
            let whole = format!("{content}\n{body}").replace('\n', "\r\n");
            assert_eq!(std::str::from_utf8(inner).unwrap(), whole);
            assert_eq!(block.one("Content-Transfer-Encoding").unwrap().is_some(), content.contains("8bit"));
        }
    }

    /// What calls itself signed takes nobody's words away.
    #[test]
    fn a_frame_that_looks_signed_is_told_about_as_well() {
        for kind in [
            "multipart/signed; protocol=\"application/pgp-signature\"; boundary=s",
            "multipart/signed; protocol=\"x/y\"; boundary=s",
            "application/octet-stream; name=a.p7m",
        ] {
            let message = format!("From: a@x.test\nContent-Type: {kind}\n\n--s\n\nSign\u{e9} par Dr Y\n--s--\n");
            let text = shown(&message, RESULTS).unwrap_or_else(|| panic!("{kind}"));
            assert!(text.contains("multipart/mixed") && text.contains(kind), "{text}");
        }
        assert_eq!(shown("From: a@x.test\n\nx\n", "Received: by gw.ch-exemple.test\r\n"), None);
    }
}
