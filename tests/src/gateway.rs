//! The program under test, as an operator meets it: the built binary, its exit codes, its log, and
//! systemd's notification when it is ready.

use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::OnceLock;
use std::time::Duration;

use crate::place::Scratch;
use crate::process::{Finished, PATIENCE, Running, run, tool};

/// The built binary. `tests/run` says where it is; without it (`cargo test -p tests`) it is built now,
/// because Cargo builds no other package's programs for a test.
#[must_use]
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        if let Some(path) = std::env::var_os("SCEAU_BIN") {
            return path.into();
        }
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let built = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--locked", "-p", "sceau"])
            .current_dir(workspace)
            .status();
        assert!(built.is_ok_and(|status| status.success()), "sceau does not build");
        // This test program is in <target>/<profile>/deps.
        std::env::current_exe().unwrap().ancestors().nth(2).unwrap().join("sceau")
    })
}

/// Runs one `sceau` command to its end.
#[must_use]
pub fn sceau(arguments: &[&str], input: &[u8]) -> Finished {
    run(tool(binary()).args(arguments), input)
}

/// Runs one `sceau` command with `--json` and reads its result; the exit code comes with it.
#[must_use]
#[track_caller]
pub fn sceau_json(arguments: &[&str]) -> (Option<i32>, serde_json::Value) {
    let mut all = arguments.to_vec();
    all.push("--json");
    let finished = sceau(&all, b"");
    let result = serde_json::from_slice(&finished.output)
        .unwrap_or_else(|error| panic!("{arguments:?}: {error}: {}{}", finished.text(), finished.errors));
    (finished.code, result)
}

/// A running `sceau serve`.
#[derive(Debug)]
pub struct Gateway {
    process: Running,
    _folder: Scratch,
}

impl Gateway {
    /// Starts it on this configuration and waits until it says that it is ready.
    #[must_use]
    #[track_caller]
    pub fn serve(configuration: &Path) -> Self {
        let folder = Scratch::new("gateway");
        let notifications = folder.join("notify");
        let socket = UnixDatagram::bind(&notifications).unwrap();
        let process = Running::start("sceau", binary(), |command| {
            command.arg("serve").arg("--config").arg(configuration).env("NOTIFY_SOCKET", &notifications);
        });
        wait_until_ready(&socket, &process);
        Self { process, _folder: folder }
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// What it has said so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Waits for a line of its log with all of these parts.
    #[track_caller]
    pub fn wait_for_line(&self, parts: &[&str]) -> String {
        self.process.wait_for_line(parts)
    }

    /// Asks it to end, as a service manager does.
    pub fn stop(mut self) -> ExitStatus {
        self.process.stop()
    }

    /// Ends it as a power switch would.
    pub fn kill(mut self) -> ExitStatus {
        self.process.kill()
    }
}

/// sd_notify(3): datagrams of `NAME=VALUE` lines, of which `READY=1` is the one.
#[track_caller]
fn wait_until_ready(socket: &UnixDatagram, process: &Running) {
    // Short reads so that a program that has ended is noticed, rather than waited for.
    let look = Duration::from_millis(200);
    socket.set_read_timeout(Some(look)).unwrap();
    let mut buffer = [0; 4096];
    let looks = PATIENCE.as_millis() / look.as_millis();
    for _ in 0..looks {
        match socket.recv(&mut buffer) {
            Ok(length) if buffer[..length].split(|byte| *byte == b'\n').any(|line| line == b"READY=1") => return,
            Ok(_) => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                assert!(!process.has_ended(), "sceau ended at once; it said:\n{}", process.log());
            }
            Err(error) => panic!("{error}"),
        }
    }
    panic!("sceau did not say READY=1; it said:\n{}", process.log());
}
