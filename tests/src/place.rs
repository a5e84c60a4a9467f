//! Where a program under test lives: an address of its own on the loopback, a folder of its own.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};

/// This process's own loopback address, made from its process id. All of 127.0.0.0/8 is the
/// loopback, process ids have at most 22 bits: two test processes never share an address, so a
/// port that is free now is still free when the program that it is for opens it.
#[must_use]
pub fn loopback() -> Ipv4Addr {
    let pid = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, 64 | (pid[1] & 0x3f), pid[2], pid[3])
}

/// An endpoint that nothing listens on and that no other caller is given. Ports are below the
/// range from which the kernel takes source ports.
#[must_use]
pub fn free_endpoint() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(20_000);
    loop {
        let port = NEXT.fetch_add(1, Ordering::Relaxed);
        assert!((20_000..32_000).contains(&port), "this test process has used up its 12,000 ports");
        let endpoint = SocketAddr::new(IpAddr::V4(loopback()), port);
        if TcpListener::bind(endpoint).is_ok() {
            return endpoint;
        }
    }
}

/// A folder that goes away with this value. Other users may pass through it, because Postfix and
/// Dovecot work as users of their own.
#[derive(Debug)]
pub struct Scratch(tempfile::TempDir);

impl Scratch {
    /// A new folder; `name` makes it recognisable while it exists.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let folder = tempfile::Builder::new().prefix(&format!("sceau-{name}-")).tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        Self(folder)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// The path of `name` inside it.
    #[must_use]
    pub fn join(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file into it and says where it is.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Makes a folder inside it, with the given access bits.
    pub fn folder(&self, name: &str, mode: u32) -> PathBuf {
        let path = self.join(name);
        std::fs::create_dir_all(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_loopback_and_never_given_twice() {
        let given: std::collections::BTreeSet<_> = (0..50).map(|_| free_endpoint()).collect();
        assert_eq!(given.len(), 50);
        assert!(given.iter().all(|endpoint| endpoint.ip().is_loopback()));
    }

    #[test]
    fn a_scratch_folder_is_gone_after_use() {
        let scratch = Scratch::new("gone");
        let file = scratch.write("file", "content");
        assert!(file.exists());
        drop(scratch);
        assert!(!file.exists());
    }
}
