//! Why a partner file is refused.

use ident::{Domain, Fingerprint, StructureId, Timestamp};
use thiserror::Error;

use super::MAX_PARTNER_FILE;
use crate::{cms::CmsError, finding::Finding};

/// Why a partner file is refused. What is held stays in force.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum PartnerFileError {
    /// Larger than any real one.
    #[error("the file is larger than {} MB", MAX_PARTNER_FILE / 1024 / 1024)]
    TooLarge,
    /// The octets are no signed container, or the signature is wrong.
    #[error("the file's signature does not verify: {0}")]
    Signature(CmsError),
    /// Signed by something that is not an organisation's signing certificate.
    #[error("the file is signed by {0}, which is not an organisation's certificate for signing")]
    Signer(String),
    /// The signer's certificate is not valid.
    #[error("the signer's certificate is not valid: {0}")]
    SignerInvalid(Finding),
    /// Whether a certificate is valid cannot be told now.
    #[error("whether a certificate is valid cannot be told now: {0}")]
    Undetermined(Finding),
    /// Signed by another organisation than the one expected.
    #[error("the file is signed by the organisation {found}, not by {wanted}")]
    OtherOperator {
        /// Who should have signed.
        wanted: StructureId,
        /// Who signed.
        found: StructureId,
    },
    /// A version that we do not know.
    #[error("the file has version {0}; this program knows version 1")]
    Version(u64),
    /// The signed text is not what a partner file says.
    #[error("the file's content is not in order: {0}")]
    Content(&'static str),
    /// The signed text is no JSON of the expected form.
    #[error("the file's content is not in order: {0}")]
    Form(String),
    /// Made later than now.
    #[error("the file says that it was made in the future, at {0}")]
    Future(Timestamp),
    /// Its time is over.
    #[error("the file expired at {0}: ask the operator for the current one")]
    Expired(Timestamp),
    /// Older than the one in force, or another one under the same number.
    #[error("the file's serial number {offered} does not follow {held}, which is in force (or its date goes back)")]
    Older {
        /// In force.
        held: u64,
        /// Offered.
        offered: u64,
    },
    /// An entry for a domain for which the trust list names somebody else.
    #[error("the file speaks for {domain}, for which the trust list does not name {operator}{}", names(named))]
    OthersDomain {
        /// The domain.
        domain: Domain,
        /// Who published the file.
        operator: StructureId,
        /// Whom the trust list names.
        named: Vec<StructureId>,
    },
    /// An entry whose certificate is not the operator's, or not for this use.
    #[error("the entry {owner}, certificate {certificate}: {what}")]
    Entry {
        /// Domain or address.
        owner: String,
        /// SHA-256 of the certificate.
        certificate: Fingerprint,
        /// What is wrong.
        what: &'static str,
    },
    /// A certificate of an entry has no good path.
    #[error("a certificate in the file is not valid: {0}")]
    Invalid(Finding),
    /// The file could not be signed.
    #[error("the file could not be signed: {0}")]
    Signing(CmsError),
}

impl PartnerFileError {
    /// Whether trying again later may succeed without anybody mending anything.
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Undetermined(_))
    }
}

fn names(named: &[StructureId]) -> String {
    if named.is_empty() {
        return " (it is not in the trust list, or names no organisation)".to_owned();
    }
    let named: Vec<&str> = named.iter().map(StructureId::as_str).collect();
    format!(" (it names {})", named.join(", "))
}
