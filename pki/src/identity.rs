//! Who a certificate speaks for, read from its subject in the shapes of the trust space (mssante
//! §8 and §10), never from a display name.

use ident::{CardNumber, Domain, PersonId, PersonIdKind, StructureId};
use serde::Serialize;
use thiserror::Error;

use crate::{
    certificate::{Certificate, usage},
    name::{Attribute, Name},
    path::Purpose,
};

/// Who a certificate speaks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Identity {
    /// A professional, by national identifier (CPS card, professional's software certificate).
    Person(Person),
    /// Staff of a structure (CPE, CPA): known to that structure only.
    Staff(Staff),
    /// A structure, one of its services or applications.
    Organisation(Organisation),
    /// A server of a structure.
    Server(Server),
}

/// A professional.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Person {
    /// National identifier.
    pub id: PersonId,
    /// Surname.
    pub family: String,
    /// Given name.
    pub given: String,
    /// Label of the profession (title).
    pub profession: Option<String>,
    /// Number of the card that holds the certificate.
    pub card: Option<CardNumber>,
}

/// Staff of a structure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Staff {
    /// Structure's number, `/`, internal number.
    pub id: PersonId,
    /// The structure that the subject names.
    pub structure: Option<StructureId>,
    /// Surname; employee cards carry a pseudonym instead.
    pub family: Option<String>,
    /// Given name; employee cards carry a pseudonym instead.
    pub given: Option<String>,
    /// Name of the structure.
    pub organisation: Option<String>,
    /// Title.
    pub title: Option<String>,
    /// Number of the card that holds the certificate.
    pub card: Option<CardNumber>,
}

/// A structure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Organisation {
    /// National identifier of the structure (OU).
    pub structure: StructureId,
    /// Its name (O).
    pub name: String,
    /// What the certificate is for (CN): an application or service, never an identity.
    pub label: String,
}

/// A server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Server {
    /// Host name, lower case.
    pub host: String,
    /// National identifier of the structure that runs it (OU).
    pub structure: Option<StructureId>,
    /// Name of the structure (O).
    pub name: Option<String>,
}

/// Why nobody can be read from a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum IdentityError {
    /// None or several of an attribute that must be there once.
    #[error("the subject does not name exactly one holder")]
    Ambiguous,
    /// The subject has none of the shapes of the trust space.
    #[error("the subject has none of the shapes of a professional, a staff member, a structure or a server")]
    Unknown,
}

impl Identity {
    /// Reads who the certificate speaks for. Says nothing about whether it can be trusted: verify it
    /// for [`Identity::purpose`] too.
    ///
    /// # Errors
    /// See [`IdentityError`].
    pub fn of(certificate: &Certificate) -> Result<Self, IdentityError> {
        let subject = certificate.subject();
        let serves = certificate.extended_key_usage().is_some_and(|all| all.iter().any(|p| p == usage::SERVER_AUTH));
        if serves {
            return server(certificate);
        }
        let common = match subject.get(Attribute::CommonName).as_slice() {
            [one] => *one,
            [] => return Err(IdentityError::Unknown),
            _ => return Err(IdentityError::Ambiguous),
        };
        match PersonId::parse(common) {
            // Blanks would be dropped by the parser; an identifier in a certificate has none.
            Ok(id) if id.as_str() == common => holder(certificate, id),
            _ => organisation(subject, common),
        }
    }

    /// The purpose for which a certificate of this kind has to be verified, so that a name in the
    /// shape of a person counts only under the persons' anchors.
    pub fn purpose(&self) -> Purpose {
        match self {
            Self::Person(_) | Self::Staff(_) => Purpose::Person,
            Self::Organisation(_) => Purpose::Organisation,
            Self::Server(_) => Purpose::Server,
        }
    }

    /// The national identifier of a person, staff included.
    pub fn person_id(&self) -> Option<&PersonId> {
        match self {
            Self::Person(person) => Some(&person.id),
            Self::Staff(staff) => Some(&staff.id),
            Self::Organisation(_) | Self::Server(_) => None,
        }
    }

    /// The structure that the subject names.
    pub fn structure(&self) -> Option<&StructureId> {
        match self {
            Self::Person(_) => None,
            Self::Staff(staff) => staff.structure.as_ref(),
            Self::Organisation(organisation) => Some(&organisation.structure),
            Self::Server(server) => server.structure.as_ref(),
        }
    }

    /// How readers see it: `Zoé MARTIN-TEST`, `CH Exemple`.
    pub fn display_name(&self) -> String {
        match self {
            Self::Person(person) => format!("{} {}", person.given, person.family),
            Self::Staff(staff) => match (&staff.given, &staff.family) {
                (Some(given), Some(family)) => format!("{given} {family}"),
                _ => staff.id.to_string(),
            },
            Self::Organisation(organisation) => organisation.name.clone(),
            Self::Server(server) => server.host.clone(),
        }
    }
}

/// CPS: CN + SN + GN, and title. CPE and CPA: CN in the internal shape.
fn holder(certificate: &Certificate, id: PersonId) -> Result<Identity, IdentityError> {
    let subject = certificate.subject();
    let family = at_most_one(subject, Attribute::Surname)?;
    let given = at_most_one(subject, Attribute::GivenName)?;
    let title = at_most_one(subject, Attribute::Title)?;
    let card = certificate.card_number();
    match id.kind() {
        PersonIdKind::Rpps | PersonIdKind::Adeli => match (family, given) {
            (Some(family), Some(given)) => Ok(Identity::Person(Person { id, family, given, profession: title, card })),
            // A number alone is what an organisation could ask for as a label: no name, no person.
            _ => Err(IdentityError::Unknown),
        },
        PersonIdKind::FinessInternal | PersonIdKind::SiretInternal => Ok(Identity::Staff(Staff {
            id,
            structure: structure(subject)?,
            family,
            given,
            organisation: at_most_one(subject, Attribute::Organization)?,
            title,
            card,
        })),
    }
}

fn organisation(subject: &Name, label: &str) -> Result<Identity, IdentityError> {
    let structure = structure(subject)?.ok_or(IdentityError::Unknown)?;
    let name = at_most_one(subject, Attribute::Organization)?.ok_or(IdentityError::Unknown)?;
    Ok(Identity::Organisation(Organisation { structure, name, label: label.to_owned() }))
}

/// The host is the first full name of the subject alternative name; CN only where there is none.
fn server(certificate: &Certificate) -> Result<Identity, IdentityError> {
    let subject = certificate.subject();
    let host_of = |text: &str| Domain::parse(text).ok().map(|domain| domain.as_str().to_owned());
    let host = if certificate.dns_names().is_empty() {
        subject.single(Attribute::CommonName).and_then(host_of)
    } else {
        certificate.dns_names().iter().find_map(|name| host_of(name))
    };
    Ok(Identity::Server(Server {
        host: host.ok_or(IdentityError::Unknown)?,
        structure: structure(subject)?,
        name: at_most_one(subject, Attribute::Organization)?,
    }))
}

/// The OU that has the shape of a structure's identifier; other OUs are just labels.
fn structure(subject: &Name) -> Result<Option<StructureId>, IdentityError> {
    let units = subject.get(Attribute::OrganizationalUnit);
    let mut found = units.iter().filter_map(|unit| StructureId::parse(unit).ok().filter(|id| id.as_str() == *unit));
    match (found.next(), found.next()) {
        (_, Some(_)) => Err(IdentityError::Ambiguous),
        (found, None) => Ok(found),
    }
}

fn at_most_one(subject: &Name, attribute: Attribute) -> Result<Option<String>, IdentityError> {
    match subject.get(attribute).as_slice() {
        [] => Ok(None),
        [one] => Ok(Some((*one).to_owned())),
        _ => Err(IdentityError::Ambiguous),
    }
}
