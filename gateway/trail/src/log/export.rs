//! Makes evidence bundles from a trail.

use std::{collections::BTreeMap, io};

use ident::{Fingerprint, Timestamp};

use super::{
    checkpoint::Checkpoint,
    error::TrailError,
    evidence::{About, Anchor, Bundle, Evidence, MAX_EVIDENCE},
    history::Notes,
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

/// A checkpoint and its note.
type Signed = (Checkpoint, String);

impl TrailReader {
    /// Gathers what proves these entries off line. `known` are checkpoints that the reader of the
    /// bundle keeps: it then shows that the log continues them. None when there is no such entry.
    ///
    /// # Errors
    /// [`TrailError::Damaged`] when a known checkpoint contradicts the trail; [`TrailError::TooMuch`].
    pub fn export(&self, wanted: Wanted, known: &[KnownCheckpoint]) -> Result<Option<Bundle>, TrailError> {
        let (head, note) = self.checkpoint()?;
        let (about, leaves) = match wanted {
            Wanted::Message(id) => (About::Message(id), self.leaves_of(id)?),
            Wanted::Period { since, until } => {
                let from = self.around(&|checkpoint| checkpoint.at <= since)?.0.map_or(0, |(last, _)| last.size);
                let to = self.around(&|checkpoint| checkpoint.at < until)?.1.map_or(head.size, |(first, _)| first.size);
                if to.saturating_sub(from) > MAX_EVIDENCE {
                    return Err(TrailError::TooMuch { entries: to.saturating_sub(from), most: MAX_EVIDENCE });
                }
                (About::Entries { from, to }, (from..to).collect())
            }
        };
        let (Some(first), Some(last)) = (leaves.first(), leaves.last()) else { return Ok(None) };
        let mut around: BTreeMap<u64, String> = BTreeMap::new();
        let before = self.around(&|checkpoint| checkpoint.size <= *first)?.0;
        let covering = self.around(&|checkpoint| checkpoint.size <= *last)?.1;
        for (checkpoint, note) in [before, covering].into_iter().flatten() {
            around.insert(checkpoint.size, note);
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

    /// The last signed checkpoint of which something holds that holds of all earlier ones, and the first of
    /// which it does not. Signatures are looked at where one is used.
    fn around(&self, holds: &dyn Fn(&Checkpoint) -> bool) -> Result<(Option<Signed>, Option<Signed>), TrailError> {
        let path = self.folder().history();
        let mut last = None;
        for note in Notes::open(&path).map_err(TrailError::disk(&path))? {
            let note = match note {
                // The gateway is writing it.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
                other => other.map_err(TrailError::disk(&path))?,
            };
            let Some(checkpoint) = Checkpoint::peek(&note) else { continue };
            if !holds(&checkpoint) {
                return Ok((last, Some((checkpoint, note))));
            }
            last = Some((checkpoint, note));
        }
        Ok((last, None))
    }
}

fn fingerprints(hashes: Vec<Hash>) -> Vec<Fingerprint> {
    hashes.into_iter().map(Fingerprint::new).collect()
}
