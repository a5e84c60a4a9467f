//! `sceau annuaire mailbox list` and `show`.

use annuaire::{MailboxType, RegisteredMailbox, Registry, desk};
use ident::{Address, Clock as _, Domain, PersonId, StructureId, SystemClock, Timestamp};
use serde_json::{Value, json};

use super::{
    super::super::{Exit, material, say},
    Args, kind,
};
use crate::{
    cli::block::span,
    config::{Loaded, Problem, Span},
    mailboxes::activity::{Activity, Use},
};

/// Which mailboxes are listed.
#[derive(Debug, clap::Args)]
pub(super) struct Filter {
    /// Of one domain
    #[arg(long)]
    domain: Option<Domain>,
    /// Of one kind: PER, ORG, APP or CAB
    #[arg(long = "type", value_parser = kind)]
    kind: Option<MailboxType>,
    /// Of one owner
    #[arg(long, value_parser = desk::person)]
    owner: Option<PersonId>,
    /// Of one structure
    #[arg(long, value_parser = desk::structure)]
    structure: Option<StructureId>,
    /// That this person may write from or read, now
    #[arg(long, value_parser = desk::person)]
    open_to: Option<PersonId>,
    /// Open ones, closed ones, or all
    #[arg(long, value_enum, default_value_t = State::Open)]
    state: State,
    /// Only those on the red list
    #[arg(long)]
    red_list: bool,
    /// Whose address or name holds this text, letter case aside
    #[arg(long)]
    text: Option<String>,
    /// Only those that were neither sent from nor delivered to for so long, as far as that is measured
    #[arg(long, value_name = "SPAN", num_args = 0..=1, default_missing_value = "335d", value_parser = span)]
    unused: Option<Span>,
}

/// What the registries say, and what is known of the use of their mailboxes.
struct Known {
    registries: Vec<(Domain, Registry)>,
    activity: Option<Activity>,
    now: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum State {
    Open,
    Closed,
    All,
}

impl Filter {
    fn takes(&self, known: &Known, registry: &Registry, own: &RegisteredMailbox) -> bool {
        let now = known.now;
        let unused = |longer: &Span| match known.use_of(own) {
            Use::Measured { unused, .. } => now.since(unused) >= longer.0,
            Use::NotMeasured => false,
        };
        let state = match self.state {
            State::All => true,
            State::Open => own.is_open(),
            State::Closed => !own.is_open(),
        };
        let text = self.text.as_ref().map(|text| text.to_lowercase());
        let says = |text: &String| {
            own.address.key().contains(text) || own.name.as_ref().is_some_and(|name| name.to_lowercase().contains(text))
        };
        state
            && (!self.red_list || own.red_list)
            && self.kind.is_none_or(|kind| own.kind == kind)
            && self.owner.as_ref().is_none_or(|id| own.owner.as_ref() == Some(registry.current(id)))
            && self.structure.as_ref().is_none_or(|id| own.structure.as_ref() == Some(id))
            && self.open_to.as_ref().is_none_or(|id| open_to(registry, own, id, now))
            && text.as_ref().is_none_or(says)
            && self.unused.as_ref().is_none_or(unused)
    }
}

fn open_to(registry: &Registry, own: &RegisteredMailbox, id: &PersonId, now: Timestamp) -> bool {
    let id = registry.current(id);
    let reads = own.readers.contains(id) && own.holds_for(id, now);
    own.is_open() && (reads || registry.right(id, own, now).is_some())
}

pub(super) fn list(args: &Args, filter: &Filter, as_json: bool) -> Exit {
    let known = match Known::read(args) {
        Ok(known) => known,
        Err(problem) => return material::report(&problem),
    };
    let chosen: Vec<&(Domain, Registry)> = known
        .registries
        .iter()
        .filter(|(domain, _)| filter.domain.as_ref().is_none_or(|wanted| wanted == domain))
        .collect();
    let found = chosen
        .iter()
        .flat_map(|(_, registry)| registry.mailboxes().iter().filter(|own| filter.takes(&known, registry, own)));
    if as_json {
        let digests = chosen.iter().map(|(domain, registry)| json!({ "domain": domain, "digest": registry.digest() }));
        let digests: Vec<Value> = digests.collect();
        let mailboxes: Vec<Value> = found.map(|own| known.described(own)).collect();
        say!("{}", json!({ "registries": digests, "mailboxes": mailboxes }));
        return Exit::Done;
    }
    let mut count = 0usize;
    for own in found {
        count = count.saturating_add(1);
        say!("{}  {}", line(own), activity(known.use_of(own)));
    }
    eprintln!("{count} boîte(s) / mailbox(es)");
    if filter.unused.is_some() && count > 0 {
        eprintln!(
            "sans message émis ni remis ; la lecture n'est pas mesurée : leur titulaire peut les lire / neither sent from nor \
             delivered to; reading is not measured: their holders may read them"
        );
    }
    Exit::Done
}

pub(super) fn show(args: &Args, address: &Address, as_json: bool) -> Exit {
    let known = match Known::read(args) {
        Ok(known) => known,
        Err(problem) => return material::report(&problem),
    };
    let registry = known.registries.iter().find(|(domain, _)| domain == address.domain()).map(|(_, registry)| registry);
    match registry.and_then(|registry| registry.mailbox(address)) {
        Some(own) if as_json => say!("{}", json!({ "found": true, "mailbox": known.described(own) })),
        Some(own) => {
            for (key, value) in known.described(own).as_object().into_iter().flatten() {
                match value {
                    Value::Null | Value::Bool(false) => {}
                    Value::Array(list) if list.is_empty() => {}
                    Value::Object(map) if map.is_empty() => {}
                    Value::String(text) => say!("{key}: {text}"),
                    value => say!("{key}: {value}"),
                }
            }
        }
        None => {
            if as_json {
                say!("{}", json!({ "found": false }));
            }
            eprintln!("sceau: {address} n'est pas dans le registre / is not in the registry");
            return Exit::No;
        }
    }
    Exit::Done
}

impl Known {
    fn read(args: &Args) -> Result<Self, Problem> {
        let loaded = Loaded::read(&args.config)?;
        let registry = |own: &crate::config::OwnDomain| {
            let path = loaded.path(&own.registry);
            let registry = Registry::read(&path).map_err(|error| Problem::of(path, error.to_string()))?;
            Ok((own.name.clone(), registry))
        };
        let registries = loaded.config.domains.iter().map(registry).collect::<Result<_, Problem>>()?;
        let measured = loaded.config.annuaire.inactive.as_ref().map(|_| Activity::read(&loaded.data()));
        let activity = measured.transpose().unwrap_or_else(|error| {
            eprintln!("sceau: what is known of the use of mailboxes cannot be read: {error}");
            None
        });
        Ok(Self { registries, activity: activity.flatten(), now: SystemClock.now() })
    }

    fn use_of(&self, own: &RegisteredMailbox) -> Use {
        self.activity.as_ref().map_or(Use::NotMeasured, |activity| activity.of(own, self.now))
    }

    fn described(&self, own: &RegisteredMailbox) -> Value {
        let mut described = described(own);
        let activity = match self.use_of(own) {
            Use::NotMeasured => Value::from("not measured"),
            Use::Measured { since, last, unused, told } => json!({
                "measured_since": since.rfc3339(),
                "sent": last.sent.map(Timestamp::rfc3339),
                "delivered": last.delivered.map(Timestamp::rfc3339),
                "read": "not measured",
                "unused_since": unused.rfc3339(),
                "told": told.map(Timestamp::rfc3339),
            }),
        };
        if let Some(fields) = described.as_object_mut() {
            fields.insert("activity".to_owned(), activity);
        }
        described
    }
}

/// When it was last used, for people. Whether it is read, only the inner mail system knows.
fn activity(known: Use) -> String {
    let Use::Measured { since, last, .. } = known else { return "activity not measured".to_owned() };
    let day = |at: Timestamp| at.rfc3339().chars().take(10).collect::<String>();
    let uses = [("sent", last.sent), ("delivered", last.delivered)];
    let uses: Vec<String> = uses.iter().filter_map(|(word, at)| at.map(|at| format!("{word} {}", day(at)))).collect();
    if uses.is_empty() { format!("nothing sent or delivered since {}", day(since)) } else { uses.join(", ") }
}

fn described(own: &RegisteredMailbox) -> Value {
    let until: serde_json::Map<String, Value> =
        own.until.iter().map(|(id, end)| (id.to_string(), Value::from(end.rfc3339()))).collect();
    json!({
        "address": own.address,
        "type": own.kind,
        "state": if own.is_open() { "open" } else { "closed" },
        "owner": own.owner,
        "structure": own.structure,
        "name": own.name,
        "service": own.service,
        "responsible": own.responsible,
        "members": own.members,
        "delegates": own.delegates,
        "grants": own.grants,
        "readers": own.readers,
        "until": until,
        "inner_address": own.inner_address,
        "redirect": own.redirect,
        "rank": own.rank,
        "red_list": own.red_list,
        "keep_unused": own.keep_unused,
        "created": own.created.map(Timestamp::rfc3339),
        "closed": own.closed.as_ref().map(|closed| closed.since.rfc3339()),
        "successor": own.closed.as_ref().and_then(|closed| closed.successor.clone()),
    })
}

fn line(own: &RegisteredMailbox) -> String {
    let holder = own.owner.as_ref().map(ToString::to_string);
    let holder = holder.or_else(|| own.structure.as_ref().map(ToString::to_string)).unwrap_or_default();
    let mut words = vec![own.address.to_string(), own.kind.code().to_owned(), holder];
    words.extend(own.rank.map(|rank| format!("rank {rank}")));
    words.extend(own.red_list.then(|| "red list".to_owned()));
    if let Some(closed) = &own.closed {
        words.push(format!("closed {}", closed.since));
        words.extend(closed.successor.as_ref().map(|next| format!("-> {next}")));
    }
    words.extend(own.name.clone());
    words.join("  ")
}
