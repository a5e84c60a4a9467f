//! A door before a server: octets go through it as they come, until somebody holds the answers back. The server has then
//! done what it was asked, and whoever asked does not know.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;

/// It stays open as long as the test runs.
#[derive(Debug)]
pub struct Door {
    /// Where it is.
    pub port: u16,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Connections since it was last told something.
    come: AtomicUsize,
    /// From which of them on answers are held back; 0: of none.
    held: AtomicUsize,
}

impl Door {
    /// On a free port of this address, before the server on another.
    #[must_use]
    pub fn before(port: u16, ip: &str) -> Self {
        let listener = TcpListener::bind((ip, 0)).unwrap();
        let (own, state, ip) = (listener.local_addr().unwrap().port(), Arc::new(State::default()), ip.to_owned());
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for client in listener.incoming() {
                let number = shared.come.fetch_add(1, SeqCst) + 1;
                let from = shared.held.load(SeqCst);
                let server = TcpStream::connect((ip.as_str(), port)).unwrap();
                join(client.unwrap(), server, from != 0 && number >= from);
            }
        });
        Self { port: own, state }
    }

    /// Of the connections that come from now on, this one and all behind it get no answer to what they ask: the handshake
    /// of TLS 1.3 is through, and nothing comes after it.
    pub fn holds_answers_from(&self, connection: usize) {
        self.state.come.store(0, SeqCst);
        self.state.held.store(connection, SeqCst);
    }

    /// Everything goes through again.
    pub fn opens(&self) {
        self.holds_answers_from(0);
    }
}

/// Both ways. Where answers are held, what the client says behind the server's first words is the last that is answered.
fn join(client: TcpStream, server: TcpStream, held: bool) {
    let (spoken, mute) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (mut from_client, mut to_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    let (has_spoken, falls_mute) = (Arc::clone(&spoken), Arc::clone(&mute));
    thread::spawn(move || {
        pass(&mut from_client, |octets| {
            if held && has_spoken.load(SeqCst) {
                falls_mute.store(true, SeqCst);
            }
            to_server.write_all(octets).is_ok()
        });
        let _ = to_server.shutdown(Shutdown::Write);
    });
    let (mut from_server, mut to_client) = (server, client);
    thread::spawn(move || {
        pass(&mut from_server, |octets| {
            spoken.store(true, SeqCst);
            mute.load(SeqCst) || to_client.write_all(octets).is_ok()
        });
        // Where answers are held, its end is one.
        if !mute.load(SeqCst) {
            let _ = to_client.shutdown(Shutdown::Write);
        }
    });
}

fn pass(from: &mut TcpStream, mut to: impl FnMut(&[u8]) -> bool) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(read) = from.read(&mut buffer) {
        if read == 0 || !to(&buffer[..read]) {
            return;
        }
    }
}
