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
mod tests {
    use proptest::{option, prelude::*};

    use super::*;

    fn s3(destination: &Destination) -> &S3Spec {
        destination.s3()
    }

    fn formats() -> impl Strategy<Value = CompressionFormat> {
        prop_oneof![
            Just(CompressionFormat::Uncompressed),
            Just(CompressionFormat::Gzip),
            Just(CompressionFormat::Snappy),
        ]
    }

    fn encryption() -> impl Strategy<Value = Encryption> {
        prop_oneof![
            Just(Encryption::None),
            "[a-z]{1,3}".prop_map(|key_arn| Encryption::Kms { key_arn }),
        ]
    }

    fn echoed() -> impl Strategy<Value = Map<String, Value>> {
        let name = prop_oneof![Just("S3BackupMode"), Just("FileExtension")];
        proptest::collection::hash_map(name, "[a-z]{0,2}", 0..3).prop_map(|members| {
            let member = |(name, value): (&str, String)| (name.to_owned(), json!(value));
            members.into_iter().map(member).collect()
        })
    }

    prop_compose! {
        fn change()(
            role_arn in option::of("[a-z]{1,3}"),
            bucket_arn in option::of("[a-z]{1,3}"),
            prefix in option::of("[a-z/]{0,3}"),
            size_mb in option::of(1u32..=128),
            interval_s in option::of(0u32..=900),
            compression in option::of(formats()),
            encryption in option::of(encryption()),
            echoed in echoed(),
        ) -> S3Change {
            S3Change {
                role_arn, bucket_arn, prefix, size_mb, interval_s, compression, encryption, echoed,
            }
        }
    }

    /// What a field should be: the last change that said something, else the default.
    fn last<T: Clone>(changes: &[S3Change], field: impl Fn(&S3Change) -> Option<T>, or: T) -> T {
        changes.iter().rev().find_map(field).unwrap_or(or)
    }

    proptest! {
        /// After any run of changes each field is what was last said of it.
        #[test]
        fn each_field_is_what_was_last_said(mut changes in proptest::collection::vec(change(), 1..6)) {
            changes[0].role_arn.get_or_insert("role".to_owned());
            changes[0].bucket_arn.get_or_insert("bucket".to_owned());
            let mut present: Option<Destination> = None;
            for change in &changes {
                present = Some(Change::S3(change.clone()).apply(present.as_ref()).unwrap());
            }
            let destination = present.unwrap();
            let spec = s3(&destination);
            let c = &changes;
            prop_assert_eq!(&spec.role_arn, &last(c, |c| c.role_arn.clone(), String::new()));
            prop_assert_eq!(&spec.bucket_arn, &last(c, |c| c.bucket_arn.clone(), String::new()));
            prop_assert_eq!(&spec.prefix, &last(c, |c| c.prefix.clone().map(Some), None));
            prop_assert_eq!(spec.buffering.size_mb, last(c, |c| c.size_mb, 5));
            prop_assert_eq!(spec.buffering.interval_s, last(c, |c| c.interval_s, 300));
            prop_assert_eq!(
                spec.compression,
                last(c, |c| c.compression, CompressionFormat::Uncompressed)
            );
            prop_assert_eq!(&spec.encryption, &last(c, |c| c.encryption.clone(), Encryption::None));
            for name in ["S3BackupMode", "FileExtension", "CloudWatchLoggingOptions"] {
                let default = match name {
                    "S3BackupMode" => Some(json!("Disabled")),
                    "CloudWatchLoggingOptions" => Some(json!({"Enabled": false})),
                    _ => None,
                };
                let expected = last(c, |c| c.echoed.get(name).cloned().map(Some), default);
                prop_assert_eq!(spec.echoed.get(name), expected.as_ref());
            }
        }

        /// A change that says nothing changes nothing.
        #[test]
        fn silence_changes_nothing(mut first in change()) {
            first.role_arn.get_or_insert("role".to_owned());
            first.bucket_arn.get_or_insert("bucket".to_owned());
            let made = Change::S3(first).apply(None).unwrap();
            let same = Change::S3(S3Change::default()).apply(Some(&made)).unwrap();
            prop_assert_eq!(made, same);
        }
    }

    #[test]
    fn a_destination_needs_a_role_and_a_bucket() {
        let role = S3Change {
            role_arn: Some("r".to_owned()),
            ..S3Change::default()
        };
        let missing = Change::S3(S3Change::default()).apply(None);
        assert_eq!(missing, Err(Missing("RoleARN")));
        assert_eq!(Change::S3(role).apply(None), Err(Missing("BucketARN")));
    }
}
