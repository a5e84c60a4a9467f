//! An OCSP responder: OpenSSL's own `ocsp` command judges each question and signs each answer. Only the HTTP
//! around it is ours, because OpenSSL's server would listen at every address of the machine.

use std::{
    fmt::Write as _,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use ident::Timestamp;
use pki::issue::{Authority, CertificateRequest, Issued, KeyAlgorithm, Profile, Validity};

use crate::{
    place::{Scratch, loopback},
    process::{run, tool},
    publisher::HOST,
};

/// Long enough for any moved clock.
const MINUTES: &str = "1400";

struct Shared {
    folder: Scratch,
    down: AtomicBool,
    answered: AtomicUsize,
}

/// A running responder of one authority.
pub struct Responder {
    port: u16,
    shared: Arc<Shared>,
}

impl Responder {
    /// A port for it: its address stands in the authority's certificates, so it comes first.
    #[must_use]
    pub fn bind() -> (TcpListener, String) {
        let listener = TcpListener::bind((loopback(), 0)).unwrap();
        let url = format!("http://{HOST}:{}/ocsp", listener.local_addr().unwrap().port());
        (listener, url)
    }

    /// Answers for this authority, by a certificate that it issues for the purpose.
    #[must_use]
    pub fn start(listener: TcpListener, authority: &Authority, now: Timestamp) -> Self {
        let folder = Scratch::new("ocsp");
        let profile = Profile::OcspResponder { name: "REPONDEUR TEST".to_owned(), nocheck: true };
        let request = CertificateRequest::new(profile, KeyAlgorithm::P256, Validity::days(now, 300));
        let signer = authority.issue(&request).unwrap();
        folder.write("authority.pem", authority.certificate_pem());
        folder.write("signer.pem", signer.certificate_pem());
        folder.write("signer.key", &*signer.key_pem().unwrap());
        folder.write("index.txt", "");
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared { folder, down: AtomicBool::new(false), answered: AtomicUsize::new(0) });
        let served = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let _ = stream.set_read_timeout(Some(Duration::from_secs(10)));
                answer(stream, &served);
            }
        });
        Self { port, shared }
    }

    /// `host:port`, as a configuration allows it.
    #[must_use]
    pub fn site(&self) -> String {
        format!("{HOST}:{}", self.port)
    }

    /// Says from now on that this certificate is good, or revoked since a moment of the past.
    pub fn say(&self, issued: &Issued, revoked: bool) {
        let digits = issued.serial().iter().skip_while(|octet| **octet == 0);
        let serial = digits.fold(String::new(), |mut text, octet| {
            let _ = write!(text, "{octet:02X}");
            text
        });
        let (status, since) = if revoked { ('R', "260101000000Z,keyCompromise") } else { ('V', "") };
        let line = format!("{status}\t491231235959Z\t{since}\t{serial}\tunknown\t/CN=test\n");
        // Whole or not at all: a question may come at this moment.
        let beside = self.shared.folder.write("index.new", line);
        std::fs::rename(beside, self.shared.folder.join("index.txt")).unwrap();
    }

    /// Answers nothing but 503 from now on, or answers again.
    pub fn set_down(&self, down: bool) {
        self.shared.down.store(down, Ordering::SeqCst);
    }

    /// How many questions it answered.
    #[must_use]
    pub fn answered(&self) -> usize {
        self.shared.answered.load(Ordering::SeqCst)
    }
}

fn answer(mut stream: TcpStream, shared: &Shared) {
    let mut reader = BufReader::new(&mut stream);
    let mut length = 0;
    let mut line = String::new();
    while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
        if let Some((_, value)) = line.to_ascii_lowercase().split_once("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        line.clear();
    }
    let mut question = vec![0; length];
    if reader.read_exact(&mut question).is_err() {
        return;
    }
    let (status, body) = match shared.down.load(Ordering::SeqCst) {
        true => ("503 Service Unavailable", Vec::new()),
        false => ("200 OK", openssl(shared.folder.path(), &question)),
    };
    shared.answered.fetch_add(usize::from(!body.is_empty()), Ordering::SeqCst);
    let head = format!(
        "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Type: application/ocsp-response\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
}

fn openssl(folder: &Path, question: &[u8]) -> Vec<u8> {
    std::fs::write(folder.join("question.der"), question).unwrap();
    let arguments = "ocsp -index index.txt -CA authority.pem -rsigner signer.pem -rkey signer.key -rmd sha256 \
                     -reqin question.der -respout answer.der -nmin";
    let done = run(tool("openssl").args(arguments.split_whitespace()).arg(MINUTES).current_dir(folder), b"");
    assert_eq!(done.code, Some(0), "{}", done.errors);
    std::fs::read(folder.join("answer.der")).unwrap()
}
