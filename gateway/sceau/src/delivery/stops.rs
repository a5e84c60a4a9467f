//! What stops a recipient's mail before anything is tried: an order, or a list that shrank abnormally.

use ident::{Address, Timestamp};
use store::{Destination, Recipient, Work};

use super::outcome::End;
use crate::{
    quarantine,
    queued::Notes,
    refusal::RefusalId,
    snapshot::Snapshot,
    trust::{Bearer, Block, Fate, Standing},
};

/// The end of an attempt that is not made; `None` when nothing stands against it.
pub(crate) fn stop(
    snapshot: &Snapshot,
    bearer: Option<&Bearer>,
    sender: Option<&Address>,
    recipient: &Address,
    destination: &Destination,
    at: Timestamp,
) -> Option<End> {
    let of = |address| snapshot.block_of(address, at);
    let brought = || bearer.and_then(|bearer| snapshot.block_of_bearer(bearer, at));
    let block = sender.and_then(of).or_else(|| of(recipient)).or_else(brought);
    let Destination::Relay(domain) = destination else { return block.map(ordered) };
    if let Some(block) = block.or_else(|| snapshot.block_of_operators(domain, at)) {
        return Some(ordered(block));
    }
    match snapshot.standing(domain, at) {
        Standing::Waiting(until) => Some(End::Waiting {
            code: RefusalId::DomainWaiting.row().id.to_owned(),
            text: format!("{domain} left the trust list together with many others; mail for it waits until {until}"),
            until,
        }),
        _ => None,
    }
}

fn ordered(block: &Block) -> End {
    let id = block.refusal().id.row().id;
    match block.mail {
        Fate::Hold => {
            End::Waiting { code: id.to_owned(), text: format!("suspended until {}", block.until), until: block.until }
        }
        Fate::Refuse => End::permanent(id, format!("blocked until {}", block.until)),
    }
}

/// Whether this recipient waits for a stop to end.
pub(crate) fn was_stopped(recipient: &Recipient) -> bool {
    let store::State::Queued { last: Some(last), .. } = &recipient.progress.state else { return false };
    [RefusalId::DomainWaiting, RefusalId::BlockedForNow].iter().any(|id| id.row().id == last.code)
}

/// Takes out of a piece of work whose mail a person refused in quarantine, with the end of each.
pub(super) fn take_refused(work: &mut Work) -> Vec<(Recipient, End)> {
    let refused: Vec<Recipient> =
        work.recipients.iter().filter(|recipient| quarantine::was_refused(recipient)).cloned().collect();
    work.recipients.retain(|recipient| !quarantine::was_refused(recipient));
    let end = || End::permanent(quarantine::REFUSED, "the message could not be read and was refused by a person");
    refused.into_iter().map(|recipient| (recipient, end())).collect()
}

/// Takes out of a piece of work whom something stops, with the end of each.
pub(super) fn take_stopped(snapshot: &Snapshot, work: &mut Work, at: Timestamp) -> Vec<(Recipient, End)> {
    let mut stopped = Vec::new();
    let (sender, destination) = (work.info.envelope.sender.clone(), work.destination.clone());
    let notes = Notes::of(work);
    let judged = |address: &Address| stop(snapshot, notes.bearer(), sender.as_ref(), address, &destination, at);
    work.recipients.retain(|recipient| match judged(&recipient.address) {
        Some(end) => {
            stopped.push((recipient.clone(), end));
            false
        }
        None => true,
    });
    stopped
}
