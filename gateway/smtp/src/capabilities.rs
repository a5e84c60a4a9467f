//! What a server announces in its EHLO reply, as the client reads it.

use crate::Reply;

/// The extensions that matter to us. All off after HELO.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Capabilities {
    /// EHLO or LHLO was accepted; false after HELO.
    pub extended: bool,
    /// PIPELINING (RFC 2920).
    pub pipelining: bool,
    /// SIZE is announced (RFC 1870).
    pub size: bool,
    /// The fixed limit in octets, if the server names one.
    pub max_size: Option<u64>,
    /// 8BITMIME (RFC 6152).
    pub eight_bit: bool,
    /// SMTPUTF8 (RFC 6531).
    pub smtputf8: bool,
    /// DSN (RFC 3461).
    pub dsn: bool,
    /// STARTTLS (RFC 3207).
    pub starttls: bool,
    /// ENHANCEDSTATUSCODES (RFC 2034).
    pub enhanced_codes: bool,
    /// REQUIRETLS (RFC 8689).
    pub require_tls: bool,
    /// AUTH lists EXTERNAL.
    pub auth_external: bool,
    /// LIMITS RCPTMAX (RFC 9422).
    pub max_recipients: Option<usize>,
}

impl Capabilities {
    /// Reads a positive EHLO or LHLO reply. Its first line is the server's name; unknown keywords
    /// are skipped, and a keyword with arguments that make no sense counts without them.
    pub fn read(reply: &Reply) -> Self {
        let mut found = Self { extended: true, ..Self::default() };
        for line in reply.lines().iter().skip(1) {
            let mut words = line.split_ascii_whitespace();
            let Some(keyword) = words.next() else { continue };
            match keyword.to_ascii_uppercase().as_str() {
                "PIPELINING" => found.pipelining = true,
                "SIZE" => {
                    found.size = true;
                    found.max_size = words.next().and_then(|n| n.parse().ok()).filter(|n| *n != 0);
                }
                "8BITMIME" => found.eight_bit = true,
                "SMTPUTF8" => found.smtputf8 = true,
                "DSN" => found.dsn = true,
                "STARTTLS" => found.starttls = true,
                "ENHANCEDSTATUSCODES" => found.enhanced_codes = true,
                "REQUIRETLS" => found.require_tls = true,
                "AUTH" => found.auth_external |= words.any(|name| name.eq_ignore_ascii_case("EXTERNAL")),
                "LIMITS" => {
                    found.max_recipients = words
                        .filter_map(|word| word.split_once('='))
                        .find(|(name, _)| name.eq_ignore_ascii_case("RCPTMAX"))
                        .and_then(|(_, n)| n.parse().ok())
                        .filter(|n| *n != 0);
                }
                _ => {}
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_an_ehlo_reply() {
        let reply = Reply::bare(
            250,
            "mx.test\nPIPELINING\nsize 1000\n8bitmime\nAUTH PLAIN external\nLIMITS MAILMAX=3 RCPTMAX=50\nX-NEW a b",
        );
        let found = Capabilities::read(&reply);
        assert_eq!(
            found,
            Capabilities {
                extended: true,
                pipelining: true,
                size: true,
                max_size: Some(1000),
                eight_bit: true,
                auth_external: true,
                max_recipients: Some(50),
                ..Capabilities::default()
            }
        );
    }

    #[test]
    fn senseless_arguments_are_no_limits() {
        for line in ["SIZE", "SIZE 0", "SIZE x", "SIZE 99999999999999999999"] {
            let found = Capabilities::read(&Reply::bare(250, &format!("mx.test\n{line}\nLIMITS RCPTMAX=0\n\nDSN")));
            assert_eq!(
                (found.size, found.max_size, found.max_recipients, found.dsn),
                (true, None, None, true),
                "{line}"
            );
        }
        assert!(!Capabilities::read(&Reply::bare(250, "PIPELINING")).pipelining, "the first line is the name");
    }
}
