//! Maildir folders: one file per message, complete before it is visible.

use std::{
    io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use ident::{Address, Clock, SystemClock};
use tokio::{
    fs::{self, File, OpenOptions},
    io::AsyncWriteExt,
};

/// The mailboxes of one inner store.
#[derive(Debug)]
pub(super) struct Maildirs {
    folder: PathBuf,
    counter: AtomicU64,
}

/// A message that is still coming in.
#[derive(Debug)]
pub(super) struct Incoming {
    file: File,
    path: PathBuf,
}

impl Maildirs {
    pub(super) async fn open(folder: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(folder.join("incoming")).await?;
        Ok(Self { folder, counter: AtomicU64::new(0) })
    }

    /// A file for a message whose recipients' answers are not yet known.
    pub(super) async fn begin(&self) -> io::Result<Incoming> {
        let path = self.folder.join("incoming").join(self.unique());
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).await?;
        Ok(Incoming { file, path })
    }

    /// Puts a finished message into a mailbox: written to `tmp`, synced, renamed into `new`.
    pub(super) async fn deliver(&self, message: &Incoming, sender: &str, mailbox: &Address) -> io::Result<PathBuf> {
        let home = self.folder.join(folder_name(mailbox));
        for part in ["tmp", "new", "cur"] {
            fs::create_dir_all(home.join(part)).await?;
        }
        let name = self.unique();
        let draft = home.join("tmp").join(&name);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft).await?;
        // RFC 5321 §4.4: final delivery notes the reverse path.
        let head = format!("Return-Path: <{sender}>\r\nDelivered-To: {mailbox}\r\n");
        file.write_all(head.as_bytes()).await?;
        tokio::io::copy(&mut File::open(&message.path).await?, &mut file).await?;
        file.sync_all().await?;
        let place = home.join("new").join(name);
        fs::rename(&draft, &place).await?;
        Ok(place)
    }

    /// What lies in a mailbox, oldest first.
    pub(super) fn messages(&self, mailbox: &Address) -> io::Result<Vec<PathBuf>> {
        let home = self.folder.join(folder_name(mailbox));
        let mut found = vec![];
        for part in ["new", "cur"] {
            match std::fs::read_dir(home.join(part)) {
                Ok(entries) => found.extend(entries.map(|e| e.map(|e| e.path())).collect::<Result<Vec<_>, _>>()?),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        found.sort_by(|a, b| a.file_name().cmp(&b.file_name()));
        Ok(found)
    }

    fn unique(&self) -> String {
        let number = self.counter.fetch_add(1, Ordering::Relaxed);
        format!("{:015}.{number:06}_{}", SystemClock.now().millis(), std::process::id())
    }
}

impl Incoming {
    pub(super) async fn write(&mut self, piece: &[u8]) -> io::Result<()> {
        self.file.write_all(piece).await
    }

    pub(super) async fn finish(&mut self) -> io::Result<()> {
        self.file.flush().await
    }

    pub(super) async fn discard(self) {
        // What stays behind is only a file that nobody reads.
        let _ = fs::remove_file(&self.path).await;
    }
}

/// A mailbox's folder: its address, letter case aside, with everything unusual written as `%XX`.
fn folder_name(mailbox: &Address) -> PathBuf {
    let key = mailbox.key();
    let usual = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'@' | b'+');
    let name: String = key
        .bytes()
        .enumerate()
        .map(|(at, b)| if usual(b) && (at > 0 || b != b'.') { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect();
    Path::new(&name).to_path_buf()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_address_leaves_the_folder() {
        let name = |text: &str| folder_name(&Address::parse(text).unwrap());
        assert_eq!(name("Anne.Martin-Test@CH-A.mssante.test"), Path::new("anne.martin-test@ch-a.mssante.test"));
        assert_eq!(name("a/b@ch-a.mssante.test"), Path::new("a%2Fb@ch-a.mssante.test"));
        assert_eq!(name("%2f@ch-a.mssante.test"), Path::new("%252f@ch-a.mssante.test"));
    }
}
