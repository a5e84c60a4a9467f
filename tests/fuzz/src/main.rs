//! The fuzzer: libFuzzer around the target that `SCEAU_FUZZ_TARGET` names.
//!
//! With `SCEAU_FUZZ_PLANTED=1` an input that goes deep enough panics: it shows that the fuzzer finds what is there.
#![no_main]
#![allow(clippy::expect_used, clippy::panic, unsafe_code)]

use std::sync::LazyLock;

use fuzz::{
    Target,
    shape::{Dice, change},
};
use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};

static TARGET: LazyLock<&Target> = LazyLock::new(|| {
    let name = std::env::var("SCEAU_FUZZ_TARGET").expect("SCEAU_FUZZ_TARGET names the target");
    fuzz::target(&name).expect("SCEAU_FUZZ_TARGET names a target that exists")
});
static PLANTED: LazyLock<bool> = LazyLock::new(|| std::env::var_os("SCEAU_FUZZ_PLANTED").is_some());

// Every other change keeps the form of the input, where the target has one that is known here.
fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let mut input = data.get(..size).unwrap_or_default().to_vec();
    let shaped = seed % 2 == 0 && change(TARGET.name, &mut input, &mut Dice::new(seed)) && input.len() <= max_size;
    match data.get_mut(..input.len()).filter(|_| shaped) {
        Some(place) => {
            place.copy_from_slice(&input);
            input.len()
        }
        None => fuzzer_mutate(data, size, max_size),
    }
});

fuzz_target!(|data: &[u8]| {
    let deep = (TARGET.run)(data);
    assert!(!(deep && *PLANTED), "the planted panic");
});
