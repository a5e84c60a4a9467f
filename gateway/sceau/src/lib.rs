//! The gateway: the only place that wires the parts together. Configuration, admission,
//! sessions, delivery, command line.
#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

pub mod config;
pub mod demo;
pub mod rest;
