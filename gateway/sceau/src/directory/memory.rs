//! How much memory a load may take: it must not be the one for which the system ends the gateway.

use std::fs;

use annuaire::{MAX_TEXT, MEMORY_PER_OCTET};

/// Octets of text that a load may keep, by the memory that there is.
pub(crate) fn most_text() -> u64 {
    free().map_or(MAX_TEXT, |free| free.div_euclid(MEMORY_PER_OCTET).min(MAX_TEXT))
}

/// Octets that may be taken, by the system and by the group that we run in; nothing where neither says.
fn free() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let group = |name: &str| fs::read_to_string(format!("/sys/fs/cgroup/{name}")).ok();
    let limited = group("memory.max").zip(group("memory.current"));
    let of_group = limited.and_then(|(most, now)| left(&most, &now));
    [available(&text), of_group].into_iter().flatten().min()
}

/// `MemAvailable` of /proc/meminfo.
fn available(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// What a control group leaves; nothing where it has no limit (`max`).
fn left(most: &str, now: &str) -> Option<u64> {
    Some(most.trim().parse::<u64>().ok()?.saturating_sub(now.trim().parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smaller_of_both_limits_is_read() {
        assert_eq!(available("MemTotal:  9 kB\nMemAvailable:    2048 kB\n"), Some(2 * 1024 * 1024));
        assert_eq!(available(""), None);
        assert_eq!((left("1000\n", "400\n"), left("max\n", "400\n"), left("3", "4")), (Some(600), None, Some(0)));
    }
}
