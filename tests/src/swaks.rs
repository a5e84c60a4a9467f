//! swaks as practice software: the client that the README tells readers to try by hand.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use crate::certs::CredentialFiles;
use crate::process::{Finished, run, tool};

/// One swaks run, put together step by step.
#[derive(Debug)]
pub struct Swaks(Command);

impl Swaks {
    /// To this server.
    #[must_use]
    pub fn to(server: SocketAddr) -> Self {
        let mut command = tool("swaks");
        command.args(["--server", &server.ip().to_string(), "--port", &server.port().to_string()]);
        command.args(["--timeout", "30", "--helo", "practice.test", "--suppress-data"]);
        Self(command)
    }

    /// Uses STARTTLS and ends where it is not offered.
    #[must_use]
    pub fn start_tls(self) -> Self {
        self.with(&["--tls"])
    }

    /// Begins with TLS (port 465).
    #[must_use]
    pub fn tls_on_connect(self) -> Self {
        self.with(&["--tls-on-connect"])
    }

    /// Presents this certificate.
    #[must_use]
    pub fn identity(mut self, files: &CredentialFiles) -> Self {
        self.0.arg("--tls-cert").arg(&files.certificate).arg("--tls-key").arg(&files.key);
        self
    }

    /// Checks the server's certificate against these roots.
    #[must_use]
    pub fn trusting(mut self, roots: &Path) -> Self {
        self.0.arg("--tls-verify").arg("--tls-ca-path").arg(roots);
        self
    }

    /// The envelope's sender; empty for the null sender.
    #[must_use]
    pub fn from(self, sender: &str) -> Self {
        self.with(&["--from", if sender.is_empty() { "<>" } else { sender }])
    }

    /// The envelope's recipients.
    #[must_use]
    pub fn recipients(self, recipients: &[&str]) -> Self {
        self.with(&["--to", &recipients.join(",")])
    }

    /// Further arguments as they are.
    #[must_use]
    pub fn with(mut self, arguments: &[&str]) -> Self {
        self.0.args(arguments);
        self
    }

    /// Sends this message. swaks turns line ends into CRLF and stuffs dots. Its exit code is 0 when
    /// the message was accepted for at least one recipient; the output is the dialogue.
    #[must_use]
    pub fn send(mut self, message: &[u8]) -> Finished {
        run(self.0.args(["--data", "-"]), message)
    }

    /// Goes as far as RCPT, without a message.
    #[must_use]
    pub fn try_recipients(mut self) -> Finished {
        run(self.0.args(["--quit-after", "RCPT"]), b"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::{Sink, SinkOptions};
    use crate::certs::{Authority, Use};
    use crate::place::Scratch;

    #[test]
    fn submits_with_a_client_certificate() {
        let scratch = Scratch::new("swaks");
        let authority = Authority::new("Test root");
        let roots = authority.write(&scratch, "root");
        let server = authority.issue("sink.test", &Use::Server(&["sink.test"], None));
        let client = authority.issue("Dr MARTIN-TEST", &Use::Client);
        let sink =
            Sink::start(SinkOptions::smtp().mutual_tls(&server, &[], std::slice::from_ref(authority.certificate())));

        let sent = Swaks::to(sink.address())
            .start_tls()
            .identity(&client.write(&scratch, "client"))
            .trusting(&roots)
            .from("a@a.test")
            .recipients(&["b@b.test", "c@b.test"])
            .send(b"Subject: Essai\n\n.point\n");
        assert_eq!(sent.code, Some(0), "{}", sent.text());
        let kept = sink.wait_for(1).remove(0);
        assert_eq!(kept.recipients.len(), 2);
        assert!(kept.message.starts_with(b"Subject: Essai\r\n\r\n.point\r\n"), "{}", kept.message.escape_ascii());
        assert_eq!(kept.peer.unwrap().to_der().unwrap(), client.certificate.to_der().unwrap());
    }

    #[test]
    fn tells_a_refusal() {
        let sink = Sink::start(
            SinkOptions::smtp().answering(|said| said.starts_with("RCPT").then(|| "550 5.1.1 no".to_owned())),
        );
        let tried = Swaks::to(sink.address()).from("a@a.test").recipients(&["b@b.test"]).try_recipients();
        assert_ne!(tried.code, Some(0));
        assert!(tried.text().contains("550 5.1.1 no"), "{}", tried.text());
    }
}
