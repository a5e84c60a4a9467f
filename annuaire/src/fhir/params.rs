//! Parameters of a query string or of a form, within limits, before anything is made of them.

use super::outcome::{Problem, shown};

/// Longest query string or form, in octets.
pub const MAX_QUERY: usize = 16 * 1024;
/// Most parameters of one request.
pub const MAX_PARAMETERS: usize = 64;
/// Longest value of one parameter, in octets once decoded; a list of identifiers fits.
pub const MAX_VALUE: usize = 4096;
/// Longest address that we write for a next page: with the rest of a head it fits into what a listener reads.
pub(super) const MAX_LINK: usize = 12 * 1024;
/// Most values of one parameter (a comma means "or").
pub const MAX_VALUES: usize = 100;
/// Longest name of a parameter with modifier and chain.
pub const MAX_NAME: usize = 128;

/// One parameter: `name:modifier=value,value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Parameter {
    /// As it was sent, modifier and chain included.
    pub(super) sent: String,
    /// Without modifier.
    pub(super) name: String,
    /// Behind the colon.
    pub(super) modifier: Option<String>,
    /// The whole value, decoded.
    pub(super) raw: String,
}

/// One of the values of a parameter, cut at its bars.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part(pub(super) Vec<String>);

impl Part {
    /// The value as a text.
    pub(super) fn text(&self) -> String {
        self.0.join("|")
    }

    /// The value as a token: system, if one is given (it may be empty), and code.
    pub(super) fn token(&self) -> (Option<&str>, &str) {
        match self.0.as_slice() {
            [code] => (None, code),
            [system, code, ..] => (Some(system), code),
            [] => (None, ""),
        }
    }
}

impl Parameter {
    /// The values, at least one: a comma means "or"; `\,`, `\|`, `\$` and `\\` stand for themselves.
    pub(super) fn parts(&self) -> Result<Vec<Part>, Problem> {
        let mut parts = vec![vec![String::new()]];
        let mut chars = self.raw.chars();
        while let Some(c) = chars.next() {
            match c {
                ',' if parts.len() >= MAX_VALUES => {
                    return Err(Problem::bad(
                        "too-costly",
                        format!("Plus de {MAX_VALUES} valeurs pour un paramètre : faites plusieurs appels."),
                        format!("More than {MAX_VALUES} values in one parameter: make several calls."),
                    )
                    .about(&self.sent));
                }
                ',' => parts.push(vec![String::new()]),
                '|' => parts.iter_mut().last().into_iter().for_each(|part| part.push(String::new())),
                _ => {
                    let c = if c == '\\' { chars.next().unwrap_or('\\') } else { c };
                    if let Some(text) = parts.last_mut().and_then(|part| part.last_mut()) {
                        text.push(c);
                    }
                }
            }
        }
        Ok(parts.into_iter().map(Part).collect())
    }

    /// Refuses a value.
    pub(super) fn wrong(&self, fr: &str, en: &str) -> Problem {
        let raw = shown(&self.raw);
        Problem::bad(
            "value",
            format!("Valeur « {raw} » du paramètre « {} » : {fr}", shown(&self.sent)),
            format!("Value “{raw}” of the parameter “{}”: {en}", shown(&self.sent)),
        )
        .about(&self.sent)
    }
}

/// Reads a query string or a form. What is over a limit is refused before it is decoded.
pub(super) fn parse(text: &str) -> Result<Vec<Parameter>, Problem> {
    if text.len() > MAX_QUERY {
        return Err(Problem::bad(
            "too-long",
            format!("Les paramètres dépassent {MAX_QUERY} octets : posez une question plus courte."),
            format!("The parameters are longer than {MAX_QUERY} octets: ask a shorter question."),
        ));
    }
    if text.bytes().filter(|byte| *byte == b'&').take(MAX_PARAMETERS).count() >= MAX_PARAMETERS {
        return Err(Problem::bad(
            "too-costly",
            format!("Plus de {MAX_PARAMETERS} paramètres : retirez-en."),
            format!("More than {MAX_PARAMETERS} parameters: send fewer."),
        ));
    }
    text.split('&').filter(|pair| !pair.is_empty()).map(one).collect()
}

fn one(pair: &str) -> Result<Parameter, Problem> {
    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
    let sent = decoded(name)?;
    if sent.len() > MAX_NAME {
        return Err(
            Problem::bad("too-long", "Nom de paramètre trop long.", "A parameter's name is too long.").about(&sent)
        );
    }
    let raw = decoded(value).map_err(|problem| problem.about(&sent))?;
    if raw.len() > if sent == "_page" { MAX_LINK } else { MAX_VALUE } {
        return Err(Problem::bad(
            "too-long",
            format!("La valeur du paramètre « {} » dépasse {MAX_VALUE} octets.", shown(&sent)),
            format!("The value of the parameter “{}” is longer than {MAX_VALUE} octets.", shown(&sent)),
        )
        .about(&sent));
    }
    // The colon of `practitioner:Practitioner.name` belongs to the chain, not to a modifier.
    let (name, modifier) = match sent.rsplit_once(':') {
        Some((name, modifier)) if !modifier.contains('.') && !sent.starts_with("_has:") => {
            (name.to_owned(), Some(modifier.to_owned()))
        }
        _ => (sent.clone(), None),
    };
    Ok(Parameter { sent, name, modifier, raw })
}

/// Percent coding and `+` undone; what is no UTF-8, or a control character, is refused.
pub(super) fn decoded(text: &str) -> Result<String, Problem> {
    let wrong = || {
        Problem::bad(
            "invalid",
            "Codage des paramètres incorrect : attendu UTF-8 en codage-pourcent, sans caractère de contrôle.",
            "The parameters are badly coded: percent-coded UTF-8 without control characters is expected.",
        )
    };
    let mut octets = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        octets.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || bytes.next().and_then(|byte| char::from(byte).to_digit(16));
                let (high, low) = (digit().ok_or_else(wrong)?, digit().ok_or_else(wrong)?);
                u8::try_from(high.saturating_mul(16).saturating_add(low)).map_err(|_| wrong())?
            }
            other => other,
        });
    }
    let text = String::from_utf8(octets).map_err(|_| wrong())?;
    if text.chars().any(char::is_control) { Err(wrong()) } else { Ok(text) }
}

/// Percent coding of a query string's name or value.
pub(super) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b':' | b'@' | b',' | b'/' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_modifiers_and_values_are_told_apart() {
        let all = parse("family:exact=L%27H%C3%A9rit%C3%A9&organization.address-city=saint+denis&&_id").unwrap();
        assert_eq!(
            (all[0].name.as_str(), all[0].modifier.as_deref(), all[0].raw.as_str()),
            ("family", Some("exact"), "L'Hérité")
        );
        assert_eq!((all[1].name.as_str(), all[1].raw.as_str()), ("organization.address-city", "saint denis"));
        assert_eq!((all[2].name.as_str(), all[2].raw.as_str()), ("_id", ""));
        let chained = &parse("practitioner:Practitioner.name=a").unwrap()[0];
        assert_eq!((chained.name.as_str(), chained.modifier.as_deref()), ("practitioner:Practitioner.name", None));
    }

    #[test]
    fn commas_and_bars_can_be_escaped() {
        let parts = |text: &str| parse(&format!("a={}", encoded(text))).unwrap()[0].parts().unwrap();
        assert_eq!(parts("x,y\\,z").iter().map(Part::text).collect::<Vec<_>>(), ["x", "y,z"]);
        assert_eq!(parts("urn:s|c")[0].token(), (Some("urn:s"), "c"));
        assert_eq!(parts("a\\|b")[0].token(), (None, "a|b"));
        assert_eq!(parts("|b")[0].token(), (Some(""), "b"));
        assert_eq!(parts("\\")[0].text(), "\\");
    }

    #[test]
    fn what_is_too_much_or_badly_coded_is_refused() {
        let many = "a=1&".repeat(5000);
        assert_eq!(parse(&many).unwrap_err().issue.code, "too-long");
        assert_eq!(parse(&"a&".repeat(65)).unwrap_err().issue.code, "too-costly");
        for text in ["a=%", "a=%4", "a=%zz", "a=%FF", "a=%00", "%C3=1"] {
            assert_eq!(parse(text).unwrap_err().issue.code, "invalid", "{text}");
        }
        assert_eq!(parse(&format!("a={}", "x".repeat(5000))).unwrap_err().issue.code, "too-long");
        assert_eq!(parse(&"n".repeat(200)).unwrap_err().issue.code, "too-long");
        assert!(parse(&format!("a={}", ",".repeat(500))).unwrap()[0].parts().is_err());
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_read_again(name in "[a-z-]{1,9}", value in "[^\\p{Cc}]{0,40}") {
            let all = parse(&format!("{}={}", encoded(&name), encoded(&value))).unwrap();
            prop_assert_eq!(&all[0].raw, &value);
            prop_assert_eq!(&all[0].name, &name);
        }

        #[test]
        fn nothing_panics(text in "\\PC{0,60}") {
            if let Ok(all) = parse(&text) {
                all.iter().for_each(|one| drop(one.parts()));
            }
        }
    }
}
