//! Our own CMS container layer (RFC 5652, 5083, 5753; decision 0003): a lenient bounded BER reader,
//! strict DER writing, OpenSSL for primitives only.
//!
//! | function | does |
//! | --- | --- |
//! | [`sign`], [`sign_detached`] | SignedData with one signer and signed attributes |
//! | [`encrypt`], [`encrypt_with`] | AuthEnvelopedData (GCM) or EnvelopedData (CBC) for several certificates |
//! | [`open`], [`reopen`] | decrypts what is encrypted for one of our keys; again with the content key |
//! | [`verify`] | mathematics and structure of a signature; the path is the caller's to judge |
//! | [`kind`], [`begins`] | what a CMS object is; whether something begins like one |
//! | [`Signing`], [`Encrypting`] | the same writing, of content that goes by |
//! | [`Outline`], [`ContentReader`], [`Opening`], [`verify_stream`] | the same reading, of content that goes by |
//!
//! A valid signature or tag is not trust: see the structure and identity rules of `mail`.

mod algorithm;
mod attribute;
mod capabilities;
mod container;
mod content;
mod encrypt;
mod error;
mod identifier;
mod kdf;
mod oid;
mod open;
mod reader;
mod recipient;
mod sign;
mod signature;
mod splitter;
mod verify;

pub use attribute::Attribute;
pub use capabilities::{Capabilities, Capability};
pub use container::{ContainerKind, begins, kind};
pub use encrypt::{ContentCipher, Encrypting, RsaTransport, encrypt, encrypt_with};
pub use error::{CmsError, OpenError, Refusal};
pub(crate) use oid::TST_INFO;
pub use open::{Opened, Opening, open, reopen};
pub use reader::Malformed;
pub use sign::{Frame, Signed, Signing, sign, sign_detached};
pub use splitter::{ContentReader, Outline, StreamFault};
pub(crate) use verify::verify_typed;
pub use verify::{Proof, Verified, verify, verify_stream};

#[cfg(test)]
mod tests;
