//! One file for each parser.

pub mod certificate;
pub mod client;
pub mod cms;
pub mod crl;
pub mod extract;
pub mod fhir;
pub mod headers;
pub mod judge;
pub mod ldap;
pub mod message;
pub mod ocsp;
pub mod partner_file;
pub mod pkcs12;
pub mod second;
pub mod server;
pub mod trust_list;
