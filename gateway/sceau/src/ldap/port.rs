//! Ports: connections within bounds, each with a session of its own.

use std::{io, net::SocketAddr, sync::Arc};

use tokio::{net::TcpStream, sync::watch, task::JoinSet};

use super::{
    Face,
    connection::{self, Terms},
};
use crate::{
    config::LdapListener,
    gateway::Gateway,
    net::{
        accept::Listening,
        places::{Places, Room},
    },
};

/// A bound port.
pub struct Port {
    socket: Listening,
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
        Ok(Self { socket: Listening::bind(listener.address).await?, listener, room })
    }

    /// Accepts until `stopping`, then waits for the sessions that are under way.
    pub async fn serve(self, gateway: Arc<Gateway>, face: Arc<Face>, stopping: watch::Receiver<bool>) {
        let Self { socket, listener, room } = self;
        let places = Arc::new(Places::default());
        let port = Sessions { listener, room, places, gateway, face, stopping: stopping.clone() };
        socket.serve(stopping, |sessions, stream, peer| port.start(sessions, stream, peer)).await;
    }
}

/// What the sessions of a port share.
struct Sessions {
    listener: LdapListener,
    room: usize,
    places: Arc<Places>,
    gateway: Arc<Gateway>,
    face: Arc<Face>,
    stopping: watch::Receiver<bool>,
}

impl Sessions {
    fn start(&self, sessions: &mut JoinSet<()>, stream: TcpStream, peer: SocketAddr) {
        let gateway = &self.gateway;
        let limits = gateway.snapshot().config.ldap.limits.clone();
        let room = Room { all: limits.connections.min(self.room), each: limits.connections_per_peer };
        // No words: before TLS a client of ldaps would take them for nonsense.
        let Some(place) = self.places.enter(peer.ip(), room) else {
            tracing::debug!(%peer, "no room for another LDAP connection");
            return;
        };
        let terms = Terms {
            gateway: Arc::clone(gateway),
            face: Arc::clone(&self.face),
            listener: self.listener.clone(),
            limits,
            peer,
            stopping: self.stopping.clone(),
        };
        sessions.spawn(async move {
            let end = connection::run(terms, stream).await;
            drop(place);
            tracing::debug!(%peer, "LDAP session over: {end}");
        });
    }
}
