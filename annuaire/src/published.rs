//! Mailboxes that their operators publish into this directory (FHIR PATCH): what is known of them beside the extracts.
//!
//! A line of text each, the newest of an address counts: whoever keeps them appends, and reads them through at start.

use std::collections::BTreeMap;

use ident::{Address, PersonId, StructureId};
use serde::{Deserialize, Serialize};

use crate::{MailboxType, RegisteredMailbox, Registry};

/// Most mailboxes that are published into one directory.
pub const MAX_PUBLISHED: usize = 200_000;

/// One mailbox, as its operator last described it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishedMailbox {
    /// The address; never changes.
    pub address: Address,
    /// What kind it is; never changes.
    #[serde(rename = "type")]
    pub kind: MailboxType,
    /// The person whose mailbox it is.
    pub owner: Option<PersonId>,
    /// The structure that it belongs to.
    pub structure: Option<StructureId>,
    /// Not to be shown.
    pub red_list: bool,
    /// 1 is the preferred one of its owner.
    pub rank: Option<u32>,
    /// What it is for (ORG, APP, CAB).
    pub description: Option<String>,
    /// The service that it belongs to (ORG, APP).
    pub service: Option<String>,
    /// Who answers for it (ORG, APP): kept, never shown.
    pub responsible: Option<String>,
    /// Its operator took it away.
    pub closed: bool,
    /// Who published it.
    pub by: StructureId,
}

/// What is published, by address.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Published {
    by_address: BTreeMap<String, PublishedMailbox>,
    /// Mailboxes of which something was said that cannot be read.
    hidden: BTreeMap<String, Address>,
}

impl Published {
    /// The newest that was said of an address.
    pub fn get(&self, address: &Address) -> Option<&PublishedMailbox> {
        self.by_address.get(&address.key())
    }

    /// Takes what was said of a mailbox.
    pub fn take(&mut self, mailbox: PublishedMailbox) {
        self.hidden.remove(&mailbox.address.key());
        self.by_address.insert(mailbox.address.key(), mailbox);
    }

    /// Does not show a mailbox until something is said of it again.
    pub fn hide(&mut self, address: Address) {
        self.hidden.insert(address.key(), address);
    }

    /// How many mailboxes are spoken of.
    pub fn len(&self) -> usize {
        self.by_address.len()
    }

    /// Whether nothing was published.
    pub fn is_empty(&self) -> bool {
        self.by_address.is_empty()
    }

    /// As a registry, for the faces. What was taken away hides what the extracts may still list.
    pub fn registry(&self) -> Registry {
        let unknown = self.hidden.values().filter(|address| !self.by_address.contains_key(&address.key()));
        let unknown = unknown.map(|address| RegisteredMailbox {
            red_list: true,
            ..RegisteredMailbox::new(address.clone(), MailboxType::Organisation)
        });
        let known = self.by_address.values().map(|own| RegisteredMailbox {
            owner: own.owner.clone(),
            structure: own.structure.clone(),
            rank: own.rank,
            red_list: own.red_list || own.closed || self.hidden.contains_key(&own.address.key()),
            name: own.description.clone().or_else(|| own.service.clone()),
            ..RegisteredMailbox::new(own.address.clone(), own.kind)
        });
        Registry::of(known.chain(unknown))
    }
}
