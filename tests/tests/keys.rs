//! Keys on tokens, and keys that change, under running mail.

// Asserting is what tests do, in their helpers too.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]
#![allow(clippy::arithmetic_side_effects)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use ident::{Clock as _, SystemClock};
use pki::issue::{Issued, KeyAlgorithm, Profile, ServerMailUse};
use sceau::demo::cast::Place::{self, A, B};
use tests::capture::{Captured, Sink, SinkOptions};
use tests::certs::{CredentialFiles, Credentials};
use tests::gateway::{Gateway, sceau_json};
use tests::openssl_cli::{cms_decrypt, cms_verify};
use tests::process::{PATIENCE, tool};
use tests::token::SoftToken;
use tests::world::{World, assert_refused, hand_over, letter};

const PIN: &str = "271828";

/// A world with RSA keys: SoftHSM2 takes RSA keys for every use, EC keys from files only for signing.
fn rsa_world() -> World {
    World::with(KeyAlgorithm::Rsa2048, SystemClock.now())
}

/// Moves a hospital's signing and decryption keys onto a token of its own.
fn onto_a_token(world: &World, place: Place) -> SoftToken {
    let token = SoftToken::new("sceau", PIN);
    let folder = world.folder().join(place.folder());
    for (name, id) in [("signing", "01"), ("decryption", "02")] {
        token.take(&folder.join(format!("{name}.key")), name, id);
        world.edit(place, "sceau.toml", &format!("key = \"{name}.key\""), &format!("key = \"{}\"", token.uri(name)));
    }
    write_pin(world, place, PIN);
    world.append(place, "sceau.toml", &token.section(Path::new("pin")));
    token
}

fn write_pin(world: &World, place: Place, pin: &str) {
    let file = world.folder().join(place.folder()).join("pin");
    std::fs::write(&file, format!("{pin}\n")).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn serve(world: &World, place: Place, token: &SoftToken) -> Gateway {
    let environment = token.environment();
    let variables: Vec<(&str, &str)> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
    Gateway::serve_with(&world.configuration(place), &variables)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn subjects(store: &Sink) -> Vec<String> {
    let subject = |mail: Captured| {
        text(&mail.message).lines().find_map(|line| line.strip_prefix("Subject: ").map(str::to_owned)).unwrap()
    };
    store.messages().into_iter().map(subject).collect()
}

/// Both hospitals sign and decrypt on tokens; OpenSSL opens and verifies what the token sealed.
#[test]
fn mail_is_signed_and_opened_on_tokens() {
    let world = rsa_world();
    let folder = world.folder();
    let reader = CredentialFiles {
        certificate: folder.join("ch-b/decryption.pem"),
        key: folder.join("decryption-of-b-for-openssl.key"),
    };
    std::fs::copy(folder.join("ch-b/decryption.key"), &reader.key).unwrap();
    let (token_a, token_b) = (onto_a_token(&world, A), onto_a_token(&world, B));
    let store = world.inner_store(B);
    let a = serve(&world, A, &token_a);
    let b = serve(&world, B, &token_b);
    let (from, to) = (world.address("martin"), world.address("moreau"));
    let mut wire = world.submission(A, world.card("martin"));
    assert_eq!(hand_over(&mut wire, &from, &to, &letter(&from, &to, "Sur jeton")).code, 250);
    let kept = store.wait_for(1).remove(0);
    assert!(text(&kept.message).contains("Subject: Sur jeton"), "{}", text(&kept.message));
    assert!(text(&kept.message).contains("X-Sceau-Assurance: authenticated"), "{}", text(&kept.message));
    assert_eq!((token_a.logins(), token_b.logins()), (vec!["0".to_owned()], vec!["0".to_owned()]), "one login each");
    drop((a, b));

    // The same again, taken off the wire and judged by OpenSSL alone.
    let (own, chain) = Credentials::load(&world.space.gateways[1].certificate, &world.space.gateways[1].key);
    let options = SinkOptions::smtp().mutual_tls(&own, &chain, &[world.root("servers")]);
    let sink = Sink::start(options.at(world.ports(B).exchange));
    let _a = serve(&world, A, &token_a);
    let mut wire = world.submission(A, world.card("martin"));
    assert_eq!(hand_over(&mut wire, &from, &to, &letter(&from, &to, "Pour openssl")).code, 250);
    let sealed = text(&sink.wait_for(1).remove(0).message);
    assert!(!sealed.contains("Pour openssl") && !sealed.contains("Texte"), "{sealed}");
    // Inside, the signed container stands as it is.
    let entity = cms_decrypt("DER", &decoded(&sealed), &reader).success();
    let signed = entity.windows(4).position(|octets| octets == b"\r\n\r\n").map(|at| &entity[at + 4..]).unwrap();
    let mut roots = std::fs::read(world.space.anchor("organisations")).unwrap();
    roots.extend(std::fs::read(folder.join("authorities/organisations.pem")).unwrap());
    let trusted = folder.join("for-openssl.pem");
    std::fs::write(&trusted, roots).unwrap();
    let opened = text(&cms_verify("DER", signed, &trusted).success());
    assert!(opened.contains("Subject: Pour openssl") && opened.contains("Texte confidentiel"), "{opened}");

    let environment = token_a.environment();
    let mut check = tool(tests::gateway::binary());
    check.args(["check", "--json", "--config"]).arg(world.configuration(A)).envs(environment);
    let checked = tests::process::run(&mut check, b"");
    let said: serde_json::Value = serde_json::from_slice(&checked.output).unwrap();
    assert_eq!(said["tokens"], serde_json::json!([{ "label": "sceau", "fault": null }]), "{said}");
}

/// The base64 body of an entity.
fn decoded(entity: &str) -> Vec<u8> {
    use base64::Engine as _;
    let (_, body) = entity.split_once("\r\n\r\n").unwrap();
    let body: String = body.split_whitespace().collect();
    base64::engine::general_purpose::STANDARD.decode(body).unwrap()
}

/// Writes letters without pause, each until it is taken; every answer is 250 or "later". Gives the subjects
/// that were taken.
fn insist(world: &World, who: &str, stop: &AtomicBool, taken: &AtomicUsize, waited: &AtomicUsize) -> Vec<String> {
    let (from, to) = (world.address("martin"), world.address("moreau"));
    let mut wire = world.submission(A, world.card("martin"));
    let mut mine = Vec::new();
    for number in 0.. {
        if stop.load(Ordering::SeqCst) {
            break;
        }
        let subject = format!("{who} {number}");
        let message = letter(&from, &to, &subject);
        loop {
            let reply = hand_over(&mut wire, &from, &to, &message);
            if reply.code == 250 {
                taken.fetch_add(1, Ordering::SeqCst);
                break;
            }
            assert_refused(&reply, 451, "key-unavailable");
            waited.fetch_add(1, Ordering::SeqCst);
            if stop.load(Ordering::SeqCst) {
                return mine;
            }
        }
        mine.push(subject);
    }
    mine
}

#[track_caller]
fn until(what: impl Fn() -> bool, name: &str) {
    let begun = std::time::Instant::now();
    while !what() {
        assert!(begun.elapsed() < PATIENCE, "it never came to: {name}");
        std::thread::yield_now();
    }
}

/// Both tokens are pulled out and put back under load: nothing is refused for good, nothing is lost, and
/// nobody has to restart anything.
#[test]
fn tokens_go_and_come_back_under_load_and_no_mail_is_lost() {
    let world = rsa_world();
    let (token_a, token_b) = (onto_a_token(&world, A), onto_a_token(&world, B));
    let store = world.inner_store(B);
    let (a, b) = (serve(&world, A, &token_a), serve(&world, B, &token_b));
    let (stop, taken, waited) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    let count = |counter: &AtomicUsize| counter.load(Ordering::SeqCst);
    let mut sent = Vec::new();
    std::thread::scope(|scope| {
        let writers: Vec<_> = ["un", "deux", "trois"]
            .into_iter()
            .map(|who| scope.spawn(|| insist(&world, who, &stop, &taken, &waited)))
            .collect();
        until(|| count(&taken) >= 5, "letters go");
        token_a.unplug();
        until(|| count(&waited) >= 3, "senders are told to wait");
        a.wait_for_line(&["not ready", "sceau"]);
        let before = count(&taken);
        token_a.plug();
        until(|| count(&taken) >= before + 5, "letters go again");
        a.wait_for_line(&["the token is back"]);
        // The receiving side: what A has taken waits in its queue.
        token_b.unplug();
        let before = count(&taken);
        until(|| count(&taken) >= before + 5, "A takes letters while B cannot read");
        b.wait_for_line(&["not ready", "sceau"]);
        token_b.plug();
        stop.store(true, Ordering::SeqCst);
        for writer in writers {
            sent.extend(writer.join().unwrap());
        }
    });
    sent.sort();
    let _ = store.wait_for(sent.len());
    let mut arrived = subjects(&store);
    arrived.sort();
    arrived.dedup();
    assert_eq!(arrived, sent, "{} sent, told to wait {} times", sent.len(), count(&waited));
    for log in [a.log(), b.log()] {
        assert!(!log.contains("opening-failed"), "a token that is away looks like a bad message:\n{log}");
    }
    println!("{} letters, told to wait {} times, logins {:?}", sent.len(), count(&waited), token_a.logins());
}

/// Three wrong tries lock a card: one is made, whatever is restarted and read again.
#[test]
fn a_wrong_pin_is_tried_once_across_reloads_and_restarts() {
    let world = rsa_world();
    let token = onto_a_token(&world, A);
    write_pin(&world, A, "864213");
    let a = serve(&world, A, &token);
    a.wait_for_line(&["not ready", "not tried again"]);
    a.hang_up();
    a.wait_for_line(&["read again"]);
    drop(a);
    let a = serve(&world, A, &token);
    a.wait_for_line(&["not ready", "not tried again"]);
    let mut wire = world.submission(A, world.card("martin"));
    let (from, to) = (world.address("martin"), world.address("moreau"));
    assert_refused(&hand_over(&mut wire, &from, &to, &letter(&from, &to, "Attente")), 451, "key-unavailable");
    assert_eq!(token.logins(), ["0xa0"], "CKR_PIN_INCORRECT, once");
    // The right PIN is taken up by itself.
    write_pin(&world, A, PIN);
    a.wait_for_line(&["the token is back"]);
    assert_eq!(hand_over(&mut wire, &from, &to, &letter(&from, &to, "Attente")).code, 250);
    assert_eq!(token.logins(), ["0xa0", "0"]);
    for file in walk(&world.folder().join("ch-a/data")) {
        let bytes = std::fs::read(&file).unwrap_or_default();
        for pin in ["864213", PIN] {
            assert!(!bytes.windows(6).any(|window| window == pin.as_bytes()), "{} tells a PIN", file.display());
        }
    }
    assert!(!a.log().contains(PIN) && !a.log().contains("864213"), "the log tells a PIN");
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

/// A practitioner's card submits over TLS 1.3 with OpenSSL's command-line client.
#[test]
fn a_practitioners_token_submits_with_openssls_client() {
    let world = rsa_world();
    let card = SoftToken::new("CPS3", "1234");
    let holder = world.card("martin").clone();
    card.take(&holder.key, "authentification", "01");
    let engine = world.folder().join("engine.cnf");
    let settings = "openssl_conf = all\n[all]\nengines = engines\n[engines]\npkcs11 = pkcs11\n[pkcs11]\nengine_id = pkcs11\n\
         dynamic_path = ENGINE\nMODULE_PATH = MODULE\ninit = 0\n";
    let library = "/usr/lib/x86_64-linux-gnu/engines-3/pkcs11.so";
    std::fs::write(&engine, settings.replace("ENGINE", library).replace("MODULE", tests::token::SOFTHSM)).unwrap();
    let store = world.inner_store(B);
    let (_a, _b) = (world.serve(A), world.serve(B));
    let mut client = tool("openssl")
        .args(["s_client", "-quiet", "-tls1_3", "-crlf", "-verify_return_error", "-connect"])
        .arg(world.ports(A).submission_tls.to_string())
        .arg("-CAfile")
        .arg(world.server_roots())
        .arg("-cert")
        .arg(&holder.certificate)
        .args(["-engine", "pkcs11", "-keyform", "engine", "-key"])
        .arg(format!("{};pin-value=1234", card.uri("authentification")))
        .env("OPENSSL_CONF", &engine)
        .env("SOFTHSM2_CONF", card.configuration())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(client.stdout.take().unwrap());
    let mut to_it = client.stdin.take().unwrap();
    let mut talk = |line: Option<&str>, code: &str| {
        if let Some(line) = line {
            to_it.write_all(format!("{line}\n").as_bytes()).unwrap();
            to_it.flush().unwrap();
        }
        loop {
            let mut reply = String::new();
            let read = said.read_line(&mut reply).unwrap();
            assert!(read > 0 && reply.starts_with(code), "to {line:?}: {reply:?}");
            if reply.as_bytes().get(3) == Some(&b' ') {
                return reply;
            }
        }
    };
    let (from, to) = (world.address("martin"), world.address("moreau"));
    talk(None, "220");
    talk(Some("EHLO poste-medecin.test"), "250");
    talk(Some("AUTH EXTERNAL ="), "235");
    talk(Some(&format!("MAIL FROM:<{from}>")), "250");
    talk(Some(&format!("RCPT TO:<{to}>")), "250");
    talk(Some("DATA"), "354");
    let message = text(&letter(&from, &to, "Depuis la carte")).replace("\r\n", "\n");
    let accepted = talk(Some(&format!("{message}.")), "250");
    assert!(accepted.contains("Accepted as"), "{accepted}");
    talk(Some("QUIT"), "221");
    drop(to_it);
    let _ = client.wait();
    let kept = text(&store.wait_for(1)[0].message);
    assert!(kept.contains("Subject: Depuis la carte") && kept.contains("X-Sceau-Assurance: authenticated"), "{kept}");
}

/// A new certificate for a hospital, by the authority of organisations.
fn issued(world: &World, place: Place, usage: ServerMailUse, structure: Place) -> Issued {
    let profile = Profile::ServerMail {
        name: place.domain().unwrap().to_string(),
        structure: structure.structure().unwrap(),
        usage,
        emails: vec![],
    };
    world.authorities.organisations.issue(profile, KeyAlgorithm::P256, SystemClock.now()).unwrap()
}

fn put(world: &World, place: Place, name: &str, issued: &Issued) {
    let folder = world.folder().join(place.folder());
    std::fs::write(folder.join(format!("{name}.pem")), issued.certificate_pem()).unwrap();
    std::fs::write(folder.join(format!("{name}.key")), issued.key_pem().unwrap()).unwrap();
}

const SIGNING: &str = "signing = { certificate = \"signing.pem\", key = \"signing.key\" }";
const DECRYPTION: &str = "decryption = [{ certificate = \"decryption.pem\", key = \"decryption.key\" }]";

fn files(name: &str) -> String {
    format!("{{ certificate = \"{name}.pem\", key = \"{name}.key\" }}")
}

/// Both hospitals' keys change under running mail: nothing is refused, nothing lost; what was sealed for
/// the old key opens still.
#[test]
fn rotation_under_mail_loses_and_refuses_nothing() {
    let world = World::new();
    let store = world.inner_store(B);
    let (a, b) = (world.serve(A), world.serve(B));
    let (stop, taken, waited) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    let count = |counter: &AtomicUsize| counter.load(Ordering::SeqCst);
    let more = |name: &str| {
        let before = count(&taken);
        until(|| count(&taken) >= before + 5, name);
    };
    let mut sent = Vec::new();
    std::thread::scope(|scope| {
        let writers: Vec<_> =
            ["un", "deux"].into_iter().map(|who| scope.spawn(|| insist(&world, who, &stop, &taken, &waited))).collect();
        more("letters go");
        // B reads with a new key; the old one stays for what comes late.
        put(&world, B, "decryption2", &issued(&world, B, ServerMailUse::Confidentiality, B));
        world.edit(
            B,
            "sceau.toml",
            DECRYPTION,
            &format!("decryption = [{}, {}]", files("decryption2"), files("decryption")),
        );
        b.hang_up();
        b.wait_for_line(&["read again"]);
        more("A still seals for the old certificate");
        // The partner's book holds both for a while: what waits in A's queue is sealed for the old one.
        let both = ["decryption2", "decryption"].map(|name| world.folder().join(format!("ch-b/{name}.pem")));
        let both = both.map(|file| std::fs::read_to_string(file).unwrap()).concat();
        std::fs::write(world.folder().join("book/ch-b-reads.pem"), both).unwrap();
        // A signs with a new key: first its certificate becomes known, then it is used.
        put(&world, A, "signing2", &issued(&world, A, ServerMailUse::Sign, A));
        let both = [
            std::fs::read(world.folder().join("ch-a/signing.pem")),
            std::fs::read(world.folder().join("ch-a/signing2.pem")),
        ];
        let both: Vec<u8> = both.into_iter().flat_map(Result::unwrap).collect();
        std::fs::write(world.folder().join("book/ch-a-signs.pem"), both).unwrap();
        b.hang_up();
        b.wait_for_lines(&["read again"], 2);
        world.edit(A, "sceau.toml", SIGNING, &format!("signing = [{}, {}]", files("signing2"), files("signing")));
        a.hang_up();
        a.wait_for_line(&["read again"]);
        more("letters go with the new keys");
        stop.store(true, Ordering::SeqCst);
        for writer in writers {
            sent.extend(writer.join().unwrap());
        }
    });
    assert_eq!(count(&waited), 0, "nobody was told to wait");
    sent.sort();
    let _ = store.wait_for(sent.len());
    let mut arrived = subjects(&store);
    arrived.sort();
    assert_eq!(arrived, sent);
    for log in [a.log(), b.log()] {
        assert!(!log.contains("stay in service") && !log.contains("opening-failed"), "{log}");
    }
    // The new key is really in use: the trail names the signer of the first and of the last letter.
    let configuration = world.configuration(A);
    let told = |message: &str| {
        let arguments = ["why", message, "--config", configuration.to_str().unwrap()];
        sceau_json(&arguments).1.to_string()
    };
    let signer = |name: &str| {
        let pem = std::fs::read(world.folder().join("ch-a").join(format!("{name}.pem"))).unwrap();
        pki::certificate::Certificate::from_pem(&pem).unwrap().fingerprint().to_string()
    };
    let first = told("un.0@wire.test");
    assert!(first.contains(&signer("signing")), "{first}");
    let newest = (0..).take_while(|number| sent.contains(&format!("un {number}"))).last().unwrap();
    let newest = told(&format!("un.{newest}@wire.test"));
    assert!(newest.contains(&signer("signing2")), "{newest}");
}

fn request(arguments: &[&str]) -> Vec<u8> {
    let place = ["--structure", "1990000011", "--organisation", "CH EXEMPLE-TEST", "--department", "Paris (75)"];
    let mut all = vec!["pki", "request"];
    all.extend(place);
    all.extend(arguments);
    tests::gateway::sceau(&all, b"").success()
}

/// OpenSSL verifies the requests and reads the fields that the national profiles prescribe.
#[test]
fn openssl_accepts_the_requests_that_the_profiles_want() {
    let scratch = tests::place::Scratch::new("request");
    let name = "mss.ch-exemple.test";
    for (usage, algorithm, key_usage, purpose) in [
        ("sign", "rsa-2048", "Digital Signature, Non Repudiation", "E-mail Protection"),
        ("confidentiality", "rsa-3072", "Key Encipherment", "E-mail Protection"),
        ("domain-confidentiality", "p256", "Key Agreement", "E-mail Protection"),
        ("client", "rsa-2048", "Digital Signature", "TLS Web Client Authentication"),
        ("server", "p384", "Digital Signature", "TLS Web Server Authentication, TLS Web Client Authentication"),
    ] {
        let key = scratch.join(&format!("{usage}.key"));
        let key_text = key.to_str().unwrap();
        let pem = request(&["--use", usage, "--name", name, "--new-key", key_text, "--algorithm", algorithm]);
        let read = tests::openssl_cli::openssl(&["req", "-verify", "-noout", "-text", "-nameopt", "RFC2253"], &pem);
        let (said, text) = (read.errors.clone(), text(&read.success()));
        assert!(said.contains("verify OK"), "{said}");
        for part in ["CN=mss.ch-exemple.test,OU=1990000011,O=CH EXEMPLE-TEST,ST=Paris (75),C=FR", key_usage, purpose] {
            assert!(text.contains(part), "{usage}: {part} is not in {text}");
        }
        assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
        // A key that is there is never written over; it can be used again.
        let before = std::fs::read(&key).unwrap();
        let again = ["pki", "request", "--structure", "1990000011", "--organisation", "X", "--department", "Y (1)"];
        let again = [&again[..], &["--use", usage, "--name", name, "--new-key", key_text]].concat();
        assert_ne!(tests::gateway::sceau(&again, b"").code, Some(0));
        assert_eq!(std::fs::read(&key).unwrap(), before);
        let pem = request(&["--use", usage, "--name", name, "--key", key_text]);
        let verified = tests::openssl_cli::openssl(&["req", "-verify", "-noout"], &pem);
        assert!(verified.errors.contains("verify OK"), "{}", verified.errors);
    }
}

/// The trail's checkpoints are signed on the token, where a request for a certificate is signed too; while
/// it is away the trail waits, and goes on by itself.
#[test]
fn a_token_signs_checkpoints_and_requests() {
    let world = World::new();
    let token = SoftToken::new("sceau", PIN);
    token.generate("EC:edwards25519", "traces", "09");
    token.generate("rsa:2048", "demande", "10");
    write_pin(&world, A, PIN);
    world.append(A, "sceau.toml", &token.section(Path::new("pin")));
    world.append(A, "sceau.toml", &format!("[checkpoints]\nkey = \"{}\"", token.uri("traces")));
    let configuration = world.configuration(A);
    let configuration = configuration.to_str().unwrap();
    let environment = token.environment();
    let on_token = |arguments: &[&str]| {
        tests::process::run(tool(tests::gateway::binary()).args(arguments).envs(environment.clone()), b"")
    };
    let order = ["pki", "request", "--structure", "1990000011", "--organisation", "CH", "--department", "Paris (75)"];
    let uri = token.uri("demande");
    let rest = ["--use", "domain-sign", "--name", "ch-a.mssante.test", "--key", &uri, "--config", configuration];
    let made = on_token(&[&order[..], &rest[..]].concat()).success();
    let verified = tests::openssl_cli::openssl(&["req", "-verify", "-noout"], &made);
    assert!(verified.errors.contains("verify OK"), "{}", verified.errors);

    let a = serve(&world, A, &token);
    let checkpoints = world.folder().join("ch-a/data/trail/checkpoints");
    let covered = || std::fs::read_to_string(&checkpoints).unwrap_or_default().matches("\u{2014} ").count();
    until(|| covered() > 0, "a first checkpoint");
    token.unplug();
    a.wait_for_line(&["not ready", "sceau"]);
    let mut wire = world.submission(A, world.card("martin"));
    let (from, to) = (world.address("martin"), world.address("moreau"));
    let reply = hand_over(&mut wire, &from, &to, &letter(&from, &to, "Sans jeton"));
    assert_eq!(reply.code, 250, "mail does not need this key");
    a.wait_for_line(&["the trail could not be written"]);
    let before = covered();
    token.plug();
    until(|| covered() > before, "the next checkpoint");
    // The public half lies beside the trail: it verifies without the token. A batch that was under way
    // when the token went is taken back first.
    let failed = a.log().matches("the trail could not be written").count();
    token.unplug();
    let _ = a.wait_for_lines(&["the trail could not be written"], failed + 2);
    let verified = on_token(&["trail", "verify", "--config", configuration]);
    drop(a);
    assert_eq!(verified.code, Some(0), "{}{}", verified.text(), verified.errors);
}

/// A bad new certificate of each kind: the one in service goes on signing, and the log says why.
#[test]
fn a_bad_new_certificate_leaves_the_one_in_service() {
    let world = World::new();
    let store = world.inner_store(B);
    let (a, _b) = (world.serve(A), world.serve(B));
    let authorities = &world.authorities;
    let profile = |usage| Profile::ServerMail {
        name: "ch-a.mssante.test".into(),
        structure: A.structure().unwrap(),
        usage,
        emails: vec![],
    };
    let (sign, now) = (profile(ServerMailUse::Sign), SystemClock.now());
    put(&world, A, "wrong-key", &issued(&world, A, ServerMailUse::Sign, A));
    let other = issued(&world, A, ServerMailUse::Sign, A).key_pem().unwrap();
    std::fs::write(world.folder().join("ch-a/wrong-key.key"), other).unwrap();
    put(&world, A, "expired", &authorities.organisations.issue_expired(sign.clone(), KeyAlgorithm::P256, now).unwrap());
    put(&world, A, "stranger", &authorities.other.issue(sign.clone(), KeyAlgorithm::P256, now).unwrap());
    put(&world, A, "structure", &issued(&world, A, ServerMailUse::Sign, B));
    put(&world, A, "purpose", &issued(&world, A, ServerMailUse::Confidentiality, A));

    let (from, to) = (world.address("martin"), world.address("moreau"));
    let mut wire = world.submission(A, world.card("martin"));
    let mut current = SIGNING.to_owned();
    for (name, says) in [
        ("wrong-key", "does not belong to the certificate"),
        ("expired", "expired"),
        ("stranger", "bad_signature"),
        ("structure", "structure"),
        ("purpose", "not for signing mail"),
        ("not-there", "cannot be read"),
    ] {
        let next = format!("signing = {}", files(name));
        world.edit(A, "sceau.toml", &current, &next);
        current = next;
        a.hang_up();
        a.wait_for_line(&["new keys refused", name, says, "the keys in service stay"]);
        let subject = format!("Avec {name}");
        assert_eq!(hand_over(&mut wire, &from, &to, &letter(&from, &to, &subject)).code, 250, "{name}");
    }
    let _ = store.wait_for(6);
    // A good one is taken.
    put(&world, A, "good", &issued(&world, A, ServerMailUse::Sign, A));
    std::fs::copy(world.folder().join("ch-a/good.pem"), world.folder().join("book/ch-a-signs.pem")).unwrap();
    world.edit(A, "sceau.toml", &current, &format!("signing = {}", files("good")));
    a.hang_up();
    a.wait_for_lines(&["read again"], 7);
    assert_eq!(a.log().matches("new keys refused").count(), 6, "{}", a.log());
}
