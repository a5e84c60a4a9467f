//! Hostile servers on real sockets: each of them ends bounded, with an error that says where and what.

mod http;
mod ldap;

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Mutex,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use super::*;

/// The name under which all servers of these tests are asked.
const HOST: &str = "igc.exemple.test";
/// What the tests allow an answer to have.
const MOST: usize = 10_000;

/// What a server does after it has read a question.
#[derive(Clone)]
enum Act {
    /// Says this and closes.
    Say(Vec<u8>),
    /// Says this and then nothing, without closing.
    SayAndWait(Vec<u8>),
    /// Says the first once and then the second for ever.
    Endless(Vec<u8>, Vec<u8>),
}

/// A server that does one thing to everybody.
struct Server {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Vec<u8>>>>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    async fn new(act: Act) -> Self {
        Self::with(|_| act).await
    }

    /// The act may name the server's own port.
    async fn with(act: impl FnOnce(SocketAddr) -> Act) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (act, questions) = (act(address), Arc::clone(&seen));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(perform(stream, act.clone(), Arc::clone(&questions)));
            }
        });
        Self { address, seen, task }
    }

    fn place(&self, scheme: &str, rest: &str) -> Place {
        Place::parse(&format!("{scheme}://{HOST}:{}/{rest}", self.address.port())).unwrap()
    }

    fn questions(&self) -> Vec<String> {
        self.seen.lock().unwrap().iter().map(|octets| String::from_utf8_lossy(octets).into_owned()).collect()
    }
}

async fn perform(mut stream: TcpStream, act: Act, seen: Arc<Mutex<Vec<Vec<u8>>>>) {
    let mut question = vec![0; 4096];
    let read = stream.read(&mut question).await.unwrap_or(0);
    question.truncate(read);
    seen.lock().unwrap().push(question);
    match act {
        Act::Say(octets) => {
            let _ = stream.write_all(&octets).await;
            let _ = stream.shutdown().await;
            // Not a reset, which would take back what was said.
            let _ = stream.read(&mut [0; 16]).await;
        }
        Act::SayAndWait(octets) => {
            let _ = stream.write_all(&octets).await;
            let _ = stream.read(&mut [0; 16]).await;
        }
        Act::Endless(first, then) => {
            let _ = stream.write_all(&first).await;
            while stream.write_all(&then).await.is_ok() {}
        }
    }
}

/// Rules that allow one place, and our host on this machine.
fn rules(place: &Place) -> Rules {
    Rules::new().place(place).address(HOST, IpAddr::V4(Ipv4Addr::LOCALHOST))
}

/// Deadlines of which only the one under test is short.
fn patient() -> Limits {
    let long = Duration::from_secs(60);
    Limits { connect: long, first_octet: long, total: long, redirects: 3 }
}

/// Nobody is who they should be.
struct Nobody;

impl ServerTrust for Nobody {
    fn judge(&self, host: &str, _: &[Certificate]) -> Result<(), String> {
        Err(format!("it is not {host}"))
    }
}

async fn fetch_with(rules: Rules, limits: Limits, place: &Place, held: Option<&Tags>) -> Result<Answer, FetchError> {
    let fetcher = Fetcher::new(rules, limits, Arc::new(Lines::new().unwrap()));
    let request = Request { place, kind: Kind::RevocationList, most: MOST, held, question: None };
    fetcher.fetch(&request, &Nobody).await
}

/// The error of a fetch from a server that does this; it names the place.
#[track_caller]
fn fault_of(place: &Place, outcome: Result<Answer, FetchError>) -> Fault {
    let error = outcome.unwrap_err();
    assert!(error.to_string().starts_with(&format!("{}: ", error.place)), "{error}");
    assert_eq!(error.place.site(), place.site());
    error.fault
}
