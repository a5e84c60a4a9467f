//! What becomes of received messages that cannot be opened.

use serde::Deserialize;

/// Opening of received messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Opening {
    /// What becomes of a message that is encrypted for none of our keys.
    pub unknown_key: UnknownKey,
}

/// What becomes of a message that is encrypted for none of our keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnknownKey {
    /// It is refused: its sender learns at once that it has to be sent again with our current certificate.
    #[default]
    Refuse,
    /// It is taken and waits in quarantine until a key is added, or somebody refuses it.
    Quarantine,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_opened_is_refused_unless_the_configuration_says_otherwise() {
        let read = |text: &str| toml::from_str::<Opening>(text);
        assert_eq!(read("").unwrap().unknown_key, UnknownKey::Refuse);
        assert_eq!(read("unknown_key = \"quarantine\"").unwrap().unknown_key, UnknownKey::Quarantine);
        assert!(read("unknown_key = \"deliver\"").is_err() && read("unknown = 1").is_err());
    }
}
