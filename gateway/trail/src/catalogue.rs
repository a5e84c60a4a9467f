//! What every event means, and how long it is kept.

use ident::Bilingual;
use serde::{Deserialize, Serialize};

use crate::Event;

/// How long a kind of event must be kept, and who may read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Life of a message.
    Mail,
    /// Who came and who read.
    Access,
    /// What operators and the service itself did.
    Operation,
}

/// A line of the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Stable id.
    pub id: &'static str,
    /// Retention class.
    pub class: Class,
    /// Meaning in French.
    pub fr: &'static str,
    /// Meaning in English.
    pub en: &'static str,
}

impl Entry {
    /// Both meanings.
    pub fn meaning(&self) -> Bilingual {
        Bilingual::new(self.fr, self.en)
    }
}

macro_rules! catalogue {
    ($($pattern:pat => $id:literal, $class:ident, $fr:literal, $en:literal;)+) => {
        /// Every event with its stable id, class and meaning.
        pub fn catalogue() -> &'static [Entry] {
            &[$(Entry { id: $id, class: Class::$class, fr: $fr, en: $en }),+]
        }

        impl Event {
            /// The line of the catalogue that describes this event.
            pub fn entry(&self) -> Entry {
                match self {
                    $($pattern => Entry { id: $id, class: Class::$class, fr: $fr, en: $en },)+
                }
            }
        }
    };
}

catalogue! {
    Event::ServiceStarted { .. } => "service.started", Operation, "service démarré", "service started";
    Event::ServiceStopped { .. } => "service.stopped", Operation, "service arrêté", "service stopped";
    Event::ConfigurationLoaded { .. } => "configuration.loaded", Operation, "configuration en vigueur", "configuration in force";
    Event::ConfigurationRefused { .. } => "configuration.refused", Operation, "configuration refusée, l'ancienne reste en vigueur", "configuration refused, the old one stays in force";
    Event::TrustListLoaded { .. } => "trust_list.loaded", Operation, "liste de confiance en vigueur", "trust list in force";
    Event::TrustListRefused { .. } => "trust_list.refused", Operation, "liste de confiance refusée, la précédente reste en vigueur", "trust list refused, the last good one stays in force";
    Event::DirectoryLoaded { .. } => "directory.loaded", Operation, "annuaire en service", "directory in service";
    Event::RegistryLoaded { .. } => "registry.loaded", Operation, "registre des boîtes en vigueur", "registry of mailboxes in force";
    Event::DirectoryRefused { .. } => "directory.refused", Operation, "chargement de l'annuaire refusé", "directory load refused";
    Event::RevocationLoaded { .. } => "revocation.loaded", Operation, "données de révocation reçues", "revocation data received";
    Event::RevocationGrace { .. } => "revocation.grace", Operation, "données de révocation périmées, tolérance en cours", "revocation data out of date, grace running";
    Event::AlarmRaised { .. } => "alarm.raised", Operation, "alarme", "alarm";
    Event::AlarmCleared { .. } => "alarm.cleared", Operation, "fin d'alarme", "alarm over";
    Event::CertificateExpiring { .. } => "certificate.expiring", Operation, "certificat à renouveler", "certificate to be renewed";
    Event::OperatorAction { .. } => "operator.action", Operation, "action d'un exploitant", "action of an operator";
    Event::PartnerFileLoaded { .. } => "partner.file_loaded", Operation, "fichier d'un partenaire vérifié", "partner file verified";
    Event::PartnerFileRefused { .. } => "partner.file_refused", Operation, "fichier d'un partenaire refusé, rien n'est changé", "partner file refused, nothing is changed";
    Event::PartnerSource { .. } => "partner.source", Operation, "adresse du fichier d'un partenaire", "location of a partner file";
    Event::PartnerCertificate { .. } => "partner.certificate", Operation, "certificat d'un partenaire approuvé ou écarté", "certificate of a partner approved or rejected";
    Event::ConnectionRefused { .. } => "connection.refused", Access, "connexion refusée", "connection refused";
    Event::Authenticated { .. } => "connection.authenticated", Access, "correspondant authentifié", "peer authenticated";
    Event::AuthenticationRefused { .. } => "authentication.refused", Access, "authentification refusée", "authentication refused";
    Event::SenderRefused { .. } => "sender.refused", Mail, "expéditeur refusé", "sender refused";
    Event::RecipientAdmitted { .. } => "recipient.admitted", Mail, "destinataire admis", "recipient admitted";
    Event::RecipientRefused { .. } => "recipient.refused", Mail, "destinataire refusé", "recipient refused";
    Event::ContentRefused { .. } => "content.refused", Mail, "contenu refusé", "content refused";
    Event::Accepted(_) => "message.accepted", Mail, "message pris en charge", "message accepted";
    Event::Repeated { .. } => "message.repeated", Mail, "message déjà pris en charge, même numéro rendu", "message already accepted, same id given";
    Event::Judged(_) => "message.judged", Mail, "message ouvert et jugé", "message opened and judged";
    Event::Sealed { .. } => "message.sealed", Mail, "corps protégé", "body protected";
    Event::Queued { .. } => "recipient.queued", Mail, "en file d'attente", "queued";
    Event::Attempted { .. } => "delivery.attempted", Mail, "tentative de remise", "delivery attempted";
    Event::Delivered { .. } => "delivery.delivered", Mail, "remis", "delivered";
    Event::Deferred { .. } => "delivery.deferred", Mail, "remise différée", "delivery deferred";
    Event::Failed { .. } => "delivery.failed", Mail, "remise refusée définitivement", "delivery refused for good";
    Event::Expired { .. } => "delivery.expired", Mail, "délai de remise dépassé", "time for delivery is over";
    Event::Cancelled { .. } => "delivery.cancelled", Mail, "envoi annulé", "cancelled";
    Event::Held { .. } => "delivery.held", Mail, "remise suspendue", "delivery held";
    Event::Released { .. } => "delivery.released", Mail, "suspension levée", "hold released";
    Event::Retried { .. } => "delivery.retried", Mail, "nouvelle tentative demandée", "another try asked for";
    Event::Rerouted { .. } => "delivery.rerouted", Mail, "acheminement modifié", "rerouted";
    Event::NotificationSent { .. } => "notification.sent", Mail, "avis envoyé à l'expéditeur", "sender notified";
    Event::NotificationReceived { .. } => "notification.received", Mail, "avis reçu", "notification received";
    Event::TrailRead { .. } => "trail.read", Access, "traces consultées", "trail read";
    Event::TrailPurged { .. } => "trail.purged", Operation, "traces échues effacées", "records due were erased";
    Event::CheckpointSeen { .. } => "checkpoint.seen", Operation, "point de contrôle d'un correspondant reçu", "checkpoint of a peer received";
    Event::CheckpointAnchored { .. } => "checkpoint.anchored", Operation, "point de contrôle confirmé par un tiers", "checkpoint confirmed by somebody else";
}

impl Event {
    /// The stable id.
    pub fn id(&self) -> &'static str {
        self.entry().id
    }

    /// The retention class.
    pub fn class(&self) -> Class {
        self.entry().class
    }

    /// Whether this event ends a recipient: exactly one such event exists for each.
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::Delivered { .. } | Self::Failed { .. } | Self::Expired { .. } | Self::Cancelled { .. })
    }
}
