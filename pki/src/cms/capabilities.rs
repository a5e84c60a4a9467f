//! What the signer of a message says that it reads (sMIMECapabilities, RFC 8551 §2.5.2).

use std::{collections::BTreeSet, fmt};

use serde::{Deserialize, Serialize};

use super::{
    Attribute,
    algorithm::{Algorithm, identifier},
    attribute::oaep_sha256,
    oid,
    reader::{Element, Malformed},
};
use crate::der;

/// Capabilities in one attribute.
const MAX_CAPABILITIES: usize = 100;
/// sMIMECapabilities, dotted.
const ATTRIBUTE: &str = "1.2.840.113549.1.9.15";

/// One thing that bears on how we write to somebody; whatever else a signer lists does not matter here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Capability {
    /// AES-256-GCM in AuthEnvelopedData.
    #[serde(rename = "aes-256-gcm")]
    Aes256Gcm,
    /// AES-CBC with a key of any length: who reads one reads all.
    #[serde(rename = "aes-cbc")]
    AesCbc,
    /// RSAES-OAEP with SHA-256 for digest and mask: no other form of it is written.
    #[serde(rename = "rsa-oaep-sha256")]
    RsaOaepSha256,
}

/// What somebody reads, as far as it bears on how we write.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Capabilities(BTreeSet<Capability>);

impl Capabilities {
    /// These and no others.
    pub fn new(all: impl IntoIterator<Item = Capability>) -> Self {
        Self(all.into_iter().collect())
    }

    /// What a gateway of ours reads.
    pub fn ours() -> Self {
        Self::new([Capability::Aes256Gcm, Capability::AesCbc, Capability::RsaOaepSha256])
    }

    /// Those of a list of words that are known here: what others read besides is no concern of ours.
    pub fn from_words(words: &[String]) -> Self {
        Self::new(words.iter().filter_map(|word| serde_json::from_value(word.as_str().into()).ok()))
    }

    /// As words, for [`Self::from_words`].
    pub fn words(&self) -> Vec<String> {
        let word = |one: &Capability| serde_json::to_value(one).ok()?.as_str().map(str::to_owned);
        self.0.iter().filter_map(word).collect()
    }

    /// Whether it is listed.
    pub fn has(&self, one: Capability) -> bool {
        self.0.contains(&one)
    }

    /// Whether nothing in it is a cipher that we write: such a list says nothing that we could follow.
    pub fn is_useless(&self) -> bool {
        !self.has(Capability::Aes256Gcm) && !self.has(Capability::AesCbc)
    }

    /// Those among signed attributes; none where they are absent, repeated, or not to be read.
    pub fn among(attributes: &[Attribute]) -> Option<Self> {
        let mut found = attributes.iter().filter(|attribute| attribute.oid == ATTRIBUTE);
        match (found.next().map(|attribute| attribute.values.as_slice()), found.next()) {
            (Some([value]), None) => Self::read(value).ok(),
            _ => None,
        }
    }

    fn read(value: &[u8]) -> Result<Self, Malformed> {
        const WHAT: &str = "S/MIME capabilities";
        let list = Element::only(value, WHAT)?;
        if list.tag != der::tag::SEQUENCE {
            return Err(Malformed::Expected(WHAT));
        }
        let mut all = BTreeSet::new();
        for one in list.members()?.all(MAX_CAPABILITIES, WHAT)? {
            if one.tag != der::tag::SEQUENCE {
                return Err(Malformed::Expected(WHAT));
            }
            all.extend(known(&Algorithm::of(one, WHAT)?));
        }
        Ok(Self(all))
    }
}

fn known(algorithm: &Algorithm<'_>) -> Option<Capability> {
    match algorithm.oid {
        oid::AES256_GCM => Some(Capability::Aes256Gcm),
        oid::AES256_CBC | oid::AES192_CBC | oid::AES128_CBC => Some(Capability::AesCbc),
        // Its parameters decide: bare, it would mean SHA-1.
        oid::RSA_OAEP => (algorithm.element.raw == identifier(oid::RSA_OAEP, Some(oaep_sha256())))
            .then_some(Capability::RsaOaepSha256),
        _ => None,
    }
}

impl fmt::Display for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = |one: &Capability| match one {
            Capability::Aes256Gcm => "AES-256-GCM",
            Capability::AesCbc => "AES-CBC",
            Capability::RsaOaepSha256 => "RSA-OAEP with SHA-256",
        };
        let words: Vec<_> = self.0.iter().map(word).collect();
        f.write_str(
            if words.is_empty() { "nothing that is written here".to_owned() } else { words.join(", ") }.as_str(),
        )
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cms::attribute;

    fn listed(value: Vec<u8>) -> Option<Capabilities> {
        Capabilities::among(&[Attribute::single(ATTRIBUTE, value)])
    }

    #[test]
    fn what_we_list_is_what_we_read() {
        assert_eq!(listed(attribute::capabilities()), Some(Capabilities::ours()));
    }

    #[test]
    fn only_what_is_written_here_counts() {
        let list = |all: &[Vec<u8>]| listed(der::sequence(all));
        let bare = |oid| identifier(oid, None);
        let old = list(&[bare(oid::DES_EDE3_CBC), bare(oid::RC2_CBC)]).unwrap();
        assert!(old.is_useless() && old == Capabilities::default());
        assert_eq!(
            list(&[bare(oid::AES128_CBC), bare(oid::DES_EDE3_CBC)]),
            Some(Capabilities::new([Capability::AesCbc]))
        );
        // OAEP that is not said to be with SHA-256 is with SHA-1 (RFC 4055 §4.1).
        assert!(!list(&[bare(oid::RSA_OAEP), bare(oid::AES256_CBC)]).unwrap().has(Capability::RsaOaepSha256));
        assert!(list(&[]).unwrap().is_useless());
    }

    #[test]
    fn what_is_absent_repeated_or_malformed_says_nothing() {
        let whole = attribute::capabilities();
        assert_eq!(Capabilities::among(&[]), None);
        let one = Attribute::single(ATTRIBUTE, whole.clone());
        assert_eq!(Capabilities::among(&[one.clone(), one.clone()]), None);
        assert_eq!(Capabilities::among(&[Attribute { values: vec![whole.clone(), whole.clone()], ..one }]), None);
        for value in [vec![], der::null(), der::sequence(&[der::null()]), [whole.clone(), vec![0]].concat()] {
            assert_eq!(listed(value.clone()), None, "{value:02x?}");
        }
        assert_eq!(listed(der::sequence(&vec![identifier(oid::AES256_GCM, None); MAX_CAPABILITIES + 1])), None);
    }

    #[test]
    fn words_come_back_and_unknown_ones_are_passed_over() {
        let ours = Capabilities::ours();
        assert_eq!(ours.words(), ["aes-256-gcm", "aes-cbc", "rsa-oaep-sha256"]);
        assert_eq!(Capabilities::from_words(&ours.words()), ours);
        let some = ["aes-cbc".to_owned(), "ml-kem-768".to_owned()];
        assert_eq!(Capabilities::from_words(&some), Capabilities::new([Capability::AesCbc]));
    }

    proptest! {
        #[test]
        fn any_octets_are_read_or_refused(value in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = listed(value);
        }
    }
}
