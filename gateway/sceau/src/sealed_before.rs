//! Domains that mail was ever sealed for. "When possible" means nothing less for them from then
//! on: a certificate that disappears from the book is a refusal, never a silent downgrade
//! (promise 2). An operator who wants that says `smime = "never"`.

use std::{
    collections::BTreeSet,
    fs::{File, OpenOptions},
    io::{self, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::{PoisonError, RwLock},
};

use ident::Domain;

/// The remembered domains: a text file, one domain a line, only ever appended to.
#[derive(Debug, Default)]
pub struct SealedBefore {
    file: Option<PathBuf>,
    domains: RwLock<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    domains: BTreeSet<Domain>,
    /// Octets of the file that are whole lines; what follows them was never relied on.
    whole: u64,
}

impl SealedBefore {
    /// Reads what is remembered below a data folder; nothing yet is an empty memory.
    ///
    /// # Errors
    /// Those of the disk; a line that is no domain is an error too, because forgetting is not safe.
    pub fn open(data: &Path) -> io::Result<Self> {
        let file = data.join("sealed-domains");
        let text = match std::fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error),
        };
        // A line cut off by a power failure was never relied on: the message was not acknowledged.
        let whole = text.rfind('\n').map_or(0, |at| at.saturating_add(1));
        let lines = text.get(..whole).unwrap_or_default();
        let domains: Result<BTreeSet<Domain>, _> = lines.lines().map(Domain::parse).collect();
        let domains = domains
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, format!("{}: {error}", file.display())))?;
        let whole = u64::try_from(whole).unwrap_or(u64::MAX);
        Ok(Self { file: Some(file), domains: RwLock::new(Memory { domains, whole }) })
    }

    /// Whether mail for the domain was ever sealed.
    pub fn contains(&self, domain: &Domain) -> bool {
        self.domains.read().unwrap_or_else(PoisonError::into_inner).domains.contains(domain)
    }

    /// Remembers a domain, on stable storage when it returns.
    ///
    /// # Errors
    /// Those of the disk: the message is then not taken.
    pub fn remember(&self, domain: &Domain) -> io::Result<()> {
        if self.contains(domain) {
            return Ok(());
        }
        let mut memory = self.domains.write().unwrap_or_else(PoisonError::into_inner);
        if memory.domains.contains(domain) {
            return Ok(());
        }
        let line = format!("{domain}\n");
        if let Some(path) = &self.file {
            let mut file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
            // What an earlier failure or crash left half written is written over, never continued.
            file.set_len(memory.whole)?;
            file.seek(SeekFrom::Start(memory.whole))?;
            file.write_all(line.as_bytes())?;
            file.sync_all()?;
            // The name of the file too: it may be new.
            path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())?;
        }
        memory.whole = memory.whole.saturating_add(u64::try_from(line.len()).unwrap_or(u64::MAX));
        memory.domains.insert(domain.clone());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_over_restarts_and_forgets_a_torn_line() {
        let folder = tempfile::tempdir().unwrap();
        let domain = |text| Domain::parse(text).unwrap();
        let memory = SealedBefore::open(folder.path()).unwrap();
        assert!(!memory.contains(&domain("a.test")));
        memory.remember(&domain("a.test")).unwrap();
        memory.remember(&domain("a.test")).unwrap();
        let file = folder.path().join("sealed-domains");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "a.test\n");
        std::fs::write(&file, "a.test\nb.te").unwrap();
        let again = SealedBefore::open(folder.path()).unwrap();
        assert!(again.contains(&domain("a.test")) && !again.contains(&domain("b.te")));
        again.remember(&domain("c.test")).unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "a.test\nc.test\n", "a torn line is never continued");
        std::fs::write(&file, "a.test\nnot a domain\n").unwrap();
        assert!(SealedBefore::open(folder.path()).is_err());
    }
}
