//! Evidence: a file that proves some entries of a log to somebody who has nothing else.
//!
//! It holds the records with their salts, the path of each to the root, the signed checkpoint, and
//! checkpoints around them. There is nothing in it that the proof does not need, and one spelling
//! only: every octet that is changed is found.

use ident::{Bilingual, Fingerprint, Timestamp};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{
    checkpoint::Checkpoint,
    merkle::{Hash, check_consistency, check_inclusion, leaf_hash},
    note::NoteVerifier,
    seal::commitment,
    sequencer::parse,
    verify::{Finding, KnownCheckpoint},
};
use crate::{QueueId, Record};

/// Version of the form.
const FORM: u8 = 1;
/// Most entries of one bundle.
pub const MAX_EVIDENCE: u64 = 100_000;
/// Largest bundle that is read, in octets.
pub const MAX_BUNDLE: u64 = 512 * 1024 * 1024;

/// What a bundle is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum About {
    /// Entries that tell of one message.
    Message(QueueId),
    /// Every entry from a number on and before another: nothing between is left out.
    Entries {
        /// First.
        from: u64,
        /// Behind the last.
        to: u64,
    },
}

/// A bundle as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bundle {
    sceau_evidence: u8,
    /// The public key of the log, to be compared with one that came another way.
    key: String,
    about: About,
    /// The signed checkpoint that the proofs lead to.
    checkpoint: String,
    /// Older checkpoints, with the proof that each is the beginning of that one.
    anchors: Vec<Anchor>,
    entries: Vec<Evidence>,
}

/// An older checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Anchor {
    pub(crate) checkpoint: String,
    pub(crate) proof: Vec<Fingerprint>,
}

/// One entry: records and salt, or the bare commitment when the trail has them no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Evidence {
    pub(crate) entry: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) records: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) salt: Option<Fingerprint>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) commitment: Option<Fingerprint>,
    pub(crate) proof: Vec<Fingerprint>,
}

/// Why a file is no bundle at all.
#[derive(Debug, Error)]
pub enum BundleError {
    /// Not JSON of this shape.
    #[error("this is no evidence bundle: {0}")]
    Form(#[from] serde_json::Error),
    /// Written by a later version.
    #[error("the bundle has form {0}; this program reads form {FORM}")]
    Version(u8),
    /// The same values in other words: somebody touched the file.
    #[error("the bundle is not spelled as this program writes it: it was touched")]
    Spelling,
}

/// What became of a checkpoint that somebody kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KnownOutcome {
    /// The bundle's log begins with it, or ends with it.
    Contained,
    /// The bundle's log has another history.
    Contradicted,
    /// The bundle does not reach to it: export again with `--known-checkpoint`.
    NotComparable,
}

/// A proven entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProvenEntry {
    /// Its number.
    pub entry: u64,
    /// Its records; none when they were erased, or withheld by somebody who had them.
    pub records: Option<Vec<Record>>,
}

/// A checkpoint of the bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ProvenCheckpoint {
    /// Entries that it covers.
    pub size: u64,
    /// When it was signed, by the clock of the log's gateway.
    pub at: Timestamp,
}

/// What a bundle proves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BundleReport {
    /// Everything in it fits together, and nothing known contradicts it.
    pub ok: bool,
    /// Name of the log.
    pub origin: String,
    /// The key, as text.
    pub key: String,
    /// Whether that key was given from elsewhere; else it is the bundle's own word.
    pub key_known: bool,
    /// What it is about.
    pub about: About,
    /// The checkpoints, oldest first; the proofs lead to the last.
    pub checkpoints: Vec<ProvenCheckpoint>,
    /// The entries.
    pub entries: Vec<ProvenEntry>,
    /// Each known checkpoint's place and outcome.
    pub known: Vec<(String, KnownOutcome)>,
    /// What is wrong, the first bad place first.
    pub findings: Vec<Finding>,
}

impl Bundle {
    pub(crate) fn new(
        verifier: &NoteVerifier,
        about: About,
        checkpoint: String,
        anchors: Vec<Anchor>,
        entries: Vec<Evidence>,
    ) -> Self {
        Self { sceau_evidence: FORM, key: verifier.to_string(), about, checkpoint, anchors, entries }
    }

    /// The one spelling.
    ///
    /// # Errors
    /// Does not occur with our own types.
    pub fn to_text(&self) -> Result<String, BundleError> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    /// Reads a bundle.
    ///
    /// # Errors
    /// See [`BundleError`].
    pub fn parse(text: &str) -> Result<Self, BundleError> {
        let bundle: Self = serde_json::from_str(text)?;
        if bundle.sceau_evidence != FORM {
            return Err(BundleError::Version(bundle.sceau_evidence));
        }
        if bundle.to_text()? == text { Ok(bundle) } else { Err(BundleError::Spelling) }
    }

    /// How many entries it holds.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Computes everything again. `key` is the log's public key as the reader knows it; without it
    /// the bundle's own is taken, and the report says so.
    pub fn verify(&self, key: Option<&NoteVerifier>, known: &[KnownCheckpoint]) -> BundleReport {
        let mut check = Check { findings: Vec::new(), checkpoints: Vec::new() };
        let mut report = BundleReport {
            ok: false,
            origin: String::new(),
            key: self.key.clone(),
            key_known: key.is_some(),
            about: self.about,
            checkpoints: Vec::new(),
            entries: Vec::new(),
            known: Vec::new(),
            findings: Vec::new(),
        };
        if let Some(verifier) = check.key(&self.key, key) {
            verifier.name().clone_into(&mut report.origin);
            if let Some(head) = check.checkpoints(self, &verifier) {
                report.entries = check.entries(&self.entries, &head);
                check.about(self.about, &report.entries, &head);
                report.known = known.iter().map(|known| check.known(known, &verifier)).collect();
            }
        }
        let proven = |checkpoint: &Checkpoint| ProvenCheckpoint { size: checkpoint.size, at: checkpoint.at };
        report.checkpoints = check.checkpoints.iter().map(proven).collect();
        report.ok = check.findings.is_empty();
        report.findings = check.findings;
        report
    }
}

struct Check {
    findings: Vec<Finding>,
    /// Good ones, oldest first.
    checkpoints: Vec<Checkpoint>,
}

impl Check {
    fn found(&mut self, place: impl Into<String>, what: impl Into<String>) {
        self.findings.push(Finding { place: place.into(), what: what.into() });
    }

    fn key(&mut self, own: &str, given: Option<&NoteVerifier>) -> Option<NoteVerifier> {
        match (NoteVerifier::parse(own), given) {
            (Ok(own), Some(given)) if own.to_string() != given.to_string() => {
                self.found("key", format!("the bundle is signed under {own}, not under the key that you know"));
                None
            }
            (Ok(own), _) => Some(own),
            (Err(error), _) => {
                self.found("key", error.to_string());
                None
            }
        }
    }

    /// The last checkpoint and those before it, each proven to be its beginning.
    fn checkpoints(&mut self, bundle: &Bundle, verifier: &NoteVerifier) -> Option<Checkpoint> {
        let head = match Checkpoint::open(&bundle.checkpoint, verifier) {
            Ok(head) => head,
            Err(error) => {
                self.found("checkpoint", error.to_string());
                return None;
            }
        };
        for (number, anchor) in bundle.anchors.iter().enumerate() {
            let place = format!("anchor {number}");
            match Checkpoint::open(&anchor.checkpoint, verifier) {
                Ok(old) => {
                    let proof = hashes(&anchor.proof);
                    if self.checkpoints.last().is_some_and(|last| last.size >= old.size) || old.size >= head.size {
                        self.found(&place, "it is out of order");
                    } else if let Err(error) = check_consistency(old.size, &old.root, head.size, &head.root, &proof) {
                        self.found(&place, error.to_string());
                    } else {
                        self.checkpoints.push(old);
                    }
                }
                Err(error) => self.found(&place, error.to_string()),
            }
        }
        self.checkpoints.push(head);
        Some(head)
    }

    fn entries(&mut self, entries: &[Evidence], head: &Checkpoint) -> Vec<ProvenEntry> {
        let mut proven: Vec<ProvenEntry> = Vec::new();
        for evidence in entries {
            let place = format!("entry {}", evidence.entry);
            if proven.last().is_some_and(|last| last.entry >= evidence.entry) {
                self.found(&place, "it is out of order");
            }
            let (committed, records) = match (&evidence.records, &evidence.salt, &evidence.commitment) {
                (Some(lines), Some(salt), None) => match parse(lines, evidence.entry) {
                    Ok(records) => (commitment(salt.as_bytes(), lines.as_bytes()), Some(records)),
                    Err(error) => {
                        self.found(&place, error.to_string());
                        continue;
                    }
                },
                (None, None, Some(commitment)) => (*commitment.as_bytes(), None),
                _ => {
                    self.found(&place, "it has neither records with their salt, nor a bare commitment");
                    continue;
                }
            };
            let leaf = leaf_hash(&committed);
            match check_inclusion(evidence.entry, leaf, head.size, &head.root, &hashes(&evidence.proof)) {
                Ok(()) => proven.push(ProvenEntry { entry: evidence.entry, records }),
                Err(error) => self.found(&place, error.to_string()),
            }
        }
        proven
    }

    /// The entries are about what the bundle says, and a span of them is whole.
    fn about(&mut self, about: About, entries: &[ProvenEntry], head: &Checkpoint) {
        match about {
            About::Message(id) => {
                for entry in entries {
                    let concerns = |record: &Record| record.message == Some(id);
                    if !entry.records.as_ref().is_some_and(|records| records.iter().any(concerns)) {
                        self.found(format!("entry {}", entry.entry), format!("it does not tell of message {id}"));
                    }
                }
                if entries.is_empty() {
                    self.found("about", "there is no entry in it");
                }
            }
            About::Entries { from, to } => {
                let mut expected = from;
                for entry in entries {
                    if entry.entry != expected {
                        self.found(format!("entry {expected}"), "it is left out");
                        return;
                    }
                    expected = expected.saturating_add(1);
                }
                if expected != to || to <= from || to > head.size {
                    self.found(format!("entry {expected}"), format!("the span ends before entry {to}"));
                }
                let at_a_checkpoint = |size: u64| self.checkpoints.iter().any(|checkpoint| checkpoint.size == size);
                if (from > 0 && !at_a_checkpoint(from)) || !at_a_checkpoint(to) {
                    self.found("about", "the span does not begin and end at checkpoints of the bundle");
                }
            }
        }
    }

    fn known(&mut self, known: &KnownCheckpoint, verifier: &NoteVerifier) -> (String, KnownOutcome) {
        let place = known.place.clone();
        let outcome = match Checkpoint::open(&known.note, verifier) {
            Ok(outside) => match self.checkpoints.iter().find(|checkpoint| checkpoint.size == outside.size) {
                Some(ours) if ours.root == outside.root => KnownOutcome::Contained,
                Some(_) => {
                    self.found(&place, "it names another root for the same number of entries: another history");
                    KnownOutcome::Contradicted
                }
                None => KnownOutcome::NotComparable,
            },
            Err(error) => {
                self.found(&place, error.to_string());
                KnownOutcome::NotComparable
            }
        };
        (place, outcome)
    }
}

fn hashes(proof: &[Fingerprint]) -> Vec<Hash> {
    proof.iter().map(|hash| *hash.as_bytes()).collect()
}

impl BundleReport {
    /// Entries that are there as a bare commitment. Whoever has records and salt can compute it, so
    /// it proves nothing about why they are not there.
    pub fn without_records(&self) -> usize {
        self.entries.iter().filter(|entry| entry.records.is_none()).count()
    }

    /// What this bundle proves, in words for an auditor; nothing when it is not good.
    pub fn proves(&self) -> Vec<Bilingual> {
        let (true, Some(head)) = (self.ok, self.checkpoints.last()) else { return Vec::new() };
        let (origin, count) = (&self.origin, self.entries.len());
        let mut said = vec![Bilingual::new(
            format!(
                "Ces {count} entrées, telles qu'elles sont ici, étaient dans le journal {origin} quand il a signé son point de contrôle de {} entrées le {} ; rien n'y a été changé depuis.",
                head.size, head.at
            ),
            format!(
                "These {count} entries, as they stand here, were in the log {origin} when it signed its checkpoint of {} entries at {}; nothing in them was changed since.",
                head.size, head.at
            ),
        )];
        if let About::Entries { from, to } = self.about {
            said.push(Bilingual::new(
                format!("Entre les entrées {from} et {to}, il n'en manque aucune et leur ordre est celui du journal."),
                format!("Between entries {from} and {to} none is left out, and their order is that of the log."),
            ));
        }
        let last = self.entries.last().map(|entry| entry.entry);
        let covering = last.and_then(|last| self.checkpoints.iter().find(|checkpoint| checkpoint.size > last));
        if let Some(covering) = covering {
            said.push(Bilingual::new(
                format!("Le journal les avait toutes au plus tard le {} (horloge de la passerelle).", covering.at),
                format!("The log had all of them at {} at the latest (by the gateway's clock).", covering.at),
            ));
        }
        for (place, outcome) in &self.known {
            if *outcome == KnownOutcome::Contained {
                said.push(Bilingual::new(
                    format!("L'histoire est celle du point de contrôle conservé ailleurs ({place})."),
                    format!("The history is that of the checkpoint kept elsewhere ({place})."),
                ));
            }
        }
        said
    }

    /// What it does not prove.
    pub fn does_not_prove(&self) -> Vec<Bilingual> {
        let mut said = Vec::new();
        if !self.key_known {
            said.push(Bilingual::new(
                format!("Que la clé est bien celle de la passerelle : elle vient du dossier lui-même. Comparez-la à une clé reçue par une autre voie : {}", self.key),
                format!("That the key is the gateway's: it comes with the bundle itself. Compare it with one that came another way: {}", self.key),
            ));
        }
        if !self.known.iter().any(|(_, outcome)| *outcome == KnownOutcome::Contained) {
            said.push(Bilingual::new(
                "Que la passerelle n'a pas montré une autre histoire à d'autres : il faut pour cela un point de contrôle conservé ailleurs (--known-checkpoint).",
                "That the gateway did not show another history to others: that takes a checkpoint kept elsewhere (--known-checkpoint).",
            ));
        }
        if let About::Message(id) = self.about {
            said.push(Bilingual::new(
                format!("Que ce sont toutes les entrées sur le message {id} : d'autres peuvent avoir été omises du dossier ou effacées à leur échéance."),
                format!("That these are all entries about message {id}: others may have been left out of the bundle, or erased when due."),
            ));
        }
        if self.without_records() > 0 {
            said.push(Bilingual::new(
                format!("Ce que disaient les {} entrées sans contenu, ni pourquoi il manque : retenu par qui a eu ce dossier, ou effacé à son échéance, rien ici ne prouve lequel.", self.without_records()),
                format!("What the {} entries without records said, nor why: they were withheld or erased, it is not proven which.", self.without_records()),
            ));
        }
        said.push(Bilingual::new(
            "Que la passerelle a écrit la vérité, ni qu'elle a tout écrit ; ni l'heure autrement que par sa propre horloge.",
            "That the gateway wrote the truth, or wrote everything; nor the time, but by its own clock.",
        ));
        said
    }
}
