//! The fuzzer: libFuzzer around the target that `SCEAU_FUZZ_TARGET` names.
//!
//! With `SCEAU_FUZZ_PLANTED=1` an input that goes deep enough panics: it shows that the fuzzer finds what is there.
#![no_main]
#![allow(clippy::expect_used, clippy::panic, unsafe_code)]

use std::sync::LazyLock;

use fuzz::Target;
use libfuzzer_sys::fuzz_target;

static TARGET: LazyLock<&Target> = LazyLock::new(|| {
    let name = std::env::var("SCEAU_FUZZ_TARGET").expect("SCEAU_FUZZ_TARGET names the target");
    fuzz::target(&name).expect("SCEAU_FUZZ_TARGET names a target that exists")
});
static PLANTED: LazyLock<bool> = LazyLock::new(|| std::env::var_os("SCEAU_FUZZ_PLANTED").is_some());

fuzz_target!(|data: &[u8]| {
    let deep = (TARGET.run)(data);
    assert!(!(deep && *PLANTED), "the planted panic");
});
