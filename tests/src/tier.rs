//! How thorough this run is: `tests/run` and `tests/run --full` are one set of tests with different
//! numbers of repetitions, so that no test is silently left out of either.

/// How often a repeated test repeats: `normal` under `tests/run`, `full` under `tests/run --full`.
#[must_use]
pub fn repetitions(normal: usize, full: usize) -> usize {
    match std::env::var("SCEAU_TESTS_TIER").as_deref() {
        Ok("full") => full,
        _ => normal,
    }
}
