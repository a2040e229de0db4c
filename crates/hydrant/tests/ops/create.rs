//! `CreateDeliveryStream`, and what Describe says of it.

use std::sync::atomic::Ordering;

use hydrant::{api::Operation, config::Quotas, credentials::Identity};
use serde_json::{Value, json};

use super::node::{ACCOUNT, Node, REFUSED, ROLE, error, key};

/// Creates `logs` with the given extended members on top of what is required.
async fn extended(node: &Node, members: Value) -> Result<Value, (String, String)> {
    let mut configuration = json!({"RoleARN": ROLE, "BucketARN": "arn:aws:s3:::b"});
    for (name, value) in members.as_object().unwrap() {
        configuration[name] = value.clone();
    }
    let body = json!({
        "DeliveryStreamName": "logs",
        "ExtendedS3DestinationConfiguration": configuration,
    });
    node.call(Operation::CreateDeliveryStream, body).await
}

#[tokio::test]
async fn defaults_are_filled_in_and_described_both_ways() {
    let node = Node::new().await;
    let answer = node.create("logs").await.unwrap();
    let arn = "arn:aws:firehose:us-east-1:000000000000:deliverystream/logs";
    assert_eq!(answer, json!({ "DeliveryStreamARN": arn }));

    let plain = json!({
        "RoleARN": ROLE,
        "BucketARN": "arn:aws:s3:::b",
        "BufferingHints": {"SizeInMBs": 5, "IntervalInSeconds": 300},
        "CompressionFormat": "UNCOMPRESSED",
        "EncryptionConfiguration": {"NoEncryptionConfig": "NoEncryption"},
        "CloudWatchLoggingOptions": {"Enabled": false},
    });
    let mut extended = plain.clone();
    extended["S3BackupMode"] = json!("Disabled");
    let expected = json!({
        "DeliveryStreamName": "logs",
        "DeliveryStreamARN": arn,
        "DeliveryStreamStatus": "CREATING",
        "DeliveryStreamType": "DirectPut",
        "DeliveryStreamEncryptionConfiguration": {"Status": "DISABLED"},
        "VersionId": "1",
        "CreateTimestamp": 1_444_222_333.444,
        "Destinations": [{
            "DestinationId": "destinationId-000000000001",
            "S3DestinationDescription": plain,
            "ExtendedS3DestinationDescription": extended,
        }],
        "HasMoreDestinations": false,
    });
    assert_eq!(node.describe("logs").await, expected);
    node.activate("logs").await;
    assert_eq!(
        node.describe("logs").await["DeliveryStreamStatus"],
        "ACTIVE"
    );
}

#[tokio::test]
async fn what_terraform_sends_is_taken_and_given_back() {
    let node = Node::new().await;
    let body = json!({
        "DeliveryStreamName": "logs",
        "DeliveryStreamType": "DirectPut",
        "ExtendedS3DestinationConfiguration": {
            "RoleARN": ROLE,
            "BucketARN": "arn:aws:s3:::b",
            "Prefix": "",
            "ErrorOutputPrefix": "",
            "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 0},
            "CompressionFormat": "HADOOP_SNAPPY",
            "EncryptionConfiguration": {"KMSEncryptionConfig": {"AWSKMSKeyARN": "arn:aws:kms:k"}},
            "CloudWatchLoggingOptions": {"Enabled": true, "LogGroupName": "g", "LogStreamName": "s"},
            "CustomTimeZone": "",
            "FileExtension": "",
            "S3BackupMode": "Disabled",
            "ProcessingConfiguration": {"Enabled": false, "Processors": []},
            "DataFormatConversionConfiguration": {"Enabled": false},
            "DynamicPartitioningConfiguration": {"Enabled": false},
        },
        "Tags": [{"Key": "b", "Value": "2"}, {"Key": "a"}],
        "Unknown": null,
    });
    node.call(Operation::CreateDeliveryStream, body)
        .await
        .unwrap();
    let mut description = node.describe("logs").await;
    let destination = description["Destinations"][0].take();
    let plain = json!({
        "RoleARN": ROLE,
        "BucketARN": "arn:aws:s3:::b",
        "Prefix": "",
        "ErrorOutputPrefix": "",
        "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 0},
        "CompressionFormat": "HADOOP_SNAPPY",
        "EncryptionConfiguration": {"KMSEncryptionConfig": {"AWSKMSKeyARN": "arn:aws:kms:k"}},
        "CloudWatchLoggingOptions": {"Enabled": true, "LogGroupName": "g", "LogStreamName": "s"},
    });
    assert_eq!(destination["S3DestinationDescription"], plain);
    let mut extended = plain;
    for (name, value) in [
        ("CustomTimeZone", json!("UTC")),
        ("FileExtension", json!("")),
        ("S3BackupMode", json!("Disabled")),
        (
            "ProcessingConfiguration",
            json!({"Enabled": false, "Processors": []}),
        ),
        (
            "DataFormatConversionConfiguration",
            json!({"Enabled": false}),
        ),
        (
            "DynamicPartitioningConfiguration",
            json!({"Enabled": false}),
        ),
    ] {
        extended[name] = value;
    }
    assert_eq!(destination["ExtendedS3DestinationDescription"], extended);
    let tags = &node.registry.get(&key("logs")).unwrap().tags;
    assert_eq!(
        tags,
        &[("a".into(), String::new()), ("b".into(), "2".to_owned())]
    );
}

#[tokio::test]
async fn half_of_the_hints_is_completed() {
    let node = Node::new().await;
    extended(&node, json!({"BufferingHints": {"SizeInMBs": 64}}))
        .await
        .unwrap();
    let hints = &node.describe("logs").await["Destinations"][0]["S3DestinationDescription"]["BufferingHints"];
    assert_eq!(hints, &json!({"SizeInMBs": 64, "IntervalInSeconds": 300}));
}

#[tokio::test]
async fn exactly_one_destination() {
    let node = Node::new().await;
    let s3 = json!({"RoleARN": ROLE, "BucketARN": "arn:aws:s3:::b"});
    let text = "Exactly one destination configuration is supported for a Firehose";
    for body in [
        json!({"DeliveryStreamName": "logs"}),
        json!({
            "DeliveryStreamName": "logs",
            "S3DestinationConfiguration": s3,
            "ExtendedS3DestinationConfiguration": s3,
        }),
        json!({
            "DeliveryStreamName": "logs",
            "S3DestinationConfiguration": s3,
            "SplunkDestinationConfiguration": {},
        }),
    ] {
        let answer = node.call(Operation::CreateDeliveryStream, body).await;
        assert_eq!(answer, Err(error("InvalidArgumentException", text)));
    }
    assert_eq!(node.registry.all(), []);
}

#[tokio::test]
async fn what_is_not_supported_is_named_and_never_ignored() {
    let node = Node::new().await;
    let s3 = json!({"RoleARN": ROLE, "BucketARN": "arn:aws:s3:::b"});
    for (member, value) in [
        ("ElasticsearchDestinationConfiguration", json!({})),
        ("AmazonopensearchserviceDestinationConfiguration", json!({})),
        (
            "AmazonOpenSearchServerlessDestinationConfiguration",
            json!({}),
        ),
        ("SplunkDestinationConfiguration", json!({"HECToken": "x"})),
        ("HttpEndpointDestinationConfiguration", json!({})),
        ("SnowflakeDestinationConfiguration", json!({})),
        ("IcebergDestinationConfiguration", json!({})),
    ] {
        let body = json!({"DeliveryStreamName": "logs", member: value});
        let (name, text) = node
            .call(Operation::CreateDeliveryStream, body)
            .await
            .unwrap_err();
        assert_eq!(name, "InvalidArgumentException");
        assert!(text.starts_with(member), "{text}");
    }
    for (member, value) in [
        ("DeliveryStreamType", json!("KinesisStreamAsSource")),
        ("MSKSourceConfiguration", json!({})),
        ("DatabaseSourceConfiguration", json!({})),
        (
            "DirectPutSourceConfiguration",
            json!({"ThroughputHintInMBs": 1}),
        ),
        (
            "DeliveryStreamEncryptionConfigurationInput",
            json!({"KeyType": "AWS_OWNED_CMK"}),
        ),
    ] {
        let mut body = json!({"DeliveryStreamName": "logs", "S3DestinationConfiguration": s3});
        body[member] = value;
        let (name, text) = node
            .call(Operation::CreateDeliveryStream, body)
            .await
            .unwrap_err();
        assert_eq!(name, "InvalidArgumentException");
        assert!(text.contains(member), "{text}");
    }
    for (member, value) in [
        ("Prefix", json!("!{timestamp:yyyy}/")),
        ("ErrorOutputPrefix", json!("!{firehose:error-output-type}/")),
        ("FileExtension", json!(".json")),
        ("CustomTimeZone", json!("Europe/Berlin")),
        ("S3BackupMode", json!("Enabled")),
        ("S3BackupConfiguration", s3.clone()),
        ("ProcessingConfiguration", json!({"Enabled": true})),
        (
            "ProcessingConfiguration",
            json!({"Processors": [{"Type": "Lambda"}]}),
        ),
        ("DataFormatConversionConfiguration", json!({})),
        (
            "DataFormatConversionConfiguration",
            json!({"Enabled": true}),
        ),
        (
            "DataFormatConversionConfiguration",
            json!({"Enabled": false, "SchemaConfiguration": {"RoleARN": ROLE}}),
        ),
        ("DynamicPartitioningConfiguration", json!({"Enabled": true})),
        (
            "CloudWatchLoggingOptions",
            json!({"Enabled": true, "LogGroupName": "g"}),
        ),
        ("BucketARN", json!("arn:aws:s3:::")),
        ("BucketARN", json!("arn:aws:s3:::b/p")),
        (
            "EncryptionConfiguration",
            json!({
                "NoEncryptionConfig": "NoEncryption",
                "KMSEncryptionConfig": {"AWSKMSKeyARN": "arn:aws:kms:k"},
            }),
        ),
    ] {
        let (name, text) = extended(&node, json!({ member: value })).await.unwrap_err();
        assert_eq!(name, "InvalidArgumentException");
        let path = format!("ExtendedS3DestinationConfiguration.{member}");
        assert!(text.contains(&path), "{text}");
    }
    assert_eq!(node.registry.all(), []);
}

#[tokio::test]
async fn a_kinesis_source_needs_its_type() {
    let node = Node::new().await;
    let body = json!({
        "DeliveryStreamName": "logs",
        "KinesisStreamSourceConfiguration": {"KinesisStreamARN": "arn:k", "RoleARN": ROLE},
        "S3DestinationConfiguration": {"RoleARN": ROLE, "BucketARN": "arn:aws:s3:::b"},
    });
    let text = "KinesisSourceStreamConfig is only applicable for KinesisStreamAsSource stream type";
    let answer = node.call(Operation::CreateDeliveryStream, body).await;
    assert_eq!(answer, Err(error("InvalidArgumentException", text)));
}

#[tokio::test]
async fn a_name_is_taken_in_every_status() {
    let node = Node::new().await;
    let text = "Firehose logs under accountId 000000000000 already exists";
    let taken = Err(error("ResourceInUseException", text));
    node.create("logs").await.unwrap();
    assert_eq!(node.create("logs").await, taken);
    node.activate("logs").await;
    assert_eq!(node.create("logs").await, taken);
    let body = json!({"DeliveryStreamName": "logs"});
    node.call(Operation::DeleteDeliveryStream, body)
        .await
        .unwrap();
    assert_eq!(node.create("logs").await, taken);
    node.bury("logs").await;
    node.create("logs").await.unwrap();
}

#[tokio::test]
async fn the_sixth_stream_is_one_too_many() {
    let node = Node::new().await;
    for name in ["e", "d", "c", "b", "a"] {
        node.create(name).await.unwrap();
    }
    let text =
        "You have already consumed your firehose quota of 5 hoses. Firehose names: [a, b, c, d, e]";
    assert_eq!(
        node.create("f").await,
        Err(error("LimitExceededException", text))
    );
    // A name in use is the nearer reason.
    assert_eq!(
        node.create("a").await.unwrap_err().0,
        "ResourceInUseException"
    );
    // Another region has a quota of its own.
    let elsewhere = Identity::unverified(ACCOUNT, "eu-west-1");
    let body = json!({
        "DeliveryStreamName": "f",
        "S3DestinationConfiguration": {"RoleARN": ROLE, "BucketARN": "arn:aws:s3:::b"},
    });
    let operation = Operation::CreateDeliveryStream;
    node.raw_as(&elsewhere, operation, &body.to_string())
        .await
        .unwrap();

    let unlimited = Node::with(Quotas::UNLIMITED).await;
    for number in 0..20 {
        unlimited.create(&format!("s{number}")).await.unwrap();
    }
}

#[tokio::test]
async fn creations_at_once_do_not_slip_past_the_quota() {
    let node = Node::new().await;
    let names: Vec<String> = (0..12).map(|number| format!("s{number}")).collect();
    let created = futures::future::join_all(names.iter().map(|name| node.create(name))).await;
    assert_eq!(created.iter().filter(|answer| answer.is_ok()).count(), 5);
    assert_eq!(node.registry.all().len(), 5);
}

#[tokio::test]
async fn a_destination_is_vetted() {
    let node = Node::new().await;
    node.vet.refuse.store(true, Ordering::SeqCst);
    let refused = Err(error("InvalidArgumentException", REFUSED));
    assert_eq!(node.create("logs").await, refused);
    assert_eq!(node.registry.all(), []);
    let asked = node.vet.asked.lock().unwrap();
    let [(destination, region)] = &asked[..] else {
        panic!("asked {asked:?}");
    };
    assert_eq!(
        (destination.s3().role_arn.as_str(), region.as_str()),
        (ROLE, "us-east-1")
    );
}

#[tokio::test]
async fn shape_comes_before_permission_and_permission_before_meaning() {
    let node = Node::new().await;
    let mut nobody = Identity::unverified(ACCOUNT, "us-east-1");
    nobody.policy = Default::default();
    let operation = Operation::CreateDeliveryStream;
    let call = async |body: &str| node.raw_as(&nobody, operation, body).await.unwrap_err();
    assert_eq!(
        call(r#"{"DeliveryStreamName":1}"#).await.0,
        "SerializationException"
    );
    assert_eq!(
        call(r#"{"DeliveryStreamName":"a b"}"#).await.0,
        "ValidationException"
    );
    let denied = "User: arn:aws:iam::000000000000:root is not authorized to perform: \
                  firehose:CreateDeliveryStream on resource: \
                  arn:aws:firehose:us-east-1:000000000000:deliverystream/logs";
    assert_eq!(
        call(r#"{"DeliveryStreamName":"logs"}"#).await,
        error("AccessDeniedException", denied)
    );
}
