//! What the directory says against the holder of a certificate: inactive, or a card that was opposed.
//!
//! An opposition names a card; a certificate says on which card it is, or does not. Where its number
//! proves it, the opposition revokes the certificate. Where nothing does, the opposition may be about
//! another card of the same person (lost card plus new card), so it counts only when they have no
//! valid unopposed card left, and the trail says that this was not certain.

use annuaire::{Card, CardState, Generation, Registry};
use ident::{Bilingual, CardNumber, PersonId, Timestamp};
use pki::{certificate::Certificate, finding::Finding, identity::Identity, path::Verdict};

use super::caller::DirectoryNote;
use crate::{
    refusal::{Refusal, RefusalId},
    snapshot::Snapshot,
};

/// Asks the directory about the holder, under every identifier that the registries know them by.
///
/// # Errors
/// [`RefusalId::CardOpposed`], [`RefusalId::HolderInactive`].
pub(super) fn consult(
    generation: Option<&Generation>,
    registries: &[&Registry],
    identity: &Identity,
    at: Timestamp,
) -> Result<DirectoryNote, Refusal> {
    let (person, card, professional) = match identity {
        Identity::Person(person) => (&person.id, person.card.as_ref(), true),
        Identity::Staff(staff) => (&staff.id, staff.card.as_ref(), false),
        Identity::Organisation(_) | Identity::Server(_) => return Ok(DirectoryNote::NotConsulted),
    };
    let Some(generation) = generation else {
        return Ok(DirectoryNote::NotConsulted);
    };
    let entries: Vec<_> = names(registries, person).into_iter().filter_map(|id| generation.person(id)).collect();
    if entries.is_empty() {
        return Ok(DirectoryNote::Absent);
    }
    let opposed =
        |why: String| Refusal::new(RefusalId::CardOpposed, format!("{why} in generation {}", generation.id()));
    let cards: Vec<Card<'_>> = entries.iter().flat_map(annuaire::Person::cards).collect();
    let finding = judge(&cards, card, at);
    if let Opposition::Opposed(why) = finding {
        return Err(opposed(why));
    }
    // Staff are listed by their structure, which says nothing about who is active.
    if professional && !entries.iter().any(annuaire::Person::active) {
        return Err(Refusal::new(
            RefusalId::HolderInactive,
            format!("{person} is inactive in generation {}", generation.id()),
        ));
    }
    Ok(if finding == Opposition::Uncertain { DirectoryNote::OppositionUncertain } else { DirectoryNote::Active })
}

/// A verdict about somebody's certificate, with what the directory says against them: a stolen card does
/// not write through another operator, either.
pub(crate) fn unless_opposed(
    snapshot: &Snapshot,
    verdict: Verdict,
    certificate: &Certificate,
    at: Timestamp,
) -> Verdict {
    let (Verdict::Valid(_), Ok(identity)) = (&verdict, Identity::of(certificate)) else { return verdict };
    let registries: Vec<_> = snapshot.domains.values().map(|own| &*own.registry).collect();
    let Err(refusal) = consult(snapshot.generation.as_deref(), &registries, &identity, at) else { return verdict };
    let (code, text) = match refusal.id {
        RefusalId::CardOpposed => {
            ("card_opposed", Bilingual::new("la carte du signataire est en opposition", "the signer's card is opposed"))
        }
        _ => (
            "holder_inactive",
            Bilingual::new(
                "l'annuaire dit que le signataire n'exerce plus",
                "the directory says that the signer is no longer active",
            ),
        ),
    };
    let certificate = Some(format!("{} (serial {})", certificate.subject(), certificate.serial_hex()));
    Verdict::Invalid(Finding { code, text, certificate, detail: None })
}

/// All identifiers of one person, that of the certificate first.
fn names<'a>(registries: &[&'a Registry], person: &'a PersonId) -> Vec<&'a PersonId> {
    let mut names = vec![person];
    for other in registries.iter().flat_map(|registry| registry.names_of(person)) {
        if !names.contains(&other) {
            names.push(other);
        }
    }
    names
}

#[derive(Debug, PartialEq, Eq)]
enum Opposition {
    /// No opposition concerns the certificate.
    Clear,
    /// One does.
    Opposed(String),
    /// A card of the holder is opposed, another is good, and nothing proves which one this is.
    Uncertain,
}

fn judge(cards: &[Card<'_>], proved: Option<&CardNumber>, at: Timestamp) -> Opposition {
    let listed = |card: &&Card<'_>| proved.is_some() && card.number().as_ref() == proved;
    if let Some(own) = cards.iter().filter(listed).max_by_key(|card| card.opposed()) {
        return match own.opposed() {
            true => Opposition::Opposed(format!("card {} is opposed", own.number_text())),
            // Proved to be on another card than the one that was lost.
            false => Opposition::Clear,
        };
    }
    let Some(lost) = cards.iter().find(|card| card.opposed()) else { return Opposition::Clear };
    if cards.iter().any(|card| card.state(at) == CardState::Good) {
        Opposition::Uncertain
    } else {
        let number = proved.map_or_else(|| "no card number".to_owned(), |number| format!("card {number}, not listed"));
        let lost = lost.number_text();
        Opposition::Opposed(format!("the certificate names {number}; card {lost} is opposed and no valid one is left"))
    }
}

#[cfg(test)]
mod tests;
