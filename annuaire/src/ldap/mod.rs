//! The directory as an LDAP server (RFC 4511), without sockets: bytes in, bytes out, and work that the caller runs
//! where it likes. A search is a spelling of the one query model ([`crate::Filter`]): the index proposes, each entry is
//! tested against the filter as the protocol defines it. Nothing is ever changed through here.

pub mod ber;
mod bundle;
mod dn;
mod entry;
mod filter;
mod matching;
mod message;
mod page;
mod reach;
mod result;
mod schema;
mod search;
mod selection;
mod session;
mod spelling;
mod tree;
mod wiped;

pub use entry::{Certificates, NoCertificates, World};
pub use filter::{MAX_FILTER_DEPTH, MAX_FILTER_PARTS};
pub use message::MAX_MESSAGE;
pub use page::Pages;
pub use result::{Code, Ending};
pub use search::{Found, Rights, Search};
pub use session::{Bind, Closed, Session, Settings, Work};

/// The name of the subschema.
pub(crate) const SUBSCHEMA: &str = "cn=Subschema";

/// Whether a name is that of the person with this identifier.
pub fn is_name_of(name: &str, identifier: &str, base: &str) -> bool {
    let own = format!("uid={},ou=people,{base}", dn::escaped(identifier));
    let key = |text: &str| dn::Dn::parse(text).map(|name| name.key());
    key(name).is_some_and(|name| Some(name) == key(&own))
}

/// Whether this can be the name of the folder that holds everything.
pub fn is_base(text: &str) -> bool {
    dn::Dn::parse(text).is_some_and(|name| !name.0.is_empty())
}
