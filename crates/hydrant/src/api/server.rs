//! A port: accepts connections, holds them to their limits, and stops without losing requests. The API has one, and the
//! admin port is another.
//!
//! HTTP/1.1 with keep-alive. [`Server::serve_connection`] takes any byte stream, so that a whole node
//! can run in a simulation; [`Server::serve`] is the accept loop for a real port.

use std::{error::Error, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::future::{self, Either};
use http::{Request, Response};
use hydrant_engine::Clock;
use hyper::{
    body::{Body, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{limits::ServerLimits, stall::Stall, timer::ClockTimer};

/// Pause after a failed accept, which is mostly for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What stands behind a port and answers its requests.
pub trait Answers: Send + Sync + 'static {
    /// What an answer's body is made of.
    type Body: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static;
    /// Why there is nobody to answer.
    type Gone: Into<Box<dyn Error + Send + Sync>>;

    /// Answers one request.
    fn answer(
        &self,
        request: Request<Incoming>,
    ) -> impl Future<Output = Result<Response<Self::Body>, Self::Gone>> + Send;
}

/// Serves a port.
#[derive(Debug)]
pub struct Server<A> {
    answers: A,
    clock: Arc<dyn Clock>,
    limits: ServerLimits,
    http: http1::Builder,
}

impl<A: Answers> Server<A> {
    /// A server that answers by `answers`.
    pub fn new(answers: A, clock: Arc<dyn Clock>, limits: ServerLimits) -> Arc<Self> {
        let mut http = http1::Builder::new();
        http.timer(ClockTimer::new(clock.clone()))
            .header_read_timeout(limits.head)
            .max_header_size(limits.head_bytes)
            .max_headers(limits.headers)
            .max_buf_size(limits.buffer_bytes)
            // A client may end its side once it has asked: `shutdown` says only that no more follows.
            .half_close(true)
            .auto_date_header(false);
        Arc::new(Server {
            answers,
            clock,
            limits,
            http,
        })
    }

    /// Accepts connections until `shutdown`, then lets requests in flight finish, as long as
    /// [`ServerLimits::shutdown`] allows. Connections beyond the limit wait in the listen queue.
    pub async fn serve(
        self: Arc<Self>,
        listener: TcpListener,
        tls: Option<TlsAcceptor>,
        shutdown: CancellationToken,
    ) {
        let places = Arc::new(Semaphore::new(self.limits.connections));
        let connections = TaskTracker::new();
        // Ends what is left when the time for a graceful end is over.
        let abort = CancellationToken::new();
        while let Some((socket, place)) = self.accept(&listener, &places, &shutdown).await {
            let (server, tls) = (self.clone(), tls.clone());
            let (shutdown, abort) = (shutdown.clone(), abort.clone());
            connections.spawn(async move {
                let served = server.serve_socket(socket, tls, shutdown);
                abort.run_until_cancelled(served).await;
                drop(place);
            });
        }
        drop(listener);
        connections.close();
        let patience = self.clock.sleep(self.limits.shutdown);
        if let Either::Right(_) = future::select(Box::pin(connections.wait()), patience).await {
            tracing::warn!(
                connections = connections.len(),
                "requests were still in flight when the node stopped"
            );
            abort.cancel();
            connections.wait().await;
        }
    }

    /// The next connection, with its place among all; `None` after `shutdown`.
    async fn accept(
        &self,
        listener: &TcpListener,
        places: &Arc<Semaphore>,
        shutdown: &CancellationToken,
    ) -> Option<(TcpStream, OwnedSemaphorePermit)> {
        let next = async {
            let place = places.clone().acquire_owned().await.ok()?;
            loop {
                match listener.accept().await {
                    Ok((socket, _)) => return Some((socket, place)),
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be accepted");
                        self.clock.sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        };
        shutdown.run_until_cancelled(next).await.flatten()
    }

    async fn serve_socket(
        &self,
        socket: TcpStream,
        tls: Option<TlsAcceptor>,
        shutdown: CancellationToken,
    ) {
        // Answers are single small writes: nothing to gain by waiting for more.
        if let Err(error) = socket.set_nodelay(true) {
            tracing::debug!(%error, "a connection ended before it began");
            return;
        }
        let Some(tls) = tls else {
            return self.serve_connection(socket, shutdown).await;
        };
        tokio::select! {
            accepted = tls.accept(socket) => match accepted {
                Ok(stream) => self.serve_connection(stream, shutdown).await,
                Err(error) => tracing::debug!(%error, "TLS handshake failed"),
            },
            () = self.clock.sleep(self.limits.handshake) => {
                tracing::debug!("TLS handshake took too long");
            }
        }
    }

    /// Serves one connection to its end. After `shutdown` it ends with the request in flight.
    pub async fn serve_connection<I>(&self, io: I, shutdown: CancellationToken)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let io = Stall::new(io, self.clock.clone(), self.limits.write_stall);
        let service = service_fn(|request| self.answers.answer(request));
        let mut connection = std::pin::pin!(self.http.serve_connection(TokioIo::new(io), service));
        let ended = tokio::select! {
            biased;
            ended = &mut connection => ended,
            () = shutdown.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            // Clients break off; that is their business.
            tracing::debug!(%error, "connection ended early");
        }
    }
}
