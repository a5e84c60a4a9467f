//! What people type into one field.

use super::{Filter, How};
use crate::{Fields, fold::words};

/// Longest question that is read; the rest is cut off.
pub const MAX_QUESTION: usize = 512;
/// Most words of a question that are used.
pub const MAX_WORDS: usize = 12;

/// What people say in front of a name.
const TITLES: [&str; 10] = ["dr", "docteur", "drs", "pr", "professeur", "mr", "mme", "mlle", "monsieur", "madame"];

/// How many digits the national identifiers have, with and without their type digit.
const IDENTIFIER_LENGTHS: [usize; 6] = [9, 10, 11, 12, 14, 15];

/// Cuts a question. Numbers written with blanks (`10 102 727 017`) are put together.
pub(super) fn parse(text: &str) -> Filter {
    let text: String = text.chars().take(MAX_QUESTION).collect();
    let chunks: Vec<&str> = text.split_whitespace().collect();
    let mut terms = Vec::new();
    for run in chunks.chunk_by(|a, b| is_number(a) && is_number(b)) {
        let number = run.concat();
        if run.len() > 1 && IDENTIFIER_LENGTHS.contains(&number.len()) {
            terms.push(Filter::Id { text: number, how: How::Prefix });
            continue;
        }
        run.iter().for_each(|chunk| one(chunk, &mut terms));
    }
    let title = |term: &Filter| matches!(term, Filter::Words { text, .. } if TITLES.contains(&text.as_str()));
    if !terms.iter().all(title) {
        terms.retain(|term| !title(term));
    }
    terms.truncate(MAX_WORDS);
    // Nothing asked, nothing answered.
    if terms.is_empty() { Filter::Or(terms) } else { Filter::And(terms) }
}

fn one(chunk: &str, terms: &mut Vec<Filter>) {
    if chunk.contains('@') && !chunk.starts_with('@') {
        terms.push(Filter::Address { text: chunk.to_lowercase(), how: How::Prefix });
        return;
    }
    let digits = chunk.bytes().filter(u8::is_ascii_digit).count();
    let plain: String = chunk.chars().filter(|c| !matches!(c, '.' | '-' | '\u{a0}')).collect();
    if chunk.contains('/') && digits >= 9 {
        terms.push(Filter::Id { text: chunk.to_owned(), how: How::Prefix });
        return;
    }
    if digits >= 6 && plain.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        let number = Filter::Id { text: plain, how: How::Prefix };
        let parts = words(chunk).into_iter().map(word).collect();
        terms.push(Filter::Or(vec![number, Filter::And(parts)]));
        return;
    }
    terms.extend(words(chunk).into_iter().map(word));
}

fn word(word: String) -> Filter {
    Filter::Words { fields: Fields::TEXT, how: How::Prefix, text: word }
}

fn is_number(chunk: &str) -> bool {
    chunk.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(filter: &Filter) -> String {
        match filter {
            Filter::Words { text, .. } => text.clone(),
            Filter::Id { text, .. } => format!("#{text}"),
            Filter::Address { text, .. } => format!("<{text}"),
            Filter::And(parts) => parts.iter().map(shown).collect::<Vec<_>>().join(","),
            Filter::Or(parts) => parts.iter().map(shown).collect::<Vec<_>>().join("|"),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn questions_are_cut_into_terms() {
        for (text, terms) in [
            ("Dr Jean-Pierre  LEFÈVRE", "jean,pierre,lefevre"),
            ("docteur", "docteur"),
            ("10 102 727 017", "#10102727017"),
            ("8 10102727017", "#810102727017"),
            ("10.102.727.017", "#10102727017|10,102,727,017"),
            ("3990000001/0001", "#3990000001/0001"),
            ("dupont 75001 12", "dupont,75001,12"),
            ("Anne.Martin@CH-exemple", "<anne.martin@ch-exemple"),
            ("@ch-exemple.test", "ch,exemple,test"),
            ("", ""),
            (" ' ", ""),
        ] {
            assert_eq!(shown(&parse(text)), terms, "{text}");
        }
    }
}
