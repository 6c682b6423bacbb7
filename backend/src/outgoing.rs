//! What is on its way to a client: whether all of it is sent, and how long the client may take.
//!
//! An answer is out of its writer's hands long before its client has it. So only the connection
//! itself knows whether somebody is still being served.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// What a client has to take within its patience, unless that is all there is.
const TAKEN_BYTES_MIN: usize = 512 * 1024;

/// A connection that tells when all is sent.
pub struct Outgoing<S, F> {
    stream: S,
    /// Called whenever there is nothing left to send.
    sent: F,
    patience: Duration,
    /// Until when enough has to be taken, once the client does not keep up.
    end: Option<Pin<Box<Sleep>>>,
    /// What was taken since then.
    taken: usize,
}

impl<S: AsyncWrite + Unpin, F: Fn() + Unpin> Outgoing<S, F> {
    pub fn new(stream: S, patience: Duration, sent: F) -> Self {
        Self {
            stream,
            sent,
            patience,
            end: None,
            taken: 0,
        }
    }

    fn wrote(
        &mut self,
        context: &mut Context<'_>,
        wrote: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match wrote {
            Poll::Ready(Ok(bytes)) => {
                self.taken += bytes;
                if self.taken >= TAKEN_BYTES_MIN {
                    self.begin_anew();
                }
                Poll::Ready(Ok(bytes))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => self.wait(context),
        }
    }

    fn begin_anew(&mut self) {
        self.end = None;
        self.taken = 0;
    }

    /// Waits for the client, as long as there is patience.
    fn wait<T>(&mut self, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        let patience = self.patience;
        let end = self.end.get_or_insert_with(|| {
            self.taken = 0;
            Box::pin(tokio::time::sleep(patience))
        });
        match end.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + Unpin, F: Unpin> AsyncRead for Outgoing<S, F> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin, F: Fn() + Unpin> AsyncWrite for Outgoing<S, F> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.wrote(context, wrote)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.wrote(context, wrote)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.stream).poll_flush(context) {
            Poll::Ready(Ok(())) => {
                self.begin_anew();
                (self.sent)();
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => self.wait(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    #[tokio::test]
    async fn who_takes_what_it_is_sent_has_all_the_time_there_is() {
        let (ours, mut theirs) = duplex(1024);
        let told = Cell::new(0);
        let patience = Duration::from_secs(600);
        let mut outgoing = Outgoing::new(ours, patience, || told.set(told.get() + 1));
        let text = vec![b'x'; 2 * TAKEN_BYTES_MIN];
        let mut taken = vec![0; text.len()];
        let (sent, read) = tokio::join!(outgoing.write_all(&text), theirs.read_exact(&mut taken));
        sent.unwrap();
        read.unwrap();
        assert_eq!(told.get(), 0);
        outgoing.flush().await.unwrap();
        assert_eq!(told.get(), 1);
        assert!(outgoing.end.is_none() && outgoing.taken == 0);
    }

    #[tokio::test]
    async fn who_takes_nothing_is_left() {
        let (ours, _theirs) = duplex(1024);
        let mut outgoing = Outgoing::new(ours, Duration::ZERO, || {});
        let sent = outgoing.write_all(&[b'x'; 2048]).await;
        assert_eq!(sent.unwrap_err().kind(), ErrorKind::TimedOut);
    }
}
