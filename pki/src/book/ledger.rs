//! The append-only part of the book: what partner files said, who approved it, and what follows from that.
//!
//! A pure fold over lines; `sceau` keeps the lines on disk. Nothing is ever taken out: a certificate that
//! is replaced becomes a former one, a domain that was once known stays known (promise 2).

use std::collections::{BTreeMap, BTreeSet, HashMap};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ident::{Domain, Fingerprint, StructureId, Timestamp};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{BookOwner, BookUse};
use crate::{
    certificate::Certificate,
    cms::Capabilities,
    partner_file::{Held, PartnerEntry, PartnerFile},
};

/// One line of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// When.
    pub at: Timestamp,
    /// Who: a person, or the gateway itself.
    pub by: String,
    /// Why, where somebody said it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What, all of it together or nothing.
    pub events: Vec<LedgerEvent>,
}

/// What can happen to the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum LedgerEvent {
    /// From now on the operator's partner file is looked for there.
    Source {
        /// The organisation.
        operator: StructureId,
        /// URL or path.
        location: String,
    },
    /// The operator's partner file is no longer looked for.
    SourceRemoved {
        /// The organisation.
        operator: StructureId,
    },
    /// A certificate that later lines name by its fingerprint.
    Certificate {
        /// Base64 of its DER.
        der: String,
    },
    /// A verified partner file.
    File(FileLine),
    /// A certificate may be used.
    Approved(Decision),
    /// A certificate must not be used.
    Rejected(Decision),
}

/// A verified partner file, as the ledger keeps it. Members that a newer build adds are passed over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileLine {
    /// Who published it.
    pub operator: StructureId,
    /// Its serial number.
    pub serial: u64,
    /// When it was made.
    pub issued: Timestamp,
    /// Until when it may be taken.
    pub expires: Timestamp,
    /// Digest of what was signed.
    pub digest: Fingerprint,
    /// Digest of the file as fetched.
    pub file: Fingerprint,
    /// Who signed it.
    pub signer: Fingerprint,
    /// Where it came from.
    pub location: String,
    /// What it lists; absent when that is the same as before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entries: Option<Vec<Listed>>,
    /// What the holders of its reading keys read, as far as it says so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reads: Vec<Reads>,
}

/// What the holder of one key reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reads {
    /// Domain or address.
    pub owner: String,
    /// Whose key it is.
    pub certificate: Fingerprint,
    /// What it reads.
    pub capabilities: Capabilities,
}

/// One certificate in a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listed {
    /// Domain or address.
    pub owner: String,
    /// What for.
    pub usage: BookUse,
    /// SHA-256.
    pub certificate: Fingerprint,
}

/// A decision about one certificate of one operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// Whose file listed it.
    pub operator: StructureId,
    /// What was decided about.
    pub what: Listed,
    /// How it came about.
    pub how: How,
}

/// How a decision came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// By a person.
    Operator,
    /// The configuration approves the first certificates of a domain that nothing was known of.
    FirstContact,
    /// The configuration holds this very certificate already.
    Configured,
}

/// How a certificate stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// In use.
    InForce,
    /// In use although the operator no longer lists it: its replacement waits for approval.
    Replaced,
    /// Waits for approval.
    Pending,
    /// Approved once, and since then replaced by another approved one.
    Former,
    /// Approved once; its operator lists nothing in its place.
    Withdrawn,
    /// Refused by a person.
    Rejected,
}

impl Standing {
    /// Whether mail may be sealed for it and signatures believed.
    pub const fn in_use(self) -> bool {
        matches!(self, Self::InForce | Self::Replaced)
    }
}

/// One certificate of the ledger with everything known about it.
#[derive(Debug, Clone)]
pub struct LedgerEntry {
    /// Whose file lists or listed it.
    pub operator: StructureId,
    /// Whose it is.
    pub owner: BookOwner,
    /// What for.
    pub usage: BookUse,
    /// The certificate.
    pub certificate: Certificate,
    /// How it stands.
    pub standing: Standing,
    /// Where it was first seen: location, serial number and digest of the file, and when.
    pub seen: String,
    /// Who decided, when and how, if anybody did.
    pub decided: Option<String>,
}

/// What the ledger holds of an operator's latest file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldFile {
    /// Serial number, date and digest.
    pub held: Held,
    /// Until when it may be taken.
    pub expires: Timestamp,
    /// When we took it.
    pub taken: Timestamp,
    /// Where it came from.
    pub location: String,
    /// What the holders of its reading keys read, as far as it says so.
    pub reads: Vec<Reads>,
}

/// Why a line, or an order, is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// A certificate line that holds none.
    #[error("a line of the ledger holds no readable certificate")]
    Certificate,
    /// An owner that is neither domain nor address.
    #[error("a line of the ledger names neither a domain nor an address: {0}")]
    Owner(String),
    /// A certificate that no line holds.
    #[error("a line of the ledger names the certificate {0}, which no line before it holds")]
    Unknown(Fingerprint),
    /// Nothing by that fingerprint.
    #[error("no partner file lists a certificate {0}")]
    NotListed(Fingerprint),
}

/// What the first certificates of a domain need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FirstContact {
    /// A person's approval, like every later one.
    #[default]
    Wait,
    /// Nothing but that everything chains: they are in force at once.
    Approve,
}

type Key = (StructureId, Listed);

#[derive(Debug, Clone)]
struct Decided {
    approved: bool,
    text: String,
}

/// The ledger as its lines say.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    sources: BTreeMap<StructureId, String>,
    files: BTreeMap<StructureId, HeldFile>,
    listed: BTreeMap<StructureId, BTreeSet<Listed>>,
    certificates: HashMap<Fingerprint, Certificate>,
    seen: BTreeMap<Key, (BookOwner, String)>,
    decisions: BTreeMap<Key, Decided>,
}

impl Ledger {
    /// Takes one more line into account.
    ///
    /// # Errors
    /// See [`LedgerError`]: the lines on disk are not ours.
    pub fn apply(&mut self, line: &Line) -> Result<(), LedgerError> {
        line.events.iter().try_for_each(|event| self.apply_one(line, event))
    }

    fn apply_one(&mut self, line: &Line, event: &LedgerEvent) -> Result<(), LedgerError> {
        match event {
            LedgerEvent::Source { operator, location } => {
                self.sources.insert(operator.clone(), location.clone());
            }
            LedgerEvent::SourceRemoved { operator } => {
                self.sources.remove(operator);
            }
            LedgerEvent::Certificate { der } => {
                let der = STANDARD.decode(der).map_err(|_| LedgerError::Certificate)?;
                let certificate = Certificate::from_der(&der).map_err(|_| LedgerError::Certificate)?;
                self.certificates.insert(certificate.fingerprint(), certificate);
            }
            LedgerEvent::File(file) => self.file(line, file)?,
            LedgerEvent::Approved(decision) => self.decided(line, decision, true)?,
            LedgerEvent::Rejected(decision) => self.decided(line, decision, false)?,
        }
        Ok(())
    }

    fn file(&mut self, line: &Line, file: &FileLine) -> Result<(), LedgerError> {
        if let Some(entries) = &file.entries {
            for listed in entries {
                if !self.certificates.contains_key(&listed.certificate) {
                    return Err(LedgerError::Unknown(listed.certificate));
                }
                let owner = BookOwner::parse(&listed.owner).ok_or_else(|| LedgerError::Owner(listed.owner.clone()))?;
                let seen = format!("{}, serial {}, file {}, {}", file.location, file.serial, file.file, line.at);
                self.seen.entry((file.operator.clone(), listed.clone())).or_insert((owner, seen));
            }
            self.listed.insert(file.operator.clone(), entries.iter().cloned().collect());
        }
        let held = Held { serial: file.serial, issued: file.issued, digest: file.digest };
        let (location, reads) = (file.location.clone(), file.reads.clone());
        let held = HeldFile { held, expires: file.expires, taken: line.at, location, reads };
        self.files.insert(file.operator.clone(), held);
        Ok(())
    }

    fn decided(&mut self, line: &Line, decision: &Decision, approved: bool) -> Result<(), LedgerError> {
        let key = (decision.operator.clone(), decision.what.clone());
        if !self.seen.contains_key(&key) {
            return Err(LedgerError::Unknown(decision.what.certificate));
        }
        let verb = if approved { "approved" } else { "rejected" };
        let how = match decision.how {
            How::Operator => "",
            How::FirstContact => " (first contact)",
            How::Configured => " (the configuration holds it)",
        };
        let why = line.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        let text = format!("{verb} by {} {}{how}{why}", line.by, line.at);
        self.decisions.insert(key, Decided { approved, text });
        Ok(())
    }

    /// Where the files of which operators are looked for.
    pub fn sources(&self) -> &BTreeMap<StructureId, String> {
        &self.sources
    }

    /// The latest file of each operator.
    pub fn files(&self) -> &BTreeMap<StructureId, HeldFile> {
        &self.files
    }

    /// What a new file of this operator must follow.
    pub fn held(&self, operator: &StructureId) -> Option<Held> {
        self.files.get(operator).map(|file| file.held.clone())
    }

    /// Whether a certificate for the domain, or a mailbox of it, was ever approved.
    pub fn knows(&self, domain: &Domain) -> bool {
        self.decisions.iter().any(|(key, decided)| {
            decided.approved && self.seen.get(key).is_some_and(|(owner, _)| owner.domain() == domain)
        })
    }

    /// Every certificate, each with its standing.
    pub fn entries(&self) -> Vec<LedgerEntry> {
        let groups = self.groups();
        let mut all = Vec::new();
        for (key, (owner, seen)) in &self.seen {
            let Some(certificate) = self.certificates.get(&key.1.certificate) else { continue };
            let Some(standing) = self.standing(key, &groups) else { continue };
            all.push(LedgerEntry {
                operator: key.0.clone(),
                owner: owner.clone(),
                usage: key.1.usage,
                certificate: certificate.clone(),
                standing,
                seen: seen.clone(),
                decided: self.decisions.get(key).map(|decided| decided.text.clone()),
            });
        }
        all
    }

    /// What each operator lists for each owner and use: whether something of it is in force, or waits.
    fn groups(&self) -> HashMap<(&StructureId, &str, BookUse), Group> {
        let mut groups: HashMap<_, Group> = HashMap::new();
        for (operator, listed) in &self.listed {
            for one in listed {
                let group = groups.entry((operator, one.owner.as_str(), one.usage)).or_default();
                match self.decisions.get(&(operator.clone(), one.clone())) {
                    Some(decided) => group.in_force |= decided.approved,
                    None => group.pending = true,
                }
            }
        }
        groups
    }

    /// `None`: never approved and no longer listed, so that nobody has to know about it.
    fn standing(&self, key: &Key, groups: &HashMap<(&StructureId, &str, BookUse), Group>) -> Option<Standing> {
        let (operator, what) = key;
        let listed = self.listed.get(operator).is_some_and(|listed| listed.contains(what));
        let group = groups.get(&(operator, what.owner.as_str(), what.usage)).copied().unwrap_or_default();
        match (self.decisions.get(key).map(|decided| decided.approved), listed) {
            (Some(true), true) => Some(Standing::InForce),
            (Some(true), false) if group.in_force => Some(Standing::Former),
            // Mail goes on with the old one until somebody has looked at the new one.
            (Some(true), false) if group.pending => Some(Standing::Replaced),
            (Some(true), false) => Some(Standing::Withdrawn),
            (Some(false), _) => Some(Standing::Rejected),
            (None, true) => Some(Standing::Pending),
            (None, false) => None,
        }
    }

    /// What taking a verified file means: nothing when it says what is held already.
    ///
    /// `configured` are the certificates that the configuration itself holds for a domain and its mailboxes:
    /// a domain that it knows is no first contact, and what it names needs nobody's approval.
    pub fn take(
        &self,
        file: &PartnerFile,
        fetched: &Fetched<'_>,
        first: FirstContact,
        configured: &dyn Fn(&Domain) -> Vec<Fingerprint>,
    ) -> Vec<LedgerEvent> {
        let operator = file.operator();
        if self.held(operator).is_some_and(|held| held.digest == file.digest()) {
            return Vec::new();
        }
        let mut events = Vec::new();
        let mut new_certificates = BTreeSet::new();
        let mut listed = BTreeSet::new();
        for entry in file.entries() {
            let id = entry.certificate.fingerprint();
            if !self.certificates.contains_key(&id) && new_certificates.insert(id) {
                events.push(LedgerEvent::Certificate { der: STANDARD.encode(entry.certificate.der()) });
            }
            listed.insert(Listed { owner: entry.owner.key(), usage: entry.usage, certificate: id });
        }
        let unchanged = self.listed.get(operator) == Some(&listed);
        events.push(LedgerEvent::File(FileLine {
            operator: operator.clone(),
            serial: file.serial(),
            issued: file.issued(),
            expires: file.expires(),
            digest: file.digest(),
            file: fetched.digest,
            signer: file.signer().fingerprint(),
            location: fetched.location.to_owned(),
            entries: (!unchanged).then(|| listed.iter().cloned().collect()),
            reads: file.entries().iter().filter_map(reads).collect(),
        }));
        let mut strangers: HashMap<Domain, bool> = HashMap::new();
        for what in listed {
            let Some(owner) = BookOwner::parse(&what.owner) else { continue };
            if self.decisions.contains_key(&(operator.clone(), what.clone())) {
                continue;
            }
            let domain = owner.domain();
            let configured = configured(domain);
            let stranger =
                *strangers.entry(domain.clone()).or_insert_with(|| configured.is_empty() && !self.knows(domain));
            let how = match first {
                _ if configured.contains(&what.certificate) => How::Configured,
                FirstContact::Approve if stranger => How::FirstContact,
                _ => continue,
            };
            events.push(LedgerEvent::Approved(Decision { operator: operator.clone(), what, how }));
        }
        events
    }

    /// What a person's decision about a certificate means, for every owner and use that lists it.
    /// Approving what is in force, and rejecting what is rejected, means nothing.
    ///
    /// # Errors
    /// [`LedgerError::NotListed`].
    pub fn decide(&self, certificate: Fingerprint, approve: bool) -> Result<Vec<LedgerEvent>, LedgerError> {
        let mut known = false;
        let mut events = Vec::new();
        for key in self.seen.keys().filter(|(_, what)| what.certificate == certificate) {
            let listed = self.listed.get(&key.0).is_some_and(|listed| listed.contains(&key.1));
            let decided = self.decisions.get(key).map(|decided| decided.approved);
            // What an operator no longer lists can be refused, never let in.
            if !listed && (approve || decided.is_none()) {
                continue;
            }
            known = true;
            if decided == Some(approve) {
                continue;
            }
            let decision = Decision { operator: key.0.clone(), what: key.1.clone(), how: How::Operator };
            events.push(if approve { LedgerEvent::Approved(decision) } else { LedgerEvent::Rejected(decision) });
        }
        if known { Ok(events) } else { Err(LedgerError::NotListed(certificate)) }
    }
}

fn reads(entry: &PartnerEntry) -> Option<Reads> {
    let capabilities = entry.capabilities.clone().filter(|_| entry.usage == BookUse::Reads)?;
    Some(Reads { owner: entry.owner.key(), certificate: entry.certificate.fingerprint(), capabilities })
}

#[derive(Debug, Clone, Copy, Default)]
struct Group {
    in_force: bool,
    pending: bool,
}

/// How a file came to us.
#[derive(Debug, Clone, Copy)]
pub struct Fetched<'a> {
    /// URL or path.
    pub location: &'a str,
    /// SHA-256 of its octets.
    pub digest: Fingerprint,
}

#[cfg(test)]
mod tests;
