//! Describe, List and Delete.

use hydrant::{api::Operation, config::Quotas, credentials::Identity, stream::Status};
use serde_json::{Value, json};

use super::node::{ACCOUNT, Node, error, key};

const NOT_FOUND: &str = "Firehose logs under account 000000000000 not found.";

#[tokio::test]
async fn an_unknown_stream_is_not_found() {
    let node = Node::new().await;
    let not_found = Err(error("ResourceNotFoundException", NOT_FOUND));
    for operation in [
        Operation::DescribeDeliveryStream,
        Operation::DeleteDeliveryStream,
    ] {
        let body = json!({"DeliveryStreamName": "logs"});
        assert_eq!(node.call(operation, body).await, not_found);
    }
    // Another account's stream is as good as none.
    node.create("logs").await.unwrap();
    let stranger = Identity::unverified("111111111111", "us-east-1");
    let body = r#"{"DeliveryStreamName":"logs"}"#;
    let answer = node
        .raw_as(&stranger, Operation::DescribeDeliveryStream, body)
        .await;
    assert_eq!(answer.unwrap_err().0, "ResourceNotFoundException");
}

#[tokio::test]
async fn destinations_are_paged() {
    let node = Node::new().await;
    node.create("logs").await.unwrap();
    for (start, shown) in [
        (json!(null), 1),
        (json!("destinationId-000000000000"), 1),
        (json!("destinationId-000000000001"), 0),
    ] {
        let body = json!({
            "DeliveryStreamName": "logs",
            "Limit": 1,
            "ExclusiveStartDestinationId": start,
        });
        let answer = node
            .call(Operation::DescribeDeliveryStream, body)
            .await
            .unwrap();
        let description = &answer["DeliveryStreamDescription"];
        assert_eq!(description["Destinations"].as_array().unwrap().len(), shown);
        assert_eq!(description["HasMoreDestinations"], false);
    }
}

async fn list(node: &Node, body: Value) -> (Vec<String>, bool) {
    let answer = node
        .call(Operation::ListDeliveryStreams, body)
        .await
        .unwrap();
    let names = serde_json::from_value(answer["DeliveryStreamNames"].clone()).unwrap();
    (names, answer["HasMoreDeliveryStreams"].as_bool().unwrap())
}

#[tokio::test]
async fn streams_are_listed_in_byte_order_ten_at_a_time() {
    let node = Node::with(Quotas::UNLIMITED).await;
    let mut names: Vec<String> = (1..=10).map(|number| format!("s-{number}")).collect();
    names.push("Z".to_owned());
    for name in &names {
        node.create(name).await.unwrap();
    }
    names.sort();
    assert_eq!(names[..4], ["Z", "s-1", "s-10", "s-2"]);
    assert_eq!(list(&node, json!({})).await, (names[..10].to_vec(), true));
    let rest = json!({"ExclusiveStartDeliveryStreamName": names[9]});
    assert_eq!(list(&node, rest).await, (names[10..].to_vec(), false));
    let middle = json!({"ExclusiveStartDeliveryStreamName": "s-1x", "Limit": 3});
    assert_eq!(list(&node, middle).await, (names[3..6].to_vec(), true));
    let all = json!({"Limit": 10_000, "DeliveryStreamType": "DirectPut"});
    assert_eq!(list(&node, all).await, (names, false));
    let kinesis = json!({"DeliveryStreamType": "KinesisStreamAsSource"});
    assert_eq!(list(&node, kinesis).await, (vec![], false));

    let answer = node
        .raw(Operation::ListDeliveryStreams, r#"{"Limit":1}"#)
        .await;
    let expected = r#"{"DeliveryStreamNames":["Z"],"HasMoreDeliveryStreams":true}"#;
    assert_eq!(answer.unwrap(), expected);
}

#[tokio::test]
async fn only_one_s_own_region_is_listed_and_all_of_it_must_be_permitted() {
    let node = Node::new().await;
    node.create("logs").await.unwrap();
    let elsewhere = Identity::unverified(ACCOUNT, "eu-west-1");
    let operation = Operation::ListDeliveryStreams;
    let answer = node.raw_as(&elsewhere, operation, "{}").await.unwrap();
    assert_eq!(
        answer,
        r#"{"DeliveryStreamNames":[],"HasMoreDeliveryStreams":false}"#
    );
    let mut nobody = elsewhere;
    nobody.policy = Default::default();
    let denied = node.raw_as(&nobody, operation, "{}").await.unwrap_err();
    assert_eq!(denied.0, "AccessDeniedException");
}

#[tokio::test]
async fn deleting_takes_its_time_and_may_be_asked_for_again() {
    let node = Node::new().await;
    let delete = async || {
        let body = r#"{"DeliveryStreamName":"logs","AllowForceDelete":true}"#;
        node.raw(Operation::DeleteDeliveryStream, body).await
    };
    node.create("logs").await.unwrap();
    let creating = error(
        "ResourceInUseException",
        "Firehose logs is not in ACTIVE state",
    );
    assert_eq!(delete().await, Err(creating));

    let stream = node.activate("logs").await;
    node.put("logs", b"lost").await.unwrap();
    assert_eq!(delete().await.as_deref(), Ok("{}"));
    assert_eq!(delete().await.as_deref(), Ok("{}"));
    assert_eq!(
        node.describe("logs").await["DeliveryStreamStatus"],
        "DELETING"
    );
    assert_eq!(list(&node, json!({})).await.0, ["logs"]);
    assert_eq!(
        node.registry.get(&key("logs")).unwrap().status,
        Status::Deleting
    );

    node.bury("logs").await;
    assert_eq!(
        delete().await,
        Err(error("ResourceNotFoundException", NOT_FOUND))
    );
    let again = node.active("logs").await;
    assert_ne!(again.lane, stream.lane);
    assert_eq!(again.version, 1);
    assert_eq!(node.stored(&again).await, []);
}
