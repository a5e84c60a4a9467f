//! A stream whose reader must read: who takes nothing of what is written to it for a while is gone.

use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

/// The stream. What is being written, some ten kilobytes at a time, must be taken within the patience.
#[derive(Debug)]
pub(super) struct Progress<S> {
    stream: S,
    patience: Duration,
    waiting: Option<Pin<Box<Sleep>>>,
}

impl<S> Progress<S> {
    pub(super) fn new(stream: S, patience: Duration) -> Self {
        Self { stream, patience, waiting: None }
    }

    /// Not written yet: an error once that has lasted too long.
    fn not_yet<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        let patience = self.patience;
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(sleep(patience)));
        match waiting.as_mut().poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Progress<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Progress<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.stream).poll_write(cx, octets) {
            // The clock goes on: only when all is written it stops, so that an octet now and then is no progress.
            Poll::Ready(written) => Poll::Ready(written),
            Poll::Pending => self.not_yet(cx),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.stream).poll_flush(cx) {
            Poll::Ready(flushed) => {
                self.waiting = None;
                Poll::Ready(flushed)
            }
            Poll::Pending => self.not_yet(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.stream).poll_shutdown(cx) {
            Poll::Ready(shut) => Poll::Ready(shut),
            Poll::Pending => self.not_yet(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    #[tokio::test]
    async fn who_reads_nothing_is_gone() {
        let (ours, theirs) = duplex(1000);
        let mut stream = Progress::new(ours, Duration::from_millis(50));
        let written = stream.write_all(&[1; 5000]).await;
        assert_eq!(written.unwrap_err().kind(), io::ErrorKind::TimedOut);
        drop(theirs);
    }

    #[tokio::test]
    async fn an_octet_now_and_then_is_not_reading() {
        let (ours, mut theirs) = duplex(1000);
        let mut stream = Progress::new(ours, Duration::from_millis(300));
        let reader = tokio::spawn(async move {
            let mut read = 0u32;
            while theirs.read_u8().await.is_ok() {
                read += 1;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            read
        });
        let written = stream.write_all(&[1; 5000]).await;
        assert_eq!(written.unwrap_err().kind(), io::ErrorKind::TimedOut);
        drop(stream);
        reader.abort();
    }

    #[tokio::test]
    async fn who_reads_is_served_whole() {
        let (ours, mut theirs) = duplex(1000);
        let mut stream = Progress::new(ours, Duration::from_secs(60));
        let reader = tokio::spawn(async move {
            let mut all = Vec::new();
            theirs.read_to_end(&mut all).await.map(|_| all.len())
        });
        for _ in 0..50 {
            stream.write_all(&[1; 5000]).await.unwrap();
            stream.flush().await.unwrap();
            assert!(stream.waiting.is_none(), "each part has its own time");
        }
        drop(stream);
        assert_eq!(reader.await.unwrap().unwrap(), 250_000);
    }
}
