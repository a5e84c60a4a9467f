//! The professional directory (*annuaire*): who exists, where they work, which mailbox and which card are theirs.
//!
//! * The five national extract files are read into a [`Generation`]: immutable, in memory, named, dated.
//! * [`Directory`] holds the generation in service and swaps it in one step.
//! * [`Registry`] is the operator's own list of mailboxes, the authority for *our* addresses.
//!
//! Nothing here opens a socket or reads the clock.
#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

mod accept;
mod answer;
mod ask;
mod date;
pub mod desk;
mod extract;
pub mod face;
pub mod fhir;
mod fold;
mod folder;
mod fonem;
mod generate;
mod generation;
mod history;
pub mod ldap;
mod life;
mod load;
mod progress;
mod published;
mod registry;
mod report;
mod rows;
mod search;
pub mod web;

pub use accept::{Accept, Holding};
pub use answer::{
    ActivityAnswer, Answer, CardAnswer, Lookup, MAX_LOOKUP, MAX_STRUCTURE_MAILBOXES, MailboxAnswer, MatchKind,
    PersonAnswer, Query, StructureAnswer, lookup,
};
pub use ask::{
    Filter, Hit, Hits, How, MAX_DEPTH, MAX_PARTS, MAX_QUESTION, MAX_WORDS, Page, Question, Rows, Similar, Total,
    WORK_LIMIT,
};
pub use date::Date;
pub use extract::FileKind;
pub use fold::{fold, words};
pub use folder::{DataFolder, FolderError, GENERATIONS_KEPT};
pub use fonem::fonem;
pub use generate::{
    Cast, CastCard, CastMailbox, CastPerson, CastStructure, GenerateOptions, Generated, MAX_LISTED, MadePerson,
    generate, generate_with_faults,
};
pub use generation::{
    Activity, Card, CardState, Change, Diff, Directory, Field, Fields, FileDiff, Generation, Gone, GoneKind, Mailbox,
    Person, Record, RecordKind, SHRINK_LIMIT_PERCENT, STALE_AFTER, Source, StoredError, Structure, TooMuchText, Totals,
    changes, diff, records,
};
pub use history::{GROWTH_LIMIT_FLOOR, GROWTH_LIMIT_PERCENT, HISTORY_COUNTS};
pub use life::{Closed, end_of_rights};
pub use load::{
    LoadError, LoadOptions, MAX_TEXT, MEMORY_PER_OCTET, REFUSED_LIMIT_FLOOR, REFUSED_LIMIT_PER_THOUSAND, build, load,
    load_watched, load_with,
};
pub use progress::{Progress, Step};
pub use published::{MAX_PUBLISHED, Published, PublishedMailbox};
pub use registry::{MAX_REGISTRY_BYTES, MailboxType, RegisteredMailbox, Registry, RegistryError, Right};
pub use report::{FileReport, Ignored, LoadReport, MAX_PROBLEMS, Problem};
pub use search::{Found, find, search};
