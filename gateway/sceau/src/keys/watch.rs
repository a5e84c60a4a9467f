//! Watching tokens and certificates while the service runs: readiness, alarms, warnings, gauges.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use ident::Timestamp;
use pki::keys::{Token, TokenFault};
use tokio::sync::watch;
use trail::{Event, Record};

use super::expiry::{Told, days_left, watched};
use crate::{gateway::Gateway, snapshot::Snapshot};

/// How often tokens are asked whether they are there.
const TICK: Duration = Duration::from_secs(1);
/// How often certificates are looked at.
const LOOK: Duration = Duration::from_secs(3600);

/// How one token stands, for metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenGauge {
    /// Its label.
    pub label: String,
    /// 1 when it can be used.
    pub up: bool,
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
            let up = standing.fault.is_none();
            TokenGauge { label: token.label().to_owned(), up, open: standing.open, limit: standing.limit }
        };
        let certificate = |one: super::expiry::Watched| CertificateGauge {
            role: one.role,
            not_after: one.ends.seconds(),
            days_left: days_left(one.ends, now),
        };
        Self {
            tokens: snapshot.keys.tokens().map(token).collect(),
            certificates: watched(snapshot).into_iter().map(certificate).collect(),
        }
    }

    /// Whether every token can be used: what readiness asks.
    pub fn ready(&self) -> bool {
        self.tokens.iter().all(|token| token.up)
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
        alarms.retain(|label, _| labels.contains(label));
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
            tracing::info!(token = label, "the token is back: mail goes on");
            gateway.record(Record::new(gateway.now(), Event::AlarmCleared { code: code() }));
            gateway.wake.notify_one();
        }
        Some(_) | None => {}
    }
}

/// Warns of certificates that end, until `stopping` turns true.
pub async fn certificates(gateway: Arc<Gateway>, mut stopping: watch::Receiver<bool>) {
    loop {
        warn(&gateway);
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = gateway.keys_changed.notified() => {}
            _ = stopping.wait_for(|stopping| *stopping) => return,
        }
    }
}

/// Tells what is due: to the log, to the trail, and to the memory that outlives us.
fn warn(gateway: &Gateway) {
    let (data, now) = (gateway.data(), gateway.now());
    let before = Told::read(&data);
    let mut told = before.clone();
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
    if told != before
        && let Err(error) = told.write(&data)
    {
        tracing::warn!(%error, "which warnings were given could not be written down; they may be given again");
    }
}
