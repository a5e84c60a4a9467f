//! `sceau storage-key`: the keys under which rests what is in our own charge.
//!
//! What is lost with a storage key: every message that waits readable for us alone (unsealed ones
//! under the storage key, and the kept content keys of sealed ones, which our decryption keys can
//! still open), the records of the trail, and the tokens of patients. Back the file up, apart from
//! the data.

use std::{
    collections::BTreeSet,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use clap::Subcommand;
use serde_json::json;
use store::Wrapped;
use zeroize::Zeroizing;

use super::{Exit, attached::Attached};
use crate::{
    account, audit,
    config::Loaded,
    gateway,
    keys::pins,
    replace::replace,
    rest::{StorageKeyId, Vault},
    snapshot,
};

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

/// Changes the file while nobody else does; what `change` refuses leaves it as it was.
fn changed(path: &Path, change: impl FnOnce(&str) -> Result<Zeroizing<String>, String>) -> Result<(), String> {
    let told = |error: io::Error| error.to_string();
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let lock = File::open(folder).map_err(told)?;
    lock.lock().map_err(told)?;
    let old = Zeroizing::new(fs::read_to_string(path).map_err(told)?);
    let text = change(&old)?;
    // The file must still be readable by the gateway before it replaces the one in force.
    Vault::from_text(&text)?;
    replace(path, text.as_bytes()).map_err(told)
}

fn rotate(config: &Path) -> Result<Exit, Exit> {
    let (loaded, path) = key_file(config)?;
    let line = fresh_line().map_err(|error| failed(&path, &error))?;
    changed(&path, |old| Ok(Zeroizing::new(format!("{}{old}", *line)))).map_err(|what| failed(&path, &what))?;
    let vault = snapshot::vault(&loaded).map_err(|problem| failed(&path, &problem))?;
    let data = loaded.data();
    as_owner(&data, || {
        if data.exists() {
            gateway::rewrap(&data, &vault).map_err(|error| failed(&data, &error))?;
        }
        acted(config, "storage-key.rotate", "a new key is on top");
        Ok(())
    })?;
    println!(
        "{}: a new key is on top. Reload the gateway (SIGHUP), back the file up, and retire the old key",
        path.display()
    );
    println!("when `sceau storage-key status` shows that nothing depends on it.");
    Ok(Exit::Done)
}

/// Whatever is done below the data folder is done by its owner.
fn as_owner<T: Send>(data: &Path, work: impl FnOnce() -> Result<T, Exit> + Send) -> Result<T, Exit> {
    account::as_owner_of(data, work).map_err(|error| failed(data, &error))?
}

/// Tells it in the trail, if there is one already.
fn acted(config: &Path, action: &str, target: &str) {
    if let Ok(queue) = Attached::open(config) {
        super::told::acted(&queue.data, &queue.masker, action, target, None);
    }
}

fn status(config: &Path, as_json: bool) -> Result<Exit, Exit> {
    let (loaded, path) = key_file(config)?;
    let vault = snapshot::vault(&loaded).map_err(|problem| failed(&path, &problem))?;
    let found = as_owner(&loaded.data(), || {
        let queue = Attached::open(config)?;
        queue.wait(queue.store.wrapped())
    })?;
    let count = |id: StorageKeyId| found.bodies.get(&id.octets()).copied().unwrap_or(0);
    let unknown = strangers(&vault, &found);
    let wrapping = found.wrapping.map(StorageKeyId::from_octets);
    if as_json {
        let one = |id: StorageKeyId| json!({ "id": id.to_string(), "bodies": count(id) });
        let older: Vec<_> = vault.older().into_iter().map(one).collect();
        let strange: Vec<_> = unknown.iter().copied().map(one).collect();
        let wrapping = wrapping.map(|id| id.to_string());
        println!(
            "{}",
            json!({ "current": one(vault.current()), "older": older, "not_in_file": strange, "gateway_wraps_under": wrapping, "unreadable": found.unreadable })
        );
    } else {
        println!("current  {}  {} waiting bodies", vault.current(), count(vault.current()));
        vault.older().into_iter().for_each(|id| println!("older    {id}  {} waiting bodies", count(id)));
        match wrapping {
            Some(id) if id == vault.current() => println!("the gateway wraps under the current key"),
            Some(id) => println!("the gateway still wraps under {id}: reload it (SIGHUP)"),
            None => println!("no gateway has said yet under which key it wraps"),
        }
    }
    unknown.iter().for_each(|id| eprintln!("BAD: {id} is not in the file, and {} waiting bodies need it", count(*id)));
    if found.unreadable > 0 {
        eprintln!("BAD: {} messages cannot be read: see `sceau doctor`", found.unreadable);
    }
    Ok(if unknown.is_empty() && found.unreadable == 0 { Exit::Done } else { Exit::No })
}

/// Keys that waiting bodies, or the gateway, need and that the file does not hold.
pub(super) fn strangers(vault: &Vault, found: &Wrapped) -> Vec<StorageKeyId> {
    let known = |id: &StorageKeyId| *id == vault.current() || vault.older().contains(id);
    let needed: BTreeSet<StorageKeyId> =
        found.bodies.keys().copied().chain(found.wrapping).map(StorageKeyId::from_octets).collect();
    needed.into_iter().filter(|id| !known(id)).collect()
}

fn retire(config: &Path) -> Result<Exit, Exit> {
    let (loaded, path) = key_file(config)?;
    let vault = snapshot::vault(&loaded).map_err(|problem| failed(&path, &problem))?;
    let data = loaded.data();
    if let Some(why) = as_owner(&data, || needed(config, &data, &vault))? {
        eprintln!("{}: {why}: nothing was removed", path.display());
        return Ok(Exit::No);
    }
    let count = vault.older().len();
    changed(&path, |text| {
        let now = Vault::from_text(text)?;
        if (now.current(), now.older()) != (vault.current(), vault.older()) {
            return Err("the file was changed meanwhile: try again".to_owned());
        }
        let first = text.lines().find(|line| !line.trim().is_empty() && !line.trim().starts_with('#'));
        Ok(Zeroizing::new(format!("{}\n", first.unwrap_or_default())))
    })
    .map_err(|what| failed(&path, &what))?;
    as_owner(&data, || {
        acted(config, "storage-key.retire", &format!("{count} older key(s)"));
        Ok(())
    })?;
    println!("{}: {count} older key(s) removed", path.display());
    Ok(Exit::Done)
}

/// What still needs an older key. When nothing does, none of them is accepted in the queue any more.
fn needed(config: &Path, data: &Path, vault: &Vault) -> Result<Option<String>, Exit> {
    let beside = audit::wrapped_under(data).map_err(|error| failed(data, &error))?;
    let memories = pins::wrapped_under(data).map_err(|error| failed(data, &error))?;
    if let Some(id) = beside.into_iter().chain(memories).find(|id| *id != vault.current()) {
        return Ok(Some(format!("secrets in {} still rest under {id}: restart the gateway", data.display())));
    }
    let older = vault.older();
    let queue = Attached::open(config)?;
    let marks = older.iter().map(|id| id.octets()).collect();
    let Err(found) = queue.wait(queue.store.retire(vault.current().octets(), marks))? else { return Ok(None) };
    if found.wrapping != Some(vault.current().octets()) {
        let what = "the gateway does not wrap under the new key yet: reload it (SIGHUP), and try again";
        return Ok(Some(what.to_owned()));
    }
    if found.unreadable > 0 {
        return Ok(Some(format!("{} messages cannot be read, nor which key they need", found.unreadable)));
    }
    let busy = older.iter().filter(|id| found.bodies.contains_key(&id.octets()));
    let busy: Vec<String> = busy.map(ToString::to_string).collect();
    Ok(Some(format!("bodies that wait still depend on {}", busy.join(", "))))
}
