//! Parameters of MAIL and RCPT: read on the server's side, written on the client's.

use crate::{BodyKind, Capabilities, Grammar, MailFrom, Notify, OriginalRecipient, ProtocolError, RcptTo, Ret, xtext};

/// Longest ENVID as xtext (RFC 3461 §4.4).
const MAX_ENVID: usize = 100;
/// Longest ORCPT as xtext (RFC 3461 §4.2).
const MAX_ORCPT: usize = 500;

/// `KEYWORD` or `KEYWORD=value`, blanks between.
fn split(text: &str) -> impl Iterator<Item = (String, Option<&str>)> {
    text.split(' ').filter(|word| !word.is_empty()).map(|word| match word.split_once('=') {
        Some((name, value)) => (name.to_ascii_uppercase(), Some(value)),
        None => (word.to_ascii_uppercase(), None),
    })
}

/// Refuses the second use of a parameter (IN14).
fn once(seen: &mut Vec<String>, name: &str) -> Result<(), ProtocolError> {
    if seen.iter().any(|earlier| earlier == name) {
        return Err(ProtocolError::ParameterValue);
    }
    seen.push(name.to_owned());
    Ok(())
}

const BAD: ProtocolError = ProtocolError::ParameterValue;

/// Reads what follows the reverse path. Only what the server announced is known (IN14).
pub(crate) fn read_mail(text: &str, grammar: &Grammar, mail: &mut MailFrom) -> Result<(), ProtocolError> {
    let mut seen = Vec::new();
    for (name, value) in split(text) {
        match name.as_str() {
            _ if !grammar.extended => return Err(ProtocolError::UnknownParameter),
            "SIZE" => mail.size = Some(read_size(value)?),
            "BODY" => mail.body = read_body(value)?,
            "SMTPUTF8" if grammar.smtputf8 => {
                mail.smtputf8 = value.is_none().then_some(true).ok_or(BAD)?;
            }
            "REQUIRETLS" if grammar.require_tls => {
                mail.require_tls = value.is_none().then_some(true).ok_or(BAD)?;
            }
            "RET" if grammar.dsn => mail.ret = Some(read_ret(value)?),
            "ENVID" if grammar.dsn => mail.envid = Some(read_envid(value)?),
            // RFC 4954 §5: who announces AUTH takes AUTH= too. We trust certificates, not this.
            "AUTH" if grammar.auth => check_auth(value)?,
            _ => return Err(ProtocolError::UnknownParameter),
        }
        once(&mut seen, &name)?;
    }
    match mail.size {
        Some(size) if size > grammar.max_size => Err(ProtocolError::TooLarge),
        _ => Ok(()),
    }
}

/// Reads what follows the forward path.
pub(crate) fn read_rcpt(text: &str, grammar: &Grammar, rcpt: &mut RcptTo) -> Result<(), ProtocolError> {
    let mut seen = Vec::new();
    for (name, value) in split(text) {
        match name.as_str() {
            "NOTIFY" if grammar.extended && grammar.dsn => rcpt.notify = Some(read_notify(value)?),
            "ORCPT" if grammar.extended && grammar.dsn => rcpt.orcpt = Some(read_orcpt(value)?),
            _ => return Err(ProtocolError::UnknownParameter),
        }
        once(&mut seen, &name)?;
    }
    Ok(())
}

/// Up to 20 digits (RFC 1870 §4); a number that no counter holds is simply too large.
fn read_size(value: Option<&str>) -> Result<u64, ProtocolError> {
    let digits = value.ok_or(BAD)?;
    if !(1..=20).contains(&digits.len()) || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(BAD);
    }
    Ok(digits.parse().unwrap_or(u64::MAX))
}

fn read_body(value: Option<&str>) -> Result<BodyKind, ProtocolError> {
    match value.ok_or(BAD)?.to_ascii_uppercase().as_str() {
        "7BIT" => Ok(BodyKind::SevenBit),
        "8BITMIME" => Ok(BodyKind::EightBit),
        _ => Err(BAD),
    }
}

fn read_ret(value: Option<&str>) -> Result<Ret, ProtocolError> {
    match value.ok_or(BAD)?.to_ascii_uppercase().as_str() {
        "FULL" => Ok(Ret::Full),
        "HDRS" => Ok(Ret::Headers),
        _ => Err(BAD),
    }
}

fn read_envid(value: Option<&str>) -> Result<String, ProtocolError> {
    let value = value.filter(|value| (1..=MAX_ENVID).contains(&value.len())).ok_or(BAD)?;
    xtext::decode(value).map_err(|_| BAD)
}

fn check_auth(value: Option<&str>) -> Result<(), ProtocolError> {
    let value = value.filter(|value| !value.is_empty()).ok_or(BAD)?;
    if value == "<>" { Ok(()) } else { xtext::decode(value).map(|_| ()).map_err(|_| BAD) }
}

fn read_notify(value: Option<&str>) -> Result<Notify, ProtocolError> {
    let value = value.ok_or(BAD)?.to_ascii_uppercase();
    if value == "NEVER" {
        return Ok(Notify::Never);
    }
    let (mut success, mut failure, mut delay) = (false, false, false);
    for word in value.split(',') {
        match word {
            "SUCCESS" => success = true,
            "FAILURE" => failure = true,
            "DELAY" => delay = true,
            _ => return Err(BAD),
        }
    }
    Ok(Notify::On { success, failure, delay })
}

fn read_orcpt(value: Option<&str>) -> Result<OriginalRecipient, ProtocolError> {
    let value = value.filter(|value| value.len() <= MAX_ORCPT).ok_or(BAD)?;
    let (kind, address) = value.split_once(';').ok_or(BAD)?;
    if kind.is_empty() || address.is_empty() || !kind.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        return Err(BAD);
    }
    let kind = kind.to_ascii_lowercase();
    let address = if kind == "utf-8" { xtext::decode_utf8(address) } else { xtext::decode(address) };
    Ok(OriginalRecipient { kind, address: address.map_err(|_| BAD)? })
}

/// `MAIL FROM:<…>` with the parameters that this server announced.
pub(crate) fn write_mail(mail: &MailFrom, server: &Capabilities) -> String {
    let mut line = match &mail.sender {
        Some(sender) => format!("MAIL FROM:<{sender}>"),
        None => "MAIL FROM:<>".to_owned(),
    };
    if let Some(size) = mail.size.filter(|_| server.size) {
        line.push_str(&format!(" SIZE={size}"));
    }
    if server.eight_bit && mail.body == BodyKind::EightBit {
        line.push_str(" BODY=8BITMIME");
    }
    if server.smtputf8 && mail.smtputf8 {
        line.push_str(" SMTPUTF8");
    }
    if server.require_tls && mail.require_tls {
        line.push_str(" REQUIRETLS");
    }
    if server.dsn {
        match mail.ret {
            Some(Ret::Full) => line.push_str(" RET=FULL"),
            Some(Ret::Headers) => line.push_str(" RET=HDRS"),
            None => {}
        }
        if let Some(envid) = mail.envid.as_deref().map(xtext::encode).filter(|x| (1..=MAX_ENVID).contains(&x.len())) {
            line.push_str(&format!(" ENVID={envid}"));
        }
    }
    line.push_str("\r\n");
    line
}

/// `RCPT TO:<…>` with the parameters that this server announced.
pub(crate) fn write_rcpt(rcpt: &RcptTo, server: &Capabilities) -> String {
    let mut line = format!("RCPT TO:<{}>", rcpt.address);
    if server.dsn {
        match rcpt.notify {
            Some(Notify::Never) => line.push_str(" NOTIFY=NEVER"),
            Some(Notify::On { success, failure, delay }) => {
                let words: Vec<&str> = [(success, "SUCCESS"), (failure, "FAILURE"), (delay, "DELAY")]
                    .into_iter()
                    .filter_map(|(on, word)| on.then_some(word))
                    .collect();
                // NOTIFY= without a word is no valid parameter; nobody asked for anything then.
                if !words.is_empty() {
                    line.push_str(&format!(" NOTIFY={}", words.join(",")));
                }
            }
            None => {}
        }
        if let Some(orcpt) = rcpt.orcpt.as_ref().map(write_orcpt).filter(|value| value.len() <= MAX_ORCPT) {
            line.push_str(&format!(" ORCPT={orcpt}"));
        }
    }
    line.push_str("\r\n");
    line
}

fn write_orcpt(orcpt: &OriginalRecipient) -> String {
    let address =
        if orcpt.kind == "utf-8" { xtext::encode_utf8(&orcpt.address) } else { xtext::encode(&orcpt.address) };
    // The kind is checked when it comes from the wire; from a caller it may be anything.
    let kind: String = orcpt.kind.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
    format!("{kind};{address}")
}
