//! `[seal]`: what holds for every message that we seal.

use std::{collections::BTreeMap, net::IpAddr, path::PathBuf, time::Duration};

use ident::Fingerprint;
use serde::Deserialize;

use super::Span;
use crate::fetch::Place;

/// Longest outer subject, in characters.
const MAX_SUBJECT: usize = 120;

/// What holds for every message that we seal.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Seal {
    /// The subject that everybody on the way reads: the same for all messages, the real one is inside.
    pub subject: String,
    /// What happens to a message whose recipients do not all read the same strength (RFC 8551 §6).
    pub mixed_strength: MixedStrength,
    /// Whose word on what they read is followed, where no `[[partner]]` entry says it.
    pub capabilities: Follow,
    /// How long it is kept what somebody's signature said of that, after it was last said.
    pub capabilities_kept: Span,
    /// Time stamps beside our signatures, and whose time stamps we believe.
    pub timestamp: Option<Timestamps>,
}

impl Default for Seal {
    fn default() -> Self {
        Self {
            subject: mail::DEFAULT_SUBJECT.to_owned(),
            mixed_strength: MixedStrength::Separate,
            capabilities: Follow::Learned,
            capabilities_kept: Span(Duration::from_secs(400 * 86_400)),
            timestamp: None,
        }
    }
}

/// What happens to a message whose recipients do not all read the same strength: the copy that is weaker
/// betrays what the stronger ones protect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MixedStrength {
    /// Each gets what it reads, and the trail says who got less than others.
    #[default]
    Separate,
    /// The message is refused: its sender decides who gets it.
    Refuse,
}

/// Whose word on what they read is followed (decision 0030).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Follow {
    /// What they publish in partner files, else what their own signatures say.
    #[default]
    Learned,
    /// What they publish in partner files.
    Published,
    /// Nobody's: a form is what the configuration says.
    Nobody,
}

/// Time stamps (RFC 3161).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timestamps {
    /// The authority that stamps our signatures; none: only what others had stamped is judged.
    pub url: Option<String>,
    /// Without a time stamp no message is taken (451). Else it goes without, and the trail says why.
    #[serde(default)]
    pub required: bool,
    /// Roots of the authorities that are believed, ours and our partners'.
    #[serde(rename = "anchor")]
    pub anchors: Vec<StampAnchor>,
    /// Revocation lists for them; with none, revocation of these authorities is not judged.
    #[serde(default)]
    pub crls: Vec<PathBuf>,
    /// How long the authority may take to answer.
    #[serde(default = "default_patience")]
    pub patience: Span,
    /// How far its clock may be from ours.
    #[serde(default = "default_drift")]
    pub drift: Span,
    /// How long it is left alone after it failed: until then it is taken for absent.
    #[serde(default = "default_rest")]
    pub rest: Span,
    /// Fixed addresses of its host: DNS is not asked, and it may be inside our own networks.
    #[serde(default)]
    pub addresses: BTreeMap<String, IpAddr>,
}

/// A pinned root of time stamps.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StampAnchor {
    /// PEM file.
    pub file: PathBuf,
    /// SHA-256 that the file's certificate must have.
    pub sha256: Fingerprint,
}

fn default_patience() -> Span {
    Span(Duration::from_secs(10))
}

fn default_drift() -> Span {
    Span(Duration::from_secs(300))
}

fn default_rest() -> Span {
    Span(Duration::from_secs(30))
}

impl Seal {
    /// What is wrong with it.
    pub(super) fn faults(&self, found: &mut Vec<String>) {
        let length = self.subject.chars().count();
        if self.subject.trim().is_empty() || length > MAX_SUBJECT || self.subject.chars().any(char::is_control) {
            found.push(format!("seal.subject: one line of 1 to {MAX_SUBJECT} characters"));
        }
        let Some(stamps) = &self.timestamp else { return };
        if stamps.anchors.is_empty() {
            found.push("seal.timestamp: name the root of the authority in [[seal.timestamp.anchor]]".to_owned());
        }
        match &stamps.url {
            Some(url) => {
                if let Err(error) = Place::parse(url) {
                    found.push(format!("seal.timestamp.url: {error}"));
                } else if url.starts_with("ldap") {
                    found.push("seal.timestamp.url: time stamps come over http or https".to_owned());
                }
            }
            None if stamps.required => {
                found.push("seal.timestamp: `required` needs the `url` of an authority".to_owned());
            }
            None => {}
        }
        if [stamps.patience, stamps.drift].iter().any(|span| span.0 == Duration::ZERO) {
            found.push("seal.timestamp: patience and drift must be longer than nothing".to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults_of(text: &str) -> Vec<String> {
        let mut found = Vec::new();
        toml::from_str::<Seal>(text).unwrap().faults(&mut found);
        found
    }

    #[test]
    fn contradictions_about_sealing_are_refused() {
        let anchor = format!("[[timestamp.anchor]]\nfile = \"tsa.pem\"\nsha256 = \"{}\"\n", "ab".repeat(32));
        let with = |more: &str| faults_of(&format!("[timestamp]\n{more}\n{anchor}"));
        assert!(faults_of("").is_empty() && faults_of("subject = \"Message chiffré\"").is_empty());
        assert!(with("").is_empty() && with("url = \"http://tsa.exemple.test/tsr\"\nrequired = true").is_empty());
        for (more, part) in [
            ("required = true", "needs the `url`"),
            ("url = \"ldap://tsa.exemple.test/x\"", "http or https"),
            ("url = \"tsa.exemple.test\"", "seal.timestamp.url"),
            ("drift = \"0s\"", "longer than nothing"),
        ] {
            let found = with(more);
            assert!(found.len() == 1 && found[0].contains(part), "{more}: {found:?}");
        }
        for subject in [" ".to_owned(), "x".repeat(121), "a\\r\\nBcc: b".to_owned()] {
            assert_eq!(faults_of(&format!("subject = \"{subject}\"")).len(), 1, "{subject}");
        }
    }
}
