//! Ports: accepts connections within bounds and gives each a session with the right door.

use std::{io, net::SocketAddr, sync::Arc};

use store::StoreError;
use tokio::{net::TcpStream, sync::watch, task::JoinSet};

use super::{
    accept::Listening,
    places::{Places, Room},
    session::{self, SessionEnd, Terms},
};
use crate::{
    config::{Listener, ListenerKind},
    exchange::Exchange,
    gateway::Gateway,
    intake::incoming,
    refusal::{Refusal, RefusalId},
    submission::Submission,
};

/// A bound port.
pub struct Port {
    socket: Listening,
    listener: Listener,
    /// Connections that the system has room for, whatever the configuration allows.
    room: usize,
}

impl Port {
    /// Binds it; it will take no more than `room` connections at once.
    ///
    /// # Errors
    /// Those of the system, with the address in the text.
    pub async fn bind(listener: Listener, room: usize) -> io::Result<Self> {
        Ok(Self { socket: Listening::bind(listener.address).await?, listener, room })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// Those of the system.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.address()
    }

    /// Accepts until `stopping`, then waits for the sessions that are under way.
    pub async fn serve(self, gateway: Arc<Gateway>, stopping: watch::Receiver<bool>) {
        let Self { socket, listener, room } = self;
        let port =
            Sessions { listener, room, places: Arc::new(Places::default()), gateway, stopping: stopping.clone() };
        socket.serve(stopping, |sessions, stream, peer| port.start(sessions, stream, peer)).await;
    }
}

/// What the sessions of a port share.
struct Sessions {
    listener: Listener,
    room: usize,
    places: Arc<Places>,
    gateway: Arc<Gateway>,
    stopping: watch::Receiver<bool>,
}

impl Sessions {
    fn start(&self, sessions: &mut JoinSet<()>, stream: TcpStream, peer: SocketAddr) {
        let gateway = &self.gateway;
        let snapshot = gateway.snapshot();
        let limits = snapshot.config.limits.clone();
        let room = Room { all: limits.connections.min(self.room), each: limits.connections_per_peer };
        let help = snapshot.config.operator.help.clone();
        // While nothing can be kept, nothing is begun; a full disk is told at MAIL, where peers understand it.
        if let Err(error @ StoreError::Unavailable(_)) = gateway.ready() {
            turn_away(&stream, &Refusal::new(RefusalId::NotReady, error.to_string()), &help);
            return;
        }
        let Some(place) = self.places.enter(peer.ip(), room) else {
            turn_away(&stream, &Refusal::new(RefusalId::TooBusy, ""), &help);
            return;
        };
        let terms = Terms {
            hostname: snapshot.config.server.hostname.to_string(),
            help,
            tls_start: self.listener.tls,
            identity: snapshot.tls.clone(),
            max_size: match self.listener.kind {
                ListenerKind::Submission => limits.message.0,
                ListenerKind::Exchange => incoming::limit(&snapshot),
            },
            limits,
            spool: gateway.data().join("spool"),
            stopping: self.stopping.clone(),
        };
        let (gateway, kind) = (Arc::clone(gateway), self.listener.kind);
        sessions.spawn(async move {
            let end = match kind {
                ListenerKind::Submission => session::run(terms, stream, peer, Submission::new(gateway)).await,
                ListenerKind::Exchange => session::run(terms, stream, peer, Exchange::new(gateway)).await,
            };
            drop(place);
            match end {
                SessionEnd::Peer | SessionEnd::Stopping => tracing::debug!(%peer, "session over: {end}"),
                other => tracing::info!(%peer, "session over: {other}"),
            }
        });
    }
}

/// One line for a peer that there is no room for; what does not fit the socket's buffer is dropped.
fn turn_away(stream: &TcpStream, refusal: &Refusal, help: &str) {
    let mut bytes = Vec::new();
    refusal.reply(help).write_to(&mut bytes);
    let _ = stream.try_write(&bytes);
}
