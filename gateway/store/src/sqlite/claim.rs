//! Giving out work and taking it back.

use std::collections::VecDeque;

use ident::Timestamp;
use rusqlite::Connection;

use super::{
    aside::{self, readable},
    failure::SqlResult,
    lines::Lines,
    rows::{MessageRow, RECIPIENT, RecipientRow, millis, parts, wake_column, whole},
};
use crate::{BodyInfo, ClaimRequest, Lease, LeaseToken, StoreError, Work};

/// What the committer remembers between changes.
#[derive(Debug)]
pub(crate) struct Turn {
    next_token: u64,
    last_destination: String,
    /// Where work may be due.
    pub(crate) lines: Lines,
    /// The last number of the outbox, as long as the transaction that read it is open.
    pub(crate) last_number: Option<i64>,
}

impl Turn {
    /// `generation` grows at each start, so tokens are never reused.
    pub(crate) fn new(generation: i64) -> Self {
        let generation = u64::try_from(generation).unwrap_or(0);
        Self {
            next_token: (generation << 32) | 1,
            last_destination: String::new(),
            lines: Lines::default(),
            last_number: None,
        }
    }

    /// A change was undone.
    pub(crate) fn undone(&mut self) {
        self.lines.forget();
        self.last_number = None;
    }

    fn token(&mut self) -> LeaseToken {
        let token = self.next_token;
        self.next_token = self.next_token.saturating_add(1);
        LeaseToken(token)
    }
}

/// Leases due work. What is past its expiry comes first and whatever the destination (QU5); then
/// destinations take turns, each with its longest due first (QU2).
pub(crate) fn claim(db: &Connection, request: &ClaimRequest, turn: &mut Turn) -> SqlResult<Vec<Work>> {
    let mut given = Vec::new();
    for message in expired(db, request)? {
        if given.len() >= request.limit {
            return Ok(given);
        }
        give(db, message, None, request, turn, &mut given)?;
    }
    let mut lines = destinations(db, request, turn)?;
    while given.len() < request.limit {
        let Some((destination, mut served)) = lines.pop_front() else { break };
        let before = given.len();
        let Some(seq) = longest_due(db, &destination, request.now)? else {
            turn.lines.settle(db, destination)?;
            continue;
        };
        let aside = give(db, whole(seq).0, Some(&destination), request, turn, &mut given)?;
        let now_served = given.len().saturating_sub(before);
        served = served.saturating_add(now_served);
        if now_served > 0 {
            turn.last_destination.clone_from(&destination);
        }
        if (now_served > 0 || aside) && served < request.per_destination {
            lines.push_back((destination, served));
        }
    }
    Ok(given)
}

/// Leases what is due of a message. Says whether rows were set aside because they cannot be read.
fn give(
    db: &Connection,
    message: i64,
    destination: Option<&str>,
    request: &ClaimRequest,
    turn: &mut Turn,
    given: &mut Vec<Work>,
) -> SqlResult<bool> {
    let (groups, mut damaged) = due_groups(db, message, destination, request)?;
    lease_groups(db, groups, request, turn, given, &mut damaged)?;
    damaged.iter().try_for_each(|row| aside::set_aside(db, row.seq, &row.what))?;
    Ok(!damaged.is_empty())
}

/// A recipient's row that cannot be read.
struct Unreadable {
    seq: i64,
    what: String,
}

fn expired(db: &Connection, request: &ClaimRequest) -> SqlResult<Vec<i64>> {
    let mut query =
        db.prepare_cached("SELECT seq FROM message WHERE open > 0 AND expires <= ?1 ORDER BY expires LIMIT ?2")?;
    // Those whose recipients are all in delivery give nothing: look at a few more.
    let limit = i64::try_from(request.limit.saturating_mul(2).saturating_add(1000)).unwrap_or(i64::MAX);
    let rows = query.query_map((millis(request.now), limit), |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Destinations with due work, the one after the last served first.
fn destinations(db: &Connection, request: &ClaimRequest, turn: &mut Turn) -> SqlResult<VecDeque<(String, usize)>> {
    let excluded: Vec<String> = request.excluded.iter().map(ToString::to_string).collect();
    turn.lines.refresh(db)?;
    let mut due = turn.lines.due(millis(request.now));
    due.retain(|name| !excluded.contains(name));
    let start = due.partition_point(|name| *name <= turn.last_destination);
    due.rotate_left(start);
    Ok(due.into_iter().map(|name| (name, 0)).collect())
}

/// Each destination once: the index is leapt through, not read.
pub(crate) fn all_destinations(db: &Connection) -> SqlResult<Vec<String>> {
    let mut query = db.prepare_cached("SELECT min(destination) FROM recipient WHERE wake > 0 AND destination > ?1")?;
    let mut names = Vec::new();
    let mut last = String::new();
    while let Some(name) = query.query_row([&last], |row| row.get::<_, Option<String>>(0))? {
        names.push(name.clone());
        last = name;
    }
    Ok(names)
}

fn longest_due(db: &Connection, destination: &str, now: Timestamp) -> SqlResult<Option<i64>> {
    let mut query = db.prepare_cached(
        "SELECT seq FROM recipient WHERE destination = ?1 AND wake > 0 AND wake <= ?2 ORDER BY wake LIMIT 1",
    )?;
    let mut rows = query.query((destination, millis(now)))?;
    Ok(rows.next()?.map(|row| row.get(0)).transpose()?)
}

/// The due recipients of a message, by destination and body, in pieces of bounded size; and those that
/// cannot be read.
fn due_groups(
    db: &Connection,
    message: i64,
    destination: Option<&str>,
    request: &ClaimRequest,
) -> SqlResult<(Vec<Vec<RecipientRow>>, Vec<Unreadable>)> {
    let (first, last) = parts(message);
    let sql = format!(
        "{RECIPIENT} NOT INDEXED WHERE seq BETWEEN ?1 AND ?2 AND wake <= ?3 AND (?4 IS NULL OR destination = ?4) ORDER BY destination, body, seq"
    );
    let mut query = db.prepare_cached(&sql)?;
    let mut rows = query.query((first, last, millis(request.now), destination))?;
    let mut groups: Vec<Vec<RecipientRow>> = Vec::new();
    let mut damaged = Vec::new();
    while let Some(row) = rows.next()? {
        let row = match readable(RecipientRow::read(row))? {
            Ok(read) => read,
            Err(what) => {
                damaged.push(Unreadable { seq: row.get(0)?, what });
                continue;
            }
        };
        let fits = |group: &&mut Vec<RecipientRow>| {
            let same = |other: &RecipientRow| other.destination == row.destination && other.body == row.body;
            group.len() < request.recipients.max(1) && group.first().is_some_and(same)
        };
        match groups.last_mut().filter(fits) {
            Some(group) => group.push(row),
            None => groups.push(vec![row]),
        }
    }
    Ok((groups, damaged))
}

fn lease_groups(
    db: &Connection,
    groups: Vec<Vec<RecipientRow>>,
    request: &ClaimRequest,
    turn: &mut Turn,
    given: &mut Vec<Work>,
    damaged: &mut Vec<Unreadable>,
) -> SqlResult<()> {
    let room = request.limit.saturating_sub(given.len());
    for group in groups.into_iter().take(room) {
        let Some(first) = group.first() else { continue };
        let about = readable(message_and_body(db, whole(first.seq).0, first.body))?;
        let (message, body) = match about {
            Ok(about) => about,
            Err(what) => {
                damaged.extend(group.iter().map(|row| Unreadable { seq: row.seq, what: what.clone() }));
                continue;
            }
        };
        let until = request.now.plus(request.lease);
        let lease = Lease { token: turn.token(), message: message.id, until };
        for row in &group {
            db.prepare_cached("UPDATE recipient SET lease = ?2, wake = ?3 WHERE seq = ?1")?.execute((
                row.seq,
                column(lease.token),
                millis(until),
            ))?;
        }
        given.push(Work {
            lease,
            info: message.info(),
            body,
            destination: first.destination.clone(),
            expired: message.expires <= request.now,
            recipients: group
                .iter()
                .map(|row| crate::Recipient { leased_until: Some(until), ..row.recipient() })
                .collect(),
        });
    }
    Ok(())
}

/// What a recipient belongs to.
fn message_and_body(db: &Connection, message: i64, body: u32) -> SqlResult<(MessageRow, BodyInfo)> {
    let message = message_of(db, message)?;
    let body = message.body(db, body)?;
    Ok((message, body))
}

fn message_of(db: &Connection, message: i64) -> SqlResult<MessageRow> {
    let found = MessageRow::at(db, message)?;
    found.ok_or_else(|| StoreError::Damaged("a recipient has no message".to_owned()).into())
}

fn column(token: LeaseToken) -> i64 {
    i64::try_from(token.0).unwrap_or(i64::MAX)
}

/// Prolongs a lease.
pub(crate) fn renew(db: &Connection, lease: &Lease, until: Timestamp, turn: &mut Turn) -> SqlResult<Lease> {
    let mut renew =
        db.prepare_cached("UPDATE recipient SET wake = ?2 WHERE lease = ?1 AND lease > 0 RETURNING destination")?;
    let wake = wake_column(until);
    let mut rows = renew.query((column(lease.token), wake))?;
    let mut renewed = false;
    while let Some(row) = rows.next()? {
        turn.lines.expect(row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?, Some(wake));
        renewed = true;
    }
    if !renewed {
        return Err(StoreError::LeaseLost(lease.message).into());
    }
    Ok(Lease { until, ..*lease })
}

/// Gives work back: no attempt is counted.
pub(crate) fn release(db: &Connection, lease: &Lease, due: Timestamp, turn: &mut Turn) -> SqlResult<()> {
    let message = MessageRow::find(db, lease.message)?.ok_or(StoreError::NotFound(lease.message))?;
    let rows = leased(db, column(lease.token))?;
    if rows.is_empty() {
        return Err(StoreError::LeaseLost(lease.message).into());
    }
    for row in rows {
        let mut row = row.map_err(|damaged| StoreError::Damaged(damaged.what))?;
        if let crate::State::Queued { due: planned, .. } = &mut row.facts.progress.state {
            *planned = due.min(message.expires);
        }
        let wake = give_back(db, &row, message.expires)?;
        turn.lines.expect(&row.destination.to_string(), wake);
    }
    Ok(())
}

fn give_back(db: &Connection, row: &RecipientRow, expires: Timestamp) -> SqlResult<Option<i64>> {
    let wake = row.facts.progress.wake(expires).map(wake_column);
    db.prepare_cached("UPDATE recipient SET lease = NULL, wake = ?2, facts = ?3 WHERE seq = ?1")?.execute((
        row.seq,
        wake,
        serde_json::to_string(&row.facts)?,
    ))?;
    Ok(wake)
}

fn leased(db: &Connection, token: i64) -> SqlResult<Vec<Result<RecipientRow, Unreadable>>> {
    let mut query = db.prepare_cached(&format!("{RECIPIENT} WHERE lease = ?1 AND lease > 0 ORDER BY seq"))?;
    let mut rows = query.query([token])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let seq = row.get(0)?;
        found.push(readable(RecipientRow::read(row))?.map_err(|what| Unreadable { seq, what }));
    }
    Ok(found)
}

/// After a restart nobody holds a lease: what was in delivery is due as planned before. How many.
pub(crate) fn void_leases(db: &Connection) -> SqlResult<u64> {
    let mut voided: u64 = 0;
    let next = "SELECT lease FROM recipient WHERE lease > 0 LIMIT 1";
    loop {
        let token = {
            let mut query = db.prepare_cached(next)?;
            let mut rows = query.query([])?;
            match rows.next()? {
                Some(row) => row.get::<_, i64>(0)?,
                None => return Ok(voided),
            }
        };
        for row in leased(db, token)? {
            let row = match row {
                Ok(row) => match readable(message_of(db, whole(row.seq).0))? {
                    Ok(message) => give_back(db, &row, message.expires).map(|_| Ok(()))?,
                    Err(what) => Err(Unreadable { seq: row.seq, what }),
                },
                Err(damaged) => Err(damaged),
            };
            if let Err(damaged) = row {
                aside::set_aside(db, damaged.seq, &damaged.what)?;
            }
            voided = voided.saturating_add(1);
        }
    }
}
