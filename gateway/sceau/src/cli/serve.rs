//! `sceau serve`: runs the gateway in the foreground.

use std::path::PathBuf;

use tracing_subscriber::EnvFilter;

use super::Exit;
use crate::{
    gateway::StartError,
    serve::{ServeError, serve},
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Configuration file
    #[arg(long)]
    config: PathBuf,
    /// Write the log as JSON lines
    #[arg(long)]
    log_json: bool,
}

pub(super) fn run(args: Args) -> Exit {
    start_log(args.log_json);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("sceau: the runtime does not start: {error}");
            return Exit::Undetermined;
        }
    };
    let outcome = runtime.block_on(serve(args.config, |listening| {
        for port in listening {
            eprintln!("sceau: listening on {} ({:?})", port.address, port.kind);
        }
        eprintln!("sceau: ready");
    }));
    match outcome {
        Ok(()) => Exit::Done,
        Err(ServeError::Start(StartError::Configuration(problems))) => {
            problems.iter().for_each(|problem| eprintln!("{problem}"));
            Exit::Usage
        }
        Err(error) => {
            eprintln!("sceau: {error}");
            Exit::Undetermined
        }
    }
}

fn start_log(json: bool) {
    let filter = EnvFilter::try_from_env("SCEAU_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    let outcome = if json { log.json().try_init() } else { log.with_ansi(false).try_init() };
    if let Err(error) = outcome {
        eprintln!("sceau: no log: {error}");
    }
}
