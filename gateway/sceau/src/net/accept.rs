//! Accepting connections: one loop for the ports of mail and of the directory.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

/// Wait after a connection could not be accepted: long enough that neither the processor nor the log
/// is filled by who keeps all descriptors busy.
const PAUSE: Duration = Duration::from_millis(250);

/// A bound socket that listens.
pub(crate) struct Listening {
    socket: TcpListener,
    /// Where it was to listen: named in the log.
    at: SocketAddr,
}

impl Listening {
    /// Binds it.
    ///
    /// # Errors
    /// Those of the system, with the address in the text.
    pub(crate) async fn bind(at: SocketAddr) -> io::Result<Self> {
        let socket =
            TcpListener::bind(at).await.map_err(|error| io::Error::new(error.kind(), format!("{at}: {error}")))?;
        Ok(Self { socket, at })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// Those of the system.
    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Hands each connection to `start`, which spawns its session, until `stopping`; then waits for the sessions that
    /// are under way.
    pub(crate) async fn serve(
        self,
        mut stopping: watch::Receiver<bool>,
        start: impl Fn(&mut JoinSet<()>, TcpStream, SocketAddr),
    ) {
        let mut sessions = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = self.socket.accept() => accepted,
                _ = stopping.wait_for(|stopping| *stopping) => break,
                Some(_) = sessions.join_next() => continue,
            };
            match accepted {
                Ok((stream, peer)) => start(&mut sessions, stream, peer),
                // Out of descriptors and the like: the peer tries again, we do not spin.
                Err(error) => {
                    tracing::warn!(%error, port = %self.at, "a connection could not be accepted");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
        while sessions.join_next().await.is_some() {}
    }
}
