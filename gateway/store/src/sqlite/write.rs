//! What a commit does to the tables.

use rusqlite::{Connection, OptionalExtension};
use trail::QueueId;

use super::{
    aside::readable,
    claim::Turn,
    committer::Effects,
    failure::{Failure, SqlResult},
    ready::{OutboxRun, ReadyChanges, ReadyMessage},
    rows::{self, MessageRow, RecipientRow, millis, part, wake_column, whole},
    schema::{self, MAX_PARTS},
    wrapping,
};
use crate::{
    Accepted, BodyContent, Changes, Committed, Destination, NewMessage, State, Step, StoreError, TransitionError,
    Update,
};

/// Longest notes of a caller.
const MAX_NOTES: usize = 256 * 1024;

/// Refuses what no caller should send, before anything is written.
pub(crate) fn check(changes: &Changes) -> Result<(), StoreError> {
    for message in &changes.messages {
        if message.recipients.is_empty() {
            return Err(StoreError::Malformed("a message needs a recipient"));
        }
        if message.recipients.len() > MAX_PARTS || message.bodies.len() > MAX_PARTS {
            return Err(StoreError::Malformed("a message has too many recipients or bodies"));
        }
        if message.notes.len() > MAX_NOTES {
            return Err(StoreError::Malformed("the notes are too long"));
        }
        let leads = |body: u32| usize::try_from(body).is_ok_and(|body| body < message.bodies.len());
        if !message.recipients.iter().all(|recipient| leads(recipient.body)) {
            return Err(StoreError::Malformed("a recipient has no body"));
        }
        if message.repeat.is_some() && message.message_id.is_none() {
            return Err(StoreError::Malformed("a repetition is recognised by its Message-ID only"));
        }
    }
    Ok(())
}

/// Makes all changes inside the open transaction.
pub(crate) fn commit(
    db: &Connection,
    changes: ReadyChanges,
    effects: &mut Effects,
    turn: &mut Turn,
) -> SqlResult<Committed> {
    let mut done = Committed::default();
    let mut repetitions = Vec::new();
    for message in changes.messages {
        let id = message.new.id;
        let accepted = accept(db, message, effects, turn)?;
        if matches!(accepted, Accepted::Repeated(_)) {
            repetitions.push(id);
        }
        done.accepted.push(accepted);
    }
    for (id, recipient, destination) in &changes.reroutes {
        reroute(db, *id, *recipient, destination, turn)?;
    }
    for update in changes.updates.into_iter().filter(|update| !repetitions.contains(&update.message)) {
        let id = update.message;
        if step(db, update, effects, turn)? {
            done.ended.push(id);
        }
    }
    append(db, &changes.outbox, turn)?;
    Ok(done)
}

/// Nothing can be refused here once the first row is written.
fn accept(db: &Connection, message: ReadyMessage, effects: &mut Effects, turn: &mut Turn) -> SqlResult<Accepted> {
    if let Some(first) = repeated(db, &message.new, message.lookup.as_ref())? {
        // The staged bodies are dropped here, and their files with them.
        return Ok(Accepted::Repeated(first));
    }
    wrapping::refuse_retired(db, &message.new.bodies)?;
    let seq = insert_message(db, &message)?;
    for (index, content) in (0u32..).zip(message.bodies) {
        let mut insert = db.prepare_cached("INSERT INTO body (seq, file, content) VALUES (?1, ?2, ?3)")?;
        match content {
            BodyContent::Bytes(bytes) => insert.execute((part(seq, index), None::<String>, Some(bytes)))?,
            BodyContent::Staged(staged) => {
                let rows = insert.execute((part(seq, index), Some(&staged.name), None::<Vec<u8>>))?;
                effects.keep.push(staged);
                rows
            }
        };
    }
    for (index, recipient) in (0u32..).zip(&message.recipients) {
        db.prepare_cached(
            "INSERT INTO recipient (seq, destination, body, wake, lease, held, facts) VALUES (?1, ?2, ?3, ?4, NULL, 0, ?5)",
        )?
        .execute((part(seq, index), &recipient.destination, recipient.body, recipient.wake, &recipient.facts))?;
        turn.lines.expect(&recipient.destination, recipient.wake);
    }
    append(db, &message.outbox, turn)?;
    Ok(Accepted::New(message.new.id))
}

fn insert_message(db: &Connection, message: &ReadyMessage) -> SqlResult<i64> {
    let id = message.new.id;
    let rows = db
        .prepare_cached(
            "INSERT INTO message (id, lookup, accepted, expires, open, facts) VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (id) DO NOTHING",
        )?
        .execute((
        id.as_str(),
        message.lookup,
        millis(message.new.accepted),
        millis(message.new.expires),
        i64::try_from(message.recipients.len()).unwrap_or(i64::MAX),
        &message.facts,
    ))?;
    if rows == 0 {
        return Err(StoreError::Taken(id).into());
    }
    Ok(db.last_insert_rowid())
}

/// The first message within the window that the same sender handed over with the same Message-ID
/// and content, and that serves or served every recipient of this one. Software that sends one
/// transaction per recipient, or that tries again after a failure, is no repetition.
fn repeated(db: &Connection, message: &NewMessage, lookup: Option<&[u8; 16]>) -> SqlResult<Option<QueueId>> {
    let (Some(repeat), Some(message_id), Some(key)) = (&message.repeat, &message.message_id, lookup) else {
        return Ok(None);
    };
    let since = millis(message.accepted.minus(repeat.window));
    let sql = format!("{} WHERE lookup = ?1 AND accepted >= ?2 ORDER BY seq LIMIT 1000", rows::MESSAGE);
    let mut query = db.prepare_cached(&sql)?;
    let mut found = query.query((key, since))?;
    while let Some(row) = found.next()? {
        // What cannot be read any more repeats nothing: it must not keep others out either.
        let Ok(row) = readable(MessageRow::read(row))? else { continue };
        let same = row.facts.message_id.as_deref() == Some(message_id)
            && row.facts.repeat.as_deref() == Some(repeat.sender.as_str())
            && row.facts.digest == message.digest;
        if same && serves(db, row.seq, message, repeat.even_failed)? {
            return Ok(Some(row.id));
        }
    }
    Ok(None)
}

fn serves(db: &Connection, seq: i64, message: &NewMessage, even_failed: bool) -> SqlResult<bool> {
    let Ok(earlier) = readable(RecipientRow::of_message(db, seq))? else { return Ok(false) };
    let good: Vec<_> = earlier
        .iter()
        .filter(|row| {
            even_failed
                || matches!(
                    row.facts.progress.state,
                    State::Queued { .. } | State::Held { .. } | State::Delivered { .. }
                )
        })
        .map(|row| row.facts.address.key())
        .collect();
    Ok(message.recipients.iter().all(|recipient| good.contains(&recipient.address.key())))
}

/// One step of one recipient; true when it was the message's last.
fn step(db: &Connection, update: Update, effects: &mut Effects, turn: &mut Turn) -> SqlResult<bool> {
    let (message, row) = find(db, update.message, update.recipient)?;
    let leased = match update.lease {
        Some(token) if row.lease == i64::try_from(token.0).ok() => true,
        Some(_) => return Err(StoreError::LeaseLost(update.message).into()),
        // An order may take over from a worker whose lease has ended.
        None => row.lease.is_some() && update.step.at().is_none_or(|at| row.wake > Some(at)),
    };
    let refused = |error| StoreError::Transition { id: update.message, recipient: update.recipient, error };
    let progress = row.facts.progress.after(update.step, leased, message.expires).map_err(refused)?;
    let ended = progress.state.is_ended();
    let held = matches!(progress.state, State::Held { .. });
    let wake = progress.wake(message.expires).map(wake_column);
    let mut facts = row.facts;
    facts.progress = progress;
    db.prepare_cached("UPDATE recipient SET wake = ?2, lease = NULL, held = ?3, facts = ?4 WHERE seq = ?1")?
        .execute((row.seq, wake, held, serde_json::to_string(&facts)?))?;
    turn.lines.expect(&row.destination.to_string(), wake);
    if !ended {
        return Ok(false);
    }
    db.prepare_cached("UPDATE message SET open = open - 1 WHERE seq = ?1")?.execute([message.seq])?;
    drop_body(db, message.seq, row.body, effects)?;
    Ok(message.open == 1)
}

/// Removes a body that no recipient waits for any more.
fn drop_body(db: &Connection, message: i64, body: u32, effects: &mut Effects) -> SqlResult<()> {
    let (first, last) = rows::parts(message);
    let needed = db
        .prepare_cached(
            "SELECT 1 FROM recipient NOT INDEXED WHERE seq BETWEEN ?1 AND ?2 AND body = ?3 AND wake > 0 LIMIT 1",
        )?
        .exists((first, last, body))?;
    if !needed {
        let file = db
            .prepare_cached("DELETE FROM body WHERE seq = ?1 RETURNING file")?
            .query_row([part(message, body)], |row| row.get::<_, Option<String>>(0))
            .optional()?;
        effects.remove.extend(file.flatten());
    }
    Ok(())
}

fn reroute(db: &Connection, id: QueueId, recipient: u32, destination: &Destination, turn: &mut Turn) -> SqlResult<()> {
    let (_, row) = find(db, id, recipient)?;
    let refused = |error| Err(StoreError::Transition { id, recipient, error }.into());
    if row.facts.progress.state.is_ended() {
        return refused(TransitionError::Ended);
    }
    if row.lease.is_some() {
        return refused(TransitionError::InFlight);
    }
    let destination = destination.to_string();
    db.prepare_cached("UPDATE recipient SET destination = ?2 WHERE seq = ?1")?.execute((row.seq, &destination))?;
    turn.lines.expect(&destination, row.wake.map(wake_column));
    Ok(())
}

fn find(db: &Connection, id: QueueId, recipient: u32) -> SqlResult<(MessageRow, RecipientRow)> {
    let unknown = || Failure::Refused(StoreError::NotFound(id));
    let message = MessageRow::find(db, id)?.ok_or_else(unknown)?;
    let row = RecipientRow::at(db, part(message.seq, recipient))?.filter(|row| whole(row.seq).0 == message.seq);
    Ok((message, row.ok_or_else(unknown)?))
}

/// Appends rows to the outbox.
fn append(db: &Connection, rows: &[OutboxRun], turn: &mut Turn) -> SqlResult<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let mut insert = db.prepare_cached("INSERT INTO outbox (number, message, records) VALUES (?1, ?2, ?3)")?;
    let mut last = turn.last_number.map_or_else(|| last_number(db), Ok)?;
    for row in rows {
        last = last.saturating_add(1);
        insert.execute((last, &row.message, &row.lines))?;
    }
    turn.last_number = Some(last);
    Ok(())
}

/// The number of the last row, also when it was released.
fn last_number(db: &Connection) -> SqlResult<i64> {
    let last =
        db.prepare_cached("SELECT max(number) FROM outbox")?.query_row([], |row| row.get::<_, Option<i64>>(0))?;
    last.map_or_else(|| schema::meta(db, "released"), Ok)
}

/// Releases the outbox up to and with this row.
pub(crate) fn release_outbox(db: &Connection, up_to: u64) -> SqlResult<()> {
    let up_to = i64::try_from(up_to).unwrap_or(i64::MAX);
    if up_to > last_number(db)? {
        return Err(StoreError::Malformed("what was never taken cannot be released").into());
    }
    if up_to > schema::meta(db, "released")? {
        db.prepare_cached("DELETE FROM outbox WHERE number <= ?1")?.execute([up_to])?;
        schema::set_meta(db, "released", up_to)?;
    }
    Ok(())
}

/// Forgets ended messages.
pub(crate) fn forget(db: &Connection, before: i64, limit: usize) -> SqlResult<u64> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    // Ids are in the order of acceptance.
    let bound = QueueId::first_at(ident::Timestamp::from_millis(before));
    let mut query =
        db.prepare_cached("SELECT seq FROM message WHERE id < ?1 AND accepted < ?2 AND open = 0 ORDER BY id LIMIT ?3")?;
    let old =
        query.query_map((bound.as_str(), before, limit), |row| row.get::<_, i64>(0))?.collect::<Result<Vec<_>, _>>()?;
    for seq in &old {
        db.prepare_cached("DELETE FROM recipient WHERE seq BETWEEN ?1 AND ?2")?.execute(rows::parts(*seq))?;
        db.prepare_cached("DELETE FROM message WHERE seq = ?1")?.execute([seq])?;
    }
    Ok(u64::try_from(old.len()).unwrap_or(u64::MAX))
}

impl Step {
    /// The moment that the step itself names.
    fn at(&self) -> Option<ident::Timestamp> {
        match self {
            Self::Delivered { at, .. }
            | Self::Failed { at, .. }
            | Self::Expired { at }
            | Self::Hold { at, .. }
            | Self::Withheld { at, .. }
            | Self::Cancel { at, .. } => Some(*at),
            Self::Deferred { .. } | Self::Release { .. } | Self::Retry { .. } => None,
        }
    }
}
