//! An authority of time stamps: OpenSSL's command line (`openssl ts -reply`) behind a web server of a few lines.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use crate::{
    openssl_cli::openssl,
    place::{Scratch, loopback},
    process::tool,
};

/// Name under which gateways are told to ask it.
pub const HOST: &str = "horodatage.exemple.test";

#[derive(Debug)]
struct Shared {
    folder: Scratch,
    asked: AtomicUsize,
}

/// A running authority.
#[derive(Debug)]
pub struct Tsa {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Tsa {
    /// Makes root and certificate with OpenSSL, and serves.
    #[must_use]
    #[track_caller]
    pub fn start() -> Self {
        let folder = Scratch::new("tsa");
        let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
        let make = |arguments: &[&str]| {
            let _ = openssl(arguments, b"").success();
        };
        let root = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30"];
        let subject = ["-subj", "/C=FR/O=HORODATAGE-TEST/CN=RACINE HORODATAGE-TEST"];
        let files = ["-keyout", &path("root.key"), "-out", &path("root.pem")];
        make(&[&root[..], &subject, &files].concat());
        let leaf = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "20"];
        let subject = ["-subj", "/C=FR/O=HORODATAGE-TEST/CN=HORODATAGE-TEST"];
        let extensions = [
            "-addext",
            "basicConstraints=critical,CA:FALSE",
            "-addext",
            "keyUsage=critical,digitalSignature",
            "-addext",
            "extendedKeyUsage=critical,timeStamping",
        ];
        let (ca, ca_key) = (path("root.pem"), path("root.key"));
        let by = ["-CA", &ca, "-CAkey", &ca_key];
        let files = ["-keyout", &path("tsa.key"), "-out", &path("tsa.pem")];
        make(&[&leaf[..], &subject, &extensions, &by, &files].concat());
        let configuration = format!(
            "[tsa]\ndefault_tsa = it\n[it]\nserial = {}\nsigner_digest = sha256\ndefault_policy = 1.2.3.4.1\n\
             digests = sha256\ness_cert_id_alg = sha256\nsigner_cert = {}\nsigner_key = {}\n",
            path("serial"),
            path("tsa.pem"),
            path("tsa.key"),
        );
        std::fs::write(folder.join("ts.cnf"), configuration).unwrap();
        let listener = TcpListener::bind((loopback(), 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared { folder, asked: AtomicUsize::new(0) });
        let served = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let _ = stream.set_read_timeout(Some(Duration::from_secs(10)));
                // One after the other: the serial number is a file.
                answer(stream, &served);
            }
        });
        Self { address, shared }
    }

    /// The root, PEM.
    #[must_use]
    pub fn root(&self) -> PathBuf {
        self.shared.folder.join("root.pem")
    }

    /// How often it was asked.
    #[must_use]
    pub fn asked(&self) -> usize {
        self.shared.asked.load(Ordering::SeqCst)
    }

    /// The section of a gateway that has its signatures stamped here.
    #[must_use]
    pub fn section(&self, more: &str) -> String {
        section(&format!("http://{HOST}:{}/tsr", self.address.port()), self.address, &self.root(), more)
    }
}

/// The section of a gateway that asks at this address of this host.
#[must_use]
#[track_caller]
pub fn section(url: &str, at: SocketAddr, root: &Path, more: &str) -> String {
    let root_file = root.to_str().unwrap();
    let der = openssl(&["x509", "-in", root_file, "-outform", "DER"], b"").success();
    let sha256: String = openssl::sha::sha256(&der).iter().map(|octet| format!("{octet:02x}")).collect();
    format!(
        "[seal.timestamp]\nurl = {url:?}\naddresses = {{ {HOST:?} = \"{}\" }}\n{more}\n\
         [[seal.timestamp.anchor]]\nfile = {root_file:?}\nsha256 = \"{sha256}\"\n",
        at.ip()
    )
}

fn answer(mut stream: TcpStream, shared: &Shared) {
    let mut reader = BufReader::new(&mut stream);
    let (mut length, mut query) = (0usize, false);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 || line.trim().is_empty() {
            break;
        }
        let line = line.trim().to_ascii_lowercase();
        length = line.strip_prefix("content-length: ").and_then(|text| text.parse().ok()).unwrap_or(length);
        query |= line == "content-type: application/timestamp-query";
    }
    let mut question = vec![0; length.min(64 * 1024)];
    if !query || reader.read_exact(&mut question).is_err() {
        return;
    }
    shared.asked.fetch_add(1, Ordering::SeqCst);
    let (asked, said) = (shared.folder.join("query"), shared.folder.join("answer"));
    std::fs::write(&asked, question).unwrap();
    let mut command = tool("openssl");
    command.args(["ts", "-reply", "-section", "it", "-config"]).arg(shared.folder.join("ts.cnf"));
    let done = command.arg("-queryfile").arg(&asked).arg("-out").arg(&said).output().unwrap();
    assert!(done.status.success(), "openssl ts: {}", String::from_utf8_lossy(&done.stderr));
    let body = std::fs::read(&said).unwrap();
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/timestamp-reply\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
}
