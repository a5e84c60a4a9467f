//! `sceau seal` and `sceau open`, with the `openssl` command line on the other side.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod cli;

use std::sync::OnceLock;

use cli::{Place, Ran, wire};
use ident::{Address, Clock, StructureId, SystemClock};
use pki::issue::{
    Authority, AuthorityRequest, CertificateRequest, CrlRequest, KeyAlgorithm, Profile, ServerMailUse, Structure,
    Validity,
};
use serde_json::Value;

const LETTER: &str = "From: \"Zoé\" <zoe@ch-exemple.test>\nTo: b@ch-autre.test\nCc: c@ch-autre.test\nSubject: bilan\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\nBonjour Élise,\n.\nfin\n";
const TRUST: &str = "--anchors root.pem --intermediates ca.pem";

/// `root.pem`, `ca.pem`, `both.pem`, `ca.crl` and `root.crl`, and for each kind of key a signer that names
/// zoe@ch-exemple.test and a reader of ch-autre.test: `signer-ec`, `reader-rsa`, …
fn world() -> Place {
    // Keys are made once for all tests.
    static FILES: OnceLock<Vec<(String, Vec<u8>)>> = OnceLock::new();
    let place = Place::new();
    FILES.get_or_init(made).iter().for_each(|(name, content)| place.write(name, content));
    place
}

fn made() -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<(String, Vec<u8>)> = Vec::new();
    let mut put = |name: &str, content: String| files.push((name.to_owned(), content.into_bytes()));
    let now = SystemClock.now();
    let life = Validity::days(now, 900);
    let root = Authority::root(&AuthorityRequest::new("RACINE ESSAI", KeyAlgorithm::P256, life)).unwrap();
    let ca = root.intermediate(&AuthorityRequest::new("ESSAI ORGANISATIONS", KeyAlgorithm::P256, life)).unwrap();
    put("root.pem", root.certificate_pem());
    put("ca.pem", ca.certificate_pem());
    put("both.pem", ca.certificate_pem() + &root.certificate_pem());
    let lists = CrlRequest { revoked: vec![], this_update: now, next_update: life.to, number: 1 };
    put("root.crl", root.crl(&lists).unwrap().pem());
    put("ca.crl", ca.crl(&lists).unwrap().pem());
    let structure = Structure::new(StructureId::parse("1990000011").unwrap(), "CH EXEMPLE-TEST", "Paris (75)");
    for (kind, key) in [("ec", KeyAlgorithm::P256), ("rsa", KeyAlgorithm::Rsa2048)] {
        let issue = |name: &str, usage, emails: &[&str]| {
            let emails = emails.iter().map(|email| Address::parse(email).unwrap()).collect();
            let profile = Profile::ServerMail { name: name.to_owned(), structure: structure.clone(), usage, emails };
            ca.issue(&CertificateRequest::new(profile, key, Validity::days(now, 90))).unwrap()
        };
        for (name, issued) in [
            ("signer", issue("zoe@ch-exemple.test", ServerMailUse::Sign, &["zoe@ch-exemple.test"])),
            ("reader", issue("ch-autre.test", ServerMailUse::Confidentiality, &[])),
            ("domain", issue("ch-exemple.test", ServerMailUse::Sign, &[])),
        ] {
            put(&format!("{name}-{kind}.pem"), issued.presented_pem());
            put(&format!("{name}-{kind}.key"), String::from_utf8(issued.key_pem().unwrap().to_vec()).unwrap());
        }
    }
    files
}

fn seal(place: &Place, arguments: &str, message: &[u8]) -> Vec<u8> {
    let ran = place.sceau_with(&format!("seal {arguments}"), message);
    assert_eq!(ran.exit, 0, "seal {arguments}: {}", ran.err);
    ran.out
}

fn open(place: &Place, arguments: &str, message: &[u8]) -> (Ran, Value) {
    let ran = place.sceau_with(&format!("open {arguments} --report report.json"), message);
    let report = serde_json::from_slice(&place.read("report.json")).unwrap();
    (ran, report)
}

fn signer(kind: &str) -> String {
    format!("--signer-cert signer-{kind}.pem --signer-key signer-{kind}.key")
}

fn reader(kind: &str) -> String {
    format!("--cert reader-{kind}.pem --key reader-{kind}.key")
}

/// Codes of the reasons that refuse.
fn refusals(report: &Value) -> Vec<&str> {
    let reasons = report["reasons"].as_array().unwrap().iter();
    reasons.filter(|reason| reason["weight"] == "refuse").map(|reason| reason["code"].as_str().unwrap()).collect()
}

#[test]
fn openssl_opens_what_we_seal() {
    let place = world();
    let letter = wire(LETTER);
    for kind in ["ec", "rsa"] {
        for profile in ["gateway", "client"] {
            let arguments = format!("{} --to reader-{kind}.pem --profile {profile}", signer(kind));
            place.write("sealed.eml", seal(&place, &arguments, &letter));
            place.openssl(&format!(
                "cms -decrypt -in sealed.eml -recip reader-{kind}.pem -inkey reader-{kind}.key -out signed.eml"
            ));
            place.openssl("cms -verify -CAfile both.pem -purpose any -in signed.eml -out plain.eml");
            let plain = String::from_utf8(place.read("plain.eml")).unwrap();
            assert!(plain.contains("Bonjour Élise,\r\n.\r\nfin\r\n"), "{kind} {profile}: {plain}");
        }
    }
    // The outside says no more than the envelope.
    let sealed = String::from_utf8(place.read("sealed.eml")).unwrap();
    let (outside, _) = sealed.split_once("\r\n\r\n").unwrap();
    assert!(!outside.contains("bilan") && !outside.contains("Zo") && outside.contains("<zoe@ch-exemple.test>"));
}

#[test]
fn we_open_what_openssl_sealed() {
    let place = world();
    place.write("letter.eml", wire("Content-Type: text/plain\n\nbonjour\n"));
    let header = "-from zoe@ch-exemple.test -to b@ch-autre.test -subject bilan";
    for (kind, form, how) in [
        ("rsa", "-nodetach", "-aes-256-cbc -recip reader-rsa.pem"),
        ("rsa", "", "-aes-128-cbc -recip reader-rsa.pem -keyopt rsa_padding_mode:oaep -keyopt rsa_oaep_md:sha256"),
        ("ec", "-nodetach", "-aes-256-gcm -recip reader-ec.pem -keyopt ecdh_kdf_md:sha256"),
        ("ec", "", "-aes-256-cbc -recip reader-ec.pem -keyopt ecdh_kdf_md:sha256"),
    ] {
        place.openssl(&format!("cms -sign -in letter.eml -out signed.eml -signer signer-{kind}.pem -inkey signer-{kind}.key -md sha256 {form}"));
        place.openssl(&format!("cms -encrypt -in signed.eml -out sealed.eml {header} {how}"));
        let (ran, report) = open(&place, &format!("{} {TRUST}", reader(kind)), &place.read("sealed.eml"));
        assert_eq!((ran.exit, report["verdict"].as_str()), (0, Some("accept")), "{kind} {how}: {report}");
        assert_eq!((report["decrypted"].as_bool(), report["signature"].as_str()), (Some(true), Some("valid")));
        assert_eq!(
            (report["from_bound"].as_bool(), report["bound_by"].as_str()),
            (Some(true), Some("certificate_address"))
        );
        assert!(ran.text().contains("\r\nbonjour\r\n") && ran.text().contains("zoe@ch-exemple.test"), "{}", ran.text());
        // The same with CRLF line ends, as the wire has it.
        let wired = wire(&String::from_utf8(place.read("sealed.eml")).unwrap().replace("\r\n", "\n"));
        assert_eq!(open(&place, &format!("{} {TRUST}", reader(kind)), &wired).0.exit, 0);
    }
}

/// `openssl cms -sign` without encryption, and without a From of its own.
#[test]
fn what_openssl_only_signed_is_judged_too() {
    let place = world();
    place.write("letter.txt", "Content-Type: text/plain\n\nbonjour\n");
    let sign = "cms -sign -in letter.txt -out signed.eml -signer signer-rsa.pem -inkey signer-rsa.key";
    for form in ["", "-nodetach"] {
        place.openssl(format!("{sign} {form}").trim());
        let message = place.read("signed.eml");
        let (ran, report) = open(&place, TRUST, &message);
        assert_eq!((ran.exit, refusals(&report)), (1, vec!["missing_field"]), "{form}");
        let (ran, report) = open(&place, &format!("{TRUST} --from zoe@ch-exemple.test"), &message);
        assert_eq!(
            (ran.exit, report["signature"].as_str(), report["decrypted"].as_bool()),
            (0, Some("valid"), Some(false)),
            "{form}: {report}"
        );
        let (ran, report) = open(&place, &format!("{TRUST} --from eve@ch-exemple.test"), &message);
        assert_eq!((ran.exit, report["from_bound"].as_bool(), ran.out.len()), (1, Some(false), 0), "{form}: {report}");
    }
}

#[test]
fn what_we_seal_we_open_octet_for_octet() {
    let place = world();
    let letter = wire(LETTER);
    for (kind, profile, encryption) in [
        ("ec", "gateway", Some("AES-256-GCM")),
        ("rsa", "gateway", Some("AES-256-GCM")),
        ("rsa", "client", Some("AES-256-CBC")),
        ("ec", "signed-only", None),
    ] {
        let to = encryption.map_or(String::new(), |_| format!("--to reader-{kind}.pem"));
        let sealed = seal(&place, &format!("{} {to} --profile {profile}", signer(kind)), &letter);
        let crls = "--crls root.crl ca.crl";
        let (ran, report) = open(&place, &format!("{} {TRUST} {crls}", reader(kind)), &sealed);
        assert_eq!((ran.exit, report["encryption"].as_str()), (0, encryption), "{kind} {profile}: {report}");
        assert_eq!(report["revocation_judged"], true);
        assert_eq!(ran.out, letter, "{kind} {profile}");
        // A mail of this system has LF; sealing says that it changed that, and seals the same.
        let from_lf = place.sceau_with(&format!("seal {} {to} --profile {profile}", signer(kind)), LETTER.as_bytes());
        assert!(from_lf.err.contains("LF"), "{}", from_lf.err);
        assert_eq!(open(&place, &format!("{} {TRUST}", reader(kind)), &from_lf.out).0.out, letter);
    }
}

#[test]
fn several_readers_and_several_keys() {
    let place = world();
    let letter = wire(LETTER);
    let sealed = seal(&place, &format!("{} --to reader-ec.pem reader-rsa.pem", signer("ec")), &letter);
    for keys in [reader("ec"), reader("rsa"), format!("{} {}", reader("rsa"), reader("ec"))] {
        assert_eq!(open(&place, &format!("{keys} {TRUST}"), &sealed).0.out, letter, "{keys}");
    }
    // DER and an encrypted key do as well.
    place.openssl("x509 -in reader-rsa.pem -outform DER -out reader.cer");
    place.openssl("pkcs8 -topk8 -nocrypt -in reader-rsa.key -outform DER -out reader.p8");
    assert_eq!(open(&place, &format!("--cert reader.cer --key reader.p8 {TRUST}"), &sealed).0.out, letter);
    place.openssl("pkcs8 -topk8 -in reader-rsa.key -out locked.key -passout pass:secret");
    let ran = place.sceau_with(&format!("open --cert reader-rsa.pem --key locked.key {TRUST}"), &sealed);
    assert_eq!((ran.exit, ran.out.len()), (2, 0));
    assert!(ran.err.contains("locked.key") && ran.err.contains("SCEAU_PASSPHRASE"), "{}", ran.err);
}

/// The one recipient that no field names is covered by the signature of the copy that is sealed for it.
#[test]
fn a_blind_copy_names_its_recipient_and_no_other_does() {
    let place = world();
    let letter = wire(&LETTER.replace("To: b@ch-autre.test\nCc: c@ch-autre.test\n", ""));
    let to = format!("{} --to reader-ec.pem", signer("ec"));
    let opened = |sealed: &[u8]| {
        let asked = format!("{} {TRUST} --recipient cachee@ch-autre.test", reader("ec"));
        let (ran, report) = open(&place, &asked, sealed);
        (ran.exit, refusals(&report).join(" "))
    };
    let named = seal(&place, &format!("{to} --recipient cachee@ch-autre.test"), &letter);
    assert_eq!(opened(&named), (0, String::new()));
    let another = seal(&place, &format!("{to} --recipient autre@ch-autre.test"), &letter);
    assert_ne!(opened(&another).0, 0);
    let nobody = place.sceau_with(&format!("seal {to}"), &letter);
    assert!(nobody.err.contains("--recipient"), "{}", nobody.err);
    assert_ne!(opened(&nobody.out).0, 0);
}

#[test]
fn nothing_comes_out_unless_the_verdict_is_accept() {
    let place = world();
    let letter = wire(LETTER);
    let good = seal(&place, &format!("{} --to reader-ec.pem", signer("ec")), &letter);
    let domain = "--signer-cert domain-ec.pem --signer-key domain-ec.key";
    let unbound = seal(&place, &format!("{domain} --to reader-ec.pem"), &letter);
    let mut broken = good.clone();
    let at = broken.len() - 200;
    broken[at] = if broken[at] == b'A' { b'B' } else { b'A' };
    place.openssl(
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout x.key -out x.pem -days 9 -subj /CN=Autre",
    );
    let own = reader("ec");
    let twice = [b"From: eve@x.test\r\n", good.as_slice()].concat();
    for (message, arguments, exit, reason) in [
        (&good, format!("{own} --anchors x.pem"), 1, "unknown_issuer"),
        (&good, format!("{} {TRUST}", reader("rsa")), 1, "not_for_us"),
        (&good, TRUST.to_owned(), 1, "not_for_us"),
        (&good, format!("{own} {TRUST} --from eve@ch-exemple.test"), 1, "envelope_sender_differs"),
        (&good, format!("{own} {TRUST} --recipient d@ch-autre.test"), 1, "recipient_not_intended"),
        (&good, format!("{own} {TRUST} --at 2001-01-01T00:00:00Z"), 1, "not_yet_valid"),
        (&good, format!("{own} {TRUST} --policy 1.2.3 --require-explicit-policy"), 1, "policy"),
        (&unbound, format!("{own} {TRUST}"), 1, "from_not_bound"),
        (&broken, format!("{own} {TRUST}"), 1, "decryption_failed"),
        (&twice, format!("{own} {TRUST}"), 1, "duplicate_field"),
        (&letter, format!("{own} {TRUST}"), 1, "unsigned"),
        (&wire("From: a@x.test\n\none\ntwo").replace_last_crlf(), format!("{own} {TRUST}"), 1, "bare_lf"),
        (&good, format!("{own} {TRUST} --crls ca.crl"), 3, "crl_missing"),
    ] {
        let (ran, report) = open(&place, &arguments, message);
        assert_eq!((ran.exit, ran.out.len()), (exit, 0), "{arguments}: {report}");
        let codes: Vec<_> = report["reasons"].as_array().unwrap().iter().map(|reason| &reason["code"]).collect();
        assert!(codes.contains(&&Value::from(reason)), "{arguments}: {report}");
        assert_eq!(report["verdict"], if exit == 1 { "refuse" } else { "undetermined" });
        assert!(!ran.err.contains("Bonjour"), "{}", ran.err);
    }
}

trait Last {
    fn replace_last_crlf(self) -> Vec<u8>;
}

impl Last for Vec<u8> {
    /// The last line end without its CR.
    fn replace_last_crlf(mut self) -> Vec<u8> {
        let at = self.iter().rposition(|octet| *octet == b'\r').unwrap();
        self.remove(at);
        self
    }
}

/// Who may sign for an address: the book, or the directory.
#[test]
fn the_book_binds_a_domain_and_the_directory_a_doctor() {
    let place = world();
    let letter = wire(LETTER);
    let domain = "--signer-cert domain-ec.pem --signer-key domain-ec.key";
    let sealed = seal(&place, &format!("{domain} --to reader-ec.pem"), &letter);
    std::fs::create_dir(place.at("book")).unwrap();
    std::fs::copy(place.at("domain-rsa.pem"), place.at("book/ch-exemple.test.pem")).unwrap();
    let arguments = format!("{} {TRUST} --book book", reader("ec"));
    // Another certificate of the same domain does not count.
    assert_eq!(refusals(&open(&place, &arguments, &sealed).1), ["from_not_bound"]);
    std::fs::copy(place.at("domain-ec.pem"), place.at("book/ch-exemple.test-signs.pem")).unwrap();
    let (ran, report) = open(&place, &arguments, &sealed);
    assert_eq!((ran.exit, report["bound_by"].as_str()), (0, Some("book")), "{report}");
    std::fs::copy(place.at("root.pem"), place.at("book/racine.pem")).unwrap();
    let ran = place.sceau_with(&format!("open {arguments}"), &sealed);
    assert!(ran.exit == 2 && ran.err.contains("racine.pem"), "{}", ran.err);

    let place = Place::new();
    place.space();
    let letter = wire(
        "From: anne.martin-test@ch-a.mssante.test\nTo: claire.moreau-test@ch-b.mssante.test\nSubject: x\n\nbonjour\n",
    );
    let card = "--signer-cert cards/martin/signature.pem --signer-key cards/martin/signature.key";
    let sealed = seal(&place, &format!("{card} --to ch-b/decryption.pem"), &letter);
    let keys = "--cert ch-b/decryption.pem --key ch-b/decryption.key";
    let trust = "--anchors anchors/persons.pem --intermediates authorities/persons.pem --crls crl";
    for directory in ["annuaire", "annuaire-data"] {
        let (ran, report) = open(&place, &format!("{keys} {trust} --annuaire {directory}"), &sealed);
        assert_eq!((ran.exit, report["bound_by"].as_str()), (0, Some("person")), "{report}");
        assert_eq!(report["signer"]["identifier"], "899700000017");
        assert_eq!(ran.out, letter);
    }
    assert_eq!(refusals(&open(&place, &format!("{keys} {trust}"), &sealed).1), ["from_not_bound"]);
    // The same card for a colleague's address.
    let other = String::from_utf8(letter).unwrap().replace("anne.martin", "paul.durand").into_bytes();
    let sealed = seal(&place, &format!("{card} --to ch-b/decryption.pem"), &other);
    let (ran, report) = open(&place, &format!("{keys} {trust} --annuaire annuaire"), &sealed);
    assert_eq!((ran.exit, refusals(&report)), (1, vec!["from_not_bound"]));
}

/// Findings about frames: what stands around a signed part reaches nobody, and no verdict of others does (A12, A17).
#[test]
fn only_what_is_signed_reaches_the_output() {
    let place = world();
    place.write("letter.eml", wire("Content-Type: text/plain\n\nbonjour\n"));
    place.openssl("cms -sign -in letter.eml -out signed.eml -signer signer-ec.pem -inkey signer-ec.key -md sha256 -from zoe@ch-exemple.test -to b@ch-autre.test -subject bilan");
    let clear = String::from_utf8(place.read("signed.eml")).unwrap();
    let (before, boundary) = clear.split_once("boundary=\"").unwrap();
    let boundary = boundary.split('"').next().unwrap();
    let results = "X-Sceau-Notice: EVIL\nAuthentication-Results: gw.ch-autre.test; smime=pass EVIL\n";
    let dressed = format!("{results}{clear}").replacen("This is an S/MIME signed message", "EVIL", 1) + "\nEVIL\n";
    let (ran, report) = open(&place, TRUST, dressed.as_bytes());
    assert_eq!((ran.exit, report["signature"].as_str()), (0, Some("valid")), "{report}");
    let text = ran.text();
    assert!(text.contains("\r\nbonjour\r\n") && !text.contains("EVIL") && !text.contains(boundary), "{text}");
    // Whoever opens the output again finds the same signature, and OpenSSL does.
    place.write("given.eml", &ran.out);
    place.openssl("cms -verify -CAfile both.pem -purpose any -in given.eml -out plain.eml");
    let (again, _) = open(&place, TRUST, &ran.out);
    assert_eq!((again.exit, again.out), (0, ran.out));
    // A frame that two readers cut differently.
    let forged = clear.replacen(&format!("\n--{boundary}"), &format!("\n--{boundary}X\n\nEVIL\n--{boundary}"), 1);
    let (ran, report) = open(&place, TRUST, forged.as_bytes());
    assert_eq!((ran.exit, ran.out.len(), refusals(&report)), (1, 0, vec!["mime_malformed"]), "{before}");
}

#[test]
fn without_a_report_file_people_read_a_summary_in_both_languages() {
    let place = world();
    let sealed = seal(&place, &format!("{} --to reader-ec.pem", signer("ec")), &wire(LETTER));
    let ran = place.sceau_with(&format!("open {} {TRUST}", reader("ec")), &sealed);
    assert_eq!(ran.out, wire(LETTER));
    for said in ["accept", "Garanti par", "AES-256-GCM", "bound by certificate_address", "révocation non vérifiée"] {
        let known = said == "Garanti par" && ran.err.contains("Signé par");
        assert!(known || ran.err.contains(said), "{said}: {}", ran.err);
    }
    let ran = place.sceau_with(&format!("open {} {TRUST} --json", reader("ec")), &sealed);
    assert_eq!(serde_json::from_str::<Value>(&ran.err).unwrap()["verdict"], "accept");
}

#[test]
fn what_cannot_be_read_is_named_and_is_a_usage_error() {
    let place = world();
    let letter = wire(LETTER);
    let seals = |rest: &str| format!("seal {} {rest}", signer("ec"));
    for (arguments, input, named) in [
        (seals(""), letter.as_slice(), "--to"),
        (seals("--to nobody.pem"), letter.as_slice(), "nobody.pem"),
        (seals("--to signer-ec.pem"), letter.as_slice(), "signer-ec.pem"),
        (seals("--to reader-ec.pem --profile signed-only"), letter.as_slice(), "signed-only"),
        (seals("--to reader-ec.pem"), b"".as_slice(), "standard input"),
        (
            "seal --signer-cert signer-ec.pem --signer-key reader-ec.key --to reader-ec.pem".to_owned(),
            letter.as_slice(),
            "reader-ec.key",
        ),
        (
            "seal --signer-cert reader-ec.pem --signer-key reader-ec.key --to reader-ec.pem".to_owned(),
            letter.as_slice(),
            "reader-ec.pem",
        ),
        (format!("open --cert reader-ec.pem {TRUST}"), letter.as_slice(), "--key"),
        (format!("open --cert reader-ec.pem --key ca.pem {TRUST}"), letter.as_slice(), "ca.pem"),
        (format!("open {TRUST} --annuaire nowhere"), letter.as_slice(), "nowhere"),
        (format!("open {TRUST} --annuaire ."), letter.as_slice(), "no person-activity file"),
        (format!("open {TRUST} --book nowhere"), letter.as_slice(), "nowhere"),
        (format!("open {TRUST} --report nowhere/report.json"), letter.as_slice(), "nowhere/report.json"),
        (format!("open {TRUST}"), b"".as_slice(), "standard input"),
        ("open".to_owned(), letter.as_slice(), "--anchors"),
    ] {
        let ran = place.sceau_with(&arguments, input);
        assert_eq!((ran.exit, ran.out.len()), (2, 0), "{arguments}: {}", ran.err);
        assert!(ran.err.contains(named), "{arguments}: {}", ran.err);
    }
    // A mail that is not one is a clear no.
    for mail in ["Subject: x\n\nhello\n", "From: a@x.test, b@x.test\n\nx\n", "no header at all"] {
        let ran = place.sceau_with(&seals("--to reader-ec.pem"), mail.as_bytes());
        assert_eq!((ran.exit, ran.out.len()), (1, 0), "{mail}: {}", ran.err);
    }
}
