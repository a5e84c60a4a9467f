//! `sceau annuaire mailbox list` and `show`.

use annuaire::{MailboxType, RegisteredMailbox, Registry, desk};
use ident::{Address, Clock as _, Domain, PersonId, StructureId, SystemClock, Timestamp};
use serde_json::{Value, json};

use super::{
    super::super::{Exit, material, say},
    Args, kind,
};
use crate::config::{Loaded, Problem};

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
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum State {
    Open,
    Closed,
    All,
}

impl Filter {
    fn takes(&self, registry: &Registry, own: &RegisteredMailbox, now: Timestamp) -> bool {
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
    }
}

fn open_to(registry: &Registry, own: &RegisteredMailbox, id: &PersonId, now: Timestamp) -> bool {
    let id = registry.current(id);
    let reads = own.readers.contains(id) && own.holds_for(id, now);
    own.is_open() && (reads || registry.right(id, own, now).is_some())
}

pub(super) fn list(args: &Args, filter: &Filter, as_json: bool) -> Exit {
    let now = SystemClock.now();
    let registries = match read(args) {
        Ok(registries) => registries,
        Err(problem) => return material::report(&problem),
    };
    let chosen: Vec<&(Domain, Registry)> =
        registries.iter().filter(|(domain, _)| filter.domain.as_ref().is_none_or(|wanted| wanted == domain)).collect();
    let found = chosen
        .iter()
        .flat_map(|(_, registry)| registry.mailboxes().iter().filter(|own| filter.takes(registry, own, now)));
    if as_json {
        let digests = chosen.iter().map(|(domain, registry)| json!({ "domain": domain, "digest": registry.digest() }));
        let digests: Vec<Value> = digests.collect();
        let mailboxes: Vec<Value> = found.map(described).collect();
        say!("{}", json!({ "registries": digests, "mailboxes": mailboxes }));
        return Exit::Done;
    }
    let mut count = 0usize;
    for own in found {
        count = count.saturating_add(1);
        say!("{}", line(own));
    }
    eprintln!("{count} boîte(s) / mailbox(es)");
    Exit::Done
}

pub(super) fn show(args: &Args, address: &Address, as_json: bool) -> Exit {
    let registries = match read(args) {
        Ok(registries) => registries,
        Err(problem) => return material::report(&problem),
    };
    let registry = registries.iter().find(|(domain, _)| domain == address.domain()).map(|(_, registry)| registry);
    match registry.and_then(|registry| registry.mailbox(address)) {
        Some(own) if as_json => say!("{}", json!({ "found": true, "mailbox": described(own) })),
        Some(own) => {
            for (key, value) in described(own).as_object().into_iter().flatten() {
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

fn read(args: &Args) -> Result<Vec<(Domain, Registry)>, Problem> {
    let loaded = Loaded::read(&args.config)?;
    let registry = |own: &crate::config::OwnDomain| {
        let path = loaded.path(&own.registry);
        let registry = Registry::read(&path).map_err(|error| Problem::of(path, error.to_string()))?;
        Ok((own.name.clone(), registry))
    };
    loaded.config.domains.iter().map(registry).collect()
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
