//! The certificate book: which certificates sign for a domain or an address, and which read for it.
//! Nothing else answers these two questions (design §4).

pub mod ledger;

use std::{collections::HashMap, fmt};

use ident::{Address, Domain, Fingerprint, Timestamp};
use serde::{Deserialize, Serialize};

pub use ledger::{Ledger, LedgerError, Standing};

use crate::{certificate::Certificate, cms::Capabilities};

/// What an entry's certificate is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BookUse {
    /// Messages of the owner carry its signature.
    Signs,
    /// Messages to the owner are encrypted to it.
    Reads,
}

/// Whose certificate it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BookOwner {
    /// Every mailbox of a domain.
    Domain(Domain),
    /// One mailbox.
    Address(Address),
}

impl BookOwner {
    /// The domain concerned.
    pub fn domain(&self) -> &Domain {
        match self {
            Self::Domain(domain) => domain,
            Self::Address(address) => address.domain(),
        }
    }

    /// Reads what [`Self::key`] or `Display` wrote.
    pub fn parse(text: &str) -> Option<Self> {
        if text.contains('@') {
            Address::parse(text).ok().map(Self::Address)
        } else {
            Domain::parse(text).ok().map(Self::Domain)
        }
    }

    /// Under which it is looked up: address keys hold an `@`, domains never do.
    pub fn key(&self) -> String {
        match self {
            Self::Domain(domain) => domain.as_str().to_owned(),
            Self::Address(address) => address.key(),
        }
    }
}

impl fmt::Display for BookOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Domain(domain) => domain.fmt(f),
            Self::Address(address) => address.fmt(f),
        }
    }
}

impl fmt::Display for BookUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Signs => "signs",
            Self::Reads => "reads",
        })
    }
}

/// One certificate of the book.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookEntry {
    /// Whose it is.
    pub owner: BookOwner,
    /// What for.
    pub usage: BookUse,
    /// The certificate.
    pub certificate: Certificate,
    /// Where we have it from, for people: a file name, a partner file.
    pub provenance: String,
}

/// What the holder of an owner's reading key reads, as its operator published it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stated {
    /// What it reads.
    pub capabilities: Capabilities,
    /// When that was said.
    pub at: Timestamp,
    /// Where we have it from, for people.
    pub source: String,
}

/// An immutable book.
#[derive(Debug, Clone, Default)]
pub struct Book {
    entries: Vec<BookEntry>,
    others: Vec<(BookEntry, Standing)>,
    /// By owner, as [`BookOwner::key`] writes it, and certificate.
    stated: HashMap<(String, Fingerprint), Stated>,
    /// Positions in `entries` by use and owner: address keys hold an `@`, domains never do.
    index: HashMap<(BookUse, String), Vec<usize>>,
}

impl Book {
    /// Indexes the entries; the same certificate twice for the same owner and use counts once.
    pub fn new(entries: Vec<BookEntry>) -> Self {
        let mut book = Self::default();
        for entry in entries {
            let key = (entry.usage, entry.owner.key());
            let positions = book.index.entry(key).or_default();
            let known = positions.iter().filter_map(|at| book.entries.get(*at));
            if known.into_iter().any(|other| other.certificate == entry.certificate) {
                continue;
            }
            positions.push(book.entries.len());
            book.entries.push(entry);
        }
        book
    }

    /// Adds certificates that are not in use: waiting, replaced, withdrawn or rejected.
    #[must_use]
    pub fn with_others(mut self, others: Vec<(BookEntry, Standing)>) -> Self {
        self.others = others;
        self
    }

    /// Adds what operators published about whoever holds these keys.
    #[must_use]
    pub fn with_stated(mut self, stated: HashMap<(String, Fingerprint), Stated>) -> Self {
        self.stated = stated;
        self
    }

    /// What an operator published about what is read with this very key of this owner.
    pub fn stated(&self, reader: &BookEntry) -> Option<&Stated> {
        self.stated.get(&(reader.owner.key(), reader.certificate.fingerprint()))
    }

    /// The certificates that are known and not in use.
    pub fn others(&self) -> &[(BookEntry, Standing)] {
        &self.others
    }

    /// Every entry, whatever its standing. No question of trust is answered from these.
    pub fn ever(&self) -> impl Iterator<Item = &BookEntry> {
        self.entries.iter().chain(self.others.iter().map(|(entry, _)| entry))
    }

    /// A certificate by its fingerprint, whatever its standing; the best standing if it has several.
    pub fn lookup(&self, certificate: Fingerprint) -> Option<(&BookEntry, Standing)> {
        let used = self.entries.iter().find(|entry| entry.certificate.fingerprint() == certificate);
        let others = self.others.iter().filter(|(entry, _)| entry.certificate.fingerprint() == certificate);
        let other = others.min_by_key(|(_, standing)| *standing).map(|(entry, standing)| (entry, *standing));
        used.map(|entry| (entry, Standing::InForce)).or(other)
    }

    /// Whether a certificate for this mailbox and use waits for approval.
    pub fn awaits(&self, address: &Address, usage: BookUse) -> bool {
        self.waiting(address, usage).next().is_some()
    }

    /// The certificates for this mailbox and use that wait for approval.
    pub fn waiting(&self, address: &Address, usage: BookUse) -> impl Iterator<Item = &BookEntry> {
        self.others.iter().filter_map(move |(entry, standing)| {
            let about = match &entry.owner {
                BookOwner::Domain(domain) => domain == address.domain(),
                BookOwner::Address(own) => own.same_mailbox(address),
            };
            (about && entry.usage == usage && *standing == Standing::Pending).then_some(entry)
        })
    }

    /// Whether a certificate of the domain or of one of its mailboxes is in use, or was once approved:
    /// such a domain is never treated as one without certificates again.
    pub fn knows(&self, domain: &Domain, usage: BookUse) -> bool {
        let about = |entry: &BookEntry| entry.usage == usage && entry.owner.domain() == domain;
        let approved = |standing: Standing| matches!(standing, Standing::Former | Standing::Withdrawn);
        self.entries.iter().any(about)
            || self.others.iter().any(|(entry, standing)| approved(*standing) && about(entry))
    }

    /// All entries in use, in the order given.
    pub fn entries(&self) -> &[BookEntry] {
        &self.entries
    }

    /// Certificates to encrypt to for a mailbox: its own if it has any, else its domain's (NT-D01).
    pub fn readers(&self, address: &Address) -> Vec<&BookEntry> {
        let own = self.find(BookUse::Reads, address.key());
        if own.is_empty() { self.domain_readers(address.domain()) } else { own }
    }

    /// Certificates to encrypt to for any mailbox of a domain.
    pub fn domain_readers(&self, domain: &Domain) -> Vec<&BookEntry> {
        self.find(BookUse::Reads, domain.as_str().to_owned())
    }

    /// Certificates that may sign for every mailbox of a domain.
    pub fn signers(&self, domain: &Domain) -> Vec<&BookEntry> {
        self.find(BookUse::Signs, domain.as_str().to_owned())
    }

    /// Certificates that may sign for one mailbox: its own and its domain's.
    pub fn signers_for(&self, address: &Address) -> Vec<&BookEntry> {
        let mut all = self.find(BookUse::Signs, address.key());
        all.extend(self.signers(address.domain()));
        all
    }

    fn find(&self, usage: BookUse, key: String) -> Vec<&BookEntry> {
        let positions = self.index.get(&(usage, key)).map(Vec::as_slice).unwrap_or_default();
        positions.iter().filter_map(|at| self.entries.get(*at)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        issue::{OrganisationUse, ServerMailUse},
        path::tests::{SERVERS, hospital, issue, organisation},
    };

    fn entry(owner: BookOwner, usage: BookUse, certificate: &Certificate) -> BookEntry {
        BookEntry { owner, usage, certificate: certificate.clone(), provenance: "essai.pem".into() }
    }

    #[test]
    fn an_address_comes_before_its_domain_and_uses_are_kept_apart() {
        let domain = Domain::parse("ch-exemple.test").unwrap();
        let address = Address::parse("Cardio@CH-Exemple.test").unwrap();
        let other = Address::parse("urgences@ch-exemple.test").unwrap();
        let reads = issue(&SERVERS.issuing, organisation(OrganisationUse::Confidentiality));
        let signs = issue(&SERVERS.issuing, organisation(OrganisationUse::Sign));
        let own = issue(
            &SERVERS.issuing,
            crate::issue::Profile::ServerMail {
                name: "cardio@ch-exemple.test".into(),
                structure: hospital(),
                usage: ServerMailUse::Confidentiality,
                emails: vec![],
            },
        );
        let book = Book::new(vec![
            entry(BookOwner::Domain(domain.clone()), BookUse::Reads, &reads),
            entry(BookOwner::Domain(domain.clone()), BookUse::Reads, &reads),
            entry(BookOwner::Domain(domain.clone()), BookUse::Signs, &signs),
            entry(BookOwner::Address(address.clone()), BookUse::Reads, &own),
        ]);
        let certificates =
            |entries: Vec<&BookEntry>| entries.iter().map(|it| it.certificate.clone()).collect::<Vec<_>>();
        assert_eq!(book.entries().len(), 3);
        let lower = Address::parse("cardio@ch-exemple.test").unwrap();
        assert_eq!(certificates(book.readers(&lower)), [own], "NT-D01");
        assert_eq!(certificates(book.readers(&other)), [reads]);
        assert_eq!(certificates(book.signers_for(&address)), certificates(book.signers(&domain)));
        assert_eq!(certificates(book.signers(&domain)), [signs]);
        let elsewhere = Domain::parse("sous.ch-exemple.test").unwrap();
        assert!(book.signers(&elsewhere).is_empty() && book.domain_readers(&elsewhere).is_empty());
    }
}
