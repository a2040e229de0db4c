//! How a request makes or changes a destination, field by field (SPEC §2.2, §2.6).
//!
//! A request says something of a destination or nothing: [`Change`]. Creating lays that over the
//! defaults, updating lays it over what is there; a change of the destination's type starts from the
//! defaults again. So there is one set of rules:
//!
//! * what is not said stays; what is said replaces, `""` included;
//! * of the buffering hints each half stands for itself;
//! * encryption, the COPY command, the retry options, and each echoed member, is replaced as one unit;
//! * the S3 leg of a Redshift destination is merged by these same rules.

use serde_json::{Map, Value, json};

use super::spec::{
    BufferingHints, CompressionFormat, CopyCommand, Destination, Encryption, RedshiftSpec, S3Spec,
};
use crate::credentials::Sealed;

/// What a request says of a destination.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// It is S3, and this of it.
    S3(S3Change),
    /// It is Redshift, and this of it.
    Redshift(Box<RedshiftChange>),
}

/// What a request says of an S3 destination; `None` where it says nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct S3Change {
    /// `RoleARN`.
    pub role_arn: Option<String>,
    /// `BucketARN`.
    pub bucket_arn: Option<String>,
    /// `Prefix`; `Some("")` clears.
    pub prefix: Option<String>,
    /// `BufferingHints.SizeInMBs`.
    pub size_mb: Option<u32>,
    /// `BufferingHints.IntervalInSeconds`.
    pub interval_s: Option<u32>,
    /// `CompressionFormat`.
    pub compression: Option<CompressionFormat>,
    /// `EncryptionConfiguration`.
    pub encryption: Option<Encryption>,
    /// Members that Describe gives back, by name.
    pub echoed: Map<String, Value>,
}

/// What a request says of a Redshift destination; `None` where it says nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RedshiftChange {
    /// `RoleARN`.
    pub role_arn: Option<String>,
    /// `ClusterJDBCURL`.
    pub jdbc_url: Option<String>,
    /// `Username`.
    pub username: Option<String>,
    /// `Password`, sealed for the stream.
    pub password: Option<Sealed>,
    /// `CopyCommand`: columns and options that it does not name are cleared.
    pub copy: Option<CopyCommand>,
    /// `RetryOptions.DurationInSeconds`.
    pub retry_s: Option<u32>,
    /// `S3Configuration` or `S3Update`.
    pub s3: S3Change,
    /// Members that Describe gives back, by name.
    pub echoed: Map<String, Value>,
}

/// A member without which there can be no such destination, by its path in an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} must be given")]
pub struct Missing(pub &'static str);

impl Change {
    /// The destination that `present`, if there is one, becomes.
    ///
    /// # Errors
    /// [`Missing`] when there is none of that type yet and the change does not say enough.
    pub fn apply(self, present: Option<&Destination>) -> Result<Destination, Missing> {
        match self {
            Change::S3(change) => {
                let base = match present {
                    Some(Destination::S3(spec)) => spec.clone(),
                    // Of another type nothing is kept (SPEC §2.6).
                    Some(Destination::Redshift(_)) | None => {
                        let mut base = change.base("RoleARN", "BucketARN")?;
                        base.echoed.append(&mut backup_disabled());
                        base
                    }
                };
                Ok(Destination::S3(change.over(base)))
            }
            Change::Redshift(change) => {
                let base = match present {
                    Some(Destination::Redshift(spec)) => RedshiftSpec::clone(spec),
                    Some(Destination::S3(_)) | None => change.base()?,
                };
                Ok(Destination::Redshift(Box::new(change.over(base))))
            }
        }
    }
}

fn logging_disabled() -> Map<String, Value> {
    Map::from_iter([("CloudWatchLoggingOptions".into(), json!({"Enabled": false}))])
}

fn backup_disabled() -> Map<String, Value> {
    Map::from_iter([("S3BackupMode".into(), json!("Disabled"))])
}

impl S3Change {
    /// A new destination with AWS's defaults, written down now so that a later release with other
    /// defaults changes nothing. `role` and `bucket` are the paths of what it cannot do without.
    fn base(&self, role: &'static str, bucket: &'static str) -> Result<S3Spec, Missing> {
        Ok(S3Spec {
            role_arn: self.role_arn.clone().ok_or(Missing(role))?,
            bucket_arn: self.bucket_arn.clone().ok_or(Missing(bucket))?,
            prefix: None,
            buffering: BufferingHints::DEFAULT,
            compression: CompressionFormat::default(),
            encryption: Encryption::default(),
            echoed: logging_disabled(),
        })
    }

    fn over(self, base: S3Spec) -> S3Spec {
        let mut echoed = base.echoed;
        echoed.extend(self.echoed);
        S3Spec {
            role_arn: self.role_arn.unwrap_or(base.role_arn),
            bucket_arn: self.bucket_arn.unwrap_or(base.bucket_arn),
            prefix: self.prefix.or(base.prefix),
            buffering: BufferingHints {
                size_mb: self.size_mb.unwrap_or(base.buffering.size_mb),
                interval_s: self.interval_s.unwrap_or(base.buffering.interval_s),
            },
            compression: self.compression.unwrap_or(base.compression),
            encryption: self.encryption.unwrap_or(base.encryption),
            echoed,
        }
    }
}

impl RedshiftChange {
    /// As [`S3Change::base`]. The first member that is missing is named, in the model's order.
    fn base(&self) -> Result<RedshiftSpec, Missing> {
        let mut echoed = logging_disabled();
        echoed.append(&mut backup_disabled());
        Ok(RedshiftSpec {
            role_arn: self.role_arn.clone().ok_or(Missing("RoleARN"))?,
            jdbc_url: self.jdbc_url.clone().ok_or(Missing("ClusterJDBCURL"))?,
            copy: self.copy.clone().ok_or(Missing("CopyCommand"))?,
            username: self.username.clone().ok_or(Missing("Username"))?,
            password: self.password.clone().ok_or(Missing("Password"))?,
            retry_s: RedshiftSpec::DEFAULT_RETRY_S,
            s3: self.s3.base("S3Update.RoleARN", "S3Update.BucketARN")?,
            echoed,
        })
    }

    fn over(self, base: RedshiftSpec) -> RedshiftSpec {
        let mut echoed = base.echoed;
        echoed.extend(self.echoed);
        RedshiftSpec {
            role_arn: self.role_arn.unwrap_or(base.role_arn),
            jdbc_url: self.jdbc_url.unwrap_or(base.jdbc_url),
            copy: self.copy.unwrap_or(base.copy),
            username: self.username.unwrap_or(base.username),
            password: self.password.unwrap_or(base.password),
            retry_s: self.retry_s.unwrap_or(base.retry_s),
            s3: self.s3.over(base.s3),
            echoed,
        }
    }
}

#[cfg(test)]
mod tests;
