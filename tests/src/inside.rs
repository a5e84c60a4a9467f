//! The gateway inside the test's own process, where its clock is ours to move.

use std::{
    path::PathBuf,
    sync::{Arc, mpsc},
    thread,
};

use ident::{Clock, ManualClock};
use sceau::serve::serve_by;

use crate::process::PATIENCE;

/// A gateway inside this process; it ends when it is dropped.
pub struct Inside {
    end: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Inside {
    /// Serves a configuration by this clock; ready when it returns.
    pub fn serve(configuration: PathBuf, clock: &Arc<ManualClock>) -> Self {
        let (ready, is_ready) = mpsc::channel();
        let (end, ended) = tokio::sync::oneshot::channel();
        let clock: Arc<dyn Clock> = clock.clone();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            runtime.block_on(async {
                tokio::select! {
                    outcome = serve_by(configuration, clock, |_| ready.send(()).unwrap()) => outcome.unwrap(),
                    _ = ended => {}
                }
            });
        });
        is_ready.recv_timeout(PATIENCE).expect("the gateway is not ready");
        Self { end: Some(end), thread: Some(thread) }
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        drop(self.end.take());
        let _ = self.thread.take().map(thread::JoinHandle::join);
    }
}
