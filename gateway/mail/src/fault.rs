//! Why a message cannot be read: one sentence for the log, two for the sender.

use ident::{AddressError, Bilingual};
use thiserror::Error;

/// What is wrong with the form of a message. Nothing here quotes the message.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MailFault {
    /// More octets than the limit.
    #[error("the message is longer than {0} octets")]
    TooLong(usize),
    /// LF that no CR precedes (A21).
    #[error("line {0} ends with LF alone")]
    BareLf(usize),
    /// CR that no LF follows (A21).
    #[error("line {0} has CR without LF")]
    BareCr(usize),
    /// An octet of value zero.
    #[error("line {0} has a NUL octet")]
    Nul(usize),
    /// A line over 998 octets (RFC 5322 §2.1.1).
    #[error("line {0} is longer than 998 octets")]
    LongLine(usize),
    /// The header block is over its limit.
    #[error("the header block is too long")]
    HeaderTooLong,
    /// More fields than the limit.
    #[error("the header block has too many fields")]
    TooManyFields,
    /// A header line that is neither `Name: value` nor a continuation.
    #[error("header line {0} has no field name")]
    NotAField(usize),
    /// A continuation line of blanks only, which some readers take for the end of the header.
    #[error("header line {0} is a blank continuation line")]
    BlankContinuation(usize),
    /// A control character, or octets that are not UTF-8 (RFC 6532).
    #[error("header line {0} has a control character or is not UTF-8")]
    HeaderCharacter(usize),
    /// The message ends in the middle of a header line.
    #[error("the header ends in the middle of a line")]
    Truncated,
    /// A field that may be there once is there again (A14).
    #[error("the field {0} is there more than once")]
    Duplicate(&'static str),
    /// A needed field is missing.
    #[error("the field {0} is missing")]
    Missing(&'static str),
    /// `From` or `Sender` does not hold exactly one mailbox (A13).
    #[error("the field {0} must hold exactly one mailbox")]
    NotOneMailbox(&'static str),
    /// An address field that cannot be read in one way only.
    #[error("the field {field} holds something that is no address")]
    Address {
        /// Which field.
        field: &'static str,
        /// What is wrong with the address itself, when the syntax around it could be read.
        why: Option<AddressError>,
    },
    /// More mailboxes than the limit.
    #[error("the field {0} holds too many addresses")]
    TooManyMailboxes(&'static str),
    /// The sender's shown name hides control characters (the "Mailsploit" family of A13).
    #[error("the display name in {0} hides control characters")]
    DisplayName(&'static str),
    /// `Message-ID` is no identifier in angle brackets.
    #[error("the field Message-ID is malformed")]
    MessageId,
    /// A MIME field that cannot be read in one way only.
    #[error("the field {0} is malformed")]
    Mime(&'static str),
    /// MIME nesting or number of parts over the limit (IN16).
    #[error("the message has too many or too deeply nested parts")]
    TooManyParts,
    /// More than the allowed number of hops (LP1).
    #[error("the message has been relayed too often; it is probably looping")]
    Loop,
    /// The place where the message is kept while we work on it failed, or is full: nothing is said of the message.
    #[error("the message in hand cannot be read or kept: {0}")]
    Storage(std::io::ErrorKind),
}

impl MailFault {
    /// Stable identifier of the reason.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLong(_) => "message_too_long",
            Self::BareLf(_) => "bare_lf",
            Self::BareCr(_) => "bare_cr",
            Self::Nul(_) => "nul_octet",
            Self::LongLine(_) => "line_too_long",
            Self::HeaderTooLong | Self::TooManyFields => "header_too_long",
            Self::NotAField(_) | Self::BlankContinuation(_) | Self::Truncated => "header_malformed",
            Self::HeaderCharacter(_) => "header_character",
            Self::Duplicate(_) => "duplicate_field",
            Self::Missing(_) => "missing_field",
            Self::NotOneMailbox(_) => "not_one_mailbox",
            Self::Address { .. } => "address_malformed",
            Self::TooManyMailboxes(_) => "too_many_mailboxes",
            Self::DisplayName(_) => "display_name",
            Self::MessageId => "message_id_malformed",
            Self::Mime(_) => "mime_malformed",
            Self::TooManyParts => "too_many_parts",
            Self::Loop => "mail_loop",
            Self::Storage(_) => "storage",
        }
    }

    /// Row of the attack or case catalogue that asks for this refusal.
    pub const fn rule(&self) -> &'static str {
        match self {
            Self::BareLf(_) | Self::BareCr(_) => "A21",
            Self::Nul(_) | Self::LongLine(_) => "H13",
            Self::NotAField(_) | Self::BlankContinuation(_) | Self::HeaderCharacter(_) | Self::Truncated => "IN15",
            Self::Duplicate(_) => "A14",
            Self::Missing(_) | Self::NotOneMailbox(_) | Self::Address { .. } | Self::DisplayName(_) => "A13",
            Self::MessageId => "NT-H10",
            Self::Loop => "LP1",
            Self::Storage(_) => "CR3",
            Self::TooLong(_) | Self::HeaderTooLong | Self::TooManyFields | Self::TooManyMailboxes(_) => "A20",
            Self::Mime(_) | Self::TooManyParts => "IN16",
        }
    }

    /// What to tell the sender: what is wrong and what to do.
    pub fn text(&self) -> Bilingual {
        match self {
            Self::TooLong(octets) => Bilingual::new(
                format!("Le message dépasse {octets} octets. Envoyez-le en plusieurs fois."),
                format!("The message is longer than {octets} octets. Send it in several parts."),
            ),
            Self::BareLf(line) | Self::BareCr(line) => Bilingual::new(
                format!("La ligne {line} ne finit pas par CR LF. Le logiciel expéditeur doit être corrigé."),
                format!("Line {line} does not end with CR LF. The sending software must be corrected."),
            ),
            Self::Nul(line) => Bilingual::new(
                format!("La ligne {line} contient un octet nul. Joignez les données binaires en pièce jointe."),
                format!("Line {line} has a NUL octet. Send binary data as an attachment."),
            ),
            Self::LongLine(line) => Bilingual::new(
                format!("La ligne {line} dépasse 998 octets. Le logiciel expéditeur doit coder ce contenu en base64."),
                format!("Line {line} is longer than 998 octets. The sending software must encode it as base64."),
            ),
            Self::HeaderTooLong | Self::TooManyFields => {
                Bilingual::new("L'en-tête du message est trop long.", "The header of the message is too long.")
            }
            Self::NotAField(line) | Self::BlankContinuation(line) | Self::HeaderCharacter(line) => Bilingual::new(
                format!("La ligne {line} de l'en-tête est mal formée."),
                format!("Header line {line} is malformed."),
            ),
            Self::Truncated => {
                Bilingual::new("L'en-tête est coupé au milieu d'une ligne.", "The header ends in the middle of a line.")
            }
            Self::Duplicate(field) => Bilingual::new(
                format!("Le champ {field} figure plusieurs fois ; une seule est permise."),
                format!("The field {field} is there more than once; once is allowed."),
            ),
            Self::Missing(field) => {
                Bilingual::new(format!("Le champ {field} manque."), format!("The field {field} is missing."))
            }
            Self::NotOneMailbox(field) => Bilingual::new(
                format!("Le champ {field} doit contenir exactement une adresse."),
                format!("The field {field} must hold exactly one address."),
            ),
            Self::Address { field, .. } => Bilingual::new(
                format!("Le champ {field} contient une adresse mal formée."),
                format!("The field {field} holds a malformed address."),
            ),
            Self::TooManyMailboxes(field) => Bilingual::new(
                format!("Le champ {field} contient trop d'adresses."),
                format!("The field {field} holds too many addresses."),
            ),
            Self::DisplayName(field) => Bilingual::new(
                format!("Le nom affiché dans {field} contient des caractères interdits."),
                format!("The display name in {field} has forbidden characters."),
            ),
            Self::MessageId => {
                Bilingual::new("Le champ Message-ID est mal formé.", "The field Message-ID is malformed.")
            }
            Self::Mime(field) => Bilingual::new(
                format!("Le champ MIME {field} est mal formé."),
                format!("The MIME field {field} is malformed."),
            ),
            Self::TooManyParts => Bilingual::new(
                "Le message a trop de parties ou trop de niveaux imbriqués.",
                "The message has too many parts or too many nested levels.",
            ),
            Self::Loop => {
                Bilingual::new("Le message tourne en boucle entre serveurs.", "The message is looping between servers.")
            }
            Self::Storage(_) => Bilingual::new(
                "Le message n'a pas pu être gardé pendant le traitement. Renvoyez-le plus tard.",
                "The message could not be kept while it was worked on. Send it again later.",
            ),
        }
    }
}
