//! The operator's own mailboxes: who owns them, who may write from them, where they are delivered.
//!
//! One TOML file, the authority for *our* addresses (design §3): the national extracts only say whether
//! the person is active and the card good.
//!
//! ```toml
//! [[mailbox]]
//! address = "anne.martin-test@ch-exemple.test"
//! type = "PER"                                  # PER, ORG, APP or CAB
//! owner = "899700000001"                        # PER: the one person whose mailbox this is
//! structure = "1990000001"                      # needed for ORG and APP
//! members = []                                  # ORG and CAB: professionals who may write as the box
//! delegates = ["899700000002"]                  # professionals who may write for the owner
//! grants = ["3990000001/0001"]                  # staff cards (CPE, CPA) that may write for the owner
//! inner_address = "amartin@messagerie.ch-exemple.test"
//! rank = 1                                      # 1 is the preferred mailbox of its owner
//! red_list = false                              # true: never shown, never published
//! redirect = "secretariat@ch-exemple.test"      # inside the trust space only
//! name = "Cardiologie"                          # what to show for ORG, APP and CAB
//! service = "Pôle cœur"                         # the service that it belongs to (ORG, APP)
//! responsible = "Dr MARTIN-TEST"                # who answers for it (ORG, APP)
//! readers = ["899700000003"]                    # may read the box, and not write from it: for the inner mail system
//! until = { "899700000002" = "2027-01-31" }     # when somebody's rights end, with that day; none: they last
//! created = "2026-11-22T16:00:00Z"
//! closed = "2027-03-01T08:00:00Z"               # since when it is closed; the entry keeps its address from others
//! successor = "cardio2@ch-exemple.test"         # who takes over, as those who write to it are told
//! keep_unused = true                            # its holder wants it kept although it is not used
//!
//! [[alias]]
//! old = "0012800736"                            # a person's former identifier
//! current = "899700000001"
//! ```

mod file;

use std::{
    collections::{BTreeMap, HashMap},
    fs, io,
    path::Path,
};

use ident::{Address, Domain, PersonId, StructureId, Timestamp};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::life::{Closed, RegistryDigest};

/// Largest registry file that is read.
pub const MAX_REGISTRY_BYTES: u64 = 64 * 1024 * 1024;

/// The kinds of mailbox of the trust space (rule BAL).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum MailboxType {
    /// One professional's own.
    #[serde(rename = "PER")]
    Personal,
    /// Shared by the professionals of a practice.
    #[serde(rename = "CAB")]
    Practice,
    /// A service or a team of a structure.
    #[serde(rename = "ORG")]
    Organisation,
    /// A program's.
    #[serde(rename = "APP")]
    Application,
}

impl MailboxType {
    /// All kinds, in the order in which a person's mailboxes are shown.
    pub const ALL: [Self; 4] = [Self::Personal, Self::Practice, Self::Organisation, Self::Application];

    /// The national code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Personal => "PER",
            Self::Practice => "CAB",
            Self::Organisation => "ORG",
            Self::Application => "APP",
        }
    }

    /// Reads a national code, letter case aside.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code().eq_ignore_ascii_case(text.trim()))
    }
}

/// One mailbox of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisteredMailbox {
    /// The address in the trust space.
    pub address: Address,
    /// What kind it is.
    pub kind: MailboxType,
    /// The person whose mailbox it is: always there for PER, never for ORG and APP.
    pub owner: Option<PersonId>,
    /// The structure that answers for it: always there for ORG and APP.
    pub structure: Option<StructureId>,
    /// Professionals who may write as the box (ORG, CAB).
    pub members: Vec<PersonId>,
    /// Professionals who may write for the owner; they go in Sender.
    pub delegates: Vec<PersonId>,
    /// Staff cards (CPE, CPA) that may write for the owner or the box.
    pub grants: Vec<PersonId>,
    /// Where the inner mail system knows it, if elsewhere than under its own address.
    pub inner_address: Option<Address>,
    /// 1 is the preferred one of its owner.
    pub rank: Option<u32>,
    /// Not to be shown or published.
    pub red_list: bool,
    /// Where its mail goes instead; the trust list must name that domain.
    pub redirect: Option<Address>,
    /// What to show for a box that is not a person's.
    pub name: Option<String>,
    /// The service that it belongs to (ORG, APP).
    pub service: Option<String>,
    /// Who answers for it (ORG, APP).
    pub responsible: Option<String>,
    /// Who may read the box and not write from it: a matter of the inner mail system, which is told.
    pub readers: Vec<PersonId>,
    /// When the rights of members, delegates, grants or readers end; of whom nothing is said, they last.
    pub until: BTreeMap<PersonId, Timestamp>,
    /// When it was opened, if that is known.
    pub created: Option<Timestamp>,
    /// Since when it is closed: it takes and sends nothing, is shown nowhere, and its address stays taken.
    pub closed: Option<Closed>,
    /// Its holder wants it kept although it is not used.
    pub keep_unused: bool,
    /// Line of the registry file that declares it.
    pub line: usize,
}

impl RegisteredMailbox {
    /// Whether it takes mail and may be written from.
    pub const fn is_open(&self) -> bool {
        self.closed.is_none()
    }

    /// Whether what is listed for somebody still holds.
    pub fn holds_for(&self, person: &PersonId, at: Timestamp) -> bool {
        self.until.get(person).is_none_or(|end| at < *end)
    }

    /// A box with nothing but what every box has.
    pub fn new(address: Address, kind: MailboxType) -> Self {
        Self {
            address,
            kind,
            owner: None,
            structure: None,
            members: Vec::new(),
            delegates: Vec::new(),
            grants: Vec::new(),
            inner_address: None,
            rank: None,
            red_list: false,
            redirect: None,
            name: None,
            service: None,
            responsible: None,
            readers: Vec::new(),
            until: BTreeMap::new(),
            created: None,
            closed: None,
            keep_unused: false,
            line: 0,
        }
    }
}

/// By which line of the registry someone may write from a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Right {
    /// It is theirs.
    Owner,
    /// A shared box that lists them.
    Member,
    /// Its owner delegated to them.
    Delegate,
    /// Their staff card is granted.
    Grant,
}

/// The mailboxes of one operator.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Registry {
    mailboxes: Vec<RegisteredMailbox>,
    by_address: HashMap<String, usize>,
    by_owner: HashMap<PersonId, Vec<usize>>,
    aliases: HashMap<PersonId, PersonId>,
    digest: RegistryDigest,
    pub(crate) hidden: crate::ask::Memory,
}

/// Why a registry file is not accepted.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// The file cannot be read.
    #[error("the registry cannot be read: {0}")]
    Io(#[from] io::Error),
    /// The file is larger than [`MAX_REGISTRY_BYTES`].
    #[error("the registry is larger than {MAX_REGISTRY_BYTES} bytes")]
    TooLarge,
    /// TOML, an unknown key, a value of the wrong form.
    #[error("line {line}: {what}")]
    Line {
        /// Line in the file, from 1.
        line: usize,
        /// What is wrong there.
        what: String,
    },
}

impl Registry {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// See [`RegistryError`].
    pub fn read(path: &Path) -> Result<Self, RegistryError> {
        if fs::metadata(path)?.len() > MAX_REGISTRY_BYTES {
            return Err(RegistryError::TooLarge);
        }
        Self::parse(&fs::read_to_string(path)?)
    }

    /// Reads the text of a registry file.
    ///
    /// # Errors
    /// [`RegistryError::Line`] names the first line that is wrong: unknown keys, bad identifiers, an
    /// address declared twice, a personal mailbox without owner, a redirection in a circle.
    pub fn parse(text: &str) -> Result<Self, RegistryError> {
        file::parse(text)
    }

    /// The registries of several domains as one, for whoever must not show what one of them hides. Where two speak of
    /// one address or identifier, the first is believed; what one of them hides is hidden.
    #[must_use]
    pub fn union<'a>(registries: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut all = Self::default();
        for registry in registries {
            all.digest = all.digest.with(&registry.digest);
            for (old, current) in &registry.aliases {
                all.aliases.entry(old.clone()).or_insert_with(|| current.clone());
            }
            for mailbox in &registry.mailboxes {
                let at = all.mailboxes.len();
                let known = *all.by_address.entry(mailbox.address.key()).or_insert(at);
                // What is closed is shown no more than what is red.
                let hidden = mailbox.red_list || !mailbox.is_open();
                if let Some(known) = all.mailboxes.get_mut(known) {
                    known.red_list |= hidden;
                    continue;
                }
                all.mailboxes.push(RegisteredMailbox { red_list: hidden, ..mailbox.clone() });
                if let Some(owner) = &mailbox.owner {
                    all.by_owner.entry(owner.clone()).or_default().push(at);
                }
            }
        }
        all
    }

    /// A registry of mailboxes that no file declares.
    pub(crate) fn of(mailboxes: impl IntoIterator<Item = RegisteredMailbox>) -> Self {
        let mut registry = Self::default();
        for mailbox in mailboxes {
            let at = registry.mailboxes.len();
            registry.by_address.insert(mailbox.address.key(), at);
            if let Some(owner) = &mailbox.owner {
                registry.by_owner.entry(owner.clone()).or_default().push(at);
            }
            registry.mailboxes.push(mailbox);
        }
        registry
    }

    /// The same, in which these mailboxes stand for those of their addresses.
    pub(crate) fn with(&self, newer: &Self) -> Self {
        let others = self.mailboxes.iter().filter(|mailbox| newer.mailbox(&mailbox.address).is_none());
        let all = Self::of(newer.mailboxes.iter().chain(others).cloned());
        Self { aliases: self.aliases.clone(), ..all }
    }

    /// The start of the digest of its text, that of several together: equal registries, equal name.
    pub fn digest(&self) -> &str {
        self.digest.as_str()
    }

    /// All mailboxes, in the order of the file.
    pub fn mailboxes(&self) -> &[RegisteredMailbox] {
        &self.mailboxes
    }

    /// The mailbox with this address, letter case aside.
    pub fn mailbox(&self, address: &Address) -> Option<&RegisteredMailbox> {
        self.by_address.get(&address.key()).and_then(|at| self.mailboxes.get(*at))
    }

    /// The mailbox with this key ([`Address::key`]).
    pub(crate) fn by_key(&self, key: &str) -> Option<&RegisteredMailbox> {
        self.by_address.get(key).and_then(|at| self.mailboxes.get(*at))
    }

    /// Whether the mailbox with this key ([`Address::key`]) is on the red list.
    pub fn is_red(&self, key: &str) -> bool {
        self.by_key(key).is_some_and(|mailbox| mailbox.red_list)
    }

    /// The personal mailboxes of one person (former identifiers lead to the current one).
    pub fn owned_by(&self, person: &PersonId) -> impl Iterator<Item = &RegisteredMailbox> {
        let at = self.by_owner.get(self.current(person)).map(Vec::as_slice).unwrap_or_default();
        at.iter().filter_map(|at| self.mailboxes.get(*at))
    }

    /// The mailboxes that a structure answers for.
    pub fn of_structure(&self, structure: &StructureId) -> impl Iterator<Item = &RegisteredMailbox> {
        self.mailboxes.iter().filter(move |mailbox| mailbox.structure.as_ref() == Some(structure))
    }

    /// The domains in which we have mailboxes.
    pub fn domains(&self) -> std::collections::BTreeSet<&Domain> {
        self.mailboxes.iter().map(|mailbox| mailbox.address.domain()).collect()
    }

    /// The identifier in use now for someone whose identifier changed; else the same one.
    pub fn current<'a>(&'a self, person: &'a PersonId) -> &'a PersonId {
        self.aliases.get(person).unwrap_or(person)
    }

    /// Whether both know the same former identifiers.
    pub(crate) fn has_the_aliases_of(&self, other: &Self) -> bool {
        self.aliases == other.aliases
    }

    /// Every identifier of the same person: the one in use now, and those before it.
    pub fn names_of<'a>(&'a self, person: &'a PersonId) -> impl Iterator<Item = &'a PersonId> {
        let current = self.current(person);
        let former = self.aliases.iter().filter(move |(_, now)| *now == current).map(|(former, _)| former);
        std::iter::once(current).chain(former)
    }

    /// By what right this person, or this staff card, writes from this mailbox at this moment; `None` = by none.
    ///
    /// Only the registry is judged here: whether the person is active and the card good is the caller's part.
    pub fn right(&self, person: &PersonId, mailbox: &RegisteredMailbox, at: Timestamp) -> Option<Right> {
        let person = self.current(person);
        if mailbox.owner.as_ref() == Some(person) {
            return Some(Right::Owner);
        }
        [(Right::Member, &mailbox.members), (Right::Delegate, &mailbox.delegates), (Right::Grant, &mailbox.grants)]
            .into_iter()
            .find(|(_, listed)| listed.contains(person) && mailbox.holds_for(person, at))
            .map(|(right, _)| right)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) const GOOD: &str = r#"
[[mailbox]]
address = "anne.martin-test@ch-exemple.test"
type = "PER"
owner = "0012800736"
structure = "1990000001"
delegates = ["899700000002"]
grants = ["3990000001/0001"]
rank = 1
red_list = true

[[mailbox]]
address = "cardiologie@ch-exemple.test"
type = "ORG"
structure = "1990000001"
members = ["899700000002"]
redirect = "Anne.Martin-TEST@ch-exemple.test"
name = "Cardiologie"

[[alias]]
old = "0012800736"
current = "899700000001"
"#;

    const NOW: Timestamp = Timestamp::from_seconds(1_796_000_000);

    fn id(text: &str) -> PersonId {
        PersonId::parse(text).unwrap()
    }

    #[test]
    fn says_by_what_right_someone_writes() {
        let registry = Registry::parse(GOOD).unwrap();
        let box_of = |text: &str| registry.mailbox(&Address::parse(text).unwrap()).unwrap();
        let personal = box_of("ANNE.martin-test@CH-exemple.test");
        let service = box_of("cardiologie@ch-exemple.test");
        assert_eq!(registry.right(&id("899700000001"), personal, NOW), Some(Right::Owner));
        assert_eq!(registry.right(&id("0012800736"), personal, NOW), Some(Right::Owner));
        assert_eq!(registry.right(&id("899700000002"), personal, NOW), Some(Right::Delegate));
        assert_eq!(registry.right(&id("3990000001/0001"), personal, NOW), Some(Right::Grant));
        assert_eq!(registry.right(&id("899700000002"), service, NOW), Some(Right::Member));
        assert_eq!(registry.right(&id("899700000001"), service, NOW), None);
        assert_eq!(registry.owned_by(&id("0012800736")).count(), 1);
        assert_eq!(registry.of_structure(&StructureId::parse("1990000001").unwrap()).count(), 2);
        assert_eq!(registry.domains().len(), 1);
        assert!(personal.red_list && personal.rank == Some(1) && service.redirect.is_some());
    }

    #[test]
    fn rights_end_and_closed_boxes_keep_their_address() {
        let text = GOOD
            .replace("rank = 1", "rank = 1\nuntil = { \"899700000002\" = \"2026-11-22\" }")
            .replace("name = ", "closed = \"2026-11-20T08:00:00Z\"\nsuccessor = \"coeur@ch-exemple.test\"\nname = ");
        let registry = Registry::parse(&text).unwrap();
        let [personal, service] = registry.mailboxes() else { panic!("two") };
        let at = |text: &str| Timestamp::parse(text).unwrap();
        let right = |when: &str| registry.right(&id("899700000002"), personal, at(when));
        assert_eq!(right("2026-11-22T23:59:59Z"), Some(Right::Delegate), "the last day counts");
        assert_eq!(right("2026-11-23T00:00:00Z"), None);
        assert!(personal.is_open() && !service.is_open());
        let closed = service.closed.clone().unwrap();
        assert_eq!((closed.since, closed.told), (at("2026-11-20T08:00:00Z"), true));
        assert_eq!(closed.successor.unwrap().to_string(), "coeur@ch-exemple.test");
        // Whoever shows the directory shows it no more; it is still known.
        let shown = Registry::union([&registry]);
        assert!(shown.is_red("cardiologie@ch-exemple.test") && !registry.is_red("cardiologie@ch-exemple.test"));
        assert_eq!(registry.digest().len(), 12);
        assert_ne!(registry.digest(), Registry::parse(GOOD).unwrap().digest());
        assert_ne!(shown.digest(), "");
    }

    #[test]
    fn registries_of_several_domains_stand_as_one() {
        let one = Registry::parse(GOOD).unwrap();
        let other = GOOD.replace("ch-exemple", "ch-autre").replace("red_list = true", "red_list = false");
        let other = Registry::parse(&other).unwrap();
        let both = Registry::union([&one, &other, &one]);
        assert_eq!(both.mailboxes().len(), one.mailboxes().len() + other.mailboxes().len());
        let owner = one.mailboxes()[0].owner.clone().unwrap();
        assert_eq!(both.owned_by(&owner).count(), 2);
        assert!(both.is_red("anne.martin-test@ch-exemple.test") && !both.is_red("anne.martin-test@ch-autre.test"));
    }
}
