//! The command `sceau`: everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    sceau::cli::main()
}
