//! Files that are replaced as a whole: a crash leaves the old one or the new one.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown},
    path::Path,
};

/// Writes aside, syncs, renames. The new file keeps owner and mode of the one before; the first one is for
/// its owner alone, who is the folder's where we may choose. What lies in the way is never opened: the
/// name is new each time, and no link is followed.
///
/// # Errors
/// Those of the disk; the file is then as it was.
pub fn replace(path: &Path, octets: &[u8]) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let before = fs::symlink_metadata(path).ok().filter(fs::Metadata::is_file);
    let owner = match &before {
        Some(before) => (before.uid(), before.gid()),
        None => fs::metadata(folder).map(|found| (found.uid(), found.gid()))?,
    };
    let mut random = [0u8; 8];
    openssl::rand::rand_bytes(&mut random).map_err(io::Error::other)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let aside = folder.join(format!(".{name}.{:016x}", u64::from_be_bytes(random)));
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside)?;
        let made = file.metadata()?;
        if (made.uid(), made.gid()) != owner && rustix::process::geteuid().is_root() {
            fchown(&file, Some(owner.0), Some(owner.1))?;
        }
        if let Some(before) = &before {
            file.set_permissions(fs::Permissions::from_mode(before.mode() & 0o777))?;
        }
        file.write_all(octets)?;
        file.sync_all()?;
        fs::rename(&aside, path)
    };
    write().inspect_err(|_| {
        // What stays behind is never read.
        let _ = fs::remove_file(&aside);
    })?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owner_and_mode_stay_and_no_link_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        replace(&path, b"one").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let root = rustix::process::geteuid().is_root();
        if root {
            std::os::unix::fs::chown(&path, Some(4242), Some(4343)).unwrap();
        } else {
            eprintln!("owners are not looked at: only root can give files away");
        }
        replace(&path, b"two").unwrap();
        let found = fs::metadata(&path).unwrap();
        assert_eq!(found.mode() & 0o777, 0o640);
        assert!(!root || (found.uid(), found.gid()) == (4242, 4343));
        let victim = folder.path().join("victim");
        fs::write(&victim, b"not ours").unwrap();
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink(&victim, &path).unwrap();
        replace(&path, b"three").unwrap();
        assert_eq!(fs::read(&victim).unwrap(), b"not ours");
        assert_eq!(fs::read(&path).unwrap(), b"three");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing is left aside");
    }
}
