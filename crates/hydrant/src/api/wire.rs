//! The answers' shapes: what Describe and its like say of a stream, in the model's order (SPEC §2.3).
//!
//! Members without a value are left out, never `null`: Fluent Bit would read a `null` as text.
//! Secrets have no place in these types.

use bytes::Bytes;
use hydrant_engine::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    api::ApiError,
    stream::{
        BufferingHints, CompressionFormat, DeliveryStream, Destination, Encryption, RedshiftSpec,
        S3Spec, spec::DESTINATION_ID,
    },
};

/// The answer of operations that say nothing.
pub(crate) const EMPTY: Bytes = Bytes::from_static(b"{}");

/// The one type of stream there is so far.
pub(crate) const DIRECT_PUT: &str = "DirectPut";

/// Members of the extended description that the plain one lacks (SPEC §2.3).
const EXTENDED_ONLY: [&str; 6] = [
    "ProcessingConfiguration",
    "S3BackupMode",
    "DataFormatConversionConfiguration",
    "DynamicPartitioningConfiguration",
    "FileExtension",
    "CustomTimeZone",
];

/// Compact JSON of an answer.
///
/// # Errors
/// `InternalFailure` if the answer cannot be written, which no answer here does.
pub(crate) fn encode(answer: &impl Serialize) -> Result<Bytes, ApiError> {
    serde_json::to_vec(answer)
        .map(Bytes::from)
        .map_err(ApiError::internal)
}

/// Seconds since the epoch with at most three decimals: a double holds milliseconds exactly enough
/// that its shortest decimal is the wanted one.
fn seconds(timestamp: Timestamp) -> f64 {
    timestamp.as_millis() as f64 / 1_000.0
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct CreateOutput {
    #[serde(rename = "DeliveryStreamARN")]
    pub(crate) arn: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListOutput<'a> {
    pub(crate) delivery_stream_names: Vec<&'a str>,
    pub(crate) has_more_delivery_streams: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct DescribeOutput<'a> {
    pub(crate) delivery_stream_description: StreamDescription<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct StreamDescription<'a> {
    delivery_stream_name: &'a str,
    #[serde(rename = "DeliveryStreamARN")]
    arn: String,
    delivery_stream_status: &'static str,
    delivery_stream_encryption_configuration: EncryptionStatus,
    delivery_stream_type: &'static str,
    version_id: String,
    create_timestamp: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_update_timestamp: Option<f64>,
    destinations: Vec<DestinationDescription<'a>>,
    has_more_destinations: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct EncryptionStatus {
    status: &'static str,
}

impl<'a> StreamDescription<'a> {
    /// The description of `stream` with its destination, if that comes after `start`.
    pub(crate) fn new(stream: &'a DeliveryStream, start: Option<&str>) -> Self {
        let shown = start.is_none_or(|start| DESTINATION_ID > start);
        StreamDescription {
            delivery_stream_name: &stream.key.name,
            arn: stream.key.arn(),
            delivery_stream_status: stream.status.as_str(),
            delivery_stream_encryption_configuration: EncryptionStatus { status: "DISABLED" },
            delivery_stream_type: DIRECT_PUT,
            version_id: stream.version.to_string(),
            create_timestamp: seconds(stream.created),
            last_update_timestamp: stream.updated.map(seconds),
            destinations: shown
                .then(|| DestinationDescription::new(&stream.destination))
                .into_iter()
                .collect(),
            has_more_destinations: false,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct DestinationDescription<'a> {
    destination_id: &'static str,
    #[serde(flatten)]
    described: Described<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Described<'a> {
    /// An S3 stream has both descriptions, however it was made.
    S3 {
        #[serde(rename = "S3DestinationDescription")]
        s3: S3Description<'a>,
        #[serde(rename = "ExtendedS3DestinationDescription")]
        extended_s3: S3Description<'a>,
    },
    /// A Redshift stream has this one alone.
    Redshift {
        #[serde(rename = "RedshiftDestinationDescription")]
        redshift: RedshiftDescription<'a>,
    },
}

/// Without the password (SPEC §2.3).
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct RedshiftDescription<'a> {
    #[serde(rename = "RoleARN")]
    role_arn: &'a str,
    #[serde(rename = "ClusterJDBCURL")]
    jdbc_url: &'a str,
    copy_command: CopyCommandDescription<'a>,
    username: &'a str,
    retry_options: RetryOptions,
    #[serde(rename = "S3DestinationDescription")]
    s3: S3Description<'a>,
    #[serde(flatten)]
    echoed: &'a Map<String, Value>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct CopyCommandDescription<'a> {
    data_table_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data_table_columns: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    copy_options: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct RetryOptions {
    duration_in_seconds: u32,
}

impl<'a> RedshiftDescription<'a> {
    fn new(spec: &'a RedshiftSpec) -> Self {
        RedshiftDescription {
            role_arn: &spec.role_arn,
            jdbc_url: &spec.jdbc_url,
            copy_command: CopyCommandDescription {
                data_table_name: &spec.copy.table,
                data_table_columns: spec.copy.columns.as_deref(),
                copy_options: spec.copy.options.as_deref(),
            },
            username: &spec.username,
            retry_options: RetryOptions {
                duration_in_seconds: spec.retry_s,
            },
            s3: S3Description::new(&spec.s3, |name| !EXTENDED_ONLY.contains(&name)),
            echoed: &spec.echoed,
        }
    }
}

impl<'a> DestinationDescription<'a> {
    fn new(destination: &'a Destination) -> Self {
        let described = match destination {
            Destination::S3(spec) => Described::S3 {
                s3: S3Description::new(spec, |name| !EXTENDED_ONLY.contains(&name)),
                extended_s3: S3Description::new(spec, |_| true),
            },
            Destination::Redshift(spec) => Described::Redshift {
                redshift: RedshiftDescription::new(spec),
            },
        };
        DestinationDescription {
            destination_id: DESTINATION_ID,
            described,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct S3Description<'a> {
    #[serde(rename = "RoleARN")]
    role_arn: &'a str,
    #[serde(rename = "BucketARN")]
    bucket_arn: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    prefix: Option<&'a str>,
    buffering_hints: Hints,
    compression_format: CompressionFormat,
    encryption_configuration: EncryptionDescription<'a>,
    #[serde(flatten)]
    echoed: Map<String, Value>,
}

impl<'a> S3Description<'a> {
    fn new(spec: &'a S3Spec, echoes: impl Fn(&str) -> bool) -> Self {
        let echoed = spec.echoed.iter().filter(|(name, _)| echoes(name));
        S3Description {
            role_arn: &spec.role_arn,
            bucket_arn: &spec.bucket_arn,
            prefix: spec.prefix.as_deref(),
            buffering_hints: Hints::new(spec.buffering),
            compression_format: spec.compression,
            encryption_configuration: EncryptionDescription::new(&spec.encryption),
            echoed: echoed
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Hints {
    #[serde(rename = "SizeInMBs")]
    size_mb: u32,
    interval_in_seconds: u32,
}

impl Hints {
    fn new(hints: BufferingHints) -> Self {
        Hints {
            size_mb: hints.size_mb,
            interval_in_seconds: hints.interval_s,
        }
    }
}

#[derive(Serialize)]
enum EncryptionDescription<'a> {
    #[serde(rename = "NoEncryptionConfig")]
    None(&'static str),
    #[serde(rename = "KMSEncryptionConfig")]
    Kms {
        #[serde(rename = "AWSKMSKeyARN")]
        key_arn: &'a str,
    },
}

impl<'a> EncryptionDescription<'a> {
    fn new(encryption: &'a Encryption) -> Self {
        match encryption {
            Encryption::None => EncryptionDescription::None("NoEncryption"),
            Encryption::Kms { key_arn } => EncryptionDescription::Kms { key_arn },
        }
    }
}

#[cfg(test)]
mod tests {
    use hydrant_engine::LaneId;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::stream::{CopyCommand, Status, StreamKey};

    fn stream() -> DeliveryStream {
        let mut echoed = Map::new();
        echoed.insert("S3BackupMode".into(), json!("Disabled"));
        echoed.insert("CloudWatchLoggingOptions".into(), json!({"Enabled": false}));
        DeliveryStream {
            key: StreamKey::new("000000000000", "us-east-1", "logs"),
            lane: LaneId(1),
            status: Status::Active,
            version: 2,
            created: Timestamp(1_444_222_333_040),
            updated: Some(Timestamp(1_444_222_334_000)),
            destination: Destination::S3(S3Spec {
                role_arn: "arn:aws:iam::000000000000:role/r".to_owned(),
                bucket_arn: "arn:aws:s3:::b".to_owned(),
                prefix: Some(String::new()),
                buffering: BufferingHints::DEFAULT,
                compression: CompressionFormat::Snappy,
                encryption: Encryption::Kms {
                    key_arn: "arn:aws:kms:k".to_owned(),
                },
                echoed,
            }),
            tags: Vec::new(),
        }
    }

    #[test]
    fn a_description_to_the_letter() {
        let stream = stream();
        let output = DescribeOutput {
            delivery_stream_description: StreamDescription::new(&stream, None),
        };
        let shared = concat!(
            r#""RoleARN":"arn:aws:iam::000000000000:role/r","BucketARN":"arn:aws:s3:::b","Prefix":"","#,
            r#""BufferingHints":{"SizeInMBs":5,"IntervalInSeconds":300},"CompressionFormat":"Snappy","#,
            r#""EncryptionConfiguration":{"KMSEncryptionConfig":{"AWSKMSKeyARN":"arn:aws:kms:k"}},"#,
            r#""CloudWatchLoggingOptions":{"Enabled":false}"#,
        );
        let expected = [
            r#"{"DeliveryStreamDescription":{"DeliveryStreamName":"logs","#,
            r#""DeliveryStreamARN":"arn:aws:firehose:us-east-1:000000000000:deliverystream/logs","#,
            r#""DeliveryStreamStatus":"ACTIVE","#,
            r#""DeliveryStreamEncryptionConfiguration":{"Status":"DISABLED"},"#,
            r#""DeliveryStreamType":"DirectPut","VersionId":"2","#,
            r#""CreateTimestamp":1444222333.04,"LastUpdateTimestamp":1444222334.0,"#,
            r#""Destinations":[{"DestinationId":"destinationId-000000000001","#,
            r#""S3DestinationDescription":{"#,
            shared,
            r#"},"ExtendedS3DestinationDescription":{"#,
            shared,
            r#","S3BackupMode":"Disabled"}}],"HasMoreDestinations":false}}"#,
        ];
        assert_eq!(encode(&output).unwrap(), expected.concat());
    }

    #[test]
    fn a_redshift_description_to_the_letter() {
        let DeliveryStream { destination, .. } = stream();
        let mut s3 = destination.s3().clone();
        s3.compression = CompressionFormat::Gzip;
        let mut echoed = Map::new();
        echoed.insert("S3BackupMode".into(), json!("Disabled"));
        echoed.insert("CloudWatchLoggingOptions".into(), json!({"Enabled": false}));
        let stream = DeliveryStream {
            destination: Destination::Redshift(Box::new(RedshiftSpec {
                role_arn: "arn:aws:iam::000000000000:role/copy".to_owned(),
                jdbc_url: "jdbc:redshift://h:5439/dev?ssl=true".to_owned(),
                username: "loader".to_owned(),
                password: serde_json::from_value(json!("1:SEALED")).unwrap(),
                copy: CopyCommand {
                    table: "t".to_owned(),
                    columns: Some(String::new()),
                    options: Some("delimiter '\\t' gzip;".to_owned()),
                },
                retry_s: 0,
                s3,
                echoed,
            })),
            ..stream()
        };
        let description = DestinationDescription::new(&stream.destination);
        let expected = [
            r#"{"DestinationId":"destinationId-000000000001","RedshiftDestinationDescription":{"#,
            r#""RoleARN":"arn:aws:iam::000000000000:role/copy","#,
            r#""ClusterJDBCURL":"jdbc:redshift://h:5439/dev?ssl=true","#,
            r#""CopyCommand":{"DataTableName":"t","DataTableColumns":"","#,
            r#""CopyOptions":"delimiter '\\t' gzip;"},"#,
            r#""Username":"loader","RetryOptions":{"DurationInSeconds":0},"#,
            r#""S3DestinationDescription":{"#,
            r#""RoleARN":"arn:aws:iam::000000000000:role/r","BucketARN":"arn:aws:s3:::b","Prefix":"","#,
            r#""BufferingHints":{"SizeInMBs":5,"IntervalInSeconds":300},"CompressionFormat":"GZIP","#,
            r#""EncryptionConfiguration":{"KMSEncryptionConfig":{"AWSKMSKeyARN":"arn:aws:kms:k"}},"#,
            r#""CloudWatchLoggingOptions":{"Enabled":false}},"#,
            r#""CloudWatchLoggingOptions":{"Enabled":false},"S3BackupMode":"Disabled"}}"#,
        ];
        assert_eq!(encode(&description).unwrap(), expected.concat());
    }

    #[test]
    fn what_has_no_value_is_left_out() {
        let mut stream = stream();
        stream.updated = None;
        let Destination::S3(spec) = &mut stream.destination else {
            panic!("another type");
        };
        spec.prefix = None;
        spec.encryption = Encryption::None;
        let description = StreamDescription::new(&stream, None);
        let text = serde_json::to_string(&description).unwrap();
        assert!(
            !text.contains("Prefix") && !text.contains("LastUpdate"),
            "{text}"
        );
        assert!(!text.contains("null"), "{text}");
        let none = r#""EncryptionConfiguration":{"NoEncryptionConfig":"NoEncryption"}"#;
        assert!(text.contains(none), "{text}");
        let after = StreamDescription::new(&stream, Some(DESTINATION_ID));
        assert!(after.destinations.is_empty() && !after.has_more_destinations);
    }

    proptest! {
        #[test]
        fn timestamps_have_at_most_three_decimals(millis in 0u64..10_000_000_000_000) {
            let text = serde_json::to_string(&seconds(Timestamp(millis))).unwrap();
            let (whole, fraction) = text.split_once('.').unwrap();
            prop_assert!(fraction.len() <= 3, "{}", text);
            let padded = format!("{fraction:0<3}");
            prop_assert_eq!(format!("{whole}{padded}").parse::<u64>().unwrap(), millis);
        }
    }
}
