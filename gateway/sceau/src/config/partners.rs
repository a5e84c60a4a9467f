//! `[partners]`, `[publish]`, and the rules of one `[[partner]]` (decision 0018).

use std::{collections::BTreeMap, fmt, net::IpAddr, path::PathBuf, time::Duration};

use pki::{book::ledger::FirstContact, certificate::KeyKind, cms::RsaTransport};
use serde::Deserialize;

use super::{BookCertificate, KeyFiles, SealProfile, Size, SmimeRule, Span};
use ident::Domain;

/// How partners' files are taken.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Partners {
    /// Whether the first certificates of a domain of which nothing is known wait for a person.
    pub first_contact: FirstContact,
    /// How often each file is looked for.
    pub refresh: Span,
    /// Fixed addresses of hosts that files come from: DNS is not asked for them, and they may be inside our own
    /// networks.
    pub addresses: BTreeMap<String, IpAddr>,
}

impl Default for Partners {
    fn default() -> Self {
        Self { first_contact: FirstContact::Wait, refresh: Span(Duration::from_secs(3600)), addresses: BTreeMap::new() }
    }
}

/// Our own partner file, as `sceau partner publish` writes it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Publish {
    /// Where it is written, for a web server to serve; none: `partner.p7m` in the data folder.
    pub file: Option<PathBuf>,
    /// How long others may take it: publish again long before.
    pub lifetime: Span,
    /// What signs it; none: what signs for the first domain.
    pub signing: Option<KeyFiles>,
    /// Certificates that will take over, published ahead so that nobody's mail waits for an approval.
    pub upcoming: Vec<BookCertificate>,
}

impl Default for Publish {
    fn default() -> Self {
        Self { file: None, lifetime: Span(Duration::from_secs(30 * 86_400)), signing: None, upcoming: Vec::new() }
    }
}

/// A rule for one partner domain.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Partner {
    /// The domain.
    pub domain: Domain,
    /// Whether mail to it, and from it, must be sealed.
    pub smime: SmimeRule,
    /// Form of what we seal for it; none: what is known of it decides, else `gateway`.
    pub profile: Option<SealProfile>,
    /// Largest message that it takes, sealed.
    pub max_size: Option<Size>,
    /// Largest message that we take from it, as it comes.
    pub max_incoming: Option<Size>,
    /// Content ciphers that may be used with it, both ways; none: all that this program accepts.
    #[serde(default)]
    pub ciphers: Vec<Cipher>,
    /// Ways to transport content keys that may be used with it, both ways; none: all.
    #[serde(default)]
    pub key_transports: Vec<Transport>,
    /// Certificate policies (dotted), one of which the path of each of its certificates must follow; none: any.
    #[serde(default)]
    pub policies: Vec<String>,
}

/// A content cipher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Cipher {
    /// AES-128-GCM.
    #[serde(rename = "aes-128-gcm")]
    Aes128Gcm,
    /// AES-192-GCM.
    #[serde(rename = "aes-192-gcm")]
    Aes192Gcm,
    /// AES-256-GCM: what the profile `gateway` writes.
    #[serde(rename = "aes-256-gcm")]
    Aes256Gcm,
    /// AES-128-CBC.
    #[serde(rename = "aes-128-cbc")]
    Aes128Cbc,
    /// AES-192-CBC.
    #[serde(rename = "aes-192-cbc")]
    Aes192Cbc,
    /// AES-256-CBC: what the profile `client` writes.
    #[serde(rename = "aes-256-cbc")]
    Aes256Cbc,
}

impl Cipher {
    /// As `pki::cms` names it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Aes128Gcm => "AES-128-GCM",
            Self::Aes192Gcm => "AES-192-GCM",
            Self::Aes256Gcm => "AES-256-GCM",
            Self::Aes128Cbc => "AES-128-CBC",
            Self::Aes192Cbc => "AES-192-CBC",
            Self::Aes256Cbc => "AES-256-CBC",
        }
    }

    /// What a profile writes.
    pub const fn of_profile(profile: SealProfile) -> Self {
        match profile {
            SealProfile::Gateway => Self::Aes256Gcm,
            SealProfile::Client => Self::Aes256Cbc,
        }
    }
}

/// A way to transport content keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    /// RSAES-OAEP.
    RsaOaep,
    /// RSAES-PKCS1-v1_5: written for the profile `client` only, and not where OAEP alone is listed.
    RsaPkcs1,
    /// Elliptic-curve Diffie–Hellman.
    Ecdh,
}

impl Partner {
    /// Whether a content cipher, by its name, may be used.
    pub fn allows_cipher(&self, name: &str) -> bool {
        self.ciphers.is_empty() || self.ciphers.iter().any(|cipher| cipher.name() == name)
    }

    /// Whether a way of transport, by its name, may be used.
    pub fn allows_transport(&self, name: &str) -> bool {
        let of_name = |transport: &Transport| match transport {
            Transport::RsaOaep => name.starts_with("RSA-OAEP"),
            Transport::RsaPkcs1 => name.starts_with("RSA PKCS#1"),
            Transport::Ecdh => name.starts_with("ECDH"),
        };
        self.key_transports.is_empty() || self.key_transports.iter().any(of_name)
    }

    /// Whether something may be encrypted to a certificate with this kind of key.
    pub fn allows_key(&self, key: KeyKind) -> bool {
        let fits = |transport: &Transport| match transport {
            Transport::RsaOaep | Transport::RsaPkcs1 => matches!(key, KeyKind::Rsa(_)),
            Transport::Ecdh => !matches!(key, KeyKind::Rsa(_)),
        };
        self.key_transports.is_empty() || self.key_transports.iter().any(fits)
    }

    /// How content keys are to be wrapped for RSA keys, where the rule leaves no choice.
    pub fn rsa_transport(&self) -> Option<RsaTransport> {
        let listed = |transport| self.key_transports.contains(&transport);
        match (listed(Transport::RsaOaep), listed(Transport::RsaPkcs1)) {
            (true, false) => Some(RsaTransport::OaepSha256),
            (false, true) => Some(RsaTransport::Pkcs1),
            _ => None,
        }
    }

    /// Whether a path that follows these policies is good for this partner.
    pub fn allows_policies(&self, policies: &[String]) -> bool {
        self.policies.is_empty() || policies.iter().any(|policy| self.policies.contains(policy))
    }
}

/// The rule in words, for `sceau explain`.
impl fmt::Display for Partner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let smime = match self.smime {
            SmimeRule::Required => "required",
            SmimeRule::WhenPossible => "when_possible",
            SmimeRule::Signed => "signed",
            SmimeRule::Never => "never",
        };
        write!(f, "[[partner]] {}: smime = {smime}", self.domain)?;
        if let Some(profile) = self.profile {
            write!(f, ", profile = {}", profile.word())?;
        }
        if !self.ciphers.is_empty() {
            let names: Vec<_> = self.ciphers.iter().map(|cipher| cipher.name()).collect();
            write!(f, ", ciphers = {}", names.join(" "))?;
        }
        if !self.key_transports.is_empty() {
            write!(f, ", key_transports = {:?}", self.key_transports)?;
        }
        if !self.policies.is_empty() {
            write!(f, ", policies = {}", self.policies.join(" "))?;
        }
        if let Some(size) = self.max_size {
            write!(f, ", max_size = {} octets", size.0)?;
        }
        Ok(())
    }
}

/// What is contradictory in the rules of partners.
pub(super) fn faults(found: &mut Vec<String>, partners: &[Partner]) {
    for partner in partners {
        let domain = &partner.domain;
        let profile = partner.profile.unwrap_or_default();
        let written = Cipher::of_profile(profile).name();
        if !partner.allows_cipher(written) {
            found.push(format!(
                "partner {domain}: its profile writes {written}, which its `ciphers` do not allow; change one of the two"
            ));
        }
        if partner.rsa_transport() == Some(RsaTransport::Pkcs1) && profile == SealProfile::Gateway {
            found.push(format!(
                "partner {domain}: key transport rsa-pkcs1 alone goes with `profile = \"client\"` only; allow rsa-oaep"
            ));
        }
        if let Some(policy) = partner.policies.iter().find(|policy| pki::der::oid(policy).is_none()) {
            found.push(format!("partner {domain}: {policy} is no object identifier of a policy"));
        }
        let sealing = !(partner.ciphers.is_empty() && partner.key_transports.is_empty() && partner.policies.is_empty());
        let unsealed = matches!(partner.smime, SmimeRule::Never | SmimeRule::Signed);
        if unsealed && (sealing || partner.profile.is_some()) {
            found.push(format!(
                "partner {domain}: `smime` lets mail go unencrypted, and there are rules for sealed mail: the two contradict each other"
            ));
        }
    }
}
