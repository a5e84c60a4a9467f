//! Whether the gateway can keep what it takes charge of, and how it comes back after a fault.
//!
//! A disk that failed is not believed again until a probe has proven it well (CR4). Nobody has to
//! restart anything (CR5): until then connections get 421, the queue rests, and the alarm stands.

mod metrics;
pub mod pages;
mod readiness;
mod standing;

pub use readiness::{Readiness, Reason};
pub use standing::Standing;

use std::{sync::Arc, time::Duration};

use store::{Store as _, StoreError};
use tokio::sync::watch;
use trail::{Event, Record};

use crate::{gateway::Gateway, intake::REPEAT_WINDOW, rest::Spool};

/// How often the store is asked.
const TICK: Duration = Duration::from_secs(1);
/// The alarm of a store that takes nothing.
const DOWN: &str = "storage-unavailable";
/// The alarm of a store that drains but takes nothing new.
const FULL: &str = "storage-full";

/// The alarm of a spool that keeps no large message.
const SPOOL: &str = "spool-unavailable";
/// The alarm of a trail that cannot be written: its rows wait in the queue.
const TRAIL: &str = "trail-unavailable";

/// The alarm of rows of the queue that cannot be read: their messages wait for a person.
const DAMAGED: &str = "queue-damaged";
/// How often it is asked whether there are any, in ticks.
const LOOKS: u8 = 5;

/// Watches until `stopping` turns true.
pub async fn watch(gateway: Arc<Gateway>, mut stopping: watch::Receiver<bool>) {
    let (mut store, mut spool, mut trail, mut damaged) = (None, None, None, None);
    let mut ticks: u8 = 0;
    loop {
        tokio::select! {
            () = tokio::time::sleep(TICK) => {}
            _ = stopping.wait_for(|stopping| *stopping) => return,
        }
        // Told before it is mended: a fault of a moment is news, too.
        let trouble = gateway.ready();
        store = tell_store(&gateway, store, trouble.as_ref().err());
        if trouble.is_err() {
            let mended = look(&gateway).await;
            store = tell_store(&gateway, store, mended.as_ref().err());
        }
        let folder = gateway.data().join("spool");
        let trial = tokio::task::spawn_blocking(move || Spool::trial(&folder)).await;
        let trouble = trial.ok().and_then(Result::err).map(|error| (SPOOL, error.to_string()));
        spool = tell(&gateway, spool, trouble, "not ready: large messages are deferred");
        ticks = ticks.wrapping_add(1).checked_rem(LOOKS).unwrap_or(0);
        if ticks == 1
            && let Ok(aside) = gateway.store.set_aside().await
        {
            let trouble = aside.first().map(|first| (DAMAGED, format!("{} recipient(s): {first}", aside.len())));
            damaged = tell(&gateway, damaged, trouble, "rows of the queue cannot be read and are set aside");
        }
        let trouble = gateway.checkpoints.trouble().map(|error| (TRAIL, error));
        trail = tell(&gateway, trail, trouble, "the trail cannot be written, its rows wait in the queue");
    }
}

/// Brings the store back.
async fn look(gateway: &Arc<Gateway>) -> Result<(), StoreError> {
    gateway.store.probe().await?;
    gateway.ready()
}

fn tell_store(gateway: &Gateway, before: Option<&'static str>, trouble: Option<&StoreError>) -> Option<&'static str> {
    let alarm =
        |error: &StoreError| (if matches!(error, StoreError::Full(_)) { FULL } else { DOWN }, error.to_string());
    let now = tell(gateway, before, trouble.map(alarm), "not ready: new messages are deferred");
    if before.is_some() && now.is_none() {
        tracing::info!("ready: messages are accepted");
        gateway.wake.notify_one();
    }
    now
}

/// Says what changed: to the log at once, to the trail as soon as it can be written.
pub(crate) fn tell(
    gateway: &Gateway,
    before: Option<&'static str>,
    trouble: Option<(&'static str, String)>,
    meaning: &str,
) -> Option<&'static str> {
    let now = trouble.as_ref().map(|(code, _)| *code);
    if before == now {
        return now;
    }
    if let Some(code) = before {
        tracing::info!(alarm = code, "the alarm is over");
        gateway.record(Record::new(gateway.now(), Event::AlarmCleared { code: code.to_owned() }));
    }
    if let Some((code, error)) = trouble {
        tracing::error!(alarm = code, %error, "{meaning}");
        let text = gateway.masker.text(&error);
        gateway.record(Record::new(gateway.now(), Event::AlarmRaised { code: code.to_owned(), text }));
    }
    now
}

/// How often ended messages are looked for.
const SWEEP: Duration = Duration::from_secs(600);
/// Most ended messages forgotten at once.
const SWEPT_AT_ONCE: usize = 5000;

/// Forgets ended messages once no report about them can come any more: the queue is the only place
/// where a patient's address stands in clear, and it is no archive.
pub async fn forget(gateway: Arc<Gateway>, mut stopping: watch::Receiver<bool>) {
    loop {
        // A peer has as long as we have to give up, and starts when we end.
        let kept = gateway.schedule.lifetime.saturating_mul(2).max(REPEAT_WINDOW);
        match gateway.store.forget(gateway.now().minus(kept), SWEPT_AT_ONCE).await {
            Ok(0) | Err(StoreError::Unavailable(_)) => {}
            Ok(count) => tracing::debug!(count, "ended messages forgotten"),
            Err(error) => tracing::warn!(%error, "ended messages could not be forgotten"),
        }
        tokio::select! {
            () = tokio::time::sleep(SWEEP) => {}
            _ = stopping.wait_for(|stopping| *stopping) => return,
        }
    }
}
