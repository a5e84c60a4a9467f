//! One answer from a thread to a task, whatever runtime the task lives in.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

struct Slot<T> {
    value: Option<T>,
    waker: Option<Waker>,
    gone: bool,
}

/// Gives the answer.
pub(crate) struct Answer<T>(Arc<Mutex<Slot<T>>>);

/// Waits for it; `None` when it will never come.
pub(crate) struct Waiting<T>(Arc<Mutex<Slot<T>>>);

/// Both ends.
pub(crate) fn oneshot<T>() -> (Answer<T>, Waiting<T>) {
    let slot = Arc::new(Mutex::new(Slot { value: None, waker: None, gone: false }));
    (Answer(Arc::clone(&slot)), Waiting(slot))
}

fn lock<T>(slot: &Mutex<Slot<T>>) -> MutexGuard<'_, Slot<T>> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T> Answer<T> {
    /// Answers. The drop that follows wakes the task.
    pub(crate) fn send(self, value: T) {
        lock(&self.0).value = Some(value);
    }
}

impl<T> Drop for Answer<T> {
    fn drop(&mut self) {
        let mut slot = lock(&self.0);
        slot.gone = true;
        let waker = slot.waker.take();
        drop(slot);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<T> Future for Waiting<T> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        let mut slot = lock(&self.0);
        if let Some(value) = slot.value.take() {
            return Poll::Ready(Some(value));
        }
        if slot.gone {
            return Poll::Ready(None);
        }
        slot.waker = Some(context.waker().clone());
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn answers_across_threads_and_ends_without_answer() {
        let (answer, waiting) = oneshot();
        let thread = std::thread::spawn(move || answer.send(7));
        assert_eq!(waiting.await, Some(7));
        thread.join().unwrap();
        let (answer, waiting) = oneshot::<u8>();
        drop(answer);
        assert_eq!(waiting.await, None);
    }
}
