//! `sceau pki trust-list`: the signed list of trusted domains, verified off line.

use std::path::{Path, PathBuf};

use pki::{
    path::Purpose,
    trust_list::{MAX_TRUST_LIST, TrustList, TrustListEntry, TrustListError, TrustListProfile},
};
use serde_json::{Value, json};

use super::{claimed::claimed, describe, difference::Difference, postfix};
use crate::{
    cli::{
        Exit,
        trust::{Judge, NOT_JUDGED, PolicyArgs, TrustArgs},
    },
    config::{Problem, read_bytes},
    queued::digest,
};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Order {
    /// Verify a list: form, signature, signer, path of the signer's certificate
    Verify {
        #[command(flatten)]
        list: Box<ListArgs>,
        /// Also tell what it changes against this older list
        #[arg(long, value_name = "FILE")]
        against: Option<PathBuf>,
    },
    /// Verify a list and tell what it changes against an older one, before it takes effect
    Diff {
        /// The list before (XML), genuine but perhaps of an expired signer
        before: PathBuf,
        #[command(flatten)]
        list: Box<ListArgs>,
    },
    /// Verify a list and write what another program needs of it
    Export {
        /// For which program
        #[arg(long, value_enum)]
        format: Format,
        /// Which of its tables
        #[arg(long, value_enum, default_value_t = Table::TlsPolicy)]
        table: Table,
        #[command(flatten)]
        list: Box<ListArgs>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// Tables in the form of `texthash:` maps
    Postfix,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Table {
    /// smtp_tls_policy_maps: which server names may receive for each domain
    TlsPolicy,
    /// check_recipient_access: the domains that may be written to
    Recipients,
}

#[derive(Debug, clap::Args)]
pub(super) struct ListArgs {
    /// The signed list (XML)
    file: PathBuf,
    #[command(flatten)]
    trust: TrustArgs,
    /// Root element [default: the file's own]
    #[arg(long)]
    root: Option<String>,
    /// Namespace of the list [default: the file's own]
    #[arg(long)]
    namespace: Option<String>,
    /// CN that the signer must have [default: any, and the output says so]
    #[arg(long)]
    signer_cn: Option<String>,
    /// OU that the signer must have [default: any, and the output says so]
    #[arg(long)]
    signer_ou: Option<String>,
}

/// A list with what it was judged by.
struct Judged {
    judge: Judge,
    profile: TrustListProfile,
    /// Whether the caller said who must have signed.
    pinned: bool,
    outcome: Result<TrustList, TrustListError>,
    /// Against an older list, if one was given.
    difference: Option<Difference>,
}

pub(super) fn run(order: &Order, as_json: bool) -> Result<Exit, Problem> {
    match order {
        Order::Verify { list, against } => {
            let judged = verify(list, against.as_deref())?;
            if as_json {
                print_json(&judged)
            } else {
                print_text(&judged)
            }
            Ok(judged.exit())
        }
        Order::Diff { before, list } => {
            let judged = verify(list, Some(before))?;
            match &judged.difference {
                Some(difference) if as_json => println!("{}", difference.as_json()),
                Some(difference) => difference.lines().iter().for_each(|line| println!("{line}")),
                None if as_json => print_json(&judged),
                None => print_text(&judged),
            }
            Ok(judged.exit())
        }
        Order::Export { format: Format::Postfix, table, list } => {
            let judged = verify(list, None)?;
            if !judged.pinned {
                eprintln!("sceau: {}", unpinned(&judged.profile));
            }
            match &judged.outcome {
                Ok(trusted) if as_json => println!("{}", postfix::json(trusted, *table)),
                Ok(trusted) => print!("{}", postfix::text(trusted, *table)),
                Err(error) => eprintln!("sceau: {}: {error}", list.file.display()),
            }
            Ok(exit(&judged.outcome))
        }
    }
}

fn verify(args: &ListArgs, against: Option<&Path>) -> Result<Judged, Problem> {
    let xml = read(&args.file)?;
    let judge = args.trust.judge(&PolicyArgs::default(), &[Purpose::Organisation])?;
    let claimed = claimed(&xml).unwrap_or_default();
    let profile = TrustListProfile {
        root: args.root.clone().unwrap_or(claimed.root),
        namespace: args.namespace.clone().unwrap_or(claimed.namespace),
        signer_cn: args.signer_cn.clone().unwrap_or(claimed.signer_cn),
        signer_ou: args.signer_ou.clone().unwrap_or(claimed.signer_ou),
    };
    let outcome = TrustList::verify(&xml, &profile, &judge.validator, judge.at);
    let pinned = args.signer_cn.is_some() && args.signer_ou.is_some();
    let older = against.map(|path| older(path, &profile)).transpose()?;
    let difference = older.zip(outcome.as_ref().ok()).map(|(older, list)| Difference::between(&older, list));
    Ok(Judged { judge, profile, pinned, outcome, difference })
}

impl Judged {
    fn exit(&self) -> Exit {
        let rolls_back = self.difference.as_ref().is_some_and(|difference| difference.rolls_back.is_some());
        if rolls_back { Exit::No } else { exit(&self.outcome) }
    }
}

/// A genuine list of the same signer; whether that signer's certificate is valid today does not matter any more.
fn older(path: &Path, profile: &TrustListProfile) -> Result<TrustList, Problem> {
    let xml = read(path)?;
    TrustList::verify_remembered(&xml, profile, digest(&xml)).map_err(|error| Problem::of(path, error.to_string()))
}

fn read(path: &Path) -> Result<Vec<u8>, Problem> {
    read_bytes(path, u64::try_from(MAX_TRUST_LIST).unwrap_or(u64::MAX))
}

const fn exit(outcome: &Result<TrustList, TrustListError>) -> Exit {
    match outcome {
        Ok(_) => Exit::Done,
        Err(TrustListError::Undetermined(_)) => Exit::Undetermined,
        Err(_) => Exit::No,
    }
}

/// Stable code of a fault; that of the finding where the signer's path is at fault.
const fn code(error: &TrustListError) -> &'static str {
    match error {
        TrustListError::TooLarge => "list_too_large",
        TrustListError::Structure(_) => "list_structure",
        TrustListError::Profile(_) => "list_signature_form",
        TrustListError::Signature(_) => "list_signature",
        TrustListError::Signer(_) => "list_signer",
        TrustListError::Invalid(finding) | TrustListError::Undetermined(finding) => finding.code,
        TrustListError::Future(_) => "list_future",
        TrustListError::RollBack { .. } => "list_roll_back",
        _ => "list_refused",
    }
}

fn verdict(outcome: &Result<TrustList, TrustListError>) -> &'static str {
    match exit(outcome) {
        Exit::Done => "valid",
        Exit::Undetermined => "undetermined",
        _ => "invalid",
    }
}

fn unpinned(profile: &TrustListProfile) -> String {
    format!(
        "any organisation under the anchors could have signed this list (CN={}, OU={}): say who must have, with --signer-cn and --signer-ou",
        profile.signer_cn, profile.signer_ou
    )
}

fn print_json(judged: &Judged) {
    let (list, error) = (judged.outcome.as_ref().ok(), judged.outcome.as_ref().err());
    let finding = error.and_then(|error| match error {
        TrustListError::Invalid(finding) | TrustListError::Undetermined(finding) => Some(finding),
        _ => None,
    });
    println!(
        "{}",
        json!({
            "verdict": verdict(&judged.outcome),
            "reason": error.map(code),
            "what": error.map(ToString::to_string),
            "text": finding.map(|finding| &finding.text),
            "signer": { "cn": judged.profile.signer_cn, "ou": judged.profile.signer_ou, "pinned": judged.pinned },
            "generated": list.map(|list| list.generated().rfc3339()),
            "digest": list.map(TrustList::digest),
            "domains": list.map(|list| list.entries().map(entry).collect::<Vec<_>>()),
            "problems": list.map(problems),
            "difference": judged.difference.as_ref().map(Difference::as_json),
            "at": judged.judge.at.rfc3339(),
            "revocation_judged": judged.judge.revocation_judged,
            "warnings": judged.judge.warnings,
        })
    );
}

fn entry(entry: &TrustListEntry) -> Value {
    json!({
        "domain": entry.domain,
        "description": entry.description,
        "operators": entry.operators.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "responsible": entry.responsible,
        "support": entry.support,
        "updated": entry.updated,
    })
}

fn problems(list: &TrustList) -> Vec<Value> {
    list.problems().iter().map(|problem| json!({ "domain": problem.domain, "what": problem.what })).collect()
}

fn print_text(judged: &Judged) {
    println!("{}", verdict(&judged.outcome));
    let mut lines = vec![("asked", format!("at {}", judged.judge.at))];
    match &judged.outcome {
        Ok(list) => {
            lines.push(("signed by", format!("CN={}, OU={}", judged.profile.signer_cn, judged.profile.signer_ou)));
            lines.push(("generated", list.generated().to_string()));
            lines.push(("sha-256", list.digest().to_string()));
            lines.push(("domains", list.domains().count().to_string()));
            for problem in list.problems() {
                lines.push(("left out", format!("{}: {}", problem.domain, problem.what)));
            }
        }
        Err(error) => {
            lines.push(("reason", format!("[{}] {error}", code(error))));
            if let TrustListError::Invalid(finding) | TrustListError::Undetermined(finding) = error {
                lines.push(("", finding.text.fr.clone()));
            }
        }
    }
    if !judged.pinned && judged.outcome.is_ok() {
        lines.push(("note", unpinned(&judged.profile)));
    }
    if !judged.judge.revocation_judged {
        lines.push(("note", NOT_JUDGED.to_owned()));
    }
    describe::print(&lines);
    if let Some(difference) = &judged.difference {
        return difference.lines().iter().for_each(|line| println!("{line}"));
    }
    for entry in judged.outcome.iter().flat_map(TrustList::entries) {
        println!("  {} ({})", entry.domain.unicode(), entry.description);
        entry.operators.iter().for_each(|operator| println!("      {operator}"));
    }
}
