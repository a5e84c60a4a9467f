//! Folding: the one form of a text that indexes and questions share (annuaire reference §8).

use std::sync::LazyLock;

use unicode_normalization::UnicodeNormalization;

/// What the signs below this one fold to is worked out once: nearly all accents of European names are among them.
const LATIN: u32 = 0x250;
static FOLDED: LazyLock<Vec<String>> = LazyLock::new(|| {
    let folded = |code| char::from_u32(code).map(unfolded).unwrap_or_default();
    (0..LATIN).map(folded).collect()
});

/// Text without accents, case, ligatures or the variants of apostrophe, dash and blank.
///
/// Everything that is neither letter nor digit becomes a single blank, so the result is a list of
/// words. Folding twice changes nothing.
pub fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    // No mark is left whose place among others could matter, so each sign is folded by itself.
    for c in text.chars() {
        match usize::try_from(u32::from(c)).ok().and_then(|code| FOLDED.get(code)) {
            _ if c.is_ascii() => push(&mut folded, c.to_ascii_lowercase()),
            Some(parts) => parts.chars().for_each(|part| push(&mut folded, part)),
            None => unfolded(c).chars().for_each(|part| push(&mut folded, part)),
        }
    }
    if folded.ends_with(' ') {
        folded.pop();
    }
    folded
}

/// What a sign folds to, separators as they are.
fn unfolded(c: char) -> String {
    let mut parts = String::new();
    // Lower case can bring a mark of its own (the Turkish capital I with a dot).
    for part in std::iter::once(c).nfkd().flat_map(char::to_lowercase).nfkd() {
        match part {
            'œ' => parts.push_str("oe"),
            'æ' => parts.push_str("ae"),
            'ß' => parts.push_str("ss"),
            'ł' => parts.push('l'),
            'ø' => parts.push('o'),
            'đ' | 'ð' => parts.push('d'),
            'þ' => parts.push_str("th"),
            'ı' => parts.push('i'),
            other if vanishes(other) => {}
            other => parts.push(other),
        }
    }
    parts
}

/// Marks over a letter and characters that show nothing: they separate no words.
fn vanishes(c: char) -> bool {
    unicode_normalization::char::is_combining_mark(c)
        || matches!(c, '\u{00AD}' | '\u{200B}'..='\u{200F}' | '\u{2060}'..='\u{2064}' | '\u{FEFF}')
}

fn push(folded: &mut String, c: char) {
    if c.is_alphanumeric() {
        folded.push(c);
    } else if !folded.is_empty() && !folded.ends_with(' ') {
        folded.push(' ');
    }
}

/// The words of a text, folded.
pub fn words(text: &str) -> Vec<String> {
    fold(text).split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn french_names_meet_their_plain_spelling() {
        for (text, plain) in [
            ("Bénédicte", "benedicte"),
            ("LEFÈVRE", "lefevre"),
            ("L’HERMITE", "l hermite"),
            ("L'Hermite", "l hermite"),
            ("Jean‑Pierre", "jean pierre"),
            ("Jean--Pierre  ", "jean pierre"),
            ("Cœur de Sœur", "coeur de soeur"),
            ("ŒUVRE ÆTHER", "oeuvre aether"),
            ("Weiß Łukasz Ødegård", "weiss lukasz odegard"),
            ("Zo\u{00AD}é", "zoe"),
            ("Zoe\u{301}", "zoe"),
            ("İstanbul", "istanbul"),
            ("  ", ""),
        ] {
            assert_eq!(fold(text), plain, "{text}");
        }
        assert_eq!(words("d'Artagnan-TEST"), ["d", "artagnan", "test"]);
    }

    /// All of a text in one normal form, and then sign by sign.
    fn at_once(text: &str) -> String {
        let lower = text.nfkd().flat_map(char::to_lowercase).nfkd();
        let mut folded = String::new();
        lower.for_each(|c| unfolded(c).chars().for_each(|part| push(&mut folded, part)));
        folded.trim_end_matches(' ').to_owned()
    }

    #[test]
    fn each_sign_folds_by_itself() {
        for c in (0..0x3_0000).filter_map(char::from_u32) {
            let text = format!("a{c}b");
            assert_eq!(fold(&text), at_once(&text), "U+{:04X}", u32::from(c));
        }
    }

    proptest! {
        #[test]
        fn signs_side_by_side_change_nothing(text in "[a-zé\u{300}-\u{328}\u{591}-\u{5c7}œßİ' -]{0,12}|\\PC{0,20}") {
            prop_assert_eq!(fold(&text), at_once(&text));
        }

        #[test]
        fn folding_twice_changes_nothing(text in any::<String>()) {
            let once = fold(&text);
            prop_assert_eq!(fold(&once), once);
        }
    }
}
