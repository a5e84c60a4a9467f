//! The directory over LDAP with real clients: OpenLDAP's `ldapsearch`, Python's `ldap3` and `python-ldap`.

// Asserting is what tests do, in their helpers too.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used
)]

use sceau::demo::cast::Place::A;
use tests::{
    ldap::{BASE, PASSWORD, Served, ldaps},
    process::{run, tool},
};

fn simple(filter: &str) -> [&str; 4] {
    ["-x", "-b", BASE, filter]
}

#[test]
fn ldapsearch_finds_people_over_every_door() {
    let place = Served::with("");
    let anne = place.world.address("martin");
    let thunderbird = "(|(cn=*martin-t*)(mail=*martin-t*)(givenName=*martin-t*)(sn=*martin-t*))";
    let found = place.search(&ldaps(place.open), None, &simple(thunderbird));
    let text = String::from_utf8(found.success()).unwrap();
    assert!(text.contains(&format!("mail: {anne}")) && text.contains("displayName: Anne MARTIN-TEST"), "{text}");
    assert!(text.contains("uid: 899700000017") && text.contains("objectClass: inetOrgPerson"), "{text}");

    // Not without TLS, but for what the server is.
    let clear = format!("ldap://{}", place.starttls);
    let refused = place.search(&clear, None, &simple("(sn=martin-test)"));
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
    let place = Served::with("");
    let anne = place.world.address("martin");
    let filter = format!("(mail={anne})");
    let arguments = ["-x", "-b", "dc=annuaire", filter.as_str(), "userCertificate;binary"];
    let found = String::from_utf8(place.search(&ldaps(place.open), None, &arguments).success()).unwrap();
    let line = found.lines().find_map(|line| line.strip_prefix("userCertificate;binary:: ")).expect(&found);
    let der = openssl::base64::decode_block(line).unwrap();
    let certificate = openssl::x509::X509::from_der(&der).unwrap();
    assert!(!certificate.public_key().unwrap().public_key_to_der().unwrap().is_empty());
    let without = String::from_utf8(place.search(&ldaps(place.open), None, &simple(&filter)).success()).unwrap();
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
    let place = Served::with("");
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
    let place = Served::with("");
    let script = place.world.folder().join("typist.py");
    std::fs::write(&script, TYPIST).unwrap();
    let (open, cards) = (place.open.to_string(), place.cards.to_string());
    let out = run(tool("/usr/bin/python3").arg(&script).arg(&open).arg(&cards), b"").success();
    let out: serde_json::Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(out[&open], serde_json::json!([false, true, true, true]), "{out}");
    // A card is shown, and judged, each time.
    assert_eq!(out[&cards], serde_json::json!([false, false, false, false]), "{out}");
}
