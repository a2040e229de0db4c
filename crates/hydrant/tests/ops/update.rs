//! `UpdateDestination`.

use std::{sync::atomic::Ordering, time::Duration};

use hydrant::api::Operation;
use serde_json::{Value, json};

use super::node::{Node, REFUSED, ROLE, error};

async fn update(
    node: &Node,
    version: &str,
    member: &str,
    value: Value,
) -> Result<Value, (String, String)> {
    let body = json!({
        "DeliveryStreamName": "logs",
        "CurrentDeliveryStreamVersionId": version,
        "DestinationId": "destinationId-000000000001",
        member: value,
    });
    node.call(Operation::UpdateDestination, body).await
}

async fn s3(node: &Node) -> Value {
    node.describe("logs").await["Destinations"][0]["ExtendedS3DestinationDescription"].take()
}

#[tokio::test]
async fn what_is_sent_replaces_and_the_rest_stays() {
    let node = Node::new().await;
    node.active("logs").await;
    node.clock.advance(Duration::from_millis(1_556));
    let mut expected = s3(&node).await;

    // A plain update of a stream, whichever way it was made.
    let value = json!({
        "Prefix": "a/",
        "CompressionFormat": "GZIP",
        "BufferingHints": {"IntervalInSeconds": 60},
        "EncryptionConfiguration": {"KMSEncryptionConfig": {"AWSKMSKeyARN": "arn:aws:kms:k"}},
    });
    let answer = update(&node, "1", "S3DestinationUpdate", value).await;
    assert_eq!(answer, Ok(json!({})));
    expected["Prefix"] = json!("a/");
    expected["CompressionFormat"] = json!("GZIP");
    expected["BufferingHints"] = json!({"SizeInMBs": 5, "IntervalInSeconds": 60});
    expected["EncryptionConfiguration"] =
        json!({"KMSEncryptionConfig": {"AWSKMSKeyARN": "arn:aws:kms:k"}});
    assert_eq!(s3(&node).await, expected);
    let description = node.describe("logs").await;
    assert_eq!(description["VersionId"], "2");
    assert_eq!(description["CreateTimestamp"], 1_444_222_333.444);
    assert_eq!(description["LastUpdateTimestamp"], 1_444_222_335.0);
    assert_eq!(description["DeliveryStreamStatus"], "ACTIVE");

    let value = json!({
        "Prefix": "",
        "BucketARN": "arn:aws:s3:::c",
        "EncryptionConfiguration": {"NoEncryptionConfig": "NoEncryption"},
        "BufferingHints": {"SizeInMBs": 1},
        "CloudWatchLoggingOptions": {"Enabled": true, "LogGroupName": "g", "LogStreamName": "s"},
        "FileExtension": "",
    });
    update(&node, "2", "ExtendedS3DestinationUpdate", value)
        .await
        .unwrap();
    expected["Prefix"] = json!("");
    expected["BucketARN"] = json!("arn:aws:s3:::c");
    expected["EncryptionConfiguration"] = json!({"NoEncryptionConfig": "NoEncryption"});
    expected["BufferingHints"] = json!({"SizeInMBs": 1, "IntervalInSeconds": 60});
    expected["CloudWatchLoggingOptions"] =
        json!({"Enabled": true, "LogGroupName": "g", "LogStreamName": "s"});
    expected["FileExtension"] = json!("");
    assert_eq!(s3(&node).await, expected);

    // Nothing new is still a version.
    update(&node, "3", "S3DestinationUpdate", json!({}))
        .await
        .unwrap();
    assert_eq!(s3(&node).await, expected);
    assert_eq!(node.describe("logs").await["VersionId"], "4");
}

#[tokio::test]
async fn the_order_of_checks() {
    let node = Node::new().await;
    let call = async |version: &str, id: &str, updates: Value| {
        let mut body = json!({
            "DeliveryStreamName": "logs",
            "CurrentDeliveryStreamVersionId": version,
            "DestinationId": id,
        });
        for (name, value) in updates.as_object().unwrap() {
            body[name] = value.clone();
        }
        node.call(Operation::UpdateDestination, body)
            .await
            .unwrap_err()
    };
    let not_found = "Firehose logs under account 000000000000 not found.";
    assert_eq!(
        call("7", "x", json!({})).await,
        error("ResourceNotFoundException", not_found)
    );
    node.create("logs").await.unwrap();
    let creating = "Firehose logs is not in ACTIVE state";
    assert_eq!(
        call("7", "x", json!({})).await,
        error("ResourceInUseException", creating)
    );
    node.activate("logs").await;
    let mismatch = "Cannot update firehose: logs since the current version id: 1 and specified \
                    version id: 7 do not match";
    assert_eq!(
        call("7", "x", json!({})).await,
        error("ConcurrentModificationException", mismatch)
    );
    assert_eq!(
        call("1", "x", json!({})).await,
        error("InvalidArgumentException", "Destination Id x not found")
    );
    let one = "Exactly one destination configuration is supported for a Firehose";
    let id = "destinationId-000000000001";
    assert_eq!(
        call("1", id, json!({})).await,
        error("InvalidArgumentException", one)
    );
    let two = json!({"S3DestinationUpdate": {}, "ExtendedS3DestinationUpdate": {}});
    assert_eq!(
        call("1", id, two).await,
        error("InvalidArgumentException", one)
    );

    node.vet.refuse.store(true, Ordering::SeqCst);
    let update = json!({"S3DestinationUpdate": {"RoleARN": ROLE}});
    assert_eq!(
        call("1", id, update).await,
        error("InvalidArgumentException", REFUSED)
    );
    assert_eq!(node.describe("logs").await["VersionId"], "1");

    let body = json!({"DeliveryStreamName": "logs"});
    node.call(Operation::DeleteDeliveryStream, body)
        .await
        .unwrap();
    assert_eq!(
        call("1", id, json!({})).await,
        error("ResourceInUseException", creating)
    );
}

#[tokio::test]
async fn what_is_not_supported_is_named() {
    let node = Node::new().await;
    node.active("logs").await;
    for member in [
        "ElasticsearchDestinationUpdate",
        "AmazonopensearchserviceDestinationUpdate",
        "SplunkDestinationUpdate",
        "HttpEndpointDestinationUpdate",
        "AmazonOpenSearchServerlessDestinationUpdate",
        "SnowflakeDestinationUpdate",
        "IcebergDestinationUpdate",
    ] {
        let (name, text) = update(&node, "1", member, json!({})).await.unwrap_err();
        assert_eq!(name, "InvalidArgumentException");
        assert!(text.starts_with(member), "{text}");
    }
    for (member, value) in [
        ("S3BackupMode", json!("Enabled")),
        ("S3BackupUpdate", json!({})),
        ("Prefix", json!("!{firehose:random-string}")),
    ] {
        let value = json!({ member: value });
        let answer = update(&node, "1", "ExtendedS3DestinationUpdate", value).await;
        let (name, text) = answer.unwrap_err();
        assert_eq!(name, "InvalidArgumentException");
        assert!(
            text.contains(&format!("ExtendedS3DestinationUpdate.{member}")),
            "{text}"
        );
    }
    assert_eq!(node.describe("logs").await["VersionId"], "1");
}

#[tokio::test]
async fn of_two_updates_at_once_one_wins() {
    let node = Node::new().await;
    node.active("logs").await;
    let updates = ["a", "b", "c"].map(|prefix| {
        update(
            &node,
            "1",
            "S3DestinationUpdate",
            json!({ "Prefix": prefix }),
        )
    });
    let outcomes = futures::future::join_all(updates).await;
    let won: Vec<_> = outcomes.iter().filter(|outcome| outcome.is_ok()).collect();
    assert_eq!(won.len(), 1, "{outcomes:?}");
    for (name, _) in outcomes.into_iter().filter_map(Result::err) {
        assert_eq!(name, "ConcurrentModificationException");
    }
    assert_eq!(node.describe("logs").await["VersionId"], "2");
}
