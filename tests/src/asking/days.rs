//! The same extracts a day later.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;

/// Which of so many rows is another one.
const OTHER: usize = 3;

/// Writes the extracts of `from` into the folder `into` as of another day: of every so many-th activity the given name is
/// another one. How many rows that are.
#[must_use]
pub fn next(from: &Path, into: &Path, every: usize) -> u64 {
    std::fs::create_dir_all(into).unwrap();
    let files = std::fs::read_dir(from).unwrap().map(Result::unwrap);
    let changed = files.map(|file| day_of_file(&file.path(), &into.join(file.file_name()), every)).sum();
    assert!(changed > 0, "no row of {} is another one", from.display());
    changed
}

fn day_of_file(from: &Path, to: &Path, every: usize) -> u64 {
    let mut lines = BufReader::new(File::open(from).unwrap()).split(b'\n').map(Result::unwrap);
    let mut out = BufWriter::new(File::create(to).unwrap());
    let header = lines.next().unwrap_or_default();
    let labels = String::from_utf8_lossy(&header).into_owned();
    let given = labels.split('|').position(|label| label.trim() == "Prénom d'exercice");
    let column = given.filter(|_| labels.contains("Code genre d'activité"));
    out.write_all(&[&header[..], b"\n"].concat()).unwrap();
    let mut changed = 0;
    for (number, mut line) in lines.enumerate() {
        if let Some(column) = column.filter(|_| number % every == OTHER) {
            let mut fields: Vec<&[u8]> = line.split(|octet| *octet == b'|').collect();
            if fields.len() > column {
                fields[column] = b"Dominique";
                changed += 1;
                line = fields.join(&b'|');
            }
        }
        out.write_all(&[&line[..], b"\n"].concat()).unwrap();
    }
    out.flush().unwrap();
    changed
}
