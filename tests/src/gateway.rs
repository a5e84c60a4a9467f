//! The program under test, as an operator meets it: the built binary, its exit codes, its log.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::OnceLock;
use std::time::Duration;

use crate::process::{Finished, Running, Signal, run, tool};

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
}

impl Gateway {
    /// Starts it on this configuration and waits until it says that it is ready.
    #[must_use]
    #[track_caller]
    pub fn serve(configuration: &Path) -> Self {
        Self::serve_with(configuration, &[])
    }

    /// The same with these environment variables.
    #[must_use]
    #[track_caller]
    pub fn serve_with(configuration: &Path, variables: &[(&str, &str)]) -> Self {
        let process = Running::start("sceau", binary(), |command| {
            command.arg("serve").arg("--config").arg(configuration).envs(variables.iter().copied());
        });
        process.wait_for_line(&["sceau: ready"]);
        Self { process }
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

    /// Waits for so many lines of its log with all of these parts.
    #[track_caller]
    pub fn wait_for_lines(&self, parts: &[&str], count: usize) -> Vec<String> {
        self.process.wait_for_lines(parts, count)
    }

    /// The same for what takes long to come even when all is well.
    #[track_caller]
    pub fn wait_for_lines_within(&self, parts: &[&str], count: usize, patience: Duration) -> Vec<String> {
        self.process.wait_for_lines_within(parts, count, patience)
    }

    /// Tells it to read its configuration again (SIGHUP).
    pub fn hang_up(&self) {
        self.process.tell(Signal::HUP);
    }

    /// Asks it to end, as a service manager does.
    pub fn stop(&mut self) -> ExitStatus {
        self.process.stop()
    }

    /// Makes it crash (SIGABRT).
    pub fn crash(mut self) -> ExitStatus {
        self.process.crash()
    }

    /// Ends it as a power switch would.
    pub fn kill(&mut self) -> ExitStatus {
        self.process.kill()
    }
}

impl Drop for Gateway {
    /// At once: what was acknowledged is safe (P1), and a test need not wait for a polite stop.
    fn drop(&mut self) {
        self.process.kill();
    }
}
