//! A search being answered: what lies in its scope, what the index proposes ([`look`]), what the filter holds of.

mod look;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use super::{
    ber::Writer,
    dn::Dn,
    entry::{Entry, World},
    filter::Node,
    matching::holds,
    message::{Scope, SearchAsked, operation},
    page::{self, CookieFault, PageAsked, Place},
    reach::{addresses, costs_nothing, names},
    result::{Code, Ending, message},
    selection::Selection,
    session::Settings,
    tree::{Lies, is_subschema},
};
use crate::ask::{WORK_LIMIT, Work};

/// Most entries of one page.
const MAX_PAGE: usize = 500;
/// Most hits that are looked at for one answer.
const MAX_LOOKED_AT: usize = 10_000;
/// Octets of an answer after which no further entry is begun: certificates are long, and a client that does not read
/// leaves them all in our memory. Thunderbird gives up at 16 MB (annuaire §5.1).
pub(super) const MAX_OCTETS: usize = 2 * 1024 * 1024;
/// The work that the index may have with one answer, however often it is asked for more.
const MAX_WORK: u64 = WORK_LIMIT.saturating_mul(4);
/// Most parts of a filter that is answered at once.
const MAX_EXACT: usize = 8;

/// How much somebody may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rights {
    /// Entries of one answer without pages.
    pub entries: usize,
    /// Entries of all pages of one search together; nothing: all that there are.
    pub paged: Option<usize>,
}

/// What is wanted of the entries that are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wants {
    /// They themselves.
    Entries,
    /// Whether the one that is named has a value.
    Comparison,
}

impl Wants {
    /// The operation that ends the answer.
    pub(super) fn answer(self) -> u8 {
        match self {
            Self::Entries => operation::SEARCH_DONE,
            Self::Comparison => operation::COMPARE_ANSWER,
        }
    }
}

/// A search to be run.
#[derive(Debug)]
pub struct Search {
    pub(super) id: u32,
    pub(super) asked: SearchAsked,
    pub(super) page: Option<PageAsked>,
    pub(super) settings: Arc<Settings>,
    pub(super) rights: Rights,
    /// Who asks; empty: nobody said.
    pub(super) who: String,
    pub(super) tls: bool,
    pub(super) wants: Wants,
    /// What is given of each entry.
    pub(super) selection: Selection,
    pub(super) abandoned: Arc<AtomicBool>,
}

/// What a search found.
#[derive(Debug)]
pub struct Found {
    pub(super) octets: Vec<u8>,
    /// How it ended.
    pub ending: Ending,
    /// Entries given.
    pub entries: usize,
}

impl Found {
    /// Octets of the answer.
    pub fn size(&self) -> usize {
        self.octets.len()
    }
}

impl Search {
    /// The question as people write it, for the log.
    pub fn shown(&self) -> String {
        let scope = match self.asked.scope {
            Scope::Base => "base",
            Scope::One => "one",
            Scope::Subtree => "sub",
            Scope::Children => "children",
        };
        let base: String = self.asked.base.chars().filter(|c| !c.is_control()).take(100).collect();
        let scope = if self.wants == Wants::Comparison { "compare" } else { scope };
        format!("{base}?{scope}?{}", self.asked.filter.shown(200))
    }

    /// Seconds that the client allows; 0: as long as we like.
    pub fn time_limit(&self) -> u32 {
        self.asked.time_limit
    }

    /// The most entries that it may be answered with.
    pub fn most_entries(&self) -> usize {
        match &self.page {
            _ if self.wants == Wants::Comparison || self.is_exact() => 1,
            Some(asked) => page_size(asked.size).min(self.rights.paged.unwrap_or(usize::MAX)),
            None => wanted(self.asked.size_limit, self.rights.entries),
        }
    }

    /// Whether it asks what this server is, and nothing about anybody.
    pub fn is_about_the_server(&self) -> bool {
        self.asked.scope == Scope::Base
            && costs_nothing(&self.asked.filter)
            && Dn::parse(&self.asked.base).is_some_and(|name| name.0.is_empty() || is_subschema(&name))
    }

    /// Whether it is answered in microseconds: by an address or an identifier, whole, and nothing that looks through
    /// words.
    pub fn is_exact(&self) -> bool {
        // Certificates are judged before they are shown.
        if self.wants == Wants::Entries && self.selection.names_octets() {
            return false;
        }
        let cheap = |node: &Node| names(node) || costs_nothing(node);
        match &self.asked.filter {
            Node::And(parts) | Node::Or(parts) if parts.len() > MAX_EXACT => false,
            Node::And(parts) => parts.iter().all(cheap) && (self.asked.scope == Scope::Base || parts.iter().any(names)),
            Node::Or(parts) if !parts.is_empty() => parts.iter().all(names),
            other => names(other) || self.asked.scope == Scope::Base && costs_nothing(other),
        }
    }

    /// Answers it; `time_up` is asked now and then whether to go on.
    pub fn run(&self, world: World<'_>, time_up: &dyn Fn() -> bool) -> Found {
        self.run_looking(world, time_up, MAX_LOOKED_AT)
    }

    /// The same, where so many hits are looked at.
    pub(super) fn run_looking(&self, world: World<'_>, time_up: &dyn Fn() -> bool, looks: usize) -> Found {
        let mut run = Run {
            search: self,
            world,
            time_up,
            addresses: addresses(&self.asked.filter),
            work: Work::new(MAX_WORK),
            looks,
            begins: Place::default(),
            stop: None,
        };
        if self.wants == Wants::Comparison {
            return run.compared();
        }
        let mut answer = Answer::default();
        let (mut ending, page) = match run.answer(&mut answer) {
            // Nothing was passed over: the next page goes on there.
            Ok(Some(page)) if !page.cookie.is_empty() => (Ending::new(Code::Success, ""), Some(page)),
            Ok(page) => {
                // What was looked at last may have been passed over for want of time.
                run.is_over();
                (run.ending(&answer, page.is_some()), page)
            }
            Err(ending) => (ending, None),
        };
        let page = page.or_else(|| self.page.as_ref().map(|_| PageGiven { estimate: 0, cookie: Vec::new() }));
        let as_of = world.generation.data_as_of();
        let about = format!("generation {}, data as of {}", world.generation.id(), as_of.rfc3339());
        ending.text = if ending.text.is_empty() { about } else { format!("{} ({about})", ending.text) };
        let mut out = answer.out;
        let done = |inside: &mut Writer| ending.put(inside);
        message(&mut out, self.id, operation::SEARCH_DONE, done, |controls| {
            if let Some(page) = &page {
                page::put(controls, page.estimate, &page.cookie);
            }
        });
        Found { octets: out.into_octets(), ending, entries: answer.given }
    }
}

/// Entries of one answer.
#[derive(Default)]
struct Answer {
    out: Writer,
    given: usize,
    /// Where each entry ends.
    ends: Vec<usize>,
    /// The index did not look at everything.
    wide: bool,
    /// Where the first entry stands that found no room.
    more: Option<Place>,
}

impl Answer {
    /// Whether there is no room for another entry.
    fn is_full(&self, limit: usize) -> bool {
        self.given >= limit || self.out.len() >= MAX_OCTETS
    }

    /// Takes back what is beyond so many entries.
    fn shorten(&mut self, most: usize) {
        if self.given > most {
            let end = most.checked_sub(1).and_then(|last| self.ends.get(last)).copied().unwrap_or(0);
            self.out.truncate(end);
            self.ends.truncate(most);
            self.given = most;
            self.more = self.more.or(Some(Place::default()));
        }
    }
}

struct PageGiven {
    estimate: u32,
    cookie: Vec<u8>,
}

pub(super) struct Run<'a> {
    pub(super) search: &'a Search,
    pub(super) world: World<'a>,
    time_up: &'a dyn Fn() -> bool,
    /// See [`addresses`].
    addresses: Option<Vec<String>>,
    work: Work,
    /// Hits that may still be looked at.
    looks: usize,
    /// Where the page begins.
    begins: Place,
    stop: Option<Code>,
}

impl<'a> Run<'a> {
    fn answer(&mut self, answer: &mut Answer) -> Result<Option<PageGiven>, Ending> {
        let search = self.search;
        let lies = self.scope()?;
        let (Some(asked), Some(digest)) = (&search.page, &search.asked.digest) else {
            let limit = wanted(search.asked.size_limit, search.rights.entries);
            self.whole(&lies, limit, answer);
            return Ok(None);
        };
        let generation = self.world.generation.id();
        let start = match asked.cookie.as_slice() {
            [] => Place::default(),
            cookie => search.settings.pages.open(cookie, generation, digest, &search.who).map_err(|fault| {
                Ending::new(
                    Code::UnwillingToPerform,
                    match fault {
                        CookieFault::Foreign => "this page token is not of this search: start the search again",
                        CookieFault::Gone => "the directory has new data since the first page: start the search again",
                    },
                )
            })?,
        };
        // Size 0 gives up the rest (RFC 2696 §3).
        if asked.size == 0 {
            return Ok(Some(PageGiven { estimate: 0, cookie: Vec::new() }));
        }
        let given = usize::try_from(start.given).unwrap_or(usize::MAX);
        let all = wanted(search.asked.size_limit, search.rights.paged.unwrap_or(usize::MAX));
        let size = page_size(asked.size);
        let limit = size.min(all.saturating_sub(given));
        self.begins = start;
        answer.wide = start.wide;
        let estimate = self.parts(&lies, start, limit, answer);
        let given = given.saturating_add(answer.given);
        let next = answer.more.filter(|_| given < all).map(|place| {
            let given = u32::try_from(given).unwrap_or(u32::MAX);
            let place = Place { given, wide: answer.wide, ..place };
            search.settings.pages.cookie(place, generation, digest, &search.who)
        });
        if next.is_some() {
            answer.more = None;
        }
        Ok(Some(PageGiven { estimate, cookie: next.unwrap_or_default() }))
    }

    /// Whether the entry that is named has the value.
    fn compared(&mut self) -> Found {
        let search = self.search;
        let filter = &search.asked.filter;
        let ending = match self.scope().map(|lies| lies.fixed.into_iter().next()) {
            Err(ending) => ending,
            Ok(None) => Ending::new(Code::NoSuchObject, "no entry has this name"),
            Ok(Some(entry)) => match holds(filter, &entry, self.time_up) {
                _ if self.is_over() => Ending::new(Code::TimeLimitExceeded, "time is up"),
                Some(true) => Ending::new(Code::CompareTrue, ""),
                Some(false) if holds(&filter.present(), &entry, self.time_up) == Some(true) => {
                    Ending::new(Code::CompareFalse, "")
                }
                _ => Ending::new(Code::NoSuchAttribute, "the entry has no such attribute, or it is not known here"),
            },
        };
        let mut out = Writer::default();
        message(&mut out, search.id, search.wants.answer(), |inside| ending.put(inside), |_| {});
        Found { octets: out.into_octets(), ending, entries: 1 }
    }

    fn ending(&self, answer: &Answer, paged: bool) -> Ending {
        match self.stop {
            Some(Code::TimeLimitExceeded) => Ending::new(Code::TimeLimitExceeded, "time is up: ask for less"),
            Some(code) => Ending::new(code, "too much to look through: name more of what you look for"),
            None if answer.more.is_some() => {
                let hint = if paged { "that is all you may have" } else { "there are more: refine, or ask for pages" };
                Ending::new(Code::SizeLimitExceeded, hint)
            }
            None if answer.wide => {
                Ending::new(Code::SizeLimitExceeded, "there may be more: name more of what you look for")
            }
            None => Ending::new(Code::Success, ""),
        }
    }

    /// One answer without pages. A fifth of it is kept for structures, which would else never be seen behind people.
    fn whole(&mut self, lies: &Lies<'a>, limit: usize, answer: &mut Answer) {
        self.fixed(&lies.fixed, 0, limit, answer);
        let room = limit.saturating_sub(answer.given);
        if lies.people {
            self.part(true, Place { part: 1, ..Place::default() }, limit, answer);
        }
        if !lies.structures || self.stop.is_some() {
            return;
        }
        let left = limit.saturating_sub(answer.given);
        let mut places = Answer::default();
        self.part(false, Place { part: 2, ..Place::default() }, left.max(room.div_euclid(5)), &mut places);
        answer.shorten(limit.saturating_sub(places.given));
        answer.out.raw(&places.out.into_octets());
        answer.given = answer.given.saturating_add(places.given);
        answer.wide |= places.wide;
        answer.more = answer.more.or(places.more);
    }

    /// One page, from a place on: folders, people, structures. Gives an estimate of how many there are.
    fn parts(&mut self, lies: &Lies<'a>, start: Place, limit: usize, answer: &mut Answer) -> u32 {
        let mut total = u64::try_from(lies.fixed.len()).unwrap_or(0);
        if start.part == 0 {
            self.fixed(&lies.fixed, start.entries, limit, answer);
        }
        for (part, people, lies) in [(1u8, true, lies.people), (2, false, lies.structures)] {
            if !lies || start.part > part || answer.more.is_some() || self.stop.is_some() {
                continue;
            }
            let from = if start.part == part { start } else { Place { part, ..Place::default() } };
            total = total.saturating_add(self.part(people, from, limit, answer));
        }
        u32::try_from(total).unwrap_or(0x7fff_ffff).min(0x7fff_ffff)
    }

    fn fixed(&mut self, entries: &[Entry<'a>], from: u32, limit: usize, answer: &mut Answer) {
        for (n, entry) in entries.iter().enumerate().skip(usize::try_from(from).unwrap_or(usize::MAX)) {
            let here = || Place { entries: u32::try_from(n).unwrap_or(u32::MAX), ..Place::default() };
            match self.fits(entry) {
                None => {
                    answer.more = self.goes_on(here());
                    return;
                }
                Some(false) => {}
                Some(true) if answer.is_full(limit) => {
                    answer.more = Some(here());
                    return;
                }
                Some(true) => self.put(entry, answer),
            }
        }
    }

    /// Whether the filter is true of an entry; nothing where time ran out over it.
    fn fits(&mut self, entry: &Entry<'_>) -> Option<bool> {
        if self.is_over() {
            return None;
        }
        let fits = holds(&self.search.asked.filter, entry, self.time_up) == Some(true);
        // What cannot be told may be so because time is up.
        (fits || !self.is_over()).then_some(fits)
    }

    /// Where the next page begins when time ran out here: a page may be short (RFC 2696 §3), but one that got nowhere
    /// would be asked for for ever.
    fn goes_on(&self, here: Place) -> Option<Place> {
        (self.stop == Some(Code::TimeLimitExceeded)).then_some(here).and_then(|here| self.goes_on_later(here))
    }

    fn goes_on_later(&self, here: Place) -> Option<Place> {
        let order = |place: Place| (place.part, place.hits, place.entries);
        (self.search.page.is_some() && order(here) > order(self.begins)).then_some(here)
    }

    fn is_over(&mut self) -> bool {
        if (self.time_up)() {
            self.stop = Some(Code::TimeLimitExceeded);
        } else if self.search.abandoned.load(Ordering::Relaxed) {
            self.stop = Some(Code::Canceled);
        }
        self.stop.is_some()
    }

    fn put(&self, entry: &Entry<'_>, answer: &mut Answer) {
        message(
            &mut answer.out,
            self.search.id,
            operation::ENTRY,
            |inside| self.search.selection.put(entry, inside),
            |_| {},
        );
        answer.given = answer.given.saturating_add(1);
        answer.ends.push(answer.out.len());
    }
}

fn count(entries: usize) -> u32 {
    u32::try_from(entries).unwrap_or(u32::MAX)
}

/// Entries of a page, as asked for and as given.
fn page_size(asked: u32) -> usize {
    usize::try_from(asked).unwrap_or(MAX_PAGE).min(MAX_PAGE)
}

/// What the client allows (0: anything), but no more than we do.
fn wanted(asked: u32, most: usize) -> usize {
    match usize::try_from(asked) {
        Ok(0) | Err(_) => most,
        Ok(asked) => asked.min(most),
    }
}
