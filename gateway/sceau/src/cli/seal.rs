//! Not wired yet.

use super::Exit;

#[derive(Debug, clap::Args)]
pub(super) struct Args {}

pub(super) fn run(_args: Args) -> Exit {
    eprintln!("not wired yet");
    Exit::Undetermined
}
