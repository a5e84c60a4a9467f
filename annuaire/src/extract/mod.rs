//! The national extract files: recognising them, reading them, turning rows into checked rows.

pub(crate) mod columns;
mod find;
mod lines;
mod parse;
mod read;
mod row;

use crate::fold::fold;
use serde::{Deserialize, Serialize};

use columns::{ActivityColumn, CardColumn, Column, DiplomaColumn, MailboxColumn, SkillColumn};
use row::Header;

pub(crate) use find::{Candidate, Found, find};
pub(crate) use read::{Bounds, Octets, Outcome, read};

/// The five files, in the order in which they are read: the first names the people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileKind {
    /// People and what they do where: the one file that a directory cannot do without.
    Activities,
    /// Specialities and other skills.
    Skills,
    /// Diplomas and authorisations.
    Diplomas,
    /// Mailboxes of the trust space.
    Mailboxes,
    /// Cards of professionals.
    Cards,
}

impl FileKind {
    /// All five.
    pub const ALL: [Self; 5] = [Self::Activities, Self::Skills, Self::Diplomas, Self::Mailboxes, Self::Cards];

    /// Whether an old file of this kind leads somebody astray who writes to a person: who practises, where their
    /// mailbox is, whether their card still holds.
    pub const fn is_needed_fresh(self) -> bool {
        matches!(self, Self::Activities | Self::Mailboxes | Self::Cards)
    }

    /// The published name, without a date.
    pub const fn file_name(self) -> &'static str {
        match self {
            Self::Activities => "ps-libreacces-personne-activite.txt",
            Self::Skills => "ps-libreacces-savoirfaire.txt",
            Self::Diplomas => "ps-libreacces-dipl-autexerc.txt",
            Self::Mailboxes => "extraction-correspondance-mssante.txt",
            Self::Cards => "porteurs-cps-cpf.txt",
        }
    }

    /// The published labels of its columns, verbatim and in order.
    pub const fn columns(self) -> &'static [&'static str] {
        match self {
            Self::Activities => ActivityColumn::LABELS,
            Self::Skills => SkillColumn::LABELS,
            Self::Diplomas => DiplomaColumn::LABELS,
            Self::Mailboxes => MailboxColumn::LABELS,
            Self::Cards => CardColumn::LABELS,
        }
    }

    const fn needed(self) -> &'static [bool] {
        match self {
            Self::Activities => ActivityColumn::NEEDED,
            Self::Skills => SkillColumn::NEEDED,
            Self::Diplomas => DiplomaColumn::NEEDED,
            Self::Mailboxes => MailboxColumn::NEEDED,
            Self::Cards => CardColumn::NEEDED,
        }
    }

    /// What its name has in common over the years, letters only.
    const fn stem(self) -> &'static str {
        match self {
            Self::Activities => "personneactivite",
            Self::Skills => "savoirfaire",
            Self::Diplomas => "diplautexerc",
            Self::Mailboxes => "correspondancemssante",
            Self::Cards => "porteurscpscpf",
        }
    }

    /// Recognises a published name: any case, any separators, dates allowed.
    pub fn of_name(name: &str) -> Option<Self> {
        let folded = fold(name);
        let (stem, extension) = folded.rsplit_once(' ').unwrap_or((&folded, ""));
        if !matches!(extension, "txt" | "csv" | "zip") {
            return None;
        }
        let letters: String = stem.chars().filter(|c| c.is_ascii_alphabetic()).collect();
        Self::ALL.into_iter().find(|kind| letters.contains(kind.stem()))
    }

    /// Whether a name, whatever its ending, speaks of one of the files.
    pub(crate) fn is_spoken_of(name: &str) -> bool {
        let letters: String = fold(name).chars().filter(char::is_ascii_alphabetic).collect();
        Self::ALL.into_iter().any(|kind| letters.contains(kind.stem()))
    }

    /// Recognises a header line: no needed column is missing, and of the kinds that fit the one that knows most
    /// of its columns.
    pub fn of_header(line: &str) -> Option<Self> {
        let fits = |kind: &Self| Some(kind.header(line)).filter(|header| header.missing_needed.is_empty());
        Self::ALL
            .into_iter()
            .filter_map(|kind| fits(&kind).map(|header| (header.known(), kind)))
            .max()
            .map(|(_, kind)| kind)
    }

    fn header(self, line: &str) -> Header {
        Header::read(line, self.columns(), self.needed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_recognised_with_dates_and_in_any_case() {
        for (name, kind) in [
            ("ps-libreacces-personne-activite.txt", Some(FileKind::Activities)),
            ("PS_LibreAcces_Personne_activite_202608260803.txt", Some(FileKind::Activities)),
            ("PS_LibreAcces_Dipl_AutExerc_202608260803.txt", Some(FileKind::Diplomas)),
            ("PS_LibreAcces_SavoirFaire_202608260803.TXT", Some(FileKind::Skills)),
            ("Porteurs_CPS_CPF_20260826.csv", Some(FileKind::Cards)),
            ("2026-08-26 Extraction_Correspondance_MSSante_202608261013.zip", Some(FileKind::Mailboxes)),
            ("ps-libreacces-personne-activite.txt.sha256", None),
            ("notes.txt", None),
        ] {
            assert_eq!(FileKind::of_name(name), kind, "{name}");
        }
    }

    #[test]
    fn each_published_header_is_recognised_as_its_own() {
        for kind in FileKind::ALL {
            assert_eq!(FileKind::of_header(&kind.columns().join("|")), Some(kind));
            assert_eq!(FileKind::of_name(kind.file_name()), Some(kind));
        }
        assert_eq!(FileKind::of_header("a|b|c"), None);
    }
}
