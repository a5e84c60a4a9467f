//! What a fault of the program says of itself.

use std::panic::PanicHookInfo;

/// From now on a fault says where it is, and never what it was working on: the standard words quote pieces of
/// texts, which may be those of a letter (promise 3).
pub(super) fn tell_only_where() {
    std::panic::set_hook(Box::new(tell));
}

fn tell(info: &PanicHookInfo<'_>) {
    let place = info.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
    eprintln!("sceau: a fault of the program at {place}; please report it");
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    const PLANTED: &str = "SCEAU_TEST_PLANTED_FAULT";
    const NAME: &str = "cli::fault::tests::a_fault_says_where_it_is_and_quotes_nothing";

    /// The program's own entry, in a process of its own: the arguments are those of a test, so no command runs, and
    /// then a reader cuts a letter in the middle of a character.
    #[allow(clippy::string_slice)] // the fault that is planted
    fn broken_off() {
        let _ = crate::cli::main();
        let letter = std::env::var(PLANTED).unwrap();
        let _ = std::hint::black_box(&letter[..7]);
    }

    #[test]
    fn a_fault_says_where_it_is_and_quotes_nothing() {
        if std::env::var_os(PLANTED).is_some() {
            return broken_off();
        }
        let letter = "Canarié de M. PATIENT-TEST";
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", NAME, "--nocapture"])
            .env(PLANTED, letter)
            .env("RUST_BACKTRACE", "1")
            .output()
            .unwrap();
        let said = [child.stdout, child.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(!child.status.success() && said.contains("a fault of the program at "), "{said}");
        assert!(said.contains("src/cli/fault.rs:"), "{said}");
        assert!(!said.contains("Canari") && !said.contains("PATIENT-TEST"), "{said}");
    }
}
