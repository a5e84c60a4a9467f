//! Watching tokens and certificates while the service runs: readiness, alarms, warnings, gauges.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use ident::Timestamp;
use pki::keys::{Token, TokenFault};
use tokio::sync::watch;
use trail::{Event, Record};

use super::expiry::{Told, crossed, days_left, watched};
use crate::{gateway::Gateway, snapshot::Snapshot};

/// How often tokens are asked whether they are there.
const TICK: Duration = Duration::from_secs(1);
/// The alarm of a reload that brought keys which may not serve.
const REFUSED: &str = "keys-refused";

/// How one token stands, for metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenGauge {
    /// Its label.
    pub label: String,
    /// Why it cannot be used.
    pub fault: Option<TokenFault>,
    /// Sessions at work or ready.
    pub open: usize,
    /// Most sessions.
    pub limit: usize,
}

/// How long one of our certificates lasts, for metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateGauge {
    /// What it does.
    pub role: String,
    /// When it ends, in seconds since 1970.
    pub not_after: i64,
    /// Whole days that are left.
    pub days_left: u64,
    /// At how many days before the end somebody was warned last.
    pub warning: Option<u64>,
}

/// All that the metrics page says about keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyGauges {
    /// Tokens.
    pub tokens: Vec<TokenGauge>,
    /// Certificates.
    pub certificates: Vec<CertificateGauge>,
}

impl KeyGauges {
    /// As things stand.
    pub fn of(snapshot: &Snapshot, now: Timestamp) -> Self {
        let token = |token: &Arc<Token>| {
            let standing = token.standing();
            let label = token.label().to_owned();
            TokenGauge { label, fault: standing.fault, open: standing.open, limit: standing.limit }
        };
        let certificate = |one: super::expiry::Watched| CertificateGauge {
            role: one.role,
            not_after: one.ends.seconds(),
            days_left: days_left(one.ends, now),
            warning: crossed(one.ends, now),
        };
        Self {
            tokens: snapshot.keys.tokens().map(token).collect(),
            certificates: watched(snapshot).into_iter().map(certificate).collect(),
        }
    }

    /// Tokens that cannot be used, and why: what readiness asks.
    pub fn faults(&self) -> impl Iterator<Item = (&str, &TokenFault)> {
        self.tokens.iter().filter_map(|token| Some((token.label.as_str(), token.fault.as_ref()?)))
    }
}

/// Watches the tokens until `stopping` turns true.
pub async fn tokens(gateway: Arc<Gateway>, mut stopping: watch::Receiver<bool>) {
    let mut alarms: BTreeMap<String, TokenFault> = BTreeMap::new();
    loop {
        let tokens: Vec<Arc<Token>> = gateway.snapshot().keys.tokens().cloned().collect();
        let labels: Vec<String> = tokens.iter().map(|token| token.label().to_owned()).collect();
        for token in tokens {
            let label = token.label().to_owned();
            // Not a place for cryptography: a token that hangs must not hold up those who work.
            let found = tokio::task::spawn_blocking(move || token.check()).await;
            if let Ok(found) = found {
                tell(&gateway, &mut alarms, &label, found.err());
            }
        }
        let gone: Vec<String> = alarms.keys().filter(|label| !labels.contains(label)).cloned().collect();
        gone.iter().for_each(|label| tell(&gateway, &mut alarms, label, None));
        tokio::select! {
            () = tokio::time::sleep(TICK) => {}
            _ = stopping.wait_for(|stopping| *stopping) => return,
        }
    }
}

/// Says what changed.
fn tell(gateway: &Gateway, alarms: &mut BTreeMap<String, TokenFault>, label: &str, fault: Option<TokenFault>) {
    let code = || format!("token-unavailable:{label}");
    match fault {
        Some(fault) if alarms.get(label) != Some(&fault) => {
            tracing::error!(token = label, %fault, "not ready: mail that needs this token is deferred");
            if !alarms.contains_key(label) {
                let text = gateway.masker.text(&fault.to_string());
                gateway.record(Record::new(gateway.now(), Event::AlarmRaised { code: code(), text }));
            }
            alarms.insert(label.to_owned(), fault);
        }
        None if alarms.remove(label).is_some() => {
            tracing::info!(token = label, "the token is back, or not needed any more: mail goes on");
            gateway.record(Record::new(gateway.now(), Event::AlarmCleared { code: code() }));
            gateway.wake.notify_one();
        }
        Some(_) | None => {}
    }
}

/// Raises or ends the alarm of new keys that were refused, after a reload.
pub fn refused(gateway: &Gateway) {
    let snapshot = gateway.snapshot();
    let code = || REFUSED.to_owned();
    match snapshot.keys.kept.first() {
        Some(problem) => {
            let text = gateway.masker.text(&problem.to_string());
            if gateway.standing.of(REFUSED).as_ref() != Some(&text) {
                gateway.record(Record::new(gateway.now(), Event::AlarmRaised { code: code(), text }));
            }
        }
        None if gateway.standing.of(REFUSED).is_some() => {
            tracing::info!(alarm = REFUSED, "the alarm is over");
            gateway.record(Record::new(gateway.now(), Event::AlarmCleared { code: code() }));
        }
        None => {}
    }
}

/// Warns of certificates that end, until `stopping` turns true.
pub async fn certificates(gateway: Arc<Gateway>, mut stopping: watch::Receiver<bool>) {
    let data = gateway.data();
    let mut told = Told::read(&data);
    loop {
        warn(&gateway, &data, &mut told);
        tokio::select! {
            () = tokio::time::sleep(TICK) => {}
            _ = stopping.wait_for(|stopping| *stopping) => return,
        }
    }
}

/// Tells what is due: to the log, to the trail, and to the memory that outlives us.
fn warn(gateway: &Gateway, data: &Path, told: &mut Told) {
    let (before, now) = (told.clone(), gateway.now());
    for warning in told.due(&watched(&gateway.snapshot()), now) {
        let (role, ends, days) = (warning.watched.role, warning.watched.ends, warning.days);
        if warning.threshold == 0 {
            tracing::error!(role, %ends, "a certificate of ours has ended: others refuse what we do with it");
        } else {
            tracing::warn!(role, %ends, days, "a certificate of ours ends soon: ask for the next one (sceau pki request)");
        }
        let event = Event::CertificateExpiring {
            role: gateway.masker.text(&role),
            certificate: warning.watched.certificate,
            ends,
            threshold: warning.threshold,
        };
        gateway.record(Record::new(now, event));
    }
    if *told != before
        && let Err(error) = told.write(data)
    {
        tracing::warn!(%error, "which warnings were given could not be written down; they may be given again");
    }
}
