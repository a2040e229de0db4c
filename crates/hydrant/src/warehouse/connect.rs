//! A connection to a database, over the PostgreSQL protocol that Redshift speaks, too.
//!
//! * **TLS** as the URL says (`sslmode`, see [`TlsMode`]). Whom to trust is said once for the node: a file of
//!   certificates or the system's. A server's own certificate may stand in that file, too, as is usual where
//!   somebody made one for PostgreSQL by hand; it is then trusted as it stands.
//! * **Nothing that Redshift does not know** is sent at the start: no `extra_float_digits` and the like.
//! * **Time-outs**: connecting has one, statements have none, since a COPY may take hours. That the server is still
//!   there, TCP keep-alive finds out, often enough for what forgets idle connections between the two.
//! * **Cancelled means cancelled there.** A connection that is dropped in the middle of a statement sends a
//!   CancelRequest, at best effort: a COPY that nobody waits for any more would hold its locks for hours.

use std::{fmt, io, sync::Arc, time::Duration};

use hydrant_engine::Clock;
use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::{
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_cert_signed_by_trust_anchor, verify_server_name,
    },
    crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::ParsedCertificate,
};
use tokio::{
    runtime::Handle,
    sync::OnceCell,
    task::{JoinHandle, spawn_blocking},
};
use tokio_postgres::{CancelToken, Client, Config, config::SslMode};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{
    errors::{self, Code},
    jdbc::{JdbcUrl, TlsMode},
};
use crate::{credentials::Secret, destination::DeliveryError};

/// What the database shows in its list of sessions.
const APPLICATION_NAME: &str = "hydrant";
/// Longest wait for a connection in all: name, TCP, TLS and authentication. A paused serverless Redshift wakes meanwhile.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(45);
/// Longest wait for one of a host's addresses.
const ADDRESS_TIMEOUT: Duration = Duration::from_secs(10);
/// Idle for so long, the connection is probed.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);
/// Between probes.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);
/// Probes without an answer that end the connection.
const KEEPALIVE_RETRIES: u32 = 4;
/// Sent data that nobody acknowledges for so long ends the connection.
const USER_TIMEOUT: Duration = Duration::from_secs(120);
/// Longest wait for an orderly end, and for a CancelRequest to be sent.
const END_TIMEOUT: Duration = Duration::from_secs(5);

/// Makes connections.
pub struct Connector {
    clock: Arc<dyn Clock>,
    provider: Arc<CryptoProvider>,
    trusted: OnceCell<Arc<Trusted>>,
}

/// Whose certificates are accepted.
#[derive(Debug)]
struct Trusted {
    authorities: RootCertStore,
    /// Accepted as they stand; the system's are authorities only.
    themselves: Vec<CertificateDer<'static>>,
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
        })
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
        let mut config = Config::new();
        config
            .host(&url.host)
            .port(url.port)
            .dbname(&url.database)
            .user(user)
            .password(password.expose())
            .application_name(APPLICATION_NAME)
            .connect_timeout(ADDRESS_TIMEOUT)
            .tcp_user_timeout(USER_TIMEOUT)
            .keepalives(true)
            .keepalives_idle(KEEPALIVE_IDLE)
            .keepalives_interval(KEEPALIVE_INTERVAL)
            .keepalives_retries(KEEPALIVE_RETRIES)
            .ssl_mode(match url.tls {
                TlsMode::Disable => SslMode::Disable,
                TlsMode::Prefer => SslMode::Prefer,
                TlsMode::Require | TlsMode::VerifyCa | TlsMode::VerifyFull => SslMode::Require,
            });
        let tls = self.tls(url.tls).await?;
        let connected = tokio::select! {
            connected = config.connect(tls.clone()) => connected,
            () = self.clock.sleep(CONNECT_TIMEOUT) => {
                return Err(Code::ConnectionFailed.unreachable(format_args!(
                    "{url} did not answer within {} s",
                    CONNECT_TIMEOUT.as_secs()
                )));
            }
        };
        let (client, connection) = connected.map_err(|error| errors::in_words(&error))?;
        let rest = Rest {
            task: Some(tokio::spawn(connection)),
            cancel: client.cancel_token(),
            tls,
            clock: self.clock.clone(),
        };
        Ok(Connection { client, rest })
    }

    async fn tls(&self, mode: TlsMode) -> Result<MakeRustlsConnect, DeliveryError> {
        let check = match mode {
            TlsMode::Disable | TlsMode::Prefer | TlsMode::Require => Check::Nothing,
            TlsMode::VerifyCa => Check::Authority(self.trusted().await?),
            TlsMode::VerifyFull => Check::AuthorityAndName(self.trusted().await?),
        };
        let config = ClientConfig::builder_with_provider(self.provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| DeliveryError::internal(error.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Verifier {
                provider: self.provider.clone(),
                check,
            }))
            .with_no_client_auth();
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

impl Trusted {
    fn of_pem(pem: &[u8]) -> io::Result<Self> {
        let themselves: Vec<_> = rustls_pemfile::certs(&mut &pem[..]).collect::<Result<_, _>>()?;
        if themselves.is_empty() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "no CERTIFICATE block in it",
            ));
        }
        let mut authorities = RootCertStore::empty();
        for certificate in &themselves {
            authorities
                .add(certificate.clone())
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        }
        Ok(Trusted {
            authorities,
            themselves,
        })
    }

    fn of_system() -> Self {
        let found = rustls_native_certs::load_native_certs();
        for error in found.errors {
            tracing::warn!(%error, "some of the system's certificates cannot be read");
        }
        let mut authorities = RootCertStore::empty();
        authorities.add_parsable_certificates(found.certs);
        Trusted {
            authorities,
            themselves: Vec::new(),
        }
    }
}

/// What of a server's certificate is checked.
#[derive(Clone, Debug)]
enum Check {
    Nothing,
    Authority(Arc<Trusted>),
    AuthorityAndName(Arc<Trusted>),
}

/// In all modes the server proves that it has the key of the certificate that it shows.
#[derive(Debug)]
struct Verifier {
    provider: Arc<CryptoProvider>,
    check: Check,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let (trusted, named) = match &self.check {
            Check::Nothing => return Ok(ServerCertVerified::assertion()),
            Check::Authority(trusted) => (trusted, false),
            Check::AuthorityAndName(trusted) => (trusted, true),
        };
        let certificate = ParsedCertificate::try_from(end_entity)?;
        if !trusted.themselves.iter().any(|one| one == end_entity) {
            verify_server_cert_signed_by_trust_anchor(
                &certificate,
                &trusted.authorities,
                intermediates,
                now,
                self.provider.signature_verification_algorithms.all,
            )?;
        }
        if named {
            verify_server_name(&certificate, server_name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
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
    tls: MakeRustlsConnect,
    clock: Arc<dyn Clock>,
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
            () = self.clock.sleep(END_TIMEOUT) => return None,
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
        let (cancel, tls, clock) = (self.cancel.clone(), self.tls.clone(), self.clock.clone());
        runtime.spawn(async move {
            let sent = tokio::select! {
                sent = cancel.cancel_query(tls) => sent.is_ok(),
                () = clock.sleep(END_TIMEOUT) => false,
            };
            tracing::debug!(sent, "a statement was cancelled with its connection");
        });
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connection")
    }
}
