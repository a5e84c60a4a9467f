//! The demonstration's inner mail store: a small LMTP server (RFC 2033) that writes Maildir files.
//!
//! Some mailboxes misbehave on request: [`Behaviour`] says which local parts do what.

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use ident::Address;
use smtp::{Event, Protocol, Reply, Server, ServerOptions};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::{JoinHandle, JoinSet},
    time::timeout,
};

use super::{
    cast::Behaviour,
    maildir::{Incoming, Maildirs},
};

/// Longest silence of a client.
const SILENCE: Duration = Duration::from_secs(60);
/// Sessions at once.
const SESSIONS: usize = 64;

/// A running store. Dropping it ends its sessions; what was acknowledged lies in its Maildirs.
#[derive(Debug)]
pub struct InnerStore {
    address: SocketAddr,
    shared: Arc<Shared>,
    arrivals: watch::Receiver<u64>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    hostname: String,
    maildirs: Maildirs,
    /// How often each misbehaving mailbox was tried.
    attempts: Mutex<HashMap<String, u32>>,
    arrived: watch::Sender<u64>,
}

impl InnerStore {
    /// Listens on `address` and keeps mailboxes below `folder`.
    ///
    /// # Errors
    /// When the port or the folder cannot be had.
    pub async fn start(address: SocketAddr, folder: PathBuf, hostname: &str) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let (arrived, arrivals) = watch::channel(0);
        let shared = Arc::new(Shared {
            hostname: hostname.to_owned(),
            maildirs: Maildirs::open(folder).await?,
            attempts: Mutex::default(),
            arrived,
        });
        let task = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { address, shared, arrivals, task })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The messages in a mailbox, oldest first.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn messages(&self, mailbox: &Address) -> io::Result<Vec<PathBuf>> {
        self.shared.maildirs.messages(mailbox)
    }

    /// Waits until a mailbox holds at least `count` messages; `None` when patience ends first.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub async fn wait_for(
        &self,
        mailbox: &Address,
        count: usize,
        patience: Duration,
    ) -> io::Result<Option<Vec<PathBuf>>> {
        let mut arrivals = self.arrivals.clone();
        let waiting = async {
            loop {
                // Marked as seen before looking, so that no arrival falls between.
                arrivals.borrow_and_update();
                let messages = self.messages(mailbox)?;
                if messages.len() >= count {
                    return Ok(messages);
                }
                if arrivals.changed().await.is_err() {
                    return Err(io::Error::other("the store has stopped"));
                }
            }
        };
        timeout(patience, waiting).await.map_or(Ok(None), |found| found.map(Some))
    }

    /// Stops listening and ends all sessions.
    pub async fn stop(mut self) {
        self.task.abort();
        // The task was aborted: its only result is that it is gone.
        let _ = (&mut self.task).await;
    }
}

impl Drop for InnerStore {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Accepts until it is aborted; its sessions end with it.
async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let slots = Arc::new(Semaphore::new(SESSIONS));
    let mut sessions = JoinSet::new();
    while let Ok(slot) = Arc::clone(&slots).acquire_owned().await {
        while sessions.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, _)) => {
                let shared = Arc::clone(&shared);
                sessions.spawn(async move {
                    if let Err(error) = Session::new(shared, stream).run().await {
                        tracing::debug!(%error, "inner store session ended");
                    }
                    drop(slot);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "inner store cannot accept");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// One client's session.
struct Session {
    shared: Arc<Shared>,
    stream: TcpStream,
    server: Server,
    sender: String,
    accepted: Vec<Address>,
    incoming: Option<Incoming>,
}

impl Session {
    fn new(shared: Arc<Shared>, stream: TcpStream) -> Self {
        let server = Server::new(ServerOptions::new(shared.hostname.clone(), Protocol::Lmtp), false);
        Self { shared, stream, server, sender: String::new(), accepted: vec![], incoming: None }
    }

    async fn run(mut self) -> io::Result<()> {
        let outcome = self.converse().await;
        self.forget().await;
        outcome
    }

    async fn converse(&mut self) -> io::Result<()> {
        let mut buffer = vec![0u8; 16 * 1024];
        loop {
            while let Some(event) = self.server.poll() {
                self.handle(event).await?;
            }
            let output = self.server.take_output();
            if !output.is_empty() {
                self.stream.write_all(&output).await?;
                continue;
            }
            if self.server.is_closed() {
                return self.stream.shutdown().await;
            }
            let room = self.server.input_capacity().min(buffer.len());
            let space = buffer.get_mut(..room).unwrap_or_default();
            let Ok(read) = timeout(SILENCE, self.stream.read(space)).await else {
                self.server.close_with(&Reply::new(421, (4, 4, 2), "You said nothing for a minute"));
                continue;
            };
            match read? {
                0 => self.server.peer_closed(),
                count => {
                    // No more was read than the server has room for.
                    let _ = self.server.receive(buffer.get(..count).unwrap_or_default());
                }
            }
        }
    }

    async fn handle(&mut self, event: Event) -> io::Result<()> {
        match event {
            Event::Mail(mail) => {
                self.sender = mail.sender.map(|a| a.to_string()).unwrap_or_default();
                self.accepted.clear();
                self.server.answer(Reply::ok());
            }
            Event::Recipient(recipient) => {
                let reply = self.shared.at_recipient(&recipient.address);
                if reply.is_positive() {
                    self.accepted.push(recipient.address);
                }
                self.server.answer(reply);
            }
            Event::DataRequested => {
                self.incoming = Some(self.shared.maildirs.begin().await?);
                self.server.answer(Reply::send_body());
            }
            Event::Body(piece) => {
                if let Some(incoming) = &mut self.incoming {
                    incoming.write(&piece).await?;
                }
            }
            Event::BodyEnd => self.deliver().await?,
            Event::Authenticate { .. } => self.server.answer(Reply::new(502, (5, 5, 1), "Not offered here")),
            Event::BodyRefused(_) | Event::Hello { .. } | Event::Reset | Event::Closed(_) | Event::StartTls => {
                self.forget().await;
            }
        }
        Ok(())
    }

    /// One final reply for each accepted recipient (RFC 2033 §4.2).
    async fn deliver(&mut self) -> io::Result<()> {
        let Some(mut incoming) = self.incoming.take() else { return Ok(()) };
        incoming.finish().await?;
        for recipient in std::mem::take(&mut self.accepted) {
            let reply = self.shared.at_end(&incoming, &self.sender, &recipient).await;
            self.server.answer(reply);
        }
        incoming.discard().await;
        Ok(())
    }

    async fn forget(&mut self) {
        self.accepted.clear();
        if let Some(incoming) = self.incoming.take() {
            incoming.discard().await;
        }
    }
}

impl Shared {
    fn at_recipient(&self, address: &Address) -> Reply {
        match Behaviour::of(address) {
            Behaviour::Accepts | Behaviour::RefusesContent => Reply::ok(),
            Behaviour::Refuses => Reply::new(550, (5, 1, 1), "No such mailbox here (demonstration)"),
            Behaviour::AlwaysDefers => Reply::new(451, (4, 2, 1), "Never now (demonstration)"),
            Behaviour::DefersOnce if self.comes_back(address) => Reply::ok(),
            Behaviour::FailsLater if self.comes_back(address) => {
                Reply::new(552, (5, 2, 2), "Mailbox full for good (demonstration)")
            }
            Behaviour::DefersOnce | Behaviour::FailsLater => {
                Reply::new(451, (4, 2, 1), "Not now, try again soon (demonstration)")
            }
        }
    }

    async fn at_end(&self, incoming: &Incoming, sender: &str, recipient: &Address) -> Reply {
        if Behaviour::of(recipient) == Behaviour::RefusesContent {
            return Reply::new(554, (5, 6, 0), "This content is not wanted here (demonstration)");
        }
        match self.maildirs.deliver(incoming, sender, recipient).await {
            Ok(_) => {
                self.arrived.send_modify(|count| *count = count.wrapping_add(1));
                Reply::new(250, (2, 1, 5), "Delivered")
            }
            Err(error) => {
                tracing::warn!(%error, "inner store cannot write");
                Reply::new(451, (4, 3, 0), "Cannot be written now")
            }
        }
    }

    /// Every second attempt on a mailbox counts as coming back.
    fn comes_back(&self, address: &Address) -> bool {
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = attempts.entry(address.key()).or_default();
        *count = count.wrapping_add(1);
        *count & 1 == 0
    }
}

#[cfg(test)]
#[path = "inner_store_tests.rs"]
mod tests;
