//! From a request's destination members to what they ask for.
//!
//! The model has many more members than this node acts on. None is ignored: a member that would
//! change nothing at its value is kept and given back by Describe, every other is refused by name.

mod redshift;
mod s3;

use serde_json::{Map, Value};

use crate::{
    api::ApiError,
    credentials::{Sealed, Secret, Vault},
    stream::{Destination, StreamKey, merge::Change},
};

/// What AWS says to none or more than one destination (SPEC §2.2).
const EXACTLY_ONE: &str = "Exactly one destination configuration is supported for a Firehose";

/// What a request asks for.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// The member that asks.
    path: String,
    change: Change,
}

impl Asked {
    /// The destination that `present`, if there is one, becomes.
    ///
    /// # Errors
    /// `InvalidArgument` that names what must be given and is not.
    pub(super) fn apply(self, present: Option<&Destination>) -> Result<Destination, ApiError> {
        let why = match present {
            Some(_) => ": of a destination of another type nothing is kept",
            None => "",
        };
        self.change
            .apply(present)
            .map_err(|missing| ApiError::InvalidArgument(format!("{}.{missing}{why}", self.path)))
    }
}

/// Seals the passwords of one stream.
#[derive(Debug)]
pub(super) struct Sealer<'v> {
    vault: &'v Vault,
    owner: String,
}

impl<'v> Sealer<'v> {
    pub(super) fn new(vault: &'v Vault, key: &StreamKey) -> Self {
        Sealer {
            vault,
            owner: key.to_string(),
        }
    }

    fn seal(&self, password: &Secret) -> Result<Sealed, ApiError> {
        let sealed = self.vault.seal(password, &self.owner);
        sealed.ok_or_else(|| ApiError::internal("a password could not be sealed"))
    }
}

/// The one destination among `members`, those whose name ends in `suffix` (`DestinationConfiguration`
/// or `DestinationUpdate`); takes it out.
///
/// # Errors
/// `InvalidArgument` when there is none, more than one, or one that is not supported.
pub(super) fn only(
    members: &mut Map<String, Value>,
    suffix: &str,
    sealer: &Sealer<'_>,
) -> Result<Asked, ApiError> {
    let named = |name: &&String| name.ends_with(suffix);
    let names: Vec<&String> = members.keys().filter(named).collect();
    let [name] = names[..] else {
        return Err(ApiError::InvalidArgument(EXACTLY_ONE.into()));
    };
    let path = name.clone();
    let value = members.remove(&path).unwrap_or_default();
    let change = match path.strip_suffix(suffix) {
        Some("S3" | "ExtendedS3") => Change::S3(s3::s3(&path, value)?),
        Some("Redshift") => Change::Redshift(Box::new(redshift::redshift(&path, value, sealer)?)),
        _ => return Err(unsupported(&path)),
    };
    Ok(Asked { path, change })
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
        "SecretsManagerConfiguration" if enabled == Some(false) => Ok(value),
        "SecretsManagerConfiguration" => Err(unsupported_but(path, "\"Enabled\": false")),
        "DynamicPartitioningConfiguration" if enabled != Some(true) => Ok(value),
        "DynamicPartitioningConfiguration" => Err(unsupported_but(path, "\"Enabled\": false")),
        _ => Err(unsupported(path)),
    }
}
