//! The alarms that stand: whoever raises or ends one says so in the trail, and this listens.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use trail::{Event, SafeText};

/// Most alarms remembered: their codes are ours, but for the labels of tokens.
const MOST: usize = 1000;

/// Alarms by code, with what was said when they were raised.
#[derive(Debug, Default)]
pub struct Standing(Mutex<BTreeMap<String, SafeText>>);

impl Standing {
    /// Takes up what an event says about alarms; most say nothing.
    pub fn hear(&self, event: &Event) {
        match event {
            Event::AlarmRaised { code, text } => {
                let mut alarms = self.alarms();
                if alarms.len() < MOST || alarms.contains_key(code) {
                    alarms.insert(code.clone(), text.clone());
                }
            }
            Event::AlarmCleared { code } => drop(self.alarms().remove(code)),
            _ => {}
        }
    }

    /// What was said of an alarm, if it stands.
    pub fn of(&self, code: &str) -> Option<SafeText> {
        self.alarms().get(code).cloned()
    }

    /// The codes of all that stand.
    pub fn codes(&self) -> Vec<String> {
        self.alarms().keys().cloned().collect()
    }

    fn alarms(&self) -> MutexGuard<'_, BTreeMap<String, SafeText>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alarm_stands_until_its_end_and_their_number_is_bounded() {
        let standing = Standing::default();
        let raised = |code: &str| Event::AlarmRaised { code: code.to_owned(), text: SafeText::of("away") };
        standing.hear(&raised("token-unavailable:a"));
        standing.hear(&raised("token-unavailable:a"));
        standing.hear(&raised("storage-full"));
        assert_eq!(standing.codes(), ["storage-full", "token-unavailable:a"]);
        standing.hear(&Event::AlarmCleared { code: "storage-full".to_owned() });
        assert_eq!(standing.codes(), ["token-unavailable:a"]);
        assert!(standing.of("storage-full").is_none() && standing.of("token-unavailable:a").is_some());
        for number in 0..2 * MOST {
            standing.hear(&raised(&number.to_string()));
        }
        assert_eq!(standing.codes().len(), MOST);
    }
}
