//! What the process gives up before it holds a secret (promise 3, design §7).

use std::io;

use rustix::fs::Mode;
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit, umask};

/// Makes everything that is written from now on readable by this user alone: queue, trail and spool name
/// senders and recipients, whatever umask the service manager left us.
pub fn private_files() {
    umask(Mode::RWXG | Mode::RWXO);
}

/// Makes sure that a crash leaves no image of the memory: keys and messages in hand are in it.
/// The limit stops the kernel's own core file; not being dumpable also stops a collector that the
/// kernel pipes the image to, and keeps other processes of the same user from reading the memory.
///
/// # Errors
/// Those of the system: whoever cannot keep memory off the disk should not take messages.
pub fn no_core_dumps() -> io::Result<()> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    Ok(())
}
