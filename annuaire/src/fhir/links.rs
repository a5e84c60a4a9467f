//! The addresses in a bundle: of what was understood, and of the next page. What came in a form to keep names out of
//! addresses stays out of them: its next page is named by a token in which the question is encrypted.

use super::{
    Asked,
    outcome::Problem,
    params::{MAX_LINK, Parameter, encoded, parse},
};

/// How a question came, and how its further pages are to be named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Came {
    /// In an address.
    Open,
    /// In a form.
    Hidden,
}

/// What tells a hidden question from a token of a page.
const MARK: &str = "q.";

/// A question in an address.
pub(super) fn open(base: &str, question: &[(String, String)], page: Option<&str>) -> String {
    let query = query(question, page);
    if query.is_empty() { base.to_owned() } else { format!("{base}?{query}") }
}

/// The address of the next page.
///
/// # Errors
/// It would be longer than we read ourselves.
pub(super) fn next(
    asked: &Asked<'_>,
    came: Came,
    base: &str,
    question: &[(String, String)],
    page: &str,
) -> Result<String, Problem> {
    let link = match came {
        Came::Open => open(base, question, Some(page)),
        Came::Hidden => {
            let hidden = asked.keys.hide(&query(question, Some(page))).unwrap_or_default();
            format!("{base}?_page={MARK}{hidden}")
        }
    };
    if link.len() <= MAX_LINK {
        return Ok(link);
    }
    Err(Problem::bad(
        "too-long",
        "Question trop longue pour être suivie page à page : posez-la en plusieurs fois, ou demandez un _count plus grand.",
        "The question is too long to be turned page by page: ask it in several parts, or with a larger _count.",
    ))
}

/// The parameters of a page that one of our links named, in place of those that were sent.
///
/// # Errors
/// The token is not ours, or something was added to it.
pub(super) fn came(asked: &Asked<'_>, parameters: Vec<Parameter>) -> Result<(Vec<Parameter>, Came), Problem> {
    let hidden = |parameter: &Parameter| parameter.name == "_page" && parameter.raw.starts_with(MARK);
    let Some(token) = parameters.iter().find(|parameter| hidden(parameter)) else {
        return Ok((parameters, Came::Open));
    };
    let form = |parameter: &Parameter| ["_page", "_format", "_pretty"].contains(&parameter.name.as_str());
    let text = token.raw.strip_prefix(MARK).and_then(|token| asked.keys.reveal(token));
    match text.filter(|_| parameters.iter().all(form)) {
        Some(text) => Ok((parse(&text)?, Came::Hidden)),
        None => Err(forged()),
    }
}

/// A token that is not ours.
pub(super) fn forged() -> Problem {
    Problem::bad(
        "invalid",
        "Ce jeton de page n'est pas de ce serveur, ou pas de cette question : recommencez depuis la première page.",
        "This page token is not of this server, or not of this question: start again from the first page.",
    )
    .about("_page")
}

fn query(question: &[(String, String)], page: Option<&str>) -> String {
    let pairs = question.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value)));
    let pairs: Vec<String> = pairs.chain(page.map(|page| format!("_page={}", encoded(page)))).collect();
    pairs.join("&")
}
