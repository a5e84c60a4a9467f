//! The other octets of an ECDSA-signed certificate.
//!
//! Whoever holds an ECDSA signature (r, s) can write (r, n − s), which verifies as well (SEC 1 §4.1.4): the
//! same certificate with another fingerprint, made without any key. What names a certificate in order to
//! *refuse* it must therefore look for both.

use ident::Fingerprint;
use openssl::{
    bn::{BigNum, BigNumRef},
    ec::EcGroup,
    nid::Nid,
};

use super::{Certificate, fingerprint};
use crate::{
    der::{self, tag},
    der_reader::{self, Reader},
};

/// The curve is the issuer's, which the certificate does not tell.
const CURVES: [Nid; 3] = [Nid::X9_62_PRIME256V1, Nid::SECP384R1, Nid::SECP521R1];

impl Certificate {
    /// Whether this is the certificate of that fingerprint, whichever of the equivalent signatures it carries.
    /// For refusing; who is trusted is compared octet for octet.
    pub fn is_known_as(&self, named: &Fingerprint) -> bool {
        self.fingerprint() == *named || self.twins().contains(named)
    }

    /// Every fingerprint by which [`is_known_as`](Self::is_known_as) knows it, its own first.
    pub fn known_as(&self) -> Vec<Fingerprint> {
        let mut all = vec![self.fingerprint()];
        all.extend(self.twins().into_iter().filter(|twin| *twin != self.fingerprint()));
        all
    }

    /// Fingerprints that anybody could give this certificate; empty unless it was signed with ECDSA.
    fn twins(&self) -> Vec<Fingerprint> {
        CURVES.iter().filter_map(|curve| twin(self.der(), *curve)).filter_map(|der| fingerprint(&der)).collect()
    }
}

fn twin(certificate: &[u8], curve: Nid) -> Option<Vec<u8>> {
    let mut parts = Reader::only(certificate, tag::SEQUENCE).ok()?.inside();
    let (tbs, algorithm) = (parts.next().ok()?, parts.next().ok()?);
    let signature = der_reader::signature(parts.expect(tag::BIT_STRING).ok()?.value).ok()?;
    let mut numbers = Reader::only(signature, tag::SEQUENCE).ok()?.inside();
    let (r, s) = (numbers.expect(tag::INTEGER).ok()?, numbers.expect(tag::INTEGER).ok()?);
    numbers.end().ok()?;
    let s = BigNum::from_slice(s.value).ok()?;
    let s = complement(&s, curve)?;
    let signature = der::sequence(&[r.whole.to_vec(), der::unsigned(&s)]);
    Some(der::sequence(&[tbs.whole.to_vec(), algorithm.whole.to_vec(), der::bit_string(&signature)]))
}

/// n − s, when s is below the order n of the curve.
fn complement(s: &BigNumRef, curve: Nid) -> Option<Vec<u8>> {
    let (mut order, mut context) = (BigNum::new().ok()?, openssl::bn::BigNumContext::new().ok()?);
    EcGroup::from_curve_name(curve).ok()?.order(&mut order, &mut context).ok()?;
    let mut other = BigNum::new().ok()?;
    other.checked_sub(&order, s).ok()?;
    (!other.is_negative()).then(|| other.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        issue::{CardUse, KeyAlgorithm},
        path::tests::{PERSONS, doctor, issue},
    };

    #[test]
    fn the_other_signature_verifies_and_is_recognised() {
        let card = issue(&PERSONS.issuing, doctor(CardUse::Authentication));
        let other = Certificate::from_der(&twin(card.der(), Nid::X9_62_PRIME256V1).unwrap()).unwrap();
        assert_ne!(other.fingerprint(), card.fingerprint());
        let issuer = PERSONS.intermediate();
        assert!(other.openssl().verify(issuer.public_key()).unwrap(), "SEC 1: (r, n - s) is a signature too");
        assert!(other.is_known_as(&card.fingerprint()) && card.is_known_as(&other.fingerprint()));
        assert!(card.is_known_as(&card.fingerprint()));
        let stranger = issue(&PERSONS.issuing, doctor(CardUse::Signature));
        assert!(!stranger.is_known_as(&card.fingerprint()));
    }

    #[test]
    fn rsa_has_one_signature_only() {
        let validity = crate::issue::Validity::days(crate::path::tests::NOW, 10);
        let request = crate::issue::AuthorityRequest::new("RSA", KeyAlgorithm::Rsa2048, validity);
        let root = crate::issue::Authority::root(&request).unwrap();
        assert!(Certificate::from_der(root.certificate_der()).unwrap().twins().is_empty());
    }
}
