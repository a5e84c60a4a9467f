//! The command `sceau`.
fn main() {}
