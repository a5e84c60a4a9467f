//! A header that was understood, and one row under it.

use std::borrow::Cow;

use super::columns::{Column, normal_label};
use crate::{
    Date,
    generation::{extend_hash, hash},
};

/// Most columns of a row; the widest published file has 56.
pub(crate) const MAX_COLUMNS: usize = 512;

/// What is wrong with a row, and in which column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Published label of the column; `None` when the row as a whole is wrong.
    pub(crate) column: Option<String>,
    pub(crate) what: Cow<'static, str>,
}

impl Fault {
    pub(crate) fn row(what: impl Into<Cow<'static, str>>) -> Self {
        Self { column: None, what: what.into() }
    }

    pub(crate) fn at(column: impl Column, what: impl Into<Cow<'static, str>>) -> Self {
        Self { column: Some(column.label().to_owned()), what: what.into() }
    }
}

/// Where the published columns stand in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    /// For each published column, its place in the file.
    places: Vec<Option<usize>>,
    /// Labels as the file writes them.
    labels: Vec<String>,
    /// Published columns that the file has not.
    pub(crate) missing: Vec<&'static str>,
    /// Those of them without which the file is of no use.
    pub(crate) missing_needed: Vec<&'static str>,
    /// Labels that stand for a published column a second time.
    pub(crate) doubled: Vec<String>,
}

impl Header {
    /// Reads a header line against the published columns `labels`.
    pub(crate) fn read(line: &str, labels: &'static [&'static str], needed: &'static [bool]) -> Self {
        let found: Vec<&str> = split(line);
        let normal: Vec<String> = found.iter().map(|label| normal_label(label)).collect();
        let mut header = Self {
            places: Vec::with_capacity(labels.len()),
            labels: found.iter().map(|label| label.trim().to_owned()).collect(),
            missing: Vec::new(),
            missing_needed: Vec::new(),
            doubled: Vec::new(),
        };
        for (label, needed) in labels.iter().zip(needed) {
            let wanted = normal_label(label);
            let mut places = normal.iter().enumerate().filter(|(_, found)| **found == wanted).map(|(place, _)| place);
            let place = places.next();
            if place.is_none() {
                header.missing.push(label);
                if *needed {
                    header.missing_needed.push(label);
                }
            }
            if places.next().is_some() {
                header.doubled.push((*label).to_owned());
            }
            header.places.push(place);
        }
        header
    }

    /// How many published columns it has.
    pub(crate) fn known(&self) -> usize {
        self.places.iter().flatten().count()
    }

    /// The label at a place of the file.
    pub(crate) fn label(&self, place: usize) -> Option<String> {
        self.labels.get(place).cloned()
    }

    fn width(&self) -> usize {
        self.labels.len()
    }

    /// Splits a row; refuses what does not have the header's columns.
    pub(crate) fn row<'a>(&self, line: &'a str) -> Result<Row<'a>, Fault> {
        let fields = split(line);
        if let Some(place) = fields.iter().position(|field| field.chars().any(is_forbidden)) {
            return Err(Fault { column: self.label(place), what: "control character".into() });
        }
        let (found, wanted) = (fields.len(), self.width());
        let extra = fields.get(wanted..).unwrap_or_default();
        // An empty last column in the header, the row or both means nothing (a trailing separator).
        let short_by_one = found.checked_add(1) == Some(wanted) && line.ends_with('|');
        if extra.iter().any(|field| !field.trim().is_empty()) || (found < wanted && !short_by_one) {
            return Err(Fault::row(format!("{found} columns where the header has {wanted}")));
        }
        let values = self
            .places
            .iter()
            .map(|place| place.and_then(|place| fields.get(place)).map_or("", |field| field.trim()))
            .collect();
        Ok(Row { values })
    }
}

/// Control characters have no place in a value; a tab is a blank.
fn is_forbidden(c: char) -> bool {
    c.is_ascii_control() && c != '\t'
}

/// The columns of a line; the empty one after a trailing separator is not one.
fn split(line: &str) -> Vec<&str> {
    let line = line.strip_suffix('|').unwrap_or(line);
    line.split('|').take(MAX_COLUMNS).collect()
}

/// The values of one row, in the order of the published columns; empty where the file has no such column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row<'a> {
    values: Vec<&'a str>,
}

impl<'a> Row<'a> {
    pub(crate) fn get(&self, column: impl Column) -> &'a str {
        self.values.get(column.place()).copied().unwrap_or_default()
    }

    /// Several columns as one value, `|` between them; empty when all are.
    pub(crate) fn coded<C: Column, const N: usize>(&self, columns: [C; N]) -> String {
        let values = columns.map(|column| self.get(column));
        if values.iter().all(|value| value.is_empty()) { String::new() } else { values.join("|") }
    }

    /// A day, or nothing where the column is empty.
    pub(crate) fn date(&self, column: impl Column) -> Result<Option<Date>, Fault> {
        match self.get(column) {
            "" => Ok(None),
            text => match Date::parse(text) {
                Some(date) => Ok(Some(date)),
                None => Err(Fault::at(column, format!("“{}” is not a date", excerpt(text)))),
            },
        }
    }

    /// A hash over all published columns, the same whatever the file's order and extra columns, leaving out some.
    pub(crate) fn hash<C: Column>(&self, without: &[C]) -> u64 {
        let skipped = |place: usize| without.iter().any(|column| column.place() == place);
        let values = self.values.iter().enumerate().filter(|(place, _)| !skipped(*place));
        values.fold(hash(b""), |state, (_, value)| extend_hash(extend_hash(state, value.as_bytes()), b"|"))
    }
}

/// The start of a wrong value, enough to find it again.
pub(crate) fn excerpt(text: &str) -> String {
    let start: String = text.chars().take(40).collect();
    if start.len() < text.len() { format!("{start}…") } else { start }
}

#[cfg(test)]
mod tests {
    use super::{super::columns::CardColumn as C, *};

    fn header(line: &str) -> Header {
        Header::read(line, C::LABELS, C::NEEDED)
    }

    #[test]
    fn order_extra_columns_and_trailing_separators_do_not_matter() {
        let plain = header("Numéro carte|Identifiant PP|Autre");
        let row = plain.row(" 12 |34|x").unwrap();
        assert_eq!((row.get(C::Number), row.get(C::Id), row.get(C::To)), ("12", "34", ""));
        for (head, line) in [("Numéro carte|Identifiant PP|", "12|34"), ("Numéro carte|Identifiant PP", "12|34|")] {
            assert_eq!(header(head).row(line).unwrap().hash::<C>(&[]), row.hash::<C>(&[]), "{head} {line}");
        }
        assert!(header("Numéro carte|Identifiant PP|Autre").row("12|34|").is_ok());
        assert_eq!(plain.known(), 2);
        assert_eq!(
            plain.missing_needed,
            ["Identifiant national contenu dans la carte", "Date fin validité", "Date opposition"]
        );
    }

    #[test]
    fn rows_with_other_columns_are_refused() {
        let plain = header("Numéro carte|Identifiant PP|Autre");
        assert_eq!(plain.row("1|2").unwrap_err(), Fault::row("2 columns where the header has 3"));
        assert_eq!(plain.row("1|2|3|4").unwrap_err(), Fault::row("4 columns where the header has 3"));
        assert!(plain.row("1|2|3||").is_ok());
        let fault = plain.row("1|2\0|3").unwrap_err();
        assert_eq!(fault.column.as_deref(), Some("Identifiant PP"));
        assert_eq!(header("Numéro carte|Numéro de carte").doubled, ["Numéro carte"]);
    }
}
