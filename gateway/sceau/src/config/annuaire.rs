//! What an operator may say about the professional directory.

use std::{path::PathBuf, time::Duration};

use serde::Deserialize;

use super::{Environment, Inactive, Mailboxes, PublishTo, Refresh, Second, Size, Span};
use crate::fetch::{Limits, Place, Rules, Scheme};

/// Shortest time between two questions: the national files come out once a day.
const MIN_EVERY: Duration = Duration::from_secs(15 * 60);
/// Longest.
const MAX_EVERY: Duration = Duration::from_secs(7 * 24 * 3600);
/// Most that one file may have as it comes (it is in memory until it is on disk): the whole load must stay within
/// what is promised (design §6).
const MAX_FILE: u64 = 512 * 1024 * 1024;
/// Longest fetch of one file.
const TOTAL: Duration = Duration::from_secs(3600);

/// The professional directory: where it lies, and where new extracts come from.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Annuaire {
    /// Folder made by `sceau annuaire load`; none: no directory is consulted and answers say so.
    pub data: Option<PathBuf>,
    /// Folder that new extracts are put into by somebody else: what lies there is loaded when it has changed.
    pub from: Option<PathBuf>,
    /// Addresses of the extracts (`https` only: they carry no signature, so the server must be known by the anchors
    /// of `[trust]`). They are asked every [`Self::every`] and loaded when one of them has changed.
    pub fetch: Vec<Place>,
    /// How often the addresses are asked; the moment is this installation's own.
    pub every: Span,
    /// Largest file that is fetched, as it comes (zipped, if it is).
    pub max: Size,
    /// From which age of the data on somebody is told.
    pub stale_after: Span,
    /// The life of our own mailboxes.
    pub mailboxes: Mailboxes,
    /// The directory that they are made known in, as they are opened, changed and closed.
    pub publish: Option<PublishTo>,
    /// What becomes of those that nobody uses; none: nobody measures.
    pub inactive: Option<Inactive>,
    /// Another directory that may be asked about one person.
    pub second: Option<Second>,
}

impl Default for Annuaire {
    fn default() -> Self {
        Self {
            data: None,
            from: None,
            fetch: Vec::new(),
            every: Span(Duration::from_secs(6 * 3600)),
            max: Size(256 * 1024 * 1024),
            stale_after: Span(annuaire::STALE_AFTER),
            mailboxes: Mailboxes::default(),
            publish: None,
            inactive: None,
            second: None,
        }
    }
}

impl Annuaire {
    /// The sites that may be asked, at the addresses that `[refresh]` fixes.
    pub fn rules(&self, refresh: &Refresh) -> Rules {
        let rules = self.fetch.iter().fold(Rules::new(), Rules::place);
        refresh.addresses.iter().fold(rules, |rules, (host, address)| rules.address(host, *address))
    }

    /// The deadlines of one fetch: those of `[refresh]`, but these files are large.
    pub fn limits(&self, refresh: &Refresh) -> Limits {
        Limits { total: TOTAL, ..refresh.limits() }
    }

    /// What is contradictory or unsafe.
    pub(super) fn faults(&self, environment: Environment, found: &mut Vec<String>) {
        if self.data.is_none() && (self.from.is_some() || !self.fetch.is_empty()) {
            found.push("annuaire.data is needed beside from and fetch: where what is loaded is to lie".to_owned());
        }
        if self.from.is_some() && !self.fetch.is_empty() {
            found.push(
                "annuaire.from and annuaire.fetch exclude each other: one place decides what is loaded".to_owned(),
            );
        }
        if self.fetch.iter().any(|place| place.scheme() != Scheme::Https) {
            found.push("annuaire.fetch: https only, for nothing else tells who wrote an extract".to_owned());
        }
        if self.every.0 < MIN_EVERY || self.every.0 > MAX_EVERY {
            found.push("annuaire.every must be from 15m to 7d".to_owned());
        }
        if self.max.0 == 0 || self.max.0 > MAX_FILE {
            found.push("annuaire.max must be more than nothing and at most 512MB".to_owned());
        }
        if self.stale_after.0.is_zero() {
            found.push("annuaire.stale_after must be longer than nothing".to_owned());
        }
        self.mailboxes.faults(found);
        if let Some(publish) = &self.publish {
            publish.faults(found);
        }
        if let Some(inactive) = &self.inactive {
            inactive.faults(environment, found);
        }
        if let Some(second) = &self.second {
            second.faults(found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<String> {
        let mut found = Vec::new();
        toml::from_str::<Annuaire>(text).unwrap().faults(Environment::Production, &mut found);
        found
    }

    #[test]
    fn only_servers_that_can_be_known_are_asked() {
        assert!(faults("").is_empty());
        assert!(faults("[inactive]\nclose_after = \"400d\"").is_empty());
        assert!(faults("data = \"d\"\nfrom = \"f\"").is_empty());
        assert!(faults("data = \"d\"\nfetch = [\"https://annuaire.exemple.test/x\"]").is_empty());
        for wrong in [
            "from = \"f\"",
            "fetch = [\"https://annuaire.exemple.test/x\"]",
            "data = \"d\"\nfetch = [\"http://annuaire.exemple.test/x\"]",
            "data = \"d\"\nfrom = \"f\"\nfetch = [\"https://annuaire.exemple.test/x\"]",
            "every = \"1m\"",
            "max = \"2000MB\"",
            "stale_after = \"0s\"",
            "[inactive]\nclose_after = \"364d\"",
            "[inactive]\nclose_after = \"400d\"\nnotice = \"1d\"",
            "[inactive]\nwarn_after = \"400d\"\nclose_after = \"400d\"",
            "[second]\nfrom = \"http://annuaire.exemple.test\"",
            "[second]\nfrom = \"https://annuaire.exemple.test\"\nkey = \"k\"",
            "[second]\nfrom = \"https://annuaire.exemple.test\"\ntimeout = \"61s\"",
            "[second]\nfrom = \"https://annuaire.exemple.test\"\nmax = \"5MB\"",
            "[publish]\nto = \"http://annuaire.exemple.test\"\ncertificate = \"c\"\nkey = \"k\"",
            "[publish]\nto = \"https://annuaire.exemple.test\"\ncertificate = \"c\"\nkey = \"k\"\nretry = \"0s\"",
        ] {
            assert_eq!(faults(wrong).len(), 1, "{wrong}");
        }
    }
}
