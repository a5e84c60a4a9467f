//! OCSP with other software: what `openssl ocsp` answers verifies here, what our test authority answers
//! verifies there, and `openssl ca` makes lists that we read.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod cli;

use std::{fs, time::Duration};

use cli::{Place, Ran};
use ident::{Clock, StructureId, SystemClock};
use pki::{
    certificate::Certificate,
    issue::{
        Authority, AuthorityRequest, CertificateRequest, KeyAlgorithm, OcspDraft, OcspSigner, OcspStatement, Profile,
        Reason, Structure, Validity,
    },
    ocsp::{OcspError, OcspRequest, OcspStatus},
};

const CURVE: &str = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";

fn verdict(ran: &Ran) -> (i32, String) {
    let json = ran.json();
    (ran.exit, json["reason"].as_str().or(json["verdict"].as_str()).unwrap_or_default().to_owned())
}

/// An authority run with `openssl ca`: `ca.pem`, `leaf.pem`, and a responder `ocsp.pem` that it named.
fn openssl_authority(place: &Place) {
    place.write("index.txt", "");
    place.write("serial", "1000\n");
    place.write("crlnumber", "10\n");
    fs::create_dir(place.at("new")).unwrap();
    place.write(
        "ca.cnf",
        "[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\nserial=serial\ncrlnumber=crlnumber\nnew_certs_dir=new\n\
         default_md=sha256\ndefault_crl_days=9\ndefault_days=30\npolicy=p\ncrl_extensions=crl\nunique_subject=no\n\
         [p]\ncommonName=supplied\n[crl]\nauthorityKeyIdentifier=keyid\n\
         [leaf]\nbasicConstraints=CA:false\nkeyUsage=digitalSignature\nextendedKeyUsage=emailProtection\n\
         [ocsp]\nbasicConstraints=CA:false\nkeyUsage=digitalSignature\nextendedKeyUsage=OCSPSigning\nnoCheck=ignored\n",
    );
    place.openssl(&format!("req -x509 {CURVE} -keyout ca.key -out ca.pem -days 30 -subj /CN=Essai"));
    for (name, extensions) in [("leaf", "leaf"), ("ocsp", "ocsp")] {
        place.openssl(&format!("req {CURVE} -keyout {name}.key -out {name}.csr -subj /CN={name}"));
        place.openssl(&format!(
            "ca -batch -notext -config ca.cnf -extensions {extensions} -cert ca.pem -keyfile ca.key -in {name}.csr -out {name}.pem"
        ));
    }
}

fn answer(place: &Place, request: &str, out: &str) {
    place.openssl(&format!(
        "ocsp -index index.txt -CA ca.pem -rsigner ocsp.pem -rkey ocsp.key -reqin {request} -respout {out} -ndays 1"
    ));
}

#[test]
fn answers_and_lists_of_openssl_are_judged() {
    let place = Place::new();
    openssl_authority(&place);
    let certificate = |name: &str| Certificate::from_pem(&place.read(name)).unwrap();
    let (leaf, ca) = (certificate("leaf.pem"), certificate("ca.pem"));
    let request = OcspRequest::new(&leaf, &ca).unwrap();
    place.write("our.req", request.der());
    let verify = |more: &str| {
        let ran = place.sceau(&format!("pki verify leaf.pem --anchors ca.pem --purpose email --json {more}"));
        verdict(&ran)
    };
    let outcome = |exit: i32, word: &str| (exit, word.to_owned());

    // Our question, their answer, with our nonce in it.
    answer(&place, "our.req", "good.ocsp");
    let good = request.read(&place.read("good.ocsp")).unwrap();
    assert_eq!(good.status_of(&leaf, &ca), Some(OcspStatus::Good));
    let other = OcspRequest::new(&leaf, &ca).unwrap();
    assert_eq!(other.read(&place.read("good.ocsp")).unwrap_err(), OcspError::Nonce, "a replay");
    assert_eq!(verify("--ocsp good.ocsp"), outcome(0, "valid"));
    let ran = place.sceau("pki verify leaf.pem --anchors ca.pem --purpose email --ocsp good.ocsp --json");
    let fact = &ran.json()["evidence"][0];
    assert_eq!((fact["source"].as_str(), fact["status"].as_str()), (Some("ocsp"), Some("good")));
    assert_eq!(ran.json()["revocation_judged"], true);

    // On hold, then for good, in lists and in answers.
    place.openssl("ca -config ca.cnf -cert ca.pem -keyfile ca.key -gencrl -out before.crl");
    assert_eq!(verify("--crls before.crl"), outcome(0, "valid"));
    place.openssl("ca -config ca.cnf -cert ca.pem -keyfile ca.key -revoke leaf.pem -crl_reason keyCompromise");
    place.openssl("ca -config ca.cnf -cert ca.pem -keyfile ca.key -gencrl -out after.crl");
    answer(&place, "our.req", "revoked.ocsp");
    assert_eq!(verify("--crls after.crl"), outcome(1, "revoked"));
    assert_eq!(verify("--ocsp revoked.ocsp"), outcome(1, "revoked"));
    assert_eq!(verify("--crls before.crl --ocsp revoked.ocsp"), outcome(1, "revoked"));
    assert_eq!(verify("--crls before.crl after.crl --ocsp good.ocsp revoked.ocsp"), outcome(1, "revoked"));
    let text = place.sceau("pki verify leaf.pem --anchors ca.pem --purpose email --ocsp revoked.ocsp").text();
    assert!(text.contains("keyCompromise") && text.contains("the OCSP answer of"), "{text}");

    // A responder that does not know the certificate, one whom nobody named, and one that does not answer.
    place.write("index.txt", "");
    answer(&place, "our.req", "unknown.ocsp");
    assert_eq!(verify("--ocsp unknown.ocsp"), outcome(3, "status_unknown"));
    place.openssl(
        "ocsp -index index.txt -CA ca.pem -rsigner leaf.pem -rkey leaf.key -reqin our.req -respout self.ocsp -ndays 1",
    );
    assert_eq!(verify("--ocsp self.ocsp"), outcome(3, "crl_missing"));
    place.write("later.ocsp", Authority::ocsp_refusal(3));
    let ran = place.sceau("pki verify leaf.pem --anchors ca.pem --purpose email --ocsp later.ocsp --json");
    assert_eq!(verdict(&ran), outcome(3, "crl_missing"));
    assert!(ran.json()["warnings"][0].as_str().unwrap().contains("tryLater"), "{ran:?}");
}

#[test]
fn openssl_verifies_what_our_authority_answers() {
    let now = SystemClock.now();
    let place = Place::new();
    let wanted = |name: &str| AuthorityRequest::new(name, KeyAlgorithm::P256, Validity::days(now, 300));
    let root = Authority::root(&wanted("RACINE ESSAI OCSP")).unwrap();
    let structure = Structure::new(StructureId::parse("1990000001").unwrap(), "CH EXEMPLE-TEST", "Paris (75)");
    let server = Profile::ServerTls { host: "smtp.ch-exemple.test".into(), alternatives: vec![], structure };
    let issue =
        |profile| root.issue(&CertificateRequest::new(profile, KeyAlgorithm::P256, Validity::days(now, 90))).unwrap();
    let (leaf, responder) =
        (issue(server), issue(Profile::OcspResponder { name: "OCSP ESSAI-TEST".into(), nocheck: true }));
    place.write("root.pem", root.certificate_pem());
    place.write("leaf.pem", leaf.certificate_pem());
    let hour = Duration::from_secs(3600);
    let revoked = OcspStatement::Revoked { reason: Reason::KeyCompromise, at: now.minus(hour) };
    for (status, word, exit) in [(OcspStatement::Good, "good", 0), (revoked, "revoked", 1)] {
        for (by_key, signer) in [(false, OcspSigner::Authority), (true, OcspSigner::Delegate(&responder))] {
            let draft = OcspDraft { by_key, ..OcspDraft::new(leaf.serial(), status, now.minus(hour), now.plus(hour)) };
            place.write("answer.ocsp", root.ocsp_answer(&draft, signer).unwrap());
            let theirs =
                place.openssl("ocsp -respin answer.ocsp -issuer root.pem -cert leaf.pem -CAfile root.pem -no_nonce");
            let said = format!("{}{}", theirs.text(), theirs.err);
            assert!(said.contains("Response verify OK") && said.contains(&format!("leaf.pem: {word}")), "{said}");
            let ours = place.sceau("pki verify leaf.pem --anchors root.pem --purpose server --ocsp answer.ocsp --json");
            assert_eq!(ours.exit, exit, "{ours:?}");
        }
    }
    // They read our question.
    let certificate = leaf.certificate().unwrap();
    let issuer = Certificate::from_der(root.certificate_der()).unwrap();
    place.write("our.req", OcspRequest::new(&certificate, &issuer).unwrap().der());
    let text = place.openssl("ocsp -reqin our.req -text").text();
    assert!(text.contains("OCSP Nonce") && text.to_lowercase().contains(&certificate.serial_hex()), "{text}");
}
