//! How people and peers may appear in a record: addresses with patients masked, texts made harmless.

use std::{fmt, str::FromStr};

use base64::{Engine, engine::general_purpose::STANDARD};
use ident::{Address, Domain, is_format};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::hmac::hmac_sha256;

/// Longest text of a peer or user that a record keeps, in characters (IN5, RP6).
pub const MAX_TEXT: usize = 512;
/// Length of a national patient number (INS) with its key (PAT-1).
const PATIENT_NUMBER: usize = 15;
const TOKEN_PREFIX: &str = "patient:";

/// Stands for a patient's address or number: the same patient gives the same token under one key,
/// and without the key nothing leads back (the numbers are few enough to try, hence a key and not
/// a bare hash).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token([u8; 16]);

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(TOKEN_PREFIX)?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for Token {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        const WRONG: &str = "a patient token is `patient:` and 32 hexadecimal digits";
        let digits = text.strip_prefix(TOKEN_PREFIX).ok_or(WRONG)?;
        let value = u128::from_str_radix(digits, 16).map_err(|_| WRONG)?;
        if digits.len() == 32 && !digits.starts_with('+') { Ok(Self(value.to_be_bytes())) } else { Err(WRONG) }
    }
}

/// A sender or recipient as the trail may know it. Made by [`Masker::party`] only.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Party {
    /// A professional or organisational mailbox, lower case.
    Mailbox(Address),
    /// A patient.
    Patient(Token),
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mailbox(address) => address.fmt(f),
            Self::Patient(token) => token.fmt(f),
        }
    }
}

impl TryFrom<String> for Party {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.starts_with(TOKEN_PREFIX) {
            return text.parse().map(Self::Patient).map_err(str::to_owned);
        }
        Address::parse(&text).map(Self::Mailbox).map_err(|error| error.to_string())
    }
}

impl From<Party> for String {
    fn from(value: Party) -> Self {
        value.to_string()
    }
}

/// A foreign text that cannot hurt a log, a page or a DSN: one line, no control characters, at
/// most [`MAX_TEXT`] characters, patient numbers replaced. Made by [`Masker::text`], but for what no foreigner wrote.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SafeText(String);

impl SafeText {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Octets in base64: whole, since half of them prove nothing. Whoever calls this bounds their number.
    pub fn base64(octets: &[u8]) -> Self {
        Self(STANDARD.encode(octets))
    }

    /// A text of our own making, known when we were compiled.
    pub fn of(text: &'static str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Display for SafeText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Turns addresses and texts into what a record may hold.
#[derive(Clone)]
pub struct Masker {
    key: Zeroizing<[u8; 32]>,
    patient_domains: Vec<Domain>,
}

impl fmt::Debug for Masker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Masker").field("patient_domains", &self.patient_domains).finish_non_exhaustive()
    }
}

impl Masker {
    /// With the installation's masking key and the domains where patients have their mailboxes.
    pub fn new(key: [u8; 32], patient_domains: Vec<Domain>) -> Self {
        Self { key: Zeroizing::new(key), patient_domains }
    }

    /// How this mailbox may appear. Everything at a patient domain is a patient, whatever its
    /// shape; so is a national patient number at any other domain (PAT-9).
    pub fn party(&self, address: &Address) -> Party {
        if self.is_patient(address) {
            return Party::Patient(self.token(address.local()));
        }
        Address::parse(&address.key()).map_or_else(|_| Party::Mailbox(address.clone()), Party::Mailbox)
    }

    /// Whether this mailbox is masked.
    pub fn is_patient(&self, address: &Address) -> bool {
        self.patient_domains.contains(address.domain()) || is_patient_number(address.local())
    }

    /// Whether a text, the header of a message for example, names a patient.
    pub fn names_a_patient(&self, text: &str) -> bool {
        let lower = text.to_ascii_lowercase();
        words(&lower).any(is_patient_number)
            || self.patient_domains.iter().any(|domain| lower.contains(&format!("@{domain}")))
    }

    /// Makes a foreign text harmless.
    pub fn text(&self, text: &str) -> SafeText {
        let mut safe = String::with_capacity(text.len().min(MAX_TEXT));
        let mut length = 0usize;
        for word in words(text) {
            let before = safe.len();
            if is_patient_number(word) {
                safe.push_str(&self.token(word).to_string());
            } else {
                escape(word, &mut safe);
            }
            length = length.saturating_add(safe.get(before..).map_or(0, |added| added.chars().count()));
            if length > MAX_TEXT {
                safe = safe.chars().take(MAX_TEXT.saturating_sub(1)).chain(['…']).collect();
                break;
            }
        }
        SafeText(safe)
    }

    fn token(&self, number: &str) -> Token {
        let mac = hmac_sha256(&self.key, &[b"sceau patient v1\0", number.to_ascii_lowercase().as_bytes()]);
        Token(mac.first_chunk().copied().unwrap_or_default())
    }
}

/// Splits at every border between letters or digits and the rest; nothing is lost.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let inside = rest.chars().next()?.is_ascii_alphanumeric();
        let end = rest.find(|c: char| c.is_ascii_alphanumeric() != inside).unwrap_or(rest.len());
        let (word, after) = rest.split_at_checked(end)?;
        rest = after;
        Some(word)
    })
}

/// The shape of a national patient number: sex, year, month, department (2A and 2B included),
/// commune, order, key. The key is not computed: a mistyped number is still a patient's.
fn is_patient_number(word: &str) -> bool {
    word.len() == PATIENT_NUMBER
        && word.bytes().enumerate().all(|(place, octet)| match place {
            6 => octet.is_ascii_digit() || matches!(octet.to_ascii_uppercase(), b'A' | b'B'),
            _ => octet.is_ascii_digit(),
        })
}

/// Control characters, line and paragraph separators and characters that turn the line around
/// become `\u{…}`; a backslash is doubled so that the writing is unambiguous.
fn escape(word: &str, text: &mut String) {
    for c in word.chars() {
        match c {
            '\\' => text.push_str("\\\\"),
            c if c.is_control() || is_format(c) => text.extend(c.escape_unicode()),
            c => text.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn masker() -> Masker {
        Masker::new([7; 32], vec![Domain::parse("patient.exemple.test").unwrap()])
    }

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    #[test]
    fn a_patient_is_a_token_everywhere() {
        let masker = masker();
        let party = masker.party(&address("279035121518989@patient.exemple.test"));
        assert!(matches!(party, Party::Patient(_)));
        assert!(!party.to_string().contains("279035121518989"));
        assert_eq!(Party::try_from(party.to_string()), Ok(party.clone()));
        // The same number elsewhere, and in a peer's words, is the same token.
        assert_eq!(masker.party(&address("279035121518989@ailleurs.exemple.test")), party);
        let said = masker.text("550 5.1.1 <279035121518989@patient.exemple.test>: unknown");
        assert!(said.as_str().contains(&party.to_string()), "{said}");
        assert!(!said.as_str().contains("279035121518989"));
        assert!(masker.names_a_patient("To: <279035121518989@ailleurs.exemple.test>"));
        assert!(masker.names_a_patient("To: Paul <paul@Patient.Exemple.test>"));
        assert!(!masker.names_a_patient("To: dr@exemple.test, 27903512151898@exemple.test"));
        // Corsica, and what is not a number at the patients' domain.
        assert!(masker.is_patient(&address("2790a2B21518989@patient.exemple.test")));
        assert!(masker.text("x279032A21518989").as_str().contains("279032A21518989"), "a longer word is no number");
        assert!(masker.text("(279032A21518989)").as_str().starts_with("(patient:"));
    }

    #[test]
    fn another_key_gives_another_token() {
        let other = Masker::new([8; 32], vec![]);
        let patient = address("279035121518989@patient.exemple.test");
        assert_ne!(masker().party(&patient), other.party(&patient));
        assert!(!format!("{other:?}").contains('8'), "the key never prints");
    }

    #[test]
    fn professionals_stay_readable_and_compare_without_case() {
        let masker = masker();
        let party = masker.party(&address("Dr.MARTIN-TEST@CH-exemple.test"));
        assert_eq!(party.to_string(), "dr.martin-test@ch-exemple.test");
    }

    #[test]
    fn foreign_texts_stay_on_one_line_and_short() {
        let masker = masker();
        assert_eq!(masker.text("a\r\nb\u{202e}c\\").as_str(), "a\\u{d}\\u{a}b\\u{202e}c\\\\");
        let long = masker.text(&"é".repeat(2000));
        assert_eq!(long.as_str().chars().count(), MAX_TEXT);
        assert!(long.as_str().ends_with('…'));
    }

    proptest! {
        #[test]
        fn no_text_gets_out_of_its_line(text in "\\PC{0,40}[\\x00-\\x20\\u{2028}]{0,4}[0-9]{15}.{0,600}") {
            let safe = masker().text(&text);
            prop_assert!(safe.as_str().chars().count() <= MAX_TEXT);
            prop_assert!(!safe.as_str().chars().any(|c| c.is_control() || is_format(c)));
        }
    }
}
