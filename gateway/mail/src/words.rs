//! Text in header fields: RFC 2047 encoded words, read and written, and folding.

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD},
};

/// Base64 as lenient readers take it.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Longest header line that we write (RFC 5322 §2.1.1).
const MAX_LINE: usize = 78;

/// Longest encoded text that is looked at. RFC 2047 §2 allows 75 octets; not all software keeps to it.
const MAX_CODED: usize = 1000;

/// Encoded words that are looked at in one text. A field of names has a few, a subject some dozens.
const MOST_WORDS: usize = 256;

/// A text begins more encoded words than are looked at: nobody has seen all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooManyWords;

#[cfg(test)]
thread_local! {
    /// Octets that were gone through in search of encoded words.
    static LOOKED: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// Decodes the encoded words in a text; what cannot be decoded stays as it is, as do more words than are looked at.
///
/// The result may hold control characters: callers that show it must look.
pub fn decode(text: &str) -> String {
    replaced(text, decode_word).0
}

/// The octets behind every encoded word that some reader may decode, for judging what they would show: of unknown
/// character sets the ASCII part, malformed words as lenient readers take them. Not for people.
///
/// # Errors
/// [`TooManyWords`].
pub(crate) fn raw(text: &str) -> Result<String, TooManyWords> {
    let (raw, begun) = replaced(text, raw_word);
    if begun > MOST_WORDS { Err(TooManyWords) } else { Ok(raw) }
}

/// How one encoded word at the start of a text is read: what it says, and what follows it.
type ReadWord = fn(&str) -> Option<(String, &str)>;

/// The text with its words read, and how many were begun: beyond [`MOST_WORDS`] it stays as it is.
fn replaced(text: &str, read: ReadWord) -> (String, usize) {
    let mut out = String::with_capacity(text.len());
    let (mut rest, mut begun) = (text, 0);
    let mut after_word = false;
    while let Some((plain, word, after)) = next_word(rest, read, &mut begun) {
        // Blanks between two encoded words are not part of the text (RFC 2047 §6.2).
        if !(after_word && plain.trim().is_empty()) {
            out.push_str(plain);
        }
        out.push_str(&word);
        after_word = true;
        rest = after;
    }
    out.push_str(rest);
    (out, begun)
}

/// Text before the first encoded word, the word decoded, text after it.
fn next_word<'t>(text: &'t str, read: ReadWord, begun: &mut usize) -> Option<(&'t str, String, &'t str)> {
    let mut from = 0usize;
    loop {
        let start = text.get(from..)?.find("=?")?.saturating_add(from);
        *begun = begun.saturating_add(1);
        if *begun > MOST_WORDS {
            return None;
        }
        if let Some((word, after)) = text.get(start..).and_then(read) {
            return Some((text.get(..start)?, word, after));
        }
        from = start.saturating_add(2);
    }
}

/// The parts of an encoded word, and what follows it.
struct Word<'t> {
    charset: String,
    encoding: Encoding,
    coded: &'t str,
    after: &'t str,
}

/// How the text of a word is coded.
enum Encoding {
    Base64,
    Quoted,
}

impl<'t> Word<'t> {
    /// Its end is looked for only once everything before it is that of a word.
    fn at_start(text: &'t str) -> Option<Self> {
        let mut parts = text.strip_prefix("=?")?.splitn(3, '?');
        let (charset, encoding, rest) = (parts.next()?, parts.next()?, parts.next()?);
        #[cfg(test)]
        LOOKED.set(LOOKED.get() + text.len() - rest.len());
        let encoding = match encoding {
            "b" | "B" => Encoding::Base64,
            "q" | "Q" => Encoding::Quoted,
            _ => return None,
        };
        let near = rest.get(..rest.floor_char_boundary(MAX_CODED))?;
        #[cfg(test)]
        LOOKED.set(LOOKED.get() + near.len());
        let end = near.find("?=")?;
        let (coded, after) = (rest.get(..end)?, rest.get(end.saturating_add(2)..)?);
        // RFC 2231 §5: a language may follow the character set.
        let charset = charset.split('*').next()?.to_ascii_lowercase();
        Some(Self { charset, encoding, coded, after })
    }
}

fn decode_word(text: &str) -> Option<(String, &str)> {
    let Word { charset, encoding, coded, after } = Word::at_start(text)?;
    if coded.contains([' ', '\t']) {
        return None;
    }
    let bytes = match encoding {
        Encoding::Base64 => STANDARD.decode(coded).ok()?,
        Encoding::Quoted => decode_q(coded)?,
    };
    Some((to_text(&charset, &bytes)?, after))
}

fn raw_word(text: &str) -> Option<(String, &str)> {
    let Word { charset, encoding, coded, after } = Word::at_start(text)?;
    let bytes = match encoding {
        Encoding::Base64 => LENIENT.decode(coded.split([' ', '\t']).collect::<String>()).ok()?,
        Encoding::Quoted => decode_q(coded)?,
    };
    let ascii = || bytes.iter().map(|b| if b.is_ascii() { char::from(*b) } else { '\u{fffd}' }).collect();
    // In these every octet sequence means something else: nothing can be said.
    let opaque = charset.starts_with("utf-7") || charset.contains("utf-16") || charset.contains("utf-32");
    if opaque { None } else { Some((to_text(&charset, &bytes).unwrap_or_else(ascii), after)) }
}

fn decode_q(coded: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(coded.len());
    let mut octets = coded.bytes();
    while let Some(octet) = octets.next() {
        bytes.push(match octet {
            b'_' => b' ',
            b'=' => {
                let digit = |b: u8| char::from(b).to_digit(16);
                let value = digit(octets.next()?)?.checked_mul(16)?.checked_add(digit(octets.next()?)?)?;
                u8::try_from(value).ok()?
            }
            other => other,
        });
    }
    Some(bytes)
}

/// The character sets that French health software uses; others stay encoded.
fn to_text(charset: &str, bytes: &[u8]) -> Option<String> {
    match charset {
        "utf-8" | "utf8" => Some(String::from_utf8_lossy(bytes).into_owned()),
        "us-ascii" | "ascii" => {
            Some(bytes.iter().map(|b| if b.is_ascii() { char::from(*b) } else { '\u{fffd}' }).collect())
        }
        "iso-8859-1" | "latin1" | "windows-1252" => Some(bytes.iter().map(|b| latin(*b)).collect()),
        "iso-8859-15" => Some(bytes.iter().map(|b| latin9(*b)).collect()),
        _ => None,
    }
}

/// Windows-1252 holds Latin-1 and puts letters where Latin-1 has control characters.
fn latin(octet: u8) -> char {
    const HIGH: &str = "€\u{fffd}‚ƒ„…†‡ˆ‰Š‹Œ\u{fffd}Ž\u{fffd}\u{fffd}‘’“”•–—˜™š›œ\u{fffd}žŸ";
    match octet.checked_sub(0x80) {
        Some(index) if index < 0x20 => HIGH.chars().nth(usize::from(index)).unwrap_or('\u{fffd}'),
        _ => char::from(octet),
    }
}

fn latin9(octet: u8) -> char {
    match octet {
        0xa4 => '€',
        0xa6 => 'Š',
        0xa8 => 'š',
        0xb4 => 'Ž',
        0xb8 => 'ž',
        0xbc => 'Œ',
        0xbd => 'œ',
        0xbe => 'Ÿ',
        other => latin(other),
    }
}

/// A header field `Name: value` with its CRLF: plain ASCII stays, other text becomes encoded
/// words; folded at 78 columns. Control characters become `?` so that nothing can end the line
/// or start a field (IN5).
pub fn text_field(name: &str, value: &str) -> String {
    let clean: String = value.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    let plain = clean.is_ascii()
        && !clean.contains("=?")
        // Only the first word shares its line with the name.
        && clean.split(' ').enumerate().all(|(index, word)| {
            let beside = if index == 0 { name.len() } else { 0 };
            word.len().saturating_add(beside) < MAX_LINE.saturating_sub(4)
        });
    if plain {
        return folded(name, clean.split(' ').filter(|word| !word.is_empty()));
    }
    let words = encoded_words(&clean);
    folded(name, words.iter().map(String::as_str))
}

/// A field whose value is made of these pieces, a blank or a fold between each two.
pub fn folded<'a>(name: &str, pieces: impl IntoIterator<Item = &'a str>) -> String {
    let mut out = format!("{name}:");
    let mut column = out.len();
    for piece in pieces {
        // A first piece is never folded away from the name: a line of blanks only must not appear.
        let first = column == name.len().saturating_add(1) && !out.contains('\n');
        if !first && column.saturating_add(piece.len()).saturating_add(1) > MAX_LINE {
            out.push_str("\r\n");
            column = 0;
        }
        out.push(' ');
        out.push_str(piece);
        column = column.saturating_add(piece.len()).saturating_add(1);
    }
    out.push_str("\r\n");
    out
}

/// UTF-8 encoded words, each of whole characters and under 75 octets (RFC 2047 §5).
fn encoded_words(text: &str) -> Vec<String> {
    // 36 octets make 48 of base64 and a word of 60: it fits behind a field name of 17.
    const ROOM: usize = 36;
    let mut words = Vec::new();
    let mut chunk = String::new();
    for c in text.chars() {
        if chunk.len().saturating_add(c.len_utf8()) > ROOM {
            words.push(chunk);
            chunk = String::new();
        }
        chunk.push(c);
    }
    words.push(chunk);
    words.iter().map(|chunk| format!("=?utf-8?B?{}?=", STANDARD.encode(chunk))).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn decodes_the_usual_forms() {
        let cases = [
            ("plain", "plain"),
            ("=?utf-8?Q?Compte_rendu_d=27h=C3=B4pital?=", "Compte rendu d'hôpital"),
            ("=?UTF-8?B?w4lsaXNl?= TEST", "Élise TEST"),
            ("=?iso-8859-1?q?=C9lise?= =?iso-8859-1?q?_T?=", "Élise T"),
            ("=?windows-1252?Q?=80?=", "€"),
            ("=?iso-8859-15*fr?Q?=A4=BD?=", "€œ"),
            ("=?koi8-r?Q?=C1?=", "=?koi8-r?Q?=C1?="),
            ("=?utf-8?Q?broken", "=?utf-8?Q?broken"),
            ("=?utf-8?X?a?=", "=?utf-8?X?a?="),
            ("a =? b =?utf-8?Q?c?=", "a =? b c"),
        ];
        for (coded, plain) in cases {
            assert_eq!(decode(coded), plain, "{coded}");
        }
    }

    #[test]
    fn a_fingerprint_stays_legible() {
        let value = format!("sha256 {}", "0f".repeat(32));
        let field = text_field("X-Sceau-Signer-Cert", &value);
        assert_eq!(field.replace("\r\n", ""), format!("X-Sceau-Signer-Cert: {value}"));
        assert!(field.lines().all(|line| line.len() <= MAX_LINE), "{field}");
    }

    /// A13: what another reader would decode is judged, whether we show it or not.
    #[test]
    fn reads_octets_behind_what_stays_encoded() {
        let cases = [
            ("=?iso-8859-2?Q?dr=2Ey=40chu=2Etest=00=0A?=", "dr.y@chu.test\0\n"),
            ("=?koi8-r?Q?=C1b?=", "\u{fffd}b"),
            ("=?utf-8?b?YQBi?= =?x?b?YQA?=", "a\0ba\0"),
            ("=?utf-8?q?a b?=", "a b"),
            ("=?utf-7?Q?a+AEA-b?=", "=?utf-7?Q?a+AEA-b?="),
            ("Élise =?utf-8?X?a?=", "Élise =?utf-8?X?a?="),
        ];
        for (coded, plain) in cases {
            assert_eq!(raw(coded).as_deref(), Ok(plain), "{coded}");
        }
    }

    /// A header full of words that begin and never end is read in the time of its length.
    #[test]
    fn a_word_ends_soon_or_is_none() {
        let long = |octets: usize| format!("=?utf-8?Q?{}?=", "a".repeat(octets));
        assert_eq!(decode(&long(900)), "a".repeat(900));
        assert_eq!(decode(&long(5000)), long(5000));
        let begun = "=?utf-8?Q?x ".repeat(20_000);
        assert_eq!(decode(&begun), begun);
    }

    /// What looks like the beginning of a word costs little, and there is an end to how many are looked at: counted in
    /// octets that are gone through.
    #[test]
    fn words_that_begin_everywhere_cost_no_more_than_a_few() {
        let cost = |text: &str| {
            LOOKED.set(0);
            let (_, _) = (decode(text), raw(text).ok());
            LOOKED.get()
        };
        for begun in ["=?x", "=?", "=?u?q?", "=?utf-8?Q?x ", "=?x?x?", "=?x?qq?", "=?x?b? ", "=?u?q?a?=", "=?u?b?=?="] {
            let text = begun.repeat((256 << 10) / begun.len());
            let cost = cost(&text);
            assert!(cost <= 8 * text.len(), "{begun}: {cost} octets for {}", text.len());
        }
    }

    /// A13: where nobody has looked at all of it, nothing is said of it.
    #[test]
    fn more_words_than_are_looked_at_are_told() {
        let words = |count: usize| "=?utf-8?Q?a?= ".repeat(count);
        assert_eq!(raw(&words(MOST_WORDS)).map(|text| text.trim_end().len()), Ok(MOST_WORDS));
        assert_eq!(raw(&words(MOST_WORDS + 1)), Err(TooManyWords));
        assert!(decode(&words(MOST_WORDS + 1)).ends_with("=?utf-8?Q?a?= "), "people read on, coded");
    }

    #[test]
    fn never_writes_a_second_field() {
        let field = text_field("X-Test", "a\r\nBcc: b@x.test\0");
        assert_eq!(field, "X-Test: a??Bcc: b@x.test?\r\n");
    }

    proptest! {
        #[test]
        fn never_panics(text in "[=?utf8bq_ A-F0-9é-]{0,60}") {
            let _ = decode(&text);
            let _ = raw(&text);
        }

        #[test]
        fn what_is_written_is_read_again(text in "[ -~é€]{0,200}") {
            let field = text_field("Subject", &text);
            for line in field.trim_end().split("\r\n") {
                prop_assert!(line.len() <= 78, "{}", line);
                prop_assert!(line.is_ascii() && !line.trim().is_empty());
            }
            let value = field.strip_prefix("Subject:").unwrap().trim().replace("\r\n", "");
            let squeeze = |s: &str| s.split(' ').filter(|w| !w.is_empty()).collect::<Vec<_>>().join(" ");
            prop_assert_eq!(squeeze(&decode(&value)), squeeze(&text));
        }
    }
}
