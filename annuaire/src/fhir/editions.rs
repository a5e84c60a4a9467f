//! What was in service since when: each generation that was put in service and each change of the operator's own
//! mailboxes begins an edition, and the moments of editions only ever rise. Whoever serves keeps the text of this between
//! runs; without it history begins anew.

use std::collections::{BTreeMap, BTreeSet};

use ident::{PersonId, StructureId, Timestamp};
use openssl::sha::sha256;
use serde::{Deserialize, Serialize};

use super::ids;
use crate::{Generation, RegisteredMailbox, Registry, generation::hex};

/// Most editions that are remembered: a house that publishes all day begins one every few seconds.
pub const MAX_EDITIONS: usize = 4096;
/// Of so many generations: with those before them nothing can be compared any more.
const MAX_GENERATIONS: usize = 4;
/// Most people, structures and services that are remembered to have been touched, all editions together: beyond that the
/// oldest are forgotten.
pub const MAX_TOUCHED: usize = 50_000;

/// The editions, the newest first, and the operator's mailboxes as the newest has them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Editions {
    editions: Vec<Edition>,
    mailboxes: BTreeMap<String, Noted>,
    aliases: BTreeMap<String, String>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Edition {
    /// Since when, in whole seconds, as it is written in answers.
    pub(super) since: Timestamp,
    /// The generation in service.
    pub(super) generation: String,
    /// What the operator's own mailboxes changed.
    #[serde(default)]
    pub(super) touched: Touched,
}

/// What a change of the operator's own mailboxes touched: sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Touched {
    /// Identifiers of people.
    pub(super) people: BTreeSet<String>,
    /// Keys of structures.
    pub(super) places: BTreeSet<String>,
    /// Ids of services.
    pub(super) services: BTreeSet<String>,
}

/// What is remembered of one mailbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Noted {
    /// Digest of all that is shown of it, or hides it.
    digest: String,
    owner: Option<PersonId>,
    structure: Option<StructureId>,
}

impl Noted {
    fn of(own: &RegisteredMailbox) -> Self {
        let RegisteredMailbox { address, kind, owner, structure, rank, red_list, name, .. } = own;
        let (owned, place) = (owner.as_ref().map(PersonId::as_str), structure.as_ref().map(StructureId::as_str));
        let said = format!("{address} {} {owned:?} {place:?} {rank:?} {red_list} {name:?}", kind.code());
        let mut digest = hex(&sha256(format!("{said} {}", own.is_open()).as_bytes()));
        digest.truncate(16);
        Self { digest, owner: owner.clone(), structure: structure.clone() }
    }
}

impl Touched {
    fn len(&self) -> usize {
        self.people.len().saturating_add(self.places.len()).saturating_add(self.services.len())
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds whatever shows a mailbox, by what is said of it and by the extract.
    fn add(&mut self, generation: &Generation, registry: Option<&Registry>, key: &str, noted: &Noted) {
        if let Some(owner) = &noted.owner {
            let names = registry.map(|registry| registry.names_of(owner)).into_iter().flatten();
            self.people.extend(names.chain([owner]).map(ToString::to_string));
        }
        let own = noted.structure.as_ref().and_then(|id| generation.structure(id));
        self.places.extend(own.map(|place| place.key().to_owned()));
        let listed = ident::Address::parse(key).ok().and_then(|address| generation.mailbox(&address));
        let Some(listed) = listed else { return };
        self.people.extend(listed.people().map(|person| person.id_text().to_owned()));
        self.places.extend(listed.structures().map(|place| place.key().to_owned()));
        self.services.extend(ids::is_service(&listed).then(|| ids::service(&listed)));
    }
}

impl Editions {
    /// Reads what [`Self::text`] wrote; nothing for anything else.
    pub fn read(text: &str) -> Option<Self> {
        let all: Self = serde_json::from_str(text).ok()?;
        let rise = all.editions.iter().zip(all.editions.iter().skip(1)).all(|(newer, older)| newer.since > older.since);
        rise.then_some(all)
    }

    /// All of it as a text, to be kept from other people's eyes: it names mailboxes of the red list.
    pub fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The generations that were in service, the newest first, each once.
    pub fn generations(&self) -> Vec<&str> {
        let mut all: Vec<&str> = Vec::new();
        for edition in &self.editions {
            if !all.contains(&edition.generation.as_str()) {
                all.push(&edition.generation);
            }
        }
        all
    }

    pub(super) fn newest_first(&self) -> &[Edition] {
        &self.editions
    }

    /// Begins an edition, if the generation in service or what the operator says of its mailboxes is not as it was; whether
    /// it did. `now` must be a moment before which nobody was told of it: who asked before asks again from then on.
    pub fn begin(&mut self, generation: &Generation, registry: Option<&Registry>, now: Timestamp) -> bool {
        let own = registry.map(Registry::mailboxes).unwrap_or_default();
        let mailboxes: BTreeMap<String, Noted> = own.iter().map(|own| (own.address.key(), Noted::of(own))).collect();
        let aliases: BTreeMap<String, String> = registry.map(Registry::former).unwrap_or_default();
        let touched = self.touched(generation, registry, &mailboxes, &aliases);
        let same = self.editions.first().is_some_and(|newest| newest.generation == generation.id());
        let begins = !same || !touched.is_empty();
        (self.mailboxes, self.aliases) = (mailboxes, aliases);
        if !begins {
            return false;
        }
        let now = Timestamp::from_seconds(now.seconds());
        let since = match self.editions.first() {
            Some(newest) => now.max(newest.since.plus(std::time::Duration::from_secs(1))),
            None => now,
        };
        self.editions.insert(0, Edition { since, generation: generation.id().to_owned(), touched });
        self.forget();
        true
    }

    /// What those mailboxes touch of which something else is said than before. The first edition has nothing before it.
    fn touched(
        &self,
        generation: &Generation,
        registry: Option<&Registry>,
        mailboxes: &BTreeMap<String, Noted>,
        aliases: &BTreeMap<String, String>,
    ) -> Touched {
        let mut touched = Touched::default();
        if self.editions.is_empty() {
            return touched;
        }
        let gone = self.mailboxes.iter().filter(|(key, before)| mailboxes.get(*key) != Some(before));
        let come = mailboxes.iter().filter(|(key, now)| self.mailboxes.get(*key) != Some(now));
        for (key, noted) in gone.chain(come) {
            touched.add(generation, registry, key, noted);
        }
        let other = |one: &BTreeMap<String, String>, two: &BTreeMap<String, String>| {
            let differ = one.iter().filter(|(former, now)| two.get(*former) != Some(now));
            differ.flat_map(|(former, now)| [former.clone(), now.clone()]).collect::<Vec<_>>()
        };
        touched.people.extend(other(&self.aliases, aliases));
        touched.people.extend(other(aliases, &self.aliases));
        touched
    }

    fn forget(&mut self) {
        self.editions.truncate(MAX_EDITIONS);
        let beyond = self.generations().get(MAX_GENERATIONS).map(|id| (*id).to_owned());
        if let Some(at) = self.editions.iter().position(|edition| Some(&edition.generation) == beyond.as_ref()) {
            self.editions.truncate(at);
        }
        let mut left = MAX_TOUCHED;
        // An edition says what differs from the one before it: of the last that is kept that is not needed.
        let kept = self.editions.iter().position(|edition| match left.checked_sub(edition.touched.len()) {
            Some(less) => {
                left = less;
                false
            }
            None => true,
        });
        if let Some(kept) = kept {
            self.editions.truncate(kept.saturating_add(1));
        }
        if let Some(oldest) = self.editions.last_mut() {
            oldest.touched = Touched::default();
        }
    }
}
