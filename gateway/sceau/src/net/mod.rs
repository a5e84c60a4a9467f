//! Sockets and TLS: everything between the wire and the state machines of `smtp`.

pub(crate) mod accept;
pub(crate) mod crowd;
pub mod listener;
pub(crate) mod octets;
pub(crate) mod places;
pub mod session;
pub mod tls;
pub mod wire;
