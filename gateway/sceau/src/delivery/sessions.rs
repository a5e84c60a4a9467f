//! Sessions kept open for a moment after a message, so that the next one to the same server needs no
//! new handshake. Whether the peer may still have our mail is judged again for each message.

use std::{
    net::SocketAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use ident::Fingerprint;
use smtp::{ClientOptions, Envelope, TlsUse};
use tokio::task::JoinSet;

use super::talk::{Carried, Judge, Line, Session, TalkError};
use crate::queued::Load;

/// How long a session may wait for its next message.
const IDLE: Duration = Duration::from_secs(10);
/// How old a session may become; peers have limits of their own.
const OLDEST: Duration = Duration::from_secs(300);
/// How many messages one session may carry.
const MESSAGES: u32 = 1000;
/// How many sessions may wait.
const WAITING: usize = 200;

/// The sessions that wait.
#[derive(Default)]
pub(super) struct Sessions {
    waiting: Mutex<Vec<Waiting>>,
}

/// Sessions with the same key can carry each other's messages.
#[derive(PartialEq, Eq, Clone)]
struct Key {
    address: SocketAddr,
    host: String,
    /// Our own certificate: after a reload nobody should see the old one.
    identity: Fingerprint,
    options: ClientOptions,
}

struct Waiting {
    key: Key,
    kept: Kept,
    since: Instant,
}

struct Kept {
    session: Session,
    opened: Instant,
    carried: u32,
}

impl Sessions {
    /// Carries one message over a session that waits, or over a fresh one.
    ///
    /// # Errors
    /// See [`TalkError`]: nothing was handed over.
    pub(super) async fn carry<J: Judge>(
        &self,
        line: &Line<'_>,
        judge: &mut J,
        envelope: Envelope,
        body: &Load,
    ) -> Result<Carried, TalkError> {
        let key = Key {
            address: line.address,
            host: line.host.to_owned(),
            identity: line.identity.certificate().fingerprint(),
            options: line.options.clone(),
        };
        while let Some(mut kept) = self.take(&key) {
            if !kept.session.is_quiet().await {
                continue;
            }
            if !still_trusted(&kept.session, &key, judge) {
                tokio::spawn(kept.session.quit());
                continue;
            }
            let carried = kept.session.carry(envelope.clone(), body).await;
            if !carried.came_too_late() {
                self.keep(key, kept);
                return Ok(carried);
            }
        }
        let session = Session::open(line, judge).await?;
        let mut kept = Kept { session, opened: Instant::now(), carried: 0 };
        let carried = kept.session.carry(envelope, body).await;
        self.keep(key, kept);
        Ok(carried)
    }

    /// Ends sessions that have waited too long.
    pub(super) fn end_idle(&self) {
        let now = Instant::now();
        let ended: Vec<_> = self.lock().extract_if(.., |waiting| now.duration_since(waiting.since) >= IDLE).collect();
        for waiting in ended {
            tokio::spawn(waiting.kept.session.quit());
        }
    }

    /// Ends all sessions that wait.
    pub(super) async fn end_all(&self) {
        let all = std::mem::take(&mut *self.lock());
        let goodbyes: JoinSet<()> = all.into_iter().map(|waiting| waiting.kept.session.quit()).collect();
        goodbyes.join_all().await;
    }

    /// The one used last: it is the most likely to be alive.
    fn take(&self, key: &Key) -> Option<Kept> {
        let mut waiting = self.lock();
        let at = waiting.iter().rposition(|waiting| waiting.key == *key)?;
        Some(waiting.remove(at).kept)
    }

    fn keep(&self, key: Key, mut kept: Kept) {
        if !kept.session.is_ready() {
            return;
        }
        kept.carried = kept.carried.saturating_add(1);
        let now = Instant::now();
        if kept.carried >= MESSAGES || now.duration_since(kept.opened) >= OLDEST {
            tokio::spawn(kept.session.quit());
            return;
        }
        let mut waiting = self.lock();
        waiting.push(Waiting { key, kept, since: now });
        if waiting.len() > WAITING {
            let longest = waiting.remove(0);
            tokio::spawn(longest.kept.session.quit());
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Judged by what TLS showed when the session began, with the world as it is now.
fn still_trusted<J: Judge>(session: &Session, key: &Key, judge: &mut J) -> bool {
    match session.facts() {
        Some(facts) => judge.judge(facts).is_ok(),
        None => key.options.tls != TlsUse::Required,
    }
}

#[cfg(test)]
#[path = "sessions_tests.rs"]
mod tests;
