//! Makes our registry known to another directory by FHIR PATCH: what it shows of each mailbox is asked first, and only what
//! differs is sent. What was made known is remembered, so that a mailbox that leaves the registry is closed there.

mod memory;

use std::{collections::BTreeSet, io, sync::Arc, time::Duration};

use annuaire::{
    RegisteredMailbox, Registry,
    fhir::{Destination as Target, Done, PublishError, Step},
};
use ident::Timestamp;
use pki::path::Validator;
use serde::Serialize;
use tokio::time::Instant;

pub(crate) use self::memory::{Memory, Remembered};
use crate::fetch::{
    AnchoredServers, Answer, Fault, FetchError, Fetcher, Kind, Limits, Lines, Place, Request, Rules, Undetermined,
};

/// Largest answer about one mailbox.
const MAX_ANSWER: usize = 1024 * 1024;
/// How long the whole of one question may take.
const TOTAL: Duration = Duration::from_secs(60);
/// How often, and after which rest, a directory is asked again that says that it was asked too often.
const AGAIN: (u32, Duration) = (10, Duration::from_secs(6));
/// So many mailboxes may be closed in one run, or this share of those that are known there, whichever is more.
const CLOSED_AT_ONCE: usize = 5;
const CLOSED_SHARE: usize = 20;
/// What was said is kept after so many mailboxes: whoever begins again asks about no more than these twice.
const KEPT_EVERY: usize = 500;
/// So long may one turn take before what changed meanwhile has its own.
const TURN: Duration = Duration::from_secs(60);
/// So many unanswered in a row, and nobody is asked any more for now: a service that is away is not asked 58,000 times.
const GIVEN_UP: u32 = 10;
/// Everything is asked about again after this time: others may have changed it there.
pub(crate) const SWEEP: Duration = Duration::from_secs(24 * 3600);

/// What came of one run.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Told {
    /// Mailboxes that are there as they should be.
    pub(crate) unchanged: usize,
    /// What was sent, or would be.
    pub(crate) sent: Vec<Sent>,
    /// Mailboxes of practices, which are made known nowhere.
    pub(crate) left_out: usize,
    /// What could not be said, and why.
    pub(crate) failed: Vec<Failed>,
    /// So many would be closed, which is too many without a word from the operator.
    pub(crate) held: Option<usize>,
    /// Mailboxes whose turn did not come.
    pub(crate) left: usize,
    /// Whether that is because nobody answered any more.
    pub(crate) given_up: bool,
    /// Since when something cannot be said.
    #[serde(skip)]
    pub(crate) failing_since: Option<Timestamp>,
    /// When everything was last asked about.
    #[serde(skip)]
    pub(crate) swept: Option<Timestamp>,
}

/// One PATCH.
#[derive(Debug, Serialize)]
pub(crate) struct Sent {
    pub(crate) address: String,
    pub(crate) done: Done,
}

/// One mailbox about which nothing could be said.
#[derive(Debug, Serialize)]
pub(crate) struct Failed {
    pub(crate) address: String,
    pub(crate) why: String,
}

/// Another directory, and how it is reached.
pub(crate) struct Publisher<'a> {
    /// Its base address, without a slash at the end.
    pub(crate) base: String,
    /// The anchors by which it is judged.
    pub(crate) validator: &'a Validator,
    /// Now.
    pub(crate) at: Timestamp,
    /// Who we are there.
    pub(crate) lines: Arc<Lines>,
    /// Hosts of fixed address.
    pub(crate) rules: Rules,
    /// Only say what would be sent.
    pub(crate) dry: bool,
}

/// How much one run says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Every mailbox is asked about, however long that takes.
    Whole,
    /// What was not said yet, or failed, and once in [`SWEEP`] the rest; a turn at a time.
    Due,
}

impl Publisher<'_> {
    /// Says what differs. `memory` is where it is remembered what was made known there; `accept` lets any number of
    /// mailboxes be closed.
    ///
    /// A mailbox is made known on whoever has it now. Wherever else it was made known it is closed first: were it shown
    /// on two, who writes to the one would be read by the other.
    ///
    /// # Errors
    /// Those of the disk; somebody else is publishing there. Whatever interrupts it: nothing is shown there that is not
    /// remembered.
    pub(crate) async fn run(
        &self,
        registry: &Registry,
        memory: &Memory,
        extent: Extent,
        accept: bool,
    ) -> io::Result<Told> {
        let _alone = memory.lock()?;
        let mut held = memory.read()?;
        held.begin(extent, self.at);
        held.tidy(registry);
        let mut run = Run::new(self, held, extent);
        let work = run.work(registry, accept);
        for some in work.chunks(KEPT_EVERY) {
            run.foresee(some);
            run.keep(memory)?;
            for one in some {
                if run.is_over() {
                    break;
                }
                run.say(one).await;
            }
            run.keep(memory)?;
        }
        Ok(run.told(work.len()))
    }

    async fn ask(&self, path: &str, kind: Kind, question: Option<&[u8]>) -> Result<Vec<u8>, String> {
        let place = Place::parse(&format!("{}/{path}", self.base)).map_err(|error| error.to_string())?;
        let limits = Limits { total: TOTAL, redirects: 0, ..Limits::default() };
        let fetcher = Fetcher::new(self.rules.clone().place(&place), limits, Arc::clone(&self.lines));
        let trust = AnchoredServers { validator: self.validator, at: self.at, undetermined: Undetermined::Refused };
        let request = Request { place: &place, kind, most: MAX_ANSWER, held: None, question };
        for attempt in 1.. {
            match fetcher.fetch(&request, &trust).await {
                Ok(Answer::New { octets, .. }) => return Ok(octets),
                Ok(Answer::Unchanged) => break,
                Err(FetchError { fault: Fault::Status(429), .. }) if attempt < AGAIN.0 => {
                    tokio::time::sleep(AGAIN.1).await
                }
                Err(error) => return Err(error.to_string()),
            }
        }
        Err("it says that nothing changed, and was not asked that".to_owned())
    }
}

/// One thing to say.
enum Work<'r> {
    /// A mailbox is as it is in the registry.
    Show(Target, &'r RegisteredMailbox),
    /// It is no more on this one.
    Close(Target),
}

impl Work<'_> {
    const fn target(&self) -> &Target {
        match self {
            Self::Show(target, _) | Self::Close(target) => target,
        }
    }

    fn step(&self, answer: &[u8]) -> Result<Step, PublishError> {
        match self {
            Self::Show(target, mailbox) => target.step(mailbox, answer),
            Self::Close(target) => target.closing(answer),
        }
    }
}

/// A run under way.
struct Run<'a> {
    there: &'a Publisher<'a>,
    held: Remembered,
    told: Told,
    /// Addresses that are still shown on who had them before.
    elsewhere: BTreeSet<String>,
    asked: usize,
    /// Most that is asked, and until when.
    bound: Option<(usize, Instant)>,
    /// So many in a row were not answered.
    unanswered: u32,
}

impl<'a> Run<'a> {
    fn new(there: &'a Publisher<'a>, held: Remembered, extent: Extent) -> Self {
        let end = Instant::now().checked_add(TURN);
        let bound = end.filter(|_| extent == Extent::Due).map(|end| (KEPT_EVERY, end));
        let (told, elsewhere) = (Told::default(), BTreeSet::new());
        Self { there, held, told, elsewhere, asked: 0, bound, unanswered: 0 }
    }

    /// What is to be said: what failed before comes last, closings come first.
    fn work<'r>(&mut self, registry: &'r Registry, accept: bool) -> Vec<Work<'r>> {
        let (gone, known) = (self.held.gone(registry), self.held.known());
        self.elsewhere = gone.iter().map(|target| target.address.key()).collect();
        // Whoever closes a mailbox by an order has said so; what a file no longer names may be a slip.
        let slip = |target: &Target| registry.mailbox(&target.address).is_none_or(RegisteredMailbox::is_open);
        let slips = gone.iter().filter(|target| slip(target)).count();
        let hold = slips > CLOSED_AT_ONCE.max(known.div_euclid(CLOSED_SHARE)) && !accept;
        self.told.held = hold.then_some(slips);
        let mut work: Vec<Work> = gone.into_iter().filter(|target| !(hold && slip(target))).map(Work::Close).collect();
        for mailbox in registry.mailboxes().iter().filter(|mailbox| mailbox.is_open()) {
            match Target::of(mailbox) {
                None => self.told.left_out = self.told.left_out.saturating_add(1),
                Some(target) if self.held.is_due(&target, mailbox) => work.push(Work::Show(target, mailbox)),
                Some(_) => self.told.unchanged = self.told.unchanged.saturating_add(1),
            }
        }
        work.sort_by_cached_key(|it| {
            let news = matches!(it, Work::Show(target, mailbox) if self.held.is_said(target, mailbox));
            (self.held.has_failed(it.target()), matches!(it, Work::Show(..)), news)
        });
        work
    }

    /// Remembers what is about to be shown: whatever interrupts us, nothing is there that we do not know of.
    fn foresee(&mut self, some: &[Work]) {
        for one in some {
            match one {
                Work::Show(target, mailbox) if !mailbox.red_list => self.held.shows(target.clone()),
                _ => {}
            }
        }
    }

    fn is_over(&self) -> bool {
        self.unanswered >= GIVEN_UP || self.bound.is_some_and(|(most, end)| self.asked >= most || Instant::now() >= end)
    }

    async fn say(&mut self, one: &Work<'_>) {
        let target = one.target();
        let (address, key) = (target.address.to_string(), target.address.key());
        self.asked = self.asked.saturating_add(1);
        if matches!(one, Work::Show(..)) && self.elsewhere.contains(&key) {
            let why = "it is still shown on the one who had it before, and is not shown on two".to_owned();
            self.told.failed.push(Failed { address, why });
            return;
        }
        let outcome = self.settle(one).await;
        match (one, &outcome) {
            (Work::Close(target), Ok(_)) => {
                self.elsewhere.remove(&key);
                self.held.shows_no_more(target);
            }
            (Work::Show(target, mailbox), Ok(done)) => {
                // What was hidden is still there, and is closed one day.
                if *done == Some(Done::Hidden) {
                    self.held.shows(target.clone());
                }
                self.held.was_said(target, mailbox);
            }
            (_, Err(why)) => self.held.was_not_said(key, why.clone(), self.there.at),
        }
        match outcome {
            Ok(Some(done)) => self.told.sent.push(Sent { address, done }),
            Ok(None) => self.told.unchanged = self.told.unchanged.saturating_add(1),
            Err(why) => self.told.failed.push(Failed { address, why }),
        }
    }

    /// Does what is to be done: the other side is then as it should be, or somebody reads why not.
    async fn settle(&mut self, one: &Work<'_>) -> Result<Option<Done>, String> {
        let target = one.target();
        let answer = self.ask(&target.question(), Kind::Fhir, None).await?;
        let done = match one.step(&answer).map_err(|error| error.to_string())? {
            Step::Nothing => None,
            Step::Send(done, _) if self.there.dry => Some(done),
            Step::Send(done, body) => {
                self.ask(&target.path(), Kind::FhirPatch, Some(&body)).await.map(|_| Some(done))?
            }
        };
        self.unanswered = 0;
        Ok(done)
    }

    async fn ask(&mut self, path: &str, kind: Kind, question: Option<&[u8]>) -> Result<Vec<u8>, String> {
        let answer = self.there.ask(path, kind, question).await;
        if answer.is_err() {
            self.unanswered = self.unanswered.saturating_add(1);
        }
        answer
    }

    fn keep(&self, memory: &Memory) -> io::Result<()> {
        if self.there.dry { Ok(()) } else { memory.write(&self.held) }
    }

    fn told(self, work: usize) -> Told {
        let (left, given_up) = (work.saturating_sub(self.asked), self.unanswered >= GIVEN_UP);
        let (failing_since, swept) = (self.held.failing_since(), self.held.swept());
        Told { left, given_up, failing_since, swept, ..self.told }
    }
}
