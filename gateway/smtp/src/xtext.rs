//! `xtext` of RFC 3461 §4: printable ASCII, where `+HH` stands for an octet.

use thiserror::Error;

/// The text is not xtext, or hides control characters (IN3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the value is not xtext, or it decodes to something else than printable ASCII")]
pub struct XtextError;

/// Decodes xtext. The result is printable ASCII and blanks: `+0D+0A` is refused, not decoded (IN3).
///
/// # Errors
/// [`XtextError`] for a raw `=`, blank, control or 8-bit octet, for bad hexadecimal (it is upper
/// case), and for octets that decode to controls or 8-bit.
pub fn decode(text: &str) -> Result<String, XtextError> {
    let mut decoded = String::with_capacity(text.len());
    let mut octets = text.bytes();
    while let Some(octet) = octets.next() {
        let octet = match octet {
            b'+' => {
                let (Some(high), Some(low)) = (octets.next().and_then(upper_hex), octets.next().and_then(upper_hex))
                else {
                    return Err(XtextError);
                };
                high << 4 | low
            }
            b'=' => return Err(XtextError),
            b'!'..=b'~' => octet,
            _ => return Err(XtextError),
        };
        if !(b' '..=b'~').contains(&octet) {
            return Err(XtextError);
        }
        decoded.push(char::from(octet));
    }
    Ok(decoded)
}

/// Encodes any text as xtext.
pub fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for octet in text.bytes() {
        match octet {
            b'+' | b'=' => encoded.push_str(&format!("+{octet:02X}")),
            b'!'..=b'~' => encoded.push(char::from(octet)),
            other => encoded.push_str(&format!("+{other:02X}")),
        }
    }
    encoded
}

/// Decodes `utf-8-addr-xtext` and `utf-8-addr-unitext` of RFC 6533 §3: `\x{HEX}` stands for a character.
pub(crate) fn decode_utf8(text: &str) -> Result<String, XtextError> {
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let c = if let Some(after) = rest.strip_prefix("\\x{") {
            let (hex, after) = after.split_once('}').ok_or(XtextError)?;
            let valid = (2..=6).contains(&hex.len()) && hex.bytes().all(|b| upper_hex(b).is_some());
            let c = valid.then(|| u32::from_str_radix(hex, 16).ok()).flatten().and_then(char::from_u32);
            rest = after;
            c.ok_or(XtextError)?
        } else {
            if matches!(c, '+' | '=' | '\\' | ' ') {
                return Err(XtextError);
            }
            rest = rest.get(c.len_utf8()..).unwrap_or_default();
            c
        };
        if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') {
            return Err(XtextError);
        }
        decoded.push(c);
    }
    Ok(decoded)
}

/// Encodes as `utf-8-addr-xtext`, which every DSN server takes, with SMTPUTF8 or without.
pub(crate) fn encode_utf8(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '+' | '=' | '\\' => encoded.push_str(&format!("\\x{{{:02X}}}", u32::from(c))),
            '!'..='~' => encoded.push(c),
            other => encoded.push_str(&format!("\\x{{{:02X}}}", u32::from(other))),
        }
    }
    encoded
}

fn upper_hex(octet: u8) -> Option<u8> {
    match octet {
        b'0'..=b'9' => octet.checked_sub(b'0'),
        b'A'..=b'F' => octet.checked_sub(b'A').and_then(|n| n.checked_add(10)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn in3_bad_xtext() {
        for text in ["a=b", "a b", "+", "+4", "+4G", "+4g", "+6a", "é", "a\0", "+00", "+0D+0A", "+7F", "+C3+A9", "+1B"]
        {
            assert_eq!(decode(text), Err(XtextError), "{text:?}");
        }
        assert_eq!(decode("a+2Bb+3Dc+20d").as_deref(), Ok("a+b=c d"));
    }

    #[test]
    fn utf8_addresses() {
        assert_eq!(decode_utf8("zo\\x{E9}+x@x.test"), Err(XtextError));
        assert_eq!(decode_utf8("zo\\x{E9}@x.test").as_deref(), Ok("zoé@x.test"));
        assert_eq!(decode_utf8("zoé@x.test").as_deref(), Ok("zoé@x.test"));
        for text in ["\\x{0A}", "\\x{0}", "\\x{D800}", "\\x{110000}", "\\x{E9", "\\x", "\\x{e9}", "a b", "\\x{2028}"] {
            assert_eq!(decode_utf8(text), Err(XtextError), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(text in "[ -~]{0,60}", wide in "[^\\p{C}\\p{Zl}\\p{Zp}]{0,30}") {
            prop_assert_eq!(decode(&encode(&text)), Ok(text));
            prop_assert_eq!(decode_utf8(&encode_utf8(&wide)), Ok(wide));
        }

        #[test]
        fn decoded_text_is_printable(text in "(\\+[0-9A-F]{2}|.){0,30}") {
            if let Ok(decoded) = decode(&text) {
                prop_assert!(decoded.bytes().all(|b| (b' '..=b'~').contains(&b)));
            }
        }
    }
}
