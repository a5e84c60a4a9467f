//! Both sides of SMTP (RFC 5321) and LMTP (RFC 2033), without I/O, clock or threads.
//!
//! Bytes go in with `receive`, facts come out of `poll`, bytes to send come out of `take_output`.
//! The caller owns the socket, TLS and every deadline ([`Wait`] says which one applies). Buffers
//! are fixed: `input_capacity` says how much may be read from the peer, so a peer that sends
//! without listening is slowed down by its own transport (RX7, RX8).
//!
//! Either side is driven the same way: offer what was read from the peer, poll until nothing comes,
//! take and send the output; when output came, poll again before reading on.
//!
//! ```
//! use smtp::{Event, Protocol, Reply, Server, ServerOptions};
//!
//! /// Feeds what a peer sent and gives what to send back.
//! fn turn(server: &mut Server, mut read: &[u8]) -> Vec<u8> {
//!     let mut send = Vec::new();
//!     loop {
//!         let taken = server.receive(read);
//!         read = read.get(taken..).unwrap_or_default();
//!         while let Some(event) = server.poll() {
//!             match event {
//!                 Event::Mail(_) | Event::Recipient(_) | Event::BodyEnd => server.answer(Reply::ok()),
//!                 Event::DataRequested => server.answer(Reply::send_body()),
//!                 _ => {}
//!             }
//!         }
//!         let mut output = server.take_output();
//!         if output.is_empty() && read.is_empty() {
//!             return send;
//!         }
//!         send.append(&mut output);
//!     }
//! }
//!
//! let mut server = Server::new(ServerOptions::new("mx.ch-exemple.test", Protocol::Smtp), true);
//! assert_eq!(turn(&mut server, b""), b"220 mx.ch-exemple.test ESMTP\r\n");
//! assert_eq!(turn(&mut server, b"QUIT\r\n"), b"221 2.0.0 Bye\r\n");
//! ```
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
mod voice;
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
pub use voice::{Complaint, Voice};
pub use wait::{Wait, body_allowance};
pub use xtext::{XtextError, decode as decode_xtext, encode as encode_xtext};
