//! Two real Postfix instances exchange mail over mutual TLS; a third certificate is turned away.

use std::net::IpAddr;

use lettre::{Message, SmtpTransport, Transport};
use pki::issue::KeyAlgorithm;

use super::*;
use crate::demo::{
    cast::Place,
    inner_store::InnerStore,
    space::{IdentityFiles, Ports, Space, SpaceSettings},
};

const PATIENCE: Duration = Duration::from_secs(60);

fn space(folder: &Path) -> Space {
    let ports = Ports::free(IpAddr::from([127, 0, 0, 1])).unwrap();
    let now = ident::Clock::now(&ident::SystemClock);
    let folder = folder.to_owned();
    Space::create(&SpaceSettings { folder, now, seed: 1, people: 40, key: KeyAlgorithm::P256, ports }).unwrap()
}

/// Hospital A played by a Postfix too: its own identity, its own ports, C as its only partner.
fn as_hospital(space: &Space, known: &IdentityFiles) -> [PostfixSettings; 2] {
    let (a, c) = (space.ports.a, space.ports.c);
    let settings =
        |place: Place, files: &IdentityFiles, exchange, internal, store, peer: Peer, local: &str| PostfixSettings {
            folder: space.folder.join(place.folder()).join("postfix"),
            host: place.host(),
            domain: place.domain().unwrap(),
            mailboxes: vec![place.address(local).unwrap()],
            exchange,
            internal,
            store,
            certificate: files.certificate.clone(),
            key: files.key.clone(),
            authorities: space.anchor("servers-chain"),
            peers: vec![peer],
        };
    let peer =
        |place: Place, exchange, client| Peer { domain: place.domain().unwrap(), host: place.host(), exchange, client };
    let to_c = peer(Place::C, c.exchange, space.operator.fingerprint);
    let to_a = peer(Place::A, a.exchange, known.fingerprint);
    [
        settings(Place::A, &space.gateways[0], a.exchange, a.submission, a.inner, to_c, "anne.martin-test"),
        settings(Place::C, &space.operator, c.exchange, c.internal, c.inner, to_a, "jean.petit-test"),
    ]
}

async fn submit(port: SocketAddr, from: Address, to: Address) {
    let message = Message::builder()
        .from(from.to_string().parse().unwrap())
        .to(to.to_string().parse().unwrap())
        .subject("Essai")
        .body("Bonjour.\r\n".to_owned())
        .unwrap();
    let send = move || {
        let transport = SmtpTransport::builder_dangerous(port.ip().to_string()).port(port.port()).build();
        transport.send(&message).unwrap();
    };
    tokio::task::spawn_blocking(send).await.unwrap();
}

struct Running {
    instances: [Postfix; 2],
    stores: [InnerStore; 2],
}

async fn run(space: &Space, known: &IdentityFiles) -> Running {
    let [a, c] = as_hospital(space, known);
    let store = async |settings: &PostfixSettings| {
        let folder = space.folder.join(format!("mail-{}", settings.domain));
        InnerStore::start(settings.store, folder, &settings.host).await.unwrap()
    };
    let stores = [store(&a).await, store(&c).await];
    Running { instances: [Postfix::start(&a).await.unwrap(), Postfix::start(&c).await.unwrap()], stores }
}

#[tokio::test]
async fn two_instances_relay_over_mutual_tls_and_stop() {
    let folder = tempfile::tempdir().unwrap();
    open_to_others(folder.path(), 0o711).unwrap();
    let space = space(folder.path());
    let running = run(&space, &space.gateways[0].clone()).await;
    let (doctor, colleague) =
        (Place::A.address("anne.martin-test").unwrap(), Place::C.address("jean.petit-test").unwrap());
    submit(space.ports.a.submission, doctor, colleague.clone()).await;
    let found = running.stores[1].wait_for(&colleague, 1, PATIENCE).await.unwrap();
    let logs = || running.instances.iter().map(|p| fs::read_to_string(p.log()).unwrap()).collect::<String>();
    let text = fs::read_to_string(&found.unwrap_or_else(|| panic!("{}", logs()))[0]).unwrap();
    assert!(text.contains("Client CN \"smtp.ch-a.mssante.test\""), "{text}");
    assert!(text.contains("(verified OK)"), "{text}");
    assert!(text.contains("using TLSv1.3"), "{text}");

    let pids: Vec<_> = running.instances.iter().map(|p| p.master_pid().unwrap()).collect();
    for instance in running.instances {
        instance.stop().await.unwrap();
    }
    for pid in pids {
        assert!(!Path::new(&format!("/proc/{pid}")).exists(), "master {pid} is still there");
    }
    for store in running.stores {
        store.stop().await;
    }
}

#[tokio::test]
async fn a_good_certificate_that_is_not_listed_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    open_to_others(folder.path(), 0o711).unwrap();
    let space = space(folder.path());
    // C knows the stranger's certificate and not A's: A's mail comes back to its sender.
    let running = run(&space, &space.stranger.clone()).await;
    let doctor = Place::A.address("anne.martin-test").unwrap();
    submit(space.ports.a.submission, doctor.clone(), Place::C.address("jean.petit-test").unwrap()).await;
    let found = running.stores[0].wait_for(&doctor, 1, PATIENCE).await.unwrap().unwrap();
    let text = fs::read_to_string(&found[0]).unwrap();
    assert!(text.contains("554 5.7.1") && text.contains("Client host rejected"), "{text}");
    for instance in running.instances {
        instance.stop().await.unwrap();
    }
}

#[tokio::test]
async fn a_folder_that_postfix_cannot_enter_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let space = space(folder.path());
    let [mut settings, _] = as_hospital(&space, &space.stranger);
    settings.folder = folder.path().join("closed/postfix");
    fs::create_dir_all(&settings.folder).unwrap();
    open_to_others(&folder.path().join("closed"), 0o700).unwrap();
    let error = Postfix::start(&settings).await.unwrap_err();
    assert!(matches!(error, PostfixError::Folder(_)), "{error}");
}
