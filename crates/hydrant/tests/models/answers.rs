//! Real answers against the models' output shapes.

use std::collections::BTreeSet;

use hydrant::api::{ApiError, Operation};
use serde_json::{Value, json};

use super::{Model, Shape, differ_as_listed};
use crate::ops::node::{Node, ROLE};

/// One answer of each operation, and of Describe and PutRecordBatch as many as it takes to show every member
/// that there is.
async fn answers() -> Vec<(Operation, Value)> {
    use Operation::*;
    let node = Node::new().await;
    let s3 = json!({"RoleARN": ROLE, "BucketARN": "arn:aws:s3:::b"});
    let everything = json!({
        "RoleARN": ROLE, "BucketARN": "arn:aws:s3:::b", "Prefix": "p/", "ErrorOutputPrefix": "e/",
        "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 0}, "CompressionFormat": "GZIP",
        "EncryptionConfiguration": {"KMSEncryptionConfig": {"AWSKMSKeyARN": "arn:aws:kms:k"}},
        "CloudWatchLoggingOptions": {"Enabled": true, "LogGroupName": "g", "LogStreamName": "s"},
        "ProcessingConfiguration": {"Enabled": false, "Processors": []}, "S3BackupMode": "Disabled",
        "DataFormatConversionConfiguration": {"Enabled": false}, "FileExtension": "",
        "DynamicPartitioningConfiguration": {"Enabled": false, "RetryOptions": {"DurationInSeconds": 9}}, "CustomTimeZone": "",
    });
    let redshift = json!({
        "RoleARN": ROLE, "ClusterJDBCURL": "jdbc:redshift://h/d", "Username": "u", "Password": "secret",
        "CopyCommand": {"DataTableName": "t", "DataTableColumns": "a,b", "CopyOptions": "csv"},
        "S3Configuration": s3, "RetryOptions": {"DurationInSeconds": 60}, "S3BackupMode": "Disabled",
        "ProcessingConfiguration": {"Enabled": false}, "CloudWatchLoggingOptions": {"Enabled": false},
        "SecretsManagerConfiguration": {"Enabled": false, "SecretARN": "arn:aws:secretsmanager:s", "RoleARN": ROLE},
    });
    let named = json!({"DeliveryStreamName": "all"});
    let tags = json!([{"Key": "k", "Value": "v"}]);
    let mut answers = Vec::new();
    for (operation, body) in [
        (
            CreateDeliveryStream,
            json!({"DeliveryStreamName": "s", "S3DestinationConfiguration": s3}),
        ),
        (DescribeDeliveryStream, json!({"DeliveryStreamName": "s"})),
        (
            CreateDeliveryStream,
            json!({"DeliveryStreamName": "t", "RedshiftDestinationConfiguration": redshift}),
        ),
        (DescribeDeliveryStream, json!({"DeliveryStreamName": "t"})),
        (
            CreateDeliveryStream,
            json!({
                "DeliveryStreamName": "all", "ExtendedS3DestinationConfiguration": everything,
                "Tags": tags,
            }),
        ),
        (
            UpdateDestination,
            json!({
                "DeliveryStreamName": "all", "CurrentDeliveryStreamVersionId": "1",
                "DestinationId": "destinationId-000000000001", "S3DestinationUpdate": {},
            }),
        ),
        (DescribeDeliveryStream, named.clone()),
        (ListDeliveryStreams, json!({})),
        (
            TagDeliveryStream,
            json!({"DeliveryStreamName": "all", "Tags": tags}),
        ),
        (ListTagsForDeliveryStream, named.clone()),
        (
            UntagDeliveryStream,
            json!({"DeliveryStreamName": "all", "TagKeys": ["k"]}),
        ),
        (
            PutRecord,
            json!({"DeliveryStreamName": "all", "Record": {"Data": ""}}),
        ),
        // More than a second's worth of bytes: some records are refused.
        (
            PutRecordBatch,
            json!({"DeliveryStreamName": "all", "Records": vec![json!({"Data": "A".repeat(1 << 20)}); 5]}),
        ),
        (
            PutRecordBatch,
            json!({"DeliveryStreamName": "all", "Records": vec![json!({"Data": "A".repeat(1 << 20)}); 5]}),
        ),
        (DeleteDeliveryStream, named),
    ] {
        let name = body["DeliveryStreamName"].clone();
        let answer = node.call(operation, body).await;
        answers.push((operation, answer.unwrap()));
        if operation == CreateDeliveryStream {
            node.activate(name.as_str().unwrap()).await;
        }
    }
    answers
}

#[tokio::test]
async fn todays_answers() {
    let other = "of a destination, a source or a feature that is not supported";
    differ_as_listed(
        differences(&Model::of_today()).await,
        &[
            (
                "DataFormatConversionConfiguration.InputFormatConfiguration: never",
                other,
            ),
            (
                "DataFormatConversionConfiguration.OutputFormatConfiguration: never",
                other,
            ),
            (
                "DataFormatConversionConfiguration.SchemaConfiguration: never",
                other,
            ),
            (
                "DeliveryStreamDescription.FailureDescription: never",
                "creation does not fail afterwards",
            ),
            ("DeliveryStreamDescription.Source: never", other),
            (
                "DeliveryStreamEncryptionConfiguration.FailureDescription: never",
                other,
            ),
            ("DeliveryStreamEncryptionConfiguration.KeyARN: never", other),
            (
                "DeliveryStreamEncryptionConfiguration.KeyType: never",
                other,
            ),
            (
                "DestinationDescription.AmazonOpenSearchServerlessDestinationDescription: never",
                other,
            ),
            (
                "DestinationDescription.AmazonopensearchserviceDestinationDescription: never",
                other,
            ),
            (
                "DestinationDescription.ElasticsearchDestinationDescription: never",
                other,
            ),
            (
                "DestinationDescription.HttpEndpointDestinationDescription: never",
                other,
            ),
            (
                "DestinationDescription.IcebergDestinationDescription: never",
                other,
            ),
            (
                "DestinationDescription.SnowflakeDestinationDescription: never",
                other,
            ),
            (
                "DestinationDescription.SplunkDestinationDescription: never",
                other,
            ),
            (
                "ExtendedS3DestinationDescription.S3BackupDescription: never",
                other,
            ),
            (
                "RedshiftDestinationDescription.S3BackupDescription: never",
                other,
            ),
        ],
    );
}

#[tokio::test]
async fn answers_to_clients_of_2015() {
    let ignored = "came later; a client of 2015 ignores what it does not know";
    differ_as_listed(
        differences(&Model::of_2015()).await,
        &[
            (
                "DeliveryStreamDescription.DeliveryStreamEncryptionConfiguration: more",
                ignored,
            ),
            (
                "DeliveryStreamDescription.DeliveryStreamType: more",
                ignored,
            ),
            (
                "DestinationDescription.ExtendedS3DestinationDescription: more",
                ignored,
            ),
            (
                "RedshiftDestinationDescription.CloudWatchLoggingOptions: more",
                ignored,
            ),
            (
                "RedshiftDestinationDescription.ProcessingConfiguration: more",
                ignored,
            ),
            ("RedshiftDestinationDescription.RetryOptions: more", ignored),
            ("RedshiftDestinationDescription.S3BackupMode: more", ignored),
            (
                "RedshiftDestinationDescription.SecretsManagerConfiguration: more",
                ignored,
            ),
            ("PutRecordBatchOutput.Encrypted: more", ignored),
            ("PutRecordOutput.Encrypted: more", ignored),
            (
                "S3DestinationDescription.CloudWatchLoggingOptions: more",
                ignored,
            ),
            ("S3DestinationDescription.ErrorOutputPrefix: more", ignored),
        ],
    );
}

/// The errors that the models declare are ones that this node knows by the same name.
#[test]
fn errors() {
    let text = String::new;
    let known = [
        ApiError::InvalidArgument(text()),
        ApiError::LimitExceeded(text()),
        ApiError::ResourceInUse(text()),
        ApiError::ResourceNotFound(text()),
        ApiError::ConcurrentModification(text()),
        ApiError::ServiceUnavailable(text()),
    ]
    .map(|error| error.name());
    let models = [Model::of_2015(), Model::of_today()];
    let declared: BTreeSet<&str> = models
        .iter()
        .flat_map(|model| model.operations.values())
        .flat_map(|operation| &operation.errors)
        .copied()
        .collect();
    let unknown = declared.iter().filter(|name| !known.contains(name));
    // About keys of a KMS and about CloudWatch Logs as a source, of which there are none.
    let expected = ["InvalidKMSResourceException", "InvalidSourceException"];
    assert_eq!(unknown.copied().collect::<Vec<_>>(), expected);
    assert!(known.iter().all(|name| declared.contains(name)));
}

/// Every difference between this node's answers and what `model` says of them.
async fn differences(model: &Model) -> Vec<String> {
    let mut comparison = Comparison {
        model,
        found: BTreeSet::new(),
        seen: BTreeSet::new(),
    };
    for (operation, answer) in answers().await {
        if let Some(modelled) = model.operations.get(operation.name()) {
            comparison.value(modelled.output, &answer, operation.name());
        }
    }
    comparison.never_seen();
    comparison.found.into_iter().collect()
}

struct Comparison<'m> {
    model: &'m Model,
    found: BTreeSet<String>,
    /// Structures and their members that were in an answer.
    seen: BTreeSet<(&'static str, &'static str)>,
}

impl Comparison<'_> {
    fn value(&mut self, shape: &'static str, value: &Value, path: &str) {
        let fits = match &self.model.shapes[shape] {
            Shape::Structure(_) => return self.structure(shape, value, path),
            Shape::List { element, .. } => {
                let element = *element;
                for inner in value.as_array().expect(path) {
                    self.value(element, inner, path);
                }
                true
            }
            Shape::Enum(values) => value.as_str().is_some_and(|value| values.contains(&value)),
            Shape::Scalar { kind, bounds, .. } => match *kind {
                "string" => value.as_str().is_some_and(|text| {
                    text.len() as i64 >= bounds.min.unwrap_or(0)
                        && text.len() as i64 <= bounds.max.unwrap_or(i64::MAX)
                }),
                "boolean" => value.is_boolean(),
                "integer" => value.is_i64(),
                "timestamp" => value.is_number(),
                kind => panic!("{path}: {kind}"),
            },
        };
        assert!(fits, "{path}: {value} is no {shape}");
    }

    fn structure(&mut self, shape: &'static str, value: &Value, path: &str) {
        let members = value.as_object().expect(path);
        let model = self.model;
        let modelled = model.members(shape);
        for name in members.keys() {
            if !modelled.iter().any(|member| member.name == name) {
                self.found.insert(format!("{shape}.{name}: more"));
            }
        }
        for member in modelled {
            match members.get(member.name) {
                Some(inner) => {
                    self.seen.insert((shape, member.name));
                    self.value(member.shape, inner, &format!("{path}.{}", member.name));
                }
                None if member.required => {
                    self.found
                        .insert(format!("{shape}.{}: missing", member.name));
                }
                None => {}
            }
        }
    }

    /// Members that no answer had, of the structures that some answer had.
    fn never_seen(&mut self) {
        let structures: BTreeSet<_> = self.seen.iter().map(|(structure, _)| *structure).collect();
        for structure in structures {
            for member in self.model.members(structure) {
                if !self.seen.contains(&(structure, member.name)) {
                    self.found
                        .insert(format!("{structure}.{}: never", member.name));
                }
            }
        }
    }
}
