//! Proofs that nothing acknowledged is lost: load that knows what it was promised, a ledger that
//! compares it with what arrived, and machines that fail at chosen moments.

pub mod canary;
pub mod chance;
pub mod ledger;
pub mod load;
pub mod patients;
pub mod power;
pub mod rounds;
