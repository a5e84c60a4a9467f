//! What a session waits for, and how long RFC 5321 §4.5.3.2 says that may take.

use std::time::Duration;

/// What the peer has to do next. The driver keeps the clock: it takes [`Wait::limit`] or its own
/// shorter value, and a minimum rate beside it, so that a byte every ten seconds does not hold a
/// connection for ever (RX1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Wait {
    /// Client: the banner.
    Greeting,
    /// Client: the answer to EHLO, HELO, LHLO, RSET or STARTTLS.
    Hello,
    /// Either side: the TLS handshake as a whole (TL9).
    Handshake,
    /// Client: the answer to MAIL.
    Mail,
    /// Client: the answer to RCPT.
    Recipient,
    /// Client: the answer to DATA.
    DataStart,
    /// Either side: one block of the body.
    DataBlock,
    /// Client: the answer after the final dot.
    DataEnd,
    /// Client: the answer to QUIT.
    Quit,
    /// Server: the next command. Client: idle, the next message.
    Command,
}

impl Wait {
    /// The time that RFC 5321 §4.5.3.2 gives; where it gives none, what we chose.
    pub const fn limit(self) -> Duration {
        Duration::from_secs(match self {
            Self::Greeting | Self::Hello | Self::Mail | Self::Recipient | Self::Command => 5 * 60,
            Self::DataStart => 2 * 60,
            Self::DataBlock => 3 * 60,
            Self::DataEnd => 10 * 60,
            // Ours: RFC 3207 names no figure, and nothing of value is lost with a late 221.
            Self::Handshake => 60,
            Self::Quit => 10,
        })
    }
}

/// Slowest peer that is borne, in octets a second (RX1).
const SLOWEST: u64 = 500;

/// How long a body of which so many octets came may have taken in all: what RFC 5321 gives for one
/// block, and 500 octets a second on top. Past that, [`crate::Server::close_with`] 421 4.4.2.
pub const fn body_allowance(octets: u64) -> Duration {
    Wait::DataBlock.limit().saturating_add(Duration::from_secs(octets / SLOWEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rx1_a_slow_body_runs_out_of_time() {
        assert_eq!(body_allowance(0), Wait::DataBlock.limit());
        assert_eq!(body_allowance(1_000_000).as_secs(), 180 + 2000);
        assert!(body_allowance(u64::MAX) > Duration::from_secs(1 << 50));
    }

    #[test]
    fn limits_are_those_of_rfc_5321() {
        let minutes = |wait: Wait| wait.limit().as_secs() / 60;
        assert_eq!(
            [
                Wait::Greeting,
                Wait::Mail,
                Wait::Recipient,
                Wait::DataStart,
                Wait::DataBlock,
                Wait::DataEnd,
                Wait::Command
            ]
            .map(minutes),
            [5, 5, 5, 2, 3, 10, 5]
        );
    }
}
