//! Folding: the one form of a text that indexes and questions share (annuaire reference §8).

use unicode_normalization::UnicodeNormalization;

/// Text without accents, case, ligatures or the variants of apostrophe, dash and blank.
///
/// Everything that is neither letter nor digit becomes a single blank, so the result is a list of
/// words. Folding twice changes nothing.
pub fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    // Plain ASCII is nearly all of the data: no table look-ups for it.
    if text.is_ascii() {
        text.chars().for_each(|c| push(&mut folded, c.to_ascii_lowercase()));
    } else {
        for c in text.nfkd() {
            push_unfolded(&mut folded, c);
        }
    }
    if folded.ends_with(' ') {
        folded.pop();
    }
    folded
}

fn push_unfolded(folded: &mut String, c: char) {
    for lower in c.to_lowercase() {
        // Lower case can bring a mark of its own (the Turkish capital I with a dot).
        for part in std::iter::once(lower).nfkd() {
            match part {
                'œ' => folded.push_str("oe"),
                'æ' => folded.push_str("ae"),
                'ß' => folded.push_str("ss"),
                'ł' => folded.push('l'),
                'ø' => folded.push('o'),
                'đ' | 'ð' => folded.push('d'),
                'þ' => folded.push_str("th"),
                'ı' => folded.push('i'),
                other if vanishes(other) => {}
                other => push(folded, other),
            }
        }
    }
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

    proptest! {
        #[test]
        fn folding_twice_changes_nothing(text in any::<String>()) {
            let once = fold(&text);
            prop_assert_eq!(fold(&once), once);
        }
    }
}
