//! Object identifiers of CMS, as content octets (without tag and length), and their dotted form.

/// id-data, RFC 5652 §4
pub(crate) const DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 1];
/// id-signedData, RFC 5652 §5
pub(crate) const SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2];
/// id-envelopedData, RFC 5652 §6
pub(crate) const ENVELOPED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 3];
/// id-ct-authEnvelopedData, RFC 5083 §2
pub(crate) const AUTH_ENVELOPED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 16, 1, 23];
/// id-ct-compressedData, RFC 3274
pub(crate) const COMPRESSED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 16, 1, 9];

/// id-contentType, RFC 5652 §11.1
pub(crate) const CONTENT_TYPE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 3];
/// id-messageDigest, RFC 5652 §11.2
pub(crate) const MESSAGE_DIGEST: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 4];
/// id-signingTime, RFC 5652 §11.3
pub(crate) const SIGNING_TIME: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 5];
/// sMIMECapabilities, RFC 8551 §2.5.2
pub(crate) const SMIME_CAPABILITIES: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 15];
/// id-aa-signingCertificate, RFC 2634 §5.4 (SHA-1)
pub(crate) const SIGNING_CERTIFICATE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 16, 2, 12];
/// id-aa-signingCertificateV2, RFC 5035 §3
pub(crate) const SIGNING_CERTIFICATE_V2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 16, 2, 47];

/// id-ct-TSTInfo, RFC 3161 §2.4.2
pub(crate) const TST_INFO: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 16, 1, 4];

/// id-sha1
pub(crate) const SHA1: &[u8] = &[0x2b, 0x0e, 3, 2, 26];
/// id-sha256
pub(crate) const SHA256: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1];
/// id-sha384
pub(crate) const SHA384: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 2];
/// id-sha512
pub(crate) const SHA512: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 3];

/// rsaEncryption: v1.5 key transport, and v1.5 signatures in CMS (RFC 3370)
pub(crate) const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
/// id-RSAES-OAEP, RFC 4055
pub(crate) const RSA_OAEP: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 7];
/// id-mgf1, RFC 4055
pub(crate) const MGF1: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 8];
/// id-pSpecified, RFC 4055
pub(crate) const P_SPECIFIED: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 9];
/// id-RSASSA-PSS, RFC 4055
pub(crate) const RSA_PSS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 10];
/// sha256WithRSAEncryption
pub(crate) const SHA256_RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11];
/// sha384WithRSAEncryption
pub(crate) const SHA384_RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 12];
/// sha512WithRSAEncryption
pub(crate) const SHA512_RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 13];
/// ecdsa-with-SHA256
pub(crate) const ECDSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
/// ecdsa-with-SHA384
pub(crate) const ECDSA_SHA384: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3];
/// ecdsa-with-SHA512
pub(crate) const ECDSA_SHA512: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 4];
/// id-Ed25519, RFC 8410
pub(crate) const ED25519: &[u8] = &[0x2b, 0x65, 0x70];

/// id-ecPublicKey
pub(crate) const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
/// secp256r1
pub(crate) const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
/// secp384r1
pub(crate) const P384: &[u8] = &[0x2b, 0x81, 4, 0, 34];
/// secp521r1
pub(crate) const P521: &[u8] = &[0x2b, 0x81, 4, 0, 35];
/// dhSinglePass-stdDH-sha1kdf-scheme (read only, H17)
pub(crate) const ECDH_SHA1_KDF: &[u8] = &[0x2b, 0x81, 5, 0x10, 0x86, 0x48, 0x3f, 0, 2];
/// dhSinglePass-stdDH-sha256kdf-scheme
pub(crate) const ECDH_SHA256_KDF: &[u8] = &[0x2b, 0x81, 4, 1, 11, 1];
/// dhSinglePass-stdDH-sha384kdf-scheme
pub(crate) const ECDH_SHA384_KDF: &[u8] = &[0x2b, 0x81, 4, 1, 11, 2];
/// dhSinglePass-stdDH-sha512kdf-scheme
pub(crate) const ECDH_SHA512_KDF: &[u8] = &[0x2b, 0x81, 4, 1, 11, 3];
/// id-X25519, RFC 8410
pub(crate) const X25519: &[u8] = &[0x2b, 0x65, 0x6e];
/// dhSinglePass-stdDH-hkdf-sha256-scheme, RFC 8418
pub(crate) const ECDH_HKDF_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 16, 3, 19];
/// dhSinglePass-stdDH-hkdf-sha384-scheme, RFC 8418
pub(crate) const ECDH_HKDF_SHA384: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 16, 3, 20];
/// dhSinglePass-stdDH-hkdf-sha512-scheme, RFC 8418
pub(crate) const ECDH_HKDF_SHA512: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 16, 3, 21];

/// id-aes128-CBC
pub(crate) const AES128_CBC: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 1, 2];
/// id-aes128-wrap
pub(crate) const AES128_WRAP: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 1, 5];
/// id-aes128-GCM
pub(crate) const AES128_GCM: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 1, 6];
/// id-aes128-wrap-pad (refused, A6)
pub(crate) const AES128_WRAP_PAD: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 1, 8];
/// id-aes192-CBC
pub(crate) const AES192_CBC: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 1, 22];
/// id-aes192-wrap
pub(crate) const AES192_WRAP: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 1, 25];
/// id-aes192-GCM
pub(crate) const AES192_GCM: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 1, 26];
/// id-aes192-wrap-pad (refused, A6)
pub(crate) const AES192_WRAP_PAD: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 1, 28];
/// id-aes256-CBC
pub(crate) const AES256_CBC: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 1, 42];
/// id-aes256-wrap
pub(crate) const AES256_WRAP: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 1, 45];
/// id-aes256-GCM
pub(crate) const AES256_GCM: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 1, 46];
/// id-aes256-wrap-pad (refused, A6)
pub(crate) const AES256_WRAP_PAD: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 1, 48];
/// des-ede3-cbc (refused)
pub(crate) const DES_EDE3_CBC: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 3, 7];
/// rc2-cbc (refused)
pub(crate) const RC2_CBC: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 3, 2];
/// id-alg-CMS3DESwrap (refused)
pub(crate) const DES_EDE3_WRAP: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 16, 3, 6];

/// The dotted form of content octets, or their hexadecimal form when they are no identifier.
pub(crate) fn dotted(content: &[u8]) -> String {
    arcs(content).map_or_else(
        || content.iter().map(|octet| format!("{octet:02x}")).collect(),
        |arcs| arcs.iter().map(u64::to_string).collect::<Vec<_>>().join("."),
    )
}

fn arcs(content: &[u8]) -> Option<Vec<u64>> {
    let mut arcs = Vec::new();
    let mut value = 0u64;
    let mut open = true;
    for octet in content {
        value = value.checked_mul(128)?.checked_add(u64::from(octet & 0x7f))?;
        open = octet & 0x80 != 0;
        if open {
            continue;
        }
        if arcs.is_empty() {
            let first = value.checked_div(40)?.min(2);
            arcs.extend([first, value.checked_sub(first.checked_mul(40)?)?]);
        } else {
            arcs.push(value);
        }
        value = 0;
    }
    (!open).then_some(arcs)
}

/// What people call an algorithm or type, for messages; the dotted form otherwise.
pub(crate) fn name(content: &[u8]) -> String {
    let known = match content {
        DATA => "data",
        SIGNED_DATA => "signed data",
        ENVELOPED_DATA => "enveloped data",
        AUTH_ENVELOPED_DATA => "authenticated enveloped data",
        COMPRESSED_DATA => "compressed data",
        SHA1 => "SHA-1",
        SHA256 => "SHA-256",
        SHA384 => "SHA-384",
        SHA512 => "SHA-512",
        RSA => "RSA PKCS#1 v1.5",
        RSA_OAEP => "RSA-OAEP",
        RSA_PSS => "RSA-PSS",
        DES_EDE3_CBC => "triple DES",
        DES_EDE3_WRAP => "triple DES key wrap",
        RC2_CBC => "RC2",
        AES128_WRAP => "AES-128 key wrap",
        AES192_WRAP => "AES-192 key wrap",
        AES256_WRAP => "AES-256 key wrap",
        AES128_WRAP_PAD | AES192_WRAP_PAD | AES256_WRAP_PAD => "AES key wrap with padding",
        AES128_CBC => "AES-128-CBC",
        AES192_CBC => "AES-192-CBC",
        AES256_CBC => "AES-256-CBC",
        AES128_GCM => "AES-128-GCM",
        AES192_GCM => "AES-192-GCM",
        AES256_GCM => "AES-256-GCM",
        _ => return refused_name(&dotted(content)).map_or_else(|| dotted(content), str::to_owned),
    };
    known.to_owned()
}

/// What nobody here opens or believes, by the name that a sender's administrator knows it by.
fn refused_name(dotted: &str) -> Option<&'static str> {
    Some(match dotted {
        "1.3.14.3.2.7" => "DES",
        "1.2.840.113549.3.4" => "RC4",
        "1.2.840.113549.3.9" => "RC5",
        "1.2.840.113549.1.9.16.3.7" => "RC2 key wrap",
        "1.2.840.113533.7.66.10" => "CAST-128",
        "1.3.6.1.4.1.188.7.1.1.2" => "IDEA",
        "1.2.410.200004.1.4" => "SEED",
        "1.2.392.200011.61.1.1.1.2" => "Camellia-128",
        "1.2.392.200011.61.1.1.1.3" => "Camellia-192",
        "1.2.392.200011.61.1.1.1.4" => "Camellia-256",
        "1.2.643.2.2.21" => "GOST 28147-89",
        "1.2.840.113549.1.9.16.3.18" => "ChaCha20-Poly1305",
        "2.16.840.1.101.3.4.1.7" => "AES-128-CCM",
        "2.16.840.1.101.3.4.1.27" => "AES-192-CCM",
        "2.16.840.1.101.3.4.1.47" => "AES-256-CCM",
        "1.2.840.113549.2.2" => "MD2",
        "1.2.840.113549.2.4" => "MD4",
        "1.2.840.113549.2.5" => "MD5",
        "1.3.36.3.2.1" => "RIPEMD-160",
        "2.16.840.1.101.3.4.2.4" => "SHA-224",
        "1.2.840.113549.1.1.2" => "RSA with MD2",
        "1.2.840.113549.1.1.4" => "RSA with MD5",
        "1.2.840.113549.1.1.5" | "1.3.14.3.2.29" => "RSA with SHA-1",
        "1.2.840.113549.1.1.14" => "RSA with SHA-224",
        "1.2.840.10040.4.1" => "DSA",
        "1.2.840.10040.4.3" => "DSA with SHA-1",
        "2.16.840.1.101.3.4.3.2" => "DSA with SHA-256",
        "1.2.840.10045.4.1" => "ECDSA with SHA-1",
        "1.2.840.113549.1.9.16.3.5" => "static Diffie-Hellman",
        "1.2.840.113549.1.9.16.3.10" => "static-static Diffie-Hellman",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::der;

    #[test]
    fn octets_and_dotted_forms_agree() {
        for (content, text) in [
            (AUTH_ENVELOPED_DATA, "1.2.840.113549.1.9.16.1.23"),
            (SIGNING_CERTIFICATE_V2, "1.2.840.113549.1.9.16.2.47"),
            (COMPRESSED_DATA, "1.2.840.113549.1.9.16.1.9"),
            (SHA256, "2.16.840.1.101.3.4.2.1"),
            (SHA1, "1.3.14.3.2.26"),
            (RSA_PSS, "1.2.840.113549.1.1.10"),
            (ECDSA_SHA384, "1.2.840.10045.4.3.3"),
            (ED25519, "1.3.101.112"),
            (P256, "1.2.840.10045.3.1.7"),
            (P384, "1.3.132.0.34"),
            (ECDH_SHA1_KDF, "1.3.133.16.840.63.0.2"),
            (ECDH_SHA256_KDF, "1.3.132.1.11.1"),
            (AES256_WRAP, "2.16.840.1.101.3.4.1.45"),
            (AES256_GCM, "2.16.840.1.101.3.4.1.46"),
            (AES128_GCM, "2.16.840.1.101.3.4.1.6"),
            (DES_EDE3_CBC, "1.2.840.113549.3.7"),
            (X25519, "1.3.101.110"),
            (ECDH_HKDF_SHA256, "1.2.840.113549.1.9.16.3.19"),
            (DES_EDE3_WRAP, "1.2.840.113549.1.9.16.3.6"),
        ] {
            assert_eq!(der::oid(text).unwrap()[2..], *content, "{text}");
            assert_eq!(dotted(content), text);
        }
    }

    #[test]
    fn what_is_no_identifier_is_shown_in_hexadecimal() {
        assert_eq!(dotted(&[]), "");
        assert_eq!(dotted(&[0x86]), "86");
        assert_eq!(dotted(&[0xff; 12]), "ff".repeat(12));
    }
}
