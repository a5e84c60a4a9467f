//! `sceau why`: one message's timeline.

use std::path::PathBuf;

use serde_json::json;
use store::{Message, Store as _};
use trail::{Mood, QueueId, Record, Timeline};

use super::{Exit, attached::Attached};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Queue id (from the reply to DATA) or Message-ID
    id: String,
    /// Configuration file
    #[arg(long)]
    config: PathBuf,
    /// Sentences in English instead of French
    #[arg(long)]
    english: bool,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Args) -> Exit {
    match tell(&args) {
        Ok(true) => Exit::Done,
        Ok(false) => {
            if args.json {
                println!("{}", json!({ "found": false }));
            }
            eprintln!("No message {} here. / Aucun message {} ici.", args.id, args.id);
            Exit::No
        }
        Err(exit) => exit,
    }
}

fn tell(args: &Args) -> Result<bool, Exit> {
    let queue = Attached::open(&args.config)?;
    let mut found = Vec::new();
    for id in queue.resolve(&args.id)? {
        let records = queue.records(id)?;
        let message = queue.wait(queue.store.message(id))?;
        if !records.is_empty() || message.is_some() {
            found.push((id, records, message));
        }
    }
    let query = queue.masker.text(&format!("why {}", args.id));
    super::told::read(&queue.data, &queue.masker, query.as_str(), None, found.len());
    if found.is_empty() {
        return Ok(false);
    }
    if args.json {
        let stories: Vec<_> =
            found.iter().map(|(id, records, message)| as_json(*id, records, message.as_ref())).collect();
        println!("{}", json!({ "found": true, "messages": stories }));
    } else {
        found.iter().for_each(|(id, records, message)| print(*id, records, message.as_ref(), args.english));
    }
    Ok(true)
}

fn as_json(id: QueueId, records: &[Record], message: Option<&Message>) -> serde_json::Value {
    json!({
        "id": id,
        "message_id": message.and_then(|m| m.info.message_id.as_deref()),
        "ended": message.map(Message::is_ended),
        "timeline": Timeline::of(records),
        "records": records,
    })
}

fn print(id: QueueId, records: &[Record], message: Option<&Message>, english: bool) {
    println!("Message {id}");
    if let Some(message) = message {
        println!("Message-ID: <{}>", message.info.message_id.as_deref().unwrap_or("-"));
    }
    for line in Timeline::of(records).lines {
        let mark = match line.mood {
            Mood::Good => "+",
            Mood::Neutral => " ",
            Mood::Warning => "!",
            Mood::Bad => "x",
        };
        let text = if english { line.text.en } else { line.text.fr };
        let recipient = line.recipient.map(|recipient| format!("{recipient}: ")).unwrap_or_default();
        println!("{mark} {}  {recipient}{text}", line.at);
    }
    match message {
        Some(message) if message.is_ended() => {
            println!("= {}", if english { "ended for every recipient" } else { "terminé pour tous les destinataires" })
        }
        Some(_) => println!("= {}", if english { "still under way" } else { "en cours" }),
        None => {}
    }
}
