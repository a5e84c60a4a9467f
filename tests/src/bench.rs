//! What the benches share: load, a sink that counts, processor time, and the form of a report.

pub mod cpu;
pub mod load;
pub mod machine;
pub mod primitives;
pub mod report;
pub mod sink;
pub mod subjects;
pub mod traffic;
