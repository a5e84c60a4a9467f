//! The router's own table: resources, parameters, interactions. Requests are read by it and the CapabilityStatement is
//! written from it, so that it cannot say what is not so.

use crate::{Field, Fields};

/// The resources that are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Kind {
    Practitioner,
    PractitionerRole,
    Organization,
    HealthcareService,
    Device,
}

/// FHIR type of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    Text,
    Token,
    Reference,
    Date,
}

/// What a parameter asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// Technical id.
    Id,
    /// When it last changed.
    LastUpdated,
    /// What people type into one field.
    Content,
    /// In practice or not.
    Active,
    /// Names of a person.
    Names(Fields),
    /// Names of a person, near misses and what sounds alike among them.
    Phonetic,
    /// Words of a place.
    Place(Fields),
    /// INSEE code of the town.
    TownCode,
    /// A number of a register.
    Identifier,
    /// Type of a number.
    IdentifierType,
    /// A mail address.
    Mailbox,
    /// PER, ORG, APP, CAB.
    MailboxType,
    /// Number of a card.
    CardNumber,
    /// Type of a card.
    CardType,
    /// Profession, skill, diploma.
    Qualification,
    /// Profession, function, mode, kind of an activity.
    RoleCode,
    /// Speciality of an activity.
    Speciality,
    /// Sector of a structure.
    Sector,
    /// The person of an activity.
    Practitioner,
    /// The structure of an activity or a service.
    Organization,
    /// The legal entity of a structure.
    PartOf,
    /// Name of a service.
    ServiceName,
    /// Who registered an activity.
    Authority,
    /// Profile of a resource.
    Profile,
    /// Something that the extracts do not say: nothing has it.
    Unheld,
}

/// One search parameter of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Param {
    pub(super) name: &'static str,
    pub(super) r#type: Type,
    pub(super) what: What,
    pub(super) doc: &'static str,
}

const fn text(name: &'static str, what: What, doc: &'static str) -> Param {
    Param { name, r#type: Type::Text, what, doc }
}

const fn token(name: &'static str, what: What, doc: &'static str) -> Param {
    Param { name, r#type: Type::Token, what, doc }
}

const fn reference(name: &'static str, what: What, doc: &'static str) -> Param {
    Param { name, r#type: Type::Reference, what, doc }
}

const TOWN: Fields = Fields::of(&[Field::Town]);
const POSTCODE: Fields = Fields::of(&[Field::Postcode]);
const STREET: Fields = Fields::of(&[Field::Street]);
const DEPARTMENT: Fields = Fields::of(&[Field::Department]);
const STRUCTURE: Fields = Fields::of(&[Field::Structure]);
const ADDRESS: Fields = Fields::of(&[Field::Street, Field::Town, Field::Postcode, Field::Department]);

/// Parameters of every resource.
pub(super) const COMMON: &[Param] = &[
    token("_id", What::Id, "Technical id."),
    Param {
        name: "_lastUpdated",
        r#type: Type::Date,
        what: What::LastUpdated,
        doc: "Date of the data since which the resource is as it is: eq, ne, gt, ge, lt, le, sa, eb, ap.",
    },
    text("_content", What::Content, "What people type: words in any order, unfinished, misspelt, numbers, addresses."),
    token("_profile", What::Profile, "Canonical address of a profile in meta.profile."),
    token("data-information-system", What::Unheld, "The extracts do not say it: nothing has it."),
];

const NAME: &str = "Start of any word of the name; accents, case, hyphens and particles free. :exact keeps them.";
const MAILBOX: &str = "MSSanté address: its start; :contains is a true contains, :exact the whole address.";
const MAILBOX_TYPE: &str = "PER, ORG, APP or CAB, with or without TRE_R257-TypeBAL (or TRE_R256-TypeMessagerie).";
const WORKPLACE: &str = "Of a structure where the person works.";

const PRACTITIONER: &[Param] = &[
    token("active", What::Active, "Whether the directory lists the person as practising."),
    text("family", What::Names(Fields::of(&[Field::Family])), NAME),
    text("given", What::Names(Fields::of(&[Field::Given])), NAME),
    text("name", What::Names(Fields::NAMES), NAME),
    text("phonetic", What::Phonetic, "Names one or two letters off, or that sound alike (FONEM)."),
    token("identifier", What::Identifier, "RPPS, IDNPS or ADELI, with or without type digit, blanks and system."),
    token("identifier-type", What::IdentifierType, "RPPS, IDNPS, 0, 3, 5."),
    text("mailbox-mss", What::Mailbox, MAILBOX),
    token("mailbox-mss-type", What::MailboxType, MAILBOX_TYPE),
    token("qualification-code", What::Qualification, "Profession, skill; diploma with its system. :text for labels."),
    token("specialty", What::Speciality, "Skill of an activity. :text for labels."),
    text("number-smartcard", What::CardNumber, "Number of a card."),
    token("type-smartcard", What::CardType, "Type of a card."),
    text("address", What::Place(ADDRESS), WORKPLACE),
    text("address-city", What::Place(TOWN), WORKPLACE),
    text("address-postalcode", What::Place(POSTCODE), WORKPLACE),
    text("address-state", What::Place(DEPARTMENT), "Department, number or name, of a structure of the person."),
    text("address-line", What::Place(STREET), WORKPLACE),
    text("organization-name", What::Place(STRUCTURE), WORKPLACE),
    token("data-registration-authority", What::Authority, "Who registered one of the activities."),
];

const ROLE: &[Param] = &[
    token("active", What::Active, "Whether the person of the activity is practising."),
    reference("practitioner", What::Practitioner, "The person; chains to every parameter of Practitioner."),
    reference("organization", What::Organization, "The structure; chains to every parameter of Organization."),
    token("role", What::RoleCode, "Profession (TRE_G15), function (R21), kind (R22), mode (R23). :text for labels."),
    token("specialty", What::Speciality, "Skill of the activity, else the person's ordinal speciality."),
    token("identifier", What::Identifier, "The extracts have no identifier of activities: that of the person."),
    text("mailbox-mss", What::Mailbox, MAILBOX),
    token("mailbox-mss-type", What::MailboxType, MAILBOX_TYPE),
    reference("location", What::Unheld, "The extracts hold no locations beside structures."),
    reference("service", What::Unheld, "The extracts do not tie activities to services."),
    token("data-registration-authority", What::Authority, "Who registered the activity."),
];

const ORGANIZATION: &[Param] = &[
    token("active", What::Active, "Structures of the extracts are active."),
    text("name", What::Place(STRUCTURE), NAME),
    text("address", What::Place(ADDRESS), "Any part of the address."),
    text("address-city", What::Place(TOWN), "Town; `cedex` and arrondissement free, st = saint."),
    text("address-line", What::Place(STREET), "Street and the lines around it."),
    text("address-postalcode", What::Place(POSTCODE), "Postcode or its start."),
    text("address-state", What::Place(DEPARTMENT), "Department, number or name."),
    token("address-insee", What::TownCode, "INSEE code of the town."),
    token(
        "identifier",
        What::Identifier,
        "FINESS, IDNST, SIRET, RPPS and rank, technical; with or without type digit.",
    ),
    token("identifier-type", What::IdentifierType, "FINEG, IDNST, SIRET, SIREN, INTRN."),
    text("mailbox-mss", What::Mailbox, MAILBOX),
    token("mailbox-mss-type", What::MailboxType, MAILBOX_TYPE),
    reference("partof", What::PartOf, "Legal entity: its FINESS number, or one of its sites."),
    token("type", What::Sector, "Sector of activity (TRE_R02), GEOGRAPHICAL-ENTITY."),
    text("pharmacy-licence", What::Unheld, "The extracts do not say it: nothing has it."),
    Param { name: "period", r#type: Type::Date, what: What::Unheld, doc: "The extracts do not say it." },
    reference("endpoint", What::Unheld, "The extracts hold no endpoints: mailboxes are telecom."),
    token("data-registration-authority", What::Unheld, "The extracts say it of activities only."),
];

const SERVICE: &[Param] = &[
    token("active", What::Active, "Services of the extracts are active."),
    text("name", What::ServiceName, "Start of any word of the service's name."),
    reference("organization", What::Organization, "The structure; chains to every parameter of Organization."),
    token("identifier", What::Unheld, "The extracts have no identifier of services."),
    text("mailbox-mss", What::Mailbox, MAILBOX),
    token("mailbox-mss-type", What::MailboxType, MAILBOX_TYPE),
    reference("location", What::Unheld, "The extracts hold no locations beside structures."),
    token("characteristic", What::Unheld, "The extracts do not say it: nothing has it."),
    token("service-category", What::Unheld, "The extracts do not say it: nothing has it."),
    token("service-type", What::Unheld, "The extracts do not say it: nothing has it."),
    token("data-registration-authority", What::Unheld, "The extracts do not say it: nothing has it."),
];

const DEVICE: &[Param] = &[
    token("identifier", What::Unheld, "The extracts hold no devices."),
    text("manufacturer", What::Unheld, "The extracts hold no devices."),
    text("model", What::Unheld, "The extracts hold no devices."),
    reference("organization", What::Organization, "The extracts hold no devices."),
    token("status", What::Unheld, "The extracts hold no devices."),
    token("type", What::Unheld, "The extracts hold no devices."),
    token("data-registration-authority", What::Unheld, "The extracts hold no devices."),
];

/// Parameters that say how the answer is to look.
pub(super) const RESULT: &[(&str, &str)] = &[
    ("_count", "How many on a page: 50 unless told, 500 at most; 0 for the total alone."),
    ("_elements", "Elements wanted, comma-separated; the resource is tagged SUBSETTED."),
    ("_format", "json; nothing else is spoken."),
    ("_include", "See searchInclude."),
    ("_page", "Where a page begins: only as it stands in a link that this server wrote."),
    ("_pretty", "true: with line breaks."),
    ("_revinclude", "See searchRevInclude."),
    ("_sort", "The keys that each resource names, comma-separated, - for descending; for 20,000 answers at most."),
    ("_summary", "true, text, data, count or false."),
    ("_total", "none, estimate or accurate."),
];

impl Kind {
    pub(super) const ALL: [Self; 5] =
        [Self::Practitioner, Self::PractitionerRole, Self::Organization, Self::HealthcareService, Self::Device];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Practitioner => "Practitioner",
            Self::PractitionerRole => "PractitionerRole",
            Self::Organization => "Organization",
            Self::HealthcareService => "HealthcareService",
            Self::Device => "Device",
        }
    }

    pub(super) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Its own parameters.
    pub(super) const fn params(self) -> &'static [Param] {
        match self {
            Self::Practitioner => PRACTITIONER,
            Self::PractitionerRole => ROLE,
            Self::Organization => ORGANIZATION,
            Self::HealthcareService => SERVICE,
            Self::Device => DEVICE,
        }
    }

    /// The parameter of this name.
    pub(super) fn param(self, name: &str) -> Option<&'static Param> {
        COMMON.iter().chain(self.params()).find(|param| param.name == name)
    }

    /// References that may be included.
    pub(super) const fn includes(self) -> &'static [&'static str] {
        match self {
            Self::PractitionerRole => &["PractitionerRole:practitioner", "PractitionerRole:organization"],
            // IHE mCSD wants the second one; there are none (specs/deviations.md).
            Self::Organization => &["Organization:partof", "Organization:endpoint"],
            Self::HealthcareService => &["HealthcareService:organization"],
            Self::Device => &["Device:organization"],
            Self::Practitioner => &[],
        }
    }

    /// What refers to it and may be included.
    pub(super) const fn reverse_includes(self) -> &'static [&'static str] {
        match self {
            Self::Practitioner => &["PractitionerRole:practitioner"],
            Self::Organization => {
                &["PractitionerRole:organization", "HealthcareService:organization", "Device:organization"]
            }
            Self::PractitionerRole | Self::HealthcareService | Self::Device => &[],
        }
    }

    /// Keys of `_sort`.
    pub(super) const fn sorts(self) -> &'static [&'static str] {
        match self {
            Self::Practitioner => &["_id", "_lastUpdated", "family", "given", "name"],
            Self::Organization => &["_id", "_lastUpdated", "name", "address-city", "address-postalcode"],
            Self::HealthcareService => &["_id", "_lastUpdated", "name"],
            Self::PractitionerRole | Self::Device => &["_id", "_lastUpdated"],
        }
    }

    /// The French profiles that it follows; none where the extracts lack what the profile requires.
    pub(super) const fn profiles(self) -> &'static [&'static str] {
        match self {
            Self::Practitioner => &[
                "https://interop.esante.gouv.fr/ig/fhir/annuaire/StructureDefinition/as-dp-practitioner",
                "https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-practitioner",
            ],
            Self::PractitionerRole => &[
                "https://interop.esante.gouv.fr/ig/fhir/annuaire/StructureDefinition/as-dp-practitionerrole",
                "https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-practitioner-role",
            ],
            Self::Organization => &[
                "https://interop.esante.gouv.fr/ig/fhir/annuaire/StructureDefinition/as-dp-organization",
                "https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-organization",
            ],
            Self::HealthcareService | Self::Device => &[],
        }
    }

    /// Elements that `_summary=true` keeps.
    pub(super) const fn summary(self) -> &'static [&'static str] {
        match self {
            Self::Practitioner => &["identifier", "active", "name", "telecom"],
            Self::PractitionerRole => {
                &["identifier", "active", "practitioner", "organization", "code", "specialty", "telecom"]
            }
            Self::Organization => &["identifier", "active", "type", "name", "partOf"],
            Self::HealthcareService => &["identifier", "active", "providedBy", "name"],
            Self::Device => &["identifier"],
        }
    }

    /// Elements that are never left out.
    pub(super) const fn mandatory(self) -> &'static [&'static str] {
        match self {
            Self::Practitioner | Self::Organization => &["identifier", "name"],
            Self::PractitionerRole => &["practitioner", "code"],
            Self::HealthcareService | Self::Device => &["name"],
        }
    }
}

impl Type {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Text => "string",
            Self::Token => "token",
            Self::Reference => "reference",
            Self::Date => "date",
        }
    }
}

impl Param {
    /// Modifiers that it takes: those that mean something for it, and no other of its type.
    pub(super) const fn modifiers(&self) -> &'static [&'static str] {
        match self.what {
            What::Names(_) | What::Place(_) => &["missing", "exact", "contains", "text"],
            What::ServiceName | What::Mailbox => &["missing", "exact", "contains"],
            What::Identifier => &["missing", "not", "of-type"],
            What::Qualification | What::RoleCode | What::Speciality | What::Sector | What::CardType => {
                &["missing", "not", "text"]
            }
            What::Practitioner => &["missing", "identifier", "Practitioner"],
            What::Organization | What::PartOf => &["missing", "identifier", "Organization"],
            What::Content => &[],
            What::Phonetic | What::CardNumber | What::LastUpdated => &["missing"],
            What::Id
            | What::Active
            | What::IdentifierType
            | What::MailboxType
            | What::TownCode
            | What::Authority
            | What::Profile => &["missing", "not"],
            What::Unheld => match self.r#type {
                Type::Token => &["missing", "not"],
                Type::Reference => &["missing", "identifier"],
                Type::Text | Type::Date => &["missing"],
            },
        }
    }
}
