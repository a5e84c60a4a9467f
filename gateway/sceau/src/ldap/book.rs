//! Certificates of the book, for who wants to write to a mailbox.

use annuaire::ldap::Certificates;
use ident::Address;

use crate::snapshot::Snapshot;

/// The book of a world.
pub(super) struct BookOf<'a>(pub(super) &'a Snapshot);

/// Most certificates that are given for one mailbox.
const MOST: usize = 16;

impl Certificates for BookOf<'_> {
    fn readers(&self, address: &str) -> Vec<Vec<u8>> {
        let Ok(address) = Address::parse(address) else { return Vec::new() };
        let entries = self.0.book.readers(&address);
        entries.iter().take(MOST).map(|entry| entry.certificate.der().to_vec()).collect()
    }
}
