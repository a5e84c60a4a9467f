//! Makes our registry known to another directory by FHIR PATCH: what it shows of each mailbox is asked first, and only what
//! differs is sent. What was made known is remembered, so that a mailbox that leaves the registry is closed there.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use annuaire::{
    Registry,
    fhir::{Destination as Target, Done, Step},
};
use ident::Timestamp;
use pki::path::Validator;
use serde::Serialize;

use crate::{
    fetch::{
        AnchoredServers, Answer, Fault, FetchError, Fetcher, Kind, Limits, Lines, Place, Request, Rules, Undetermined,
    },
    replace,
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

impl Publisher<'_> {
    /// Says what differs. `memory` is where it is remembered what was made known there; `accept` lets any number of
    /// mailboxes be closed.
    ///
    /// A mailbox is made known on whoever has it now. Wherever else it was made known it is closed first: were it shown
    /// on two, who writes to the one would be read by the other.
    pub(crate) async fn run(&self, registry: &Registry, memory: &Memory, accept: bool) -> io::Result<Told> {
        let _alone = memory.lock()?;
        let (mut told, before) = (Told::default(), memory.read()?);
        let mut today = Vec::new();
        for mailbox in registry.mailboxes().iter().filter(|mailbox| mailbox.is_open()) {
            match Target::of(mailbox) {
                Some(target) => today.push((target, mailbox)),
                None => told.left_out = told.left_out.saturating_add(1),
            }
        }
        if !self.dry {
            // Whatever interrupts us: nothing is shown there that we do not remember.
            let shown = today.iter().filter(|(_, mailbox)| !mailbox.red_list).map(|(target, _)| target);
            let all: BTreeSet<&Target> = before.iter().chain(shown).collect();
            memory.write(all)?;
        }
        let wanted: BTreeSet<&Target> = today.iter().map(|(target, _)| target).collect();
        let mut known: BTreeSet<&Target> = self.close(&before, &wanted, accept, &mut told).await;
        let stuck: BTreeSet<String> = known.iter().map(|target| target.address.key()).collect();
        for (target, mailbox) in &today {
            if stuck.contains(&target.address.key()) {
                let why = "it is still shown on the one who had it before, and is not shown on two".to_owned();
                told.failed.push(Failed { address: target.address.to_string(), why });
                continue;
            }
            let asked = self.ask(&target.question(), Kind::Fhir, None).await;
            let step = asked.and_then(|answer| target.step(mailbox, &answer).map_err(|error| error.to_string()));
            let done = self.take(target, step, &mut told).await;
            if before.contains(target) || (done && !mailbox.red_list) {
                known.insert(target);
            }
        }
        if !self.dry {
            memory.write(known)?;
        }
        Ok(told)
    }

    /// Closes what was made known where it is not wanted any more; what stays shown there.
    async fn close<'t>(
        &self,
        before: &'t BTreeSet<Target>,
        wanted: &BTreeSet<&Target>,
        accept: bool,
        told: &mut Told,
    ) -> BTreeSet<&'t Target> {
        let gone: Vec<&Target> = before.iter().filter(|old| !wanted.contains(old)).collect();
        let most = CLOSED_AT_ONCE.max(before.len().div_euclid(CLOSED_SHARE));
        if gone.len() > most && !accept {
            told.held = Some(gone.len());
            return gone.into_iter().collect();
        }
        let mut stay = BTreeSet::new();
        for target in gone {
            let asked = self.ask(&target.question(), Kind::Fhir, None).await;
            let step = asked.and_then(|answer| target.closing(&answer).map_err(|error| error.to_string()));
            if !self.take(target, step, told).await {
                stay.insert(target);
            }
        }
        stay
    }

    /// Does what is to be done; whether the other side is now as it should be.
    async fn take(&self, target: &Target, step: Result<Step, String>, told: &mut Told) -> bool {
        let address = target.address.to_string();
        let sent = match step {
            Ok(Step::Nothing) => {
                told.unchanged = told.unchanged.saturating_add(1);
                return true;
            }
            Ok(Step::Send(done, _)) if self.dry => Ok(done),
            Ok(Step::Send(done, body)) => self.ask(&target.path(), Kind::FhirPatch, Some(&body)).await.map(|_| done),
            Err(why) => Err(why),
        };
        match sent {
            Ok(done) => told.sent.push(Sent { address, done }),
            Err(why) => {
                told.failed.push(Failed { address, why });
                return false;
            }
        }
        true
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

/// The file that remembers what was made known where.
pub(crate) struct Memory(PathBuf);

/// Largest such file.
const MAX_MEMORY: u64 = 64 * 1024 * 1024;

impl Memory {
    /// That of one directory, in the data folder.
    pub(crate) fn of(data: &Path, base: &str) -> Self {
        let mut hash =
            openssl::sha::sha256(base.as_bytes()).iter().map(|octet| format!("{octet:02x}")).collect::<String>();
        hash.truncate(16);
        Self(data.join(format!("published-at-{hash}.json")))
    }

    /// One run at a time: two would forget what the other made known. It ends with the value, or with us.
    fn lock(&self) -> io::Result<fs::File> {
        let file = fs::File::create(self.0.with_extension("lock"))?;
        file.try_lock().map_err(|error| match error {
            fs::TryLockError::WouldBlock => io::Error::other("the registry is being published there already"),
            fs::TryLockError::Error(error) => error,
        })?;
        Ok(file)
    }

    fn read(&self) -> io::Result<BTreeSet<Target>> {
        match fs::metadata(&self.0) {
            Ok(found) if found.len() > MAX_MEMORY => {
                return Err(io::Error::other("the memory of what was published is too large"));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
            _ => {}
        }
        Ok(serde_json::from_str(&fs::read_to_string(&self.0)?)?)
    }

    fn write<'t>(&self, known: impl IntoIterator<Item = &'t Target>) -> io::Result<()> {
        let known: Vec<&Target> = known.into_iter().collect();
        replace::replace(&self.0, &serde_json::to_vec(&known)?)
    }
}
