//! Warnings before certificates end: at 60, 30 and 7 days, each once, across restarts.
//!
//! A national certificate is renewed on request only, and the request takes weeks (PKI-8).

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use ident::{Fingerprint, Timestamp};
use pki::certificate::Certificate;
use serde::{Deserialize, Serialize};

use crate::snapshot::Snapshot;

/// Days before the end at which somebody is told; 0 is the end itself.
pub const THRESHOLDS: [u64; 4] = [60, 30, 7, 0];
/// File of what was told, in the data folder.
const FILE: &str = "expiry-told";

/// A certificate of ours that somebody has to renew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watched {
    /// What it does: `tls`, `signing ch-exemple.test`, `decryption ch-exemple.test`.
    pub role: String,
    /// The certificate.
    pub certificate: Fingerprint,
    /// When it ends.
    pub ends: Timestamp,
}

/// A warning that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// What ends.
    pub watched: Watched,
    /// Which threshold was crossed.
    pub threshold: u64,
    /// Whole days that are left.
    pub days: u64,
}

/// What was told already: for each role and certificate the lowest threshold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told(BTreeMap<String, u64>);

/// Whole days until `ends`.
pub fn days_left(ends: Timestamp, now: Timestamp) -> u64 {
    ends.since(now).as_secs().div_euclid(86_400)
}

/// The nearest threshold that is behind us, if any is.
pub fn crossed(ends: Timestamp, now: Timestamp) -> Option<u64> {
    let ahead = |threshold: u64| now.plus(Duration::from_secs(threshold.saturating_mul(86_400)));
    THRESHOLDS.into_iter().filter(|threshold| ends <= ahead(*threshold)).min()
}

/// What has to be renewed: for each role the certificate that lasts longest. Where the next one is in place
/// already, the end of the current one needs nobody's attention.
pub fn watched(snapshot: &Snapshot) -> Vec<Watched> {
    let mut all = vec![Watched {
        role: "tls".to_owned(),
        certificate: snapshot.tls.certificate().fingerprint(),
        ends: snapshot.tls.certificate().not_after(),
    }];
    for own in snapshot.domains.values() {
        all.extend(longest(format!("signing {}", own.name), own.keys.signing.certificates()));
        all.extend(longest(format!("decryption {}", own.name), own.keys.reading.certificates()));
    }
    all
}

fn longest<'a>(role: String, certificates: impl Iterator<Item = &'a Certificate>) -> Option<Watched> {
    let last = certificates.max_by_key(|certificate| certificate.not_after())?;
    Some(Watched { role, certificate: last.fingerprint(), ends: last.not_after() })
}

impl Told {
    /// What is due now, and is told by this: of several thresholds crossed at once only the nearest.
    pub fn due(&mut self, watched: &[Watched], now: Timestamp) -> Vec<Warning> {
        let key = |one: &Watched| format!("{} {}", one.role, one.certificate);
        let current: BTreeMap<String, u64> = watched.iter().filter_map(|one| self.0.remove_entry(&key(one))).collect();
        // What is in service no more is forgotten.
        self.0 = current;
        let mut warnings = Vec::new();
        for one in watched {
            let days = days_left(one.ends, now);
            let Some(threshold) = crossed(one.ends, now) else { continue };
            if self.0.get(&key(one)).is_none_or(|told| threshold < *told) {
                self.0.insert(key(one), threshold);
                warnings.push(Warning { watched: one.clone(), threshold, days });
            }
        }
        warnings
    }

    /// What earlier runs told. A file that cannot be read means that it is told again: rather twice than never.
    pub fn read(data: &Path) -> Self {
        fs::read(data.join(FILE)).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
    }

    /// Keeps it.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn write(&self, data: &Path) -> io::Result<()> {
        let path: PathBuf = data.join(FILE);
        let aside = path.with_extension("new");
        let mut file = File::create(&aside)?;
        file.write_all(&serde_json::to_vec(self).map_err(io::Error::other)?)?;
        file.sync_all()?;
        fs::rename(&aside, &path)?;
        File::open(data)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    fn at(days: u32) -> Timestamp {
        Timestamp::from_seconds(1_790_000_000).plus(DAY * days)
    }

    fn one(number: u8, ends: Timestamp) -> Watched {
        Watched { role: "signing ch-exemple.test".into(), certificate: Fingerprint::new([number; 32]), ends }
    }

    /// 60, 30 and 7 days before the end and at the end: each once, whatever restarts lie between.
    #[test]
    fn each_threshold_is_told_once_across_restarts() {
        let folder = tempfile::tempdir().unwrap();
        let watched = [one(1, at(100))];
        let mut told = Vec::new();
        for hour in 0..(101 * 24) {
            let now = at(0).plus(Duration::from_secs(3600 * hour));
            let mut memory = Told::read(folder.path());
            for warning in memory.due(&watched, now) {
                told.push((warning.threshold, hour / 24));
            }
            memory.write(folder.path()).unwrap();
        }
        assert_eq!(told, [(60, 40), (30, 70), (7, 93), (0, 100)]);
    }

    #[test]
    fn a_late_start_tells_the_nearest_only_and_a_new_certificate_begins_anew() {
        let mut told = Told::default();
        let thresholds = |warnings: Vec<Warning>| warnings.into_iter().map(|w| w.threshold).collect::<Vec<_>>();
        assert_eq!(thresholds(told.due(&[one(1, at(5))], at(0))), [7]);
        assert_eq!(thresholds(told.due(&[one(1, at(5))], at(1))), Vec::<u64>::new());
        assert_eq!(thresholds(told.due(&[one(2, at(400))], at(2))), Vec::<u64>::new());
        assert_eq!(thresholds(told.due(&[one(2, at(400))], at(371))), [30]);
        assert_eq!(told.0.len(), 1, "the old one is forgotten");
    }
}
