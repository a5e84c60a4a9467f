//! PostgreSQL's protocol, version 3, as a client that prepares, asks and counts rows.

use std::io::{BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

/// One connection.
pub(super) struct Wire {
    stream: BufReader<TcpStream>,
}

impl Wire {
    pub(super) fn connect(at: SocketAddr) -> Self {
        let stream = TcpStream::connect(at).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut wire = Self { stream: BufReader::with_capacity(64 * 1024, stream) };
        let parameters = b"user\0postgres\0database\0postgres\0\0";
        let length = u32::try_from(parameters.len() + 8).unwrap();
        let start = [&length.to_be_bytes()[..], &196_608u32.to_be_bytes(), parameters].concat();
        wire.stream.get_mut().write_all(&start).unwrap();
        wire.rows("");
        wire
    }

    /// Runs statements, one after the other.
    pub(super) fn run(&mut self, sql: &str) {
        // A string of several would be one transaction, which some of them refuse.
        for one in sql.split(';').map(str::trim).filter(|one| !one.is_empty()) {
            let query = message(b'Q', &text(one));
            self.stream.get_mut().write_all(&query).unwrap();
            self.rows(one);
        }
    }

    pub(super) fn prepare(&mut self, name: &str, sql: &str) {
        let parse = message(b'P', &[text(name), text(sql), vec![0, 0]].concat());
        self.stream.get_mut().write_all(&[parse, message(b'S', b"")].concat()).unwrap();
        self.rows(sql);
    }

    /// Rows that a prepared statement gives for these values.
    pub(super) fn ask(&mut self, name: &str, values: &[&str]) -> usize {
        let count = u16::try_from(values.len()).unwrap().to_be_bytes();
        let mut bind = [text(""), text(name), vec![0, 0], count.to_vec()].concat();
        for value in values {
            bind.extend_from_slice(&u32::try_from(value.len()).unwrap().to_be_bytes());
            bind.extend_from_slice(value.as_bytes());
        }
        bind.extend_from_slice(&[0, 0]);
        let execute = [text(""), vec![0; 4]].concat();
        let all = [message(b'B', &bind), message(b'E', &execute), message(b'S', b"")].concat();
        self.stream.get_mut().write_all(&all).unwrap();
        self.rows(name)
    }

    /// Counts rows until the server is ready for more.
    fn rows(&mut self, what: &str) -> usize {
        let mut rows = 0;
        let mut failed = None;
        loop {
            let mut head = [0; 5];
            self.stream.read_exact(&mut head).unwrap();
            let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
            let mut body = vec![0; length - 4];
            self.stream.read_exact(&mut body).unwrap();
            match head[0] {
                b'D' => rows += 1,
                b'E' => failed = Some(String::from_utf8_lossy(&body).replace('\0', " ")),
                b'Z' => break,
                _ => {}
            }
        }
        assert!(failed.is_none(), "{what}: {}", failed.unwrap_or_default());
        rows
    }
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    [&[kind][..], &length.to_be_bytes(), body].concat()
}

fn text(text: &str) -> Vec<u8> {
    [text.as_bytes(), &[0]].concat()
}
