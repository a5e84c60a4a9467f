//! Conversations with scripted peers, by case id.

use ident::Address;
use proptest::prelude::*;

use super::*;
use crate::{BodyKind, MailFrom, Notify, OriginalRecipient, RcptTo, ReplyFault, Ret};

fn options(tls: TlsUse) -> ClientOptions {
    ClientOptions { tls, ..ClientOptions::new("out.ch-exemple.test", Protocol::Smtp) }
}

fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

fn envelope(recipients: &[&str]) -> Envelope {
    Envelope {
        mail: MailFrom {
            sender: Some(address("dr.martin-test@ch-exemple.test")),
            size: Some(12),
            ..MailFrom::default()
        },
        recipients: recipients.iter().map(|text| RcptTo::new(address(text))).collect(),
    }
}

/// A client and what it did.
struct Talk {
    client: Client,
    events: Vec<ClientEvent>,
    /// How many of them [`act`] has seen.
    seen: usize,
}

const EHLO: &str = "250-mx.test\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250 DSN\r\n";

impl Talk {
    fn new(options: ClientOptions) -> Self {
        Self { client: Client::new(options), events: vec![], seen: 0 }
    }

    /// A session in clear, right after `ehlo`.
    fn ready(ehlo: &str) -> Self {
        let mut talk = Self::new(options(TlsUse::Never));
        assert_eq!(talk.hear("220 mx.test ESMTP\r\n"), "EHLO out.ch-exemple.test\r\n");
        assert_eq!(talk.hear(ehlo), "");
        assert_eq!(talk.events.pop(), Some(ClientEvent::Ready));
        talk
    }

    /// LMTP, right after LHLO.
    fn lmtp() -> Self {
        let mut talk = Self::new(ClientOptions { protocol: Protocol::Lmtp, ..options(TlsUse::Never) });
        assert_eq!(talk.hear("220 mda.test LMTP\r\n"), "LHLO out.ch-exemple.test\r\n");
        talk.hear("250-mda.test\r\n250 PIPELINING\r\n");
        assert_eq!(talk.events.pop(), Some(ClientEvent::Ready));
        talk
    }

    fn hear(&mut self, bytes: impl AsRef<[u8]>) -> String {
        let mut rest = bytes.as_ref();
        let mut said = Vec::new();
        loop {
            let taken = self.client.receive(rest);
            rest = &rest[taken..];
            while let Some(event) = self.client.poll() {
                self.events.push(event);
            }
            said.append(&mut self.client.take_output());
            if rest.is_empty() {
                return String::from_utf8(said).unwrap();
            }
        }
    }

    fn send(&mut self, recipients: &[&str]) -> String {
        self.client.send(envelope(recipients)).unwrap();
        self.hear("")
    }

    /// Outcomes of the last message, one letter each: Accepted, Permanent, Temporary.
    fn outcomes(&self) -> String {
        let done = self.events.iter().rev().find_map(|event| match event {
            ClientEvent::Done(outcomes) => Some(outcomes),
            _ => None,
        });
        let letter = |found: &RecipientOutcome| match found.outcome {
            Outcome::Accepted(_) => 'A',
            Outcome::Permanent(_) => 'P',
            Outcome::Temporary(_) => 'T',
        };
        done.map_or("none".to_owned(), |outcomes| outcomes.iter().map(letter).collect())
    }

    fn refusal(&self, index: usize) -> (Stage, Cause) {
        let done = self.events.iter().rev().find_map(|event| match event {
            ClientEvent::Done(outcomes) => outcomes.get(index),
            _ => None,
        });
        match done.map(|found| &found.outcome) {
            Some(Outcome::Permanent(refusal) | Outcome::Temporary(refusal)) => (refusal.stage, refusal.cause.clone()),
            other => panic!("{other:?}"),
        }
    }

    fn failure(&self) -> (Stage, Cause) {
        match self.events.last() {
            Some(ClientEvent::Closed(ClientClosed::Failed(refusal))) => (refusal.stage, refusal.cause.clone()),
            other => panic!("{other:?}"),
        }
    }

    fn body(&mut self, body: &[u8]) -> String {
        assert_eq!(self.events.pop(), Some(ClientEvent::SendBody));
        assert_eq!(self.client.send_body(body), Ok(body.len()));
        self.client.finish_body().unwrap();
        self.hear("")
    }
}

#[test]
fn a_whole_session_with_pipelining() {
    let mut talk = Talk::ready(EHLO);
    assert_eq!(
        talk.send(&["a@x.test", "b@x.test"]),
        "MAIL FROM:<dr.martin-test@ch-exemple.test> SIZE=12\r\nRCPT TO:<a@x.test>\r\nRCPT TO:<b@x.test>\r\n"
    );
    assert_eq!(talk.hear("250 ok\r\n250 ok\r\n250 ok\r\n"), "DATA\r\n");
    assert_eq!(talk.client.waits_for(), Some(Wait::DataStart));
    assert_eq!(talk.hear("354 go\r\n"), "");
    assert_eq!(talk.client.waits_for(), Some(Wait::DataBlock));
    assert_eq!(talk.body(b".a\r\n\r\nb\r\n"), "..a\r\n\r\nb\r\n.\r\n");
    assert_eq!(talk.client.waits_for(), Some(Wait::DataEnd));
    assert_eq!(talk.hear("250 2.0.0 queued as 1\r\n"), "");
    assert_eq!(talk.outcomes(), "AA");
    // The next message on the same connection needs no RSET.
    assert!(talk.send(&["a@x.test"]).starts_with("MAIL"));
    talk.hear("250 ok\r\n250 ok\r\n");
    talk.hear("354 go\r\n");
    talk.body(b"");
    talk.hear("250 ok\r\n");
    talk.client.quit();
    assert_eq!(talk.hear(""), "QUIT\r\n");
    talk.hear("221 bye\r\n");
    assert_eq!(talk.events.last(), Some(&ClientEvent::Closed(ClientClosed::Quit)));
}

#[test]
fn without_pipelining_one_command_at_a_time() {
    let mut talk = Talk::ready("250 mx.test\r\n");
    assert_eq!(talk.send(&["a@x.test", "b@x.test"]), "MAIL FROM:<dr.martin-test@ch-exemple.test>\r\n");
    assert_eq!(talk.hear("250 ok\r\n"), "RCPT TO:<a@x.test>\r\n");
    assert_eq!(talk.hear("550 no\r\n"), "RCPT TO:<b@x.test>\r\n");
    assert_eq!(talk.hear("250 ok\r\n"), "DATA\r\n");
    talk.hear("354 go\r\n");
    talk.body(b"x\r\n");
    talk.hear("250 ok\r\n");
    assert_eq!(talk.outcomes(), "PA");
}

#[test]
fn many_recipients_go_in_a_window() {
    let names: Vec<String> = (0..200).map(|n| format!("a{n}@x.test")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut talk = Talk::ready(EHLO);
    let mut commands = talk.send(&names).matches("\r\n").count();
    assert_eq!(commands, WINDOW);
    for replied in 0..201 {
        assert!(commands - replied <= WINDOW);
        let said = talk.hear("250 ok\r\n");
        commands += said.matches("\r\n").count();
        assert_eq!(said.contains("DATA"), replied == 200);
    }
    assert_eq!(commands, 202);
}

// --- TLS ---

#[test]
fn starttls_then_ehlo_again() {
    let mut talk = Talk::new(options(TlsUse::Required));
    talk.hear("220 mx.test\r\n");
    assert_eq!(talk.hear("250-mx.test\r\n250-PIPELINING\r\n250 STARTTLS\r\n"), "STARTTLS\r\n");
    assert_eq!(talk.hear("220 go\r\n"), "");
    assert_eq!((talk.events.pop(), talk.client.waits_for()), (Some(ClientEvent::StartTls), Some(Wait::Handshake)));
    talk.client.tls_started();
    assert_eq!(*talk.client.capabilities(), Capabilities::default(), "TL3: all forgotten");
    assert_eq!(talk.hear(""), "EHLO out.ch-exemple.test\r\n");
    talk.hear("250 mx.test\r\n");
    assert_eq!(talk.events.pop(), Some(ClientEvent::Ready));
    assert!(talk.client.is_tls() && !talk.client.capabilities().pipelining);
}

#[test]
fn tl2_injected_bytes() {
    for injected in ["250 x\r\n", "2", "250-", "\r\n", "\x16"] {
        let mut talk = Talk::new(options(TlsUse::Required));
        talk.hear("220 mx.test\r\n");
        talk.hear("250-mx.test\r\n250 STARTTLS\r\n");
        assert_eq!(talk.hear(format!("220 go\r\n{injected}")), "");
        assert_eq!(talk.failure(), (Stage::StartTls, Cause::InjectedBytes), "{injected:?}");
        // A moment later, before the handshake.
        let mut talk = Talk::new(options(TlsUse::Required));
        talk.hear("220 mx.test\r\n");
        talk.hear("250-mx.test\r\n250 STARTTLS\r\n");
        talk.hear("220 go\r\n");
        assert_eq!(talk.hear(injected), "");
        assert_eq!(talk.failure(), (Stage::Handshake, Cause::InjectedBytes), "{injected:?}");
    }
    // An answer to STARTTLS that comes with the answer to EHLO: nobody asked yet.
    let mut talk = Talk::new(options(TlsUse::Required));
    talk.hear("220 mx.test\r\n");
    talk.hear("250-mx.test\r\n250 STARTTLS\r\n220 go\r\n");
    assert_eq!(talk.failure(), (Stage::StartTls, Cause::Unsolicited));
}

#[test]
fn tl4_handshake_fails() {
    for tls in [TlsUse::Required, TlsUse::IfOffered] {
        let mut talk = Talk::new(options(tls));
        talk.hear("220 mx.test\r\n");
        talk.hear("250-mx.test\r\n250 STARTTLS\r\n");
        talk.hear("220 go\r\n");
        talk.client.tls_failed();
        assert_eq!(talk.hear(""), "", "nothing is said in clear");
        assert_eq!(talk.failure(), (Stage::Handshake, Cause::TlsFailed));
        assert_eq!(talk.client.send(envelope(&["a@x.test"])), Err(SendError::NotReady));
    }
}

/// TL5 and NT-X02: no TLS, no message.
#[test]
fn tl5_starttls_missing_or_refused() {
    let mut talk = Talk::new(options(TlsUse::Required));
    talk.hear("220 mx.test\r\n");
    assert_eq!(talk.hear("250-mx.test\r\n250 PIPELINING\r\n"), "");
    assert_eq!(talk.failure(), (Stage::StartTls, Cause::NoTls(None)));
    for reply in ["454 4.7.0 not now", "502 no", "501 no", "550 no"] {
        for tls in [TlsUse::Required, TlsUse::IfOffered] {
            let mut talk = Talk::new(options(tls));
            talk.hear("220 mx.test\r\n");
            talk.hear("250-mx.test\r\n250 STARTTLS\r\n");
            assert_eq!(talk.hear(format!("{reply}\r\n")), "");
            let (stage, cause) = talk.failure();
            assert!(stage == Stage::StartTls && matches!(cause, Cause::NoTls(Some(_))), "{reply}");
            assert!(cause.to_string().contains(reply.split_at(3).0), "the reason says what the peer said");
        }
    }
    let mut talk = Talk::new(options(TlsUse::Required));
    talk.hear("220 mx.test\r\n");
    talk.hear("250-mx.test\r\n250 STARTTLS\r\n");
    talk.client.timed_out();
    talk.hear("");
    assert_eq!(talk.failure(), (Stage::StartTls, Cause::TimedOut));
    // A server that does not even know EHLO is not asked in clear.
    let mut talk = Talk::new(options(TlsUse::Required));
    talk.hear("220 mx.test\r\n");
    assert_eq!(talk.hear("500 what\r\n"), "");
    assert!(matches!(talk.failure(), (Stage::Hello, Cause::Reply(_))));
}

// --- EHLO ---

#[test]
fn ehlo_falls_back_to_helo_only_in_clear() {
    for code in ["500", "501", "502", "504"] {
        let mut talk = Talk::new(options(TlsUse::Never));
        talk.hear("220 mx.test\r\n");
        assert_eq!(talk.hear(format!("{code} what\r\n")), "HELO out.ch-exemple.test\r\n");
        talk.hear("250-mx.test\r\n250 PIPELINING\r\n");
        assert_eq!(talk.events.pop(), Some(ClientEvent::Ready));
        assert_eq!(*talk.client.capabilities(), Capabilities::default(), "HELO offers nothing");
    }
    for (reply, tls) in [("550 no", TlsUse::Never), ("451 later", TlsUse::Never), ("502 no", TlsUse::Implicit)] {
        let mut talk = Talk::new(options(tls));
        talk.hear("220 mx.test\r\n");
        assert_eq!(talk.hear(format!("{reply}\r\n")), "");
        assert!(matches!(talk.failure(), (Stage::Hello, Cause::Reply(_))), "{reply}");
    }
    let mut talk = Talk::new(ClientOptions { protocol: Protocol::Lmtp, ..options(TlsUse::Never) });
    talk.hear("220 mda.test\r\n");
    assert_eq!(talk.hear("500 what\r\n"), "");
}

// --- envelope and extensions ---

#[test]
fn parameters_only_where_announced() {
    let full = Envelope {
        mail: MailFrom {
            size: Some(5),
            ret: Some(Ret::Headers),
            envid: Some("a+b".into()),
            body: BodyKind::SevenBit,
            ..MailFrom::default()
        },
        recipients: vec![RcptTo {
            address: address("a@x.test"),
            notify: Some(Notify::On { success: true, failure: true, delay: false }),
            orcpt: Some(OriginalRecipient { kind: "rfc822".into(), address: "b=c@x.test".into() }),
        }],
    };
    let mut talk = Talk::ready(EHLO);
    talk.client.send(full.clone()).unwrap();
    assert_eq!(
        talk.hear(""),
        "MAIL FROM:<> SIZE=5 RET=HDRS ENVID=a+2Bb\r\nRCPT TO:<a@x.test> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;b+3Dc@x.test\r\n"
    );
    let mut talk = Talk::ready("250-mx.test\r\n250 PIPELINING\r\n");
    talk.client.send(full).unwrap();
    assert_eq!(talk.hear(""), "MAIL FROM:<>\r\nRCPT TO:<a@x.test>\r\n");
}

#[test]
fn what_the_peer_cannot_take_is_not_tried() {
    let utf8 = |text: &str| Envelope { recipients: vec![RcptTo::new(address(text))], ..envelope(&[]) };
    let with = |change: fn(&mut MailFrom)| {
        let mut envelope = envelope(&["a@x.test", "b@x.test"]);
        change(&mut envelope.mail);
        envelope
    };
    let cases = [
        (with(|mail| mail.size = Some(1001)), "PP", Cause::TooLarge { limit: 1000 }),
        (with(|mail| mail.body = BodyKind::EightBit), "PP", Cause::NotOffered(Extension::EightBitMime)),
        (with(|mail| mail.smtputf8 = true), "PP", Cause::NotOffered(Extension::SmtpUtf8)),
        (with(|mail| mail.require_tls = true), "PP", Cause::NotOffered(Extension::RequireTls)),
        (with(|mail| mail.sender = Some(address("zo\u{e9}@x.test"))), "PP", Cause::NotOffered(Extension::SmtpUtf8)),
        (utf8("zo\u{e9}@x.test"), "P", Cause::NotOffered(Extension::SmtpUtf8)),
    ];
    for (envelope, outcomes, cause) in cases {
        let mut talk = Talk::ready(EHLO);
        talk.client.send(envelope).unwrap();
        assert_eq!(talk.hear(""), "", "nothing is said");
        assert_eq!((talk.outcomes().as_str(), talk.refusal(0).1), (outcomes, cause));
        assert!(talk.client.is_ready());
    }
    // One recipient that needs more than the peer offers does not stop the other.
    let mut talk = Talk::ready(EHLO);
    assert!(talk.send(&["zo\u{e9}@x.test", "b@x.test"]).ends_with("SIZE=12\r\nRCPT TO:<b@x.test>\r\n"));
    let mut talk = Talk::ready("250-mx.test\r\n250-SMTPUTF8\r\n250-8BITMIME\r\n250 PIPELINING\r\n");
    assert!(talk.send(&["zo\u{e9}@x.test"]).contains(" SMTPUTF8\r\nRCPT TO:<zo\u{e9}@x.test>\r\n"));
    assert_eq!(Talk::ready(EHLO).client.send(envelope(&[])), Err(SendError::NoRecipients));
}

// --- SM4 ---

#[test]
fn sm4_stray_bytes_never_leave() {
    for (name, sequence) in crate::data::tests::sm1() {
        let mut talk = Talk::ready(EHLO);
        talk.send(&["a@x.test"]);
        talk.hear("250 ok\r\n250 ok\r\n");
        talk.hear("354 go\r\n");
        let body = [b"Subject: x\r\n\r\nhi", sequence.as_slice(), b"x\r\n"].concat();
        assert!(talk.client.send_body(&body).is_err(), "{name}");
        assert_eq!(talk.hear("250 ok\r\n"), "", "{name}: no end of message");
        assert_eq!(talk.outcomes(), "T", "{name}");
        assert!(matches!(talk.refusal(0), (Stage::Body, Cause::Body(_))), "{name}");
        assert!(matches!(talk.failure(), (Stage::Body, Cause::Body(_))), "{name}");
    }
    let mut talk = Talk::ready(EHLO);
    talk.send(&["a@x.test"]);
    talk.hear("250 ok\r\n250 ok\r\n");
    talk.hear("354 go\r\n");
    assert_eq!(talk.client.send_body(b"no line end"), Ok(11));
    assert_eq!(talk.client.finish_body(), Err(BodyFault::Unterminated));
    assert_eq!((talk.hear(""), talk.outcomes()), (String::new(), "T".to_owned()));
}

#[test]
fn body_output_is_bounded() {
    let mut talk = Talk::ready(EHLO);
    talk.send(&["a@x.test"]);
    talk.hear("250 ok\r\n250 ok\r\n");
    talk.hear("354 go\r\n");
    let body = ".\r\n".repeat(100_000);
    let taken = talk.client.send_body(body.as_bytes()).unwrap();
    assert!(taken < body.len() && talk.client.send_body(b"").is_ok());
    let mut all = 0;
    while let Ok(taken @ 1..) = talk.client.send_body(body.as_bytes()) {
        all += taken;
        assert!(all < body.len(), "the output must fill up");
    }
    assert!(talk.client.take_output().len() <= BODY_OUTPUT + 1);
}

// --- RP ---

#[test]
fn rp3_each_recipient_its_own_outcome() {
    let mut talk = Talk::ready(EHLO);
    talk.send(&["a@x.test", "b@x.test", "c@x.test", "d@x.test", "e@x.test", "f@x.test"]);
    let said =
        talk.hear("250 ok\r\n250 ok\r\n550 5.1.1 no\r\n451 later\r\n251 forwarded\r\n552 many\r\n552 5.2.2 full\r\n");
    assert_eq!(said, "DATA\r\n");
    talk.hear("354 go\r\n");
    talk.body(b"x\r\n");
    talk.hear("250 2.0.0 queued\r\n");
    assert_eq!(talk.outcomes(), "APTATP");
    let (stage, cause) = talk.refusal(1);
    assert_eq!((stage, cause), (Stage::Recipient, Cause::Reply(Reply::new(550, (5, 1, 1), "no"))));
}

#[test]
fn rp3_lmtp_each_recipient_its_own_final_reply() {
    let mut talk = Talk::lmtp();
    talk.send(&["a@x.test", "b@x.test", "c@x.test", "d@x.test"]);
    assert_eq!(talk.hear("250 ok\r\n250 ok\r\n550 no\r\n250 ok\r\n250 ok\r\n"), "DATA\r\n");
    talk.hear("354 go\r\n");
    talk.body(b"x\r\n");
    talk.hear("250 ok\r\n452 4.2.2 full\r\n");
    assert_eq!(talk.outcomes(), "none");
    talk.hear("550 5.7.1 no\r\n");
    assert_eq!(talk.outcomes(), "APTP");
    assert!(talk.client.is_ready());
}

#[test]
fn refused_mail_and_refused_data() {
    for (reply, outcome) in [("550 5.7.1 no", "PP"), ("451 later", "TT")] {
        let mut talk = Talk::ready(EHLO);
        talk.send(&["a@x.test", "b@x.test"]);
        assert_eq!(talk.hear(format!("{reply}\r\n503 x\r\n503 x\r\n")), "", "no DATA");
        assert_eq!((talk.outcomes().as_str(), talk.refusal(0).0), (outcome, Stage::Mail));
        assert!(talk.send(&["c@x.test"]).starts_with("MAIL"), "no transaction was open");

        let mut talk = Talk::ready(EHLO);
        talk.send(&["a@x.test", "b@x.test"]);
        talk.hear("250 ok\r\n250 ok\r\n250 ok\r\n");
        talk.hear(format!("{reply}\r\n"));
        assert_eq!((talk.outcomes().as_str(), talk.refusal(0).0), (outcome, Stage::Data));
        assert!(talk.send(&["c@x.test"]).starts_with("RSET\r\nMAIL"));

        let mut talk = Talk::ready(EHLO);
        talk.send(&["a@x.test", "b@x.test"]);
        talk.hear("250 ok\r\n250 ok\r\n550 no\r\n");
        talk.hear("354 go\r\n");
        talk.body(b"x\r\n");
        talk.hear(format!("{reply}\r\n"));
        assert_eq!(talk.refusal(0).0, Stage::Final);
        assert_eq!(talk.outcomes(), format!("{}P", outcome.split_at(1).0));
    }
}

#[test]
fn all_recipients_refused_then_rset() {
    let mut talk = Talk::ready(EHLO);
    talk.send(&["a@x.test", "b@x.test"]);
    assert_eq!(talk.hear("250 ok\r\n550 no\r\n450 later\r\n"), "", "no DATA for nobody");
    assert_eq!(talk.outcomes(), "PT");
    assert!(talk.send(&["c@x.test"]).starts_with("RSET\r\nMAIL"));
    assert_eq!(talk.hear("250 reset\r\n250 ok\r\n250 ok\r\n"), "DATA\r\n");
    // A peer that refuses RSET is out of step.
    let mut talk = Talk::ready(EHLO);
    talk.send(&["a@x.test"]);
    talk.hear("250 ok\r\n550 no\r\n");
    talk.send(&["c@x.test"]);
    talk.hear("500 what\r\n");
    assert_eq!(talk.outcomes(), "T");
    assert!(matches!(talk.failure(), (Stage::Mail, Cause::Unexpected(_))));
}

/// The replies of a good session, one step each, and the stage that each one ends.
const STEPS: [(&str, Stage); 8] = [
    ("220 mx.test\r\n", Stage::Greeting),
    ("250-mx.test\r\n250 PIPELINING\r\n", Stage::Hello),
    ("250 ok\r\n", Stage::Mail),
    ("550 no\r\n", Stage::Recipient),
    ("250 ok\r\n", Stage::Recipient),
    ("354 go\r\n", Stage::Data),
    ("250 ok\r\n", Stage::Final),
    ("221 bye\r\n", Stage::Quit),
];

/// Runs the good session up to this step, then says something else.
fn interrupt(step: usize, reply: &str) -> Talk {
    let mut talk = Talk::new(options(TlsUse::Never));
    for (good, _) in &STEPS[..step] {
        talk.hear(good);
        act(&mut talk);
    }
    talk.hear(reply);
    talk
}

/// Does what the last event asks for.
fn act(talk: &mut Talk) {
    match talk.events.get(talk.seen..).and_then(<[ClientEvent]>::last) {
        Some(ClientEvent::Ready) => drop(talk.send(&["a@x.test", "b@x.test"])),
        Some(ClientEvent::SendBody) => drop(talk.body(b"x\r\n")),
        Some(ClientEvent::Done(_)) => {
            talk.client.quit();
            talk.hear("");
        }
        _ => {}
    }
    talk.seen = talk.events.len();
}

/// RP4: 421 at each stage: undecided recipients are deferred, decided ones stay, session over.
#[test]
fn rp4_421_at_each_stage() {
    for (step, (_, stage)) in STEPS.iter().enumerate() {
        let talk = interrupt(step, "421 4.3.2 going away\r\n");
        if *stage == Stage::Quit {
            assert_eq!(talk.events.last(), Some(&ClientEvent::Closed(ClientClosed::Quit)));
            continue;
        }
        let away = Cause::Reply(Reply::new(421, (4, 3, 2), "going away"));
        assert_eq!(talk.failure(), (*stage, away.clone()), "step {step}");
        let expected = match step {
            0 | 1 => "none",
            2 | 3 => "TT",
            _ => "PT",
        };
        assert_eq!(talk.outcomes(), expected, "step {step}");
        if step >= 2 {
            assert_eq!(talk.refusal(1), (*stage, away), "step {step}");
        }
    }
    let mut idle = Talk::ready(EHLO);
    idle.hear("421 4.4.2 idle for too long\r\n");
    assert!(matches!(idle.failure(), (Stage::Idle, Cause::Reply(_))));
    // It may also cross our next command.
    let mut crossing = Talk::ready(EHLO);
    crossing.client.send(envelope(&["a@x.test"])).unwrap();
    crossing.hear("421 4.4.2 idle for too long\r\n");
    assert!(matches!(crossing.failure(), (Stage::Mail, Cause::Reply(_))));
    assert_eq!(crossing.outcomes(), "T");
}

/// RP5: codes that make no sense at a stage end the session; nobody is lost or failed for it.
#[test]
fn rp5_odd_codes_at_each_stage() {
    let odd: [&[&str]; 7] = [
        &["250", "221", "354", "399"],
        &["354", "334", "220 x\r\n220"],
        &["354", "334"],
        &["354", "399"],
        &["354", "334"],
        &["250", "220", "334", "355"],
        &["354", "334"],
    ];
    for (step, replies) in odd.iter().enumerate() {
        for reply in *replies {
            let talk = interrupt(step, &format!("{reply} odd\r\n"));
            let (stage, cause) = talk.failure();
            assert!(
                matches!(cause, Cause::Unexpected(_) | Cause::Unsolicited),
                "step {step}, {reply}: {stage:?} {cause:?}"
            );
            let outcomes = talk.outcomes();
            assert!(!outcomes.contains('A'), "step {step}, {reply}");
            if step >= 2 {
                assert!(outcomes.ends_with('T'), "step {step}, {reply}: {outcomes}");
            }
        }
    }
    // Odd at QUIT: nobody cares any more.
    let talk = interrupt(7, "599 what\r\n");
    assert_eq!(talk.events.last(), Some(&ClientEvent::Closed(ClientClosed::Quit)));
    // Refusing greetings.
    for reply in ["554 no service", "451 later", "521 never"] {
        assert!(matches!(interrupt(0, &format!("{reply}\r\n")).failure(), (Stage::Greeting, Cause::Reply(_))));
    }
}

/// RP6, RP7 and everything else that is no reply, at each stage.
#[test]
fn rp6_rp7_unreadable_at_each_stage() {
    let endless = "250-x\r\n".repeat(200);
    let long = "2".repeat(5000);
    for (step, (_, stage)) in STEPS.iter().enumerate().take(7) {
        for (reply, fault) in [
            (endless.as_str(), ReplyFault::TooLong),
            (long.as_str(), ReplyFault::LineTooLong),
            ("250 ok\n", ReplyFault::LineEnd),
            ("hello\r\n", ReplyFault::Code),
        ] {
            let talk = interrupt(step, reply);
            assert_eq!(talk.failure(), (*stage, Cause::BadReply(fault)), "step {step}");
            assert!(!talk.outcomes().contains('A'));
        }
    }
}

#[test]
fn lost_connection_and_deadline_at_each_stage() {
    for (step, (_, stage)) in STEPS.iter().enumerate().take(7) {
        for (cause, end) in
            [(Cause::ConnectionLost, Client::connection_lost as fn(&mut Client)), (Cause::TimedOut, Client::timed_out)]
        {
            let mut talk = interrupt(step, "");
            end(&mut talk.client);
            talk.hear("");
            assert_eq!(talk.failure(), (*stage, cause), "step {step}");
            assert_eq!(talk.outcomes().ends_with('T'), step >= 2, "step {step}");
            assert_eq!(talk.hear("250 ok\r\n"), "");
        }
    }
}

#[test]
fn early_refusal_during_the_body() {
    for (reply, outcome) in
        [("552 5.3.4 too large", "P"), ("451 4.3.0 disk", "T"), ("421 4.3.2 away", "T"), ("250 ok", "T")]
    {
        let mut talk = Talk::ready(EHLO);
        talk.send(&["a@x.test"]);
        talk.hear("250 ok\r\n250 ok\r\n");
        talk.hear("354 go\r\n");
        talk.client.send_body(b"x\r\n").unwrap();
        talk.hear(format!("{reply}\r\n"));
        assert_eq!(talk.outcomes(), outcome, "{reply}");
        assert!(talk.client.is_closed());
        assert_eq!((talk.client.send_body(b"more"), talk.client.finish_body()), (Ok(4), Ok(())));
        assert_eq!(talk.hear(""), "", "no end of message");
    }
}

#[test]
fn answers_that_nobody_asked_for() {
    let mut talk = Talk::ready(EHLO);
    talk.hear("250 ok\r\n");
    assert_eq!(talk.failure(), (Stage::Idle, Cause::Unsolicited));
    // More answers than commands: the one too many must not count for DATA.
    let mut talk = Talk::ready(EHLO);
    talk.send(&["a@x.test"]);
    talk.hear("250 ok\r\n250 ok\r\n354 go\r\n");
    assert_eq!((talk.failure(), talk.outcomes()), ((Stage::Data, Cause::Unsolicited), "T".to_owned()));
}

proptest! {
    /// Whatever a peer says, in whatever pieces: no panic, and every recipient has an outcome
    /// exactly when the message is over.
    #[test]
    fn any_peer(
        replies in proptest::collection::vec(prop_oneof![
            3 => Just("250 ok\r\n".to_owned()), 2 => Just("354 go\r\n".to_owned()), 1 => Just("220 x\r\n".to_owned()),
            1 => "[2-5][0-5][0-9][ -][ -~]{0,9}\r\n", 1 => "(?s).{0,12}", 1 => Just("421 x\r\n".to_owned()),
        ], 0..14),
        pipelining in any::<bool>(), lmtp in any::<bool>(),
    ) {
        let protocol = if lmtp { Protocol::Lmtp } else { Protocol::Smtp };
        let mut talk = Talk::new(ClientOptions { protocol, pipelining, ..options(TlsUse::IfOffered) });
        let (mut sent, mut done) = (0, 0);
        talk.hear("220 mx.test\r\n");
        talk.hear("250-mx.test\r\n250 PIPELINING\r\n");
        for reply in replies {
            talk.hear(&reply);
            for event in std::mem::take(&mut talk.events) {
                match event {
                    ClientEvent::Ready => {}
                    ClientEvent::StartTls => talk.client.tls_started(),
                    ClientEvent::SendBody => {
                        talk.client.send_body(b"x\r\n").unwrap();
                        talk.client.finish_body().unwrap();
                    }
                    ClientEvent::Done(outcomes) => {
                        done += 1;
                        prop_assert_eq!(outcomes.len(), 3);
                    }
                    ClientEvent::Closed(_) => prop_assert!(talk.client.is_closed()),
                }
            }
            if talk.client.is_ready() {
                prop_assert_eq!(sent, done);
                talk.send(&["a@x.test", "b@x.test", "c@x.test"]);
                sent += 1;
            }
        }
        talk.client.connection_lost();
        talk.hear("");
        done += talk.events.iter().filter(|event| matches!(event, ClientEvent::Done(_))).count();
        prop_assert_eq!(sent, done);
    }

    /// RP7: cutting what the peer says at any place changes nothing.
    #[test]
    fn cuts_change_nothing(places in proptest::collection::vec(0usize..20, 1..20)) {
        let (mut whole, mut cut) = (Talk::new(options(TlsUse::Never)), Talk::new(options(TlsUse::Never)));
        for ((reply, _), place) in STEPS.iter().zip(places.into_iter().cycle()) {
            let expected = whole.hear(reply);
            let (head, tail) = reply.split_at(place.min(reply.len()));
            let said = cut.hear(head) + &cut.hear(tail);
            prop_assert_eq!(said, expected);
            prop_assert_eq!(&whole.events, &cut.events);
            act(&mut whole);
            act(&mut cut);
        }
        prop_assert_eq!(whole.events.last(), Some(&ClientEvent::Closed(ClientClosed::Quit)));
    }
}
