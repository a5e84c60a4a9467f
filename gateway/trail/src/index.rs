//! The search index: a file of its own that can be thrown away and made again from the log.
//!
//! It holds no word in clear: a term such as `to:dr.martin-test@ch-exemple.test` is a keyed hash,
//! so the file tells a thief nothing, and equality is all that a search needs. Hits are opened
//! and looked at again, so a clash of hashes shows nothing wrong.

use std::{collections::BTreeSet, path::Path};

use ident::Timestamp;
use rusqlite::{Connection, OpenFlags, OptionalExtension};
use zeroize::Zeroizing;

use crate::{
    Event, Record,
    hmac::hmac_sha256,
    log::{KeyTable, TrailError, empty_log},
};

const APPLICATION_ID: i32 = 0x5343_5449;
const VERSION: i32 = 1;
const DAY: i64 = 86_400_000;

/// The day comes first: additions stay in one corner of the tree, and a search looks at each day.
const TABLES: &str = "
CREATE TABLE term (day INTEGER NOT NULL, hash INTEGER NOT NULL, leaf INTEGER NOT NULL, PRIMARY KEY (day, hash, leaf)) WITHOUT ROWID, STRICT;
CREATE TABLE entry (leaf INTEGER PRIMARY KEY, day INTEGER NOT NULL) STRICT;
CREATE TABLE state (one INTEGER PRIMARY KEY CHECK (one = 1), size INTEGER NOT NULL) STRICT;
INSERT INTO state VALUES (1, 0);
";

/// The index.
pub(crate) struct Index {
    db: Connection,
    key: Zeroizing<[u8; 32]>,
}

fn failed(error: rusqlite::Error) -> TrailError {
    TrailError::Table { place: "index.db", error }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl Index {
    /// Opens the index for writing. One of another version is thrown away: it can be made again.
    pub(crate) fn open(path: &Path, key: &Zeroizing<[u8; 32]>) -> Result<Self, TrailError> {
        let db = Connection::open(path).map_err(failed)?;
        let set_up = || -> rusqlite::Result<bool> {
            db.busy_timeout(std::time::Duration::from_secs(10))?;
            let empty = db.query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |row| row.get::<_, bool>(0))?;
            db.pragma_update(None, "secure_delete", true)?;
            db.pragma_update(None, "journal_mode", "WAL")?;
            // It can be made again: no sync is waited for.
            db.pragma_update(None, "synchronous", "NORMAL")?;
            db.pragma_update(None, "cache_size", -65_536)?;
            if empty {
                db.execute_batch(&format!("BEGIN IMMEDIATE; {TABLES}"))?;
                db.pragma_update(None, "application_id", APPLICATION_ID)?;
                db.pragma_update(None, "user_version", VERSION)?;
                db.execute_batch("COMMIT")?;
            }
            ours(&db)
        };
        if set_up().map_err(failed)? {
            return Ok(Self { db, key: key.clone() });
        }
        Err(TrailError::Foreign("index.db is of another version: remove it, it is made again".to_owned()))
    }

    /// Opens it for searching.
    pub(crate) fn read_only(path: &Path, key: &Zeroizing<[u8; 32]>) -> Result<Self, TrailError> {
        let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(failed)?;
        db.pragma_update(None, "query_only", true).map_err(failed)?;
        if !ours(&db).map_err(failed)? {
            return Err(TrailError::Foreign("index.db is of another version".to_owned()));
        }
        Ok(Self { db, key: key.clone() })
    }

    /// Entries that it knows.
    pub(crate) fn size(&self) -> Result<u64, TrailError> {
        let size = self.db.query_row("SELECT size FROM state", [], |row| row.get::<_, i64>(0)).map_err(failed)?;
        Ok(u64::try_from(size).unwrap_or(0))
    }

    /// Adds the entries from `first` on.
    pub(crate) fn add(&mut self, first: u64, entries: &[Vec<Record>]) -> Result<(), TrailError> {
        let key = self.key.clone();
        let tx = self.db.transaction().map_err(failed)?;
        let write = || -> rusqlite::Result<()> {
            let mut entry = tx.prepare_cached("INSERT OR REPLACE INTO entry VALUES (?1, ?2)")?;
            let mut insert = tx.prepare_cached("INSERT OR REPLACE INTO term VALUES (?1, ?2, ?3)")?;
            for (leaf, records) in (first..).zip(entries) {
                let Some(day) = records.first().map(|record| day_of(record.at)) else { continue };
                entry.execute((signed(leaf), day))?;
                for term in terms(records) {
                    insert.execute((day, hash(&key, &term), signed(leaf)))?;
                }
            }
            let size = first.saturating_add(u64::try_from(entries.len()).unwrap_or(u64::MAX));
            tx.prepare_cached("UPDATE state SET size = ?1")?.execute([signed(size)]).map(drop)
        };
        write().map_err(failed)?;
        tx.commit().map_err(failed)
    }

    /// Leaves that carry all terms, newest first, from before a leaf and within a span of days.
    pub(crate) fn find(
        &self,
        terms: &[String],
        since: Option<Timestamp>,
        until: Option<Timestamp>,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<u64>, TrailError> {
        let hashes: Vec<i64> = terms.iter().map(|term| hash(&self.key, term)).collect();
        let before = before.map_or(i64::MAX, signed);
        let mut found = Vec::new();
        let mut day = until.map_or(i64::MAX, day_of);
        let first = since.map_or(i64::MIN, day_of);
        while let Some(here) = self.day_down(day).map_err(failed)?.filter(|here| *here >= first) {
            let room = limit.saturating_sub(found.len());
            found.extend(self.find_on(here, &hashes, before, room).map_err(failed)?);
            if found.len() >= limit {
                break;
            }
            day = here.saturating_sub(1);
        }
        Ok(found)
    }

    /// The last day with entries that is not after this one.
    fn day_down(&self, day: i64) -> rusqlite::Result<Option<i64>> {
        self.db.prepare_cached("SELECT max(day) FROM term WHERE day <= ?1")?.query_row([day], |row| row.get(0))
    }

    fn find_on(&self, day: i64, hashes: &[i64], before: i64, limit: usize) -> rusqlite::Result<Vec<u64>> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let count = |leaf: rusqlite::Result<i64>| leaf.map(|leaf| u64::try_from(leaf).unwrap_or(0));
        let Some(rarest) = self.rarest(day, hashes)? else {
            let sql = "SELECT DISTINCT leaf FROM entry WHERE day = ?1 AND leaf < ?2 ORDER BY leaf DESC LIMIT ?3";
            let mut query = self.db.prepare_cached(sql)?;
            return query.query_map((day, before, limit), |row| row.get(0))?.map(count).collect();
        };
        let sql = "SELECT leaf FROM term WHERE day = ?1 AND hash = ?2 AND leaf < ?3 ORDER BY leaf DESC";
        let mut query = self.db.prepare_cached(sql)?;
        let mut also = self.db.prepare_cached("SELECT 1 FROM term WHERE day = ?1 AND hash = ?2 AND leaf = ?3")?;
        let mut rows = query.query((day, rarest, before))?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let leaf: i64 = row.get(0)?;
            let mut all = true;
            for hash in hashes.iter().filter(|hash| **hash != rarest) {
                all = all && also.exists((day, hash, leaf))?;
            }
            if all {
                found.push(u64::try_from(leaf).unwrap_or(0));
                if i64::try_from(found.len()).unwrap_or(i64::MAX) >= limit {
                    break;
                }
            }
        }
        Ok(found)
    }

    /// The term that the fewest entries of a day carry, as far as a short count tells.
    fn rarest(&self, day: i64, hashes: &[i64]) -> rusqlite::Result<Option<i64>> {
        if let [only] = hashes {
            return Ok(Some(*only));
        }
        let sql = "SELECT count(*) FROM (SELECT 1 FROM term WHERE day = ?1 AND hash = ?2 LIMIT 1000)";
        let mut query = self.db.prepare_cached(sql)?;
        let mut best: Option<(i64, i64)> = None;
        for hash in hashes {
            let count: i64 = query.query_row((day, hash), |row| row.get(0))?;
            if best.is_none_or(|(least, _)| count < least) {
                best = Some((count, *hash));
            }
        }
        Ok(best.map(|(_, hash)| hash))
    }

    /// Removes what was erased and told by an entry. False when a reader keeps old pages alive.
    pub(crate) fn forget(&mut self, keys: &KeyTable, told: u64) -> Result<bool, TrailError> {
        let mut from = 0;
        while from < told {
            let to = told.min(from.saturating_add(10_000));
            let rows = keys.leaves(from, to)?;
            let tx = self.db.transaction().map_err(failed)?;
            for row in rows.iter().filter(|row| row.erased == Some(told)) {
                let leaf = signed(row.number);
                let remove = || -> rusqlite::Result<()> {
                    let day = tx
                        .prepare_cached("DELETE FROM entry WHERE leaf = ?1 RETURNING day")?
                        .query_row([leaf], |row| row.get::<_, i64>(0))
                        .optional()?;
                    if let Some(day) = day {
                        tx.prepare_cached("DELETE FROM term WHERE day = ?1 AND leaf = ?2")?.execute((day, leaf))?;
                    }
                    Ok(())
                };
                remove().map_err(failed)?;
            }
            tx.commit().map_err(failed)?;
            from = to;
        }
        empty_log(&self.db).map_err(failed)
    }

    /// All rows of a span of entries, to compare two indexes.
    pub(crate) fn rows(&self, from: u64, to: u64) -> Result<BTreeSet<(i64, i64, i64)>, TrailError> {
        let sql =
            "SELECT term.day, hash, term.leaf FROM entry JOIN term ON term.day = entry.day AND term.leaf = entry.leaf
                   WHERE entry.leaf >= ?1 AND entry.leaf < ?2";
        let read = || -> rusqlite::Result<BTreeSet<(i64, i64, i64)>> {
            let mut query = self.db.prepare_cached(sql)?;
            let rows =
                query.query_map((signed(from), signed(to)), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
            rows.collect()
        };
        read().map_err(failed)
    }
}

fn ours(db: &Connection) -> rusqlite::Result<bool> {
    let pragma = |name| db.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    Ok((pragma("application_id")?, pragma("user_version")?) == (APPLICATION_ID, VERSION))
}

fn day_of(at: Timestamp) -> i64 {
    at.millis().div_euclid(DAY)
}

/// A keyed hash: eight octets are enough, hits are looked at again.
pub(crate) fn hash(key: &[u8; 32], term: &str) -> i64 {
    let mac = hmac_sha256(key, &[term.as_bytes()]);
    i64::from_be_bytes(mac.first_chunk().copied().unwrap_or_default())
}

/// The rows that an entry must have in an index.
pub(crate) fn rows_of(key: &[u8; 32], leaf: u64, records: &[Record]) -> BTreeSet<(i64, i64, i64)> {
    let day = records.first().map(|record| day_of(record.at));
    let row = |term: String| day.map(|day| (day, hash(key, &term), signed(leaf)));
    terms(records).into_iter().filter_map(row).collect()
}

/// What an entry can be found by. Every term is `kind:value`, lower case where case does not count.
pub(crate) fn terms(records: &[Record]) -> BTreeSet<String> {
    let mut terms = BTreeSet::new();
    let add = |kind: &str, value: &str| {
        if !value.is_empty() {
            terms.insert(format!("{kind}:{value}"));
        }
    };
    let mut add = add;
    for record in records {
        if let Some(id) = record.message {
            add("id", id.as_str());
        }
        if let Some(party) = &record.recipient {
            add_party(&mut add, "to", party);
        }
        add("event", record.event.id());
        add_facts(&mut add, &record.event);
    }
    terms
}

fn add_party(add: &mut impl FnMut(&str, &str), kind: &str, party: &crate::Party) {
    add(kind, &party.to_string());
    if let crate::Party::Mailbox(address) = party {
        add("domain", address.domain().as_str());
    }
}

fn add_speaker(add: &mut impl FnMut(&str, &str), speaker: &crate::Speaker) {
    add("by", speaker.id.as_str());
    if let Some(certificate) = speaker.certificate {
        add("certificate", &certificate.to_string());
    }
}

fn add_connection(add: &mut impl FnMut(&str, &str), connection: &crate::ConnectionFacts) {
    add("peer", &connection.peer);
    if let Some(certificate) = connection.tls.as_ref().and_then(|tls| tls.peer) {
        add("certificate", &certificate.to_string());
    }
}

fn add_delivery(add: &mut impl FnMut(&str, &str), delivery: &crate::DeliveryFacts) {
    add("destination", &delivery.destination);
    add("peer", delivery.address.as_deref().unwrap_or_default());
    if let Some(operator) = &delivery.operator {
        add("operator", operator.as_str());
    }
    if let Some(certificate) = delivery.tls.as_ref().and_then(|tls| tls.peer) {
        add("certificate", &certificate.to_string());
    }
}

fn add_facts(add: &mut impl FnMut(&str, &str), event: &Event) {
    match event {
        Event::Accepted(facts) => {
            facts.from.iter().chain(&facts.author).for_each(|party| add_party(add, "from", party));
            add("message-id", facts.message_id.as_ref().map_or("", |id| id.as_str()));
            add("digest", &facts.digest.to_string());
            facts.speaker.iter().for_each(|speaker| add_speaker(add, speaker));
            facts.connection.iter().for_each(|connection| add_connection(add, connection));
        }
        Event::Authenticated { connection, speaker } => {
            add_connection(add, connection);
            add_speaker(add, speaker);
        }
        Event::AuthenticationRefused { connection, certificate, refusal } => {
            add_connection(add, connection);
            add("reason", &refusal.reason);
            if let Some(certificate) = certificate {
                add("certificate", &certificate.to_string());
            }
        }
        Event::ConnectionRefused { peer, refusal, .. } => {
            add("peer", peer);
            add("reason", &refusal.reason);
        }
        Event::SenderRefused { from, speaker, refusal } | Event::RecipientRefused { from, speaker, refusal } => {
            from.iter().for_each(|party| add_party(add, "from", party));
            speaker.iter().for_each(|speaker| add_speaker(add, speaker));
            add("reason", &refusal.reason);
        }
        Event::ContentRefused { from, message_id, speaker, refusal } => {
            from.iter().for_each(|party| add_party(add, "from", party));
            speaker.iter().for_each(|speaker| add_speaker(add, speaker));
            add("message-id", message_id.as_ref().map_or("", |id| id.as_str()));
            add("reason", &refusal.reason);
        }
        Event::Judged(verdict) => verdict.signer.iter().for_each(|signer| add_speaker(add, signer)),
        Event::Sealed { digest, .. } => add("digest", &digest.to_string()),
        Event::Queued { destination, .. } => add("destination", destination),
        Event::Attempted { delivery, .. } | Event::Delivered { delivery, .. } => add_delivery(add, delivery),
        Event::Deferred { delivery, reason, .. } | Event::Failed { delivery, reason, .. } => {
            add_delivery(add, delivery);
            add("reason", reason);
        }
        Event::OperatorAction { operator, .. } => add("by", operator.as_str()),
        Event::PartnerCertificate { certificate, by, .. } => {
            add("certificate", &certificate.to_string());
            add("by", by.as_str());
        }
        Event::TrailRead { reader, .. } => add("by", reader.as_str()),
        Event::CheckpointSeen { domain, signer, .. } => {
            add("domain", domain.as_str());
            add("certificate", &signer.to_string());
        }
        _ => {}
    }
}
