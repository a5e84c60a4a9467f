//! Practice software: an ordinary SMTP client (lettre) that holds a card's certificate.

use std::{fmt, fs, io, net::SocketAddr, path::PathBuf, time::Duration};

use lettre::{
    Message, SmtpTransport, Transport,
    address::Envelope,
    transport::smtp::{
        client::{Certificate, CertificateStore, Identity, Tls, TlsParameters, TlsVersion},
        extension::ClientId,
    },
};
use thiserror::Error;

use super::space::IdentityFiles;

/// How long the software waits for one answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// How TLS is to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    /// After STARTTLS.
    Starttls,
    /// With the first octet.
    Implicit,
    /// Not at all: what must be refused.
    None,
}

/// A client program and the gateway that it is set up for.
#[derive(Debug, Clone)]
pub struct Software {
    /// The name that the server's certificate must carry.
    pub host: String,
    /// Where it listens.
    pub address: SocketAddr,
    /// How TLS begins.
    pub protection: Protection,
    /// PEM of the root that the server's certificate must chain to.
    pub authorities: PathBuf,
    /// Certificate and key with which it comes; none: anonymous.
    pub identity: Option<IdentityFiles>,
}

/// Why a message was not taken.
#[derive(Debug, Error)]
pub enum SendError {
    /// The server answered no.
    #[error("{0}")]
    Refused(Refusal),
    /// There was no answer: no connection, no TLS, or the connection broke.
    #[error("no answer: {0}")]
    NoAnswer(String),
    /// A file of the card or of the root cannot be read.
    #[error("{0}: {1}")]
    File(PathBuf, io::Error),
}

/// A negative reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Three digits.
    pub code: u16,
    /// What the server says.
    pub text: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, self.text)
    }
}

impl Software {
    /// Hands a message over, with the envelope that its headers imply; gives the server's last reply.
    ///
    /// # Errors
    /// [`SendError`]
    pub async fn send(&self, message: &Message) -> Result<String, SendError> {
        self.send_as(message.envelope().clone(), message.formatted()).await
    }

    /// Hands octets over under an envelope of one's choice.
    ///
    /// # Errors
    /// [`SendError`]
    pub async fn send_as(&self, envelope: Envelope, message: Vec<u8>) -> Result<String, SendError> {
        let transport = self.transport()?;
        let sending = tokio::task::spawn_blocking(move || transport.send_raw(&envelope, &message));
        match sending.await.map_err(|e| SendError::NoAnswer(e.to_string()))? {
            Ok(response) => {
                let lines: Vec<_> = response.message().collect();
                Ok(format!("{} {}", response.code(), lines.join(" / ")))
            }
            Err(error) => Err(judged(&error)),
        }
    }

    fn transport(&self) -> Result<SmtpTransport, SendError> {
        let tls = match self.protection {
            Protection::None => Tls::None,
            Protection::Starttls => Tls::Required(self.parameters()?),
            Protection::Implicit => Tls::Wrapper(self.parameters()?),
        };
        Ok(SmtpTransport::builder_dangerous(self.address.ip().to_string())
            .port(self.address.port())
            .hello_name(ClientId::Domain("logiciel.cabinet.test".to_owned()))
            .timeout(Some(PATIENCE))
            .tls(tls)
            .build())
    }

    fn parameters(&self) -> Result<TlsParameters, SendError> {
        let read = |path: &PathBuf| fs::read(path).map_err(|e| SendError::File(path.clone(), e));
        let unusable = |e: lettre::transport::smtp::Error| SendError::NoAnswer(e.to_string());
        let mut builder = TlsParameters::builder(self.host.clone())
            .certificate_store(CertificateStore::None)
            .add_root_certificate(Certificate::from_pem(&read(&self.authorities)?).map_err(unusable)?)
            .set_min_tls_version(TlsVersion::Tlsv12);
        if let Some(files) = &self.identity {
            let identity = Identity::from_pem(&read(&files.certificate)?, &read(&files.key)?).map_err(unusable)?;
            builder = builder.identify_with(identity);
        }
        builder.build().map_err(unusable)
    }
}

/// lettre keeps the code apart and the text in its message.
fn judged(error: &lettre::transport::smtp::Error) -> SendError {
    let Some(code) = error.status() else { return SendError::NoAnswer(error.to_string()) };
    let text = error.to_string();
    let text = text.split_once("): ").map_or(text.as_str(), |(_, said)| said).trim().replace('\n', " / ");
    SendError::Refused(Refusal { code: code.into(), text })
}

#[cfg(test)]
#[path = "practice_tests.rs"]
mod tests;
