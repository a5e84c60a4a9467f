//! Certificates, trust, revocation, keys and CMS for secure health mail. Knows no mail.
#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

pub mod der;
pub mod issue;
