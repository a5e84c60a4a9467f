//! Our own mailboxes: the files that say which there are, changed by commands and taken up while the gateway runs.

pub(crate) mod activity;
mod file;
pub(crate) mod publishing;
pub(crate) mod unused;
pub(crate) mod watch;

pub(crate) use file::{Changing, FileError, FileStamp, Note, RegistryFile};
