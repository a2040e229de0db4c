//! Which store a bucket's name means: `[[buckets]]` in the config file.
//!
//! ```toml
//! [[buckets]]
//! match = "archive-*"                     # the first rule whose pattern matches holds; * is any text
//! type = "s3"
//! endpoint = "https://minio.example:9000" # default: AWS
//! region = "eu-west-1"                    # default: the region of the stream
//! path_style = true                       # default: true with an endpoint, false without
//! access_key_id = "…"                     # default: the usual AWS chain
//! secret_access_key = "…"
//! sts_endpoint = "https://sts.example"    # assume each stream's RoleARN there; default: RoleARN is not used
//! sign_payload = true                     # default: only over plain http to another machine
//! acl = "bucket-owner-full-control"       # default: none
//!
//! [[buckets]]
//! match = "*"
//! type = "directory"
//! path = "/srv/buckets"                   # bucket NAME is /srv/buckets/NAME; default: DATA_DIR/buckets
//! ```
//!
//! A bucket that no rule matches is a directory below `DATA_DIR/buckets`.

use std::path::PathBuf;

use serde::Deserialize;

use crate::credentials::Secret;

/// One `[[buckets]]` table.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum BucketRule {
    /// Buckets are directories.
    Directory(DirectoryRule),
    /// Buckets are those of an S3-compatible store.
    S3(S3Rule),
}

impl BucketRule {
    /// Which buckets it is for; `*` stands for any text.
    pub fn pattern(&self) -> &str {
        match self {
            BucketRule::Directory(rule) => &rule.pattern,
            BucketRule::S3(rule) => &rule.pattern,
        }
    }

    /// `--s3-endpoint URL`: every bucket is there, path style, with the usual AWS credentials.
    pub fn every_bucket_at(endpoint: impl Into<String>) -> Self {
        BucketRule::S3(S3Rule {
            pattern: any_bucket(),
            endpoint: Some(endpoint.into()),
            ..S3Rule::default()
        })
    }

    /// `--s3-endpoint aws`: every bucket is Amazon's, with the usual AWS credentials.
    pub fn every_bucket_at_aws() -> Self {
        BucketRule::S3(S3Rule {
            pattern: any_bucket(),
            ..S3Rule::default()
        })
    }
}

/// Buckets as directories.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DirectoryRule {
    /// Which buckets.
    #[serde(rename = "match", default = "any_bucket")]
    pub pattern: String,
    /// The directory that holds the buckets; `None` is `DATA_DIR/buckets`.
    #[serde(default)]
    pub path: Option<PathBuf>,
}

/// Buckets of an S3-compatible store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct S3Rule {
    /// Which buckets.
    #[serde(rename = "match", default = "any_bucket")]
    pub pattern: String,
    /// `http://` or `https://`, host and port; `None` is AWS.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// The region to sign for; `None` is the stream's.
    #[serde(default)]
    pub region: Option<String>,
    /// The bucket is in the URL's path, not in its host name. By default so with an endpoint.
    #[serde(default)]
    pub path_style: Option<bool>,
    /// With `secret_access_key`: credentials instead of the usual AWS chain.
    #[serde(default)]
    pub access_key_id: Option<String>,
    /// See `access_key_id`.
    #[serde(default)]
    pub secret_access_key: Option<Secret>,
    /// Goes with the two, for temporary credentials.
    #[serde(default)]
    pub session_token: Option<Secret>,
    /// Where to assume a stream's RoleARN; `None` uses the credentials as they are.
    #[serde(default)]
    pub sts_endpoint: Option<String>,
    /// Whether signatures cover the bodies of uploads. By default only where others could change them: over plain
    /// `http://` to another machine.
    #[serde(default)]
    pub sign_payload: Option<bool>,
    /// `x-amz-acl` of every object.
    #[serde(default)]
    pub acl: Option<String>,
}

fn any_bucket() -> String {
    "*".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct File {
        buckets: Vec<BucketRule>,
    }

    #[test]
    fn rules_are_read_and_typos_refused() {
        let file: File = toml::from_str(
            r#"
            [[buckets]]
            match = "archive-*"
            type = "s3"
            endpoint = "http://127.0.0.1:9000"
            access_key_id = "AK"
            secret_access_key = "very secret"

            [[buckets]]
            type = "directory"
            path = "/srv/buckets"
            "#,
        )
        .unwrap();
        assert_eq!(file.buckets[0].pattern(), "archive-*");
        assert_eq!(file.buckets[1].pattern(), "*");
        assert!(!format!("{file:?}").contains("very secret"));
        let typo = toml::from_str::<File>("[[buckets]]\ntype = \"s3\"\nendpiont = \"http://h\"");
        assert!(typo.unwrap_err().to_string().contains("endpiont"));
    }
}
