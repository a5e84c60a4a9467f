//! A connection before and after STARTTLS.

use std::{io, pin::Pin, task};

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

    /// Reads what is there, at most `limit` octets; empty at the end of the stream.
    ///
    /// # Errors
    /// Those of the socket.
    pub async fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read(buffer).await
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut task::Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> task::Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut task::Context<'_>, bytes: &[u8]) -> task::Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> task::Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> task::Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_shutdown(cx),
        }
    }
}
