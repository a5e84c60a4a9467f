//! `sceau explain`: the admission decision with every reason, sending nothing.

use std::{fs, path::PathBuf};

use ident::{Address, Clock, SystemClock, Timestamp};
use pki::certificate::Certificate;
use serde_json::{Value, json};

use super::{Exit, check::load_or_report, material::moment};
use crate::{
    admission::{
        caller::{Caller, identify},
        recipient::{AdmittedRecipient, Protection, admit_recipient},
        rights::right_to_send,
        strength,
    },
    refusal::Refusal,
    snapshot::Snapshot,
    trust::Standing,
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Configuration file
    #[arg(long)]
    config: PathBuf,
    /// Certificate of the one who would send, PEM (its issuers may follow)
    #[arg(long = "as")]
    caller: PathBuf,
    /// Address written from
    #[arg(long)]
    from: Address,
    /// Addresses written to
    #[arg(long, required = true, num_args = 1..)]
    to: Vec<Address>,
    /// Moment of the decision (RFC 3339 or seconds), now if absent
    #[arg(long, value_parser = moment)]
    at: Option<Timestamp>,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

/// One step of the decision, in the order in which a session would take it.
struct Step {
    what: String,
    outcome: Result<String, Refusal>,
}

pub(super) fn run(args: Args) -> Exit {
    let (_, snapshot) = match load_or_report(&args.config) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    let chain = match fs::read(&args.caller)
        .map_err(|e| e.to_string())
        .and_then(|pem| Certificate::list_from_pem(&pem).map_err(|e| e.to_string()))
    {
        Ok(chain) => chain,
        Err(error) => {
            eprintln!("{}: {error}", args.caller.display());
            return Exit::Usage;
        }
    };
    let at = args.at.unwrap_or_else(|| SystemClock.now());
    let steps = decide(&snapshot, &chain, &args.from, &args.to, at);
    if args.json {
        println!(
            "{}",
            json!({ "accepted": steps.iter().all(|s| s.outcome.is_ok()), "steps": steps.iter().map(as_json).collect::<Vec<_>>() })
        );
    } else {
        steps.iter().for_each(print_step);
    }
    match steps.iter().find_map(|step| step.outcome.as_ref().err()) {
        None => Exit::Done,
        Some(refusal) if refusal.is_temporary() => Exit::Undetermined,
        Some(_) => Exit::No,
    }
}

fn decide(snapshot: &Snapshot, chain: &[Certificate], from: &Address, to: &[Address], at: Timestamp) -> Vec<Step> {
    let caller = identify(snapshot, chain, at);
    let mut steps = vec![Step {
        what: "certificate".to_owned(),
        outcome: caller.as_ref().map(describe_caller).map_err(Clone::clone),
    }];
    if let Ok(caller) = &caller {
        let right = right_to_send(snapshot, caller, from, at)
            .and_then(|granted| snapshot.unblocked(from, at).map(|()| granted))
            .map(|granted| {
                format!(
                    "row `{}` of the table, {}",
                    granted.rule,
                    serde_json::to_string(&granted.assurance).unwrap_or_default()
                )
            });
        steps.push(Step { what: format!("from {from}"), outcome: right });
    }
    let mut all = Vec::new();
    for address in to {
        let outcome = admit_recipient(snapshot, address, at).map(|admitted| {
            let told = format!("{}, {}", describe_recipient(snapshot, &admitted), standing(snapshot, address, at));
            all.push(admitted);
            told
        });
        steps.push(Step { what: format!("to {address}"), outcome });
    }
    if all.len() > 1 {
        steps.push(strengths(snapshot, &all));
    }
    steps
}

/// What the trust list and the operators' orders say of a recipient's domain.
fn standing(snapshot: &Snapshot, address: &Address, at: Timestamp) -> String {
    let list = format!("list of {}", snapshot.trust_list.generated());
    if snapshot.own(address.domain()).is_some() {
        return "own domain".to_owned();
    }
    match snapshot.standing(address.domain(), at) {
        Standing::Listed => format!("on the trust list ({list})"),
        Standing::Granted(until) => {
            format!("not on the trust list ({list}), excepted by two administrators until {until}")
        }
        Standing::Waiting(until) => format!(
            "NOT trusted: struck off with many others ({list}); the message is taken and waits until {until} at most"
        ),
        Standing::Outside => format!("not on the trust list ({list})"),
    }
}

fn describe_caller(caller: &Caller) -> String {
    format!("{}, certificate {}, directory {:?}", caller.describe(), caller.certificate.fingerprint(), caller.directory)
}

fn describe_recipient(snapshot: &Snapshot, admitted: &AdmittedRecipient) -> String {
    let protection = match &admitted.protection {
        Protection::Sealed { form, certificates } => {
            let from = |c: &Certificate| {
                let entry = snapshot.book.lookup(c.fingerprint());
                entry.map_or_else(|| "our own domain".to_owned(), |(entry, _)| entry.provenance.clone())
            };
            let named = |c: &Certificate| format!("{} [{}; {}]", c.subject(), c.fingerprint(), from(c));
            let names: Vec<String> = certificates.iter().map(named).collect();
            let how = admitted.form_rule.as_ref().map(|rule| form.explained(rule, certificates));
            format!("sealed ({}) for {}", how.unwrap_or_default(), names.join(" + "))
        }
        Protection::Signed => "profile signed-only: signed, not encrypted, over mutual TLS to the operator".to_owned(),
        Protection::Transport => {
            "profile transport: not sealed, mutual TLS to the operator of the trust list".to_owned()
        }
    };
    let rule = match snapshot.partners.get(admitted.address.domain()) {
        Some(partner) => partner.to_string(),
        None if snapshot.own(admitted.address.domain()).is_some() => "our own domain".to_owned(),
        None => "no [[partner]] entry: sealed or not sent".to_owned(),
    };
    format!("{:?}, {protection}, rule `{}` ({rule})", admitted.destination, admitted.rule)
}

/// What holds for the message as a whole: whether its copies differ in strength (RFC 8551 §6).
fn strengths(snapshot: &Snapshot, admitted: &[AdmittedRecipient]) -> Step {
    let rule = snapshot.config.seal.mixed_strength;
    let weaker: Vec<String> = strength::weaker(admitted).iter().map(|it| it.asked.to_string()).collect();
    let outcome = strength::check(rule, admitted).map(|()| match weaker.as_slice() {
        [] => "every copy has the same strength".to_owned(),
        some => format!(
            "copies of different strength, which `seal.mixed_strength` = {rule:?} allows; weaker for {}",
            some.join(", ")
        ),
    });
    Step { what: "all recipients".to_owned(), outcome }
}

fn print_step(step: &Step) {
    match &step.outcome {
        Ok(reason) => println!("yes  {}: {reason}", step.what),
        Err(refusal) => {
            let row = refusal.id.row();
            println!("no   {}: [{}] {} {}", step.what, row.id, row.code, refusal.cause);
            println!("     {}\n     {}", row.fr, row.en);
        }
    }
}

fn as_json(step: &Step) -> Value {
    match &step.outcome {
        Ok(reason) => json!({ "step": step.what, "ok": true, "reason": reason }),
        Err(refusal) => {
            let row = refusal.id.row();
            json!({ "step": step.what, "ok": false, "id": row.id, "code": row.code, "fr": row.fr, "en": row.en, "cause": refusal.cause })
        }
    }
}
