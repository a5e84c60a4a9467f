//! BouncyCastle: a second complete implementation, in Java, which also writes and reads GCM. It answers from one
//! process, because starting Java takes longer than all the work.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;

use super::cast::Identity;
use super::{Cast, Cipher, Done, Peer};

const JARS: &str =
    "/usr/share/java/bcprov.jar:/usr/share/java/bcpkix.jar:/usr/share/java/bcutil.jar:/usr/share/java/bcmail.jar";

struct Talk {
    child: Child,
    ask: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

/// Debian's jars under our `BouncyCastle.java`, which Java compiles as it starts.
pub struct BouncyCastle {
    talk: Mutex<Talk>,
    version: String,
    folder: tempfile::TempDir,
    root: String,
}

impl BouncyCastle {
    /// Starts it and waits until it has said its name.
    #[must_use]
    #[track_caller]
    pub fn new(cast: &Cast) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("BouncyCastle.java");
        std::fs::write(&program, include_str!("BouncyCastle.java")).unwrap();
        let mut child = Command::new("timeout")
            .args(["--kill-after=5", "300", "setpriv", "--pdeathsig", "TERM", "--", "java", "-cp", JARS])
            .arg(&program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("java: {error} (tests/run installs what the tests need)"));
        let mut talk = Talk { ask: child.stdin.take(), answers: BufReader::new(child.stdout.take().unwrap()), child };
        let version = talk.answer();
        assert!(version.starts_with("BouncyCastle"), "java did not start BouncyCastle: {version:?}");
        let root = folder.path().join("root");
        std::fs::write(&root, cast.root_certificate().to_der().unwrap()).unwrap();
        let root = root.to_str().unwrap().to_owned();
        Self { talk: Mutex::new(talk), version, folder, root }
    }

    fn put(&self, name: &str, octets: &[u8]) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, octets).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn certificate(&self, identity: &Identity) -> String {
        self.put("certificate", &identity.credentials.certificate.to_der().unwrap())
    }

    fn key(&self, identity: &Identity) -> String {
        self.put("key", &identity.credentials.key.private_key_to_pkcs8().unwrap())
    }

    fn ask(&self, words: &[&str], input: &[u8]) -> Done {
        let (input, output) = (self.put("in", input), self.folder.path().join("out"));
        let mut talk = self.talk.lock().unwrap();
        let line = format!("{}\t{input}\t{}\n", words.join("\t"), output.display());
        let ask = talk.ask.as_mut().unwrap();
        ask.write_all(line.as_bytes()).and_then(|()| ask.flush()).unwrap();
        match talk.answer().strip_prefix("cannot ") {
            Some(why) => Err(why.to_owned()),
            None => std::fs::read(output).map_err(|error| error.to_string()),
        }
    }
}

impl Talk {
    fn answer(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}

impl Drop for BouncyCastle {
    fn drop(&mut self) {
        let talk = self.talk.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner);
        // The end of its input is the end of it.
        drop(talk.ask.take());
        let _ = talk.child.wait();
    }
}

impl Peer for BouncyCastle {
    fn name(&self) -> &'static str {
        "bouncycastle"
    }

    fn version(&self) -> String {
        self.version.clone()
    }

    fn sign(&self, signer: &Identity, pss: bool, content: &[u8]) -> Done {
        let how = if pss { "pss" } else { "pkcs1" };
        self.ask(&["sign", how, &self.certificate(signer), &self.key(signer)], content)
    }

    fn encrypt(&self, reader: &Identity, cipher: Cipher, content: &[u8]) -> Done {
        let how = if cipher == Cipher::Gcm { "gcm" } else { "cbc" };
        self.ask(&["encrypt", how, &self.certificate(reader)], content)
    }

    fn decrypt(&self, reader: &Identity, cms: &[u8]) -> Done {
        self.ask(&["decrypt", "-", &self.certificate(reader), &self.key(reader)], cms)
    }

    fn verify(&self, signer: &Identity, cms: &[u8]) -> Done {
        self.ask(&["verify", "-", &self.certificate(signer), &self.root], cms)
    }
}
