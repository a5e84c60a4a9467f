//! Whether a list may take the place of the one in force: bytes in, an answer out.

use std::{io, sync::Arc};

use ident::Timestamp;
use pki::{
    path::Validator,
    trust_list::{TrustList, TrustListDiff, TrustListError, TrustListProfile},
};

use super::{Fresh, Held, Memory, Shelf, Shelved};
use crate::{
    config::{Loaded, Problem, Shrinkage, read_bytes},
    queued::digest,
};

/// By what a list is judged.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    /// Form and signer.
    pub profile: &'a TrustListProfile,
    /// Paths and revocation.
    pub validator: &'a Validator,
    /// When a loss is abnormal.
    pub shrinkage: Shrinkage,
}

/// The answer to a candidate.
#[derive(Debug, Clone)]
pub enum Offer {
    /// It is the very list in force.
    Same,
    /// It may take effect: this then holds. `fresh` says what it changes; it is not on the shelf yet.
    Accepted(Box<Held>),
    /// It may not: the list before stays in force.
    Refused(Refused),
}

/// Why a list may not take effect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Refused {
    /// The reason.
    pub why: TrustListError,
}

/// Considers a candidate at a moment: verified whole, not older than what is remembered, compared with what
/// is in force. Nothing is changed.
pub fn consider(current: Option<&Held>, xml: &[u8], rules: Rules<'_>, at: Timestamp) -> Offer {
    let remembered = current.map(|held| &held.memory);
    consider_against(current.map(|held| held.list.as_ref()), remembered, xml, rules, at)
}

/// The same where the memory may outlive the list itself.
fn consider_against(
    current: Option<&TrustList>,
    remembered: Option<&Memory>,
    xml: &[u8],
    rules: Rules<'_>,
    at: Timestamp,
) -> Offer {
    if current.is_some() && remembered.map(|memory| memory.digest) == Some(digest(xml)) {
        return Offer::Same;
    }
    let judged = TrustList::verify(xml, rules.profile, rules.validator, at).and_then(|list| {
        remembered.map_or(Ok(()), |memory| list.may_follow_dated(memory.generated, memory.digest)).map(|()| list)
    });
    let list = match judged {
        Ok(list) => list,
        Err(why) => return Offer::Refused(Refused { why }),
    };
    let diff = current.map(|current| TrustListDiff::between(current, &list));
    let (memory, shrunk) = match (remembered, &diff) {
        (Some(memory), Some(diff)) => memory.after(&list, diff, rules.shrinkage, at),
        (Some(memory), None) => (Memory { struck: memory.struck.clone(), ..Memory::first(&list, at) }, false),
        _ => (Memory::first(&list, at), false),
    };
    let diff = diff.unwrap_or_else(|| TrustListDiff { after: list.domains().count(), ..TrustListDiff::default() });
    let fresh = Some(Arc::new(Fresh { xml: xml.to_vec(), diff, shrunk }));
    Offer::Accepted(Box::new(Held { list: Arc::new(list), memory, troubles: Vec::new(), fresh }))
}

/// The profile that a configuration describes.
pub(crate) fn rules<'a>(loaded: &Loaded, profile: &'a TrustListProfile, validator: &'a Validator) -> Rules<'a> {
    Rules { profile, validator, shrinkage: loaded.config.trust.shrinkage }
}

/// What holds at a start or a reload: the copy on the shelf, verified again, or the configured file where
/// that is newer and good. Reads only.
///
/// # Errors
/// A [`Problem`] when there is no list that may be in force, or what was remembered cannot be read.
pub(crate) fn current(loaded: &Loaded, rules: Rules<'_>, at: Timestamp) -> Result<Held, Problem> {
    let shelf = Shelf::below(&loaded.data());
    let shelved = shelf.read().map_err(|error| Problem::of(shelf.folder(), error.to_string()))?;
    let path = loaded.path(&loaded.config.trust.list);
    let file = read_bytes(&path, u64::try_from(pki::trust_list::MAX_TRUST_LIST).unwrap_or(u64::MAX));
    let mut troubles = Vec::new();
    let (memory, copy) = match shelved {
        Some(Shelved { memory, copy }) => {
            let copy = again(&memory, copy, rules, at, &mut troubles);
            (Some(memory), copy)
        }
        None => (None, None),
    };
    let offer = match &file {
        Ok(xml) => consider_against(copy.as_ref(), memory.as_ref(), xml, rules, at),
        Err(problem) if copy.is_some() => {
            troubles.push(("trust-list-refused", problem.to_string()));
            Offer::Same
        }
        Err(problem) => return Err(problem.clone()),
    };
    match (offer, copy, memory) {
        (Offer::Accepted(held), ..) => Ok(Held { troubles, ..*held }),
        (Offer::Same, Some(list), Some(memory)) => Ok(Held { list: Arc::new(list), memory, troubles, fresh: None }),
        // Where lists are fetched, the file they began with is soon the older one: no sign of anything wrong.
        (Offer::Refused(Refused { why: TrustListError::RollBack { .. } }), Some(list), Some(memory))
            if loaded.config.refresh.list.is_some() =>
        {
            Ok(Held { list: Arc::new(list), memory, troubles, fresh: None })
        }
        (Offer::Refused(refused), Some(list), Some(memory)) => {
            troubles.push(("trust-list-refused", format!("{}: {refused}", path.display())));
            Ok(Held { list: Arc::new(list), memory, troubles, fresh: None })
        }
        (Offer::Refused(refused), ..) => Err(Problem::of(path, refused.to_string())),
        (Offer::Same, ..) => Err(Problem::of(path, "no list was ever accepted here")),
    }
}

/// The copy on the shelf, verified as on the day it came; what cannot be judged any more is told, and does
/// not take a good list away: only the path of its signer was judged then.
fn again(
    memory: &Memory,
    copy: io::Result<Vec<u8>>,
    rules: Rules<'_>,
    at: Timestamp,
    troubles: &mut Vec<(&'static str, String)>,
) -> Option<TrustList> {
    let xml = match copy {
        Ok(xml) => xml,
        Err(error) => {
            troubles.push(("trust-list-copy", format!("the last good list cannot be read: {error}")));
            return None;
        }
    };
    let judged = match TrustList::verify(&xml, rules.profile, rules.validator, at) {
        Err(why @ (TrustListError::Invalid(_) | TrustListError::Undetermined(_) | TrustListError::Future(_))) => {
            let again = TrustList::verify_remembered(&xml, rules.profile, memory.digest);
            again.inspect(|_| troubles.push(("trust-list-signer", why.to_string())))
        }
        Ok(list) if list.digest() != memory.digest => {
            Err(TrustListError::Signature("this is not the file that was accepted"))
        }
        judged => judged,
    };
    judged.map_err(|why| troubles.push(("trust-list-copy", format!("the last good list was altered here: {why}")))).ok()
}
