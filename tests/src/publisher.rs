//! A web server that publishes revocation lists and the like, as an authority does: real sockets, one
//! answer per connection, `ETag` and conditional requests.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use openssl::{
    sha::sha256,
    ssl::{SslAcceptor, SslFiletype, SslMethod},
};

use crate::{place::loopback, process::PATIENCE};

/// Name under which gateways are told to ask it.
pub const HOST: &str = "igc.exemple.test";

#[derive(Debug, Default)]
struct Shared {
    files: Mutex<BTreeMap<String, Vec<u8>>>,
    asked: AtomicUsize,
    unchanged: AtomicUsize,
    down: AtomicBool,
}

/// A running publisher.
#[derive(Debug)]
pub struct Publisher {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Publisher {
    /// Starts one that has nothing to offer yet.
    #[must_use]
    pub fn start() -> Self {
        Self::with(answer)
    }

    /// The same over TLS, with the certificate and key of these PEM files.
    #[must_use]
    pub fn start_tls(certificate: &Path, key: &Path) -> Self {
        let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).unwrap();
        acceptor.set_certificate_chain_file(certificate).unwrap();
        acceptor.set_private_key_file(key, SslFiletype::PEM).unwrap();
        let acceptor = acceptor.build();
        Self::with(move |stream, shared| {
            if let Ok(stream) = acceptor.accept(stream) {
                answer(stream, shared);
            }
        })
    }

    fn with(serve: impl Fn(TcpStream, &Shared) + Send + Sync + 'static) -> Self {
        let serve = Arc::new(serve);
        let listener = TcpListener::bind((loopback(), 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let served = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (served, serve) = (Arc::clone(&served), Arc::clone(&serve));
                let _ = stream.set_read_timeout(Some(Duration::from_secs(10)));
                thread::spawn(move || serve(stream, &served));
            }
        });
        Self { address, shared }
    }

    /// Publishes something, in the place of what was there.
    pub fn publish(&self, path: &str, content: impl Into<Vec<u8>>) {
        self.shared.files.lock().unwrap().insert(path.to_owned(), content.into());
    }

    /// Answers nothing but 503 from now on, or answers again.
    pub fn set_down(&self, down: bool) {
        self.shared.down.store(down, Ordering::SeqCst);
    }

    /// How many requests came.
    #[must_use]
    pub fn asked(&self) -> usize {
        self.shared.asked.load(Ordering::SeqCst)
    }

    /// Waits until so many requests came.
    #[track_caller]
    pub fn wait_until_asked(&self, count: usize) {
        let begun = Instant::now();
        while self.asked() < count {
            assert!(begun.elapsed() < PATIENCE, "only {} requests came", self.asked());
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// How many of them were answered with "not modified".
    #[must_use]
    pub fn unchanged(&self) -> usize {
        self.shared.unchanged.load(Ordering::SeqCst)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Address of something published here.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{HOST}:{}{path}", self.address.port())
    }

    /// The section `[refresh]` of a gateway that asks for these lists here, at least so often.
    #[must_use]
    pub fn section(&self, lists: &[&str], every: &str) -> String {
        let lists: Vec<_> = lists.iter().map(|path| format!("{:?}", self.url(path))).collect();
        format!(
            "[refresh]\ncrls = [{}]\nevery = \"{every}\"\nretry = \"60s\"\naddresses = {{ {HOST:?} = \"{}\" }}\n",
            lists.join(", "),
            self.address.ip()
        )
    }
}

fn answer(mut stream: impl Read + Write, shared: &Shared) {
    let mut lines = BufReader::new(&mut stream).lines().map_while(Result::ok);
    let Some(path) = lines.next().and_then(|line| line.split(' ').nth(1).map(str::to_owned)) else { return };
    let mut known = None;
    for line in lines.take_while(|line| !line.is_empty()) {
        if let Some((name, value)) = line.split_once(": ") {
            known = if name.eq_ignore_ascii_case("if-none-match") { Some(value.to_owned()) } else { known };
        }
    }
    shared.asked.fetch_add(1, Ordering::SeqCst);
    let file = shared.files.lock().unwrap().get(&path).cloned();
    let head = |status: &str, more: &str| format!("HTTP/1.1 {status}\r\nConnection: close\r\n{more}\r\n");
    let (head, body) = match file {
        _ if shared.down.load(Ordering::SeqCst) => (head("503 Service Unavailable", ""), Vec::new()),
        None => (head("404 Not Found", ""), Vec::new()),
        Some(file) => {
            let tag: String = sha256(&file).iter().take(8).map(|octet| format!("{octet:02x}")).collect();
            let tag = format!("\"{tag}\"");
            if known.as_deref() == Some(&tag) {
                shared.unchanged.fetch_add(1, Ordering::SeqCst);
                (head("304 Not Modified", ""), Vec::new())
            } else {
                let more = format!(
                    "ETag: {tag}\r\nContent-Length: {}\r\nContent-Type: application/octet-stream\r\n",
                    file.len()
                );
                (head("200 OK", &more), file)
            }
        }
    };
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
}
