//! `sceau quarantine`: received mail that cannot be read, and what a person decides about it.

use clap::Subcommand;
use ident::{Address, Clock as _, SystemClock};
use serde_json::json;
use store::{Changes, Filter, Message, Page, Recipient, Standing, State, Step, Store as _, Update};
use trail::{Event, QueueId, Record, SafeText};

use super::{
    Exit,
    attached::{About, Attached},
};
use crate::quarantine;

/// Messages looked at: more than this in quarantine is a matter for the storage keys, not for one message.
const MOST: usize = 10_000;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    order: Order,
    #[command(flatten)]
    about: About,
}

#[derive(Debug, Subcommand)]
enum Order {
    /// List what is in quarantine, oldest first
    List,
    /// Try it again: after a key was added, or a body was put back from a backup
    Release(Target),
    /// Give it up: its sender is told that it was not delivered, and to send it again
    Refuse(Target),
}

#[derive(Debug, clap::Args)]
struct Target {
    /// Queue id or Message-ID; `all` for everything in quarantine
    id: String,
    /// Only this recipient
    #[arg(long)]
    recipient: Option<Address>,
    /// Why: kept in the trail
    #[arg(long)]
    reason: Option<String>,
}

pub(super) fn run(args: &Args) -> Exit {
    let outcome = Attached::open(&args.about.config).and_then(|queue| match &args.order {
        Order::List => list(&queue, args.about.json),
        Order::Release(target) => decide(&queue, target, false, args.about.json),
        Order::Refuse(target) => decide(&queue, target, true, args.about.json),
    });
    outcome.unwrap_or_else(|exit| exit)
}

/// The held messages of which something is in quarantine.
fn waiting(queue: &Attached) -> Result<Vec<Message>, Exit> {
    let filter = Filter { standing: Some(Standing::Held), ..Filter::default() };
    let mut messages = queue.wait(queue.store.list(filter, Page { after: None, limit: MOST }))?;
    messages.retain(|message| message.recipients.iter().any(|recipient| quarantine::reason(recipient).is_some()));
    Ok(messages)
}

fn list(queue: &Attached, as_json: bool) -> Result<Exit, Exit> {
    let messages = waiting(queue)?;
    let mut rows = Vec::new();
    for message in &messages {
        for recipient in &message.recipients {
            let State::Held { since, .. } = &recipient.progress.state else { continue };
            let Some(reason) = quarantine::reason(recipient) else { continue };
            rows.push((message, since, queue.masker.party(&recipient.address), reason));
        }
    }
    if as_json {
        let row = |(message, since, recipient, reason): &(&Message, _, _, &store::Reason)| {
            json!({
                "id": message.info.id,
                "message_id": message.info.message_id,
                "accepted": message.info.accepted,
                "expires": message.info.expires,
                "size": message.info.size,
                "since": since,
                "recipient": recipient,
                "reason": reason.text,
            })
        };
        println!("{}", json!({ "quarantine": rows.iter().map(row).collect::<Vec<_>>() }));
        return Ok(Exit::Done);
    }
    if rows.is_empty() {
        eprintln!("Nothing is in quarantine.");
    }
    for (message, since, recipient, reason) in rows {
        println!("{}  since {since}, until {}  {recipient}", message.info.id, message.info.expires);
        println!("    {}", reason.text);
    }
    Ok(Exit::Done)
}

fn decide(queue: &Attached, target: &Target, refuse: bool, as_json: bool) -> Result<Exit, Exit> {
    let messages = match target.id.as_str() {
        "all" => waiting(queue)?,
        id => {
            let named = queue.resolve(id)?;
            waiting(queue)?.into_iter().filter(|message| named.contains(&message.info.id)).collect()
        }
    };
    let wanted = |recipient: &&Recipient| {
        quarantine::reason(recipient).is_some()
            && target.recipient.as_ref().is_none_or(|address| address.same_mailbox(&recipient.address))
    };
    let mut done: Vec<(QueueId, u32)> = Vec::new();
    for message in &messages {
        for recipient in message.recipients.iter().filter(wanted) {
            queue.wait(queue.store.commit(order(queue, message.info.id, recipient, refuse, target)))?;
            done.push((message.info.id, recipient.index));
        }
    }
    if as_json {
        println!("{}", json!({ "done": done }));
    } else {
        done.iter().for_each(|(id, index)| println!("{id}: recipient {index}: done"));
    }
    if done.is_empty() {
        eprintln!("nothing in quarantine matches {}", target.id);
    }
    Ok(if done.is_empty() { Exit::No } else { Exit::Done })
}

fn order(queue: &Attached, id: QueueId, recipient: &Recipient, refuse: bool, target: &Target) -> Changes {
    let (by, now) = (super::told::operator(&queue.masker), SystemClock.now());
    let words = target.reason.as_deref();
    let reason = words.map_or_else(|| SafeText::of("ordered from the command line"), |text| queue.masker.text(text));
    let (updates, event) = if refuse {
        (quarantine::refusal(id, recipient.index, now, reason.clone()), Event::Cancelled { by, reason })
    } else {
        let update = Update { message: id, recipient: recipient.index, lease: None, step: Step::Release { due: now } };
        (vec![update], Event::Released { by, reason })
    };
    let record = Record::new(now, event).of_message(id).of_recipient(queue.masker.party(&recipient.address));
    Changes { updates, records: vec![record], ..Changes::default() }
}
