//! The trusted space of the stories, in one folder: three operators, their people and their
//! certificates, made by the demonstration's own code; and the gateways that run in it.

use std::path::{Path, PathBuf};

use ident::{Clock, SystemClock, Timestamp};
use openssl::x509::X509;
use pki::issue::KeyAlgorithm;
use sceau::demo::authorities::Authorities;
use sceau::demo::cast::Place;
use sceau::demo::space::{HospitalPorts, IdentityFiles, OperatorPorts, Ports, Space, SpaceSettings};

use crate::capture::{Sink, SinkOptions};
use crate::certs::{CredentialFiles, Credentials, certificates};
use crate::gateway::Gateway;
use crate::place::{Scratch, free_endpoint};
use crate::swaks::Swaks;
use crate::wire::{Reply, TlsClient, Wire};

/// A trusted space of one test's own.
#[derive(Debug)]
pub struct World {
    /// Where everything is and who is in it.
    pub space: Space,
    /// Who issues and revokes in it.
    pub authorities: Authorities,
    // Last: it must be there as long as anything else.
    folder: Scratch,
}

impl World {
    /// Makes one, with P-256 keys throughout because they are quick to make.
    #[must_use]
    #[track_caller]
    pub fn new() -> Self {
        Self::with(KeyAlgorithm::P256, SystemClock.now())
    }

    /// Makes one whose directory holds so many people besides the cast.
    #[must_use]
    #[track_caller]
    pub fn peopled(people: u32) -> Self {
        Self::made(KeyAlgorithm::P256, SystemClock.now(), people)
    }

    /// Makes one with keys of this kind, whose certificates and lists are issued at this moment.
    #[must_use]
    #[track_caller]
    pub fn with(key: KeyAlgorithm, now: Timestamp) -> Self {
        Self::made(key, now, 20)
    }

    #[track_caller]
    fn made(key: KeyAlgorithm, now: Timestamp, people: u32) -> Self {
        let folder = Scratch::new("world");
        let hospital = || HospitalPorts {
            submission: free_endpoint(),
            submission_tls: free_endpoint(),
            exchange: free_endpoint(),
            inner: free_endpoint(),
        };
        let ports = Ports {
            a: hospital(),
            b: hospital(),
            c: OperatorPorts { exchange: free_endpoint(), internal: free_endpoint(), inner: free_endpoint() },
            // Tests of the pages write the section themselves.
            pages: None,
        };
        let settings = SpaceSettings { folder: folder.path().to_owned(), now, seed: 1, people, key, ports };
        let (space, authorities) =
            Space::create_with_authorities(&settings).unwrap_or_else(|error| panic!("making the space: {error}"));
        Self { space, authorities, folder }
    }

    /// The folder that everything is in.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The configuration file of hospital A or B.
    #[must_use]
    pub fn configuration(&self, place: Place) -> PathBuf {
        self.space.configuration(place)
    }

    /// Changes a hospital's file (`sceau.toml`, `registry.toml`) before its gateway starts, or
    /// before it is told to read again. A text that is not there fails the test.
    #[track_caller]
    pub fn edit(&self, place: Place, file: &str, from: &str, to: &str) {
        let path = self.folder.path().join(place.folder()).join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{} does not contain {from:?}", path.display());
        std::fs::write(&path, text.replacen(from, to, 1)).unwrap();
    }

    /// Adds to a hospital's file.
    pub fn append(&self, place: Place, file: &str, text: &str) {
        let path = self.folder.path().join(place.folder()).join(file);
        let before = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, format!("{before}\n{text}\n")).unwrap();
    }

    /// Starts a hospital's gateway.
    #[must_use]
    #[track_caller]
    pub fn serve(&self, place: Place) -> Gateway {
        Gateway::serve(&self.configuration(place))
    }

    /// Stands in for a hospital's inner mail store: takes everything and keeps it.
    #[must_use]
    pub fn inner_store(&self, place: Place) -> Sink {
        Sink::start(SinkOptions::lmtp().at(self.ports(place).inner))
    }

    /// A hospital's ports.
    #[must_use]
    pub fn ports(&self, place: Place) -> HospitalPorts {
        match place {
            Place::A => self.space.ports.a,
            _ => self.space.ports.b,
        }
    }

    /// The card of one of the cast.
    #[must_use]
    #[track_caller]
    pub fn card(&self, key: &str) -> &IdentityFiles {
        &self.space.holder(key).unwrap_or_else(|| panic!("nobody is called {key}")).card
    }

    /// The mailbox of one of the cast.
    #[must_use]
    #[track_caller]
    pub fn address(&self, key: &str) -> String {
        let holder = self.space.holder(key).unwrap_or_else(|| panic!("nobody is called {key}"));
        holder.person.mailbox.as_ref().unwrap_or_else(|| panic!("{key} has no mailbox")).to_string()
    }

    /// A file with the root and the authority of servers, as mail programs want it.
    #[must_use]
    pub fn server_roots(&self) -> PathBuf {
        self.space.anchor("servers-chain")
    }

    /// The pinned root for a purpose: `persons`, `organisations`, `servers`.
    #[must_use]
    pub fn root(&self, purpose: &str) -> X509 {
        certificates(&self.space.anchor(purpose)).remove(0)
    }

    /// A TLS client that trusts the space's servers and shows this certificate.
    #[must_use]
    pub fn tls(&self, identity: &IdentityFiles) -> TlsClient {
        let (credentials, chain) = Credentials::load(&identity.certificate, &identity.key);
        TlsClient::trusting(&[self.root("servers")]).with_identity(&credentials, &chain)
    }

    /// A session at a hospital's submission port, after TLS, as the holder of this certificate.
    #[must_use]
    #[track_caller]
    pub fn submission(&self, place: Place, identity: &IdentityFiles) -> Wire {
        greeted(self.ports(place).submission, &place.host(), &self.tls(identity))
    }

    /// A session at a hospital's exchange port, after TLS, as the holder of this certificate.
    #[must_use]
    #[track_caller]
    pub fn exchange(&self, place: Place, identity: &IdentityFiles) -> Wire {
        greeted(self.ports(place).exchange, &place.host(), &self.tls(identity))
    }

    /// swaks, set up for hospital A's submission port with a card.
    #[must_use]
    #[track_caller]
    pub fn swaks(&self, card: &str) -> Swaks {
        Swaks::to(self.space.ports.a.submission)
            .start_tls()
            .trusting(&self.server_roots())
            .identity(&files(self.card(card)))
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

/// The same files under the name that the starters use.
#[must_use]
pub fn files(identity: &IdentityFiles) -> CredentialFiles {
    CredentialFiles { certificate: identity.certificate.clone(), key: identity.key.clone() }
}

#[track_caller]
fn greeted(to: std::net::SocketAddr, host: &str, tls: &TlsClient) -> Wire {
    let mut wire = Wire::connect(to);
    wire.expect(220);
    wire.exchange("EHLO wire.test", 250);
    wire.start_tls(host, tls);
    wire
}

/// A small letter with CRLF line ends, ready for DATA but for the final dot.
#[must_use]
pub fn letter(from: &str, to: &str, subject: &str) -> Vec<u8> {
    format!(
        "From: <{from}>\r\nTo: <{to}>\r\nSubject: {subject}\r\nMessage-ID: <{}@wire.test>\r\n\
         Date: Sat, 21 Nov 2026 10:00:00 +0100\r\n\r\nTexte confidentiel\r\n",
        subject.replace(' ', ".")
    )
    .into_bytes()
}

/// What a session may be told at the end of a message, or before.
#[track_caller]
pub fn assert_refused(reply: &Reply, code: u16, id: &str) {
    let text = reply.text();
    assert!(
        reply.code == code && text.contains(&format!("[{id}]")),
        "expected {code} [{id}], got {} {text}",
        reply.code
    );
    assert!(text.contains("Aide/help: "), "the refusal does not say where to find help: {text}");
}

/// Says MAIL and RCPT, then the message, and gives the last reply.
#[track_caller]
pub fn hand_over(wire: &mut Wire, from: &str, to: &str, message: &[u8]) -> Reply {
    wire.exchange(&format!("MAIL FROM:<{from}>"), 250);
    wire.exchange(&format!("RCPT TO:<{to}>"), 250);
    wire.exchange("DATA", 354);
    wire.send(message);
    wire.say(".");
    wire.reply()
}
