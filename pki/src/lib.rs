//! Certificates, trust, revocation, keys and CMS for secure health mail. Knows no mail.
#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

pub mod anchors;
pub mod book;
#[allow(dead_code)]
pub mod certificate;
pub mod cms;
pub mod der;
mod der_reader;
#[allow(dead_code)]
mod extension;
#[allow(dead_code)]
pub mod finding;
pub mod identity;
pub mod issue;
pub mod keys;
pub mod name;
#[allow(dead_code)]
pub mod path;
pub mod trust_list;
