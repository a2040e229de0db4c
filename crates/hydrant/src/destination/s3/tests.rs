//! Against a real store: radosgw, which verifies signatures, knows KMS keys and assumes roles.
//!
//! `HYDRANT_TEST_S3` says where it is (see `compat/lib/radosgw.py`, whose `--run` sets it). Without it
//! these tests start one themselves if Debian's `radosgw` is installed, and say so if it is not.

use std::{
    path::PathBuf,
    process::Child,
    sync::{Arc, OnceLock},
};

use async_trait::async_trait;
use futures::StreamExt;
use hydrant_engine::SystemClock;
use object_store::{
    ClientOptions,
    aws::{AwsAuthorizer, AwsCredential},
    client::{HttpClient, HttpConnector, HttpRequest, HttpRequestBody, ReqwestConnector},
};
use serde::Deserialize;

use crate::{
    config::{BucketRule, S3Rule},
    credentials::{Outbound, Secret},
    destination::{
        Buckets, DeliveryError, Destination, Destinations, Object,
        conformance::{self, Inspect, noise, object},
        started,
    },
    stream::{BufferingHints, CompressionFormat, Encryption, S3Spec},
};

#[derive(Clone, Debug, Deserialize)]
struct Info {
    endpoint: String,
    sts_endpoint: String,
    region: String,
    access_key: String,
    secret_key: String,
    assumer_access_key: String,
    assumer_secret_key: String,
    role_arn: String,
    forbidden_role_arn: String,
    kms_key_arn: String,
    unknown_kms_key_arn: String,
}

/// The store, started at most once.
fn info() -> Option<&'static Info> {
    static INFO: OnceLock<Option<(Info, Option<Child>)>> = OnceLock::new();
    let needs = ["/usr/bin/radosgw", "/usr/bin/ceph-osd"];
    let found = INFO.get_or_init(|| started::found("HYDRANT_TEST_S3", "radosgw.py", &needs));
    if found.is_none() {
        eprintln!("skipped: neither HYDRANT_TEST_S3 nor Debian's radosgw, ceph-mon and ceph-osd");
    }
    found.as_ref().map(|(info, _)| info)
}

/// A plain client of its own, for buckets and for looking.
struct Raw {
    info: &'static Info,
    client: HttpClient,
    bucket: String,
}

impl Raw {
    async fn bucket(info: &'static Info, name: &str) -> Self {
        let options = ClientOptions::new().with_allow_http(true);
        let raw = Raw {
            info,
            client: ReqwestConnector::default().connect(&options).unwrap(),
            // Another for each run, since a store may be used by many.
            bucket: format!("{name}-{}", std::process::id()),
        };
        let (status, _, body) = raw.request("PUT", "").await;
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
        raw
    }

    async fn request(&self, method: &str, rest: &str) -> (u16, http::HeaderMap, Vec<u8>) {
        let mut request: HttpRequest = http::Request::builder()
            .method(method)
            .uri(format!("{}/{}{rest}", self.info.endpoint, self.bucket))
            .body(HttpRequestBody::empty())
            .unwrap();
        let credential = AwsCredential {
            key_id: self.info.access_key.clone(),
            secret_key: self.info.secret_key.clone(),
            token: None,
        };
        AwsAuthorizer::new(&credential, "s3", &self.info.region)
            .try_authorize(&mut request, None)
            .unwrap();
        let (parts, body) = self.client.execute(request).await.unwrap().into_parts();
        (
            parts.status.as_u16(),
            parts.headers,
            body.bytes().await.unwrap().to_vec(),
        )
    }

    async fn get(&self, key: &str) -> (u16, http::HeaderMap, Vec<u8>) {
        let encode = |byte: u8| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        };
        let key: String = key.bytes().map(encode).collect();
        self.request("GET", &format!("/{key}")).await
    }

    fn rule(&self) -> S3Rule {
        S3Rule {
            pattern: "*".to_owned(),
            endpoint: Some(self.info.endpoint.clone()),
            region: Some(self.info.region.clone()),
            access_key_id: Some(self.info.access_key.clone()),
            secret_access_key: Some(Secret::new(&self.info.secret_key)),
            ..S3Rule::default()
        }
    }

    fn spec(&self) -> S3Spec {
        S3Spec {
            role_arn: self.info.role_arn.clone(),
            bucket_arn: format!("arn:aws:s3:::{}", self.bucket),
            prefix: None,
            buffering: BufferingHints::DEFAULT,
            compression: CompressionFormat::Uncompressed,
            encryption: Encryption::None,
            echoed: serde_json::Map::new(),
        }
    }
}

#[async_trait]
impl Inspect for Raw {
    async fn read(&self, key: &str) -> Option<Vec<u8>> {
        let (status, _, body) = self.get(key).await;
        (status == 200).then_some(body)
    }

    async fn count(&self) -> usize {
        let (status, _, objects) = self.request("GET", "?list-type=2").await;
        assert_eq!(status, 200);
        // Aborts run on their own; they are over before the next thing a person does.
        for _ in 0..100 {
            let (_, _, uploads) = self.request("GET", "?uploads").await;
            if !String::from_utf8_lossy(&uploads).contains("<UploadId>") {
                return String::from_utf8_lossy(&objects).matches("<Key>").count();
            }
        }
        panic!("uploads were left behind");
    }
}

fn buckets(rule: S3Rule) -> Buckets {
    let outbound = Outbound::new(Arc::new(SystemClock::new()));
    Buckets::new(
        vec![BucketRule::S3(rule)],
        PathBuf::from("/nowhere"),
        outbound,
    )
    .unwrap()
}

fn destination(rule: S3Rule, spec: &S3Spec) -> Arc<dyn Destination> {
    buckets(rule).find(spec, "eu-central-1").unwrap()
}

fn kms(key_arn: &str) -> Encryption {
    Encryption::Kms {
        key_arn: key_arn.to_owned(),
    }
}

async fn refusal(rule: S3Rule, spec: &S3Spec) -> String {
    let error = destination(rule, spec)
        .deliver(&object("k", b"x"))
        .await
        .unwrap_err();
    assert!(matches!(error, DeliveryError::Refused { .. }), "{error:?}");
    eprintln!("{error}");
    error.code().to_owned()
}

#[tokio::test]
async fn keeps_the_promises() {
    let Some(info) = info() else { return };
    let raw = Raw::bucket(info, "promises").await;
    conformance::suite(&*destination(raw.rule(), &raw.spec()), &raw).await;
}

#[tokio::test]
async fn keeps_the_promises_with_signed_bodies() {
    let Some(info) = info() else { return };
    let raw = Raw::bucket(info, "signed").await;
    let rule = S3Rule {
        sign_payload: Some(true),
        ..raw.rule()
    };
    conformance::suite(&*destination(rule, &raw.spec()), &raw).await;
}

#[tokio::test]
async fn objects_have_their_headers_small_and_large() {
    let Some(info) = info() else { return };
    let raw = Raw::bucket(info, "headers").await;
    let spec = S3Spec {
        encryption: kms(&info.kms_key_arn),
        ..raw.spec()
    };
    let rule = S3Rule {
        acl: Some("bucket-owner-full-control".to_owned()),
        ..raw.rule()
    };
    let destination = destination(rule, &spec);
    for (key, size) in [("small", 10), ("large//key", 17 << 20)] {
        let object = Object {
            content_encoding: Some("snappy-java"),
            ..object(key, &noise(size))
        };
        destination.deliver(&object).await.unwrap();
        let (status, headers, body) = raw.get(key).await;
        assert_eq!(status, 200);
        assert!(body == noise(size));
        assert!(conformance::read(&*destination, key).await.unwrap() == noise(size));
        for (name, value) in [
            ("content-type", "application/octet-stream"),
            ("content-encoding", "snappy-java"),
            ("x-amz-server-side-encryption", "aws:kms"),
            (
                "x-amz-server-side-encryption-aws-kms-key-id",
                &info.kms_key_arn,
            ),
        ] {
            let found = headers.get(name).and_then(|found| found.to_str().ok());
            assert_eq!(found, Some(value), "{name} of {key}");
        }
    }
}

#[tokio::test]
async fn what_the_store_refuses_is_told_in_the_words_of_the_contract() {
    let Some(info) = info() else { return };
    let raw = Raw::bucket(info, "refusals").await;
    let missing = S3Spec {
        bucket_arn: "arn:aws:s3:::there-is-no-such-bucket".to_owned(),
        ..raw.spec()
    };
    assert_eq!(refusal(raw.rule(), &missing).await, "S3.NoSuchBucket");
    let unknown_key = S3Spec {
        encryption: kms(&info.unknown_kms_key_arn),
        ..raw.spec()
    };
    assert_eq!(
        refusal(raw.rule(), &unknown_key).await,
        "S3.KMS.NotFoundException"
    );
    let wrong_secret = S3Rule {
        secret_access_key: Some(Secret::new("wrong")),
        ..raw.rule()
    };
    assert_eq!(
        refusal(wrong_secret.clone(), &raw.spec()).await,
        "S3.AccessDenied"
    );
    let encrypted = S3Spec {
        encryption: kms(&info.kms_key_arn),
        ..raw.spec()
    };
    assert_eq!(refusal(wrong_secret, &encrypted).await, "S3.AccessDenied");
    let stranger = S3Rule {
        access_key_id: Some("AKIDOFNOBODYATALL".to_owned()),
        ..raw.rule()
    };
    assert_eq!(refusal(stranger, &raw.spec()).await, "S3.AccessDenied");
}

#[tokio::test]
async fn what_cannot_be_read_is_told_in_the_words_of_the_contract() {
    let Some(info) = info() else { return };
    let raw = Raw::bucket(info, "reading").await;
    let missing = S3Spec {
        bucket_arn: "arn:aws:s3:::there-is-no-such-bucket".to_owned(),
        ..raw.spec()
    };
    let wrong_secret = S3Rule {
        secret_access_key: Some(Secret::new("wrong")),
        ..raw.rule()
    };
    for (rule, spec, code) in [
        (raw.rule(), raw.spec(), "S3.NoSuchKey"),
        (raw.rule(), missing, "S3.NoSuchBucket"),
        (wrong_secret, raw.spec(), "S3.AccessDenied"),
    ] {
        let destination = destination(rule, &spec);
        let error = conformance::read(&*destination, "k").await.unwrap_err();
        assert!(matches!(error, DeliveryError::Refused { .. }), "{error:?}");
        assert_eq!(error.code(), code);
    }
}

#[tokio::test]
async fn an_object_that_is_replaced_while_it_is_read_ends_in_an_error() {
    let Some(info) = info() else { return };
    let raw = Raw::bucket(info, "replaced").await;
    let destination = destination(raw.rule(), &raw.spec());
    let pieces = super::read::READ_BYTES as usize;
    let before = noise(6 * pieces);
    destination.deliver(&object("k", &before)).await.unwrap();
    let mut reading = destination.read("k").await.unwrap();
    // Another of the same size; all that is known of the old one are the pieces that are on their way.
    let after = before.iter().map(|byte| byte ^ 1).collect::<Vec<_>>();
    destination.deliver(&object("k", &after)).await.unwrap();
    let mut good = Vec::new();
    let error = loop {
        match reading.next().await.expect("an error before the end") {
            Ok(piece) => good.extend_from_slice(&piece),
            Err(error) => break error,
        }
    };
    assert!(before.starts_with(&good) && good.len() <= 3 * pieces);
    assert!(matches!(error, DeliveryError::Retry { .. }), "{error:?}");
    assert!(reading.next().await.is_none());
}

#[tokio::test]
async fn a_role_is_assumed_and_one_that_cannot_be_is_told_at_creation() {
    let Some(info) = info() else { return };
    let raw = Raw::bucket(info, "roles").await;
    // One who may do nothing but assume the role.
    let assumer = S3Rule {
        access_key_id: Some(info.assumer_access_key.clone()),
        secret_access_key: Some(Secret::new(&info.assumer_secret_key)),
        ..raw.rule()
    };
    assert_eq!(
        refusal(assumer.clone(), &raw.spec()).await,
        "S3.AccessDenied"
    );
    let rule = S3Rule {
        sts_endpoint: Some(info.sts_endpoint.clone()),
        // Or the bucket's owner could not read what another account's role has put there.
        acl: Some("bucket-owner-full-control".to_owned()),
        ..assumer
    };
    let buckets = buckets(rule.clone());
    buckets.vet(&raw.spec(), "us-east-1").await.unwrap();
    let delivered = buckets.find(&raw.spec(), "us-east-1").unwrap();
    delivered.deliver(&object("a//b", b"x")).await.unwrap();
    assert_eq!(raw.read("a//b").await.as_deref(), Some(&b"x"[..]));

    let forbidden = S3Spec {
        role_arn: info.forbidden_role_arn.clone(),
        ..raw.spec()
    };
    assert_eq!(
        buckets.vet(&forbidden, "us-east-1").await.unwrap_err(),
        format!(
            "Firehose is unable to assume role {}. Please check the role provided.",
            info.forbidden_role_arn
        )
    );
    assert_eq!(refusal(rule, &forbidden).await, "S3.AccessDenied");
}

#[tokio::test]
async fn nobody_there_is_unreachable_and_an_answer_is_not() {
    // A port that nothing listens on: bound, and closed again.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let spec = |bucket: &str| S3Spec {
        role_arn: "arn:aws:iam::000000000000:role/r".to_owned(),
        bucket_arn: format!("arn:aws:s3:::{bucket}"),
        prefix: None,
        buffering: BufferingHints::DEFAULT,
        compression: CompressionFormat::Uncompressed,
        encryption: Encryption::None,
        echoed: serde_json::Map::new(),
    };
    let nobody = destination(
        S3Rule {
            pattern: "*".to_owned(),
            endpoint: Some(format!("http://127.0.0.1:{port}")),
            access_key_id: Some("AK".to_owned()),
            secret_access_key: Some(Secret::new("SK")),
            ..S3Rule::default()
        },
        &spec("bucket"),
    );
    let error = nobody.deliver(&object("k", b"x")).await.unwrap_err();
    assert!(error.is_unreachable(), "{error:?}");
    let error = conformance::read(&*nobody, "k").await.unwrap_err();
    assert!(error.is_unreachable(), "{error:?}");
    assert!(nobody.probe().await.unwrap_err().is_unreachable());

    let Some(info) = info() else { return };
    let raw = Raw::bucket(info, "answers").await;
    for rule in [
        raw.rule(),
        S3Rule {
            secret_access_key: Some(Secret::new("wrong")),
            ..raw.rule()
        },
    ] {
        destination(rule.clone(), &raw.spec())
            .probe()
            .await
            .unwrap();
        destination(rule, &spec("no-such-bucket"))
            .probe()
            .await
            .unwrap();
    }
}
