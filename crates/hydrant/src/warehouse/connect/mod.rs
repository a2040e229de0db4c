//! A connection to a database, over the PostgreSQL protocol that Redshift speaks, too.
//!
//! * **TLS** as the URL says (`sslmode`, see [`TlsMode`]). Whom to trust is said once for the node: a file of
//!   certificates or the system's. A server's own certificate may stand in that file, too, as is usual where
//!   somebody made one for PostgreSQL by hand; it is then trusted as it stands.
//! * **Nothing that Redshift does not know** is sent at the start: no `extra_float_digits` and the like.
//! * **Time-outs**: connecting has one, statements have none, since a COPY may take hours. That the server is still
//!   there, TCP keep-alive finds out, often enough for what forgets idle connections between the two; that it
//!   says nothing for too long, who waits for it ([`Connection::silence`]).
//! * **On guard**: a server gets no password in clear that nobody meant to be seen, and no more memory than it needs
//!   (`guard`).
//! * **Cancelled means cancelled there.** A connection that is dropped in the middle of a statement sends a
//!   CancelRequest, at best effort: a COPY that nobody waits for any more would hold its locks for hours.

mod dial;
mod guard;
mod tls;

use std::{fmt, io, sync::Arc, time::Duration};

use hydrant_engine::Clock;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use tokio::{
    net::TcpStream,
    runtime::Handle,
    sync::OnceCell,
    task::{JoinHandle, spawn_blocking},
};
use tokio_postgres::{CancelToken, Client, Config, config::SslMode, tls::MakeTlsConnect};
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_util::task::TaskTracker;

pub(in crate::warehouse) use self::guard::Refusal;
use self::{
    guard::{Guarded, Seen, Within},
    tls::{Check, Trusted},
};
use super::{
    errors::{self, Code},
    jdbc::{JdbcUrl, TlsMode},
};
use crate::{credentials::Secret, destination::DeliveryError};

/// What the database shows in its list of sessions.
const APPLICATION_NAME: &str = "hydrant";
/// Longest wait for a connection in all: name, TCP, TLS and authentication. A paused serverless Redshift wakes meanwhile.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(45);
/// Longest wait for an orderly end, and for a CancelRequest to be sent.
const END_TIMEOUT: Duration = Duration::from_secs(5);

/// Makes connections.
pub struct Connector {
    clock: Arc<dyn Clock>,
    provider: Arc<CryptoProvider>,
    trusted: OnceCell<Arc<Trusted>>,
    /// CancelRequests on their way.
    cancels: TaskTracker,
}

impl Connector {
    /// Trusts the authorities in `ca`, the contents of a PEM file, or the system's where there is none; those are read when
    /// they are first needed.
    ///
    /// # Errors
    /// When `ca` holds no certificate, or a broken one.
    pub fn new(clock: Arc<dyn Clock>, ca: Option<&[u8]>) -> io::Result<Self> {
        let trusted = ca.map(|pem| Trusted::of_pem(pem).map(Arc::new));
        Ok(Connector {
            clock,
            provider: Arc::new(aws_lc_rs::default_provider()),
            trusted: OnceCell::new_with(trusted.transpose()?),
            cancels: TaskTracker::new(),
        })
    }

    /// Waits until what was cancelled so far has been cancelled there, or that took too long; seconds at most. For who is
    /// about to end the process: a COPY that waits for a lock does not see its client go.
    pub async fn settle(&self) {
        self.cancels.close();
        self.cancels.wait().await;
    }

    /// Connects to `url` as `user`.
    ///
    /// # Errors
    /// In the words of SPEC §6.4.
    pub async fn connect(
        &self,
        url: &JdbcUrl,
        user: &str,
        password: &Secret,
    ) -> Result<Connection, DeliveryError> {
        let place = Place {
            url: url.clone(),
            tls: self.tls(url.tls).await?,
            clock: self.clock.clone(),
            cancels: self.cancels.clone(),
        };
        let connected = tokio::select! {
            connected = place.connect(user, password) => connected?,
            () = self.clock.sleep(CONNECT_TIMEOUT) => {
                return Err(Code::ConnectionFailed.unreachable(format_args!(
                    "{url} did not answer within {} s",
                    CONNECT_TIMEOUT.as_secs()
                )));
            }
        };
        Ok(connected)
    }

    async fn tls(&self, mode: TlsMode) -> Result<MakeRustlsConnect, DeliveryError> {
        let check = match mode {
            TlsMode::Disable | TlsMode::Prefer | TlsMode::Require => Check::Nothing,
            TlsMode::VerifyCa => Check::Authority(self.trusted().await?),
            TlsMode::VerifyFull => Check::AuthorityAndName(self.trusted().await?),
        };
        let config = tls::config(self.provider.clone(), check)
            .map_err(|error| DeliveryError::internal(error.to_string()))?;
        Ok(MakeRustlsConnect::new(config))
    }

    async fn trusted(&self) -> Result<Arc<Trusted>, DeliveryError> {
        let read = || async {
            let read = spawn_blocking(Trusted::of_system).await;
            read.map_err(|error| DeliveryError::internal(error.to_string()))
                .map(Arc::new)
        };
        self.trusted.get_or_try_init(read).await.cloned()
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connector")
    }
}

/// What begins TLS on a socket.
type Handshake = <MakeRustlsConnect as MakeTlsConnect<TcpStream>>::TlsConnect;

/// A server, and how it is spoken to.
#[derive(Clone)]
struct Place {
    url: JdbcUrl,
    tls: MakeRustlsConnect,
    clock: Arc<dyn Clock>,
    cancels: TaskTracker,
}

impl Place {
    async fn connect(&self, user: &str, password: &Secret) -> Result<Connection, DeliveryError> {
        let mut config = Config::new();
        config
            .dbname(&self.url.database)
            .user(user)
            .password(password.expose())
            .application_name(APPLICATION_NAME)
            .ssl_mode(match self.url.tls {
                TlsMode::Disable => SslMode::Disable,
                TlsMode::Prefer => SslMode::Prefer,
                TlsMode::Require | TlsMode::VerifyCa | TlsMode::VerifyFull => SslMode::Require,
            });
        let seen = Arc::new(Seen::default());
        let (socket, tls) = self.dial(seen.clone()).await.map_err(unreachable)?;
        let (client, connection) = config
            .connect_raw(socket, tls)
            .await
            .map_err(|error| errors::in_words(&error))?;
        let rest = Rest {
            task: Some(tokio::spawn(connection)),
            cancel: client.cancel_token(),
            place: self.clone(),
            seen,
        };
        Ok(Connection { client, rest })
    }

    /// A socket, and what begins TLS on it.
    async fn dial(&self, seen: Arc<Seen>) -> io::Result<(Guarded<TcpStream>, Within<Handshake>)> {
        let socket = dial::dial(&*self.clock, &self.url.host, self.url.port).await?;
        let in_clear = self.url.tls == TlsMode::Disable;
        let socket = Guarded::in_clear(socket, !in_clear, in_clear, seen);
        let tls =
            MakeTlsConnect::<TcpStream>::make_tls_connect(&mut self.tls.clone(), &self.url.host);
        Ok((socket, Within(tls.map_err(io::Error::other)?)))
    }

    async fn cancel(&self, cancel: &CancelToken) -> io::Result<()> {
        let (socket, tls) = self.dial(Arc::default()).await?;
        let sent = cancel.cancel_query_raw(socket, tls).await;
        sent.map_err(io::Error::other)
    }
}

fn unreachable(error: io::Error) -> DeliveryError {
    Code::ConnectionFailed.unreachable(error)
}

/// One connection. Dropped without [`Connection::close`], it cancels what runs on it.
pub struct Connection {
    client: Client,
    rest: Rest,
}

/// What a connection has beside the client.
struct Rest {
    /// Moves bytes; gone once the connection has ended.
    task: Option<JoinHandle<Result<(), tokio_postgres::Error>>>,
    cancel: CancelToken,
    place: Place,
    seen: Arc<Seen>,
}

impl Connection {
    /// What statements are sent by.
    pub fn client(&mut self) -> &mut Client {
        &mut self.client
    }

    /// Why the connection ended, if it did: the server's last words, where a statement learns only that it is closed.
    pub async fn ending(&mut self) -> Option<DeliveryError> {
        let error = self.rest.ended().await?.err()?;
        Some(errors::in_words(&error))
    }

    /// Whether it may carry an access key: it is encrypted, or somebody has said that it need not be.
    pub fn is_private(&self) -> bool {
        self.rest.seen.is_encrypted() || self.rest.place.url.tls == TlsMode::Disable
    }

    /// Ends when nothing has moved on the connection, either way, for `limit` or a little longer.
    pub fn silence(&self, limit: Duration) -> impl Future<Output = ()> + Send + 'static {
        /// So often it is looked.
        const LOOKS: u32 = 8;
        let (seen, clock) = (self.rest.seen.clone(), self.rest.place.clock.clone());
        async move {
            let (mut moves, mut still) = (seen.moves(), 0);
            while still < LOOKS {
                clock.sleep(limit / LOOKS).await;
                let now = seen.moves();
                still = if now == moves { still + 1 } else { 0 };
                moves = now;
            }
        }
    }

    /// Says goodbye, once what was sent is answered; does not wait for that for long.
    pub async fn close(self) {
        let Connection { client, mut rest } = self;
        drop(client);
        let _ = rest.ended().await;
    }
}

impl Rest {
    /// How the connection ended, if it does within a moment.
    async fn ended(&mut self) -> Option<Result<(), tokio_postgres::Error>> {
        let task = self.task.as_mut()?;
        let ended = tokio::select! {
            ended = task => ended,
            () = self.place.clock.sleep(END_TIMEOUT) => return None,
        };
        self.task = None;
        ended.ok()
    }
}

impl Drop for Rest {
    fn drop(&mut self) {
        let Some(task) = self.task.take() else {
            return;
        };
        task.abort();
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let (cancel, place) = (self.cancel.clone(), self.place.clone());
        let cancels = place.cancels.clone();
        let cancel = async move {
            let sent = tokio::select! {
                sent = place.cancel(&cancel) => sent.is_ok(),
                () = place.clock.sleep(END_TIMEOUT) => false,
            };
            tracing::debug!(sent, "a statement was cancelled with its connection");
        };
        cancels.spawn_on(cancel, &runtime);
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connection")
    }
}
