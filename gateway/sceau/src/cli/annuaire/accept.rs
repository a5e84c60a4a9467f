//! `--accept FILE`: for which files of a load somebody says that what is unusual in them is right.

use std::path::Path;

use annuaire::{Accept, FileKind};

/// One `--accept`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    /// Without a name.
    TheOne,
    /// With the name of a file.
    File(FileKind),
}

impl Word {
    /// Reads what stands behind it: the name of a file as it is published, dated or not, with or without its folder.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self::TheOne);
        }
        let name = Path::new(text).file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        FileKind::of_name(&name).map(Self::File).ok_or_else(|| {
            let known = FileKind::ALL.map(FileKind::file_name).join(", ");
            format!("it is none of the files; there are {known}. A folder goes before `--accept`")
        })
    }
}

/// The files that are named, to be given on.
pub(super) fn files(words: &[Word]) -> Vec<FileKind> {
    let file = |word: &Word| match word {
        Word::File(kind) => Some(*kind),
        Word::TheOne => None,
    };
    words.iter().filter_map(file).collect()
}

/// What all of them say together. Names beside a word without one count alone: it says nothing more.
pub(super) fn meant<'f>(words: &[Word], files: &'f [FileKind]) -> Accept<'f> {
    match (words, files) {
        ([], _) => Accept::Nothing,
        (_, []) => Accept::TheOne,
        (_, files) => Accept::Files(files),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_named_as_it_is_published_and_nothing_else_is_taken_for_one() {
        for name in [
            "porteurs-cps-cpf.txt",
            "Porteurs_CPS_CPF_20260826.csv",
            "/srv/extractions/2026-08-26/Porteurs_CPS_CPF_20260826.zip",
        ] {
            assert_eq!(Word::read(name), Ok(Word::File(FileKind::Cards)), "{name}");
        }
        assert_eq!(Word::read(""), Ok(Word::TheOne));
        for name in ["ext", "all", "porteurs", "--into", "/"] {
            assert!(Word::read(name).is_err_and(|why| why.contains("porteurs-cps-cpf.txt")), "{name}");
        }
    }

    #[test]
    fn names_count_alone() {
        let words = [Word::TheOne, Word::File(FileKind::Cards)];
        let named = files(&words);
        assert_eq!(meant(&words, &named), Accept::Files(&[FileKind::Cards]));
        assert_eq!(meant(&[Word::TheOne], &[]), Accept::TheOne);
        assert_eq!(meant(&[], &[]), Accept::Nothing);
    }
}
