//! DER made by hand: seeds that no well-behaved authority would sign, for every rule that a reader has.

use openssl::pkey::{HasPublic, PKeyRef};
use pki::{
    der,
    keys::{SignatureScheme, SigningKey},
};

use crate::world::{ROOT, SIGNER};

/// Where the members of a certificate's signed part stand.
pub mod place {
    /// `[0]` version.
    pub const VERSION: usize = 0;
    /// serialNumber.
    pub const SERIAL: usize = 1;
    /// signature.
    pub const ALGORITHM: usize = 2;
    /// issuer.
    pub const ISSUER: usize = 3;
    /// validity.
    pub const VALIDITY: usize = 4;
    /// subject.
    pub const SUBJECT: usize = 5;
    /// subjectPublicKeyInfo.
    pub const KEY: usize = 6;
    /// `[3]` extensions.
    pub const EXTENSIONS: usize = 7;
}

/// Length of header and content of the first element.
fn lengths(octets: &[u8]) -> (usize, usize) {
    match octets.get(1).copied().map(usize::from) {
        Some(short) if short < 0x80 => (2, short),
        Some(long) => {
            let count = (long & 0x7f).min(4);
            let digits = octets.iter().skip(2).take(count);
            (count.saturating_add(2), digits.fold(0, |length, octet| (length << 8) | usize::from(*octet)))
        }
        None => (octets.len(), 0),
    }
}

/// The content of the first element, if there is one.
pub fn content(octets: &[u8]) -> Option<&[u8]> {
    let (header, length) = lengths(octets);
    octets.get(header..header.checked_add(length)?)
}

/// The members of a constructed value, if it is one.
pub fn parts(octets: &[u8]) -> Option<Vec<&[u8]>> {
    let mut rest = content(octets)?;
    let mut out = Vec::new();
    while !rest.is_empty() {
        let (header, length) = lengths(rest);
        let (member, after) = rest.split_at_checked(header.checked_add(length)?)?;
        out.push(member);
        rest = after;
    }
    Some(out)
}

/// The members of a constructed value that we made.
pub fn members(octets: &[u8]) -> Vec<Vec<u8>> {
    parts(octets).expect("a whole element").into_iter().map(<[u8]>::to_vec).collect()
}

/// The value with other members.
pub fn with_members(octets: &[u8], change: impl FnOnce(&mut Vec<Vec<u8>>)) -> Vec<u8> {
    let mut all = members(octets);
    change(&mut all);
    der::tlv(*octets.first().expect("a tag"), &all.concat())
}

/// The value with another member at the end of `path`. Follows OCTET STRINGs as if they were constructed.
pub fn edit(octets: &[u8], path: &[usize], change: &dyn Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    match path.split_first() {
        None => change(octets),
        Some((first, rest)) => with_members(octets, |all| {
            let member = all.get_mut(*first).expect("a member at this place");
            *member = edit(member, rest, change);
        }),
    }
}

/// AlgorithmIdentifier.
pub fn algorithm(dotted: &str, parameters: &[u8]) -> Vec<u8> {
    der::sequence(&[oid(dotted), parameters.to_vec()])
}

/// OBJECT IDENTIFIER.
pub fn oid(dotted: &str) -> Vec<u8> {
    der::oid(dotted).expect("a well-formed identifier")
}

/// `SEQUENCE { to be signed, algorithm, signature }` by the kept root.
pub fn signed(body: &[u8]) -> Vec<u8> {
    let signature = ROOT.sign(SignatureScheme::EcdsaSha256, body).expect("a signature");
    der::sequence(&[body.to_vec(), algorithm("1.2.840.10045.4.3.2", &[]), der::bit_string(&signature)])
}

/// The same under another algorithm's name, with a signature that is none.
pub fn pretended(body: &[u8], algorithm: &[u8]) -> Vec<u8> {
    der::sequence(&[body.to_vec(), algorithm.to_vec(), der::bit_string(&[7; 64])])
}

/// The signed part of the kept signer's certificate, changed.
pub fn body(change: impl FnOnce(&mut Vec<Vec<u8>>)) -> Vec<u8> {
    let certificate = members(SigningKey::certificate(&*SIGNER).der());
    with_members(certificate.first().expect("a signed part"), change)
}

/// The kept signer's certificate with changed members, signed by the kept root.
pub fn certificate(change: impl FnOnce(&mut Vec<Vec<u8>>)) -> Vec<u8> {
    signed(&body(change))
}

/// The kept signer's certificate with other extensions.
pub fn extended(extensions: &[Vec<u8>]) -> Vec<u8> {
    certificate(|all| set(all, place::EXTENSIONS, der::context(3, &[der::sequence(extensions)])))
}

/// Puts one member.
pub fn set(all: &mut [Vec<u8>], place: usize, value: Vec<u8>) {
    *all.get_mut(place).expect("a member at this place") = value;
}

/// One extension.
pub fn extension(dotted: &str, critical: bool, value: &[u8]) -> Vec<u8> {
    let mut all = vec![oid(dotted)];
    if critical {
        all.push(der::boolean(true));
    }
    all.push(der::octet_string(value));
    der::sequence(&all)
}

/// A name of one RDN for each list of pairs: attribute, string type, value.
pub fn name(rdns: &[&[(&str, u8, &[u8])]]) -> Vec<u8> {
    let pair = |(dotted, tag, value): &(&str, u8, &[u8])| der::sequence(&[oid(dotted), der::tlv(*tag, value)]);
    let rdns: Vec<_> = rdns.iter().map(|rdn| der::set_of(&rdn.iter().map(pair).collect::<Vec<_>>())).collect();
    der::sequence(&rdns)
}

/// SubjectPublicKeyInfo.
pub fn key<T: HasPublic>(key: &PKeyRef<T>) -> Vec<u8> {
    key.public_key_to_der().expect("a public key")
}

/// PEM armour.
pub fn pem(label: &str, content: &[u8]) -> Vec<u8> {
    let encoded = openssl::base64::encode_block(content);
    let lines: Vec<&str> =
        encoded.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).expect("base64 is ASCII")).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n")).into_bytes()
}
