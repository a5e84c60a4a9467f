//! Pinned roots by purpose. The system's store is never asked.

use std::collections::HashMap;

use ident::Fingerprint;

use crate::{certificate::Certificate, path::Purpose};

/// Trust anchors, each for the purposes that it was imported for. A root of the servers says
/// nothing about persons.
#[derive(Debug, Clone, Default)]
pub struct Anchors {
    by_purpose: HashMap<Purpose, Vec<Certificate>>,
}

impl Anchors {
    /// Trusts `certificate` for `purpose`. Twice is once.
    pub fn add(&mut self, purpose: Purpose, certificate: Certificate) {
        let anchors = self.by_purpose.entry(purpose.anchored_as()).or_default();
        if !anchors.contains(&certificate) {
            anchors.push(certificate);
        }
    }

    /// The anchors of a purpose. [`Purpose::Any`] asks for any path at all and gets all of them.
    pub fn of(&self, purpose: Purpose) -> Vec<&Certificate> {
        match purpose {
            Purpose::Any => {
                let mut all: Vec<&Certificate> = self.by_purpose.values().flatten().collect();
                all.sort_by_key(|certificate| certificate.fingerprint());
                all.dedup();
                all
            }
            _ => self.by_purpose.get(&purpose.anchored_as()).map(|list| list.iter().collect()).unwrap_or_default(),
        }
    }

    /// Every anchor with its purpose.
    pub fn iter(&self) -> impl Iterator<Item = (Purpose, &Certificate)> {
        self.by_purpose.iter().flat_map(|(purpose, list)| list.iter().map(|certificate| (*purpose, certificate)))
    }

    /// The anchor with this fingerprint.
    pub fn find(&self, fingerprint: &Fingerprint) -> Option<&Certificate> {
        self.by_purpose.values().flatten().find(|certificate| certificate.fingerprint() == *fingerprint)
    }
}
