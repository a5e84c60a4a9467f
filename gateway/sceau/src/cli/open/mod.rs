//! `sceau open`: opens and judges one message.

mod answers;
mod book;
mod report;
mod stored;

use std::{
    fs,
    path::{Path, PathBuf},
};

use annuaire::{DataFolder, Generation};
use ident::Address;
use mail::{Access, Envelope, Limits, MailFault, OpenFault, Opened, Verdict};
use pki::{
    certificate::Certificate,
    keys::{DecryptionKey, FileKey},
    path::Purpose,
};
use zeroize::Zeroizing;

use super::{
    Exit, material,
    seal::written,
    trust::{NOT_JUDGED, PolicyArgs, TrustArgs},
};
use crate::config::Problem;
use answers::Answers;
use report::Report;

/// For which uses the given anchors count: a signer may be a person, a structure, a mailbox, a server.
const PURPOSES: [Purpose; 4] = [Purpose::Person, Purpose::Organisation, Purpose::Email, Purpose::Server];

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Certificate that the message may be encrypted for; repeat with its --key
    #[arg(long, value_name = "FILE")]
    cert: Vec<PathBuf>,
    /// Private key of the --cert at the same place; SCEAU_PASSPHRASE opens encrypted ones
    #[arg(long, value_name = "FILE")]
    key: Vec<PathBuf>,
    #[command(flatten)]
    trust: TrustArgs,
    #[command(flatten)]
    policies: PolicyArgs,
    /// Sender of the envelope: must be the author or the Sender. Stands in for a From field where
    /// the outer header has none
    #[arg(long, value_name = "ADDRESS")]
    from: Option<Address>,
    /// Recipients of the envelope: the message must have been signed for them
    #[arg(long, num_args = 1.., value_name = "ADDRESS")]
    recipient: Vec<Address>,
    /// Directory that knows who owns an address: the five extracts, or what `annuaire load` made of them
    #[arg(long, value_name = "FOLDER")]
    annuaire: Option<PathBuf>,
    /// Certificates that may sign for a domain or an address: files named after it
    /// (`ch-exemple.test.pem`, `ch-exemple.test-signs.pem`), or that name it themselves
    #[arg(long, value_name = "FOLDER")]
    book: Option<PathBuf>,
    /// Roots of time stamps (PEM or DER): with them the time stamp beside a signature is judged, without them
    /// only told. Revocation of its authority is judged where --crls are given
    #[arg(long, num_args = 1.., value_name = "FILE")]
    timestamp_anchors: Vec<PathBuf>,
    /// Write the report there, as JSON; else a summary goes to standard error
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Without --report: the report goes to standard error as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Args) -> Exit {
    open(&args).unwrap_or_else(|problem| material::report(&problem))
}

fn open(args: &Args) -> Result<Exit, Problem> {
    let keys = keys(args)?;
    let judge = args.trust.judge(&args.policies, &PURPOSES)?;
    let answers = Answers {
        judge: &judge,
        generation: args.annuaire.as_deref().map(directory).transpose()?,
        stamps: args.trust.stamps(&args.timestamp_anchors)?,
        book: args.book.as_deref().map(book::read).transpose()?.unwrap_or_default(),
    };
    let known: Vec<Certificate> = answers.book.entries().iter().map(|entry| entry.certificate.clone()).collect();
    let limits = Limits::default();
    let (message, repaired) = stored::wire_form(material::mail(limits.message)?);
    if repaired {
        eprintln!("sceau: the mail had bare LF line ends; it was read as if they were CRLF");
    }
    let keys: Vec<&dyn DecryptionKey> = keys.iter().map(|key| key as &dyn DecryptionKey).collect();
    let mut report = Report::refused(judge.at, judge.revocation_judged);
    let opened = match open_as_from(&message, &keys, &known, args.from.as_ref(), &limits) {
        Ok(opened) => opened,
        Err(fault) => {
            report.fault(&fault);
            return finish(args, &report, &[]);
        }
    };
    let envelope = Envelope { sender: args.from.as_ref(), recipients: &args.recipient };
    report.judged(&opened, &mail::judge(&opened, &envelope, &answers));
    let inner = opened.inner.bytes(limits.message).map_err(|fault| Problem::of("message", fault.to_string()))?;
    // Whoever reads the output must find no verdict in it that others wrote (A17).
    let clean = mail::clean::without_results(&inner, &limits);
    let clean = clean.map_err(|fault| Problem::of("message", fault.to_string()))?;
    finish(args, &report, &clean)
}

/// Opens; an outer header without From gets the one of the envelope (`openssl cms` writes none unless told).
fn open_as_from(
    message: &[u8],
    keys: &[&dyn DecryptionKey],
    known: &[Certificate],
    from: Option<&Address>,
    limits: &Limits,
) -> Result<Opened, OpenFault> {
    match (mail::read(message, limits), from) {
        (Err(MailFault::Missing("From")), Some(from)) => {
            let named = Zeroizing::new([format!("From: <{from}>\r\n").as_bytes(), message].concat());
            mail::open(&named, Access::Keys(keys), known, limits)
        }
        _ => mail::open(message, Access::Keys(keys), known, limits),
    }
}

fn keys(args: &Args) -> Result<Vec<FileKey>, Problem> {
    if args.cert.len() != args.key.len() {
        let what = format!("{} --cert and {} --key: each --cert needs its --key", args.cert.len(), args.key.len());
        return Err(Problem::of("arguments", what));
    }
    args.cert.iter().zip(&args.key).map(|(certificate, key)| material::key_pair(certificate, key)).collect()
}

/// The directory in a folder, whichever of the two forms it has.
fn directory(folder: &Path) -> Result<Generation, Problem> {
    let data = DataFolder::new(folder);
    let wrong = |what: String| Problem::of(folder, what);
    if data.current_id().map_err(|error| wrong(error.to_string()))?.is_some() {
        return data.current().map_err(|error| wrong(error.to_string()));
    }
    let (report, generation) = annuaire::build(folder).map_err(|error| wrong(error.to_string()))?;
    generation.ok_or_else(|| wrong(report.reason.unwrap_or_else(|| "the extracts cannot be used".to_owned())))
}

/// Report first, then the message, and only an accepted one (H10, A18).
fn finish(args: &Args, report: &Report, inner: &[u8]) -> Result<Exit, Problem> {
    let json = report.json();
    match &args.report {
        Some(file) => fs::write(file, format!("{json}\n"))
            .map_err(|error| Problem::of(file, format!("the report cannot be written: {error}")))?,
        None if args.json => eprintln!("{json}"),
        None => report.lines().iter().for_each(|line| eprintln!("{line}")),
    }
    if !report.revocation_judged && args.report.is_some() {
        eprintln!("sceau: {NOT_JUDGED}");
    }
    Ok(match report.verdict {
        Verdict::Accept => written(inner),
        Verdict::Refuse => Exit::No,
        Verdict::Undetermined => Exit::Undetermined,
    })
}
