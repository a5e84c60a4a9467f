//! Makes evidence bundles from a trail.

use std::collections::BTreeMap;

use ident::{Fingerprint, Timestamp};

use super::{
    checkpoint::{Checkpoint, split_notes},
    error::TrailError,
    evidence::{About, Anchor, Bundle, Evidence, MAX_EVIDENCE},
    merkle::{Hash, check_consistency},
    reader::{Search, TrailReader},
    verify::KnownCheckpoint,
};
use crate::QueueId;

/// What is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// What the log tells of a message.
    Message(QueueId),
    /// Everything that the log took in, from the last checkpoint at or before a moment to the first
    /// one at or after another.
    Period {
        /// From.
        since: Timestamp,
        /// To.
        until: Timestamp,
    },
}

/// The signed checkpoints of a log, oldest first; signatures are looked at where one is used.
struct History {
    notes: Vec<(Checkpoint, String)>,
}

impl TrailReader {
    /// Gathers what proves these entries off line. `known` are checkpoints that the reader of the
    /// bundle keeps: it then shows that the log continues them. None when there is no such entry.
    ///
    /// # Errors
    /// [`TrailError::Damaged`] when a known checkpoint contradicts the trail; [`TrailError::TooMuch`].
    pub fn export(&self, wanted: Wanted, known: &[KnownCheckpoint]) -> Result<Option<Bundle>, TrailError> {
        let (head, note) = self.checkpoint()?;
        let history = self.history()?;
        let (about, leaves) = match wanted {
            Wanted::Message(id) => (About::Message(id), self.leaves_of(id)?),
            Wanted::Period { since, until } => {
                let from = history.last_until(since).map_or(0, |checkpoint| checkpoint.size);
                let to = history.first_since(until).map_or(head.size, |checkpoint| checkpoint.size);
                if to.saturating_sub(from) > MAX_EVIDENCE {
                    return Err(TrailError::TooMuch { entries: to.saturating_sub(from), most: MAX_EVIDENCE });
                }
                (About::Entries { from, to }, (from..to).collect())
            }
        };
        let (Some(first), Some(last)) = (leaves.first(), leaves.last()) else { return Ok(None) };
        let mut around: BTreeMap<u64, String> = BTreeMap::new();
        for (checkpoint, note) in [history.before(*first), history.covering(*last)].into_iter().flatten() {
            around.insert(checkpoint.size, note.clone());
        }
        for known in known {
            let old = self.continues(known, &head)?;
            around.insert(old.size, known.note.clone());
        }
        around.remove(&head.size);
        let anchors = around.into_iter().map(|(size, checkpoint)| {
            let proof = fingerprints(self.consistency(size, head.size)?);
            Ok(Anchor { checkpoint, proof })
        });
        let anchors = anchors.collect::<Result<_, TrailError>>()?;
        let entries = leaves.into_iter().map(|leaf| self.evidence(leaf, head.size)).collect::<Result<_, _>>()?;
        Ok(Some(Bundle::new(self.verifier(), about, note, anchors, entries)))
    }

    /// A checkpoint that somebody keeps, if the trail continues it.
    fn continues(&self, known: &KnownCheckpoint, head: &Checkpoint) -> Result<Checkpoint, TrailError> {
        let place = || known.place.clone();
        let old = Checkpoint::open(&known.note, self.verifier())
            .map_err(|error| TrailError::Checkpoint { place: place(), error })?;
        if old.size > head.size {
            let what = format!("it covers {} entries, the trail has {}: the trail was cut", old.size, head.size);
            return Err(TrailError::damaged(place(), what));
        }
        let proof = self.consistency(old.size, head.size)?;
        match check_consistency(old.size, &old.root, head.size, &head.root, &proof) {
            Ok(()) => Ok(old),
            Err(error) => Err(TrailError::damaged(place(), format!("the trail does not continue it: {error}"))),
        }
    }

    fn leaves_of(&self, id: QueueId) -> Result<Vec<u64>, TrailError> {
        let mut leaves = Vec::new();
        let mut search = Search { terms: vec![format!("id:{id}")], ..Search::default() };
        loop {
            let hits = self.search(&search)?;
            let Some(oldest) = hits.iter().map(|hit| hit.leaf).min() else { break };
            leaves.extend(hits.iter().map(|hit| hit.leaf));
            search.before = Some(oldest);
            let entries = u64::try_from(leaves.len()).unwrap_or(u64::MAX);
            if entries > MAX_EVIDENCE {
                return Err(TrailError::TooMuch { entries, most: MAX_EVIDENCE });
            }
        }
        leaves.sort_unstable();
        leaves.dedup();
        Ok(leaves)
    }

    fn evidence(&self, entry: u64, size: u64) -> Result<Evidence, TrailError> {
        let proof = fingerprints(self.inclusion(entry, size)?);
        Ok(match self.opened(entry)? {
            Some((records, salt)) => {
                Evidence { entry, records: Some(records), salt: Some(Fingerprint::new(salt)), commitment: None, proof }
            }
            None => {
                let commitment = Some(Fingerprint::new(self.entry(entry)?.0));
                Evidence { entry, records: None, salt: None, commitment, proof }
            }
        })
    }

    fn history(&self) -> Result<History, TrailError> {
        let path = self.folder().history();
        let text = std::fs::read_to_string(&path).map_err(TrailError::disk(&path))?;
        let notes =
            split_notes(&text).0.into_iter().filter_map(|note| Some((Checkpoint::peek(note)?, note.to_owned())));
        Ok(History { notes: notes.collect() })
    }
}

impl History {
    /// The last that covers no more than the entries before this one.
    fn before(&self, entry: u64) -> Option<&(Checkpoint, String)> {
        self.notes.iter().rev().find(|(checkpoint, _)| checkpoint.size <= entry)
    }

    /// The first that covers this entry.
    fn covering(&self, entry: u64) -> Option<&(Checkpoint, String)> {
        self.notes.iter().find(|(checkpoint, _)| checkpoint.size > entry)
    }

    fn last_until(&self, at: Timestamp) -> Option<&Checkpoint> {
        self.notes.iter().map(|(checkpoint, _)| checkpoint).rev().find(|checkpoint| checkpoint.at <= at)
    }

    fn first_since(&self, at: Timestamp) -> Option<&Checkpoint> {
        self.notes.iter().map(|(checkpoint, _)| checkpoint).find(|checkpoint| checkpoint.at >= at)
    }
}

fn fingerprints(hashes: Vec<Hash>) -> Vec<Fingerprint> {
    hashes.into_iter().map(Fingerprint::new).collect()
}
