//! Streams come and go.

use futures::StreamExt;
use hydrant_engine::{Chance, Engine, Frame, LaneId, LogError, ManualClock, SystemThreads};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use hydrant_engine::{Catalog, CatalogError, Change, Expect, Position, Version, Versioned};

use super::rig::{BEGIN, Rig, calm, until};
use crate::{
    delivery::{Delivery, Parts, Settings, Span, checkpoint, receipts},
    destination::{DeliveryError, Destination, Destinations},
    metrics::Metrics,
    stream::{Registry, S3Spec, Status},
};

#[tokio::test]
async fn a_deleted_stream_leaves_nothing_not_even_what_was_not_delivered() {
    let rig = Rig::new().await;
    let stream = rig.stream("s", (5, 60)).await;
    rig.put(stream.lane, &["a"]).await;
    rig.pass(60).await;
    rig.drained(&stream.key).await;
    // One in flight, one in the buffer.
    rig.store.hold_answers();
    rig.put(stream.lane, &["b"]).await;
    rig.pass(60).await;
    rig.delivered(2).await;
    rig.put(stream.lane, &["c"]).await;
    calm().await;
    assert!(rig.metrics.encode().contains("delivery_stream=\"s\""));

    rig.delete(&stream.key).await;
    until("the stream is gone", || {
        rig.registry.get(&stream.key).is_none()
    })
    .await;
    rig.pass(900).await;
    assert_eq!(rig.store.contents(), ["a", "b"]);
    assert_eq!(rig.engine.log.lane_usage(stream.lane).records, 0);
    let refused = rig
        .engine
        .log
        .append(stream.lane, Frame::new(BEGIN, ["d"]))
        .await;
    assert!(matches!(refused, Err(LogError::LaneRemoved(_))));
    for prefix in [
        checkpoint::CATALOG_PREFIX,
        receipts::CATALOG_PREFIX,
        "stream/",
    ] {
        assert_eq!(rig.engine.catalog.list(prefix).await.unwrap(), []);
    }
    assert!(!rig.metrics.encode().contains("delivery_stream=\"s\""));

    // The name is free, and what it held before does not come back.
    let again = rig.stream("s", (5, 60)).await;
    assert_ne!(again.lane, stream.lane);
    rig.store.answer(10);
    rig.put(again.lane, &["e"]).await;
    rig.pass(60).await;
    rig.delivered(3).await;
    assert_eq!(rig.store.contents(), ["a", "b", "e"]);
}

#[tokio::test]
async fn what_a_crash_left_of_a_deletion_is_removed_at_start() {
    let engine = Engine::mem();
    let orphan = LaneId(77);
    engine
        .log
        .append(orphan, Frame::new(BEGIN, ["a"]))
        .await
        .unwrap();
    checkpoint::Checkpoint::take_over(engine.catalog.clone(), orphan, 1, 1)
        .await
        .unwrap();
    for start in 0..1000 {
        let span = Span {
            start: Position(start),
            end: Position(start + 1),
        };
        let outcome = receipts::Outcome::Delivered;
        let receipt = receipts::SpanReceipt::new(span, BEGIN, outcome, ("b", "k"), (1, 1));
        receipts::keep(&*engine.catalog, orphan, span.start, &receipt)
            .await
            .unwrap();
    }
    let registry = Registry::open(engine.catalog.clone()).await.unwrap();
    // This one was being deleted.
    let deleting = registry
        .create(|lane| {
            let mut stream = super::rig::stream("s", lane, (5, 60));
            stream.status = Status::Deleting;
            stream
        })
        .await
        .unwrap();
    engine
        .log
        .append(deleting.lane, Frame::new(BEGIN, ["b"]))
        .await
        .unwrap();

    #[derive(Debug)]
    struct Nowhere;
    impl Destinations for Nowhere {
        fn find(&self, _: &S3Spec, _: &str) -> Result<Arc<dyn Destination>, DeliveryError> {
            Err(DeliveryError::internal("nowhere"))
        }
    }
    let delivery = Delivery::start(
        Parts {
            engine: engine.clone(),
            registry: registry.clone(),
            destinations: Arc::new(Nowhere),
            warehouse: Arc::new(super::rig::NoWarehouse),
            metrics: Metrics::new().delivery,
            clock: Arc::new(ManualClock::new(BEGIN)),
            chance: Chance::seeded(1),
            threads: Arc::new(SystemThreads),
        },
        Settings::default(),
    );
    until("the deletion is finished", || {
        registry.get(&deleting.key).is_none()
    })
    .await;
    assert_eq!(engine.log.lanes().await.unwrap(), []);
    for prefix in [checkpoint::CATALOG_PREFIX, receipts::CATALOG_PREFIX] {
        assert_eq!(engine.catalog.list(prefix).await.unwrap(), []);
    }
    delivery.stop().await;
}

#[tokio::test]
async fn streams_do_not_hold_each_other_back() {
    let rig = Rig::new().await;
    let dead = rig.stream("dead", (1, 60)).await;
    let alive = rig.stream("alive", (1, 60)).await;
    rig.update(&dead.key, |spec| {
        spec.bucket_arn = "arn:aws:s3:::dead".to_owned()
    })
    .await;
    let error = DeliveryError::refused("S3.AccessDenied", "no");
    rig.store.fail("dead", error);
    for _ in 0..20 {
        rig.put_bytes(dead.lane, 1 << 20).await;
        rig.put_bytes(alive.lane, 1 << 20).await;
    }
    rig.drained(&alive.key).await;
    assert_eq!(rig.status(&dead.key).unwrap().backlog_records, 20);
    let total: usize = rig.store.contents().iter().map(String::len).sum();
    assert_eq!(total, 20 << 20);
    let mut left = rig.engine.log.read(
        dead.lane,
        hydrant_engine::Position::START..hydrant_engine::Position(u64::MAX),
    );
    assert!(left.next().await.is_some());
}

/// The reference catalog, which panics once when it is told to, at a checkpoint.
#[derive(Debug)]
struct Panicking {
    inner: Arc<dyn Catalog>,
    armed: Arc<AtomicBool>,
}

#[async_trait]
impl Catalog for Panicking {
    async fn get(&self, key: &str) -> Result<Option<Versioned>, CatalogError> {
        self.inner.get(key).await
    }

    async fn put(&self, key: &str, value: Bytes, expect: Expect) -> Result<Version, CatalogError> {
        let checkpoint = key.starts_with(checkpoint::CATALOG_PREFIX);
        assert!(
            !(checkpoint && self.armed.swap(false, Ordering::Relaxed)),
            "a defect, on purpose"
        );
        self.inner.put(key, value, expect).await
    }

    async fn delete(&self, key: &str, version: Version) -> Result<(), CatalogError> {
        self.inner.delete(key, version).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<(String, Versioned)>, CatalogError> {
        self.inner.list(prefix).await
    }

    fn watch(&self, prefix: &str) -> BoxStream<'static, Result<Change, CatalogError>> {
        self.inner.watch(prefix)
    }

    async fn close(&self) -> Result<(), CatalogError> {
        self.inner.close().await
    }
}

#[tokio::test]
async fn a_worker_that_panics_is_replaced_and_nothing_is_lost() {
    let mem = Engine::mem();
    let armed = Arc::new(AtomicBool::new(false));
    let engine = Engine {
        log: mem.log,
        catalog: Arc::new(Panicking {
            inner: mem.catalog,
            armed: armed.clone(),
        }),
    };
    let rig = Rig::over(engine, Settings::default()).await;
    let stream = rig.stream("s", (5, 60)).await;
    rig.put(stream.lane, &["a"]).await;
    calm().await;
    armed.store(true, Ordering::Relaxed);
    rig.pass(60).await;
    until("the worker panicked", || !armed.load(Ordering::Relaxed)).await;
    rig.pass(5).await;
    rig.drained(&stream.key).await;
    assert_eq!(rig.store.contents(), ["a"]);
    rig.delivery.flush(&stream.key).await.unwrap();
}
