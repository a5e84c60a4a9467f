//! What every engine must do, as tests. An engine brings a [`Harness`] and calls
//! [`crate::contract_suite!`].
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)] // tests
#![allow(clippy::arithmetic_side_effects)]
#![allow(missing_docs)] // the names of the cases say it

mod delivery;
mod intake;
mod machine;
mod orders;
mod questions;
mod samples;

use std::{
    future::Future,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::{Thread, current, park},
};

pub use delivery::*;
pub use intake::*;
pub use machine::*;
pub use orders::*;
pub use questions::*;
pub use samples::*;

use crate::Store;

/// An engine under test.
pub trait Harness: Sized {
    /// The engine.
    type Store: Store;

    /// A store with nothing in it.
    fn empty() -> Self;

    /// The store.
    fn store(&self) -> &Self::Store;

    /// The store as another process finds it after this one was killed now.
    fn killed(self) -> Self;
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits for a future on this thread: the store needs no runtime.
pub fn wait<T>(future: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(value) => return value,
            Poll::Pending => park(),
        }
    }
}

/// One test for each case of the contract.
#[macro_export]
macro_rules! contract_suite {
    ($harness:ty) => {
        $crate::contract_suite!(@ $harness:
            accepted_survives_a_kill, large_bodies_survive_a_kill, staged_bodies_are_read_back,
            all_or_nothing, ids_are_taken_once, malformed_changes_are_refused,
            repetitions_get_the_first_id, what_is_no_repetition_is_queued, repetitions_are_known_after_a_kill,
            recipients_of_one_body_come_together, nobody_gets_work_twice, leases_end_and_late_outcomes_are_refused,
            renewal_and_release, outcomes_end_recipients_and_messages, a_thousand_recipients_share_one_body,
            destinations_take_turns, excluded_destinations_get_nothing, everything_expires_whatever_the_stage,
            interrupted_deliveries_begin_again,
            failures_are_not_tried_again_after_a_kill, orders_wait_for_the_outcome, orders_survive_a_kill,
            held_is_not_delivered, rerouted_goes_the_other_way,
            the_outbox_keeps_its_order, released_records_do_not_come_back, events_of_a_message,
            found_by_message_id, lists_are_filtered_and_paged, counts_add_up, the_next_due_is_known,
            ended_messages_are_forgotten, a_store_has_a_name_of_its_own, every_accepted_message_ends,
        );
    };
    (@ $harness:ty: $($case:ident),+ $(,)?) => {
        $(#[test] fn $case() { $crate::contract::$case::<$harness>(); })+
    };
}
