//! What an operator is told about keys, and where their secrets come from: readiness and gauges, warnings
//! before certificates end, systemd credentials, PKCS#12 files, a new certificate that is revoked already.

// Asserting is what tests do, in their helpers too.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]
#![allow(clippy::arithmetic_side_effects)]

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use ident::{Clock, ManualClock, SystemClock};
use pki::{
    certificate::Certificate,
    issue::{KeyAlgorithm, Profile, ServerMailUse},
};
use sceau::demo::cast::Place::{self, A, B};
use tests::{
    gateway::{Gateway, sceau_json},
    inside::Inside,
    openssl_cli::openssl,
    place::{Scratch, free_endpoint},
    process::PATIENCE,
    token::SoftToken,
    world::{World, assert_refused, hand_over, letter},
};

const PIN: &str = "271828";
const SIGNING: &str = "signing = { certificate = \"signing.pem\", key = \"signing.key\" }";

/// The folder that systemd would show a service with `LoadCredential=`.
struct SystemdCredentials(Scratch);

impl SystemdCredentials {
    fn new() -> Self {
        Self(Scratch::new("credentials"))
    }

    fn set(&self, name: &str, text: &str) {
        let file = self.0.join(name);
        std::fs::write(&file, text).unwrap();
        // systemd shows them read-only; whose they are is its affair.
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o440)).unwrap();
    }

    fn variable(&self) -> (&'static str, String) {
        ("CREDENTIALS_DIRECTORY", self.0.path().to_str().unwrap().to_owned())
    }
}

/// The pages for monitoring of a gateway.
struct Pages(SocketAddr);

impl Pages {
    fn of(world: &World, place: Place) -> Self {
        let at = free_endpoint();
        world.append(place, "sceau.toml", &format!("[health]\nlisten = \"{at}\""));
        Self(at)
    }

    /// Status and body.
    fn get(&self, path: &str) -> (u16, String) {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: sceau\r\n\r\n"))
    }

    fn ask(&self, request: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.0).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{request:?}: {answer:?}"));
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    fn ready(&self) -> (u16, serde_json::Value) {
        let (status, body) = self.get("/ready");
        (status, serde_json::from_str(&body).unwrap())
    }

    fn has(&self, line: &str) -> bool {
        self.get("/metrics").1.lines().any(|found| found == line)
    }
}

#[track_caller]
fn until(what: impl Fn() -> bool, name: &str) {
    let begun = Instant::now();
    while !what() {
        assert!(begun.elapsed() < PATIENCE, "it never came to: {name}");
        thread::yield_now();
    }
}

fn serve(world: &World, place: Place, token: &SoftToken, more: &[(&str, String)]) -> Gateway {
    let environment = token.environment();
    let all = environment.iter().chain(more).map(|(name, value)| (*name, value.as_str()));
    Gateway::serve_with(&world.configuration(place), &all.collect::<Vec<_>>())
}

/// A hospital's signing key on a token of its own, whose PIN is a systemd credential.
fn signing_on_a_token(world: &World, place: Place) -> SoftToken {
    let token = SoftToken::new("sceau", PIN);
    token.take(&world.folder().join(place.folder()).join("signing.key"), "signing", "01");
    world.edit(place, "sceau.toml", "key = \"signing.key\"", &format!("key = \"{}\"", token.uri("signing")));
    let section = token.section(Path::new("pin"));
    assert!(section.contains("pin = { file = \"pin\" }"), "{section}");
    let section = section.replace("pin = { file = \"pin\" }", "pin = { credential = \"sceau-pin\" }");
    world.append(place, "sceau.toml", &section);
    token
}

fn rsa_world() -> World {
    World::with(KeyAlgorithm::Rsa2048, SystemClock.now())
}

fn told(events: &str, world: &World, place: Place) -> String {
    let configuration = world.configuration(place);
    let term = format!("event:{events}");
    sceau_json(&["trail", "search", &term, "--config", configuration.to_str().unwrap()]).1.to_string()
}

/// The PIN comes from where systemd puts it; a wrong one there is tried once, across a reload and a restart,
/// and the right one is taken up by itself. Readiness and gauges say each of it.
#[test]
fn a_pin_from_a_systemd_credential_and_what_readiness_says() {
    let world = rsa_world();
    let token = signing_on_a_token(&world, A);
    let pages = Pages::of(&world, A);
    let credentials = SystemdCredentials::new();
    let store = world.inner_store(B);
    let _b = world.serve(B);
    credentials.set("sceau-pin", "864213\n");
    let a = serve(&world, A, &token, &[credentials.variable()]);
    a.wait_for_line(&["not ready", "not tried again"]);
    let (status, said) = pages.ready();
    assert_eq!((status, said["ready"].as_bool()), (503, Some(false)), "{said}");
    assert_eq!(said["reasons"][0]["code"], "token-unavailable:sceau", "{said}");
    assert!(said["reasons"][0]["what"].as_str().unwrap().contains("not tried again"), "{said}");
    assert!(pages.has("sceau_ready 0") && pages.has("sceau_token_up{token=\"sceau\"} 0"));
    until(|| pages.has("sceau_alarm{code=\"token-unavailable:sceau\"} 1"), "the alarm");
    assert_eq!(pages.get("/live").0, 200, "a restart would not help");
    a.hang_up();
    a.wait_for_line(&["read again"]);
    drop(a);
    let a = serve(&world, A, &token, &[credentials.variable()]);
    a.wait_for_line(&["not ready", "not tried again"]);
    assert_eq!(token.logins(), ["0xa0"], "CKR_PIN_INCORRECT, once");

    // systemd shows the next one under the same name.
    std::fs::remove_file(credentials.0.join("sceau-pin")).unwrap();
    credentials.set("sceau-pin", PIN);
    a.wait_for_line(&["the token is back"]);
    assert_eq!(pages.ready().0, 200);
    assert!(pages.has("sceau_ready 1") && pages.has("sceau_token_up{token=\"sceau\"} 1"));
    let (from, to) = (world.address("martin"), world.address("moreau"));
    let send = |subject: &str| {
        hand_over(&mut world.submission(A, world.card("martin")), &from, &to, &letter(&from, &to, subject))
    };
    assert_eq!(send("Avec le code").code, 250);
    let _ = store.wait_for(1);

    // Pulled out and put back.
    token.unplug();
    until(|| pages.ready().0 == 503, "red while the token is away");
    until(|| pages.has("sceau_alarm{code=\"token-unavailable:sceau\"} 1"), "the alarm");
    assert_refused(&send("Sans jeton"), 451, "key-unavailable");
    token.plug();
    until(|| pages.ready().0 == 200, "green when it is back");
    until(|| pages.ready().1["alarms"] == serde_json::json!([]), "no alarm");
    assert_eq!(send("De retour").code, 250);
    assert_eq!(token.logins().iter().filter(|answer| *answer != "0").count(), 1, "{:?}", token.logins());

    // The pages answer what they are for, and nothing else.
    assert_eq!(pages.get("/").0, 404);
    assert_eq!(pages.ask("POST /ready HTTP/1.1\r\nHost: sceau\r\nContent-Length: 2\r\n\r\n{}").0, 405);
    assert_eq!(pages.ask("HEAD /metrics HTTP/1.1\r\nHost: sceau\r\n\r\n"), (200, String::new()));
    let metrics = pages.get("/metrics").1;
    assert!(!metrics.contains(PIN) && !metrics.contains(&from), "{metrics}");
}

/// Keys in PKCS#12 files as an authority hands them out (OpenSSL's defaults), the passphrase a credential: mail
/// is signed and opened with them. A wrong passphrase, a changed file or one without MAC keeps the old in service.
#[test]
fn pkcs12_keys_with_a_passphrase_from_a_credential() {
    let world = World::new();
    let pages = Pages::of(&world, A);
    let folder = world.folder().join("ch-a");
    let chain = world.folder().join("authorities/organisations.pem");
    let export = |out: &str, more: &[&str]| {
        let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
        let (key, certificate, out) = (path("signing.key"), path("signing.pem"), path(out));
        let files = ["pkcs12", "-export", "-inkey", &key, "-in", &certificate, "-out", &out];
        let chain = ["-certfile", chain.to_str().unwrap(), "-passout", "pass:mot de passe"];
        let _ = openssl(&[&files[..], &chain, more].concat(), b"").success();
    };
    export("signing.p12", &[]);
    export("no-mac.p12", &["-nomac"]);
    let mut changed = std::fs::read(folder.join("signing.p12")).unwrap();
    let last = changed.len() - 60;
    changed[last] ^= 1;
    std::fs::write(folder.join("changed.p12"), changed).unwrap();
    std::fs::remove_file(folder.join("signing.key")).unwrap();
    let p12 = |file: &str, credential: &str| {
        format!("signing = {{ pkcs12 = \"{file}\", passphrase = {{ credential = \"{credential}\" }} }}")
    };
    world.edit(A, "sceau.toml", SIGNING, &p12("signing.p12", "signing-passphrase"));
    let credentials = SystemdCredentials::new();
    credentials.set("signing-passphrase", "mot de passe\n");
    credentials.set("other-passphrase", "autre");
    let store = world.inner_store(B);
    let (name, place) = credentials.variable();
    let a = Gateway::serve_with(&world.configuration(A), &[(name, &place)]);
    let _b = world.serve(B);
    let (from, to) = (world.address("martin"), world.address("moreau"));
    let mut wire = world.submission(A, world.card("martin"));
    assert_eq!(hand_over(&mut wire, &from, &to, &letter(&from, &to, "Du fichier")).code, 250);
    assert!(String::from_utf8_lossy(&store.wait_for(1)[0].message).contains("X-Sceau-Assurance: authenticated"));

    let mut current = p12("signing.p12", "signing-passphrase");
    for (file, credential, says) in [
        ("signing.p12", "other-passphrase", "wrong password"),
        ("signing.p12", "not-there", "not-there"),
        ("changed.p12", "signing-passphrase", "cannot be read"),
        ("no-mac.p12", "signing-passphrase", "no integrity check"),
    ] {
        let next = p12(file, credential);
        world.edit(A, "sceau.toml", &current, &next);
        current = next;
        a.hang_up();
        a.wait_for_line(&["new keys refused", file, says, "the keys in service stay"]);
        until(|| pages.has("sceau_alarm{code=\"keys-refused\"} 1"), "the alarm");
        assert_eq!(
            hand_over(&mut wire, &from, &to, &letter(&from, &to, &format!("Avec {file} {credential}"))).code,
            250
        );
    }
    let _ = store.wait_for(5);
    world.edit(A, "sceau.toml", &current, &p12("signing.p12", "signing-passphrase"));
    a.hang_up();
    until(|| !pages.has("sceau_alarm{code=\"keys-refused\"} 1"), "the end of the alarm");
    assert!(!a.log().contains("mot de passe"), "the log tells a passphrase");
}

/// A new certificate that its authority has revoked already never serves: the one in service goes on, an
/// alarm stands in log, gauges and trail until a good one is there.
#[test]
fn a_revoked_new_certificate_leaves_the_one_in_service() {
    let mut world = World::new();
    let pages = Pages::of(&world, A);
    let now = SystemClock.now();
    let profile = || Profile::ServerMail {
        name: "ch-a.mssante.test".into(),
        structure: A.structure().unwrap(),
        usage: ServerMailUse::Sign,
        emails: vec![],
    };
    let issue = |world: &World, name: &str| {
        let issued = world.authorities.organisations.issue(profile(), KeyAlgorithm::P256, now).unwrap();
        let folder = world.folder().join("ch-a");
        std::fs::write(folder.join(format!("{name}.pem")), issued.certificate_pem()).unwrap();
        std::fs::write(folder.join(format!("{name}.key")), issued.key_pem().unwrap()).unwrap();
        Certificate::from_der(issued.certificate_der()).unwrap()
    };
    let revoked = issue(&world, "revoked");
    world.authorities.organisations.revoke(revoked.serial().to_vec(), now);
    let list = world.authorities.organisations.lists(now, 2).unwrap();
    std::fs::write(world.folder().join("crl/organisations.crl"), list.issuing.pem()).unwrap();
    let store = world.inner_store(B);
    let (a, _b) = (world.serve(A), world.serve(B));
    let files = |name: &str| format!("signing = {{ certificate = \"{name}.pem\", key = \"{name}.key\" }}");
    world.edit(A, "sceau.toml", SIGNING, &files("revoked"));
    a.hang_up();
    a.wait_for_line(&["new keys refused", "revoked.key", "revoked", "the keys in service stay"]);
    until(|| pages.has("sceau_alarm{code=\"keys-refused\"} 1"), "the alarm");
    assert_eq!(pages.ready().0, 200, "mail goes on");
    let (from, to) = (world.address("martin"), world.address("moreau"));
    let mut wire = world.submission(A, world.card("martin"));
    assert_eq!(hand_over(&mut wire, &from, &to, &letter(&from, &to, "Avec l'ancien")).code, 250);
    let kept = store.wait_for(1).remove(0);
    assert!(String::from_utf8_lossy(&kept.message).contains("X-Sceau-Assurance: authenticated"));
    until(|| told("alarm.raised", &world, A).contains("keys-refused"), "the trail says so");

    let _ = issue(&world, "good");
    world.edit(A, "sceau.toml", &files("revoked"), &files("good"));
    a.hang_up();
    until(|| !pages.has("sceau_alarm{code=\"keys-refused\"} 1"), "the end of the alarm");
    until(|| told("alarm.cleared", &world, A).contains("keys-refused"), "the trail says so");
}

/// Everything that is logged in this process.
#[derive(Clone, Default)]
struct Logged(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Logged {
    fn write(&mut self, octets: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Logged {
    fn listen() -> Self {
        let logged = Self::default();
        let writer = logged.clone();
        tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).init();
        logged
    }

    fn count(&self, parts: &[&str]) -> usize {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines().filter(|line| parts.iter().all(|part| line.contains(part))).count()
    }
}

/// 60, 30 and 7 days before the end and at the end, each certificate of ours is warned of once: in the log, on
/// the metrics page and in the trail; a restart in between does not repeat it.
#[test]
fn the_end_of_certificates_is_told_in_log_metrics_and_trail() {
    let logged = Logged::listen();
    let start = SystemClock.now();
    let world = World::with(KeyAlgorithm::P256, start);
    let pages = Pages::of(&world, A);
    let pem = std::fs::read(world.folder().join("ch-a/signing.pem")).unwrap();
    let ends = Certificate::list_from_pem(&pem).unwrap().remove(0).not_after();
    let clock = Arc::new(ManualClock::at(start));
    let mut gateway = Inside::serve(world.configuration(A), &clock);
    let domain = A.domain().unwrap();
    let roles = ["tls".to_owned(), format!("signing {domain}"), format!("decryption {domain}")];
    let warned = |role: &str, days: u64| {
        // Space and bracket end the field, or its quote.
        logged.count(&["a certificate of ours ", &format!("role=\"{role}\""), &format!("days={days}")])
    };
    let before = |days: u32| ends.minus(Duration::from_secs(86_400) * days).plus(Duration::from_secs(3600));
    let gauge = |role: &str, days: u64| format!("sceau_certificate_warning_days{{role=\"{role}\"}} {days}");
    clock.set(before(61));
    until(|| roles.iter().all(|role| pages.has(&days_left(role, 60))), "60 whole days and some hours");
    for role in &roles {
        assert!(!pages.get("/metrics").1.contains(&format!("sceau_certificate_warning_days{{role=\"{role}\"}}")));
    }
    for days in [60, 30, 7] {
        clock.set(before(days));
        let days = u64::from(days);
        for role in &roles {
            until(|| pages.has(&gauge(role, days)), "the gauge");
            until(|| warned(role, days - 1) == 1, "the log");
        }
        until(|| in_the_trail(&world, days) == roles.len(), "the trail");
        drop(gateway);
        gateway = Inside::serve(world.configuration(A), &clock);
        until(|| roles.iter().all(|role| pages.has(&gauge(role, days))), "the gauge after a restart");
    }
    clock.set(ends.plus(Duration::from_secs(60)));
    until(|| logged.count(&["a certificate of ours has ended"]) == roles.len(), "the end in the log");
    until(|| in_the_trail(&world, 0) == roles.len(), "the end in the trail");
    for days in [60, 30, 7] {
        assert_eq!(in_the_trail(&world, days), roles.len(), "each once, restarts or not");
        assert!(roles.iter().all(|role| warned(role, days - 1) == 1), "each once, restarts or not");
    }
}

fn days_left(role: &str, days: u64) -> String {
    format!("sceau_certificate_days_left{{role=\"{role}\"}} {days}")
}

/// Warnings of one threshold in the trail.
fn in_the_trail(world: &World, threshold: u64) -> usize {
    told("certificate.expiring", world, A).matches(&format!("\"threshold\":{threshold}")).count()
}
