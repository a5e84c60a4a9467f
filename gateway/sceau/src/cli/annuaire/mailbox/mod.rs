//! `sceau annuaire mailbox`: the operator's own mailboxes, from their opening to their end.

mod carry;
mod list;

use std::{fs, path::PathBuf};

use annuaire::{
    MailboxType, RegisteredMailbox,
    desk::{self, Access, Changes, Order},
    end_of_rights,
};
use ident::{Address, PersonId, StructureId, Timestamp};

use super::super::{Exit, block::span};
use crate::config::Span;

/// Largest table of orders.
const MAX_IMPORT: u64 = 64 * 1024 * 1024;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    #[command(subcommand)]
    order: Command,
    /// Configuration file: the registries of its own domains are meant
    #[arg(long, global = true, default_value = "/etc/sceau/sceau.toml")]
    config: PathBuf,
    /// Say what would be done, and do nothing
    #[arg(long, global = true)]
    dry_run: bool,
    /// Take people and structures that the national data do not know: they may be a day behind
    #[arg(long, global = true)]
    accept_unknown: bool,
    /// Why: kept in the trail
    #[arg(long, global = true, value_name = "TEXT")]
    reason: Option<String>,
    /// Wait up to this long (5s, 1m) until a running gateway answers by the change
    #[arg(long, global = true, value_name = "SPAN", value_parser = span)]
    wait: Option<Span>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Open a mailbox
    Create(Box<Create>),
    /// Change what is said of a mailbox; an empty value takes away
    Change(Box<Change>),
    /// Close a mailbox: it takes and sends nothing any more, and its address goes to nobody else
    Close {
        /// Its address
        address: Address,
        /// Who takes over, as whoever writes to it is told
        #[arg(long)]
        successor: Option<Address>,
    },
    /// Open a closed mailbox again, for the same holder
    Reopen {
        /// Its address
        address: Address,
    },
    /// Put a mailbox on the red list: neither shown nor published
    RedList {
        /// Its address
        address: Address,
    },
    /// Take a mailbox off the red list
    Unlist {
        /// Its address
        address: Address,
    },
    /// Say which mailbox of its owner it is, 1 being the preferred one; whoever had that rank takes this one's
    Rank {
        /// Its address
        address: Address,
        /// From 1 on, or `none`
        #[arg(value_parser = rank)]
        rank: RankOrNone,
    },
    /// Let somebody write for a mailbox, or read it
    Delegate {
        /// Its address
        address: Address,
        /// Whom: RPPS, ADELI, or a staff card (3…/…, 5…/…)
        #[arg(long, value_parser = desk::person)]
        to: PersonId,
        /// Read it only: a matter of the inner mail system, which finds it in `list`
        #[arg(long)]
        read_only: bool,
        /// The last day (2027-01-31, UTC) or the moment at which it ends; none: until it is withdrawn
        #[arg(long, value_parser = end)]
        until: Option<Timestamp>,
    },
    /// End somebody's rights to a mailbox
    Withdraw {
        /// Its address
        address: Address,
        /// Whose
        #[arg(long, value_parser = desk::person)]
        from: PersonId,
    },
    /// Carry out many orders from a table (CSV, UTF-8, one row an order): all of them or none
    ///
    /// Columns by name: action (create, change, close, reopen, red-list, unlist, delegate, withdraw), address, type,
    /// owner, structure, name, service, responsible, inner_address, rank, red_list, redirect, successor, members,
    /// delegates, grants, readers, keep_unused, to, access, until. What is said again changes nothing.
    Import {
        /// The table
        file: PathBuf,
        /// Carry out the good rows although others are wrong
        #[arg(long)]
        skip_wrong: bool,
    },
    /// List mailboxes
    List(list::Filter),
    /// Show one mailbox
    Show {
        /// Its address
        address: Address,
    },
}

#[derive(Debug, clap::Args)]
struct Create {
    /// The address, in one of our domains
    address: Address,
    /// PER, ORG, APP or CAB
    #[arg(long = "type", value_parser = kind)]
    kind: MailboxType,
    /// Whose it is (PER; CAB if it has one)
    #[arg(long, value_parser = desk::person)]
    owner: Option<PersonId>,
    /// The structure that answers for it (ORG, APP)
    #[arg(long, value_parser = desk::structure)]
    structure: Option<StructureId>,
    /// Who may write as the box (ORG, APP, CAB)
    #[arg(long = "member", value_parser = desk::person)]
    members: Vec<PersonId>,
    /// What to show for it
    #[arg(long)]
    name: Option<String>,
    /// The service that it belongs to (ORG, APP)
    #[arg(long)]
    service: Option<String>,
    /// Who answers for it (ORG, APP)
    #[arg(long)]
    responsible: Option<String>,
    /// Where the inner mail system knows it
    #[arg(long)]
    inner_address: Option<Address>,
    /// Where its mail goes instead, inside the trusted space
    #[arg(long)]
    redirect: Option<Address>,
    /// 1 is the preferred one of its owner
    #[arg(long)]
    rank: Option<u32>,
    /// Neither shown nor published
    #[arg(long)]
    red_list: bool,
    /// Kept although it is not used
    #[arg(long)]
    keep_unused: bool,
}

#[derive(Debug, clap::Args)]
struct Change {
    /// Its address, which never changes
    address: Address,
    /// What to show for it
    #[arg(long)]
    name: Option<String>,
    /// The service that it belongs to (ORG, APP)
    #[arg(long)]
    service: Option<String>,
    /// Who answers for it (ORG, APP)
    #[arg(long)]
    responsible: Option<String>,
    /// Where the inner mail system knows it
    #[arg(long, value_parser = or_none::<Address>)]
    inner_address: Option<OrNone<Address>>,
    /// Where its mail goes instead, inside the trusted space
    #[arg(long, value_parser = or_none::<Address>)]
    redirect: Option<OrNone<Address>>,
    /// The structure that answers for it
    #[arg(long, value_parser = or_none::<StructureId>)]
    structure: Option<OrNone<StructureId>>,
    /// Who may write as the box: these and nobody else
    #[arg(long = "member", value_parser = desk::person)]
    members: Option<Vec<PersonId>>,
    /// Kept although it is not used
    #[arg(long)]
    keep_unused: Option<bool>,
}

#[derive(Debug, Clone, Copy)]
struct RankOrNone(Option<u32>);

#[derive(Debug, Clone)]
struct OrNone<T>(Option<T>);

fn rank(text: &str) -> Result<RankOrNone, String> {
    match text {
        "none" => Ok(RankOrNone(None)),
        text => text.parse().map(|rank| RankOrNone(Some(rank))).map_err(|_| "a number from 1 on, or none".to_owned()),
    }
}

fn or_none<T: std::str::FromStr<Err: ToString>>(text: &str) -> Result<OrNone<T>, String> {
    match text {
        "" => Ok(OrNone(None)),
        text => text.parse().map(|value| OrNone(Some(value))).map_err(|error: T::Err| error.to_string()),
    }
}

fn kind(text: &str) -> Result<MailboxType, String> {
    MailboxType::parse(text).ok_or_else(|| "PER, ORG, APP or CAB".to_owned())
}

fn end(text: &str) -> Result<Timestamp, String> {
    end_of_rights(text).ok_or_else(|| "write a day (2027-01-31) or a moment (2027-01-31T18:00:00Z)".to_owned())
}

/// Exit: 0 done, or so already; 1 refused; 2 usage; 3 the files could not be read or written.
pub(super) fn run(args: &Args, as_json: bool) -> Exit {
    let one = |order: Order| carry::run(args, vec![carry::Wanted::typed(order)], false, as_json);
    match &args.order {
        Command::List(filter) => list::list(args, filter, as_json),
        Command::Show { address } => list::show(args, address, as_json),
        Command::Import { file, skip_wrong } => import(args, file, *skip_wrong, as_json),
        Command::Create(create) => one(create.order()),
        Command::Change(change) => one(change.order()),
        Command::Close { address, successor } => {
            one(Order::Close { address: address.clone(), successor: successor.clone() })
        }
        Command::Reopen { address } => one(Order::Reopen(address.clone())),
        Command::RedList { address } => one(listed(address, true)),
        Command::Unlist { address } => one(listed(address, false)),
        Command::Rank { address, rank } => one(Order::Rank(address.clone(), rank.0)),
        Command::Delegate { address, to, read_only, until } => one(Order::Delegate {
            address: address.clone(),
            to: to.clone(),
            access: if *read_only { Access::Read } else { Access::Write },
            until: *until,
        }),
        Command::Withdraw { address, from } => one(Order::Withdraw(address.clone(), from.clone())),
    }
}

fn listed(address: &Address, red: bool) -> Order {
    Order::Change(address.clone(), Box::new(Changes { red_list: Some(red), ..Changes::default() }))
}

impl Create {
    fn order(&self) -> Order {
        Order::Create(Box::new(RegisteredMailbox {
            owner: self.owner.clone(),
            structure: self.structure.clone(),
            members: self.members.clone(),
            name: self.name.clone(),
            service: self.service.clone(),
            responsible: self.responsible.clone(),
            inner_address: self.inner_address.clone(),
            redirect: self.redirect.clone(),
            rank: self.rank,
            red_list: self.red_list,
            keep_unused: self.keep_unused,
            ..RegisteredMailbox::new(self.address.clone(), self.kind)
        }))
    }
}

impl Change {
    fn order(&self) -> Order {
        let label =
            |text: &Option<String>| text.as_ref().map(|text| Some(text.clone()).filter(|text| !text.is_empty()));
        let changes = Changes {
            name: label(&self.name),
            service: label(&self.service),
            responsible: label(&self.responsible),
            inner_address: self.inner_address.clone().map(|it| it.0),
            redirect: self.redirect.clone().map(|it| it.0),
            structure: self.structure.clone().map(|it| it.0),
            members: self.members.clone(),
            keep_unused: self.keep_unused,
            ..Changes::default()
        };
        Order::Change(self.address.clone(), Box::new(changes))
    }
}

fn import(args: &Args, file: &PathBuf, skip_wrong: bool, as_json: bool) -> Exit {
    let read = || -> Result<Vec<u8>, String> {
        let size = fs::metadata(file).map_err(|error| error.to_string())?.len();
        if size > MAX_IMPORT {
            return Err(format!("larger than {MAX_IMPORT} octets: cut it in parts"));
        }
        fs::read(file).map_err(|error| error.to_string())
    };
    let rows = read().and_then(|octets| desk::import(&octets).map_err(|error| error.to_string()));
    match rows {
        Ok(found) => carry::run(args, found.rows.into_iter().map(carry::Wanted::from).collect(), skip_wrong, as_json),
        Err(error) => {
            eprintln!("sceau: {}: {error}", file.display());
            Exit::Usage
        }
    }
}
