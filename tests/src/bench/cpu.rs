//! Processor time of a program and its children, as Linux counts it.

use std::fs;
use std::time::Duration;

/// Ticks of `/proc/*/stat` in a second: fixed in Linux's interface to programs.
const TICKS: u64 = 100;

/// One line of `/proc/PID/stat`.
struct Stat {
    parent: u32,
    own: u64,
    waited_for: u64,
}

impl Stat {
    fn of(pid: u32) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The program's name, in parentheses, may hold anything: count from its end (proc(5)).
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_ascii_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Self {
            parent: u32::try_from(field(4)?).ok()?,
            own: field(14)? + field(15)?,
            waited_for: field(16)? + field(17)?,
        })
    }
}

/// Time used by a program, by children that have ended and by those that run now.
#[must_use]
pub fn used_by(pid: u32) -> Duration {
    let Some(main) = Stat::of(pid) else { return Duration::ZERO };
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let children: u64 = pids.filter_map(Stat::of).filter(|stat| stat.parent == pid).map(|stat| stat.own).sum();
    Duration::from_millis((main.own + main.waited_for + children) * 1000 / TICKS)
}

/// A program and its children that run now.
#[must_use]
pub fn family(pid: u32) -> Vec<u32> {
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|other| *other == pid || Stat::of(*other).is_some_and(|stat| stat.parent == pid)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_line_is_read() {
        let stat = Stat::of(std::process::id()).unwrap();
        assert_eq!(stat.parent, std::os::unix::process::parent_id());
    }
}
