//! What operators ordered from the command line: blocks, break-glass entries, and "yes, it is meant to have
//! shrunk". One file, written by the command line alone and read by the gateway whenever it changed: an
//! order holds for the next decision, without a restart, and after every restart.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use ident::Timestamp;
use rustix::fs::{FlockOperation, OFlags, flock};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{
    blocks::{Block, Target},
    grants::{Entry, Grant, GrantRules, Signed},
};
use crate::replace::replace;

const FILE: &str = "orders.json";
const FORMAT: u32 = 1;
/// Largest file that is read.
const MAX_FILE: u64 = 8 * 1024 * 1024;
/// Most blocks at once: more are a list, not an emergency.
const MAX_BLOCKS: usize = 1000;
/// Most break-glass entries at once.
const MAX_GRANTS: usize = 32;
/// How long what has ended is still shown.
const SHOWN: Duration = Duration::from_secs(30 * 24 * 3600);

/// What is ordered, as the file holds it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    format: u32,
    /// Grows with every order; short names are made of it.
    number: u64,
    blocks: Vec<Block>,
    grants: Vec<Signed>,
    /// Ids of break-glass entries that were taken back: they never grant anything again.
    taken_back: Vec<String>,
    confirmed: Option<Confirmed>,
}

/// An abnormal shrinkage that somebody confirmed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Confirmed {
    /// When: what was struck off until then waits no longer.
    pub at: Timestamp,
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// What is ordered, read and judged.
#[derive(Debug, Clone, Default)]
pub struct Orders {
    written: Written,
    grants: Vec<Grant>,
    /// What is in the file and grants nothing, with the reason.
    idle: Vec<String>,
    unreadable: Option<String>,
    stamp: Stamp,
}

/// What tells one version of the file from another.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stamp(Option<(u64, i64, i64, u64)>);

/// The file with the orders.
#[derive(Debug, Clone)]
pub struct OrderBook {
    folder: PathBuf,
}

/// Orders cannot be read or written.
#[derive(Debug, Error)]
pub enum OrderError {
    /// Those of the disk.
    #[error("{0}: {1}")]
    Disk(PathBuf, io::Error),
    /// The file is not what we wrote. To forget orders is a person's decision.
    #[error("{0} is not what was written there ({1}); to forget all orders, move it away")]
    File(PathBuf, String),
    /// There are as many as there may be.
    #[error("there are {0} already: remove some first")]
    TooMany(usize),
    /// Nothing has this name.
    #[error("nothing is called {0}: see the list")]
    Unknown(String),
    /// It was there before.
    #[error("the entry {0} was applied or taken back before: write a new one")]
    Repeated(String),
}

impl Orders {
    /// Everything that is blocked, also what has ended lately.
    pub fn blocks(&self) -> &[Block] {
        &self.written.blocks
    }

    /// What is granted over the list, also what has ended lately.
    pub fn grants(&self) -> &[Grant] {
        &self.grants
    }

    /// What is in the file and grants nothing, with the reason.
    pub fn idle(&self) -> &[String] {
        &self.idle
    }

    /// The last confirmation of a shrinkage.
    pub fn confirmed(&self) -> Option<&Confirmed> {
        self.written.confirmed.as_ref()
    }

    /// These, while the file holds something else that cannot be read.
    pub(crate) fn unreadable(&self, stamp: Stamp, why: String) -> Self {
        Self { stamp, unreadable: Some(why), ..self.clone() }
    }

    /// Why the file cannot be read, if these are orders of an earlier one.
    pub fn trouble(&self) -> Option<&str> {
        self.unreadable.as_deref()
    }

    /// Which version of the file this is.
    pub fn stamp(&self) -> Stamp {
        self.stamp
    }
}

impl OrderBook {
    /// Below a data folder.
    pub fn below(data: &Path) -> Self {
        Self { folder: data.join("trust") }
    }

    /// Where it is.
    pub fn path(&self) -> PathBuf {
        self.folder.join(FILE)
    }

    /// Which version is there now; one call to the system.
    pub fn stamp(&self) -> Stamp {
        let found = fs::metadata(self.path()).ok();
        Stamp(found.map(|it| (it.ino(), it.mtime(), it.mtime_nsec(), it.size())))
    }

    /// Reads and judges what is ordered; nothing there is no order.
    ///
    /// # Errors
    /// See [`OrderError`].
    pub fn read(&self, rules: GrantRules<'_>, at: Timestamp) -> Result<Orders, OrderError> {
        // Before the content: a change between the two is read again.
        let stamp = self.stamp();
        let written = self.written()?;
        let (mut grants, mut idle) = (Vec::new(), Vec::new());
        for signed in &written.grants {
            match signed.grant(rules, at) {
                Ok(grant) if !written.taken_back.contains(&grant.entry.id) => grants.push(grant),
                Ok(_) => {}
                Err(error) => idle.push(error.to_string()),
            }
        }
        Ok(Orders { written, grants, idle, unreadable: None, stamp })
    }

    /// The blocks alone, which nothing needs to judge.
    ///
    /// # Errors
    /// See [`OrderError`].
    pub fn blocks(&self) -> Result<Vec<Block>, OrderError> {
        self.written().map(|written| written.blocks)
    }

    fn written(&self) -> Result<Written, OrderError> {
        let path = self.path();
        let text = match fs::metadata(&path).and_then(|found| match found.len() > MAX_FILE {
            true => Err(io::Error::new(io::ErrorKind::FileTooLarge, "larger than it may be")),
            false => fs::read(&path),
        }) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Written { format: FORMAT, ..Written::default() });
            }
            Err(error) => return Err(OrderError::Disk(path, error)),
        };
        let written: Written =
            serde_json::from_slice(&text).map_err(|error| OrderError::File(path.clone(), error.to_string()))?;
        if written.format != FORMAT || written.blocks.len() > MAX_BLOCKS.saturating_mul(2) {
            return Err(OrderError::File(path, format!("format {}", written.format)));
        }
        Ok(written)
    }

    /// Blocks something; gives the block its name.
    ///
    /// # Errors
    /// See [`OrderError`].
    pub fn block(&self, mut block: Block) -> Result<Block, OrderError> {
        self.change(block.since, |written| {
            if written.blocks.iter().filter(|known| known.holds(block.since)).count() >= MAX_BLOCKS {
                return Err(OrderError::TooMany(MAX_BLOCKS));
            }
            block.id = format!("b{}", written.number);
            // The same thing blocked again: the new order replaces the old one.
            written.blocks.retain(|known| known.target != block.target);
            written.blocks.push(block.clone());
            Ok(block)
        })
    }

    /// Ends a block, by its name or by what it blocks.
    ///
    /// # Errors
    /// [`OrderError::Unknown`] when nothing of the kind is blocked now.
    pub fn unblock(&self, id: &str, target: Option<&Target>, at: Timestamp) -> Result<Block, OrderError> {
        self.change(at, |written| {
            let wanted = |block: &Block| block.holds(at) && (block.id == id || Some(&block.target) == target);
            let place = written.blocks.iter().position(wanted).ok_or_else(|| OrderError::Unknown(id.to_owned()))?;
            Ok(written.blocks.remove(place))
        })
    }

    /// Takes up an entry that was judged to be a grant.
    ///
    /// # Errors
    /// [`OrderError::Repeated`] for an entry that was there before.
    pub fn grant(&self, signed: &Signed, entry: &Entry, at: Timestamp) -> Result<(), OrderError> {
        self.change(at, |written| {
            let known = |it: &Signed| it.claimed().is_ok_and(|it| it.id == entry.id);
            if written.grants.iter().any(known) || written.taken_back.contains(&entry.id) {
                return Err(OrderError::Repeated(entry.id.clone()));
            }
            if written.grants.len() >= MAX_GRANTS {
                return Err(OrderError::TooMany(MAX_GRANTS));
            }
            written.grants.push(signed.clone());
            Ok(())
        })
    }

    /// Takes a break-glass entry back, for good. One person is enough for that.
    ///
    /// # Errors
    /// [`OrderError::Unknown`].
    pub fn take_back(&self, id: &str, at: Timestamp) -> Result<Entry, OrderError> {
        self.change(at, |written| {
            let known = |it: &Signed| it.claimed().ok().filter(|it| it.id == id);
            let entry = written.grants.iter().find_map(known).ok_or_else(|| OrderError::Unknown(id.to_owned()))?;
            if written.taken_back.contains(&entry.id) {
                return Err(OrderError::Unknown(id.to_owned()));
            }
            written.taken_back.push(entry.id.clone());
            Ok(entry)
        })
    }

    /// Notes that a shrinkage is meant.
    ///
    /// # Errors
    /// See [`OrderError`].
    pub fn confirm(&self, confirmed: Confirmed) -> Result<(), OrderError> {
        self.change(confirmed.at, |written| {
            written.confirmed = Some(confirmed);
            Ok(())
        })
    }

    /// Reads, changes and writes while nobody else does.
    fn change<T>(
        &self,
        at: Timestamp,
        change: impl FnOnce(&mut Written) -> Result<T, OrderError>,
    ) -> Result<T, OrderError> {
        let disk = |error: io::Error| OrderError::Disk(self.folder.clone(), error);
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder).map_err(disk)?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .custom_flags(i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or_default())
            .open(self.folder.join("orders.lock"))
            .map_err(disk)?;
        flock(&lock, FlockOperation::LockExclusive).map_err(|error| disk(error.into()))?;
        let mut written = self.written()?;
        written.number = written.number.saturating_add(1);
        written.forget(at);
        let outcome = change(&mut written)?;
        let text =
            serde_json::to_vec_pretty(&written).map_err(|error| OrderError::File(self.path(), error.to_string()))?;
        replace(&self.path(), &text).map_err(disk)?;
        Ok(outcome)
    }
}

impl Written {
    /// What ended long ago need not be shown any more. An entry whose end is past grants nothing again, so
    /// its id need not be kept either.
    fn forget(&mut self, at: Timestamp) {
        self.blocks.retain(|block| at.since(block.until) < SHOWN);
        self.grants.retain(|it| it.claimed().is_ok_and(|it| at.since(it.until) < SHOWN));
        let kept: Vec<String> = self.grants.iter().filter_map(|it| it.claimed().ok()).map(|it| it.id).collect();
        self.taken_back.retain(|id| kept.contains(id));
    }
}
