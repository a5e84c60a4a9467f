//! Reasons of verdicts: stable codes, a sentence in both languages, the certificate concerned.

mod table;

use ident::Bilingual;
use serde::Serialize;
pub use table::table;

use crate::certificate::{Certificate, CertificateError};

/// Why a certificate is not valid, or why that cannot be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Stable code; scripts and the refusal table depend on it.
    pub code: &'static str,
    /// The sentence for people.
    pub text: Bilingual,
    /// Subject and serial number of the certificate concerned.
    pub certificate: Option<String>,
    /// What exactly was found about it, where there is more to say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<Box<Bilingual>>,
}

impl Finding {
    pub(crate) fn new(reason: Reason, certificate: Option<&Certificate>) -> Self {
        let (code, fr, en) = reason.entry();
        let certificate = certificate.map(|it| format!("{} (serial {})", it.subject(), it.serial_hex()));
        Self { code, text: Bilingual::new(fr, en), certificate, detail: None }
    }

    pub(crate) fn with_detail(mut self, detail: Option<Bilingual>) -> Self {
        self.detail = detail.map(Box::new);
        self
    }

    /// A valid certificate that does not name the address asked for.
    pub fn email_mismatch(certificate: &Certificate) -> Self {
        Self::new(Reason::EmailMismatch, Some(certificate))
    }

    /// A valid certificate that does not name the host asked for.
    pub fn host_mismatch(certificate: &Certificate) -> Self {
        Self::new(Reason::HostMismatch, Some(certificate))
    }

    /// A server that promises to staple an answer about its certificate, and showed none that counts.
    pub fn staple_missing(certificate: &Certificate) -> Self {
        Self::new(Reason::StapleMissing, Some(certificate))
    }

    /// What is said of octets that are no certificate at all.
    pub fn unreadable(error: &CertificateError) -> Self {
        Self::new(
            match error {
                CertificateError::Key => Reason::UnreadableKey,
                _ => Reason::Unreadable,
            },
            None,
        )
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.text.en)?;
        self.certificate.as_ref().map_or(Ok(()), |certificate| write!(f, ": {certificate}"))
    }
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident $code:literal $fr:literal $en:literal;)*) => {
        /// The catalogue of reasons.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub(crate) enum Reason { $($(#[$doc])* $name,)* }

        impl Reason {
            #[cfg(test)]
            pub(crate) const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Code, French sentence, English sentence.
            pub(crate) const fn entry(self) -> (&'static str, &'static str, &'static str) {
                match self { $(Self::$name => ($code, $fr, $en),)* }
            }
        }

        /// Every code that a [`Finding`] can carry, with its sentences.
        pub fn catalogue() -> Vec<(&'static str, Bilingual)> {
            vec![$(($code, Bilingual::new($fr, $en)),)*]
        }
    };
}

reasons! {
    /// Octets that are no certificate.
    Unreadable "unreadable"
        "ces octets ne sont pas un certificat X.509 strictement codé"
        "these octets are not a strictly encoded X.509 certificate";
    /// A certificate whose key nobody here can use.
    UnreadableKey "unreadable_key"
        "la clé publique du certificat est illisible ou d'un type inconnu"
        "the public key of the certificate cannot be read or is of an unknown kind";
    Revoked "revoked"
        "le certificat est révoqué par son autorité"
        "the certificate has been revoked by its authority";
    StapleMissing "staple_missing"
        "le certificat impose une réponse OCSP agrafée, et le serveur n'en a montré aucune qui vaille"
        "the certificate demands a stapled OCSP answer, and the server showed none that counts";
    Expired "expired"
        "le certificat a expiré"
        "the certificate has expired";
    NotYetValid "not_yet_valid"
        "le certificat n'est pas encore valable"
        "the certificate is not valid yet";
    UnknownIssuer "unknown_issuer"
        "aucune chaîne ne mène du certificat à une autorité reconnue pour cet usage"
        "no chain leads from the certificate to an authority trusted for this purpose";
    BadSignature "bad_signature"
        "la signature du certificat est fausse"
        "the signature on the certificate is wrong";
    WrongPurpose "wrong_purpose"
        "le certificat n'est pas émis pour cet usage"
        "the certificate was not issued for this purpose";
    WrongAuthority "wrong_authority"
        "le certificat vient d'une autorité qui n'en délivre pas pour cet usage"
        "the certificate comes from an authority that does not issue certificates for this purpose";
    TestCertificate "test_certificate"
        "le certificat est un certificat de test, refusé en production"
        "the certificate is a test certificate, refused in production";
    WeakAlgorithm "weak_algorithm"
        "la clé ou la signature du certificat est trop faible (il faut RSA 2048 bits ou une courbe nommée, et SHA-256)"
        "the key or the signature of the certificate is too weak (RSA 2048 bits or a named curve, and SHA-256, are needed)";
    DuplicateExtension "duplicate_extension"
        "le certificat porte deux fois la même extension"
        "the certificate carries the same extension twice";
    MalformedExtension "malformed_extension"
        "une extension du certificat est mal formée"
        "an extension of the certificate is malformed";
    UnknownCriticalExtension "unknown_critical_extension"
        "le certificat porte une extension critique inconnue"
        "the certificate carries a critical extension that is not known";
    MalformedName "malformed_name"
        "un nom ou une adresse inscrit dans le certificat est mal formé"
        "a name or address in the certificate is malformed";
    BadVersion "bad_version"
        "la version du certificat ne convient pas à son contenu"
        "the version of the certificate does not fit its content";
    BadSerial "bad_serial"
        "le numéro de série du certificat n'est pas conforme"
        "the serial number of the certificate is not conformant";
    BadValidity "bad_validity"
        "les dates de validité du certificat se contredisent"
        "the validity dates of the certificate contradict each other";
    BadLeaf "bad_leaf"
        "le certificat du titulaire porte des droits ou contraintes réservés aux autorités"
        "the holder's certificate carries rights or constraints reserved for authorities";
    NotAnAuthority "not_an_authority"
        "un certificat de la chaîne n'a pas le droit d'en émettre d'autres"
        "a certificate of the chain may not issue others";
    PathTooLong "path_too_long"
        "la chaîne de certification est plus longue que permis"
        "the certification path is longer than allowed";
    NameConstraints "name_constraints"
        "le nom du certificat sort du domaine permis à son autorité"
        "the name in the certificate is outside what its authority may name";
    Policy "policy"
        "la chaîne ne respecte pas une politique de certification acceptée"
        "the chain does not follow an accepted certificate policy";
    PathInvalid "path_invalid"
        "la chaîne de certification n'est pas valable"
        "the certification path is not valid";
    TooComplex "too_complex"
        "trop de chaînes possibles, la recherche est abandonnée"
        "too many possible chains, the search was given up";
    CrlMissing "crl_missing"
        "aucune liste de révocation ni réponse OCSP valable n'est connue pour ce certificat"
        "no valid revocation list or OCSP answer is known for this certificate";
    CrlStale "crl_stale"
        "la liste de révocation ou la réponse OCSP connue pour ce certificat est périmée"
        "the revocation list or OCSP answer known for this certificate is out of date";
    StatusUnknown "status_unknown"
        "le service OCSP de l'autorité ne connaît pas ce certificat"
        "the authority's OCSP responder does not know this certificate";
    EmailMismatch "email_mismatch"
        "le certificat ne porte pas l'adresse demandée"
        "the certificate does not name the address asked for";
    HostMismatch "host_mismatch"
        "le certificat ne porte pas le nom de serveur demandé"
        "the certificate does not name the host asked for";
    Internal "internal"
        "la vérification n'a pas pu être menée"
        "the verification could not be carried out";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn codes_are_unique_and_both_languages_speak() {
        let codes: BTreeSet<_> = catalogue().into_iter().map(|(code, _)| code).collect();
        assert_eq!(codes.len(), Reason::ALL.len());
        for (code, text) in catalogue() {
            assert!(code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{code}");
            assert_ne!(text.fr, text.en, "{code}");
        }
    }
}
