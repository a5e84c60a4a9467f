//! The partners' certificates: the ledger on disk, the files that partners publish, and our own
//! (decision 0018). What the ledger means is decided in [`pki::book::ledger`].

mod file;
mod publish;
mod source;
mod take;
pub mod watch;

use std::collections::{HashMap, HashSet};

use ident::{Domain, Fingerprint, StructureId};
use pki::book::{BookEntry, BookUse, Ledger, Standing, Stated};

pub use file::{LedgerFault, LedgerFile};
pub use publish::{PublishError, Published, draft, publish};
pub use source::{Fetched, SourceError, read};
pub use take::{TakeError, Taken, take};

/// Entries of the book in use, and those that are known and not in use.
pub type Sorted = (Vec<BookEntry>, Vec<(BookEntry, Standing)>);

/// What the ledger adds to the book. An entry counts only while the trust list names its operator for its
/// domain; for our own domains (`ours`) nobody else has a say.
pub fn sorted(ledger: &Ledger, named: &dyn Fn(&Domain) -> Vec<StructureId>, ours: &dyn Fn(&Domain) -> bool) -> Sorted {
    let (mut used, mut others) = (Vec::new(), Vec::new());
    for entry in ledger.entries().into_iter().filter(|entry| !ours(entry.owner.domain())) {
        let listed = named(entry.owner.domain()).contains(&entry.operator);
        let decided = entry.decided.map(|decided| format!("; {decided}")).unwrap_or_default();
        let book = BookEntry {
            owner: entry.owner,
            usage: entry.usage,
            certificate: entry.certificate,
            provenance: format!("partner file of {}: {}{decided}", entry.operator, entry.seen),
        };
        match entry.standing {
            standing if standing.in_use() && listed => used.push(book),
            standing if standing.in_use() => others.push((book, Standing::Withdrawn)),
            // Nobody has to decide about what would not be used.
            Standing::Pending if !listed => {}
            standing => others.push((book, standing)),
        }
    }
    (used, others)
}

/// What operators published about what is read with each of their keys, by owner and certificate. It counts where the key
/// is in use, as that does: while the trust list names the operator, and never for our own domains. Where two operators
/// say different things of one key, neither counts.
pub fn stated(
    ledger: &Ledger,
    named: &dyn Fn(&Domain) -> Vec<StructureId>,
    ours: &dyn Fn(&Domain) -> bool,
) -> HashMap<(String, Fingerprint), Stated> {
    let mut all: HashMap<(String, Fingerprint), Stated> = HashMap::new();
    let mut disputed = HashSet::new();
    let files =
        ledger.files().iter().flat_map(|(operator, file)| file.reads.iter().map(move |said| (operator, file, said)));
    let files: HashMap<_, _> = files
        .map(|(operator, file, said)| ((operator, said.owner.as_str(), said.certificate), (file, &said.capabilities)))
        .collect();
    for entry in ledger.entries().into_iter().filter(|entry| !ours(entry.owner.domain())) {
        let reads = entry.usage == BookUse::Reads && entry.standing.in_use();
        let key = (entry.owner.key(), entry.certificate.fingerprint());
        let Some((file, capabilities)) = files.get(&(&entry.operator, key.0.as_str(), key.1)).copied() else {
            continue;
        };
        if !reads || capabilities.is_useless() || !named(entry.owner.domain()).contains(&entry.operator) {
            continue;
        }
        let (at, serial) = (file.held.issued, file.held.serial);
        let source = format!("the partner file of {}, serial {serial}", entry.operator);
        let stated = Stated { capabilities: capabilities.clone(), at, source };
        if all.get(&key).is_some_and(|other| other.capabilities != stated.capabilities) {
            disputed.insert(key.clone());
        }
        all.insert(key, stated);
    }
    all.retain(|key, _| !disputed.contains(key));
    all
}

/// Who is at the command line, for the ledger.
pub fn person() -> String {
    crate::account::orderer().chars().filter(|c| !c.is_control()).take(100).collect()
}

#[cfg(test)]
mod tests;
