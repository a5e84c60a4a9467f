//! `sceau refusals`: the table that `specs/refusals.md` holds.

use super::Exit;

pub(super) fn run() -> Exit {
    print!("{}", crate::refusal::table());
    Exit::Done
}
