//! `sceau refusals` and `sceau findings`: the tables that `specs/refusals.md` and `specs/findings.md` hold.

use super::Exit;

pub(super) fn run() -> Exit {
    print!("{}", crate::refusal::table());
    Exit::Done
}

pub(super) fn findings() -> Exit {
    print!("{}", pki::finding::table());
    Exit::Done
}
