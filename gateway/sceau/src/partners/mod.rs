//! The partners' certificates: the ledger on disk, the files that partners publish, and our own
//! (decision 0018). What the ledger means is decided in [`pki::book::ledger`].

mod file;
mod publish;
mod source;
mod take;
pub mod watch;

use std::collections::{HashMap, HashSet};

use ident::{Domain, StructureId};
use pki::book::{BookEntry, BookOwner, BookUse, Ledger, Standing, Stated};

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

/// What operators published about what is read with their keys. It counts where one of these is in use, as that does:
/// while the trust list names the operator, and never for our own domains. It is said of the operator's gateway: the key
/// of a single mailbox may be in a mail program. Where two operators say different things of one domain, neither counts.
pub fn stated(
    ledger: &Ledger,
    named: &dyn Fn(&Domain) -> Vec<StructureId>,
    ours: &dyn Fn(&Domain) -> bool,
) -> HashMap<String, Stated> {
    let mut all: HashMap<String, Stated> = HashMap::new();
    let mut disputed = HashSet::new();
    for entry in ledger.entries().into_iter().filter(|entry| !ours(entry.owner.domain())) {
        let gateway = matches!(entry.owner, BookOwner::Domain(_));
        let reads = gateway && entry.usage == BookUse::Reads && entry.standing.in_use();
        let Some(file) = ledger.files().get(&entry.operator).filter(|_| reads) else { continue };
        let Some(capabilities) = file.capabilities.clone().filter(|all| !all.is_useless()) else { continue };
        if named(entry.owner.domain()).contains(&entry.operator) {
            let (at, serial) = (file.held.issued, file.held.serial);
            let source = format!("the partner file of {}, serial {serial}", entry.operator);
            let (owner, said) = (entry.owner.key(), Stated { capabilities, at, source });
            if all.get(&owner).is_some_and(|other| other.capabilities != said.capabilities) {
                disputed.insert(owner.clone());
            }
            all.insert(owner, said);
        }
    }
    all.retain(|owner, _| !disputed.contains(owner));
    all
}

/// Who is at the command line, for the ledger.
pub fn person() -> String {
    crate::account::orderer().chars().filter(|c| !c.is_control()).take(100).collect()
}
