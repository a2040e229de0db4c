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
    /// `s3://BUCKET/PREFIX`.
    pub destination: String,
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
