//! The published table of findings and purposes: `specs/findings.md`.

use std::fmt::Write as _;

use super::catalogue;
use crate::path::{Purpose, Terms};

const HEAD: &str = "# Findings\n\n\
Made by `sceau findings > specs/findings.md` from `pki/src/finding.rs` and `pki/src/path/checks.rs`; a test keeps both \
equal.\nA verdict that is not *valid* carries one of these codes (stable: scripts, trail and refusals depend on them), \
its sentence\nin both languages, and the subject and serial number of the certificate concerned.\n\n\
| code | French | English |\n|---|---|---|\n";

const PURPOSES: &str = "\n## What a certificate must be good for\n\n\
`any` is RFC 5280 and nothing more. Every other purpose adds the floor (RSA of 2048 to 16384 bits with a public exponent\n\
above 2^16, or one of P-256, P-384, P-521, Ed25519, X25519 by name; signatures with SHA-256 or better; a positive serial \
number\nof at most 20 octets), refuses test certificates in production, and asks the holder's certificate for these \
terms. An authority\nthat lists extended key usages must list one of them too (or anyExtendedKeyUsage).\n\n\
| purpose | anchors of | extended key usage: one of | key usage: one of | without key usage |\n|---|---|---|---|---|\n";

const POLICY: &str = "\n## Certificates without a mail address\n\n\
Cards and the certificates of structures name no mailbox, and need not: no purpose asks for an address.\n\n\
* An address counts only where it stands in the subject alternative name (rfc822Name, or SmtpUTF8Mailbox with A-labels),\n  \
well formed; one malformed name spoils the certificate. An address in the subject, a log-on name and a display name never \
count.\n\
* Where there is none, the holder's national identifier is looked up in the directory (persons) or the registry's \
structures,\n  or the book holds the certificate for the mailbox or its domain. Nothing else binds a signer to `From`, and \
never the\n  envelope: without a binding the message is refused (`from_not_bound`).\n\
* A holder's certificate without extended key usage is good for no purpose but `any`; anyExtendedKeyUsage in it counts for \
none.\n\
* Name constraints of authorities hold for both kinds of addresses (RFC 9598).\n";

/// The page as Markdown.
pub fn table() -> String {
    let mut out = HEAD.to_owned();
    for (code, text) in catalogue() {
        let _ = writeln!(out, "| `{code}` | {} | {} |", text.fr, text.en);
    }
    out.push_str(PURPOSES);
    for purpose in [Purpose::Person, Purpose::Organisation, Purpose::Server, Purpose::Peer, Purpose::Email] {
        let Terms { name, anchors, extended, bits, needs_key_usage } = purpose.terms();
        let without = if needs_key_usage { "refused" } else { "accepted" };
        let _ = writeln!(out, "| `{name}` | {anchors} | {} | {} | {without} |", extended.join(", "), bits.join(", "));
    }
    out.push_str(POLICY);
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_published_page_is_this_table() {
        let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../specs/findings.md");
        let published = std::fs::read_to_string(page).unwrap_or_default();
        assert!(published == super::table(), "run: cargo run -p sceau -- findings > specs/findings.md");
    }
}
