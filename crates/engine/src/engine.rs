//! [`Engine`]: a log and a catalog that belong together, and how to open one.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    catalog::Catalog,
    clock::{Chance, Clock, SystemClock},
    local::{self, RecoveryReport, disk::Disk},
    log::Log,
    mem,
    threads::{SystemThreads, Threads, blocking},
};

/// All that must survive a crash. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Engine {
    /// The record log.
    pub log: Arc<dyn Log>,
    /// The small values: streams, checkpoints, receipts.
    pub catalog: Arc<dyn Catalog>,
}

/// How the local engine is set up. Plain settings; what it is made of are [`EngineParts`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineConfig {
    /// The directory that holds everything. Created when missing. One process at a time.
    pub data_dir: PathBuf,
    /// How large a segment file of the log becomes, in bytes: 16 KiB to 1 GiB. Larger ones make fewer files, smaller
    /// ones give disk back sooner, recover faster and take less memory. Made smaller when `max_log_bytes` has
    /// no room for eight of them. Default 64 MiB.
    pub segment_bytes: u64,
    /// The most that the log's files may take, in bytes; appends beyond it fail with `Full`. At least
    /// 128 KiB. Default: what the disk has, less `min_free_bytes`.
    pub max_log_bytes: Option<u64>,
    /// What the log leaves free on the file system, in bytes, for the catalog, for compaction and for others.
    /// Default 256 MiB.
    pub min_free_bytes: u64,
    /// Memory for the catalog's cache, in bytes. Default 8 MiB.
    pub catalog_cache_bytes: usize,
}

impl EngineConfig {
    /// The defaults, in this directory.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        EngineConfig {
            data_dir: data_dir.into(),
            segment_bytes: local::DEFAULT_SEGMENT_BYTES,
            max_log_bytes: None,
            min_free_bytes: 256 << 20,
            catalog_cache_bytes: 8 << 20,
        }
    }
}

/// What the local engine is made of, for tests and simulations that bring their own.
#[derive(Clone, Debug)]
pub struct EngineParts {
    /// The door to files.
    pub disk: Disk,
    /// Makes the nonces of segments. The log is as safe from forged frames as this is unpredictable.
    pub chance: Chance,
    /// Measures how long recovery took, and pauses.
    pub clock: Arc<dyn Clock>,
    /// The door to threads.
    pub threads: Arc<dyn Threads>,
}

impl EngineParts {
    /// Those of this machine.
    ///
    /// # Errors
    /// When the operating system has no randomness to give.
    pub fn system() -> io::Result<Self> {
        Ok(EngineParts {
            disk: Disk::new(),
            chance: Chance::from_os()?,
            clock: Arc::new(SystemClock::new()),
            threads: Arc::new(SystemThreads),
        })
    }
}

/// Why an engine could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it, or this one a second time.
    #[error(
        "{} is in use by {}: stop that one first, or name another directory", .dir.display(),
        .pid.map_or("another process".to_owned(), |pid| format!("process {pid}"))
    )]
    Locked {
        /// The directory.
        dir: PathBuf,
        /// Who has it, if it said so.
        pid: Option<u32>,
    },
    /// Not a directory of ours, or of another version.
    #[error("{} is not of a format that can be opened: {detail}", .path.display())]
    Format {
        /// What was looked at.
        path: PathBuf,
        /// What is wrong and what to do.
        detail: String,
    },
    /// A setting makes no sense.
    #[error("{0}")]
    Config(String),
    /// The disk said no.
    #[error("cannot {doing} {}: {source}", .path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The catalog's store said no.
    #[error("cannot open the catalog {}: {detail}", .path.display())]
    Catalog {
        /// Its file.
        path: PathBuf,
        /// Why.
        detail: String,
    },
}

impl OpenError {
    pub(crate) fn io(doing: &'static str, path: &Path, source: io::Error) -> Self {
        OpenError::Io {
            doing,
            path: path.to_owned(),
            source,
        }
    }
}

impl Engine {
    /// The reference model: keeps everything in memory, survives nothing. For tests.
    pub fn mem() -> Self {
        Engine {
            log: Arc::new(mem::MemLog::new()),
            catalog: Arc::new(mem::MemCatalog::new()),
        }
    }

    /// The local engine in its directory, recovered, and what recovery found. Close both halves
    /// to let go of the directory.
    ///
    /// # Errors
    /// See [`OpenError`]. Damage inside the log is no error: it is in the report.
    pub async fn open(config: EngineConfig) -> Result<(Self, RecoveryReport), OpenError> {
        let parts = EngineParts::system()
            .map_err(|source| OpenError::io("get randomness for", &config.data_dir, source))?;
        Self::open_with(config, parts).await
    }

    /// As [`open`](Self::open), of these parts.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub async fn open_with(
        config: EngineConfig,
        parts: EngineParts,
    ) -> Result<(Self, RecoveryReport), OpenError> {
        let dir = config.data_dir.clone();
        let threads = parts.threads.clone();
        let opened = blocking(&*threads, move || local::open(&config, &parts))
            .await
            .map_err(|stopped| OpenError::io("open", &dir, io::Error::other(stopped)))??;
        let engine = Engine {
            log: opened.log,
            catalog: opened.catalog,
        };
        Ok((engine, opened.report))
    }
}
