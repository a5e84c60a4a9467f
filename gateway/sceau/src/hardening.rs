//! What the process gives up before it holds a secret (promise 3, design §7).

use std::io;

use rustix::fs::Mode;
use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit, umask};

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

/// Descriptors that are never given to peers: queue, bodies, deliveries, spool, DNS.
const OWN_DESCRIPTORS: u64 = 512;

/// Takes as many descriptors as the system allows us, and says how many connections each of `ports` may
/// have, so that strangers at one port can neither close the others nor the queue.
pub fn connections_per_port(ports: usize) -> usize {
    let limit = getrlimit(Resource::Nofile);
    // What cannot be raised stays as it is.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    let now = getrlimit(Resource::Nofile).current;
    share(now, ports)
}

fn share(descriptors: Option<u64>, ports: usize) -> usize {
    let Some(descriptors) = descriptors else { return usize::MAX };
    let own = OWN_DESCRIPTORS.min(descriptors.div_euclid(2));
    let each = usize::try_from(descriptors.saturating_sub(own)).unwrap_or(usize::MAX).checked_div(ports.max(1));
    each.unwrap_or(1).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_share_what_the_queue_does_not_need() {
        assert_eq!(share(None, 3), usize::MAX);
        assert_eq!(share(Some(65_536), 3), 21_674);
        // Little for all: half is ours.
        assert_eq!(share(Some(256), 3), 42);
        assert_eq!(share(Some(1), 3), 1);
    }
}
