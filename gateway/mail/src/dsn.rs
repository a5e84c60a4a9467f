//! Delivery notices (RFC 3464, RFC 6522, RFC 6533): what became of a message, for its sender.
//!
//! They carry the headers of the original and never its body (DS10), say in French and in English
//! what to do next, and are never written about a message without sender (DS1).

mod text;

use ident::{Address, Bilingual, Timestamp};

use crate::{HeaderBlock, Limits, clean::NAMESPACE, words};

/// What became of one recipient (RFC 3464 §2.3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    /// Given up.
    Failed,
    /// Not yet; we go on trying.
    Delayed,
    /// Handed to a system that sends no notices itself (DS6).
    Relayed,
    /// In the mailbox.
    Delivered,
    /// Replaced by several recipients.
    Expanded,
}

impl Action {
    /// The keyword of RFC 3464.
    pub const fn keyword(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Delayed => "delayed",
            Self::Relayed => "relayed",
            Self::Delivered => "delivered",
            Self::Expanded => "expanded",
        }
    }

    /// Reads the keyword.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Failed, Self::Delayed, Self::Relayed, Self::Delivered, Self::Expanded]
            .into_iter()
            .find(|action| action.keyword().eq_ignore_ascii_case(text))
    }
}

/// What the sender asked for with `NOTIFY=` (RFC 3461 §4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Notify {
    /// Nothing said: failures and delays.
    #[default]
    Unsaid,
    /// `NEVER`
    Never,
    /// Any of `SUCCESS`, `FAILURE`, `DELAY`.
    On {
        /// `SUCCESS`
        success: bool,
        /// `FAILURE`
        failure: bool,
        /// `DELAY`
        delay: bool,
    },
}

impl Notify {
    /// Whether this outcome is to be reported (DS3).
    pub const fn wants(self, action: Action) -> bool {
        match (self, action) {
            (Self::Never, _) => false,
            (Self::Unsaid, Action::Failed | Action::Delayed) => true,
            (Self::Unsaid, _) => false,
            (Self::On { failure, .. }, Action::Failed) => failure,
            (Self::On { delay, .. }, Action::Delayed) => delay,
            (Self::On { success, .. }, _) => success,
        }
    }
}

/// One recipient in a notice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reported {
    /// The recipient that we dealt with.
    pub recipient: Address,
    /// `ORCPT` as the sender gave it, xtext already decoded: `rfc822;name@domain` (DS5).
    pub original: Option<String>,
    /// What became of it.
    pub action: Action,
    /// Enhanced status code (RFC 3463).
    pub status: (u8, u16, u16),
    /// The server that answered.
    pub remote: Option<String>,
    /// Its reply, as it came; made harmless here (IN5).
    pub reply: Option<String>,
    /// Why, and what the sender can do.
    pub advice: Bilingual,
    /// When we last tried.
    pub last_attempt: Option<Timestamp>,
    /// When we try next (DS14).
    pub next_attempt: Option<Timestamp>,
    /// When we give up (DS14).
    pub retry_until: Option<Timestamp>,
}

/// A notice to be written.
#[derive(Debug, Clone, Copy)]
pub struct Notice<'a> {
    /// Our host name.
    pub reporting: &'a str,
    /// Who signs the notice: a postmaster address of our domain.
    pub from: &'a Address,
    /// Envelope sender of the original; `None` for the null sender, who is told nothing (DS1).
    pub sender: Option<&'a Address>,
    /// Octets for Message-ID and boundary that never repeat and nobody can guess: letters and digits.
    pub unique: &'a str,
    /// Now.
    pub at: Timestamp,
    /// When the original arrived here.
    pub arrived: Timestamp,
    /// `ENVID`, xtext already decoded (DS5).
    pub envelope_id: Option<&'a str>,
    /// The original or its header block: only the header is used.
    pub original: &'a [u8],
    /// Whom to ask for help: an address or telephone number of the operator.
    pub help: Option<&'a str>,
    /// The recipients, at least one.
    pub recipients: &'a [Reported],
}

/// Writes the notice, to be sent with the null sender; `None` when nobody is to be told (DS1) or
/// there is nothing to tell.
pub fn write(notice: &Notice<'_>) -> Option<Vec<u8>> {
    let to = notice.sender?;
    let worst = notice.recipients.iter().map(|r| r.action).min()?;
    let unique = token(notice.unique);
    let boundary = format!("=_sceau_{unique}");
    let international = to.needs_smtputf8() || notice.recipients.iter().any(|r| r.recipient.needs_smtputf8());
    let (status_type, header_type) = if international {
        ("message/global-delivery-status", "message/global-headers")
    } else {
        ("message/delivery-status", "text/rfc822-headers")
    };
    let mut out = header(notice, to, worst, &unique, &boundary);
    out.push_str(&format!(
        "--{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Language: fr, en\r\n\
         Content-Transfer-Encoding: quoted-printable\r\n\r\n"
    ));
    out.push_str(&quoted_printable(&text::human(notice, worst)));
    let eight = if international { "Content-Transfer-Encoding: 8bit\r\n" } else { "" };
    out.push_str(&format!("\r\n--{boundary}\r\nContent-Type: {status_type}\r\n{eight}\r\n"));
    out.push_str(&machine(notice, international));
    let headers = original_headers(notice.original);
    let header_type = if headers.is_ascii() { header_type } else { "message/global-headers" };
    let eight = if headers.is_ascii() { "" } else { "Content-Transfer-Encoding: 8bit\r\n" };
    out.push_str(&format!("\r\n--{boundary}\r\nContent-Type: {header_type}\r\n{eight}\r\n{headers}"));
    out.push_str(&format!("\r\n--{boundary}--\r\n"));
    Some(out.into_bytes())
}

fn header(notice: &Notice<'_>, to: &Address, worst: Action, unique: &str, boundary: &str) -> String {
    let domain = notice.from.domain();
    let mut out = format!("Date: {}\r\nFrom: <{}>\r\nTo: <{to}>\r\n", notice.at.rfc5322(), notice.from);
    out.push_str(&words::text_field("Subject", text::subject(worst)));
    out.push_str(&format!("Message-ID: <{unique}@{domain}>\r\n"));
    if let Some(id) = original_id(notice.original) {
        out.push_str(&format!("In-Reply-To: <{id}>\r\nReferences: <{id}>\r\n"));
    }
    out.push_str("Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n");
    out.push_str("Content-Type: multipart/report; report-type=delivery-status;\r\n");
    out.push_str(&format!(" boundary=\"{boundary}\"\r\n\r\n"));
    out
}

/// The part for programs (RFC 3464 §2): one group for the message, one for each recipient.
fn machine(notice: &Notice<'_>, international: bool) -> String {
    let mut out = format!("Reporting-MTA: dns; {}\r\n", line(notice.reporting, 255));
    if let Some(id) = notice.envelope_id {
        out.push_str(&format!("Original-Envelope-Id: {}\r\n", line(id, 100)));
    }
    out.push_str(&format!("Arrival-Date: {}\r\n", notice.arrived.rfc5322()));
    let kind = if international { "utf-8" } else { "rfc822" };
    for reported in notice.recipients {
        out.push_str("\r\n");
        if let Some(original) = &reported.original {
            out.push_str(&format!("Original-Recipient: {}\r\n", line(original, 500)));
        }
        let (class, subject, detail) = reported.status;
        out.push_str(&format!("Final-Recipient: {kind}; {}\r\n", reported.recipient));
        out.push_str(&format!("Action: {}\r\n", reported.action.keyword()));
        out.push_str(&format!("Status: {class}.{subject}.{detail}\r\n"));
        if let Some(remote) = &reported.remote {
            out.push_str(&format!("Remote-MTA: dns; {}\r\n", line(remote, 255)));
        }
        if let Some(reply) = &reported.reply {
            let reply = line(reply, 500);
            let pieces = std::iter::once("smtp;").chain(reply.split(' ').filter(|word| !word.is_empty()));
            out.push_str(&words::folded("Diagnostic-Code", pieces));
        }
        if let Some(at) = reported.last_attempt {
            out.push_str(&format!("Last-Attempt-Date: {}\r\n", at.rfc5322()));
        }
        if let (Some(until), Action::Delayed) = (reported.retry_until, reported.action) {
            out.push_str(&format!("Will-Retry-Until: {}\r\n", until.rfc5322()));
        }
    }
    out
}

/// The original's header without blind copies, results and trace of other systems' insides.
fn original_headers(original: &[u8]) -> String {
    let limits = Limits::default();
    // DS7: a malformed original must not make a malformed notice; then its header is left out.
    let Ok(block) = HeaderBlock::parse(original, &limits) else { return String::new() };
    let unwanted = |name: &str| {
        ["Bcc", "Resent-Bcc", "Return-Path"].iter().any(|n| name.eq_ignore_ascii_case(n))
            || name.get(..NAMESPACE.len()).is_some_and(|start| start.eq_ignore_ascii_case(NAMESPACE))
    };
    let kept = block.fields().iter().filter(|field| !unwanted(field.name()));
    kept.map(|field| String::from_utf8_lossy(field.raw()).into_owned()).collect()
}

fn original_id(original: &[u8]) -> Option<String> {
    let limits = Limits::default();
    let block = HeaderBlock::parse(original, &limits).ok()?;
    let value = block.one("Message-ID").ok()??.value().into_owned();
    crate::read::angle_words(&value).into_iter().next().filter(|id| id.is_ascii())
}

/// Peer text as one line of printable ASCII, cut to a length (IN5).
fn line(text: &str, limit: usize) -> String {
    let joined = text.replace("\r\n", " ");
    joined.chars().take(limit).map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).collect()
}

/// Letters and digits only, so that it fits into an identifier and a boundary.
fn token(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphanumeric).take(40).collect()
}

/// Quoted-printable in lines of at most 76 columns (RFC 2045 §6.7); lines of the text end with LF.
fn quoted_printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for row in text.split('\n') {
        let mut column = 0usize;
        let last = row.len().saturating_sub(1);
        for (at, octet) in row.bytes().enumerate() {
            let plain = (octet.is_ascii_graphic() && octet != b'=') || (octet == b' ' && at != last);
            let piece = if plain { char::from(octet).to_string() } else { format!("={octet:02X}") };
            if column.saturating_add(piece.len()) > 75 {
                out.push_str("=\r\n");
                column = 0;
            }
            column = column.saturating_add(piece.len());
            out.push_str(&piece);
        }
        out.push_str("\r\n");
    }
    out
}

#[cfg(test)]
mod tests;
