//! The pieces of X.509 that certificates and lists share: times, algorithms, extensions.

use ident::Timestamp;
use openssl::{
    hash::{MessageDigest, hash},
    pkey::{HasPublic, Id, PKeyRef, Private},
    rand::rand_bytes,
    sign::Signer,
};
use x509_parser::prelude::{FromDer, SubjectPublicKeyInfo};

use super::IssueError;
use crate::der;

/// A date as certificates and lists write it, or says which one cannot be written.
pub(super) fn time(at: Timestamp) -> Result<Vec<u8>, IssueError> {
    der::time(at).ok_or(IssueError::Date(at))
}

/// Encodes an object identifier or says which one is malformed.
pub(super) fn oid(dotted: &str) -> Result<Vec<u8>, IssueError> {
    der::oid(dotted).ok_or_else(|| IssueError::ObjectIdentifier(dotted.to_owned()))
}

/// One extension; `critical` is written only when true (DER leaves defaults out).
pub(super) fn extension(id: &str, critical: bool, value: &[u8]) -> Result<Vec<u8>, IssueError> {
    let mut members = vec![oid(id)?];
    if critical {
        members.push(der::boolean(true));
    }
    members.push(der::octet_string(value));
    Ok(der::sequence(&members))
}

/// GeneralName uniformResourceIdentifier.
pub(super) fn uri(url: &str) -> Result<Vec<u8>, IssueError> {
    Ok(der::context_primitive(6, ascii(url)?))
}

/// The octets of a text that goes into an IA5String.
pub(super) fn ascii(text: &str) -> Result<&[u8], IssueError> {
    if text.is_ascii() { Ok(text.as_bytes()) } else { Err(IssueError::NotAscii(text.to_owned())) }
}

/// SHA-1 over the public key's bits, as OCSP names keys (RFC 6960 §4.1.1).
pub(super) fn ocsp_key_hash<T: HasPublic>(key: &PKeyRef<T>) -> Result<Vec<u8>, IssueError> {
    let info = key.public_key_to_der()?;
    let (_, parsed) = SubjectPublicKeyInfo::from_der(&info).map_err(|_| IssueError::PublicKey)?;
    Ok(hash(MessageDigest::sha1(), &parsed.subject_public_key.data)?.to_vec())
}

/// A key identifier: the first 160 bits of SHA-256 over the public key's bits (RFC 7093 §2, method 1).
pub(super) fn key_identifier<T: HasPublic>(key: &PKeyRef<T>) -> Result<Vec<u8>, IssueError> {
    let info = key.public_key_to_der()?;
    let (_, parsed) = SubjectPublicKeyInfo::from_der(&info).map_err(|_| IssueError::PublicKey)?;
    let digest = hash(MessageDigest::sha256(), &parsed.subject_public_key.data)?;
    Ok(digest.iter().copied().take(20).collect())
}

/// A serial number of 16 random octets, positive and of full length as the national ones are.
pub(super) fn serial() -> Result<Vec<u8>, IssueError> {
    let mut octets = [0u8; 16];
    rand_bytes(&mut octets)?;
    if let Some(first) = octets.first_mut() {
        *first = (*first & 0x7f) | 0x40;
    }
    Ok(octets.to_vec())
}

/// AlgorithmIdentifier of signatures by this key: parameters NULL for RSA, absent for ECDSA.
pub(super) fn signature_algorithm(key: &PKeyRef<Private>) -> Result<Vec<u8>, IssueError> {
    Ok(if key.id() == Id::EC {
        der::sequence(&[oid("1.2.840.10045.4.3.2")?])
    } else {
        der::sequence(&[oid("1.2.840.113549.1.1.11")?, der::null()])
    })
}

/// SEQUENCE { to be signed, algorithm, signature }.
pub(super) fn signed(body: Vec<u8>, key: &PKeyRef<Private>) -> Result<Vec<u8>, IssueError> {
    let mut signer = Signer::new(MessageDigest::sha256(), key)?;
    let signature = signer.sign_oneshot_to_vec(&body)?;
    Ok(der::sequence(&[body, signature_algorithm(key)?, der::bit_string(&signature)]))
}

/// PEM armour around DER (RFC 7468).
pub(super) fn pem(label: &str, content: &[u8]) -> String {
    let encoded = openssl::base64::encode_block(content);
    let mut out = format!("-----BEGIN {label}-----\n");
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        let (line, tail) = rest.split_at_checked(64).unwrap_or((rest, ""));
        out.push_str(line);
        out.push('\n');
        rest = tail;
    }
    out.push_str(&format!("-----END {label}-----\n"));
    out
}
