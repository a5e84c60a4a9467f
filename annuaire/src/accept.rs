//! What holds a load back, file by file, and for which files a person says that it is meant.

use serde::Serialize;

use crate::FileKind;

/// For which files a held load is confirmed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Accept<'a> {
    /// For none.
    #[default]
    Nothing,
    /// For the one that holds it back. Where several do, for none: whoever looked at one did not look at the others.
    TheOne,
    /// For these.
    Files(&'a [FileKind]),
    /// For whatever holds it back.
    Everything,
}

/// Why one file holds a load back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Holding {
    /// Which one, by its published name.
    pub file: &'static str,
    /// What is unusual about it.
    pub why: String,
    /// Whether it was confirmed.
    pub accepted: bool,
    /// The same as `file`.
    #[serde(skip)]
    pub kind: FileKind,
}

impl Holding {
    pub(crate) fn new(kind: FileKind, why: String) -> Self {
        Self { file: kind.file_name(), why, accepted: false, kind }
    }
}

impl Accept<'_> {
    /// Marks what is confirmed.
    pub(crate) fn mark(self, holding: &mut [Holding]) {
        let first = holding.first().map(|one| one.kind);
        let alone = holding.iter().all(|one| Some(one.kind) == first);
        for one in holding {
            one.accepted = match self {
                Self::Nothing => false,
                Self::TheOne => alone,
                Self::Files(kinds) => kinds.contains(&one.kind),
                Self::Everything => true,
            };
        }
    }
}

/// The files of these, each once, in the order in which they are read.
pub(crate) fn kinds_of<'h>(holding: impl Iterator<Item = &'h Holding>) -> Vec<FileKind> {
    let mut kinds: Vec<FileKind> = holding.map(|one| one.kind).collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}

/// What was found, in a sentence each.
pub(crate) fn found(holding: &[Holding]) -> String {
    holding.iter().map(|one| one.why.as_str()).collect::<Vec<_>>().join("; ")
}

/// Why a load is held, and what to do; nothing when all of it was confirmed.
pub(crate) fn held(holding: &[Holding]) -> Option<String> {
    let open: Vec<Holding> = holding.iter().filter(|one| !one.accepted).cloned().collect();
    let files = kinds_of(open.iter());
    if files.is_empty() {
        return None;
    }
    let words: Vec<String> = files.iter().map(|kind| format!("--accept {}", kind.file_name())).collect();
    Some(format!(
        "{}. If that is right, load again with {} to put these data in service: name each file that you looked at",
        found(&open),
        words.join(" ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marked(accept: Accept<'_>, kinds: &[FileKind]) -> Vec<bool> {
        let mut holding: Vec<_> = kinds.iter().map(|kind| Holding::new(*kind, "less".to_owned())).collect();
        accept.mark(&mut holding);
        holding.into_iter().map(|one| one.accepted).collect()
    }

    #[test]
    fn a_word_is_for_the_files_that_it_names() {
        use FileKind::{Activities, Cards};
        let both = [Activities, Cards, Cards];
        assert_eq!(marked(Accept::Nothing, &both), [false; 3]);
        assert_eq!(marked(Accept::Everything, &both), [true; 3]);
        assert_eq!(marked(Accept::Files(&[Cards]), &both), [false, true, true]);
        assert_eq!(marked(Accept::TheOne, &both), [false; 3], "a word without a name is for one file");
        assert_eq!(marked(Accept::TheOne, &[Cards, Cards]), [true; 2]);
    }

    #[test]
    fn what_is_left_is_named_with_what_to_type() {
        let mut holding = vec![
            Holding::new(FileKind::Cards, "cards: less".to_owned()),
            Holding::new(FileKind::Activities, "people: less".to_owned()),
            Holding::new(FileKind::Cards, "cards: much less".to_owned()),
        ];
        let said = held(&holding).unwrap();
        let words = format!("--accept {} --accept {} ", FileKind::Activities.file_name(), FileKind::Cards.file_name());
        assert!(said.starts_with("cards: less; people: less; cards: much less. ") && said.contains(&words), "{said}");
        Accept::Files(&[FileKind::Activities]).mark(&mut holding);
        let said = held(&holding).unwrap();
        assert!(!said.contains("people") && !said.contains(FileKind::Activities.file_name()), "{said}");
        Accept::Everything.mark(&mut holding);
        assert_eq!(held(&holding), None);
    }
}
