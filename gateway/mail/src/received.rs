//! The trace field that we add (RFC 5321 §4.4), with everything a peer said made harmless (IN4).

use std::net::IpAddr;

use ident::{Address, Timestamp};

/// Longest piece of peer text in a trace field.
const MAX_PEER_TEXT: usize = 120;

/// What is known about a transaction when its trace field is written.
#[derive(Debug, Clone, Copy)]
pub struct Hop<'a> {
    /// The peer's EHLO or LHLO argument, as it came.
    pub hello: &'a str,
    /// The peer's network address.
    pub peer: Option<IpAddr>,
    /// Name that the peer's certificate proved, if any.
    pub proven: Option<&'a str>,
    /// TLS version and cipher suite, if any.
    pub tls: Option<&'a str>,
    /// Our own host name.
    pub by: &'a str,
    /// Protocol keyword of the IANA registry: `ESMTPS`, `ESMTPSA`, `UTF8SMTPS`, `LMTP`…
    pub with: &'a str,
    /// Queue identifier.
    pub id: &'a str,
    /// The one recipient; leave out when there are several (a blind copy would show) or when the
    /// address says more than a name (patients).
    pub recipient: Option<&'a Address>,
    /// When.
    pub at: Timestamp,
}

/// Writes the field with its CRLF.
pub fn received(hop: &Hop<'_>) -> String {
    let mut first = format!("from {}", word(hop.hello));
    let mut inside: Vec<String> = Vec::new();
    inside.extend(hop.proven.map(word));
    inside.extend(hop.peer.map(|ip| match ip {
        IpAddr::V4(ip) => format!("[{ip}]"),
        IpAddr::V6(ip) => format!("[IPv6:{ip}]"),
    }));
    if !inside.is_empty() {
        first.push_str(&format!(" ({})", inside.join(" ")));
    }
    let mut lines = vec![first];
    lines.extend(hop.tls.map(|tls| format!("(using {})", comment(tls))));
    let mut by = format!("by {} with {} id {}", word(hop.by), word(hop.with), word(hop.id));
    if let Some(recipient) = hop.recipient {
        by.push_str(&format!("\r\n\tfor <{recipient}>"));
    }
    lines.push(format!("{by};"));
    lines.push(hop.at.rfc5322());
    format!("Received: {}\r\n", lines.join("\r\n\t"))
}

/// A word that can be nothing but a word: letters, digits and the marks of host names and addresses.
fn word(text: &str) -> String {
    let clean: String = text
        .chars()
        .take(MAX_PEER_TEXT)
        .map(|c| if c.is_ascii_alphanumeric() || "-._:[]+/=".contains(c) { c } else { '?' })
        .collect();
    if clean.is_empty() { "unknown".to_owned() } else { clean }
}

/// Text inside a comment: printable ASCII that cannot end it.
fn comment(text: &str) -> String {
    let allowed = |c: char| (c.is_ascii_graphic() || c == ' ') && !matches!(c, '(' | ')' | '\\');
    text.chars().take(MAX_PEER_TEXT).map(|c| if allowed(c) { c } else { '?' }).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Limits, read};

    fn hop() -> Hop<'static> {
        Hop {
            hello: "mail.ch-autre.test",
            peer: Some("192.0.2.7".parse().unwrap()),
            proven: Some("mail.ch-autre.test"),
            tls: Some("TLSv1.3 TLS_AES_256_GCM_SHA384"),
            by: "gw.ch-exemple.test",
            with: "ESMTPS",
            id: "q1",
            recipient: None,
            at: Timestamp::parse("2026-11-21T22:57:00Z").unwrap(),
        }
    }

    #[test]
    fn golden() {
        assert_eq!(
            received(&hop()),
            "Received: from mail.ch-autre.test (mail.ch-autre.test [192.0.2.7])\r\n\
             \t(using TLSv1.3 TLS_AES_256_GCM_SHA384)\r\n\
             \tby gw.ch-exemple.test with ESMTPS id q1;\r\n\
             \tSat, 21 Nov 2026 22:57:00 +0000\r\n"
        );
    }

    proptest! {
        /// IN4: whatever the peer says, one field comes out and the trace still names us.
        #[test]
        fn hostile_peers_write_no_header(hello in "\\PC{0,300}|[a\r\n:() ;\\\\]{0,40}", tls in "[a\r\n:()\\\\ é]{0,200}") {
            let field = received(&Hop { hello: &hello, tls: Some(&tls), ..hop() });
            let message = format!("{field}From: a@x.test\r\n\r\n");
            let facts = read(message.as_bytes(), &Limits::default()).unwrap();
            prop_assert_eq!((facts.received, facts.passed_through("gw.ch-exemple.test")), (1, 1));
            prop_assert_eq!(facts.from.to_string(), "a@x.test");
        }
    }
}
