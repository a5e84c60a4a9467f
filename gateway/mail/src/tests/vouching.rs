//! Who may say how an author was authenticated: an organisation, about those it vouches for.

use super::*;
use crate::judge;

/// A personal signature says nothing about anybody else, whatever stands in its signed part.
#[test]
fn a_personal_signature_vouches_for_nobody() {
    let world = World::new();
    let message = wire("From: zoe@ch-exemple.test\nTo: b@ch-autre.test\n\nbonjour\n");
    let judged = |signer: &FileKey| {
        let sealed = world.seal_as(signer, &message, &["b@ch-autre.test"], Profile::Gateway).unwrap().bytes;
        let opened = crate::open(&sealed, crate::Access::Keys(&[&world.reader]), &[], &Limits::default()).unwrap();
        let recipients = [address("b@ch-autre.test")];
        judge(&opened, &crate::Envelope { sender: None, recipients: &recipients }, &world.trust())
    };
    let vouched = judged(&world.gateway);
    assert_eq!(vouched.assurance, Some(assurance()));
    assert!(vouched.notice().fr.contains("Zoé MARTIN-TEST"), "{}", vouched.notice().fr);
    let personal = judged(&world.doctor);
    assert_eq!((personal.bound_by, personal.assurance), (Some(crate::BoundBy::Person), None));
}

/// What another gateway says stays one short line, whatever it says.
#[test]
fn foreign_words_stay_within_their_sentence() {
    let world = World::new();
    let message = wire("From: zoe@ch-exemple.test\nTo: b@ch-autre.test\n\nbonjour\n");
    let sealed = world.seal(&message, &["b@ch-autre.test"], Profile::Gateway).unwrap().bytes;
    let opened = crate::open(&sealed, crate::Access::Keys(&[&world.reader]), &[], &Limits::default()).unwrap();
    let recipients = [address("b@ch-autre.test")];
    let mut judgement = judge(&opened, &crate::Envelope { sender: None, recipients: &recipients }, &world.trust());
    let who = format!("Dr \u{202e}X\r\n\u{200b}{}", "a".repeat(4000));
    judgement.assurance = Some(Assurance { who, ..assurance() });
    let notice = judgement.notice().fr;
    assert!(notice.contains("Dr Xaaa") && notice.chars().count() < 400, "{notice}");
    assert!(!notice.chars().any(|c| c.is_control() || ident::is_format(c)), "{notice:?}");
}

/// What every receiver would refuse is refused before anybody is told that it was taken (promise 1).
#[test]
fn more_recipients_than_anybody_reads_are_refused_at_sealing() {
    let world = World::new();
    let all = |prefix: &str| (0..1000).map(|n| format!("{prefix}{n}@ch-autre.test")).collect::<Vec<_>>().join(",\r\n ");
    let message =
        format!("From: zoe@ch-exemple.test\r\nTo: {}\r\nCc: {}\r\nSubject: x\r\n\r\nbonjour\r\n", all("t"), all("c"));
    let sealed = world.seal(message.as_bytes(), &["t0@ch-autre.test"], Profile::SignedOnly).unwrap().bytes;
    let opened = crate::open(&sealed, crate::Access::Keys(&[]), &[], &Limits::default()).unwrap();
    let envelope = crate::Envelope { sender: None, recipients: &[address("t0@ch-autre.test")] };
    assert_eq!(crate::judge(&opened, &envelope, &world.trust()).verdict, crate::Verdict::Accept);
    // One blind copy more.
    let fault = world.seal(message.as_bytes(), &["b@ch-autre.test"], Profile::SignedOnly).unwrap_err();
    assert_eq!(fault, SealFault::Mail(crate::MailFault::TooManyMailboxes("To")));
}
