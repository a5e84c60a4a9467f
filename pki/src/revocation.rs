//! Our own revocation decision (RFC 5280 §6.3), with the time as a parameter.
//!
//! One engine answers for every certificate of every path: complete lists, lists by distribution
//! point, by kind of certificate and by reason, indirect lists, deltas, lists signed with another
//! key of the same authority. A list past its date still revokes; it only stops to acquit.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use ident::{Fingerprint, Timestamp};

use crate::{
    certificate::{Certificate, KeyUsage},
    crl::{Listed, REMOVE_FROM_CRL, RevocationList, Scope, compare_numbers},
    der_reader::Reader,
    extension::{DistributionPoint, PointName},
    name::Name,
};

/// How far another machine's clock may be ahead of ours (pki reference §4.2).
const SKEW: Duration = Duration::from_secs(300);
/// All reason flags, bits 1 to 8 (RFC 5280 §4.2.1.13).
const ALL_REASONS: u16 = 0x1fe;
/// Certificates that are tried as the signer of one list.
const MAX_SIGNERS: usize = 64;
/// How many authorities of lists may stand behind each other.
const MAX_NESTING: usize = 6;

/// Lists of one issuer and scope, newest first.
#[derive(Debug)]
struct Series {
    lists: Vec<Arc<RevocationList>>,
}

impl Series {
    fn scope(&self) -> Option<&Scope> {
        self.lists.first().map(|list| list.scope())
    }

    fn is_delta(&self) -> bool {
        self.lists.first().is_some_and(|list| list.is_delta())
    }
}

/// All lists that a validator holds.
#[derive(Debug, Default)]
pub(crate) struct Lists {
    by_issuer: HashMap<Name, Vec<Series>>,
}

impl Lists {
    pub(crate) fn add(&mut self, list: Arc<RevocationList>) {
        let all = self.by_issuer.entry(list.issuer().clone()).or_default();
        let matching = all.iter_mut().find(|series| series.lists.first().is_some_and(|other| other.same_series(&list)));
        match matching {
            Some(series) => {
                series.lists.push(list);
                series.lists.sort_by(|a, b| {
                    compare_numbers(b.number(), a.number()).then(b.this_update().cmp(&a.this_update()))
                });
            }
            None => all.push(Series { lists: vec![list] }),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<RevocationList>> {
        self.by_issuer.values().flatten().flat_map(|series| &series.lists)
    }

    fn of(&self, issuer: &Name) -> &[Series] {
        self.by_issuer.get(issuer).map(Vec::as_slice).unwrap_or_default()
    }
}

/// What is known about one certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    /// Not listed; `stale` if a list past its date, within the grace, had to help.
    Good {
        stale: bool,
    },
    Revoked,
    /// Not listed, but only by lists past their date and the grace.
    Stale,
    /// No usable list covers it.
    Missing,
}

/// Where the engine finds other certificates: whoever builds paths.
pub(crate) trait Surroundings {
    /// Certificates with this subject, anchors included.
    fn named(&self, subject: &Name) -> Vec<Certificate>;
    /// A path from `certificate` to `anchor`, otherwise valid.
    fn path_to(&self, certificate: &Certificate, anchor: &Certificate) -> Option<Vec<Certificate>>;
}

/// One decision in progress.
pub(crate) struct Judge<'a> {
    pub(crate) lists: &'a Lists,
    pub(crate) surroundings: &'a dyn Surroundings,
    pub(crate) at: Timestamp,
    pub(crate) grace: Duration,
    /// Lists signed below the algorithm floor do not count.
    pub(crate) floor: bool,
    /// Authorities of lists being judged: see [`Judge::trusts`].
    pub(crate) in_progress: Vec<Fingerprint>,
    pub(crate) known: HashMap<Fingerprint, bool>,
}

impl<'a> Judge<'a> {
    pub(crate) fn new(
        lists: &'a Lists,
        surroundings: &'a dyn Surroundings,
        at: Timestamp,
        grace: Duration,
        floor: bool,
    ) -> Self {
        Self { lists, surroundings, at, grace, floor, in_progress: Vec::new(), known: HashMap::new() }
    }

    /// The worst status on a path, from the top down, and the certificate concerned. The last
    /// certificate is the anchor, which nobody revokes.
    pub(crate) fn judge(&mut self, path: &[Certificate]) -> (Status, Option<Certificate>) {
        let mut worst = (Status::Good { stale: false }, None);
        let Some((anchor, _)) = path.split_last() else { return worst };
        for pair in path.windows(2).rev() {
            let [certificate, issuer] = pair else { continue };
            let status = self.status(certificate, issuer, anchor);
            if severity(status) > severity(worst.0) {
                worst = (status, Some(certificate.clone()));
            }
        }
        worst
    }

    fn status(&mut self, certificate: &Certificate, issuer: &Certificate, anchor: &Certificate) -> Status {
        let lists = self.lists;
        let mut coverage = Coverage::default();
        // The last one stands for lists that no distribution point names (RFC 5280 §6.3.3, end).
        let implied = DistributionPoint::default();
        let points = &certificate.extensions().distribution_points;
        for (point, is_implied) in points.iter().map(|point| (point, false)).chain([(&implied, true)]) {
            let own_name = std::slice::from_ref(certificate.issuer());
            let issuers = if point.issuers.is_empty() { own_name } else { point.issuers.as_slice() };
            for name in issuers {
                for series in lists.of(name).iter().filter(|series| !series.is_delta()) {
                    let Some(scope) = series.scope() else { continue };
                    if !covers(scope, name, certificate, point, is_implied) {
                        continue;
                    }
                    let mask = point.reasons.unwrap_or(ALL_REASONS) & scope.reasons.unwrap_or(ALL_REASONS);
                    match self.ask(series, lists.of(name), certificate, issuer, anchor) {
                        Answer::Revoked => return Status::Revoked,
                        Answer::NotListed(age) => coverage.add(mask & ALL_REASONS, age),
                        Answer::Nothing => {}
                    }
                }
            }
        }
        coverage.status()
    }

    /// Asks the newest usable list of a series, with its newest delta.
    fn ask(
        &mut self,
        series: &Series,
        siblings: &[Series],
        certificate: &Certificate,
        issuer: &Certificate,
        anchor: &Certificate,
    ) -> Answer {
        for list in &series.lists {
            if !self.usable(list, issuer, anchor) {
                continue;
            }
            let listed = list.find(certificate.issuer(), certificate.serial());
            if list.this_update() > self.at.plus(SKEW) {
                // From the future: it cannot acquit, but a revocation that was in force stays one.
                if listed.is_some_and(|entry| entry.since <= self.at) {
                    return Answer::Revoked;
                }
                continue;
            }
            let delta = self.delta_of(list, siblings, issuer, anchor);
            let age = delta.as_ref().map_or(self.age(list), |delta| self.age(delta).min(self.age(list)));
            let changed = delta.as_ref().and_then(|delta| {
                // A delta past its date can add, never take away.
                delta
                    .find(certificate.issuer(), certificate.serial())
                    .filter(|entry| entry.reason != REMOVE_FROM_CRL || self.age(delta) != Age::Stale)
            });
            return match changed.or(listed) {
                Some(Listed { reason: REMOVE_FROM_CRL, .. }) | None => Answer::NotListed(age),
                Some(_) => Answer::Revoked,
            };
        }
        Answer::Nothing
    }

    /// The newest delta that applies to `list` (RFC 5280 §5.2.4).
    fn delta_of<'s>(
        &mut self,
        list: &RevocationList,
        siblings: &'s [Series],
        issuer: &Certificate,
        anchor: &Certificate,
    ) -> Option<&'s Arc<RevocationList>> {
        let series = siblings.iter().find(|series| series.is_delta() && series.scope() == Some(list.scope()))?;
        series.lists.iter().find(|delta| {
            let follows = delta.base().is_some_and(|base| compare_numbers(base, list.number()).is_le())
                && compare_numbers(delta.number(), list.number()).is_ge();
            follows
                && delta.this_update() <= self.at.plus(SKEW)
                && delta.authority_key_id() == list.authority_key_id()
                && self.usable(delta, issuer, anchor)
        })
    }

    fn usable(&mut self, list: &RevocationList, issuer: &Certificate, anchor: &Certificate) -> bool {
        !list.has_unknown_critical()
            && (!self.floor || list.strongly_signed())
            && self.signed_by_authority(list, issuer, anchor)
    }

    /// Whether a list is signed by who it says: the issuer on the path, or another certificate of that
    /// name that leads to the same anchor.
    fn signed_by_authority(&mut self, list: &RevocationList, issuer: &Certificate, anchor: &Certificate) -> bool {
        if issuer.subject() == list.issuer() && may_sign_lists(issuer) && list.signed_by(issuer) {
            return true;
        }
        let mut seen = HashSet::new();
        // Configured certificates come first, so a crowd of look-alikes only hides itself.
        self.surroundings.named(list.issuer()).into_iter().take(MAX_SIGNERS).any(|other| {
            seen.insert(other.fingerprint())
                && may_sign_lists(&other)
                && list.signed_by(&other)
                && self.trusts(&other, anchor)
        })
    }

    /// Whether a signer of lists outside the path is itself valid under the same anchor and not
    /// revoked. A signer whose own status stands on a list that it signs is trusted as far as that
    /// list lets it: it is in progress when its turn comes again (PKITS 4.14.30).
    fn trusts(&mut self, signer: &Certificate, anchor: &Certificate) -> bool {
        let id = signer.fingerprint();
        if signer == anchor || self.in_progress.contains(&id) {
            return true;
        }
        if let Some(known) = self.known.get(&id) {
            return *known;
        }
        if self.in_progress.len() >= MAX_NESTING {
            return false;
        }
        self.in_progress.push(id);
        let surroundings = self.surroundings;
        let good = surroundings
            .path_to(signer, anchor)
            .is_some_and(|path| matches!(self.judge(&path), (Status::Good { .. }, _)));
        self.in_progress.pop();
        // An answer that leaned on an unfinished one may not outlive it.
        if self.in_progress.is_empty() {
            self.known.insert(id, good);
        }
        good
    }

    fn age(&self, list: &RevocationList) -> Age {
        if list.next_update() >= self.at {
            Age::Fresh
        } else if list.next_update().plus(self.grace) >= self.at {
            Age::Grace
        } else {
            Age::Stale
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Age {
    Fresh,
    Grace,
    Stale,
}

enum Answer {
    Revoked,
    NotListed(Age),
    Nothing,
}

/// Which reasons are covered by lists of which age.
#[derive(Default)]
struct Coverage {
    fresh: u16,
    grace: u16,
    stale: u16,
}

impl Coverage {
    fn add(&mut self, mask: u16, age: Age) {
        match age {
            Age::Fresh => self.fresh |= mask,
            Age::Grace => self.grace |= mask,
            Age::Stale => self.stale |= mask,
        }
    }

    fn status(&self) -> Status {
        let within = self.fresh | self.grace;
        if self.fresh == ALL_REASONS {
            Status::Good { stale: false }
        } else if within == ALL_REASONS {
            Status::Good { stale: true }
        } else if within | self.stale == ALL_REASONS {
            Status::Stale
        } else {
            Status::Missing
        }
    }
}

fn severity(status: Status) -> u8 {
    match status {
        Status::Good { stale: false } => 0,
        Status::Good { stale: true } => 1,
        Status::Stale => 2,
        Status::Missing => 3,
        Status::Revoked => 4,
    }
}

fn may_sign_lists(certificate: &Certificate) -> bool {
    certificate.key_usage().is_none_or(|usage| usage.has(KeyUsage::CRL_SIGN))
}

/// Whether a list of this scope and issuer speaks about the certificate through this point
/// (RFC 5280 §6.3.3 (b)).
fn covers(
    scope: &Scope,
    list_issuer: &Name,
    certificate: &Certificate,
    point: &DistributionPoint,
    is_implied: bool,
) -> bool {
    let other_kind = if certificate.is_authority() { scope.only_users } else { scope.only_authorities };
    let kind_fits = !scope.only_attributes && !other_kind;
    let foreign = list_issuer != certificate.issuer();
    if !kind_fits || (foreign && !scope.indirect) {
        return false;
    }
    let Some(list_point) = &scope.point else { return true };
    let here = general_names(list_point, list_issuer);
    let there = match &point.name {
        Some(name) => general_names(name, point.issuers.first().unwrap_or(certificate.issuer())),
        None if is_implied => vec![GeneralName::Directory(certificate.issuer().clone())],
        None => point.issuers.iter().cloned().map(GeneralName::Directory).collect(),
    };
    here.iter().any(|name| there.contains(name))
}

#[derive(PartialEq, Eq)]
enum GeneralName {
    Directory(Name),
    Other(Vec<u8>),
}

/// The names of a point, a relative one made absolute.
fn general_names(point: &PointName, base: &Name) -> Vec<GeneralName> {
    match point {
        PointName::Full(names) => names.iter().map(|name| general_name(name)).collect(),
        PointName::Relative(rdn) => base.extended(rdn).map(GeneralName::Directory).into_iter().collect(),
    }
}

fn general_name(encoded: &[u8]) -> GeneralName {
    const DIRECTORY_NAME: u8 = 0xa0 | 4;
    let name = Reader::only(encoded, DIRECTORY_NAME).and_then(|element| Name::read(element.value));
    name.map_or_else(|_| GeneralName::Other(encoded.to_vec()), GeneralName::Directory)
}

#[cfg(test)]
pub(crate) mod tests;
