//! From a request's destination members to what they ask for.
//!
//! The model has many more members than this node acts on. None is ignored: a member that would
//! change nothing at its value is kept and given back by Describe, every other is refused by name.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{
    api::ApiError,
    stream::{
        CompressionFormat, Encryption,
        merge::{Change, S3Change},
    },
};

/// What AWS says to none or more than one destination (SPEC §2.2).
const EXACTLY_ONE: &str = "Exactly one destination configuration is supported for a Firehose";

/// The one destination among `members`, those whose name ends in `suffix` (`DestinationConfiguration`
/// or `DestinationUpdate`); takes it out.
///
/// # Errors
/// `InvalidArgument` when there is none, more than one, or one that is not supported.
pub(super) fn only(members: &mut Map<String, Value>, suffix: &str) -> Result<Change, ApiError> {
    let named = |name: &&String| name.ends_with(suffix);
    let names: Vec<&String> = members.keys().filter(named).collect();
    let [name] = names[..] else {
        return Err(ApiError::InvalidArgument(EXACTLY_ONE.into()));
    };
    let name = name.clone();
    let value = members.remove(&name).unwrap_or_default();
    match name.strip_suffix(suffix) {
        Some("S3" | "ExtendedS3") => Ok(Change::S3(s3(&name, value)?)),
        _ => Err(unsupported(&name)),
    }
}

/// The refusal of a member that is not supported at all.
pub(super) fn unsupported(path: &str) -> ApiError {
    ApiError::InvalidArgument(format!("{path} is not supported by this service"))
}

fn unsupported_but(path: &str, accepted: &str) -> ApiError {
    ApiError::InvalidArgument(format!(
        "This value of {path} is not supported by this service: only {accepted} is"
    ))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct S3Members {
    #[serde(rename = "RoleARN")]
    role_arn: Option<String>,
    #[serde(rename = "BucketARN")]
    bucket_arn: Option<String>,
    prefix: Option<String>,
    buffering_hints: Option<Hints>,
    compression_format: Option<CompressionFormat>,
    encryption_configuration: Option<EncryptionMembers>,
    /// What is given back or refused.
    #[serde(flatten)]
    others: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Hints {
    #[serde(rename = "SizeInMBs")]
    size_mb: Option<u32>,
    #[serde(rename = "IntervalInSeconds")]
    interval_s: Option<u32>,
}

#[derive(Deserialize)]
struct EncryptionMembers {
    #[serde(rename = "NoEncryptionConfig")]
    none: Option<String>,
    #[serde(rename = "KMSEncryptionConfig")]
    kms: Option<Kms>,
}

#[derive(Deserialize)]
struct Kms {
    #[serde(rename = "AWSKMSKeyARN")]
    key_arn: String,
}

/// Reads an S3 destination, plain or extended, new or update; `path` names it in errors.
fn s3(path: &str, value: Value) -> Result<S3Change, ApiError> {
    let members: S3Members = serde_json::from_value(value)
        .map_err(|error| ApiError::internal(format!("{path} does not fit its table: {error}")))?;
    if let Some(arn) = &members.bucket_arn {
        let bucket = arn.rsplit(':').next().unwrap_or_default();
        if bucket.is_empty() || bucket.contains('/') {
            return Err(ApiError::InvalidArgument(format!(
                "{path}.BucketARN must be arn:aws:s3:::BUCKET, with nothing after the bucket's name"
            )));
        }
    }
    if members
        .prefix
        .as_ref()
        .is_some_and(|prefix| prefix.contains("!{"))
    {
        return Err(unsupported_but(
            &format!("{path}.Prefix"),
            "a prefix without expressions, !{…},",
        ));
    }
    let mut echoed = Map::new();
    for (name, value) in members.others {
        let value = harmless(&format!("{path}.{name}"), &name, value)?;
        echoed.insert(name, value);
    }
    let hints = members.buffering_hints.as_ref();
    Ok(S3Change {
        role_arn: members.role_arn,
        bucket_arn: members.bucket_arn,
        prefix: members.prefix,
        size_mb: hints.and_then(|hints| hints.size_mb),
        interval_s: hints.and_then(|hints| hints.interval_s),
        compression: members.compression_format,
        encryption: encryption(path, members.encryption_configuration)?,
        echoed,
    })
}

/// `{}` says nothing, as if it were not there.
fn encryption(
    path: &str,
    members: Option<EncryptionMembers>,
) -> Result<Option<Encryption>, ApiError> {
    match members {
        Some(EncryptionMembers {
            none: Some(_),
            kms: Some(_),
        }) => Err(ApiError::InvalidArgument(format!(
            "{path}.EncryptionConfiguration: NoEncryptionConfig and KMSEncryptionConfig exclude \
                 each other"
        ))),
        Some(EncryptionMembers { none: Some(_), .. }) => Ok(Some(Encryption::None)),
        Some(EncryptionMembers {
            kms: Some(Kms { key_arn }),
            ..
        }) => Ok(Some(Encryption::Kms { key_arn })),
        _ => Ok(None),
    }
}

/// The value to give back for a member that changes nothing here, or its refusal.
fn harmless(path: &str, name: &str, value: Value) -> Result<Value, ApiError> {
    let text = value.as_str().unwrap_or_default();
    let enabled = value.get("Enabled").and_then(Value::as_bool);
    let has = |member: &str| value.get(member).is_some();
    match name {
        "CloudWatchLoggingOptions" => {
            let named = |member: &str| {
                value
                    .get(member)
                    .and_then(Value::as_str)
                    .is_some_and(|name| !name.is_empty())
            };
            if enabled == Some(true) && !(named("LogGroupName") && named("LogStreamName")) {
                return Err(ApiError::InvalidArgument(format!(
                    "{path}: LogGroupName and LogStreamName must be given when Enabled is true"
                )));
            }
            Ok(value)
        }
        // No record fails on its way to S3 without transformation, so nothing ever goes there.
        "ErrorOutputPrefix" if text.contains("!{") => {
            Err(unsupported_but(path, "a prefix without expressions, !{…},"))
        }
        "ErrorOutputPrefix" => Ok(value),
        "FileExtension" if text.is_empty() => Ok(value),
        "FileExtension" => Err(unsupported_but(path, "\"\"")),
        "CustomTimeZone" if text.is_empty() || text == "UTC" => Ok("UTC".into()),
        "CustomTimeZone" => Err(unsupported_but(path, "\"UTC\"")),
        "S3BackupMode" if text == "Disabled" => Ok(value),
        "S3BackupMode" => Err(unsupported_but(path, "Disabled")),
        "ProcessingConfiguration" => {
            let processors = value.get("Processors").and_then(Value::as_array);
            let none = processors.is_none_or(Vec::is_empty);
            match enabled {
                Some(false) => Ok(value),
                None if none => Ok(value),
                _ => Err(unsupported_but(path, "\"Enabled\": false")),
            }
        }
        "DataFormatConversionConfiguration" => {
            // Absent, Enabled means true. The other members are not kept, so could not be given back.
            let more = [
                "SchemaConfiguration",
                "InputFormatConfiguration",
                "OutputFormatConfiguration",
            ]
            .into_iter()
            .find(|member| has(member));
            match (enabled, more) {
                (Some(false), None) => Ok(value),
                (Some(false), Some(member)) => Err(unsupported(&format!("{path}.{member}"))),
                _ => Err(unsupported_but(path, "\"Enabled\": false")),
            }
        }
        "DynamicPartitioningConfiguration" if enabled != Some(true) => Ok(value),
        "DynamicPartitioningConfiguration" => Err(unsupported_but(path, "\"Enabled\": false")),
        _ => Err(unsupported(path)),
    }
}
