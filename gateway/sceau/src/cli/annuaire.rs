//! `sceau annuaire`: the professional directory.

mod accept;
mod mailbox;
mod password;
mod progress;
mod publish;
mod second;
mod text;

use std::{
    io::{self, BufWriter, Write as _},
    path::{Path, PathBuf},
};

use annuaire::{DataFolder, FolderError, GenerateOptions, Generation, LoadError, LoadOptions, Query, Registry};
use ident::{Address, CardNumber, Clock as _, SystemClock};
use pki::{certificate::Certificate, identity::Identity};
use serde_json::json;

use super::{Exit, material};
use crate::{
    config::{Loaded, Problem},
    directory, gently,
};

/// Most hits asked for at once.
const MAX_LIMIT: u64 = 10_000;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    order: Order,
    /// Print the result as JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, clap::Subcommand)]
enum Order {
    /// Write fictional extracts in the national formats
    Generate {
        /// Folder for the five files, made if needed
        #[arg(long, value_name = "FOLDER")]
        into: PathBuf,
        /// The same seed gives the same files
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// How many people
        #[arg(long, default_value_t = 2000)]
        people: u32,
        /// About how many mailboxes are published: the others exist, and the directory does not know them
        ///
        /// A nation: `--people 1950000`, with 535000 mailboxes as of 2026, or all of its 0.73 million.
        #[arg(long, value_name = "N")]
        mailboxes: Option<u32>,
        /// Add wrong lines, as seen in the wild, and headers that drift
        #[arg(long)]
        faults: bool,
    },
    /// Read extracts and put them in service
    Load {
        /// Folder of the extracts
        folder: PathBuf,
        /// Data folder, made if needed
        #[arg(long, value_name = "DATA")]
        into: PathBuf,
        /// Put them in service even though many records of this file are deleted or changed; once for each file
        ///
        /// FILE is its name as published, dated or not. Without a name: for the one file that holds the load back; where
        /// several do, none of them is accepted, and each is to be named.
        #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "", value_parser = accept::Word::read)]
        accept: Vec<accept::Word>,
        /// Give way to other programs, such as a gateway that carries mail meanwhile
        #[arg(long)]
        gently: bool,
    },
    /// List the generations of a data folder, the one in service first
    List {
        /// Data folder
        data: PathBuf,
    },
    /// Put an earlier generation in service again
    ///
    /// A running gateway reads it and takes it over behind its next reload (SIGHUP, or by itself within `trust.reload`). The
    /// next load compares with it.
    Use {
        /// Data folder
        data: PathBuf,
        /// Its name or the start of it, or `previous`
        generation: String,
    },
    /// Tell what differs between two generations of a data folder
    Diff {
        /// Data folder
        data: PathBuf,
        /// Earlier generation: its name or the start of it, `previous`, `current`
        from: String,
        /// Later generation
        to: String,
        /// Print every record that was created or changed, and the key of every one deleted, as JSON, one a line:
        /// whoever holds the records of the earlier one and follows them holds those of the later one
        #[arg(long)]
        records: bool,
    },
    /// Search people and structures by words in any order
    Search {
        /// Names, profession, speciality, structure, street, town, postcode, department, identifiers, address
        #[arg(required = true)]
        text: Vec<String>,
        #[command(flatten)]
        place: Place,
        /// At most so many people, and as many structures
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=MAX_LIMIT))]
        limit: u64,
    },
    /// Hash a password, given on standard input, for an account of the LDAP face
    Password,
    /// Make the mailboxes of our registry known to another directory (FHIR PATCH)
    Publish(publish::Args),
    /// Our own mailboxes: open, change, close, delegate, list, import
    Mailbox(mailbox::Args),
    /// Look up exactly one address, identifier or certificate
    Lookup {
        #[command(flatten)]
        what: What,
        #[command(flatten)]
        place: Place,
        /// Ask the directory of [annuaire.second] too: what it answers is shown apart
        #[arg(long, requires_all = ["config", "id"])]
        ask: bool,
    },
}

/// Where the directory is.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Place {
    /// Data folder
    #[arg(long = "in", value_name = "DATA")]
    data: Option<PathBuf>,
    /// Configuration file: its directory, with the mailboxes of its own domains
    #[arg(long)]
    config: Option<PathBuf>,
}

/// What is looked up.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct What {
    /// A mail address
    #[arg(long)]
    address: Option<Address>,
    /// An identifier of a person, a structure or a card, as people write it
    #[arg(long)]
    id: Option<String>,
    /// The holder of a certificate (PEM or DER)
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
}

/// A directory as one operator shows it.
struct Opened {
    generation: Generation,
    registry: Option<Registry>,
}

pub(super) fn run(args: Args) -> Exit {
    let json = args.json;
    let outcome = match args.order {
        Order::Generate { into, seed, people, mailboxes, faults } => {
            let options = GenerateOptions { mailboxes, ..GenerateOptions::new(seed, people) };
            generate(&into, &options, faults, json)
        }
        Order::Load { folder, into, accept, gently } => {
            if gently {
                give_way();
            }
            load(&folder, &into, &accept, gently, json)
        }
        Order::List { data } => list(&data, json),
        Order::Use { data, generation } => put_in_service(&data, &generation, json),
        Order::Diff { data, from, to, records } => diff(&data, [&from, &to], records, json),
        Order::Search { text, place, limit } => search(&text.join(" "), &place, limit, json),
        Order::Publish(args) => publish::run(&args, json),
        Order::Mailbox(args) => return mailbox::run(&args, json),
        Order::Lookup { what, place, ask } => lookup(&what, &place, ask, json),
        Order::Password => password::run(json),
    };
    outcome.unwrap_or_else(|problem| material::report(&problem))
}

fn generate(into: &Path, options: &GenerateOptions, faults: bool, as_json: bool) -> Result<Exit, Problem> {
    let GenerateOptions { seed, people, .. } = *options;
    let write = if faults { annuaire::generate_with_faults } else { annuaire::generate };
    let made =
        write(into, options).map_err(|error| Problem::of(into, format!("the extracts cannot be written: {error}")))?;
    let files: Vec<_> = annuaire::FileKind::ALL.iter().map(|kind| kind.file_name()).zip(made.rows).collect();
    if as_json {
        let files: Vec<_> = files.iter().map(|(name, rows)| json!({ "name": name, "rows": rows })).collect();
        println!("{}", json!({ "folder": into, "seed": seed, "people": people, "files": files, "wrong": made.wrong }));
    } else {
        println!("{people} fictional people from seed {seed} in {}", into.display());
        files.iter().for_each(|(name, rows)| println!("  {rows:>9} rows  {name}"));
    }
    Ok(Exit::Done)
}

/// What does not succeed costs others a little time, and nothing else.
fn give_way() {
    if let Err(error) = gently::give_way(gently::Pace::WhenIdle) {
        eprintln!("sceau: running at the usual priority: {error}");
    }
}

fn load(folder: &Path, into: &Path, words: &[accept::Word], gently: bool, as_json: bool) -> Result<Exit, Problem> {
    if !folder.is_dir() {
        return Err(Problem::of(folder, "is no folder: give the folder that holds the extracts"));
    }
    let mut bar = progress::Bar::new(as_json);
    let all = LoadOptions::default();
    // Beside the mail, memory is what the system can spare.
    let most = if gently { directory::most_text() } else { all.most };
    let files = accept::files(words);
    let accept = accept::meant(words, &files);
    let options = LoadOptions { accept, now: Some(SystemClock.now()), most, ..all };
    let report = annuaire::load_with(folder, into, &options, &mut |progress| bar.tell(progress));
    bar.end();
    let report = match report {
        Ok(report) => report,
        Err(error) => {
            let problem = Problem::of(folder, format!("not loaded: {error}"));
            let busy = matches!(error, LoadError::Folder(FolderError::Busy(_)));
            return if busy { Ok(material::later(&problem)) } else { Err(problem) };
        }
    };
    if as_json {
        println!("{}", json!(report));
    } else {
        text::load(&report);
    }
    if let (Some(reason), false) = (&report.reason, report.in_service()) {
        eprintln!("sceau: {}: {reason}", if report.held { "held" } else { "refused" });
    }
    Ok(if report.in_service() { Exit::Done } else { Exit::No })
}

fn list(data: &Path, as_json: bool) -> Result<Exit, Problem> {
    let folder = existing(data)?;
    let ids = folder.ids().map_err(|error| Problem::of(data, error.to_string()))?;
    // One that is damaged is listed all the same.
    let all: Vec<text::Stored> =
        ids.iter().enumerate().map(|(n, id)| text::Stored::of(id, n == 0, folder.sources(id).ok())).collect();
    if as_json {
        println!("{}", json!({ "generations": all }));
    } else {
        all.iter().for_each(text::Stored::tell);
    }
    Ok(if ids.is_empty() { Exit::No } else { Exit::Done })
}

fn put_in_service(data: &Path, wanted: &str, as_json: bool) -> Result<Exit, Problem> {
    let selected = existing(data)?.select(wanted).map_err(|error| Problem::of(data, error.to_string()))?;
    let (id, as_of) = (selected.id(), selected.data_as_of());
    if as_json {
        println!("{}", json!({ "generation": id, "data_as_of": as_of.rfc3339() }));
    } else {
        println!("in service: {id}, data as of {as_of}");
    }
    Ok(Exit::Done)
}

fn diff(data: &Path, [from, to]: [&str; 2], records: bool, as_json: bool) -> Result<Exit, Problem> {
    let folder = existing(data)?;
    let named = |name| folder.named(name).map_err(|error| Problem::of(data, error.to_string()));
    let (from, to) = (named(from)?, named(to)?);
    if records {
        return tell_records(&from, &to)
            .map_err(|error| Problem::of(data, format!("the changes cannot be told: {error}")));
    }
    let changes = annuaire::diff(&from, &to);
    if as_json {
        println!("{}", json!(changes));
    } else {
        text::diff(&changes);
    }
    Ok(Exit::Done)
}

/// One JSON a line; whoever stops reading has had enough.
fn tell_records(from: &Generation, to: &Generation) -> io::Result<Exit> {
    let mut out = BufWriter::new(io::stdout().lock());
    let mut outcome = Ok(());
    annuaire::changes(from, to, |change| {
        if outcome.is_ok() {
            outcome = writeln!(out, "{}", json!(change));
        }
    });
    match outcome.and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
        _ => Ok(Exit::Done),
    }
}

fn search(question: &str, place: &Place, limit: u64, as_json: bool) -> Result<Exit, Problem> {
    let opened = open(place)?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let answer = annuaire::search(&opened.generation, opened.registry.as_ref(), question, limit);
    if as_json {
        println!("{}", json!(answer));
    } else {
        text::answer(&answer);
        if answer.people.is_empty() && answer.structures.is_empty() {
            eprintln!("nothing answers to `{question}` / rien ne répond à « {question} »");
        }
    }
    Ok(Exit::Done)
}

fn lookup(what: &What, place: &Place, ask: bool, as_json: bool) -> Result<Exit, Problem> {
    // The certificate first: a file that cannot be read is told before a directory is loaded.
    let certificate = what.certificate.as_deref().map(material::leaf).transpose()?.map(|(leaf, _)| leaf);
    let query = match (&what.address, &what.id, &certificate) {
        (Some(address), ..) => Some(Query::Address(address.clone())),
        (_, Some(id), _) => Some(Query::Id(id.clone())),
        (.., Some(certificate)) => holder(certificate),
        _ => None,
    };
    let second = match (&place.config, &what.id) {
        (Some(configuration), Some(id)) if ask => match second::ask(configuration, id)? {
            Ok(asked) => Some(asked),
            Err(exit) => return Ok(exit),
        },
        _ => None,
    };
    let opened = open(place)?;
    let found = query.map(|query| annuaire::lookup(&opened.generation, opened.registry.as_ref(), &query));
    let card = certificate.as_ref().and_then(Certificate::card_number);
    let found = found.unwrap_or_else(|| {
        eprintln!("sceau: the certificate names nobody whom the directory could know");
        let empty = annuaire::search(&opened.generation, None, "", 0);
        annuaire::Lookup { answer: empty, ..annuaire::Lookup::default() }
    });
    if as_json {
        let mut told = json!(found);
        if let (Some(second), Some(fields)) = (&second, told.as_object_mut()) {
            fields.insert("second".to_owned(), json!(second));
        }
        println!("{told}");
    } else {
        text::lookup(&found, card.as_ref().map(CardNumber::as_str));
        second.iter().for_each(second::Asked::tell);
    }
    Ok(if found.found { Exit::Done } else { Exit::No })
}

/// Whom a certificate speaks for, as a question to the directory. Never by display name.
fn holder(certificate: &Certificate) -> Option<Query> {
    match Identity::of(certificate) {
        Ok(identity) => match (identity.person_id(), identity.structure()) {
            (Some(person), _) => Some(Query::Id(person.to_string())),
            (None, Some(structure)) => Some(Query::Id(structure.to_string())),
            (None, None) => None,
        },
        Err(_) => certificate.emails().first().cloned().map(Query::Address),
    }
}

fn open(place: &Place) -> Result<Opened, Problem> {
    if let Some(data) = &place.data {
        return Ok(Opened { generation: current(data)?, registry: None });
    }
    let config = place.config.clone().unwrap_or_default();
    let loaded = Loaded::read(&config)?;
    let Some(data) = &loaded.config.annuaire.data else {
        return Err(Problem::of(config, "names no directory: write `data` under [annuaire]"));
    };
    Ok(Opened { generation: current(&loaded.path(data))?, registry: registries(&loaded)? })
}

fn existing(data: &Path) -> Result<DataFolder, Problem> {
    if data.is_dir() {
        Ok(DataFolder::new(data))
    } else {
        Err(Problem::of(data, "is no folder: make it with `sceau annuaire load … --into`"))
    }
}

fn current(data: &Path) -> Result<Generation, Problem> {
    existing(data)?.current().map_err(|error| match error {
        FolderError::Empty(_) => Problem::of(data, "holds no directory: make one with `sceau annuaire load … --into`"),
        error => Problem::of(data, error.to_string()),
    })
}

/// The registries of all own domains as one: red lists hold in every answer, and what is closed is in none.
fn registries(loaded: &Loaded) -> Result<Option<Registry>, Problem> {
    let paths = loaded.config.domains.iter().map(|own| loaded.path(&own.registry));
    let read = |path: PathBuf| Registry::read(&path).map_err(|error| Problem::of(path, error.to_string()));
    let registries: Vec<Registry> = paths.map(read).collect::<Result<_, _>>()?;
    Ok((!registries.is_empty()).then(|| Registry::union(&registries)))
}
