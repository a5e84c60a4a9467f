//! Well-formed and not so well-formed inputs to start from, one for each rule of a reader.

pub mod certificate;
pub mod cms;
pub mod crl;
pub mod extract;
pub mod fhir;
pub mod headers;
pub mod judge;
pub mod key_file;
pub mod ldap;
pub mod message;
pub mod ocsp;
pub mod partner_file;
pub mod second;
pub mod trust_list;

/// A named input.
pub type Sample = (&'static str, Vec<u8>);
