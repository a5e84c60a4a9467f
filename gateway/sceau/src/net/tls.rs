//! TLS on both sides: system OpenSSL, TLS 1.2 or later, certificates asked for on every port.
//!
//! OpenSSL only proves here that the peer holds the private key of the certificate it shows.
//! Whether that certificate may be believed is decided by `pki` at every MAIL FROM, so a kept
//! connection never outlives a revocation, and each refusal can say its reason in SMTP. For the
//! same reason no tickets are issued and no sessions are kept (design §7), but on ports that ask nobody
//! for a certificate.

use std::{path::Path, pin::Pin, sync::Arc, time::Duration};

use ident::{Clock, SystemClock};
use openssl::{
    error::ErrorStack,
    pkey::{PKey, Private},
    ssl::{
        Ssl, SslAcceptor, SslConnector, SslContext, SslContextBuilder, SslMethod, SslOptions, SslRef,
        SslSessionCacheMode, SslVerifyMode, SslVersion, StatusType,
    },
    x509::{X509, store::X509StoreBuilder},
};
use pki::{certificate::Certificate, ocsp::MAX_ANSWER, status::RevocationStore};
use thiserror::Error;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_openssl::SslStream;

use crate::config::{Problem, read_bytes};

/// One deadline for the whole handshake (TL9).
const HANDSHAKE: Duration = Duration::from_secs(30);
/// Certificates that are looked at of what a peer shows: as many as a path may have. What a stranger
/// shows is judged at every MAIL FROM, so it must not be more than that.
const MAX_SHOWN: usize = 10;
/// Sessions with clients who were not asked for a certificate that are kept to be taken up again.
const MAX_SESSIONS: i32 = 20_000;
/// Largest certificate or key file.
const MAX_PEM: u64 = 256 * 1024;

/// Why a TLS connection did not come about.
#[derive(Debug, Error)]
pub enum TlsError {
    /// The peer did not finish in time.
    #[error("the TLS handshake took longer than {} s", HANDSHAKE.as_secs())]
    Timeout,
    /// The handshake failed.
    #[error("the TLS handshake failed: {0}")]
    Handshake(String),
    /// The library refused a setting.
    #[error("the TLS library refused a setting: {0}")]
    Library(#[from] ErrorStack),
}

/// What a connection turned out to be, for the trail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFacts {
    /// `TLSv1.3` and its like.
    pub version: String,
    /// Name of the cipher suite.
    pub cipher: String,
    /// What the peer showed, leaf first; empty when it showed nothing.
    pub peer: Vec<Certificate>,
    /// The OCSP answer that a server showed about its certificate (RFC 6066 §8), as it came. A client
    /// cannot be asked for one: OpenSSL's servers do not send that extension of TLS 1.3.
    pub stapled: Option<Vec<u8>>,
}

/// Where the answers about our own certificate are, and who issued it.
#[derive(Clone)]
struct Staple {
    store: Arc<RevocationStore>,
    issuer: Certificate,
}

/// Whether clients are asked for a certificate. A browser that is asked puts the question to the person in front of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clients {
    /// They are, and may have none.
    Asked,
    /// They are not.
    NotAsked,
}

/// Our TLS identity, for both directions.
#[derive(Clone)]
pub struct TlsIdentity {
    acceptor: Arc<SslContext>,
    connector: Arc<SslContext>,
    certificate: Certificate,
    staple: Option<Staple>,
}

impl TlsIdentity {
    /// Reads certificate chain and key, and checks that they belong together. Clients are asked for a certificate.
    ///
    /// # Errors
    /// A [`Problem`] that names the file.
    pub fn load(certificate: &Path, key: &Path) -> Result<Self, Problem> {
        Self::load_for(Clients::Asked, certificate, key)
    }

    /// The same for clients of this kind.
    ///
    /// # Errors
    /// A [`Problem`] that names the file.
    pub fn load_for(clients: Clients, certificate: &Path, key: &Path) -> Result<Self, Problem> {
        let chain = X509::stack_from_pem(&read_bytes(certificate, MAX_PEM)?)
            .map_err(|_| Problem::of(certificate, "holds no PEM certificate"))?;
        let private = PKey::private_key_from_pem_callback(&read_bytes(key, MAX_PEM)?, |_| Ok(0))
            .map_err(|_| Problem::of(key, "holds no unencrypted PEM private key"))?;
        let leaf = chain.first().ok_or_else(|| Problem::of(certificate, "holds no PEM certificate"))?;
        if !leaf.public_key().is_ok_and(|public| public.public_eq(&private)) {
            return Err(Problem::of(key, format!("is not the key of {}", certificate.display())));
        }
        let refused = |e: ErrorStack| Problem::of(certificate, format!("refused by the TLS library: {e}"));
        let shown =
            certificate_of(leaf).ok_or_else(|| Problem::of(certificate, "holds a certificate that cannot be read"))?;
        Ok(Self {
            certificate: shown,
            staple: None,
            acceptor: Arc::new(acceptor(clients, &chain, &private).map_err(refused)?),
            connector: Arc::new(connector(&chain, &private).map_err(refused)?),
        })
    }

    /// The same, which shows clients the answers that `store` holds about our certificate, issued by `issuer`.
    #[must_use]
    pub fn stapling(self, store: Arc<RevocationStore>, issuer: Certificate) -> Self {
        Self { staple: Some(Staple { store, issuer }), ..self }
    }

    /// The newest answer about our certificate that still counts. Clients look at their own clock, so the
    /// machine's is meant here, whatever time a test lives in.
    fn stapled(&self) -> Option<Vec<u8>> {
        let Staple { store, issuer } = self.staple.as_ref()?;
        let now = SystemClock.now();
        let counts = |until| until >= now;
        let answers = store.answers(&self.certificate, issuer);
        let current = answers.iter().find(|it| it.fresh_until(&self.certificate, issuer).is_some_and(counts))?;
        Some(current.der().to_vec())
    }

    /// The certificate that we show.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// What shows this certificate as a client.
    pub(crate) fn as_client(&self) -> SslContext {
        (*self.connector).clone()
    }

    /// The server's side of a handshake.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub async fn accept<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S) -> Result<SslStream<S>, TlsError> {
        let mut ssl = Ssl::new(&self.acceptor)?;
        if let Some(answer) = self.stapled() {
            ssl.set_ocsp_status(&answer)?;
        }
        let mut tls = SslStream::new(ssl, stream)?;
        handshake(timeout(HANDSHAKE, Pin::new(&mut tls).accept()).await)?;
        Ok(tls)
    }

    /// The client's side of a handshake with `host`.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub async fn connect(&self, host: &str, stream: TcpStream) -> Result<SslStream<TcpStream>, TlsError> {
        connect(&self.connector, host, stream).await
    }
}

impl TlsFacts {
    /// Reads them from a finished handshake. A certificate that we cannot even read counts as none.
    pub fn of(ssl: &SslRef) -> Self {
        let leaf = ssl.peer_certificate();
        let mut peer: Vec<Certificate> = Vec::new();
        if let Some(first) = leaf.as_ref().and_then(certificate_of) {
            peer.push(first);
            let shown = ssl.peer_cert_chain().into_iter().flatten().take(MAX_SHOWN);
            let others = shown.filter_map(|x| x.to_der().ok());
            for other in others.filter_map(|der| Certificate::from_der(&der).ok()) {
                if peer.iter().all(|known| known.fingerprint() != other.fingerprint()) {
                    peer.push(other);
                }
            }
        }
        // On the server's side it would be our own.
        let stapled = ssl.ocsp_status().filter(|der| !ssl.is_server() && !der.is_empty() && der.len() <= MAX_ANSWER);
        Self {
            stapled: stapled.map(<[u8]>::to_vec),
            version: ssl.version_str().to_owned(),
            cipher: ssl.current_cipher().map(|c| c.name().to_owned()).unwrap_or_default(),
            peer,
        }
    }
}

fn certificate_of(x509: &X509) -> Option<Certificate> {
    Certificate::from_der(&x509.to_der().ok()?).ok()
}

fn handshake(outcome: Result<Result<(), openssl::ssl::Error>, tokio::time::error::Elapsed>) -> Result<(), TlsError> {
    // What OpenSSL thought of the peer's chain is no error of ours: we ask `pki`.
    drop(ErrorStack::get());
    match outcome {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(TlsError::Handshake(error.to_string())),
        Err(_) => Err(TlsError::Timeout),
    }
}

fn acceptor(clients: Clients, chain: &[X509], key: &PKey<Private>) -> Result<SslContext, ErrorStack> {
    let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server())?;
    settle(&mut builder, chain, key)?;
    builder.set_session_id_context(b"sceau")?;
    // One call to the system for each record, and not one for its head and one for the rest.
    builder.set_read_ahead(true);
    match clients {
        // Its absence or its faults are answered in SMTP or HTTP, with a reason.
        Clients::Asked => {
            builder.set_verify_callback(SslVerifyMode::PEER, |_, _| true);
            builder.set_num_tickets(0)?;
        }
        // An address book connects anew at each keystroke: nobody was identified, so a session may be taken up again. It
        // is kept here, once and for minutes: no ticket key whose loss would open what was recorded.
        Clients::NotAsked => {
            builder.set_verify(SslVerifyMode::NONE);
            builder.set_session_cache_mode(SslSessionCacheMode::SERVER);
            builder.set_session_cache_size(MAX_SESSIONS);
            builder.set_num_tickets(1)?;
        }
    }
    builder.set_options(SslOptions::NO_TICKET | SslOptions::CIPHER_SERVER_PREFERENCE);
    // Sent to whom asks, if there is one.
    builder.set_status_callback(|ssl| Ok(ssl.ocsp_status().is_some()))?;
    Ok(builder.build().into_context())
}

fn connector(chain: &[X509], key: &PKey<Private>) -> Result<SslContext, ErrorStack> {
    let mut builder = SslConnector::builder(SslMethod::tls_client())?;
    settle(&mut builder, chain, key)?;
    // The peer's chain is judged by `pki` against pinned roots and the trust list, never by the system's store.
    builder.set_verify_callback(SslVerifyMode::PEER, |_, _| true);
    Ok(builder.build().into_context())
}

/// A client that shows no certificate: for public servers, which need not know who asks.
///
/// # Errors
/// Those of the library.
pub fn nobody() -> Result<SslContext, ErrorStack> {
    let mut builder = SslConnector::builder(SslMethod::tls_client())?;
    protect(&mut builder)?;
    builder.set_verify_callback(SslVerifyMode::PEER, |_, _| true);
    Ok(builder.build().into_context())
}

/// The client's side of a handshake with `host`, in this context.
///
/// # Errors
/// See [`TlsError`].
pub async fn connect(context: &SslContext, host: &str, stream: TcpStream) -> Result<SslStream<TcpStream>, TlsError> {
    let mut ssl = Ssl::new(context)?;
    ssl.set_hostname(host)?;
    // Judged with the certificate; who staples nothing is judged by what we hold.
    ssl.set_status_type(StatusType::OCSP)?;
    let mut tls = SslStream::new(ssl, stream)?;
    handshake(timeout(HANDSHAKE, Pin::new(&mut tls).connect()).await)?;
    Ok(tls)
}

fn settle(builder: &mut SslContextBuilder, chain: &[X509], key: &PKey<Private>) -> Result<(), ErrorStack> {
    protect(builder)?;
    if let Some((leaf, others)) = chain.split_first() {
        builder.set_certificate(leaf)?;
        others.iter().try_for_each(|other| builder.add_extra_chain_cert(other.clone()))?;
    }
    builder.set_private_key(key)?;
    builder.check_private_key()
}

/// What holds for every connection.
fn protect(builder: &mut SslContextBuilder) -> Result<(), ErrorStack> {
    builder.set_min_proto_version(Some(SslVersion::TLS1_2))?;
    builder.set_options(SslOptions::NO_RENEGOTIATION | SslOptions::NO_COMPRESSION);
    builder.set_session_cache_mode(SslSessionCacheMode::OFF);
    // Nothing from the system's store, which a client's context would otherwise look through at each handshake.
    builder.set_cert_store(X509StoreBuilder::new()?.build());
    // OpenSSL checks what it is shown before anybody asks us: no further than we would look.
    builder.set_verify_depth(u32::try_from(MAX_SHOWN).unwrap_or(u32::MAX));
    Ok(())
}

#[cfg(test)]
mod tests;
