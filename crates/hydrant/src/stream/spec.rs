//! A delivery stream's configuration and state: the value that the catalog keeps, as JSON.
//!
//! Defaults are materialised when a stream is created (SPEC §2.2), so that a later release with
//! other defaults changes no existing stream.

use std::time::Duration;

use hydrant_engine::{LaneId, Timestamp};
use serde::{Deserialize, Serialize};

use super::name::StreamKey;
use crate::credentials::Sealed;

/// The one destination that a stream has (SPEC §2.0).
pub const DESTINATION_ID: &str = "destinationId-000000000001";

/// One delivery stream, in one incarnation: deleted and created again, it has another lane.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeliveryStream {
    /// Account, region, name.
    pub key: StreamKey,
    /// Where its records lie in the log.
    pub lane: LaneId,
    /// Where it is in its life.
    pub status: Status,
    /// `VersionId`: 1 at creation, one more with each update. Part of every object's key.
    pub version: u64,
    /// `CreateTimestamp`.
    pub created: Timestamp,
    /// `LastUpdateTimestamp`; absent until the first update.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated: Option<Timestamp>,
    /// Where its records go.
    pub destination: Destination,
    /// Tags, in order of key.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<(String, String)>,
}

/// Where a stream is in its life (SPEC §2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    /// Not yet ready; put operations are refused.
    Creating,
    /// Takes records and delivers them.
    Active,
    /// Being removed; what was not delivered is discarded (SPEC §2.5).
    Deleting,
}

impl Status {
    /// As the wire spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Creating => "CREATING",
            Status::Active => "ACTIVE",
            Status::Deleting => "DELETING",
        }
    }
}

/// Where records go.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Destination {
    /// Objects in a bucket.
    S3(S3Spec),
    /// Objects in a bucket, from where COPY loads them into a table of Redshift or PostgreSQL (SPEC §5).
    Redshift(Box<RedshiftSpec>),
}

impl Destination {
    /// The S3 leg that every destination has: the destination itself, or the intermediate bucket.
    pub fn s3(&self) -> &S3Spec {
        match self {
            Destination::S3(spec) => spec,
            Destination::Redshift(spec) => &spec.s3,
        }
    }

    /// The warehouse that objects are loaded into from there, if there is one.
    pub fn redshift(&self) -> Option<&RedshiftSpec> {
        match self {
            Destination::S3(_) => None,
            Destination::Redshift(spec) => Some(spec),
        }
    }
}

/// A Redshift destination with every default filled in. Whether it is Redshift or PostgreSQL, the URL says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RedshiftSpec {
    /// `RoleARN`: whose credentials read the intermediate bucket.
    pub role_arn: String,
    /// `ClusterJDBCURL`.
    pub jdbc_url: String,
    /// `Username`.
    pub username: String,
    /// `Password`, sealed for the stream (its owner is the [`StreamKey`], as it prints).
    pub password: Sealed,
    /// `CopyCommand`.
    pub copy: CopyCommand,
    /// `RetryOptions.DurationInSeconds`, 0–7200: how long a COPY that fails is repeated.
    pub retry_s: u32,
    /// `S3Configuration`: the intermediate bucket.
    pub s3: S3Spec,
    /// As [`S3Spec::echoed`].
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub echoed: serde_json::Map<String, serde_json::Value>,
}

impl RedshiftSpec {
    /// `RetryOptions` where nothing is given (SPEC §5.1).
    pub const DEFAULT_RETRY_S: u32 = 3600;

    /// For how long a COPY that fails is repeated, from its first failure on.
    pub fn retry(&self) -> Duration {
        Duration::from_secs(u64::from(self.retry_s))
    }
}

/// What the COPY statement says, pasted as the user wrote it (SPEC §5.3).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyCommand {
    /// `DataTableName`, also `SCHEMA.TABLE`.
    pub table: String,
    /// `DataTableColumns`, comma-separated; absent and `""` mean all columns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<String>,
    /// `CopyOptions`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<String>,
}

/// An S3 destination with every default filled in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct S3Spec {
    /// The role to assume, where an STS endpoint is configured.
    pub role_arn: String,
    /// `arn:aws:s3:::BUCKET`.
    pub bucket_arn: String,
    /// Glued in front of `yyyy/MM/dd/HH/` as it is; absent and `""` are told apart by Describe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// When a buffer is cut.
    pub buffering: BufferingHints,
    /// How objects are compressed.
    pub compression: CompressionFormat,
    /// How the store encrypts objects.
    pub encryption: Encryption,
    /// Members that change nothing here but must be given back by Describe as they were sent
    /// (`CloudWatchLoggingOptions`, `ErrorOutputPrefix`, …), by member name.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub echoed: serde_json::Map<String, serde_json::Value>,
}

impl S3Spec {
    /// The bucket's name: what follows the last `:` of the ARN.
    pub fn bucket(&self) -> &str {
        self.bucket_arn.rsplit(':').next().unwrap_or_default()
    }

    /// The prefix, empty when none was set.
    pub fn prefix(&self) -> &str {
        self.prefix.as_deref().unwrap_or_default()
    }
}

/// When a buffer is cut: at whichever is reached first (SPEC §4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BufferingHints {
    /// `SizeInMBs`, 1–128, in MiB, before compression.
    pub size_mb: u32,
    /// `IntervalInSeconds`, 0–900, from the first record of the buffer.
    pub interval_s: u32,
}

impl BufferingHints {
    /// What AWS fills in where nothing is given: 5 MiB, 300 s (SPEC §2.2).
    pub const DEFAULT: BufferingHints = BufferingHints {
        size_mb: 5,
        interval_s: 300,
    };

    /// The size hint in bytes.
    pub fn size_bytes(self) -> u64 {
        u64::from(self.size_mb) << 20
    }

    /// The interval hint.
    pub fn interval(self) -> Duration {
        Duration::from_secs(u64::from(self.interval_s))
    }
}

/// How an object's bytes are compressed (SPEC §4.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CompressionFormat {
    /// Records as they are.
    #[default]
    #[serde(rename = "UNCOMPRESSED")]
    Uncompressed,
    /// One gzip member.
    #[serde(rename = "GZIP")]
    Gzip,
    /// One deflated entry.
    #[serde(rename = "ZIP")]
    Zip,
    /// The xerial framing of snappy-java.
    #[serde(rename = "Snappy")]
    Snappy,
    /// Hadoop's block framing.
    #[serde(rename = "HADOOP_SNAPPY")]
    HadoopSnappy,
}

impl CompressionFormat {
    /// As the wire spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            CompressionFormat::Uncompressed => "UNCOMPRESSED",
            CompressionFormat::Gzip => "GZIP",
            CompressionFormat::Zip => "ZIP",
            CompressionFormat::Snappy => "Snappy",
            CompressionFormat::HadoopSnappy => "HADOOP_SNAPPY",
        }
    }
}

/// How the store encrypts objects (SPEC §4.2).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encryption {
    /// No header; the bucket's own default holds.
    #[default]
    None,
    /// SSE-KMS under this key or alias ARN.
    Kms {
        /// `AWSKMSKeyARN`.
        key_arn: String,
    },
}
