//! Directory answers for people.

use annuaire::{Answer, Diff, LoadReport, Lookup, MailboxAnswer, MatchKind, PersonAnswer, Source, StructureAnswer};
use ident::Timestamp;
use serde::Serialize;

/// Most problems of a load that are printed; the JSON form holds them all.
const MOST_PROBLEMS: usize = 20;

/// A stored generation, and how old each of its files is.
#[derive(Debug, Serialize)]
pub(super) struct Stored {
    generation: String,
    in_service: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    data_as_of: Option<String>,
    files: Vec<StoredFile>,
}

#[derive(Debug, Serialize)]
struct StoredFile {
    name: String,
    as_of: Option<String>,
    rows: u64,
}

impl Stored {
    /// Nothing is known of the files where the description cannot be read.
    pub(super) fn of(id: &str, in_service: bool, described: Option<(Timestamp, Vec<Source>)>) -> Self {
        let (at, sources) = described.map_or((None, Vec::new()), |(at, sources)| (Some(at), sources));
        let file = |source: Source| StoredFile {
            name: source.name,
            as_of: source.as_of.map(Timestamp::rfc3339),
            rows: source.kept,
        };
        let files = sources.into_iter().map(file).collect();
        Self { generation: id.to_owned(), in_service, data_as_of: at.map(Timestamp::rfc3339), files }
    }

    pub(super) fn tell(&self) {
        println!("{}{}", self.generation, if self.in_service { "  in service" } else { "" });
        for file in &self.files {
            println!("  {}  {}", file.as_of.as_deref().unwrap_or("of an unknown day"), file.name);
        }
    }
}

pub(super) fn load(report: &LoadReport) {
    for file in &report.files {
        println!("{}", file.name);
        println!("  {} rows: {} kept, {} merged, {} refused", file.rows, file.kept, file.merged, file.refused);
    }
    for problem in report.problems.iter().take(MOST_PROBLEMS) {
        let column = problem.column.as_ref().map(|column| format!(", column {column}")).unwrap_or_default();
        println!("  {}, line {}{column}: {}", problem.file, problem.line, problem.what);
    }
    let listed = u64::try_from(report.problems.len().saturating_sub(MOST_PROBLEMS)).unwrap_or(u64::MAX);
    let more = listed.saturating_add(report.problems_omitted);
    if more > 0 {
        println!("  and {more} problems more (see --json)");
    }
    for ignored in &report.ignored {
        println!("  {} passed over: {}", ignored.name, ignored.why);
    }
    for unreadable in &report.unreadable {
        println!("  not compared with: {unreadable}");
    }
    if let Some(changes) = &report.changes {
        diff(changes);
    }
    if report.oppositions > 0 || report.oppositions_unknown > 0 {
        let (taken, unknown) = (report.oppositions, report.oppositions_unknown);
        println!("  oppositions of cards: {taken} taken all the same, {unknown} about cards that are not known yet");
    }
    for one in report.holding.iter().filter(|one| one.accepted) {
        println!("  accepted for {}: {}", one.file, one.why);
    }
    let name = report.generation.as_deref().unwrap_or("none");
    match (report.in_service(), report.unchanged) {
        (true, true) => println!("generation {name} was in service already"),
        (true, false) => println!("generation {name} is in service"),
        (false, _) => println!("generation {name} stays in service"),
    }
}

pub(super) fn diff(changes: &Diff) {
    println!("from {} to {}", changes.from, changes.to);
    for file in &changes.files {
        println!(
            "  {}: {} → {} records: {} new, {} changed, {} gone",
            file.file, file.before, file.after, file.created, file.changed, file.deleted
        );
    }
    for (label, domains) in [("domains gone", &changes.domains_gone), ("domains new", &changes.domains_new)] {
        if !domains.is_empty() {
            println!("  {label}: {}", domains.join(", "));
        }
    }
}

pub(super) fn answer(answer: &Answer) {
    answer.people.iter().for_each(person);
    answer.structures.iter().for_each(structure);
    if answer.cut {
        println!("too many, refine the question: better hits may be missing / trop de réponses : précisez");
    }
    if let Some(gone) = &answer.gone {
        println!("left the data on {gone} / sorti des données le {gone}");
    }
    dated(answer);
}

pub(super) fn lookup(found: &Lookup, card: Option<&str>) {
    if let Some(mailbox) = &found.mailbox {
        println!("{}", mailbox_line(mailbox));
    }
    found.answer.people.iter().for_each(person);
    found.answer.structures.iter().for_each(structure);
    if let Some(card) = card {
        let known = found.answer.people.iter().flat_map(|person| &person.cards).any(|own| own.number == card);
        if !known {
            println!("the card {card} of the certificate is not in the directory");
        }
    }
    match (&found.gone, found.found) {
        (Some(gone), _) if found.successor.is_some() => {
            let next = found.successor.as_ref().map(ToString::to_string).unwrap_or_default();
            println!("closed since {gone}, write to {next} / fermée depuis le {gone}, écrivez à {next}");
        }
        (Some(gone), _) => println!("left the data on {gone} / sorti des données le {gone}"),
        (None, false) => println!("not found / introuvable"),
        (None, true) => {}
    }
    dated(&found.answer);
}

/// Each answer says how old its data are.
fn dated(answer: &Answer) {
    if let Some(at) = answer.data_as_of {
        println!("(generation {}, data as of {at})", answer.generation);
    }
}

fn person(person: &PersonAnswer) {
    let inactive = if person.active { "" } else { ", not practising" };
    let alike = match person.homonyms {
        0 => String::new(),
        1 => ", ONE HOMONYM: look twice".to_owned(),
        others => format!(", {others} HOMONYMS: look twice"),
    };
    println!(
        "{} {}, {} - {}{inactive}{alike}{}",
        person.family,
        person.given,
        person.profession,
        person.id,
        matched(person.r#match)
    );
    for activity in &person.activities {
        let parts = [&activity.speciality, &activity.structure, &activity.postcode, &activity.town];
        let said: Vec<&str> = parts.iter().map(|part| part.as_str()).filter(|part| !part.is_empty()).collect();
        println!("    {}", said.join(", "));
    }
    person.mailboxes.iter().for_each(|mailbox| println!("    {}", mailbox_line(mailbox)));
    for card in &person.cards {
        let to = card.valid_to.map(|day| format!(" to {day}")).unwrap_or_default();
        println!("    card {}{to}{}", card.number, if card.opposed { ", OPPOSED" } else { "" });
    }
}

fn structure(structure: &StructureAnswer) {
    println!(
        "{} - {}{}",
        structure.name,
        structure.id.as_deref().unwrap_or("no identifier"),
        matched(structure.r#match)
    );
    println!("    {}, {} {}", structure.street, structure.postcode, structure.town);
    structure.mailboxes.iter().for_each(|mailbox| println!("    {}", mailbox_line(mailbox)));
}

fn mailbox_line(mailbox: &MailboxAnswer) -> String {
    format!("{} ({})", mailbox.address, mailbox.r#type.code())
}

/// How well, unless exactly.
const fn matched(kind: MatchKind) -> &'static str {
    match kind {
        MatchKind::Exact => "",
        MatchKind::Prefix => " [begins so]",
        MatchKind::Fuzzy => " [almost]",
        MatchKind::Phonetic => " [sounds so]",
    }
}
