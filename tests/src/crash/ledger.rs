//! What was promised and what arrived, by Message-ID and recipient.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use crate::capture::Captured;

/// Marks our Message-IDs.
const DOMAIN: &str = "@crash.test";

/// The books of one run.
#[derive(Debug, Default)]
pub struct Ledger {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    acknowledged: BTreeMap<u64, Promise>,
    /// When, in seconds since 1970.
    when: BTreeMap<u64, f64>,
    delivered: BTreeMap<(u64, String), u32>,
    /// First arrivals, in seconds since 1970.
    arrived: BTreeMap<(u64, String), f64>,
    notified: BTreeSet<u64>,
}

fn now() -> f64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64()
}

/// What `250` promised about one message.
#[derive(Clone, Debug, Default)]
pub struct Promise {
    /// Recipients whose server takes mail.
    pub good: Vec<String>,
    /// Recipients whose server refuses: the sender is told.
    pub refused: Vec<String>,
}

/// The Message-ID of a message, without angle brackets.
#[must_use]
pub fn message_id(run: u64, number: u64) -> String {
    format!("c{run:x}.{number}{DOMAIN}")
}

/// The numbers in our Message-IDs, in the order of the text.
fn numbers(text: &str) -> impl Iterator<Item = u64> {
    text.match_indices(DOMAIN).filter_map(|(at, _)| {
        let before = &text[..at];
        let start = before.rfind(|c: char| !c.is_ascii_alphanumeric() && c != '.').map_or(0, |at| at + 1);
        before[start..].split_once('.')?.1.parse().ok()
    })
}

impl Ledger {
    /// A message was acknowledged.
    pub fn acknowledge(&self, number: u64, promise: Promise) {
        let mut state = self.state.lock().unwrap();
        state.acknowledged.insert(number, promise);
        state.when.insert(number, now());
        drop(state);
        self.changed.notify_all();
    }

    /// A message arrived at the end of its way.
    pub fn arrive(&self, captured: &Captured) {
        let text = String::from_utf8_lossy(&captured.message);
        let id = text
            .lines()
            .take_while(|line| !line.is_empty())
            .find_map(|line| line.get(..11).filter(|name| name.eq_ignore_ascii_case("message-id:")).map(|_| line));
        let mut state = self.state.lock().unwrap();
        match id.and_then(|line| numbers(line).next()) {
            Some(number) => {
                for recipient in &captured.recipients {
                    let address = recipient.split(['<', '>']).nth(1).unwrap_or(recipient).to_ascii_lowercase();
                    state.arrived.entry((number, address.clone())).or_insert_with(now);
                    *state.delivered.entry((number, address)).or_default() += 1;
                }
            }
            // A notice: it names the message that it is about.
            None => {
                let about: Vec<u64> = numbers(&text).collect();
                state.notified.extend(about);
            }
        }
        drop(state);
        self.changed.notify_all();
    }

    /// How many messages were acknowledged.
    #[must_use]
    pub fn acknowledged(&self) -> usize {
        self.state.lock().unwrap().acknowledged.len()
    }

    /// How many deliveries came again.
    #[must_use]
    pub fn duplicates(&self) -> u64 {
        self.state.lock().unwrap().delivered.values().map(|count| u64::from(*count) - 1).sum()
    }

    /// All promises.
    #[must_use]
    pub fn promises(&self) -> Vec<Promise> {
        self.state.lock().unwrap().acknowledged.values().cloned().collect()
    }

    /// What was promised before this moment (seconds since 1970), by message number.
    #[must_use]
    pub fn promised_before(&self, moment: f64) -> BTreeMap<u64, Promise> {
        let state = self.state.lock().unwrap();
        let early = |number: &u64| state.when.get(number).is_some_and(|when| *when < moment);
        state.acknowledged.iter().filter(|(number, _)| early(number)).map(|(n, p)| (*n, p.clone())).collect()
    }

    /// Whether a message has arrived at a recipient.
    #[must_use]
    pub fn has_arrived(&self, number: u64, recipient: &str) -> bool {
        self.state.lock().unwrap().delivered.contains_key(&(number, recipient.to_owned()))
    }

    /// Whether it had arrived before this moment (seconds since 1970).
    #[must_use]
    pub fn had_arrived(&self, number: u64, recipient: &str, moment: f64) -> bool {
        let state = self.state.lock().unwrap();
        state.arrived.get(&(number, recipient.to_owned())).is_some_and(|at| *at < moment)
    }

    /// Waits until `count` messages are acknowledged.
    pub fn wait_acknowledged(&self, count: usize, patience: Duration) -> bool {
        self.wait(patience, |state| state.acknowledged.len() >= count)
    }

    /// Waits until every promise is kept: each good recipient has the message, each sender of a
    /// refused one was told.
    ///
    /// # Errors
    /// What is missing.
    pub fn settle(&self, patience: Duration) -> Result<(), String> {
        if self.wait(patience, |state| state.missing().next().is_none()) {
            return Ok(());
        }
        let state = self.state.lock().unwrap();
        let missing: Vec<String> = state.missing().take(20).collect();
        Err(format!("{} promises are not kept, for example {missing:?}", state.missing().count()))
    }

    /// Waits until each good recipient has its message, whatever notices are still under way.
    pub fn delivered(&self, patience: Duration) -> bool {
        self.wait(patience, |state| state.undelivered().next().is_none())
    }

    fn wait(&self, patience: Duration, mut done: impl FnMut(&State) -> bool) -> bool {
        let deadline = Instant::now() + patience;
        let mut state = self.state.lock().unwrap();
        while !done(&state) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = self.changed.wait_timeout(state, left).unwrap().0;
        }
        true
    }
}

impl State {
    fn missing(&self) -> impl Iterator<Item = String> {
        let untold = self.acknowledged.iter().flat_map(|(number, promise)| {
            let refused = promise.refused.iter().filter(|_| !self.notified.contains(number));
            refused.map(move |to| format!("notice that {number} cannot reach {to}"))
        });
        self.undelivered().chain(untold)
    }

    fn undelivered(&self) -> impl Iterator<Item = String> {
        self.acknowledged.iter().flat_map(|(number, promise)| {
            let good = promise.good.iter().filter(|to| !self.delivered.contains_key(&(*number, (*to).clone())));
            good.map(move |to| format!("{number} to {to}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrived(message: &str, recipients: &[&str]) -> Captured {
        Captured {
            peer: None,
            tls: None,
            hello: String::new(),
            sender: String::new(),
            recipients: recipients.iter().map(|to| format!("<{to}> NOTIFY=NEVER")).collect(),
            message: message.as_bytes().to_vec(),
        }
    }

    #[test]
    fn a_promise_is_kept_when_every_recipient_has_it_and_every_refusal_is_told() {
        let ledger = Ledger::default();
        let id = message_id(0xab, 3);
        let promise = Promise { good: vec!["a@b.test".into(), "c@b.test".into()], refused: vec!["x@b.test".into()] };
        ledger.acknowledge(3, promise);
        let none = Duration::ZERO;
        ledger.arrive(&arrived(&format!("X: y\r\nMessage-ID: <{id}>\r\n\r\nbody"), &["A@b.test"]));
        let missing = ledger.settle(none).unwrap_err();
        assert!(missing.contains("3 to c@b.test") && missing.starts_with("2 promises"), "{missing}");
        ledger.arrive(&arrived(&format!("Message-ID: <{id}>\r\n\r\nbody"), &["c@b.test", "a@b.test"]));
        ledger.arrive(&arrived(&format!("Message-ID: <n@b.test>\r\n\r\nabout\r\nMessage-ID: <{id}>"), &["s@b.test"]));
        assert_eq!(ledger.settle(none), Ok(()));
        assert_eq!((ledger.duplicates(), ledger.acknowledged()), (1, 1));
    }
}
