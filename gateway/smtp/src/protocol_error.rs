//! Every refusal that the protocol itself demands, in one table. Refusals of policy are the
//! caller's and come in as [`Reply`]s.

use thiserror::Error;

use crate::{BodyFault, Reply};

/// What was wrong with a command, its place or its transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
pub enum ProtocolError {
    /// No command of ours.
    #[error("Command not recognised")]
    UnknownCommand,
    /// A command that this server does not offer (STARTTLS inside TLS, AUTH switched off…).
    #[error("Command not offered here")]
    NotOffered,
    /// The line is not ASCII, or not UTF-8 where SMTPUTF8 allows it, or has a control character.
    #[error("Command line has characters that are not allowed")]
    Characters,
    /// The line ended in LF without CR.
    #[error("Lines must end in CR LF")]
    BareLineFeed,
    /// Over the command line limit (RX4).
    #[error("Command line too long")]
    LineTooLong,
    /// An AUTH answer over the limit (RFC 4954 §4).
    #[error("Authentication exchange line too long")]
    AuthTooLong,
    /// Arguments where none belong, or none where one must be.
    #[error("Wrong arguments")]
    Arguments,
    /// EHLO, HELO or LHLO with a missing or malformed name (IN4).
    #[error("Give a host name or an address literal")]
    HelloName,
    /// MAIL with a malformed reverse path (IN1, IN13).
    #[error("Bad sender address")]
    SenderSyntax,
    /// RCPT with a malformed forward path (IN1, IN13).
    #[error("Bad recipient address")]
    RecipientSyntax,
    /// RCPT with an address literal (IN10).
    #[error("Address literals are not accepted")]
    AddressLiteral,
    /// 8-bit address without SMTPUTF8 (IN11).
    #[error("Address needs SMTPUTF8")]
    NeedsSmtpUtf8,
    /// A parameter value that does not parse, or a parameter given twice (IN3, IN14).
    #[error("Bad or repeated parameter")]
    ParameterValue,
    /// A parameter that was not announced (IN14).
    #[error("Parameter not recognised")]
    UnknownParameter,
    /// `SIZE=` over the limit (NT-X07).
    #[error("Message size exceeds the limit")]
    TooLarge,
    /// Not now: MAIL before EHLO, RCPT before MAIL, DATA before MAIL…
    #[error("Bad sequence of commands")]
    Sequence,
    /// DATA after all recipients were refused.
    #[error("No valid recipients")]
    NoRecipients,
    /// TLS is required first.
    #[error("Must issue a STARTTLS command first")]
    TlsFirst,
    /// AUTH outside TLS (NT-X05).
    #[error("Encryption required for authentication")]
    AuthNeedsTls,
    /// An AUTH mechanism other than EXTERNAL.
    #[error("Authentication mechanism not offered")]
    Mechanism,
    /// `*` during AUTH.
    #[error("Authentication cancelled")]
    AuthCancelled,
    /// Bad base64 or a bad identity during AUTH.
    #[error("Cannot decode the authentication response")]
    AuthResponse,
    /// RCPT over the limit (RX3).
    #[error("Too many recipients")]
    TooManyRecipients,
    /// Bytes came before the banner, before 354, or behind EHLO or DATA in one group (SM6).
    #[error("Command sent before its turn")]
    OutOfSync,
    /// Bytes came behind STARTTLS in clear (TL1).
    #[error("Nothing may follow STARTTLS before the handshake")]
    BehindStartTls,
    /// An HTTP request (TL8).
    #[error("This is a mail server")]
    Http,
    /// Over the limit of commands that move nothing (RX5).
    #[error("Too many commands without a message")]
    TooManyCommands,
    /// Over the limit of errors.
    #[error("Too many errors")]
    TooManyErrors,
    /// The caller answered what was not asked: our fault, so temporary.
    #[error("Internal error, try again later")]
    Internal,
}

impl ProtocolError {
    /// All of them, for tables and tests.
    pub const ALL: [Self; 29] = [
        Self::UnknownCommand,
        Self::NotOffered,
        Self::Characters,
        Self::BareLineFeed,
        Self::LineTooLong,
        Self::AuthTooLong,
        Self::Arguments,
        Self::HelloName,
        Self::SenderSyntax,
        Self::RecipientSyntax,
        Self::AddressLiteral,
        Self::NeedsSmtpUtf8,
        Self::ParameterValue,
        Self::UnknownParameter,
        Self::TooLarge,
        Self::Sequence,
        Self::NoRecipients,
        Self::TlsFirst,
        Self::AuthNeedsTls,
        Self::Mechanism,
        Self::AuthCancelled,
        Self::AuthResponse,
        Self::TooManyRecipients,
        Self::OutOfSync,
        Self::BehindStartTls,
        Self::Http,
        Self::TooManyCommands,
        Self::TooManyErrors,
        Self::Internal,
    ];

    /// Code and enhanced code.
    pub const fn codes(self) -> (u16, (u8, u16, u16)) {
        match self {
            Self::UnknownCommand | Self::Characters | Self::BareLineFeed | Self::LineTooLong => (500, (5, 5, 2)),
            Self::NotOffered => (502, (5, 5, 1)),
            Self::AuthTooLong => (500, (5, 5, 6)),
            Self::Arguments | Self::HelloName | Self::ParameterValue => (501, (5, 5, 4)),
            Self::SenderSyntax => (501, (5, 1, 7)),
            Self::RecipientSyntax => (501, (5, 1, 3)),
            Self::AddressLiteral => (550, (5, 1, 2)),
            Self::NeedsSmtpUtf8 => (553, (5, 6, 7)),
            Self::UnknownParameter => (555, (5, 5, 4)),
            Self::TooLarge => (552, (5, 3, 4)),
            Self::Sequence => (503, (5, 5, 1)),
            Self::NoRecipients => (554, (5, 5, 1)),
            Self::TlsFirst => (530, (5, 7, 0)),
            Self::AuthNeedsTls => (538, (5, 7, 11)),
            Self::Mechanism => (504, (5, 5, 4)),
            Self::AuthCancelled => (501, (5, 7, 0)),
            Self::AuthResponse => (501, (5, 5, 2)),
            Self::TooManyRecipients => (452, (4, 5, 3)),
            Self::OutOfSync | Self::BehindStartTls => (554, (5, 5, 0)),
            Self::Http => (554, (5, 5, 1)),
            Self::TooManyCommands | Self::TooManyErrors => (421, (4, 7, 0)),
            Self::Internal => (421, (4, 3, 0)),
        }
    }

    /// The reply to send.
    pub fn reply(self) -> Reply {
        let (code, enhanced) = self.codes();
        Reply::new(code, enhanced, &self.to_string())
    }
}

impl BodyFault {
    /// The reply that refuses the message (SM2, SM3).
    pub fn reply(self) -> Reply {
        match self {
            Self::TooLarge => ProtocolError::TooLarge.reply(),
            Self::BareCr | Self::BareLf => Reply::new(550, (5, 5, 2), "Message refused: lines must end in CR LF"),
            Self::Nul => Reply::new(550, (5, 5, 2), "Message refused: NUL octet"),
            Self::LineTooLong => Reply::new(550, (5, 5, 2), "Message refused: line too long"),
            Self::Unterminated => Reply::new(550, (5, 5, 2), "Message refused: last line is not ended"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_classes_agree() {
        for error in ProtocolError::ALL {
            let (code, (class, ..)) = error.codes();
            assert_eq!(code / 100, u16::from(class), "{error:?}");
            let reply = error.reply();
            assert_eq!((reply.code(), reply.lines().len()), (code, 1), "{error:?}");
            assert_eq!(reply.lines()[0], error.to_string(), "{error:?}: text is plain ASCII");
        }
    }
}
