//! The client's side: what a hostile server answers.
//!
//! The first octet chooses protocol and pieces, the rest is what the server says.

use ident::Address;
use smtp::{Client, ClientEvent, ClientOptions, Envelope, MailFrom, Protocol, RcptTo, TlsUse};

use crate::Target;

/// The target.
pub const TARGET: Target = Target {
    name: "client",
    covers: &[
        "gateway/smtp/src/capabilities.rs",
        "gateway/smtp/src/client.rs",
        "gateway/smtp/src/client/transaction.rs",
        "gateway/smtp/src/reply_reader.rs",
    ],
    run,
    seeds,
};

fn envelope() -> Envelope {
    let to = |text: &str| RcptTo::new(Address::parse(text).expect("an address"));
    Envelope {
        mail: MailFrom { sender: Address::parse("a@ch-exemple.test").ok(), size: Some(3), ..MailFrom::default() },
        recipients: vec![to("b@ch-autre.test"), to("c@ch-autre.test")],
    }
}

fn run(data: &[u8]) -> bool {
    let Some((&kind, stream)) = data.split_first() else {
        return false;
    };
    let protocol = if kind & 1 == 0 { Protocol::Smtp } else { Protocol::Lmtp };
    let mut options = ClientOptions::new("gw.ch-exemple.test", protocol);
    options.tls = if kind & 2 == 0 { TlsUse::Required } else { TlsUse::Never };
    options.pipelining = kind & 4 != 0;
    let mut client = Client::new(options);
    let (mut deep, mut sent) = (false, 0);
    for chunk in stream.chunks(usize::from(kind >> 3).saturating_add(1)) {
        let mut rest = chunk;
        while !rest.is_empty() {
            let taken = client.receive(rest);
            rest = rest.get(taken..).unwrap_or_default();
            let moved = drive(&mut client, &mut sent, &mut deep);
            if taken == 0 && !moved && client.take_output().is_empty() {
                break;
            }
            let _ = client.take_output();
        }
    }
    client.connection_lost();
    drive(&mut client, &mut sent, &mut deep);
    deep
}

fn drive(client: &mut Client, sent: &mut u32, deep: &mut bool) -> bool {
    let mut moved = false;
    while let Some(event) = client.poll() {
        moved = true;
        match event {
            ClientEvent::StartTls => client.tls_started(),
            ClientEvent::Ready if *sent < 2 => {
                *sent = sent.saturating_add(1);
                let _ = client.send(envelope());
            }
            ClientEvent::Ready => client.quit(),
            ClientEvent::SendBody => {
                let _ = client.send_body(b"x\r\n");
                let _ = client.finish_body();
            }
            ClientEvent::Done(outcomes) => {
                assert_eq!(outcomes.len(), 2, "one outcome for each recipient");
                let delivered = |outcome: &smtp::RecipientOutcome| format!("{outcome:?}").contains('Z');
                *deep |= outcomes.iter().any(delivered);
            }
            ClientEvent::Closed(_) => {}
        }
    }
    moved
}

fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let hello = "250-x.test\r\n250-SIZE 1000\r\n250-PIPELINING\r\n250-DSN\r\n250-8BITMIME\r\n250-LIMITS RCPTMAX=1\r\n250-STARTTLS\r\n250 SMTPUTF8\r\n";
    let done = "250 2.1.0 oui\r\n250 2.1.5 oui\r\n550-5.1.1 non\r\n550 5.1.1 non\r\n354 va\r\n250 2.0.0 pris\r\n";
    vec![
        ("tls", format!("\u{0c}220 x.test\r\n{hello}220 va\r\n{hello}{done}221 adieu\r\n").into_bytes()),
        ("plain", format!("\u{7e}220-x\r\n220 x.test\r\n{hello}{done}{done}").into_bytes()),
        ("lmtp", format!("\u{7f}220 x.test\r\n{hello}{done}452 4.2.2 plein\r\n421 4.3.0 fini\r\n").into_bytes()),
    ]
}
