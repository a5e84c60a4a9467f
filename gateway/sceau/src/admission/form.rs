//! The form of a sealed message, by what is known of the one who reads it (decision 0030).

use pki::{
    certificate::{Certificate, KeyKind},
    cms::RsaTransport,
};

use crate::config::{Cipher, Partner, SealProfile};

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
}

impl Form {
    /// What is written for a recipient, and why.
    pub fn choose(partner: Option<&Partner>) -> (Self, FormRule) {
        let (profile, why) = match partner.and_then(|partner| partner.profile) {
            Some(profile) => (profile, Reason::Configured),
            None => (SealProfile::default(), Reason::Default),
        };
        let (transport, reason) = match partner.and_then(Partner::rsa_transport) {
            Some(transport) => (transport, Reason::Configured),
            None => (profile.of_mail().rsa_transport(), Reason::Default),
        };
        (Self { profile, transport }, FormRule { profile: why, transport: reason })
    }

    /// The form in words for the readers of these certificates, with the reason of each part.
    pub fn explained(self, rule: &FormRule, readers: &[Certificate]) -> String {
        let cipher = Cipher::of_profile(self.profile).name();
        let profile = match (&rule.profile, self.profile) {
            (Reason::Configured, _) => "the [[partner]] entry says so",
            (Reason::Default, _) => "the form between gateways: nothing else is known of the recipient",
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

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(rule: &str) -> (Form, FormRule) {
        let partner: Partner = toml::from_str(&format!("domain = \"b.test\"\nsmime = \"required\"\n{rule}")).unwrap();
        Form::choose(Some(&partner))
    }

    #[test]
    fn the_form_follows_the_partner_rule_and_else_the_profile() {
        use RsaTransport::{OaepSha256, Pkcs1};
        use SealProfile::{Client, Gateway};
        let (form, why) = Form::choose(None);
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
