//! SHA-256 of contents, and the name that a generation gets from them.

use openssl::sha::Sha256;

use super::{Column, Generation};

/// The date of the data and the start of a digest over all columns: equal contents, equal name. What is gone
/// is left out, since it depends on the generation before.
pub(super) fn name(generation: &Generation) -> String {
    let mut sha = Sha256::new();
    sha.update(generation.text.bytes.as_bytes());
    update(&mut sha, &generation.text.ends);
    sha.update(generation.index.entries.bytes.as_bytes());
    sha.update(&generation.index.postings);
    for (column, values) in generation.tables.columns() {
        if !column.starts_with("gone_") {
            sha.update(column.as_bytes());
            update(&mut sha, values);
        }
    }
    let date: String = generation.data_as_of.rfc3339().chars().filter(|c| c.is_ascii_alphanumeric()).collect();
    let digest = hex(&sha.finish());
    format!("{date}-{}", digest.get(..12).unwrap_or(&digest))
}

fn update(sha: &mut Sha256, column: &Column) {
    let mut block = Vec::with_capacity(16 * 1024);
    let mut values = column.values();
    while values.len() > 0 {
        block.clear();
        block.extend(values.by_ref().take(4 * 1024).flat_map(u32::to_le_bytes));
        sha.update(&block);
    }
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
