//! The file whose key seals passwords.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::Stdio,
};

use serde_json::json;

use super::running::{Running, hydrant, run, text};

const PASSWORD: &str = "Pa55-hush";

pub(crate) async fn create(node: &Running, stream: &str) {
    let request = json!({
        "DeliveryStreamName": stream,
        "RedshiftDestinationConfiguration": {
            "RoleARN": "arn:aws:iam::000000000000:role/r",
            "ClusterJDBCURL": "jdbc:postgresql://127.0.0.1:1/d",
            "CopyCommand": { "DataTableName": "t" },
            "Username": "u",
            "Password": PASSWORD,
            "S3Configuration": {
                "RoleARN": "arn:aws:iam::000000000000:role/r",
                "BucketARN": "arn:aws:s3:::b",
            },
        },
    });
    let firehose = node.firehose();
    firehose
        .call("CreateDeliveryStream", &request)
        .await
        .unwrap();
    while firehose.describe(stream).await.unwrap()["DeliveryStreamStatus"] != "ACTIVE" {
        tokio::task::yield_now().await;
    }
}

/// What a node says while it starts.
fn told(data: &Path, more: &[&str]) -> String {
    let log = tempfile::NamedTempFile::new().unwrap();
    let node = Running::serve_logging(data, more, "warn", log.reopen().unwrap());
    assert!(node.terminate().success());
    fs::read_to_string(log.path()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_lost_the_key_is_told_at_the_start() {
    let data = tempfile::tempdir().unwrap();
    let node = Running::serve(data.path(), &[]);
    create(&node, "one").await;
    create(&node, "two").await;
    assert!(node.terminate().success());
    assert_eq!(told(data.path(), &[]), "");

    let key_file = data.path().join("secret.key");
    let kept = data.path().join("kept.key");
    fs::rename(&key_file, &kept).unwrap();
    let lost = told(data.path(), &[]);
    for part in [
        key_file.to_str().unwrap(),
        "000000000000/us-east-1/one",
        "000000000000/us-east-1/two",
        "UpdateDestination",
    ] {
        assert!(lost.contains(part), "{part}: {lost}");
    }
    let kept = kept.to_str().unwrap();
    assert_eq!(told(data.path(), &["--secret-key-file", kept]), "");
}

#[test]
fn a_key_file_that_others_may_read_keeps_a_node_from_starting() {
    let data = tempfile::tempdir().unwrap();
    let key_file = data.path().join("secret.key");
    fs::write(&key_file, "0".repeat(64)).unwrap();
    fs::set_permissions(&key_file, fs::Permissions::from_mode(0o644)).unwrap();
    let data_dir = data.path().to_str().unwrap();
    let listen = ["--listen", "127.0.0.1:0"];
    let refused = run(
        &["serve", "--data-dir", data_dir, listen[0], listen[1]],
        b"",
    );
    assert_eq!(refused.status.code(), Some(1));
    let told = text(&refused.stderr);
    assert!(
        told.contains("chmod 600") && !told.contains("0000"),
        "{told}"
    );
}

#[test]
fn a_name_alone_is_a_file_where_the_node_is_started() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = hydrant(&["serve", "--data-dir", "data", "--listen", "127.0.0.1:0"])
        .args(["--secret-key-file", "key"])
        .env("HYDRANT_LOG_LEVEL", "warn")
        .current_dir(folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut ready = String::new();
    let output = child.stdout.take().unwrap();
    BufReader::new(output).read_line(&mut ready).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(ready.starts_with("hydrant is ready"), "{ready}");
    assert!(folder.path().join("key").is_file());
}
