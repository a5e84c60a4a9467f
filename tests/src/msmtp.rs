//! msmtp as practice software: a second client, with GnuTLS instead of OpenSSL.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use crate::certs::CredentialFiles;
use crate::process::{Finished, run, tool};

/// One msmtp run, put together step by step.
#[derive(Debug)]
pub struct Msmtp(Command);

impl Msmtp {
    /// To this server, without TLS until told otherwise.
    #[must_use]
    pub fn to(server: SocketAddr) -> Self {
        let mut command = tool("msmtp");
        command.arg(format!("--host={}", server.ip())).arg(format!("--port={}", server.port()));
        command.args(["--timeout=30", "--domain=practice.test", "--auth=off", "--tls=off"]);
        Self(command)
    }

    /// Uses STARTTLS, trusts these roots and expects this host name.
    #[must_use]
    pub fn start_tls(self, host: &str, roots: &Path) -> Self {
        self.with(&["--tls=on", "--tls-starttls=on"]).trusting(host, roots)
    }

    /// Begins with TLS, trusts these roots and expects this host name.
    #[must_use]
    pub fn tls_on_connect(self, host: &str, roots: &Path) -> Self {
        self.with(&["--tls=on", "--tls-starttls=off"]).trusting(host, roots)
    }

    fn trusting(mut self, host: &str, roots: &Path) -> Self {
        self.0.arg(format!("--tls-host-override={host}")).arg(format!("--tls-trust-file={}", roots.display()));
        self
    }

    /// Presents this certificate, and with `external` also says AUTH EXTERNAL (RFC 4954) as that user.
    #[must_use]
    pub fn identity(mut self, files: &CredentialFiles, external: Option<&str>) -> Self {
        self.0.arg(format!("--tls-cert-file={}", files.certificate.display()));
        self.0.arg(format!("--tls-key-file={}", files.key.display()));
        if let Some(user) = external {
            self.0.args(["--auth=external", &format!("--user={user}")]);
        }
        self
    }

    /// Further arguments as they are.
    #[must_use]
    pub fn with(mut self, arguments: &[&str]) -> Self {
        self.0.args(arguments);
        self
    }

    /// Sends this message. The exit code is 0 when it was accepted for every recipient.
    #[must_use]
    pub fn send(mut self, sender: &str, recipients: &[&str], message: &[u8]) -> Finished {
        run(self.0.arg(format!("--from={sender}")).arg("--").args(recipients), message)
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
        let scratch = Scratch::new("msmtp");
        let authority = Authority::new("Test root");
        let roots = authority.write(&scratch, "root");
        let server = authority.issue("sink.test", &Use::Server(&["sink.test"], None));
        let client = authority.issue("Dr MARTIN-TEST", &Use::Client);
        let sink =
            Sink::start(SinkOptions::smtp().mutual_tls(&server, &[], std::slice::from_ref(authority.certificate())));

        let sent = Msmtp::to(sink.address())
            .start_tls("sink.test", &roots)
            .identity(&client.write(&scratch, "client"), None)
            .send("a@a.test", &["b@b.test"], b"Subject: Essai\n\nBonjour\n");
        assert_eq!(sent.code, Some(0), "{}", sent.errors);
        let kept = sink.wait_for(1).remove(0);
        assert!(kept.message.ends_with(b"Bonjour\r\n"), "{}", kept.message.escape_ascii());
        assert_eq!(kept.peer.unwrap().to_der().unwrap(), client.certificate.to_der().unwrap());
    }
}
