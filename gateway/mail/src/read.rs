//! Strict reading of a message: the facts that admission and judgement decide on.

use ident::{Address, Timestamp};
use pki::guard::caught;
use time::{OffsetDateTime, format_description::well_known::Rfc2822};

use crate::{
    HeaderBlock, Limits, MailFault,
    head::Head,
    lexer::{Token, tokens},
    lines::LineCheck,
    mailboxes::{self, Mailbox},
    media::{MediaType, TransferEncoding, file_name},
    source::{Source, each_chunk},
};

/// Longest Message-ID. It is repeated in fields with longer names, in outer headers and in notices, and a
/// line must not be over 998 octets there either.
const MAX_MESSAGE_ID: usize = 900;

/// What a message's header says. Addresses are checked values; texts that only people read are
/// not here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The one mailbox of the one `From` (A13).
    pub from: Address,
    /// The name shown beside it. Nothing is decided on it.
    pub from_name: String,
    /// The mailbox of `Sender`, if there is one.
    pub sender: Option<Address>,
    /// `Reply-To`
    pub reply_to: Vec<Address>,
    /// `To`
    pub to: Vec<Address>,
    /// `Cc`
    pub cc: Vec<Address>,
    /// Whether a `Bcc` field is there.
    pub bcc_present: bool,
    /// `Message-ID` without its angle brackets.
    pub message_id: Option<String>,
    /// Identifiers in `In-Reply-To`, without brackets.
    pub in_reply_to: Vec<String>,
    /// Identifiers in `References`, without brackets.
    pub references: Vec<String>,
    /// `Date`, if it is there and can be read.
    pub date: Option<Timestamp>,
    /// Whether a `Date` field is there.
    pub date_present: bool,
    /// Whether a `Subject` field is there.
    pub subject_present: bool,
    /// Number of `Received` fields (LP1).
    pub received: usize,
    /// Host names after `by` in `Received`, lower case (LP2).
    pub received_by: Vec<String>,
    /// Addresses in `Delivered-To`, lower case (LP2).
    pub delivered_to: Vec<String>,
    /// `Auto-Submitted` with any value but `no` (RFC 3834).
    pub auto_submitted: bool,
    /// `multipart/report` (RFC 6522).
    pub is_report: bool,
    /// Whether the sender asks for a reading receipt (RCP-2).
    pub wants_receipt: bool,
    /// What the root of the message is.
    pub content: MediaType,
    /// How the root is encoded.
    pub transfer_encoding: TransferEncoding,
    /// What the root's type says about protection. The truth is in the OIDs (H18).
    pub protection: ProtectionHint,
    /// A header value with UTF-8 (RFC 6532): the next hop needs SMTPUTF8.
    pub utf8_header: bool,
    /// Octets over 127 in the body: the next hop needs 8BITMIME.
    pub eight_bit_body: bool,
    /// Where the body begins.
    pub body_offset: usize,
}

/// How a message's root announces itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProtectionHint {
    /// No S/MIME type at the root.
    None,
    /// One opaque CMS container.
    Container,
    /// `multipart/signed` with a CMS signature.
    ClearSigned,
}

impl Facts {
    /// Whether an address is named in `To` or `Cc`.
    pub fn names(&self, address: &Address) -> bool {
        self.to.iter().chain(&self.cc).any(|named| named.same_mailbox(address))
    }

    /// Whether this host appears in the trace as having relayed the message (LP2).
    pub fn passed_through(&self, host: &str) -> usize {
        self.received_by.iter().filter(|by| by.eq_ignore_ascii_case(host)).count()
    }
}

/// Reads a whole message strictly.
///
/// # Errors
/// Line rules (H13, A21), header grammar (IN15), repeated singletons (A14), anything but one
/// `From` with one mailbox (A13), malformed addresses or MIME fields, too many hops (LP1).
pub fn read(message: &[u8], limits: &Limits) -> Result<Facts, MailFault> {
    read_source(&message, limits)
}

/// As [`read`], for a message of any size: only its header comes into memory.
///
/// # Errors
/// As [`read`], and those of the source.
pub fn read_source(message: &dyn Source, limits: &Limits) -> Result<Facts, MailFault> {
    scan(message, limits, |_| ()).map(|(facts, _)| facts)
}

/// Reads a message once from end to end; `each` sees all its octets. The facts, and how many octets there are.
pub(crate) fn scan(
    message: &dyn Source,
    limits: &Limits,
    mut each: impl FnMut(&[u8]),
) -> Result<(Facts, usize), MailFault> {
    let mut check = LineCheck::new(limits);
    each_chunk(message, 0, |octets| {
        each(octets);
        check.update(octets)
    })?;
    let (eight_bit_body, octets) = check.finish()?;
    let head = Head::read(message, 0, limits)?;
    let facts = facts(&head.block(limits)?, limits)?;
    Ok((Facts { eight_bit_body, body_offset: head.octets().len(), ..facts }, octets))
}

/// The facts of a message whose lines are checked already and whose header was replaced since.
///
/// # Errors
/// As [`read_source`].
pub fn read_again(message: &dyn Source, eight_bit_body: bool, limits: &Limits) -> Result<Facts, MailFault> {
    let head = Head::read(message, 0, limits)?;
    let facts = facts(&head.block(limits)?, limits)?;
    Ok(Facts { eight_bit_body, body_offset: head.octets().len(), ..facts })
}

/// As [`read`], for a header block whose lines are already checked.
///
/// # Errors
/// As [`read`].
pub fn facts(block: &HeaderBlock<'_>, limits: &Limits) -> Result<Facts, MailFault> {
    block.check_singletons()?;
    let from = one_mailbox(block, "From", limits)?.ok_or(MailFault::Missing("From"))?;
    let content = MediaType::of(block)?;
    let received = block.all("Received").count();
    if received > limits.hops {
        return Err(MailFault::Loop);
    }
    let date = block.one("Date")?;
    Ok(Facts {
        from: from.address,
        from_name: from.name,
        sender: one_mailbox(block, "Sender", limits)?.map(|mailbox| mailbox.address),
        reply_to: addresses(block, "Reply-To", limits)?,
        to: addresses(block, "To", limits)?,
        cc: addresses(block, "Cc", limits)?,
        bcc_present: block.one("Bcc")?.is_some(),
        message_id: message_id(block)?,
        in_reply_to: identifiers(block, "In-Reply-To")?,
        references: identifiers(block, "References")?,
        date: date.and_then(|field| read_date(&field.value())),
        date_present: date.is_some(),
        subject_present: block.one("Subject")?.is_some(),
        received,
        received_by: block.all("Received").filter_map(|field| received_by(&field.value())).collect(),
        delivered_to: block.all("Delivered-To").map(|field| field.value().to_lowercase()).collect(),
        auto_submitted: block.all("Auto-Submitted").any(|field| !is_no(&field.value())),
        is_report: content.essence == "multipart/report",
        wants_receipt: block.all("Disposition-Notification-To").next().is_some(),
        protection: hint(&content, block)?,
        transfer_encoding: TransferEncoding::of(block)?,
        content,
        utf8_header: !block.block().is_ascii(),
        eight_bit_body: !block.body().is_ascii(),
        body_offset: block.block().len().saturating_add(2).min(block.block().len().saturating_add(block.body().len())),
    })
}

fn one_mailbox(block: &HeaderBlock<'_>, name: &'static str, limits: &Limits) -> Result<Option<Mailbox>, MailFault> {
    block.one(name)?.map(|field| mailboxes::parse_one(name, &field.value(), limits)).transpose()
}

fn addresses(block: &HeaderBlock<'_>, name: &'static str, limits: &Limits) -> Result<Vec<Address>, MailFault> {
    let Some(field) = block.one(name)? else { return Ok(Vec::new()) };
    let all = mailboxes::parse_list(name, &field.value(), limits)?;
    Ok(all.into_iter().map(|mailbox| mailbox.address).collect())
}

/// `<anything-without-blanks>`: many programs leave the `@` of RFC 5322 out, none needs blanks.
fn message_id(block: &HeaderBlock<'_>) -> Result<Option<String>, MailFault> {
    let Some(field) = block.one("Message-ID")? else { return Ok(None) };
    let mut all = angle_words(&field.value());
    match (all.pop(), all.is_empty()) {
        (Some(id), true) if id.len() <= MAX_MESSAGE_ID && field.value().len() == id.len().saturating_add(2) => {
            Ok(Some(id))
        }
        _ => Err(MailFault::MessageId),
    }
}

fn identifiers(block: &HeaderBlock<'_>, name: &'static str) -> Result<Vec<String>, MailFault> {
    Ok(block.one(name)?.map(|field| angle_words(&field.value())).unwrap_or_default())
}

/// Everything that stands in angle brackets without a blank inside; other text is passed over.
pub(crate) fn angle_words(value: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = value;
    while let Some((_, after)) = rest.split_once('<') {
        let Some((id, tail)) = after.split_once('>') else { break };
        if !id.is_empty() && !id.contains([' ', '\t', '<']) {
            found.push(id.to_owned());
        }
        rest = tail;
    }
    found
}

fn read_date(value: &str) -> Option<Timestamp> {
    // A trailing comment such as "(CET)" is for people.
    let plain = value.split_once('(').map_or(value, |(date, _)| date).trim();
    let moment = caught("a date", || OffsetDateTime::parse(plain, &Rfc2822)).ok()?.ok()?;
    Some(Timestamp::from_seconds(moment.unix_timestamp()))
}

/// The host after `by` in a trace field (RFC 5321 §4.4).
fn received_by(value: &str) -> Option<String> {
    let all = tokens(value, ";")?;
    let mut words = all.iter().filter_map(|t| match t.token {
        Token::Atom(atom) => Some(atom),
        _ => None,
    });
    words.find(|word| word.eq_ignore_ascii_case("by"))?;
    words.next().map(str::to_ascii_lowercase)
}

fn is_no(value: &str) -> bool {
    value.split([';', ' ', '(']).next().is_some_and(|word| word.eq_ignore_ascii_case("no"))
}

fn hint(content: &MediaType, block: &HeaderBlock<'_>) -> Result<ProtectionHint, MailFault> {
    if content.is_pkcs7_mime(file_name(block)?.as_deref()) {
        return Ok(ProtectionHint::Container);
    }
    Ok(if content.is_clear_signed() { ProtectionHint::ClearSigned } else { ProtectionHint::None })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GOOD: &str = "Received: from a by Gw.Exemple.test with ESMTPS; Sat, 21 Nov 2026 22:57:00 +0000\n\
        Received: from b by mail.exemple.test; Sat, 21 Nov 2026 22:56:00 +0000\n\
        Date: Sat, 21 Nov 2026 23:57:00 +0100 (CET)\n\
        From: =?utf-8?Q?Dr_Anne_MARTIN-TEST?= <anne.martin-test@ch-exemple.test>\n\
        Sender: secretariat@ch-exemple.test\n\
        To: b@ch-autre.test, C <c@ch-autre.test>\n\
        Cc: d@tiers.test\n\
        Message-ID: <1@ch-exemple.test>\n\
        In-Reply-To: <0@ch-autre.test>\n\
        References: <x@y.test>\n <0@ch-autre.test>\n\
        Subject: =?utf-8?Q?Compte_rendu?=\n\
        MIME-Version: 1.0\n\
        Content-Type: text/plain; charset=utf-8\n\
        Content-Transfer-Encoding: 8bit\n\
        \n\
        é\n";

    fn wire(text: &str) -> Vec<u8> {
        text.replace('\n', "\r\n").into_bytes()
    }

    fn fault(text: &str) -> Option<MailFault> {
        read(&wire(text), &Limits::default()).err()
    }

    #[test]
    fn reads_the_facts() {
        let message = wire(GOOD);
        let facts = read(&message, &Limits::default()).unwrap();
        assert_eq!(facts.from.to_string(), "anne.martin-test@ch-exemple.test");
        assert_eq!(facts.from_name, "Dr Anne MARTIN-TEST");
        assert_eq!(facts.sender.as_ref().unwrap().to_string(), "secretariat@ch-exemple.test");
        assert_eq!((facts.to.len(), facts.cc.len(), facts.bcc_present), (2, 1, false));
        assert!(facts.names(&Address::parse("C@CH-autre.test").unwrap()));
        assert_eq!(facts.message_id.as_deref(), Some("1@ch-exemple.test"));
        assert_eq!(facts.in_reply_to, ["0@ch-autre.test"]);
        assert_eq!(facts.references, ["x@y.test", "0@ch-autre.test"]);
        assert_eq!(facts.date, Timestamp::parse("2026-11-21T22:57:00Z"));
        assert_eq!((facts.received, facts.passed_through("gw.exemple.test")), (2, 1));
        assert!(facts.subject_present && !facts.auto_submitted && !facts.is_report);
        assert!(!facts.utf8_header && facts.eight_bit_body);
        assert_eq!(&message[facts.body_offset..], "é\r\n".as_bytes());
        assert_eq!(facts.protection, ProtectionHint::None);
    }

    /// One row for each forged header shape, with the rule that refuses it.
    #[test]
    fn forged_headers_are_refused_with_their_rule() {
        // It would not fit behind the longer names of the fields that we repeat it in.
        let overlong = format!("From: a@x.test\nMessage-ID:\n <{}@x.test>\n\n", "a".repeat(985));
        let rows = [
            ("A14", "two From", "From: a@x.test\nFrom: b@x.test\n\n"),
            ("A13", "no From", "To: a@x.test\n\n"),
            ("A13", "two mailboxes in From", "From: a@x.test, b@x.test\n\n"),
            ("A13", "group in From", "From: g: a@x.test;\n\n"),
            ("A13", "From that shows another address", "From: a@x.test <b@y.test>\n\n"),
            ("A13", "encoded word as local part", "From: =?utf-8?Q?a=40x.test?=@y.test\n\n"),
            ("A13", "NUL behind the shown name", "From: =?utf-8?Q?a=40x.test=00?= <b@y.test>\n\n"),
            ("A13", "two mailboxes in Sender", "From: a@x.test\nSender: b@x.test, c@x.test\n\n"),
            ("A14", "two Subject", "From: a@x.test\nSubject: a\nSubject: b\n\n"),
            ("A14", "two To", "From: a@x.test\nTo: a@x.test\nto: b@x.test\n\n"),
            ("A14", "two Date", "From: a@x.test\nDate: x\nDate: y\n\n"),
            ("A14", "two Content-Type", "From: a@x.test\nContent-Type: text/plain\nContent-type: text/html\n\n"),
            ("A14", "two Message-ID", "From: a@x.test\nMessage-ID: <a@x>\nMessage-ID: <b@x>\n\n"),
            ("NT-H10", "Message-ID that fills a line by itself", &overlong),
            ("NT-H10", "blank in Message-ID", "From: a@x.test\nMessage-ID: <a b>\n\n"),
            ("IN15", "blank before the colon", "From : a@x.test\n\n"),
            ("IN15", "blank continuation", "From: a@x.test\n \nSubject: x\n\n"),
            ("IN15", "escape sequence", "From: a@x.test\nSubject: \x1b[2J\n\n"),
            ("IN16", "malformed Content-Type", "From: a@x.test\nContent-Type: multipart\n\n"),
            ("IN16", "unknown encoding", "From: a@x.test\nContent-Transfer-Encoding: rot13\n\n"),
            ("H13", "NUL", "From: a@x.test\n\n\0\n"),
        ];
        for (rule, shape, text) in rows {
            let fault = fault(text).unwrap_or_else(|| panic!("{shape} was read"));
            assert_eq!(fault.rule(), rule, "{shape}: {fault}");
            assert!(!fault.code().is_empty() && !fault.text().fr.is_empty());
        }
        let loops = format!("{}From: a@x.test\n\n", "Received: x\n".repeat(51));
        assert_eq!(fault(&loops), Some(MailFault::Loop));
    }

    #[test]
    fn knows_automatic_mail_and_containers() {
        let read = |text: &str| read(&wire(text), &Limits::default()).unwrap();
        assert!(read("From: a@x.test\nAuto-Submitted: auto-replied\n\n").auto_submitted);
        assert!(!read("From: a@x.test\nAuto-Submitted: No (human)\n\n").auto_submitted);
        assert!(read("From: a@x.test\nContent-Type: multipart/report; boundary=a\n\n").is_report);
        let p7m = "From: a@x.test\nContent-Type: application/octet-stream\nContent-Disposition: attachment; filename=\"smime.p7m\"\n\n";
        assert_eq!(read(p7m).protection, ProtectionHint::Container);
        let clear = "From: a@x.test\nContent-Type: multipart/signed; boundary=a; protocol=\"application/x-pkcs7-signature\"\n\n";
        assert_eq!(read(clear).protection, ProtectionHint::ClearSigned);
    }

    #[test]
    fn another_reader_sees_the_same_sender() {
        for text in [GOOD, "From: \"a@y.test\" <b@x.test>\n\n", "From: (c) b@x.test (d)\n\n"] {
            let message = wire(text);
            let ours = read(&message, &Limits::default()).unwrap();
            let theirs = mail_parser::MessageParser::default().parse(&message).unwrap();
            let from = theirs.from().unwrap().first().unwrap().address().unwrap();
            assert_eq!(from, ours.from.to_string());
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "(From: a@x\\.test\r\n)?[A-Ca-c:;<>@,=?()\" \r\n]{0,60}(\r\n\r\n)?") {
            let _ = read(text.as_bytes(), &Limits::default());
        }

        /// Whatever we read, an independent reader finds the same From address.
        #[test]
        fn from_is_never_ambiguous(value in "[ab.<>@,()\" ]{0,20}(@x\\.test)?[ab<>,()\" ]{0,4}") {
            let message = format!("From: {value}\r\n\r\n");
            if let Ok(facts) = read(message.as_bytes(), &Limits::default()) {
                let theirs = mail_parser::MessageParser::default().parse(message.as_bytes()).unwrap();
                let found = theirs.from().and_then(|f| f.first()).and_then(|m| m.address()).map(str::to_owned);
                let simple = !value.contains(['"', '(']);
                prop_assert!(!simple || found == Some(facts.from.to_string()), "{:?} {:?}", value, found);
            }
        }
    }
}
