//! Memory that goes back to the system when it is freed.
//!
//! A revocation list of a million entries is a file of 35 MB and an index of 28 MB, both replaced at each
//! update. glibc begins with mappings of their own for such buffers, but after the first is freed it takes
//! all that are as large (up to 32 MB) from the heap, where the holes that they leave stay with the process.

use crate::ffi;

/// Buffers of so many octets and more have a mapping of their own, which goes when they go.
const OWN_MAPPING: i32 = 1024 * 1024;
/// So much free memory may stay at the end of a heap.
const TRIM: i32 = 4 * 1024 * 1024;

/// From now on large buffers go back to the system as soon as they are freed. To be called once, early, by a
/// program that runs long. False where the C library has no such setting.
pub fn large_buffers_go_back() -> bool {
    ffi::allocator_thresholds(OWN_MAPPING, TRIM)
}

/// Gives back to the system what lies free among what is used, too: smaller buffers leave holes when many of them go at
/// once. It takes milliseconds, and who allocates meanwhile waits. False if there was nothing to give back.
pub fn give_back() -> bool {
    ffi::allocator_trim()
}
