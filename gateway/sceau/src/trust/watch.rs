//! What somebody must look at, raised when it begins and cleared when it is over.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use ident::Timestamp;
use tokio::sync::watch;
use trail::{Event, Record};

use crate::{gateway::Gateway, snapshot::Snapshot};

/// How often the state is looked at: what an order or a list changed, what time ended.
const TICK: Duration = Duration::from_secs(1);

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
    alarms
}

/// What was said so far.
#[derive(Debug, Default)]
pub struct Watch {
    said: BTreeMap<&'static str, String>,
}

impl Watch {
    /// Says what began and what is over since the last look.
    pub fn look(&mut self, gateway: &Gateway) {
        let now = alarms(&gateway.snapshot(), gateway.now());
        for code in self.said.keys().filter(|code| !now.contains_key(*code)) {
            tracing::info!(alarm = code, "the alarm is over");
            gateway.record(Record::new(gateway.now(), Event::AlarmCleared { code: (*code).to_owned() }));
        }
        for (code, what) in now.iter().filter(|(code, _)| !self.said.contains_key(*code)) {
            tracing::error!(alarm = code, what, "the trust list needs a look");
            let text = gateway.masker.text(what);
            gateway.record(Record::new(gateway.now(), Event::AlarmRaised { code: (*code).to_owned(), text }));
        }
        self.said = now;
    }
}

/// Watches until `stopping` turns true.
pub async fn watch(gateway: Arc<Gateway>, mut stopping: watch::Receiver<bool>) {
    let mut watch = Watch::default();
    loop {
        watch.look(&gateway);
        tokio::select! {
            () = tokio::time::sleep(TICK) => {}
            _ = stopping.wait_for(|stopping| *stopping) => return,
        }
    }
}
