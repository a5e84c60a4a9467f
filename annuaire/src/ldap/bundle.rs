//! Certificates in one PKCS#7 object without content or signature (RFC 5652 §5, as RFC 8551 §3.8 has it).

use super::ber::{Writer, tag};

const SIGNED_DATA: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
const DATA: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01];
const OID: u8 = 0x06;

/// The object, DER. Certificates stand in the order of a DER set.
pub(super) fn certificates_only(certificates: &[Vec<u8>]) -> Vec<u8> {
    let mut sorted: Vec<&Vec<u8>> = certificates.iter().collect();
    sorted.sort();
    sorted.dedup();
    let mut out = Writer::new();
    out.constructed(tag::SEQUENCE, |info| {
        info.put(OID, &SIGNED_DATA);
        info.constructed(tag::CONTEXT_0, |content| {
            content.constructed(tag::SEQUENCE, |signed| {
                signed.number(tag::INTEGER, 1);
                signed.put(tag::SET, &[]);
                signed.constructed(tag::SEQUENCE, |inner| inner.put(OID, &DATA));
                signed.constructed(tag::CONTEXT_0, |set| sorted.iter().for_each(|der| set.raw(der)));
                signed.put(tag::SET, &[]);
            });
        });
    });
    out.into_octets()
}

#[cfg(test)]
mod tests {
    use openssl::{pkcs7::Pkcs7, x509::X509};

    use super::*;

    /// OpenSSL reads it and finds the certificate.
    #[test]
    fn openssl_finds_the_certificates() {
        let key = openssl::pkey::PKey::generate_ed25519().unwrap();
        let mut builder = X509::builder().unwrap();
        builder.set_version(2).unwrap();
        builder.set_pubkey(&key).unwrap();
        builder.set_not_before(&openssl::asn1::Asn1Time::days_from_now(0).unwrap()).unwrap();
        builder.set_not_after(&openssl::asn1::Asn1Time::days_from_now(1).unwrap()).unwrap();
        builder.sign(&key, openssl::hash::MessageDigest::null()).unwrap();
        let der = builder.build().to_der().unwrap();
        let object = Pkcs7::from_der(&certificates_only(&[der.clone(), der.clone()])).unwrap();
        let inside = object.signed().and_then(|signed| signed.certificates()).unwrap();
        let found: Vec<Vec<u8>> = inside.iter().map(|certificate| certificate.to_der().unwrap()).collect();
        assert_eq!(found, [der]);
    }
}
