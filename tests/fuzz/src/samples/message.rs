//! Messages: each header rule, each form of address, word and media type, MIME trees, reports.

use super::Sample;
use crate::targets::message::{HOPS, MAILBOXES};

/// The author of every message.
pub const SENDER: &str = "anne.martin-test@ch-exemple.test";
/// Its reader.
pub const READER: &str = "claire.moreau-test@ch-autre.test";

/// All of them.
pub fn all() -> Vec<Sample> {
    [headers(), addresses(), words(), types(), trees(), lines(), reports(), results()].concat()
}

/// Lines as they stand on the wire.
pub fn wire(text: &str) -> Vec<u8> {
    text.replace('\n', "\r\n").into_bytes()
}

/// A whole message with these further header lines (and, behind an empty line, a body).
fn with(rest: &str) -> Vec<u8> {
    let end = if rest.contains("\n\n") { "" } else { "\n" };
    wire(&format!("From: \"Dr MARTIN-TEST, Anne\" <{SENDER}>\nTo: <{READER}>\n{rest}{end}"))
}

fn headers() -> Vec<Sample> {
    let hops = "Received: from a by GW.test (x) with ESMTP id 1; Sun, 22 Nov 2026 10:00:00 +0100\n".repeat(HOPS);
    vec![
        (
            "plain",
            with(
                "Cc: eva@ch-autre.test\nSender: luc@ch-exemple.test\nReply-To: c@x.test\nSubject: Lettre\n\
                 Date: Sun, 22 Nov 2026 10:00:00 +0100 (CET)\nMessage-ID: <1@ch-exemple.test>\nIn-Reply-To: <2@x.test> (x)\n\
                 References: <2@x.test> <3@x.test> <a b> <\nMIME-Version: 1.0\nAuto-Submitted: no (human)\n\
                 Disposition-Notification-To: c@x.test\nDelivered-To: A@x.test\nReturn-Path: <a@x.test>\n\nBonjour.\n",
            ),
        ),
        ("automatic", with("Auto-Submitted: auto-replied; x\nBcc: d@x.test\nDate: hier\n\n")),
        ("no-body", with("Subject: x")),
        ("header-only", wire(&format!("From: {SENDER}\n"))),
        ("empty-header", wire("\nFrom: a@x.test\n")),
        ("no-from", wire("To: a@x.test\n\n")),
        ("from-twice", with("From: b@x.test\n")),
        ("subject-twice", with("Subject: a\nsubject: b\n")),
        ("folded", with("Subject: a\n b\n\tc\nX:\n d\n")),
        ("folded-blank", with("Subject: a\n \n b\n")),
        ("name-blank", wire("From : a@x.test\n\n")),
        ("name-empty", wire(": a@x.test\n\n")),
        ("no-colon", with("Sujet\n")),
        ("control", with("Subject: \x1b[2J\n")),
        ("latin", [&wire("From: a@x.test\nSubject: ")[..], b"\xe9\r\n\r\n"].concat()),
        ("utf8", with("Subject: lettre d'été\n\né\n")),
        ("many-fields", with(&"X: y\n".repeat(60))),
        ("long-header", with(&format!("X: {}\n", "y".repeat(900)).repeat(6))),
        ("long-folded", with(&format!("X: y\n{}", format!(" {}\n", "y".repeat(900)).repeat(6)))),
        ("message-id-bare", with("Message-ID: 1@x.test\n")),
        ("message-id-two", with("Message-ID: <1@x.test><2@x.test>\n")),
        ("message-id-long", with(&format!("Message-ID:\n <{}>\n", "a".repeat(950)))),
        ("hops", with(&hops)),
        ("hops-many", with(&format!("{hops}Received: x\n"))),
        ("hop-odd", with("Received: from ( by x\nReceived: by\nReceived: from y; by z\n")),
        ("bcc", with("Bcc: d@x.test\nResent-Bcc: e@x.test\n")),
        ("nul", [&with("\n")[..], b"\0\r\n"].concat()),
        ("cut", wire("From: a@x.test\nTo: b")),
    ]
}

fn addresses() -> Vec<Sample> {
    let to = |value: &str| wire(&format!("From: {SENDER}\nTo: {value}\n\n"));
    let from = |value: &str| wire(&format!("From: {value}\n\n"));
    vec![
        ("group", to("équipe: a@x.test, B <b@x.test>;, c@x.test")),
        ("group-empty", to("undisclosed-recipients:;")),
        ("group-open", to("g: a@x.test")),
        ("group-in-group", to("g: h: a@x.test;;")),
        ("group-behind", to("g: a@x.test; b@x.test")),
        ("quoted", to("\"a \\\" b\"@x.test, \"C, D\" <c@x.test>, =?utf-8?Q?=C3=89?= <d@x.test>")),
        ("comments", to("a@x.test (Anne (B \\) C)), (x) d@x.test")),
        ("commas", to(" , a@x.test,, ")),
        ("route", to("<@r.test,@s.test:a@x.test>")),
        ("blank-inside", to("a @x.test")),
        ("two-at", to("a@x.test@y.test")),
        ("literal", to("a@[192.0.2.1]")),
        ("local-coded", to("=?utf-8?Q?evil=40bad.test?=@x.test")),
        ("angle-open", to("<a@x.test")),
        ("angle-empty", to("<>")),
        ("angle-behind", to("<a@x.test> b")),
        ("quote-open", to("\"a@x.test")),
        ("comment-open", to("(a@x.test")),
        ("comment-deep", to(&format!("{}a", "(".repeat(20)))),
        ("backslash", to("a\\b@x.test")),
        ("bracket", to("a)@x.test")),
        ("word-and-quote", to("a\"b\"@x.test")),
        ("bad-domain", to("a@-x.test")),
        ("semicolon", to("a@x.test;")),
        ("many", to(&"a@x.test,".repeat(MAILBOXES.saturating_add(1)))),
        ("hidden", to("=?utf-8?b?YUB4LnRlc3QA?= <b@y.test>")),
        ("from-group", from("g: a@x.test;")),
        ("from-two", from("a@x.test, b@x.test")),
        ("from-none", from("g:;")),
        ("from-other", from("\"a@y.test\" <b@x.test>")),
        ("sender-two", with("Sender: b@x.test, c@x.test\n")),
    ]
}

fn words() -> Vec<Sample> {
    let of = |value: &str| with(&format!("Subject: {value}\n"));
    let long = format!("=?utf-8?B?{}?=", "QUJD".repeat(260));
    vec![
        ("words", of("=?utf-8?B?TGV0dHJl?= =?UTF-8*fr?q?d=27=C3=A9t=C3=A9?= =?utf8?Q?_x?= fin")),
        ("words-latin", of("=?iso-8859-1?Q?=E9=80?= =?windows-1252?Q?=80=93=81?= =?latin1?Q?a?=")),
        ("words-latin9", of("=?iso-8859-15?Q?=A4=A6=A8=B4=B8=BC=BD=BE=E9?=")),
        ("words-ascii", of("=?us-ascii?Q?a=E9?= =?ascii?B?YQ==?=")),
        (
            "words-odd",
            of("=?x?Q?a?= =?utf-8?x?a?= =?utf-8?Q?=4?= =?utf-8?Q?=ZZ?= =?utf-8?B?!?= =?utf-8?Q?a b?= =?utf-8?Q =?"),
        ),
        ("words-long", of(&long)),
    ]
}

fn types() -> Vec<Sample> {
    let of = |value: &str| with(&format!("Content-Type: {value}\n"));
    let coded = |value: &str| with(&format!("Content-Transfer-Encoding: {value}\n"));
    let named = |kind: &str, rest: &str| with(&format!("Content-Type: {kind}\nContent-Disposition: {rest}\n"));
    vec![
        ("type-comment", of("Multipart/Mixed (x); BOUNDARY=\"a b=c\"; x=y;\n\n--a b=c\n\nx\n--a b=c--\n")),
        (
            "type-pieces",
            of("a/b; boundary*0=ab; boundary*1=cd; name*=utf-8''%C3%A9.p7m; n*0*=utf-8'fr'%C3%A9; n*1=\".p7m\""),
        ),
        ("type-pieces-gap", of("a/b; n*0=x; n*2=y")),
        ("type-pieces-odd", of("a/b; n*x=y")),
        ("type-percent", of("a/b; n*=utf-8''%C")),
        ("type-percent-odd", of("a/b; n*=utf-8''%ZZ")),
        ("type-no-charset", of("a/b; n*=x")),
        ("type-twice", of("a/b; n=x; n=y")),
        ("type-special", of("a/b; n==")),
        ("type-open", of("a/b; n=\"x")),
        ("type-words", of("text/plain; a=b c=d")),
        ("type-half", of("text/")),
        ("type-empty", of("")),
        ("boundary-none", of("multipart/mixed")),
        ("boundary-long", of(&format!("multipart/mixed; boundary={}", "x".repeat(71)))),
        ("encodings", coded("(x) Base64\n\nQUJD\n")),
        ("encoding-printable", coded("quoted-printable\n\n=C3\n")),
        ("encoding-8bit", coded("8bit")),
        ("encoding-two", coded("7bit 8bit")),
        ("encoding-quoted", coded("\"7bit\"")),
        ("encoding-open", coded("(x")),
        ("encoding-unknown", coded("rot13")),
        ("container", of("application/pkcs7-mime; smime-type=signed-data\n\nMAA=\n")),
        ("container-x", of("application/x-pkcs7-mime")),
        ("container-octets", of("application/octet-stream; name=SMIME.P7M")),
        ("container-named", named("application/octet-stream", "attachment; filename=\"smime.p7m\"")),
        ("container-not", named("application/octet-stream", "attachment; filename*=utf-8''a.pdf")),
        ("disposition-odd", named("application/octet-stream", "attachment; filename=a b.p7m")),
        (
            "clear-signed",
            of("multipart/signed; protocol=\"application/x-pkcs7-signature\"; boundary=s\n\n--s\n\nx\n--s\n\
                Content-Type: application/x-pkcs7-signature\n\nAA==\n--s--\n"),
        ),
    ]
}

/// A tree with parts of these headers and bodies.
fn tree(parts: &[&str]) -> Vec<u8> {
    let parts: String = parts.iter().map(|part| format!("--b\n{part}\n")).collect();
    with(&format!("Content-Type: multipart/mixed; boundary=b\n\nprologue\n{parts}--b--\nepilogue\n--b\n"))
}

fn trees() -> Vec<Sample> {
    let signed = "Content-Type: multipart/signed; boundary=s\n\n--s\n\nx\n--s\nContent-Type: application/pkcs7-signature\n\nAA==\n--s--";
    let letter = |inside: &str| format!("Content-Type: message/rfc822\n\n{inside}");
    let deep: String = (0..9).map(|n| format!("Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n")).collect();
    let named = "Content-Type: application/pdf;\n name*0*=utf-8''l%C3%A9;\n name*1=ttre.pdf\nContent-Transfer-Encoding: base64\n\nJVBERi0xLjQ=";
    vec![
        ("tree", tree(&["Content-Type: text/plain\n\nBonjour.", named, &letter("Subject: x\n\ny"), "\nnothing"])),
        ("tree-signed", tree(&["\nx", signed])),
        ("tree-attached", tree(&[&letter(&format!("From: a@x.test\n{signed}"))])),
        ("tree-attached-then-signed", tree(&[&letter("Subject: x\n\nx"), signed])),
        ("tree-container", tree(&["Content-Type: application/pkcs7-mime\n\nMAA="])),
        ("tree-sloppy", tree(&["Content-Type: application/pdf; name=compte rendu.pdf\n\nx", "no header\n\nx"])),
        ("tree-sloppy-type", tree(&["Content-Type: multipart/signed; x y\n\nx"])),
        ("tree-sloppy-header", tree(&["X y\nContent-Type: application/pkcs7-mime\n\nx"])),
        ("tree-header-in-boundary", tree(&["X: y"])),
        ("tree-two-types", tree(&["Content-Type: text/plain\nContent-Type: multipart/signed; boundary=s\n\nx"])),
        (
            "tree-two-names",
            tree(&["Content-Disposition: inline\nContent-Disposition: attachment; filename=smime.p7m\n\nx"]),
        ),
        ("tree-deep", with(&deep)),
        ("tree-wide", tree(&["\nx"; 21])),
        ("tree-open", with("Content-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n")),
        ("tree-global", tree(&["Content-Type: message/global\n\nSubject: é\n\nx"])),
        ("tree-letters", with(&letter("").repeat(9))),
        ("tree-padding", with("Content-Type: multipart/mixed; boundary=b\n\n--b  \n\nx\n--bb\n--b-- \t\n")),
        ("tree-root-signed", wire(&format!("From: {SENDER}\n{signed}\n"))),
        ("tree-long-header", tree(&[&format!("X: {}\n\nx", "y".repeat(5000))])),
    ]
}

fn lines() -> Vec<Sample> {
    let behind = |octets: &[u8]| [&with("\n")[..], octets].concat();
    vec![
        ("line-bare-lf", behind(b"a\nb\r\n")),
        ("line-bare-cr", behind(b"a\rb\r\n")),
        ("line-end-cr", behind(b"a\r")),
        ("line-two-cr", behind(b"a\r\r\n")),
        ("line-long", behind(&[b'x'; 1000])),
        ("line-longest", behind(&[b'x'; 998])),
        ("line-open", behind(b"a")),
        ("header-long", with(&format!("X: {}\n", "y".repeat(997)))),
        ("header-bare-lf", b"From: a@x.test\n\n".to_vec()),
        ("header-bare-cr", b"From: a@x.test\rX\r\n\r\n".to_vec()),
        ("header-nul", b"From: a@x.test\0\r\n\r\n".to_vec()),
        ("large", behind(&b"0123456789abcde\r\n".repeat(900))),
    ]
}

fn report(kind: &str, parts: &[&str]) -> Vec<u8> {
    let parts: String = parts.iter().map(|part| format!("--r\n{part}\n")).collect();
    with(&format!(
        "Auto-Submitted: auto-replied\nIn-Reply-To: <8@ch-autre.test>\n\
         Content-Type: multipart/report; report-type={kind}; boundary=r\n\n--r\n\nPerdu.\n{parts}--r--\n"
    ))
}

fn reports() -> Vec<Sample> {
    let group = "Original-Recipient: rfc822;<c@x.test>\nFinal-Recipient: rfc822; anne@ch-exemple.test\nAction: failed (x)\nStatus: 5.1.1 (x)\n";
    let status = |groups: &str| {
        format!(
            "Content-Type: message/delivery-status\n\nReporting-MTA: dns; x.test\nOriginal-Envelope-Id: abc\n\n{groups}"
        )
    };
    let returned = "Content-Type: text/rfc822-headers\n\nMessage-ID: <9@ch-autre.test>\n";
    let receipt = "Content-Type: message/disposition-notification\n\nFinal-Recipient: rfc822;a@x.test\n\
                   Original-Message-ID: <9@ch-autre.test>\nDisposition: manual-action/MDN-sent-manually; displayed\n";
    let good = status(group);
    vec![
        ("report", report("delivery-status", &[&good, returned])),
        ("report-groups", report("delivery-status", &[&status(&format!("{group}\n{group}\nX: y\n"))])),
        ("report-receipt", report("disposition-notification", &[receipt])),
        (
            "report-coded",
            report(
                "x",
                &["Content-Type: message/global-delivery-status\nContent-Transfer-Encoding: base64\n\nQTogYg0K"],
            ),
        ),
        (
            "report-printable",
            report(
                "x",
                &["Content-Type: message/delivery-status\nContent-Transfer-Encoding: quoted-printable\n\nA: b"],
            ),
        ),
        ("report-two", report("x", &[&good, &good])),
        ("report-odd-returned", report("x", &[&good, "Content-Type: message/rfc822\n\nno header", returned])),
        ("report-odd-part", report("x", &["no header\n\nx"])),
        ("report-odd-words", report("x", &[&status("Final-Recipient: x; a@x.test\nAction: lost\nStatus: 9.1\n")])),
        ("report-odd-status", report("x", &[&status("Final-Recipient: a\nStatus: 5.1.1.1\n")])),
        ("report-twice", report("x", &[&status("Final-Recipient: rfc822;a@x.test\nStatus: 5.1.1\nStatus: 4.1.1\n")])),
        ("report-many", report("x", &[&status(&format!("{group}\n").repeat(MAILBOXES.saturating_add(2)))])),
        ("report-many-empty", report("x", &[&status(&"\n".repeat(MAILBOXES.saturating_mul(2).saturating_add(2)))])),
    ]
}

/// Fields that only we may write.
fn results() -> Vec<Sample> {
    let of = |fields: &str| with(&format!("{fields}\n\nX-Sceau-Verdict: body\n"));
    vec![
        ("result", of("X-Sceau-Verdict: accept\nAuthentication-Results: gw.ch-autre.test; smime=pass\nX-Sceaux: town")),
        ("result-quoted", of("Authentication-Results: (c) \"gw.ch-autre.test\"\n ; smime=pass")),
        ("result-arc", of("ARC-Authentication-Results: i=1; gw.ch-autre.test; smime=pass")),
        ("result-odd", of("Authentication-Results: (open\nAuthentication-Results:\n ; x")),
        ("result-protected", with("Content-Type: text/plain; charset=utf-8;\n hp=\"cipher\"\n\nx\n")),
        ("result-protected-oddly", with("Content-Type: text/plain (a;b\\)); x=\"a;\\\"b\"; hp=clear; y=z\n\nx\n")),
        ("result-protected-coded", with("Content-Type: text/plain; hp*0=ci; hp*1=pher\n\nx\n")),
        ("result-other", of("Authentication-Results: other.test; dkim=pass")),
    ]
}
