//! A header that was understood, and one row under it.

use std::borrow::Cow;

use super::columns::{Column, normal_label};
use crate::{
    Date,
    generation::{extend_hash, hash},
    rows::Coded,
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
        let mut fields = Vec::new();
        places(line, &mut fields);
        let found: Vec<&str> = fields.iter().map(|place| place.of(line)).collect();
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

    /// Splits a row; refuses what does not have the header's columns. `fields` is room that rows use in turn.
    pub(crate) fn row<'a>(&'a self, line: &'a str, fields: &'a mut Vec<Place>) -> Result<Row<'a>, Fault> {
        places(line, fields);
        // All octets at once, without a branch: millions of rows have none of them.
        if line.bytes().fold(false, |any, octet| any | is_forbidden(octet)) {
            let forbidden = |field: &Place| field.of(line).bytes().any(is_forbidden);
            if let Some(place) = fields.iter().position(forbidden) {
                return Err(Fault { column: self.label(place), what: "control character".into() });
            }
        }
        let (found, wanted) = (fields.len(), self.width());
        let extra = fields.get(wanted..).unwrap_or_default();
        // An empty last column in the header, the row or both means nothing (a trailing separator).
        let short_by_one = found.checked_add(1) == Some(wanted) && line.ends_with('|');
        if extra.iter().any(|field| !field.of(line).trim().is_empty()) || (found < wanted && !short_by_one) {
            return Err(Fault::row(format!("{found} columns where the header has {wanted}")));
        }
        fields.iter_mut().for_each(|field| *field = field.trimmed(line));
        Ok(Row { line, fields, places: &self.places })
    }
}

/// Where a field begins and ends in its line, which is shorter than [`super::lines::MAX_LINE`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Place {
    from: usize,
    to: usize,
}

impl Place {
    fn of(self, line: &str) -> &str {
        line.get(self.from..self.to).unwrap_or_default()
    }

    /// Without the blanks around it.
    fn trimmed(self, line: &str) -> Self {
        let bare = |octet: Option<&u8>| octet.is_none_or(|octet| octet.is_ascii_graphic());
        let text = self.of(line);
        if bare(text.as_bytes().first()) && bare(text.as_bytes().last()) {
            return self;
        }
        let from = self.from.saturating_add(text.len().saturating_sub(text.trim_start().len()));
        Self { from, to: from.saturating_add(text.trim().len()) }
    }
}

/// The fields of a line; the empty one after a trailing separator is not one.
fn places(line: &str, fields: &mut Vec<Place>) {
    fields.clear();
    let line = line.strip_suffix('|').unwrap_or(line);
    let mut from = 0usize;
    for (at, octet) in line.bytes().enumerate() {
        if octet == b'|' {
            if fields.len() == MAX_COLUMNS {
                return;
            }
            fields.push(Place { from, to: at });
            from = at.saturating_add(1);
        }
    }
    if fields.len() < MAX_COLUMNS {
        fields.push(Place { from, to: line.len() });
    }
}

/// Control characters have no place in a value; a tab is a blank.
fn is_forbidden(octet: u8) -> bool {
    octet.is_ascii_control() && octet != b'\t'
}

/// The values of one row, in the order of the published columns; empty where the file has no such column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row<'a> {
    line: &'a str,
    /// The fields of the file, without the blanks around them.
    fields: &'a [Place],
    /// For each published column, which of them it is.
    places: &'a [Option<usize>],
}

impl<'a> Row<'a> {
    pub(crate) fn get(&self, column: impl Column) -> &'a str {
        self.place(column.place()).map_or("", |place| place.of(self.line))
    }

    fn place(&self, column: usize) -> Option<Place> {
        let place = self.places.get(column).copied().flatten()?;
        self.fields.get(place).copied()
    }

    /// Several columns as one value, `|` between them; empty when all are.
    pub(crate) fn coded<C: Column, const N: usize>(&self, columns: [C; N]) -> Coded<'a> {
        let values = columns.map(|column| self.get(column));
        if values.iter().all(|value| value.is_empty()) {
            return Coded::Borrowed("");
        }
        // As published, they stand side by side: the line holds the value already.
        match self.side_by_side(&columns) {
            Some(value) => Coded::Borrowed(value),
            None => Coded::Owned(values.join("|")),
        }
    }

    fn side_by_side<C: Column>(&self, columns: &[C]) -> Option<&'a str> {
        let mut columns = columns.iter().map(|column| self.place(column.place()));
        let first = columns.next()??;
        let mut end = first.to;
        for place in columns {
            let place = place?;
            // One octet between two fields can only be the separator.
            if end.checked_add(1) != Some(place.from) {
                return None;
            }
            end = place.to;
        }
        self.line.get(first.from..end)
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
        let skipped = |column: usize| without.iter().any(|skipped| skipped.place() == column);
        let columns = (0..self.places.len()).filter(|column| !skipped(*column));
        let value = |column| self.place(column).map_or("", |place| place.of(self.line));
        columns.fold(hash(b""), |state, column| extend_hash(state, value(column).as_bytes()))
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
        let mut room = Vec::new();
        let row = plain.row(" 12 |34|x", &mut room).unwrap();
        assert_eq!((row.get(C::Number), row.get(C::Id), row.get(C::To)), ("12", "34", ""));
        for (head, line) in [("Numéro carte|Identifiant PP|", "12|34"), ("Numéro carte|Identifiant PP", "12|34|")] {
            let hash = header(head).row(line, &mut Vec::new()).unwrap().hash::<C>(&[]);
            assert_eq!(hash, row.hash::<C>(&[]), "{head} {line}");
        }
        assert!(header("Numéro carte|Identifiant PP|Autre").row("12|34|", &mut Vec::new()).is_ok());
        assert_eq!(plain.known(), 2);
        assert_eq!(
            plain.missing_needed,
            ["Identifiant national contenu dans la carte", "Date fin validité", "Date opposition"]
        );
    }

    #[test]
    fn rows_with_other_columns_are_refused() {
        let plain = header("Numéro carte|Identifiant PP|Autre");
        let wrong = |line: &str| plain.row(line, &mut Vec::new()).unwrap_err();
        assert_eq!(wrong("1|2"), Fault::row("2 columns where the header has 3"));
        assert_eq!(wrong("1|2|3|4"), Fault::row("4 columns where the header has 3"));
        assert!(plain.row("1|2|3||", &mut Vec::new()).is_ok());
        let fault = wrong("1|2\0|3");
        assert_eq!(fault.column.as_deref(), Some("Identifiant PP"));
        assert_eq!(header("Numéro carte|Numéro de carte").doubled, ["Numéro carte"]);
    }
}
