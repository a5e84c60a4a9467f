//! Disk faults in a running program, by strace's fault injection: the real process, the real calls.

use std::path::PathBuf;

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
        Self::inject_at(pid, calls, error, &[])
    }

    /// The same, for calls on these files and folders only, should any be named.
    #[must_use]
    #[track_caller]
    pub fn inject_at(pid: u32, calls: &str, error: &str, paths: &[PathBuf]) -> Self {
        Self::tamper(pid, calls, &format!("error={error}"), paths)
    }

    /// Attaches to a running program and tampers with these calls as strace's `inject=` says. Where
    /// strace may not attach (a container without ptrace), the test fails and says so.
    #[must_use]
    #[track_caller]
    pub fn tamper(pid: u32, calls: &str, how: &str, paths: &[PathBuf]) -> Self {
        let strace = Running::start("strace", "strace", |command| {
            command.args(["-f", "-o", "/dev/null", "-e", &format!("trace={calls}")]);
            command.args(["-e", &format!("inject={calls}:{how}"), "-p", &pid.to_string()]);
            for path in paths {
                command.arg("-P").arg(path);
            }
        });
        strace.wait_for_line(&["attached"]);
        Self(strace)
    }

    /// Lets the calls work again.
    pub fn end(mut self) {
        self.0.stop();
    }
}
