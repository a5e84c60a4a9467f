//! Pinned roots by purpose. The system's store is never asked.

use std::collections::HashMap;

use ident::Fingerprint;

use crate::{certificate::Certificate, path::Purpose};

/// Trust anchors, each for the purposes that it was imported for. A root of the servers says
/// nothing about persons.
#[derive(Debug, Clone, Default)]
pub struct Anchors {
    by_purpose: HashMap<Purpose, Vec<Certificate>>,
    /// Under these anchors, only these authorities issue certificates of the purpose.
    issuers: HashMap<(Purpose, Fingerprint), Vec<Certificate>>,
}

impl Anchors {
    /// Trusts `certificate` for `purpose`. Twice is once.
    pub fn add(&mut self, purpose: Purpose, certificate: Certificate) {
        let anchors = self.by_purpose.entry(purpose.anchored_as()).or_default();
        if !anchors.contains(&certificate) {
            anchors.push(certificate);
        }
    }

    /// Trusts `certificate` for `purpose`, but only through one of `issuers` as the authority that signs
    /// the holder's certificate.
    pub fn add_with_issuers(&mut self, purpose: Purpose, certificate: Certificate, issuers: Vec<Certificate>) {
        let key = (purpose.anchored_as(), certificate.fingerprint());
        self.issuers.entry(key).or_default().extend(issuers);
        self.add(purpose, certificate);
    }

    /// Whether `issuer` may sign holders' certificates of this purpose under `anchor`. An authority is its
    /// name and its key, so a renewed or cross-signed certificate of it is the same authority.
    pub(crate) fn may_issue(&self, purpose: Purpose, anchor: &Certificate, issuer: &Certificate) -> bool {
        let same = |known: &Certificate| {
            known.subject() == issuer.subject() && known.key_fingerprint() == issuer.key_fingerprint()
        };
        let pinned = self.issuers.get(&(purpose.anchored_as(), anchor.fingerprint()));
        pinned.is_none_or(|pinned| pinned.iter().any(same))
    }

    /// An anchor that vouches for persons and for something else, with nothing that says which of its
    /// authorities issues what: then an authority for servers could write a doctor's certificate.
    pub(crate) fn undivided(&self) -> Option<&Certificate> {
        let open = |purpose: Purpose, anchor: &Certificate| {
            self.issuers.get(&(purpose, anchor.fingerprint())).is_none_or(Vec::is_empty)
        };
        let same =
            |a: &Certificate, b: &Certificate| a.subject() == b.subject() && a.key_fingerprint() == b.key_fingerprint();
        let persons = self.by_purpose.get(&Purpose::Person).map(Vec::as_slice).unwrap_or_default();
        self.iter()
            .filter(|(purpose, _)| !matches!(purpose, Purpose::Person | Purpose::Any))
            .flat_map(|(purpose, anchor)| persons.iter().map(move |person| (purpose, anchor, person)))
            .find(|(purpose, anchor, person)| {
                same(anchor, person) && (open(*purpose, anchor) || open(Purpose::Person, person))
            })
            .map(|(_, anchor, _)| anchor)
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
