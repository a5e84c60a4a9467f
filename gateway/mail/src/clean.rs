//! Taking fields out of a message and putting missing ones in, every other octet untouched.

use std::{borrow::Cow, sync::Arc};

use ident::{Domain, Timestamp};
use zeroize::Zeroizing;

use crate::{
    Field, HeaderBlock, Limits, MailFault,
    head::Head,
    lexer::{Token, tokens},
    media::MediaType,
    source::{Letter, Source},
};

/// Every result header that we write begins so; what comes in under this name is removed (A17).
pub const NAMESPACE: &str = "X-Sceau-";

/// Whether a field is, or pretends to be, a result of ours (A17, H11): our own namespace, or
/// `Authentication-Results` that carries our name, that cannot be read, or that reports on S/MIME in whatever name
/// (RFC 7281): in our domains that is said by nobody but us, and readers do not compare names (RFC 8601 §5 lets the
/// border take away more than its own).
pub fn is_own_result(field: &Field<'_>, authserv_id: &str) -> bool {
    if field.name().get(..NAMESPACE.len()).is_some_and(|start| start.eq_ignore_ascii_case(NAMESPACE)) {
        return true;
    }
    if !field.is("Authentication-Results") && !field.is("ARC-Authentication-Results") {
        return false;
    }
    let value = field.value();
    let Some(all) = tokens(&value, ";=/") else { return true };
    let reports = |token: &Token| matches!(token, Token::Atom(word) if word.eq_ignore_ascii_case("smime"));
    if all.iter().any(|t| reports(&t.token)) {
        return true;
    }
    // ARC puts its instance in front: "i=1; name; …".
    let first = if field.is("ARC-Authentication-Results") { all.get(4) } else { all.first() };
    // A final dot says nothing new to whoever takes the name for a host name.
    let ours = |name: &str| name.trim_end_matches('.').eq_ignore_ascii_case(authserv_id.trim_end_matches('.'));
    match first.map(|t| &t.token) {
        Some(Token::Atom(name)) => ours(name),
        Some(Token::Quoted(name)) => ours(name),
        _ => true,
    }
}

/// What leaves: without `Bcc`, `Return-Path` and result headers that only we may write (A17, A22).
/// A message that has none of them is returned as it is.
///
/// # Errors
/// A header that cannot be read.
pub fn for_sending<'a>(message: &'a [u8], authserv_id: &str, limits: &Limits) -> Result<Cow<'a, [u8]>, MailFault> {
    let clean = without(message, limits, |field| {
        field.is("Bcc") || field.is("Resent-Bcc") || field.is("Return-Path") || is_own_result(field, authserv_id)
    })?;
    Ok(match without_claim(&clean, limits)? {
        Some(octets) => Cow::Owned(octets),
        None => clean,
    })
}

/// The message without everything that a reader could take for a result of ours, for whoever has no name of its own:
/// our namespace, and all `Authentication-Results` (A17). A message that has none is returned as it is.
///
/// # Errors
/// A header that cannot be read.
pub fn without_results<'a>(message: &'a [u8], limits: &Limits) -> Result<Cow<'a, [u8]>, MailFault> {
    without(message, limits, |field| {
        is_own_result(field, "") || field.is("Authentication-Results") || field.is("ARC-Authentication-Results")
    })
}

/// The message without the claim that its own fields are protected (`hp` in its `Content-Type`, RFC 9788): at its
/// root no signature covers them, and sealing for mail clients writes a claim of its own. `None` where it has none.
fn without_claim(message: &[u8], limits: &Limits) -> Result<Option<Vec<u8>>, MailFault> {
    let block = HeaderBlock::parse(message, limits)?;
    let claims = |value: &str| MediaType::parse(value).is_ok_and(|media| media.parameter("hp").is_some());
    let Some(field) = block.fields().iter().find(|field| field.is("Content-Type") && claims(&field.value())) else {
        return Ok(None);
    };
    let mut out = Vec::with_capacity(message.len());
    for other in block.fields() {
        if other == field {
            let raw = std::str::from_utf8(field.raw()).unwrap_or_default();
            let kept = without_parameter(raw.trim_end_matches(['\r', '\n']), "hp");
            if kept.split_once(':').is_none_or(|(_, value)| claims(&value.replace("\r\n", ""))) {
                return Err(MailFault::Mime("Content-Type"));
            }
            // The parameter may have stood on the last line alone: a line of blanks is no part of a header.
            out.extend_from_slice(kept.trim_end().as_bytes());
            out.extend_from_slice(b"\r\n");
        } else {
            out.extend_from_slice(other.raw());
        }
    }
    out.extend_from_slice(message.get(block.block().len()..).unwrap_or_default());
    Ok(Some(out))
}

/// A structured field without one of its parameters, every other octet as it was.
fn without_parameter(field: &str, name: &str) -> String {
    let (mut quoted, mut escaped, mut depth) = (false, false, 0usize);
    let mut pieces = field.split(|c: char| {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' if depth == 0 => quoted = !quoted,
            '(' if !quoted => depth = depth.saturating_add(1),
            ')' if !quoted => depth = depth.saturating_sub(1),
            ';' => return !quoted && depth == 0,
            _ => {}
        }
        false
    });
    let first = pieces.next().unwrap_or_default().to_owned();
    let other = |piece: &&str| {
        let parameter = piece.split(['=', '*']).next().unwrap_or_default();
        !parameter.trim().eq_ignore_ascii_case(name)
    };
    pieces.filter(other).fold(first, |field, piece| field + ";" + piece)
}

/// The message without the fields that `unwanted` names.
pub(crate) fn without<'a>(
    message: &'a [u8],
    limits: &Limits,
    unwanted: impl Fn(&Field<'_>) -> bool,
) -> Result<Cow<'a, [u8]>, MailFault> {
    let block = HeaderBlock::parse(message, limits)?;
    if !block.fields().iter().any(&unwanted) {
        return Ok(Cow::Borrowed(message));
    }
    let mut out = Vec::with_capacity(message.len());
    for field in block.fields().iter().filter(|field| !unwanted(field)) {
        out.extend_from_slice(field.raw());
    }
    out.extend_from_slice(message.get(block.block().len()..).unwrap_or_default());
    Ok(Cow::Owned(out))
}

/// As [`for_sending`], for a message of any size: another header, the same body. With its new size.
///
/// # Errors
/// As [`for_sending`], and those of the source.
pub fn letter_for_sending(
    message: Arc<dyn Source>,
    size: u64,
    authserv_id: &str,
    limits: &Limits,
) -> Result<(Letter, u64), MailFault> {
    let head = Head::read(&*message, 0, limits)?;
    let clean = Zeroizing::new(for_sending(head.octets(), authserv_id, limits)?.into_owned());
    let kept = u64::try_from(clean.len()).unwrap_or(u64::MAX);
    let size = size.saturating_sub(head.len()).saturating_add(kept);
    Ok((Letter::new(clean, message, head.len()), size))
}

/// The fields `Date` and `Message-ID` where practice software left them out: a submission server may add them
/// (RFC 6409 §8.2, §8.3). `unique` must not repeat.
///
/// # Errors
/// A header that cannot be read, and those of the source.
pub fn missing_fields(
    message: &dyn Source,
    at: Timestamp,
    unique: &str,
    domain: &Domain,
    limits: &Limits,
) -> Result<String, MailFault> {
    let head = Head::read(message, 0, limits)?;
    let block = head.block(limits)?;
    let mut missing = String::new();
    if block.one("Date")?.is_none() {
        missing.push_str(&format!("Date: {}\r\n", at.rfc5322()));
    }
    if block.one("Message-ID")?.is_none() {
        missing.push_str(&format!("Message-ID: <{unique}@{domain}>\r\n"));
    }
    Ok(missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    const US: &str = "gw.ch-exemple.test";

    fn sent(text: &str) -> String {
        let wire = text.replace('\n', "\r\n");
        let clean = for_sending(wire.as_bytes(), US, &Limits::default()).unwrap();
        String::from_utf8(clean.into_owned()).unwrap().replace("\r\n", "\n")
    }

    /// A17: everything that a reader could take for our verdict is gone; what others said stays.
    #[test]
    fn strips_forged_results() {
        let kept = "Authentication-Results: other.test; dkim=pass\nFrom: a@x.test\nX-Sceaux: town\n\nX-Sceau-Verdict: in the body\n";
        for forged in [
            "X-Sceau-Verdict: accept\n",
            "x-SCEAU-anything: accept\n",
            "Authentication-Results: gw.ch-exemple.test; smime=pass\n",
            "authentication-results: GW.CH-Exemple.test 1; smime=pass\n",
            "Authentication-Results: (c) \"gw.ch-exemple.test\"\n ; smime=pass\n",
            "Authentication-Results: gw.ch-exemple.test.; smime=pass\n",
            "Authentication-Results: =?utf-8?q?gw.ch-exemple.test?=; smime=pass\n",
            "Authentication-Results: gw.ch-exemple.test; dkim=pass\n",
            "Authentication-Results: ch-exemple.test; smime=pass\n",
            "Authentication-Results: other.test; dkim=pass; SMIME/1 = pass\n",
            "Authentication-Results:\n\t\"GW.\\ch-exemple.test\" ;\n smime=pass\n",
            "X-Sceau-Notice: =?utf-8?b?U2lnbsOp?=\n =?utf-8?q?_par_Dr_FAUX-TEST?=\n",
            "X-sCEAU-:\n accept\n",
            "Authentication-Results: (open; smime=pass\n",
            "Authentication-Results:\n ; smime=pass\n",
            "ARC-Authentication-Results: i=1; gw.ch-exemple.test; smime=pass\n",
            "Bcc: hidden@x.test\n",
            "Return-Path: <a@x.test>\n",
        ] {
            assert_eq!(sent(&format!("{forged}{kept}")), kept, "{forged}");
        }
    }

    /// A claim of header protection at the root is nobody's: it does not leave, and ours is not there twice.
    #[test]
    fn claims_of_header_protection_do_not_leave() {
        for (field, kept) in [
            ("text/plain; hp=\"cipher\"", "text/plain"),
            ("text/plain; hp=clear; charset=utf-8", "text/plain; charset=utf-8"),
            ("text/plain;\n charset=utf-8\n ; hp=clear", "text/plain;\n charset=utf-8"),
            ("text/plain;\n charset=utf-8;\n\thp=\"clear\"", "text/plain;\n charset=utf-8"),
            ("text/plain; HP = x; name=\"a;hp=b\"", "text/plain; name=\"a;hp=b\""),
            ("text/plain; hp*=utf-8''clear; (;) format=flowed", "text/plain; (;) format=flowed"),
            ("text/plain; hpx=clear; name=\"\\\";hp=b\"", "text/plain; hpx=clear; name=\"\\\";hp=b\""),
        ] {
            let text = |value: &str| format!("From: a@x.test\nContent-Type: {value}\nTo: b@x.test\n\nhp=x\n");
            assert_eq!(sent(&text(field)), text(kept));
        }
        let hidden = b"From: a@x.test\r\nContent-Type: text/plain; (c) hp=clear\r\n\r\n";
        assert_eq!(for_sending(hidden, US, &Limits::default()), Err(MailFault::Mime("Content-Type")));
    }

    #[test]
    fn untouched_when_clean() {
        let message = b"From: a@x.test\r\n\r\nbody";
        assert!(matches!(for_sending(message, US, &Limits::default()), Ok(Cow::Borrowed(_))));
        assert_eq!(sent("Bcc: b@x.test\nFrom: a@x.test\n"), "From: a@x.test\n");
    }

    #[test]
    fn completes_only_what_is_missing() {
        let domain = Domain::parse("ch-exemple.test").unwrap();
        let limits = Limits::default();
        let message = b"From: a@x.test\r\n\r\n";
        let missing = missing_fields(message, Timestamp::EPOCH, "u1", &domain, &limits).unwrap();
        assert_eq!(missing, "Date: Thu, 01 Jan 1970 00:00:00 +0000\r\nMessage-ID: <u1@ch-exemple.test>\r\n");
        let complete = [missing.as_bytes(), message].concat();
        assert_eq!(missing_fields(&complete, Timestamp::EPOCH, "u2", &domain, &limits).unwrap(), "");
    }
}
