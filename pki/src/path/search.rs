//! Building candidate chains, within a budget.
//!
//! OpenSSL builds one chain and does not go back; with cross-signed or look-alike authorities it can
//! miss a good one. So we enumerate chains from the leaf upwards and let OpenSSL verify each of them
//! alone. The budget makes sure that thousands of look-alikes end with a verdict (design §4).

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    sync::Arc,
};

use ident::Timestamp;

use super::{
    PolicySettings, Purpose, RevocationMode, ValidPath, Validator, Verdict,
    chain::{self, MAX_CHAIN},
    checks,
};
use crate::{
    algorithm::strong_key,
    certificate::{Certificate, KeyKind},
    finding::{Finding, Reason},
    name::Name,
    ocsp::OcspAnswer,
    revocation::{self, Judge, Known, Status, Surroundings},
};

/// Work that one search may spend on checking signatures to tell look-alikes apart: 512 signatures of
/// usual keys, see [`cost`].
const MAX_WORK: usize = 512 * USUAL;
/// Cost of checking one signature with a usual key (RSA-2048, or a curve).
const USUAL: usize = 4;
/// Steps upwards that one search may take: a dozen authorities that certify each other have millions
/// of ways, with each signature checked only once.
const MAX_STEPS: usize = 4096;
/// Certificates that one search may look at as possible issuers: thousands of the same name and key
/// identifier cost something even when no signature is checked.
const MAX_CANDIDATES: usize = 1 << 16;
/// Chains that one search may hand to OpenSSL.
const MAX_CHAINS: usize = 48;

/// What one search has cost, in operations: the same on every machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Effort {
    /// Signatures checked, in usual ones (RSA-2048, a curve); longer keys count for more.
    pub signatures: usize,
    /// Steps from a certificate up to its issuers.
    pub steps: usize,
    /// Certificates looked at as possible issuers.
    pub candidates: usize,
    /// Complete chains handed to OpenSSL.
    pub chains: usize,
}

impl Effort {
    /// The most that any search may cost.
    pub const MOST: Self =
        Self { signatures: MAX_WORK / USUAL, steps: MAX_STEPS, candidates: MAX_CANDIDATES, chains: MAX_CHAINS };
}

/// One search: what is known and how much of the budget is used.
pub(super) struct Search<'a> {
    validator: &'a Validator,
    untrusted: HashMap<&'a Name, Vec<&'a Certificate>>,
    /// What is known about revocation at this moment; `None` if it is not to be judged.
    known: Option<Known>,
    purpose: Purpose,
    at: Timestamp,
    work: Cell<usize>,
    chains: Cell<usize>,
    steps: Cell<usize>,
    candidates: Cell<usize>,
    /// Whether a signature was not checked because of its cost.
    overspent: Cell<bool>,
    /// Whether a chain went on where we stopped.
    too_long: Cell<bool>,
    /// Answers to "did this key sign that certificate?", so that no signature is checked twice.
    checked: RefCell<HashMap<(ident::Fingerprint, ident::Fingerprint), bool>>,
}

/// The best reason so far why no chain is valid: the later the stage, the better it explains.
struct Best {
    stage: u8,
    verdict: Verdict,
}

impl<'a> Search<'a> {
    pub(super) fn new(validator: &'a Validator, untrusted: &'a [Certificate], purpose: Purpose, at: Timestamp) -> Self {
        let mut by_name: HashMap<&Name, Vec<&Certificate>> = HashMap::new();
        for certificate in untrusted {
            by_name.entry(certificate.subject()).or_default().push(certificate);
        }
        let judged = matches!(validator.mode(), RevocationMode::Required { .. });
        Self {
            validator,
            untrusted: by_name,
            known: judged.then(|| validator.known()),
            purpose,
            at,
            work: Cell::new(MAX_WORK),
            chains: Cell::new(MAX_CHAINS),
            steps: Cell::new(MAX_STEPS),
            candidates: Cell::new(MAX_CANDIDATES),
            overspent: Cell::new(false),
            too_long: Cell::new(false),
            checked: RefCell::default(),
        }
    }

    /// For a path whatever its status.
    pub(super) fn without_revocation(self) -> Self {
        Self { known: None, ..self }
    }

    /// With an answer that the peer showed.
    pub(super) fn with_stapled(mut self, answer: Arc<OcspAnswer>) -> Self {
        if let Some(known) = &mut self.known {
            known.stapled = Some(answer);
        }
        self
    }

    /// The verdict on `leaf`.
    pub(super) fn run(&self, leaf: &Certificate) -> Verdict {
        if let Err(reason) = checks::form(leaf) {
            return Verdict::Invalid(Finding::new(reason, Some(leaf)));
        }
        let anchors: Vec<Certificate> = self.validator.anchors().of(self.purpose).into_iter().cloned().collect();
        let mut best = None;
        let mut path = vec![leaf.clone()];
        if anchors.contains(leaf) {
            self.offer(&mut best, self.evaluate(&path));
        }
        self.extend(&mut path, &anchors, &mut |chain| {
            let answer = self.evaluate(chain);
            let done = matches!(answer.verdict, Verdict::Valid(_));
            self.offer(&mut best, answer);
            done
        });
        match best {
            Some(best) => best.verdict,
            None => Verdict::Invalid(Finding::new(self.no_chain(leaf), Some(leaf))),
        }
    }

    /// What it has cost so far.
    pub(super) fn effort(&self) -> Effort {
        let used = |most: usize, left: &Cell<usize>| most.saturating_sub(left.get());
        Effort {
            signatures: used(MAX_WORK, &self.work).div_ceil(USUAL),
            steps: used(MAX_STEPS, &self.steps),
            candidates: used(MAX_CANDIDATES, &self.candidates),
            chains: used(MAX_CHAINS, &self.chains),
        }
    }

    fn no_chain(&self, leaf: &Certificate) -> Reason {
        let used_up = [&self.chains, &self.steps, &self.candidates].iter().any(|budget| budget.get() == 0);
        if self.overspent.get() || used_up {
            return Reason::TooComplex;
        }
        if self.too_long.get() {
            return Reason::PathTooLong;
        }
        // Somebody of the issuer's name is known, but did not sign this.
        let namesake = !self.named(leaf.issuer()).is_empty() && !leaf.is_self_issued();
        let signed = self.named(leaf.issuer()).iter().any(|issuer| self.signed(leaf, issuer));
        if namesake && !signed { Reason::BadSignature } else { Reason::UnknownIssuer }
    }

    fn offer(&self, best: &mut Option<Best>, answer: Best) {
        if best.as_ref().is_none_or(|known| answer.stage > known.stage) {
            *best = Some(answer);
        }
    }

    /// Depth first: anchors before intermediates. `found` gets every complete chain and says
    /// whether to stop.
    fn extend(
        &self,
        path: &mut Vec<Certificate>,
        anchors: &[Certificate],
        found: &mut dyn FnMut(&[Certificate]) -> bool,
    ) -> bool {
        let Some(last) = path.last().cloned() else { return true };
        let Some(rest) = self.steps.get().checked_sub(1) else { return true };
        self.steps.set(rest);
        if path.len() >= MAX_CHAIN {
            self.too_long.set(true);
            return false;
        }
        for anchor in anchors.iter().filter(|anchor| anchor.subject() == last.issuer() && **anchor != last) {
            if !self.signed(&last, anchor) {
                continue;
            }
            let Some(rest) = self.chains.get().checked_sub(1) else { return true };
            self.chains.set(rest);
            path.push(anchor.clone());
            let stop = found(path);
            path.pop();
            if stop {
                return true;
            }
        }
        let issuers = self.issuers(&last);
        let Some(rest) = self.candidates.get().checked_sub(issuers.len()) else {
            self.candidates.set(0);
            return true;
        };
        self.candidates.set(rest);
        for issuer in issuers {
            let looped = path.iter().any(|known| known.subject() == issuer.subject() && same_key(known, issuer));
            // An anchor in the pool was the end of a chain already.
            if looped || anchors.contains(issuer) || !self.signed(&last, issuer) {
                continue;
            }
            path.push(issuer.clone());
            let stop = self.extend(path, anchors, found);
            path.pop();
            if stop {
                return true;
            }
        }
        false
    }

    /// Certificates that may have issued this one: the configured before those that came along, a
    /// matching key identifier before none, valid ones before others.
    fn issuers(&self, certificate: &Certificate) -> Vec<&'a Certificate> {
        let name = certificate.issuer();
        let own = self.validator.intermediates(name);
        let came = self.untrusted.get(name).map(Vec::as_slice).unwrap_or_default();
        let mut all: Vec<&Certificate> = own.iter().chain(came.iter().copied()).collect();
        all.sort_by_key(|candidate| {
            let other_key = match (certificate.authority_key_id(), candidate.subject_key_id()) {
                (Some(wanted), Some(found)) => wanted != found,
                _ => false,
            };
            (other_key, checks::dates(candidate, self.at).is_err())
        });
        all
    }

    /// Whether `issuer` signed `certificate`, if the budget still allows to find out.
    fn signed(&self, certificate: &Certificate, issuer: &Certificate) -> bool {
        let key = (certificate.fingerprint(), issuer.fingerprint());
        if let Some(known) = self.checked.borrow().get(&key) {
            return *known;
        }
        if self.validator.remembered().signed(&key) {
            return true;
        }
        // What our floor refuses anyway is not worth its cost: a stranger chose it.
        if self.purpose != Purpose::Any && !strong_key(issuer.key()) {
            return false;
        }
        let Some(rest) = self.work.get().checked_sub(cost(issuer.key())) else {
            self.overspent.set(true);
            return false;
        };
        self.work.set(rest);
        let answer = certificate.openssl().verify(issuer.public_key()).unwrap_or(false);
        if answer {
            self.validator.remembered().keep_signed(key);
        }
        self.checked.borrow_mut().insert(key, answer);
        answer
    }

    /// Judges one complete chain.
    fn evaluate(&self, chain: &[Certificate]) -> Best {
        let invalid =
            |stage, reason, at: usize| Best { stage, verdict: Verdict::Invalid(Finding::new(reason, chain.get(at))) };
        let last = chain.len().saturating_sub(1);
        for (position, certificate) in chain.iter().enumerate() {
            if let Err(reason) = checks::form(certificate) {
                return invalid(1, reason, position);
            }
        }
        if self.purpose != Purpose::Any
            && let Err((reason, position)) = self.floor(chain, last)
        {
            return invalid(2, reason, position);
        }
        // Dates from the top down: an expired authority explains more than an expired leaf.
        for (position, certificate) in chain.iter().enumerate().rev() {
            if let Err(reason) = checks::dates(certificate, self.at) {
                return invalid(3, reason, position);
            }
        }
        if let Err((reason, position)) = checks::mail_constraints(chain) {
            return invalid(4, reason, position);
        }
        let policies = match self.verified(chain) {
            Ok(policies) => policies,
            Err((reason, position)) => return invalid(4, reason, position),
        };
        self.revocation(chain, policies)
    }

    /// OpenSSL's word on the chain, remembered if it is good.
    fn verified(&self, chain: &[Certificate]) -> chain::Outcome {
        let explicit = self.explicit();
        let key = (explicit, chain.iter().map(Certificate::fingerprint).collect::<Vec<_>>());
        if let Some(policies) = self.validator.remembered().chain(&key) {
            return Ok(policies);
        }
        let policies = chain::verify(chain, self.validator.policies(), explicit)?;
        self.validator.remembered().keep_chain(key, &policies);
        Ok(policies)
    }

    /// Whether a chain without an accepted policy is invalid. Outside `any`, naming a policy means
    /// wanting it: without this flag OpenSSL accepts a chain of another policy (pki reference §2.3).
    fn explicit(&self) -> bool {
        let PolicySettings { accepted, require_explicit, .. } = self.validator.policies();
        *require_explicit || (self.purpose != Purpose::Any && !accepted.is_empty())
    }

    fn floor(&self, chain: &[Certificate], last: usize) -> Result<(), (Reason, usize)> {
        for (position, certificate) in chain.iter().enumerate() {
            let at = |reason| (reason, position);
            checks::floor(certificate, position == last).map_err(at)?;
            if !self.validator.allows_test() && certificate.is_test_category() {
                return Err(at(Reason::TestCertificate));
            }
            match position {
                0 => {
                    checks::leaf(certificate, self.purpose).map_err(at)?;
                    self.issued_by_the_right_authority(chain).map_err(at)?;
                }
                _ if position < last => checks::authority(certificate, self.purpose).map_err(at)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Where the anchor says which authorities issue certificates of this purpose, one of them has to be
    /// the issuer: usages and the shape of a name are what an authority writes, not what it may write.
    fn issued_by_the_right_authority(&self, chain: &[Certificate]) -> Result<(), Reason> {
        let (Some(issuer), Some(anchor)) = (chain.get(1), chain.last()) else { return Ok(()) };
        if self.validator.anchors().may_issue(self.purpose, anchor, issuer) {
            Ok(())
        } else {
            Err(Reason::WrongAuthority)
        }
    }

    fn revocation(&self, chain: &[Certificate], policies: Vec<String>) -> Best {
        let valid = |revocation_judged, stale_grace, evidence| Best {
            stage: 9,
            verdict: Verdict::Valid(ValidPath {
                certificates: chain.to_vec(),
                policies,
                revocation_judged,
                stale_grace,
                evidence,
            }),
        };
        let (RevocationMode::Required { grace }, Some(known)) = (self.validator.mode(), &self.known) else {
            return valid(false, false, Vec::new());
        };
        let floor = self.purpose != Purpose::Any;
        let mut judge = Judge::new(known, self, self.at, grace, floor);
        let (status, certificate) = judge.judge(chain);
        let finding = |reason| {
            let detail = certificate.as_ref().and_then(|it| revocation::detail(&judge.evidence, it));
            Finding::new(reason, certificate.as_ref()).with_detail(detail)
        };
        match status {
            Status::Good { stale } => valid(true, stale, judge.evidence),
            Status::Revoked => Best { stage: 8, verdict: Verdict::Invalid(finding(Reason::Revoked)) },
            Status::Stale => Best { stage: 7, verdict: Verdict::Undetermined(finding(Reason::CrlStale)) },
            Status::Missing => Best { stage: 6, verdict: Verdict::Undetermined(finding(Reason::CrlMissing)) },
            Status::Unknown => Best { stage: 6, verdict: Verdict::Undetermined(finding(Reason::StatusUnknown)) },
        }
    }
}

impl Surroundings for Search<'_> {
    fn named(&self, subject: &Name) -> Vec<Certificate> {
        let anchors = self.validator.anchors().of(self.purpose);
        let anchors = anchors.into_iter().filter(|anchor| anchor.subject() == subject);
        let own = self.validator.intermediates(subject).iter();
        let came = self.untrusted.get(subject).into_iter().flatten().copied();
        anchors.chain(own).chain(came).cloned().collect()
    }

    fn path_to(&self, certificate: &Certificate, anchor: &Certificate) -> Option<Vec<Certificate>> {
        let anchors = std::slice::from_ref(anchor);
        let policies = PolicySettings::default();
        let mut good = None;
        self.extend(&mut vec![certificate.clone()], anchors, &mut |chain| {
            let last = chain.len().saturating_sub(1);
            let sound = chain.iter().enumerate().all(|(position, certificate)| {
                checks::form(certificate).is_ok()
                    && checks::dates(certificate, self.at).is_ok()
                    && (self.purpose == Purpose::Any || checks::floor(certificate, position == last).is_ok())
            });
            let sound = sound && checks::mail_constraints(chain).is_ok();
            if sound && chain::verify(chain, &policies, false).is_ok() {
                good = Some(chain.to_vec());
            }
            good.is_some()
        });
        good
    }
}

/// What checking one signature with such a key costs: the time grows with the square of its length,
/// and the longest takes a hundred times as long as a usual one.
fn cost(key: KeyKind) -> usize {
    match key {
        KeyKind::Rsa(bits) => usize::try_from(bits.div_ceil(1024)).map_or(MAX_WORK, |k| k.saturating_mul(k)),
        _ => USUAL,
    }
}

fn same_key(a: &Certificate, b: &Certificate) -> bool {
    a.key_fingerprint() == b.key_fingerprint()
}
