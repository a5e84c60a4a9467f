//! A small issuing authority: test trust spaces shaped like the national health PKI, and
//! certificates for keys that were never in a request.
//!
//! It exists because no official sandbox does. Subject names, private extensions and policy
//! identifiers follow `reference/mssante.md` §10 and `reference/pki.md` §7; every certificate
//! carries the TEST category (PKI-10) unless a request says otherwise, so that production
//! settings refuse it.
//!
//! ```
//! use ident::Timestamp;
//! use pki::issue::{Authority, AuthorityRequest, CertificateRequest, KeyAlgorithm, Profile, Structure, Validity};
//!
//! let now = Timestamp::from_seconds(1_790_000_000);
//! let request = |name: &str| AuthorityRequest::new(name, KeyAlgorithm::P256, Validity::days(now, 3650));
//! let root = Authority::root(&request("RACINE EXEMPLE"))?;
//! let servers = root.intermediate(&request("EXEMPLE SERVEURS"))?;
//! let structure = Structure::new(ident::StructureId::parse("1990000001").unwrap(), "CH EXEMPLE-TEST", "Paris (75)");
//! let profile = Profile::ServerTls { host: "smtp.ch-exemple.test".into(), alternatives: vec![], structure };
//! let issued = servers.issue(&CertificateRequest::new(profile, KeyAlgorithm::P256, Validity::days(now, 1095)))?;
//! assert!(issued.certificate_pem().starts_with("-----BEGIN CERTIFICATE-----"));
//! assert_eq!(issued.chain().len(), 2);
//! # Ok::<(), pki::issue::IssueError>(())
//! ```

mod authority;
mod crl;
mod encode;
mod issued;
mod name;
mod ocsp;
mod profile;
mod request;

pub use authority::{Authority, AuthorityRequest, Category, CertificateRequest, Publication, Validity};
pub use crl::{CrlRequest, Reason, Revocation, RevocationList};
pub use issued::Issued;
pub use name::{NamePart, SubjectName};
pub use ocsp::{OcspDraft, OcspEntry, OcspSigner, OcspStatement};
pub use profile::{CardKind, CardUse, Extension, OrganisationUse, Profile, ServerMailUse, StaffKind, Structure};
pub use request::{RequestError, certification_request};

use thiserror::Error;

/// What keys an authority makes and signs with; signatures are always with SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyAlgorithm {
    /// RSA, 2048 bits: what cards and organisations hold today.
    Rsa2048,
    /// RSA, 4096 bits: roots.
    Rsa4096,
    /// ECDSA and ECDH over NIST P-256: quick to make, so good for tests.
    P256,
}

/// Why a certificate, a list or an export could not be made.
#[derive(Debug, Error)]
pub enum IssueError {
    /// OpenSSL refused a key, a signature or a container.
    #[error("the cryptographic library refused: {0}")]
    Library(#[from] openssl::error::ErrorStack),
    /// An object identifier in a request is malformed.
    #[error("`{0}` is no object identifier")]
    ObjectIdentifier(String),
    /// A date is outside the years 1950 to 9999 that certificates can express.
    #[error("{0} cannot be written in a certificate")]
    Date(ident::Timestamp),
    /// The end of a validity lies before its start.
    #[error("the validity ends before it starts")]
    Validity,
    /// A public key has a form that this authority does not certify.
    #[error("the public key cannot be read")]
    PublicKey,
    /// A name that must be plain ASCII in its field is not.
    #[error("`{0}` must be plain ASCII here")]
    NotAscii(String),
}

#[cfg(test)]
mod tests;
