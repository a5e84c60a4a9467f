//! Both sides of SMTP (RFC 5321) and LMTP (RFC 2033), without I/O, clock or threads.
//!
//! Bytes go in with `receive`, facts come out of `poll`, bytes to send come out of `take_output`.
//! The caller owns the socket, TLS and every deadline ([`Wait`] says which one applies). Buffers
//! are fixed: `input_capacity` says how much may be read from the peer, so a peer that sends
//! without listening is slowed down by its own transport (RX7, RX8).
//!
//! * [`Server`] turns what a client says into [`Event`]s; policy answers with [`Reply`]s.
//! * [`Client`] carries envelopes to a server and reports one [`Outcome`] for each recipient.
//! * [`DataReader`] and [`DataWriter`] are the only places that know how a body ends.
//!
//! Rule ids in comments (SM1, TL2, IN3…) name the cases of the house's relay case list.
#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

mod buffer;
mod capabilities;
mod client;
mod command;
mod data;
mod envelope;
mod parameters;
mod path;
mod protocol_error;
mod reply;
mod reply_reader;
mod server;
mod wait;
mod xtext;

#[cfg(test)]
mod loopback_tests;

pub use capabilities::Capabilities;
pub use client::{
    Cause, Client, ClientClosed, ClientEvent, ClientOptions, Extension, Outcome, RecipientOutcome, Refusal, SendError,
    Stage, TlsUse,
};
pub use command::{Command, Grammar};
pub use data::{BodyFault, DataReader, DataWriter, Progress};
pub use envelope::{BodyKind, Envelope, MailFrom, Notify, OriginalRecipient, RcptTo, Ret};
pub use protocol_error::ProtocolError;
pub use reply::{EnhancedCode, MAX_REPLY_LINE, Reply, escape};
pub use reply_reader::{ReplyFault, ReplyReader};
pub use server::{CloseReason, Event, Protocol, Server, ServerOptions};
pub use wait::Wait;
pub use xtext::{XtextError, decode as decode_xtext, encode as encode_xtext};
