//! Certification requests (RFC 2986): what is sent to the national authority, with the subject, key usage
//! and purposes that its profiles prescribe. The key stays where it is: it only signs.

use thiserror::Error;

use super::{
    IssueError, KeyAlgorithm, Profile,
    encode::{oid, pem},
};
use crate::{
    certificate::{KeyKind, key_kind},
    der,
    keys::{KeyError, SignatureScheme},
};
use openssl::pkey::{PKey, Public};

/// Attribute: extensions that are asked for (RFC 2985 §5.4.2).
const EXTENSION_REQUEST: &str = "1.2.840.113549.1.9.14";
/// Least RSA modulus that the profiles accept, in bits.
const MIN_RSA: u32 = 2048;

/// Why a request could not be made.
#[derive(Debug, Error)]
pub enum RequestError {
    /// A field cannot be written.
    #[error(transparent)]
    Encoding(#[from] IssueError),
    /// The profiles know no such key.
    #[error("the profiles want RSA of at least {MIN_RSA} bits, P-256 or P-384")]
    Key,
    /// The key did not sign.
    #[error("the request could not be signed: {0}")]
    Signing(#[from] KeyError),
}

/// A request, PEM. `sign` signs with the private half of `public`.
///
/// # Errors
/// See [`RequestError`].
pub fn certification_request(
    profile: &Profile,
    public: &PKey<Public>,
    sign: impl FnOnce(SignatureScheme, &[u8]) -> Result<Vec<u8>, KeyError>,
) -> Result<String, RequestError> {
    let (scheme, usage) = match key_kind(public) {
        KeyKind::Rsa(bits) if bits >= MIN_RSA => (SignatureScheme::RsaPkcs1Sha256, KeyAlgorithm::Rsa2048),
        KeyKind::P256 => (SignatureScheme::EcdsaSha256, KeyAlgorithm::P256),
        KeyKind::P384 => (SignatureScheme::EcdsaSha384, KeyAlgorithm::P256),
        _ => return Err(RequestError::Key),
    };
    let extensions = der::sequence(&profile.extensions(usage)?);
    let wanted = der::sequence(&[oid(EXTENSION_REQUEST)?, der::set_of(&[extensions])]);
    let body = der::sequence(&[
        der::integer(0),
        profile.subject().to_der(),
        public.public_key_to_der().map_err(IssueError::from)?,
        der::context(0, &[wanted]),
    ]);
    let algorithm = match scheme {
        SignatureScheme::EcdsaSha256 => der::sequence(&[oid("1.2.840.10045.4.3.2")?]),
        SignatureScheme::EcdsaSha384 => der::sequence(&[oid("1.2.840.10045.4.3.3")?]),
        _ => der::sequence(&[oid("1.2.840.113549.1.1.11")?, der::null()]),
    };
    let signature = sign(scheme, &body)?;
    Ok(pem("CERTIFICATE REQUEST", &der::sequence(&[body, algorithm, der::bit_string(&signature)])))
}

#[cfg(test)]
mod tests {
    use ident::StructureId;
    use openssl::{
        ec::{EcGroup, EcKey},
        hash::MessageDigest,
        nid::Nid,
        pkey::Private,
        rsa::Rsa,
        sign::Signer,
        x509::X509Req,
    };

    use super::*;
    use crate::issue::{OrganisationUse, ServerMailUse, Structure};

    fn made(profile: &Profile, key: &PKey<Private>) -> Result<X509Req, RequestError> {
        let public = PKey::public_key_from_der(&key.public_key_to_der().unwrap()).unwrap();
        let pem = certification_request(profile, &public, |scheme, body| {
            let digest = match scheme {
                SignatureScheme::EcdsaSha384 => MessageDigest::sha384(),
                _ => MessageDigest::sha256(),
            };
            Ok(Signer::new(digest, key).unwrap().sign_oneshot_to_vec(body).unwrap())
        })?;
        Ok(X509Req::from_pem(pem.as_bytes()).unwrap())
    }

    fn curve(nid: Nid) -> PKey<Private> {
        PKey::from_ec_key(EcKey::generate(&EcGroup::from_curve_name(nid).unwrap()).unwrap()).unwrap()
    }

    fn structure() -> Structure {
        Structure::new(StructureId::parse("318751275100020").unwrap(), "CH EXEMPLE-TEST", "Côte-d'Or (21)")
    }

    #[test]
    fn openssl_reads_and_verifies_what_is_asked_for() {
        let rsa = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
        for key in [rsa, curve(Nid::X9_62_PRIME256V1), curve(Nid::SECP384R1)] {
            let label = "messagerie.ch-exemple.test".to_owned();
            let usage = OrganisationUse::Sign;
            let profile = Profile::Organisation { structure: structure(), label, usage, emails: vec![] };
            let request = made(&profile, &key).unwrap();
            assert!(request.verify(&key).unwrap());
            let subject: Vec<String> = request
                .subject_name()
                .entries()
                .map(|entry| {
                    let name = entry.object().nid().short_name().unwrap();
                    format!("{name}={}", entry.data().to_string().unwrap())
                })
                .collect();
            let expected = [
                "C=FR",
                "ST=Côte-d'Or (21)",
                "O=CH EXEMPLE-TEST",
                "OU=318751275100020",
                "CN=messagerie.ch-exemple.test",
            ];
            assert_eq!(subject, expected);
            let extensions = request.extensions().unwrap();
            assert_eq!(extensions.len(), 2, "key usage and extended key usage");
        }
    }

    #[test]
    fn keys_that_no_profile_takes_are_refused() {
        let usage = ServerMailUse::Sign;
        let profile =
            Profile::ServerMail { name: "ch-exemple.test".into(), structure: structure(), usage, emails: vec![] };
        let weak = PKey::from_rsa(Rsa::generate(1024).unwrap()).unwrap();
        for key in [weak, PKey::generate_ed25519().unwrap(), curve(Nid::SECP521R1)] {
            assert!(matches!(made(&profile, &key), Err(RequestError::Key)));
        }
    }
}
