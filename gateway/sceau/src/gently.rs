//! Long work that gives way to whoever answers.

use std::{io, thread};

use tokio::sync::oneshot;

/// How much nicer than usual (nice(2)).
const GENTLY: i32 = 10;

/// To whom work gives way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    /// To everybody: it runs when nobody else wants the processor.
    WhenIdle,
    /// To most: nobody is to wait for it long, on a busy machine either.
    Nicer,
}

/// Lowers the priority of the calling thread, and of those it starts.
///
/// # Errors
/// Those of the system; then it goes on at the usual priority.
pub(crate) fn give_way(pace: Pace) -> io::Result<()> {
    let nicer = || rustix::process::nice(GENTLY).map(drop).map_err(io::Error::from);
    match pace {
        Pace::Nicer => nicer(),
        // Some sandboxes allow the one and not the other.
        Pace::WhenIdle => pki::idle::run_when_idle().or_else(|_| nicer()),
    }
}

/// Works on a thread of its own, which gives way: seconds of it cost others little time.
///
/// # Errors
/// When there is no thread to be had, or the work broke off.
pub(crate) async fn run<T: Send + 'static>(
    name: &str,
    pace: Pace,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    let (tell, told) = oneshot::channel();
    thread::Builder::new().name(name.to_owned()).spawn(move || {
        if let Err(error) = give_way(pace) {
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

    fn niceness() -> i32 {
        rustix::process::getpriority_process(None).unwrap()
    }

    #[tokio::test]
    async fn work_gives_way_and_nobody_else_does() {
        let (usual, before) = (policy(), niceness());
        let within = || (policy(), std::thread::spawn(policy).join().unwrap());
        assert_eq!((run("test", Pace::WhenIdle, within).await.unwrap(), policy()), ((5, 5), usual));
        assert_ne!(usual, 5);
        let nicer = run("test", Pace::Nicer, || (policy(), niceness())).await.unwrap();
        assert_eq!((nicer, niceness()), ((usual, (before + GENTLY).min(19)), before));
        let broken = run("test", Pace::Nicer, || panic!("on purpose")).await;
        assert!(broken.is_err());
    }
}
