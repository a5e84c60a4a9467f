//! Questions. Each is one short read transaction, or a row of them: no reader holds the log open.

use ident::Timestamp;
use rusqlite::Connection;
use trail::{QueueId, Record};

use super::{
    aside::{NEVER, readable},
    claim::all_destinations,
    failure::SqlResult,
    rows::{self, MessageRow, lookup_prefix},
};
use crate::{Counts, DestinationCount, EventQuery, Filter, Message, OutboxRow, Page, Standing, StoreError};

/// Rows looked at in one read transaction.
const STRIDE: usize = 1000;
/// Most messages that one list gives.
const MAX_LIST: usize = 10_000;
const MAX_EVENTS: usize = 10_000;

pub(crate) fn message(db: &mut Connection, id: QueueId) -> SqlResult<Option<Message>> {
    let tx = db.transaction()?;
    MessageRow::find(&tx, id)?.map(|row| row.complete(&tx)).transpose()
}

/// What cannot be read is passed over, and `skip` told: one damaged row must not hide all others (CR9).
pub(crate) fn list(
    db: &mut Connection,
    filter: &Filter,
    page: Page,
    mut skip: impl FnMut(QueueId),
) -> SqlResult<Vec<Message>> {
    let limit = page.limit.min(MAX_LIST);
    let since = filter.since.map(QueueId::first_at);
    let mut after = page.after.map(|id| id.to_string());
    let mut found = Vec::new();
    loop {
        let tx = db.transaction()?;
        let ids = candidates(&tx, filter, since, after.as_deref())?;
        for id in &ids {
            let row = match readable(MessageRow::find(&tx, *id))? {
                Ok(Some(row)) => row,
                Ok(None) => continue,
                Err(_) => {
                    skip(*id);
                    continue;
                }
            };
            let Ok(message) = readable(row.complete(&tx))? else {
                skip(*id);
                continue;
            };
            if filter.matches(&message) {
                found.push(message);
                if found.len() >= limit {
                    return Ok(found);
                }
            }
        }
        match ids.last() {
            Some(last) if ids.len() == STRIDE => after = Some(last.to_string()),
            _ => return Ok(found),
        }
    }
}

/// The next ids that may fit.
fn candidates(
    db: &Connection,
    filter: &Filter,
    since: Option<QueueId>,
    after: Option<&str>,
) -> SqlResult<Vec<QueueId>> {
    let open = match filter.standing {
        Some(Standing::Active | Standing::Held) => "AND open > 0",
        Some(Standing::Ended) => "AND open = 0",
        None => "",
    };
    let sql = format!(
        "SELECT id FROM message INDEXED BY sqlite_autoindex_message_1
         WHERE id > ?1 AND id >= ?2 AND accepted < ?3 {open} ORDER BY id LIMIT {STRIDE}"
    );
    let mut query = db.prepare_cached(&sql)?;
    let since = since.map(|id| id.to_string()).unwrap_or_default();
    let until = filter.until.unwrap_or(Timestamp::MAX).millis();
    let mut rows = query.query((after.unwrap_or_default(), since, until))?;
    let mut ids = Vec::new();
    while let Some(row) = rows.next()? {
        let id = row.get::<_, String>(0)?;
        let id = id.parse().map_err(|_| StoreError::Damaged("the queue holds an unreadable id".to_owned()))?;
        ids.push(id);
    }
    Ok(ids)
}

impl Filter {
    /// Whether a message fits.
    pub fn matches(&self, message: &Message) -> bool {
        use crate::State;
        let info = &message.info;
        let any = |test: &dyn Fn(&crate::Recipient) -> bool| message.recipients.iter().any(test);
        let standing = self.standing.is_none_or(|standing| match standing {
            Standing::Active => !message.is_ended(),
            Standing::Held => any(&|recipient| matches!(recipient.progress.state, State::Held { .. })),
            Standing::Ended => message.is_ended(),
        });
        let sender = self.sender.as_ref().is_none_or(|sender| {
            info.envelope.sender.as_ref().is_some_and(|address| address.key() == sender.to_lowercase())
        });
        let recipient = self
            .recipient
            .as_ref()
            .is_none_or(|wanted| any(&|recipient| recipient.address.key() == wanted.to_lowercase()));
        let domain = self.domain.as_ref().is_none_or(|domain| any(&|recipient| recipient.address.domain() == domain));
        let destination = self.destination.as_ref().is_none_or(|destination| {
            any(&|recipient| recipient.destination == *destination && !recipient.progress.state.is_ended())
        });
        standing
            && sender
            && recipient
            && domain
            && destination
            && self.direction.is_none_or(|direction| direction == info.direction)
            && self.since.is_none_or(|since| info.accepted >= since)
            && self.until.is_none_or(|until| info.accepted < until)
    }
}

pub(crate) fn find_by_message_id(db: &mut Connection, message_id: &str) -> SqlResult<Vec<QueueId>> {
    let prefix = lookup_prefix(message_id);
    let bound = |fill: u8| prefix.iter().copied().chain([fill; 8]).collect::<Vec<u8>>();
    let sql = format!("{} WHERE lookup BETWEEN ?1 AND ?2 ORDER BY seq DESC LIMIT 100", rows::MESSAGE);
    let mut query = db.prepare_cached(&sql)?;
    let mut rows = query.query((bound(0), bound(0xff)))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let row = MessageRow::read(row)?;
        if row.facts.message_id.as_deref() == Some(message_id) {
            found.push(row.id);
        }
    }
    Ok(found)
}

pub(crate) fn next_due(db: &mut Connection) -> SqlResult<Option<Timestamp>> {
    let tx = db.transaction()?;
    let mut query = tx.prepare_cached("SELECT min(wake) FROM recipient WHERE destination = ?1 AND wake > 0")?;
    let mut next: Option<i64> = None;
    for destination in all_destinations(&tx)? {
        let wake = query.query_row([destination], |row| row.get::<_, Option<i64>>(0))?.filter(|wake| *wake < NEVER);
        next = match (next, wake) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }
    Ok(next.map(Timestamp::from_millis))
}

pub(crate) fn counts(db: &mut Connection) -> SqlResult<Counts> {
    let tx = db.transaction()?;
    let mut counts = Counts {
        messages: tx.query_row("SELECT count(*) FROM message WHERE open > 0", [], |row| rows::count(row, 0))?,
        outbox: tx.query_row("SELECT count(*) FROM outbox", [], |row| rows::count(row, 0))?,
        ..Counts::default()
    };
    let mut query = tx.prepare_cached(
        "SELECT sum(lease IS NULL AND NOT held), sum(lease IS NOT NULL), sum(held AND lease IS NULL), min(seq)
         FROM recipient WHERE destination = ?1 AND wake > 0",
    )?;
    for name in all_destinations(&tx)? {
        // A destination that cannot be read is one of a row that is set aside, or will be.
        let Ok(destination) = name.parse() else { continue };
        let (queued, in_flight, held, first) = query.query_row([&name], |row| {
            Ok((rows::count(row, 0)?, rows::count(row, 1)?, rows::count(row, 2)?, row.get::<_, i64>(3)?))
        })?;
        let oldest = tx
            .prepare_cached("SELECT accepted FROM message WHERE seq = ?1")?
            .query_row([rows::whole(first).0], |row| row.get(0))?;
        counts.destinations.push(DestinationCount {
            destination,
            queued,
            in_flight,
            held,
            oldest: Timestamp::from_millis(oldest),
        });
    }
    let total = |part: fn(&DestinationCount) -> u64| counts.destinations.iter().map(part).fold(0, u64::saturating_add);
    (counts.queued, counts.in_flight, counts.held) = (total(|d| d.queued), total(|d| d.in_flight), total(|d| d.held));
    counts.oldest = counts.destinations.iter().map(|destination| destination.oldest).min();
    Ok(counts)
}

pub(crate) fn events(db: &mut Connection, query: &EventQuery) -> SqlResult<Vec<Record>> {
    let limit = if query.limit == 0 { MAX_EVENTS } else { query.limit };
    let mut after = query.after.unwrap_or(0);
    let mut found = Vec::new();
    loop {
        let rows = outbox(db, after, STRIDE, query.message)?;
        let Some(last) = rows.last() else { return Ok(found) };
        after = last.number;
        for record in rows.iter().map(OutboxRow::records).collect::<Result<Vec<_>, _>>()?.into_iter().flatten() {
            let at = record.at;
            if query.since.is_none_or(|since| at >= since) && query.until.is_none_or(|until| at < until) {
                found.push(record);
                if found.len() >= limit {
                    return Ok(found);
                }
            }
        }
    }
}

/// The rows after number `after`.
pub(crate) fn outbox(db: &Connection, after: u64, limit: usize, message: Option<QueueId>) -> SqlResult<Vec<OutboxRow>> {
    let of_message = if message.is_some() { "message = ?2" } else { "?2 IS NULL" };
    let mut query = db.prepare_cached(&format!(
        "SELECT number, records FROM outbox WHERE number > ?1 AND {of_message} ORDER BY number LIMIT ?3"
    ))?;
    let (after, limit) = (i64::try_from(after).unwrap_or(i64::MAX), i64::try_from(limit).unwrap_or(i64::MAX));
    let rows = query.query_map((after, message.map(|id| id.to_string()), limit), |row| {
        Ok(OutboxRow { number: rows::count(row, 0)?, lines: row.get(1)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
