//! `sceau demo`: two hospitals and a third operator on this machine, and what happens between them.

use std::{
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
};

use super::Exit;
use crate::demo::story::{
    self, Options, StoryError,
    folder::{Folder, FolderError},
    teller::Teller,
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// End when everything has been shown; else keep running until Ctrl-C
    #[arg(long)]
    once: bool,
    /// Work in this folder and leave it there (new, empty, or of an earlier demonstration)
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Address on which the two hospitals listen
    #[arg(long, value_name = "ADDR", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    listen: IpAddr,
}

pub(super) fn run(args: Args) -> Exit {
    let mut folder = match args.dir.as_deref().map_or_else(Folder::temporary, Folder::named) {
        Ok(folder) => folder,
        Err(error) => {
            eprintln!("sceau: {error}");
            return if matches!(error, FolderError::File(..)) { Exit::Undetermined } else { Exit::Usage };
        }
    };
    let outcome = tell(&args, &folder);
    let Err(error) = outcome else { return Exit::Done };
    let nothing_to_see = matches!(
        error,
        StoryError::Interrupted | StoryError::Output(_) | StoryError::Operator(_) | StoryError::Space(_)
    );
    if !nothing_to_see {
        folder.keep();
        eprintln!("sceau: what was made is left for you to look at, logs first: {}", folder.path().display());
    }
    eprintln!("sceau: {error}");
    match error {
        StoryError::Unexpected { .. } | StoryError::Lost(..) => Exit::No,
        _ => Exit::Undetermined,
    }
}

/// Everything that the story started has ended when this returns.
fn tell(args: &Args, folder: &Folder) -> Result<(), StoryError> {
    let binary = std::env::current_exe().map_err(|error| StoryError::File(PathBuf::from("sceau"), error))?;
    let options = Options {
        folder: folder.path().to_owned(),
        temporary: folder.is_temporary(),
        once: args.once,
        listen: args.listen,
        binary,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| StoryError::File(PathBuf::from("runtime"), error))?;
    runtime.block_on(story::run(&options, &mut Teller::on_stdout()))
}
