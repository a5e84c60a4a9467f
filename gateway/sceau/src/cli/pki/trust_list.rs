//! `sceau pki trust-list`: the signed list of trusted domains, verified off line.

use std::path::{Path, PathBuf};

use pki::{
    path::Purpose,
    trust_list::{MAX_TRUST_LIST, TrustList, TrustListEntry, TrustListError, TrustListProfile},
};
use serde_json::{Value, json};

use super::{claimed::claimed, describe, postfix};
use crate::{
    cli::{
        Exit,
        trust::{Judge, NOT_JUDGED, PolicyArgs, TrustArgs},
    },
    config::{Problem, read_bytes},
};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Order {
    /// Verify a list: form, signature, signer, path of the signer's certificate
    Verify(Box<ListArgs>),
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
}

pub(super) fn run(order: &Order, as_json: bool) -> Result<Exit, Problem> {
    match order {
        Order::Verify(args) => {
            let judged = verify(args)?;
            if as_json {
                print_json(&judged)
            } else {
                print_text(&judged)
            }
            Ok(exit(&judged.outcome))
        }
        Order::Export { format: Format::Postfix, table, list } => {
            let judged = verify(list)?;
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

fn verify(args: &ListArgs) -> Result<Judged, Problem> {
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
    Ok(Judged { judge, profile, pinned, outcome })
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
    for entry in judged.outcome.iter().flat_map(TrustList::entries) {
        println!("  {} ({})", entry.domain.unicode(), entry.description);
        entry.operators.iter().for_each(|operator| println!("      {operator}"));
    }
}
