//! The directory over LDAP with real clients: OpenLDAP's `ldapsearch`, Python's `ldap3` and `python-ldap`; and with
//! octets that no client sends.

// Asserting is what tests do, in their helpers too.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used
)]

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::Path,
};

use openssl::ssl::{SslConnector, SslMethod, SslStream, SslVerifyMode};
use sceau::demo::cast::Place::A;
use tests::{
    gateway::{Gateway, sceau},
    place::free_endpoint,
    process::{Finished, PATIENCE, run, tool},
    world::World,
};

const PASSWORD: &str = "mot-de-passe-fictif";

/// A hospital whose directory answers over LDAP: for anybody, for cards, and by StartTLS.
struct Place {
    world: World,
    gateway: Gateway,
    open: SocketAddr,
    cards: SocketAddr,
    starttls: SocketAddr,
}

impl Place {
    fn new(more: &str) -> Self {
        let world = World::new();
        let (open, cards, starttls) = (free_endpoint(), free_endpoint(), free_endpoint());
        let hash = sceau(&["annuaire", "password"], PASSWORD.as_bytes()).success();
        std::fs::write(world.folder().join(A.folder()).join("app.hash"), hash).unwrap();
        let text = format!(
            "[ldap]\nanonymous = true\n{more}\n\
             [[ldap.listener]]\naddress = \"{open}\"\n\
             [[ldap.listener]]\naddress = \"{cards}\"\ncertificates = true\n\
             [[ldap.listener]]\naddress = \"{starttls}\"\ntls = \"starttls\"\ncertificates = true\n\
             [[ldap.account]]\nname = \"annuaire-app\"\npassword = \"app.hash\"\nwhole = true\n"
        );
        world.append(A, "sceau.toml", &text);
        // One mailbox that is nobody's business.
        let path = world.folder().join(A.folder()).join("registry.toml");
        let registry = std::fs::read_to_string(&path).unwrap();
        let paul = registry.find(&world.address("durand")).expect("Paul's mailbox");
        let end = registry[paul..].find("[[").map_or(registry.len(), |end| paul + end);
        std::fs::write(&path, format!("{}red_list = true\n{}", &registry[..end], &registry[end..])).unwrap();
        let gateway = world.serve(A);
        Self { world, gateway, open, cards, starttls }
    }

    /// `ldapsearch` with these arguments; with a card if one is named.
    fn search(&self, uri: &str, card: Option<&str>, arguments: &[&str]) -> Finished {
        let mut command = tool("ldapsearch");
        // The certificate is judged by the client that can be told our name, below.
        command.env("LDAPTLS_REQCERT", "never").args(["-LLL", "-o", "ldif-wrap=no", "-H", uri]);
        if let Some(card) = card {
            let card = self.world.card(card);
            command.env("LDAPTLS_CERT", &card.certificate).env("LDAPTLS_KEY", &card.key);
        }
        run(command.args(arguments), b"")
    }

    fn simple<'a>(&self, filter: &'a str) -> Vec<&'a str> {
        vec!["-x", "-b", "dc=annuaire", filter]
    }
}

fn ldaps(at: SocketAddr) -> String {
    format!("ldaps://{at}")
}

#[test]
fn ldapsearch_finds_people_over_every_door() {
    let place = Place::new("");
    let anne = place.world.address("martin");
    let thunderbird = "(|(cn=*martin-t*)(mail=*martin-t*)(givenName=*martin-t*)(sn=*martin-t*))";
    let found = place.search(&ldaps(place.open), None, &place.simple(thunderbird));
    let text = String::from_utf8(found.success()).unwrap();
    assert!(text.contains(&format!("mail: {anne}")) && text.contains("displayName: Anne MARTIN-TEST"), "{text}");
    assert!(text.contains("uid: 899700000017") && text.contains("objectClass: inetOrgPerson"), "{text}");

    // Not without TLS, but for what the server is.
    let clear = format!("ldap://{}", place.starttls);
    let refused = place.search(&clear, None, &place.simple("(sn=martin-test)"));
    assert_eq!(refused.code, Some(13), "{}", refused.errors);
    let root = place.search(&clear, None, &["-x", "-s", "base", "-b", "", "(objectClass=*)", "+"]).success();
    let root = String::from_utf8(root).unwrap();
    for part in ["namingContexts: dc=annuaire", "supportedControl: 1.2.840.113556.1.4.319", "directoryGeneration: "] {
        assert!(root.contains(part), "{part}: {root}");
    }
    let started = place.search(&clear, None, &["-ZZ", "-x", "-b", "dc=annuaire", "(sn=martin-test)", "mail"]);
    assert!(String::from_utf8(started.success()).unwrap().contains(&anne));

    // By the card, over both doors: more than others may have, page by page.
    for (uri, start) in [(ldaps(place.cards), "-Q"), (clear.clone(), "-ZZ")] {
        let arguments = [start, "-N", "-Y", "EXTERNAL", "-Q", "-b", "dc=annuaire", "(uid=899700000017)", "mail"];
        let found = place.search(&uri, Some("martin"), &arguments);
        assert!(String::from_utf8(found.success()).unwrap().contains(&anne));
    }
    let revoked = ["-N", "-Y", "EXTERNAL", "-Q", "-b", "dc=annuaire", "(uid=899700000017)"];
    let revoked = place.search(&ldaps(place.cards), Some("leroy"), &revoked);
    assert_eq!(revoked.code, Some(49), "{}", revoked.errors);
    assert!(revoked.errors.contains("certificate-revoked"), "{}", revoked.errors);
    let nobody = place.search(&ldaps(place.cards), None, &["-N", "-Y", "EXTERNAL", "-Q", "-b", "", "-s", "base"]);
    assert_ne!(nobody.code, Some(0));

    // Pages: all people that there are, once each.
    let arguments = [
        "-N",
        "-Y",
        "EXTERNAL",
        "-Q",
        "-E",
        "pr=7/noprompt",
        "-b",
        "ou=people,dc=annuaire",
        "-s",
        "one",
        "(uid=*)",
        "1.1",
    ];
    let pages = String::from_utf8(place.search(&ldaps(place.cards), Some("martin"), &arguments).success()).unwrap();
    let mut names: Vec<&str> = pages.lines().filter(|line| line.starts_with("dn: ")).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert!(count > 20 && names.len() == count, "{count} entries, {} names", names.len());

    // The account, and what happens to a wrong password.
    let with = |password: &'static str| {
        vec!["-x", "-D", "annuaire-app", "-w", password, "-b", "dc=annuaire", "(sn=martin-test)", "mail"]
    };
    assert!(
        String::from_utf8(place.search(&ldaps(place.open), None, &with(PASSWORD)).success()).unwrap().contains(&anne)
    );
    assert_eq!(place.search(&ldaps(place.open), None, &with("mauvais-mot")).code, Some(49));
    let mut clear_text = vec!["-x", "-D", "annuaire-app", "-w", PASSWORD, "-b", "dc=annuaire"];
    clear_text.push("(sn=martin-test)");
    assert_eq!(place.search(&clear, None, &clear_text).code, Some(13), "no password without TLS");

    // What is hidden stays hidden, whoever asks.
    let paul = place.world.address("durand");
    for filter in [format!("(mail={paul})"), "(mail=paul*)".to_owned(), "(cn=*durand-t*)".to_owned()] {
        let found = place.search(&ldaps(place.open), None, &["-x", "-b", "dc=annuaire", filter.as_str()]).success();
        assert!(!String::from_utf8(found).unwrap().contains(&paul), "{filter}");
    }
    // What is asked is written down, and by whom.
    place.gateway.wait_for_line(&["LDAP search", "who=\"899700000017\"", "(uid=899700000017)", "entries=1"]);
}

#[test]
fn certificates_come_with_the_address() {
    let place = Place::new("");
    let anne = place.world.address("martin");
    let filter = format!("(mail={anne})");
    let arguments = ["-x", "-b", "dc=annuaire", filter.as_str(), "userCertificate;binary"];
    let found = String::from_utf8(place.search(&ldaps(place.open), None, &arguments).success()).unwrap();
    let line = found.lines().find_map(|line| line.strip_prefix("userCertificate;binary:: ")).expect(&found);
    let der = openssl::base64::decode_block(line).unwrap();
    let certificate = openssl::x509::X509::from_der(&der).unwrap();
    assert!(!certificate.public_key().unwrap().public_key_to_der().unwrap().is_empty());
    let without = String::from_utf8(place.search(&ldaps(place.open), None, &place.simple(&filter)).success()).unwrap();
    assert!(!without.contains("ertificate"), "not unless it is named");
}

/// Both Python clients; the first checks our certificate and name, and reads the schema.
const PYTHON: &str = r#"
import json, ssl, sys
import ldap, ldap3
from ldap.controls.libldap import SimplePagedResultsControl
ldaps, name, roots, certificate, key, cards = sys.argv[1:]
host, port = ldaps.rsplit(':', 1)
out = {}
tls = ldap3.Tls(validate=ssl.CERT_REQUIRED, ca_certs_file=roots, valid_names=[name])
server = ldap3.Server(host, int(port), use_ssl=True, tls=tls, get_info=ldap3.ALL)
with ldap3.Connection(server, auto_bind=True, check_names=False) as connection:
    connection.search('dc=annuaire', '(&(objectClass=inetOrgPerson)(sn=MARTIN-TEST))', attributes=['cn', 'mail'])
    out['ldap3'] = [entry.mail.value for entry in connection.entries]
    out['contexts'] = list(server.info.naming_contexts)
    out['classes'] = sorted(server.schema.object_classes)
    out['vendor'] = list(server.info.vendor_name)
    out['abandon'] = connection.abandon(1)
    connection.search('dc=annuaire', '(mozillaNickname=*x*)')
    out['unknown'] = connection.result['result']
    connection.modify('dc=annuaire', {'o': [(ldap3.MODIFY_REPLACE, ['x'])]})
    out['modify'] = connection.result['description']
ldap.set_option(ldap.OPT_X_TLS_REQUIRE_CERT, ldap.OPT_X_TLS_NEVER)
client = ldap.initialize('ldaps://' + cards)
client.set_option(ldap.OPT_X_TLS_REQUIRE_CERT, ldap.OPT_X_TLS_NEVER)
client.set_option(ldap.OPT_X_TLS_CERTFILE, certificate)
client.set_option(ldap.OPT_X_TLS_KEYFILE, key)
client.set_option(ldap.OPT_X_TLS_NEWCTX, 0)
client.sasl_external_bind_s()
out['who'] = client.whoami_s()
control, seen = SimplePagedResultsControl(True, size=5, cookie=''), []
while True:
    number = client.search_ext('ou=people,dc=annuaire', ldap.SCOPE_ONELEVEL, '(uid=*)', ['1.1'], serverctrls=[control])
    _, data, _, controls = client.result3(number)
    seen += [dn for dn, _ in data]
    control.cookie = controls[0].cookie
    if not control.cookie:
        break
out['pages'] = len(seen)
out['distinct'] = len(set(seen))
try:
    client.search_ext_s('dc=annuaire', ldap.SCOPE_SUBTREE, '(cn=*)', ['1.1'], sizelimit=3)
except ldap.SIZELIMIT_EXCEEDED:
    out['cut'] = True
print(json.dumps(out))
"#;

#[test]
fn pythons_clients_read_the_schema_and_walk_the_pages() {
    let place = Place::new("");
    let script = place.world.folder().join("clients.py");
    std::fs::write(&script, PYTHON).unwrap();
    let card = place.world.card("martin");
    let mut command = tool("/usr/bin/python3");
    command.arg(&script).arg(place.open.to_string()).arg(A.host()).arg(place.world.server_roots());
    command.arg(&card.certificate).arg(&card.key).arg(place.cards.to_string());
    let out = run(&mut command, b"").success();
    let out: serde_json::Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(out["ldap3"], serde_json::json!([place.world.address("martin")]), "{out}");
    assert_eq!(out["contexts"], serde_json::json!(["dc=annuaire"]), "{out}");
    assert!(out["classes"].as_array().unwrap().contains(&"inetOrgPerson".into()), "{out}");
    assert_eq!(out["vendor"], serde_json::json!(["Sceau"]), "{out}");
    assert_eq!(out["unknown"], 0, "what we do not have is undefined, no error: {out}");
    assert_eq!(out["modify"], "unwillingToPerform", "{out}");
    assert_eq!(out["who"], "u:899700000017", "{out}");
    assert!(out["pages"].as_u64().unwrap() > 20 && out["pages"] == out["distinct"], "{out}");
    assert_eq!(out["cut"], true, "{out}");
}

/// An address book that connects, binds and asks anew at each keystroke.
const TYPIST: &str = r#"
import json, socket, ssl, sys
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
out = {}
for where in sys.argv[1:]:
    host, port = where.rsplit(':', 1)
    session, out[where] = None, []
    for _ in range(4):
        with context.wrap_socket(socket.create_connection((host, int(port))), session=session) as wire:
            wire.sendall(bytes.fromhex('300c020101600702010304008000'))
            assert wire.recv(100)[:1] == b'0'
            out[where].append(wire.session_reused)
            session = wire.session
print(json.dumps(out))
"#;

#[test]
fn who_types_takes_up_the_session_where_nobody_is_identified() {
    let place = Place::new("");
    let script = place.world.folder().join("typist.py");
    std::fs::write(&script, TYPIST).unwrap();
    let (open, cards) = (place.open.to_string(), place.cards.to_string());
    let out = run(tool("/usr/bin/python3").arg(&script).arg(&open).arg(&cards), b"").success();
    let out: serde_json::Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(out[&open], serde_json::json!([false, true, true, true]), "{out}");
    // A card is shown, and judged, each time.
    assert_eq!(out[&cards], serde_json::json!([false, false, false, false]), "{out}");
}

type Tls = SslStream<TcpStream>;

/// A TLS connection that says what it likes, from an address of its own.
fn raw(to: SocketAddr) -> Tls {
    let stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut builder = SslConnector::builder(SslMethod::tls_client()).unwrap();
    builder.set_verify(SslVerifyMode::NONE);
    builder.build().connect("mss.test", stream).unwrap()
}

/// Everything until the other side closes.
fn rest(mut wire: Tls) -> Vec<u8> {
    let mut all = Vec::new();
    // A connection that is cut has said what it had to say.
    let _ = wire.read_to_end(&mut all);
    all
}

/// An element with this content.
fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap().to_be_bytes();
    [&[tag, 0x84], &length[..], content].concat()
}

fn search(filter: &[u8]) -> Vec<u8> {
    let request = [
        element(4, b"dc=annuaire"),
        vec![0x0a, 1, 2, 0x0a, 1, 0, 2, 1, 0, 2, 1, 0, 1, 1, 0],
        filter.to_vec(),
        element(0x30, b""),
    ];
    element(0x30, &[vec![2, 1, 9], element(0x63, &request.concat())].concat())
}

/// One message.
fn message(wire: &mut Tls) -> Vec<u8> {
    let mut head = [0; 2];
    wire.read_exact(&mut head).unwrap();
    let mut digits = vec![0; if head[1] < 0x80 { 0 } else { usize::from(head[1] & 0x7f) }];
    wire.read_exact(&mut digits).unwrap();
    let long = digits.iter().fold(0, |sum, digit| sum * 256 + usize::from(*digit));
    let mut content = vec![0; if digits.is_empty() { usize::from(head[1]) } else { long }];
    wire.read_exact(&mut content).unwrap();
    content
}

#[test]
fn hostile_octets_end_in_an_answer_and_others_are_served() {
    let place = Place::new("limits = { connections = 120, connections_per_peer = 60 }");
    // One octet of a message and no more: closed when a message has had its time, while the rest goes on.
    let mut slow = raw(place.open);
    slow.write_all(&[0x30]).unwrap();

    // Ten thousand deep; and deeper, so that it is more than a message may be.
    let mut deep = element(0x87, b"cn");
    let mut nest = |levels: u32| {
        for _ in 0..levels {
            deep = [&[0xa2, 0x84], &u32::try_from(deep.len()).unwrap().to_be_bytes()[..], &deep].concat();
        }
        deep.clone()
    };
    let (deep, deeper) = (nest(10_000), nest(2_000));
    let mut wire = raw(place.open);
    wire.write_all(&search(&deep)).unwrap();
    let answer = message(&mut wire);
    // adminLimitExceeded to message 9; the connection goes on.
    assert!(answer.windows(3).any(|octets| octets == [0x0a, 1, 11]), "{answer:?}");
    wire.write_all(&search(&[0x87, 2, b'x', b'x'])).unwrap();
    assert!(message(&mut wire).windows(3).any(|octets| octets == [0x0a, 1, 0]));
    for (lie, what) in [
        (search(&deeper), "larger than a message may be"),
        (vec![0x30, 0x84, 0x7f, 0xff, 0xff, 0xff, 2], "two gigabytes announced"),
        (vec![0x30, 0x80, 2, 1, 1], "a length that is not said"),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(), "another protocol"),
        (element(0x30, &[2, 1, 1, 0x63, 0x7f, 4]), "longer than what it is in"),
    ] {
        let mut wire = raw(place.open);
        // Whoever has heard enough closes while we still write.
        let _ = wire.write_all(&lie);
        let answer = rest(wire);
        let notice = b"1.3.6.1.4.1.1466.20036";
        assert!(answer.windows(notice.len()).any(|octets| octets == notice), "{what}: {answer:?}");
    }

    // A thousand connections from one address, none of which says a word.
    let before = descriptors(place.gateway.pid());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let flood = runtime.block_on(async {
        let mut flood = Vec::new();
        for _ in 0..1000 {
            let socket = tokio::net::TcpSocket::new_v4().unwrap();
            socket.bind("127.0.0.77:0".parse().unwrap()).unwrap();
            flood.push(socket.connect(place.open).await.unwrap());
        }
        flood
    });
    let found = place.search(&ldaps(place.open), None, &place.simple("(sn=martin-test)"));
    assert!(String::from_utf8(found.success()).unwrap().contains(&place.world.address("martin")));
    let during = descriptors(place.gateway.pid());
    assert!(during < before + 80, "{before} descriptors before, {during} with a thousand connections");
    drop(flood);
    assert!(!rest(slow).is_empty(), "the slow one is told why it was closed");
}

fn descriptors(pid: u32) -> usize {
    Path::new(&format!("/proc/{pid}/fd")).read_dir().unwrap().count()
}

/// Who copies the directory name by name is stopped, and told to wait; the connection stays.
#[test]
fn who_harvests_runs_dry() {
    let place = Place::new("limits = { searches = 10, entries = 3 }");
    let filter = [0xa4, 0x0b, 4, 2, b's', b'n', 0x30, 5, 0x80, 3, b'm', b'a', b'r'];
    let mut wire = raw(place.open);
    let (mut served, mut busy) = (0, 0);
    // Twice a minute's worth is served at once; what comes back with time is far less than what is asked.
    while busy < 10 {
        wire.write_all(&search(&filter)).unwrap();
        loop {
            let answer = message(&mut wire);
            if answer[3] == 0x65 {
                busy += usize::from(answer.windows(3).any(|octets| octets == [0x0a, 1, 51]));
                break;
            }
            served += 1;
        }
    }
    assert!(served >= 20, "{served} entries before the first refusal");
    let cut = place.search(
        &ldaps(place.cards),
        Some("martin"),
        &["-N", "-Y", "EXTERNAL", "-Q", "-b", "dc=annuaire", "(sn=martin-test)"],
    );
    assert_eq!(cut.code, Some(0), "{}", cut.errors);
}
