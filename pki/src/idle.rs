//! Work for when nobody else wants the processor.

use std::io;

use crate::ffi;

/// From now on the calling thread, and those that it starts, run only when no other thread of the machine wants to, and give
/// way at once when one does: a thread that is only nicer than others keeps the processor for its three milliseconds.
///
/// # Errors
/// Those of the system; other systems than Linux with glibc have no such thing.
pub fn run_when_idle() -> io::Result<()> {
    ffi::run_when_idle()
}
