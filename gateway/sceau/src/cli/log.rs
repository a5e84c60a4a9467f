//! Where the log goes: standard error, every line at once, but for those of the access log. Of these there may be ten
//! thousand in a second, and a call to the system for each, with the reader that it wakes, would cost as much as the
//! search that it tells of: they wait a moment and are written together. The order of lines stays.

use std::{
    io::{self, Write},
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use tracing::Metadata;
use tracing_subscriber::{EnvFilter, fmt::MakeWriter};

/// What lines of the access log are told by.
pub(crate) const ACCESS: &str = "sceau::access";
/// How long such a line waits for others: what a crash may take with it.
const TOGETHER: Duration = Duration::from_millis(10);
/// Octets that wait at most: who writes more than is taken waits for the reader.
const MOST: usize = 64 * 1024;

/// Begins the log; what it gives writes what is left when it is dropped.
pub(super) fn begin(json: bool) -> impl Drop {
    let filter = EnvFilter::try_from_env("SCEAU_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = Lines::to(io::stderr());
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(lines.clone()).with_target(false);
    let outcome = if json { log.json().try_init() } else { log.with_ansi(false).try_init() };
    if let Err(error) = outcome {
        eprintln!("sceau: no log: {error}");
    }
    Rest(lines)
}

/// Writes what is left.
struct Rest(Lines);

impl Drop for Rest {
    fn drop(&mut self) {
        self.0.0.flush();
    }
}

/// The log's lines.
#[derive(Clone)]
struct Lines(Arc<Shared>);

struct Shared {
    waiting: Mutex<Vec<u8>>,
    /// Something waits.
    some: Condvar,
    out: Mutex<Out>,
}

/// Where lines go. Who holds it takes what waits, so that no two writers change the order.
struct Out {
    to: Box<dyn Write + Send>,
    /// What is being written: its room is that of what waits next.
    taken: Vec<u8>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Lines {
    fn to(out: impl Write + Send + 'static) -> Self {
        let out = Mutex::new(Out { to: Box::new(out), taken: Vec::new() });
        let shared = Arc::new(Shared { waiting: Mutex::default(), some: Condvar::new(), out });
        let writer = Arc::downgrade(&shared);
        let begun = thread::Builder::new().name("log".to_owned()).spawn(move || {
            while let Some(shared) = writer.upgrade() {
                shared.wait();
                thread::sleep(TOGETHER);
                shared.flush();
            }
        });
        if let Err(error) = begun {
            eprintln!("sceau: no thread for the log: {error}");
        }
        Self(shared)
    }
}

impl Shared {
    /// Until something waits.
    fn wait(&self) {
        let waiting = locked(&self.waiting);
        drop(self.some.wait_while(waiting, |waiting| waiting.is_empty()).unwrap_or_else(PoisonError::into_inner));
    }

    /// Adds octets; how many wait then.
    fn push(&self, octets: &[u8]) -> usize {
        let mut waiting = locked(&self.waiting);
        if waiting.is_empty() {
            self.some.notify_one();
        }
        waiting.extend_from_slice(octets);
        waiting.len()
    }

    /// Writes what waits. Where that fails there is nobody to tell.
    fn flush(&self) {
        let mut out = locked(&self.out);
        let Out { to, taken } = &mut *out;
        mem::swap(taken, &mut *locked(&self.waiting));
        let _ = to.write_all(taken).and_then(|()| to.flush());
        taken.clear();
    }
}

/// One line.
struct Line<'l> {
    shared: &'l Shared,
    /// Whether it waits for others.
    waits: bool,
}

impl Write for Line<'_> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let waiting = self.shared.push(octets);
        if !self.waits || waiting > MOST {
            self.shared.flush();
        }
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'l> MakeWriter<'l> for Lines {
    type Writer = Line<'l>;

    fn make_writer(&'l self) -> Line<'l> {
        Line { shared: &self.0, waits: false }
    }

    fn make_writer_for(&'l self, meta: &Metadata<'_>) -> Line<'l> {
        Line { shared: &self.0, waits: meta.target() == ACCESS }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};

    use super::*;

    /// Each call as one message.
    struct Calls(Sender<String>);

    impl Write for Calls {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            let _ = self.0.send(String::from_utf8_lossy(octets).into_owned());
            Ok(octets.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn said(lines: &Lines, waits: bool, text: &str) {
        Line { shared: &lines.0, waits }.write_all(text.as_bytes()).unwrap();
    }

    #[test]
    fn lines_of_access_wait_for_others_and_are_written_by_themselves() {
        let (sender, calls) = channel();
        let lines = Lines::to(Calls(sender));
        said(&lines, true, "one\n");
        said(&lines, true, "two\n");
        let mut all = String::new();
        while all != "one\ntwo\n" {
            all.push_str(&calls.recv().unwrap());
        }
        // Again: the thread goes on.
        said(&lines, true, "three\n");
        assert_eq!(calls.recv().unwrap(), "three\n");
    }

    #[test]
    fn any_other_line_takes_along_what_waits_before_it() {
        let (sender, calls) = channel();
        let shared = Shared {
            waiting: Mutex::default(),
            some: Condvar::new(),
            out: Mutex::new(Out { to: Box::new(Calls(sender)), taken: Vec::new() }),
        };
        let said = |waits, text: &str| Line { shared: &shared, waits }.write_all(text.as_bytes()).unwrap();
        said(true, "one\n");
        assert!(calls.try_recv().is_err(), "it waits");
        said(false, "two\n");
        assert_eq!(calls.try_recv().unwrap(), "one\ntwo\n");
        said(true, &"x".repeat(MOST));
        assert!(calls.try_recv().is_err());
        said(true, "y");
        assert_eq!(calls.try_recv().unwrap().len(), MOST + 1, "what waits is bounded");
        said(true, "last\n");
        shared.flush();
        assert_eq!(calls.try_recv().unwrap(), "last\n");
    }
}
