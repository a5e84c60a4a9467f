//! Outer headers over signed ones: alike, silent, and at odds with each other.

use super::Sample;
use crate::samples::message::{READER, SENDER, wire};

/// All of them.
pub fn all() -> Vec<Sample> {
    [agreeing(), differing(), forms(), beside()].concat()
}

fn over(outer: &str, inner: &str) -> Vec<u8> {
    [&wire(outer)[..], &[0], &wire(inner)].concat()
}

fn outer() -> String {
    format!(
        "From: <{SENDER}>\nTo: <{READER}>\nSubject: Message\nDate: Sun, 22 Nov 2026 10:00:00 +0100\n\
         Message-ID: <1@ch-exemple.test>\nMIME-Version: 1.0\n"
    )
}

fn inner() -> String {
    format!(
        "From: \"Dr MARTIN-TEST, Anne\" <{SENDER}>\nTo: Claire <{READER}>\nSubject: Lettre\n\
         Date: Sun, 22 Nov 2026 10:00:00 +0100\nMessage-ID: <1@ch-exemple.test>\nMIME-Version: 1.0\n\
         Content-Type: text/plain; charset=utf-8;\n hp=\"cipher\"\nHP-Outer: From: <{SENDER}>\nHP-Outer: To: <{READER}>\n\
         HP-Outer: Subject: Message\n\nBonjour.\n"
    )
}

/// With one passage inside replaced.
fn inside(from: &str, to: &str) -> Vec<u8> {
    assert!(inner().contains(from), "{from} is there");
    over(&outer(), &inner().replace(from, to))
}

/// With one passage outside replaced.
fn outside(from: &str, to: &str) -> Vec<u8> {
    assert!(outer().contains(from), "{from} is there");
    over(&outer().replace(from, to), &inner())
}

fn agreeing() -> Vec<Sample> {
    let cc = |outer_cc: &str| {
        over(&format!("{outer_cc}{}", outer()), &format!("Cc: Éva <eva@ch-autre.test>, luc@ch-autre.test\n{}", inner()))
    };
    vec![
        ("alike", over(&outer(), &inner())),
        ("clear", inside("cipher", "clear")),
        ("no-recipients", outside(&format!("To: <{READER}>\n"), "")),
        ("no-message-id", outside("Message-ID: <1@ch-exemple.test>\n", "")),
        ("no-inner-message-id", inside("Message-ID: <1@ch-exemple.test>\n", "")),
        ("copies", cc("Cc: <luc@ch-autre.test>,\n <eva@ch-autre.test>\n")),
        ("copies-silent", cc("")),
        ("letter-case", outside(SENDER, "Anne.MARTIN-test@CH-exemple.test")),
        ("sender", inside("MIME-Version", "Sender: luc@ch-exemple.test\nReply-To: luc@ch-exemple.test\nMIME-Version")),
        ("mark-bare", inside(";\n hp=\"cipher\"\n", ";\n\thp=\"cipher\"\n")),
        ("mark-first", inside("text/plain; charset=utf-8;\n hp=\"cipher\"", "text/plain; hp=cipher; charset=utf-8")),
        ("body-empty", inside("Bonjour.\n", "")),
        ("body-parts", inside("text/plain; charset=utf-8;", "multipart/mixed; boundary=b;")),
    ]
}

fn differing() -> Vec<Sample> {
    vec![
        ("other-from", outside(SENDER, "luc@ch-exemple.test")),
        ("other-domain", outside(SENDER, "anne.martin-test@autre.test")),
        ("other-to", outside(READER, "eva@ch-autre.test")),
        ("more-to", outside(&format!("<{READER}>"), &format!("<{READER}>, <eva@ch-autre.test>"))),
        ("more-cc", over(&format!("Cc: <eva@ch-autre.test>\n{}", outer()), &inner())),
        ("other-message-id", outside("<1@", "<2@")),
        ("inner-sender", inside("MIME-Version", "Sender: luc@autre.test\nMIME-Version")),
        ("inner-reader", inside(&format!("To: Claire <{READER}>"), "To: eva@ch-autre.test")),
        ("shown-name", inside("Dr MARTIN-TEST, Anne", "luc@ch-autre.test")),
        ("two-from", outside("Subject", "From: <luc@ch-exemple.test>\nSubject")),
        ("inner-two-from", inside("Subject: Lettre", "From: <luc@ch-exemple.test>\nSubject: Lettre")),
        ("inner-two-subjects", inside("Subject: Lettre", "Subject: a\nSubject: b")),
        ("inner-result", inside("Subject: Lettre", "X-Sceau-Verdict: accept\nSubject: Lettre")),
        ("inner-no-from", inside("From: \"Dr", "X-From: \"Dr")),
        ("outer-no-from", outside("From: <", "X: <")),
    ]
}

fn forms() -> Vec<Sample> {
    let plain = "Content-Type: text/plain\nSubject: not the message's\nFrom: z@autre.test\n\nBonjour.\n";
    let letter = format!("Content-Type: message/rfc822\n\n{}", inner().replace(";\n hp=\"cipher\"", ""));
    let marked =
        format!("Content-Type: message/rfc822; hp=\"cipher\"\nFrom: <{SENDER}>\nTo: <{READER}>\n\n{}", inner());
    vec![
        ("entity", over(&outer(), plain)),
        ("entity-bare", over(&outer(), "\nBonjour.\n")),
        ("entity-typed-outside", over(&format!("Content-Description: x\n{}", outer()), plain)),
        ("wrapped", over(&outer(), &letter)),
        ("wrapped-other", over(&outer(), &letter.replace(SENDER, "luc@ch-exemple.test"))),
        ("wrapped-marked", over(&outer(), &marked)),
        ("wrapped-coded", over(&outer(), &letter.replacen("\n\n", "\nContent-Transfer-Encoding: base64\n\n", 1))),
        ("no-header", over(&outer(), "Bonjour.")),
        ("no-type", inside("Content-Type: text/plain; charset=utf-8;\n hp=\"cipher\"\n", "")),
        ("outer-empty", over("", &inner())),
    ]
}

/// The same with the signature beside what it signs.
fn beside() -> Vec<Sample> {
    let clear = |outer: &str, inner: &str| [&wire(outer)[..], &[0, 1], &wire(inner)].concat();
    let plain = "Content-Type: text/plain\n\nBonjour.\n";
    vec![
        ("beside-alike", clear(&outer(), &inner())),
        ("beside-clear", clear(&outer(), &inner().replace("cipher", "clear"))),
        ("beside-plain", clear(&outer(), plain)),
        ("beside-other-from", clear(&outer().replace(SENDER, "luc@ch-exemple.test"), &inner())),
        (
            "beside-other-outer",
            clear(&outer(), &inner().replace("HP-Outer: Subject: Message", "HP-Outer: Subject: Autre")),
        ),
    ]
}
