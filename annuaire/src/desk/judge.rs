//! Whether a mailbox may be as an order says.

use std::{collections::BTreeSet, time::Duration};

use ident::{Address, Domain, PersonId, PersonIdKind, Timestamp};

use super::{Draft, MAX_LABEL, MAX_LISTED_PEOPLE, Objection};
use crate::{Generation, GoneKind, MailboxType, RegisteredMailbox};

/// What an operator has settled.
#[derive(Debug, Clone)]
pub struct Rules {
    /// The domains whose mailboxes the registry is the authority for.
    pub domains: BTreeSet<Domain>,
    /// After which time a closed address may go to somebody else; none: never. No publication of the agency that we
    /// have gives a term, so the secure one holds until an operator says another.
    pub reuse_after: Option<Duration>,
    /// Whom or what the national data do not know is taken all the same: they are a help, not an authority on who exists.
    pub accept_unknown: bool,
    /// Now.
    pub now: Timestamp,
}

/// What is known of the nation.
#[derive(Debug, Clone, Copy, Default)]
pub struct National<'a> {
    /// The extracts; none: nothing is looked up.
    pub generation: Option<&'a Generation>,
    /// People who are known from elsewhere, and active.
    pub others: Option<&'a BTreeSet<PersonId>>,
}

/// What the national data say of a person.
enum Known {
    Active,
    Inactive,
    Not,
}

impl National<'_> {
    fn person(&self, id: &PersonId) -> Known {
        if self.others.is_some_and(|others| others.contains(id)) {
            return Known::Active;
        }
        match self.generation.map(|generation| generation.person(id)) {
            None => Known::Active,
            Some(Some(person)) if person.active() => Known::Active,
            Some(Some(_)) => Known::Inactive,
            Some(None) => Known::Not,
        }
    }
}

/// Objections to a mailbox as it would be, the first that nobody may pass over first.
pub(super) fn mailbox(
    draft: &Draft,
    own: &RegisteredMailbox,
    national: National<'_>,
    rules: &Rules,
) -> Result<(), Objection> {
    shape(own)?;
    let found = [owner(own, national), structure(own, national), listed(draft, own, national)];
    let mut passable = None;
    for objection in found.into_iter().filter_map(Result::err) {
        match objection.unknown {
            true if rules.accept_unknown => {}
            true => passable = passable.or(Some(objection)),
            false => return Err(objection),
        }
    }
    passable.map_or(Ok(()), Err)
}

/// What needs no data.
fn shape(own: &RegisteredMailbox) -> Result<(), Objection> {
    use MailboxType::{Application, Organisation, Personal};
    match (own.kind, &own.owner, &own.structure) {
        (Personal, None, _) => {
            return Err(Objection::new("owner", "une boîte PER a un titulaire", "a PER mailbox has an owner"));
        }
        (Organisation | Application, Some(_), _) => {
            let fr = "une boîte ORG ou APP n'a pas de titulaire : inscrivez les personnes dans members";
            return Err(Objection::new("owner", fr, "an ORG or APP mailbox has no owner: list people under members"));
        }
        (Organisation | Application, None, None) => {
            let fr = "une boîte ORG ou APP relève d'une structure : indiquez son identifiant";
            let en = "an ORG or APP mailbox belongs to a structure: give its identifier";
            return Err(Objection::new("structure", fr, en));
        }
        _ => {}
    }
    if own.kind == Personal && !own.members.is_empty() {
        let fr = "une boîte PER n'a pas de membres : utilisez une délégation";
        return Err(Objection::new("members", fr, "a PER mailbox has no members: use a delegation"));
    }
    if own.rank == Some(0) {
        let fr = "le rang commence à 1, la boîte préférée";
        return Err(Objection::new("rank", fr, "rank starts at 1, the preferred mailbox"));
    }
    let labels = [("name", &own.name), ("service", &own.service), ("responsible", &own.responsible)];
    for (field, label) in labels {
        let Some(text) = label else { continue };
        if text.trim().is_empty() || text.chars().count() > MAX_LABEL || text.chars().any(char::is_control) {
            let fr = format!("ce texte est vide, dépasse {MAX_LABEL} caractères ou contient un caractère de commande");
            let en = format!("this text is empty, longer than {MAX_LABEL} characters, or holds a control character");
            return Err(Objection::new(field, fr, en));
        }
    }
    if matches!(own.kind, Personal | MailboxType::Practice) && (own.service.is_some() || own.responsible.is_some()) {
        let fr = "service et responsable ne se disent que d'une boîte ORG ou APP";
        return Err(Objection::new("service", fr, "service and responsible are for ORG and APP mailboxes only"));
    }
    if own.redirect.as_ref().is_some_and(|to| to.same_mailbox(&own.address)) {
        let (fr, en) = ("une boîte ne se renvoie pas à elle-même", "a mailbox is not redirected to itself");
        return Err(Objection::new("redirect", fr, en));
    }
    Ok(())
}

fn owner(own: &RegisteredMailbox, national: National<'_>) -> Result<(), Objection> {
    let Some(owner) = &own.owner else { return Ok(()) };
    if is_staff(owner) {
        // BAL: people without RPPS exist under a structure's responsibility, and in no extract.
        return match own.structure {
            Some(_) => Ok(()),
            None => Err(Objection::new(
                "structure",
                "une personne sans RPPS ni ADELI relève d'une structure : indiquez-la",
                "a person without RPPS or ADELI belongs to a structure: name it",
            )),
        };
    }
    person("owner", owner, national)
}

fn structure(own: &RegisteredMailbox, national: National<'_>) -> Result<(), Objection> {
    let (Some(id), Some(generation)) = (&own.structure, national.generation) else { return Ok(()) };
    if generation.structure(id).is_some() {
        return Ok(());
    }
    Err(Objection::new(
        "structure",
        format!("les données nationales ne connaissent pas la structure {id} : vérifiez l'identifiant"),
        format!("the national data do not know the structure {id}: check the identifier"),
    )
    .unknown())
}

fn listed(draft: &Draft, own: &RegisteredMailbox, national: National<'_>) -> Result<(), Objection> {
    let lists =
        [("members", &own.members), ("delegates", &own.delegates), ("grants", &own.grants), ("readers", &own.readers)];
    for (field, list) in lists {
        if list.len() > MAX_LISTED_PEOPLE {
            let fr = format!("plus de {MAX_LISTED_PEOPLE} personnes");
            return Err(Objection::new(field, fr, format!("more than {MAX_LISTED_PEOPLE} people")));
        }
        let before = draft.mailbox(&own.address);
        for id in list {
            if matches!(field, "grants") != is_staff(id) && field != "readers" {
                let fr = "les cartes de service (3… ou 5…) vont dans grants, les professionnels ailleurs";
                let en = "staff cards (3… or 5…) go under grants, professionals elsewhere";
                return Err(Objection::new(field, fr, en));
            }
            // Whoever was listed before is not judged again because of another change.
            let known = before.is_some_and(|before| {
                [&before.members, &before.delegates, &before.readers].iter().any(|list| list.contains(id))
            });
            if !is_staff(id) && !known {
                person(field, id, national)?;
            }
        }
    }
    Ok(())
}

fn person(field: &'static str, id: &PersonId, national: National<'_>) -> Result<(), Objection> {
    match national.person(id) {
        Known::Active => Ok(()),
        Known::Inactive => Err(Objection::new(
            field,
            format!("les données nationales disent que {id} n'exerce plus : faites corriger l'annuaire santé d'abord"),
            format!("the national data say that {id} no longer practises: have the directory corrected first"),
        )),
        Known::Not => Err(Objection::new(
            field,
            format!(
                "les données nationales ne connaissent pas {id} : vérifiez le numéro, ou interrogez la seconde source"
            ),
            format!("the national data do not know {id}: check the number, or ask the second source"),
        )
        .unknown()),
    }
}

fn is_staff(id: &PersonId) -> bool {
    matches!(id.kind(), PersonIdKind::FinessInternal | PersonIdKind::SiretInternal)
}

/// Whether an address may become a new mailbox of this holder: in a domain of ours, free, and nobody else's before.
pub(super) fn address(
    draft: &Draft,
    own: &RegisteredMailbox,
    national: National<'_>,
    rules: &Rules,
) -> Result<(), Objection> {
    let address = &own.address;
    if !rules.domains.contains(address.domain()) {
        let fr = format!("{} n'est pas un domaine de cet opérateur", address.domain());
        return Err(Objection::new("address", fr, format!("{} is no domain of this operator", address.domain())));
    }
    if let Some(before) = draft.mailbox(address) {
        return of_before(before, own, rules);
    }
    let Some(generation) = national.generation else { return Ok(()) };
    if let Some(published) = generation.mailbox(address) {
        let same = match (&own.owner, &own.structure) {
            (Some(owner), _) => published.people().any(|person| person.id().as_ref() == Some(owner)),
            (None, Some(structure)) => published.structures().any(|place| place.answers_to(structure)),
            (None, None) => false,
        };
        if !same || published.kind() != own.kind {
            let fr = format!("les données nationales publient {address} avec un autre titulaire ou un autre type");
            let en = format!("the national data publish {address} with another holder or type");
            return Err(Objection::new("address", fr, en));
        }
        return Ok(());
    }
    gone(generation, address)
}

/// The address was in the extracts and left them, and we do not know whose it was.
fn gone(generation: &Generation, address: &Address) -> Result<(), Objection> {
    let Some(gone) = generation.gone(GoneKind::Mailbox, &address.key()) else { return Ok(()) };
    let day = gone.since().map(|day| day.to_string()).unwrap_or_default();
    Err(Objection::new(
        "address",
        format!(
            "{address} a quitté les données nationales le {day} et le registre ne dit pas à qui elle était : \
             prenez une autre adresse"
        ),
        format!(
            "{address} left the national data on {day}, and the registry does not say whose it was: take another address"
        ),
    )
    .unknown())
}

/// The address has an entry already.
fn of_before(before: &RegisteredMailbox, own: &RegisteredMailbox, rules: &Rules) -> Result<(), Objection> {
    let address = &before.address;
    let Some(closed) = &before.closed else {
        let fr = format!("{address} existe déjà, avec un autre contenu : utilisez « change »");
        return Err(Objection::new("address", fr, format!("{address} exists and says otherwise: use `change`")));
    };
    // BAL-2: a type never changes, not even after an end.
    if before.kind != own.kind {
        let fr = format!("{address} était de type {} : le type d'une adresse ne change jamais", before.kind.code());
        let en = format!("{address} was of type {}: the type of an address never changes", before.kind.code());
        return Err(Objection::new("type", fr, en));
    }
    let same = match &before.owner {
        Some(owner) => own.owner.as_ref() == Some(owner),
        None => own.owner.is_none() && own.structure == before.structure,
    };
    if same {
        let fr = format!("{address} est fermée depuis le {} : utilisez « reopen »", closed.since);
        let en = format!("{address} is closed since {}: use `reopen`", closed.since);
        return Err(Objection::new("address", fr, en));
    }
    match rules.reuse_after {
        Some(term) if closed.since.plus(term) <= rules.now => Ok(()),
        Some(term) => {
            let free = closed.since.plus(term);
            let fr = format!("{address} était à quelqu'un d'autre : elle ne sera libre que le {free}");
            Err(Objection::new("address", fr, format!("{address} was somebody else's: it is free from {free} on")))
        }
        None => Err(Objection::new(
            "address",
            format!("{address} était à quelqu'un d'autre et n'est jamais réattribuée (annuaire.mailboxes.reuse_after)"),
            format!("{address} was somebody else's and is never given away (annuaire.mailboxes.reuse_after)"),
        )),
    }
}
