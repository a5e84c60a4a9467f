//! What is known about revocation: lists and answers, found by who they speak about.

use std::{collections::HashMap, sync::Arc};

use crate::{
    certificate::Certificate,
    crl::{RevocationList, Scope, compare_numbers},
    name::Name,
    ocsp::OcspAnswer,
};

/// Lists of one issuer, key and scope, newest first.
#[derive(Debug, Clone)]
pub(crate) struct Series {
    lists: Vec<Arc<RevocationList>>,
}

impl Series {
    fn holds(&self, list: &RevocationList) -> bool {
        self.lists.first().is_some_and(|other| other.same_series(list))
    }
}

/// One immutable set of facts. Cloning copies references only.
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts {
    by_issuer: HashMap<Name, Vec<Series>>,
    by_serial: HashMap<Vec<u8>, Vec<Arc<OcspAnswer>>>,
}

impl Facts {
    pub(crate) fn add_list(&mut self, list: Arc<RevocationList>) {
        let all = self.by_issuer.entry(list.issuer().clone()).or_default();
        match all.iter_mut().find(|series| series.holds(&list)) {
            Some(series) => {
                series.lists.push(list);
                series.lists.sort_by(|a, b| newest_first(a, b));
            }
            None => all.push(Series { lists: vec![list] }),
        }
    }

    /// Forgets the lists of the same series, then adds this one.
    pub(crate) fn replace_list(&mut self, list: Arc<RevocationList>) {
        for series in self.by_issuer.get_mut(list.issuer()).into_iter().flatten() {
            series.lists.retain(|other| !other.same_series(&list));
        }
        if let Some(all) = self.by_issuer.get_mut(list.issuer()) {
            all.retain(|series| !series.lists.is_empty());
        }
        self.add_list(list);
    }

    /// The newest list of the same series.
    pub(crate) fn current(&self, list: &RevocationList) -> Option<&Arc<RevocationList>> {
        self.series(list.issuer()).iter().find(|series| series.holds(list))?.lists.first()
    }

    pub(crate) fn lists(&self) -> impl Iterator<Item = &Arc<RevocationList>> {
        self.by_issuer.values().flatten().flat_map(|series| &series.lists)
    }

    fn series(&self, issuer: &Name) -> &[Series] {
        self.by_issuer.get(issuer).map(Vec::as_slice).unwrap_or_default()
    }

    pub(crate) fn add_answer(&mut self, answer: Arc<OcspAnswer>) {
        let mut serials: Vec<&[u8]> = answer.singles().iter().map(|single| single.id.serial()).collect();
        serials.sort_unstable();
        serials.dedup();
        for serial in serials {
            self.by_serial.entry(serial.to_vec()).or_default().push(Arc::clone(&answer));
        }
    }

    /// Forgets what is held about one certificate, then keeps this answer about it alone.
    pub(crate) fn replace_answer(&mut self, answer: Arc<OcspAnswer>, certificate: &Certificate, issuer: &Certificate) {
        let held = self.by_serial.entry(certificate.serial().to_vec()).or_default();
        held.retain(|other| other.about(certificate, issuer).is_none());
        held.push(answer);
    }

    /// The answers that speak about one certificate.
    pub(crate) fn answers<'a>(
        &'a self,
        certificate: &'a Certificate,
        issuer: &'a Certificate,
    ) -> impl Iterator<Item = &'a Arc<OcspAnswer>> {
        let held = self.by_serial.get(certificate.serial()).map(Vec::as_slice).unwrap_or_default();
        held.iter().filter(move |answer| answer.about(certificate, issuer).is_some())
    }

    pub(crate) fn all_answers(&self) -> impl Iterator<Item = &Arc<OcspAnswer>> {
        self.by_serial.values().flatten()
    }

    pub(crate) fn retain_answers(&mut self, keep: impl Fn(&OcspAnswer) -> bool) {
        self.by_serial.retain(|_, held| {
            held.retain(|answer| keep(answer));
            !held.is_empty()
        });
    }
}

/// The lists of one series in all sets, newest first; never empty.
pub(super) struct Group<'a> {
    pub(super) lists: Vec<&'a Arc<RevocationList>>,
}

impl Group<'_> {
    pub(super) fn scope(&self) -> Option<&Scope> {
        self.lists.first().map(|list| list.scope())
    }

    pub(super) fn is_delta(&self) -> bool {
        self.lists.first().is_some_and(|list| list.is_delta())
    }
}

/// What one decision looks at: the facts that a validator was built with, and those of a store.
#[derive(Debug, Default)]
pub(crate) struct Known {
    pub(crate) own: Arc<Facts>,
    pub(crate) shared: Option<Arc<Facts>>,
    /// What the peer showed.
    pub(crate) stapled: Option<Arc<OcspAnswer>>,
}

impl Known {
    fn sets(&self) -> impl Iterator<Item = &Facts> {
        std::iter::once(self.own.as_ref()).chain(self.shared.as_deref())
    }

    pub(super) fn groups(&self, issuer: &Name) -> Vec<Group<'_>> {
        let mut groups: Vec<Group<'_>> = Vec::new();
        for series in self.sets().flat_map(|set| set.series(issuer)) {
            let Some(first) = series.lists.first() else { continue };
            let same = |group: &&mut Group<'_>| group.lists.first().is_some_and(|other| other.same_series(first));
            match groups.iter_mut().find(same) {
                Some(group) => {
                    group.lists.extend(&series.lists);
                    group.lists.sort_by(|a, b| newest_first(a, b));
                }
                None => groups.push(Group { lists: series.lists.iter().collect() }),
            }
        }
        groups
    }

    pub(super) fn answers<'a>(
        &'a self,
        certificate: &'a Certificate,
        issuer: &'a Certificate,
    ) -> impl Iterator<Item = &'a Arc<OcspAnswer>> {
        let stapled = self.stapled.iter().filter(|answer| answer.about(certificate, issuer).is_some());
        self.sets().flat_map(move |set| set.answers(certificate, issuer)).chain(stapled)
    }
}

fn newest_first(a: &RevocationList, b: &RevocationList) -> std::cmp::Ordering {
    compare_numbers(b.number(), a.number()).then(b.this_update().cmp(&a.this_update()))
}
