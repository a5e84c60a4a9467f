//! `sceau storage-key`: the keys under which rests what is in our own charge.
//!
//! What is lost with a storage key: every message that waits readable for us alone (unsealed ones
//! under the storage key, and the kept content keys of sealed ones, which our decryption keys can
//! still open), the records of the trail, and the tokens of patients. Back the file up, apart from
//! the data.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use clap::Subcommand;
use serde_json::json;
use store::{Filter, Page, Standing, Store as _};
use zeroize::Zeroizing;

use super::{Exit, attached::Attached};
use crate::{config::Loaded, rest::StorageKeyId, snapshot};

/// Messages looked at together.
const PAGE: usize = 500;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    order: Order,
    /// Print the result as JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Order {
    /// Make a file with a new key; an existing file is never touched
    Make {
        /// The file
        file: PathBuf,
    },
    /// Put a new key on top of the file; the older ones go on opening what they wrapped
    Rotate {
        /// Configuration file
        #[arg(long)]
        config: PathBuf,
    },
    /// Tell how many waiting bodies depend on which key
    Status {
        /// Configuration file
        #[arg(long)]
        config: PathBuf,
    },
    /// Remove the older keys that nothing depends on any more
    Retire {
        /// Configuration file
        #[arg(long)]
        config: PathBuf,
    },
}

pub(super) fn run(args: Args) -> Exit {
    let outcome = match &args.order {
        Order::Make { file } => make(file),
        Order::Rotate { config } => rotate(config),
        Order::Status { config } => status(config, args.json),
        Order::Retire { config } => retire(config),
    };
    outcome.unwrap_or_else(|exit| exit)
}

fn failed(path: &Path, error: &impl ToString) -> Exit {
    eprintln!("{}: {}", path.display(), error.to_string());
    Exit::Usage
}

fn fresh_line() -> io::Result<Zeroizing<String>> {
    let mut octets = Zeroizing::new([0u8; 32]);
    openssl::rand::rand_bytes(octets.as_mut()).map_err(io::Error::other)?;
    Ok(Zeroizing::new(octets.iter().map(|octet| format!("{octet:02x}")).chain(["\n".to_owned()]).collect()))
}

fn make(file: &Path) -> Result<Exit, Exit> {
    let line = fresh_line().map_err(|error| failed(file, &error))?;
    let created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
    created
        .and_then(|mut created| created.write_all(line.as_bytes()).and_then(|()| created.sync_all()))
        .map_err(|error| failed(file, &error))?;
    println!("{}: made. Keep a copy apart from the data: what it wraps is lost with it.", file.display());
    Ok(Exit::Done)
}

fn key_file(config: &Path) -> Result<(Loaded, PathBuf), Exit> {
    let loaded = Loaded::read(config).map_err(|problem| failed(config, &problem))?;
    let path = loaded.path(&loaded.config.server.storage_key);
    Ok((loaded, path))
}

/// Aside, synced, renamed: a crash leaves the old file or the new one.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let aside = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&aside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&aside, path)?;
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

fn rotate(config: &Path) -> Result<Exit, Exit> {
    let (_, path) = key_file(config)?;
    let change = || {
        let old = Zeroizing::new(fs::read_to_string(&path)?);
        let text = Zeroizing::new(format!("{}{}", *fresh_line()?, *old));
        // The file must still be readable by the gateway before it replaces the one in force.
        crate::rest::Vault::from_text(&text).map_err(io::Error::other)?;
        replace(&path, &text)
    };
    change().map_err(|error| failed(&path, &error))?;
    acted(config, "storage-key.rotate", "a new key is on top");
    println!(
        "{}: a new key is on top. Reload the gateway (SIGHUP), back the file up, and retire the old key",
        path.display()
    );
    println!("when `sceau storage-key status` shows that nothing depends on it.");
    Ok(Exit::Done)
}

/// Tells it in the trail, if there is one already.
fn acted(config: &Path, action: &str, target: &str) {
    if let Ok(queue) = Attached::open(config) {
        super::told::acted(&queue.data, &queue.masker, action, target, None);
    }
}

/// How many bodies that wait were wrapped under which key.
fn in_use(config: &Path) -> Result<BTreeMap<StorageKeyId, u64>, Exit> {
    let queue = Attached::open(config)?;
    let mut counts = BTreeMap::new();
    for standing in [Standing::Active, Standing::Held] {
        let mut after = None;
        loop {
            let filter = Filter { standing: Some(standing), ..Filter::default() };
            let messages = queue.wait(queue.store.list(filter, Page { after, limit: PAGE }))?;
            let Some(last) = messages.last() else { break };
            after = Some(last.info.id);
            let wrapped =
                messages.iter().flat_map(|message| &message.bodies).filter_map(|body| body.content_key.as_deref());
            for id in wrapped.filter_map(StorageKeyId::of_wrapped) {
                let count: &mut u64 = counts.entry(id).or_default();
                *count = count.saturating_add(1);
            }
        }
    }
    Ok(counts)
}

fn status(config: &Path, as_json: bool) -> Result<Exit, Exit> {
    let (loaded, path) = key_file(config)?;
    let vault = snapshot::vault(&loaded).map_err(|problem| failed(&path, &problem))?;
    let counts = in_use(config)?;
    let count = |id: &StorageKeyId| counts.get(id).copied().unwrap_or(0);
    if as_json {
        let older: Vec<_> =
            vault.older().iter().map(|id| json!({ "id": id.to_string(), "bodies": count(id) })).collect();
        println!(
            "{}",
            json!({ "current": { "id": vault.current().to_string(), "bodies": count(&vault.current()) }, "older": older })
        );
    } else {
        println!("current  {}  {} waiting bodies", vault.current(), count(&vault.current()));
        vault.older().iter().for_each(|id| println!("older    {id}  {} waiting bodies", count(id)));
    }
    Ok(Exit::Done)
}

fn retire(config: &Path) -> Result<Exit, Exit> {
    let (loaded, path) = key_file(config)?;
    let vault = snapshot::vault(&loaded).map_err(|problem| failed(&path, &problem))?;
    let counts = in_use(config)?;
    let busy: Vec<String> =
        vault.older().iter().filter(|id| counts.contains_key(id)).map(ToString::to_string).collect();
    if !busy.is_empty() {
        eprintln!("{}: bodies that wait still depend on {}: nothing was removed", path.display(), busy.join(", "));
        return Ok(Exit::No);
    }
    let text = Zeroizing::new(fs::read_to_string(&path).map_err(|error| failed(&path, &error))?);
    let current =
        text.lines().find(|line| !line.trim().is_empty() && !line.trim().starts_with('#')).unwrap_or_default();
    replace(&path, &format!("{current}\n")).map_err(|error| failed(&path, &error))?;
    acted(config, "storage-key.retire", &format!("{} older key(s)", vault.older().len()));
    println!("{}: {} older key(s) removed", path.display(), vault.older().len());
    Ok(Exit::Done)
}
