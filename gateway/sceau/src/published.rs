//! What operators publish into our directory: a file of lines in the data folder. A publication is answered when its lines
//! are on stable storage.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use annuaire::{MAX_PUBLISHED, Published, PublishedMailbox};
use ident::Address;

/// Largest file that is read or grown.
const MAX_OCTETS: u64 = 256 * 1024 * 1024;

/// Most lines that cannot be read and are told one by one.
const MAX_TOLD: usize = 5;

/// What is in the file.
#[derive(Debug, Default)]
pub(crate) struct Read {
    /// The mailboxes.
    pub(crate) mailboxes: Published,
    /// The first lines that cannot be read, and why.
    pub(crate) wrong: Vec<String>,
}

impl Read {
    fn pass_over(&mut self, number: usize, line: &[u8], error: &serde_json::Error) {
        if self.wrong.len() < MAX_TOLD {
            self.wrong.push(format!("line {number} cannot be read: {error}"));
        }
        let text = String::from_utf8_lossy(line);
        let named = text.split_once("\"address\":\"").and_then(|(_, rest)| rest.split('"').next());
        if let Some(address) = named.and_then(|text| Address::parse(text).ok()) {
            self.mailboxes.hide(address);
        }
    }
}

/// The file.
#[derive(Debug, Clone)]
pub(crate) struct PublishedFile(PathBuf);

impl PublishedFile {
    /// The one in this data folder.
    pub(crate) fn below(data: &Path) -> Self {
        Self(data.join("published.jsonl"))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// All that was published, the newest of each address. A mailbox that a line names which cannot be read is taken as
    /// closed: what it says now is not known, and it may be that it is not to be shown.
    ///
    /// # Errors
    /// Those of the system; a file that is too large. A last line without its end was never answered, and does not count.
    pub(crate) fn read(&self) -> io::Result<Read> {
        let wrong = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
        let mut octets = Vec::new();
        match File::open(&self.0) {
            Ok(file) => file.take(MAX_OCTETS.saturating_add(1)).read_to_end(&mut octets)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Read::default()),
            Err(error) => return Err(error),
        };
        if u64::try_from(octets.len()).unwrap_or(u64::MAX) > MAX_OCTETS {
            return Err(wrong(format!("is larger than {MAX_OCTETS} octets")));
        }
        let whole = octets.iter().rposition(|octet| *octet == b'\n').unwrap_or_default();
        let mut read = Read::default();
        for (n, line) in octets.get(..whole).unwrap_or_default().split(|octet| *octet == b'\n').enumerate() {
            match serde_json::from_slice(line) {
                Ok(mailbox) => read.mailboxes.take(mailbox),
                Err(_) if line.trim_ascii().is_empty() => {}
                Err(error) => read.pass_over(n.saturating_add(1), line, &error),
            }
            if read.mailboxes.len() > MAX_PUBLISHED {
                return Err(wrong(format!("names more than {MAX_PUBLISHED} mailboxes")));
            }
        }
        Ok(read)
    }

    /// Adds lines, and is back when they are on stable storage.
    ///
    /// # Errors
    /// Those of the system; the file is full.
    pub(crate) fn append(&self, mailboxes: &[PublishedMailbox]) -> io::Result<()> {
        let mut lines = Vec::new();
        for mailbox in mailboxes {
            serde_json::to_writer(&mut lines, mailbox)?;
            lines.push(b'\n');
        }
        let new = !self.0.exists();
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&self.0)?;
        let end = end_of_lines(&mut file)?;
        if end.saturating_add(u64::try_from(lines.len()).unwrap_or(u64::MAX)) > MAX_OCTETS {
            return Err(io::Error::new(io::ErrorKind::StorageFull, "the file of what is published is full"));
        }
        // What a crash left unfinished goes, or the next line would stand behind it.
        file.set_len(end)?;
        file.seek(SeekFrom::Start(end))?;
        file.write_all(&lines)?;
        file.sync_all()?;
        match self.0.parent().filter(|_| new) {
            Some(folder) => File::open(folder)?.sync_all(),
            None => Ok(()),
        }
    }
}

/// Where the last whole line ends.
fn end_of_lines(file: &mut File) -> io::Result<u64> {
    let mut end = file.metadata()?.len();
    let mut octet = [0];
    while let Some(before) = end.checked_sub(1) {
        file.seek(SeekFrom::Start(before))?;
        file.read_exact(&mut octet)?;
        if octet == *b"\n" {
            break;
        }
        end = before;
    }
    Ok(end)
}

#[cfg(test)]
mod tests {
    use annuaire::MailboxType;
    use ident::{Address, StructureId};

    use super::*;

    fn mailbox(address: &str, description: &str) -> PublishedMailbox {
        PublishedMailbox {
            address: Address::parse(address).unwrap(),
            kind: MailboxType::Organisation,
            owner: None,
            structure: StructureId::parse("1990000001").ok(),
            red_list: false,
            rank: None,
            description: Some(description.to_owned()),
            service: None,
            responsible: None,
            closed: false,
            by: StructureId::parse("1990000001").unwrap(),
        }
    }

    #[test]
    fn the_newest_line_of_an_address_counts() {
        let folder = tempfile::tempdir().unwrap();
        let file = PublishedFile::below(folder.path());
        assert!(file.read().unwrap().mailboxes.is_empty());
        file.append(&[mailbox("a@b.test", "eins"), mailbox("c@b.test", "deux")]).unwrap();
        file.append(&[mailbox("A@b.test", "trois")]).unwrap();
        let all = file.read().unwrap().mailboxes;
        assert_eq!(all.len(), 2);
        let newest = all.get(&Address::parse("a@b.test").unwrap()).unwrap();
        assert_eq!(newest.description.as_deref(), Some("trois"));
    }

    #[test]
    fn a_line_that_a_crash_cut_off_is_none_and_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let file = PublishedFile::below(folder.path());
        file.append(&[mailbox("a@b.test", "un")]).unwrap();
        let whole = std::fs::read(file.path()).unwrap();
        for cut in 1..whole.len() {
            let torn = [whole.as_slice(), whole.get(..cut).unwrap()].concat();
            std::fs::write(file.path(), torn).unwrap();
            assert_eq!(file.read().unwrap().mailboxes.len(), 1, "{cut}");
            file.append(&[mailbox("c@b.test", "deux")]).unwrap();
            assert_eq!(file.read().unwrap().mailboxes.len(), 2, "{cut}");
        }
    }

    #[test]
    fn a_line_that_cannot_be_read_is_told_hides_whom_it_names_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let file = PublishedFile::below(folder.path());
        file.append(&[mailbox("a@b.test", "un"), mailbox("c@b.test", "deux")]).unwrap();
        let mut octets = std::fs::read(file.path()).unwrap();
        let newer = String::from_utf8(octets.clone()).unwrap().lines().next().unwrap().replace("\"un\"", "un");
        octets.extend_from_slice(newer.as_bytes());
        octets.extend_from_slice(b"\n{}\n\xff\xfe\n\n");
        octets.extend_from_slice(newer.replace("a@b.test", "nouveau@b.test").as_bytes());
        octets.push(b'\n');
        std::fs::write(file.path(), octets).unwrap();
        let read = file.read().unwrap();
        assert_eq!(read.wrong.len(), 4, "{:?}", read.wrong);
        assert!(read.wrong[0].starts_with("line 3"), "{:?}", read.wrong);
        let shown = read.mailboxes.registry();
        let hidden = |text: &str| shown.mailbox(&Address::parse(text).unwrap()).map(|mailbox| mailbox.red_list);
        assert_eq!(hidden("a@b.test"), Some(true));
        assert_eq!(hidden("c@b.test"), Some(false));
        assert_eq!(hidden("nouveau@b.test"), Some(true));
    }
}
