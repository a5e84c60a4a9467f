//! Fictional extracts in the true national formats, the same for the same seed.
//!
//! Every family name made here ends in `-TEST`, every domain in `.test`; numbers lie in ranges that no register
//! uses. A caller adds its own *cast*: the people, structures, mailboxes and cards that its story needs.

mod faults;
mod made;
mod names;
mod random;
mod write;

use std::{io, path::Path};

use ident::{Address, CardNumber, PersonId, StructureId};

use crate::{Date, MailboxType};

pub use made::MadePerson;

/// What to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GenerateOptions {
    /// The same seed gives the same files, octet for octet.
    pub seed: u64,
    /// How many people besides the cast.
    pub people: u32,
    /// The day that the extracts pretend to be from: cards are good or expired with regard to it.
    pub day: Date,
    /// Who must be in it.
    pub cast: Cast,
    /// About how many rows the mailbox file is to have, of those that there are (38 for a hundred people). The others
    /// exist and are not published, as red-listed ones are: who has them shows them in [`MadePerson::mailboxes`].
    pub mailboxes: Option<u32>,
}

impl GenerateOptions {
    /// `people` fictional people from a seed, no cast, on [`Date::GENERATED`].
    pub fn new(seed: u64, people: u32) -> Self {
        Self { seed, people, day: Date::GENERATED, cast: Cast::default(), mailboxes: None }
    }
}

/// People, structures, mailboxes and cards given by the caller, written as given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cast {
    /// Structures, to be named by the others.
    pub structures: Vec<CastStructure>,
    /// People with their activities.
    pub people: Vec<CastPerson>,
    /// Mailboxes.
    pub mailboxes: Vec<CastMailbox>,
    /// Cards.
    pub cards: Vec<CastCard>,
}

/// A structure of the cast.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CastStructure {
    /// Its identifier.
    pub id: StructureId,
    /// FINESS number of its legal entity, 9 characters, if it has one.
    pub entity_finess: Option<String>,
    /// Name.
    pub name: String,
    /// Street with number.
    pub street: String,
    /// Postcode.
    pub postcode: String,
    /// Town.
    pub town: String,
}

/// A person of the cast.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CastPerson {
    /// National identifier.
    pub id: PersonId,
    /// Family name; say `-TEST` in it.
    pub family: String,
    /// Given name.
    pub given: String,
    /// `M` or `MME`.
    pub civility: String,
    /// Profession code (`10` = physician).
    pub profession_code: String,
    /// Profession label.
    pub profession: String,
    /// Code and label of the ordinal speciality.
    pub speciality: Option<(String, String)>,
    /// Where the person works: structures of the cast. None: registered, without activity.
    pub structures: Vec<StructureId>,
}

/// A mailbox of the cast as the extract publishes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CastMailbox {
    /// Address.
    pub address: Address,
    /// Kind.
    pub kind: MailboxType,
    /// Whose it is, for PER and CAB. Somebody outside the cast shows without a name.
    pub person: Option<PersonId>,
    /// Structure of the cast.
    pub structure: Option<StructureId>,
    /// Service.
    pub service: String,
}

/// A card of the cast.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CastCard {
    /// Number.
    pub number: CardNumber,
    /// Whose it is.
    pub person: PersonId,
    /// First day.
    pub valid_from: Date,
    /// Last day.
    pub valid_to: Date,
    /// Opposed since.
    pub opposed_on: Option<Date>,
}

/// What was made besides the cast.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Generated {
    /// The first people made, at most [`MAX_LISTED`], so that a caller can issue cards to some.
    pub people: Vec<MadePerson>,
    /// Rows written, in the order of [`crate::FileKind::ALL`], duplicates and wrong lines included.
    pub rows: [u64; 5],
    /// How many of these rows are wrong on purpose.
    pub wrong: u64,
}

/// Most people that [`Generated`] lists.
pub const MAX_LISTED: usize = 10_000;

/// Writes the five files into `folder` (made if needed) under their published names.
///
/// # Errors
/// What the file system says.
pub fn generate(folder: &Path, options: &GenerateOptions) -> io::Result<Generated> {
    std::fs::create_dir_all(folder)?;
    write::Writer::create(folder, options, false)?.all()
}

/// As [`generate`], with some lines wrong in the ways seen in the wild, and headers that drift as they do over the
/// years.
///
/// # Errors
/// What the file system says.
pub fn generate_with_faults(folder: &Path, options: &GenerateOptions) -> io::Result<Generated> {
    std::fs::create_dir_all(folder)?;
    write::Writer::create(folder, options, true)?.all()
}
