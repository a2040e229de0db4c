//! What a request says of an S3 destination, or of the S3 leg of another.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{harmless, unsupported_but};
use crate::{
    api::ApiError,
    stream::{CompressionFormat, Encryption, merge::S3Change},
};

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
pub(super) fn s3(path: &str, value: Value) -> Result<S3Change, ApiError> {
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
