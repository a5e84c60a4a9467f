//! One command line, read strictly.

use crate::{
    MailFrom, ProtocolError, RcptTo,
    parameters::{read_mail, read_rcpt},
    path::{self, Path, PathError},
};

/// Longest name in EHLO (a domain's 255 octets).
const MAX_HELLO_NAME: usize = 255;

/// What this server offers at this moment: only that is understood.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Grammar {
    /// The client said EHLO or LHLO, so that parameters may be used.
    pub extended: bool,
    /// SMTPUTF8 was announced.
    pub smtputf8: bool,
    /// The open transaction said SMTPUTF8.
    pub utf8_transaction: bool,
    /// DSN was announced.
    pub dsn: bool,
    /// REQUIRETLS was announced.
    pub require_tls: bool,
    /// AUTH was announced.
    pub auth: bool,
    /// Largest `SIZE=`.
    pub max_size: u64,
    /// Whom `<Postmaster>` without a domain means (RFC 5321 §4.5.1).
    pub postmaster: Option<ident::Address>,
}

/// A command that parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// EHLO with the name that the client gives itself: shape checked, truth not (IN4).
    Ehlo(String),
    /// HELO.
    Helo(String),
    /// LHLO (RFC 2033).
    Lhlo(String),
    /// STARTTLS.
    StartTls,
    /// AUTH with a mechanism in upper case and the raw initial response.
    Auth {
        /// `EXTERNAL`…
        mechanism: String,
        /// Base64, `=` for an empty one, or nothing.
        initial: Option<String>,
    },
    /// MAIL.
    Mail(MailFrom),
    /// RCPT.
    Rcpt(RcptTo),
    /// DATA.
    Data,
    /// BDAT, never announced so far. What follows it is data that nobody may read as commands.
    Bdat,
    /// RSET.
    Rset,
    /// NOOP.
    Noop,
    /// QUIT.
    Quit,
    /// VRFY, whatever it asks.
    Vrfy,
    /// HELP.
    Help,
}

impl Command {
    /// Reads one line, CR LF already taken off.
    ///
    /// # Errors
    /// The reply to give; see [`ProtocolError`].
    pub fn parse(line: &[u8], grammar: &Grammar) -> Result<Self, ProtocolError> {
        let text = String::from_utf8_lossy(line);
        let (verb, rest) = text.split_once(' ').unwrap_or((&text, ""));
        let verb = verb.to_ascii_uppercase();
        // An address may be UTF-8 where that was agreed; lossy characters are no text of anybody.
        let unclean = text.chars().any(|c| c.is_control() || c == char::REPLACEMENT_CHARACTER);
        match verb.as_str() {
            "MAIL" => return parse_mail(rest, unclean, grammar),
            "RCPT" => return parse_rcpt(rest, unclean, grammar),
            _ => {}
        }
        if unclean || !text.is_ascii() {
            return Err(ProtocolError::Characters);
        }
        let rest = rest.trim_matches(' ');
        let bare = |command: Self| if rest.is_empty() { Ok(command) } else { Err(ProtocolError::Arguments) };
        match verb.as_str() {
            "EHLO" => hello_name(rest).map(Self::Ehlo),
            "HELO" => hello_name(rest).map(Self::Helo),
            "LHLO" => hello_name(rest).map(Self::Lhlo),
            "STARTTLS" => bare(Self::StartTls),
            "AUTH" => parse_auth(rest),
            "DATA" => bare(Self::Data),
            "BDAT" => Ok(Self::Bdat),
            "RSET" => bare(Self::Rset),
            "NOOP" => Ok(Self::Noop),
            "QUIT" => bare(Self::Quit),
            "VRFY" => Ok(Self::Vrfy),
            "EXPN" => Err(ProtocolError::NotOffered),
            "HELP" => Ok(Self::Help),
            // TL8: a browser that was talked into sending mail.
            "GET" | "POST" | "PUT" | "HEAD" | "OPTIONS" | "CONNECT" | "DELETE" | "PATCH" | "TRACE" | "PRI" => {
                Err(ProtocolError::Http)
            }
            _ => Err(ProtocolError::UnknownCommand),
        }
    }
}

/// IN4: a name or an address literal, letters, digits and `.-_:[]` only.
fn hello_name(text: &str) -> Result<String, ProtocolError> {
    let sound = (1..=MAX_HELLO_NAME).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':' | b'[' | b']'));
    if sound { Ok(text.to_owned()) } else { Err(ProtocolError::HelloName) }
}

fn parse_auth(rest: &str) -> Result<Command, ProtocolError> {
    let mut words = rest.split(' ').filter(|word| !word.is_empty());
    let mechanism = words.next().ok_or(ProtocolError::Arguments)?.to_ascii_uppercase();
    let initial = words.next().map(str::to_owned);
    if words.next().is_some() {
        return Err(ProtocolError::Arguments);
    }
    Ok(Command::Auth { mechanism, initial })
}

/// What follows `FROM:` or `TO:`.
fn after<'a>(rest: &'a str, keyword: &str) -> Option<&'a str> {
    let (word, rest) = rest.trim_start_matches(' ').split_at_checked(keyword.len())?;
    word.eq_ignore_ascii_case(keyword).then_some(rest)
}

/// Parameters stand behind a blank, or there are none.
fn parameters(rest: &str) -> Option<&str> {
    (rest.is_empty() || rest.starts_with(' ')).then_some(rest)
}

fn parse_mail(rest: &str, unclean: bool, grammar: &Grammar) -> Result<Command, ProtocolError> {
    let bad = ProtocolError::SenderSyntax;
    let rest = after(rest, "FROM:").ok_or(ProtocolError::Arguments)?;
    if unclean {
        return Err(bad);
    }
    let (path, rest) = path::read(rest).map_err(|_| bad)?;
    let rest = parameters(rest).ok_or(bad)?;
    let (sender, eight_bit) = match path {
        Path::Null => (None, false),
        Path::Postmaster => return Err(bad),
        Path::Mailbox { address, eight_bit } => (Some(address), eight_bit),
    };
    let mut mail = MailFrom { sender, ..MailFrom::default() };
    read_mail(rest, grammar, &mut mail)?;
    if !mail.smtputf8 {
        refuse_eight_bit(eight_bit, rest)?;
    }
    Ok(Command::Mail(mail))
}

fn parse_rcpt(rest: &str, unclean: bool, grammar: &Grammar) -> Result<Command, ProtocolError> {
    let bad = ProtocolError::RecipientSyntax;
    let rest = after(rest, "TO:").ok_or(ProtocolError::Arguments)?;
    if unclean {
        return Err(bad);
    }
    let (path, rest) = path::read(rest).map_err(|error| match error {
        PathError::Syntax => bad,
        PathError::Literal => ProtocolError::AddressLiteral,
    })?;
    let rest = parameters(rest).ok_or(bad)?;
    let (address, eight_bit) = match path {
        Path::Null => return Err(bad),
        Path::Postmaster => (grammar.postmaster.clone().ok_or(bad)?, false),
        Path::Mailbox { address, eight_bit } => (address, eight_bit),
    };
    if !grammar.utf8_transaction {
        refuse_eight_bit(eight_bit, rest)?;
    }
    let mut rcpt = RcptTo::new(address);
    read_rcpt(rest, grammar, &mut rcpt)?;
    Ok(Command::Rcpt(rcpt))
}

/// IN11: 8-bit characters only where SMTPUTF8 was agreed.
fn refuse_eight_bit(address: bool, parameters: &str) -> Result<(), ProtocolError> {
    match (address, parameters.is_ascii()) {
        (true, _) => Err(ProtocolError::NeedsSmtpUtf8),
        (false, false) => Err(ProtocolError::ParameterValue),
        (false, true) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{BodyKind, Notify, Ret};

    fn full() -> Grammar {
        Grammar {
            extended: true,
            smtputf8: true,
            utf8_transaction: false,
            dsn: true,
            require_tls: true,
            auth: true,
            max_size: 1000,
            postmaster: ident::Address::parse("postmaster@ch-exemple.test").ok(),
        }
    }

    fn parse(line: &str) -> Result<Command, ProtocolError> {
        Command::parse(line.as_bytes(), &full())
    }

    fn mail(line: &str) -> MailFrom {
        match parse(line) {
            Ok(Command::Mail(mail)) => mail,
            other => panic!("{line}: {other:?}"),
        }
    }

    fn rcpt(line: &str) -> RcptTo {
        match parse(line) {
            Ok(Command::Rcpt(rcpt)) => rcpt,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn reads_plain_commands() {
        assert_eq!(parse("ehlo Mx-1.ch-exemple.test "), Ok(Command::Ehlo("Mx-1.ch-exemple.test".into())));
        assert_eq!(parse("HELO [IPv6:2001:db8::1]"), Ok(Command::Helo("[IPv6:2001:db8::1]".into())));
        assert_eq!(parse("LHLO x"), Ok(Command::Lhlo("x".into())));
        assert_eq!(parse("starttls"), Ok(Command::StartTls));
        assert_eq!(parse("Data "), Ok(Command::Data));
        assert_eq!(parse("NOOP whatever"), Ok(Command::Noop));
        assert_eq!(parse("VRFY someone"), Ok(Command::Vrfy));
        assert_eq!(
            parse("AUTH external ="),
            Ok(Command::Auth { mechanism: "EXTERNAL".into(), initial: Some("=".into()) })
        );
        assert_eq!(parse("AUTH PLAIN"), Ok(Command::Auth { mechanism: "PLAIN".into(), initial: None }));
    }

    #[test]
    fn refuses_plain_commands() {
        use ProtocolError as E;
        let cases = [
            ("", E::UnknownCommand),
            (" ", E::UnknownCommand),
            ("XYZZY", E::UnknownCommand),
            ("DATAX", E::UnknownCommand),
            ("DATA x", E::Arguments),
            ("RSET x", E::Arguments),
            ("QUIT x", E::Arguments),
            ("STARTTLS x", E::Arguments),
            ("AUTH", E::Arguments),
            ("AUTH EXTERNAL a b", E::Arguments),
            ("EXPN list", E::NotOffered),
            ("MAIL <a@x.test>", E::Arguments),
            ("MAIL", E::Arguments),
            ("RCPT FROM:<a@x.test>", E::Arguments),
            ("NOOP \u{1}", E::Characters),
            ("NOOP é", E::Characters),
            ("EHLO\tx", E::Characters),
        ];
        for (line, error) in cases {
            assert_eq!(parse(line), Err(error), "{line:?}");
        }
        assert_eq!(Command::parse(b"NOOP \xff", &full()), Err(E::Characters));
    }

    #[test]
    fn tl8_http_requests() {
        for line in ["GET / HTTP/1.1", "POST /x HTTP/1.1", "PRI * HTTP/2.0", "get /", "CONNECT a:25 HTTP/1.1"] {
            assert_eq!(parse(line), Err(ProtocolError::Http), "{line}");
        }
    }

    #[test]
    fn in1_controls_in_addresses() {
        for bad in ["a\rb", "a\nb", "a\0b", "\"a\rb\"", "a\u{1b}b", "a\u{85}b"] {
            assert_eq!(parse(&format!("MAIL FROM:<{bad}@x.test>")), Err(ProtocolError::SenderSyntax), "{bad:?}");
            assert_eq!(parse(&format!("RCPT TO:<{bad}@x.test>")), Err(ProtocolError::RecipientSyntax), "{bad:?}");
        }
        let line = b"RCPT TO:<a\xffb@x.test>";
        assert_eq!(Command::parse(line, &full()), Err(ProtocolError::RecipientSyntax));
    }

    #[test]
    fn in3_bad_xtext() {
        for value in ["a+0D+0Ab", "a+4", "a+4g", "a=b", "a+00", "+C3+A9", "é"] {
            assert_eq!(parse(&format!("MAIL FROM:<> ENVID={value}")), Err(ProtocolError::ParameterValue), "{value}");
            assert_eq!(
                parse(&format!("RCPT TO:<a@x.test> ORCPT=rfc822;{value}")),
                Err(ProtocolError::ParameterValue),
                "{value}"
            );
        }
    }

    #[test]
    fn in4_hostile_hello_names() {
        let long = "a".repeat(256);
        for name in ["", " ", "a b", "a<b", "a(b)", "a\"b", "a;b", "a\\b", "a/b", long.as_str()] {
            for verb in ["EHLO", "HELO", "LHLO"] {
                assert_eq!(parse(&format!("{verb} {name}")), Err(ProtocolError::HelloName), "{verb} {name:?}");
            }
        }
        assert!(parse(&format!("EHLO {}", "a".repeat(255))).is_ok());
    }

    #[test]
    fn in10_address_literals() {
        assert_eq!(parse("RCPT TO:<a@[192.0.2.1]>"), Err(ProtocolError::AddressLiteral));
        assert_eq!(parse("MAIL FROM:<a@[192.0.2.1]>"), Err(ProtocolError::SenderSyntax));
    }

    #[test]
    fn in11_eight_bit_needs_smtputf8() {
        assert_eq!(parse("MAIL FROM:<zoé@x.test>"), Err(ProtocolError::NeedsSmtpUtf8));
        assert_eq!(parse("MAIL FROM:<a@santé.test>"), Err(ProtocolError::NeedsSmtpUtf8));
        assert!(mail("MAIL FROM:<zoé@santé.test> SMTPUTF8").smtputf8);
        assert_eq!(parse("RCPT TO:<zoé@x.test>"), Err(ProtocolError::NeedsSmtpUtf8));
        let agreed = Grammar { utf8_transaction: true, ..full() };
        assert!(Command::parse("RCPT TO:<zoé@x.test>".as_bytes(), &agreed).is_ok());
        let off = Grammar { smtputf8: false, ..full() };
        assert_eq!(
            Command::parse("MAIL FROM:<zoé@x.test> SMTPUTF8".as_bytes(), &off),
            Err(ProtocolError::UnknownParameter)
        );
        assert_eq!(parse("RCPT TO:<a@x.test> ORCPT=utf-8;zoé@x.test"), Err(ProtocolError::ParameterValue));
    }

    #[test]
    fn in13_path_limits() {
        let (at, over) = ("a".repeat(64), "a".repeat(65));
        assert_eq!(parse(&format!("MAIL FROM:<{over}@x.test>")), Err(ProtocolError::SenderSyntax));
        assert_eq!(parse(&format!("RCPT TO:<{over}@x.test>")), Err(ProtocolError::RecipientSyntax));
        assert!(parse(&format!("RCPT TO:<{at}@x.test>")).is_ok());
    }

    #[test]
    fn in14_unknown_and_repeated_parameters() {
        for line in [
            "MAIL FROM:<> SIZE=1 SIZE=1",
            "MAIL FROM:<> size=1 SIZE=2",
            "MAIL FROM:<> SMTPUTF8 SMTPUTF8",
            "RCPT TO:<a@x.test> NOTIFY=NEVER NOTIFY=NEVER",
        ] {
            assert_eq!(parse(line), Err(ProtocolError::ParameterValue), "{line}");
        }
        for line in
            ["MAIL FROM:<> X=1", "MAIL FROM:<> NOTIFY=NEVER", "RCPT TO:<a@x.test> SIZE=1", "RCPT TO:<a@x.test> X"]
        {
            assert_eq!(parse(line), Err(ProtocolError::UnknownParameter), "{line}");
        }
        let nothing = Grammar { max_size: 1000, ..Grammar::default() };
        for line in ["MAIL FROM:<> SIZE=1", "MAIL FROM:<> BODY=7BIT", "RCPT TO:<a@x.test> NOTIFY=NEVER"] {
            let found = Command::parse(line.as_bytes(), &nothing);
            assert_eq!(found, Err(ProtocolError::UnknownParameter), "{line}: after HELO nothing is known");
        }
        let plain = Grammar { extended: true, max_size: 1000, ..Grammar::default() };
        for word in ["SMTPUTF8", "REQUIRETLS", "RET=FULL", "ENVID=a", "AUTH=<>"] {
            let found = Command::parse(format!("MAIL FROM:<> {word}").as_bytes(), &plain);
            assert_eq!(found, Err(ProtocolError::UnknownParameter), "{word}: not announced");
        }
    }

    #[test]
    fn reads_every_parameter() {
        let found = mail(
            "MAIL FROM: <dr.martin-test@ch-exemple.test> SIZE=1000 BODY=8bitmime SMTPUTF8 REQUIRETLS RET=hdrs ENVID=a+2Bb AUTH=<>",
        );
        assert_eq!(found.sender.as_ref().map(ToString::to_string).as_deref(), Some("dr.martin-test@ch-exemple.test"));
        assert_eq!((found.size, found.body, found.ret), (Some(1000), BodyKind::EightBit, Some(Ret::Headers)));
        assert_eq!((found.smtputf8, found.require_tls, found.envid.as_deref()), (true, true, Some("a+b")));
        let found = rcpt("RCPT TO:<a@x.test> NOTIFY=success,DELAY ORCPT=RFC822;a+2Bb@x.test");
        assert_eq!(found.notify, Some(Notify::On { success: true, failure: false, delay: true }));
        assert_eq!(found.orcpt.map(|o| (o.kind, o.address)), Some(("rfc822".into(), "a+b@x.test".into())));
        assert_eq!(rcpt("RCPT TO:<postmaster>").address.to_string(), "postmaster@ch-exemple.test");
        assert_eq!(mail("MAIL FROM:<>").sender, None);
    }

    #[test]
    fn refuses_bad_values() {
        for line in [
            "MAIL FROM:<> SIZE",
            "MAIL FROM:<> SIZE=",
            "MAIL FROM:<> SIZE=-1",
            "MAIL FROM:<> SIZE=+1",
            "MAIL FROM:<> SIZE=123456789012345678901",
            "MAIL FROM:<> BODY=BINARYMIME",
            "MAIL FROM:<> BODY",
            "MAIL FROM:<> SMTPUTF8=1",
            "MAIL FROM:<> RET=ALL",
            "MAIL FROM:<> ENVID=",
            "MAIL FROM:<> AUTH=",
            "RCPT TO:<a@x.test> NOTIFY=",
            "RCPT TO:<a@x.test> NOTIFY=NEVER,SUCCESS",
            "RCPT TO:<a@x.test> NOTIFY=X",
            "RCPT TO:<a@x.test> ORCPT=a@x.test",
            "RCPT TO:<a@x.test> ORCPT=;a",
            "RCPT TO:<a@x.test> ORCPT=rfc822;",
            "RCPT TO:<a@x.test> ORCPT=r c;a",
        ] {
            assert!(
                matches!(parse(line), Err(ProtocolError::ParameterValue | ProtocolError::UnknownParameter)),
                "{line}: {:?}",
                parse(line)
            );
        }
        assert_eq!(parse(&format!("MAIL FROM:<> ENVID={}", "a".repeat(101))), Err(ProtocolError::ParameterValue));
        assert_eq!(
            parse(&format!("RCPT TO:<a@x.test> ORCPT=rfc822;{}", "a".repeat(500))),
            Err(ProtocolError::ParameterValue)
        );
        // NT-X07's first half: an honest size over the limit is refused at once; so is one that no counter holds.
        assert_eq!(parse("MAIL FROM:<> SIZE=1001"), Err(ProtocolError::TooLarge));
        assert_eq!(parse("MAIL FROM:<> SIZE=99999999999999999999"), Err(ProtocolError::TooLarge));
        // Something glued to the path.
        assert_eq!(parse("MAIL FROM:<a@x.test>SIZE=1"), Err(ProtocolError::SenderSyntax));
        assert_eq!(parse("RCPT TO:<>"), Err(ProtocolError::RecipientSyntax));
        assert_eq!(parse("MAIL FROM:<postmaster>"), Err(ProtocolError::SenderSyntax));
    }

    proptest! {
        #[test]
        fn never_panics_and_never_lets_controls_through(
            verb in "(MAIL FROM:|RCPT TO:|EHLO |AUTH |)", tail in "(?s).{0,80}", utf8 in any::<bool>()
        ) {
            let grammar = Grammar { utf8_transaction: utf8, ..full() };
            match Command::parse(format!("{verb}{tail}").as_bytes(), &grammar) {
                Ok(Command::Mail(mail)) => {
                    let sender = mail.sender.map(|s| s.to_string()).unwrap_or_default();
                    prop_assert!(!sender.chars().any(char::is_control));
                }
                Ok(Command::Rcpt(rcpt)) => prop_assert!(!rcpt.address.to_string().chars().any(char::is_control)),
                Ok(Command::Ehlo(name)) => prop_assert!(name.bytes().all(|b| b.is_ascii_graphic())),
                _ => {}
            }
        }

        #[test]
        fn arbitrary_octets_never_panic(line in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Command::parse(&line, &full());
        }
    }
}
