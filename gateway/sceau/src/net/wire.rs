//! A connection before and after STARTTLS.

use std::{io, pin::Pin, task};

use openssl::error::ErrorStack;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::TcpStream,
};
use tokio_openssl::SslStream;

use super::tls::{TlsError, TlsFacts, TlsIdentity};

/// The two states of a connection.
#[derive(Debug)]
pub enum Wire {
    /// Nothing of value is said here.
    Plain(TcpStream),
    /// After the handshake.
    Tls(Box<SslStream<TcpStream>>),
}

impl Wire {
    /// Server side of STARTTLS or of an implicit-TLS port. TLS inside TLS does not exist.
    ///
    /// # Errors
    /// Those of the handshake.
    pub async fn accept_tls(self, identity: &TlsIdentity) -> Result<(Self, TlsFacts), TlsError> {
        match self {
            Self::Plain(stream) => {
                let tls = identity.accept(stream).await?;
                let facts = TlsFacts::of(tls.ssl());
                Ok((Self::Tls(Box::new(tls)), facts))
            }
            Self::Tls(_) => Err(TlsError::Handshake("TLS is already active".to_owned())),
        }
    }

    /// Client side.
    ///
    /// # Errors
    /// Those of the handshake.
    pub async fn connect_tls(self, identity: &TlsIdentity, host: &str) -> Result<(Self, TlsFacts), TlsError> {
        match self {
            Self::Plain(stream) => {
                let tls = identity.connect(host, stream).await?;
                let facts = TlsFacts::of(tls.ssl());
                Ok((Self::Tls(Box::new(tls)), facts))
            }
            Self::Tls(_) => Err(TlsError::Handshake("TLS is already active".to_owned())),
        }
    }

    /// What the peer said without waiting for us, if it did so in clear.
    pub fn early(&self) -> Option<Vec<u8>> {
        let Self::Plain(stream) = self else { return None };
        let mut buffer = [0; 512];
        let read = stream.try_read(&mut buffer).ok()?;
        buffer.get(..read).filter(|bytes| !bytes.is_empty()).map(<[u8]>::to_vec)
    }

    /// Writes everything.
    ///
    /// # Errors
    /// Those of the socket.
    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes).await?;
        self.flush().await
    }

    /// Reads what is there, at most the buffer's length; 0 at the end of the stream.
    ///
    /// # Errors
    /// Those of the socket.
    pub async fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read(buffer).await
    }
}

/// OpenSSL reports through one queue of errors for each thread, and takes whatever it finds there for
/// the fate of the connection at hand. What another session left there (a bad chain that was shown in
/// its handshake, a certificate that could not be read) must not end this one.
fn clean(stream: &mut SslStream<TcpStream>) -> Pin<&mut SslStream<TcpStream>> {
    drop(ErrorStack::get());
    Pin::new(stream)
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut task::Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> task::Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => clean(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut task::Context<'_>, bytes: &[u8]) -> task::Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => clean(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> task::Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => clean(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> task::Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => clean(stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, task::Poll};

    use openssl::{
        asn1::Asn1Time,
        ec::{EcGroup, EcKey},
        hash::MessageDigest,
        nid::Nid,
        pkey::PKey,
        x509::{X509, X509Builder, X509NameBuilder},
    };
    use tokio::net::TcpListener;

    use super::*;

    fn identity() -> TlsIdentity {
        let folder = tempfile::tempdir().unwrap();
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
        let key = PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap();
        let mut name = X509NameBuilder::new().unwrap();
        name.append_entry_by_text("CN", "smtp.ch-exemple.test").unwrap();
        let name = name.build();
        let mut builder = X509Builder::new().unwrap();
        builder.set_version(2).unwrap();
        builder.set_subject_name(&name).unwrap();
        builder.set_issuer_name(&name).unwrap();
        builder.set_pubkey(&key).unwrap();
        builder.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
        builder.set_not_after(&Asn1Time::days_from_now(2).unwrap()).unwrap();
        builder.sign(&key, MessageDigest::sha256()).unwrap();
        let (certificate, private) = (folder.path().join("tls.pem"), folder.path().join("tls.key"));
        std::fs::write(&certificate, builder.build().to_pem().unwrap()).unwrap();
        std::fs::write(&private, key.private_key_to_pem_pkcs8().unwrap()).unwrap();
        TlsIdentity::load(&certificate, &private).unwrap()
    }

    async fn pair() -> (Wire, Wire) {
        let identity = identity();
        let port = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(port.local_addr().unwrap()).await.unwrap();
        let (server, _) = port.accept().await.unwrap();
        let (server, client) = tokio::join!(
            Wire::Plain(server).accept_tls(&identity),
            Wire::Plain(client).connect_tls(&identity, "smtp.ch-exemple.test"),
        );
        (server.unwrap().0, client.unwrap().0)
    }

    /// What another session's bad certificate left in the thread's queue of errors.
    fn somebody_elses_error() {
        X509::from_der(b"no certificate").unwrap_err().put();
        assert!(!openssl::error::ErrorStack::get().errors().is_empty());
        X509::from_der(b"no certificate").unwrap_err().put();
    }

    /// OpenSSL keeps one queue of errors for each thread, and takes what it finds there for the
    /// fate of the connection at hand: one peer must not be able to end another's session.
    #[tokio::test]
    async fn a_session_does_not_die_of_somebody_elses_error() {
        let (mut server, mut client) = pair().await;
        somebody_elses_error();
        let mut octets = [0; 8];
        let waiting = poll_fn(|cx| {
            let read = Pin::new(&mut server).poll_read(cx, &mut ReadBuf::new(&mut octets));
            Poll::Ready(read.is_pending())
        });
        assert!(waiting.await, "a read with nothing to read waits");
        somebody_elses_error();
        client.send(b"NOOP").await.unwrap();
        somebody_elses_error();
        assert_eq!(server.receive(&mut octets).await.unwrap(), 4);
        somebody_elses_error();
        server.shutdown().await.unwrap();
    }
}
