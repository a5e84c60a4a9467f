//! The client against a server that is not ours: the third operator's Postfix.

use std::{net::IpAddr, process::Stdio};

use ident::Timestamp;
use pki::issue::KeyAlgorithm;

use super::*;
use crate::demo::{
    cast::Place,
    endpoints::Endpoints,
    letter::Letter,
    operator::ThirdOperator,
    space::{Ports, Space, SpaceSettings},
};

fn space(folder: &std::path::Path) -> Space {
    let now = ident::Clock::now(&ident::SystemClock);
    let ports = Ports::free(IpAddr::from([127, 0, 0, 1])).unwrap();
    let folder = folder.to_owned();
    Space::create(&SpaceSettings { folder, now, seed: 1, people: 40, key: KeyAlgorithm::P256, ports }).unwrap()
}

#[tokio::test]
async fn certificates_decide_and_refusals_keep_their_words() {
    let folder = tempfile::tempdir().unwrap();
    let space = space(folder.path());
    let operator = ThirdOperator::start(&space).await.unwrap();
    let (from, to) = (Place::A.address("anne.martin-test").unwrap(), Place::C.address("jean.petit-test").unwrap());
    let message = Letter {
        from: ("Dr Anne MARTIN-TEST", &from),
        sender: None,
        to: std::slice::from_ref(&to),
        subject: "Essai",
        text: "Bonjour",
        report: &["Compte rendu fictif"],
        id: "1@ch-a.mssante.test",
        at: Timestamp::from_seconds(1_790_000_000),
    }
    .compose()
    .unwrap();
    let software = |identity: Option<&IdentityFiles>, protection| Software {
        host: Place::C.host(),
        address: space.ports.c.exchange,
        protection,
        authorities: space.anchor("servers"),
        identity: identity.cloned(),
    };
    let good = software(Some(&space.gateways[0]), Protection::Starttls);
    let reply = good.send(&message).await.unwrap();
    assert!(reply.starts_with("250 2.0.0"), "{reply}");
    assert!(operator.store.wait_for(&to, 1, PATIENCE).await.unwrap().is_some());

    for (software, code, said) in [
        (software(Some(&space.stranger), Protection::Starttls), 554, "Client host rejected"),
        (software(None, Protection::Starttls), 421, "No client certificate presented"),
        (software(None, Protection::None), 530, "STARTTLS"),
    ] {
        match software.send(&message).await.unwrap_err() {
            SendError::Refused(refusal) => {
                assert!(refusal.code == code && refusal.text.contains(said), "{refusal}");
            }
            other => panic!("{other}"),
        }
    }
    // The server's name is checked by the client.
    let misled = Software { host: Place::A.host(), ..good };
    assert!(matches!(misled.send(&message).await, Err(SendError::NoAnswer(_))));
    operator.stop().await.unwrap();
}

#[tokio::test]
async fn the_command_that_we_print_works() {
    let folder = tempfile::tempdir().unwrap();
    let space = space(folder.path());
    let operator = ThirdOperator::start(&space).await.unwrap();
    let colleague = Place::B.address("claire.moreau-test").unwrap();
    let to = Place::C.address("jean.petit-test").unwrap();
    let doctor = space.holder("martin").unwrap();
    let shown = |path: &PathBuf| path.display().to_string();
    // The same command, sent to the only server that runs here, with a certificate that it knows.
    let command = Endpoints::of(&space)
        .unwrap()
        .try_this
        .replace(
            &format!("--port {}", space.ports.a.submission.port()),
            &format!("--port {}", space.ports.c.exchange.port()),
        )
        .replace(&shown(&doctor.card.certificate), &shown(&space.gateways[0].certificate))
        .replace(&shown(&doctor.card.key), &shown(&space.gateways[0].key))
        .replace(&colleague.to_string(), &to.to_string());
    let run = tokio::process::Command::new("sh").args(["-c", &command]).stdin(Stdio::null()).output();
    let output = run.await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command}\n{said}");
    assert!(operator.store.wait_for(&to, 1, PATIENCE).await.unwrap().is_some(), "{said}");
    operator.stop().await.unwrap();
}

#[test]
fn endpoints_name_everything_and_every_file_exists() {
    let folder = tempfile::tempdir().unwrap();
    let space = space(folder.path());
    let endpoints = Endpoints::of(&space).unwrap();
    assert_eq!((endpoints.gateways.len(), endpoints.cards.len(), endpoints.misbehaving.len()), (2, 10, 10));
    for card in &endpoints.cards {
        for file in [&card.certificate, &card.private_key, &card.pkcs12] {
            assert!(std::path::Path::new(file).exists(), "{file}");
        }
    }
    let json = serde_json::to_string(&endpoints).unwrap();
    assert!(json.contains("\"other_root\"") && json.contains("\"submission_tls\""), "{json}");
}
