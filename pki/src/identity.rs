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

#[cfg(test)]
mod tests {
    use ident::{Address, CardNumber};

    use super::*;
    use crate::{
        issue::{CardUse, Extension, NamePart, OrganisationUse, Profile, ServerMailUse, StaffKind, SubjectName},
        path::tests::{PERSONS, SERVERS, doctor, hospital, issue, organisation, server},
    };

    fn of(profile: Profile) -> Result<Identity, IdentityError> {
        Identity::of(&issue(&PERSONS.issuing, profile))
    }

    fn custom(subject: SubjectName) -> Result<Identity, IdentityError> {
        of(Profile::Custom { subject, extensions: vec![] })
    }

    fn card_name() -> [(NamePart, &'static str); 3] {
        [(NamePart::CommonName, "899700000017"), (NamePart::Surname, "MARTIN-TEST"), (NamePart::GivenName, "Élodie")]
    }

    #[test]
    fn reads_the_national_shapes() {
        let Ok(Identity::Person(person)) = of(doctor(CardUse::Authentication)) else { panic!("a doctor") };
        assert_eq!(person.id.as_str(), "899700000017");
        assert_eq!((person.given.as_str(), person.family.as_str()), ("Élodie", "MARTIN-TEST"));
        assert_eq!(person.profession.as_deref(), Some("Médecin"));
        assert_eq!(person.card, CardNumber::parse("2800067201"));

        let staff = |kind| Profile::Staff {
            id: PersonId::parse("3990000001/000000018").unwrap(),
            family: "PETIT-TEST".into(),
            given: "Zoé".into(),
            structure: hospital(),
            card: CardNumber::parse("3800000018").unwrap(),
            kind,
        };
        for kind in [StaffKind::Cpe, StaffKind::Cpa] {
            let identity = of(staff(kind)).unwrap();
            assert_eq!(identity.purpose(), Purpose::Person);
            assert_eq!(identity.structure().unwrap().as_str(), "1990000001");
            assert_eq!(identity.person_id().unwrap().as_str(), "3990000001/000000018");
            let Identity::Staff(staff) = identity else { panic!("{kind:?}") };
            assert_eq!(staff.family.is_some(), kind == StaffKind::Cpa, "employee cards carry a pseudonym");
        }

        let identity = of(organisation(OrganisationUse::AuthClient)).unwrap();
        assert_eq!((identity.purpose(), identity.display_name().as_str()), (Purpose::Organisation, "CH EXEMPLE-TEST"));
        let identity = of(server()).unwrap();
        assert_eq!((identity.purpose(), identity.display_name().as_str()), (Purpose::Server, "smtp.ch-exemple.test"));
        let mail = Profile::ServerMail {
            name: "ch-exemple.test".into(),
            structure: hospital(),
            usage: ServerMailUse::Sign,
            emails: vec![Address::parse("a@ch-exemple.test").unwrap()],
        };
        assert!(matches!(of(mail), Ok(Identity::Organisation(it)) if it.label == "ch-exemple.test"));
    }

    #[test]
    fn one_set_or_several_rdns_name_the_same_person() {
        let as_set = custom(SubjectName::french().with_set(&card_name()));
        let apart = card_name().iter().fold(SubjectName::french(), |name, (part, value)| name.with(*part, value));
        assert_eq!(custom(apart), as_set);
        assert!(matches!(as_set, Ok(Identity::Person(_))));
    }

    #[test]
    fn a_label_is_no_identity() {
        let organisation = |cn: &str| {
            SubjectName::french()
                .with(NamePart::Organisation, "CH EXEMPLE-TEST")
                .with(NamePart::Unit, "1990000001")
                .with(NamePart::CommonName, cn)
        };
        // A structure that asks for a doctor's number as a label gets nobody's identity.
        assert_eq!(custom(organisation("899700000017")), Err(IdentityError::Unknown));
        assert!(matches!(custom(organisation("Dr MARTIN-TEST")), Ok(Identity::Organisation(_))));
        for (subject, error) in [
            (SubjectName::french(), IdentityError::Unknown),
            (SubjectName::french().with(NamePart::CommonName, "Dr MARTIN-TEST"), IdentityError::Unknown),
            (SubjectName::french().with(NamePart::Email, "dr.martin-test@ch-exemple.test"), IdentityError::Unknown),
            (
                SubjectName::french().with_set(&card_name()).with(NamePart::CommonName, "899700000025"),
                IdentityError::Ambiguous,
            ),
            (SubjectName::french().with_set(&card_name()).with(NamePart::Surname, "AUTRE"), IdentityError::Ambiguous),
            (organisation("x").with(NamePart::Unit, "318751275100020"), IdentityError::Ambiguous),
            (
                SubjectName::french().with_set(&[
                    (NamePart::CommonName, "8 99700000017"),
                    (NamePart::Surname, "MARTIN-TEST"),
                    (NamePart::GivenName, "Élodie"),
                ]),
                IdentityError::Unknown,
            ),
        ] {
            assert_eq!(custom(subject.clone()), Err(error), "{subject:?}");
        }
    }

    #[test]
    fn servers_are_named_by_their_alternative_name() {
        let eku = crate::der::sequence(&[crate::der::oid(usage::SERVER_AUTH).unwrap()]);
        let with = |cn: &str, names: &[&str]| {
            let names: Vec<Vec<u8>> =
                names.iter().map(|name| crate::der::context_primitive(2, name.as_bytes())).collect();
            let mut extensions = vec![Extension { oid: "2.5.29.37".into(), critical: false, value: eku.clone() }];
            if !names.is_empty() {
                let value = crate::der::sequence(&names);
                extensions.push(Extension { oid: "2.5.29.17".into(), critical: false, value });
            }
            let subject = SubjectName::french().with(NamePart::CommonName, cn);
            Identity::of(&issue(&SERVERS.issuing, Profile::Custom { subject, extensions })).map(|it| it.display_name())
        };
        assert_eq!(with("a.test", &["B.test", "c.test"]).as_deref(), Ok("b.test"));
        assert_eq!(with("A.test", &[]).as_deref(), Ok("a.test"));
        assert_eq!(with("a.test", &["*.b.test"]), Err(IdentityError::Unknown), "NT-T05");
        assert_eq!(with("Serveur de test", &[]), Err(IdentityError::Unknown));
    }
}
