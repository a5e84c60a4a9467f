//! Why a message cannot be opened, and what its sender is told of it.

use ident::Bilingual;
use pki::{
    cms::{self, Malformed, OpenError, Refusal},
    guard::BrokenOff,
    keys::TokenFault,
};
use thiserror::Error;

use crate::MailFault;

/// Why a message cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OpenFault {
    /// It cannot be read.
    #[error(transparent)]
    Mail(#[from] MailFault),
    /// Its container is no container.
    #[error("the container is malformed: {0}")]
    Container(#[from] Malformed),
    /// It is for none of our keys.
    #[error("the message is not encrypted for any of our keys")]
    NotForUs,
    /// Decryption failed, or what came out of an unauthenticated cipher bears no good signature:
    /// one answer for all, so that nobody learns which (H4, H9, A2, A9).
    #[error(
        "the message could not be opened: damaged, or encrypted without authentication and without valid signature"
    )]
    Failed,
    /// What came out of the encryption cannot be read or is not accepted: only who has the key may hear why (H4).
    #[error("inside the encryption: {0}")]
    Inside(Box<OpenFault>),
    /// Refused by policy or form before a key was used.
    #[error(transparent)]
    Refused(cms::Refusal),
    /// Compressed or otherwise unknown content (A20).
    #[error("the container holds {0}, which is not accepted")]
    Kind(String),
    /// The body is a container, and the header calls it something else: a reader would be shown ciphertext, or
    /// what nobody has verified, as if it were the message (A12).
    #[error("the body is an S/MIME container, which its header does not say")]
    Mislabelled,
    /// More layers than the limit (A20).
    #[error("the message has too many layers of protection")]
    Layers,
    /// A second encryption under the first.
    #[error("the message is encrypted twice")]
    EncryptedTwice,
    /// One of our readers broke off: a fault of ours, answered like a fault of the message (H22).
    #[error(transparent)]
    BrokenOff(#[from] BrokenOff),
    /// Our key cannot be reached now, whatever the message holds: later.
    #[error("our decryption key cannot be reached now: {0}")]
    KeyUnavailable(TokenFault),
}

impl From<OpenError> for OpenFault {
    fn from(fault: OpenError) -> Self {
        match fault {
            OpenError::NotForUs => Self::NotForUs,
            OpenError::Refused(refusal) => Self::Refused(refusal),
            OpenError::Unavailable(fault) => Self::KeyUnavailable(fault),
            _ => Self::Failed,
        }
    }
}

impl OpenFault {
    /// As it is told of what was found behind a key.
    pub(super) fn inside(self) -> Self {
        match self {
            Self::Failed | Self::Inside(_) | Self::KeyUnavailable(_) | Self::BrokenOff(_) => self,
            fault => Self::Inside(Box::new(fault)),
        }
    }

    /// Whether a key of ours was used before it showed: then it may tell nobody anything, and counts as a failure
    /// to open. Of a reader that broke off nobody knows, which counts as well.
    pub fn follows_key(&self) -> bool {
        matches!(self, Self::Failed | Self::Inside(_) | Self::BrokenOff(_))
    }

    /// What of the protection is not accepted, where that is known without any key and so says nothing about
    /// one: the name of a cipher, the kind of a container. Nothing for everything that follows a key.
    pub fn named(&self) -> Option<String> {
        match self {
            Self::Refused(refusal @ (Refusal::Malformed(_) | Refusal::AuthenticatedAttributes)) => {
                Some(refusal.code().to_owned())
            }
            Self::Refused(refusal) => Some(refusal.to_string()),
            Self::Kind(kind) => Some(kind.clone()),
            _ => None,
        }
    }

    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Mail(fault) => fault.code(),
            Self::Container(_) => "cms_malformed",
            Self::NotForUs => "not_for_us",
            Self::Failed => "decryption_failed",
            Self::Inside(fault) => fault.code(),
            Self::Refused(refusal) => refusal.code(),
            Self::Kind(_) => "container_kind",
            Self::Mislabelled => "container_mislabelled",
            Self::Layers => "too_many_layers",
            Self::EncryptedTwice => "encrypted_twice",
            Self::BrokenOff(_) => "reader_broke_off",
            Self::KeyUnavailable(_) => "key_unavailable",
        }
    }

    /// The sentence for who has the key.
    pub fn text(&self) -> Bilingual {
        match self {
            Self::Mail(fault) => fault.text(),
            Self::NotForUs => Bilingual::new(
                "Le message n'est chiffré pour aucune de nos clés. Rechargez notre certificat et renvoyez.",
                "The message is not encrypted for any of our keys. Fetch our certificate again and resend.",
            ),
            Self::Failed => Bilingual::new(
                "Le message n'a pas pu être ouvert : il est abîmé, ou chiffré sans authentification ni signature valable.",
                "The message could not be opened: it is damaged, or encrypted without authentication and without a valid signature.",
            ),
            Self::Inside(fault) => fault.text(),
            Self::KeyUnavailable(_) => Bilingual::new(
                "Notre clé de lecture n'est pas disponible pour le moment. Renvoyez le message plus tard : rien n'est perdu.",
                "Our reading key is not available right now. Send the message again later: nothing is lost.",
            ),
            Self::Mislabelled => Bilingual::new(
                "Le corps du message est un conteneur S/MIME que l'en-tête Content-Type n'annonce pas : renvoyez-le tel que votre logiciel l'a fait, ou corrigez cet en-tête.",
                "The body of the message is an S/MIME container that its Content-Type header does not announce: send it again as your software made it, or mend that header.",
            ),
            // What the peer's own software wrote, known without a key: it may be named.
            Self::Refused(Refusal::ContentCipher(name) | Refusal::KeyManagement(name)) => Bilingual::new(
                format!("Le message est protégé avec un algorithme qui n'est pas accepté : {name}."),
                format!("The message is protected with an algorithm that is not accepted: {name}."),
            ),
            Self::Container(_)
            | Self::Refused(_)
            | Self::Kind(_)
            | Self::Layers
            | Self::EncryptedTwice
            | Self::BrokenOff(_) => Bilingual::new(
                format!("La protection S/MIME du message n'est pas acceptée ({}).", self.code()),
                format!("The S/MIME protection of the message is not accepted ({}).", self.code()),
            ),
        }
    }
}
