//! The command line. Results go to standard output, messages to standard error; the exit code
//! says how it ended (design §5).

mod annuaire;
mod attached;
mod block;
mod check;
mod demo;
mod doctor;
mod evidence;
mod explain;
mod fault;
pub(crate) mod log;
mod material;
mod open;
mod partner;
mod pki;
mod probe;
mod quarantine;
mod queue;
mod refusals;
mod retention;
mod seal;
mod serve;
mod storage_key;
mod told;
mod trail;
mod trust;
mod trusted;
mod why;

use std::{
    path::PathBuf,
    process::ExitCode,
    sync::atomic::{AtomicBool, Ordering},
};

use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::{account, config::Loaded};

/// Whether nobody reads the result any more.
static CLOSED: AtomicBool = AtomicBool::new(false);

/// Prints a line of a result. Who reads only the first lines of it closes the pipe: that is no error, and
/// the exit code says how it ended.
fn line(words: std::fmt::Arguments<'_>) {
    use std::io::Write as _;
    if writeln!(std::io::stdout(), "{words}").is_err() {
        CLOSED.store(true, Ordering::Relaxed);
    }
}

/// As `println!`, to a reader who may have gone.
macro_rules! say {
    ($($words:tt)*) => { $crate::cli::line(format_args!($($words)*)) };
}
use say;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Yes, or done.
    Done,
    /// A clear no: refused, invalid, not found.
    No,
    /// Wrong usage or configuration.
    Usage,
    /// Cannot be told now.
    Undetermined,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::No => 1,
            Exit::Usage => 2,
            Exit::Undetermined => 3,
        })
    }
}

/// Open secure health messaging gateway: signs, encrypts and relays mail between trusted health domains.
#[derive(Debug, Parser)]
#[command(name = "sceau", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show two hospitals and a third operator exchanging sealed mail on this machine
    Demo(demo::Args),
    /// Run the gateway
    Serve(serve::Args),
    /// Check a configuration and everything it names
    Check(check::Args),
    /// Check the surroundings: disk, keys, certificates, queue, trail
    Doctor(doctor::Args),
    /// Tell what would be decided about a message, sending nothing
    Explain(explain::Args),
    /// Tell what happened to a message
    Why(why::Args),
    /// Look how a partner's servers present themselves, sending nothing
    Probe(probe::Args),
    /// Look at the queue and act on it
    Queue(queue::Args),
    /// Received mail that cannot be read: look at it, try it again, refuse it
    Quarantine(quarantine::Args),
    /// Stop the exchange with a domain, an operator, a certificate or a mailbox, for a while
    Block(block::Args),
    /// The trust list in force, shrinkages, exceptions by two administrators
    Trust(trusted::Args),
    /// Certificates, paths and trust lists
    Pki(pki::Args),
    /// Partners' certificates: their files, approvals, our own file
    Partner(partner::Args),
    /// Sign and encrypt one message (mail on standard input, mail on standard output)
    Seal(seal::Args),
    /// Open and judge one message (mail on standard input, mail on standard output)
    Open(open::Args),
    /// Make, rotate and retire the keys of what rests here
    StorageKey(storage_key::Args),
    /// Verify, search and follow the trail
    Trail(trail::Args),
    /// The professional directory
    Annuaire(annuaire::Args),
    /// Print the table of refusals as Markdown
    #[command(hide = true)]
    Refusals,
    /// Print the table of findings about certificates as Markdown
    #[command(hide = true)]
    Findings,
}

impl Command {
    /// Whether it works below the data folder, and so as the owner of that.
    fn is_the_gateways(&self) -> bool {
        match self {
            // Its file may be root's; it takes the owner on for what is below the data folder.
            Self::StorageKey(_) => false,
            // What runs it says as whom; and those that touch nothing there.
            Self::Serve(_) | Self::Demo(_) | Self::Annuaire(_) => false,
            Self::Partner(args) => !args.writes_elsewhere(),
            _ => true,
        }
    }
}

/// The configuration that the command line names, whichever command it is about.
fn configuration(matches: &ArgMatches) -> Option<PathBuf> {
    let below = matches.subcommand().and_then(|(_, matches)| configuration(matches));
    below.or_else(|| matches.try_get_one::<PathBuf>("config").ok().flatten().cloned())
}

/// Parses the arguments and runs the command.
pub fn main() -> ExitCode {
    fault::tell_only_where();
    let parsed = Cli::command().try_get_matches().and_then(|matches| {
        let place = configuration(&matches);
        Cli::from_arg_matches(&matches).map(|cli| (cli, place))
    });
    let (cli, place) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage.into() } else { Exit::Done.into() };
        }
    };
    // Before it may become somebody else.
    account::orderer();
    if cli.command.is_the_gateways()
        && let Some(loaded) = place.and_then(|place| Loaded::read(&place).ok())
        && let Err(error) = account::become_owner_of(&loaded.data())
    {
        eprintln!("sceau: {}: its owner cannot be taken on: {error}", loaded.data().display());
        return Exit::Undetermined.into();
    }
    let exit = match cli.command {
        Command::Demo(args) => demo::run(args),
        Command::Serve(args) => serve::run(args),
        Command::Check(args) => check::run(args),
        Command::Doctor(args) => doctor::run(args),
        Command::Explain(args) => explain::run(args),
        Command::Why(args) => why::run(args),
        Command::Probe(args) => probe::run(&args),
        Command::Queue(args) => queue::run(args),
        Command::Quarantine(args) => quarantine::run(&args),
        Command::Block(args) => block::run(&args),
        Command::Trust(args) => trusted::run(&args),
        Command::Pki(args) => pki::run(args),
        Command::Partner(args) => partner::run(args),
        Command::Seal(args) => seal::run(args),
        Command::Open(args) => open::run(args),
        Command::StorageKey(args) => storage_key::run(args),
        Command::Trail(args) => trail::run(args),
        Command::Annuaire(args) => annuaire::run(args),
        Command::Refusals => refusals::run(),
        Command::Findings => refusals::findings(),
    };
    exit.into()
}
