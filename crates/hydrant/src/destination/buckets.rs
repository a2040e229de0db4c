//! What a bucket's name means: by the first rule whose pattern matches, a directory or a bucket of a store.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    DeliveryError, Destination, Destinations,
    directory::{Directory, Durable, Machine},
    key,
    s3::{Place, S3, SharedClient, payload},
};
use crate::{
    config::{BucketRule, S3Rule},
    credentials::{
        Outbound,
        outbound::{Base, CredentialsError, Role, Source, StaticKey},
    },
    stream::{CompressionFormat, Encryption, S3Spec},
};

/// Every bucket that streams may name.
#[derive(Debug)]
pub struct Buckets {
    rules: Vec<BucketRule>,
    /// Where buckets are that no rule matches.
    default_root: PathBuf,
    outbound: Arc<Outbound>,
    client: SharedClient,
    machine: Machine,
    roots: Mutex<HashMap<PathBuf, Arc<Durable>>>,
}

/// A rule, applied to one stream.
enum Meant<'r> {
    Directory(PathBuf),
    S3(&'r S3Rule),
}

impl Buckets {
    /// The buckets of `rules`; those that no rule matches are directories below `default_root`.
    ///
    /// # Errors
    /// When a rule cannot hold, in words that name it.
    pub fn new(
        rules: Vec<BucketRule>,
        default_root: PathBuf,
        outbound: Arc<Outbound>,
    ) -> Result<Self, String> {
        for rule in &rules {
            if let BucketRule::S3(rule) = rule {
                check_rule(rule)?;
            }
        }
        Ok(Buckets {
            rules,
            default_root,
            outbound,
            client: SharedClient::default(),
            machine: Machine::default(),
            roots: Mutex::default(),
        })
    }

    /// On another machine: its disk for directories, its network for stores.
    pub fn on(self, machine: Machine, client: SharedClient) -> Self {
        Buckets {
            machine,
            client,
            ..self
        }
    }

    /// Removes what a crash left half written in directories; how many objects. To be called before delivery starts.
    pub fn sweep(&self) -> usize {
        let mut roots = vec![self.default_root.as_path()];
        for rule in &self.rules {
            if let BucketRule::Directory(rule) = rule {
                roots.extend(rule.path.as_deref());
            }
        }
        roots.sort_unstable();
        roots.dedup();
        let sweep = |root| Directory::sweep(&*self.machine.files, root);
        roots.into_iter().map(sweep).sum()
    }

    /// Checks what can be checked of a configuration before a stream gets it, for a stream in `region`.
    ///
    /// # Errors
    /// The message of the InvalidArgumentException that refuses it (SPEC §2.2).
    pub async fn vet(&self, spec: &S3Spec, region: &str) -> Result<(), String> {
        key::check_bucket(spec.bucket()).map_err(|detail| {
            format!(
                "BucketARN {} names no possible bucket: {detail}",
                spec.bucket_arn
            )
        })?;
        // What follows the prefix in a key is longer than anything else that could be wrong with it.
        self.check_key(spec, &sample_key(spec))?;
        match self.meant(spec.bucket()) {
            Meant::Directory(_) => {
                if let Encryption::Kms { .. } = spec.encryption {
                    return Err(format!(
                        "EncryptionConfiguration: bucket {} is a directory, which cannot encrypt under a KMS key",
                        spec.bucket()
                    ));
                }
            }
            Meant::S3(rule) => {
                if rule.sts_endpoint.is_some() {
                    let source = self.source(rule, spec, region);
                    match source.credential().await {
                        Ok(_) => {}
                        Err(error @ CredentialsError::RoleRefused { .. }) => {
                            tracing::info!(%error, "a stream was refused");
                            return Err(format!(
                                "Firehose is unable to assume role {}. Please check the role provided.",
                                spec.role_arn
                            ));
                        }
                        // STS or the base credentials are out of order: that is told when delivery fails.
                        Err(error) => {
                            tracing::warn!(%error, "a stream's role could not be checked");
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Checks that the bucket can also name the manifests of a warehouse, and those that are given up: beside the objects,
    /// yet with other components.
    ///
    /// # Errors
    /// As [`vet`](Self::vet).
    pub fn vet_manifests(&self, spec: &S3Spec) -> Result<(), String> {
        let name = "n".repeat(64);
        for place in ["", "errors/"] {
            let key = format!(
                "{}{place}manifests/yyyy/MM/dd/HH/{name}-yyyy-MM-dd-HH-mm-ss-{}",
                spec.prefix(),
                uuid::Uuid::nil()
            );
            self.check_key(spec, &key)?;
        }
        Ok(())
    }

    fn check_key(&self, spec: &S3Spec, key: &str) -> Result<(), String> {
        let checked = match self.meant(spec.bucket()) {
            Meant::Directory(_) => key::path_components(key).map(drop),
            Meant::S3(_) => key::check_url(key),
        };
        checked.map_err(|detail| bad_prefix(spec, &detail))
    }

    /// By what the bucket of `spec` is reached, for a stream in `region`; `None` when it is a directory, which nobody else
    /// can reach.
    pub fn credentials(&self, spec: &S3Spec, region: &str) -> Option<Arc<Source>> {
        match self.meant(spec.bucket()) {
            Meant::Directory(_) => None,
            Meant::S3(rule) => Some(self.source(rule, spec, region)),
        }
    }

    fn meant(&self, bucket: &str) -> Meant<'_> {
        let rule = self
            .rules
            .iter()
            .find(|rule| matches(rule.pattern(), bucket));
        match rule {
            Some(BucketRule::S3(rule)) => Meant::S3(rule),
            Some(BucketRule::Directory(rule)) => Meant::Directory(
                rule.path
                    .clone()
                    .unwrap_or_else(|| self.default_root.clone()),
            ),
            None => Meant::Directory(self.default_root.clone()),
        }
    }

    fn root(&self, root: &Path) -> Arc<Durable> {
        let mut roots = self.roots.lock().unwrap_or_else(PoisonError::into_inner);
        roots
            .entry(root.to_owned())
            .or_insert_with(|| Durable::new(root.to_owned(), self.machine.clone()))
            .clone()
    }

    fn source(&self, rule: &S3Rule, spec: &S3Spec, region: &str) -> Arc<Source> {
        let base = match (&rule.access_key_id, &rule.secret_access_key) {
            (Some(id), Some(secret)) => Base::Static(StaticKey {
                id: id.clone(),
                secret: secret.clone(),
                token: rule.session_token.clone(),
            }),
            _ => Base::DefaultChain,
        };
        let role = rule.sts_endpoint.as_ref().map(|endpoint| Role {
            arn: spec.role_arn.clone(),
            endpoint: endpoint.clone(),
            region: rule.region.clone().unwrap_or_else(|| region.to_owned()),
        });
        self.outbound.source(&base, role.as_ref())
    }
}

impl Destinations for Buckets {
    fn find(&self, spec: &S3Spec, region: &str) -> Result<Arc<dyn Destination>, DeliveryError> {
        key::check_bucket(spec.bucket())
            .map_err(|detail| DeliveryError::refused("S3.NoSuchBucket", detail))?;
        match self.meant(spec.bucket()) {
            Meant::Directory(root) => {
                if let Encryption::Kms { .. } = spec.encryption {
                    return Err(DeliveryError::refused(
                        "S3.KMS.NotFoundException",
                        "the bucket is a directory, which cannot encrypt under a KMS key",
                    ));
                }
                Ok(Arc::new(Directory::new(self.root(&root), spec.bucket())))
            }
            Meant::S3(rule) => {
                let path_style = rule.path_style.unwrap_or(rule.endpoint.is_some());
                let by_default = || payload::is_signed(rule.endpoint.as_deref());
                Ok(Arc::new(S3::new(
                    &self.client,
                    Place {
                        bucket: spec.bucket().to_owned(),
                        region: rule.region.clone().unwrap_or_else(|| region.to_owned()),
                        endpoint: rule.endpoint.clone(),
                        path_style,
                        sign_payload: rule.sign_payload.unwrap_or_else(by_default),
                        acl: rule.acl.clone(),
                        encryption: spec.encryption.clone(),
                    },
                    self.source(rule, spec, region),
                )))
            }
        }
    }
}

fn check_rule(rule: &S3Rule) -> Result<(), String> {
    let name = format!("[[buckets]] match = {:?}", rule.pattern);
    for (setting, url) in [
        ("endpoint", &rule.endpoint),
        ("sts_endpoint", &rule.sts_endpoint),
    ] {
        let Some(url) = url else { continue };
        let parsed = url::Url::parse(url).map_err(|error| format!("{name}: {setting}: {error}"))?;
        if !matches!(parsed.scheme(), "http" | "https") || parsed.host().is_none() {
            return Err(format!(
                "{name}: {setting} must be http:// or https:// and a host, not {url:?}"
            ));
        }
    }
    if rule.access_key_id.is_some() != rule.secret_access_key.is_some() {
        return Err(format!(
            "{name}: access_key_id and secret_access_key go together"
        ));
    }
    if rule.session_token.is_some() && rule.access_key_id.is_none() {
        return Err(format!("{name}: session_token needs access_key_id"));
    }
    if rule.acl.as_ref().is_some_and(|acl| {
        acl.is_empty() || !acl.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    }) {
        return Err(format!("{name}: acl is no canned ACL's name"));
    }
    Ok(())
}

/// A key as long as any that the prefix can lead to.
fn sample_key(spec: &S3Spec) -> String {
    let name = "n".repeat(64);
    let extension = match spec.compression {
        CompressionFormat::Uncompressed => "",
        _ => ".snappy",
    };
    format!(
        "{}yyyy/MM/dd/HH/{name}-{}-yyyy-MM-dd-HH-mm-ss-{}{extension}",
        spec.prefix(),
        u32::MAX,
        uuid::Uuid::nil()
    )
}

fn bad_prefix(spec: &S3Spec, detail: &str) -> String {
    format!(
        "Prefix {:?} cannot begin an object's key: {detail}",
        spec.prefix()
    )
}

/// Whether `text` is as `pattern` says, in which each `*` stands for any text.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let Some(last) = parts.next_back() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.len() >= last.len() && rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use hydrant_engine::SystemClock;

    use super::*;
    use crate::stream::BufferingHints;

    fn spec(bucket: &str, prefix: &str) -> S3Spec {
        S3Spec {
            role_arn: "arn:aws:iam::000000000000:role/r".to_owned(),
            bucket_arn: format!("arn:aws:s3:::{bucket}"),
            prefix: Some(prefix.to_owned()),
            buffering: BufferingHints::DEFAULT,
            compression: CompressionFormat::Gzip,
            encryption: Encryption::None,
            echoed: serde_json::Map::new(),
        }
    }

    fn buckets(rules: Vec<BucketRule>) -> Result<Buckets, String> {
        let outbound = Outbound::new(Arc::new(SystemClock::new()));
        Buckets::new(rules, PathBuf::from("/nowhere/buckets"), outbound)
    }

    #[test]
    fn patterns() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("*", "anything", true),
            ("logs", "logs", true),
            ("logs", "logs2", false),
            ("logs-*", "logs-", true),
            ("logs-*", "my-logs-1", false),
            ("*-a-*-b", "x-a-y-b", true),
            ("*-a-*-b", "x-a-b", false),
            ("ab*ba", "aba", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn the_first_rule_that_matches_holds() {
        let s3 = BucketRule::S3(S3Rule {
            pattern: "archive-*".to_owned(),
            ..S3Rule::default()
        });
        let buckets = buckets(vec![s3, BucketRule::every_bucket_at("http://127.0.0.1:1")]).unwrap();
        let Meant::S3(first) = buckets.meant("archive-2015") else {
            panic!("a directory");
        };
        assert_eq!(first.endpoint, None);
        let Meant::S3(second) = buckets.meant("other") else {
            panic!("a directory");
        };
        assert_eq!(second.endpoint.as_deref(), Some("http://127.0.0.1:1"));
    }

    #[test]
    fn rules_that_cannot_hold_are_refused() {
        for (rule, named) in [
            (
                S3Rule {
                    endpoint: Some("minio:9000".to_owned()),
                    ..S3Rule::default()
                },
                "endpoint",
            ),
            (
                S3Rule {
                    sts_endpoint: Some("ftp://h".to_owned()),
                    ..S3Rule::default()
                },
                "sts_endpoint",
            ),
            (
                S3Rule {
                    access_key_id: Some("AK".to_owned()),
                    ..S3Rule::default()
                },
                "secret_access_key",
            ),
            (
                S3Rule {
                    acl: Some("a b".to_owned()),
                    ..S3Rule::default()
                },
                "acl",
            ),
        ] {
            let refusal = buckets(vec![BucketRule::S3(rule)]).unwrap_err();
            assert!(refusal.contains(named), "{refusal}");
        }
    }

    #[tokio::test]
    async fn what_a_directory_cannot_do_is_refused_at_creation() {
        let buckets = buckets(Vec::new()).unwrap();
        let vet = async |spec: S3Spec| buckets.vet(&spec, "us-east-1").await;
        vet(spec("logs", "a/../b//")).await.unwrap();
        vet(spec("a/b", "")).await.unwrap_err();
        vet(spec("..", "")).await.unwrap_err();
        vet(spec("logs", &"p".repeat(200))).await.unwrap();
        // The last component of the prefix and the year become one directory.
        let long = vet(spec("logs", &"p".repeat(300))).await.unwrap_err();
        assert!(long.starts_with("Prefix "), "{long}");
        // That year is shorter than what stands in its place in a manifest's key.
        let objects_alone = spec("logs", &"p".repeat(251));
        vet(objects_alone.clone()).await.unwrap();
        let long = buckets.vet_manifests(&objects_alone).unwrap_err();
        assert!(long.starts_with("Prefix "), "{long}");
        buckets
            .vet_manifests(&spec("logs", &"p".repeat(246)))
            .unwrap();
        let encrypted = S3Spec {
            encryption: Encryption::Kms {
                key_arn: "arn:aws:kms:us-east-1:000000000000:key/k".to_owned(),
            },
            ..spec("logs", "")
        };
        let refusal = vet(encrypted.clone()).await.unwrap_err();
        assert!(refusal.contains("KMS"), "{refusal}");
        assert!(buckets.find(&encrypted, "us-east-1").is_err());
    }
}
