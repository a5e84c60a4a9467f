//! OpenSSL's command line is the authority (`openssl ts -reply`), and reads what we ask.

use std::{path::Path, process::Command};

use ident::{Clock as _, SystemClock};

use super::*;
use crate::{
    issue::{
        Authority, AuthorityRequest, CertificateRequest, CrlRequest, Extension, Issued, KeyAlgorithm, NamePart,
        Profile, Reason, Revocation, SubjectName, Validity,
    },
    path::{RevocationMode, ValidatorBuilder},
};

const BOUND: Duration = Duration::from_secs(300);
const DAY: Duration = Duration::from_secs(86_400);
const SIGNATURE: &[u8] = b"the octets of a signature";

/// An authority with certificates that may stamp, and some that may not.
struct Tsa {
    folder: tempfile::TempDir,
    root: Authority,
    now: Timestamp,
}

fn purposes(oids: &[&str], critical: bool) -> Extension {
    let value = der::sequence(&oids.iter().map(|oid| der::oid(oid).unwrap()).collect::<Vec<_>>());
    Extension { oid: "2.5.29.37".into(), critical, value }
}

impl Tsa {
    fn new() -> Self {
        let now = SystemClock.now();
        let folder = tempfile::tempdir().unwrap();
        let validity = Validity::days(now.minus(DAY), 3650);
        let root = Authority::root(&AuthorityRequest::new("RACINE HORODATAGE", KeyAlgorithm::P256, validity)).unwrap();
        let tsa = Self { folder, root, now };
        tsa.issue("good", &[purposes(&["1.3.6.1.5.5.7.3.8"], true)]);
        tsa
    }

    fn issue(&self, name: &str, extensions: &[Extension]) -> Issued {
        let subject = SubjectName::french().with(NamePart::CommonName, &format!("HORODATAGE-TEST {name}"));
        let mut extensions = extensions.to_vec();
        extensions.push(Extension { oid: "2.5.29.15".into(), critical: true, value: vec![3, 2, 6, 0xc0] });
        let validity = Validity::days(self.now.minus(DAY), 365);
        let profile = Profile::Custom { subject, extensions };
        let issued = self.root.issue(&CertificateRequest::new(profile, KeyAlgorithm::P256, validity)).unwrap();
        std::fs::write(self.path(&format!("{name}.pem")), issued.certificate_pem()).unwrap();
        std::fs::write(self.path(&format!("{name}.key")), &*issued.key_pem().unwrap()).unwrap();
        issued
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// What `openssl ts` answers to a request.
    fn answer(&self, signer: &str, request: &[u8], more: &str) -> Vec<u8> {
        let configuration = format!(
            "[tsa]\ndefault_tsa = it\n[it]\nserial = {0}/serial\ncrypto_device = builtin\nsigner_digest = sha256\n\
             default_policy = 1.2.3.4.1\ndigests = sha256, sha512\naccuracy = secs:1\nordering = no\ntsa_name = yes\n{more}\n",
            self.folder.path().display()
        );
        std::fs::write(self.path("ts.cnf"), configuration).unwrap();
        std::fs::write(self.path("query"), request).unwrap();
        let files = [format!("{signer}.pem"), format!("{signer}.key")].map(|name| self.path(&name));
        let arguments =
            ["ts", "-reply", "-config", "ts.cnf", "-section", "it", "-queryfile", "query", "-out", "answer"];
        run(
            self.folder.path(),
            &arguments,
            &["-signer", files[0].to_str().unwrap(), "-inkey", files[1].to_str().unwrap()],
        );
        std::fs::read(self.path("answer")).unwrap()
    }

    fn validator(&self, revoked: Vec<Vec<u8>>) -> Validator {
        let list = CrlRequest {
            revoked: revoked
                .into_iter()
                .map(|serial| Revocation { serial, reason: Reason::KeyCompromise, at: self.now.minus(DAY) })
                .collect(),
            this_update: self.now.minus(DAY),
            next_update: self.now.plus(DAY),
            number: 1,
        };
        ValidatorBuilder::new()
            .test_category(true)
            .anchor(Purpose::Any, Certificate::from_der(self.root.certificate_der()).unwrap())
            .revocation(RevocationMode::Required { grace: Duration::ZERO })
            .crl(self.root.crl(&list).unwrap().der())
            .unwrap()
            .build()
            .unwrap()
    }
}

#[track_caller]
fn run(folder: &Path, arguments: &[&str], more: &[&str]) -> String {
    let done = Command::new("openssl").current_dir(folder).args(arguments).args(more).output().unwrap();
    assert!(done.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8_lossy(&done.stdout).into_owned()
}

#[test]
fn openssl_stamps_what_we_ask_and_we_read_its_token() {
    let tsa = Tsa::new();
    let asking = Asking::new(SIGNATURE, [0, 1, 2, 3, 4, 5, 6, 7]);
    std::fs::write(tsa.path("query"), asking.request()).unwrap();
    let read = run(tsa.folder.path(), &["ts", "-query", "-in", "query", "-text"], &[]);
    for line in ["Hash Algorithm: sha256", "Certificate required: yes", "Nonce: 0x01020304050607"] {
        assert!(read.contains(line), "{line}: {read}");
    }
    let answer = tsa.answer("good", &asking.request(), "");
    let token = asking.token(&answer, tsa.now, BOUND).unwrap();
    assert_eq!(token.stamp().policy, "1.2.3.4.1");
    let attribute = token.attribute();
    let stamp = TimeStamp::about(&attribute.values[0], SIGNATURE).unwrap();
    assert_eq!(&stamp, token.stamp());
    assert!(stamp.judge(&tsa.validator(vec![]), tsa.now).unwrap().is_valid());
    // The default of the command line names its certificate by SHA-1 in some releases: both names are good.
    let token = asking.token(&tsa.answer("good", &asking.request(), "ess_cert_id_alg = sha1"), tsa.now, BOUND);
    assert_eq!(token.map(|token| token.stamp().signer.clone()), Ok(stamp.signer));
}

#[test]
fn an_answer_to_another_question_is_refused() {
    let tsa = Tsa::new();
    let asking = Asking::new(SIGNATURE, *b"question");
    let answer = tsa.answer("good", &asking.request(), "");
    let fault = |asking: &Asking, answer: &[u8], now| asking.token(answer, now, BOUND).unwrap_err();
    assert_eq!(fault(&Asking::new(b"another", *b"question"), &answer, tsa.now), TimestampFault::Imprint);
    assert_eq!(fault(&Asking::new(SIGNATURE, *b"earlier."), &answer, tsa.now), TimestampFault::Nonce);
    assert!(matches!(fault(&asking, &answer, tsa.now.plus(DAY)), TimestampFault::Time(_)));
    assert!(matches!(fault(&asking, &answer, tsa.now.minus(DAY)), TimestampFault::Time(_)));
    // It takes no SHA-256: status 2, no token.
    let refused = tsa.answer("good", &asking.request(), "digests = sha512");
    assert_eq!(fault(&asking, &refused, tsa.now), TimestampFault::Refused(2));
    let long = vec![0; MAX_ANSWER + 1];
    assert_eq!(fault(&asking, &long, tsa.now), TimestampFault::TooLarge);
    assert_eq!(fault(&asking, &answer[..answer.len() - 1], tsa.now), TimestampFault::Malformed);
    let other = TimeStamp::about(&asking.token(&answer, tsa.now, BOUND).unwrap().attribute().values[0], b"another");
    assert_eq!(other, Err(TimestampFault::Imprint));
}

/// Every octet of a token counts: changed anywhere, it is refused or says the same.
#[test]
fn no_changed_octet_makes_another_time() {
    let tsa = Tsa::new();
    let asking = Asking::new(SIGNATURE, *b"question");
    let token = asking.token(&tsa.answer("good", &asking.request(), ""), tsa.now, BOUND).unwrap();
    let octets = &token.attribute().values[0];
    let mut refused = 0;
    for at in 0..octets.len() {
        let mut changed = octets.clone();
        changed[at] ^= 1;
        match TimeStamp::about(&changed, SIGNATURE) {
            Err(_) => refused += 1,
            Ok(stamp) => assert_eq!((stamp.at, stamp.signer), (token.stamp().at, token.stamp().signer.clone()), "{at}"),
        }
    }
    assert!(refused * 10 > octets.len() * 8, "{refused} of {}", octets.len());
}

#[test]
fn only_a_certificate_for_time_stamps_alone_is_believed() {
    let tsa = Tsa::new();
    let asking = Asking::new(SIGNATURE, *b"question");
    let stamp = |signer: &str| {
        // `openssl ts` refuses to sign with a certificate that is not for it: `openssl cms` has no such scruple.
        let good = asking.token(&tsa.answer("good", &asking.request(), ""), tsa.now, BOUND).unwrap();
        std::fs::write(tsa.path("token"), &good.attribute().values[0]).unwrap();
        run(tsa.folder.path(), &["cms", "-verify", "-noverify", "-inform", "DER", "-in", "token", "-out", "info"], &[]);
        let (certificate, key) = (format!("{signer}.pem"), format!("{signer}.key"));
        let sign = ["cms", "-sign", "-binary", "-nodetach", "-cades", "-econtent_type", "1.2.840.113549.1.9.16.1.4"];
        let files = ["-in", "info", "-outform", "DER", "-out", "forged", "-signer", &certificate, "-inkey", &key];
        run(tsa.folder.path(), &sign, &files);
        TimeStamp::about(&std::fs::read(tsa.path("forged")).unwrap(), SIGNATURE).unwrap()
    };
    const STAMPS: &str = "1.3.6.1.5.5.7.3.8";
    for (name, extensions) in [
        ("not-critical", vec![purposes(&[STAMPS], false)]),
        ("two-purposes", vec![purposes(&[STAMPS, "1.3.6.1.5.5.7.3.4"], true)]),
        ("mail", vec![purposes(&["1.3.6.1.5.5.7.3.4"], true)]),
        ("no-purpose", vec![]),
    ] {
        tsa.issue(name, &extensions);
        let judged = stamp(name).judge(&tsa.validator(vec![]), tsa.now);
        assert_eq!(judged.map(|verdict| verdict.is_valid()), Err(TimestampFault::Usage), "{name}");
    }
    let issued = tsa.issue("revoked", &[purposes(&[STAMPS], true)]);
    let revoked = stamp("revoked");
    assert!(revoked.judge(&tsa.validator(vec![]), tsa.now).unwrap().is_valid());
    let code = |validator: &Validator| revoked.judge(validator, tsa.now).unwrap().finding().map(|finding| finding.code);
    assert_eq!(code(&tsa.validator(vec![issued.serial().to_vec()])), Some("revoked"));
    assert_eq!(code(&Tsa::new().validator(vec![])), Some("bad_signature"), "another authority of the same name");
}
