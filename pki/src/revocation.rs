//! Our own revocation decision (RFC 5280 §6.3), with the time as a parameter.
//!
//! One engine answers for every certificate of every path: complete lists, lists by distribution
//! point, by kind of certificate and by reason, indirect lists, deltas, lists signed with another
//! key of the same authority, and OCSP answers. A list past its date still revokes; it only stops to
//! acquit. Where two sources disagree, the one that revokes is believed, and the disagreement is told.

mod evidence;
mod facts;

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
    ocsp::{
        OcspAnswer, OcspStatus,
        responder::{self, Responder},
    },
};
pub(crate) use evidence::detail;
pub use evidence::{Evidence, EvidenceSource, Said};
use facts::Group;
pub(crate) use facts::{Facts, Known};

/// How far another machine's clock may be ahead of ours (pki reference §4.2).
pub(crate) const SKEW: Duration = Duration::from_secs(300);
/// All reason flags, bits 1 to 8 (RFC 5280 §4.2.1.13).
const ALL_REASONS: u16 = 0x1fe;
/// Certificates that are tried as the signer of one list.
const MAX_SIGNERS: usize = 64;
/// How many authorities of lists may stand behind each other.
const MAX_NESTING: usize = 6;

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
    /// No usable list or answer covers it.
    Missing,
    /// Nothing covers it, and the authority's responder says that it does not know it.
    Unknown,
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
    pub(crate) known_facts: &'a Known,
    pub(crate) surroundings: &'a dyn Surroundings,
    pub(crate) at: Timestamp,
    pub(crate) grace: Duration,
    /// Lists signed below the algorithm floor do not count.
    pub(crate) floor: bool,
    /// Authorities of lists being judged: see [`Judge::trusts`].
    pub(crate) in_progress: Vec<Fingerprint>,
    pub(crate) known: HashMap<Fingerprint, bool>,
    /// What decided about the certificates of the path, for the record.
    pub(crate) evidence: Vec<Evidence>,
}

impl<'a> Judge<'a> {
    pub(crate) fn new(
        known_facts: &'a Known,
        surroundings: &'a dyn Surroundings,
        at: Timestamp,
        grace: Duration,
        floor: bool,
    ) -> Self {
        Self {
            known_facts,
            surroundings,
            at,
            grace,
            floor,
            in_progress: Vec::new(),
            known: HashMap::new(),
            evidence: Vec::new(),
        }
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

    /// What lists and answers say together. Whoever revokes is believed over everybody else.
    fn status(&mut self, certificate: &Certificate, issuer: &Certificate, anchor: &Certificate) -> Status {
        let mut coverage = Coverage::default();
        self.ask_lists(certificate, issuer, anchor, &mut coverage);
        self.ask_answers(certificate, issuer, anchor, &mut coverage);
        coverage.status()
    }

    fn ask_lists(
        &mut self,
        certificate: &Certificate,
        issuer: &Certificate,
        anchor: &Certificate,
        coverage: &mut Coverage,
    ) {
        let facts = self.known_facts;
        // The last one stands for lists that no distribution point names (RFC 5280 §6.3.3, end).
        let implied = DistributionPoint::default();
        let points = &certificate.extensions().distribution_points;
        for (point, is_implied) in points.iter().map(|point| (point, false)).chain([(&implied, true)]) {
            let own_name = std::slice::from_ref(certificate.issuer());
            let issuers = if point.issuers.is_empty() { own_name } else { point.issuers.as_slice() };
            for name in issuers {
                let groups = facts.groups(name);
                for group in groups.iter().filter(|group| !group.is_delta()) {
                    let Some(scope) = group.scope() else { continue };
                    if !covers(scope, name, certificate, point, is_implied) {
                        continue;
                    }
                    let mask = point.reasons.unwrap_or(ALL_REASONS) & scope.reasons.unwrap_or(ALL_REASONS);
                    match self.ask(group, &groups, certificate, issuer, anchor) {
                        Answer::Revoked => {
                            coverage.revoked = true;
                            return;
                        }
                        Answer::NotListed(age) => coverage.add(mask & ALL_REASONS, age),
                        Answer::Nothing => {}
                    }
                }
            }
        }
    }

    /// Asks the newest answer about the certificate; one that revokes for good counts at any age, as
    /// nobody can take it back.
    fn ask_answers(
        &mut self,
        certificate: &Certificate,
        issuer: &Certificate,
        anchor: &Certificate,
        coverage: &mut Coverage,
    ) {
        let facts = self.known_facts;
        let mut answers: Vec<&Arc<OcspAnswer>> = facts.answers(certificate, issuer).collect();
        let date = |answer: &OcspAnswer| answer.about(certificate, issuer).map(|single| single.this_update);
        answers.sort_by_key(|answer| std::cmp::Reverse(date(answer)));
        let mut newest: Option<(Timestamp, OcspStatus, Age)> = None;
        for answer in answers {
            let Some(single) = answer.about(certificate, issuer) else { continue };
            // Only what may still change the verdict is worth its signature.
            let decided = newest.is_some_and(|(date, ..)| date > single.this_update);
            if (decided && !single.status.is_permanent()) || !self.authentic(answer, issuer, anchor) {
                continue;
            }
            if single.this_update.max(answer.produced_at()) > self.at.plus(SKEW) {
                // From the future: as with a list, it can only revoke.
                coverage.revoked |= matches!(single.status, OcspStatus::Revoked { since, .. } if since <= self.at);
                continue;
            }
            let age = self.age_until(single.until());
            self.note(Evidence::of_answer(certificate, answer, single, age != Age::Fresh));
            coverage.revoked |= single.status.is_permanent();
            // Of two of the same moment, the worse.
            let worse = newest.is_none_or(|(_, status, _)| single.status.is_worse_than(status));
            if !decided && worse {
                newest = Some((single.this_update, single.status, age));
            }
        }
        match newest {
            Some((_, OcspStatus::Good, age)) => coverage.add(ALL_REASONS, age),
            Some((_, OcspStatus::Revoked { .. }, _)) => coverage.revoked = true,
            Some((_, OcspStatus::Unknown, _)) => coverage.unknown = true,
            None => {}
        }
    }

    /// Whether the authority, or a responder that it named and has not revoked, signed the answer.
    fn authentic(&mut self, answer: &OcspAnswer, issuer: &Certificate, anchor: &Certificate) -> bool {
        let surroundings = self.surroundings;
        let more = || responder::name_of(answer).map(|name| surroundings.named(name)).unwrap_or_default();
        match responder::of(answer, issuer, more, self.at, self.floor) {
            None => false,
            Some(Responder::Authority) => true,
            Some(Responder::Delegate(delegate)) => self.delegate_in_force(&delegate, issuer, anchor),
        }
    }

    /// The status of a responder stands in lists only: asking it about itself proves nothing. With
    /// `ocsp-nocheck` (RFC 6960 §4.2.2.2.1) no list is needed, but one that revokes it is heard.
    fn delegate_in_force(&mut self, delegate: &Certificate, issuer: &Certificate, anchor: &Certificate) -> bool {
        if self.in_progress.len() >= MAX_NESTING || self.in_progress.contains(&delegate.fingerprint()) {
            return false;
        }
        self.in_progress.push(delegate.fingerprint());
        let told = std::mem::take(&mut self.evidence);
        let mut coverage = Coverage::default();
        self.ask_lists(delegate, issuer, anchor, &mut coverage);
        self.evidence = told;
        self.in_progress.pop();
        match coverage.status() {
            Status::Revoked => false,
            Status::Good { .. } => true,
            Status::Stale | Status::Missing | Status::Unknown => delegate.extensions().unchecked_responder,
        }
    }

    /// Asks the newest usable list of a series, with its newest delta.
    fn ask(
        &mut self,
        group: &Group<'_>,
        siblings: &[Group<'_>],
        certificate: &Certificate,
        issuer: &Certificate,
        anchor: &Certificate,
    ) -> Answer {
        for list in group.lists.iter().copied() {
            if !self.usable(list, issuer, anchor) {
                continue;
            }
            let listed = list.find(certificate.issuer(), certificate.serial());
            if list.this_update() > self.at.plus(SKEW) {
                // From the future: it cannot acquit, but a revocation that was in force stays one.
                if let Some(entry) = listed.filter(|entry| entry.since <= self.at) {
                    self.note(Evidence::of_list(certificate, list, Some(entry), false));
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
            let entry = changed.or(listed).filter(|entry| entry.reason != REMOVE_FROM_CRL);
            let source = match (delta, changed) {
                (Some(delta), Some(_)) => delta,
                _ => list,
            };
            self.note(Evidence::of_list(certificate, source, entry, age != Age::Fresh));
            return entry.map_or(Answer::NotListed(age), |_: Listed| Answer::Revoked);
        }
        Answer::Nothing
    }

    /// A list that several distribution points lead to is one fact.
    fn note(&mut self, fact: Evidence) {
        if !self.evidence.contains(&fact) {
            self.evidence.push(fact);
        }
    }

    /// The newest delta that applies to `list` (RFC 5280 §5.2.4).
    fn delta_of<'s>(
        &mut self,
        list: &RevocationList,
        siblings: &'s [Group<'s>],
        issuer: &Certificate,
        anchor: &Certificate,
    ) -> Option<&'s Arc<RevocationList>> {
        let of_its_key = |delta: &RevocationList| delta.authority_key_id() == list.authority_key_id();
        let series = siblings.iter().find(|series| {
            series.is_delta()
                && series.scope() == Some(list.scope())
                && series.lists.first().is_some_and(|delta| of_its_key(delta))
        })?;
        series.lists.iter().copied().find(|delta| {
            let follows = delta.base().is_some_and(|base| compare_numbers(base, list.number()).is_le())
                && compare_numbers(delta.number(), list.number()).is_ge();
            follows && delta.this_update() <= self.at.plus(SKEW) && self.usable(delta, issuer, anchor)
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
        let told = std::mem::take(&mut self.evidence);
        let good = surroundings
            .path_to(signer, anchor)
            .is_some_and(|path| matches!(self.judge(&path), (Status::Good { .. }, _)));
        self.evidence = told;
        self.in_progress.pop();
        // An answer that leaned on an unfinished one may not outlive it.
        if self.in_progress.is_empty() {
            self.known.insert(id, good);
        }
        good
    }

    fn age(&self, list: &RevocationList) -> Age {
        self.age_until(list.next_update())
    }

    fn age_until(&self, end: Timestamp) -> Age {
        if end >= self.at {
            Age::Fresh
        } else if end.plus(self.grace) >= self.at {
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

/// Which reasons are covered by lists and answers of which age.
#[derive(Default)]
struct Coverage {
    revoked: bool,
    /// A responder does not know the certificate.
    unknown: bool,
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
        if self.revoked {
            Status::Revoked
        } else if self.fresh == ALL_REASONS {
            Status::Good { stale: false }
        } else if within == ALL_REASONS {
            Status::Good { stale: true }
        } else if self.unknown {
            Status::Unknown
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
        Status::Unknown => 4,
        Status::Revoked => 5,
    }
}

pub(crate) fn may_sign_lists(certificate: &Certificate) -> bool {
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
