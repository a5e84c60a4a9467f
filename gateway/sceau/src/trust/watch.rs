//! What somebody must look at, raised when it begins and cleared when it is over.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use ident::{Fingerprint, Timestamp};
use store::{Changes, Filter, Message, Page, Recipient, Standing, State, Step, Store as _, StoreError, Update};
use tokio::sync::watch;
use trail::{Event, Record};

use super::Stamp;
use crate::{
    delivery::{End, stops},
    gateway::Gateway,
    queued::Notes,
    snapshot::Snapshot,
};

/// How often the state is looked at: what an order or a list changed, what time ended.
const TICK: Duration = Duration::from_secs(1);
/// Messages looked at together.
const PAGE: usize = 200;

/// Everything about the trust list that is not as it should be at this moment: code and words.
pub(crate) fn alarms(snapshot: &Snapshot, at: Timestamp) -> BTreeMap<&'static str, String> {
    let mut alarms: BTreeMap<&'static str, String> = BTreeMap::new();
    for (code, what) in &snapshot.held.troubles {
        let words = alarms.entry(code).or_default();
        if !words.is_empty() {
            words.push_str("; ");
        }
        words.push_str(what);
    }
    let generated = snapshot.trust_list.generated();
    if at.since(generated) > snapshot.config.trust.alarm_after.0 {
        let what = format!("the trust list was generated {generated}: look at its publication");
        alarms.insert("trust-list-age", what);
    }
    let waiting = snapshot.waiting(at).count();
    if waiting > 0 {
        let until = snapshot.waiting(at).filter_map(|struck| struck.waits_until).max().unwrap_or(at);
        let what = format!(
            "{waiting} domains lost operators abnormally fast: their mail waits, the last until {until}; if that is \
             meant, `sceau trust accept`"
        );
        alarms.insert("trust-list-shrunk", what);
    }
    let orders = &snapshot.orders;
    let open = orders.grants().iter().filter(|grant| grant.entry.holds(at)).map(ToString::to_string);
    let open: Vec<String> = open.collect();
    if !open.is_empty() {
        alarms.insert("break-glass", open.join("; "));
    }
    if let Some(why) = orders.trouble() {
        alarms.insert("orders-unreadable", format!("{why}: the orders before stay in force"));
    } else if !orders.idle().is_empty() {
        alarms.insert("orders-idle", orders.idle().join("; "));
    }
    alarms
}

/// What stands in the way of mail at a moment: when this changes, what waits is looked at again.
type InTheWay = (Fingerprint, Stamp, usize, usize);

fn in_the_way(snapshot: &Snapshot, at: Timestamp) -> InTheWay {
    let blocks = snapshot.orders.blocks().iter().filter(|block| block.holds(at)).count();
    (snapshot.trust_list.digest(), snapshot.orders.stamp(), blocks, snapshot.waiting(at).count())
}

/// What was said and seen so far.
#[derive(Debug, Default)]
pub struct Watch {
    said: BTreeMap<&'static str, String>,
    seen: Option<InTheWay>,
}

impl Watch {
    /// Says what began and what is over since the last look, and wakes what waits in the queue when what
    /// stood in its way has changed.
    pub async fn look(&mut self, gateway: &Gateway) {
        self.say(gateway);
        let now = Some(in_the_way(&gateway.snapshot(), gateway.now()));
        let free = now.is_some_and(|(.., blocks, waiting)| blocks == 0 && waiting == 0);
        if self.seen == now || (self.seen.is_none() && free) {
            self.seen = now;
            return;
        }
        match wake(gateway).await {
            Ok(0) => self.seen = now,
            Ok(count) => {
                tracing::info!(count, "mail that an order or the trust list concerns is looked at again");
                gateway.wake.notify_one();
                self.seen = now;
            }
            // It stays to be done.
            Err(error) => tracing::error!(%error, "mail that waits could not be looked at"),
        }
    }

    fn say(&mut self, gateway: &Gateway) {
        let now = alarms(&gateway.snapshot(), gateway.now());
        for code in self.said.keys().filter(|code| !now.contains_key(*code)) {
            tracing::info!(alarm = code, "the alarm is over");
            gateway.record(Record::new(gateway.now(), Event::AlarmCleared { code: (*code).to_owned() }));
        }
        // The same alarm for another reason is news: a second exception, another refused file.
        for (code, what) in now.iter().filter(|(code, what)| self.said.get(*code) != Some(what)) {
            tracing::error!(alarm = code, what, "the trust list needs a look");
            let text = gateway.masker.text(what);
            gateway.record(Record::new(gateway.now(), Event::AlarmRaised { code: (*code).to_owned(), text }));
        }
        self.said = now;
    }
}

/// Brings forward what waited and need not any more, and what is stopped from now on: the next attempt says
/// which, and writes it down. Gives how many.
async fn wake(gateway: &Gateway) -> Result<usize, StoreError> {
    let mut woken: usize = 0;
    let mut after = None;
    loop {
        let filter = Filter { standing: Some(Standing::Active), ..Filter::default() };
        let page = gateway.store.list(filter, Page { after, limit: PAGE }).await?;
        let Some(last) = page.last() else { return Ok(woken) };
        after = Some(last.info.id);
        let now = gateway.now();
        for message in &page {
            for recipient in message.recipients.iter().filter(|it| concerned(gateway, message, it, now)) {
                let step = Step::Retry { due: now };
                let update = Update { message: message.info.id, recipient: recipient.index, lease: None, step };
                match gateway.store.commit(Changes { updates: vec![update], ..Changes::default() }).await {
                    Ok(_) => woken = woken.saturating_add(1),
                    Err(error) if error.is_temporary() => return Err(error),
                    // It is being tried at this moment, or has ended: both will do.
                    Err(_) => {}
                }
            }
        }
    }
}

fn concerned(gateway: &Gateway, message: &Message, recipient: &Recipient, at: Timestamp) -> bool {
    if !matches!(recipient.progress.state, State::Queued { due, .. } if due > at) {
        return false;
    }
    let sender = message.info.envelope.sender.as_ref();
    let notes = Notes::beside(&message.info);
    let stop = stops::stop(&gateway.snapshot(), notes.bearer(), sender, &recipient.address, &recipient.destination, at);
    let goes_on_waiting = matches!(stop, Some(End::Waiting { .. })) && stops::was_stopped(recipient);
    (stop.is_some() || stops::was_stopped(recipient)) && !goes_on_waiting
}

/// Watches until `stopping` turns true.
pub async fn watch(gateway: Arc<Gateway>, mut stopping: watch::Receiver<bool>) {
    let mut watch = Watch::default();
    loop {
        watch.look(&gateway).await;
        tokio::select! {
            () = tokio::time::sleep(TICK) => {}
            _ = stopping.wait_for(|stopping| *stopping) => return,
        }
    }
}
