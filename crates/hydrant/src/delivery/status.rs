//! What people are told of a stream's delivery.

use hydrant_engine::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    checkpoint::LastDelivery,
    load::status::{CopyStatus, LoadFate},
};
use crate::stream::{Status, StreamKey};

/// How a stream's delivery stands.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StreamStatus {
    /// Which stream.
    pub key: StreamKey,
    /// Its ARN.
    pub arn: String,
    /// Where it is in its life.
    pub status: Status,
    /// Its version.
    pub version: u64,
    /// Records in the log, not yet delivered. Those behind a span that keeps failing count until it is done.
    pub backlog_records: u64,
    /// Their bytes.
    pub backlog_bytes: u64,
    /// When the oldest of them arrived.
    pub oldest: Option<Timestamp>,
    /// Spans that are planned and not yet delivered.
    pub in_flight: usize,
    /// Where the latest object went.
    pub last_delivery: Option<LastDelivery>,
    /// The latest failure; `None` once everything that failed was delivered.
    pub last_error: Option<LastError>,
    /// When the next attempt is made on what failed; `None` if nothing waits.
    pub next_retry: Option<Timestamp>,
    /// Records given up after 24 hours, in the life of the stream.
    pub dropped_records: u64,
    /// Their bytes.
    pub dropped_bytes: u64,
    /// Frames that could not be read back from the log.
    pub damaged_frames: u64,
    /// How loading stands; `None` for a stream that has no warehouse and nothing left to load.
    pub copy: Option<CopyStatus>,
}

/// Why something could not be delivered, in the words of SPEC §6.4.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastError {
    /// When it happened.
    pub time: Timestamp,
    /// E.g. `S3.AccessDenied`.
    pub code: String,
    /// What happened, for people.
    pub message: String,
}

impl LastError {
    /// The node's own trouble.
    pub(crate) fn internal(time: Timestamp, error: &impl std::fmt::Display) -> Self {
        LastError {
            time,
            code: "InternalError".to_owned(),
            message: error.to_string(),
        }
    }
}

/// Where a record is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Trace {
    /// In an object.
    Delivered {
        /// The bucket.
        bucket: String,
        /// The object's key.
        key: String,
        /// When the destination had it.
        time: Timestamp,
        /// What became of it then; `None` if it is for no warehouse.
        load: Option<LoadFate>,
    },
    /// Planned for this object, which is being delivered.
    InFlight {
        /// The bucket.
        bucket: String,
        /// The object's key.
        key: String,
    },
    /// In the open buffer, or behind it.
    Buffered {
        /// When it arrived.
        since: Timestamp,
    },
    /// Its object cannot be delivered at present.
    Failing {
        /// The latest failure.
        error: LastError,
        /// When it is tried again; `None` while it is being tried.
        next_retry: Option<Timestamp>,
    },
    /// Given up after 24 hours.
    Expired {
        /// When.
        time: Timestamp,
    },
    /// It and its neighbours hold no byte, so there is no object.
    Empty,
    /// No stream has it: never stored, deleted with its stream, or delivered so long ago that its
    /// receipt is gone.
    Unknown,
}

/// What `flush` has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Flushed {
    /// Objects delivered from the call on until everything was.
    pub objects: u64,
}

/// Why a flush did not deliver everything.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FlushError {
    /// No such stream, or it is not ACTIVE.
    #[error("no active delivery stream {0}")]
    NotActive(StreamKey),
    /// The destination does not take it; it stays in the log and is tried again.
    #[error("{}: {}", .0.code, .0.message)]
    Failing(LastError),
    /// The node stops, or the stream was deleted.
    #[error("delivery stopped")]
    Stopped,
}
