//! What a list would change, told before it takes effect: for a person in two languages, for a script in JSON.

use pki::trust_list::{ChangedDomain, TrustList, TrustListDiff};
use serde_json::{Value, json};

use crate::config::Shrinkage;

/// Two lists, and what lies between them.
pub(super) struct Difference {
    /// What changes.
    pub(super) diff: TrustListDiff,
    /// The newer one does not follow the older one: a gateway would refuse it.
    pub(super) rolls_back: Option<String>,
    /// So much is lost that a gateway would let mail wait.
    pub(super) abnormal: bool,
}

impl Difference {
    pub(super) fn between(before: &TrustList, after: &TrustList) -> Self {
        let diff = TrustListDiff::between(before, after);
        let limits = Shrinkage::default();
        let lost = u64::try_from(diff.losses().count()).unwrap_or(u64::MAX);
        let whole = u64::try_from(diff.before).unwrap_or(u64::MAX);
        let abnormal = lost >= limits.least && lost.saturating_mul(100) >= whole.saturating_mul(limits.percent);
        Self { rolls_back: after.may_follow(before).err().map(|error| error.to_string()), abnormal, diff }
    }

    pub(super) fn as_json(&self) -> Value {
        let all = |changes: &[ChangedDomain]| changes.iter().map(change).collect::<Vec<_>>();
        json!({
            "before": self.diff.before,
            "after": self.diff.after,
            "added": all(&self.diff.added),
            "removed": all(&self.diff.removed),
            "changed": all(&self.diff.changed),
            "abnormal": self.abnormal,
            "rolls_back": self.rolls_back,
        })
    }

    /// The report for a person: French first, English after it.
    pub(super) fn lines(&self) -> Vec<String> {
        let TrustListDiff { added, removed, changed, before, after } = &self.diff;
        let mut lines = vec![format!("domaines : {before} → {after} / domains: {before} → {after}")];
        if let Some(why) = &self.rolls_back {
            lines.push(format!(
                "RETOUR EN ARRIÈRE : une passerelle refuserait cette liste / ROLL-BACK, would be refused: {why}"
            ));
        }
        if self.abnormal {
            lines.push(
                "PERTE ANORMALE : la confiance cesse aussitôt, le courrier attend une confirmation / ABNORMAL LOSS: trust \
                 ends at once, mail waits for a second look"
                    .to_owned(),
            );
        }
        if self.diff.is_empty() {
            lines.push("aucun changement / no change".to_owned());
        }
        for (title, changes) in [
            (format!("retirés / removed ({})", removed.len()), removed),
            (format!("opérateurs modifiés / operators changed ({})", changed.len()), changed),
            (format!("ajoutés / added ({})", added.len()), added),
        ] {
            if changes.is_empty() {
                continue;
            }
            lines.push(title);
            for ChangedDomain { domain, gained, lost } in changes {
                lines.push(format!("  {}", domain.unicode()));
                lines.extend(lost.iter().map(|name| format!("      - {name}")));
                lines.extend(gained.iter().map(|name| format!("      + {name}")));
            }
        }
        lines
    }
}

fn change(change: &ChangedDomain) -> Value {
    let names = |names: &[pki::trust_list::OperatorName]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    json!({ "domain": change.domain, "gained": names(&change.gained), "lost": names(&change.lost) })
}
