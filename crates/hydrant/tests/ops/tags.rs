//! Tags of a stream.

use hydrant::api::Operation;
use serde_json::{Value, json};

use super::node::{Node, error};

async fn tag(node: &Node, tags: Value) -> Result<Value, (String, String)> {
    let body = json!({"DeliveryStreamName": "logs", "Tags": tags});
    node.call(Operation::TagDeliveryStream, body).await
}

async fn list(node: &Node, start: Value, limit: Value) -> Value {
    let body = json!({
        "DeliveryStreamName": "logs",
        "ExclusiveStartTagKey": start,
        "Limit": limit,
    });
    node.call(Operation::ListTagsForDeliveryStream, body)
        .await
        .unwrap()
}

#[tokio::test]
async fn tags_are_set_replaced_listed_and_removed() {
    let node = Node::new().await;
    node.create("logs").await.unwrap();
    let empty = json!({"Tags": [], "HasMoreTags": false});
    assert_eq!(list(&node, json!(null), json!(null)).await, empty);
    let creating = error(
        "ResourceInUseException",
        "Firehose logs is not in ACTIVE state",
    );
    assert_eq!(tag(&node, json!([{"Key": "a"}])).await, Err(creating));
    node.activate("logs").await;

    let tags = json!([{"Key": "b", "Value": "2"}, {"Key": "a", "Value": "1"}, {"Key": "c"}]);
    assert_eq!(tag(&node, tags).await, Ok(json!({})));
    tag(&node, json!([{"Key": "b", "Value": "3"}]))
        .await
        .unwrap();
    let first = json!({
        "Tags": [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "3"}],
        "HasMoreTags": true,
    });
    assert_eq!(list(&node, json!(null), json!(2)).await, first);
    let rest = json!({"Tags": [{"Key": "c", "Value": ""}], "HasMoreTags": false});
    assert_eq!(list(&node, json!("b"), json!(2)).await, rest);

    let body = json!({"DeliveryStreamName": "logs", "TagKeys": ["a", "b", "unknown"]});
    let answer = node.call(Operation::UntagDeliveryStream, body).await;
    assert_eq!(answer, Ok(json!({})));
    assert_eq!(list(&node, json!(null), json!(null)).await, rest);
    assert_eq!(node.describe("logs").await["VersionId"], "1");
}

#[tokio::test]
async fn fifty_tags_are_enough() {
    let node = Node::new().await;
    node.active("logs").await;
    let fifty: Vec<Value> = (0..50)
        .map(|number| json!({"Key": format!("k{number:02}")}))
        .collect();
    tag(&node, json!(fifty)).await.unwrap();
    let over = tag(&node, json!([{"Key": "one-more"}])).await.unwrap_err();
    assert_eq!(over.0, "LimitExceededException");
    tag(&node, json!([{"Key": "k00", "Value": "new"}]))
        .await
        .unwrap();
    let all = list(&node, json!(null), json!(null)).await;
    assert_eq!(all["Tags"].as_array().unwrap().len(), 50);
    assert_eq!(all["HasMoreTags"], false);

    let reserved = tag(&node, json!([{"Key": "aws:x"}])).await.unwrap_err();
    assert_eq!(reserved.0, "ValidationException");
}
