//! `sceau annuaire password`: the stored form of a password, for an account of the LDAP face.

use std::io::{BufRead as _, Read as _};

use zeroize::Zeroizing;

use crate::{cli::Exit, config::Problem, ldap::PasswordHash};

/// Longest password that is read.
const MOST: u64 = 1024;
/// Shortest password that is taken: programs remember it, not people.
const LEAST: usize = 12;

/// Reads a password from standard input and writes its hash to standard output.
pub(super) fn run(json: bool) -> Result<Exit, Problem> {
    let wrong = |what: String| Problem::of("standard input", what);
    let mut line = Zeroizing::new(Vec::new());
    let mut input = std::io::stdin().lock().take(MOST);
    input.read_until(b'\n', &mut line).map_err(|error| wrong(error.to_string()))?;
    while line.last().is_some_and(|octet| matches!(octet, b'\n' | b'\r')) {
        line.pop();
    }
    if line.len() < LEAST {
        return Err(wrong(format!("give a password of at least {LEAST} octets, on one line")));
    }
    let hash = PasswordHash::of(&line).map_err(wrong)?.text();
    if json {
        println!("{}", serde_json::json!({ "hash": hash }));
    } else {
        println!("{hash}");
    }
    Ok(Exit::Done)
}
