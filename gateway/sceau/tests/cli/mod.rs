//! Running the built command, and the material that its tests need.
#![allow(dead_code)] // each test file uses its part
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::arithmetic_side_effects)]

use std::{
    fs,
    io::Write as _,
    net::IpAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use ident::{Clock, SystemClock};
use pki::issue::{Issued, KeyAlgorithm};
use sceau::demo::space::{Ports, Space, SpaceSettings};
use serde_json::Value;

/// What a command left behind.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) exit: i32,
    pub(crate) out: Vec<u8>,
    pub(crate) err: String,
}

impl Ran {
    /// Standard output as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.out.clone()).expect("text")
    }

    /// Standard output as one JSON value.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// A folder in which commands run.
pub(crate) struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.at(name), content).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.at(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// A whole fictional trust space, in this folder.
    pub(crate) fn space(&self) -> Space {
        let settings = SpaceSettings {
            folder: self.folder.path().to_owned(),
            now: SystemClock.now(),
            seed: 1,
            people: 30,
            key: KeyAlgorithm::P256,
            ports: Ports::free(IpAddr::from([127, 0, 0, 1])).unwrap(),
        };
        Space::create(&settings).unwrap()
    }

    /// `NAME.pem` (certificate, then its issuers) and `NAME.key`.
    pub(crate) fn identity(&self, name: &str, issued: &Issued) {
        self.write(&format!("{name}.pem"), issued.presented_pem());
        self.write(&format!("{name}.key"), issued.key_pem().unwrap());
    }

    /// `sceau` with these arguments, separated by blanks.
    pub(crate) fn sceau(&self, arguments: &str) -> Ran {
        self.sceau_with(arguments, b"")
    }

    /// The same, with something on standard input.
    pub(crate) fn sceau_with(&self, arguments: &str, input: &[u8]) -> Ran {
        run(env!("CARGO_BIN_EXE_sceau"), arguments, self.folder.path(), input)
    }

    /// `openssl` with these arguments; it has to succeed.
    pub(crate) fn openssl(&self, arguments: &str) -> Ran {
        let ran = run("openssl", arguments, self.folder.path(), b"");
        assert_eq!(ran.exit, 0, "openssl {arguments}: {}", ran.err);
        ran
    }
}

fn run(program: &str, arguments: &str, folder: &Path, input: &[u8]) -> Ran {
    let mut child = Command::new(program)
        .args(arguments.split_whitespace())
        .current_dir(folder)
        .env_remove("SCEAU_PASSPHRASE")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // Beside: a command may end, or write much, before it has read everything.
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    Ran {
        exit: output.status.code().expect("no signal"),
        out: output.stdout,
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// LF to CRLF.
pub(crate) fn wire(text: &str) -> Vec<u8> {
    text.replace('\n', "\r\n").into_bytes()
}
