//! The form of a sealed message, by what is known of the one who reads it (decision 0030).

use pki::{
    certificate::{Certificate, KeyKind},
    cms::{Capability, RsaTransport},
};

use crate::{
    capabilities::Told,
    config::{Cipher, Partner, SealProfile},
};

/// The reason in the trail of a recipient whose own word chose the form.
pub const TOLD: &str = "form-from-capabilities";

/// Form of a sealed message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Form {
    /// Container and cipher.
    pub profile: SealProfile,
    /// How content keys are wrapped for RSA certificates.
    pub transport: RsaTransport,
}

/// What chose each part of a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormRule {
    /// The profile.
    pub profile: Reason,
    /// How content keys are wrapped for RSA certificates.
    pub transport: Reason,
}

/// What chose one part of a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// Nothing is known of the recipient.
    Default,
    /// The configuration says so.
    Configured,
    /// The recipient says what it reads.
    Told(Told),
}

impl FormRule {
    /// Whether the recipient's own word chose anything.
    pub fn is_told(&self) -> bool {
        [&self.profile, &self.transport].iter().any(|reason| matches!(reason, Reason::Told(_)))
    }
}

impl Form {
    /// What is written for a recipient, and why. Whatever is told, it chooses among the forms of this program:
    /// there is none below them.
    pub fn choose(partner: Option<&Partner>, told: Option<&Told>) -> (Self, FormRule) {
        let (profile, why) = match (partner.and_then(|partner| partner.profile), told.and_then(read_by)) {
            (Some(profile), _) => (profile, Reason::Configured),
            (None, Some((profile, told))) if allows(partner, profile) => (profile, Reason::Told(told.clone())),
            _ => (SealProfile::default(), Reason::Default),
        };
        let oaep = told.filter(|told| told.capabilities.has(Capability::RsaOaepSha256));
        let (transport, reason) = match (partner.and_then(Partner::rsa_transport), profile, oaep) {
            (Some(transport), ..) => (transport, Reason::Configured),
            (None, SealProfile::Client, Some(told)) => (RsaTransport::OaepSha256, Reason::Told(told.clone())),
            _ => (profile.of_mail().rsa_transport(), Reason::Default),
        };
        (Self { profile, transport }, FormRule { profile: why, transport: reason })
    }

    /// The form in words for the readers of these certificates, with the reason of each part.
    pub fn explained(self, rule: &FormRule, readers: &[Certificate]) -> String {
        let cipher = Cipher::of_profile(self.profile).name();
        let profile = match &rule.profile {
            Reason::Configured => "the [[partner]] entry says so".to_owned(),
            Reason::Default => "the form between gateways: nothing else is known of the recipient".to_owned(),
            Reason::Told(told) => {
                format!("it reads {}, says {}, signed {}", told.capabilities, told.source, told.at)
            }
        };
        let mut words = format!("profile {}, {cipher}: {profile}", self.profile.word());
        let rsa = |reader: &Certificate| matches!(reader.key(), KeyKind::Rsa(_));
        if readers.iter().any(rsa) {
            let name = match self.transport {
                RsaTransport::OaepSha256 => "RSA-OAEP with SHA-256",
                RsaTransport::Pkcs1 => "RSA PKCS#1 v1.5",
            };
            let reason = match (&rule.transport, self.profile) {
                (Reason::Configured, _) => "the [[partner]] entry says so",
                (Reason::Told(_), _) => "it says that it reads that",
                (Reason::Default, SealProfile::Gateway) => "as between gateways",
                (Reason::Default, SealProfile::Client) => "not every mail program reads OAEP",
            };
            words.push_str(&format!("; {name}: {reason}"));
        }
        if !readers.iter().all(rsa) {
            words.push_str("; ECDH with SHA-256: the key is on a curve");
        }
        words
    }
}

/// The best form that somebody who lists this reads; none where the list says nothing that we could follow.
fn read_by(told: &Told) -> Option<(SealProfile, &Told)> {
    if told.capabilities.has(Capability::Aes256Gcm) {
        Some((SealProfile::Gateway, told))
    } else if told.capabilities.has(Capability::AesCbc) {
        Some((SealProfile::Client, told))
    } else {
        None
    }
}

/// Whether the partner rule lets a form be chosen that it does not name.
fn allows(partner: Option<&Partner>, profile: SealProfile) -> bool {
    partner.is_none_or(|partner| partner.allows_cipher(Cipher::of_profile(profile).name()))
}

#[cfg(test)]
mod tests {
    use ident::Timestamp;
    use pki::cms::Capabilities;

    use super::*;

    fn partner(rule: &str) -> Partner {
        toml::from_str(&format!("domain = \"b.test\"\nsmime = \"required\"\n{rule}")).unwrap()
    }

    fn chosen(rule: &str) -> (Form, FormRule) {
        Form::choose(Some(&partner(rule)), None)
    }

    fn told(all: &[Capability]) -> Told {
        let capabilities = Capabilities::new(all.iter().copied());
        Told { capabilities, source: "a signature".into(), at: Timestamp::parse("2026-11-22T10:00:00Z").unwrap() }
    }

    /// Whatever a recipient says: the configuration comes first, and there is no form below the two.
    #[test]
    fn the_form_follows_what_the_recipient_says_and_never_falls_below_the_two() {
        use Capability::{Aes256Gcm, AesCbc, RsaOaepSha256};
        use RsaTransport::{OaepSha256, Pkcs1};
        use SealProfile::{Client, Gateway};
        for (rule, says, profile, transport) in [
            ("", &[AesCbc][..], Client, Pkcs1),
            ("", &[AesCbc, RsaOaepSha256], Client, OaepSha256),
            ("", &[Aes256Gcm], Gateway, OaepSha256),
            ("", &[Aes256Gcm, AesCbc], Gateway, OaepSha256),
            ("", &[], Gateway, OaepSha256),
            ("", &[RsaOaepSha256], Gateway, OaepSha256),
            ("profile = \"gateway\"", &[AesCbc], Gateway, OaepSha256),
            ("profile = \"client\"", &[Aes256Gcm, AesCbc], Client, Pkcs1),
            ("profile = \"client\"", &[Aes256Gcm, AesCbc, RsaOaepSha256], Client, OaepSha256),
            ("profile = \"client\"\nkey_transports = [\"rsa-pkcs1\"]", &[AesCbc, RsaOaepSha256], Client, Pkcs1),
            ("ciphers = [\"aes-256-gcm\"]", &[AesCbc], Gateway, OaepSha256),
        ] {
            let (form, why) = Form::choose(Some(&partner(rule)), Some(&told(says)));
            assert_eq!(form, Form { profile, transport }, "{rule} {says:?}");
            let changed = (form, why.is_told());
            assert!(changed.1 || Form::choose(Some(&partner(rule)), None).0 == changed.0, "{rule} {says:?}");
        }
        let (form, why) = Form::choose(None, Some(&told(&[AesCbc])));
        assert_eq!((form.profile, form.transport), (Client, Pkcs1));
        let words = form.explained(&why, &[]);
        assert!(words.contains("it reads AES-CBC, says a signature, signed 2026-11-22T10:00:00Z"), "{words}");
    }

    #[test]
    fn the_form_follows_the_partner_rule_and_else_the_profile() {
        use RsaTransport::{OaepSha256, Pkcs1};
        use SealProfile::{Client, Gateway};
        let (form, why) = Form::choose(None, None);
        assert_eq!((form, why.profile), (Form { profile: Gateway, transport: OaepSha256 }, Reason::Default));
        for (rule, profile, transport, configured) in [
            ("", Gateway, OaepSha256, false),
            ("profile = \"client\"", Client, Pkcs1, false),
            ("profile = \"client\"\nkey_transports = [\"rsa-oaep\"]", Client, OaepSha256, true),
            ("profile = \"client\"\nkey_transports = [\"rsa-oaep\", \"ecdh\"]", Client, OaepSha256, true),
            ("profile = \"client\"\nkey_transports = [\"rsa-pkcs1\"]", Client, Pkcs1, true),
            ("profile = \"client\"\nkey_transports = [\"rsa-pkcs1\", \"rsa-oaep\"]", Client, Pkcs1, false),
            ("key_transports = [\"rsa-pkcs1\", \"rsa-oaep\"]", Gateway, OaepSha256, false),
            ("key_transports = [\"ecdh\"]", Gateway, OaepSha256, false),
        ] {
            let (form, why) = chosen(rule);
            assert_eq!(form, Form { profile, transport }, "{rule}");
            assert_eq!(why.transport == Reason::Configured, configured, "{rule}");
        }
    }
}
