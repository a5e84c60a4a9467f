//! What commands read from files: certificates, keys, revocation lists, the mail on standard input.
//!
//! A fault here always names the file (exit code 2).

use std::{
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use ident::Timestamp;
use openssl::pkey::PKey;
use pki::{
    certificate::{Certificate, CertificateError},
    crl::{CrlError, RevocationList},
    keys::FileKey,
    ocsp::{OcspAnswer, OcspError},
};
use zeroize::Zeroizing;

use super::Exit;
use crate::config::{Problem, read_bytes};

/// Largest file of certificates or keys.
const MAX_CERTIFICATES: u64 = 64 * 1024 * 1024;
/// Largest file of revocation lists.
const MAX_LIST: u64 = 256 * 1024 * 1024;
/// Largest file with an OCSP answer.
const MAX_ANSWER: u64 = 64 * 1024;
/// Most files of one folder.
const MAX_FILES: usize = 10_000;
/// Endings of the files that are read when a folder is given.
const CERTIFICATE_ENDINGS: [&str; 4] = ["pem", "crt", "cer", "der"];
const LIST_ENDINGS: [&str; 3] = ["crl", "pem", "der"];
const ANSWER_ENDINGS: [&str; 3] = ["ocsp", "ors", "der"];
/// Where the passphrase of an encrypted key is looked for: never on the command line, where others see it.
pub(super) const PASSPHRASE: &str = "SCEAU_PASSPHRASE";

/// Tells what is wrong with the arguments.
pub(super) fn report(problem: &Problem) -> Exit {
    eprintln!("sceau: {problem}");
    Exit::Usage
}

/// Tells what stands in the way now, and may not later.
pub(super) fn later(problem: &Problem) -> Exit {
    eprintln!("sceau: {problem}");
    Exit::Undetermined
}

/// Reads a moment of the command line.
pub(super) fn moment(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text).ok_or_else(|| "write 2026-11-21T22:57:00Z, or seconds since 1970".to_owned())
}

/// The certificates of one file, PEM (all of them) or DER (one).
pub(super) fn certificates(path: &Path) -> Result<Vec<Certificate>, Problem> {
    parsed(&read_bytes(path, MAX_CERTIFICATES)?).map_err(|error| Problem::of(path, error.to_string()))
}

/// The certificates of all these files that can be read, and what was passed over: nobody can be
/// reached through a certificate that cannot be read, so leaving it out never makes a verdict better.
pub(super) fn readable_certificates(paths: &[PathBuf]) -> Result<(Vec<Certificate>, Vec<Problem>), Problem> {
    let (mut all, mut unusable) = (Vec::new(), Vec::new());
    for path in expand(paths, &CERTIFICATE_ENDINGS)? {
        match presented(&path)? {
            Ok(found) => all.extend(found),
            Err(error) => unusable.push(Problem::of(path, format!("not used: {error}"))),
        }
    }
    Ok((all, unusable))
}

/// The certificates of a file that is judged: one that cannot be read is an answer, but a file of another
/// kind is a mistake in the command.
pub(super) fn presented(path: &Path) -> Result<Result<Vec<Certificate>, CertificateError>, Problem> {
    let octets = read_bytes(path, MAX_CERTIFICATES)?;
    match parsed(&octets) {
        Err(error) if error == CertificateError::Pem || !begins_as_signed(&octets) => {
            Err(Problem::of(path, error.to_string()))
        }
        other => Ok(other),
    }
}

/// Whether octets begin as everything signed in X.509 does: a SEQUENCE in a SEQUENCE, in DER.
fn begins_as_signed(octets: &[u8]) -> bool {
    let [0x30, length, rest @ ..] = octets else { return false };
    let long = if *length < 0x80 { 0 } else { usize::from(length & 0x7f) };
    rest.get(long) == Some(&0x30)
}

fn parsed(octets: &[u8]) -> Result<Vec<Certificate>, CertificateError> {
    if is_pem(octets) { Certificate::list_from_pem(octets) } else { Certificate::from_der(octets).map(|one| vec![one]) }
}

/// The certificates of all these files; a folder stands for the certificate files in it.
pub(super) fn all_certificates(paths: &[PathBuf]) -> Result<Vec<Certificate>, Problem> {
    let mut all = Vec::new();
    for path in expand(paths, &CERTIFICATE_ENDINGS)? {
        all.extend(certificates(&path)?);
    }
    Ok(all)
}

/// The first certificate of a file, and those after it.
pub(super) fn leaf(path: &Path) -> Result<(Certificate, Vec<Certificate>), Problem> {
    let mut all = certificates(path)?.into_iter();
    let first = all.next().ok_or_else(|| Problem::of(path, "holds no certificate"))?;
    Ok((first, all.collect()))
}

/// The revocation lists of all these files, and what was passed over: a list that can be read and
/// not used answers for nobody, so that the verdict is undetermined rather than good.
pub(super) fn revocation_lists(paths: &[PathBuf]) -> Result<(Vec<Arc<RevocationList>>, Vec<Problem>), Problem> {
    let (mut lists, mut unusable) = (Vec::new(), Vec::new());
    for path in expand(paths, &LIST_ENDINGS)? {
        let octets = read_bytes(&path, MAX_LIST)?;
        match RevocationList::list_from(&octets) {
            Ok(found) => lists.extend(found.into_iter().map(Arc::new)),
            Err(error @ (CrlError::TooLarge | CrlError::Pem)) => {
                return Err(Problem::of(path, error.to_string()));
            }
            Err(error @ CrlError::Malformed) if !begins_as_signed(&octets) => {
                return Err(Problem::of(path, error.to_string()));
            }
            Err(error) => unusable.push(Problem::of(path, format!("not used: {error}"))),
        }
    }
    Ok((lists, unusable))
}

/// The OCSP answers of all these files, and what was passed over: a responder that gives no answer, or one
/// that cannot be used, leaves the verdict open.
pub(super) fn ocsp_answers(paths: &[PathBuf]) -> Result<(Vec<Arc<OcspAnswer>>, Vec<Problem>), Problem> {
    let (mut answers, mut unusable) = (Vec::new(), Vec::new());
    for path in expand(paths, &ANSWER_ENDINGS)? {
        match OcspAnswer::from_der(&read_bytes(&path, MAX_ANSWER)?) {
            Ok(answer) => answers.push(Arc::new(answer)),
            Err(error @ (OcspError::TooLarge | OcspError::Malformed)) => {
                return Err(Problem::of(path, error.to_string()));
            }
            Err(error) => unusable.push(Problem::of(path, format!("not used: {error}"))),
        }
    }
    Ok((answers, unusable))
}

/// A private key with its certificate; both PEM or DER, the key also encrypted PEM.
pub(super) fn key_pair(certificate: &Path, key: &Path) -> Result<FileKey, Problem> {
    let (leaf, chain) = leaf(certificate)?;
    let octets = Zeroizing::new(read_bytes(key, MAX_CERTIFICATES)?);
    let private = if is_pem(&octets) {
        // Always with a passphrase: without one OpenSSL would ask at the terminal.
        let passphrase = Zeroizing::new(std::env::var(PASSPHRASE).unwrap_or_default());
        PKey::private_key_from_pem_passphrase(&octets, passphrase.as_bytes())
    } else {
        PKey::private_key_from_der(&octets)
    };
    let private = private.map_err(|_| {
        Problem::of(
            key,
            format!(
                "holds no readable private key (PEM or DER); if it is encrypted, put its passphrase in {PASSPHRASE}"
            ),
        )
    })?;
    FileKey::new(private, leaf, chain)
        .map_err(|error| Problem::of(key, format!("with {}: {error}", certificate.display())))
}

/// The mail on standard input.
pub(super) fn mail(limit: usize) -> Result<Zeroizing<Vec<u8>>, Problem> {
    let stdin = || PathBuf::from("standard input");
    let most = u64::try_from(limit).unwrap_or(u64::MAX);
    let mut octets = Zeroizing::new(Vec::new());
    io::stdin()
        .lock()
        .take(most.saturating_add(1))
        .read_to_end(&mut octets)
        .map_err(|error| Problem::of(stdin(), format!("cannot be read: {error}")))?;
    if octets.is_empty() {
        return Err(Problem::of(stdin(), "is empty: give the mail there, as in `sceau … < message.eml`"));
    }
    if octets.len() > limit {
        return Err(Problem::of(stdin(), format!("is longer than {limit} octets")));
    }
    Ok(octets)
}

/// A mail in the form of the wire (CRLF), and whether that changed it.
///
/// Only a text whose first line ends in a bare LF, as tools on this system store mail, is changed. A
/// mail that came with CRLF keeps its bare LFs and is refused for them later (A21): two readers would
/// see two messages. The gateway itself never repairs.
pub(super) fn wire_form(mail: Zeroizing<Vec<u8>>) -> (Zeroizing<Vec<u8>>, bool) {
    let first = mail.iter().position(|octet| *octet == b'\n');
    let before = first.and_then(|at| at.checked_sub(1)).and_then(|at| mail.get(at));
    if first.is_none() || before == Some(&b'\r') {
        return (mail, false);
    }
    let lines = mail.iter().filter(|octet| **octet == b'\n').count();
    let mut out = Zeroizing::new(Vec::with_capacity(mail.len().saturating_add(lines)));
    let mut last = 0;
    for octet in mail.iter() {
        if *octet == b'\n' && last != b'\r' {
            out.push(b'\r');
        }
        out.push(*octet);
        last = *octet;
    }
    (out, true)
}

pub(super) fn is_pem(octets: &[u8]) -> bool {
    octets.windows(11).any(|window| window == b"-----BEGIN ")
}

/// Files as they are; folders become the files in them with one of these endings, by name.
fn expand(paths: &[PathBuf], endings: &[&str]) -> Result<Vec<PathBuf>, Problem> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let found = files_in(path, endings)?;
        if found.is_empty() {
            return Err(Problem::of(path, format!("the folder holds no file that ends in .{}", endings.join(", ."))));
        }
        files.extend(found);
    }
    Ok(files)
}

/// The files in a folder with one of these endings, sorted.
pub(super) fn files_in(folder: &Path, endings: &[&str]) -> Result<Vec<PathBuf>, Problem> {
    let unreadable = |error: io::Error| Problem::of(folder, format!("cannot be read: {error}"));
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let ending = path.extension().and_then(|ending| ending.to_str()).map(str::to_ascii_lowercase);
        if path.is_file() && ending.is_some_and(|ending| endings.contains(&ending.as_str())) {
            found.push(path);
        }
        if found.len() > MAX_FILES {
            return Err(Problem::of(folder, format!("holds more than {MAX_FILES} files")));
        }
    }
    found.sort();
    Ok(found)
}

/// The certificate files of a folder.
pub(super) fn certificate_files(folder: &Path) -> Result<Vec<PathBuf>, Problem> {
    files_in(folder, &CERTIFICATE_ENDINGS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wired(text: &str) -> (String, bool) {
        let (mail, changed) = wire_form(Zeroizing::new(text.as_bytes().to_vec()));
        (String::from_utf8(mail.to_vec()).unwrap(), changed)
    }

    #[test]
    fn only_a_text_of_this_system_is_given_wire_ends() {
        assert_eq!(wired("A: 1\n\nx\n"), ("A: 1\r\n\r\nx\r\n".to_owned(), true));
        // `openssl cms -sign` writes LF around a part in CRLF.
        assert_eq!(wired("A: 1\nB: 2\r\n\nx"), ("A: 1\r\nB: 2\r\n\r\nx".to_owned(), true));
        for kept in ["A: 1\r\n\r\nx\ny\r\n", "A: 1\r\n", "A: 1", "", "\r\n"] {
            assert_eq!(wired(kept), (kept.to_owned(), false), "{kept:?}");
        }
    }
}
