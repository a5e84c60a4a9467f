//! What a world holds of the directory and of what is published into it, and what is wrong with either. Mail never waits
//! for them (promise 5): what cannot be read is told and done without, and neither a start nor a reload is refused.

use std::{os::unix::fs::MetadataExt as _, path::Path, sync::Arc};

use annuaire::{DataFolder, FolderError, Generation, Published};

use crate::{
    config::{Loaded, Problem},
    published::PublishedFile,
    snapshot::Snapshot,
};

/// The generation that should be in service cannot be read: an earlier one is, or none.
const DAMAGED: &str = "directory-damaged";
/// Nothing was ever loaded.
const EMPTY: &str = "directory-empty";
/// What others published cannot be read, in part or at all.
pub(super) const PUBLISHED: &str = "published-damaged";

/// How much of what others published is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Known {
    /// All of it.
    #[default]
    Whole,
    /// Some lines cannot be read: the mailboxes that they name are not shown.
    Partly,
    /// Nothing: whom it hides is not known, so nobody is shown anything.
    Nothing,
}

/// What is wrong with the directory of a world.
#[derive(Debug, Clone, Default)]
pub struct Troubles {
    /// Why the generation that should be in service is not.
    pub directory: Option<Trouble>,
    /// Why what others published is not all there.
    pub published: Option<Problem>,
    /// How much of that is known all the same.
    pub known: Known,
    /// Another generation than the one in service is to be read, which is no trouble.
    pub waits: bool,
}

/// Why a generation is not in service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// What is wrong, and with which file.
    pub problem: Problem,
    /// The alarm that says so.
    pub(super) alarm: &'static str,
    /// The file that was tried in vain: it is not read again while it is the same.
    tried: Option<Tried>,
}

impl Trouble {
    /// Whether nothing was ever loaded.
    pub fn is_empty(&self) -> bool {
        self.alarm == EMPTY
    }
}

/// A stored generation as it lay there: what mends it changes one of these, a right given included.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Tried {
    id: String,
    octets: u64,
    place: u64,
    changed: (i64, i64),
}

impl Tried {
    fn of(folder: &DataFolder, id: &str) -> Option<Self> {
        let found = std::fs::metadata(folder.file_of(id)).ok()?;
        let changed = (found.ctime(), found.ctime_nsec());
        Some(Self { id: id.to_owned(), octets: found.len(), place: found.ino(), changed })
    }
}

/// Where a generation comes from that no world has yet: to read it takes seconds.
pub(crate) enum When {
    /// It is read at once.
    Now,
    /// It was read ahead. If it is no longer the one that should be in service, that one comes [`Self::Later`].
    Ahead(Arc<Generation>),
    /// It is read later: the one in service stays in service until then ([`Troubles::waits`]).
    Later,
}

/// What a new world takes.
pub(crate) struct Held {
    pub(crate) generation: Option<Arc<Generation>>,
    pub(crate) published: Published,
    pub(crate) troubles: Troubles,
}

impl Held {
    /// Reads what is on disk, beside what the world before holds.
    pub(crate) fn of(loaded: &Loaded, before: Option<&Snapshot>, when: When) -> Self {
        let mut waits = false;
        let (generation, directory) = match &loaded.config.annuaire.data {
            None => (None, None),
            Some(data) => generation(&loaded.path(data), before, when, &mut waits),
        };
        let (published, fault, known) = published(loaded, before);
        Self { generation, published, troubles: Troubles { directory, published: fault, known, waits } }
    }
}

/// The generation that should be in service; else the one in memory; else the next on disk that can be read; else none.
/// Says when another one `waits`.
fn generation(
    path: &Path,
    before: Option<&Snapshot>,
    when: When,
    waits: &mut bool,
) -> (Option<Arc<Generation>>, Option<Trouble>) {
    let folder = DataFolder::new(path);
    let held = before.and_then(|before| before.generation.clone());
    let trouble = |alarm, what: String, tried| {
        let what = format!("{what}; mail goes on without it");
        Some(Trouble { problem: Problem::of(path, what), alarm, tried })
    };
    let ids = match folder.ids() {
        Ok(ids) => ids,
        Err(error) => return (held, trouble(DAMAGED, error.to_string(), None)),
    };
    let Some((first, others)) = ids.split_first() else {
        let empty = FolderError::Empty(path.to_owned());
        return match path.join("CURRENT").exists() {
            true => (held, trouble(DAMAGED, format!("{empty} (its list is empty)"), None)),
            false => (held, trouble(EMPTY, empty.to_string(), None)),
        };
    };
    // A nation takes seconds to read and hundreds of megabytes to hold: not again while it is the same.
    // But the same rows may have come again in newer files.
    let as_new = |held: &&Arc<Generation>| folder.sources(held.id()).is_ok_and(|(_, files)| files == held.sources());
    let ahead = match &when {
        When::Ahead(generation) => Some(generation),
        When::Now | When::Later => None,
    };
    let mut known = held.as_ref().into_iter().chain(ahead).filter(|known| known.id() == first);
    if let Some(known) = known.find(as_new) {
        return (Some(Arc::clone(known)), None);
    }
    let tried = Tried::of(&folder, first);
    let same_trouble = before.and_then(|before| before.troubles.directory.clone());
    if let Some(same) = same_trouble.clone().filter(|same| held.is_some() && tried.is_some() && same.tried == tried) {
        return (held, Some(same));
    }
    // With nothing at its place there is nothing to be read, and that is told at once.
    if !matches!(when, When::Now) && (tried.is_some() || held.is_none()) {
        *waits = true;
        return (held, same_trouble);
    }
    let error = match folder.stored(first) {
        Ok(generation) => return (Some(Arc::new(generation)), None),
        Err(error) => error,
    };
    let instead = || others.iter().find_map(|id| folder.stored(id).ok()).map(Arc::new);
    let generation = held.or_else(instead);
    let now = generation.as_ref().map_or("none".to_owned(), |generation| format!("generation {}", generation.id()));
    (generation, trouble(DAMAGED, format!("{error}; in service is {now}"), tried))
}

/// What others published. What the world before knew whole is more than a file with a fault says: it hides, too.
fn published(loaded: &Loaded, before: Option<&Snapshot>) -> (Published, Option<Problem>, Known) {
    let file = PublishedFile::below(&loaded.data());
    let (read, what) = match file.read() {
        Ok(read) if read.wrong.is_empty() => return (read.mailboxes, None, Known::Whole),
        Ok(read) => {
            let what = read.wrong.join("; ");
            (Some(read.mailboxes), what)
        }
        Err(error) => (None, error.to_string()),
    };
    let problem = Problem::of(file.path(), format!("{what}; mail goes on"));
    if let Some(before) = before.filter(|before| before.troubles.known == Known::Whole) {
        return ((*before.published).clone(), Some(problem), Known::Whole);
    }
    match read {
        Some(mailboxes) => (mailboxes, Some(problem), Known::Partly),
        None => (Published::default(), Some(problem), Known::Nothing),
    }
}

impl Snapshot {
    /// The generation that faces show. None while it is not known what must not be shown.
    pub fn generation_to_show(&self) -> Option<&Arc<Generation>> {
        self.generation.as_ref().filter(|_| self.troubles.known != Known::Nothing)
    }
}
