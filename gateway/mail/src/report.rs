//! Notices that come in: what they claim, and which of it may change a state of ours (design §3,
//! "The null sender").

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
};

use ident::{Address, Bilingual, Domain};
use thiserror::Error;

use crate::{
    Facts, HeaderBlock, Limits, MailFault, ProtectionHint,
    dsn::Action,
    media::{MediaType, TransferEncoding},
    mime,
    read::angle_words,
};

/// Why a message with the null sender is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NullSenderFault {
    /// A notice goes to the one who sent the message it is about.
    #[error("a message without sender must have exactly one recipient")]
    Recipients,
    /// Neither a report nor marked as automatic (NT-H12).
    #[error("a message without sender must be a report or carry Auto-Submitted")]
    NotAutomatic,
    /// `From` is not in a domain of the operator that hands it over.
    #[error("the From of a message without sender must be in a domain of the operator that relays it")]
    Domain,
}

impl NullSenderFault {
    /// Stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Recipients => "null_sender_recipients",
            Self::NotAutomatic => "null_sender_not_automatic",
            Self::Domain => "null_sender_domain",
        }
    }

    /// What to tell the peer.
    pub fn text(self) -> Bilingual {
        match self {
            Self::Recipients => Bilingual::new(
                "Un message sans expéditeur doit avoir exactement un destinataire.",
                "A message without sender must have exactly one recipient.",
            ),
            Self::NotAutomatic => Bilingual::new(
                "Un message sans expéditeur doit être un avis (multipart/report) ou porter Auto-Submitted.",
                "A message without sender must be a report (multipart/report) or carry Auto-Submitted.",
            ),
            Self::Domain => Bilingual::new(
                "L'adresse From d'un avis doit être dans un domaine de l'opérateur qui le remet.",
                "The From address of a report must be in a domain of the operator that hands it over.",
            ),
        }
    }
}

/// Whether a message with the null sender may come in at all. `facts` are those of the message
/// inside, once opened; `operator_owns` says whether the trust list names the peer for a domain.
///
/// # Errors
/// See [`NullSenderFault`].
pub fn check_null_sender(
    facts: &Facts,
    recipients: usize,
    operator_owns: impl Fn(&Domain) -> bool,
) -> Result<(), NullSenderFault> {
    if recipients != 1 {
        return Err(NullSenderFault::Recipients);
    }
    if !facts.is_report && !facts.auto_submitted {
        return Err(NullSenderFault::NotAutomatic);
    }
    if !operator_owns(facts.from.domain()) {
        return Err(NullSenderFault::Domain);
    }
    Ok(())
}

/// Messages that one report may be about, as far as we look: its own field, the returned header and
/// `In-Reply-To` name one.
const MAX_IDS: usize = 10;

/// What a report is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportKind {
    /// Delivery (RFC 3464).
    Delivery,
    /// Reading or processing (RFC 8098).
    Disposition,
}

/// One recipient in an incoming report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// `Final-Recipient`
    pub recipient: Option<Address>,
    /// `Original-Recipient`
    pub original: Option<Address>,
    /// `Action`, for delivery reports.
    pub action: Option<Action>,
    /// Enhanced status code, when it is one.
    pub status: Option<(u8, u16, u16)>,
}

/// What an incoming report claims.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncomingReport {
    /// Delivery or disposition.
    pub kind: ReportKind,
    /// `Original-Envelope-Id`
    pub envelope_id: Option<String>,
    /// Message-ID of the message that it is about: from its own field, the returned header,
    /// or `In-Reply-To`.
    pub message_ids: Vec<String>,
    /// Its recipients.
    pub claims: Vec<Claim>,
}

/// Reads a report; `None` when the message is none.
///
/// # Errors
/// A message or report part that cannot be read.
pub fn read_report(message: &[u8], limits: &Limits) -> Result<Option<IncomingReport>, MailFault> {
    let facts = crate::read(message, limits)?;
    if !facts.is_report || facts.protection != ProtectionHint::None {
        return Ok(None);
    }
    let body = message.get(facts.body_offset..).unwrap_or_default();
    let parts = mime::parts(body, facts.content.boundary()?, limits.parts)?;
    let mut report: Option<IncomingReport> = None;
    let mut message_ids = Vec::new();
    for part in parts {
        let block = HeaderBlock::parse(part, limits)?;
        let media = MediaType::of(&block)?;
        let content = mime::decode(block.body(), TransferEncoding::of(&block)?);
        let kind = match media.essence.as_str() {
            "message/delivery-status" | "message/global-delivery-status" => ReportKind::Delivery,
            "message/disposition-notification" | "message/global-disposition-notification" => ReportKind::Disposition,
            "text/rfc822-headers" | "message/rfc822" | "message/global-headers" | "message/global" => {
                // A returned header that cannot be read only fails to help.
                message_ids.extend(content.ok().and_then(|content| returned_id(&content, limits)));
                continue;
            }
            _ => continue,
        };
        if report.is_some() {
            return Err(MailFault::Mime("multipart/report"));
        }
        report = Some(fields(kind, &content?, limits)?);
    }
    Ok(report.map(|mut report| {
        report.message_ids.extend(message_ids);
        report.message_ids.extend(facts.in_reply_to);
        let mut known = HashSet::new();
        report.message_ids.retain(|id| known.len() < MAX_IDS && known.insert(id.clone()));
        report
    }))
}

/// The groups of fields of a status part, an empty line between each two (RFC 3464 §2.1).
fn fields(kind: ReportKind, content: &[u8], limits: &Limits) -> Result<IncomingReport, MailFault> {
    let mut report = IncomingReport { kind, envelope_id: None, message_ids: Vec::new(), claims: Vec::new() };
    // What the part ends with may lack its line end, which belongs to the delimiter.
    let closed = if content.ends_with(b"\r\n") { Cow::Borrowed(content) } else { [content, b"\r\n"].concat().into() };
    let mut rest: &[u8] = &closed;
    let mut groups = 0usize;
    // The group about the message, one for each recipient, and nothing that would keep us busy.
    while !rest.is_empty() {
        groups = groups.saturating_add(1);
        if groups > limits.mailboxes.saturating_mul(2) {
            return Err(MailFault::TooManyMailboxes("Final-Recipient"));
        }
        let block = HeaderBlock::parse(rest, limits)?;
        // At least the empty line is consumed, so this ends.
        let consumed = rest.len().saturating_sub(block.body().len()).max(1);
        if report.envelope_id.is_none() {
            report.envelope_id = block.one("Original-Envelope-Id")?.map(|field| field.value().into_owned());
        }
        if let Some(id) = block.one("Original-Message-ID")? {
            report.message_ids.extend(angle_words(&id.value()).into_iter().next());
        }
        if block.all("Final-Recipient").next().is_some() {
            if report.claims.len() >= limits.mailboxes {
                return Err(MailFault::TooManyMailboxes("Final-Recipient"));
            }
            report.claims.push(claim(&block)?);
        }
        rest = rest.get(consumed..).unwrap_or_default();
    }
    Ok(report)
}

fn claim(block: &HeaderBlock<'_>) -> Result<Claim, MailFault> {
    let address = |name| -> Result<Option<Address>, MailFault> {
        let field = block.one(name)?;
        Ok(field.and_then(|field| typed_address(&field.value())))
    };
    Ok(Claim {
        recipient: address("Final-Recipient")?,
        original: address("Original-Recipient")?,
        action: block.one("Action")?.and_then(|field| Action::parse(first_word(&field.value()))),
        status: block.one("Status")?.and_then(|field| status(first_word(&field.value()))),
    })
}

/// `rfc822; name@domain`, with or without the blank (RCP-5).
fn typed_address(value: &str) -> Option<Address> {
    let (kind, address) = value.split_once(';')?;
    let known = ["rfc822", "utf-8"].iter().any(|known| kind.trim().eq_ignore_ascii_case(known));
    let address = address.trim().trim_start_matches('<').trim_end_matches('>');
    Address::parse(address).ok().filter(|_| known)
}

fn first_word(value: &str) -> &str {
    value.split([' ', '\t', '(', ';']).next().unwrap_or_default()
}

fn status(text: &str) -> Option<(u8, u16, u16)> {
    let mut numbers = text.split('.');
    let class: u8 = numbers.next()?.parse().ok()?;
    let found = (class, numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?);
    (numbers.next().is_none() && matches!(class, 2 | 4 | 5)).then_some(found)
}

fn returned_id(content: &[u8], limits: &Limits) -> Option<String> {
    let block = HeaderBlock::parse(content, limits).ok()?;
    let value = block.one("Message-ID").ok()??.value().into_owned();
    angle_words(&value).into_iter().next()
}

/// A recipient of a message that we sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent<'a> {
    /// Message-ID, without brackets.
    pub message_id: &'a str,
    /// The envelope identifier that we gave to the peer, if any.
    pub envelope_id: Option<&'a str>,
    /// Its envelope sender.
    pub sender: &'a Address,
    /// The recipient.
    pub recipient: &'a Address,
}

/// A claim that is about a message of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Match {
    /// Which of the sent recipients.
    pub sent: usize,
    /// Which claim of the report.
    pub claim: usize,
}

/// Which claims may change a state: those about a message that *we* sent, to that very recipient,
/// reported to that message's sender, by an operator that speaks for the recipient's domain.
/// Everything else is mail to be read by a person at most.
pub fn match_report(
    report: &IncomingReport,
    addressed_to: &Address,
    sent: &[Sent<'_>],
    operator_owns: impl Fn(&Domain) -> bool,
) -> Vec<Match> {
    matched(report, addressed_to, sent, operator_owns, Address::key)
}

/// The report names its recipients and its sender sends what it likes: each of them is looked at once, and not for
/// each of the others.
fn matched(
    report: &IncomingReport,
    addressed_to: &Address,
    sent: &[Sent<'_>],
    operator_owns: impl Fn(&Domain) -> bool,
    key: impl Fn(&Address) -> String,
) -> Vec<Match> {
    let ids: HashSet<&str> = report.message_ids.iter().map(String::as_str).collect();
    let mut ours = HashMap::new();
    for (place, sent) in sent.iter().enumerate() {
        let same_message = ids.contains(sent.message_id)
            || sent.envelope_id.is_some_and(|id| report.envelope_id.as_deref() == Some(id));
        if same_message && sent.sender.same_mailbox(addressed_to) {
            ours.entry(key(sent.recipient)).or_insert((place, sent.recipient));
        }
    }
    let mut found = Vec::new();
    for (claim_at, claim) in report.claims.iter().enumerate() {
        let named = [&claim.recipient, &claim.original].into_iter().flatten();
        let hit = named.filter_map(|named| ours.get(&key(named))).min_by_key(|(place, _)| *place);
        let hit = hit.filter(|(_, recipient)| operator_owns(recipient.domain()));
        found.extend(hit.map(|(place, _)| Match { sent: *place, claim: claim_at }));
    }
    found
}

#[cfg(test)]
mod tests {
    use ident::Timestamp;
    use proptest::prelude::*;

    use super::*;
    use crate::dsn::{Notice, Reported};

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    fn our_notice() -> Vec<u8> {
        let (from, sender) = (address("postmaster@ch-autre.test"), address("a@ch-exemple.test"));
        let recipients = [Reported {
            recipient: address("b@ch-autre.test"),
            original: Some("rfc822;Alias@ch-autre.test".into()),
            action: Action::Failed,
            status: (5, 1, 1),
            remote: None,
            reply: Some("550 no".into()),
            advice: Bilingual::new("x", "x"),
            last_attempt: None,
            next_attempt: None,
            retry_until: None,
        }];
        crate::dsn::write(&Notice {
            reporting: "gw.ch-autre.test",
            from: &from,
            sender: Some(&sender),
            unique: "u",
            at: Timestamp::EPOCH,
            arrived: Timestamp::EPOCH,
            envelope_id: Some("e1"),
            original: b"From: a@ch-exemple.test\r\nMessage-ID: <1@ch-exemple.test>\r\n\r\n",
            help: None,
            recipients: &recipients,
        })
        .unwrap()
    }

    #[test]
    fn reads_what_we_write() {
        let report = read_report(&our_notice(), &Limits::default()).unwrap().unwrap();
        let expected = IncomingReport {
            kind: ReportKind::Delivery,
            envelope_id: Some("e1".into()),
            message_ids: vec!["1@ch-exemple.test".into()],
            claims: vec![Claim {
                recipient: Some(address("b@ch-autre.test")),
                original: Some(address("Alias@ch-autre.test")),
                action: Some(Action::Failed),
                status: Some((5, 1, 1)),
            }],
        };
        assert_eq!(report, expected);
    }

    #[test]
    fn reads_a_reading_receipt() {
        let text = "From: b@ch-autre.test\nContent-Type: multipart/report; boundary=b; report-type=disposition-notification\n\n\
            --b\n\nlu\n--b\nContent-Type: message/disposition-notification\n\n\
            Final-Recipient: rfc822;b@ch-autre.test\nOriginal-Message-ID: <9@x>\nDisposition: manual-action/MDN-sent-manually; displayed\n\
            --b--\n";
        let report = read_report(text.replace('\n', "\r\n").as_bytes(), &Limits::default()).unwrap().unwrap();
        assert_eq!((report.kind, report.message_ids), (ReportKind::Disposition, vec!["9@x".to_owned()]));
        assert_eq!(report.claims[0].recipient, Some(address("b@ch-autre.test")));
        assert_eq!(report.claims[0].action, None);
    }

    /// Every way in which a forged or foreign report could change a state, one row each.
    #[test]
    fn only_our_message_to_that_recipient_changes_state() {
        let report = read_report(&our_notice(), &Limits::default()).unwrap().unwrap();
        let (a, b, other) = (address("a@ch-exemple.test"), address("b@ch-autre.test"), address("c@ch-autre.test"));
        let alias = address("alias@ch-autre.test");
        let sent = |message_id, recipient| [Sent { message_id, envelope_id: None, sender: &a, recipient }];
        let listed = |domain: &Domain| domain.as_str() == "ch-autre.test";
        let good = vec![Match { sent: 0, claim: 0 }];
        assert_eq!(match_report(&report, &a, &sent("1@ch-exemple.test", &b), listed), good);
        assert_eq!(match_report(&report, &a, &sent("1@ch-exemple.test", &alias), listed), good);
        let by_envelope = [Sent { message_id: "other", envelope_id: Some("e1"), sender: &a, recipient: &b }];
        assert_eq!(match_report(&report, &a, &by_envelope, listed), good);
        // Another message, another recipient, told to somebody else, told by somebody else.
        assert!(match_report(&report, &a, &sent("2@ch-exemple.test", &b), listed).is_empty());
        assert!(match_report(&report, &a, &sent("1@ch-exemple.test", &other), listed).is_empty());
        assert!(match_report(&report, &other, &sent("1@ch-exemple.test", &b), listed).is_empty());
        assert!(match_report(&report, &a, &sent("1@ch-exemple.test", &b), |_| false).is_empty());
        let unnamed = [Sent { message_id: "x", envelope_id: None, sender: &a, recipient: &b }];
        let silent = IncomingReport { envelope_id: None, message_ids: vec![], ..report };
        assert!(match_report(&silent, &a, &unnamed, listed).is_empty());
    }

    /// A report names a thousand recipients, about messages that had thousands: each of them is looked at once.
    #[test]
    fn what_a_report_costs_grows_with_its_length_and_no_faster() {
        use std::cell::Cell;
        let (sender, recipients) = (address("a@ch-exemple.test"), 5000);
        let recipients: Vec<Address> = (0..recipients).map(|n| address(&format!("b{n}@ch-autre.test"))).collect();
        let sent = |recipient| Sent { message_id: "1@x", envelope_id: None, sender: &sender, recipient };
        // The same message twice: the first one counts.
        let sent: Vec<Sent<'_>> = recipients.iter().chain(&recipients).map(sent).collect();
        let claim = |n: usize| Claim {
            recipient: Some(address(&format!("B{n}@ch-autre.test"))),
            original: Some(address("nobody@ch-autre.test")),
            action: None,
            status: None,
        };
        let report = IncomingReport {
            kind: ReportKind::Delivery,
            envelope_id: None,
            message_ids: vec!["1@x".into()],
            claims: (4500..5500).map(claim).collect(),
        };
        let looked_at = Cell::new(0);
        let key = |address: &Address| {
            looked_at.set(looked_at.get() + 1);
            address.key()
        };
        let found = matched(&report, &sender, &sent, |_| true, key);
        assert_eq!(
            (found.len(), found[0], found[499]),
            (500, Match { sent: 4500, claim: 0 }, Match { sent: 4999, claim: 499 })
        );
        assert_eq!(looked_at.get(), sent.len() + 2 * report.claims.len());
    }

    #[test]
    fn null_sender_rules() {
        let facts = |text: &str| crate::read(text.as_bytes(), &Limits::default()).unwrap();
        let auto = facts("From: a@x.test\r\nAuto-Submitted: auto-replied\r\n\r\n");
        let plain = facts("From: a@x.test\r\n\r\n");
        let owns = |domain: &Domain| domain.as_str() == "x.test";
        assert_eq!(check_null_sender(&auto, 1, owns), Ok(()));
        assert_eq!(check_null_sender(&auto, 2, owns), Err(NullSenderFault::Recipients));
        assert_eq!(check_null_sender(&plain, 1, owns), Err(NullSenderFault::NotAutomatic));
        assert_eq!(check_null_sender(&auto, 1, |_| false), Err(NullSenderFault::Domain));
    }

    /// RX: what a listed operator writes into a report costs what a report may cost, whatever it writes.
    #[test]
    fn a_report_is_about_one_message_and_some_recipients() {
        let read = |parts: &str| {
            let text = format!(
                "From: b@ch-autre.test\nIn-Reply-To: {}\nContent-Type: multipart/report; boundary=b\n\n{parts}--b--\n",
                (0..2000).map(|n| format!("<{n}@reply.test>")).collect::<Vec<_>>().join("\n ")
            );
            read_report(text.replace('\n', "\r\n").as_bytes(), &Limits::default())
        };
        let status = "--b\nContent-Type: message/delivery-status\n\n";
        let claim = "Final-Recipient: rfc822;b@ch-autre.test\nAction: failed\n\n";
        let returned = |n: usize| format!("--b\nContent-Type: text/rfc822-headers\n\nMessage-ID: <{n}@x.test>\n\n");
        let again: String = (0..3000).map(|n| returned(n % 2)).collect();
        let report = read(&format!("{status}Reporting-MTA: dns; x\n\n{claim}\n{again}")).unwrap().unwrap();
        assert_eq!(report.message_ids.len(), MAX_IDS);
        assert_eq!(report.message_ids[..3], ["0@x.test", "1@x.test", "0@reply.test"]);
        // Empty groups cost as much as others.
        let empty = format!("{status}Reporting-MTA: dns; x\n{}x\n", "\n".repeat(5000));
        assert_eq!(read(&empty).map(|_| ()), Err(MailFault::TooManyMailboxes("Final-Recipient")));
    }

    #[test]
    fn an_unfinished_line_ends_the_reading() {
        for rest in ["\r", "\r\n\r", "\r\n\r\n\r", "a: b\r\n\r\n\r"] {
            let _ = fields(ReportKind::Delivery, rest.as_bytes(), &Limits::default());
        }
        let last = fields(
            ReportKind::Delivery,
            b"Reporting-MTA: dns; x\r\n\r\nFinal-Recipient: rfc822;a@x.test",
            &Limits::default(),
        );
        assert_eq!(last.unwrap().claims.len(), 1);
    }

    proptest! {
        #[test]
        fn never_panics(body in "(--b\r\n|Content-Type: message/delivery-status\r\n|Final-Recipient: rfc822;a@x\\.test\r\n|\r\n|Action: failed\r\n|--b--\r\n|x){0,14}") {
            let message = format!("From: a@x.test\r\nContent-Type: multipart/report; boundary=b\r\n\r\n{body}");
            let _ = read_report(message.as_bytes(), &Limits::default());
        }
    }
}
