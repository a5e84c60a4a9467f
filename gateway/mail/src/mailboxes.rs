//! Address fields (RFC 5322 §3.4), read so that no two readers can see different addresses (A13):
//! no route, no blank or comment inside an address, no encoded word in its local part.

use ident::{Address, AddressError};

use crate::{
    Limits, MailFault,
    lexer::{self, Spaced, Token, tokens},
    words,
};

/// An address with the name that is shown beside it. The name is for people only: nothing is
/// ever decided on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mailbox {
    /// Display name, RFC 2047 words decoded; empty when there is none.
    pub name: String,
    /// The address.
    pub address: Address,
}

const SPECIALS: &str = "<>@,:;[]";

/// Reads an address list; groups are flattened (`undisclosed-recipients:;` is empty).
///
/// # Errors
/// [`MailFault::Address`], [`MailFault::TooManyMailboxes`] or [`MailFault::DisplayName`].
pub fn parse_list(field: &'static str, value: &str, limits: &Limits) -> Result<Vec<Mailbox>, MailFault> {
    let malformed = MailFault::Address { field, why: None };
    let tokens = tokens(value, SPECIALS).ok_or(malformed)?;
    let mut reader = Reader { field, rest: &tokens, in_group: false, found: Vec::new(), limit: limits.mailboxes };
    while reader.element()? {}
    Ok(reader.found)
}

/// Reads a field that must hold exactly one mailbox, outside any group (A13, H8): its author, whom all readers have
/// to see alike.
///
/// # Errors
/// [`MailFault::NotOneMailbox`], or what [`parse_list`] reports; an address in a comment, or within the quotes of
/// another, which some readers take for the sender; a name with characters that nobody sees or that turn the line around.
pub fn parse_one(field: &'static str, value: &str, limits: &Limits) -> Result<Mailbox, MailFault> {
    let mut all = parse_list(field, value, limits)?;
    let grouped = tokens(value, SPECIALS).is_none_or(|all| all.iter().any(|t| t.token == Token::Special(':')));
    let structural = |c: char| "<>@,\u{ff20}\u{fe6b}".contains(c);
    // More words than anybody looks at hide what the last of them say.
    let shows = |text: &str, what: &dyn Fn(char) -> bool| words::raw(text).map_or(true, |raw| raw.contains(what));
    if lexer::comments(value).iter().any(|comment| shows(comment, &structural)) {
        return Err(MailFault::Address { field, why: None });
    }
    if shows(value, &ident::is_format) {
        return Err(MailFault::DisplayName(field));
    }
    match (all.pop(), all.is_empty()) {
        (Some(one), true) if !grouped && one.address.local().contains(is_special) => {
            Err(MailFault::Address { field, why: None })
        }
        (Some(one), true) if !grouped => Ok(one),
        _ => Err(MailFault::NotOneMailbox(field)),
    }
}

/// What a local part can hold between quotes only, dots aside: whoever does not read the quotes finds another address
/// there, and shows that one as the sender.
fn is_special(c: char) -> bool {
    c.is_whitespace() || "()<>[]:;@\\,\"\u{ff20}\u{fe6b}".contains(c)
}

struct Reader<'t> {
    field: &'static str,
    rest: &'t [Spaced<'t>],
    in_group: bool,
    found: Vec<Mailbox>,
    limit: usize,
}

impl<'t> Reader<'t> {
    /// Reads one element of the list; `false` at the end.
    fn element(&mut self) -> Result<bool, MailFault> {
        let words = self.words();
        let Some(next) = self.next() else {
            return if words.is_empty() && !self.in_group { Ok(false) } else { Err(self.malformed()) };
        };
        match next.token {
            Token::Special(',') if words.is_empty() => {}
            Token::Special(':') if !words.is_empty() && !self.in_group => self.in_group = true,
            Token::Special(';') if words.is_empty() && self.in_group => {
                self.in_group = false;
                self.ends_element(true)?;
            }
            Token::Special('<') => {
                let name = self.display_name(words)?;
                let inner = self.words();
                let at = self.next().ok_or_else(|| self.malformed())?;
                let address = self.address(inner, at)?;
                if !matches!(self.next(), Some(Spaced { token: Token::Special('>'), gap: false })) {
                    return Err(self.malformed());
                }
                self.push(Mailbox { name, address })?;
            }
            Token::Special('@') => {
                let address = self.address(words, next)?;
                self.push(Mailbox { name: String::new(), address })?;
            }
            _ => return Err(self.malformed()),
        }
        Ok(true)
    }

    /// Consumes leading atoms and quoted strings.
    fn words(&mut self) -> &'t [Spaced<'t>] {
        let end = self.rest.iter().position(|t| matches!(t.token, Token::Special(_))).unwrap_or(self.rest.len());
        let (words, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, &[]));
        self.rest = rest;
        words
    }

    fn next(&mut self) -> Option<&'t Spaced<'t>> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(first)
    }

    /// `local@domain` with nothing in between; the `@` has just been read.
    fn address(&mut self, local: &[Spaced<'_>], at: &Spaced<'_>) -> Result<Address, MailFault> {
        let ([local], Token::Special('@'), false) = (local, &at.token, at.gap) else { return Err(self.malformed()) };
        let text = match &local.token {
            // Some readers would decode it, others not, also between quotes (RFC 2047 §5): two senders in one address.
            Token::Atom(atom) if atom.contains("=?") => return Err(self.malformed()),
            Token::Quoted(text) if text.contains("=?") => return Err(self.malformed()),
            Token::Atom(atom) => (*atom).to_owned(),
            Token::Quoted(text) => format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")),
            Token::Special(_) => return Err(self.malformed()),
        };
        let Some(Spaced { token: Token::Atom(domain), gap: false }) = self.next() else {
            return Err(self.malformed());
        };
        Address::parse(&format!("{text}@{domain}")).map_err(|why| self.wrong(why))
    }

    fn display_name(&self, words: &[Spaced<'_>]) -> Result<String, MailFault> {
        let mut name = String::new();
        for word in words {
            if !name.is_empty() && word.gap {
                name.push(' ');
            }
            match &word.token {
                Token::Atom(atom) => name.push_str(atom),
                Token::Quoted(text) => name.push_str(text),
                Token::Special(_) => {}
            }
        }
        // Another reader may know a character set that we do not.
        let hidden = words::raw(&name).map_or(true, |raw| raw.contains(char::is_control));
        let name = words::decode(&name);
        if hidden || name.contains(char::is_control) {
            return Err(MailFault::DisplayName(self.field));
        }
        Ok(name)
    }

    fn push(&mut self, mailbox: Mailbox) -> Result<(), MailFault> {
        if self.found.len() >= self.limit {
            return Err(MailFault::TooManyMailboxes(self.field));
        }
        self.found.push(mailbox);
        self.ends_element(false)
    }

    /// After an element only its end may follow; a comma is consumed, a `;` only outside elements.
    fn ends_element(&mut self, after_group: bool) -> Result<(), MailFault> {
        match self.rest.first().map(|t| &t.token) {
            None => Ok(()),
            Some(Token::Special(',')) => {
                self.next();
                Ok(())
            }
            Some(Token::Special(';')) if self.in_group && !after_group => Ok(()),
            Some(_) => Err(self.malformed()),
        }
    }

    const fn malformed(&self) -> MailFault {
        MailFault::Address { field: self.field, why: None }
    }

    const fn wrong(&self, why: AddressError) -> MailFault {
        MailFault::Address { field: self.field, why: Some(why) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn list(value: &str) -> Result<Vec<String>, MailFault> {
        let found = parse_list("To", value, &Limits::default())?;
        Ok(found.into_iter().map(|m| format!("{}|{}", m.name, m.address)).collect())
    }

    #[test]
    fn reads_what_mail_programs_write() {
        let cases: [(&str, &[&str]); 11] = [
            ("", &[]),
            ("a@x.test", &["|a@x.test"]),
            ("<a@x.test>", &["|a@x.test"]),
            ("a@x.test (Anne)", &["|a@x.test"]),
            ("Dr. Anne MARTIN-TEST <a@x.test>, b@y.test", &["Dr. Anne MARTIN-TEST|a@x.test", "|b@y.test"]),
            ("\"MARTIN-TEST, Anne\" <a@x.test>", &["MARTIN-TEST, Anne|a@x.test"]),
            ("=?utf-8?Q?=C3=89lise?= TEST <e@x.test>", &["Élise TEST|e@x.test"]),
            ("Élise <élise@x.test>", &["Élise|élise@x.test"]),
            ("undisclosed-recipients:;", &[]),
            ("équipe: a@x.test, B <b@x.test>;, c@x.test", &["|a@x.test", "B|b@x.test", "|c@x.test"]),
            (" , \"a b\"@x.test,, ", &["|\"a b\"@x.test"]),
        ];
        for (value, expected) in cases {
            assert_eq!(list(value).unwrap(), expected, "{value}");
        }
    }

    #[test]
    fn refuses_what_two_readers_see_differently() {
        for value in [
            "a",
            "a@x.test b@y.test",
            "a@x.test <b@y.test>",
            "<a@x.test> b",
            "<a@x.test><b@y.test>",
            "<@r.test,@s.test:a@x.test>",
            "a @x.test",
            "a@ x.test",
            "a(c)@x.test",
            "\"a\".b@x.test",
            "a@x.test@y.test",
            "a@[192.0.2.1]",
            "a@localhost",
            "<>",
            "<a@x.test",
            "g: a@x.test",
            "g: h: a@x.test;;",
            ": a@x.test;",
            "a@x.test;",
            "g: a@x.test; b@x.test",
            "=?utf-8?Q?evil=40bad.test?=@x.test",
            "\"=?utf-8?Q?evil=40bad.test?=\"@x.test",
            "<\"a=?iso-8859-15?Q?\"@x.test>",
            "\"a@x.test",
        ] {
            assert!(matches!(list(value), Err(MailFault::Address { .. })), "{value}: {:?}", list(value));
        }
        // A13, "Mailsploit": the shown name ends where a NUL or a line end is decoded.
        let hidden = "=?utf-8?b?YUB4LnRlc3QA?= <b@y.test>";
        assert_eq!(list(hidden), Err(MailFault::DisplayName("To")));
    }

    #[test]
    fn one_means_one() {
        let one = |value: &str| parse_one("From", value, &Limits::default()).map(|m| m.address.to_string());
        assert_eq!(one("\"b@y.test\" <a@x.test>").unwrap(), "a@x.test");
        for value in ["", "a@x.test, b@x.test", "g:;", "g: a@x.test;", "a@x.test, g:;"] {
            assert_eq!(one(value), Err(MailFault::NotOneMailbox("From")), "{value}");
        }
    }

    /// A13: an address within the quotes of another is the sender for readers that take the first one they find.
    #[test]
    fn the_author_has_no_address_inside_the_address() {
        let one = |value: &str| parse_one("Sender", value, &Limits::default()).map(|m| m.address.to_string());
        for value in [
            "\"zoe@chu.test x\"@evil.test",
            "\"zoe@chu.test\"@evil.test",
            "<\"zoe@chu.test \"@evil.test>",
            "\"<zoe@chu.test>,\"@evil.test",
            "Zoe <\"zoe@chu.test, a\"@evil.test>",
            "\"a b\"@evil.test",
            "\"a;b\"@evil.test",
            "\"a:b\"@evil.test",
            "\"(a)\"@evil.test",
            "\"a\\\"b\"@evil.test",
            "\"a\\\\b\"@evil.test",
            "\"[a]\"@evil.test",
            "\"zoe\u{ff20}chu.test\"@evil.test",
        ] {
            assert_eq!(one(value), Err(MailFault::Address { field: "Sender", why: None }), "{value}");
        }
        for value in
            ["\"zoe\"@chu.test", "\"zoe..m\"@chu.test", "zoe+a=b!c@chu.test", "\"Zoe (a@b.test)\" <zoe@chu.test>"]
        {
            assert!(one(value).is_ok(), "{value}: {:?}", one(value));
        }
        assert!(list("\"a b\"@x.test").is_ok(), "whom it is for is another question");
    }

    /// A13: nothing beside the address can be taken for it, and nothing in the name is out of sight.
    #[test]
    fn the_author_stands_in_one_place_only() {
        let one = |value: &str| parse_one("From", value, &Limits::default()).map(|m| m.address.to_string());
        for value in [
            "b@y.test (<zoe@chu.test>)",
            "b@y.test (zoe@chu.test)",
            "(a, b) b@y.test",
            "B <b@y.test> (x (nested > here))",
            "b@y.test (=?utf-8?Q?zoe=40chu.test?=)",
            "b@y.test (=?iso-8859-2?Q?zoe=40chu.test?=)",
            "b@y.test (zoe＠chu.test)",
        ] {
            assert_eq!(one(value), Err(MailFault::Address { field: "From", why: None }), "{value}");
        }
        for value in ["b@y.test (Benoît)", "(Dr. (Benoît)) b@y.test", "\"(@)\" <b@y.test>"] {
            assert_eq!(one(value).as_deref(), Ok("b@y.test"), "{value}");
        }
        for value in [
            "=?iso-8859-2?Q?dr=2Ey=40chu=2Etest=00=0A?= <b@y.test>",
            "=?x-unknown?b?ZHIueUBjaHUudGVzdAo?= <b@y.test>",
            "=?utf-8?b?ZHIueUBjaHUudGVzdAA?= <b@y.test>",
            "Zo\u{202e}tset.uhc <b@y.test>",
            "=?utf-8?Q?Zo=E2=80=AE?= <b@y.test>",
            "a\u{200b}b <b@y.test>",
            "=?utf-8?Q?a=E2=81=A6?= <b@y.test>",
        ] {
            assert_eq!(one(value), Err(MailFault::DisplayName("From")), "{value}");
        }
        // Whom it is for may be pasted from anywhere.
        assert_eq!(list("Zo\u{200e} <b@y.test>").map(|all| all.len()), Ok(1));
    }

    #[test]
    fn counts_before_it_keeps() {
        let limits = Limits { mailboxes: 2, ..Limits::default() };
        let fault = parse_list("To", "a@x.test,b@x.test,c@x.test", &limits).map(|_| ());
        assert_eq!(fault, Err(MailFault::TooManyMailboxes("To")));
    }

    proptest! {
        #[test]
        fn never_panics(text in "[ab.é<>@,:;()\" \\\\=?\\[\\]]{0,40}") {
            let _ = list(&text);
        }

        #[test]
        fn reads_back_what_addresses_print(local in "[a-z \"\\\\.]{1,12}", name in "[a-zé ]{0,8}") {
            let quoted = format!("\"{}\"@x.test", local.replace('\\', "\\\\").replace('"', "\\\""));
            let address = Address::parse(&quoted).unwrap();
            let all = parse_list("To", &format!("{name} <{address}>, b@y.test"), &Limits::default()).unwrap();
            prop_assert_eq!(&all[0].address, &address);
            prop_assert_eq!(all.len(), 2);
        }
    }
}
