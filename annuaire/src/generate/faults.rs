//! Lines that are wrong in the ways seen in the wild, and headers as they drift over the years.

use crate::{
    FileKind,
    extract::columns::{
        ActivityColumn as A, CardColumn as C, Column, DiplomaColumn as D, MailboxColumn as M, SkillColumn as S,
    },
};

/// The first wrong lines come this many rows apart, each in another way…
const FIRST_EVERY: u64 = 8;
/// …and after them one in so many rows, far below what a load refuses.
const LATER_EVERY: u64 = 20_000;
/// How many ways there are.
const WAYS: u64 = 9;

/// The wrong line that follows row number `rows` of a file, with its line end; mostly there is none.
pub(super) fn after(kind: FileKind, rows: u64, row: &str) -> Option<Vec<u8>> {
    let first =
        rows.checked_div(FIRST_EVERY).filter(|way| rows.is_multiple_of(FIRST_EVERY) && (1..=WAYS).contains(way));
    let later = || rows.checked_div(LATER_EVERY).filter(|way| rows.is_multiple_of(LATER_EVERY) && *way > 0);
    let way = first.or_else(later)?.checked_rem(WAYS)?;
    let mut line = wrong(kind, way, row).into_bytes();
    if way == 3 {
        // A name in the encoding of another age.
        line.extend_from_slice(b"LEF\xC8VRE-TEST");
    }
    line.push(b'\n');
    Some(line)
}

fn wrong(kind: FileKind, way: u64, row: &str) -> String {
    let half = row.char_indices().nth(row.chars().count() / 2).map_or(0, |(at, _)| at);
    let start = row.get(..half).unwrap_or_default();
    match way {
        // Cut off in the middle, as by a broken connection.
        0 => start.split_inclusive('|').take(3).collect(),
        // A separator too many inside a value.
        1 => format!("{row}surplus|surplus|"),
        2 => format!("\u{1}{row}"),
        3 => start.split_inclusive('|').take(4).collect(),
        4 => "<html><head><title>502 Bad Gateway</title></head>".to_owned(),
        // The header once more, where files were joined.
        5 => kind.columns().join("|"),
        6 => with(row, id(kind), "12345"),
        7 => with(row, id(kind), "8ABCDEFGHIJK"),
        _ => with(row, national(kind), "«néant»"),
    }
}

fn with(row: &str, place: usize, value: &str) -> String {
    let fields = row.split('|').enumerate();
    fields.map(|(at, field)| if at == place { value } else { field }).collect::<Vec<_>>().join("|")
}

fn id(kind: FileKind) -> usize {
    match kind {
        FileKind::Activities => A::NationalId.place(),
        FileKind::Skills => S::NationalId.place(),
        FileKind::Diplomas => D::NationalId.place(),
        FileKind::Mailboxes => M::Address.place(),
        FileKind::Cards => C::NationalId.place(),
    }
}

fn national(kind: FileKind) -> usize {
    match kind {
        FileKind::Mailboxes => M::Kind.place(),
        FileKind::Cards => C::To.place(),
        other => id(other),
    }
}

/// Labels that moved, seen in one year or another (rule DIR-1).
pub(super) fn drifted(kind: FileKind, header: &str) -> String {
    match kind {
        FileKind::Activities => header
            .replace("Libellé civilité exercice", "Libellé civilité d'exercice")
            .replace("Code département (coord. structure)", "Code Département (structure)")
            .replace("Code fonction", "Code rôle"),
        FileKind::Cards => header.replace("Date fin validité", "Date de fin de validité"),
        _ => header.to_owned(),
    }
}
