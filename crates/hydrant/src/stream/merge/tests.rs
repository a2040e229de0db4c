use proptest::{collection::vec, option, prelude::*};

use super::*;

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

fn echoed(names: &'static [&'static str]) -> impl Strategy<Value = Map<String, Value>> {
    let name = proptest::sample::select(names);
    proptest::collection::hash_map(name, "[a-z]{0,2}", 0..3).prop_map(|members| {
        let member = |(name, value): (&str, String)| (name.to_owned(), json!(value));
        members.into_iter().map(member).collect()
    })
}

/// Required in a new destination, so mostly there.
fn name() -> impl Strategy<Value = Option<String>> {
    option::weighted(0.85, "[a-z]{1,3}")
}

fn sealed() -> impl Strategy<Value = Sealed> {
    "[a-z]{1,3}".prop_map(|text| serde_json::from_value(json!(text)).unwrap())
}

prop_compose! {
    fn s3()(
        role_arn in name(),
        bucket_arn in name(),
        prefix in option::of("[a-z/]{0,3}"),
        size_mb in option::of(1u32..=128),
        interval_s in option::of(0u32..=900),
        compression in option::of(formats()),
        encryption in option::of(encryption()),
        echoed in echoed(&["S3BackupMode", "FileExtension"]),
    ) -> S3Change {
        S3Change {
            role_arn, bucket_arn, prefix, size_mb, interval_s, compression, encryption, echoed,
        }
    }
}

prop_compose! {
    fn copy()(
        table in "[a-z]{1,3}",
        columns in option::of("[a-z,]{0,3}"),
        options in option::of("[a-z ]{0,3}"),
    ) -> CopyCommand {
        CopyCommand { table, columns, options }
    }
}

prop_compose! {
    fn redshift()(
        role_arn in name(),
        jdbc_url in name(),
        username in name(),
        password in option::weighted(0.85, sealed()),
        copy in option::weighted(0.85, copy()),
        retry_s in option::of(0u32..=7200),
        s3 in s3(),
        echoed in echoed(&["S3BackupMode", "SecretsManagerConfiguration"]),
    ) -> RedshiftChange {
        RedshiftChange { role_arn, jdbc_url, username, password, copy, retry_s, s3, echoed }
    }
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        s3().prop_map(Change::S3),
        redshift().prop_map(|change| Change::Redshift(Box::new(change))),
    ]
}

/// What was last said of a field.
fn last<C, T>(changes: &[C], field: impl Fn(&C) -> Option<T>) -> Option<T> {
    changes.iter().rev().find_map(field)
}

/// Each name's last value, over those that there are without a word.
fn last_echoed<'c>(
    defaults: &[(&str, Value)],
    said: impl Iterator<Item = &'c Map<String, Value>>,
) -> Map<String, Value> {
    let defaults = defaults
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()));
    let said = said.flat_map(|echoed| echoed.clone());
    defaults.chain(said).collect()
}

fn logging() -> (&'static str, Value) {
    ("CloudWatchLoggingOptions", json!({"Enabled": false}))
}

fn backup() -> (&'static str, Value) {
    ("S3BackupMode", json!("Disabled"))
}

/// The rules anew: each field is what was last said of it, else the default.
fn s3_spec(c: &[S3Change], defaults: &[(&str, Value)]) -> Option<S3Spec> {
    Some(S3Spec {
        role_arn: last(c, |c| c.role_arn.clone())?,
        bucket_arn: last(c, |c| c.bucket_arn.clone())?,
        prefix: last(c, |c| c.prefix.clone()),
        buffering: BufferingHints {
            size_mb: last(c, |c| c.size_mb).unwrap_or(5),
            interval_s: last(c, |c| c.interval_s).unwrap_or(300),
        },
        compression: last(c, |c| c.compression).unwrap_or(CompressionFormat::Uncompressed),
        encryption: last(c, |c| c.encryption.clone()).unwrap_or(Encryption::None),
        echoed: last_echoed(defaults, c.iter().map(|c| &c.echoed)),
    })
}

fn redshift_spec(c: &[RedshiftChange]) -> Option<RedshiftSpec> {
    let legs: Vec<S3Change> = c.iter().map(|c| c.s3.clone()).collect();
    Some(RedshiftSpec {
        role_arn: last(c, |c| c.role_arn.clone())?,
        jdbc_url: last(c, |c| c.jdbc_url.clone())?,
        username: last(c, |c| c.username.clone())?,
        password: last(c, |c| c.password.clone())?,
        copy: last(c, |c| c.copy.clone())?,
        retry_s: last(c, |c| c.retry_s).unwrap_or(3600),
        s3: s3_spec(&legs, &[logging()])?,
        echoed: last_echoed(&[logging(), backup()], c.iter().map(|c| &c.echoed)),
    })
}

/// What has been said since the destination became of the type that it is.
enum Said {
    S3(Vec<S3Change>),
    Redshift(Vec<RedshiftChange>),
}

impl Said {
    fn with(&self, change: Change) -> Said {
        match (self, change) {
            (Said::S3(said), Change::S3(change)) => Said::S3([&said[..], &[change]].concat()),
            (Said::Redshift(said), Change::Redshift(change)) => {
                Said::Redshift([&said[..], &[*change]].concat())
            }
            (_, Change::S3(change)) => Said::S3(vec![change]),
            (_, Change::Redshift(change)) => Said::Redshift(vec![*change]),
        }
    }

    fn destination(&self) -> Option<Destination> {
        match self {
            Said::S3(said) => s3_spec(said, &[logging(), backup()]).map(Destination::S3),
            Said::Redshift(said) => {
                redshift_spec(said).map(|spec| Destination::Redshift(Box::new(spec)))
            }
        }
    }
}

proptest! {
    /// After any run of changes each field is what was last said of it since the type changed; a change of type that
    /// does not say enough is refused and changes nothing.
    #[test]
    fn each_field_is_what_was_last_said(changes in vec(change(), 1..8)) {
        let mut present: Option<Destination> = None;
        let mut said = Said::S3(Vec::new());
        for change in changes {
            let now = said.with(change.clone());
            let made = change.apply(present.as_ref()).ok();
            prop_assert_eq!(&made, &now.destination());
            if made.is_some() {
                (present, said) = (made, now);
            }
        }
    }

    /// A change that says nothing changes nothing.
    #[test]
    fn silence_changes_nothing(first in change()) {
        let silence = match &first {
            Change::S3(_) => Change::S3(S3Change::default()),
            Change::Redshift(_) => Change::Redshift(Box::default()),
        };
        if let Ok(made) = first.apply(None) {
            let same = silence.apply(Some(&made)).unwrap();
            prop_assert_eq!(made, same);
        }
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

#[test]
fn a_redshift_destination_needs_what_it_cannot_have_a_default_for() {
    let mut change = RedshiftChange::default();
    let text = || Some("x".to_owned());
    let mut missing = Vec::new();
    while let Err(Missing(member)) = Change::Redshift(Box::new(change.clone())).apply(None) {
        missing.push(member);
        match member {
            "RoleARN" => change.role_arn = text(),
            "ClusterJDBCURL" => change.jdbc_url = text(),
            "CopyCommand" => change.copy = Some(CopyCommand::default()),
            "Username" => change.username = text(),
            "Password" => change.password = serde_json::from_value(json!("x")).unwrap(),
            "S3Update.RoleARN" => change.s3.role_arn = text(),
            "S3Update.BucketARN" => change.s3.bucket_arn = text(),
            other => panic!("{other}"),
        }
    }
    let expected = [
        "RoleARN",
        "ClusterJDBCURL",
        "CopyCommand",
        "Username",
        "Password",
        "S3Update.RoleARN",
        "S3Update.BucketARN",
    ];
    assert_eq!(missing, expected);
}
