//! The words that structured header values are made of (RFC 5322 §3.2), comments taken out.

/// Nested comments that are read before the value counts as malformed.
const MAX_COMMENT_DEPTH: usize = 16;

/// One word or special character.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Token<'a> {
    /// Anything unquoted that is no special character; dots included.
    Atom(&'a str),
    /// The content of a quoted string, its backslashes resolved.
    Quoted(String),
    /// One of the special characters.
    Special(char),
}

/// A token, and whether blanks or comments stood in front of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Spaced<'a> {
    pub(crate) token: Token<'a>,
    pub(crate) gap: bool,
}

/// Splits an unfolded value; `None` when a quote or comment stays open.
pub(crate) fn tokens<'a>(value: &'a str, specials: &str) -> Option<Vec<Spaced<'a>>> {
    // One bit for each special character, all of which are ASCII.
    let special = specials.bytes().fold(0u128, |all, octet| all | bit(char::from(octet)));
    let is_special = |c: char| special & bit(c) != 0;
    let mut found = Vec::new();
    let mut rest = value;
    let mut gap = false;
    while let Some(c) = rest.chars().next() {
        match c {
            ' ' | '\t' => {
                rest = rest.trim_start_matches([' ', '\t']);
                gap = true;
                continue;
            }
            '(' => {
                rest = skip_comment(rest)?;
                gap = true;
                continue;
            }
            _ => {}
        }
        let (token, after) = if c == '"' {
            let (text, after) = quoted(rest)?;
            (Token::Quoted(text), after)
        } else if c == ')' || c == '\\' {
            return None;
        } else if is_special(c) {
            (Token::Special(c), rest.get(c.len_utf8()..)?)
        } else {
            let end = rest
                .find(|c: char| matches!(c, ' ' | '\t' | '(' | ')' | '"' | '\\') || is_special(c))
                .unwrap_or(rest.len());
            let (atom, after) = rest.split_at_checked(end)?;
            (Token::Atom(atom), after)
        };
        found.push(Spaced { token, gap });
        rest = after;
        gap = false;
    }
    Some(found)
}

/// The bit of an ASCII character, none for others.
const fn bit(c: char) -> u128 {
    if c.is_ascii() { 1 << (c as u32) } else { 0 }
}

/// What stands in the comments of a value, their parentheses included.
pub(crate) fn comments(value: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = value;
    while let Some(at) = rest.find(['"', '(']) {
        let Some(from) = rest.get(at..) else { break };
        let after = match from.strip_prefix('(') {
            Some(_) => skip_comment(from),
            None => quoted(from).map(|(_, after)| after),
        };
        let Some(after) = after else { break };
        if from.starts_with('(') {
            found.extend(from.get(..from.len().saturating_sub(after.len())));
        }
        rest = after;
    }
    found
}

/// Whether a value has neither comment nor backslash: what some readers drop, and others do not.
pub(crate) fn is_plain(value: &str) -> bool {
    let mut quoted = false;
    value.chars().all(|c| {
        quoted ^= c == '"';
        c != '\\' && (quoted || c != '(')
    })
}

/// What follows the comment that starts here.
fn skip_comment(text: &str) -> Option<&str> {
    let mut depth = 0usize;
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => {
                chars.next()?;
            }
            '(' => {
                depth = depth.saturating_add(1);
                if depth > MAX_COMMENT_DEPTH {
                    return None;
                }
            }
            ')' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return text.get(at.saturating_add(1)..);
                }
            }
            _ => {}
        }
    }
    None
}

/// The quoted string that starts here, and what follows it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut content = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((content, text.get(at.saturating_add(1)..)?)),
            '\\' => content.push(chars.next()?.1),
            other => content.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn takes_comments_out_and_remembers_gaps() {
        let found = tokens("a (x (y) \\) z) \"b \\\" c\"<d", "<").unwrap();
        let plain: Vec<_> = found.into_iter().map(|t| (t.token, t.gap)).collect();
        assert_eq!(
            plain,
            [
                (Token::Atom("a"), false),
                (Token::Quoted("b \" c".into()), true),
                (Token::Special('<'), false),
                (Token::Atom("d"), false),
            ]
        );
    }

    #[test]
    fn refuses_what_stays_open() {
        for text in ["(a", "\"a", "a)", "(a\\", "\"a\\", "a\\b", &"(".repeat(20)] {
            assert_eq!(tokens(text, "<>"), None, "{text}");
        }
    }

    #[test]
    fn plain_values_have_nothing_to_drop() {
        for (value, plain) in
            [("a; b=\"c (d)\"", true), ("a; b=c(d)", false), ("a; b=\"\\c\"", false), ("\"a\"(b)", false)]
        {
            assert_eq!(is_plain(value), plain, "{value}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "[ab é()\"\\\\<>@,;]{0,30}") {
            let _ = tokens(&text, "<>@,:;");
        }
    }
}
