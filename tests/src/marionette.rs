//! Marionette: how Mozilla's programs are driven from outside. Messages of JSON, each with its length in front, over
//! TCP on loopback.
//!
//! Scripts run in the program's own (chrome) context, with its privileges: they see what its windows see.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// The longest that one script may take, on a machine that does much else.
const SCRIPT: Duration = Duration::from_secs(180);
/// Largest answer: a screenshot.
const MAX_ANSWER: usize = 64 * 1024 * 1024;

/// A session with one program.
#[derive(Debug)]
pub struct Marionette {
    stream: TcpStream,
    number: u64,
}

impl Marionette {
    /// Connects to the port that the program says it listens on.
    ///
    /// The program must have been started with `--marionette --remote-allow-system-access`.
    #[must_use]
    #[track_caller]
    pub fn connect(port: u16) -> Self {
        let stream = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], port))).unwrap();
        stream.set_read_timeout(Some(SCRIPT + SCRIPT / 4)).unwrap();
        let mut session = Self { stream, number: 0 };
        let hello = session.read();
        assert_eq!(hello["marionetteProtocol"], 3, "{hello}");
        let timeout = u64::try_from(SCRIPT.as_millis()).unwrap();
        session.command("WebDriver:NewSession", &json!({"capabilities": {"alwaysMatch": {}}}));
        session.command("WebDriver:SetTimeouts", &json!({"script": timeout}));
        session.command("Marionette:SetContext", &json!({"value": "chrome"}));
        session
    }

    /// Runs a script, which hands its result to the function `done`, and waits for that. `args` holds the arguments.
    #[track_caller]
    pub fn script(&mut self, script: &str, args: &[Value]) -> Value {
        let script = format!("const done = arguments[arguments.length - 1], args = arguments;\n{script}");
        let mut answer = self.command("WebDriver:ExecuteAsyncScript", &json!({"script": script, "args": args}));
        answer["value"].take()
    }

    /// The window as a PNG picture.
    #[must_use]
    #[track_caller]
    pub fn screenshot(&mut self) -> Vec<u8> {
        let answer = self.command("WebDriver:TakeScreenshot", &json!({"full": false, "hash": false}));
        STANDARD.decode(answer["value"].as_str().unwrap()).unwrap()
    }

    /// One command and its answer.
    #[track_caller]
    pub fn command(&mut self, name: &str, parameters: &Value) -> Value {
        self.number += 1;
        let text = json!([0, self.number, name, parameters]).to_string();
        self.stream.write_all(format!("{}:{text}", text.len()).as_bytes()).unwrap();
        let mut answer = self.read();
        assert_eq!((&answer[0], &answer[1]), (&json!(1), &json!(self.number)), "{name}: {answer}");
        assert!(answer[2].is_null(), "{name}: {}", answer[2]);
        answer[3].take()
    }

    #[track_caller]
    fn read(&mut self) -> Value {
        let mut length = 0usize;
        loop {
            let mut octet = [0];
            self.stream.read_exact(&mut octet).unwrap();
            match octet[0] {
                b':' => break,
                digit => length = length * 10 + usize::from(digit - b'0'),
            }
            assert!(length < MAX_ANSWER, "an answer of {length} octets");
        }
        let mut text = vec![0; length];
        self.stream.read_exact(&mut text).unwrap();
        serde_json::from_slice(&text).unwrap()
    }
}
