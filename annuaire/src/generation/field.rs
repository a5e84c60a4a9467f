//! Where in a record a word stands.

/// A kind of word. Names, labels and addresses are what free text looks through; the others answer filters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Field {
    /// Family name in practice.
    Family,
    /// Given name in practice.
    Given,
    /// Label of the profession.
    Profession,
    /// Label of a speciality or another skill.
    Speciality,
    /// Words of a mail address; of a structure, those of its shared mailboxes.
    Mailbox,
    /// Registered or trade name of a structure.
    Structure,
    /// Street and the lines around it.
    Street,
    /// Town.
    Town,
    /// Postcode.
    Postcode,
    /// Department: its number, or its name.
    Department,
    /// Service that a shared mailbox belongs to.
    Service,
    /// Code of the profession (`10` = physician).
    ProfessionCode,
    /// Code of a skill (`SM04`).
    SpecialityCode,
    /// INSEE code of the town.
    TownCode,
    /// Code of the sector of activity.
    SectorCode,
    /// Kind of a mailbox that the person has: `per`, `cab`, `org`, `app`; `any` when there is one at all.
    MailboxType,
    /// Whole domain of a mail address that the person has.
    Domain,
    /// Kind of a shared mailbox that the structure has, and `any`.
    SharedType,
    /// Whole domain of a shared mailbox that the structure has.
    SharedDomain,
    /// `active` or `inactive`.
    State,
    /// How a family or given name sounds ([`crate::fonem`]).
    Sound,
}

impl Field {
    /// All of them.
    pub const ALL: [Self; 21] = [
        Self::Family,
        Self::Given,
        Self::Profession,
        Self::Speciality,
        Self::Mailbox,
        Self::Structure,
        Self::Street,
        Self::Town,
        Self::Postcode,
        Self::Department,
        Self::Service,
        Self::ProfessionCode,
        Self::SpecialityCode,
        Self::TownCode,
        Self::SectorCode,
        Self::MailboxType,
        Self::Domain,
        Self::SharedType,
        Self::SharedDomain,
        Self::State,
        Self::Sound,
    ];

    /// Its place in [`Self::ALL`].
    pub(crate) const fn number(self) -> u32 {
        self as u32
    }

    /// The octet behind each of its words in the dictionary.
    pub(crate) const fn mark(self) -> u8 {
        b'a'.saturating_add(self as u8)
    }
}

/// A set of fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fields(u32);

impl Fields {
    /// No field.
    pub const NONE: Self = Self(0);
    /// All there are.
    pub(crate) const ALL: Self = Self(u32::MAX);
    /// Family and given name.
    pub const NAMES: Self = Self::of(&[Field::Family, Field::Given]);
    /// What free text looks through.
    pub const TEXT: Self = Self::of(&[
        Field::Family,
        Field::Given,
        Field::Profession,
        Field::Speciality,
        Field::Mailbox,
        Field::Structure,
        Field::Street,
        Field::Town,
        Field::Postcode,
        Field::Department,
        Field::Service,
    ]);

    /// These fields.
    pub const fn of(fields: &[Field]) -> Self {
        let mut set = 0u32;
        let mut rest = fields;
        while let [first, others @ ..] = rest {
            set |= 1 << first.number();
            rest = others;
        }
        Self(set)
    }

    /// Whether the field is one of them.
    pub const fn has(self, field: Field) -> bool {
        self.has_number(field.number())
    }

    pub(crate) const fn has_number(self, number: u32) -> bool {
        number < 32 && (self.0 >> number) & 1 == 1
    }

    /// Those that both sets have.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Those that one of the sets has.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl From<Field> for Fields {
    fn from(field: Field) -> Self {
        Self::of(&[field])
    }
}
