//! Conversations with the server, by case id.

use proptest::prelude::*;

use ident::Address;

use super::*;
use crate::data::tests::sm1;

/// Drives a server with a simple policy and keeps what it said.
struct Chat {
    server: Server,
    /// Events as text, bodies joined.
    events: Vec<String>,
    body: Vec<u8>,
}

impl Chat {
    fn new(options: ServerOptions, tls: bool) -> Self {
        let mut chat = Self { server: Server::new(options, tls), events: vec![], body: vec![] };
        assert!(chat.flush().starts_with("220 mx.ch-exemple.test "));
        chat
    }

    fn smtp() -> Self {
        Self::new(options(Protocol::Smtp), true)
    }

    /// After EHLO.
    fn ready() -> Self {
        let mut chat = Self::smtp();
        chat.say("EHLO client.test\r\n");
        chat
    }

    /// After 354.
    fn in_body(options: ServerOptions) -> Self {
        let hello = if options.protocol == Protocol::Lmtp { "LHLO" } else { "EHLO" };
        let mut chat = Self::new(options, true);
        chat.say(format!("{hello} client.test\r\n"));
        assert!(chat.say("MAIL FROM:<a@x.test>\r\nRCPT TO:<b@y.test>\r\nDATA\r\n").ends_with("\r\n"));
        assert!(matches!(chat.server.state, State::Body(_)));
        chat
    }

    fn say(&mut self, bytes: impl AsRef<[u8]>) -> String {
        let mut rest = bytes.as_ref();
        let mut said = String::new();
        loop {
            let taken = self.server.receive(rest);
            rest = &rest[taken..];
            said.push_str(&self.flush());
            if rest.is_empty() {
                return said;
            }
        }
    }

    /// Polls, answers and takes the output until nothing moves.
    fn flush(&mut self) -> String {
        let mut said = String::new();
        loop {
            while let Some(event) = self.server.poll() {
                self.on_event(event);
            }
            let output = self.server.take_output();
            if output.is_empty() {
                return said;
            }
            said.push_str(&String::from_utf8(output).unwrap());
        }
    }

    fn on_event(&mut self, event: Event) {
        let text = match &event {
            Event::Body(piece) => {
                assert!(!piece.is_empty());
                self.body.extend_from_slice(piece);
                return;
            }
            Event::Mail(mail) => format!("Mail({})", mail.sender.as_ref().map_or(String::new(), ToString::to_string)),
            Event::Recipient(rcpt) => format!("Recipient({})", rcpt.address),
            other => format!("{other:?}"),
        };
        self.events.push(text);
        match event {
            Event::Authenticate { identity: Some(_) } => self.server.answer(Reply::new(535, (5, 7, 8), "no")),
            Event::Authenticate { identity: None } => self.server.answer(Reply::new(235, (2, 7, 0), "welcome")),
            Event::Mail(_) => self.server.answer(Reply::new(250, (2, 1, 0), "ok")),
            Event::Recipient(rcpt) => self.server.answer(match rcpt.address.local() {
                "no" => Reply::new(550, (5, 1, 1), "unknown"),
                "later" => Reply::new(451, (4, 3, 0), "later"),
                "away" => Reply::new(421, (4, 3, 2), "going away"),
                _ => Reply::new(250, (2, 1, 5), "ok"),
            }),
            Event::DataRequested => self.server.answer(Reply::send_body()),
            Event::BodyEnd => {
                for n in 0..self.server.answers_due() {
                    let text = format!("queued {n}");
                    self.server.answer(Reply::new(250, (2, 0, 0), &text));
                }
            }
            _ => {}
        }
    }

    fn saw(&self, event: &str) -> bool {
        self.events.iter().any(|seen| seen.starts_with(event))
    }

    fn closed(&self) -> Option<&str> {
        self.server.is_closed().then(|| self.events.last().map_or("", String::as_str))
    }
}

fn options(protocol: Protocol) -> ServerOptions {
    ServerOptions {
        starttls: true,
        auth_external: true,
        dsn: true,
        postmaster: Address::parse("postmaster@ch-exemple.test").ok(),
        ..ServerOptions::new("mx.ch-exemple.test", protocol)
    }
}

fn codes(said: &str) -> Vec<&str> {
    said.split("\r\n").filter(|line| line.as_bytes().get(3) == Some(&b' ')).map(|line| line.split_at(3).0).collect()
}

#[test]
fn a_whole_session() {
    let mut chat = Chat::smtp();
    let said = chat.say("EHLO client.test\r\n");
    assert_eq!(
        said,
        "250-mx.ch-exemple.test\r\n250-PIPELINING\r\n250-SIZE 35000000\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n\
         250-LIMITS RCPTMAX=1000\r\n250-SMTPUTF8\r\n250-DSN\r\n250 AUTH EXTERNAL\r\n"
    );
    let said = chat.say("MAIL FROM:<a@x.test> SIZE=20\r\nRCPT TO:<b@y.test>\r\nRCPT TO:<no@y.test>\r\nDATA\r\n");
    assert_eq!(codes(&said), ["250", "250", "550", "354"]);
    let said = chat.say("Subject: x\r\n\r\n..hi\r\n.\r\nQUIT\r\n");
    assert_eq!(said, "250 2.0.0 queued 0\r\n221 2.0.0 Bye\r\n");
    assert_eq!(chat.body, b"Subject: x\r\n\r\n.hi\r\n");
    assert_eq!(
        chat.events,
        [
            "Hello { name: \"client.test\" }",
            "Mail(a@x.test)",
            "Recipient(b@y.test)",
            "Recipient(no@y.test)",
            "DataRequested",
            "BodyEnd",
            "Closed(Quit)"
        ]
    );
}

#[test]
fn only_what_holds_is_announced() {
    let mut chat = Chat::new(options(Protocol::Smtp), false);
    let said = chat.say("EHLO client.test\r\n");
    assert!(said.contains("STARTTLS") && !said.contains("AUTH"));
    let plain = ServerOptions { smtputf8: false, ..ServerOptions::new("mx.ch-exemple.test", Protocol::Smtp) };
    let said = Chat::new(plain, true).say("EHLO client.test\r\n");
    for word in ["STARTTLS", "AUTH", "DSN", "SMTPUTF8", "REQUIRETLS", "CHUNKING"] {
        assert!(!said.contains(word), "{word}");
    }
    assert_eq!(Chat::smtp().say("HELO client.test\r\n"), "250 mx.ch-exemple.test\r\n");
}

// --- SM ---

/// SM1 × SM2 × SM3 through the whole server, with commands behind, cut everywhere.
#[test]
fn sm1_sm3_smuggled_commands_never_run() {
    for (name, sequence) in sm1() {
        for before in [b"".as_slice(), b"Subject: x\r\n\r\nhi"] {
            let smuggled = b"MAIL FROM:<evil@x.test>\r\nRCPT TO:<victim@y.test>\r\nDATA\r\nx\r\n.\r\n";
            let input = [before, &sequence, smuggled].concat();
            for cut in 0..=input.len() {
                let mut chat = Chat::in_body(options(Protocol::Smtp));
                let said = chat.say(&input[..cut]) + &chat.say(&input[cut..]);
                assert!(said.starts_with("550 5.5.2 ") && said.matches("\r\n").count() == 1, "{name} {cut}: {said}");
                assert!(chat.closed().is_some_and(|why| why.starts_with("Closed(Body(")), "{name} {cut}");
                assert!(!chat.saw("BodyEnd") && !chat.saw("Mail(evil"), "{name} {cut}: {:?}", chat.events);
                assert!(chat.saw("BodyRefused"), "{name} {cut}");
            }
        }
    }
}

#[test]
fn sm3_true_end_cut_anywhere() {
    let input = b"Subject: x\r\n\r\n.\r\nRSET\r\n";
    for cut in 0..=input.len() {
        let mut chat = Chat::in_body(options(Protocol::Smtp));
        let said = chat.say(&input[..cut]) + &chat.say(&input[cut..]);
        assert_eq!(said, "250 2.0.0 queued 0\r\n250 2.0.0 OK\r\n", "{cut}");
        assert_eq!(chat.body, b"Subject: x\r\n\r\n", "{cut}");
    }
}

/// SM3 and NT-X07: over the limit, whatever SIZE said: refused at the true end, session goes on.
#[test]
fn sm3_nt_x07_over_size() {
    let small = ServerOptions { max_size: 10, ..options(Protocol::Smtp) };
    let input = b"Subject: x\r\n\r\n..\r\n.hi\r\n.\r\nNOOP\r\n";
    for cut in 0..=input.len() {
        let mut chat = Chat::in_body(small.clone());
        let said = chat.say(&input[..cut]) + &chat.say(&input[cut..]);
        assert_eq!(said, "552 5.3.4 Message size exceeds the limit\r\n250 2.0.0 OK\r\n", "{cut}");
        assert!(chat.saw("BodyRefused(TooLarge)") && !chat.saw("BodyEnd"), "{cut}");
        assert!(chat.body.len() <= 10);
    }
    let mut chat = Chat::in_body(ServerOptions { max_discarded: 5, ..small });
    let said = chat.say("Subject: x\r\n\r\n....................");
    assert_eq!(
        (said.as_str(), chat.closed()),
        ("552 5.3.4 Message size exceeds the limit\r\n", Some("Closed(Body(TooLarge))"))
    );
}

#[test]
fn sm6_talk_before_the_banner() {
    let mut server = Server::new(options(Protocol::Smtp), false);
    assert_eq!(server.receive(b"EHLO x\r\n"), 8);
    assert_eq!(server.poll(), Some(Event::Closed(CloseReason::Protocol(ProtocolError::OutOfSync))));
    assert_eq!(server.take_output(), b"554 5.5.0 Command sent before its turn\r\n");
    assert_eq!((server.receive(b"NOOP\r\n"), server.poll(), server.take_output()), (6, None, vec![]));
}

#[test]
fn sm6_ehlo_and_data_not_last_in_their_group() {
    for first in ["EHLO x\r\n", "HELO x\r\n"] {
        let mut chat = Chat::smtp();
        let said = chat.say(format!("{first}MAIL FROM:<a@x.test>\r\n"));
        assert_eq!(said, "554 5.5.0 Command sent before its turn\r\n");
        assert!(!chat.saw("Mail") && chat.closed().is_some());
    }
    let mut chat = Chat::ready();
    let said = chat.say("MAIL FROM:<a@x.test>\r\nRCPT TO:<b@y.test>\r\nDATA\r\nSubject: x\r\n\r\n.\r\n");
    assert_eq!(codes(&said), ["250", "250", "554"]);
    assert!(!chat.saw("DataRequested") && chat.body.is_empty());
    assert_eq!(chat.closed(), Some("Closed(Protocol(OutOfSync))"));
}

/// SM6: bytes that come while the caller thinks about DATA, even when earlier replies were sent.
#[test]
fn sm6_bytes_before_354() {
    let mut server = Server::new(options(Protocol::Smtp), true);
    drop(server.take_output());
    assert_eq!(server.receive(b"EHLO x\r\n"), 8);
    assert!(matches!(server.poll(), Some(Event::Hello { .. })));
    drop(server.take_output());
    assert_eq!(server.receive(b"MAIL FROM:<>\r\nRCPT TO:<b@y.test>\r\nDATA\r\n"), 40);
    assert!(matches!(server.poll(), Some(Event::Mail(_))));
    server.answer(Reply::ok());
    assert!(matches!(server.poll(), Some(Event::Recipient(_))));
    server.answer(Reply::ok());
    assert_eq!(server.poll(), Some(Event::DataRequested));
    assert_eq!(codes(&String::from_utf8(server.take_output()).unwrap()), ["250", "250"]);
    assert_eq!(server.receive(b"x"), 1);
    assert_eq!(server.poll(), Some(Event::Closed(CloseReason::Protocol(ProtocolError::OutOfSync))));
    server.answer(Reply::send_body());
    assert_eq!(server.take_output(), b"554 5.5.0 Command sent before its turn\r\n");
}

#[test]
fn sm7_empty_message_and_dots() {
    let mut chat = Chat::in_body(options(Protocol::Smtp));
    assert_eq!(chat.say(".\r\n"), "250 2.0.0 queued 0\r\n");
    assert!(chat.body.is_empty());
    let mut chat = Chat::in_body(options(Protocol::Smtp));
    chat.say(".first\r\n..\r\n.\r\n");
    assert_eq!(chat.body, b"first\r\n.\r\n");
}

/// SM5: chunks that nobody announced are never read as commands.
#[test]
fn sm5_bdat_closes() {
    let mut chat = Chat::ready();
    let said = chat.say("MAIL FROM:<a@x.test>\r\nRCPT TO:<b@y.test>\r\nBDAT 22 LAST\r\nMAIL FROM:<e@x.test>\r\n");
    assert_eq!(codes(&said), ["250", "250", "502"]);
    assert_eq!(chat.closed(), Some("Closed(Protocol(NotOffered))"));
}

// --- TL ---

fn clear() -> Chat {
    let mut chat = Chat::new(options(Protocol::Smtp), false);
    chat.say("EHLO client.test\r\n");
    chat
}

#[test]
fn tl1_bytes_behind_starttls() {
    for behind in ["EHLO x\r\n", "M", "\r\n"] {
        let mut chat = clear();
        let said = chat.say(format!("STARTTLS\r\n{behind}"));
        assert_eq!(said, "554 5.5.0 Nothing may follow STARTTLS before the handshake\r\n", "{behind:?}");
        assert!(!chat.saw("StartTls") && chat.closed().is_some(), "{behind:?}");
        // And when they come a moment later: nothing more is said in clear.
        let mut chat = clear();
        assert_eq!(codes(&chat.say("STARTTLS\r\n")), ["220"]);
        assert_eq!(chat.say(behind), "");
        assert_eq!(chat.closed(), Some("Closed(Protocol(BehindStartTls))"), "{behind:?}");
    }
}

#[test]
fn tl3_state_is_forgotten_after_tls() {
    let mut chat = clear();
    assert_eq!(codes(&chat.say("STARTTLS\r\n")), ["220"]);
    assert_eq!(chat.server.waits_for(), Some(Wait::Handshake));
    chat.server.tls_started();
    assert_eq!(chat.say("MAIL FROM:<a@x.test>\r\n"), "503 5.5.1 Bad sequence of commands\r\n");
    let said = chat.say("EHLO client.test\r\n");
    assert!(said.contains("AUTH EXTERNAL") && !said.contains("STARTTLS"));
    assert_eq!(codes(&chat.say("STARTTLS\r\n")), ["502"]);
    assert_eq!(codes(&chat.say("MAIL FROM:<a@x.test>\r\n")), ["250"]);
}

#[test]
fn starttls_only_in_its_place() {
    let mut chat = Chat::new(options(Protocol::Smtp), false);
    assert_eq!(codes(&chat.say("STARTTLS\r\n")), ["503"], "before EHLO");
    let mut chat = clear();
    assert_eq!(codes(&chat.say("MAIL FROM:<a@x.test>\r\nSTARTTLS\r\n")), ["250", "503"], "inside a transaction");
}

/// NT-X02: where TLS is required nothing of a message is said in clear.
#[test]
fn nt_x02_tls_required() {
    let mut chat = Chat::new(ServerOptions { require_tls: true, ..options(Protocol::Smtp) }, false);
    chat.say("EHLO client.test\r\n");
    let said =
        chat.say("MAIL FROM:<a@x.test>\r\nRCPT TO:<b@y.test>\r\nVRFY b\r\nNOOP\r\nRSET\r\nAUTH EXTERNAL =\r\nDATA\r\n");
    assert_eq!(codes(&said), ["530", "530", "530", "250", "250", "538", "530"]);
    assert!(!chat.saw("Mail") && !chat.saw("Authenticate"));
}

#[test]
fn tl6_connection_ends_inside_the_body() {
    let mut chat = Chat::in_body(options(Protocol::Smtp));
    chat.say("Subject: x\r\n");
    chat.server.peer_closed();
    assert_eq!(chat.flush(), "");
    assert_eq!(chat.closed(), Some("Closed(PeerGone { in_body: true })"));
    assert_eq!(chat.say("\r\n.\r\n"), "");
    assert!(!chat.saw("BodyEnd"));
}

#[test]
fn tl8_http() {
    let mut chat = Chat::smtp();
    let said = chat.say("POST / HTTP/1.1\r\nHost: mx\r\n\r\nEHLO x\r\nMAIL FROM:<a@x.test>\r\n");
    assert_eq!((said.as_str(), chat.events.len()), ("554 5.5.1 This is a mail server\r\n", 1));
    assert_eq!(chat.closed(), Some("Closed(Protocol(Http))"));
}

// --- AUTH ---

#[test]
fn auth_external_in_its_forms() {
    for (dialogue, code) in [
        ("AUTH EXTERNAL =\r\n", "235"),
        ("AUTH EXTERNAL ZHIubWFydGluLXRlc3Q=\r\n", "535"),
        ("AUTH PLAIN AGEAYg==\r\n", "504"),
        ("AUTH EXTERNAL a\r\n", "501"),
        ("AUTH EXTERNAL Zm9\r\n", "501"),
        ("AUTH EXTERNAL AA==\r\n", "501"),
        ("AUTH EXTERNAL /w==\r\n", "501"),
    ] {
        assert_eq!(codes(&Chat::ready().say(dialogue)), [code], "{dialogue:?}");
    }
    for (response, code) in
        [("\r\n", "235"), ("*\r\n", "501"), ("ZHI=\r\n", "535"), ("?\r\n", "501"), ("\u{e9}\r\n", "501")]
    {
        let mut chat = Chat::ready();
        assert_eq!(chat.say("AUTH EXTERNAL\r\n"), "334 \r\n");
        assert_eq!(codes(&chat.say(response)), [code], "{response:?}");
        assert_eq!(chat.server.is_authenticated(), code == "235");
        assert_eq!(codes(&chat.say("NOOP\r\n")), ["250"], "commands are commands again");
    }
    let mut chat = Chat::ready();
    chat.say("AUTH EXTERNAL ZHIubWFydGluLXRlc3Q=\r\n");
    assert!(chat.saw("Authenticate { identity: Some(\"dr.martin-test\") }"));
    assert_eq!(codes(&chat.say("AUTH EXTERNAL =\r\nAUTH EXTERNAL =\r\n")), ["235", "503"]);
}

/// NT-X05, and AUTH where it makes no sense.
#[test]
fn nt_x05_auth_out_of_place() {
    assert_eq!(codes(&clear().say("AUTH EXTERNAL =\r\n")), ["538"]);
    assert_eq!(codes(&Chat::smtp().say("AUTH EXTERNAL =\r\n")), ["503"], "before EHLO");
    assert_eq!(codes(&Chat::ready().say("MAIL FROM:<>\r\nAUTH EXTERNAL =\r\n")), ["250", "503"]);
    let mut chat = Chat::new(ServerOptions { auth_external: false, ..options(Protocol::Smtp) }, true);
    chat.say("EHLO x\r\n");
    assert_eq!(codes(&chat.say("AUTH EXTERNAL =\r\n")), ["502"]);
    assert_eq!(codes(&Chat::ready().say("AUTH EXTERNAL\r\nNOOP\r\n")), ["554"], "the challenge was not awaited");
    let long = format!("{}\r\n", "A".repeat(3000));
    let mut chat = Chat::ready();
    chat.say("AUTH EXTERNAL\r\n");
    assert_eq!(chat.say(long), "500 5.5.6 Authentication exchange line too long\r\n");
}

// --- IN ---

#[test]
fn in1_line_ends_inside_commands() {
    for (command, reply) in [
        ("MAIL FROM:<a\nb@x.test>\r\n", "501 5.1.7 "),
        ("RCPT TO:<a\nb@x.test>\r\n", "501 5.1.3 "),
        ("NOOP\n", "500 5.5.2 "),
        ("NOOP\nMAIL FROM:<a@x.test>\r\n", "500 5.5.2 "),
    ] {
        let mut chat = Chat::ready();
        let said = chat.say(format!("{command}QUIT\r\n"));
        assert!(said.starts_with(reply) && said.matches("\r\n").count() == 1, "{command:?}: {said}");
        assert!(chat.closed().is_some() && !chat.saw("Mail"), "{command:?}");
    }
    let mut chat = Chat::ready();
    let said = chat.say("MAIL FROM:<a\rb@x.test>\r\nMAIL FROM:<a\0b@x.test>\r\nNOOP \r x\r\nNOOP\r\n");
    assert_eq!(codes(&said), ["501", "501", "500", "250"]);
    assert!(said.contains("501 5.1.7") && !chat.saw("Mail"));
}

#[test]
fn in11_in14_reach_the_wire() {
    let mut chat = Chat::ready();
    let said =
        chat.say("MAIL FROM:<zo\u{e9}@x.test>\r\nMAIL FROM:<a@x.test> X=1\r\nMAIL FROM:<a@x.test> SIZE=1 SIZE=1\r\n");
    assert_eq!(codes(&said), ["553", "555", "501"]);
    let said = chat.say(
        "MAIL FROM:<a@x.test> SIZE=35000001\r\nMAIL FROM:<zo\u{e9}@x.test> SMTPUTF8\r\nRCPT TO:<zo\u{e9}@y.test>\r\n",
    );
    assert_eq!(codes(&said), ["552", "250", "250"]);
    let said = chat.say("RSET\r\nMAIL FROM:<a@x.test>\r\nRCPT TO:<zo\u{e9}@y.test>\r\nRCPT TO:<a@[192.0.2.1]>\r\n");
    assert_eq!(codes(&said), ["250", "250", "553", "550"]);
}

// --- RX ---

#[test]
fn rx3_recipient_flood() {
    let mut chat = Chat::new(ServerOptions { max_recipients: 3, max_refusals: 5, ..options(Protocol::Smtp) }, true);
    chat.say("EHLO x\r\n");
    let said = chat.say(format!("MAIL FROM:<>\r\n{}", "RCPT TO:<b@y.test>\r\n".repeat(20)));
    assert_eq!(codes(&said), ["250", "250", "250", "250", "452", "452", "452", "452", "452", "452", "421"]);
    assert!(said.contains("452 4.5.3 "));
    assert_eq!(chat.closed(), Some("Closed(Protocol(TooManyErrors))"));
}

#[test]
fn rx4_line_without_end() {
    let mut chat = Chat::ready();
    let said = chat.say("A".repeat(1_000_000));
    assert_eq!(said, "500 5.5.2 Command line too long\r\n");
    assert_eq!(chat.closed(), Some("Closed(Protocol(LineTooLong))"));
    // At the limit, CR LF included, a line is read.
    let line = |length: usize| format!("NOOP {}\r\n", "a".repeat(length - 7));
    assert_eq!(codes(&Chat::ready().say(line(MAX_COMMAND_LINE))), ["250"]);
    assert_eq!(codes(&Chat::ready().say(line(MAX_COMMAND_LINE + 1))), ["500"]);
}

#[test]
fn rx5_junk_commands() {
    for command in ["NOOP\r\n", "RSET\r\n", "VRFY x\r\n", "HELP\r\n"] {
        let mut chat = Chat::new(ServerOptions { max_junk: 10, ..options(Protocol::Smtp) }, true);
        chat.say("EHLO x\r\n");
        let said = chat.say(command.repeat(50));
        assert_eq!(codes(&said).len(), 11, "{command:?}");
        assert!(said.ends_with("421 4.7.0 Too many commands without a message\r\n"), "{command:?}");
        assert!(chat.closed().is_some());
    }
    // An accepted message earns new patience.
    let mut chat = Chat::new(ServerOptions { max_junk: 10, ..options(Protocol::Smtp) }, true);
    chat.say("EHLO x\r\n");
    for _ in 0..5 {
        chat.say("NOOP\r\n".repeat(9));
        chat.say("MAIL FROM:<>\r\nRCPT TO:<b@y.test>\r\nDATA\r\n");
        assert_eq!(codes(&chat.say("x\r\n.\r\n")), ["250"]);
    }
}

#[test]
fn rx5_repeated_hello_errors_and_refusals() {
    let mut chat = Chat::new(ServerOptions { max_junk: 3, ..options(Protocol::Smtp) }, true);
    let said: String = (0..9).map(|_| chat.say("EHLO x\r\n")).collect();
    assert_eq!(codes(&said), ["250", "250", "250", "250", "421"]);
    let mut chat = Chat::new(ServerOptions { max_errors: 2, ..options(Protocol::Smtp) }, true);
    assert_eq!(codes(&chat.say("A\r\nB\r\nC\r\nD\r\n")), ["500", "500", "421"]);
    let mut chat = Chat::new(ServerOptions { max_refusals: 2, ..options(Protocol::Smtp) }, true);
    chat.say("EHLO x\r\n");
    let said = chat.say(format!("MAIL FROM:<>\r\n{}", "RCPT TO:<no@y.test>\r\n".repeat(5)));
    assert_eq!(codes(&said), ["250", "550", "550", "550", "421"]);
}

/// A client that pipelines cannot know yet that MAIL was refused: no error of its own.
#[test]
fn commands_behind_a_refused_mail_are_no_errors() {
    let mut server = Server::new(ServerOptions { max_errors: 2, ..options(Protocol::Smtp) }, true);
    drop(server.take_output());
    assert_eq!(server.receive(b"EHLO x\r\n"), 8);
    assert!(server.poll().is_some());
    drop(server.take_output());
    let group = format!("MAIL FROM:<>\r\n{}DATA\r\nNOOP\r\n", "RCPT TO:<b@y.test>\r\n".repeat(30));
    assert_eq!(server.receive(group.as_bytes()), group.len());
    assert!(matches!(server.poll(), Some(Event::Mail(_))));
    server.answer(Reply::new(550, (5, 7, 1), "not you"));
    assert_eq!(server.poll(), None);
    let said = String::from_utf8(server.take_output()).unwrap();
    assert_eq!((codes(&said).len(), said.matches("503 5.5.1").count(), server.is_closed()), (33, 31, false));
    // Without such a MAIL they are.
    assert_eq!(server.receive("RSET\r\nDATA\r\nDATA\r\nDATA\r\n".as_bytes()), 24);
    while server.poll().is_some() {}
    assert_eq!(codes(&String::from_utf8(server.take_output()).unwrap()), ["250", "503", "503", "421"]);
}

/// RX7, RX8: however much is offered, what is held stays bounded, and nothing is lost.
#[test]
fn rx7_rx8_back_pressure() {
    let mut server = Server::new(ServerOptions { max_junk: u32::MAX, ..options(Protocol::Smtp) }, true);
    drop(server.take_output());
    let offered = "NOOP\r\n".repeat(100_000);
    let (mut rest, mut replies) = (offered.as_bytes(), 0);
    loop {
        let taken = server.receive(rest);
        rest = &rest[taken..];
        while server.poll().is_some() {}
        if taken == 0 {
            // Nobody took the output: the server stopped reading.
            assert!(server.output.len() <= OUTPUT_BOUND + MAX_COMMAND_LINE, "{}", server.output.len());
            assert!(server.input.unread().len() <= COMMAND_BUFFER);
            let output = server.take_output();
            replies += output.iter().filter(|octet| **octet == b'\n').count();
            if output.is_empty() && rest.is_empty() {
                break;
            }
        }
    }
    assert_eq!(replies, 100_000);
}

#[test]
fn rx_a_body_gives_its_memory_back() {
    let mut chat = Chat::in_body(options(Protocol::Smtp));
    assert_eq!(chat.server.input_capacity(), BODY_BUFFER);
    chat.say("a\r\n".repeat(100_000));
    chat.say(".\r\n");
    assert_eq!(chat.server.input_capacity(), COMMAND_BUFFER);
    assert_eq!(chat.body.len(), 300_000);
}

// --- LMTP, sequences, answers ---

#[test]
fn lmtp_one_final_reply_for_each_recipient() {
    let mut chat = Chat::new(options(Protocol::Lmtp), true);
    assert_eq!(codes(&chat.say("EHLO x\r\n")), ["500"]);
    chat.say("LHLO x\r\n");
    let said = chat.say("MAIL FROM:<>\r\nRCPT TO:<a@y.test>\r\nRCPT TO:<no@y.test>\r\nRCPT TO:<b@y.test>\r\nDATA\r\n");
    assert_eq!(codes(&said), ["250", "250", "550", "250", "354"]);
    assert_eq!(chat.say("x\r\n.\r\n"), "250 2.0.0 queued 0\r\n250 2.0.0 queued 1\r\n");
    assert_eq!(
        codes(&chat.say("MAIL FROM:<>\r\nRCPT TO:<no@y.test>\r\nDATA\r\nQUIT\r\n")),
        ["250", "550", "503", "221"]
    );
    assert_eq!(codes(&Chat::smtp().say("LHLO x\r\n")), ["500"]);
}

#[test]
fn lmtp_refused_body_answers_each_recipient() {
    let mut chat = Chat::new(ServerOptions { max_size: 2, ..options(Protocol::Lmtp) }, true);
    chat.say("LHLO x\r\n");
    chat.say("MAIL FROM:<>\r\nRCPT TO:<a@y.test>\r\nRCPT TO:<b@y.test>\r\nDATA\r\n");
    assert_eq!(codes(&chat.say("xyz\r\n.\r\n")), ["552", "552"]);
}

#[test]
fn refuse_body_reads_to_the_end() {
    let mut chat = Chat::in_body(options(Protocol::Smtp));
    chat.say("a\r\n");
    chat.server.refuse_body(Reply::new(452, (4, 3, 1), "disk full"));
    assert_eq!(chat.say("b\r\n"), "");
    assert_eq!(chat.say("MAIL FROM:<>\r\n.\r\nNOOP\r\n"), "452 4.3.1 disk full\r\n250 2.0.0 OK\r\n");
    assert!(chat.body == b"a\r\n" && !chat.saw("BodyEnd"));
}

/// NT-X01, NT-X08, NT-X09: wrong order, and a group of which some commands fail.
#[test]
fn nt_x08_sequences() {
    for (dialogue, expected) in [
        ("RCPT TO:<b@y.test>\r\n", vec!["503"]),
        ("DATA\r\n", vec!["503"]),
        ("MAIL FROM:<>\r\nMAIL FROM:<>\r\n", vec!["250", "503"]),
        ("MAIL FROM:<>\r\nDATA\r\nNOOP\r\n", vec!["250", "554", "250"]),
        ("MAIL FROM:<>\r\nRCPT TO:<no@y.test>\r\nDATA\r\n", vec!["250", "550", "554"]),
        ("MAIL FROM:<>\r\nRSET\r\nRCPT TO:<b@y.test>\r\n", vec!["250", "250", "503"]),
        ("MAIL FROM:<>\r\nRCPT TO:<later@y.test>\r\nRCPT TO:<b@y.test>\r\nDATA\r\n", vec!["250", "451", "250", "354"]),
        ("QUIT\r\nMAIL FROM:<>\r\n", vec!["221"]),
        ("VRFY b\r\nEXPN b\r\nHELP\r\nTURN\r\n", vec!["252", "502", "214", "500"]),
    ] {
        assert_eq!(codes(&Chat::ready().say(dialogue)), expected, "{dialogue:?}");
    }
    assert_eq!(codes(&Chat::smtp().say("MAIL FROM:<>\r\n")), ["503"], "before EHLO");
    let mut chat = Chat::ready();
    chat.say("MAIL FROM:<>\r\nRCPT TO:<b@y.test>\r\n");
    chat.say("EHLO again\r\n");
    assert_eq!(codes(&chat.say("DATA\r\n")), ["503"], "EHLO ends the transaction");
}

#[test]
fn caller_answers_421_or_nonsense() {
    let mut chat = Chat::ready();
    let said = chat.say("MAIL FROM:<>\r\nRCPT TO:<away@y.test>\r\nNOOP\r\n");
    assert_eq!((codes(&said), chat.closed()), (vec!["250", "421"], Some("Closed(Caller)")));
    // An answer that nobody asked for, and one that fits no question.
    let mut chat = Chat::ready();
    chat.server.answer(Reply::ok());
    assert_eq!((codes(&chat.flush()), chat.closed()), (vec!["421"], Some("Closed(Protocol(Internal))")));
    for (group, reply) in [("MAIL FROM:<>\r\n", 354), ("MAIL FROM:<>\r\nRCPT TO:<b@y.test>\r\nDATA\r\n", 250)] {
        let mut server = Server::new(options(Protocol::Smtp), true);
        drop(server.take_output());
        assert_eq!(server.receive(b"EHLO x\r\n"), 8);
        while server.poll().is_some() {}
        drop(server.take_output());
        assert_eq!(server.receive(group.as_bytes()), group.len());
        while let Some(event) = server.poll() {
            let last = matches!(event, Event::DataRequested) || group.len() < 20;
            server.answer(if last { Reply::bare(reply, "x") } else { Reply::ok() });
            if last {
                break;
            }
        }
        assert_eq!(server.poll(), Some(Event::Closed(CloseReason::Protocol(ProtocolError::Internal))));
        assert!(
            String::from_utf8(server.take_output()).unwrap().ends_with("421 4.3.0 Internal error, try again later\r\n")
        );
    }
}

#[test]
fn refused_data_ends_the_transaction() {
    let mut server = Server::new(options(Protocol::Smtp), true);
    drop(server.take_output());
    for (line, reply) in [
        ("EHLO x\r\n", None),
        ("MAIL FROM:<>\r\n", Some(Reply::ok())),
        ("RCPT TO:<b@y.test>\r\n", Some(Reply::ok())),
        ("DATA\r\n", Some(Reply::new(451, (4, 3, 0), "not now"))),
    ] {
        assert_eq!(server.receive(line.as_bytes()), line.len());
        assert!(server.poll().is_some());
        if let Some(reply) = reply {
            assert_eq!((server.answers_due(), server.waits_for()), (1, None));
            server.answer(reply);
        }
        drop(server.take_output());
    }
    assert!(server.is_idle());
    assert_eq!(server.receive(b"DATA\r\n"), 6);
    assert_eq!(server.poll(), None);
    assert_eq!(server.take_output(), b"503 5.5.1 Bad sequence of commands\r\n");
}

#[test]
fn closing_from_our_side() {
    let mut server = Server::new(options(Protocol::Smtp), false);
    server.close_with(&Reply::new(421, (4, 3, 2), "shutting down"));
    assert_eq!(server.take_output(), b"421 4.3.2 shutting down\r\n", "in place of the banner");
    assert_eq!(server.poll(), Some(Event::Closed(CloseReason::Caller)));
    let mut chat = Chat::in_body(options(Protocol::Smtp));
    assert_eq!(chat.server.waits_for(), Some(Wait::DataBlock));
    chat.server.close_with(&Reply::new(421, (4, 4, 2), "too slow"));
    assert_eq!((codes(&chat.flush()), chat.closed()), (vec!["421"], Some("Closed(Caller)")));
}

// --- properties ---

/// A group of commands after which a client has to wait; every other command may stand before.
fn group() -> impl Strategy<Value = String> {
    let anywhere = prop_oneof![
        Just("NOOP\r\n"),
        Just("RSET\r\n"),
        Just("MAIL FROM:<a@x.test> SIZE=9\r\n"),
        Just("MAIL FROM:<>\r\n"),
        Just("RCPT TO:<b@y.test>\r\n"),
        Just("RCPT TO:<no@y.test>\r\n"),
        Just("RCPT TO:<a\nb>\r\n"),
        Just("VRFY x\r\n"),
        Just("BOGUS\r\n"),
        Just("AUTH EXTERNAL =\r\n"),
        Just("MAIL FROM:<a\rb@x.test>\r\n"),
        Just("\r\n"),
    ];
    let last = prop_oneof![
        4 => Just("DATA\r\n"), 3 => Just("EHLO x\r\n"), 1 => Just("QUIT\r\n"), 1 => Just("AUTH EXTERNAL\r\n"),
        1 => Just(""), 1 => Just("x\n"), 1 => Just("\0\r\n"),
    ];
    let body = prop_oneof![
        6 => "(a|\\.|\r\n){0,12}\r\n\\.\r\n", 1 => "(a|\\.|\r|\n|\r\n){0,12}",
    ];
    prop_oneof![
        3 => (proptest::collection::vec(anywhere, 0..6), last).prop_map(|(some, last)| some.concat() + last),
        2 => body,
    ]
}

proptest! {
    /// SM3, RP7's twin: where a group is cut changes neither events nor replies nor the body.
    #[test]
    fn cuts_change_nothing(groups in proptest::collection::vec((group(), proptest::collection::vec(0usize..80, 0..4)), 0..8)) {
        let (mut whole, mut cut) = (Chat::smtp(), Chat::smtp());
        for (text, mut places) in groups {
            let bytes = text.as_bytes();
            // In a body a group may end anywhere; what is behind the final dot is a group of its own.
            let expected = whole.say(bytes);
            places.iter_mut().for_each(|place| *place = (*place).min(bytes.len()));
            places.sort_unstable();
            let (mut said, mut from) = (String::new(), 0);
            for place in places.into_iter().chain([bytes.len()]) {
                said.push_str(&cut.say(&bytes[from..place]));
                from = place;
            }
            prop_assert_eq!(&said, &expected, "{:?}", text);
            prop_assert_eq!(&cut.events, &whole.events);
            prop_assert_eq!(&cut.body, &whole.body);
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400), lmtp in any::<bool>(), tls in any::<bool>()) {
        let protocol = if lmtp { Protocol::Lmtp } else { Protocol::Smtp };
        let mut chat = Chat::new(options(protocol), tls);
        let said = chat.say(bytes);
        prop_assert!(said.is_ascii());
    }
}
