//! What a running gateway does about its partners' files: looks for them, takes up approvals made at the
//! command line, writes every change of the ledger into the trail, and raises the alarms.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use ident::{StructureId, Timestamp};
use pki::book::{
    BookUse, Ledger, Standing,
    ledger::{Decision, How, LedgerEvent, Line},
};
use store::{Changes, Store as _};
use tokio::sync::watch;
use trail::{Event, Record};

use super::{LedgerFile, TakeError, source, take};
use crate::{gateway::Gateway, serve, snapshot::Snapshot};

/// How often the ledger is looked at: an approval is in force this soon.
const TICK: Duration = Duration::from_secs(1);
/// Certificates wait for somebody to look at them.
const PENDING: &str = "partner-certificates-pending";
/// A domain that was sealed for has no certificate in force.
const MISSING: &str = "partner-certificate-missing";
/// A file could not be had or was refused.
const REFUSED: &str = "partner-file-refused";
/// Most names in the text of an alarm.
const MAX_NAMES: usize = 20;

/// Runs until `stopping` turns true.
pub async fn run(gateway: Arc<Gateway>, mut stopping: watch::Receiver<bool>) {
    let mut watch = Watch::default();
    loop {
        watch.tick(&gateway).await;
        tokio::select! {
            () = tokio::time::sleep(TICK) => {}
            _ = stopping.wait_for(|stopping| *stopping) => return,
        }
    }
}

#[derive(Default)]
struct Watch {
    /// The ledger, and the octets that it was read from.
    held: Option<(u64, Ledger)>,
    /// The octets with which the last reload was ordered: one that fails is not repeated each second.
    ordered: u64,
    /// When each file is to be looked for next.
    due: BTreeMap<StructureId, Timestamp>,
    /// What went wrong last with each, so that it is told once.
    wrong: BTreeMap<StructureId, String>,
    /// Alarms that stand, with what they say.
    alarms: BTreeMap<&'static str, String>,
}

impl Watch {
    async fn tick(&mut self, gateway: &Arc<Gateway>) {
        let ledger = LedgerFile::below(&gateway.data());
        self.refresh(gateway, &ledger).await;
        let length = ledger.length();
        let known = gateway.snapshot().ledger_octets();
        if length != known && length != self.ordered {
            self.ordered = length;
            serve::reload(gateway).await;
            // A change that came in between is in force as well.
            let octets = gateway.snapshot().ledger_octets();
            if octets != known {
                tracing::info!(octets, "changes of the partners' certificates are in force");
            }
        }
        if let Err(error) = trail(gateway, &ledger).await {
            tracing::error!(error, "changes of the partners' certificates are not in the trail yet");
        }
        self.alarms(gateway);
    }

    /// Looks for the files whose time has come.
    async fn refresh(&mut self, gateway: &Arc<Gateway>, ledger: &LedgerFile) {
        let length = ledger.length();
        if self.held.as_ref().is_none_or(|(read, _)| *read != length) {
            match ledger.read() {
                Ok(read) => self.held = Some((length, read)),
                Err(error) => return tracing::error!(%error, "the partners' certificates cannot be read"),
            }
        }
        for (operator, location) in self.now_due(gateway) {
            match self.look(gateway, ledger, &operator, &location).await {
                Ok(()) => {
                    self.wrong.remove(&operator);
                }
                Err(error) => self.told(gateway, &operator, &location, &error),
            }
        }
    }

    /// The files whose time has come; each is due again a while later, whatever comes of it.
    fn now_due(&mut self, gateway: &Gateway) -> Vec<(StructureId, String)> {
        let Some((_, held)) = &self.held else { return Vec::new() };
        let now = gateway.now();
        let every = gateway.snapshot().config.partner_files.refresh.0;
        self.wrong.retain(|operator, _| held.sources().contains_key(operator));
        let mut due_now = Vec::new();
        for (operator, location) in held.sources() {
            let taken = held.files().get(operator).map(|file| file.taken.plus(every));
            let due = *self.due.entry(operator.clone()).or_insert(taken.unwrap_or(now));
            // A clock that was set back does not put it off for long.
            if now < due && due.since(now) <= every {
                continue;
            }
            self.due.insert(operator.clone(), now.plus(every));
            due_now.push((operator.clone(), location.clone()));
        }
        due_now
    }

    async fn look(
        &self,
        gateway: &Arc<Gateway>,
        ledger: &LedgerFile,
        operator: &StructureId,
        location: &str,
    ) -> Result<(), TakeError> {
        let fetched = source::read(location, &gateway.snapshot(), gateway.now()).await?;
        let (worker, ledger, operator) = (Arc::clone(gateway), ledger.clone(), operator.clone());
        let work = move || take(&ledger, &worker.snapshot(), &fetched, Some(&operator), "sceau", worker.now());
        let taken = match gateway.compute(work).await {
            Ok(outcome) => outcome?,
            Err(error) => return Err(super::SourceError::Url(location.to_owned(), error).into()),
        };
        if taken.news {
            tracing::info!(operator = %taken.operator, serial = taken.serial, location, "a partner published new certificates");
        }
        for what in &taken.left_out {
            tracing::warn!(operator = %taken.operator, location, "left out of a partner file: {what}");
        }
        Ok(())
    }

    /// Once for each different trouble.
    fn told(&mut self, gateway: &Gateway, operator: &StructureId, location: &str, error: &TakeError) {
        let said = error.to_string();
        if self.wrong.get(operator) == Some(&said) {
            return;
        }
        tracing::warn!(%operator, location, error = said, "a partner's file was not taken; the certificates held stay in force");
        let (location, reason) = (gateway.masker.text(location), gateway.masker.text(&said));
        gateway.record(Record::new(gateway.now(), Event::PartnerFileRefused { location, reason }));
        self.wrong.insert(operator.clone(), said);
    }

    fn alarms(&mut self, gateway: &Gateway) {
        let snapshot = gateway.snapshot();
        let wrong = self.wrong.iter().map(|(operator, said)| format!("{operator}: {said}"));
        let now = [
            (PENDING, pending(&snapshot)),
            (MISSING, missing(&snapshot, gateway.now())),
            (REFUSED, wrong.collect::<BTreeSet<_>>()),
        ];
        for (code, names) in now {
            let text = (!names.is_empty()).then(|| words(code, &names));
            if self.alarms.get(code) == text.as_ref() {
                continue;
            }
            match text {
                Some(text) => {
                    tracing::warn!(alarm = code, "{text}");
                    let told = gateway.masker.text(&text);
                    gateway
                        .record(Record::new(gateway.now(), Event::AlarmRaised { code: code.to_owned(), text: told }));
                    self.alarms.insert(code, text);
                }
                None => {
                    tracing::info!(alarm = code, "the alarm is over");
                    gateway.record(Record::new(gateway.now(), Event::AlarmCleared { code: code.to_owned() }));
                    self.alarms.remove(code);
                }
            }
        }
    }
}

fn words(code: &str, names: &BTreeSet<String>) -> String {
    let shown: Vec<&str> = names.iter().take(MAX_NAMES).map(String::as_str).collect();
    let more = names.len().saturating_sub(shown.len());
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    let what = match code {
        PENDING => "certificates of partners wait for approval (sceau partner list --pending)",
        MISSING => "mail is deferred, no certificate in force for (ask the partner, sceau partner list)",
        _ => "partner files that are not taken (sceau partner refresh)",
    };
    format!("{what}: {}{more}", shown.join(", "))
}

/// What waits for approval, in words.
pub fn pending(snapshot: &Snapshot) -> BTreeSet<String> {
    let waiting = snapshot.book.others().iter().filter(|(_, standing)| *standing == Standing::Pending);
    waiting.map(|(entry, _)| format!("{} {} {}", entry.owner, entry.usage, entry.certificate.fingerprint())).collect()
}

/// Domains to which mail has to be sealed, and for which nothing is in force that is not out of date.
pub fn missing(snapshot: &Snapshot, at: Timestamp) -> BTreeSet<String> {
    let entries = snapshot.book.entries().iter().chain(snapshot.book.others().iter().map(|(entry, _)| entry));
    let domains: BTreeSet<_> = entries.map(|entry| entry.owner.domain()).collect();
    let dark = domains.into_iter().filter(|domain| {
        let good = |it: &&pki::book::BookEntry| it.certificate.not_after() > at;
        snapshot.own(domain).is_none()
            && snapshot.book.knows(domain, BookUse::Reads)
            && !snapshot.book.domain_readers(domain).iter().any(good)
    });
    dark.map(ToString::to_string).collect()
}

/// Writes what the ledger says into the trail, once (a crash in between: twice).
async fn trail(gateway: &Gateway, ledger: &LedgerFile) -> Result<(), String> {
    let from = ledger.trailed();
    if ledger.length() <= from {
        return Ok(());
    }
    let (lines, to) = ledger.read_from(from).map_err(|error| error.to_string())?;
    let records: Vec<Record> = lines.iter().flat_map(|line| records(gateway, line)).collect();
    if to == from {
        return Ok(());
    }
    gateway.store.commit(Changes::records(records)).await.map_err(|error| error.to_string())?;
    ledger.set_trailed(to).map_err(|error| error.to_string())
}

fn records(gateway: &Gateway, line: &Line) -> Vec<Record> {
    let by = gateway.masker.text(&line.by);
    let certificate = |decision: &Decision, approved| Event::PartnerCertificate {
        operator: decision.operator.to_string(),
        owner: gateway.masker.text(&decision.what.owner),
        usage: decision.what.usage.to_string(),
        certificate: decision.what.certificate,
        approved,
        how: match decision.how {
            How::Operator => "operator",
            How::FirstContact => "first-contact",
            How::Configured => "configured",
        }
        .to_owned(),
        by: by.clone(),
        reason: line.reason.as_ref().map(|reason| gateway.masker.text(reason)),
    };
    let event = |event: &LedgerEvent| {
        Some(match event {
            LedgerEvent::Certificate { .. } => return None,
            LedgerEvent::Source { operator, location } => Event::PartnerSource {
                operator: operator.to_string(),
                location: Some(gateway.masker.text(location)),
                by: by.clone(),
            },
            LedgerEvent::SourceRemoved { operator } => {
                Event::PartnerSource { operator: operator.to_string(), location: None, by: by.clone() }
            }
            LedgerEvent::File(file) => Event::PartnerFileLoaded {
                operator: file.operator.to_string(),
                serial: file.serial,
                digest: file.file,
                signer: file.signer,
                expires: file.expires,
                location: gateway.masker.text(&file.location),
            },
            LedgerEvent::Approved(decision) => certificate(decision, true),
            LedgerEvent::Rejected(decision) => certificate(decision, false),
        })
    };
    line.events.iter().filter_map(event).map(|event| Record::new(line.at, event)).collect()
}
