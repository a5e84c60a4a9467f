//! HTTPS servers judged by our own anchors.

use ident::Timestamp;
use pki::{
    certificate::Certificate,
    identity::Identity,
    path::{Purpose, Validator, Verdict},
};

use super::ServerTrust;

/// What a server's certificate is worth whose revocation cannot be told now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undetermined {
    /// It will do.
    Accepted,
    /// It will not.
    Refused,
}

/// Servers of the trusted space: their certificates lead to an anchor and carry the name that was asked for.
#[derive(Debug, Clone, Copy)]
pub struct AnchoredServers<'a> {
    /// The anchors.
    pub validator: &'a Validator,
    /// Now.
    pub at: Timestamp,
    /// How much must be known about revocation.
    pub undetermined: Undetermined,
}

impl ServerTrust for AnchoredServers<'_> {
    fn judge(&self, host: &str, shown: &[Certificate]) -> Result<(), String> {
        let (leaf, others) = shown.split_first().ok_or("it showed no certificate")?;
        match self.validator.verify(leaf, others, Purpose::Server, self.at) {
            Verdict::Valid(_) => {}
            Verdict::Undetermined(_) if self.undetermined == Undetermined::Accepted => {}
            Verdict::Undetermined(finding) | Verdict::Invalid(finding) => {
                return Err(format!("its certificate: {finding}"));
            }
        }
        let named = match leaf.dns_names() {
            [] => matches!(Identity::of(leaf), Ok(Identity::Server(server)) if server.host.eq_ignore_ascii_case(host)),
            names => names.iter().any(|name| name.eq_ignore_ascii_case(host)),
        };
        if named { Ok(()) } else { Err(format!("its certificate is for {}, not for {host}", leaf.subject())) }
    }
}
