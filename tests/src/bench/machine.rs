//! What a figure depends on and a reader cannot see: the machine and what else it does.

use std::fs;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// One line: cores, model, and how busy the machine is now (1 and 5 minutes).
#[must_use]
pub fn describe() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let model = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = model.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let model = model.map_or("unknown processor", |(_, name)| name.trim()).to_owned();
    format!("{cores} cores, {model}; load {}", load())
}

/// How busy the machine is: the means of 1 and 5 minutes.
#[must_use]
pub fn load() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

/// Processor time that this process has used on all its threads. Unlike elapsed time it hardly depends on what
/// else the machine does.
#[must_use]
pub fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Something done many times: how often, in what time, with how much of the processor.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Times a second.
    pub rate: f64,
    /// Microseconds of processor time for each, of all threads of this process.
    pub processor: f64,
}

/// Runs work that says how often it did its thing.
pub fn pace(work: impl FnOnce() -> u64) -> Pace {
    let (began, before) = (Instant::now(), processor_time());
    let count = work();
    let (took, used) = (began.elapsed(), processor_time().saturating_sub(before));
    #[allow(clippy::cast_precision_loss)] // far below 2^52
    let count = count as f64;
    Pace { rate: count / took.as_secs_f64(), processor: used.as_secs_f64() * 1e6 / count.max(1.0) }
}

/// Largest memory that this process has had resident, in octets; the mark is set back by [`forget_peak`].
#[must_use]
pub fn peak_memory() -> u64 {
    status("VmHWM:")
}

/// Memory that this process has resident now, in octets.
#[must_use]
pub fn memory() -> u64 {
    status("VmRSS:")
}

/// From now on [`peak_memory`] counts anew.
pub fn forget_peak() {
    // Kernels that do not know it leave the old mark: then the figure is too high, never too low.
    drop(fs::write("/proc/self/clear_refs", "5"));
}

fn status(field: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let kilo = line.and_then(|line| line.split_ascii_whitespace().next()?.parse::<u64>().ok());
    kilo.unwrap_or(0) * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_counted() {
        assert!(memory() > 1 << 20);
        assert!(peak_memory() >= memory() / 2);
    }
}
