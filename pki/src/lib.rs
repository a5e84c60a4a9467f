//! Certificates, trust, revocation, keys and CMS for secure health mail. Knows no mail.
#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

mod algorithm;
pub mod anchors;
pub mod book;
mod c14n;
pub mod certificate;
pub mod cms;
pub mod crl;
pub mod der;
mod der_reader;
mod extension;
mod ffi;
pub mod finding;
pub mod guard;
pub mod identity;
pub mod idle;
pub mod issue;
pub mod keys;
mod mail_constraints;
pub mod memory;
pub mod name;
pub mod ocsp;
pub mod partner_file;
pub mod path;
mod pkcs1;
pub mod plaintext;
pub mod revocation;
pub mod self_test;
pub mod status;
pub mod timestamp;
pub mod trust_list;
