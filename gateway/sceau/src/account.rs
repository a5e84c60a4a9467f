//! Who is at the command line, and as whom it works.
//!
//! Everything below the data folder is the gateway's own. An operator's command that runs as root would
//! leave files there that the gateway cannot open, and would follow links that the gateway's user may have
//! laid: so it first becomes that user, for good. What it is called in the trail is settled before.

use std::{fs, io, os::unix::fs::MetadataExt, path::Path, sync::OnceLock};

use rustix::{
    process::{Gid, Uid, geteuid, getuid},
    thread::{set_thread_gid, set_thread_groups, set_thread_uid},
};

/// What `/proc/self/loginuid` holds for what no login began.
const NO_LOGIN: u32 = u32::MAX;

/// The account that gives the order, as the system knows it: never what the environment says. The login
/// survives `sudo`; where it is not known or not that of the process, the process's own is told too.
pub fn orderer() -> &'static str {
    static ORDERER: OnceLock<String> = OnceLock::new();
    ORDERER.get_or_init(|| {
        let login = fs::read_to_string("/proc/self/loginuid").ok().and_then(|text| text.trim().parse().ok());
        let accounts = fs::read_to_string("/etc/passwd").unwrap_or_default();
        described(&accounts, login, getuid().as_raw())
    })
}

fn described(accounts: &str, login: Option<u32>, own: u32) -> String {
    match login.filter(|login| *login != NO_LOGIN && *login != own) {
        Some(login) => format!("{} as {}", named(accounts, login), named(accounts, own)),
        None => named(accounts, own),
    }
}

/// The fields of the line of `/etc/passwd` about an account.
fn line(accounts: &str, uid: u32) -> Option<Vec<&str>> {
    let mut lines = accounts.lines().map(|line| line.split(':').collect::<Vec<_>>());
    lines.find(|fields| fields.get(2).and_then(|field| field.parse().ok()) == Some(uid))
}

fn named(accounts: &str, uid: u32) -> String {
    let name = line(accounts, uid).and_then(|fields| fields.first().copied()).filter(|name| !name.is_empty());
    name.map_or_else(|| format!("uid {uid}"), str::to_owned)
}

/// Becomes the owner of a folder if this is root and the folder is another's: before any other thread runs,
/// and without a way back.
///
/// # Errors
/// Those of the system: what root does then is not for this folder.
pub fn become_owner_of(folder: &Path) -> io::Result<()> {
    let owner = match fs::metadata(folder) {
        Ok(found) => (found.uid(), found.gid()),
        // Nothing there has an owner yet.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !geteuid().is_root() || owner.0 == 0 {
        return Ok(());
    }
    let (accounts, groups) =
        (fs::read_to_string("/etc/passwd").unwrap_or_default(), fs::read_to_string("/etc/group").unwrap_or_default());
    let (primary, others) = memberships(&accounts, &groups, owner);
    let others: Vec<Gid> = others.into_iter().map(Gid::from_raw).collect();
    set_thread_groups(&others)?;
    set_thread_gid(Gid::from_raw(primary))?;
    set_thread_uid(Uid::from_raw(owner.0))?;
    Ok(())
}

/// Does something as the owner of a folder, on a thread of its own; what that thread begins is the owner's too.
///
/// # Errors
/// Those of [`become_owner_of`].
pub fn as_owner_of<T: Send>(folder: &Path, work: impl FnOnce() -> T + Send) -> io::Result<T> {
    let worker = move || become_owner_of(folder).map(|()| work());
    std::thread::scope(|scope| scope.spawn(worker).join())
        .unwrap_or_else(|_| Err(io::Error::other("the work ended in the middle")))
}

/// The primary group of an account and the groups that name it. Without an account: the folder's group.
fn memberships(accounts: &str, groups: &str, (uid, gid): (u32, u32)) -> (u32, Vec<u32>) {
    let Some(account) = line(accounts, uid) else { return (gid, vec![gid]) };
    let name = account.first().copied().unwrap_or_default();
    let primary = account.get(3).and_then(|field| field.parse().ok()).unwrap_or(gid);
    let others = groups.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let member = fields.get(3)?.split(',').any(|member| member.trim() == name);
        fields.get(2)?.parse().ok().filter(|_| member)
    });
    (primary, others.chain([primary]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCOUNTS: &str = "root:x:0:0::/root:/bin/sh\nsceau:x:990:980::/:/bin/false\ndurand:x:1000:1000::/:/bin/sh\n";

    #[test]
    fn the_account_is_what_the_system_knows() {
        assert_eq!(described(ACCOUNTS, Some(1000), 0), "durand as root");
        assert_eq!(described(ACCOUNTS, Some(1000), 1000), "durand");
        assert_eq!(described(ACCOUNTS, Some(NO_LOGIN), 0), "root");
        assert_eq!(described(ACCOUNTS, None, 4321), "uid 4321");
        assert!(!orderer().is_empty());
    }

    #[test]
    fn an_owner_brings_its_groups() {
        let groups = "root:x:0:\nssl-cert:x:110:postfix,sceau\nsoftproof:x:111:sceaux\nsceau:x:980:\n";
        assert_eq!(memberships(ACCOUNTS, groups, (990, 5)), (980, vec![110, 980]));
        assert_eq!(memberships(ACCOUNTS, groups, (77, 5)), (5, vec![5]));
    }

    #[test]
    fn root_works_in_a_folder_as_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        if !geteuid().is_root() {
            eprintln!("skipped: only root can become somebody else");
            return;
        }
        std::os::unix::fs::chown(folder.path(), Some(4242), Some(4343)).unwrap();
        let file = folder.path().join("file");
        let made = as_owner_of(folder.path(), || (getuid().as_raw(), fs::write(&file, b"x"))).unwrap();
        assert!(made.0 == 4242 && made.1.is_ok(), "{made:?}");
        let found = fs::metadata(&file).unwrap();
        assert_eq!((found.uid(), found.gid()), (4242, 4343));
        assert!(getuid().is_root(), "only that thread");
    }
}
