//! A connection that gives up on a peer that does not read what it is sent.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures::{FutureExt, future::BoxFuture};
use hydrant_engine::Clock;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Fails a write that makes no progress for `limit`.
pub(super) struct Stall<I> {
    io: I,
    clock: Arc<dyn Clock>,
    limit: Duration,
    /// Runs while a write waits.
    waiting: Option<BoxFuture<'static, ()>>,
}

impl<I> Stall<I> {
    pub(super) fn new(io: I, clock: Arc<dyn Clock>, limit: Duration) -> Self {
        Stall {
            io,
            clock,
            limit,
            waiting: None,
        }
    }

    fn guard<T>(
        &mut self,
        cx: &mut Context<'_>,
        progress: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if progress.is_ready() {
            self.waiting = None;
            return progress;
        }
        let waiting = self
            .waiting
            .get_or_insert_with(|| self.clock.sleep(self.limit));
        ready!(waiting.poll_unpin(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Stall<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Stall<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let progress = Pin::new(&mut self.io).poll_write(cx, buf);
        self.guard(cx, progress)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let progress = Pin::new(&mut self.io).poll_flush(cx);
        self.guard(cx, progress)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let progress = Pin::new(&mut self.io).poll_shutdown(cx);
        self.guard(cx, progress)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let progress = Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        self.guard(cx, progress)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use hydrant_engine::{ManualClock, Timestamp};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn a_peer_that_reads_is_waited_for_and_one_that_does_not_is_left() {
        let clock = ManualClock::new(Timestamp(0));
        let limit = Duration::from_secs(60);
        let (near, mut far) = tokio::io::duplex(4);
        let mut near = Stall::new(near, Arc::new(clock.clone()), limit);
        let writer = tokio::spawn(async move { near.write_all(b"twelve bytes").await });
        while clock.sleepers() == 0 {
            tokio::task::yield_now().await;
        }
        clock.advance(limit - Duration::from_secs(1));
        // The fifth byte is only there once the writer has made progress, so that its time must
        // have begun anew.
        far.read_exact(&mut [0; 5]).await.unwrap();
        clock.advance(limit - Duration::from_secs(1));
        far.read_exact(&mut [0; 7]).await.unwrap();
        assert!(writer.await.unwrap().is_ok());

        let (near, _far) = tokio::io::duplex(4);
        let mut near = Stall::new(near, Arc::new(clock.clone()), limit);
        let writer = tokio::spawn(async move { near.write_all(b"too much").await });
        while clock.sleepers() == 0 {
            tokio::task::yield_now().await;
        }
        clock.advance(limit);
        let error = writer.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
