//! A few threads with something each: read connections, or nothing but patience for the disk.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, Sender, channel},
    },
    thread::{Builder, JoinHandle},
};

use crate::{
    StoreError,
    oneshot::{Waiting, oneshot},
};

type Work<S> = Box<dyn FnOnce(&mut S) + Send>;

/// The threads. Dropping it lets them finish what waits.
pub(crate) struct Pool<S> {
    work: Option<Sender<Work<S>>>,
    threads: Vec<JoinHandle<()>>,
}

impl<S: Send + 'static> Pool<S> {
    /// One thread for each state.
    pub(crate) fn new(name: &str, states: Vec<S>) -> Result<Self, StoreError> {
        let (sender, receiver) = channel::<Work<S>>();
        let receiver = Arc::new(Mutex::new(receiver));
        let mut pool = Self { work: Some(sender), threads: Vec::new() };
        for state in states {
            let receiver = Arc::clone(&receiver);
            let thread = Builder::new().name(name.to_owned()).spawn(move || serve(&receiver, state));
            pool.threads.push(thread.map_err(|error| StoreError::Unavailable(error.to_string()))?);
        }
        Ok(pool)
    }

    /// Hands work over; the answer is `None` only when the thread is gone.
    pub(crate) fn run<T: Send + 'static>(&self, work: impl FnOnce(&mut S) -> T + Send + 'static) -> Waiting<T> {
        let (answer, waiting) = oneshot();
        if let Some(sender) = &self.work {
            // When the threads are gone the answer is dropped with the work.
            drop(sender.send(Box::new(move |state| answer.send(work(state)))));
        }
        waiting
    }
}

fn serve<S>(receiver: &Mutex<Receiver<Work<S>>>, mut state: S) {
    loop {
        let next = receiver.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match next {
            Ok(work) => work(&mut state),
            Err(_) => return,
        }
    }
}

impl<S> Drop for Pool<S> {
    fn drop(&mut self) {
        self.work = None;
        for thread in self.threads.drain(..) {
            drop(thread.join());
        }
    }
}
