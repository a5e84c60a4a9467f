//! The FHIR face: what it answers, that it is valid, that it is what the query model says, and that nothing hurts it.
#![allow(
    unreachable_pub,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice
)]

#[path = "../common/mod.rs"]
mod common;

mod answers;
mod boxes;
mod budget;
mod client;
mod editions;
mod equal;
mod faces;
mod forms;
mod hostile;
mod ldap;
mod order;
mod patch;
mod profile;
mod red;
mod time;

mod world;
