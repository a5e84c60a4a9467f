//! Files of rows: what is changed is a row, or a cell of one.

use super::Dice;

/// What stands first in a row: who or what it is about.
const KINDS: [&str; 8] = ["APP", "PER", "ORG", "CAB", "8", "0", "3", ""];
/// What stands elsewhere.
const VALUES: [&str; 16] = [
    "",
    "0",
    "1",
    "8",
    "99700000001",
    "899700000001",
    "99700000002",
    "990000001",
    "1990000001",
    "00000000000018",
    "F990000001",
    "20290131",
    "2029-01-31",
    "20290231",
    "anne@ch.test",
    "É",
];

/// Changes one to three rows.
pub(super) fn change(input: &mut Vec<u8>, dice: &mut Dice) -> bool {
    let mut lines: Vec<Vec<u8>> = input.split(|octet| *octet == b'\n').map(<[u8]>::to_vec).collect();
    let rows = |lines: &[Vec<u8>]| -> Vec<usize> {
        lines.iter().enumerate().filter(|(_, line)| line.contains(&b'|')).map(|(n, _)| n).collect()
    };
    if rows(&lines).is_empty() {
        return false;
    }
    for _ in 0..=dice.below(3) {
        let rows = rows(&lines);
        let Some(row) = rows.get(dice.below(rows.len())).copied() else { break };
        let Some(line) = lines.get(row).cloned() else { break };
        match dice.below(8) {
            0 => lines.insert(row, line),
            1 => drop(lines.remove(row)),
            2 => {
                // A row of another file, where none of its kind is expected.
                let other = rows.get(dice.below(rows.len())).copied().unwrap_or(row);
                lines.swap(row, other);
            }
            choice => {
                let mut cells: Vec<Vec<u8>> = line.split(|octet| *octet == b'|').map(<[u8]>::to_vec).collect();
                let (first, other) = (dice.below(4) == 0, dice.below(cells.len()));
                let at = if first { 0 } else { dice.below(cells.len()) };
                let value = match choice {
                    3 => cells.get(other).cloned().unwrap_or_default(),
                    _ => dice.one(if first { &KINDS } else { &VALUES }).unwrap_or_default().as_bytes().to_vec(),
                };
                if let Some(cell) = cells.get_mut(at) {
                    *cell = value;
                }
                if let Some(line) = lines.get_mut(row) {
                    *line = cells.join(&b'|');
                }
            }
        }
    }
    *input = lines.join(&b'\n');
    true
}
