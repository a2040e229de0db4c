//! The JSON of the admin port. Written by the console, read by `hydrant streams`, `flush`, `trace`
//! and whoever scripts against it. Members may be added; none change their meaning.

use serde::{Deserialize, Serialize};

/// `GET /api/streams`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Streams {
    /// By account, region and name.
    pub streams: Vec<StreamStatus>,
}

/// One stream.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct StreamStatus {
    /// 12 digits.
    pub account: String,
    /// E.g. `us-east-1`.
    pub region: String,
    /// Its name.
    pub name: String,
    /// CREATING, ACTIVE or DELETING.
    pub status: String,
    /// `VersionId`.
    pub version: u64,
    /// `s3://BUCKET/PREFIX`; of a stream with a warehouse `redshift://HOST:PORT/DATABASE TABLE`, or `postgresql://…`.
    pub destination: String,
    /// `s3://BUCKET/PREFIX` where objects wait for a warehouse; absent without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bucket: Option<String>,
    /// `UNCOMPRESSED`, `GZIP` …
    pub compression: String,
    /// Records acknowledged and not yet delivered; absent when the node was not asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backlog_records: Option<u64>,
    /// Their bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backlog_bytes: Option<u64>,
    /// How long the oldest of them has waited, in seconds; absent without backlog.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oldest_age_seconds: Option<f64>,
    /// Objects that are being delivered.
    pub in_flight: u64,
    /// Records given up after 24 hours, in the stream's life.
    pub dropped_records: u64,
    /// The delivery that succeeded last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_delivery: Option<Delivered>,
    /// The latest failure; absent once everything that failed was delivered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<Failure>,
    /// When what failed is tried again, milliseconds since the Unix epoch; absent if nothing waits for that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_retry: Option<u64>,
    /// How loading into the warehouse stands; absent without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copy: Option<Copying>,
}

/// How loading into a stream's warehouse stands. Times are milliseconds since the Unix epoch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Copying {
    /// `idle`, `copying`, `retrying` or `giving_up`.
    pub state: String,
    /// Objects in the bucket that are not in the warehouse.
    pub objects: u64,
    /// Their records.
    pub records: u64,
    /// The COPY that succeeded last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_success: Option<Loaded>,
    /// Why the latest attempt failed, in the database's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
    /// When the first attempt of this retry period failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<u64>,
    /// When the next attempt is made; absent while one is made, or if nothing failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_retry: Option<u64>,
    /// Manifests given up, in the stream's life.
    pub given_up_manifests: u64,
    /// Their records.
    pub given_up_records: u64,
    /// The newest of those that nobody loaded since, at most 20.
    pub given_up: Vec<GivenUp>,
}

/// A COPY that succeeded.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Loaded {
    /// When, milliseconds since the Unix epoch.
    pub at: u64,
    /// How long ago, in seconds, by the node's clock.
    pub age_seconds: f64,
    /// Rows that it put into the table; absent where the database does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// `s3://BUCKET/KEY` of its manifest.
    pub manifest: String,
}

/// A manifest that was given up; `hydrant copy` loads it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GivenUp {
    /// `s3://BUCKET/KEY`.
    pub manifest: String,
    /// When and why.
    pub error: Failure,
    /// Objects in it.
    pub objects: u64,
    /// Their records.
    pub records: u64,
    /// Their record data in bytes, before compression.
    pub bytes: u64,
}

/// A delivery that succeeded.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Delivered {
    /// When, milliseconds since the Unix epoch.
    pub at: u64,
    /// How long ago, in seconds, by the node's clock.
    pub age_seconds: f64,
    /// The bucket.
    pub bucket: String,
    /// The object's key in the bucket.
    pub key: String,
}

/// A delivery that failed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// When, milliseconds since the Unix epoch.
    pub at: u64,
    /// E.g. `S3.NoSuchBucket` (SPEC §6.4).
    pub code: String,
    /// For people.
    pub message: String,
}

/// `GET /api/trace/{record_id}`: where a record is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trace {
    /// The stream's ARN; absent when the stream is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<String>,
    /// What became of the record.
    #[serde(flatten)]
    pub fate: Fate,
}

/// What became of a record. Times are milliseconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Fate {
    /// It is in an object.
    Delivered {
        /// The bucket.
        bucket: String,
        /// The object's key.
        key: String,
        /// When the destination had it.
        at: u64,
        /// What became of it then; absent if it is for no warehouse.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        load: Option<Load>,
    },
    /// Its object is being delivered.
    InFlight {
        /// The bucket.
        bucket: String,
        /// The object's key.
        key: String,
    },
    /// It waits in the stream's buffer.
    Buffered {
        /// When it arrived.
        since: u64,
    },
    /// Its object cannot be delivered at present.
    Failing {
        /// Why.
        error: Failure,
        /// When it is tried again; absent while it is being tried.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next_retry: Option<u64>,
    },
    /// It was given up after 24 hours.
    Expired {
        /// When.
        at: u64,
    },
    /// It holds no byte, so no object had to be made for it.
    Empty,
    /// No stream has it: never stored, deleted with its stream, or delivered so long ago that its
    /// receipt is gone.
    Unknown,
}

/// What became of an object after its delivery. Times are milliseconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Load {
    /// It waits for a COPY, or is in one that runs.
    Waiting,
    /// The COPY that it is in, or waits for, fails.
    Failing {
        /// Why.
        error: Failure,
        /// When it is tried again; absent while it is being tried.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next_retry: Option<u64>,
    },
    /// It is in the warehouse.
    Loaded {
        /// Which database and table.
        table: String,
        /// Since when.
        at: u64,
    },
    /// Its COPY was given up.
    GivenUp {
        /// `s3://BUCKET/KEY` of the manifest that holds it.
        manifest: String,
        /// When.
        at: u64,
    },
}

/// `POST /api/streams/{account}/{region}/{name}/copy`: a manifest to load.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Copy {
    /// `s3://BUCKET/KEY`, or a key in the stream's bucket.
    pub manifest: String,
}

/// The answer to [`struct@Copy`]: the manifest is loaded.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Copied {
    /// Rows that are in the table now; absent where the database does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// Rows that were refused, within MAXERROR.
    pub rejected: u64,
    /// Objects that had been loaded before and were not loaded again.
    pub skipped: u64,
    /// What they were loaded into.
    pub destination: String,
}

/// `POST /api/streams/{account}/{region}/{name}/flush`: everything that was waiting is delivered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Flushed {
    /// Objects delivered meanwhile.
    pub objects: u64,
}

/// Any answer that is not 2xx.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Problem {
    /// What is wrong and what to do.
    pub error: String,
}
