//! Scene 6: recipients at B that misbehave on request, and what their sender hears.

use ident::Address;

use super::Sending;
use crate::demo::{
    cast::{Behaviour, Place},
    letter::Letter,
    story::{
        StoryError,
        stage::Stage,
        teller::{Teller, check},
    },
};

const SUBJECT: &str = "Essai des issues";

/// Writes to them and waits for the notices.
pub(super) async fn tell(teller: &mut Teller, stage: &Stage) -> Result<(), StoryError> {
    teller.scene("When delivery goes wrong after 250")?;
    let (from, doctor) = (stage.mailbox("martin")?, stage.name("martin")?);
    let at_b = |word: &str| Place::B.address(&format!("{word}.essai"));
    let (refused, content, deferred, failing) = (at_b("refuse")?, at_b("contenu")?, at_b("differe")?, at_b("echec")?);
    teller.step(&format!("{doctor} writes to mailboxes at B whose inner store misbehaves on request."))?;
    let to = [&refused, &content, &deferred, &failing].map(Clone::clone);
    for address in &to {
        teller.fact(address.local(), Behaviour::of(address).label())?;
    }
    let letter = Letter {
        from: (&doctor, &from),
        sender: None,
        to: &to,
        subject: SUBJECT,
        text: "Un essai (fictif).\n",
        report: &[],
        id: &format!("issues.{}@{}", Stage::now().millis(), from.domain()),
        at: Stage::now(),
    };
    let sending = Sending::of(&stage.software("martin")?, &letter.compose()?).await?;
    teller.quote(&sending.words())?;
    teller.expect("accepted by A", sending.accepted())?;

    teller.step(&format!("{}: not now at first; B tries again.", deferred.local()))?;
    let received = stage.arrival(&deferred, |received| received.field("Subject") == SUBJECT).await?;
    teller.expect(
        "delivered at a later attempt",
        check(received.has_fields("X-Sceau-"), "a judged message", &received.raw),
    )?;

    for (address, code, reason) in [(&refused, "5.1.1", "550"), (&content, "5.6.0", "554"), (&failing, "5.2.2", "552")]
    {
        notice(teller, stage, &from, address, code, reason).await?;
    }
    Ok(())
}

/// The sender's mailbox holds a notice about this recipient.
async fn notice(
    teller: &mut Teller,
    stage: &Stage,
    sender: &Address,
    failed: &Address,
    status: &str,
    reply: &str,
) -> Result<(), StoryError> {
    teller.step(&format!("{}: the sender must hear of it.", failed.local()))?;
    let about = format!("rfc822;{failed}");
    let received = stage
        .arrival(sender, |received| {
            let text = received.raw.to_ascii_lowercase().replace("rfc822; ", "rfc822;");
            text.contains("multipart/report") && text.contains(&about)
        })
        .await?;
    // Fields about this recipient, each on one line (RFC 3464 §2.3).
    let unfolded = received.raw.replace("\r\n ", " ");
    let lines = unfolded.lines().map(str::trim_end);
    let fields = lines.skip_while(|line| !(line.starts_with("Final-Recipient:") && line.contains(failed.local())));
    let status_lines: Vec<_> = fields
        .take_while(|line| !line.is_empty())
        .filter(|line| {
            ["Final-Recipient:", "Action:", "Status:", "Diagnostic-Code:"].iter().any(|n| line.starts_with(n))
        })
        .collect();
    teller.quote(&format!("Subject: {}\n{}", received.field("Subject"), status_lines.join("\n")))?;
    let said = status_lines.join("\n");
    let expected = ["Action: failed", &format!("Status: {status}"), &format!("smtp; {reply}")];
    teller.expect(
        "a failure notice lies in the sender's mailbox, with the reason",
        check(expected.iter().all(|part| said.contains(part)), expected.join(", "), &said),
    )
}
