//! Load on a store through its own API: submitters that wait for their commit, and deliverers.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ident::{Clock, SystemClock};
use store::{Changes, ClaimRequest, SqliteOptions, SqliteStore, Step, Store, Update, Work};
use tests::bench::machine::{Pace, pace};
use tests::bench::traffic::Traffic;
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use trail::SafeText;

/// Messages handed over at once, each by a task that waits for its answer.
pub(crate) const SUBMITTERS: usize = 256;
/// Pieces of work that a claim asks for: as the gateway's delivery does.
const CLAIM: usize = 64;
/// Deliveries under way at most.
const DELIVERERS: usize = 256;
/// Messages between submission and delivery at most.
const UNDER_WAY: usize = 1024;

/// A store under load.
pub(crate) struct Subject {
    pub(crate) store: Arc<SqliteStore>,
    traffic: Arc<Traffic>,
    next: Arc<AtomicU64>,
}

impl Subject {
    pub(crate) fn open(folder: &Path, first: u64) -> Self {
        let (store, _) = SqliteStore::open(folder, SqliteOptions::default()).unwrap();
        let next = Arc::new(AtomicU64::new(first));
        Self { store: Arc::new(store), traffic: Arc::new(Traffic::new(1000, 200)), next }
    }

    /// Messages accepted durably, over so long. They stay in the queue.
    pub(crate) fn accept(&self, runtime: &Runtime, octets: usize, time: Duration) -> Pace {
        let until = Instant::now() + time;
        pace(|| self.submit(runtime, octets, Duration::from_secs(3600), move |_| Instant::now() < until))
    }

    /// Queues so many messages that are due in an hour.
    pub(crate) fn fill(&self, runtime: &Runtime, octets: usize, count: u64) {
        let end = self.next.load(Ordering::SeqCst) + count;
        self.submit(runtime, octets, Duration::from_secs(3600), move |number| number < end);
    }

    fn submit(
        &self,
        runtime: &Runtime,
        octets: usize,
        delay: Duration,
        more: impl Fn(u64) -> bool + Clone + Send + 'static,
    ) -> u64 {
        let done = Arc::new(AtomicU64::new(0));
        runtime.block_on(async {
            let mut tasks = JoinSet::new();
            for _ in 0..SUBMITTERS {
                let (store, traffic) = (Arc::clone(&self.store), Arc::clone(&self.traffic));
                let (next, done, more) = (Arc::clone(&self.next), Arc::clone(&done), more.clone());
                tasks.spawn(async move {
                    loop {
                        let number = next.fetch_add(1, Ordering::SeqCst);
                        if !more(number) {
                            return;
                        }
                        let now = SystemClock.now();
                        let message = traffic.message(number, octets, now, now.plus(delay));
                        store.commit(Changes::message(message)).await.unwrap();
                        done.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
            while let Some(ended) = tasks.join_next().await {
                ended.unwrap();
            }
        });
        done.load(Ordering::SeqCst)
    }

    /// So many messages go all the way: accepted, claimed, their bodies read, delivered, and the outbox emptied
    /// behind them.
    pub(crate) fn through(&self, runtime: &Runtime, octets: usize, count: u64) -> Pace {
        pace(|| {
            self.deliveries(runtime, octets, count);
            count
        })
    }

    fn deliveries(&self, runtime: &Runtime, octets: usize, count: u64) {
        let end = self.next.load(Ordering::SeqCst) + count;
        let room = Arc::new(Semaphore::new(UNDER_WAY));
        runtime.block_on(async {
            let mut tasks = JoinSet::new();
            for _ in 0..SUBMITTERS {
                let (store, traffic) = (Arc::clone(&self.store), Arc::clone(&self.traffic));
                let (next, room) = (Arc::clone(&self.next), Arc::clone(&room));
                tasks.spawn(async move {
                    loop {
                        room.acquire().await.unwrap().forget();
                        let number = next.fetch_add(1, Ordering::SeqCst);
                        if number >= end {
                            // Whoever waits behind us must see the end too.
                            room.add_permits(1);
                            return;
                        }
                        let now = SystemClock.now();
                        let message = traffic.message(number, octets, now, now);
                        store.commit(Changes::message(message)).await.unwrap();
                    }
                });
            }
            let mut outbox = JoinSet::new();
            outbox.spawn(empty_outbox(Arc::clone(&self.store)));
            deliver(Arc::clone(&self.store), Arc::clone(&room), count).await;
            while let Some(ended) = tasks.join_next().await {
                ended.unwrap();
            }
            outbox.shutdown().await;
        });
    }
}

/// Delivers until so many messages have ended.
async fn deliver(store: Arc<SqliteStore>, room: Arc<Semaphore>, count: u64) {
    let mut outcomes = JoinSet::new();
    let (mut claimed, mut ended) = (0, 0);
    while ended < count {
        let mut nothing = claimed >= count;
        if !nothing {
            let request = ClaimRequest::new(CLAIM, Duration::from_secs(600), SystemClock.now());
            let work = store.claim(request).await.unwrap();
            nothing = work.is_empty();
            for piece in work {
                claimed += 1;
                let (store, room) = (Arc::clone(&store), Arc::clone(&room));
                outcomes.spawn(async move {
                    let body = piece.body.body.clone().unwrap();
                    store.body(&body).await.unwrap().bytes(1 << 20).unwrap();
                    store.commit(outcome(&piece)).await.unwrap();
                    room.add_permits(1);
                });
            }
        }
        while (nothing && !outcomes.is_empty()) || outcomes.len() >= DELIVERERS {
            outcomes.join_next().await.unwrap().unwrap();
            ended += 1;
            nothing = nothing && claimed >= count;
        }
        if nothing && outcomes.is_empty() && ended < count {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

/// What the trail does to the store, without the trail: takes rows and releases them.
async fn empty_outbox(store: Arc<SqliteStore>) {
    loop {
        let rows = store.take_outbox(2000).await.unwrap();
        if let Some(last) = rows.last() {
            store.release_outbox(last.number).await.unwrap();
        }
        if rows.len() < 2000 {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }
}

fn outcome(work: &Work) -> Changes {
    let now = SystemClock.now();
    let step = Step::Delivered { at: now, reply: SafeText::of("250 2.0.0 ok") };
    let update = |recipient: &store::Recipient| Update {
        message: work.info.id,
        recipient: recipient.index,
        lease: Some(work.lease.token),
        step: step.clone(),
    };
    let record = |recipient: &store::Recipient| {
        let delivery = trail::DeliveryFacts {
            destination: work.destination.to_string(),
            host: Some("mx.op1.exemple.test".to_owned()),
            address: Some("198.51.100.9:25".to_owned()),
            reply: Some(SafeText::of("250 2.0.0 ok")),
            ..trail::DeliveryFacts::default()
        };
        trail::Record::new(now, trail::Event::Delivered { number: recipient.progress.attempts + 1, delivery })
            .of_message(work.info.id)
    };
    Changes {
        updates: work.recipients.iter().map(update).collect(),
        records: work.recipients.iter().map(record).collect(),
        ..Changes::default()
    }
}
