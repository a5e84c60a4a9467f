//! Programs: some run to their end, some stay until their guard goes.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
pub use rustix::process::Signal;
use rustix::process::{Pid, PidfdFlags, kill_process, kill_process_group, pidfd_open};

/// The longest that any single wait lasts before the test fails. Generous, because the machine may
/// be busy; nothing ever waits this long when all is well.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A program that runs to its end within [`PATIENCE`].
#[must_use]
pub fn tool(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("timeout");
    command.arg("--kill-after=5").arg(PATIENCE.as_secs().to_string()).arg(program);
    command
}

/// How a program ended and what it said.
#[derive(Debug)]
pub struct Finished {
    /// Its exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Its standard output, byte for byte.
    pub output: Vec<u8>,
    /// Its standard error.
    pub errors: String,
}

impl Finished {
    /// Its standard output as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.output).into_owned()
    }

    /// The standard output of a program that must have succeeded.
    #[must_use]
    #[track_caller]
    pub fn success(self) -> Vec<u8> {
        assert!(self.code == Some(0), "exit {:?}\n{}\n{}", self.code, self.text(), self.errors);
        self.output
    }
}

/// Runs a command to its end, giving it `input` on standard input.
pub fn run(command: &mut Command, input: &[u8]) -> Finished {
    let shown = format!("{command:?}");
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{shown}: {error} (tests/run installs what the tests need)"));
    let mut stdin = child.stdin.take().unwrap();
    let output = std::thread::scope(|scope| {
        scope.spawn(move || {
            // A program that ends without reading everything closes the pipe: its exit code tells.
            let _ = stdin.write_all(input);
        });
        child.wait_with_output().unwrap()
    });
    Finished {
        code: output.status.code(),
        output: output.stdout,
        errors: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// A program that runs until this value goes: then it is asked to end (SIGTERM) and, failing that,
/// ended. It also ends with the thread that started it.
#[derive(Debug)]
pub struct Running {
    name: String,
    child: Child,
    ended: Option<ExitStatus>,
    log: Arc<Log>,
}

#[derive(Debug, Default)]
struct Log {
    state: Mutex<LogState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct LogState {
    lines: Vec<String>,
    open_streams: usize,
}

impl Running {
    /// Starts `program` with what `set_up` adds to its command.
    pub fn start(name: &str, program: impl AsRef<OsStr>, set_up: impl FnOnce(&mut Command)) -> Self {
        // setpriv: a killed test must not leave its peers behind. exec keeps the setting.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "TERM", "--"]).arg(program);
        set_up(&mut command);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{name}: {error}"));
        let log = Arc::new(Log::default());
        log.state.lock().unwrap().open_streams = 2;
        follow(child.stdout.take().unwrap(), Arc::clone(&log));
        follow(child.stderr.take().unwrap(), Arc::clone(&log));
        Self { name: name.to_owned(), child, ended: None, log }
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything it has said so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.log.state.lock().unwrap().lines.join("\n")
    }

    /// Waits until it has said a line that contains all of `parts`, and returns the first such line.
    #[track_caller]
    pub fn wait_for_line(&self, parts: &[&str]) -> String {
        self.wait_for_lines(parts, 1).remove(0)
    }

    /// As [`Self::wait_for_line`], for what takes long to come even when all is well.
    #[track_caller]
    pub fn wait_for_line_within(&self, parts: &[&str], patience: Duration) -> String {
        self.wait_within(parts, 1, patience).remove(0)
    }

    /// Waits until it has said `count` lines that contain all of `parts`.
    #[track_caller]
    pub fn wait_for_lines(&self, parts: &[&str], count: usize) -> Vec<String> {
        self.wait_within(parts, count, PATIENCE)
    }

    /// As [`Self::wait_for_lines`], for what takes long to come even when all is well.
    #[track_caller]
    pub fn wait_for_lines_within(&self, parts: &[&str], count: usize, patience: Duration) -> Vec<String> {
        self.wait_within(parts, count, patience)
    }

    #[track_caller]
    fn wait_within(&self, parts: &[&str], count: usize, patience: Duration) -> Vec<String> {
        let deadline = Instant::now() + patience;
        let (mut found, mut read) = (Vec::new(), 0);
        let mut state = self.log.state.lock().unwrap();
        loop {
            // Each line once: a program that says a thousand a second is not to be held up by who listens.
            let fresh = state.lines[read..].iter().filter(|line| parts.iter().all(|part| line.contains(part)));
            found.extend(fresh.cloned());
            read = state.lines.len();
            if found.len() >= count {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let gone = state.open_streams == 0;
            if gone || left.is_zero() {
                drop(state);
                let why = if gone { "ended" } else { "took too long" };
                panic!("{} {why} before saying {count} × {parts:?}; it said:\n{}", self.name, self.log());
            }
            state = self.log.changed.wait_timeout(state, left).unwrap().0;
        }
    }

    /// Whether it has ended by itself (or has at least closed both its output streams).
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.log.state.lock().unwrap().open_streams == 0
    }

    /// Sends it a signal that it is to survive.
    pub fn tell(&self, signal: Signal) {
        self.signal(signal);
    }

    /// Asks it to end and waits until it has.
    pub fn stop(&mut self) -> ExitStatus {
        self.end(Signal::TERM)
    }

    /// Ends it as a power switch would (SIGKILL).
    pub fn kill(&mut self) -> ExitStatus {
        self.end(Signal::KILL)
    }

    /// Makes it crash, as a failed assertion would (SIGABRT).
    pub fn crash(&mut self) -> ExitStatus {
        self.end(Signal::ABORT)
    }

    /// Waits until it ends by itself.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        assert!(self.ended.is_some() || self.exits_within(PATIENCE), "{} still runs:\n{}", self.name, self.log());
        self.reap()
    }

    fn end(&mut self, signal: Signal) -> ExitStatus {
        if self.ended.is_none() {
            self.signal(signal);
            if !self.exits_within(PATIENCE) {
                self.signal(Signal::KILL);
                self.exits_within(PATIENCE);
            }
            // Its children, should they be slower: the group keeps its number until we reap its leader.
            let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        }
        self.reap()
    }

    /// To its process group where it has made one (Postfix does), else to it alone.
    fn signal(&self, signal: Signal) {
        // The child is not reaped yet, so its id cannot belong to anybody else.
        let pid = Pid::from_child(&self.child);
        if kill_process_group(pid, signal).is_err() {
            let _ = kill_process(pid, signal);
        }
    }

    fn exits_within(&self, patience: Duration) -> bool {
        let Ok(handle) = pidfd_open(Pid::from_child(&self.child), PidfdFlags::empty()) else { return false };
        let timeout = Timespec { tv_sec: i64::try_from(patience.as_secs()).unwrap(), tv_nsec: 0 };
        poll(&mut [PollFd::new(&handle, PollFlags::IN)], Some(&timeout)).is_ok_and(|ready| ready > 0)
    }

    fn reap(&mut self) -> ExitStatus {
        let status = self.ended.unwrap_or_else(|| self.child.wait().unwrap());
        self.ended = Some(status);
        status
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end(Signal::TERM);
        if std::thread::panicking() {
            eprintln!("--- {} said:\n{}", self.name, self.log());
        }
    }
}

fn follow(stream: impl Read + Send + 'static, log: Arc<Log>) {
    std::thread::spawn(move || {
        for line in BufReader::new(stream).split(b'\n') {
            let Ok(line) = line else { break };
            log.state.lock().unwrap().lines.push(String::from_utf8_lossy(&line).trim_end().to_owned());
            log.changed.notify_all();
        }
        log.state.lock().unwrap().open_streams -= 1;
        log.changed.notify_all();
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_gets_its_input_and_tells_how_it_ended() {
        let finished = run(tool("sh").args(["-c", "cat; echo oops >&2; exit 3"]), b"bytes\0in");
        assert_eq!(
            (finished.code, finished.output.as_slice(), finished.errors.as_str()),
            (Some(3), &b"bytes\0in"[..], "oops\n")
        );
    }

    #[test]
    fn a_running_program_is_heard_and_stopped() {
        let mut cat = Running::start("shell", "sh", |command| {
            command.args(["-c", "echo one two; echo two three; exec tail -f /dev/null"]);
        });
        assert_eq!(cat.wait_for_line(&["two", "three"]), "two three");
        assert_eq!(cat.wait_for_lines(&["two"], 2).len(), 2);
        assert!(!cat.stop().success());
    }

    #[test]
    #[should_panic(expected = "ended before saying")]
    fn waiting_for_a_program_that_has_ended_fails_at_once() {
        Running::start("shell", "true", |_| {}).wait_for_line(&["never"]);
    }
}
