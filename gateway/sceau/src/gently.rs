//! Long work that gives way to whoever answers.

use std::{io, thread};

use tokio::sync::oneshot;

/// How much nicer than usual (nice(2)), where work cannot wait until nobody else wants the processor.
const GENTLY: i32 = 10;

/// Lowers the priority of the calling thread, and of those it starts: they run when nobody else wants to.
///
/// # Errors
/// Those of the system; then it goes on at the usual priority.
pub(crate) fn give_way() -> io::Result<()> {
    // Some sandboxes allow the one and not the other.
    pki::idle::run_when_idle().or_else(|_| rustix::process::nice(GENTLY).map(drop).map_err(io::Error::from))
}

/// Works on a thread of its own, which gives way: seconds of it cost others little time.
///
/// # Errors
/// When there is no thread to be had, or the work broke off.
pub(crate) async fn run<T: Send + 'static>(name: &str, work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    let (tell, told) = oneshot::channel();
    thread::Builder::new().name(name.to_owned()).spawn(move || {
        if let Err(error) = give_way() {
            tracing::warn!(%error, "running at the usual priority");
        }
        // Who asked may have gone.
        drop(tell.send(work()));
    })?;
    told.await.map_err(|_| io::Error::other("the work broke off"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The policy of the calling thread (proc(5), field 41 of stat); 5 is SCHED_IDLE.
    fn policy() -> u32 {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
        let behind_the_name = stat.rsplit(')').next().unwrap();
        behind_the_name.split_whitespace().nth(38).unwrap().parse().unwrap()
    }

    #[tokio::test]
    async fn work_gives_way_and_nobody_else_does() {
        let before = policy();
        let (within, started) = run("test", || (policy(), std::thread::spawn(policy).join().unwrap())).await.unwrap();
        assert_eq!((within, started, policy()), (5, 5, before));
        assert_ne!(before, 5);
        let broken = run("test", || panic!("on purpose")).await;
        assert!(broken.is_err());
    }
}
