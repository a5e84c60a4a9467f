//! Ports: connections within bounds, each with a session of its own.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

use super::{
    Face,
    connection::{self, Terms},
};
use crate::{
    config::LdapListener,
    gateway::Gateway,
    net::places::{Places, Room},
};

/// Wait after a connection could not be accepted.
const PAUSE: Duration = Duration::from_millis(250);

/// A bound port.
pub struct Port {
    socket: TcpListener,
    listener: LdapListener,
    /// Connections that the system has room for, whatever the configuration allows.
    room: usize,
}

impl Port {
    /// Binds it; it will take no more than `room` connections at once.
    ///
    /// # Errors
    /// Those of the system, with the address in the text.
    pub async fn bind(listener: LdapListener, room: usize) -> io::Result<Self> {
        let socket = TcpListener::bind(listener.address)
            .await
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", listener.address)))?;
        Ok(Self { socket, listener, room })
    }

    /// Accepts until `stopping`, then waits for the sessions that are under way.
    pub async fn serve(self, gateway: Arc<Gateway>, face: Arc<Face>, mut stopping: watch::Receiver<bool>) {
        let places = Arc::new(Places::default());
        let mut sessions = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = self.socket.accept() => accepted,
                _ = stopping.wait_for(|stopping| *stopping) => break,
                Some(_) = sessions.join_next() => continue,
            };
            match accepted {
                Ok((stream, peer)) => self.start(&gateway, &face, &places, &mut sessions, stream, peer, &stopping),
                // Out of descriptors and the like: the peer tries again, we do not spin.
                Err(error) => {
                    tracing::warn!(%error, port = %self.listener.address, "a connection could not be accepted");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
        while sessions.join_next().await.is_some() {}
    }

    #[expect(clippy::too_many_arguments, reason = "what a port shares with its sessions")]
    fn start(
        &self,
        gateway: &Arc<Gateway>,
        face: &Arc<Face>,
        places: &Arc<Places>,
        sessions: &mut JoinSet<()>,
        stream: TcpStream,
        peer: SocketAddr,
        stopping: &watch::Receiver<bool>,
    ) {
        let limits = gateway.snapshot().config.ldap.limits.clone();
        let room = Room { all: limits.connections.min(self.room), each: limits.connections_per_peer };
        // No words: before TLS a client of ldaps would take them for nonsense.
        let Some(place) = places.enter(peer.ip(), room) else {
            tracing::debug!(%peer, "no room for another LDAP connection");
            return;
        };
        let terms = Terms {
            gateway: Arc::clone(gateway),
            face: Arc::clone(face),
            listener: self.listener.clone(),
            limits,
            peer,
            stopping: stopping.clone(),
        };
        sessions.spawn(async move {
            let end = connection::run(terms, stream).await;
            drop(place);
            tracing::debug!(%peer, "LDAP session over: {end}");
        });
    }
}
