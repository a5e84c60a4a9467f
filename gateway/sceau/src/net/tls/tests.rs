//! Handshakes with real peers: the `openssl` command line on the other side where it can be.

use std::{
    io::{BufRead, BufReader, Write as _},
    process::{Command, Stdio},
};

use ident::{StructureId, Timestamp};
use pki::{
    issue::{
        Authority, AuthorityRequest, CertificateRequest, Issued, KeyAlgorithm, OcspDraft, OcspSigner, OcspStatement,
        Profile, Structure, Validity,
    },
    ocsp::OcspAnswer,
    status::Offer,
};
use tokio::net::TcpListener;

use super::*;

const HOUR: Duration = Duration::from_secs(3600);

struct World {
    folder: tempfile::TempDir,
    root: Authority,
    server: Issued,
    now: Timestamp,
}

impl World {
    fn new() -> Self {
        let now = SystemClock.now();
        let validity = Validity::days(now, 300);
        let root = Authority::root(&AuthorityRequest::new("RACINE AGRAFE", KeyAlgorithm::P256, validity)).unwrap();
        let structure = StructureId::parse("1990000001").unwrap();
        let structure = Structure::new(structure, "CH EXEMPLE-TEST", "Paris (75)");
        let profile = Profile::ServerTls { host: "smtp.ch-exemple.test".into(), alternatives: vec![], structure };
        let server = root.issue(&CertificateRequest::new(profile, KeyAlgorithm::P256, validity)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("root.pem"), root.certificate_pem()).unwrap();
        std::fs::write(folder.path().join("tls.pem"), server.certificate_pem()).unwrap();
        std::fs::write(folder.path().join("tls.key"), server.key_pem().unwrap()).unwrap();
        std::fs::write(folder.path().join("answer.der"), Self::good(&root, &server, now)).unwrap();
        Self { folder, root, server, now }
    }

    fn good(root: &Authority, server: &Issued, now: Timestamp) -> Vec<u8> {
        let draft = OcspDraft::new(server.serial(), OcspStatement::Good, now.minus(HOUR), now.plus(HOUR));
        root.ocsp_answer(&draft, OcspSigner::Authority).unwrap()
    }

    fn answer(&self) -> Vec<u8> {
        std::fs::read(self.folder.path().join("answer.der")).unwrap()
    }

    fn identity(&self) -> TlsIdentity {
        TlsIdentity::load(&self.folder.path().join("tls.pem"), &self.folder.path().join("tls.key")).unwrap()
    }

    fn openssl(&self, arguments: &str) -> Command {
        let mut command = Command::new("openssl");
        command.args(arguments.split_whitespace()).current_dir(self.folder.path());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        command
    }
}

/// What `openssl s_client` sees of us.
async fn seen_by_s_client(world: &World, identity: &TlsIdentity, more: &str) -> String {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let mut client =
        world.openssl(&format!("s_client -connect {address} -CAfile root.pem -verify_return_error {more}"));
    let client = client.spawn().unwrap();
    let (stream, _) = socket.accept().await.unwrap();
    let tls = identity.accept(stream).await.unwrap();
    // Its input ends, so it says goodbye by itself.
    let output = tokio::task::spawn_blocking(|| client.wait_with_output().unwrap()).await.unwrap();
    drop(tls);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test]
async fn our_server_staples_the_answer_that_is_held() {
    let world = World::new();
    let issuer = Certificate::from_der(world.root.certificate_der()).unwrap();
    let store = Arc::new(RevocationStore::new());
    let identity = world.identity().stapling(Arc::clone(&store), issuer.clone());
    let before = seen_by_s_client(&world, &identity, "-status").await;
    assert!(before.contains("OCSP response: no response sent"), "{before}");
    let answer = OcspAnswer::from_der(&world.answer()).unwrap();
    let leaf = world.server.certificate().unwrap();
    assert_eq!(store.offer_answer(answer, &leaf, &issuer, world.now), Offer::Taken);
    let after = seen_by_s_client(&world, &identity, "-status").await;
    assert!(after.contains("OCSP Response Status: successful") && after.contains("Cert Status: good"), "{after}");
}

#[tokio::test]
async fn our_client_asks_for_the_stapled_answer_of_a_server() {
    let world = World::new();
    let client = world.identity();
    for (staple, expected) in [("-status_file answer.der", Some(world.answer())), ("", None)] {
        let arguments = format!("s_server -accept 127.0.0.1:0 -cert tls.pem -key tls.key -naccept 1 {staple}");
        let mut server = world.openssl(&arguments).spawn().unwrap();
        let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
        let address = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| line.strip_prefix("ACCEPT ").map(str::to_owned))
            .expect("an address");
        let stream = TcpStream::connect(address.as_str()).await.unwrap();
        let tls = client.connect("smtp.ch-exemple.test", stream).await.unwrap();
        assert_eq!(TlsFacts::of(tls.ssl()).stapled, expected);
        drop(tls);
        let _ = server.stdin.take().map(|mut stdin| stdin.write_all(b"Q\n"));
        let _ = server.kill();
        server.wait().unwrap();
    }
}

/// A session saved by a client cannot be taken up again: who they are is proved anew each time.
#[tokio::test]
async fn a_saved_session_is_of_no_use() {
    let world = World::new();
    let identity = world.identity();
    for version in ["-tls1_2", "-tls1_3"] {
        let first = seen_by_s_client(&world, &identity, &format!("{version} -sess_out session.pem")).await;
        assert!(first.contains("\nNew, TLSv1."), "{first}");
        let saved = world.folder.path().join("session.pem");
        // Without a ticket nothing worth saving comes in TLS 1.3.
        assert!(version == "-tls1_2" || !saved.exists(), "{version}");
        if saved.exists() {
            let again = seen_by_s_client(&world, &identity, &format!("{version} -sess_in session.pem")).await;
            assert!(again.contains("\nNew, TLSv1.") && !again.contains("Reused"), "{again}");
            std::fs::remove_file(saved).unwrap();
        }
    }
}
