//! `sceau pki` as its users meet it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod cli;

use std::fs;

use cli::{Place, Ran};
use ident::{CardNumber, Clock, Domain, PersonId, SystemClock};
use pki::issue::{
    Authority, AuthorityRequest, CardKind, CardUse, CertificateRequest, KeyAlgorithm, NamePart, Profile, SubjectName,
    Validity,
};
use pki::keys::FileKey;
use pki::trust_list::{OperatorName, TrustListDraft, TrustListEntry, TrustListProfile, sign_trust_list};

const PERSONS: &str = "--anchors anchors/persons.pem --crls crl/persons.crl crl/persons-root.crl";
const LIST: &str = "--anchors anchors/organisations.pem --intermediates authorities/organisations.pem";

/// Exit code, verdict and reason, which must agree.
fn verdict(ran: &Ran) -> (i32, String, String) {
    let json = ran.json();
    let word = |key: &str| json[key].as_str().unwrap_or_default().to_owned();
    (ran.exit, word("verdict"), word("reason"))
}

#[test]
fn every_fate_of_a_card_has_its_verdict_code_and_exit() {
    let place = Place::new();
    place.space();
    let authority = "--anchors anchors/persons.pem --intermediates authorities/persons.pem";
    for (arguments, exit, wanted, reason) in [
        (format!("cards/martin/card.pem {PERSONS} --purpose person"), 0, "valid", ""),
        (format!("cards/martin/card.pem {PERSONS}"), 0, "valid", ""),
        (format!("cards/martin/card.pem {authority} --crls crl"), 0, "valid", ""),
        ("cards/martin/card.pem --anchors anchors".to_owned(), 0, "valid", ""),
        (format!("cards/leroy/card.pem {PERSONS} --purpose person"), 1, "invalid", "revoked"),
        (format!("cards/girard/card.pem {PERSONS}"), 1, "invalid", "expired"),
        (format!("cards/martin/card.pem {PERSONS} --at 2001-01-01T00:00:00Z"), 1, "invalid", "not_yet_valid"),
        (format!("cards/martin/card.pem {PERSONS} --at -5"), 1, "invalid", "not_yet_valid"),
        (format!("cards/fontaine/card.pem {PERSONS} --purpose person"), 1, "invalid", "unknown_issuer"),
        (format!("cards/martin/card.pem {PERSONS} --purpose server"), 1, "invalid", "wrong_purpose"),
        (format!("cards/martin/card.pem {authority} --crls crl/persons.crl"), 3, "undetermined", "crl_missing"),
        (format!("cards/martin/card.pem {authority} --policy 1.2.3 --require-explicit-policy"), 1, "invalid", "policy"),
        (
            "ch-a/tls.pem --anchors anchors/servers.pem --host smtp.ch-a.mssante.test --purpose server".to_owned(),
            0,
            "valid",
            "",
        ),
        (
            "ch-a/tls.pem --anchors anchors/servers.pem --host smtp.ch-b.mssante.test".to_owned(),
            1,
            "invalid",
            "host_mismatch",
        ),
        ("ch-a/tls.pem --anchors anchors/servers.pem --host 127.0.0.1".to_owned(), 1, "invalid", "host_mismatch"),
        (
            "ch-a/tls.pem --anchors anchors/servers.pem --email a@ch-a.mssante.test".to_owned(),
            1,
            "invalid",
            "email_mismatch",
        ),
    ] {
        let ran = place.sceau(&format!("pki verify {arguments} --json"));
        assert_eq!(verdict(&ran), (exit, wanted.to_owned(), reason.to_owned()), "{arguments}: {}", ran.err);
        let path = ran.json()["path"].as_array().unwrap().len();
        assert_eq!(path, if exit == 0 { 3 } else { 0 }, "{arguments}");
        // The form for people says the same, in both languages.
        let text = place.sceau(&format!("pki verify {arguments}"));
        assert_eq!(text.exit, exit);
        assert!(text.text().starts_with(&format!("{wanted}\n")) && text.text().contains(reason), "{}", text.text());
        for language in ["fr", "en"] {
            if let Some(sentence) = ran.json()["text"][language].as_str() {
                assert!(text.text().contains(sentence), "{arguments}: {}", text.text());
            }
        }
    }
}

#[test]
fn without_revocation_data_the_output_says_that_it_was_not_judged() {
    let place = Place::new();
    place.space();
    // Even a revoked card is valid then: all the more must it be said.
    let unjudged = "pki verify cards/leroy/card.pem --anchors anchors/persons.pem";
    let ran = place.sceau(&format!("{unjudged} --json"));
    assert_eq!((ran.exit, &ran.json()["revocation_judged"]), (0, &serde_json::json!(false)));
    let text = place.sceau(unjudged).text();
    assert!(text.contains("révocation non vérifiée") && text.contains("revocation not judged"), "{text}");
    let judged = place.sceau(&format!("pki verify cards/martin/card.pem {PERSONS} --json"));
    assert_eq!(judged.json()["revocation_judged"], true);
    assert!(!place.sceau(&format!("pki verify cards/martin/card.pem {PERSONS}")).text().contains("not judged"));
}

#[test]
fn the_shape_of_the_answer_is_the_contract() {
    let place = Place::new();
    place.space();
    let json = place.sceau(&format!("pki verify cards/martin/card.pem {PERSONS} --json")).json();
    assert_eq!(json["policies"], serde_json::json!(["1.2.250.1.213.1.7.2.1.1.1.1"]));
    assert_eq!(json["reason"], serde_json::Value::Null);
    let path = json["path"].as_array().unwrap();
    assert!(path[0]["subject"].as_str().unwrap().contains("CN=899700000017"));
    assert!(path[2]["subject"].as_str().unwrap().contains("TEST AC RACINE SCEAU FORT"));
    assert_eq!(path[2]["subject"], path[2]["issuer"]);
}

#[test]
fn der_files_do_as_well_as_pem() {
    let place = Place::new();
    place.space();
    for (name, from) in
        [("leaf", "cards/martin/card.pem"), ("root", "anchors/persons.pem"), ("ca", "authorities/persons.pem")]
    {
        place.openssl(&format!("x509 -in {from} -outform DER -out {name}.der"));
    }
    fs::create_dir(place.at("lists")).unwrap();
    for name in ["persons", "persons-root"] {
        place.openssl(&format!("crl -in crl/{name}.crl -outform DER -out lists/{name}.crl"));
    }
    let ran = place.sceau("pki verify leaf.der --anchors root.der --intermediates ca.der --crls lists --json");
    assert_eq!(verdict(&ran).1, "valid", "{}", ran.err);
    assert_eq!(place.sceau("pki show leaf.der").exit, 0);
    assert_eq!(place.sceau("pki show lists/persons.crl --json").json()["crls"][0]["entries"], 1);
}

#[test]
fn what_cannot_be_read_is_named_and_is_a_usage_error() {
    let place = Place::new();
    place.space();
    place.write("noise.pem", b"\x30\x03\x02\x01\x05");
    place.write("text.crl", b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n");
    fs::create_dir(place.at("empty")).unwrap();
    let good = "cards/martin/card.pem --anchors anchors/persons.pem";
    for (arguments, named) in [
        ("pki verify nothing.pem --anchors anchors/persons.pem".to_owned(), "nothing.pem"),
        ("pki verify noise.pem --anchors anchors/persons.pem".to_owned(), "noise.pem"),
        ("pki verify ch-a/tls.key --anchors anchors/persons.pem".to_owned(), "ch-a/tls.key"),
        ("pki verify cards/martin/card.pem --anchors noise.pem".to_owned(), "noise.pem"),
        ("pki verify cards/martin/card.pem --anchors empty".to_owned(), "empty"),
        ("pki verify cards/martin/card.pem".to_owned(), "--anchors"),
        (format!("pki verify {good} --crls text.crl"), "text.crl"),
        (format!("pki verify {good} --crls anchors/persons.pem"), "anchors/persons.pem"),
        (format!("pki verify {good} --ocsp text.crl"), "text.crl"),
        (format!("pki verify {good} --at tomorrow"), "tomorrow"),
        (format!("pki verify {good} --policy one.two"), "one.two"),
        (format!("pki verify {good} --purpose treasure"), "treasure"),
        ("pki show ch-a/tls.key".to_owned(), "ch-a/tls.key"),
        ("pki anchors list --config nothing.toml".to_owned(), "nothing.toml"),
        (format!("pki trust-list verify nothing.xml {LIST}"), "nothing.xml"),
    ] {
        let ran = place.sceau(&arguments);
        assert_eq!((ran.exit, ran.text().as_str()), (2, ""), "{arguments}");
        assert!(ran.err.contains(named), "{arguments}: {}", ran.err);
    }
    let key = String::from_utf8(place.read("ch-a/tls.key")).unwrap();
    let shown = place.sceau("pki show ch-a/tls.key").err;
    assert!(!key.lines().any(|line| line.len() > 20 && shown.contains(line)), "{shown}");
}

/// A list that can be read and not used vouches for nobody: undetermined, with the file named.
#[test]
fn an_unusable_revocation_list_leaves_the_verdict_open() {
    let place = Place::new();
    place.openssl("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem -days 30 -subj /CN=Essai");
    place.openssl(
        "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout leaf.key -out leaf.csr -subj /CN=Feuille",
    );
    place.openssl("x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -days 20 -out leaf.pem");
    // No crl_extensions: a version 1 list, without number.
    place.write("index.txt", "");
    place.write("ca.cnf", "[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\ndefault_md=sha256\ndefault_crl_days=9\n");
    place.openssl("ca -gencrl -config ca.cnf -cert ca.pem -keyfile ca.key -out v1.crl");
    let ran = place.sceau("pki verify leaf.pem --anchors ca.pem --crls v1.crl --json");
    assert_eq!(verdict(&ran), (3, "undetermined".to_owned(), "crl_missing".to_owned()));
    assert!(ran.err.contains("v1.crl") && ran.json()["warnings"][0].as_str().unwrap().contains("v1.crl"));
}

/// Test and production never mix: a test certificate counts only where a test root was given.
#[test]
fn a_test_certificate_under_a_production_root_is_refused() {
    let now = SystemClock.now();
    let place = Place::new();
    let mut request = AuthorityRequest::new("ESSAI", KeyAlgorithm::P256, Validity::days(now, 900));
    request.name = SubjectName::french().with(NamePart::CommonName, "AC RACINE ESSAI");
    let root = Authority::root(&request).unwrap();
    let profile = Profile::Person {
        id: PersonId::parse("899700000017").unwrap(),
        family: "MARTIN-TEST".to_owned(),
        given: "Anne".to_owned(),
        title: "Médecin".to_owned(),
        structure: None,
        card: CardNumber::parse("9900000001").unwrap(),
        kind: CardKind::Cps,
        usage: CardUse::Authentication,
    };
    let card = root.issue(&CertificateRequest::new(profile, KeyAlgorithm::P256, Validity::days(now, 90))).unwrap();
    place.write("root.pem", root.certificate_pem());
    place.identity("card", &card);
    let ran = place.sceau("pki verify card.pem --anchors root.pem --purpose person --json");
    assert_eq!(verdict(&ran), (1, "invalid".to_owned(), "test_certificate".to_owned()));
}

#[test]
fn show_tells_who_a_certificate_speaks_for() {
    let place = Place::new();
    place.space();
    let json = place.sceau("pki show cards/martin/card.pem --json").json();
    let card = &json["certificates"][0];
    assert_eq!(card["identity"]["kind"], "person");
    assert_eq!((card["identity"]["id"].as_str(), card["test"].as_bool()), (Some("899700000017"), Some(true)));
    assert_eq!((card["card_number"].as_str(), card["key"].as_str()), (Some("9900000001"), Some("EC P-256")));
    assert_eq!(card["extended_key_usage"], serde_json::json!(["clientAuth", "smartCardLogon"]));
    assert_eq!(json["certificates"][1]["authority"], true);
    let text = place.sceau("pki show cards/martin/card.pem").text();
    for said in ["person Anne MARTIN-TEST, Médecin, national id 899700000017", "TEST: refused", "9900000001", "sha-256"]
    {
        assert!(text.contains(said), "{text}");
    }
    // The same fingerprint as another tool computes.
    let other = place.openssl("x509 -in cards/martin/card.pem -noout -fingerprint -sha256").text();
    let other = other.split('=').nth(1).unwrap().trim().replace(':', "").to_lowercase();
    assert_eq!(card["fingerprint"], other.as_str());
}

#[test]
fn the_pinned_roots_are_listed_and_a_swapped_file_shows() {
    let place = Place::new();
    place.space();
    let ran = place.sceau("pki anchors list --config ch-a/sceau.toml --json");
    let purposes: Vec<_> = ran.json()["anchors"].as_array().unwrap().iter().map(|a| a["purpose"].clone()).collect();
    assert_eq!((ran.exit, purposes), (0, vec!["persons".into(), "organisations".into(), "servers".into()]));
    fs::copy(place.at("anchors/servers.pem"), place.at("anchors/persons.pem")).unwrap();
    let ran = place.sceau("pki anchors list --config ch-a/sceau.toml");
    assert_eq!(ran.exit, 1);
    assert!(ran.text().contains("WRONG"), "{}", ran.text());
}

#[test]
fn what_a_list_would_change_is_told_before_it_takes_effect() {
    let place = Place::new();
    let space = place.space();
    let signer = |ending: &str| place.read(&format!("trust-list/signer.{ending}"));
    let key = FileKey::from_pem(&signer("key"), &signer("pem"), None).unwrap();
    let entry = |name: &str| TrustListEntry {
        domain: Domain::parse(name).unwrap(),
        description: String::new(),
        operators: vec![OperatorName::parse(&format!("CN=mss.{name},C=FR")).unwrap()],
        responsible: String::new(),
        support: String::new(),
        updated: String::new(),
    };
    let profile = TrustListProfile {
        root: "ListeBlancheMSSante".into(),
        namespace: "https://listeblanche.mssante.fr/schema".into(),
        signer_cn: String::new(),
        signer_ou: String::new(),
    };
    let now = SystemClock.now();
    let generated = now.minus(std::time::Duration::from_secs(60));
    let draft = TrustListDraft { profile, generated, entries: vec![entry("santé.test"), entry("ch-b.mssante.test")] };
    place.write("before.xml", sign_trust_list(&draft, &key, now).unwrap());

    let ran = place.sceau(&format!("pki trust-list diff before.xml trust-list/list.xml {LIST}"));
    let text = ran.text();
    assert_eq!(ran.exit, 0, "{ran:?}");
    for line in
        ["domaines : 2 → 3", "retirés / removed (1)", "  santé.test", "opérateurs modifiés", "ajoutés / added (2)"]
    {
        assert!(text.contains(line), "{line}: {text}");
    }
    let json = place.sceau(&format!("pki trust-list diff before.xml trust-list/list.xml {LIST} --json")).json();
    assert_eq!(
        (json["removed"][0]["domain"].as_str(), json["abnormal"].as_bool()),
        (Some("xn--sant-epa.test"), Some(false))
    );
    assert_eq!((json["added"].as_array().unwrap().len(), json["changed"].as_array().unwrap().len()), (2, 1));
    // The other way round it is a roll-back.
    let back = place.sceau(&format!("pki trust-list verify before.xml {LIST} --against trust-list/list.xml --json"));
    assert_eq!(back.exit, 1);
    assert!(back.json()["difference"]["rolls_back"].is_string());
    // A forged list has no difference worth reading.
    let forged = String::from_utf8(place.read("trust-list/list.xml")).unwrap().replace("ch-a", "ch-z");
    place.write("forged.xml", forged);
    let ran = place.sceau(&format!("pki trust-list diff before.xml forged.xml {LIST} --json"));
    assert_eq!((ran.exit, ran.json()["reason"].as_str().unwrap()), (1, "list_signature"));
    drop(space);
}

#[test]
fn a_trust_list_is_verified_and_exported_only_when_it_is_genuine() {
    let place = Place::new();
    let space = place.space();
    let pinned = "--signer-ou 399999999900011 --signer-cn";
    let ran = place.sceau(&format!("pki trust-list verify trust-list/list.xml {LIST} --crls crl --json"));
    let json = ran.json();
    assert_eq!(
        (ran.exit, json["verdict"].as_str(), json["revocation_judged"].as_bool()),
        (0, Some("valid"), Some(true))
    );
    assert_eq!(json["domains"].as_array().unwrap().len(), 3);
    // Nobody said who must have signed: the output does.
    assert_eq!(json["signer"]["pinned"], false);
    assert!(place.sceau(&format!("pki trust-list verify trust-list/list.xml {LIST}")).text().contains("--signer-cn"));

    let export = format!("pki trust-list export --format postfix trust-list/list.xml {LIST}");
    let table = place.sceau(&export).text();
    assert!(table.contains("\nch-a.mssante.test secure match=smtp.ch-a.mssante.test\n"), "{table}");
    assert!(place.sceau(&format!("{export} --table recipients")).text().contains("\nch-b.mssante.test OK\n"));

    let genuine = fs::read_to_string(space.trust_list()).unwrap();
    place.write("forged.xml", genuine.replace("smtp.ch-b", "smtp.ch-x"));
    place.write("other.xml", "<html/>");
    for (arguments, exit, reason) in [
        (format!("trust-list/list.xml {LIST} {pinned} Autre"), 1, "list_signer"),
        ("trust-list/list.xml --anchors anchors/persons.pem".to_owned(), 1, "unknown_issuer"),
        (format!("trust-list/list.xml {LIST} --crls crl/persons.crl"), 3, "crl_missing"),
        (format!("trust-list/list.xml {LIST} --root Autre"), 1, "list_structure"),
        (format!("trust-list/list.xml {LIST} --at 2040-01-01T00:00:00Z"), 1, "expired"),
        (format!("forged.xml {LIST}"), 1, "list_signature"),
        (format!("other.xml {LIST}"), 1, "list_structure"),
    ] {
        let ran = place.sceau(&format!("pki trust-list verify {arguments} --json"));
        assert_eq!((ran.exit, ran.json()["reason"].as_str()), (exit, Some(reason)), "{arguments}: {}", ran.text());
        let export = place.sceau(&format!("pki trust-list export --format postfix {arguments}"));
        assert_eq!((export.exit, export.text().as_str()), (exit, ""), "{arguments}");
        assert!(!export.err.is_empty());
    }
}
