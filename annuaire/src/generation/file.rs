//! A generation on disk: magic, version, a described list of sections, each with its SHA-256.
//!
//! Written aside, synced, renamed, the folder synced; never changed in place. Read into memory whole: no mapping.

use std::{
    fs::{self, File},
    io::{self, BufReader, BufWriter, Read, Write},
    path::Path,
};

use ident::Timestamp;
use openssl::sha::{Sha256, sha256};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{
    Generation, Source,
    column::{Column, Form, Packed},
    digest::hex,
    index::Index,
    strings::Strings,
    tables::Tables,
};
use crate::ask::Kept;

const MAGIC: &[u8; 8] = b"SCEAUANN";
/// Changes with every change of the columns or of their meaning.
const VERSION: u32 = 5;
const MAX_HEADER: u32 = 1024 * 1024;

/// Why a stored generation is not used. Every variant means: load the extracts again.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoredError {
    /// The file cannot be read or written.
    #[error("the stored directory cannot be read or written: {0}")]
    Io(#[from] io::Error),
    /// Not one of our files.
    #[error("the file is not a stored directory")]
    NotOurs,
    /// Written by another version of this program.
    #[error(
        "the stored directory has format version {0}, this program reads version {VERSION}; load the extracts again"
    )]
    Version(u32),
    /// The contents are not those that were written.
    #[error("the stored directory is damaged ({0}); load the extracts again")]
    Damaged(&'static str),
}

#[derive(Debug, Serialize, Deserialize)]
struct Head {
    id: String,
    data_as_of: Timestamp,
    sources: Vec<Source>,
    sections: Vec<Section>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Section {
    name: String,
    octets: u64,
    sha256: String,
    /// Of a column.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    shape: Option<Shape>,
}

/// How a column is packed: what its codes refer to comes first, in 32 bits each, then the codes.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Shape {
    rows: u32,
    bits: u32,
    form: Form,
    aside: u32,
}

/// Names of the sections that are octets, and of the lists of ends that belong to two of them.
const TEXT: &str = "text";
const WORDS: &str = "words";
const POSTINGS: &str = "postings";
const TEXT_ENDS: &str = "text_ends";
const WORD_ENDS: &str = "word_ends";

/// Writes `generation` to `path`, durably, replacing what is there.
pub(crate) fn save(generation: &Generation, path: &Path) -> Result<(), StoredError> {
    let aside = path.with_extension("part");
    let saved = save_aside(generation, &aside).and_then(|()| Ok(fs::rename(&aside, path)?));
    if saved.is_err() {
        // On a full disk of all things it must not stay.
        let _ = fs::remove_file(&aside);
    }
    saved?;
    sync_folder(path)?;
    Ok(())
}

fn save_aside(generation: &Generation, aside: &Path) -> Result<(), StoredError> {
    let mut out = BufWriter::with_capacity(256 * 1024, File::create(aside)?);
    write(generation, &mut out)?;
    Ok(out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?)
}

/// Makes a rename in the folder of `path` durable.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}

fn write(generation: &Generation, out: &mut impl Write) -> Result<(), StoredError> {
    let section = |name: &str, octets: usize, sha: [u8; 32], shape| Section {
        name: name.to_owned(),
        octets: u64::try_from(octets).unwrap_or(u64::MAX),
        sha256: hex(&sha),
        shape,
    };
    let octets = [
        (TEXT, generation.text.bytes.as_bytes()),
        (WORDS, generation.index.entries.bytes.as_bytes()),
        (POSTINGS, generation.index.postings.as_slice()),
    ];
    let mut columns = vec![(TEXT_ENDS, &generation.text.ends), (WORD_ENDS, &generation.index.entries.ends)];
    columns.extend(generation.tables.columns());
    let mut sections: Vec<Section> =
        octets.iter().map(|(name, octets)| section(name, octets.len(), sha256(octets), None)).collect();
    let mut packed = Vec::with_capacity(columns.len());
    for (name, column) in columns {
        let column = column.at_rest();
        let (mut sha, mut long) = (Sha256::new(), 0usize);
        blocks(&column, |block| {
            sha.update(block);
            long = long.saturating_add(block.len());
            Ok(())
        })?;
        let (rows, bits, form) = column.shape();
        let aside = u32::try_from(column.parts().0.len()).map_err(io::Error::other)?;
        sections.push(section(name, long, sha.finish(), Some(Shape { rows, bits, form, aside })));
        packed.push(column);
    }
    let head = Head {
        id: generation.id.clone(),
        data_as_of: generation.data_as_of,
        sources: generation.sources.clone(),
        sections,
    };
    let head = serde_json::to_vec(&head).map_err(io::Error::other)?;
    let length = u32::try_from(head.len()).map_err(io::Error::other)?;
    out.write_all(MAGIC)?;
    out.write_all(&VERSION.to_le_bytes())?;
    out.write_all(&length.to_le_bytes())?;
    out.write_all(&head)?;
    out.write_all(&sha256(&head))?;
    for (_, octets) in octets {
        out.write_all(octets)?;
    }
    for column in packed {
        blocks(&column, |block| out.write_all(block))?;
    }
    Ok(())
}

/// Hands out a column's octets, numbers little-endian, in blocks.
fn blocks(column: &Packed, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let (aside, octets) = column.parts();
    let mut block = Vec::with_capacity(64 * 1024);
    for values in aside.chunks(16 * 1024) {
        block.clear();
        block.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        take(&block)?;
    }
    take(octets)
}

/// The files that a stored generation was made from, and the moment that it speaks of: its description alone is read.
pub(crate) fn read_sources(path: &Path) -> Result<(Timestamp, Vec<Source>), StoredError> {
    let head = read_head(&mut BufReader::new(File::open(path)?))?;
    Ok((head.data_as_of, head.sources))
}

/// Reads a generation and checks every octet of it.
pub(crate) fn read(path: &Path) -> Result<Generation, StoredError> {
    read_parts(path, |_| true)
}

/// Reads what comparing generations needs: neither words nor columns that are only shown. Two whole generations
/// and a build do not fit in the memory that a load may take.
pub(crate) fn read_to_compare(path: &Path) -> Result<Generation, StoredError> {
    read_parts(path, |section| {
        let keys = [TEXT, TEXT_ENDS, "person_id", "mailbox_key", "structure_key", "card_number", "card_person"];
        let starts = ["person_activity_starts", "person_skill_starts", "person_diploma_starts"];
        keys.contains(&section)
            || starts.contains(&section)
            || section.starts_with("gone_")
            || section.ends_with("_hash_high")
            || section.ends_with("_hash_low")
    })
}

/// Reads and checks the sections that are wanted; the others stay empty.
fn read_parts(path: &Path, wanted: impl Fn(&str) -> bool) -> Result<Generation, StoredError> {
    let file = File::open(path)?;
    let available = file.metadata()?.len();
    let mut input = BufReader::with_capacity(256 * 1024, file);
    let head = read_head(&mut input)?;
    let total = head.sections.iter().try_fold(0u64, |sum, section| sum.checked_add(section.octets));
    if total.is_none_or(|total| total > available) {
        return Err(StoredError::Damaged("shorter than it says"));
    }
    let [mut text, mut words, mut postings] = [None, None, None];
    let [mut text_ends, mut word_ends] = [None, None];
    let mut tables = Tables::default();
    let mut read = 0usize;
    for section in &head.sections {
        if !wanted(&section.name) {
            let over = i64::try_from(section.octets).map_err(|_| StoredError::Damaged("too long"))?;
            input.seek_relative(over)?;
            if !section.name.starts_with("word") && section.name != POSTINGS {
                tables.column_mut(&section.name).ok_or(StoredError::Damaged("unknown column"))?;
                read = read.saturating_add(1);
            }
            continue;
        }
        match section.name.as_str() {
            TEXT => text = Some(octets(&mut input, section)?),
            WORDS => words = Some(octets(&mut input, section)?),
            POSTINGS => postings = Some(octets(&mut input, section)?),
            TEXT_ENDS => text_ends = Some(column(&mut input, section)?),
            WORD_ENDS => word_ends = Some(column(&mut input, section)?),
            name => {
                let values = column(&mut input, section)?;
                *tables.column_mut(name).ok_or(StoredError::Damaged("unknown column"))? = values;
                read = read.saturating_add(1);
            }
        }
    }
    let mut rest = [0u8; 1];
    if input.read(&mut rest)? != 0 || read != tables.columns().len() {
        return Err(StoredError::Damaged("other sections than expected"));
    }
    let index = match wanted(POSTINGS) {
        false => Index::default(),
        true => {
            let postings = postings.ok_or(StoredError::Damaged("no word index"))?;
            Index::new(strings(words, word_ends)?, postings)
        }
    };
    let text = strings(text, text_ends)?;
    let Head { id, data_as_of, sources, .. } = head;
    Ok(Generation { id, data_as_of, sources, text, tables, index, kept: Kept::default() })
}

fn strings(octets: Option<Vec<u8>>, ends: Option<Column>) -> Result<Strings, StoredError> {
    let (Some(octets), Some(ends)) = (octets, ends) else { return Err(StoredError::Damaged("no text")) };
    let bytes = String::from_utf8(octets).map_err(|_| StoredError::Damaged("text is not UTF-8"))?;
    Ok(Strings { bytes, ends })
}

fn read_head(input: &mut impl Read) -> Result<Head, StoredError> {
    let mut magic = [0u8; 8];
    input.read_exact(&mut magic).map_err(short)?;
    if &magic != MAGIC {
        return Err(StoredError::NotOurs);
    }
    let version = number(input)?;
    if version != VERSION {
        return Err(StoredError::Version(version));
    }
    let length = number(input)?;
    if length > MAX_HEADER {
        return Err(StoredError::Damaged("description too long"));
    }
    let mut head = vec![0u8; usize::try_from(length).map_err(|_| StoredError::NotOurs)?];
    input.read_exact(&mut head).map_err(short)?;
    let mut sha = [0u8; 32];
    input.read_exact(&mut sha).map_err(short)?;
    if sha256(&head) != sha {
        return Err(StoredError::Damaged("description"));
    }
    serde_json::from_slice(&head).map_err(|_| StoredError::Damaged("description"))
}

fn number(input: &mut impl Read) -> Result<u32, StoredError> {
    let mut octets = [0u8; 4];
    input.read_exact(&mut octets).map_err(short)?;
    Ok(u32::from_le_bytes(octets))
}

fn short(error: io::Error) -> StoredError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => StoredError::Damaged("cut off"),
        _ => StoredError::Io(error),
    }
}

/// The octets of one section, checked. The caller has checked the sum of all lengths against the file.
fn octets(input: &mut impl Read, section: &Section) -> Result<Vec<u8>, StoredError> {
    let mut octets = vec![0u8; long(section.octets)?];
    input.read_exact(&mut octets).map_err(short)?;
    match hex(&sha256(&octets)) == section.sha256 {
        true => Ok(octets),
        false => Err(StoredError::Damaged("checksum")),
    }
}

fn long(octets: u64) -> Result<usize, StoredError> {
    usize::try_from(octets).map_err(|_| StoredError::Damaged("too long"))
}

/// One column: nothing of it stands in memory twice.
fn column(input: &mut impl Read, section: &Section) -> Result<Column, StoredError> {
    let shape = section.shape.ok_or(StoredError::Damaged("column"))?;
    let codes = section.octets.checked_sub(u64::from(shape.aside).saturating_mul(4));
    let codes = long(codes.ok_or(StoredError::Damaged("column"))?)?;
    let mut sha = Sha256::new();
    let mut left = long(u64::from(shape.aside).saturating_mul(4))?;
    let mut aside = Vec::with_capacity(left / 4);
    let mut block = vec![0u8; 64 * 1024];
    while left > 0 {
        let want = left.min(block.len());
        let part = block.get_mut(..want).unwrap_or_default();
        input.read_exact(part).map_err(short)?;
        sha.update(part);
        let (words, _) = part.as_chunks::<4>();
        aside.extend(words.iter().map(|word| u32::from_le_bytes(*word)));
        left = left.saturating_sub(want);
    }
    let mut octets = vec![0u8; codes];
    input.read_exact(&mut octets).map_err(short)?;
    sha.update(&octets);
    if hex(&sha.finish()) != section.sha256 {
        return Err(StoredError::Damaged("checksum"));
    }
    let packed = Packed::stored(shape.rows, shape.bits, shape.form, aside, octets);
    packed.map(Column::from).ok_or(StoredError::Damaged("column"))
}
