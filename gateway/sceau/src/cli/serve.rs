//! `sceau serve`: runs the gateway in the foreground.

use std::path::PathBuf;

use super::{Exit, log};
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
    let _log = log::begin(args.log_json);
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
