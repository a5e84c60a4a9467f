//! The start-up self-test: is the loaded OpenSSL one that we may use, and do our own wrappers give
//! the known answers with it? (H1, design §8.)
//!
//! The known answers are messages and keys in `self_test/`, made once with OpenSSL's command line;
//! the keys there are public knowledge and protect nothing.

use ident::Timestamp;
use openssl::{pkey::PKey, version};
use thiserror::Error;
use time::{Date, Month};

use crate::{
    certificate::Certificate,
    cms::{self, CmsError, ContentCipher, OpenError},
    keys::{FileKey, SignatureScheme, SigningKey},
};

/// What the self-test found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelfTest {
    /// Version and build date of the loaded library.
    pub openssl: String,
    /// Known answers that came out right.
    pub known_answers: usize,
    /// Known flaws of the loaded library in code that we do not call: for `doctor`.
    pub warnings: Vec<&'static str>,
}

/// Why we refuse to start.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SelfTestError {
    /// Another library that calls itself compatible.
    #[error("the loaded cryptographic library is {0}; OpenSSL 3.0 or later is required")]
    NotOpenSsl(String),
    /// A release with flaws in what we use.
    #[error("{version} is refused: {why}; install the security updates of the distribution")]
    Version {
        /// Version and build date.
        version: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A wrapper gives another answer than it must.
    #[error("the cryptographic known answer test \"{0}\" failed; do not use this machine before it is understood")]
    KnownAnswer(&'static str),
}

/// Judges the loaded library and runs every known answer test.
///
/// # Errors
/// See [`SelfTestError`]: nothing may be started then.
pub fn self_test() -> Result<SelfTest, SelfTestError> {
    let loaded = Library::loaded();
    let warnings = loaded.judge()?;
    Ok(SelfTest { openssl: loaded.described(), known_answers: known_answers()?, warnings })
}

/// A cryptographic library, as it describes itself.
struct Library {
    text: String,
    release: (i64, i64, i64),
    built: Option<Timestamp>,
    built_text: String,
}

impl Library {
    /// The one that is loaded, which need not be the one of the headers.
    fn loaded() -> Self {
        let (number, built_text) = (version::number(), version::built_on());
        Self {
            text: version::version().to_owned(),
            // 0xMNN00PP0 since OpenSSL 3.
            release: (number >> 28 & 0xf, number >> 20 & 0xff, number >> 4 & 0xff),
            built: built(built_text),
            built_text: built_text.to_owned(),
        }
    }

    fn described(&self) -> String {
        format!("{} ({})", self.text, self.built_text)
    }

    /// Distributions mend old releases without changing the number: then the build date tells.
    fn built_since(&self, date: &str) -> bool {
        self.built.zip(Timestamp::parse(date)).is_some_and(|(built, mended)| built >= mended)
    }

    fn judge(&self) -> Result<Vec<&'static str>, SelfTestError> {
        if !self.text.starts_with("OpenSSL ") || self.release.0 < 3 {
            return Err(SelfTestError::NotOpenSsl(self.text.clone()));
        }
        let refused = |why| Err(SelfTestError::Version { version: self.described(), why });
        if self.release.0 > 4 {
            return refused("nobody has judged this branch of OpenSSL yet");
        }
        // CVE-2022-2274, CVE-2022-3602, CVE-2022-4304, CVE-2023-0286: private key operations,
        // certificate names and the timing of RSA decryption, all of which we use.
        if self.release < (3, 0, 8) && !self.built_since("2023-02-07T00:00:00Z") {
            return refused("it has known flaws in RSA decryption and certificate checking");
        }
        Ok(self.warnings())
    }

    /// Flaws in OpenSSL's own CMS and PKCS#7 code. We call neither, so they do not stop us.
    fn warnings(&self) -> Vec<&'static str> {
        let mended = match self.release {
            (3, 0, patch) => patch >= 22,
            // Debian mended 3.5.7 without changing the number.
            (3, 5, 7) => self.built_since("2026-08-23T00:00:00Z"),
            (3, 5, patch) => patch > 7,
            (3, 6, patch) => patch > 3,
            (4, 0, patch) => patch >= 3,
            (4, ..) => true,
            _ => false,
        };
        if mended {
            return Vec::new();
        }
        vec![
            "this OpenSSL has known flaws in its CMS code (CVE-2026-63072, CVE-2026-34182 and others), \
             which Sceau does not use; other software on this machine may",
        ]
    }
}

/// The date of `built on: Wed Oct 21 09:54:24 2026 UTC`.
fn built(text: &str) -> Option<Timestamp> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mut words = text.strip_prefix("built on:")?.split_whitespace();
    let (_, month, day, _, year) = (words.next()?, words.next()?, words.next()?, words.next()?, words.next()?);
    let month = MONTHS.iter().position(|name| *name == month)?.checked_add(1)?;
    let month = Month::try_from(u8::try_from(month).ok()?).ok()?;
    let date = Date::from_calendar_date(year.parse().ok()?, month, day.parse().ok()?).ok()?;
    Some(Timestamp::from_seconds(date.midnight().assume_utc().unix_timestamp()))
}

const MESSAGE: &[u8] = b"Bonjour Sceau, autotest.\r\n";
const OAEP: &[u8] = include_bytes!("self_test/oaep.der");
const PKCS1: &[u8] = include_bytes!("self_test/pkcs1.der");
const ECDH: &[u8] = include_bytes!("self_test/ecdh.der");
const CBC: &[u8] = include_bytes!("self_test/cbc.der");
const PSS: &[u8] = include_bytes!("self_test/pss.der");
const ECDSA: &[u8] = include_bytes!("self_test/ecdsa.der");
const RSA_SIGNATURE: &[u8] = include_bytes!("self_test/rsa.sig.bin");

/// Counts the answers that were right; the first wrong one ends the test.
struct Answers(usize);

impl Answers {
    fn expect(&mut self, name: &'static str, right: bool) -> Result<(), SelfTestError> {
        self.0 = self.0.saturating_add(1);
        if right { Ok(()) } else { Err(SelfTestError::KnownAnswer(name)) }
    }
}

fn known_answers() -> Result<usize, SelfTestError> {
    let rsa = key(include_bytes!("self_test/rsa.key.der"), include_bytes!("self_test/rsa.crt.der"))?;
    let p256 = key(include_bytes!("self_test/p256.key.der"), include_bytes!("self_test/p256.crt.der"))?;
    let mut answers = Answers(0);
    decryption(&mut answers, &rsa, &p256)?;
    verification(&mut answers)?;
    both_ways(&mut answers, &rsa, &p256)?;
    Ok(answers.0)
}

fn key(key: &[u8], certificate: &[u8]) -> Result<FileKey, SelfTestError> {
    let failed = SelfTestError::KnownAnswer("reading a key and its certificate");
    let Ok(certificate) = Certificate::from_der(certificate) else { return Err(failed) };
    PKey::private_key_from_der(key).ok().and_then(|key| FileKey::new(key, certificate, Vec::new()).ok()).ok_or(failed)
}

fn decryption(answers: &mut Answers, rsa: &FileKey, p256: &FileKey) -> Result<(), SelfTestError> {
    let opens = |cms: &[u8], key: &FileKey| cms::open(cms, &[key]).is_ok_and(|opened| *opened.content == MESSAGE);
    let fails = |cms: &[u8], key: &FileKey| matches!(cms::open(cms, &[key]), Err(OpenError::Failed));
    answers.expect("RSA-OAEP SHA-256 and AES-256-GCM", opens(OAEP, rsa))?;
    answers.expect("RSA PKCS#1 v1.5 and AES-256-GCM", opens(PKCS1, rsa))?;
    answers.expect("ECDH P-256, X9.63 SHA-256, AES-256 wrap, AES-256-GCM", opens(ECDH, p256))?;
    answers.expect("ECDH P-256 and AES-256-CBC", opens(CBC, p256))?;
    // The tag stands at the very end of an AuthEnvelopedData.
    answers.expect("AES-256-GCM with a bad tag", fails(&flipped(OAEP, 0), rsa))?;
    answers.expect("AES-256-GCM with a bad tag after ECDH", fails(&flipped(ECDH, 0), p256))?;
    // Twice: a broken v1.5 key must fail, and fail the same way each time (H4).
    let broken = broken_key(PKCS1);
    for _ in 0..2 {
        answers.expect("broken RSA PKCS#1 v1.5 fails like a bad tag", fails(&broken, rsa))?;
    }
    answers.expect("broken RSA-OAEP fails like a bad tag", fails(&broken_key(OAEP), rsa))
}

fn verification(answers: &mut Answers) -> Result<(), SelfTestError> {
    let verifies = |cms: &[u8]| cms::verify(cms, None, &[]).is_ok_and(|verified| *verified.content == *MESSAGE);
    // The signature value stands at the very end of a SignedData.
    let refuses = |cms: &[u8]| matches!(cms::verify(&flipped(cms, 0), None, &[]), Err(CmsError::SignatureInvalid));
    answers.expect("RSA-PSS SHA-256", verifies(PSS))?;
    answers.expect("ECDSA P-256 SHA-256", verifies(ECDSA))?;
    answers.expect("RSA-PSS with a bad signature", refuses(PSS))?;
    answers.expect("ECDSA with a bad signature", refuses(ECDSA))
}

/// What is random when made cannot be compared with a known answer: it must come back.
fn both_ways(answers: &mut Answers, rsa: &FileKey, p256: &FileKey) -> Result<(), SelfTestError> {
    let known = SigningKey::sign(rsa, SignatureScheme::RsaPkcs1Sha256, MESSAGE);
    answers.expect("RSA PKCS#1 v1.5 signature", known.is_ok_and(|made| made == RSA_SIGNATURE))?;
    for (key, name) in [(rsa, "signing and verifying with RSA"), (p256, "signing and verifying with ECDSA")] {
        let signed = cms::sign(MESSAGE, key, Timestamp::EPOCH, &[]);
        answers.expect(name, signed.is_ok_and(|signed| cms::verify(&signed, None, &[]).is_ok()))?;
    }
    let to = [rsa.certificate(), p256.certificate()];
    for (cipher, name) in [
        (ContentCipher::Aes256Gcm, "encrypting and opening with AES-256-GCM"),
        (ContentCipher::Aes256Cbc, "encrypting and opening with AES-256-CBC"),
    ] {
        let sealed = cms::encrypt(MESSAGE, &to, cipher).unwrap_or_default();
        let back =
            [rsa, p256].iter().all(|key| cms::open(&sealed, &[*key]).is_ok_and(|opened| *opened.content == MESSAGE));
        answers.expect(name, back)?;
    }
    Ok(())
}

/// `message` with one bit changed, this far from its end.
fn flipped(message: &[u8], from_end: usize) -> Vec<u8> {
    let mut changed = message.to_vec();
    if let Some(octet) = changed.iter_mut().rev().nth(from_end) {
        *octet ^= 1;
    }
    changed
}

/// A container with its only wrapped RSA-2048 key made meaningless.
fn broken_key(message: &[u8]) -> Vec<u8> {
    const WRAPPED: [u8; 4] = [0x04, 0x82, 0x01, 0x00];
    let start = message.windows(WRAPPED.len()).position(|window| window == WRAPPED).unwrap_or(0);
    // The last octet of the 256 keeps the number below the modulus.
    let last = start.saturating_add(WRAPPED.len()).saturating_add(255);
    flipped(message, message.len().saturating_sub(last).saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_passes() {
        let passed = self_test().unwrap();
        assert_eq!(passed.known_answers, 18);
        assert!(passed.openssl.starts_with("OpenSSL "), "{}", passed.openssl);
    }

    #[test]
    fn a_wrong_answer_is_named() {
        let mut answers = Answers(0);
        assert_eq!(answers.expect("it", false), Err(SelfTestError::KnownAnswer("it")));
        // The messages that must fail do so because of the one changed bit.
        let rsa = key(include_bytes!("self_test/rsa.key.der"), include_bytes!("self_test/rsa.crt.der")).unwrap();
        assert!(cms::open(&flipped(&flipped(OAEP, 0), 0), &[&rsa]).is_ok());
        assert_eq!(broken_key(PKCS1).iter().zip(PKCS1).filter(|(a, b)| a != b).count(), 1);
        let at = broken_key(PKCS1).iter().zip(PKCS1).position(|(a, b)| a != b).unwrap();
        assert_eq!(PKCS1[at - 259..at - 255], [4, 0x82, 1, 0]);
    }

    fn library(text: &str, release: (i64, i64, i64), built_text: &str) -> Library {
        Library { text: text.into(), release, built: built(built_text), built_text: built_text.into() }
    }

    #[test]
    fn old_releases_need_a_build_that_mended_them() {
        let old = "built on: Tue Mar 15 09:00:00 2022 UTC";
        let mended = "built on: Wed Feb  8 15:40:00 2023 UTC";
        for (release, built, accepted) in [
            ((3, 0, 2), old, false),
            ((3, 0, 2), mended, true), // Ubuntu 22.04 as patched
            ((3, 0, 7), "built on: date not available", false),
            ((3, 0, 8), old, true),
            ((3, 0, 13), old, true), // Ubuntu 24.04
            ((3, 5, 7), mended, true),
            ((4, 0, 3), mended, true),
            ((5, 0, 0), mended, false),
        ] {
            let judged = library("OpenSSL x", release, built).judge();
            assert_eq!(judged.is_ok(), accepted, "{release:?} {built}: {judged:?}");
        }
    }

    #[test]
    fn other_libraries_are_refused() {
        for (text, release) in [("LibreSSL 3.8.2", (2, 0, 0)), ("BoringSSL", (1, 1, 1)), ("OpenSSL 1.1.1w", (1, 1, 1))]
        {
            assert!(matches!(library(text, release, "").judge(), Err(SelfTestError::NotOpenSsl(_))), "{text}");
        }
    }

    #[test]
    fn flaws_beside_what_we_call_are_warnings() {
        let (before, after) = ("built on: Sat Aug 22 10:00:00 2026 UTC", "built on: Tue Sep 29 10:00:00 2026 UTC");
        for (release, built, warned) in [
            ((3, 0, 13), after, true),
            ((3, 0, 22), before, false),
            ((3, 2, 9), after, true),
            ((3, 5, 7), before, true),
            ((3, 5, 7), after, false),
            ((3, 6, 3), after, true),
            ((4, 0, 2), after, true),
            ((4, 0, 3), before, false),
            ((4, 1, 0), before, false),
        ] {
            let warnings = library("OpenSSL x", release, built).judge().unwrap();
            assert_eq!(!warnings.is_empty(), warned, "{release:?} {built}");
        }
    }

    #[test]
    fn build_dates_are_read() {
        assert_eq!(built("built on: Wed Oct 21 09:54:24 2026 UTC"), Timestamp::parse("2026-10-21T00:00:00Z"));
        for text in ["", "built on: date not available", "built on: Wed Oct 41 09:54:24 2026 UTC", "Oct 21 2026"] {
            assert_eq!(built(text), None, "{text}");
        }
    }
}
