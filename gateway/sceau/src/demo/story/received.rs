//! What lies in a mailbox, as a reader's mail program shows it.

use std::{fs, io, path::PathBuf};

use ident::Fingerprint;
use mail::{
    HeaderBlock, Limits, MailFault,
    media::{MediaType, TransferEncoding},
    mime, words,
};
use openssl::sha::sha256;
use thiserror::Error;

/// Why a delivered message cannot be shown.
#[derive(Debug, Error)]
pub enum ReceivedError {
    /// The file.
    #[error("{0}: {1}")]
    File(PathBuf, io::Error),
    /// Its form.
    #[error("{0}: {1}")]
    Form(PathBuf, MailFault),
}

/// A delivered message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// Header fields in order, decoded.
    fields: Vec<(String, String)>,
    /// SHA-256 of the first PDF in it.
    pub report: Option<Fingerprint>,
    /// The whole text, undecoded.
    pub raw: String,
}

impl Received {
    /// Reads a file of a Maildir.
    ///
    /// # Errors
    /// [`ReceivedError`]
    pub fn read(path: &PathBuf) -> Result<Self, ReceivedError> {
        let bytes = fs::read(path).map_err(|error| ReceivedError::File(path.clone(), error))?;
        Self::of(&bytes).map_err(|fault| ReceivedError::Form(path.clone(), fault))
    }

    fn of(bytes: &[u8]) -> Result<Self, MailFault> {
        let limits = Limits::default();
        let block = HeaderBlock::parse(bytes, &limits)?;
        let fields =
            block.fields().iter().map(|field| (field.name().to_owned(), words::decode(&field.value()))).collect();
        let media = MediaType::of(&block)?;
        let mut report = None;
        if media.is_multipart() {
            for part in mime::parts(block.body(), media.boundary()?, limits.parts)? {
                let block = HeaderBlock::parse(part, &limits)?;
                if MediaType::of(&block)?.essence == "application/pdf" {
                    let content = mime::decode(block.body(), TransferEncoding::of(&block)?)?;
                    report = Some(Fingerprint::new(sha256(&content)));
                    break;
                }
            }
        }
        Ok(Self { fields, report, raw: String::from_utf8_lossy(bytes).into_owned() })
    }

    /// The first field of this name, decoded; empty when there is none.
    pub fn field(&self, name: &str) -> &str {
        self.fields.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value)
    }

    /// Whether there is a field whose name begins so.
    pub fn has_fields(&self, prefix: &str) -> bool {
        self.fields
            .iter()
            .any(|(name, _)| name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix)))
    }

    /// The verdict that a French reader sees.
    pub fn notice(&self) -> &str {
        self.field("X-Sceau-Notice")
    }

    /// The fields that a mail program shows, and the gateway's verdict.
    pub fn shown(&self) -> String {
        let mut out = String::new();
        for name in ["From", "Sender", "Subject", "X-Sceau-Notice"] {
            let value = self.field(name);
            if !value.is_empty() {
                out += &format!("{name}: {value}\n");
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_verdict_and_the_report() {
        let text = "X-Sceau-Notice: =?utf-8?B?U2lnbsOp?=\r\nSubject: a\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n\
                    --x\r\n\r\nhello\r\n--x\r\nContent-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n\
                    JVBERg==\r\n--x--\r\n";
        let received = Received::of(text.as_bytes()).unwrap();
        assert_eq!(received.notice(), "Signé");
        assert_eq!(received.shown(), "Subject: a\nX-Sceau-Notice: Signé\n");
        assert_eq!(received.report, Some(Fingerprint::new(sha256(b"%PDF"))));
        assert!(received.has_fields("x-sceau-") && !received.has_fields("DKIM"));
    }
}
