//! Handing a letter over, and what the server answered.

use lettre::{Message, address::Envelope};

use crate::{
    demo::{
        practice::{Refusal, SendError, Software},
        story::{
            StoryError,
            teller::{Finding, Mismatch, check},
        },
    },
    refusal::RefusalId,
};

/// What came of an attempt to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sending {
    /// The server's last reply.
    Taken(String),
    /// Its refusal.
    Refused(Refusal),
}

impl Sending {
    /// Sends a message under the envelope that its headers imply.
    pub(super) async fn of(software: &Software, message: &Message) -> Result<Self, StoryError> {
        Self::judged(software.send(message).await)
    }

    /// Sends it under an envelope of its own.
    pub(super) async fn under(software: &Software, envelope: Envelope, message: &Message) -> Result<Self, StoryError> {
        Self::judged(software.send_as(envelope, message.formatted()).await)
    }

    fn judged(outcome: Result<String, SendError>) -> Result<Self, StoryError> {
        match outcome {
            Ok(reply) => Ok(Self::Taken(reply)),
            Err(SendError::Refused(refusal)) => Ok(Self::Refused(refusal)),
            Err(other) => Err(StoryError::NoAnswer(other)),
        }
    }

    /// The words of the server, French and English on lines of their own where they are ours.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Taken(reply) => reply.clone(),
            Self::Refused(refusal) => {
                let ours = RefusalId::ALL.iter().map(|id| id.row()).find(|row| refusal.text.contains(row.fr));
                let mut text = refusal.to_string();
                if let Some(row) = ours {
                    text = text.replacen(&format!(" {}", row.en), &format!("\n{}", row.en), 1);
                    text = text.replacen(&format!(" [{}]", row.id), &format!("\n[{}]", row.id), 1);
                }
                text
            }
        }
    }

    /// The queue id of an accepted message.
    pub(super) fn queue_id(&self) -> Result<&str, Mismatch> {
        match self {
            Self::Taken(reply) if reply.starts_with("250 ") => Ok(reply.rsplit(' ').next().unwrap_or_default()),
            other => Err(Mismatch { expected: "250 and a queue id".to_owned(), found: other.words() }),
        }
    }

    /// Whether it was accepted.
    pub(super) fn accepted(&self) -> Finding {
        self.queue_id().map(|_| ())
    }

    /// Whether it was refused for this reason, with the code and the words of the table.
    pub(super) fn refused_as(&self, id: RefusalId) -> Finding {
        let row = id.row();
        let expected = format!("{} [{}] {}", row.code, row.id, row.fr);
        let holds = matches!(self, Self::Refused(refusal)
            if refusal.code == row.code
                && [row.fr, row.en, &format!("[{}]", row.id)].iter().all(|part| refusal.text.contains(part)));
        check(holds, expected, self.words())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: u16, text: &str) -> Sending {
        Sending::Refused(Refusal { code, text: text.to_owned() })
    }

    #[test]
    fn a_refusal_must_have_its_code_and_all_its_words() {
        let row = RefusalId::TlsRequired.row();
        let text = format!("5.7.0 {} {} [{}] - Aide/help: aide@x.test", row.fr, row.en, row.id);
        assert!(refused(530, &text).refused_as(RefusalId::TlsRequired).is_ok());
        assert!(refused(550, &text).refused_as(RefusalId::TlsRequired).is_err());
        assert!(refused(530, &text).refused_as(RefusalId::CardOpposed).is_err());
        assert!(refused(530, row.fr).refused_as(RefusalId::TlsRequired).is_err());
        assert!(Sending::Taken("250 2.6.0 Accepted as x".into()).refused_as(RefusalId::TlsRequired).is_err());
        let words = refused(530, &text).words();
        assert_eq!(words.lines().count(), 3, "{words}");
        assert!(words.lines().nth(1).unwrap().starts_with("Encryption is required"), "{words}");
    }

    #[test]
    fn the_queue_id_is_the_last_word() {
        assert_eq!(Sending::Taken("250 2.6.0 Accepted as 01K".into()).queue_id().unwrap(), "01K");
        assert!(refused(550, "no").queue_id().is_err());
    }
}
