//! The peer: OpenSSL's own `X509_verify_cert` over the same hierarchy, with the lists of every authority.

use std::path::Path;

use openssl::ssl::SslFiletype;
use openssl::stack::Stack;
use openssl::x509::store::{X509Lookup, X509Store, X509StoreBuilder};
use openssl::x509::verify::X509VerifyFlags;
use openssl::x509::{X509, X509StoreContext};
use pki::certificate::Certificate;
use pki::issue::Authority;

pub(crate) struct Peer {
    store: X509Store,
    untrusted: Stack<X509>,
    context: X509StoreContext,
}

impl Peer {
    /// Trusts the root, knows the issuing authority, and has read both lists.
    pub(crate) fn new(folder: &Path, root: &Authority, issuing: &Authority, lists: &[&[u8]]) -> Self {
        let mut builder = X509StoreBuilder::new().unwrap();
        builder.add_cert(X509::from_der(root.certificate_der()).unwrap()).unwrap();
        builder.set_flags(X509VerifyFlags::CRL_CHECK | X509VerifyFlags::CRL_CHECK_ALL).unwrap();
        let lookup = builder.add_lookup(X509Lookup::file()).unwrap();
        for (number, list) in lists.iter().enumerate() {
            let path = folder.join(format!("{number}.crl"));
            std::fs::write(&path, list).unwrap();
            assert_eq!(lookup.load_crl_file(&path, SslFiletype::ASN1).unwrap(), 1);
        }
        let mut untrusted = Stack::new().unwrap();
        untrusted.push(X509::from_der(issuing.certificate_der()).unwrap()).unwrap();
        Self { store: builder.build(), untrusted, context: X509StoreContext::new().unwrap() }
    }

    pub(crate) fn verify(&mut self, leaf: &X509) -> bool {
        self.context.init(&self.store, leaf, &self.untrusted, |context| context.verify_cert()).unwrap()
    }
}

/// A certificate as OpenSSL reads it.
pub(crate) fn read(leaf: &Certificate) -> X509 {
    X509::from_der(leaf.der()).unwrap()
}
