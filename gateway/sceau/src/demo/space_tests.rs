//! The space reads back: configuration parses, every path in it exists, every certificate is what it should be.

use std::process::Command;

use annuaire::{DataFolder, Registry, Right};
use pki::{
    certificate::Certificate,
    identity::Identity,
    path::{Purpose, Validator, ValidatorBuilder},
    trust_list::{TrustList, TrustListProfile},
};

use super::*;
use crate::config::{KeyPlace, Loaded};

fn space(folder: &Path) -> Space {
    let settings = SpaceSettings::small(folder, Timestamp::from_seconds(1_790_000_000), 40);
    Space::create(&settings).unwrap()
}

/// `openssl verify` of a card with the lists of the persons' branch.
fn verify(space: &Space, certificate: &Path, purpose: &str, branch: &str) -> String {
    let folder = |name: &str, suffix: &str| space.folder.join(name).join(format!("{branch}{suffix}"));
    let lists = space.folder.join(format!("{branch}-all.crl"));
    let both =
        fs::read_to_string(folder("crl", "-root.crl")).unwrap() + &fs::read_to_string(folder("crl", ".crl")).unwrap();
    fs::write(&lists, both).unwrap();
    let output = Command::new("openssl")
        .args(["verify", "-x509_strict", "-crl_check_all", "-attime", "1790000000", "-purpose", purpose])
        .arg("-CAfile")
        .arg(folder("anchors", ".pem"))
        .arg("-untrusted")
        .arg(folder("authorities", ".pem"))
        .arg("-CRLfile")
        .arg(&lists)
        .arg(certificate)
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn cards_verify_or_fail_as_the_play_wants() {
    let folder = tempfile::tempdir().unwrap();
    let space = space(folder.path());
    for holder in &space.holders {
        let said = verify(&space, &holder.card.certificate, "sslclient", "persons");
        let expected = match holder.person.fate {
            CardFate::Good => ": OK",
            CardFate::Revoked => "certificate revoked",
            CardFate::Expired => "certificate has expired",
            CardFate::OtherRoot => "verification failed",
        };
        assert!(said.contains(expected), "{}: {said}", holder.person.key);
        assert_eq!(
            holder.signature.is_some(),
            holder.person.fate == CardFate::Good && holder.person.role == Role::Doctor
        );
    }
    for files in [&space.operator, &space.stranger, &space.gateways[0], &space.gateways[1]] {
        let said = verify(&space, &files.certificate, "sslserver", "servers");
        assert!(said.contains(": OK"), "{said}");
    }
    for files in [&space.inner_client, &space.application] {
        let said = verify(&space, &files.certificate, "sslclient", "organisations");
        assert!(said.contains(": OK"), "{said}");
    }
    for name in ["ch-a-signs.pem", "ch-b-reads.pem"] {
        let said = verify(&space, &space.folder.join("book").join(name), "any", "organisations");
        assert!(said.contains(": OK"), "{said}");
    }
}

#[test]
fn what_a_configuration_names_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let space = space(folder.path());
    for (place, ports) in [(Place::A, space.ports.a), (Place::B, space.ports.b)] {
        let loaded = Loaded::read(&space.configuration(place)).unwrap();
        let config = &loaded.config;
        assert_eq!(config.server.hostname.as_str(), place.host());
        assert_eq!(config.listeners.len(), 3);
        assert!(config.listeners.iter().any(|l| l.address == ports.exchange));
        assert_eq!(config.trust.crls.len(), 6);
        let mut files =
            vec![&config.server.certificate, &config.server.key, &config.server.storage_key, &config.server.data];
        files.push(&config.trust.list);
        files.extend(config.annuaire.data.iter());
        files.extend(config.trust.anchors.iter().map(|a| &a.file));
        files.extend(config.trust.intermediates.iter().chain(&config.trust.crls));
        files.extend(config.book.iter().map(|b| &b.certificate));
        files.extend(config.clients.iter().map(|c| &c.certificate));
        for domain in &config.domains {
            files.push(&domain.registry);
            for key in domain.signing.0.iter().chain(&domain.decryption) {
                files.extend(&key.certificate);
                assert!(matches!(&key.key, Some(KeyPlace::File(file)) if loaded.path(file).exists()));
            }
        }
        for file in files {
            assert!(loaded.path(file).exists(), "{}", file.display());
        }
        for anchor in &config.trust.anchors {
            let pem = fs::read(loaded.path(&anchor.file)).unwrap();
            let der = openssl::x509::X509::from_pem(&pem).unwrap().to_der().unwrap();
            assert_eq!(anchor.sha256, Fingerprint::new(sha256(&der)));
        }
    }
}

#[test]
fn keys_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let space = space(folder.path());
    let mut found = 0;
    let mut folders = vec![space.folder.clone()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "key" || e == "p12") {
                found += 1;
                assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{}", path.display());
            }
        }
    }
    assert!(found > 25, "{found}");
}

#[test]
fn ports_are_distinct() {
    let ports = Ports::free(IpAddr::from([127, 0, 0, 1])).unwrap();
    let all = [
        ports.a.submission,
        ports.a.submission_tls,
        ports.a.exchange,
        ports.a.inner,
        ports.b.submission,
        ports.b.submission_tls,
        ports.b.exchange,
        ports.b.inner,
        ports.c.exchange,
        ports.c.internal,
        ports.c.inner,
        ports.pages.unwrap(),
    ];
    let distinct: std::collections::HashSet<_> = all.iter().map(SocketAddr::port).collect();
    assert_eq!(distinct.len(), all.len());
}

#[test]
fn who_listens_everywhere_is_reached_on_loopback() {
    let reach = |text: &str| reached(text.parse().unwrap()).to_string();
    assert_eq!(reach("0.0.0.0:25"), "127.0.0.1:25");
    assert_eq!(reach("[::]:25"), "[::1]:25");
    assert_eq!(reach("192.0.2.7:25"), "192.0.2.7:25");
}

/// The validator that a gateway of this space would build.
fn validator(space: &Space) -> Validator {
    let read = |folder: &str, name: String| fs::read(space.folder.join(folder).join(name)).unwrap();
    let mut builder = ValidatorBuilder::new().test_category(true);
    for (name, purpose) in
        [("persons", Purpose::Person), ("organisations", Purpose::Organisation), ("servers", Purpose::Server)]
    {
        let certificate = |folder| Certificate::from_pem(&read(folder, format!("{name}.pem"))).unwrap();
        builder = builder.anchor(purpose, certificate("anchors")).intermediate(certificate("authorities"));
        for list in [format!("{name}.crl"), format!("{name}-root.crl")] {
            builder = builder.crl(&read("crl", list)).unwrap();
        }
    }
    builder.build().unwrap()
}

#[test]
fn our_own_judge_agrees() {
    let folder = tempfile::tempdir().unwrap();
    let space = space(folder.path());
    let validator = validator(&space);
    let now = Timestamp::from_seconds(1_790_000_000);
    let judged = |files: &IdentityFiles, purpose| {
        let all = Certificate::list_from_pem(&fs::read(&files.certificate).unwrap()).unwrap();
        let verdict = validator.verify(&all[0], &all[1..], purpose, now);
        (verdict.finding().map_or("valid", |finding| finding.code), Identity::of(&all[0]).unwrap())
    };
    for holder in &space.holders {
        let (code, identity) = judged(&holder.card, Purpose::Person);
        let expected = match holder.person.fate {
            CardFate::Good => "valid",
            CardFate::Revoked => "revoked",
            CardFate::Expired => "expired",
            CardFate::OtherRoot => "unknown_issuer",
        };
        assert_eq!(code, expected, "{}", holder.person.key);
        assert_eq!(identity.person_id(), Some(&holder.person.id));
        if let Some(signature) = &holder.signature {
            assert_eq!(judged(signature, Purpose::Person).0, "valid", "{}", holder.person.key);
        }
    }
    for files in [&space.operator, &space.stranger, &space.gateways[0], &space.gateways[1]] {
        let (code, identity) = judged(files, Purpose::Server);
        assert!(code == "valid" && matches!(identity, Identity::Server(_)), "{code} {identity:?}");
        assert_eq!(judged(files, Purpose::Peer).0, "valid");
        assert_ne!(judged(files, Purpose::Person).0, "valid", "a server is no person");
    }
    for files in [&space.inner_client, &space.application] {
        let (code, identity) = judged(files, Purpose::Organisation);
        assert!(code == "valid" && matches!(identity, Identity::Organisation(_)), "{code} {identity:?}");
    }
    for name in ["ch-a-signs", "ch-a-reads", "ch-b-signs", "ch-b-reads"] {
        let pem = fs::read(space.folder.join("book").join(format!("{name}.pem"))).unwrap();
        let certificate = Certificate::from_pem(&pem).unwrap();
        let verdict = validator.verify(&certificate, &[], Purpose::Organisation, now);
        assert!(verdict.is_valid(), "{name}: {:?}", verdict.finding());
        assert_eq!(
            (certificate.may_sign(), certificate.may_encrypt()),
            (name.ends_with("signs"), name.ends_with("reads"))
        );
    }
}

#[test]
fn registries_say_who_may_write_as_whom() {
    let folder = tempfile::tempdir().unwrap();
    let space = space(folder.path());
    let registry = |place: Place| Registry::read(&space.folder.join(place.folder()).join("registry.toml")).unwrap();
    let (a, b) = (registry(Place::A), registry(Place::B));
    let id = |key: &str| space.holder(key).unwrap().person.id.clone();
    let right = |key: &str, local: &str| {
        a.right(&id(key), a.mailbox(&Place::A.address(local).unwrap()).unwrap(), Timestamp::EPOCH)
    };
    assert_eq!(right("martin", "anne.martin-test"), Some(Right::Owner));
    assert_eq!(right("bernard", "anne.martin-test"), Some(Right::Grant));
    assert_eq!(right("bernard", "paul.durand-test"), None, "the secretary of another doctor");
    assert_eq!(right("martin", "paul.durand-test"), None);
    assert_eq!(right("robert", "paul.durand-test"), Some(Right::Delegate));
    assert_eq!(right("durand", "cardiologie"), Some(Right::Member));
    assert_eq!(right("moreau", "cardiologie"), None, "a doctor of another hospital");
    assert!(b.mailbox(&Place::B.address("differe.essai").unwrap()).is_some());
    assert_eq!((a.domains().len(), b.domains().len()), (1, 1));
}

#[test]
fn the_list_names_the_three_operators_and_no_stranger() {
    let folder = tempfile::tempdir().unwrap();
    let space = space(folder.path());
    let now = Timestamp::from_seconds(1_790_000_000);
    let profile = TrustListProfile {
        root: "ListeBlancheMSSante".into(),
        namespace: "https://listeblanche.mssante.fr/schema".into(),
        signer_cn: LIST_SIGNER_CN.into(),
        signer_ou: LIST_SIGNER_OU.into(),
    };
    let xml = fs::read(space.trust_list()).unwrap();
    let list = TrustList::verify(&xml, &profile, &validator(&space), now).unwrap();
    assert_eq!(list.domains().count(), 3);
    let certificate = |files: &IdentityFiles| Certificate::from_pem(&fs::read(&files.certificate).unwrap()).unwrap();
    for (place, files) in [(Place::A, &space.gateways[0]), (Place::B, &space.gateways[1]), (Place::C, &space.operator)]
    {
        assert!(list.speaks_for(&certificate(files), &place.domain().unwrap()));
        assert!(!list.speaks_for(&certificate(&space.stranger), &place.domain().unwrap()));
    }
    assert!(!list.speaks_for(&certificate(&space.operator), &Place::A.domain().unwrap()));
}

#[test]
fn the_directory_knows_the_cast() {
    let folder = tempfile::tempdir().unwrap();
    let space = space(folder.path());
    let generation = DataFolder::new(&space.folder.join("annuaire-data")).current().unwrap();
    assert!(generation.people().count() >= 40 + 9);
    for holder in &space.holders {
        let person = &holder.person;
        let Some(known) = generation.person(&person.id) else {
            assert_eq!(person.role, Role::Secretary);
            continue;
        };
        assert!(known.active(), "{}", person.key);
        let cards = generation.cards(&person.card);
        assert_eq!(cards.len(), 1);
        assert_eq!(cards[0].opposed(), person.fate == CardFate::Revoked);
        let listed = generation.mailbox(person.mailbox.as_ref().unwrap()).is_some();
        assert_eq!(listed, person.key != "robert", "{}", person.key);
    }
}

#[test]
fn a_gateway_would_start_from_it() {
    let folder = tempfile::tempdir().unwrap();
    let space = space(folder.path());
    for place in [Place::A, Place::B] {
        let mut loaded = Loaded::read(&space.configuration(place)).unwrap();
        // The directory is shown by `the_directory_knows_the_cast`.
        loaded.config.annuaire.data = None;
        let snapshot = crate::snapshot::Snapshot::load(&loaded, Timestamp::from_seconds(1_790_000_000));
        let snapshot = snapshot.unwrap_or_else(|problems| panic!("{problems:#?}"));
        assert!(snapshot.own(&place.domain().unwrap()).is_some());
        assert_eq!(snapshot.vouching.len(), usize::from(place == Place::A));
        // Our own two certificates and the partner's two.
        assert_eq!(snapshot.book.entries().len(), 4);
    }
}
