//! `sceau queue`: what waits, and orders about it. Every order is a trail record with its reason.

use clap::Subcommand;
use ident::{Address, Clock, Domain, SystemClock, Timestamp};
use serde_json::json;
use store::{Changes, Filter, Message, Page, Reason, Recipient, Standing, State, Step, Store as _, Update};
use trail::{Event, QueueId, Record, SafeText};

use super::{
    Exit,
    attached::{About, Attached},
};
use crate::quarantine;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    order: Order,
    #[command(flatten)]
    about: About,
}

#[derive(Debug, Subcommand)]
enum Order {
    /// List messages, oldest first
    List {
        /// Also those that have ended
        #[arg(long)]
        all: bool,
        /// Only with a recipient in this domain
        #[arg(long)]
        domain: Option<Domain>,
        /// At most so many
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// Show one message and each of its recipients
    Show {
        /// Queue id or Message-ID
        id: String,
    },
    /// Try again now instead of later
    Retry(Target),
    /// Keep from being delivered until it is released
    Hold(Target),
    /// Let a held message go on
    Release(Target),
    /// Give up: nothing more is sent to these recipients
    Cancel(Target),
}

#[derive(Debug, clap::Args)]
struct Target {
    /// Queue id or Message-ID
    id: String,
    /// Only this recipient
    #[arg(long)]
    recipient: Option<Address>,
    /// Why: kept in the trail
    #[arg(long)]
    reason: Option<String>,
}

/// What an order does to one recipient.
#[derive(Clone, Copy)]
enum Act {
    Retry,
    Hold,
    Release,
    Cancel,
}

pub(super) fn run(args: Args) -> Exit {
    let outcome = Attached::open(&args.about.config).and_then(|queue| match &args.order {
        Order::List { all, domain, limit } => list(&queue, *all, domain.clone(), *limit, args.about.json),
        Order::Show { id } => show(&queue, id, args.about.json),
        Order::Retry(target) => act(&queue, target, Act::Retry, args.about.json),
        Order::Hold(target) => act(&queue, target, Act::Hold, args.about.json),
        Order::Release(target) => act(&queue, target, Act::Release, args.about.json),
        Order::Cancel(target) => act(&queue, target, Act::Cancel, args.about.json),
    });
    outcome.unwrap_or_else(|exit| exit)
}

fn list(queue: &Attached, all: bool, domain: Option<Domain>, limit: usize, as_json: bool) -> Result<Exit, Exit> {
    let messages = if all {
        let filter = Filter { domain, ..Filter::default() };
        queue.wait(queue.store.list(filter, Page { after: None, limit }))?
    } else {
        let mut waiting = Vec::new();
        for standing in [Standing::Active, Standing::Held] {
            let filter = Filter { standing: Some(standing), domain: domain.clone(), ..Filter::default() };
            waiting.extend(queue.wait(queue.store.list(filter, Page { after: None, limit }))?);
        }
        waiting.sort_by_key(|message| message.info.id);
        waiting.dedup_by_key(|message| message.info.id);
        waiting
    };
    if queue.store.passed_over() > 0 {
        eprintln!("sceau: the queue holds messages that cannot be read and are not listed: `sceau doctor` names them");
    }
    if as_json {
        println!("{}", json!({ "messages": messages.iter().map(|m| message_json(queue, m)).collect::<Vec<_>>() }));
        return Ok(Exit::Done);
    }
    if messages.is_empty() {
        eprintln!("The queue is empty.");
    }
    for message in &messages {
        let sender = message
            .info
            .envelope
            .sender
            .as_ref()
            .map_or_else(|| "<>".to_owned(), |a| queue.masker.party(a).to_string());
        println!("{}  {}  {} octets  from {sender}", message.info.id, message.info.accepted, message.info.size);
        message.recipients.iter().for_each(|recipient| println!("    {}", recipient_line(queue, recipient)));
    }
    Ok(Exit::Done)
}

fn show(queue: &Attached, id: &str, as_json: bool) -> Result<Exit, Exit> {
    let mut shown = false;
    for id in queue.resolve(id)? {
        let Some(message) = queue.wait(queue.store.message(id))? else { continue };
        shown = true;
        if as_json {
            println!("{}", message_json(queue, &message));
            continue;
        }
        println!("queue id    {}", message.info.id);
        println!("message-id  <{}>", message.info.message_id.as_deref().unwrap_or("-"));
        println!("direction   {:?}", message.info.direction);
        println!("accepted    {}", message.info.accepted);
        println!("expires     {}", message.info.expires);
        println!("size        {} octets as received, sha-256 {}", message.info.size, message.info.digest);
        for (index, body) in message.bodies.iter().enumerate() {
            println!("body {index}      {:?}, {} octets, sha-256 {}", body.protection, body.size, body.digest);
        }
        message.recipients.iter().for_each(|recipient| println!("recipient   {}", recipient_line(queue, recipient)));
    }
    if !shown {
        eprintln!("no message {id} in this queue");
    }
    Ok(if shown { Exit::Done } else { Exit::No })
}

fn recipient_line(queue: &Attached, recipient: &Recipient) -> String {
    let because = |reason: &Reason| format!("{}: {}", reason.code, reason.text);
    let state = match &recipient.progress.state {
        State::Queued { due, last } => {
            let last = last.as_ref().map(|reason| format!(", last: {}", because(reason))).unwrap_or_default();
            format!("queued, next attempt {due}{last}")
        }
        State::Held { since, reason } => format!("held since {since}, {}", because(reason)),
        State::Delivered { at, reply } => format!("delivered {at}, {reply}"),
        State::Failed { at, reason } => format!("failed {at}, {}", because(reason)),
        State::Expired { at, last } => {
            format!("expired {at}, last: {}", last.as_ref().map(because).unwrap_or_default())
        }
        State::Cancelled { at, reason } => format!("cancelled {at}, {}", because(reason)),
    };
    let attempts = recipient.progress.attempts;
    format!("{}  via {}  {attempts} attempts  {state}", queue.masker.party(&recipient.address), recipient.destination)
}

fn message_json(queue: &Attached, message: &Message) -> serde_json::Value {
    let recipients: Vec<_> = message
        .recipients
        .iter()
        .map(|recipient| {
            json!({
                "recipient": queue.masker.party(&recipient.address),
                "destination": recipient.destination,
                "body": recipient.body,
                "progress": recipient.progress,
            })
        })
        .collect();
    json!({
        "id": message.info.id,
        "message_id": message.info.message_id,
        "direction": message.info.direction,
        "accepted": message.info.accepted,
        "expires": message.info.expires,
        "size": message.info.size,
        "digest": message.info.digest,
        "ended": message.is_ended(),
        "bodies": message.bodies.iter().map(|b| json!({ "protection": b.protection, "size": b.size, "digest": b.digest })).collect::<Vec<_>>(),
        "recipients": recipients,
    })
}

fn act(queue: &Attached, target: &Target, act: Act, as_json: bool) -> Result<Exit, Exit> {
    let now = SystemClock.now();
    let mut done: Vec<(QueueId, u32)> = Vec::new();
    let mut refused = Vec::new();
    for id in queue.resolve(&target.id)? {
        let Some(message) = queue.wait(queue.store.message(id))? else { continue };
        let wanted = |r: &&Recipient| {
            target.recipient.as_ref().is_none_or(|address| address.same_mailbox(&r.address))
                && !r.progress.state.is_ended()
        };
        for recipient in message.recipients.iter().filter(wanted) {
            match queue.wait(queue.store.commit(order(queue, id, recipient, act, target.reason.as_deref(), now))) {
                Ok(_) => done.push((id, recipient.index)),
                Err(_) => refused.push((id, recipient.index)),
            }
        }
    }
    if as_json {
        println!("{}", json!({ "done": done, "refused": refused }));
    } else {
        done.iter().for_each(|(id, index)| println!("{id}: recipient {index}: done"));
    }
    if done.is_empty() && refused.is_empty() {
        eprintln!("nothing under way matches {}", target.id);
    }
    Ok(if !done.is_empty() && refused.is_empty() { Exit::Done } else { Exit::No })
}

fn order(queue: &Attached, id: QueueId, recipient: &Recipient, act: Act, why: Option<&str>, now: Timestamp) -> Changes {
    let by = super::told::operator(&queue.masker);
    let reason = why.map_or_else(|| SafeText::of("ordered from the command line"), |text| queue.masker.text(text));
    let code = quarantine::code_of_hold(recipient).unwrap_or("operator").to_owned();
    let because = Reason { code, text: reason.clone() };
    let (step, event) = match act {
        Act::Retry => (Step::Retry { due: now }, Event::Retried { by, reason }),
        Act::Hold => (Step::Hold { at: now, reason: because }, Event::Held { by, reason }),
        Act::Release => (Step::Release { due: now }, Event::Released { by, reason }),
        Act::Cancel => (Step::Cancel { at: now, reason: because }, Event::Cancelled { by, reason }),
    };
    let record = Record::new(now, event).of_message(id).of_recipient(queue.masker.party(&recipient.address));
    Changes {
        updates: vec![Update { message: id, recipient: recipient.index, lease: None, step }],
        records: vec![record],
        ..Changes::default()
    }
}
