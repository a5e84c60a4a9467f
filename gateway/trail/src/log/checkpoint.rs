//! Checkpoints (C2SP tlog-checkpoint): what the log was at a moment, signed.

use base64::{Engine, engine::general_purpose::STANDARD};
use ident::{Fingerprint, Timestamp};

use super::{
    merkle::Hash,
    note::{NoteError, NoteSigner, NoteVerifier},
};

/// What the log was at a moment. Each names the one before, so that none can be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpoint {
    /// Number of entries.
    pub size: u64,
    /// Root of the tree.
    pub root: Hash,
    /// When it was signed, in whole seconds.
    pub at: Timestamp,
    /// SHA-256 of the text of the checkpoint before; zeros for the first.
    pub previous: Fingerprint,
}

impl Checkpoint {
    /// The text that is signed. The lines after the root are extension lines, which other readers
    /// carry along.
    pub fn text(&self, origin: &str) -> String {
        format!(
            "{origin}\n{}\n{}\ntime {}\nprevious {}\n",
            self.size,
            STANDARD.encode(self.root),
            self.at.rfc3339(),
            self.previous
        )
    }

    /// The signed note.
    ///
    /// # Errors
    /// [`NoteError`] when the origin cannot stand in a note.
    pub fn sign(&self, signer: &NoteSigner) -> Result<String, NoteError> {
        signer.sign(&self.text(signer.verifier().name()))
    }

    /// Opens a signed note. Any other spelling of the same values is refused.
    ///
    /// # Errors
    /// [`NoteError`].
    pub fn open(note: &str, verifier: &NoteVerifier) -> Result<Self, NoteError> {
        let text = verifier.open(note)?;
        let checkpoint = Self::parse(text).ok_or(NoteError::Form)?;
        if checkpoint.text(verifier.name()) == text { Ok(checkpoint) } else { Err(NoteError::Form) }
    }

    /// What a note says, its signature not looked at: to find the one that is wanted.
    pub(crate) fn peek(note: &str) -> Option<Self> {
        Self::parse(note)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines().skip(1);
        let size = lines.next()?.parse().ok()?;
        let root = STANDARD.decode(lines.next()?).ok()?.try_into().ok()?;
        let at = Timestamp::parse(lines.next()?.strip_prefix("time ")?)?;
        let previous = lines.next()?.strip_prefix("previous ")?.parse().ok()?;
        Some(Self { size, root, at, previous })
    }

    /// What the next checkpoint names as [`Checkpoint::previous`].
    pub fn digest(&self, origin: &str) -> Fingerprint {
        Fingerprint::new(openssl::sha::sha256(self.text(origin).as_bytes()))
    }
}

/// Splits a file of notes, one after the other, each followed by an empty line. The rest that is
/// no complete note comes last: it was never finished.
#[cfg(test)]
pub(crate) fn split_notes(text: &str) -> (Vec<&str>, &str) {
    let mut notes = Vec::new();
    let mut rest = text;
    // Text, empty line, signatures, empty line.
    while let Some(end) = rest.find("\n\n").and_then(|middle| {
        let after = middle.checked_add(2)?;
        let signatures = rest.get(after..)?.find("\n\n")?;
        after.checked_add(signatures)?.checked_add(1)
    }) {
        let Some((note, tail)) = rest.split_at_checked(end) else { break };
        notes.push(note);
        rest = tail.strip_prefix('\n').unwrap_or(tail);
    }
    (notes, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint(size: u64) -> Checkpoint {
        Checkpoint {
            size,
            root: [5; 32],
            at: Timestamp::from_seconds(1_800_000_000),
            previous: Fingerprint::new([6; 32]),
        }
    }

    #[test]
    fn opens_what_it_signed_and_no_other_spelling() {
        let signer = NoteSigner::new("trail.ch-exemple.test", &[3; 32]).unwrap();
        let note = checkpoint(77).sign(&signer).unwrap();
        assert_eq!(Checkpoint::open(&note, signer.verifier()), Ok(checkpoint(77)));
        let text = checkpoint(77).text("trail.ch-exemple.test");
        for other in [
            text.replace("\n77\n", "\n077\n"),
            text.replace("\n77\n", "\n+77\n"),
            text.replace("trail.", "trial."),
            format!("{text}more\n"),
        ] {
            let note = signer.sign(&other).unwrap();
            assert_eq!(Checkpoint::open(&note, signer.verifier()), Err(NoteError::Form), "{other}");
        }
    }

    #[test]
    fn notes_in_a_row_come_apart_again() {
        let signer = NoteSigner::new("trail.ch-exemple.test", &[3; 32]).unwrap();
        let notes: Vec<_> = (1..4).map(|size| checkpoint(size).sign(&signer).unwrap()).collect();
        let file: String = notes.iter().map(|note| format!("{note}\n")).collect();
        let (found, rest) = split_notes(&file);
        assert_eq!((found.len(), rest), (3, ""));
        assert!(found.iter().zip(&notes).all(|(a, b)| a == b));
        let torn = file.get(..file.len() - 2).unwrap();
        let (found, rest) = split_notes(torn);
        assert_eq!(found.len(), 2);
        assert!(!rest.is_empty());
    }
}
