//! Flush, trace, status and metrics.

use std::{sync::atomic::Ordering::SeqCst, time::Duration};

use hydrant_engine::{Engine, EngineConfig, LaneId, Position, Timestamp};

use super::rig::{BEGIN, Rig, calm, until};
use crate::{
    delivery::{FlushError, Flushed, Settings, Trace},
    destination::DeliveryError,
    stream::{RecordId, StreamKey, faulty::FaultyCatalog},
};

fn id(lane: LaneId, position: Position, index: u16) -> RecordId {
    RecordId {
        lane,
        position,
        index,
    }
}

#[tokio::test]
async fn a_flush_cuts_now_and_waits_until_everything_is_there() {
    let rig = Rig::new().await;
    let stream = rig.stream("s", (5, 900)).await;
    assert_eq!(
        rig.delivery.flush(&stream.key).await,
        Ok(Flushed { objects: 0 })
    );
    // Not yet seen by the worker when the flush is asked for.
    rig.put(stream.lane, &["a"]).await;
    rig.put(stream.lane, &["b"]).await;
    assert_eq!(
        rig.delivery.flush(&stream.key).await,
        Ok(Flushed { objects: 1 })
    );
    assert_eq!(rig.store.contents(), ["ab"]);
    let unknown = StreamKey::new("000000000000", "us-east-1", "unknown");
    assert_eq!(
        rig.delivery.flush(&unknown).await,
        Err(FlushError::NotActive(unknown))
    );
}

#[tokio::test]
async fn a_flush_waits_for_what_is_in_flight_already() {
    let rig = Rig::new().await;
    let stream = rig.stream("s", (5, 60)).await;
    rig.store.hold_answers();
    rig.put(stream.lane, &["a"]).await;
    rig.pass(60).await;
    rig.delivered(1).await;
    rig.put(stream.lane, &["b"]).await;
    let flush = {
        let (delivery, key) = (rig.delivery.clone(), stream.key.clone());
        tokio::spawn(async move { delivery.flush(&key).await })
    };
    rig.delivered(2).await;
    calm().await;
    assert!(!flush.is_finished());
    rig.store.answer(1);
    calm().await;
    assert!(!flush.is_finished(), "one of two");
    rig.store.answer(1);
    assert_eq!(flush.await.unwrap(), Ok(Flushed { objects: 2 }));
}

#[tokio::test]
async fn a_flush_that_fails_says_why_and_a_later_one_retries_at_once() {
    let rig = Rig::new().await;
    let stream = rig.stream("s", (5, 900)).await;
    rig.store
        .fail("b", DeliveryError::refused("S3.AccessDenied", "no"));
    rig.put(stream.lane, &["a"]).await;
    let Err(FlushError::Failing(error)) = rig.delivery.flush(&stream.key).await else {
        panic!("the flush did not fail");
    };
    assert_eq!(error.code, "S3.AccessDenied");
    rig.store.heal("b");
    assert_eq!(
        rig.delivery.flush(&stream.key).await,
        Ok(Flushed { objects: 1 })
    );
}

#[tokio::test]
async fn a_flush_tells_of_a_catalog_that_fails() {
    let mem = Engine::mem();
    let catalog = FaultyCatalog::new(mem.catalog);
    let engine = Engine {
        log: mem.log,
        catalog: catalog.clone(),
    };
    let rig = Rig::over(engine, Settings::default()).await;
    let stream = rig.stream("s", (5, 900)).await;
    rig.put(stream.lane, &["a"]).await;
    catalog.read_only.store(true, SeqCst);
    // One is asked for before the worker finds out, one while it waits.
    for _ in 0..2 {
        let (delivery, key) = (rig.delivery.clone(), stream.key.clone());
        let flush = tokio::spawn(async move { delivery.flush(&key).await });
        until("the flush is answered", || flush.is_finished()).await;
        let Err(FlushError::Failing(error)) = flush.await.unwrap() else {
            panic!("the flush did not fail");
        };
        assert!(error.message.contains("injected"), "{}", error.message);
    }
    catalog.read_only.store(false, SeqCst);
    rig.pass(1).await;
    rig.delivered(1).await;
    rig.drained(&stream.key).await;
    let again = rig.delivery.flush(&stream.key).await;
    assert_eq!(again, Ok(Flushed { objects: 0 }));
}

#[tokio::test]
async fn a_flush_after_the_clock_went_back_waits_for_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let config = EngineConfig {
        segment_bytes: 16 << 10,
        ..EngineConfig::new(dir.path())
    };
    let (engine, _) = Engine::open(config).await.unwrap();
    let rig = Rig::over(engine, Settings::default()).await;
    // Once it runs, orphans are not looked for any more.
    rig.stream("first", (5, 900)).await;
    let lane = LaneId(2);
    // So much that most of it lies in sealed segments, from where a worker does not have it at once.
    for _ in 0..40 {
        rig.put_bytes(lane, 8 << 10).await;
    }
    let hour = Duration::from_secs(60 * 60).as_millis() as u64;
    rig.clock.set_wall(Timestamp(BEGIN.as_millis() - hour));
    let stream = rig.stream("s", (5, 900)).await;
    assert_eq!(stream.lane, lane);
    let flushed = rig.delivery.flush(&stream.key).await;
    assert_eq!(flushed, Ok(Flushed { objects: 1 }));
    assert_eq!(rig.store.contents()[0].len(), 40 * (8 << 10));
    assert_eq!(rig.status(&stream.key).unwrap().backlog_records, 0);
}

#[tokio::test]
async fn a_record_is_traced_from_the_buffer_to_its_object() {
    let rig = Rig::new().await;
    let stream = rig.stream("s", (5, 60)).await;
    let position = rig.put(stream.lane, &["a", "b"]).await;
    let record = id(stream.lane, position, 1);
    let trace = async || rig.delivery.trace(record).await.unwrap();
    assert_eq!(trace().await, Trace::Buffered { since: BEGIN });

    rig.store
        .fail("b", DeliveryError::refused("S3.AccessDenied", "no"));
    rig.pass(60).await;
    until("it failed", || rig.store.attempts() == 1).await;
    calm().await;
    let Trace::Failing { error, next_retry } = trace().await else {
        panic!("{:?}", trace().await);
    };
    assert_eq!(error.code, "S3.AccessDenied");
    assert!(next_retry.is_some());

    rig.store.heal("b");
    rig.store.hold_answers();
    rig.pass(300).await;
    rig.delivered(1).await;
    calm().await;
    let key = rig.store.keys()[0].clone();
    // Until the answer is here, what is known is that it failed and is being tried.
    let Trace::Failing {
        next_retry: None, ..
    } = trace().await
    else {
        panic!("{:?}", trace().await);
    };
    rig.store.answer(1);
    rig.drained(&stream.key).await;
    let Trace::Delivered {
        bucket,
        key: traced,
        time,
        load: None,
    } = trace().await
    else {
        panic!("{:?}", trace().await);
    };
    assert_eq!((bucket.as_str(), traced), ("b", key));
    assert_eq!(time, BEGIN.plus(Duration::from_secs(360)));
}

#[tokio::test]
async fn in_flight_expired_empty_and_unknown_are_told_apart() {
    let rig = Rig::new().await;
    let stream = rig.stream("s", (5, 60)).await;
    let trace = async |position| {
        rig.delivery
            .trace(id(stream.lane, position, 0))
            .await
            .unwrap()
    };
    let empty = rig.put(stream.lane, &[""]).await;
    rig.pass(60).await;
    rig.drained(&stream.key).await;
    assert_eq!(trace(empty).await, Trace::Empty);

    rig.store.hold_answers();
    let flying = rig.put(stream.lane, &["a"]).await;
    rig.pass(60).await;
    rig.delivered(1).await;
    calm().await;
    let Trace::InFlight { bucket, .. } = trace(flying).await else {
        panic!("{:?}", trace(flying).await);
    };
    assert_eq!(bucket, "b");
    rig.store.answer(1 << 10);
    rig.drained(&stream.key).await;

    rig.store
        .fail("b", DeliveryError::refused("S3.AccessDenied", "no"));
    let old = rig.put(stream.lane, &["b"]).await;
    rig.pass(60).await;
    rig.pass(24 * 60 * 60).await;
    rig.drained(&stream.key).await;
    assert!(
        matches!(trace(old).await, Trace::Expired { .. }),
        "{:?}",
        trace(old).await
    );

    for nobody in [
        id(stream.lane, Position(u64::MAX), 0),
        id(LaneId(999), old, 0),
        id(stream.lane, Position::START, 0),
    ] {
        assert_eq!(rig.delivery.trace(nobody).await.unwrap(), Trace::Unknown);
    }
}

#[tokio::test]
async fn status_and_metrics_tell_what_was_delivered() {
    let rig = Rig::new().await;
    let stream = rig.stream("s", (5, 60)).await;
    rig.put(stream.lane, &["abc", "d"]).await;
    calm().await;
    let status = rig.status(&stream.key).unwrap();
    assert_eq!((status.backlog_records, status.backlog_bytes), (2, 4));
    assert_eq!(status.oldest, Some(BEGIN));
    assert_eq!(status.last_delivery, None);
    rig.pass(10).await;
    let text = rig.metrics.encode();
    let labels = "{delivery_stream=\"s\",account=\"000000000000\",region=\"us-east-1\"}";
    assert!(
        text.contains(&format!("DeliveryToS3_DataFreshness{labels} 10.0\n")),
        "{text}"
    );

    rig.pass(50).await;
    rig.drained(&stream.key).await;
    let status = rig.status(&stream.key).unwrap();
    assert_eq!((status.backlog_records, status.oldest), (0, None));
    assert_eq!(status.last_delivery.unwrap().key, rig.store.keys()[0]);
    let text = rig.metrics.encode();
    for line in [
        "DeliveryToS3_Bytes_total",
        "DeliveryToS3_Records_total",
        "DeliveryToS3_ObjectCount_total",
        "DeliveryToS3_Success_total",
    ] {
        let value = match line {
            "DeliveryToS3_Bytes_total" => 4,
            "DeliveryToS3_Records_total" => 2,
            _ => 1,
        };
        assert!(
            text.contains(&format!("{line}{labels} {value}\n")),
            "{line} in {text}"
        );
    }
    assert_eq!(rig.delivery.statuses().len(), 1);
}
