//! What can go wrong with a store.

use ident::Bilingual;
use thiserror::Error;
use trail::QueueId;

use crate::TransitionError;

/// Why the store did not do it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The disk reserve is reached: new messages are refused, what is queued drains (CR3).
    #[error("the store's disk is nearly full: {0}")]
    Full(String),
    /// The disk or the engine failed, or it failed before and has not been proven well since (CR4).
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// This queue id exists already.
    #[error("the queue id {0} is taken")]
    Taken(QueueId),
    /// No such message or recipient.
    #[error("there is no message {0} with this recipient in the queue")]
    NotFound(QueueId),
    /// The work belongs to somebody else by now, or it ended.
    #[error("the lease on message {0} is lost")]
    LeaseLost(QueueId),
    /// The state does not allow it.
    #[error("message {id}, recipient {recipient}: {error}")]
    Transition {
        /// Message.
        id: QueueId,
        /// Index of the recipient.
        recipient: u32,
        /// Why not.
        error: TransitionError,
    },
    /// A request that no caller should make: an empty recipient list, a body index that leads nowhere.
    #[error("the change is not well formed: {0}")]
    Malformed(&'static str),
    /// What is stored is not what was stored (CR9).
    #[error("damaged: {0}")]
    Damaged(String),
    /// Written by a later version, or not ours.
    #[error("the store in this folder cannot be used: {0}")]
    Foreign(String),
    /// Another process serves this store.
    #[error("another process is using the store in {0}")]
    InUse(String),
}

impl StoreError {
    /// Whether the peer should simply try again (4xx). Nothing here is ever the sender's fault.
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Full(_) | Self::Unavailable(_) | Self::Damaged(_) | Self::InUse(_))
    }

    /// The sentence for an operator.
    pub fn explain(&self) -> Bilingual {
        let fr = match self {
            Self::Full(detail) => format!("le disque de la file est presque plein : {detail}"),
            Self::Unavailable(detail) => format!("la file n'est pas disponible : {detail}"),
            Self::Taken(id) => format!("le numéro {id} est déjà pris"),
            Self::NotFound(id) => format!("aucun message {id} avec ce destinataire dans la file"),
            Self::LeaseLost(id) => format!("le message {id} a été repris ailleurs ou a pris fin"),
            Self::Transition { id, recipient, error } => {
                format!("message {id}, destinataire {recipient} : {}", error.explain().fr)
            }
            Self::Malformed(detail) => format!("changement mal formé : {detail}"),
            Self::Damaged(detail) => format!("donnée endommagée : {detail}"),
            Self::Foreign(detail) => format!("la file de ce dossier n'est pas utilisable : {detail}"),
            Self::InUse(path) => format!("un autre processus utilise la file de {path}"),
        };
        Bilingual::new(fr, self.to_string())
    }
}
