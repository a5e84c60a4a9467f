//! Messages: header, MIME, opening, judging, reports (RFC 5322, 2045, 8551, 3464).

use ident::{Address, Domain, PersonId, StructureId};
use mail::{Access, Envelope, Handover, Limits, Profile, SealRequest, Trust, Verdict};
use pki::{
    certificate::Certificate,
    keys::{DecryptionKey, SigningKey},
    path::{Purpose, RevocationMode, Validator, ValidatorBuilder, Verdict as PathVerdict},
};

use crate::{
    Target,
    world::{self, NOW, READER_EC, READER_RSA, SIGNER},
};

/// The target.
pub const TARGET: Target = Target {
    name: "message",
    covers: &[
        "gateway/mail/src/header.rs",
        "gateway/mail/src/lexer.rs",
        "gateway/mail/src/mailboxes.rs",
        "gateway/mail/src/media.rs",
        "gateway/mail/src/mime.rs",
        "gateway/mail/src/open.rs",
        "gateway/mail/src/judge.rs",
        "gateway/mail/src/read.rs",
        "gateway/mail/src/words.rs",
    ],
    run,
    seeds,
};

const SENDER: &str = "anne.martin-test@ch-exemple.test";
const READER: &str = "claire.moreau-test@ch-autre.test";
const US: &str = "gw.ch-autre.test";

/// A trust space in which the kept signer speaks for the sender's domain.
struct Space;

thread_local! {
    static VALIDATOR: Validator = ValidatorBuilder::new()
        .anchor(Purpose::Organisation, world::root())
        .anchor(Purpose::Email, world::root())
        .test_category(true)
        .revocation(RevocationMode::NotJudged)
        .build()
        .expect("a validator");
}

impl Trust for Space {
    fn path(&self, certificate: &Certificate, purpose: Purpose) -> PathVerdict {
        VALIDATOR.with(|validator| validator.verify(certificate, &[], purpose, NOW))
    }
    fn person_owns(&self, _: &PersonId, _: &Address) -> bool {
        false
    }
    fn structure_owns(&self, _: &StructureId, address: &Address) -> bool {
        address.domain().as_str() == "ch-exemple.test"
    }
    fn book_signs(&self, certificate: &Certificate, _: &Address) -> bool {
        certificate == SigningKey::certificate(&*SIGNER)
    }
    fn handover(&self, _: &Domain) -> Handover {
        Handover::Listed("ch-exemple.test".into())
    }
}

fn address(text: &str) -> Address {
    Address::parse(text).expect("an address")
}

fn run(data: &[u8]) -> bool {
    let limits = Limits { message: 1 << 20, ..Limits::default() };
    let _ = mail::check_lines(data, &limits);
    let _ = mail::mime::survey(data, &limits);
    let _ = mail::report::read_report(data, &limits);
    let _ = mail::words::decode(&String::from_utf8_lossy(data));
    let _ = mail::mailboxes::parse_list("To", &String::from_utf8_lossy(data), &limits);
    let _ = mail::read(data, &limits);
    let keys: [&dyn DecryptionKey; 2] = [&*READER_RSA, &*READER_EC];
    let Ok(opened) = mail::open(data, Access::Keys(&keys), &[SigningKey::certificate(&*SIGNER).clone()], &limits)
    else {
        return false;
    };
    let (sender, readers) = (address(SENDER), [address(READER)]);
    let judgement = mail::judge(&opened, &Envelope { sender: Some(&sender), recipients: &readers }, &Space);
    if judgement.verdict == Verdict::Accept {
        let Ok(handed) = mail::annotate(&opened.inner.bytes(1 << 24).expect("in memory"), &judgement, US, &limits)
        else {
            return false;
        };
        let facts = mail::read(&handed, &Limits { header: 1 << 20, ..limits }).expect("what we hand over is a message");
        assert_eq!(facts.from, judgement.from, "readers see the mailbox that was judged");
    }
    // Deep: the signature is good and judged, under an outer header that no seed has.
    judgement.verdict == Verdict::Accept && data.contains(&b'~')
}

fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let limits = Limits::default();
    let message = |body: &str| {
        format!(
            "From: \"Dr MARTIN-TEST, Anne\" <{SENDER}>\r\nTo: Claire <{READER}>, =?utf-8?q?=C3=89va?= <eva@ch-autre.test>\r\n\
             Subject: =?utf-8?B?TGV0dHJl?=\r\nDate: Sun, 22 Nov 2026 10:00:00 +0100\r\nMessage-ID: <1@ch-exemple.test>\r\n\
             MIME-Version: 1.0\r\n{body}"
        )
        .into_bytes()
    };
    let plain = message("Content-Type: text/plain; charset=utf-8\r\n\r\nBonjour.\r\n");
    let parts = message(
        "Content-Type: multipart/mixed; boundary=\"b 1\"\r\n\r\n--b 1\r\nContent-Type: text/plain\r\n\r\nBonjour.\r\n--b 1\r\n\
         Content-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\ny\r\n--b 1\r\nContent-Type: application/pdf;\r\n name*0*=utf-8''l%C3%A9;\r\n \
         name*1=ttre.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\nJVBERi0xLjQ=\r\n--b 1--\r\n",
    );
    let report = message(
        "Auto-Submitted: auto-replied\r\nContent-Type: multipart/report; report-type=delivery-status; boundary=r\r\n\r\n--r\r\n\
         Content-Type: text/plain\r\n\r\nPerdu.\r\n--r\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; x.test\r\n\
         Original-Envelope-Id: abc\r\n\r\nFinal-Recipient: rfc822; anne@ch-exemple.test\r\nAction: failed\r\nStatus: 5.1.1\r\n--r\r\n\
         Content-Type: text/rfc822-headers\r\n\r\nMessage-ID: <9@ch-autre.test>\r\n\r\n--r--\r\n",
    );
    let seal = |profile, to: &[&Certificate]| {
        let readers = [address(READER)];
        let request = SealRequest {
            message: &plain,
            recipients: &readers,
            signer: &*SIGNER,
            to,
            profile,
            inside: mail::Inside::Binary,
            at: NOW,
            assurance: None,
            extra: &[],
            authserv_id: US,
            subject: mail::DEFAULT_SUBJECT,
            limits: &limits,
        };
        mail::seal(&request).expect("sealed").bytes
    };
    let (rsa, ec) = (DecryptionKey::certificate(&*READER_RSA), DecryptionKey::certificate(&*READER_EC));
    vec![
        ("gateway", seal(Profile::Gateway, &[ec])),
        ("client", seal(Profile::Client, &[rsa])),
        ("signed-only", seal(Profile::SignedOnly, &[])),
        ("plain", plain.clone()),
        ("parts", parts),
        ("report", report),
    ]
}
