//! The gateway: the only place that wires the parts together. Configuration, admission,
//! sessions, delivery, command line.
#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

pub mod account;
pub mod admission;
mod allowance;
pub mod audit;
pub mod bound;
pub mod capabilities;
pub mod cli;
pub mod config;
pub mod delivery;
pub mod demo;
pub mod directory;
pub mod events;
pub mod exchange;
pub mod fetch;
pub mod gateway;
mod gently;
pub mod hardening;
pub mod health;
pub mod http;
pub mod intake;
pub mod keys;
pub mod knocks;
pub mod ldap;
pub(crate) mod mailboxes;
pub mod net;
pub mod partners;
pub(crate) mod published;
pub(crate) mod publisher;
pub mod quarantine;
pub mod queued;
pub mod refresh;
pub mod refusal;
pub mod replace;
pub mod rest;
pub mod sealed_before;
pub mod serve;
pub mod snapshot;
pub mod stamping;
pub mod submission;
pub mod trust;
