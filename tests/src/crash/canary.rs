//! Looks for readable content in whatever a program wrote, in every form that software tends to give
//! to text: as it is, base64 in its three alignments, quoted-printable, UTF-16, hexadecimal, and any
//! of these inside deflate, zlib and gzip streams.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use flate2::{Decompress, FlushDecompress};

/// Most octets inflated from one stream.
const MOST_INFLATED: usize = 256 * 1024;
/// A stream that yields less than this is chance.
const LEAST_INFLATED: usize = 16;

/// Texts that must not be found.
#[derive(Debug)]
pub struct Canaries {
    patterns: Vec<Pattern>,
    /// Patterns by their first two octets.
    by_start: Vec<Vec<usize>>,
}

#[derive(Debug)]
struct Pattern {
    found: Found,
    octets: Vec<u8>,
}

/// A canary that was found, and in which form.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    /// Which one.
    pub canary: String,
    /// How it was written.
    pub form: &'static str,
}

/// The forms that are looked for, but for those inside a stream, which begin with `inflated `.
pub const FORMS: [&str; 8] =
    ["text", "base64+0", "base64+1", "base64+2", "quoted-printable", "utf-16le", "utf-16be", "hexadecimal"];

impl Canaries {
    /// Canaries by name. A text that is the same in two forms is looked for once.
    #[must_use]
    pub fn new(texts: &[(&str, &str)]) -> Self {
        let mut canaries = Self { patterns: Vec::new(), by_start: vec![Vec::new(); 1 << 16] };
        for (name, text) in texts {
            let units = || text.encode_utf16();
            let hexadecimal: String = text.bytes().map(|octet| format!("{octet:02x}")).collect();
            let mut forms = vec![
                ("text", text.as_bytes().to_vec()),
                ("quoted-printable", quoted_printable(text).into_bytes()),
                ("utf-16le", units().flat_map(u16::to_le_bytes).collect()),
                ("utf-16be", units().flat_map(u16::to_be_bytes).collect()),
                ("hexadecimal", hexadecimal.into_bytes()),
            ];
            for (form, shift) in [("base64+0", 0), ("base64+1", 1), ("base64+2", 2)] {
                forms.push((form, base64_middle(text, shift)));
            }
            let mut seen = BTreeSet::new();
            for (form, octets) in forms {
                if seen.insert(octets.clone()) {
                    canaries.add(name, form, octets);
                }
            }
        }
        canaries
    }

    fn add(&mut self, name: &str, form: &'static str, octets: Vec<u8>) {
        assert!(octets.len() >= 12, "{name}: too short to be meant");
        self.by_start[start(&octets)].push(self.patterns.len());
        self.patterns.push(Pattern { found: Found { canary: name.to_owned(), form }, octets });
    }

    /// Everything found in these octets.
    #[must_use]
    pub fn search(&self, octets: &[u8]) -> BTreeSet<Found> {
        let mut found = self.search_plain(octets);
        for inflated in streams(octets) {
            found.extend(
                self.search_plain(&inflated).into_iter().map(|found| Found { form: inside(found.form), ..found }),
            );
        }
        found
    }

    /// As it is, and with the line breaks of base64 and quoted-printable taken out.
    fn search_plain(&self, octets: &[u8]) -> BTreeSet<Found> {
        let mut found = self.scan(octets);
        let unbroken: Vec<u8> = octets.iter().copied().filter(|octet| !matches!(octet, b'\r' | b'\n')).collect();
        found.extend(self.scan(&unbroken));
        let mut unfolded = Vec::with_capacity(octets.len());
        let mut rest = octets;
        while let Some((octet, after)) = rest.split_first() {
            rest = match rest {
                [b'=', b'\r', b'\n', after @ ..] | [b'=', b'\n', after @ ..] => after,
                _ => {
                    unfolded.push(*octet);
                    after
                }
            };
        }
        found.extend(self.scan(&unfolded));
        found
    }

    fn scan(&self, octets: &[u8]) -> BTreeSet<Found> {
        let mut found = BTreeSet::new();
        for at in 0..octets.len().saturating_sub(1) {
            for pattern in &self.by_start[start(&octets[at..])] {
                let pattern = &self.patterns[*pattern];
                if octets[at..].starts_with(&pattern.octets) {
                    found.insert(pattern.found.clone());
                }
            }
        }
        found
    }

    /// Everything found in a file, or in all files below a folder.
    #[must_use]
    pub fn search_files(&self, path: &Path, skipped: &[PathBuf]) -> Vec<(PathBuf, Found)> {
        let mut found = Vec::new();
        for file in files(path) {
            if !skipped.iter().any(|skipped| file.starts_with(skipped)) {
                // What goes away between listing and reading is read at the next search.
                let octets = std::fs::read(&file).unwrap_or_default();
                found.extend(self.search(&octets).into_iter().map(|what| (file.clone(), what)));
            }
        }
        found
    }
}

fn start(octets: &[u8]) -> usize {
    usize::from(octets[0]) << 8 | usize::from(octets[1])
}

/// All regular files at or below a path.
#[must_use]
pub fn files(path: &Path) -> Vec<PathBuf> {
    if !path.is_dir() {
        return if path.exists() { vec![path.to_owned()] } else { Vec::new() };
    }
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    entries.flat_map(|entry| files(&entry.path())).collect()
}

/// What stays of a text in base64 wherever it stands, `shift` octets after a group's start.
fn base64_middle(text: &str, shift: usize) -> Vec<u8> {
    let mut octets = vec![0; shift];
    octets.extend_from_slice(text.as_bytes());
    let encoded = STANDARD_NO_PAD.encode(&octets).into_bytes();
    // Characters that hold bits of what stands before or behind are not ours.
    let first = (shift * 8).div_ceil(6);
    let last = octets.len() * 8 / 6;
    encoded[first..last].to_vec()
}

fn quoted_printable(text: &str) -> String {
    text.bytes()
        .map(|octet| if octet.is_ascii() { char::from(octet).to_string() } else { format!("={octet:02X}") })
        .collect()
}

fn inside(form: &str) -> &'static str {
    match form {
        "text" => "inflated text",
        "quoted-printable" => "inflated quoted-printable",
        "utf-16le" | "utf-16be" => "inflated utf-16",
        "hexadecimal" => "inflated hexadecimal",
        _ => "inflated base64",
    }
}

/// Every deflate, zlib and gzip stream that begins anywhere.
fn streams(octets: &[u8]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let mut raw = Decompress::new(false);
    let mut at = 0;
    while at + 2 < octets.len() {
        let here = &octets[at..];
        let begins = match here {
            [0x1f, 0x8b, 8, ..] => gzip_data(here),
            [0x78, check, ..] if (0x7800 + u32::from(*check)) % 31 == 0 => Some(2),
            _ => Some(0),
        };
        if let Some(header) = begins
            && let Some(data) = here.get(header..)
            && plausible(data)
            && let Some((inflated, used)) = inflate(&mut raw, data)
        {
            found.push(inflated);
            // Streams do not begin inside a long one.
            at += header + used.saturating_sub(1);
        }
        at += 1;
    }
    found
}

/// Whether a deflate block can begin here (RFC 1951 §3.2.3): a cheap test before the dear one.
fn plausible(data: &[u8]) -> bool {
    let Some(head) = data.get(..5) else { return false };
    match head[0] >> 1 & 3 {
        0 => head[1] == !head[3] && head[2] == !head[4],
        1 => true,
        2 => head[0] >> 3 <= 29 && head[1] & 0x1f <= 29,
        _ => false,
    }
}

fn inflate(raw: &mut Decompress, data: &[u8]) -> Option<(Vec<u8>, usize)> {
    raw.reset(false);
    let mut out = Vec::with_capacity(512);
    loop {
        let used = usize::try_from(raw.total_in()).unwrap();
        let before = out.len();
        let state = raw.decompress_vec(&data[used..], &mut out, FlushDecompress::None);
        let ended = matches!(state, Ok(flate2::Status::StreamEnd));
        let stuck = state.is_err() || (out.len() == before && out.len() < out.capacity());
        if ended || stuck || out.len() >= MOST_INFLATED {
            let used = usize::try_from(raw.total_in()).unwrap();
            // A stream cut off (by a page, by a crash) still shows what it shows.
            return (out.len() >= LEAST_INFLATED && (ended || out.len() >= 64))
                .then_some((out, if ended { used } else { 1 }));
        }
        out.reserve(out.len().max(512));
    }
}

/// Length of a gzip header (RFC 1952 §2.3).
fn gzip_data(here: &[u8]) -> Option<usize> {
    let flags = *here.get(3)?;
    let mut at = 10;
    if flags & 4 != 0 {
        at += 2 + usize::from(u16::from_le_bytes([*here.get(10)?, *here.get(11)?]));
    }
    for flag in [8, 16] {
        if flags & flag != 0 {
            at += here.get(at..)?.iter().position(|octet| *octet == 0)? + 1;
        }
    }
    Some(at + if flags & 2 != 0 { 2 } else { 0 })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

    use super::*;

    fn forms_of(canaries: &Canaries, octets: &[u8]) -> Vec<&'static str> {
        canaries.search(octets).into_iter().map(|found| found.form).collect()
    }

    #[test]
    fn every_form_is_found_and_noise_is_not() {
        let text = "canari numéro 4711";
        let canaries = Canaries::new(&[("one", text)]);
        let around = |inner: &[u8]| [b"before, ", inner, b", behind"].concat();
        assert_eq!(forms_of(&canaries, &around(text.as_bytes())), ["text"]);
        for (padding, form) in [("", "base64+0"), ("x", "base64+1"), ("xy", "base64+2")] {
            let encoded = base64::engine::general_purpose::STANDARD.encode(format!("{padding}{text} and more"));
            let broken: Vec<String> =
                encoded.as_bytes().chunks(10).map(|line| String::from_utf8_lossy(line).into_owned()).collect();
            assert_eq!(forms_of(&canaries, &around(broken.join("\r\n").as_bytes())), [form]);
        }
        assert_eq!(forms_of(&canaries, b"x canari nu=\r\nm=C3=A9ro 47=\r\n11 x"), ["quoted-printable"]);
        let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(forms_of(&canaries, &around(&utf16)), ["utf-16le"]);
        let long = format!("{text} {}", "and so on, and on, and on. ".repeat(10));
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(long.as_bytes()).unwrap();
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::best());
        zlib.write_all(long.as_bytes()).unwrap();
        let mut raw = DeflateEncoder::new(Vec::new(), Compression::fast());
        raw.write_all(long.as_bytes()).unwrap();
        for stream in [gzip.finish().unwrap(), zlib.finish().unwrap(), raw.finish().unwrap()] {
            assert_eq!(forms_of(&canaries, &around(&stream)), ["inflated text"]);
        }
        let mut noise = vec![0; 200_000];
        openssl::rand::rand_bytes(&mut noise).unwrap();
        assert!(canaries.search(&noise).is_empty());
        assert!(canaries.search(b"canari numero 4711").is_empty());
    }
}
