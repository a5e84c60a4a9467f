//! What decided about the revocation of a certificate, kept for whoever has to answer for it.

use std::sync::Arc;

use ident::{Bilingual, Timestamp};

use crate::{
    certificate::Certificate,
    crl::{Listed, RevocationList},
    ocsp::{OcspAnswer, OcspStatus, Single},
};

/// Where a fact comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EvidenceSource {
    /// A revocation list.
    List,
    /// An OCSP answer.
    Answer,
}

/// What a source says about a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// Not revoked.
    NotRevoked,
    /// Revoked, or on hold (reason 6).
    Revoked {
        /// RFC 5280 §5.3.1.
        reason: u8,
        /// Since when.
        since: Timestamp,
    },
    /// The responder does not know it.
    Unknown,
}

/// One fact that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// About whom.
    pub certificate: Certificate,
    /// List or answer.
    pub source: EvidenceSource,
    /// Who signed it.
    pub signer: Arc<str>,
    /// When it was true.
    pub this_update: Timestamp,
    /// Until when it counts.
    pub next_update: Timestamp,
    /// Whether that is over, so that it counted within the grace only, or as a revocation only.
    pub stale: bool,
    /// What it says.
    pub said: Said,
}

impl Evidence {
    pub(super) fn of_list(
        certificate: &Certificate,
        list: &RevocationList,
        entry: Option<Listed>,
        stale: bool,
    ) -> Self {
        let said = entry.map_or(Said::NotRevoked, |it| Said::Revoked { reason: it.reason, since: it.since });
        Self {
            certificate: certificate.clone(),
            source: EvidenceSource::List,
            signer: list.signer_text(),
            this_update: list.this_update(),
            next_update: list.next_update(),
            stale,
            said,
        }
    }

    pub(super) fn of_answer(certificate: &Certificate, answer: &OcspAnswer, single: &Single, stale: bool) -> Self {
        let said = match single.status {
            OcspStatus::Good => Said::NotRevoked,
            OcspStatus::Revoked { reason, since } => Said::Revoked { reason, since },
            OcspStatus::Unknown => Said::Unknown,
        };
        Self {
            certificate: certificate.clone(),
            source: EvidenceSource::Answer,
            signer: answer.responder().into(),
            this_update: single.this_update,
            next_update: single.until(),
            stale,
            said,
        }
    }

    /// The fact as a sentence.
    pub fn text(&self) -> Bilingual {
        let (this, next) = (self.this_update, self.next_update);
        let signer = &self.signer;
        let (fr, en) = match self.source {
            EvidenceSource::List => ("la liste de", "the list of"),
            EvidenceSource::Answer => ("la réponse OCSP de", "the OCSP answer of"),
        };
        let (fr_said, en_said) = match self.said {
            Said::NotRevoked => ("ne le révoque pas".to_owned(), "does not revoke it".to_owned()),
            Said::Revoked { reason, since } => {
                let reason = reason_name(reason);
                (format!("le révoque depuis {since} ({reason})"), format!("revokes it since {since} ({reason})"))
            }
            Said::Unknown => ("ne le connaît pas".to_owned(), "does not know it".to_owned()),
        };
        Bilingual::new(
            format!("{fr} {signer} du {this}, valable jusqu'au {next}, {fr_said}"),
            format!("{en} {signer} of {this}, good until {next}, {en_said}"),
        )
    }
}

/// What a verdict says beyond its reason: each fact about `certificate`, and whether they disagree.
pub(crate) fn detail(evidence: &[Evidence], certificate: &Certificate) -> Option<Bilingual> {
    let about: Vec<&Evidence> = evidence.iter().filter(|it| it.certificate == *certificate).collect();
    let texts: Vec<Bilingual> = about.iter().map(|it| it.text()).collect();
    if texts.is_empty() {
        return None;
    }
    let mut fr = texts.iter().map(|text| text.fr.as_str()).collect::<Vec<_>>().join(" ; ");
    let mut en = texts.iter().map(|text| text.en.as_str()).collect::<Vec<_>>().join("; ");
    if contradict(about.iter().copied()) {
        fr.push_str(" ; les deux se contredisent, la révocation l'emporte");
        en.push_str("; they contradict each other, the revocation wins");
    }
    Some(Bilingual::new(fr, en))
}

/// Whether a list revokes what an answer acquits, or the other way round, at a time when both were true:
/// an answer from before the revocation contradicts nothing.
pub(crate) fn contradict<'a>(evidence: impl Iterator<Item = &'a Evidence> + Clone) -> bool {
    let acquitted_by = |source: EvidenceSource, since: Timestamp| {
        evidence.clone().any(|it| it.source != source && it.said == Said::NotRevoked && it.this_update >= since)
    };
    evidence.clone().any(|it| matches!(it.said, Said::Revoked { since, .. } if acquitted_by(it.source, since)))
}

/// CRLReason (RFC 5280 §5.3.1).
fn reason_name(code: u8) -> &'static str {
    match code {
        1 => "keyCompromise",
        2 => "cACompromise",
        3 => "affiliationChanged",
        4 => "superseded",
        5 => "cessationOfOperation",
        6 => "certificateHold",
        8 => "removeFromCRL",
        9 => "privilegeWithdrawn",
        10 => "aACompromise",
        _ => "unspecified",
    }
}
