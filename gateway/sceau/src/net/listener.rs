//! Ports: accepts connections within bounds and gives each a session with the right door.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
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

/// A bound port.
pub struct Port {
    socket: TcpListener,
    listener: Listener,
}

impl Port {
    /// Binds it.
    ///
    /// # Errors
    /// Those of the system, with the address in the text.
    pub async fn bind(listener: Listener) -> io::Result<Self> {
        let socket = TcpListener::bind(listener.address)
            .await
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", listener.address)))?;
        Ok(Self { socket, listener })
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
                    tokio::task::yield_now().await;
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
        let limits = snapshot.config.limits.clone();
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

/// How many sessions there are, in all and per address.
#[derive(Default)]
struct Counters {
    by_address: Mutex<HashMap<IpAddr, usize>>,
}

/// A session's place; leaving frees it.
struct Place {
    counters: Arc<Counters>,
    address: IpAddr,
}

impl Counters {
    fn enter(self: &Arc<Self>, address: IpAddr, limits: &Limits) -> Option<Place> {
        let mut by_address = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = by_address.values().fold(0, |sum, count| sum.saturating_add(*count));
        let mine = by_address.entry(address).or_default();
        if all >= limits.connections || *mine >= limits.connections_per_peer {
            return None;
        }
        *mine = mine.saturating_add(1);
        Some(Place { counters: Arc::clone(self), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut by_address = self.counters.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = by_address.get_mut(&self.address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                by_address.remove(&self.address);
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
}
