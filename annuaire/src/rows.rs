//! One row of each national file, read and checked; borrowed from the line that it came from.

use std::borrow::Cow;

use ident::{Address, CardNumber, PersonId};

use crate::{Date, MailboxType};

/// A value that may be several columns (code, label…), joined by `|`, which no value can hold.
pub(crate) type Coded<'a> = Cow<'a, str>;

/// Who a row is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PersonRow<'a> {
    pub(crate) id: PersonId,
    pub(crate) family: &'a str,
    pub(crate) given: &'a str,
    pub(crate) civility: Coded<'a>,
    pub(crate) title: Coded<'a>,
    pub(crate) profession: Coded<'a>,
}

/// A structure as a row describes it. All texts may be empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct StructureRow<'a> {
    pub(crate) finess: Cow<'a, str>,
    pub(crate) siret: Cow<'a, str>,
    pub(crate) technical: Cow<'a, str>,
    pub(crate) entity_finess: &'a str,
    pub(crate) siren: &'a str,
    pub(crate) former: &'a str,
    pub(crate) name: &'a str,
    pub(crate) trade_name: &'a str,
    pub(crate) recipient: &'a str,
    pub(crate) place: &'a str,
    pub(crate) street: Cow<'a, str>,
    pub(crate) mention: &'a str,
    pub(crate) cedex: &'a str,
    pub(crate) postcode: &'a str,
    pub(crate) town: Coded<'a>,
    pub(crate) department: Coded<'a>,
    pub(crate) country: Coded<'a>,
    pub(crate) phone: &'a str,
    pub(crate) phone2: &'a str,
    pub(crate) fax: &'a str,
    pub(crate) email: &'a str,
}

/// A row of the person-activity file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ActivityRow<'a> {
    pub(crate) person: PersonRow<'a>,
    pub(crate) structure: StructureRow<'a>,
    pub(crate) category: Coded<'a>,
    pub(crate) skill: Coded<'a>,
    pub(crate) mode: Coded<'a>,
    pub(crate) sector: Coded<'a>,
    pub(crate) section: Coded<'a>,
    pub(crate) function: Coded<'a>,
    pub(crate) kind: Coded<'a>,
    pub(crate) authority: &'a str,
    pub(crate) hash: u64,
}

/// A row of the skills file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SkillRow<'a> {
    pub(crate) person: PersonRow<'a>,
    pub(crate) category: Coded<'a>,
    pub(crate) skill: Coded<'a>,
    pub(crate) hash: u64,
}

/// A row of the diplomas and authorisations file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DiplomaRow<'a> {
    pub(crate) person: PersonRow<'a>,
    pub(crate) diploma: Coded<'a>,
    pub(crate) authorisation: Coded<'a>,
    pub(crate) discipline: Coded<'a>,
    pub(crate) hash: u64,
}

/// A row of the mailbox file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MailboxRow<'a> {
    pub(crate) address: Address,
    pub(crate) kind: MailboxType,
    pub(crate) person: Option<PersonRow<'a>>,
    pub(crate) structure: StructureRow<'a>,
    pub(crate) service: &'a str,
    pub(crate) paperless: &'a str,
    pub(crate) hash: u64,
}

/// A row of the card file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CardRow<'a> {
    pub(crate) number: CardNumber,
    pub(crate) person: PersonRow<'a>,
    pub(crate) kind: Coded<'a>,
    pub(crate) from: Option<Date>,
    pub(crate) to: Option<Date>,
    pub(crate) opposed: bool,
    pub(crate) opposed_on: Option<Date>,
    pub(crate) updated: Option<Date>,
    pub(crate) hash: u64,
}

/// What became of a row that was readable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is a record of its own.
    Kept,
    /// It said nothing new, or added to a record that was there.
    Merged,
}
