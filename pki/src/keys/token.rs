//! Keys on PKCS#11 tokens: HSM, smart card, SoftHSM2.
//!
//! A [`Token`] logs in once and keeps a bounded pool of sessions. Whatever goes wrong with the token
//! itself is a [`TokenFault`], which callers answer with "later"; nothing of it depends on what was to be
//! signed or decrypted. Every call into the module runs on a thread of its own, because C code cannot be
//! interrupted: a module that hangs costs its caller a bounded wait and the pool one session.

mod fault;
mod module;
mod object;
mod pin;
mod pool;
mod reader;
mod signer;

pub use fault::{PinFault, TokenFault};
pub use pin::{PinKeeper, PinOutcome, TokenFacts};
pub use pool::{Token, TokenSettings, TokenStanding};
pub use reader::TokenReader;
pub use signer::{TokenKey, TokenSigner};
