//! Reports of other operators about messages that we sent: what of them the trail takes note of.

use mail::report::{self, IncomingReport};
use store::{Message, Store as _};
use trail::{Event, NotificationKind, Record};

use super::{incoming::Prepared, storage};
use crate::{gateway::Gateway, refusal::Refusal};

/// Messages that are looked at for one report, the newest first: a Message-ID is its sender's choice, who may use
/// it again and again.
const MOST: usize = 20;

/// What a report says about messages that *we* sent to those very recipients.
///
/// # Errors
/// Those of the store.
pub(super) async fn matched(
    gateway: &Gateway,
    prepared: &Prepared,
    report: &IncomingReport,
) -> Result<Vec<Record>, Refusal> {
    let snapshot = gateway.snapshot();
    let Some(addressed_to) = prepared.message.recipients.first().map(|recipient| recipient.address.clone()) else {
        return Ok(Vec::new());
    };
    let messages = about(gateway, report).await?;
    let mut sent = Vec::new();
    let mut owners = Vec::new();
    for message in &messages {
        let (Some(sender), Some(message_id)) = (&message.info.envelope.sender, &message.info.message_id) else {
            continue;
        };
        for recipient in &message.recipients {
            let envelope_id = message.info.envelope.envid.as_deref();
            sent.push(report::Sent { message_id, envelope_id, sender, recipient: &recipient.address });
            owners.push((message.info.id, &recipient.address));
        }
    }
    let now = gateway.now();
    let operator_owns = |domain: &ident::Domain| snapshot.speaks_for(&prepared.operator, domain, now);
    let mut records = Vec::new();
    for found in report::match_report(report, &addressed_to, &sent, operator_owns) {
        let (Some((id, recipient)), Some(claim)) = (owners.get(found.sent), report.claims.get(found.claim)) else {
            continue;
        };
        let event = Event::NotificationReceived {
            kind: kind(claim.action.unwrap_or(mail::dsn::Action::Relayed)),
            from_operator: gateway.masker.text(&prepared.operator.subject().to_string()),
            status: claim.status.map(|(class, subject, detail)| format!("{class}.{subject}.{detail}")),
            text: trail::SafeText::of("report of the recipient's operator"),
            matched: true,
        };
        records.push(Record::new(gateway.now(), event).of_message(*id).of_recipient(gateway.masker.party(recipient)));
    }
    Ok(records)
}

/// The messages that it may be about.
pub(super) async fn about(gateway: &Gateway, report: &IncomingReport) -> Result<Vec<Message>, Refusal> {
    let mut messages = Vec::new();
    for message_id in &report.message_ids {
        for id in gateway.store.find_by_message_id(message_id).await.map_err(|error| storage(&error))? {
            if messages.len() >= MOST {
                return Ok(messages);
            }
            messages.extend(gateway.store.message(id).await.map_err(|error| storage(&error))?);
        }
    }
    Ok(messages)
}

fn kind(action: mail::dsn::Action) -> NotificationKind {
    match action {
        mail::dsn::Action::Failed => NotificationKind::Failed,
        mail::dsn::Action::Delayed => NotificationKind::Delayed,
        mail::dsn::Action::Delivered => NotificationKind::Delivered,
        mail::dsn::Action::Relayed | mail::dsn::Action::Expanded => NotificationKind::Relayed,
    }
}
