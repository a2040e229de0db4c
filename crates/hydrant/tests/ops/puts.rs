//! `PutRecord` and `PutRecordBatch`: what is stored, what is answered, and that the two agree.

use bytes::Bytes;
use hydrant::{
    api::Operation,
    config::{Quotas, Throughput},
    credentials::Identity,
    stream::RecordId,
};
use hydrant_engine::{LogError, Position};
use serde_json::{Value, json};

use super::node::{ACCOUNT, Node, SECOND, error, key};

const SLOW: &str = "Slow down.";
const UNAVAILABLE: &str = "The service is unavailable. Back off and retry the operation.";

fn id(answer: &Value) -> RecordId {
    answer["RecordId"].as_str().unwrap().parse().unwrap()
}

/// Splits the entries of a batch's answer into ids and errors, which must not be mixed in one.
fn entries(answer: &Value) -> Vec<Result<RecordId, (String, String)>> {
    let entries = answer["RequestResponses"].as_array().unwrap();
    let read = |entry: &Value| {
        let members: Vec<_> = entry.as_object().unwrap().keys().collect();
        if members == ["RecordId"] {
            return Ok(id(entry));
        }
        assert_eq!(members, ["ErrorCode", "ErrorMessage"]);
        let text = |name: &str| entry[name].as_str().unwrap().to_owned();
        Err((text("ErrorCode"), text("ErrorMessage")))
    };
    let entries: Vec<_> = entries.iter().map(read).collect();
    let failed = entries.iter().filter(|entry| entry.is_err()).count();
    assert_eq!(answer["FailedPutCount"], json!(failed));
    entries
}

#[tokio::test]
async fn a_record_lies_where_its_id_says() {
    let node = Node::new().await;
    let stream = node.active("logs").await;
    let answer = node.put("logs", b"hello").await.unwrap();
    assert_eq!(answer["Encrypted"], false);
    let batch = node.put_batch("logs", ["a", "", "bcd"]).await.unwrap();
    assert_eq!(batch["Encrypted"], false);

    let stored = node.stored(&stream).await;
    let find = |id: RecordId| {
        assert_eq!(id.lane, stream.lane);
        let (_, records) = stored.iter().find(|(at, _)| *at == id.position).unwrap();
        records[usize::from(id.index)].clone()
    };
    assert_eq!(find(id(&answer)), "hello");
    let batched: Vec<Bytes> = entries(&batch)
        .into_iter()
        .map(|entry| find(entry.unwrap()))
        .collect();
    assert_eq!(batched, ["a", "", "bcd"]);
    assert_eq!(stored.len(), 2, "one frame for each request");
}

#[tokio::test]
async fn the_letters_of_the_answers() {
    let node = Node::new().await;
    let stream = node.active("logs").await;
    let body = r#"{"DeliveryStreamName":"logs","Record":{"Data":"aGVsbG8\/"}}"#;
    let one = node.raw(Operation::PutRecord, body).await.unwrap();
    let body = r#"{"Records":[{"Data":""}],"DeliveryStreamName":"logs"}"#;
    let batch = node.raw(Operation::PutRecordBatch, body).await.unwrap();
    let at: Vec<Position> = node
        .stored(&stream)
        .await
        .into_iter()
        .map(|(at, _)| at)
        .collect();
    let id = |position| RecordId {
        lane: stream.lane,
        position,
        index: 0,
    };
    assert_eq!(
        one,
        format!(r#"{{"RecordId":"{}","Encrypted":false}}"#, id(at[0]))
    );
    assert_eq!(
        batch,
        format!(
            r#"{{"Encrypted":false,"FailedPutCount":0,"RequestResponses":[{{"RecordId":"{}"}}]}}"#,
            id(at[1])
        )
    );
    assert_eq!(node.stored(&stream).await[0].1, ["hello?"]);
}

#[tokio::test]
async fn limits_of_size() {
    let node = Node::with(Quotas::UNLIMITED).await;
    let stream = node.active("logs").await;
    let over = vec![0u8; 1_024_001];
    let (name, text) = node.put("logs", &over).await.unwrap_err();
    assert_eq!(name, "ValidationException");
    assert_eq!(
        text,
        "1 validation error detected: Value 'java.nio.HeapByteBuffer[pos=0 lim=1024001 \
         cap=1024001]' at 'record.data' failed to satisfy constraint: Member must have length less \
         than or equal to 1024000"
    );
    let (name, text) = node.put_batch("logs", [&[1][..], &over]).await.unwrap_err();
    assert_eq!(name, "ValidationException");
    assert!(text.contains("at 'records.2.member.data'"), "{text}");
    for count in [0, 501] {
        let (name, text) = node.put_batch("logs", vec!["x"; count]).await.unwrap_err();
        assert_eq!(name, "ValidationException");
        assert!(text.contains("at 'records' failed"), "{text}");
    }

    let mut four_mib = vec![vec![7u8; 1_000_000]; 4];
    four_mib.push(vec![7u8; 4 * 1024 * 1024 - 4_000_000]);
    node.put_batch("logs", &four_mib).await.unwrap();
    four_mib[4].push(7);
    assert_eq!(
        node.put_batch("logs", &four_mib).await,
        Err(error(
            "InvalidArgumentException",
            "Records size exceeds 4 MB limit"
        ))
    );
    node.put("logs", &over[1..]).await.unwrap();
    node.put("logs", b"").await.unwrap();
    node.put_batch("logs", vec!["x"; 500]).await.unwrap();
    let stored = node.stored(&stream).await;
    let records: Vec<usize> = stored.iter().map(|(_, records)| records.len()).collect();
    assert_eq!(records, [5, 1, 1, 500]);
}

/// The same words whatever the size of the body, which decides where it is read.
#[tokio::test]
async fn what_is_wrong_is_said_exactly() {
    let node = Node::with(Quotas::UNLIMITED).await;
    let stream = node.active("logs").await;
    for padding in [0, 100_000, 2_000_000] {
        let call = async |body: &str| {
            let padded = format!("{body}{}", " ".repeat(padding));
            node.raw(Operation::PutRecordBatch, &padded).await
        };
        let refused = async |body: &str| call(body).await.unwrap_err();
        assert_eq!(refused("{").await, error("SerializationException", ""));
        assert_eq!(
            refused(r#"{"DeliveryStreamName":"logs","Records":[["AA=="]]}"#).await,
            error(
                "SerializationException",
                "Start of list found where not expected"
            )
        );
        assert_eq!(
            refused(r#"{"DeliveryStreamName":"logs","Records":[{"Data":"AAA"}]}"#).await,
            error(
                "SerializationException",
                "'AAA' can not be converted to a Blob: Base64 encoded length is expected a multiple \
                 of 4 bytes but found: 3"
            )
        );
        let name = "a".repeat(65);
        let body = format!(r#"{{"DeliveryStreamName":"{name}"}}"#);
        assert_eq!(
            refused(&body).await,
            error(
                "ValidationException",
                &format!(
                    "2 validation errors detected: Value '{name}' at 'deliveryStreamName' failed to \
                     satisfy constraint: Member must have length less than or equal to 64; Value null \
                     at 'records' failed to satisfy constraint: Member must not be null"
                )
            )
        );
        // Unknown members are no fault.
        let odd = r#"{"DeliveryStreamName":"logs","Records":[{"Data":"QQ==","X":1}],"Y":[]}"#;
        call(odd).await.unwrap();
        call(r#"{"DeliveryStreamName":"logs","Records":[{"Data":"QQ=="}]}"#)
            .await
            .unwrap();
    }
    let stored = node.stored(&stream).await;
    assert_eq!(stored.len(), 6);
    assert!(stored.iter().all(|(_, records)| records == &["A"]));
}

#[tokio::test]
async fn a_stream_takes_records_only_when_active() {
    let node = Node::new().await;
    let unknown = "Firehose logs under account 000000000000 not found.";
    let not_active = "Firehose logs is not in ACTIVE state";
    let refused = async |text: &str| {
        let expected = Err(error("ResourceNotFoundException", text));
        assert_eq!(node.put("logs", b"x").await, expected);
        assert_eq!(node.put_batch("logs", ["x"]).await, expected);
    };
    refused(unknown).await;
    node.create("logs").await.unwrap();
    refused(not_active).await;
    node.activate("logs").await;
    node.put("logs", b"x").await.unwrap();
    let body = json!({"DeliveryStreamName": "logs"});
    node.call(Operation::DeleteDeliveryStream, body)
        .await
        .unwrap();
    refused(not_active).await;
    node.bury("logs").await;
    refused(unknown).await;
}

#[tokio::test]
async fn permission_comes_before_what_there_is() {
    let node = Node::new().await;
    let mut nobody = Identity::unverified(ACCOUNT, "us-east-1");
    nobody.policy = Default::default();
    let body = r#"{"DeliveryStreamName":"logs","Record":{"Data":"AA=="}}"#;
    let (name, text) = node
        .raw_as(&nobody, Operation::PutRecord, body)
        .await
        .unwrap_err();
    assert_eq!(name, "AccessDeniedException");
    assert!(
        text.contains("firehose:PutRecord on resource: arn:aws:firehose:"),
        "{text}"
    );
    let body = r#"{"DeliveryStreamName":"logs","Record":{"Data":"AA="}}"#;
    let (name, _) = node
        .raw_as(&nobody, Operation::PutRecord, body)
        .await
        .unwrap_err();
    assert_eq!(name, "SerializationException");
}

#[tokio::test]
async fn what_is_over_the_quota_fails_record_by_record() {
    let quotas = Quotas {
        throughput: Throughput {
            calls: Some(100),
            records: Some(450),
            bytes: None,
        },
        ..Quotas::DEFAULT
    };
    let node = Node::with(quotas).await;
    let stream = node.active("logs").await;
    let records: Vec<String> = (0..500).map(|number| number.to_string()).collect();
    let answer = node.put_batch("logs", &records).await.unwrap();
    let entries = entries(&answer);
    let slow = error("ServiceUnavailableException", SLOW);
    assert!(entries[..450].iter().all(Result::is_ok));
    assert!(
        entries[450..]
            .iter()
            .all(|entry| entry.as_ref() == Err(&slow))
    );
    let stored = node.stored(&stream).await;
    assert_eq!(stored.len(), 1);
    assert_eq!(stored[0].1, records[..450], "what failed is not stored");

    // Both put operations share the quota, and when nothing fits the whole call fails.
    assert_eq!(node.put("logs", b"x").await, Err(slow.clone()));
    assert_eq!(node.put_batch("logs", ["x"]).await, Err(slow));
    // Another stream has its own.
    node.active("other").await;
    node.put("other", b"x").await.unwrap();
    node.clock.advance(SECOND);
    let again = node.put_batch("logs", &records[450..]).await.unwrap();
    assert_eq!(again["FailedPutCount"], 0);
    assert_eq!(node.stored(&stream).await.len(), 2);
}

#[tokio::test]
async fn the_default_quota() {
    let node = Node::new().await;
    node.active("logs").await;
    for _ in 0..2_000 {
        node.put("logs", b"x").await.unwrap();
    }
    let slow = Err(error("ServiceUnavailableException", SLOW));
    assert_eq!(node.put("logs", b"x").await, slow);
    node.clock.advance(SECOND);
    node.put("logs", b"x").await.unwrap();

    let node = Node::new().await;
    node.active("logs").await;
    // The largest batch passes a stream that was idle; the second one does not as a whole.
    let mut largest = vec![vec![7u8; 1_000_000]; 4];
    largest.push(vec![7u8; 4 * 1024 * 1024 - 4_000_000]);
    assert_eq!(
        node.put_batch("logs", &largest).await.unwrap()["FailedPutCount"],
        0
    );
    let second = node.put_batch("logs", &largest).await.unwrap();
    assert_eq!(second["FailedPutCount"], 4);
}

#[tokio::test]
async fn nothing_is_acknowledged_that_the_log_did_not_take() {
    let node = Node::new().await;
    let stream = node.active("logs").await;
    let internal = "The service failed to process the request. Try again.";
    let not_found = "Firehose logs under account 000000000000 not found.";
    for (failure, expected) in [
        (
            LogError::Full("disk".to_owned()),
            error("ServiceUnavailableException", UNAVAILABLE),
        ),
        (
            LogError::Closed,
            error("ServiceUnavailableException", UNAVAILABLE),
        ),
        (
            LogError::Failed("disk sda".to_owned()),
            error("InternalFailure", internal),
        ),
        (
            LogError::LaneRemoved(stream.lane),
            error("ResourceNotFoundException", not_found),
        ),
    ] {
        node.log.fail_after(0, failure);
        assert_eq!(node.put("logs", b"x").await, Err(expected.clone()));
        assert_eq!(node.put_batch("logs", ["x", "y"]).await, Err(expected));
    }
    assert_eq!(node.stored(&stream).await, []);
}

#[tokio::test]
async fn a_log_of_small_frames_gets_small_frames() {
    let node = Node::new().await;
    let stream = node.active("logs").await;
    node.log.limit_frames(10);
    let records = ["1234", "12345", "1", "123456789", "", "12"];
    let answer = node.put_batch("logs", records).await.unwrap();
    let stored = node.stored(&stream).await;
    let frames: Vec<usize> = stored.iter().map(|(_, records)| records.len()).collect();
    assert_eq!(frames, [3, 2, 1]);
    for (entry, record) in entries(&answer).into_iter().zip(records) {
        let id = entry.unwrap();
        let (_, frame) = stored.iter().find(|(at, _)| *at == id.position).unwrap();
        assert_eq!(frame[usize::from(id.index)], record);
    }

    node.log.fail_after(1, LogError::Full("disk".to_owned()));
    let answer = node.put_batch("logs", records).await.unwrap();
    let full = error("ServiceUnavailableException", UNAVAILABLE);
    let entries = entries(&answer);
    assert!(entries[..3].iter().all(Result::is_ok));
    assert!(
        entries[3..]
            .iter()
            .all(|entry| entry.as_ref() == Err(&full))
    );
    assert_eq!(node.stored(&stream).await.len(), 4);
}

#[tokio::test]
async fn puts_are_counted_and_forgotten_with_their_stream() {
    let quotas = Quotas {
        throughput: Throughput {
            records: Some(4),
            ..Throughput::DEFAULT
        },
        ..Quotas::DEFAULT
    };
    let node = Node::with(quotas).await;
    node.active("logs").await;
    node.put("logs", b"12345").await.unwrap();
    node.put_batch("logs", ["1", "22", "333", "4444"])
        .await
        .unwrap();
    node.describe("logs").await;
    let text = node.metrics.encode();
    for (name, value) in [
        ("IncomingBytes_total", 11),
        ("IncomingRecords_total", 4),
        ("IncomingPutRequests_total", 2),
        ("PutRecord_Bytes_total", 5),
        ("PutRecord_Requests_total", 1),
        ("PutRecordBatch_Records_total", 3),
        ("PutRecordBatch_Requests_total", 1),
        ("ThrottledRecords_total", 1),
        ("RecordsPerSecondLimit", 4),
        ("DescribeDeliveryStream_Requests_total", 1),
    ] {
        let labels = r#"{delivery_stream="logs",account="000000000000",region="us-east-1"}"#;
        let line = format!("\n{name}{labels} {value}\n");
        assert!(text.contains(&line), "{line:?} is not in\n{text}");
    }

    let body = json!({"DeliveryStreamName": "logs"});
    node.call(Operation::DeleteDeliveryStream, body)
        .await
        .unwrap();
    node.bury("logs").await;
    assert!(node.registry.get(&key("logs")).is_none());
    // Its series go as soon as the janitor has its turn.
    while node.metrics.encode().contains("logs") {
        tokio::task::yield_now().await;
    }
}
