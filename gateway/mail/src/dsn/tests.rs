use proptest::prelude::*;

use super::*;
use crate::{mime, read};

fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn failed() -> Reported {
    Reported {
        recipient: address("parti@ch-autre.test"),
        original: Some("rfc822;parti@ch-autre.test".into()),
        action: Action::Failed,
        status: (5, 1, 1),
        remote: Some("mail.ch-autre.test".into()),
        reply: Some("550 5.1.1 No such mailbox\r\nBcc: injected@x.test".into()),
        advice: Bilingual::new(
            "Cette boîte n'existe plus. Cherchez l'adresse du correspondant dans l'annuaire et renvoyez.",
            "This mailbox no longer exists. Look the address up in the directory and send again.",
        ),
        last_attempt: Some(at("2026-11-21T22:58:00Z")),
        next_attempt: None,
        retry_until: None,
    }
}

const ORIGINAL: &[u8] = b"Date: Sat, 21 Nov 2026 22:57:00 +0000\r\nFrom: <a@ch-exemple.test>\r\n\
    To: <parti@ch-autre.test>\r\nBcc: <cache@ch-autre.test>\r\nX-Sceau-Verdict: accept\r\n\
    Message-ID: <1@ch-exemple.test>\r\n\r\nsecret body\r\n";

fn with(recipients: &[Reported], sender: Option<&Address>, original: &[u8]) -> Option<String> {
    let from = address("postmaster@ch-exemple.test");
    let notice = Notice {
        reporting: "gw.ch-exemple.test",
        from: &from,
        sender,
        unique: "u1",
        at: at("2026-11-21T22:59:00Z"),
        arrived: at("2026-11-21T22:57:30Z"),
        envelope_id: Some("env-1"),
        original,
        help: Some("support@ch-exemple.test, 01 99 00 00 00"),
        recipients,
    };
    write(&notice).map(|bytes| String::from_utf8(bytes).unwrap())
}

#[test]
fn golden_failure() {
    let sender = address("a@ch-exemple.test");
    let text = with(&[failed()], Some(&sender), ORIGINAL).unwrap();
    assert_eq!(text.replace("\r\n", "\n"), include_str!("golden_failure.eml"));
}

#[test]
fn golden_delay() {
    let sender = address("a@ch-exemple.test");
    let delayed = Reported {
        action: Action::Delayed,
        status: (4, 4, 1),
        reply: None,
        remote: None,
        advice: Bilingual::new("Le serveur du destinataire ne répond pas.", "The recipient's server does not answer."),
        next_attempt: Some(at("2026-11-21T23:30:00Z")),
        retry_until: Some(at("2026-11-26T22:57:30Z")),
        ..failed()
    };
    let text = with(&[delayed], Some(&sender), ORIGINAL).unwrap();
    assert_eq!(text.replace("\r\n", "\n"), include_str!("golden_delay.eml"));
}

#[test]
fn golden_relayed() {
    let sender = address("a@ch-exemple.test");
    let relayed = Reported {
        action: Action::Relayed,
        status: (2, 1, 9),
        reply: None,
        original: None,
        advice: Bilingual::new("", ""),
        ..failed()
    };
    let text = with(&[relayed], Some(&sender), ORIGINAL).unwrap();
    assert_eq!(text.replace("\r\n", "\n"), include_str!("golden_relayed.eml"));
}

/// DS1: a message without sender, or without anything to say, makes no notice.
#[test]
fn null_sender_is_told_nothing() {
    assert_eq!(with(&[failed()], None, ORIGINAL), None);
    assert_eq!(with(&[], Some(&address("a@x.test")), ORIGINAL), None);
}

/// DS3: exactly what was asked.
#[test]
fn notify_is_obeyed() {
    let all = [Action::Failed, Action::Delayed, Action::Relayed, Action::Delivered];
    let wanted = |notify: Notify| all.map(|action| notify.wants(action));
    assert_eq!(wanted(Notify::Unsaid), [true, true, false, false]);
    assert_eq!(wanted(Notify::Never), [false; 4]);
    assert_eq!(wanted(Notify::On { success: true, failure: false, delay: false }), [false, false, true, true]);
    assert_eq!(wanted(Notify::On { success: false, failure: true, delay: false }), [true, false, false, false]);
    assert_eq!(wanted(Notify::On { success: false, failure: false, delay: true }), [false, true, false, false]);
}

/// DS7, DS8, DS10, IN5: well formed whatever the original and the peer were.
#[test]
fn well_formed_and_without_content() {
    let sender = address("a@ch-exemple.test");
    let injected = format!("{}\r\n\r\n--=_sceau_u1--\r\nFrom: x", "550 no ".repeat(200));
    let hostile = Reported { reply: Some(injected), remote: Some("évil\r\nX: y".into()), ..failed() };
    for original in [ORIGINAL, b"no header at all", b"From: \xff\r\n\r\nsecret body", b""] {
        let text = with(&[hostile.clone(), failed()], Some(&sender), original).unwrap();
        let facts = read(text.as_bytes(), &Limits::default()).unwrap();
        assert!(facts.is_report && facts.auto_submitted && facts.message_id.is_some() && facts.date.is_some());
        assert!(!text.contains("secret") && !text.contains("cache@") && !text.contains("\nBcc:"));
        let boundary = facts.content.boundary().unwrap();
        let parts = mime::parts(&text.as_bytes()[facts.body_offset..], boundary, 10).unwrap();
        assert_eq!(parts.len(), 3);
        assert!(text.is_ascii() && text.lines().all(|line| line.len() <= 998));
        let theirs = mail_parser::MessageParser::default().parse(text.as_bytes()).unwrap();
        assert_eq!(theirs.parts.len(), 4);
    }
}

/// DS9: international addresses use the forms of RFC 6533.
#[test]
fn international_addresses() {
    let sender = address("élise@ch-exemple.test");
    let text = with(&[failed()], Some(&sender), ORIGINAL).unwrap();
    assert!(text.contains("Content-Type: message/global-delivery-status"));
    assert!(text.contains("Final-Recipient: utf-8; parti@ch-autre.test"));
}

proptest! {
    #[test]
    fn quoted_printable_reads_back(text in "[ -~é\n]{0,300}") {
        let coded = quoted_printable(&text);
        prop_assert!(coded.split("\r\n").all(|line| line.len() <= 76 && !line.ends_with(' ')));
        let joined = coded.replace("=\r\n", "");
        let mut plain = Vec::new();
        let mut octets = joined.bytes();
        while let Some(octet) = octets.next() {
            if octet == b'=' {
                let digits = [octets.next().unwrap(), octets.next().unwrap()];
                plain.push(u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap());
            } else {
                plain.push(octet);
            }
        }
        prop_assert_eq!(String::from_utf8(plain).unwrap().replace("\r\n", "\n"), format!("{text}\n"));
    }
}
