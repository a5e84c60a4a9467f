//! Scene 3: a doctor writes to three colleagues; one of them answers.

use ident::{Address, Fingerprint};
use openssl::sha::sha256;
use serde_json::Value;

use super::Sending;
use crate::demo::{
    cast::Place,
    letter::{Letter, pdf},
    story::{
        StoryError,
        received::Received,
        stage::Stage,
        teller::{Finding, Teller, check},
    },
};

const SUBJECT: &str = "Compte rendu d'échographie cardiaque";
/// ASCII in short lines, so that it would be found wherever it lay unsealed.
const TEXT: &str = "Chers confreres,\n\nvoici le compte rendu de notre patient (fictif).\nFraction d'ejection : 62 %.\n\nBien confraternellement,\nAnne Martin-Test\n";
/// What no queue, trail or log may show of subject and text.
pub(super) const CONTENT: [&str; 3] = ["Fraction d'ejection : 62 %", "échographie", "echographie"];
const REPORT: [&str; 4] = [
    "CH de Valfleuri-Test - Service de cardiologie",
    "Compte rendu d'échographie cardiaque (entièrement fictif)",
    "Fraction d'éjection : 62 %",
    "Dr Anne MARTIN-TEST",
];
/// What a reader is told about an unsigned message of a listed operator.
const NOT_SIGNED: &str = "Opérateur authentifié, message non signé";

/// The first message, to be looked at again at the end.
pub(super) struct First {
    /// Its Message-ID.
    pub(super) message_id: String,
}

/// Sends it, follows it to its three readers, and hears an answer.
pub(super) async fn tell(teller: &mut Teller, stage: &Stage) -> Result<First, StoryError> {
    teller.scene("A doctor writes to three colleagues")?;
    let first = submit(teller, stage).await?;
    at_b(teller, stage).await?;
    sealed(teller, stage, &first).await?;
    at_c(teller, stage).await?;
    at_a(teller, stage).await?;
    at_rest(teller, stage)?;
    answer(teller, stage).await?;
    Ok(first)
}

async fn submit(teller: &mut Teller, stage: &Stage) -> Result<First, StoryError> {
    let from = stage.mailbox("martin")?;
    let to = [stage.mailbox("moreau")?, stage.mailbox("petit")?, stage.mailbox("durand")?];
    let first = First { message_id: format!("compte-rendu.{}@{}", Stage::now().millis(), from.domain()) };
    teller.step(&format!(
        "{} sends a letter with a PDF. Her software (an ordinary mail client) shows her card's certificate to hospital A.",
        stage.name("martin")?
    ))?;
    teller.fact("from", &from.to_string())?;
    for (address, whose) in to.iter().zip(["hospital B", "the third operator", "hospital A itself"]) {
        teller.fact("to", &format!("{address} ({whose})"))?;
    }
    let letter = Letter {
        from: (&stage.name("martin")?, &from),
        sender: None,
        to: &to,
        subject: SUBJECT,
        text: TEXT,
        report: &REPORT,
        id: &first.message_id,
        at: Stage::now(),
    };
    let sending = Sending::of(&stage.software("martin")?, &letter.compose()?).await?;
    teller.quote(&sending.words())?;
    teller.expect("accepted: sealed for its readers and on disk before A said 250", sending.accepted())?;
    Ok(first)
}

async fn at_b(teller: &mut Teller, stage: &Stage) -> Result<(), StoryError> {
    teller.step(&format!("{} reads it at hospital B, which opened and judged it.", stage.name("moreau")?))?;
    let received = read(stage, "moreau").await?;
    teller.quote(&received.shown())?;
    teller.expect("subject and PDF are what was sent, octet for octet", unharmed(&received))?;
    teller.expect("hospital A vouches for the author, and says how it knew her", vouched(stage, &received)?)
}

/// What A handed to B, as both queues remember it.
async fn sealed(teller: &mut Teller, stage: &Stage, first: &First) -> Result<(), StoryError> {
    teller.step("What travelled from A to B? `sceau queue show` at both ends:")?;
    let at_a = queue(stage, Place::A, &first.message_id).await?;
    let bodies = |index: &Value| index.as_u64().and_then(|i| usize::try_from(i).ok());
    let to_b = format!("relay:{}", Place::B.domain()?);
    let recipient =
        array(&at_a, "recipients").iter().find(|r| r.get("destination") == Some(&Value::from(to_b.as_str())));
    let body = recipient
        .and_then(|r| r.get("body").and_then(bodies))
        .and_then(|index| array(&at_a, "bodies").get(index))
        .cloned()
        .unwrap_or_default();
    let at_b = array(&sceau_json(stage, Place::B, &["queue", "list", "--all"]).await?, "messages").to_vec();
    let same = at_b.iter().find(|m| m.get("digest") == body.get("digest")).cloned().unwrap_or_default();
    teller.fact("A sent", &described(&body))?;
    teller.fact("B received", &described(&same))?;
    teller.expect(
        "sealed (signed, then encrypted for B) before it left, and the very same octets arrived",
        check(
            body.get("protection") == Some(&Value::from("sealed")) && text(&same, "direction") == "incoming",
            "a sealed body at A, received by B with the same digest",
            format!("at A: {body}; at B: {same}"),
        ),
    )
}

async fn at_c(teller: &mut Teller, stage: &Stage) -> Result<(), StoryError> {
    let name = stage.name("petit")?;
    teller.step(&format!(
        "{name} reads it at the third operator, which has no S/MIME: A's partner rule allows mutual TLS."
    ))?;
    let received = read(stage, "petit").await?;
    teller.quote(&received.shown())?;
    teller.expect("subject and PDF are what was sent", unharmed(&received))?;
    let hop = received.raw.lines().find(|line| line.contains("Client CN")).unwrap_or_default().trim();
    teller.expect(
        &format!("over mutual TLS; its Postfix notes: {hop}"),
        check(hop.contains(&Place::A.host()), "a verified client certificate of A", &received.raw),
    )
}

async fn at_a(teller: &mut Teller, stage: &Stage) -> Result<(), StoryError> {
    teller.step(&format!("{} reads it at hospital A itself.", stage.name("durand")?))?;
    let received = read(stage, "durand").await?;
    teller.quote(&received.shown())?;
    teller.expect("subject and PDF are what was sent", unharmed(&received))?;
    teller.expect("judged like everybody else's mail", vouched(stage, &received)?)
}

/// No health content in the clear at rest.
fn at_rest(teller: &mut Teller, stage: &Stage) -> Result<(), StoryError> {
    teller.step("Does anything of the letter lie readable in the gateways' queues, trails or logs?")?;
    let mut encoded = Vec::new();
    mail::mime::write_base64(&mut encoded, &pdf(&REPORT));
    // A line from the middle of the attachment.
    let line = encoded.split(|b| *b == b'\n').nth(5).unwrap_or_default().trim_ascii().to_vec();
    let texts: Vec<&[u8]> = CONTENT.iter().map(|words| words.as_bytes()).chain([line.as_slice()]).collect();
    let (mut count, mut found) = (0usize, vec![]);
    for folder in ["ch-a/data", "ch-b/data", "logs"] {
        let (here, places) = stage.search(folder, &texts)?;
        count = count.saturating_add(here);
        found.extend(places);
    }
    let found: Vec<_> = found.iter().map(|path| stage.short(path).to_string()).collect();
    teller.expect(
        &format!("no: a sentence of the text, the subject and a line of the attachment are in none of {count} files"),
        check(found.is_empty() && count > 0, "no file with the letter's words", found.join(", ")),
    )
}

async fn answer(teller: &mut Teller, stage: &Stage) -> Result<(), StoryError> {
    let (from, to) = (stage.mailbox("petit")?, stage.mailbox("martin")?);
    teller.step(&format!("{} answers from the third operator, unsigned.", stage.name("petit")?))?;
    let letter = Letter {
        from: (&stage.name("petit")?, &from),
        sender: None,
        to: std::slice::from_ref(&to),
        subject: "Re: Compte rendu",
        text: "Merci. Je revois le patient (fictif) en mars.\n",
        report: &[],
        id: &format!("reponse.{}@{}", Stage::now().millis(), from.domain()),
        at: Stage::now(),
    };
    let sending = Sending::of(&stage.inside_operator(), &letter.compose()?).await?;
    teller.expect("his own operator takes it", sending.accepted())?;
    let received = stage.arrival(&to, |received| received.field("Subject") == "Re: Compte rendu").await?;
    teller.quote(&received.shown())?;
    teller.expect(
        &format!("{} reads: « {NOT_SIGNED} »", stage.name("martin")?),
        check(received.notice() == NOT_SIGNED, NOT_SIGNED, received.notice()),
    )
}

async fn read(stage: &Stage, key: &str) -> Result<Received, StoryError> {
    let mailbox: Address = stage.mailbox(key)?;
    stage.arrival(&mailbox, |received| received.field("Subject") == SUBJECT).await
}

fn unharmed(received: &Received) -> Finding {
    let sent = Fingerprint::new(sha256(&pdf(&REPORT)));
    check(received.report == Some(sent), format!("a PDF with SHA-256 {sent}"), format!("{:?}", received.report))
}

fn vouched(stage: &Stage, received: &Received) -> Result<Finding, StoryError> {
    let hospital = Place::A.structure()?.name;
    let doctor = &stage.holder("martin")?.person;
    let parts = [format!("Garanti par {hospital}"), "auteur authentifié".to_owned(), doctor.family.to_owned()];
    let holds = parts.iter().all(|part| received.notice().contains(part.as_str()));
    Ok(check(holds, parts.join(" … "), received.notice()))
}

/// `sceau queue show` of one message.
async fn queue(stage: &Stage, place: Place, id: &str) -> Result<Value, StoryError> {
    sceau_json(stage, place, &["queue", "show", id]).await
}

async fn sceau_json(stage: &Stage, place: Place, arguments: &[&str]) -> Result<Value, StoryError> {
    let mut all = arguments.to_vec();
    all.push("--json");
    let said = stage.sceau_at(place, &all).await?;
    serde_json::from_str(&said.text).map_err(|error| StoryError::Json(all.join(" "), error))
}

fn array<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn described(body: &Value) -> String {
    let protection = if text(body, "protection") == "sealed" { "sealed, " } else { "" };
    let size = body.get("size").and_then(Value::as_u64).unwrap_or_default();
    format!("{protection}{size} octets, sha-256 {}", text(body, "digest"))
}
