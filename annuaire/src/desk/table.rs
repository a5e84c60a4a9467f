//! A table in a file of comma-, semicolon- or tab-separated values (RFC 4180), with the line of each row.

use std::collections::BTreeSet;

use thiserror::Error;

/// Largest file.
const MAX_OCTETS: usize = 64 * 1024 * 1024;
/// Most rows.
const MAX_ROWS: usize = 500_000;
/// Most columns.
const MAX_COLUMNS: usize = 64;
/// Longest cell, in octets.
const MAX_CELL: usize = 64 * 1024;

/// Why a file is no table that is read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TableError {
    /// The file is too large.
    #[error("the file is larger than {MAX_OCTETS} octets: cut it in parts")]
    TooLarge,
    /// It has too many rows.
    #[error("the file has more than {MAX_ROWS} rows: cut it in parts")]
    TooManyRows,
    /// An octet that is no UTF-8.
    #[error("line {0}: not UTF-8: save the file as « CSV UTF-8 »")]
    NotUtf8(usize),
    /// A quote that nothing closes, or text behind a closed one.
    #[error("line {0}: a quotation mark is not closed, or something stands behind it")]
    Quote(usize),
    /// A cell or a row is larger than any that means something.
    #[error("line {0}: a cell or a row is too large")]
    Cell(usize),
    /// The first line names no columns.
    #[error("line 1 names no columns: {0}")]
    Header(String),
}

/// A table whose first row names the columns.
#[derive(Debug)]
pub(super) struct Table {
    /// Names of the columns, as `read` understands them.
    pub(super) columns: Vec<&'static str>,
    /// Line in the file and cells; a short row has empty cells at its end.
    pub(super) rows: Vec<(usize, Vec<String>)>,
}

impl Table {
    /// Reads a file; `known` says which column a name of the first row means.
    pub(super) fn read(octets: &[u8], known: impl Fn(&str) -> Option<&'static str>) -> Result<Self, TableError> {
        if octets.len() > MAX_OCTETS {
            return Err(TableError::TooLarge);
        }
        let text = std::str::from_utf8(octets).map_err(|error| {
            let before = octets.get(..error.valid_up_to()).unwrap_or_default();
            TableError::NotUtf8(before.iter().filter(|octet| **octet == b'\n').count().saturating_add(1))
        })?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let first = text.lines().next().unwrap_or_default();
        let count = |separator: &char| first.matches(*separator).count();
        let separator = [';', ',', '\t'].into_iter().max_by_key(count).unwrap_or(';');
        let mut rows = cells(text, separator)?.into_iter();
        let (_, names) = rows.next().ok_or_else(|| TableError::Header("the file is empty".to_owned()))?;
        let mut columns = Vec::new();
        let mut seen = BTreeSet::new();
        for name in &names {
            let column = known(name).ok_or_else(|| TableError::Header(format!("nothing is known of `{name}`")))?;
            if !seen.insert(column) {
                return Err(TableError::Header(format!("`{column}` is there twice")));
            }
            columns.push(column);
        }
        Ok(Self { columns, rows: rows.filter(|(_, cells)| cells.iter().any(|cell| !cell.trim().is_empty())).collect() })
    }
}

/// Rows with their first line.
fn cells(text: &str, separator: char) -> Result<Vec<(usize, Vec<String>)>, TableError> {
    let mut rows: Vec<(usize, Vec<String>)> = Vec::new();
    let (mut line, mut begun) = (1usize, 1usize);
    let mut row: Vec<String> = Vec::new();
    let mut cell = String::new();
    let mut state = State::Bare;
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        if c == '\n' {
            line = line.saturating_add(1);
        }
        match (state, c) {
            (State::Bare, '"') if cell.trim().is_empty() => {
                cell.clear();
                state = State::Quoted;
            }
            (State::Quoted, '"') if characters.peek() == Some(&'"') => {
                characters.next();
                cell.push('"');
            }
            (State::Quoted, '"') => state = State::Closed,
            (State::Quoted, c) => cell.push(c),
            (State::Bare | State::Closed, '\n') => {
                row.push(std::mem::take(&mut cell));
                rows.push((begun, std::mem::take(&mut row)));
                (begun, state) = (line, State::Bare);
                if rows.len() > MAX_ROWS {
                    return Err(TableError::TooManyRows);
                }
            }
            (State::Bare | State::Closed, '\r') if characters.peek() == Some(&'\n') => {}
            (State::Bare | State::Closed, c) if c == separator => {
                row.push(std::mem::take(&mut cell));
                state = State::Bare;
            }
            (State::Closed, c) if !c.is_whitespace() => return Err(TableError::Quote(line)),
            (State::Closed, _) => {}
            (State::Bare, c) => cell.push(c),
        }
        if cell.len() > MAX_CELL || row.len() > MAX_COLUMNS {
            return Err(TableError::Cell(line));
        }
    }
    if state == State::Quoted {
        return Err(TableError::Quote(begun));
    }
    if !cell.is_empty() || !row.is_empty() {
        row.push(cell);
        rows.push((begun, row));
    }
    Ok(rows)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Bare,
    Quoted,
    Closed,
}
