//! The property that matters: whatever happens in whatever order, every accepted message ends, and
//! none is lost before.

use std::{cell::RefCell, collections::BTreeMap};

use ident::Timestamp;
use proptest::{prelude::*, test_runner::TestRunner};

use super::{Harness, samples::*, wait};
use crate::{Lease, QueueId, State, Step, Store, StoreError, Work};

#[derive(Debug, Clone)]
enum Happening {
    Accept { recipients: usize },
    Claim { limit: usize },
    Report { work: usize, kind: u8 },
    Release { work: usize },
    Order { message: usize, recipient: u32, kind: u8 },
    Later { minutes: u64 },
    Kill,
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        4 => (1usize..4).prop_map(|recipients| Happening::Accept { recipients }),
        4 => (1usize..5).prop_map(|limit| Happening::Claim { limit }),
        6 => (any::<usize>(), any::<u8>()).prop_map(|(work, kind)| Happening::Report { work, kind }),
        1 => any::<usize>().prop_map(|work| Happening::Release { work }),
        2 => (any::<usize>(), 0u32..4, any::<u8>())
            .prop_map(|(message, recipient, kind)| Happening::Order { message, recipient, kind }),
        3 => (1u64..2000).prop_map(|minutes| Happening::Later { minutes }),
        1 => Just(Happening::Kill),
    ]
}

/// What we believe about the store.
#[derive(Default)]
struct World {
    now: u64,
    next: u64,
    accepted: Vec<QueueId>,
    ended: BTreeMap<(QueueId, u32), State>,
    work: Vec<Work>,
}

pub fn every_accepted_message_ends<H: Harness>() {
    let runs = ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() };
    let plan = prop::collection::vec(happening(), 1..60);
    TestRunner::new(runs)
        .run(&plan, |plan| {
            let world = RefCell::new(World::default());
            let harness = plan.into_iter().fold(H::empty(), |harness, what| {
                let harness = world.borrow_mut().live(harness, what);
                world.borrow_mut().check(harness.store());
                harness
            });
            world.borrow_mut().end(harness.store());
            Ok(())
        })
        .unwrap();
}

impl World {
    fn now(&self) -> Timestamp {
        minutes(self.now)
    }

    fn live<H: Harness>(&mut self, harness: H, what: Happening) -> H {
        let store = harness.store();
        match what {
            Happening::Accept { recipients } => {
                self.next += 1;
                let names: Vec<_> = (0..recipients).map(|number| format!("r{number}@d{number}.test")).collect();
                let names: Vec<_> = names.iter().map(String::as_str).collect();
                let mut sent = message(self.next, &names);
                sent.accepted = self.now();
                sent.expires = self.now().plus(LIFE);
                self.accepted.push(accept(store, sent));
            }
            Happening::Claim { limit } => {
                let request = crate::ClaimRequest::new(limit, MINUTE * 10, self.now());
                for work in wait(store.claim(request)).unwrap() {
                    self.given(&work);
                    self.work.push(work);
                }
            }
            Happening::Report { work, kind } => self.report(store, work, kind),
            Happening::Release { work } => {
                if let Some(work) = self.take(work) {
                    let lease: Lease = work.lease;
                    let result = wait(store.release(&lease, self.now()));
                    assert!(matches!(result, Ok(()) | Err(StoreError::LeaseLost(_))), "{result:?}");
                }
            }
            Happening::Order { message, recipient, kind } => self.order(store, message, recipient, kind),
            Happening::Later { minutes } => self.now += minutes,
            Happening::Kill => return harness.killed(),
        }
        harness
    }

    /// Work is given for what has not ended and what nobody else holds.
    fn given(&self, work: &Work) {
        for recipient in &work.recipients {
            let key = (work.info.id, recipient.index);
            assert!(!self.ended.contains_key(&key), "{key:?} has ended and was given out");
            let clash = self.work.iter().find(|other| {
                other.info.id == key.0
                    && other.lease.until > self.now()
                    && other.recipients.iter().any(|r| r.index == key.1)
            });
            // After a kill the leases of before are void: they are forgotten below as they report.
            if let Some(clash) = clash {
                assert!(work.lease.token.0 >> 32 > clash.lease.token.0 >> 32, "{key:?} was given out twice");
            }
        }
    }

    fn take(&mut self, index: usize) -> Option<Work> {
        (!self.work.is_empty()).then(|| self.work.remove(index % self.work.len()))
    }

    fn report(&mut self, store: &impl Store, work: usize, kind: u8) {
        let Some(work) = self.take(work) else { return };
        let step = match kind % 5 {
            _ if work.expired => Step::Expired { at: self.now() },
            0 => delivered(self.now()),
            1 => failed(self.now()),
            2 => Step::Withheld { at: self.now(), reason: reason("quarantine") },
            _ => deferred(self.now().plus(MINUTE * u32::from(kind))),
        };
        match report(store, &work, &step) {
            Ok(_) => work.recipients.iter().for_each(|recipient| self.note(store, work.info.id, recipient.index)),
            Err(StoreError::LeaseLost(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }

    fn order(&mut self, store: &impl Store, message: usize, recipient: u32, kind: u8) {
        if self.accepted.is_empty() {
            return;
        }
        let id = self.accepted[message % self.accepted.len()];
        let step = match kind % 4 {
            0 => cancel(self.now()),
            1 => hold(self.now()),
            2 => Step::Release { due: self.now() },
            _ => Step::Retry { due: self.now() },
        };
        match order(store, id, recipient, step) {
            Ok(_) => self.note(store, id, recipient),
            Err(StoreError::Transition { .. } | StoreError::NotFound(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }

    /// A state that has ended is remembered, and must have been open before.
    fn note(&mut self, store: &impl Store, id: QueueId, recipient: u32) {
        let state = states(store, id).remove(usize::try_from(recipient).unwrap());
        if state.is_ended() {
            assert_eq!(self.ended.insert((id, recipient), state), None, "a recipient ended twice");
        }
    }

    /// Acknowledged ⊆ queued ∪ ended, the body is there as long as anybody needs it, everything
    /// that has not ended wakes in time, and what ended stays as it ended.
    fn check(&self, store: &impl Store) {
        for id in &self.accepted {
            let message = get(store, *id);
            assert_eq!(message.bodies[0].body.is_some(), !message.is_ended());
            for recipient in &message.recipients {
                let key = (*id, recipient.index);
                let state = &recipient.progress.state;
                assert_eq!(state.is_ended().then_some(state), self.ended.get(&key), "{key:?}");
                let wake = recipient.progress.wake(message.info.expires);
                assert_eq!(wake.is_none(), state.is_ended());
                assert!(wake.is_none_or(|wake| wake <= message.info.expires));
            }
        }
        let open = self.accepted.iter().filter(|id| !get(store, **id).is_ended()).count();
        assert_eq!(wait(store.counts()).unwrap().messages, u64::try_from(open).unwrap());
    }

    /// At the end of time one claim gives out everything that is left, and all of it ends.
    fn end(&mut self, store: &impl Store) {
        self.now += 20 * 24 * 60;
        let work = claim(store, self.now());
        for work in work {
            assert!(work.expired);
            report(store, &work, &Step::Expired { at: self.now() }).unwrap();
            work.recipients.iter().for_each(|recipient| self.note(store, work.info.id, recipient.index));
        }
        self.check(store);
        assert!(self.accepted.iter().all(|id| get(store, *id).is_ended()));
    }
}
