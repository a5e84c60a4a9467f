//! What `sceau partner` prints.

use std::fmt::Write as _;

use pki::book::{
    Ledger, Standing,
    ledger::{HeldFile, LedgerEntry},
};
use serde_json::{Value, json};

use crate::partners::{Published, TakeError, Taken};

/// Sources, files and certificates as asked for.
pub(super) struct Listing {
    partners: Vec<Partner>,
    entries: Vec<LedgerEntry>,
    only_pending: bool,
}

struct Partner {
    operator: String,
    location: Option<String>,
    file: Option<HeldFile>,
}

pub(super) fn listing(ledger: &Ledger, only_pending: bool) -> Listing {
    let operators: std::collections::BTreeSet<_> = ledger.sources().keys().chain(ledger.files().keys()).collect();
    let partners = operators.into_iter().map(|operator| Partner {
        operator: operator.to_string(),
        location: ledger.sources().get(operator).cloned(),
        file: ledger.files().get(operator).cloned(),
    });
    let mut entries = ledger.entries();
    entries.retain(|entry| !only_pending || entry.standing == Standing::Pending);
    Listing { partners: partners.collect(), entries, only_pending }
}

impl Listing {
    pub(super) fn to_json(&self) -> Value {
        let partners: Vec<Value> = self.partners.iter().map(partner).collect();
        json!({ "partners": partners, "certificates": self.entries.iter().map(entry).collect::<Vec<_>>() })
    }

    pub(super) fn to_text(&self) -> String {
        let mut out = String::new();
        for partner in self.partners.iter().filter(|_| !self.only_pending) {
            let location = partner.location.as_deref().unwrap_or("not looked for any more");
            let _ = writeln!(out, "{}  {location}", partner.operator);
            if let Some(file) = &partner.file {
                let held = &file.held;
                let _ = writeln!(
                    out,
                    "    serial {}, made {}, expires {}, taken {}",
                    held.serial, held.issued, file.expires, file.taken
                );
            }
        }
        for entry in &self.entries {
            let certificate = &entry.certificate;
            let _ = writeln!(
                out,
                "{:<9} {} {} (partner {})",
                word(entry.standing),
                entry.owner,
                entry.usage,
                entry.operator
            );
            let _ = writeln!(out, "    sha-256  {}", certificate.fingerprint());
            let _ = writeln!(out, "    subject  {}", certificate.subject());
            let _ = writeln!(out, "    issuer   {}", certificate.issuer());
            let _ = writeln!(out, "    valid    {} to {}", certificate.not_before(), certificate.not_after());
            let _ = writeln!(out, "    seen     {}", entry.seen);
            if let Some(decided) = &entry.decided {
                let _ = writeln!(out, "    {decided}");
            }
        }
        if self.only_pending && !self.entries.is_empty() {
            out += "Ask the partner for the fingerprint by telephone, then: sceau partner approve FINGERPRINT\n";
        }
        out
    }
}

fn word(standing: Standing) -> &'static str {
    match standing {
        Standing::InForce => "in force",
        Standing::Replaced => "replaced",
        Standing::Pending => "PENDING",
        Standing::Former => "former",
        Standing::Withdrawn => "withdrawn",
        Standing::Rejected => "rejected",
    }
}

fn partner(partner: &Partner) -> Value {
    let file = partner.file.as_ref().map(|file| {
        json!({
            "serial": file.held.serial, "issued": file.held.issued.rfc3339(), "expires": file.expires.rfc3339(),
            "taken": file.taken.rfc3339(), "content": file.held.digest,
        })
    });
    json!({ "operator": partner.operator, "location": partner.location, "file": file })
}

fn entry(entry: &LedgerEntry) -> Value {
    let certificate = &entry.certificate;
    json!({
        "operator": entry.operator, "owner": entry.owner.to_string(), "use": entry.usage, "standing": entry.standing,
        "sha256": certificate.fingerprint(), "subject": certificate.subject().to_string(),
        "issuer": certificate.issuer().to_string(), "not_before": certificate.not_before().rfc3339(),
        "not_after": certificate.not_after().rfc3339(), "seen": entry.seen, "decided": entry.decided,
    })
}

/// One file that was looked for.
pub(super) fn outcome(location: &str, outcome: &Result<Taken, TakeError>) -> Value {
    match outcome {
        Ok(taken) => json!({
            "location": location, "ok": true, "operator": taken.operator, "serial": taken.serial,
            "expires": taken.expires.rfc3339(), "news": taken.news, "approved": taken.approved, "left_out": taken.left_out,
        }),
        Err(error) => {
            json!({ "location": location, "ok": false, "temporary": error.is_temporary(), "what": error.to_string() })
        }
    }
}

pub(super) fn taken(location: &str, taken: &Taken) -> String {
    let news = if taken.news { "taken" } else { "nothing new" };
    let mut out = format!("{}  serial {}  {news}  ({location})\n", taken.operator, taken.serial);
    for fingerprint in &taken.approved {
        let _ = writeln!(out, "    in force at once: {fingerprint}");
    }
    for left in &taken.left_out {
        let _ = writeln!(out, "    left out: {left}");
    }
    out
}

pub(super) fn published(published: &Published) -> Value {
    let file = &published.file;
    let entries = file.entries().iter().map(|entry| {
        json!({ "owner": entry.owner.to_string(), "use": entry.usage, "sha256": entry.certificate.fingerprint() })
    });
    json!({
        "path": published.path, "operator": file.operator(), "serial": file.serial(),
        "expires": file.expires().rfc3339(), "signer": file.signer().fingerprint(), "entries": entries.collect::<Vec<_>>(),
    })
}

pub(super) fn published_text(published: &Published) -> String {
    let file = &published.file;
    let mut out = format!(
        "{}: serial {}, operator {}, expires {}\n",
        published.path.display(),
        file.serial(),
        file.operator(),
        file.expires()
    );
    for entry in file.entries() {
        let _ = writeln!(out, "    {} {} {}", entry.owner, entry.usage, entry.certificate.fingerprint());
    }
    for left in file.left_out() {
        let _ = writeln!(
            out,
            "    WARNING, others leave this out: {} {}: {}",
            left.entry.owner, left.entry.usage, left.finding
        );
    }
    out
}
