//! The AWS SDK for Rust against the real binary: the same story that `compat/test_sdks.py` has other clients tell.
//!
//! A directory always; a real S3 (KMS key, assumed role) when `HYDRANT_TEST_S3` says where one is, as
//! `scripts/test` does. See `compat/README.md`.

use std::{
    collections::BTreeMap,
    io::Read,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use aws_sdk_firehose::{
    Client,
    config::{BehaviorVersion, Credentials, Region, retry::RetryConfig},
    error::ProvideErrorMetadata,
    primitives::Blob,
    types::{
        BufferingHints, CopyCommand, DeliveryStreamDescription, DeliveryStreamStatus,
        EncryptionConfiguration, ExtendedS3DestinationConfiguration, ExtendedS3DestinationUpdate,
        KmsEncryptionConfig, Record, RedshiftDestinationConfiguration, RedshiftDestinationUpdate,
        RedshiftS3BackupMode, S3DestinationConfiguration, S3DestinationUpdate,
    },
};
use futures::TryStreamExt;
use object_store::{
    ObjectStore, ObjectStoreExt,
    aws::{AmazonS3, AmazonS3Builder},
};
use tempfile::TempDir;

const ACCESS_KEY: &str = "AKIDRUSTSDK";
const SECRET_KEY: &str = "rust/sdk+secret=";
const ACCOUNT: &str = "123456789012";
const DEADLINE: Duration = Duration::from_secs(60);

/// The binary as a child process, killed at the end.
struct Node {
    child: Child,
    listen: SocketAddr,
    dir: TempDir,
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let mut log = String::new();
            if let Ok(mut file) = std::fs::File::open(self.dir.path().join("log")) {
                let _ = file.read_to_string(&mut log);
            }
            eprintln!("--- the node's log\n{log}");
        }
    }
}

impl Node {
    async fn start(config: &str, environment: &[(&str, &str)]) -> Node {
        let dir = TempDir::new().unwrap();
        let (listen, admin) = (free_address(), free_address());
        let file = dir.path().join("hydrant.toml");
        let keys = format!(
            "{config}\n[[keys]]\naccess_key = \"{ACCESS_KEY}\"\nsecret_key = \"{SECRET_KEY}\"\naccount = \"{ACCOUNT}\"\n"
        );
        std::fs::write(&file, keys).unwrap();
        let log = std::fs::File::create(dir.path().join("log")).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_hydrant"))
            .arg("serve")
            .arg("--config")
            .arg(&file)
            .arg("--data-dir")
            .arg(dir.path().join("data"))
            .args(["--listen", &listen.to_string()])
            .args(["--admin-listen", &admin.to_string()])
            .args(["--max-interval", "1"])
            .env_remove("AWS_PROFILE")
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let node = Node { child, listen, dir };
        eventually("the node is ready", async || {
            let ready = reqwest::get(format!("http://{admin}/readyz")).await;
            ready.ok().filter(|answer| answer.status() == 200)
        })
        .await;
        node
    }

    fn client(&self, secret_key: &str) -> Client {
        let config = aws_sdk_firehose::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .endpoint_url(format!("http://{}", self.listen))
            .credentials_provider(Credentials::new(ACCESS_KEY, secret_key, None, None, "test"))
            .retry_config(RetryConfig::disabled())
            .build();
        Client::from_conf(config)
    }

    fn bucket(&self, name: &str) -> PathBuf {
        self.dir.path().join("data/buckets").join(name)
    }
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

/// Asks again until there is an answer.
async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = std::time::Instant::now() + DEADLINE;
    loop {
        if let Some(found) = ask().await {
            return found;
        }
        assert!(std::time::Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn describe(client: &Client, name: &str) -> DeliveryStreamDescription {
    let answer = client
        .describe_delivery_stream()
        .delivery_stream_name(name)
        .send()
        .await
        .unwrap();
    answer.delivery_stream_description.unwrap()
}

fn record(data: &[u8]) -> Record {
    Record::builder().data(Blob::new(data)).build().unwrap()
}

/// create → ACTIVE → put → put batch → describe → delivered → update → list → delete → gone.
/// `objects` reads the bucket.
async fn tell(
    client: &Client,
    name: &str,
    destination: ExtendedS3DestinationConfiguration,
    mut objects: impl AsyncFnMut() -> BTreeMap<String, Vec<u8>>,
) {
    let records: [&[u8]; 4] = [b"\x00\xff\x01", b"one\n", b"", "zwölf 🚰\n".as_bytes()];
    let created = client
        .create_delivery_stream()
        .delivery_stream_name(name)
        .extended_s3_destination_configuration(destination)
        .send()
        .await
        .unwrap();
    let arn = format!("arn:aws:firehose:us-east-1:{ACCOUNT}:deliverystream/{name}");
    assert_eq!(created.delivery_stream_arn(), Some(arn.as_str()));
    let active = eventually("ACTIVE", async || {
        let description = describe(client, name).await;
        (description.delivery_stream_status() == &DeliveryStreamStatus::Active)
            .then_some(description)
    })
    .await;
    assert_eq!(active.version_id(), "1");

    let put = client
        .put_record()
        .delivery_stream_name(name)
        .record(record(records[0]));
    assert!(!put.send().await.unwrap().record_id().is_empty());
    let batch = client
        .put_record_batch()
        .delivery_stream_name(name)
        .set_records(Some(records[1..].iter().map(|data| record(data)).collect()))
        .send()
        .await
        .unwrap();
    assert_eq!(batch.failed_put_count(), 0);
    assert_eq!(batch.request_responses().len(), 3);
    assert!(
        batch
            .request_responses()
            .iter()
            .all(|entry| entry.record_id().is_some() && entry.error_code().is_none())
    );
    let wanted = records.concat();
    eventually("every byte arrives", async || {
        // Two objects if the interval ended between the two calls; keys sort by time.
        let found: Vec<u8> = objects().await.into_values().flatten().collect();
        (found == wanted).then_some(())
    })
    .await;

    let destination_id = active.destinations()[0].destination_id();
    let update = |version: &str| {
        client
            .update_destination()
            .delivery_stream_name(name)
            .current_delivery_stream_version_id(version)
            .destination_id(destination_id)
            .extended_s3_destination_update(
                ExtendedS3DestinationUpdate::builder()
                    .prefix("updated/")
                    .build(),
            )
            .send()
    };
    update("1").await.unwrap();
    let stale = update("1").await.unwrap_err().into_service_error();
    assert!(stale.is_concurrent_modification_exception(), "{stale:?}");
    assert_eq!(describe(client, name).await.version_id(), "2");
    client
        .put_record()
        .delivery_stream_name(name)
        .record(record(b"later"))
        .send()
        .await
        .unwrap();
    eventually("the later record arrives", async || {
        let later = objects().await;
        let later = later.iter().find(|(key, _)| key.starts_with("updated/"));
        later.map(|(_, body)| assert_eq!(body, b"later"))
    })
    .await;

    let listed = client.list_delivery_streams().send().await.unwrap();
    assert_eq!(listed.delivery_stream_names(), [name]);
    assert!(!listed.has_more_delivery_streams());
    let delete = client.delete_delivery_stream().delivery_stream_name(name);
    delete.send().await.unwrap();
    eventually("gone", async || {
        let answer = client
            .describe_delivery_stream()
            .delivery_stream_name(name)
            .send()
            .await;
        let error = answer.err()?.into_service_error();
        assert!(error.is_resource_not_found_exception(), "{error:?}");
        Some(())
    })
    .await;
}

fn destination(
    bucket: &str,
    role: &str,
) -> aws_sdk_firehose::types::builders::ExtendedS3DestinationConfigurationBuilder {
    ExtendedS3DestinationConfiguration::builder()
        .role_arn(role)
        .bucket_arn(format!("arn:aws:s3:::{bucket}"))
        .prefix("first/")
        .buffering_hints(
            BufferingHints::builder()
                .size_in_mbs(1)
                .interval_in_seconds(60)
                .build(),
        )
}

/// Every file below `folder`, by its path in it.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                if path.file_name().unwrap() != ".hydrant" {
                    folders.push(path);
                }
            } else {
                let key = path
                    .strip_prefix(folder)
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned();
                found.insert(key, std::fs::read(path).unwrap());
            }
        }
    }
    found
}

#[tokio::test]
async fn the_story_with_a_directory() {
    let node = Node::start("", &[]).await;
    let bucket = node.bucket("rust-sdk");
    let destination = destination("rust-sdk", "arn:aws:iam::123456789012:role/firehose")
        .build()
        .unwrap();
    tell(
        &node.client(SECRET_KEY),
        "rust-sdk",
        destination,
        async || files(&bucket),
    )
    .await;
}

/// What the SDK reads back of a Redshift destination, and that an update of its S3 leg leaves the rest alone.
#[tokio::test]
async fn a_redshift_destination_is_read_back() {
    const ROLE: &str = "arn:aws:iam::123456789012:role/firehose";
    let node = Node::start("", &[]).await;
    let client = node.client(SECRET_KEY);
    let leg = S3DestinationConfiguration::builder()
        .role_arn(ROLE)
        .bucket_arn("arn:aws:s3:::leg");
    let copy = CopyCommand::builder()
        .data_table_name("events")
        .copy_options("csv");
    let warehouse = RedshiftDestinationConfiguration::builder()
        .role_arn(ROLE)
        .cluster_jdbcurl("jdbc:postgresql://127.0.0.1:1/db?sslmode=require")
        .copy_command(copy.build().unwrap())
        .username("loader")
        .password("Sesam-0ffne-d1ch")
        .s3_configuration(leg.build().unwrap());
    let create = client
        .create_delivery_stream()
        .delivery_stream_name("warehouse")
        .redshift_destination_configuration(warehouse.build().unwrap());
    create.send().await.unwrap();
    let active = eventually("ACTIVE", async || {
        let description = describe(&client, "warehouse").await;
        (description.delivery_stream_status() == &DeliveryStreamStatus::Active)
            .then_some(description)
    })
    .await;
    let [destination] = active.destinations() else {
        panic!("{active:?}");
    };
    assert!(destination.s3_destination_description().is_none());
    let before = destination.redshift_destination_description().unwrap();
    let retry = before.retry_options().unwrap();
    assert_eq!(retry.duration_in_seconds(), Some(3600));
    assert_eq!(
        before.s3_backup_mode(),
        Some(&RedshiftS3BackupMode::Disabled)
    );
    assert_eq!(before.copy_command().unwrap().data_table_columns(), None);

    let leg = S3DestinationUpdate::builder().prefix("in/").build();
    let update = client
        .update_destination()
        .delivery_stream_name("warehouse")
        .current_delivery_stream_version_id("1")
        .destination_id(destination.destination_id())
        .redshift_destination_update(RedshiftDestinationUpdate::builder().s3_update(leg).build());
    update.send().await.unwrap();
    let after = describe(&client, "warehouse").await;
    let after = after.destinations()[0].redshift_destination_description();
    let mut expected = before.clone();
    let leg = expected.s3_destination_description.as_mut().unwrap();
    leg.prefix = Some("in/".to_owned());
    assert_eq!(after, Some(&expected));
}

#[tokio::test]
async fn a_wrong_secret_is_an_error_that_the_sdk_understands() {
    let node = Node::start("", &[]).await;
    let answer = node.client("wrong").list_delivery_streams().send().await;
    let error = answer.unwrap_err().into_service_error();
    assert_eq!(error.code(), Some("InvalidSignatureException"));
}

/// Reads a bucket as the assumed role, to which the objects belong that it wrote.
async fn read_as_role(s3: &serde_json::Value, bucket: &str) -> AmazonS3 {
    let text = |member: &str| s3[member].as_str().unwrap().to_owned();
    let user = Credentials::new(
        text("assumer_access_key"),
        text("assumer_secret_key"),
        None,
        None,
        "test",
    );
    let sts = aws_sdk_sts::Client::from_conf(
        aws_sdk_sts::Config::builder()
            .behavior_version(aws_sdk_sts::config::BehaviorVersion::latest())
            .region(aws_sdk_sts::config::Region::new(text("region")))
            .endpoint_url(text("sts_endpoint"))
            .credentials_provider(user)
            .build(),
    );
    let assumed = sts
        .assume_role()
        .role_arn(text("role_arn"))
        .role_session_name("reader")
        .send()
        .await
        .unwrap();
    let assumed = assumed.credentials.unwrap();
    AmazonS3Builder::new()
        .with_endpoint(text("endpoint"))
        .with_allow_http(true)
        .with_region(text("region"))
        .with_bucket_name(bucket)
        .with_access_key_id(assumed.access_key_id)
        .with_secret_access_key(assumed.secret_access_key)
        .with_token(assumed.session_token)
        .build()
        .unwrap()
}

async fn objects(store: &AmazonS3) -> BTreeMap<String, Vec<u8>> {
    let listed: Vec<_> = store.list(None).try_collect().await.unwrap();
    let mut found = BTreeMap::new();
    for object in listed {
        let body = store.get(&object.location).await.unwrap().bytes().await;
        found.insert(object.location.to_string(), body.unwrap().to_vec());
    }
    found
}

#[tokio::test]
async fn the_story_with_a_real_s3_a_kms_key_and_an_assumed_role() {
    let Ok(s3) = std::env::var("HYDRANT_TEST_S3") else {
        eprintln!("skipped: HYDRANT_TEST_S3 names no store; scripts/test starts one");
        return;
    };
    let s3: serde_json::Value = serde_json::from_str(&s3).unwrap();
    let text = |member: &str| s3[member].as_str().unwrap();
    let config = format!(
        "[[buckets]]\nmatch = \"*\"\ntype = \"s3\"\nendpoint = \"{}\"\nsts_endpoint = \"{}\"",
        text("endpoint"),
        text("sts_endpoint"),
    );
    let node = Node::start(
        &config,
        &[
            ("AWS_ACCESS_KEY_ID", text("assumer_access_key")),
            ("AWS_SECRET_ACCESS_KEY", text("assumer_secret_key")),
        ],
    )
    .await;
    let bucket = text("bucket");
    let key = KmsEncryptionConfig::builder().awskms_key_arn(text("kms_key_arn"));
    let encryption = EncryptionConfiguration::builder()
        .kms_encryption_config(key.build().unwrap())
        .build();
    let destination = destination(bucket, text("role_arn"))
        .encryption_configuration(encryption)
        .build()
        .unwrap();
    let store = read_as_role(&s3, bucket).await;
    tell(
        &node.client(SECRET_KEY),
        "rust-sdk-s3",
        destination,
        async || objects(&store).await,
    )
    .await;
}
