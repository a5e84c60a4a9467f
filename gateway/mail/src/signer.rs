//! Which certificate a signature is judged by, and how its holder is called.

use pki::{certificate::Certificate, identity::Identity};

use crate::{BoundBy, Facts, Signed, Signer};

impl Signed {
    /// Every certificate that the signature may mean: one that was known before first.
    pub(crate) fn candidates(&self) -> impl Iterator<Item = &Certificate> {
        std::iter::once(&self.signer).chain(&self.twins)
    }

    /// The certificate that a judgement is about.
    pub fn judged(&self, signer: Option<&Signer>) -> &Certificate {
        let named = |certificate: &&Certificate| signer.is_some_and(|it| it.fingerprint == certificate.fingerprint());
        self.candidates().find(named).unwrap_or(&self.signer)
    }
}

/// The holder, as far as somebody answers for it. A subject is worth what its authority checked (H8): where only
/// the mailbox was, it is called by its address, where our own book knows the certificate and its subject
/// names nobody of the trust space, by its domain; never by a common name.
///
/// `identity` is the holder that the subject names, if the path is valid for such holders.
pub(crate) fn describe(
    certificate: &Certificate,
    signed: &Signed,
    identity: Option<&Identity>,
    bound: Option<BoundBy>,
    facts: &Facts,
) -> Signer {
    let title = match identity {
        Some(Identity::Person(person)) => person.profession.clone(),
        Some(Identity::Staff(staff)) => staff.title.clone(),
        _ => None,
    };
    let identifier = identity.and_then(|identity| {
        let person = identity.person_id().map(ToString::to_string);
        person.or_else(|| identity.structure().map(ToString::to_string))
    });
    let name = match (identity, bound) {
        (Some(identity), _) => identity.display_name(),
        (None, Some(BoundBy::CertificateAddress)) => facts.from.to_string(),
        (None, Some(BoundBy::Book)) => facts.from.domain().to_string(),
        (None, _) => certificate.subject().to_string(),
    };
    Signer {
        name,
        title,
        identifier,
        fingerprint: certificate.fingerprint(),
        serial: certificate.serial_hex(),
        issuer: certificate.issuer().to_string(),
        algorithm: signed.algorithm.clone(),
    }
}
