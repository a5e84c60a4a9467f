//! The server's side of SMTP and LMTP (RFC 5321, 2033): a whole session from one input.
//!
//! The first octet chooses the protocol and how the stream is cut: by lines, as a client that waits for
//! each answer sends it, or by size.

use smtp::{Event, Protocol, Reply, Server, ServerOptions};

use crate::Target;

/// The target.
pub const TARGET: Target = Target {
    name: "server",
    covers: &[
        "gateway/smtp/src/command.rs",
        "gateway/smtp/src/data.rs",
        "gateway/smtp/src/parameters.rs",
        "gateway/smtp/src/path.rs",
        "gateway/smtp/src/server.rs",
        "gateway/smtp/src/server/commands.rs",
        "gateway/smtp/src/xtext.rs",
    ],
    run,
    seeds,
};

fn run(data: &[u8]) -> bool {
    let Some((&kind, stream)) = data.split_first() else {
        return false;
    };
    let protocol = if kind & 1 == 0 { Protocol::Smtp } else { Protocol::Lmtp };
    let mut options = ServerOptions::new("gw.ch-exemple.test", protocol);
    (options.starttls, options.auth_external, options.dsn, options.requiretls) = (true, true, true, true);
    options.max_size = 4096;
    let mut server = Server::new(options, kind & 2 != 0);
    let _ = server.take_output();
    let piece = usize::from(kind >> 3).saturating_add(1);
    let mut deep = false;
    let pieces: Vec<&[u8]> = match kind & 4 {
        0 => stream.chunks(piece).collect(),
        _ => stream.split_inclusive(|octet| *octet == b'\n').collect(),
    };
    for chunk in pieces {
        let mut rest = chunk;
        while !rest.is_empty() && !server.is_closed() {
            let taken = server.receive(rest);
            rest = rest.get(taken..).unwrap_or_default();
            let moved = drive(&mut server, &mut deep);
            let written = server.take_output();
            if taken == 0 && !moved && written.is_empty() {
                break;
            }
        }
    }
    server.peer_closed();
    drive(&mut server, &mut deep);
    deep
}

/// Answers all that is asked; true if anything happened.
fn drive(server: &mut Server, deep: &mut bool) -> bool {
    let mut moved = false;
    while let Some(event) = server.poll() {
        moved = true;
        match event {
            Event::StartTls => {
                let _ = server.take_output();
                server.tls_started();
            }
            Event::Authenticate { .. } => server.answer(Reply::new(235, (2, 7, 0), "oui")),
            Event::Mail(_) => server.answer(Reply::new(250, (2, 0, 0), "oui")),
            Event::Recipient(to) => {
                *deep |= to.orcpt.is_some_and(|original| original.kind != "rfc822");
                server.answer(Reply::new(250, (2, 0, 0), "oui"));
            }
            Event::DataRequested => server.answer(Reply::send_body()),
            Event::BodyEnd => {
                for _ in 0..server.answers_due() {
                    server.answer(Reply::new(250, (2, 0, 0), "oui"));
                }
            }
            Event::Hello { .. } | Event::Body(_) | Event::BodyRefused(_) | Event::Reset | Event::Closed(_) => {}
        }
        assert!(server.take_output().len() <= 64 * 1024, "what is to be said is bounded");
    }
    moved
}

fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let letter = "MAIL FROM:<a@ch-exemple.test> SIZE=100 BODY=8BITMIME RET=HDRS ENVID=a+2Bb REQUIRETLS SMTPUTF8\r\n\
                  RCPT TO:<@x.test:b@ch-autre.test> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;b+40x.test\r\nRCPT TO:<\"c d\"@[127.0.0.1]>\r\n\
                  DATA\r\n..bonjour\r\n.\r\nMAIL FROM:<>\r\nRSET\r\nVRFY x\r\nHELP\r\nNOOP\r\nQUIT\r\n";
    let tls = "EHLO x.test\r\nSTARTTLS\r\nEHLO x.test\r\nAUTH EXTERNAL =\r\nAUTH EXTERNAL\r\nYQ==\r\n";
    vec![
        ("smtp", format!("\u{6}EHLO x.test\r\n{letter}").into_bytes()),
        ("tls", format!("\u{4}{tls}{letter}").into_bytes()),
        ("lmtp", format!("\u{7}LHLO x.test\r\n{letter}").into_bytes()),
        ("helo", b"\x06HELO x\r\nMAIL FROM:<a@x.test>\r\nRCPT TO:<Postmaster>\r\nDATA\r\nx\n.\r\n".to_vec()),
        ("pieces", format!("\u{7e}EHLO x.test\r\n{letter}").into_bytes()),
    ]
}
