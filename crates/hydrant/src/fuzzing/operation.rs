//! What a caller may ask for who is let in: any bodies for any operations, one after another.

use std::collections::HashMap;

use bytes::Bytes;
use hydrant_engine::LaneId;
use serde_json::Value;

use super::{
    LONGEST, block_on,
    node::{ACCOUNT, Node, REGION},
};
use crate::{
    api::{ApiError, Operation},
    stream::{Registry, StreamKey},
};

/// The most calls in one run.
const CALLS: usize = 24;
/// An error is no longer than the request and what is said around it.
const AROUND: usize = 64 << 10;
/// In the seeds it stands where passwords do.
const PASSWORD: &str = "hunter-22";

/// ```text
/// { operation  SP  body without LF  LF }
/// ```
///
/// No call is the node's own fault; what is acknowledged is in the log, and nothing else; every stream can be described and
/// is read from the catalog as it was; passwords show nowhere.
pub fn operation(bytes: &[u8]) {
    if bytes.len() <= LONGEST {
        block_on(calls(bytes));
    }
}

async fn calls(bytes: &[u8]) {
    let node = Node::new().await;
    let mut acknowledged: HashMap<LaneId, usize> = HashMap::new();
    let mut secret = true;
    for line in bytes.split(|byte| *byte == b'\n').take(CALLS) {
        let Some(space) = line.iter().position(|byte| *byte == b' ') else {
            continue;
        };
        let (name, body) = (&line[..space], &line[space + 1..]);
        let known = |known: &&Operation| known.name().as_bytes() == name;
        let Some(&operation) = Operation::ALL.iter().find(known) else {
            continue;
        };
        // Once it stood elsewhere it may be shown.
        secret &= serde_json::from_slice(body).is_ok_and(|body| only_a_password(&body));
        let answer = node.call(operation, Bytes::copy_from_slice(body)).await;
        let shown = match &answer {
            Ok(answer) => answer.clone(),
            Err(error) => refusal(error, body.len()),
        };
        let read = serde_json::from_slice::<Value>(&shown).expect("an answer in JSON");
        assert!(!secret || !shows(&shown), "{read}");
        if answer.is_ok() && matches!(operation, Operation::PutRecord | Operation::PutRecordBatch) {
            let Ok(request) = serde_json::from_slice::<Value>(body) else {
                // Something is wrong with a member that nobody reads: no tree says whose records they are.
                return;
            };
            let stream = request["DeliveryStreamName"].as_str().unwrap_or_default();
            let key = StreamKey::new(ACCOUNT, REGION, stream);
            let lane = node
                .registry
                .get(&key)
                .expect("a stream that took records")
                .lane;
            *acknowledged.entry(lane).or_default() += record_ids(&read);
        }
        node.supervise().await;
    }
    check(&node, &acknowledged, secret).await;
}

/// What the client sees of an error.
fn refusal(error: &ApiError, asked: usize) -> Bytes {
    assert!(
        !matches!(error, ApiError::InternalFailure { .. }),
        "{error:?}"
    );
    let body = error.body();
    assert!(
        body.len() <= asked + AROUND,
        "{} bytes for {asked}",
        body.len()
    );
    body
}

fn record_ids(answer: &Value) -> usize {
    match answer["RequestResponses"].as_array() {
        Some(entries) => entries
            .iter()
            .filter(|entry| entry["RecordId"].is_string())
            .count(),
        None => usize::from(answer["RecordId"].is_string()),
    }
}

async fn check(node: &Node, acknowledged: &HashMap<LaneId, usize>, secret: bool) {
    let again = Registry::open(node.engine.catalog.clone()).await;
    let again = again.expect("a catalog that can be read");
    assert_eq!(again.all().len(), node.registry.all().len());
    for stream in node.registry.all() {
        assert_eq!(again.get(&stream.key).as_ref(), Some(&stream));
        let records = acknowledged.get(&stream.lane).copied().unwrap_or_default();
        assert_eq!(node.records(stream.lane).await, records, "{}", stream.key);
        let body = format!(r#"{{"DeliveryStreamName":"{}"}}"#, stream.key.name);
        let described = node
            .call(Operation::DescribeDeliveryStream, body.into())
            .await;
        let described = described.expect("a description");
        assert!(!secret || !shows(&described));
        assert!(!secret || !shows(format!("{stream:?}").as_bytes()));
    }
    let kept = node
        .engine
        .catalog
        .list("")
        .await
        .expect("a catalog in memory");
    assert!(!secret || !kept.iter().any(|(_, kept)| shows(&kept.value)));
}

fn shows(text: &[u8]) -> bool {
    text.windows(PASSWORD.len())
        .any(|place| place == PASSWORD.as_bytes())
}

/// Whether the password stands nowhere but where one belongs.
fn only_a_password(value: &Value) -> bool {
    match value {
        Value::Object(members) => members.iter().all(|(name, value)| {
            let password = name == "Password" && value.is_string();
            !name.contains(PASSWORD) && (password || only_a_password(value))
        }),
        Value::Array(elements) => elements.iter().all(only_a_password),
        Value::String(text) => !text.contains(PASSWORD),
        _ => true,
    }
}
