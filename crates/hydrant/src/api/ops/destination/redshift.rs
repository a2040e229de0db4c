//! What a request says of a Redshift destination (SPEC §2.2, §5).
//!
//! The password is sealed on its way in: from here on nothing can show it.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Sealer, harmless, s3};
use crate::{
    api::ApiError,
    credentials::Secret,
    stream::{
        CompressionFormat, CopyCommand, RedshiftSpec,
        merge::{RedshiftChange, S3Change},
    },
};

/// What AWS says to prefixes that COPY's manifests could not follow (SPEC §3.1); the typing error is AWS's own.
const PREFIXES: &str = "Ths supplied prefix(es) do not satisfy the following constraint: Prefix Expressions or \
                        ErrorOutputPrefix is currently not supported for this destination";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Members {
    #[serde(rename = "RoleARN")]
    role_arn: Option<String>,
    #[serde(rename = "ClusterJDBCURL")]
    jdbc_url: Option<String>,
    copy_command: Option<CopyMembers>,
    username: Option<String>,
    password: Option<Secret>,
    retry_options: Option<RetryMembers>,
    s3_configuration: Option<Value>,
    s3_update: Option<Value>,
    /// What is given back or refused.
    #[serde(flatten)]
    others: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CopyMembers {
    data_table_name: String,
    data_table_columns: Option<String>,
    copy_options: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RetryMembers {
    duration_in_seconds: Option<u32>,
}

/// Reads a Redshift destination, new or update; `path` names it in errors.
pub(super) fn redshift(
    path: &str,
    value: Value,
    sealer: &Sealer<'_>,
) -> Result<RedshiftChange, ApiError> {
    let members: Members = serde_json::from_value(value)
        .map_err(|_| ApiError::internal(format!("{path} does not fit its table")))?;
    let s3 = match (members.s3_configuration, members.s3_update) {
        (Some(leg), _) => leg_of(&format!("{path}.S3Configuration"), leg)?,
        (None, Some(leg)) => leg_of(&format!("{path}.S3Update"), leg)?,
        (None, None) => S3Change::default(),
    };
    let mut echoed = Map::new();
    for (name, value) in members.others {
        let value = harmless(&format!("{path}.{name}"), &name, value)?;
        echoed.insert(name, value);
    }
    let password = members.password.map(|password| sealer.seal(&password));
    Ok(RedshiftChange {
        role_arn: members.role_arn,
        jdbc_url: members.jdbc_url,
        username: members.username,
        password: password.transpose()?,
        copy: members.copy_command.map(|copy| CopyCommand {
            table: copy.data_table_name,
            columns: copy.data_table_columns,
            options: copy.copy_options,
        }),
        // One unit: without its one member it is the default again.
        retry_s: members.retry_options.map(|options| {
            options
                .duration_in_seconds
                .unwrap_or(RedshiftSpec::DEFAULT_RETRY_S)
        }),
        s3,
        echoed,
    })
}

/// Reads the intermediate bucket: what COPY cannot read from is refused.
fn leg_of(path: &str, value: Value) -> Result<S3Change, ApiError> {
    let text = |member: &str| {
        value
            .get(member)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    if text("Prefix").contains("!{") || !text("ErrorOutputPrefix").is_empty() {
        return Err(ApiError::InvalidArgument(PREFIXES.into()));
    }
    let change = s3::s3(path, value)?;
    match change.compression {
        None | Some(CompressionFormat::Uncompressed | CompressionFormat::Gzip) => Ok(change),
        Some(
            format @ (CompressionFormat::Zip
            | CompressionFormat::Snappy
            | CompressionFormat::HadoopSnappy),
        ) => Err(ApiError::InvalidArgument(format!(
            "{path}.CompressionFormat cannot be {} for a Redshift destination, because COPY does not read \
             it: only UNCOMPRESSED and GZIP can",
            format.as_str()
        ))),
    }
}
