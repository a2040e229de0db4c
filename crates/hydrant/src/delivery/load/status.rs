//! What people are told of a stream's loading.

use hydrant_engine::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{delivery::status::LastError, stream::RedshiftSpec};

/// Manifests given up that are told of, the newest first.
pub(crate) const GIVEN_UP_SHOWN: usize = 20;

/// How the loading of a stream's objects stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CopyStatus {
    /// What goes on.
    pub state: CopyState,
    /// Objects in the bucket that are not in the warehouse, also those of the COPY that runs.
    pub objects: u64,
    /// Their records.
    pub records: u64,
    /// The latest COPY that succeeded.
    pub last_success: Option<LastSuccess>,
    /// Why the latest attempt failed, in the database's words; `None` once what failed is settled.
    pub error: Option<LastError>,
    /// When the first attempt of the present retry period failed.
    pub since: Option<Timestamp>,
    /// When the next attempt is made; `None` while one is made, or if nothing failed.
    pub next_retry: Option<Timestamp>,
    /// Manifests given up, in the life of the stream.
    pub given_up_manifests: u64,
    /// Their records.
    pub given_up_records: u64,
    /// The newest of those that were not loaded by hand since, at most 20.
    pub given_up: Vec<GivenUp>,
}

/// What a stream's loader is at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CopyState {
    /// Nothing waits to be loaded.
    #[default]
    Idle,
    /// A COPY runs, or is about to.
    Copying,
    /// The latest attempt failed; there will be another.
    Retrying,
    /// The retry period is over: the manifest is being written below `errors/`.
    GivingUp,
}

impl CopyState {
    /// As the admin port spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            CopyState::Idle => "idle",
            CopyState::Copying => "copying",
            CopyState::Retrying => "retrying",
            CopyState::GivingUp => "giving_up",
        }
    }
}

/// A COPY that succeeded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastSuccess {
    /// When.
    pub time: Timestamp,
    /// Rows that it put into the table, where the database says.
    pub rows: Option<u64>,
    /// `s3://BUCKET/KEY` of its manifest.
    pub manifest: String,
}

/// A manifest that was given up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GivenUp {
    /// `s3://BUCKET/KEY` below `errors/`, to be loaded by hand; where no bucket took it for a day, of the manifest
    /// that was tried.
    pub manifest: String,
    /// The manifest that was tried.
    pub(crate) tried: String,
    /// When, and why.
    #[serde(flatten)]
    pub error: LastError,
    /// Objects in it.
    pub objects: u64,
    /// Their records.
    pub records: u64,
    /// Their record data, before compression.
    pub bytes: u64,
}

/// What became of an object after its delivery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum LoadFate {
    /// It waits for a COPY, or is in one that runs.
    Waiting,
    /// The COPY that it is in, or waits for, fails.
    Failing {
        /// The latest failure.
        error: LastError,
        /// When it is tried again; `None` while it is being tried.
        next_retry: Option<Timestamp>,
    },
    /// It is in the warehouse.
    Loaded {
        /// Which database and table.
        table: String,
        /// Since when.
        time: Timestamp,
    },
    /// Its COPY was given up.
    GivenUp {
        /// `s3://BUCKET/KEY` of the manifest that holds it.
        manifest: String,
        /// When.
        time: Timestamp,
    },
}

/// What the loader shows while it runs.
#[derive(Clone, Debug, Default)]
pub(crate) struct LoadShown {
    pub(crate) giving_up: bool,
    pub(crate) error: Option<LastError>,
    pub(crate) since: Option<Timestamp>,
    pub(crate) next_retry: Option<Timestamp>,
    /// The loader itself cannot go on.
    pub(crate) broken: Option<LastError>,
    pub(crate) last_success: Option<LastSuccess>,
    pub(crate) given_up_manifests: u64,
    pub(crate) given_up_records: u64,
    pub(crate) given_up: Vec<GivenUp>,
}

impl LoadShown {
    /// Nothing fails any more.
    pub(crate) fn heal(&mut self) {
        self.giving_up = false;
        self.error = None;
        self.since = None;
        self.next_retry = None;
    }

    /// The latest failure.
    pub(crate) fn last_error(&self) -> Option<&LastError> {
        let errors = self.error.iter().chain(&self.broken);
        errors.max_by_key(|error| error.time)
    }

    /// The status of a stream with so much to load.
    pub(crate) fn status(self, objects: u64, records: u64) -> CopyStatus {
        let error = self.last_error().cloned();
        let state = match () {
            () if self.giving_up => CopyState::GivingUp,
            () if error.is_some() => CopyState::Retrying,
            () if objects > 0 => CopyState::Copying,
            () => CopyState::Idle,
        };
        CopyStatus {
            state,
            objects,
            records,
            last_success: self.last_success,
            error,
            since: self.since,
            next_retry: self.next_retry,
            given_up_manifests: self.given_up_manifests,
            given_up_records: self.given_up_records,
            given_up: self.given_up,
        }
    }
}

/// Where a warehouse is and which table, for people: `redshift://HOST:PORT/DATABASE TABLE`. User, password and
/// parameters are left out, whatever they are.
pub fn warehouse_name(spec: &RedshiftSpec) -> String {
    let url = spec
        .jdbc_url
        .strip_prefix("jdbc:")
        .unwrap_or(&spec.jdbc_url);
    let url = url.split(['?', ';', '#']).next().unwrap_or_default();
    let table = &spec.copy.table;
    match url.split_once("://") {
        Some((kind, rest)) => {
            let place = rest.rsplit('@').next().unwrap_or_default();
            format!("{kind}://{place} {table}")
        }
        None => table.clone(),
    }
}
