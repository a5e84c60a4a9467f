//! Sealing, opening and judging together: a small trust space of real certificates, real
//! containers, and every forged shape of the catalogue.

mod author;
mod catalogue;
mod flips;
mod forged;
mod frames;
mod header_protection;
mod interop;
mod layers;
mod oracle;
mod round_trip;
mod signers;
mod stamped;
mod vouching;

use std::collections::HashMap;

use ident::{Address, Bilingual, CardNumber, Domain, Fingerprint, PersonId, StructureId, Timestamp};
use pki::{
    certificate::Certificate,
    finding::Finding,
    issue::{
        Authority, AuthorityRequest, CardKind, CardUse, CertificateRequest, KeyAlgorithm, OrganisationUse,
        Profile as Kind, Structure, Validity,
    },
    keys::FileKey,
    path::{Purpose, ValidPath, Verdict as PathVerdict},
};

use crate::{Assurance, AssuranceLevel, Handover, Limits, Profile, SealFault, SealRequest, SealedMessage, Trust, seal};

pub(super) const NOW: Timestamp = Timestamp::from_seconds(1_790_000_000);
pub(super) const US: &str = "gw.ch-autre.test";

pub(super) fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

pub(super) fn wire(text: &str) -> Vec<u8> {
    text.replace('\n', "\r\n").into_bytes()
}

/// Who signs and reads in these tests.
pub(super) struct World {
    pub(super) gateway: FileKey,
    pub(super) doctor: FileKey,
    pub(super) mailbox: FileKey,
    pub(super) reader: FileKey,
    pub(super) other_reader: FileKey,
}

impl World {
    pub(super) fn new() -> Self {
        Self::with(KeyAlgorithm::P256)
    }

    /// Everybody's keys of this kind.
    pub(super) fn with(keys: KeyAlgorithm) -> Self {
        let validity = Validity::days(NOW, 3650);
        let root = Authority::root(&AuthorityRequest::new("RACINE EXEMPLE", KeyAlgorithm::P256, validity)).unwrap();
        let issue =
            |profile: Kind| root.issue(&CertificateRequest::new(profile, keys, validity)).unwrap().file_key().unwrap();
        let hospital = |id: &str, name: &str| Structure::new(StructureId::parse(id).unwrap(), name, "Paris (75)");
        let organisation = |id: &str, name: &str, usage, emails: Vec<Address>| {
            issue(Kind::Organisation { structure: hospital(id, name), label: "SCEAU".into(), usage, emails })
        };
        Self {
            gateway: organisation("1990000001", "CH EXEMPLE-TEST", OrganisationUse::Sign, vec![]),
            mailbox: organisation(
                "1990000003",
                "LABO TIERS-TEST",
                OrganisationUse::Sign,
                vec![address("labo@tiers.test")],
            ),
            reader: organisation("1990000002", "CH AUTRE-TEST", OrganisationUse::Confidentiality, vec![]),
            other_reader: organisation("1990000003", "LABO TIERS-TEST", OrganisationUse::Confidentiality, vec![]),
            doctor: issue(Kind::Person {
                id: PersonId::parse("899700000001").unwrap(),
                family: "MARTIN-TEST".into(),
                given: "Zoé".into(),
                title: "Médecin".into(),
                structure: None,
                card: CardNumber::parse("2800067201").unwrap(),
                kind: CardKind::Cps,
                usage: CardUse::Signature,
            }),
        }
    }

    /// Trust as the receiving hospital has it.
    pub(super) fn trust(&self) -> Fake {
        let valid = |key: &FileKey, purposes: &[Purpose]| (key.certificate().fingerprint(), purposes.to_vec());
        Fake {
            valid: HashMap::from([
                valid(&self.gateway, &[Purpose::Organisation]),
                valid(&self.mailbox, &[Purpose::Email]),
                valid(&self.doctor, &[Purpose::Person]),
            ]),
            waiting: false,
            revoked: false,
            persons: vec![(PersonId::parse("899700000001").unwrap(), address("zoe@ch-exemple.test"))],
            structures: vec![(StructureId::parse("1990000001").unwrap(), address("labo@ch-exemple.test"))],
            book: vec![(self.gateway.certificate().fingerprint(), Domain::parse("ch-exemple.test").unwrap())],
            operator: Some(["ch-exemple.test", "tiers.test"].map(|d| Domain::parse(d).unwrap()).to_vec()),
        }
    }

    pub(super) fn seal(&self, message: &[u8], to: &[&str], profile: Profile) -> Result<SealedMessage, SealFault> {
        self.seal_as(&self.gateway, message, to, profile)
    }

    pub(super) fn seal_as(
        &self,
        signer: &FileKey,
        message: &[u8],
        to: &[&str],
        profile: Profile,
    ) -> Result<SealedMessage, SealFault> {
        let recipients: Vec<Address> = to.iter().map(|r| address(r)).collect();
        let certificate = self.reader.certificate();
        let certificates: &[&Certificate] = if profile == Profile::SignedOnly { &[] } else { &[certificate] };
        seal(&SealRequest {
            message: &message,
            recipients: &recipients,
            signer,
            to: certificates,
            profile,
            inside: crate::Inside::Binary,
            at: NOW,
            assurance: Some(&assurance()),
            extra: &[crate::attributes::checkpoint("gw.ch-exemple.test\n7\n")],
            authserv_id: US,
            subject: crate::DEFAULT_SUBJECT,
            limits: &Limits::default(),
        })
    }
}

/// The message that would be handed over.
pub(super) fn bytes(opened: &crate::Opened) -> zeroize::Zeroizing<Vec<u8>> {
    let bytes = opened.inner.bytes(1 << 30).unwrap();
    assert_eq!(opened.inner_size, bytes.len() as u64);
    bytes
}

pub(super) fn assurance() -> Assurance {
    Assurance {
        level: AssuranceLevel::Authenticated,
        who: "Zoé MARTIN-TEST (899700000001)".into(),
        how: "carte CPS".into(),
    }
}

/// Answers from tables.
#[derive(Clone)]
pub(super) struct Fake {
    pub(super) valid: HashMap<Fingerprint, Vec<Purpose>>,
    /// Nothing can be told now.
    pub(super) waiting: bool,
    /// The holder's own authority has revoked every certificate.
    pub(super) revoked: bool,
    pub(super) persons: Vec<(PersonId, Address)>,
    pub(super) structures: Vec<(StructureId, Address)>,
    pub(super) book: Vec<(Fingerprint, Domain)>,
    /// Domains of the operator that handed the message over; `None`: nobody did.
    pub(super) operator: Option<Vec<Domain>>,
}

impl Trust for Fake {
    fn path(&self, certificate: &Certificate, purpose: Purpose) -> PathVerdict {
        let finding = |code| Finding {
            code,
            text: Bilingual::new("non", "no"),
            certificate: Some(certificate.subject().to_string()),
            detail: None,
        };
        if self.revoked && purpose != Purpose::Email {
            return PathVerdict::Invalid(finding("revoked"));
        }
        if self.waiting {
            return PathVerdict::Undetermined(finding("crl_missing"));
        }
        match self.valid.get(&certificate.fingerprint()) {
            Some(purposes) if purposes.contains(&purpose) => PathVerdict::Valid(ValidPath {
                certificates: vec![certificate.clone()],
                policies: vec![],
                revocation_judged: true,
                stale_grace: false,
                evidence: vec![],
            }),
            Some(_) => PathVerdict::Invalid(finding("wrong_purpose")),
            None => PathVerdict::Invalid(finding("unknown_issuer")),
        }
    }

    fn person_owns(&self, person: &PersonId, address: &Address) -> bool {
        self.persons.iter().any(|(id, owned)| id == person && owned.same_mailbox(address))
    }

    fn structure_owns(&self, structure: &StructureId, address: &Address) -> bool {
        self.structures.iter().any(|(id, owned)| id == structure && owned.same_mailbox(address))
    }

    fn book_signs(&self, certificate: &Certificate, address: &Address) -> bool {
        self.book.iter().any(|(known, domain)| *known == certificate.fingerprint() && domain == address.domain())
    }

    fn handover(&self, domain: &Domain) -> Handover {
        match &self.operator {
            None => Handover::Unknown,
            Some(domains) if domains.contains(domain) => Handover::Listed("OPERATEUR-TEST".into()),
            Some(_) => Handover::NotListed("OPERATEUR-TEST".into()),
        }
    }

    fn lists(&self, domain: &Domain) -> Option<bool> {
        Some(domain.as_str() != "grand-public.test")
    }
}
