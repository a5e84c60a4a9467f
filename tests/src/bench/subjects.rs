//! The two relays that are compared: hospital A's gateway, which seals, and a Postfix in its place,
//! with the same certificates, between the same generator and the same sink.

use std::net::SocketAddr;
use std::time::Duration;

use openssl::x509::X509;
use sceau::demo::cast::Place;

use super::cpu;
use super::load::Endpoint;
use crate::certs::{Credentials, certificates};
use crate::gateway::Gateway;
use crate::postfix::{Postfix, PostfixOptions};
use crate::world::World;

/// What makes Postfix as fast as it can be without giving up its promise: mail is still synced to
/// disk before it is accepted. Its deliveries wait more than they work (most of the processor is idle
/// while it only delivers), so it gets more of them at once than our default: with 20 it reaches about
/// half of this. Without connection reuse it is slower still.
pub const POSTFIX_SETTINGS: [&str; 17] = [
    "smtp_tls_connection_reuse = yes",
    "in_flow_delay = 0",
    "smtpd_client_connection_count_limit = 0",
    "smtpd_client_connection_rate_limit = 0",
    "smtpd_client_message_rate_limit = 0",
    "smtpd_client_recipient_rate_limit = 0",
    "smtpd_peername_lookup = no",
    "smtpd_relay_restrictions = permit_tls_all_clientcerts, reject",
    "smtpd_tls_received_header = no",
    "smtpd_tls_loglevel = 0",
    "smtp_tls_loglevel = 0",
    "default_destination_concurrency_limit = 100",
    "initial_destination_concurrency = 100",
    "default_process_limit = 200",
    "max_use = 10000",
    "queue_run_delay = 300s",
    "message_size_limit = 26214400",
];

/// A relay under load.
#[derive(Debug)]
pub enum Subject {
    /// Seals, and judges every certificate.
    Sceau(Gateway),
    /// Passes on what it gets.
    Postfix(Postfix),
}

impl Subject {
    /// Hospital A's gateway, as `sceau serve` starts it.
    #[must_use]
    pub fn sceau(world: &World) -> Self {
        Self::Sceau(world.serve(Place::A))
    }

    /// A Postfix with hospital A's TLS certificate, which relays to `sink` under its verified name.
    #[must_use]
    pub fn postfix(world: &World, sink: SocketAddr) -> Self {
        let (server, chain) = gateway_identity(world, Place::A);
        let mut clients = certificates(&world.space.folder.join("authorities/organisations.pem"));
        clients.push(world.root("organisations"));
        let host = Place::A.host();
        let mut options = PostfixOptions::new(&host)
            .listens_with_mutual_tls(&server, &chain, &clients)
            .route("*", sink)
            .tls_verified(&Place::B.host(), &[world.root("servers")], false)
            .identity(&server, &chain)
            // Connection reuse under TLS goes through this process (TLS_README).
            .service("tlsproxy unix - - n - 0 tlsproxy");
        for setting in POSTFIX_SETTINGS {
            options = options.setting(setting);
        }
        Self::Postfix(Postfix::start(&options))
    }

    /// Its name in tables.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Sceau(_) => "sceau, sealing",
            Self::Postfix(_) => "Postfix",
        }
    }

    /// Where the generator sends, as hospital A's inner mail server.
    #[must_use]
    pub fn endpoint(&self, world: &World) -> Endpoint {
        let address = match self {
            Self::Sceau(_) => world.ports(Place::A).submission,
            Self::Postfix(postfix) => postfix.exchange(),
        };
        Endpoint::new(address, &Place::A.host(), &world.root("servers"), &inner_client(world))
    }

    /// Processor time that it has used.
    #[must_use]
    pub fn processor_time(&self) -> Duration {
        cpu::used_by(match self {
            Self::Sceau(gateway) => gateway.pid(),
            Self::Postfix(postfix) => postfix.pid(),
        })
    }

    /// The end of its log, for a run that went wrong.
    #[must_use]
    pub fn last_words(&self) -> String {
        let log = match self {
            Self::Sceau(gateway) => gateway.log(),
            Self::Postfix(postfix) => postfix.log(),
        };
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(10)..].join("\n")
    }
}

/// TLS identity of a hospital's gateway.
#[must_use]
pub fn gateway_identity(world: &World, place: Place) -> (Credentials, Vec<X509>) {
    let [a, b] = &world.space.gateways;
    let files = if place == Place::A { a } else { b };
    Credentials::load(&files.certificate, &files.key)
}

/// The certificate with which hospital A's inner mail server vouches for its users.
#[must_use]
pub fn inner_client(world: &World) -> (Credentials, Vec<X509>) {
    let files = &world.space.inner_client;
    Credentials::load(&files.certificate, &files.key)
}
