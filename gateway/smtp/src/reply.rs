//! One SMTP reply: code, enhanced code, ASCII lines.

use std::fmt;

/// Longest reply line in octets, code and CRLF included (RFC 5321 §4.5.3.1.5).
pub const MAX_REPLY_LINE: usize = 512;

/// Longest text of one line: `250-5.123.123 ` and CRLF take the rest.
const MAX_TEXT: usize = 490;

/// Enhanced status code `class.subject.detail` (RFC 3463).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EnhancedCode {
    /// 2, 4 or 5.
    pub class: u8,
    /// What it is about: 1 address … 7 security.
    pub subject: u16,
    /// The exact condition.
    pub detail: u16,
}

impl EnhancedCode {
    /// The code `class.subject.detail`.
    pub const fn new(class: u8, subject: u16, detail: u16) -> Self {
        Self { class, subject, detail }
    }

    /// Reads `5.7.1` at the start of a text; gives the code and what follows it.
    pub fn read(text: &str) -> Option<(Self, &str)> {
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        let mut parts = word.split('.');
        let class = match parts.next()? {
            "2" => 2,
            "4" => 4,
            "5" => 5,
            _ => return None,
        };
        let mut number = || {
            let part = parts.next()?;
            let digits = (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
            digits.then(|| part.parse::<u16>().ok()).flatten()
        };
        let (subject, detail) = (number()?, number()?);
        parts.next().is_none().then_some((Self { class, subject, detail }, rest))
    }
}

impl From<(u8, u16, u16)> for EnhancedCode {
    fn from((class, subject, detail): (u8, u16, u16)) -> Self {
        Self { class, subject, detail }
    }
}

impl fmt::Display for EnhancedCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

/// A reply, to send or received. Its lines are printable ASCII and never empty of meaning for the
/// protocol: what the constructor was given is escaped, so no text can start a new line (IN5).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reply {
    code: u16,
    enhanced: Option<EnhancedCode>,
    lines: Vec<String>,
}

impl Reply {
    /// A reply with an enhanced code. `text` may hold several lines separated by `\n`; each is
    /// escaped and, when longer than a reply line, cut at a blank into several.
    ///
    /// The enhanced code's class follows the code (RFC 2034 §4), and a 3xx reply carries none, so
    /// a reply that contradicts itself cannot be built. A code outside 200–599 is a programming
    /// error and becomes 451.
    pub fn new(code: u16, enhanced: impl Into<EnhancedCode>, text: &str) -> Self {
        let mut reply = Self::bare(code, text);
        let class = reply.class();
        reply.enhanced = (class != 3).then(|| EnhancedCode { class, ..enhanced.into() });
        reply
    }

    /// A reply without enhanced code: greeting, EHLO, 334, 354.
    pub fn bare(code: u16, text: &str) -> Self {
        let code = if (200..=599).contains(&code) { code } else { 451 };
        Self { code, enhanced: None, lines: text.split('\n').flat_map(wrap).collect() }
    }

    /// `250 2.0.0 OK`.
    pub fn ok() -> Self {
        Self::new(250, (2, 0, 0), "OK")
    }

    /// `354`: go on with the body.
    pub fn send_body() -> Self {
        Self::bare(354, "Go ahead, end with a dot on a line by itself")
    }

    /// The same reply with further lines.
    #[must_use]
    pub fn and(mut self, text: &str) -> Self {
        self.lines.extend(text.split('\n').flat_map(wrap));
        self
    }

    /// A reply as the reader took it from the wire; lines are already escaped.
    pub(crate) fn received(code: u16, mut lines: Vec<String>) -> Self {
        let class = u8::try_from(code / 100).unwrap_or(0);
        let enhanced = lines
            .first()
            .and_then(|line| EnhancedCode::read(line))
            .map(|(enhanced, _)| enhanced)
            .filter(|enhanced| enhanced.class == class);
        if let Some(enhanced) = enhanced {
            for line in &mut lines {
                if let Some((_, rest)) = EnhancedCode::read(line).filter(|(found, _)| *found == enhanced) {
                    *line = rest.to_owned();
                }
            }
        }
        Self { code, enhanced, lines }
    }

    /// The three-digit code.
    pub const fn code(&self) -> u16 {
        self.code
    }

    /// First digit of the code: 2, 3, 4 or 5.
    pub fn class(&self) -> u8 {
        u8::try_from(self.code / 100).unwrap_or(4)
    }

    /// The enhanced code, if there is one.
    pub const fn enhanced(&self) -> Option<EnhancedCode> {
        self.enhanced
    }

    /// The lines of text, without codes.
    pub fn lines(&self) -> &[String] {
        &self.lines
    }

    /// 2xx.
    pub fn is_positive(&self) -> bool {
        self.class() == 2
    }

    /// 4xx.
    pub fn is_temporary(&self) -> bool {
        self.class() == 4
    }

    /// 5xx.
    pub fn is_permanent(&self) -> bool {
        self.class() == 5
    }

    /// The whole reply in one line of at most `limit` octets, for reports, logs and trails.
    pub fn summary(&self, limit: usize) -> String {
        let mut text = self.to_string();
        if text.len() > limit {
            // ASCII only, so any octet is a boundary.
            text.truncate(limit.saturating_sub(3));
            text.push_str("...");
            text.truncate(limit);
        }
        text
    }

    /// Appends the reply as it goes over the wire.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        let last = self.lines.len().saturating_sub(1);
        for (index, line) in self.lines.iter().enumerate() {
            out.extend_from_slice(self.code.to_string().as_bytes());
            out.push(if index == last { b' ' } else { b'-' });
            if let Some(enhanced) = self.enhanced {
                out.extend_from_slice(enhanced.to_string().as_bytes());
                out.push(b' ');
            }
            out.extend_from_slice(line.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        if self.lines.is_empty() {
            out.extend_from_slice(format!("{} \r\n", self.code).as_bytes());
        }
    }
}

/// `550 5.7.1 first line / second line`.
impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        if let Some(enhanced) = self.enhanced {
            write!(f, " {enhanced}")?;
        }
        for (index, line) in self.lines.iter().enumerate() {
            write!(f, "{}{line}", if index == 0 { " " } else { " / " })?;
        }
        Ok(())
    }
}

/// Makes foreign octets harmless (IN5): printable ASCII stays, every other octet and the
/// backslash become `\xNN`. The result has no line end, no control and no 8-bit octet.
pub fn escape(octets: &[u8]) -> String {
    let mut text = String::with_capacity(octets.len());
    for &octet in octets {
        match octet {
            b'\\' => text.push_str("\\x5C"),
            b' '..=b'~' => text.push(char::from(octet)),
            other => text.push_str(&format!("\\x{other:02X}")),
        }
    }
    text
}

/// Escapes one line of text of ours and cuts it into pieces that fit a reply line.
fn wrap(line: &str) -> Vec<String> {
    let mut rest = escape(line.as_bytes());
    let mut pieces = Vec::new();
    while rest.len() > MAX_TEXT {
        let head = rest.get(..MAX_TEXT).unwrap_or_default();
        let at = head.rfind(' ').filter(|at| *at > 0).unwrap_or(MAX_TEXT);
        let tail = rest.split_off(at);
        pieces.push(std::mem::replace(&mut rest, tail.trim_start_matches(' ').to_owned()));
    }
    pieces.push(rest);
    pieces
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wire(reply: &Reply) -> String {
        let mut out = Vec::new();
        reply.write_to(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn writes_one_and_several_lines() {
        assert_eq!(wire(&Reply::ok()), "250 2.0.0 OK\r\n");
        let reply = Reply::new(550, (5, 7, 1), "refused\nsee the help page").and("write to help@ch-exemple.test");
        assert_eq!(
            wire(&reply),
            "550-5.7.1 refused\r\n550-5.7.1 see the help page\r\n550 5.7.1 write to help@ch-exemple.test\r\n"
        );
        assert_eq!(reply.to_string(), "550 5.7.1 refused / see the help page / write to help@ch-exemple.test");
        assert_eq!(reply.summary(12), "550 5.7.1...");
    }

    #[test]
    fn cannot_contradict_itself() {
        assert_eq!(wire(&Reply::new(451, (5, 3, 0), "later")), "451 4.3.0 later\r\n");
        assert_eq!(wire(&Reply::new(354, (2, 0, 0), "go")), "354 go\r\n");
        assert_eq!(Reply::new(7, (5, 0, 0), "x").code(), 451);
    }

    /// IN5: whatever the text holds, the reply stays its own lines of ASCII.
    #[test]
    fn in5_text_is_escaped() {
        let reply = Reply::new(550, (5, 1, 1), "no\r250 OK \0 é \\ end");
        assert_eq!(wire(&reply), "550 5.1.1 no\\x0D250 OK \\x00 \\xC3\\xA9 \\x5C end\r\n");
    }

    #[test]
    fn reads_enhanced_codes() {
        assert_eq!(EnhancedCode::read("5.7.1 no"), Some((EnhancedCode::new(5, 7, 1), "no")));
        assert_eq!(EnhancedCode::read("4.10.123"), Some((EnhancedCode::new(4, 10, 123), "")));
        for text in ["", "5", "5.7", "5.7.", "5.7.1.1 x", "3.0.0 x", "5.7.1234 x", "5.+7.1 x", "Version 5.7.1"] {
            assert_eq!(EnhancedCode::read(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_line_fits_and_is_ascii(code in 200u16..600, text in "(?s).{0,3000}") {
            let out = wire(&Reply::new(code, (5, 123, 123), &text));
            prop_assert!(out.ends_with("\r\n"));
            for line in out.split_inclusive("\r\n") {
                prop_assert!(line.len() <= MAX_REPLY_LINE);
                let body = line.strip_suffix("\r\n").unwrap();
                prop_assert!(body.bytes().all(|b| (b' '..=b'~').contains(&b)));
                prop_assert!(body.starts_with(&code.to_string()));
            }
        }
    }
}
