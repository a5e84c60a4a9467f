//! Time stamps beside our signatures (RFC 3161): fetched through the one bounded fetcher, judged by their own
//! anchors. What proves *when* is never a reason to trust *who*.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use ident::Timestamp;
use pki::{
    path::{Purpose, RevocationMode, Validator, ValidatorBuilder, Verdict},
    timestamp::{Asking, MAX_ANSWER, TimeStamp, TimestampFault, Token},
};
use tokio::sync::Semaphore;

use crate::{
    config::{Environment, Loaded, Problem, Timestamps, read_bytes},
    fetch::{AnchoredServers, Answer, Fetcher, Kind, Limits, Lines, Place, Request, Rules, Undetermined},
    gateway::Gateway,
    snapshot::{Snapshot, one_certificate},
};

/// Signatures that wait for their stamps at once: each holds a thread.
const WAITING: usize = 64;
/// Largest revocation list.
const MAX_LIST: u64 = 64 * 1024 * 1024;

/// The authority that we ask, and those that we believe.
pub struct Stamps {
    place: Option<Place>,
    rules: Rules,
    required: bool,
    patience: Duration,
    drift: Duration,
    rest: Duration,
    validator: Validator,
    waiting: Semaphore,
    /// Milliseconds of the epoch: until then it is not asked, because it just failed.
    resting: AtomicI64,
}

impl Stamps {
    /// What the configuration says; none when it says nothing.
    ///
    /// # Errors
    /// A file that cannot be used.
    pub(crate) fn load(loaded: &Loaded) -> Result<Option<Self>, Problem> {
        let Some(section) = &loaded.config.seal.timestamp else { return Ok(None) };
        let place = section.url.as_deref().map(Place::parse).transpose();
        let place = place.map_err(|error| Problem::of("seal.timestamp.url", error.to_string()))?;
        let rules = place.as_ref().map_or_else(Rules::new, |place| Rules::new().place(place));
        let rules = section.addresses.iter().fold(rules, |rules, (host, ip)| rules.address(host, *ip));
        Ok(Some(Self {
            place,
            rules,
            required: section.required,
            patience: section.patience.0,
            drift: section.drift.0,
            rest: section.rest.0,
            validator: validator(loaded, section)?,
            waiting: Semaphore::new(WAITING),
            resting: AtomicI64::new(i64::MIN),
        }))
    }

    /// Whether an authority may be believed.
    ///
    /// # Errors
    /// [`TimestampFault`] for a certificate that no path makes good.
    pub(crate) fn judge(&self, stamp: &TimeStamp, at: Timestamp) -> Result<Verdict, TimestampFault> {
        stamp.judge(&self.validator, at)
    }

    /// Whether signatures of ours are to be stamped.
    pub(crate) const fn asks(&self) -> bool {
        self.place.is_some()
    }

    /// Whether a message without a stamp is not taken.
    pub(crate) const fn is_required(&self) -> bool {
        self.required
    }

    /// A stamp for a signature: asked for, and judged like anybody's.
    ///
    /// # Errors
    /// A sentence for the trail. The authority is then left alone for a moment.
    pub(crate) fn stamp(&self, gateway: &Gateway, signature: &[u8], now: Timestamp) -> Result<Token, String> {
        let Some(place) = &self.place else { return Err("no authority is configured".to_owned()) };
        if now.millis() < self.resting.load(Ordering::Relaxed) {
            return Err(format!("{place} failed a moment ago"));
        }
        let _slot = self.waiting.try_acquire().map_err(|_| format!("{WAITING} signatures wait for {place} already"))?;
        let mut nonce = [0u8; 8];
        openssl::rand::rand_bytes(&mut nonce).map_err(|error| error.to_string())?;
        let asking = Asking::new(signature, nonce);
        let snapshot = gateway.snapshot();
        let outcome = gateway.aside(self.ask(&snapshot, place, &asking, now))?.and_then(|answer| {
            let token = asking.token(&answer, gateway.now(), self.drift).map_err(|fault| fault.to_string())?;
            match self.judge(token.stamp(), gateway.now()) {
                Ok(Verdict::Valid(_)) => Ok(token),
                Ok(Verdict::Invalid(finding) | Verdict::Undetermined(finding)) => Err(finding.to_string()),
                Err(fault) => Err(fault.to_string()),
            }
        });
        outcome.map_err(|why| {
            self.resting.store(gateway.now().plus(self.rest).millis(), Ordering::Relaxed);
            format!("{place}: {why}")
        })
    }

    async fn ask(
        &self,
        snapshot: &Snapshot,
        place: &Place,
        asking: &Asking,
        now: Timestamp,
    ) -> Result<Vec<u8>, String> {
        let limits = Limits { connect: self.patience, first_octet: self.patience, total: self.patience, redirects: 0 };
        let lines = Lines::new().map_err(|error| error.to_string())?;
        let fetcher = Fetcher::new(self.rules.clone(), limits, Arc::new(lines));
        let question = asking.request();
        let request = Request { place, kind: Kind::TimeStamp, most: MAX_ANSWER, held: None, question: Some(&question) };
        // The answer is signed; who handed it over matters little.
        let trust = AnchoredServers { validator: &snapshot.validator, at: now, undetermined: Undetermined::Accepted };
        match fetcher.fetch(&request, &trust).await {
            Ok(Answer::New { octets, .. }) => Ok(octets),
            Ok(Answer::Unchanged) => Err("it says that nothing changed, and was not asked that".to_owned()),
            Err(error) => Err(error.fault.to_string()),
        }
    }
}

fn validator(loaded: &Loaded, section: &Timestamps) -> Result<Validator, Problem> {
    let mode = match section.crls.is_empty() {
        true => RevocationMode::NotJudged,
        false => RevocationMode::Required { grace: loaded.config.trust.grace.0 },
    };
    let mut builder =
        ValidatorBuilder::new().test_category(loaded.config.operator.environment == Environment::Test).revocation(mode);
    for anchor in &section.anchors {
        let path = loaded.path(&anchor.file);
        let certificate = one_certificate(&path)?;
        if certificate.fingerprint() != anchor.sha256 {
            let found = certificate.fingerprint();
            let what = format!("has SHA-256 {found}, but the configuration pins {}", anchor.sha256);
            return Err(Problem::of(path, what));
        }
        builder = builder.anchor(Purpose::Any, certificate);
    }
    for file in &section.crls {
        let path = loaded.path(file);
        let octets = read_bytes(&path, MAX_LIST)?;
        builder = builder.crl(&octets).map_err(|error| Problem::of(path, error.to_string()))?;
    }
    builder.build().map_err(|error| Problem::of("seal.timestamp", error.to_string()))
}
