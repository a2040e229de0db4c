//! The one composition root: a [`Config`] becomes parts, which start in order and stop in reverse.
//!
//! ```text
//! start   engine (recovers, locks the directory) → registry → delivery → API port → admin port
//! stop    API port (requests in flight finish) → delivery (uploads finish or are left to the next start)
//!         → admin port → engine
//! ```
//!
//! Stopping is a courtesy: whatever is acknowledged is on disk already, and the next start takes up
//! where this one ended, however it ended.
//!
//! Nothing here reads the environment, and time and chance are given, so that a test runs a whole
//! node in its own process.

pub mod doctor;
mod open_files;
mod told;

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use async_trait::async_trait;
use axum::{Router, body::Body};
use http::{Request, Response};
use hydrant_engine::{
    CatalogError, Chance, Clock, Engine, LogError, SystemThreads, Threads,
    engine::{EngineConfig, EngineParts, OpenError},
    local::disk::Disk,
};
use hyper::{body::Incoming, service::Service};
use hyper_util::service::TowerToHyperService;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use self::{open_files::OpenFiles, told::Glance};
use crate::{
    api::{
        Answers as Answering, Authenticator, Front, Observer, Operation, Server, ServerLimits,
        front::Exchange,
        ops::{Operations, Parts, Vet},
        tls::{self, TlsError},
    },
    config::{Config, DEFAULT_SECRET_KEY_FILE, TlsFiles},
    console::{self, Console},
    credentials::{Outbound, Token, Vault, seal::VaultError, token::TokenError},
    delivery::{self, Delivery},
    destination::Buckets,
    metrics::{AnswerLabels, Answers, Metrics},
    stream::{Destination, Registry, RegistryError},
    warehouse::{Warehouses, connect::Connector},
};

/// The directory, in the data directory, of buckets that no rule names.
const BUCKETS_DIR: &str = "buckets";
/// Longest wait for the admin port's connections when the node stops.
const ADMIN_GRACE: Duration = Duration::from_secs(2);

/// A running node.
#[derive(Debug)]
pub struct Node {
    api_addr: SocketAddr,
    admin_addr: SocketAddr,
    tls: bool,
    admin_tls: bool,
    engine: Engine,
    delivery: Delivery,
    warehouses: Arc<Warehouses>,
    console: Arc<Console>,
    api: Part,
    admin: Part,
}

/// What a node is put into: the world around it, and who runs its work.
#[derive(Debug)]
pub struct Surroundings {
    /// Where buckets are.
    pub buckets: Arc<Buckets>,
    /// Seals passwords.
    pub vault: Arc<Vault>,
    /// Connects to databases.
    pub connector: Connector,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Ids and jitter.
    pub chance: Chance,
    /// Where objects are compressed.
    pub threads: Arc<dyn Threads>,
}

/// All of a node but its ports and what they need: what a simulation runs.
#[derive(Debug)]
pub struct Core {
    /// Log and catalog.
    pub engine: Engine,
    /// Every stream.
    pub registry: Arc<Registry>,
    /// From the log to objects.
    pub delivery: Delivery,
    /// From objects to rows.
    pub warehouses: Arc<Warehouses>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Serves connections; accepts none by itself.
    pub server: Arc<Server<Front>>,
}

impl Core {
    /// Starts delivery, and makes the server.
    ///
    /// # Errors
    /// When the catalog cannot be read.
    pub async fn start(
        config: &Config,
        engine: Engine,
        around: Surroundings,
    ) -> Result<Self, StartError> {
        let Surroundings {
            buckets,
            vault,
            connector,
            clock,
            chance,
            threads,
        } = around;
        let open_files = OpenFiles::share(config.open_files);
        let registry = Registry::open(engine.catalog.clone()).await?;
        let warehouses = Warehouses::new(
            buckets.clone(),
            vault.clone(),
            connector,
            config.redshift_credentials,
        );
        let warehouses = Arc::new(warehouses.only_at(config.database_hosts.clone()));
        let mut metrics = Metrics::new();
        metrics.observe_log(engine.log.clone());
        let metrics = Arc::new(metrics);
        let delivery = Delivery::start(
            delivery::Parts {
                engine: engine.clone(),
                registry: registry.clone(),
                destinations: buckets,
                warehouse: warehouses.clone(),
                metrics: metrics.delivery.clone(),
                clock: clock.clone(),
                chance: chance.clone(),
                threads,
            },
            delivery::Settings {
                max_interval: config.max_interval,
                gzip_level: config.gzip_level,
                copy_retry_interval: config.copy_retry_interval,
                uploads: open_files.uploads,
                copies: open_files.copies,
                ..delivery::Settings::default()
            },
        );
        let operations = Operations::new(Parts {
            engine: engine.clone(),
            registry: registry.clone(),
            clock: clock.clone(),
            metrics: metrics.clone(),
            quotas: config.quotas.clone(),
            vet: Arc::new(Vetting(warehouses.clone())),
            vault,
        });
        let limits = ServerLimits {
            connections: open_files.connections,
            ..ServerLimits::default()
        };
        let front = Front::new(
            Arc::new(operations),
            Authenticator::new(config.keyring.clone()),
            Arc::new(Counting(metrics.answers.clone())),
            clock.clone(),
            chance,
            limits,
        );
        Ok(Core {
            engine,
            registry,
            delivery,
            warehouses,
            metrics,
            server: Server::new(front, clock, limits),
        })
    }
}

/// A task that runs until it is told to stop.
#[derive(Debug)]
struct Part {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// Why a node did not start. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory.
    #[error("data directory: {0}")]
    Engine(#[from] OpenError),
    /// What the data directory holds.
    #[error("data directory: {0}")]
    Registry(#[from] RegistryError),
    /// A port.
    #[error("cannot listen on {address}: {source}; name another address with --{flag}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Which setting.
        flag: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// A file of the configuration.
    #[error("cannot read {}: {source}", .path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// `[[buckets]]`.
    #[error("[[buckets]]: {0}")]
    Buckets(String),
    /// Certificate and key.
    #[error("TLS: {0}")]
    Tls(#[from] TlsError),
    /// What the admin port asks for.
    #[error("{0}")]
    Token(#[from] TokenError),
    /// The certificates that databases are checked against.
    #[error("TLS to databases: {0}")]
    DatabaseCa(io::Error),
    /// The key that seals passwords.
    #[error("{0}; --secret-key-file names another")]
    Vault(#[from] VaultError),
}

/// What went wrong while a node stopped. Nothing acknowledged is lost.
#[derive(Debug, thiserror::Error)]
pub enum StopError {
    /// The log.
    #[error("the log did not close: {0}")]
    Log(#[from] LogError),
    /// The catalog.
    #[error("the catalog did not close: {0}")]
    Catalog(#[from] CatalogError),
}

impl Node {
    /// Opens the data directory and starts every part. When it returns the node takes requests.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(
        config: Config,
        clock: Arc<dyn Clock>,
        chance: Chance,
    ) -> Result<Self, StartError> {
        let parts = EngineParts {
            disk: Disk::new(),
            chance: chance.clone(),
            clock: clock.clone(),
            threads: Arc::new(SystemThreads),
        };
        let defaults = EngineConfig::new(&config.data_dir);
        let engine_config = EngineConfig {
            max_log_bytes: config.max_log_bytes,
            min_free_bytes: config.min_free_bytes.unwrap_or(defaults.min_free_bytes),
            ..defaults
        };
        let (engine, report) = Engine::open_with(engine_config, parts).await?;
        told::log_recovery(&config.data_dir, &report);
        let started = Self::start_with(config, engine.clone(), clock, chance).await;
        if started.is_err() {
            // Lets go of the directory; the first error is the one to tell.
            let _ = close(&engine).await;
        }
        started
    }

    /// As [`start`](Self::start), on an engine that is open already.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start_with(
        config: Config,
        engine: Engine,
        clock: Arc<dyn Clock>,
        chance: Chance,
    ) -> Result<Self, StartError> {
        // Everything that can fail comes before anything that runs.
        let acceptor = config.tls.as_ref().map(acceptor).transpose()?;
        let token = config.admin_token_file.as_deref();
        let token = token.map(Token::read).transpose()?;
        let (api_listener, api_addr) = listen(config.listen, "listen").await?;
        let (admin_listener, admin_addr) = listen(config.admin_listen, "admin-listen").await?;
        let buckets = buckets(&config, &clock)?;
        let key_file = key_file(&config);
        let vault = Arc::new(Vault::open(&key_file, &chance)?);
        let surroundings = Surroundings {
            buckets,
            vault: vault.clone(),
            connector: connector(&config, &clock)?,
            clock: clock.clone(),
            chance,
            threads: Arc::new(SystemThreads),
        };
        let open_files = OpenFiles::share(config.open_files);
        told::log_open_files(config.open_files, open_files);
        let core = Core::start(&config, engine, surroundings).await?;
        told::log_lost_passwords(&core.registry, &vault, &key_file);
        let Core {
            engine,
            registry,
            delivery,
            warehouses,
            metrics,
            server,
        } = core;
        let tls = acceptor.is_some();
        let api = Part::run(|stop| server.serve(api_listener, acceptor.clone(), stop));

        let console = Arc::new(Console {
            engine: engine.clone(),
            registry,
            delivery: delivery.clone(),
            metrics,
            clock: clock.clone(),
            token,
            stopping: AtomicBool::new(false),
        });
        let router = TowerToHyperService::new(console::router(console.clone()));
        let limits = ServerLimits {
            connections: open_files.admin_connections,
            shutdown: ADMIN_GRACE,
            ..ServerLimits::default()
        };
        let server = Server::new(Admin(router), clock, limits);
        // On loopback nobody is in between.
        let acceptor = acceptor.filter(|_| !admin_addr.ip().is_loopback());
        let admin_tls = acceptor.is_some();
        let admin = Part::run(|stop| server.serve(admin_listener, acceptor, stop));

        let node = Node {
            api_addr,
            admin_addr,
            tls,
            admin_tls,
            engine,
            delivery,
            warehouses,
            console,
            api,
            admin,
        };
        let glance = Glance {
            config: &config,
            api_url: &node.api_url(),
            admin_url: &node.admin_url(),
            streams: node.console.registry.all().len(),
            disk_bytes: node.engine.log.usage().disk_bytes,
        };
        glance.log();
        Ok(node)
    }

    /// Where the API is.
    pub fn api_url(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://{}", self.api_addr)
    }

    /// Where the admin port is.
    pub fn admin_url(&self) -> String {
        let scheme = if self.admin_tls { "https" } else { "http" };
        format!("{scheme}://{}", self.admin_addr)
    }

    /// Delivery's handle.
    pub fn delivery(&self) -> &Delivery {
        &self.delivery
    }

    /// Stops every part, in reverse; takes seconds at most, or as long as requests in flight may.
    ///
    /// # Errors
    /// When the engine did not close cleanly. Nothing acknowledged is lost even then.
    pub async fn stop(self) -> Result<(), StopError> {
        self.console.stopping.store(true, Relaxed);
        self.api.stop().await;
        self.delivery.stop().await;
        self.warehouses.settle().await;
        self.admin.stop().await;
        close(&self.engine).await
    }
}

impl Part {
    fn run<F>(start: impl FnOnce(CancellationToken) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let stop = CancellationToken::new();
        let task = tokio::spawn(start(stop.clone()));
        Part { stop, task }
    }

    async fn stop(self) {
        self.stop.cancel();
        if let Err(error) = self.task.await {
            tracing::error!(%error, "a part ended badly");
        }
    }
}

async fn close(engine: &Engine) -> Result<(), StopError> {
    let log = engine.log.close().await;
    engine.catalog.close().await?;
    Ok(log?)
}

/// What buckets' names mean, with what a crash left half written removed.
fn buckets(config: &Config, clock: &Arc<dyn Clock>) -> Result<Arc<Buckets>, StartError> {
    let root = config.data_dir.join(BUCKETS_DIR);
    let outbound = Outbound::new(clock.clone());
    let buckets =
        Buckets::new(config.buckets.clone(), root, outbound).map_err(StartError::Buckets)?;
    match buckets.sweep() {
        0 => {}
        swept => tracing::info!("removed {swept} half-written objects that a crash left"),
    }
    Ok(Arc::new(buckets))
}

/// The key that seals passwords.
fn key_file(config: &Config) -> PathBuf {
    let usual = || config.data_dir.join(DEFAULT_SECRET_KEY_FILE);
    config.secret_key_file.clone().unwrap_or_else(usual)
}

/// What connects to databases, trusting what is configured.
fn connector(config: &Config, clock: &Arc<dyn Clock>) -> Result<Connector, StartError> {
    let Some(path) = &config.database_ca else {
        return Connector::new(clock.clone(), None).map_err(StartError::DatabaseCa);
    };
    let unreadable = |source| StartError::Read {
        path: path.clone(),
        source,
    };
    let ca = std::fs::read(path).map_err(unreadable)?;
    Connector::new(clock.clone(), Some(&ca)).map_err(unreadable)
}

/// A listener, and its address with the port that it really has.
async fn listen(
    address: SocketAddr,
    flag: &'static str,
) -> Result<(TcpListener, SocketAddr), StartError> {
    let bound = async {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    };
    bound.await.map_err(|source| StartError::Listen {
        address,
        flag,
        source,
    })
}

fn acceptor(files: &TlsFiles) -> Result<TlsAcceptor, StartError> {
    let read = |path: &PathBuf| {
        std::fs::read(path).map_err(|source| StartError::Read {
            path: path.clone(),
            source,
        })
    };
    Ok(tls::acceptor(&read(&files.cert)?, &read(&files.key)?)?)
}

/// Answers on the admin port.
struct Admin(TowerToHyperService<Router>);

impl Answering for Admin {
    type Body = Body;
    type Gone = Infallible;

    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
        self.0.call(request).await
    }
}

/// Counts what the API answers.
struct Counting(Answers);

impl Observer for Counting {
    fn answered(&self, exchange: &Exchange<'_>) {
        self.0.count(&AnswerLabels {
            operation: exchange.operation.map_or("unknown", Operation::name),
            status: exchange.status,
            error: exchange.error.unwrap_or_default().to_owned(),
        });
    }
}

/// The API's question, put to buckets and warehouses.
#[derive(Debug)]
struct Vetting(Arc<Warehouses>);

#[async_trait]
impl Vet for Vetting {
    async fn vet(&self, destination: &Destination, region: &str) -> Result<(), String> {
        self.0.vet(destination, region).await
    }
}
