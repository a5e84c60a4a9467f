//! Whether the store may promise anything at this moment.

use std::{
    io,
    path::Path,
    sync::{Mutex, PoisonError},
};

use crate::StoreError;

/// Room on the disk of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FreeSpace {
    /// Octets that we may still use.
    pub free: u64,
    /// Octets in all.
    pub total: u64,
}

/// Asks for the room at a path: the system, or a test.
pub type FreeSpaceHook = Box<dyn Fn(&Path) -> io::Result<FreeSpace> + Send + Sync>;

/// Asks the system.
///
/// # Errors
/// Those of `statvfs`.
pub fn free_space(path: &Path) -> io::Result<FreeSpace> {
    let room = rustix::fs::statvfs(path)?;
    Ok(FreeSpace {
        free: room.f_bavail.saturating_mul(room.f_frsize),
        total: room.f_blocks.saturating_mul(room.f_frsize),
    })
}

/// Shared by all threads of a store.
pub(crate) struct Health {
    trouble: Mutex<Option<String>>,
    /// The disk said that it has no room (a quota counts nowhere else).
    short: Mutex<Option<String>>,
    hook: FreeSpaceHook,
    reserve_percent: u8,
}

impl Health {
    pub(crate) fn new(hook: FreeSpaceHook, reserve_percent: u8) -> Self {
        Self { trouble: Mutex::new(None), short: Mutex::new(None), hook, reserve_percent }
    }

    /// Refuses everything while trouble lasts (CR4).
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        match &*self.trouble.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(trouble) => Err(StoreError::Unavailable(trouble.clone())),
            None => Ok(()),
        }
    }

    /// From now on nothing is promised until [`Health::recovered`].
    pub(crate) fn broke(&self, trouble: &str) {
        tracing::error!(trouble, "the store stands still until a probe succeeds");
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(trouble.to_owned());
    }

    /// There was no room for what was to be written: nothing new is taken until a probe has found some.
    pub(crate) fn ran_short(&self, what: &str) {
        let mut short = self.short.lock().unwrap_or_else(PoisonError::into_inner);
        if short.is_none() {
            tracing::error!(what, "the disk has no room: new messages are refused until a probe finds some");
        }
        *short = Some(what.to_owned());
    }

    /// Whether there was no room the last time.
    pub(crate) fn is_short(&self) -> bool {
        self.short.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// A probe succeeded.
    pub(crate) fn recovered(&self) {
        if self.short.lock().unwrap_or_else(PoisonError::into_inner).take().is_some() {
            tracing::info!("the disk has room again");
        }
        let before = self.trouble.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(trouble) = before {
            tracing::info!(trouble, "the store works again");
        }
    }

    /// Refuses new messages when the reserve is reached: outcomes still need room.
    pub(crate) fn room(&self, path: &Path) -> Result<(), StoreError> {
        if let Some(what) = &*self.short.lock().unwrap_or_else(PoisonError::into_inner) {
            return Err(StoreError::Full(what.clone()));
        }
        let room = (self.hook)(path).map_err(|error| StoreError::Unavailable(error.to_string()))?;
        let percent = u128::from(room.free).saturating_mul(100);
        if percent < u128::from(room.total).saturating_mul(u128::from(self.reserve_percent)) {
            let text =
                format!("{} of {} octets free, {} % is the reserve", room.free, room.total, self.reserve_percent);
            return Err(StoreError::Full(text));
        }
        Ok(())
    }

    /// Sorts an error of a body file.
    pub(crate) fn disk(&self, what: &str, error: &io::Error) -> StoreError {
        let text = format!("{what}: {error}");
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                self.ran_short(&text);
                StoreError::Full(text)
            }
            _ => {
                self.broke(&text);
                StoreError::Unavailable(text)
            }
        }
    }
}
