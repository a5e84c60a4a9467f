//! Long work that gives way to whoever answers.

use std::{io, thread};

use tokio::sync::oneshot;

/// How much nicer than usual (nice(2)).
const GENTLY: i32 = 10;

/// Lowers the priority of the calling thread, and of those it starts.
///
/// # Errors
/// Those of the system; then it goes on at the usual priority.
pub(crate) fn give_way() -> io::Result<()> {
    rustix::process::nice(GENTLY)?;
    Ok(())
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

    fn niceness() -> i32 {
        rustix::process::getpriority_process(None).unwrap()
    }

    #[tokio::test]
    async fn work_gives_way_and_nobody_else_does() {
        let before = niceness();
        let within = run("test", niceness).await.unwrap();
        assert_eq!((within, niceness()), ((before + GENTLY).min(19), before));
        let broken = run("test", || panic!("on purpose")).await;
        assert!(broken.is_err());
    }
}
