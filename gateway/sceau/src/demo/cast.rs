//! Who plays: three operators, about ten people with real cards, and mailboxes that misbehave on request.

use ident::{Address, CardNumber, Domain, PersonId, StructureId};
use pki::issue::{CardKind, CardUse, Profile, StaffKind, Structure};
use thiserror::Error;

/// A name in the cast is malformed: only a fault of this module can cause it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the demonstration's cast holds a malformed name: {0}")]
pub struct CastError(pub String);

/// Which of the three operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// Hospital A: a Sceau gateway.
    A,
    /// Hospital B: a Sceau gateway.
    B,
    /// The third operator: Postfix, no S/MIME.
    C,
}

impl Place {
    /// All three.
    pub const ALL: [Self; 3] = [Self::A, Self::B, Self::C];

    /// Folder below the space's folder.
    pub const fn folder(self) -> &'static str {
        match self {
            Self::A => "ch-a",
            Self::B => "ch-b",
            Self::C => "operateur-c",
        }
    }

    const fn domain_name(self) -> &'static str {
        match self {
            Self::A => "ch-a.mssante.test",
            Self::B => "ch-b.mssante.test",
            Self::C => "operateur-c.mssante.test",
        }
    }

    const fn facts(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::A => ("1990000011", "CH DE VALFLEURI-TEST", "Nièvre (58)"),
            Self::B => ("1990000022", "CH DE MONTCLAIR-TEST", "Côte-d'Or (21)"),
            Self::C => ("399999999900003", "OPERATEUR REGIONAL-TEST", "Paris (75)"),
        }
    }

    /// Its mail domain.
    ///
    /// # Errors
    /// Never, as the tests show.
    pub fn domain(self) -> Result<Domain, CastError> {
        domain(self.domain_name())
    }

    /// The host of its gateway.
    pub fn host(self) -> String {
        format!("smtp.{}", self.domain_name())
    }

    /// The structure behind it.
    ///
    /// # Errors
    /// Never, as the tests show.
    pub fn structure(self) -> Result<Structure, CastError> {
        let (id, name, department) = self.facts();
        Ok(Structure::new(structure_id(id)?, name, department))
    }

    /// An address there.
    ///
    /// # Errors
    /// [`CastError`] when the local part is malformed.
    pub fn address(self, local: &str) -> Result<Address, CastError> {
        address(&format!("{local}@{}", self.domain_name()))
    }
}

/// What is special about somebody's card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CardFate {
    /// Good.
    Good,
    /// On the issuing authority's list.
    Revoked,
    /// Past its date.
    Expired,
    /// From an authority that bears the right name and chains to another root.
    OtherRoot,
}

/// What somebody does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A physician.
    Doctor,
    /// A nurse.
    Nurse,
    /// A secretary, with the staff card of her hospital.
    Secretary,
}

impl Role {
    /// Code and label of the profession, for professionals.
    pub const fn profession(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Doctor => Some(("10", "Médecin")),
            Self::Nurse => Some(("60", "Infirmier")),
            Self::Secretary => None,
        }
    }
}

/// One person.
#[derive(Debug, Clone)]
pub struct Person {
    /// Short name: of the folder of their card, and for the script.
    pub key: &'static str,
    /// National id.
    pub id: PersonId,
    /// Given name.
    pub given: &'static str,
    /// Family name.
    pub family: &'static str,
    /// `M` or `MME`.
    pub civility: &'static str,
    /// What they do.
    pub role: Role,
    /// Where.
    pub place: Place,
    /// Their own mailbox; the secretary has none.
    pub mailbox: Option<Address>,
    /// Number of their card.
    pub card: CardNumber,
    /// What is special about it.
    pub fate: CardFate,
}

impl Person {
    /// The certificate profile of their card.
    ///
    /// # Errors
    /// Never, as the tests show.
    pub fn profile(&self, usage: CardUse) -> Result<Profile, CastError> {
        let (family, given) = (self.family.to_owned(), self.given.to_owned());
        let (id, card, structure) = (self.id.clone(), self.card.clone(), self.place.structure()?);
        Ok(match self.role.profession() {
            Some((_, title)) => Profile::Person {
                id,
                family,
                given,
                title: title.to_owned(),
                structure: Some(structure),
                card,
                kind: CardKind::Cps,
                usage,
            },
            None => Profile::Staff { id, family, given, structure, card, kind: StaffKind::Cpe },
        })
    }
}

/// What a mailbox of the inner store does with what it is handed. The local part says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    /// Takes everything.
    Accepts,
    /// `refuse.…`: there is no such mailbox (550).
    Refuses,
    /// `contenu.…`: refuses the message after reading it (554).
    RefusesContent,
    /// `differe.…`: not now at first, then takes it.
    DefersOnce,
    /// `echec.…`: not now at first, then full for good (552).
    FailsLater,
    /// `retard.…`: never now.
    AlwaysDefers,
}

impl Behaviour {
    /// All behaviours that a local part can ask for, with the word that does.
    pub const STEERED: [(&'static str, Self); 5] = [
        ("refuse", Self::Refuses),
        ("contenu", Self::RefusesContent),
        ("differe", Self::DefersOnce),
        ("echec", Self::FailsLater),
        ("retard", Self::AlwaysDefers),
    ];

    /// What the mailbox of this address does.
    pub fn of(address: &Address) -> Self {
        let word = address.local().split('.').next().unwrap_or_default().to_ascii_lowercase();
        Self::STEERED.iter().find(|(known, _)| *known == word).map_or(Self::Accepts, |(_, behaviour)| *behaviour)
    }

    /// What to show for such a mailbox.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Accepts => "Boîte ordinaire",
            Self::Refuses => "Essai : boîte inexistante",
            Self::RefusesContent => "Essai : contenu refusé",
            Self::DefersOnce => "Essai : différé, puis accepté",
            Self::FailsLater => "Essai : différé, puis refusé",
            Self::AlwaysDefers => "Essai : toujours différé",
        }
    }
}

/// The people of the play.
///
/// # Errors
/// Never, as the tests show.
pub fn people() -> Result<Vec<Person>, CastError> {
    use CardFate::{Expired, Good, OtherRoot, Revoked};
    use Place::{A, B, C};
    use Role::{Doctor, Nurse, Secretary};
    [
        ("martin", "899700000017", "MME", "Anne", "MARTIN-TEST", Doctor, A, Good),
        ("durand", "899700000025", "M", "Paul", "DURAND-TEST", Doctor, A, Good),
        ("bernard", "3990000011/000000018", "MME", "Sophie", "BERNARD-TEST", Secretary, A, Good),
        ("robert", "899700000033", "MME", "Lucie", "ROBERT-TEST", Nurse, A, Good),
        ("leroy", "899700000041", "M", "Marc", "LEROY-TEST", Doctor, A, Revoked),
        ("girard", "899700000058", "MME", "Julie", "GIRARD-TEST", Doctor, A, Expired),
        ("fontaine", "899700000066", "M", "Hugo", "FONTAINE-TEST", Doctor, A, OtherRoot),
        ("moreau", "899700000074", "MME", "Claire", "MOREAU-TEST", Doctor, B, Good),
        ("lambert", "899700000082", "MME", "Nadia", "LAMBERT-TEST", Doctor, B, Good),
        ("petit", "899700000090", "M", "Jean", "PETIT-TEST", Doctor, C, Good),
    ]
    .into_iter()
    .enumerate()
    .map(|(index, (key, id, civility, given, family, role, place, fate))| {
        let local = format!("{}.{}", given.to_lowercase(), family.to_lowercase());
        let mailbox = role.profession().map(|_| place.address(&local)).transpose()?;
        let id = PersonId::parse(id).map_err(|_| CastError(id.to_owned()))?;
        let number = format!("99{:08}", index.saturating_add(1));
        let card = CardNumber::parse(&number).ok_or(CastError(number))?;
        Ok(Person { key, id, given, family, civility, role, place, mailbox, card, fate })
    })
    .collect()
}

/// Reads a domain of the cast.
pub(crate) fn domain(text: &str) -> Result<Domain, CastError> {
    Domain::parse(text).map_err(|_| CastError(text.to_owned()))
}

/// Reads a structure id of the cast.
pub(crate) fn structure_id(text: &str) -> Result<StructureId, CastError> {
    StructureId::parse(text).map_err(|_| CastError(text.to_owned()))
}

fn address(text: &str) -> Result<Address, CastError> {
    Address::parse(text).map_err(|_| CastError(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_is_well_formed_fictional_and_distinct() {
        let people = people().unwrap();
        assert_eq!(people.len(), 10);
        let ids: std::collections::HashSet<_> = people.iter().map(|p| p.id.clone()).collect();
        assert_eq!(ids.len(), people.len());
        for person in &people {
            assert!(person.family.ends_with("-TEST"));
            assert!(person.profile(CardUse::Authentication).is_ok());
            assert_eq!(person.mailbox.is_none(), person.role == Role::Secretary);
        }
        for place in Place::ALL {
            assert!(place.domain().unwrap().as_str().ends_with(".test"));
            assert!(place.structure().unwrap().name.ends_with("-TEST"));
        }
    }

    #[test]
    fn local_parts_steer() {
        let of = |local: &str| Behaviour::of(&Place::B.address(local).unwrap());
        assert_eq!(of("refuse.essai"), Behaviour::Refuses);
        assert_eq!(of("DIFFERE.essai"), Behaviour::DefersOnce);
        assert_eq!(of("refuseur"), Behaviour::Accepts);
        assert_eq!(of("claire.moreau-test"), Behaviour::Accepts);
    }
}
