//! What the end-to-end, interoperability and crash tests share: real programs started on free
//! loopback ports, each behind a guard that stops exactly that program and removes its folder.
//!
//! Nothing here waits for a fixed time. A program is ready when it says so (its log line, its
//! banner, systemd's notification); every wait ends after [`process::PATIENCE`] at the latest,
//! and its failure shows what was said until then.
//!
//! These helpers judge Sceau from outside, so they use none of its crates: certificates, SMTP and
//! IMAP are spelled here once more, as simply as possible. Only [`world`], [`inside`], [`asking`] and [`bench`] do: the
//! first has the demonstration's maker of trust spaces write the files that the gateways start from, the second runs
//! a gateway by a clock of ours, the third measures them.

// A helper that cannot do its work has failed its test: asserting is how it says so.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used
)]

pub mod asking;
pub mod axe;
pub mod bench;
pub mod browser;
pub mod by_hand;
pub mod capture;
pub mod certs;
pub mod chains;
pub mod crash;
pub mod door;
pub mod dovecot;
pub mod faults;
pub mod gateway;
pub mod https;
pub mod inside;
pub mod interop;
pub mod ldap;
pub mod marionette;
pub mod mint;
pub mod msmtp;
pub mod openssl_cli;
pub mod pkits;
pub mod place;
pub mod postfix;
pub mod process;
pub mod publisher;
pub mod responder;
pub mod swaks;
pub mod thunderbird;
pub mod tier;
pub mod token;
pub mod tsa;
pub mod wire;
pub mod world;
