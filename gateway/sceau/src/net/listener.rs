//! Ports: accepts connections within bounds and gives each a session with the right door.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use store::StoreError;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

use super::session::{self, SessionEnd, Terms};
use crate::{
    config::{Limits, Listener, ListenerKind},
    exchange::Exchange,
    gateway::Gateway,
    intake::incoming,
    refusal::{Refusal, RefusalId},
    submission::Submission,
};

/// Wait after a connection could not be accepted: long enough that neither the processor nor the log
/// is filled by who keeps all descriptors busy.
const PAUSE: Duration = Duration::from_millis(250);

/// A bound port.
pub struct Port {
    socket: TcpListener,
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
        let socket = TcpListener::bind(listener.address)
            .await
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", listener.address)))?;
        Ok(Self { socket, listener, room })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// Those of the system.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Accepts until `stopping`, then waits for the sessions that are under way.
    pub async fn serve(self, gateway: Arc<Gateway>, mut stopping: watch::Receiver<bool>) {
        let counters = Arc::new(Counters::default());
        let mut sessions = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = self.socket.accept() => accepted,
                _ = stopping.wait_for(|stopping| *stopping) => break,
                Some(_) = sessions.join_next() => continue,
            };
            match accepted {
                Ok((stream, peer)) => self.start(&gateway, &counters, &mut sessions, stream, peer, &stopping),
                // Out of descriptors and the like: the peer tries again, we do not spin.
                Err(error) => {
                    tracing::warn!(%error, port = %self.listener.address, "a connection could not be accepted");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
        while sessions.join_next().await.is_some() {}
    }

    fn start(
        &self,
        gateway: &Arc<Gateway>,
        counters: &Arc<Counters>,
        sessions: &mut JoinSet<()>,
        stream: TcpStream,
        peer: SocketAddr,
        stopping: &watch::Receiver<bool>,
    ) {
        let snapshot = gateway.snapshot();
        let mut limits = snapshot.config.limits.clone();
        limits.connections = limits.connections.min(self.room);
        let help = snapshot.config.operator.help.clone();
        // While nothing can be kept, nothing is begun; a full disk is told at MAIL, where peers understand it.
        if let Err(error @ StoreError::Unavailable(_)) = gateway.ready() {
            turn_away(&stream, &Refusal::new(RefusalId::NotReady, error.to_string()), &help);
            return;
        }
        let Some(place) = counters.enter(peer.ip(), &limits) else {
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
            stopping: stopping.clone(),
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

/// How many sessions there are, in all and per neighbourhood.
#[derive(Default)]
struct Counters {
    by_address: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// What counts as one peer: an IPv4 address, or an IPv6 network of 64 bits, because whoever has one
/// of its addresses has them all.
fn neighbourhood(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
    }
}

/// A session's place; leaving frees it.
struct Place {
    counters: Arc<Counters>,
    address: IpAddr,
}

impl Counters {
    fn enter(self: &Arc<Self>, address: IpAddr, limits: &Limits) -> Option<Place> {
        let address = neighbourhood(address);
        let mut counts = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        let mine = counts.by_address.get(&address).copied().unwrap_or_default();
        // Who is turned away leaves nothing behind: strangers have more addresses than we have memory.
        if counts.all >= limits.connections || mine >= limits.connections_per_peer {
            return None;
        }
        counts.all = counts.all.saturating_add(1);
        counts.by_address.insert(address, mine.saturating_add(1));
        Some(Place { counters: Arc::clone(self), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.counters.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        counts.all = counts.all.saturating_sub(1);
        if let Some(count) = counts.by_address.get_mut(&self.address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                counts.by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_and_freed() {
        let counters = Arc::new(Counters::default());
        let limits = Limits { connections: 3, connections_per_peer: 2, ..Limits::default() };
        let (a, b): (IpAddr, IpAddr) = ([127, 0, 0, 1].into(), [127, 0, 0, 2].into());
        let first = counters.enter(a, &limits).unwrap();
        let _second = counters.enter(a, &limits).unwrap();
        assert!(counters.enter(a, &limits).is_none(), "per address");
        let _third = counters.enter(b, &limits).unwrap();
        assert!(counters.enter(b, &limits).is_none(), "in all");
        drop(first);
        assert!(counters.enter(b, &limits).is_some());
    }

    /// RX2: with all places taken, thousands of strangers come and go without a trace.
    #[test]
    fn who_is_turned_away_leaves_nothing_behind() {
        let counters = Arc::new(Counters::default());
        let limits = Limits { connections: 1, connections_per_peer: 1, ..Limits::default() };
        let only = counters.enter([127, 0, 0, 1].into(), &limits).unwrap();
        for n in 1..5000u32 {
            assert!(counters.enter(IpAddr::from(n.to_be_bytes()), &limits).is_none());
        }
        assert_eq!(counters.by_address.lock().unwrap().by_address.len(), 1);
        drop(only);
        assert_eq!(counters.by_address.lock().unwrap().by_address.len(), 0);
    }

    #[test]
    fn an_ipv6_network_is_one_peer() {
        let counters = Arc::new(Counters::default());
        let limits = Limits { connections: 10, connections_per_peer: 1, ..Limits::default() };
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let _one = counters.enter(address("2001:db8:0:1::1"), &limits).unwrap();
        assert!(counters.enter(address("2001:db8:0:1:ffff::2"), &limits).is_none());
        let _other = counters.enter(address("2001:db8:0:2::1"), &limits).unwrap();
        let _four = counters.enter(address("192.0.2.1"), &limits).unwrap();
        assert!(counters.enter(address("::ffff:192.0.2.1"), &limits).is_none());
    }
}
