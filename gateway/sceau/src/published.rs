//! What operators publish into our directory: a file of lines in the data folder. A publication is answered when its lines
//! are on stable storage.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use annuaire::{MAX_PUBLISHED, Published, PublishedMailbox};

/// Largest file that is read or grown.
const MAX_OCTETS: u64 = 256 * 1024 * 1024;

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

    /// All that was published, the newest of each address.
    ///
    /// # Errors
    /// Those of the system; a line that cannot be read. A last line without its end was never answered, and does not
    /// count.
    pub(crate) fn read(&self) -> io::Result<Published> {
        let wrong = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
        let mut text = String::new();
        match File::open(&self.0) {
            Ok(file) => file.take(MAX_OCTETS.saturating_add(1)).read_to_string(&mut text)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Published::default()),
            Err(error) => return Err(error),
        };
        if u64::try_from(text.len()).unwrap_or(u64::MAX) > MAX_OCTETS {
            return Err(wrong(format!("is larger than {MAX_OCTETS} octets")));
        }
        let whole = text.rfind('\n').map_or("", |end| text.get(..end).unwrap_or_default());
        let mut all = Published::default();
        for (n, line) in whole.lines().enumerate() {
            let mailbox =
                serde_json::from_str(line).map_err(|error| wrong(format!("line {}: {error}", n.saturating_add(1))))?;
            all.take(mailbox);
        }
        if all.len() > MAX_PUBLISHED {
            return Err(wrong(format!("names more than {MAX_PUBLISHED} mailboxes")));
        }
        Ok(all)
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
        assert!(file.read().unwrap().is_empty());
        file.append(&[mailbox("a@b.test", "eins"), mailbox("c@b.test", "deux")]).unwrap();
        file.append(&[mailbox("A@b.test", "trois")]).unwrap();
        let all = file.read().unwrap();
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
            assert_eq!(file.read().unwrap().len(), 1, "{cut}");
            file.append(&[mailbox("c@b.test", "deux")]).unwrap();
            assert_eq!(file.read().unwrap().len(), 2, "{cut}");
        }
        std::fs::write(file.path(), "{}\n").unwrap();
        assert!(file.read().unwrap_err().to_string().contains("line 1"));
    }
}
