use serde_json::{Value, json};

use super::*;
use crate::api::{ApiError, shape};

fn validation(operation: Operation, mut value: Value) -> String {
    match shape::check(of(operation), &mut value) {
        Err(ApiError::Validation(text)) => text,
        other => panic!("expected a ValidationException, got {other:?}"),
    }
}

#[test]
fn a_record_may_have_its_limit_and_no_more() {
    // 1,024,000 bytes are 1,365,336 characters of base64, the last two of them padding.
    let largest = format!("{}==", "A".repeat(1_365_334));
    let put = |data: &str| json!({"DeliveryStreamName": "s", "Record": {"Data": data}});
    assert_eq!(shape::check(&PUT_RECORD, &mut put(&largest)), Ok(()));
    let over = format!("{}=", "A".repeat(1_365_335));
    assert_eq!(
        validation(Operation::PutRecord, put(&over)),
        "1 validation error detected: Value 'java.nio.HeapByteBuffer[pos=0 lim=1024001 \
         cap=1024001]' at 'record.data' failed to satisfy constraint: Member must have length less \
         than or equal to 1024000"
    );
    assert_eq!(shape::check(&PUT_RECORD, &mut put("")), Ok(()));
}

#[test]
fn names() {
    let describe = |name: &str| json!({ "DeliveryStreamName": name });
    let name = "a".repeat(64);
    assert_eq!(
        shape::check(&DESCRIBE_DELIVERY_STREAM, &mut describe(&name)),
        Ok(())
    );
    let name = "a".repeat(65);
    assert_eq!(
        validation(Operation::DescribeDeliveryStream, describe(&name)),
        format!(
            "1 validation error detected: Value '{name}' at 'deliveryStreamName' failed to satisfy \
             constraint: Member must have length less than or equal to 64"
        )
    );
}

#[test]
fn compression_formats_are_listed_as_the_service_lists_them() {
    let create = json!({
        "DeliveryStreamName": "s",
        "ExtendedS3DestinationConfiguration": {
            "RoleARN": "arn:aws:iam::123456789012:role/r", "BucketARN": "arn:aws:s3:::b",
            "CompressionFormat": "SNAPPY", "BufferingHints": {"IntervalInSeconds": 901},
        },
    });
    assert_eq!(
        validation(Operation::CreateDeliveryStream, create),
        "2 validation errors detected: \
         Value '901' at 'extendedS3DestinationConfiguration.bufferingHints.intervalInSeconds' \
         failed to satisfy constraint: Member must have value less than or equal to 900; \
         Value 'SNAPPY' at 'extendedS3DestinationConfiguration.compressionFormat' failed to satisfy \
         constraint: Member must satisfy enum value set: \
         [ZIP, HADOOP_SNAPPY, Snappy, GZIP, UNCOMPRESSED]"
    );
}

#[test]
fn required_members_of_a_destination() {
    let create = json!({"DeliveryStreamName": "s", "S3DestinationConfiguration": {}});
    assert_eq!(
        validation(Operation::CreateDeliveryStream, create),
        "2 validation errors detected: \
         Value null at 's3DestinationConfiguration.roleARN' failed to satisfy constraint: \
         Member must not be null; \
         Value null at 's3DestinationConfiguration.bucketARN' failed to satisfy constraint: \
         Member must not be null"
    );
    let mut update = json!({
        "DeliveryStreamName": "s", "CurrentDeliveryStreamVersionId": "1", "DestinationId": "d",
        "S3DestinationUpdate": {}, "ExtendedS3DestinationUpdate": {},
    });
    assert_eq!(shape::check(&UPDATE_DESTINATION, &mut update), Ok(()));
}

#[test]
fn redshift_secrets_are_not_echoed_and_any_host_will_do() {
    let create = |url: &str, password: &str| {
        json!({
            "DeliveryStreamName": "s",
            "RedshiftDestinationConfiguration": {
                "RoleARN": "arn:x", "ClusterJDBCURL": url, "CopyCommand": {"DataTableName": "t"},
                "Username": "u", "Password": password,
                "S3Configuration": {"RoleARN": "arn:x", "BucketARN": "arn:x"},
            },
        })
    };
    let mut fine = create("jdbc:redshift://localhost:5439/dev", "secret");
    assert_eq!(shape::check(&CREATE_DELIVERY_STREAM, &mut fine), Ok(()));
    let text = validation(Operation::CreateDeliveryStream, create("junk", "pssst"));
    assert_eq!(
        text,
        "2 validation errors detected: \
         Value 'junk' at 'redshiftDestinationConfiguration.clusterJDBCURL' failed to satisfy \
         constraint: Member must satisfy regular expression pattern: \
         jdbc:(redshift|postgresql)://([A-Za-z0-9._-]+|\\[[A-Fa-f0-9:.]+\\])(:\\d{1,5})?/[a-zA-Z0-9_$%-]+(\\?[!-~]*)?; \
         Value at 'redshiftDestinationConfiguration.password' failed to satisfy constraint: \
         Member must have length greater than or equal to 6"
    );
}
