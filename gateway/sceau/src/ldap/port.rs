//! Ports: connections within bounds, each with a session of its own.

use std::{io, net::SocketAddr, sync::Arc, time::Instant};

use tokio::{net::TcpStream, sync::watch, task::JoinSet};

use super::{
    Face,
    connection::{self, Terms},
};
use crate::{
    allowance::{Allowed, Beside, Peer},
    config::{LdapLimits, LdapListener},
    gateway::Gateway,
    net::{accept::Listening, crowd::Crowd, places::Room},
};

/// Connections that one peer may begin in a minute, where it may not ask twice as much: each costs a signature.
const HANDSHAKES: u32 = 600;

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
        let crowd = Arc::new(Crowd::default());
        let port = Sessions { listener, room, crowd, gateway, face, stopping: stopping.clone() };
        socket.serve(stopping, |sessions, stream, peer| port.start(sessions, stream, peer)).await;
    }
}

/// What the sessions of a port share.
struct Sessions {
    listener: LdapListener,
    room: usize,
    crowd: Arc<Crowd>,
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
        let beginning = Peer::beside(Beside::Handshake, peer.ip());
        if self.face.allowances.ask(&beginning, handshakes(&limits), gateway.now()).is_err() {
            tracing::debug!(%peer, "too many LDAP connections were begun");
            return;
        }
        let Some(seated) = self.crowd.enter(peer.ip(), room, Instant::now()) else {
            tracing::debug!(%peer, "no room for another LDAP connection");
            return;
        };
        let terms = Terms {
            gateway: Arc::clone(gateway),
            face: Arc::clone(&self.face),
            listener: self.listener.clone(),
            limits,
            peer,
            visit: Arc::clone(&seated.visit),
            stopping: self.stopping.clone(),
        };
        sessions.spawn(async move {
            let end = connection::run(terms, stream).await;
            drop(seated);
            tracing::debug!(%peer, "LDAP session over: {end}");
        });
    }
}

/// What one peer may begin: enough that who asks too much, each time over a new connection, is told so.
fn handshakes(limits: &LdapLimits) -> Allowed {
    let requests_per_minute = limits.searches.saturating_mul(2).max(HANDSHAKES);
    Allowed { requests_per_minute, answers_per_hour: limits.entries_an_hour }
}

#[cfg(test)]
mod tests {
    use std::{
        net::{IpAddr, Ipv4Addr},
        time::Duration,
    };

    use tokio::net::TcpListener;

    use super::*;
    use crate::ldap::house::House;

    const FACE: &str = "\n[ldap]\nanonymous = true\n[[ldap.listener]]\naddress = \"127.0.0.1:1\"\n";
    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    /// LD10: handshakes are counted before any is begun.
    #[test]
    fn who_begins_too_often_is_not_shaken_hands_with() {
        let house = House::with(FACE);
        house.runtime.block_on(async {
            let socket = TcpListener::bind((HERE, 0)).await.unwrap();
            let at = socket.local_addr().unwrap();
            let config = house.gateway.snapshot().config.ldap.clone();
            let (_running, stopping) = watch::channel(false);
            let port = Sessions {
                listener: config.listeners.first().unwrap().clone(),
                room: 100,
                crowd: Arc::new(Crowd::default()),
                gateway: Arc::clone(&house.gateway),
                face: Arc::clone(&house.face),
                stopping,
            };
            // Whether one more is begun.
            let begins = async || {
                let _client = TcpStream::connect(at).await.unwrap();
                let (stream, peer) = socket.accept().await.unwrap();
                let mut sessions = JoinSet::new();
                port.start(&mut sessions, stream, peer);
                !sessions.is_empty()
            };
            let allowed = handshakes(&config.limits);
            let beginning = Peer::beside(Beside::Handshake, HERE);
            for _ in 1..allowed.requests_per_minute * 2 {
                house.face.allowances.ask(&beginning, allowed, house.gateway.now()).unwrap();
            }
            assert!(begins().await, "the last of two minutes' worth at once");
            assert!(!begins().await);
            assert!(
                house.face.allowances.ask(&Peer::at(HERE), allowed, house.gateway.now()).is_ok(),
                "searches count apart"
            );
            house.clock.advance(Duration::from_secs(1));
            assert!(begins().await, "a second gives some of them back");
        });
    }

    #[test]
    fn handshakes_are_twice_the_searches_and_never_few() {
        let of = |searches| handshakes(&LdapLimits { searches, ..LdapLimits::default() }).requests_per_minute;
        assert_eq!((of(1), of(300), of(600), of(u32::MAX)), (HANDSHAKES, HANDSHAKES, 1200, u32::MAX));
    }
}
