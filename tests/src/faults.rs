//! Disk faults in a running program, by strace's fault injection: the real process, the real calls.

use crate::process::Running;

/// While this value lives, these system calls of the program fail with this error.
#[derive(Debug)]
pub struct Faults(Running);

impl Faults {
    /// Attaches to a running program. `calls` as strace names them, separated by commas; `error` as
    /// in `ENOSPC`.
    #[must_use]
    #[track_caller]
    pub fn inject(pid: u32, calls: &str, error: &str) -> Self {
        let strace = Running::start("strace", "strace", |command| {
            command.args(["-f", "-o", "/dev/null", "-e", &format!("trace={calls}")]);
            command.args(["-e", &format!("inject={calls}:error={error}"), "-p", &pid.to_string()]);
        });
        strace.wait_for_line(&["attached"]);
        Self(strace)
    }

    /// Lets the calls work again.
    pub fn end(mut self) {
        self.0.stop();
    }
}
