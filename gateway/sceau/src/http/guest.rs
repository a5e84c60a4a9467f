//! Whether somebody is answered, as whom, and out of whose allowance.

use std::sync::Arc;

use annuaire::face::{Asked, Named, Refused, Response};
use ident::{StructureId, Timestamp};

use super::{
    Site,
    caller::{Caller, Known, known, strangers_welcome},
    handle::{Line, think},
};
use crate::{
    allowance::{Allowances, Allowed, Beside, Peer},
    config::HttpLimits,
    gateway::Gateway,
    snapshot::Snapshot,
};

/// Who is answered.
pub(super) struct Guest {
    /// Whose allowance it is.
    peer: Peer,
    /// May copy the directory.
    mirror: bool,
    /// The structure in its certificate.
    pub(super) structure: Option<StructureId>,
}

impl Guest {
    fn stranger(peer: Peer) -> Self {
        Self { peer, mirror: false, structure: None }
    }
}

/// What one peer may have.
pub(super) fn allowed(limits: &HttpLimits) -> Allowed {
    Allowed { requests_per_minute: limits.requests_per_minute, answers_per_hour: limits.answers_per_hour }
}

/// Takes one of what is counted beside questions.
///
/// # Errors
/// Too many.
pub(super) fn ask_beside(
    site: &Site,
    what: Beside,
    caller: &Caller,
    limits: &HttpLimits,
    now: Timestamp,
) -> Result<(), Refused> {
    let peer = Peer::beside(what, caller.address);
    site.allowances.ask(&peer, allowed(limits), now).map_err(|retry_after| Refused::TooMany { retry_after })
}

/// Who asks. Where the configuration wants certificates, nobody else is answered.
pub(super) async fn who(
    site: &Arc<Site>,
    gateway: &Arc<Gateway>,
    snapshot: &Arc<Snapshot>,
    caller: &Arc<Caller>,
    line: &mut Line,
) -> Result<Guest, Refused> {
    let (limits, now) = (&snapshot.config.http.limits, gateway.now());
    let address = Peer::at(caller.address);
    let welcome = strangers_welcome(snapshot);
    if welcome && caller.certificates.is_empty() {
        return Ok(Guest::stranger(address));
    }
    match verdict(site, snapshot, caller, now).await? {
        Ok(known) => {
            line.who = Some(known.id);
            let mirrors = &snapshot.config.http.mirrors;
            let mirror = known.structure.as_ref().is_some_and(|own| mirrors.contains(own));
            Ok(Guest { peer: Peer::Known(known.fingerprint), mirror, structure: known.structure })
        }
        // A card that has run out shows no more than no card.
        Err(why) if welcome => {
            tracing::debug!(why, "an HTTP client is not known");
            Ok(Guest::stranger(address))
        }
        Err(why) => {
            tracing::debug!(why, "an HTTP client is not known");
            site.allowances
                .ask(&address, allowed(limits), now)
                .map_err(|retry_after| Refused::TooMany { retry_after })?;
            Err(Refused::NotKnown)
        }
    }
}

/// Whether the certificates of the connection hold: asked again as long as it lasts, a card may be revoked meanwhile.
async fn verdict(
    site: &Arc<Site>,
    snapshot: &Arc<Snapshot>,
    caller: &Arc<Caller>,
    now: Timestamp,
) -> Result<Result<Known, String>, Refused> {
    if let Some(believed) = caller.believed(snapshot, now) {
        return Ok(believed);
    }
    let limits = &snapshot.config.http.limits;
    // Judging is the dear part, and comes before any question is counted: it has a count of its own, which those whose
    // certificate holds do not use up.
    ask_beside(site, Beside::Proof, caller, limits, now)?;
    let (world, about) = (Arc::clone(snapshot), Arc::clone(caller));
    let judged = think(site, caller.address, limits.request.0, move || known(&world, &about.certificates, now)).await?;
    if judged.is_ok() {
        site.allowances.forgive(&Peer::beside(Beside::Proof, caller.address), allowed(limits), now);
    }
    caller.remember(snapshot, now, judged.clone());
    Ok(judged)
}

/// What a guest may be shown, taken from the allowance before the question is thought about. Dropping it gives back
/// what was not shown.
pub(super) struct Reserved<'s> {
    allowances: &'s Allowances,
    peer: Option<Peer>,
    left: usize,
    allowed: Allowed,
    now: Timestamp,
}

impl<'s> Reserved<'s> {
    /// Takes a request and the most that may be shown.
    ///
    /// # Errors
    /// Nothing is left.
    pub(super) fn of(
        site: &'s Site,
        guest: &Guest,
        most: usize,
        limits: &HttpLimits,
        now: Timestamp,
    ) -> Result<Self, Refused> {
        let (allowances, allowed) = (&site.allowances, allowed(limits));
        let left = if guest.mirror { 0 } else { most };
        allowances.reserve(&guest.peer, left, allowed, now).map_err(|retry_after| Refused::TooMany { retry_after })?;
        let peer = (!guest.mirror).then(|| guest.peer.clone());
        Ok(Self { allowances, peer, left, allowed, now })
    }

    /// Takes what the response shows. Where the face names whom, those who were shown to the same peer within the hour
    /// are not counted again: typing a name is no copying.
    pub(super) fn shown(&mut self, response: &Response) {
        let Some(peer) = &self.peer else { return };
        let counted = response.extensions().get::<Asked>().map_or(0, |asked| asked.answers);
        let named = response.extensions().get::<Named>();
        let named = named.map(|Named(names)| self.allowances.news(peer, names.iter().map(String::as_str), self.now));
        let taken = named.unwrap_or(counted);
        // More than was said before: taken all the same.
        self.allowances.shown(peer, taken.saturating_sub(self.left), self.allowed, self.now);
        self.left = self.left.saturating_sub(taken);
    }
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        if let Some(peer) = self.peer.as_ref().filter(|_| self.left > 0) {
            self.allowances.give_back(peer, self.left, self.allowed, self.now);
        }
    }
}
