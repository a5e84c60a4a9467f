//! Where the directory answers over LDAP, and to whom.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use serde::Deserialize;

use super::{Span, TlsStart};

/// The LDAP face of the directory. Without a listener there is none.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ldap {
    /// Ports.
    #[serde(rename = "listener")]
    pub listeners: Vec<LdapListener>,
    /// The name of the folder that holds everything.
    pub base: String,
    /// Whether those may search who do not say who they are: a network of our own, not the world.
    pub anonymous: bool,
    /// Application accounts, for programs without a certificate.
    #[serde(rename = "account")]
    pub accounts: Vec<LdapAccount>,
    /// Bounds.
    pub limits: LdapLimits,
}

/// One port.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LdapListener {
    /// Address and port.
    pub address: SocketAddr,
    /// Whether TLS starts at once (636) or by StartTLS (389).
    #[serde(default = "at_once")]
    pub tls: TlsStart,
    /// Whether clients are asked for a certificate (SASL EXTERNAL). Mail programs put that question to their user.
    #[serde(default)]
    pub certificates: bool,
}

/// A program that binds by name and password.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LdapAccount {
    /// The name that it binds with.
    pub name: String,
    /// File of the password's hash, written by `sceau annuaire password`.
    pub password: PathBuf,
    /// Whether it may copy the whole directory, page by page.
    #[serde(default)]
    pub whole: bool,
}

/// Bounds on what is asked.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LdapLimits {
    /// Entries of one answer.
    pub entries: usize,
    /// Entries of one answer, for those who said who they are.
    pub entries_known: usize,
    /// Entries of all pages of one search together, for those who said who they are.
    pub paged_known: usize,
    /// Searches in a minute from one address, or of one account; twice as many at once.
    pub searches: u32,
    /// Entries in an hour to one address. Those who said who they are may have ten times as many.
    pub entries_an_hour: u32,
    /// Connections at once.
    pub connections: usize,
    /// Connections at once from one address.
    pub connections_per_peer: usize,
    /// Longest silence of a client.
    pub idle: Span,
    /// Longest life of a connection.
    pub session: Span,
    /// Longest time for one search.
    pub search: Span,
}

const fn at_once() -> TlsStart {
    TlsStart::Implicit
}

impl Default for Ldap {
    fn default() -> Self {
        Self {
            listeners: Vec::new(),
            base: "dc=annuaire".to_owned(),
            anonymous: false,
            accounts: Vec::new(),
            limits: LdapLimits::default(),
        }
    }
}

impl Default for LdapLimits {
    /// One typist searches five times a second and sees a hundred entries each time; a practice shares one address.
    fn default() -> Self {
        Self {
            entries: 100,
            entries_known: 500,
            paged_known: 5000,
            searches: 600,
            entries_an_hour: 50_000,
            connections: 1000,
            connections_per_peer: 50,
            idle: Span(Duration::from_secs(60)),
            session: Span(Duration::from_secs(3600)),
            search: Span(Duration::from_secs(2)),
        }
    }
}

impl Ldap {
    /// What is contradictory or unsafe.
    pub(super) fn faults(&self, directory: bool, found: &mut Vec<String>) {
        if !self.listeners.is_empty() && !directory {
            found.push("[ldap] has a listener, but there is no directory to ask: say annuaire.data".to_owned());
        }
        if !annuaire::ldap::is_base(&self.base) {
            found.push(format!("ldap.base: `{}` is no name of an entry like dc=annuaire", self.base));
        }
        let asked = self.listeners.iter().any(|listener| listener.certificates);
        if !self.listeners.is_empty() && !self.anonymous && self.accounts.is_empty() && !asked {
            found.push(
                "[ldap] answers nobody: say `certificates = true` at a listener, name an [[ldap.account]], or say \
                 `anonymous = true`"
                    .to_owned(),
            );
        }
        let mut names: Vec<String> = self.accounts.iter().map(|account| account.name.to_lowercase()).collect();
        names.sort();
        if names.windows(2).any(|pair| pair.first() == pair.last()) || names.iter().any(String::is_empty) {
            found.push("[[ldap.account]] names must be there, each once".to_owned());
        }
        let limits = &self.limits;
        let counts =
            [limits.entries, limits.entries_known, limits.paged_known, limits.connections, limits.connections_per_peer];
        let spans = [limits.idle, limits.session, limits.search];
        if counts.contains(&0)
            || limits.searches == 0
            || limits.entries_an_hour == 0
            || spans.iter().any(|s| s.0.is_zero())
        {
            found.push("ldap.limits must all be more than nothing".to_owned());
        }
        if counts.iter().take(2).any(|entries| *entries > 5000) {
            found.push("ldap.limits.entries and entries_known are at most 5000: more is for pages".to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str, directory: bool) -> Vec<String> {
        let ldap: Ldap = toml::from_str(text).unwrap();
        let mut found = Vec::new();
        ldap.faults(directory, &mut found);
        found
    }

    #[test]
    fn nobody_is_answered_unless_it_is_said() {
        assert!(faults("", false).is_empty());
        assert!(!Ldap::default().anonymous);
        let listener = "[[listener]]\naddress = \"127.0.0.1:636\"\n";
        assert!(faults(listener, true)[0].contains("answers nobody"));
        assert!(faults(&format!("anonymous = true\n{listener}"), true).is_empty());
        assert!(faults(&format!("{listener}certificates = true\n"), true).is_empty());
        assert!(faults(&format!("{listener}certificates = true\n"), false)[0].contains("annuaire.data"));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let account = "[[account]]\nname = \"app\"\npassword = \"app.hash\"\n";
        for (text, part) in [
            ("base = \"annuaire\"".to_owned(), "ldap.base"),
            (account.repeat(2), "each once"),
            ("[limits]\nsearches = 0\n".to_owned(), "more than nothing"),
            ("[limits]\nentries = 100000\n".to_owned(), "at most 5000"),
        ] {
            let found = faults(&text, true);
            assert!(found.len() == 1 && found[0].contains(part), "{text}: {found:?}");
        }
    }
}
