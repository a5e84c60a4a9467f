//! Files of extracts: those that were fetched, and what a folder holds.

use std::{
    fs::{self, File},
    io::{self, Read as _, Seek as _},
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use ident::Timestamp;

use crate::{
    fetch::{Place, Tags},
    replace::replace,
};

/// Name of the note in the data folder that tells which extracts are in service.
const NOTE: &str = "SOURCES";
/// Of a hundred octets, how few are left in a file that may not be whole.
const SHORTER_PERCENT: u64 = 99;
/// Most files of a folder that are looked at.
const MAX_FILES: usize = 1000;

/// The folder of what is fetched: for each address one file, and what its server said about it.
#[derive(Debug, Clone)]
pub(super) struct Extracts(PathBuf);

impl Extracts {
    pub(super) fn new(folder: &Path) -> Self {
        Self(folder.to_owned())
    }

    /// What the server said about the file that we hold; nothing when we hold none.
    pub(super) fn tags(&self, place: &Place) -> Option<Tags> {
        if !self.0.join(name_of(place)).is_file() {
            return None;
        }
        serde_json::from_slice(&fs::read(self.0.join(tags_of(place))).ok()?).ok()
    }

    /// Keeps what came: the tags last, so that a crash asks again rather than believes to hold it.
    pub(super) fn keep(&self, place: &Place, octets: &[u8], tags: &Tags) -> io::Result<()> {
        fs::create_dir_all(&self.0)?;
        let tags_file = self.0.join(tags_of(place));
        match fs::remove_file(&tags_file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = self.0.join(name_of(place));
        replace(&file, octets)?;
        // The data are of when they were written, not of when we asked.
        if let Some(written) = tags.modified.as_deref().and_then(moment) {
            File::options().write(true).open(&file)?.set_modified(written.min(SystemTime::now()))?;
        }
        replace(&tags_file, &serde_json::to_vec(tags)?)
    }

    /// From now on every file is asked for whole: what we hold is of no use.
    pub(super) fn forget_tags(&self) {
        let Ok(entries) = fs::read_dir(&self.0) else { return };
        for entry in entries.flatten().take(MAX_FILES) {
            let name = entry.file_name();
            if name.to_str().is_some_and(|name| name.starts_with('.') && name.ends_with(".tags")) {
                // Should it stay, the server says that nothing has changed, until something has.
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    /// Forgets the files of addresses that are not asked any more.
    pub(super) fn keep_only(&self, places: &[Place]) {
        let Ok(entries) = fs::read_dir(&self.0) else { return };
        let known: Vec<String> = places.iter().flat_map(|place| [name_of(place), tags_of(place)]).collect();
        for entry in entries.flatten().take(MAX_FILES) {
            if !known.iter().any(|name| entry.file_name() == **name) {
                // What stays is told among the files that are passed over.
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

/// A date of HTTP (RFC 9110 §5.6.7), in the form that everybody writes.
fn moment(text: &str) -> Option<SystemTime> {
    let at = time::OffsetDateTime::parse(text, &time::format_description::well_known::Rfc2822).ok()?;
    Some(at.into())
}

/// The last part of an address, and a hash of all of it: two addresses never share a file.
fn name_of(place: &Place) -> String {
    let text = place.to_string();
    let last = text.split(['?', '#']).next().unwrap_or_default().rsplit('/').next().unwrap_or_default();
    let clean: String = last.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')).collect();
    let digest = openssl::sha::sha256(text.as_bytes());
    let mark: String = digest.iter().take(4).map(|octet| format!("{octet:02x}")).collect();
    // Letters only in front: digits might pass for a date.
    let mark: String = mark
        .chars()
        .map(|c| c.to_digit(16).and_then(|d| char::from_digit(d.saturating_add(10), 36)).unwrap_or('x'))
        .collect();
    format!("{mark}-{}", clean.trim_start_matches('.'))
}

/// Begins with a dot: no extract.
fn tags_of(place: &Place) -> String {
    format!(".{}.tags", name_of(place))
}

/// Names, lengths and dates of the files in a folder: when they are the same, so are the files.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Listing(Vec<(String, u64, Duration)>);

impl Listing {
    pub(super) fn of(folder: &Path) -> io::Result<Self> {
        let mut files = Vec::new();
        let entries = match fs::read_dir(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self(files)),
            entries => entries?,
        };
        for entry in entries.take(MAX_FILES) {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let metadata = fs::metadata(entry.path())?;
            if name.starts_with('.') || !metadata.is_file() {
                continue;
            }
            let modified = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
            files.push((name, metadata.len(), modified));
        }
        files.sort();
        Ok(Self(files))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one of the files changed after `settled` and looks like the beginning of what it is to be: its last line
    /// has no end, or it is shorter than the one of its name that is in service. Archives tell themselves.
    pub(super) fn may_be_beginning(&self, before: Option<&Self>, folder: &Path, settled: Timestamp) -> bool {
        let shorter = |name: &str, octets: u64| {
            let known = before.and_then(|before| before.0.iter().find(|(other, ..)| other == name));
            known.is_some_and(|(_, known, _)| octets.saturating_mul(100) < known.saturating_mul(SHORTER_PERCENT))
        };
        self.0.iter().any(|(name, octets, modified)| {
            let fresh = Timestamp::EPOCH.plus(*modified) > settled;
            let unended = || is_unended(&folder.join(name)).unwrap_or(false);
            fresh && (shorter(name, *octets) || unended())
        })
    }

    /// Forgets which extracts are in service.
    pub(super) fn forget(data: &Path) {
        let _ = fs::remove_file(data.join(NOTE));
    }

    /// Of the extracts in service.
    pub(super) fn remembered(data: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(data.join(NOTE)).ok()?).ok()
    }

    pub(super) fn remember(&self, data: &Path) -> io::Result<()> {
        replace(&data.join(NOTE), &serde_json::to_vec(self)?)
    }
}

/// Whether a file of text ends within a line.
fn is_unended(path: &Path) -> io::Result<bool> {
    let mut file = File::open(path)?;
    let mut begin = Vec::new();
    file.by_ref().take(2).read_to_end(&mut begin)?;
    if begin == b"PK" || file.seek(io::SeekFrom::End(0))? == 0 {
        return Ok(false);
    }
    file.seek(io::SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str) -> Place {
        toml::from_str::<std::collections::BTreeMap<String, Place>>(&format!("p = \"{text}\"")).unwrap()["p"].clone()
    }

    #[test]
    fn what_is_fetched_is_kept_apart_with_what_its_server_said() {
        let folder = tempfile::tempdir().unwrap();
        let extracts = Extracts::new(&folder.path().join("extracts"));
        let [one, two] =
            ["https://a.test/V300/Extraction_MSSante", "https://b.test/V300/Extraction_MSSante"].map(place);
        let tags = Tags { etag: Some("\"7\"".to_owned()), modified: None };
        assert_eq!(extracts.tags(&one), None);
        extracts.keep(&one, b"one", &tags).unwrap();
        extracts.keep(&two, b"two", &Tags::default()).unwrap();
        assert_eq!((extracts.tags(&one), extracts.tags(&two)), (Some(tags), Some(Tags::default())));
        let before = Listing::of(&folder.path().join("extracts")).unwrap();
        assert_eq!(before.0.len(), 2, "{before:?}");
        assert!(before.0.iter().all(|(name, ..)| name.ends_with("-Extraction_MSSante")), "{before:?}");
        extracts.keep_only(std::slice::from_ref(&two));
        assert_eq!(extracts.tags(&one), None, "no file, no tags");
        assert_ne!(Listing::of(&folder.path().join("extracts")).unwrap(), before);
    }

    #[test]
    fn a_listing_is_remembered_and_tells_every_change() {
        let folder = tempfile::tempdir().unwrap();
        let listing = || Listing::of(folder.path()).unwrap();
        assert!(listing().is_empty() && Listing::of(&folder.path().join("none")).unwrap().is_empty());
        fs::write(folder.path().join("a.txt"), "a").unwrap();
        let one = listing();
        fs::write(folder.path().join("a.txt"), "ab").unwrap();
        assert_ne!(listing(), one);
        let data = tempfile::tempdir().unwrap();
        assert_eq!(Listing::remembered(data.path()), None);
        one.remember(data.path()).unwrap();
        assert_eq!(Listing::remembered(data.path()), Some(one));
    }

    #[test]
    fn what_may_be_the_beginning_of_a_file_waits() {
        let folder = tempfile::tempdir().unwrap();
        let put = |text: &str| fs::write(folder.path().join("a.txt"), text).unwrap();
        let now: Timestamp = Timestamp::EPOCH.plus(SystemTime::now().duration_since(UNIX_EPOCH).unwrap());
        let waits = |before: Option<&Listing>, settled| {
            Listing::of(folder.path()).unwrap().may_be_beginning(before, folder.path(), settled)
        };
        let (minutes, old) = (Duration::from_secs(600), now.plus(Duration::from_secs(60)));
        put(&"a line\n".repeat(200));
        let before = Listing::of(folder.path()).unwrap();
        assert!(!waits(None, now.minus(minutes)) && !waits(Some(&before), now.minus(minutes)));
        put(&"a line\n".repeat(190));
        assert!(waits(Some(&before), now.minus(minutes)), "it is shorter than before");
        assert!(!waits(Some(&before), old), "it has been so for long");
        put("a line\nand a li");
        assert!(waits(None, now.minus(minutes)) && !waits(None, old));
        put("PK and what an archive is made of");
        assert!(!waits(None, now.minus(minutes)), "an archive tells by itself");
    }

    #[test]
    fn what_is_fetched_is_of_when_it_was_written_and_is_asked_for_again_when_it_is_bad() {
        let folder = tempfile::tempdir().unwrap();
        let extracts = Extracts::new(folder.path());
        let one = place("https://a.test/V300/Extraction_MSSante");
        let written = Some("Sat, 21 Nov 2020 10:00:00 GMT".to_owned());
        let tags = Tags { etag: None, modified: written };
        extracts.keep(&one, b"one", &tags).unwrap();
        let found = fs::metadata(folder.path().join(name_of(&one))).unwrap().modified().unwrap();
        let at = Timestamp::EPOCH.plus(found.duration_since(UNIX_EPOCH).unwrap());
        assert_eq!(at.rfc3339(), "2020-11-21T10:00:00Z");
        assert_eq!(extracts.tags(&one), Some(tags));
        extracts.forget_tags();
        assert_eq!(extracts.tags(&one), None);
        assert!(folder.path().join(name_of(&one)).exists());
    }
}
