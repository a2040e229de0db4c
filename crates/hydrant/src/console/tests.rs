use async_trait::async_trait;
use axum::body::to_bytes;
use hydrant_engine::{Chance, Frame, LaneId, ManualClock, Timestamp};

use super::*;
use crate::{
    delivery::Settings,
    destination::{Bytestream, DeliveryError, Destination, Destinations, Object, Receipt},
    stream::{
        BufferingHints, CompressionFormat, DeliveryStream, Destination as Configured, Encryption,
        S3Spec, Status,
    },
    warehouse::{Load, Loaded, Warehouse},
};

/// A destination that never answers.
#[derive(Debug)]
struct Silent;

#[async_trait]
impl Destination for Silent {
    async fn deliver(&self, _: &Object) -> Result<Receipt, DeliveryError> {
        std::future::pending().await
    }

    async fn read(&self, _: &str) -> Result<Bytestream, DeliveryError> {
        std::future::pending().await
    }

    async fn probe(&self) -> Result<(), DeliveryError> {
        std::future::pending().await
    }
}

#[async_trait]
impl Warehouse for Silent {
    async fn copy(&self, _: &Load) -> Result<Loaded, DeliveryError> {
        std::future::pending().await
    }
}

impl Destinations for Silent {
    fn find(&self, _: &S3Spec, _: &str) -> Result<Arc<dyn Destination>, DeliveryError> {
        Ok(Arc::new(Silent))
    }
}

fn stream(lane: LaneId) -> DeliveryStream {
    DeliveryStream {
        key: StreamKey::new("000000000000", "us-east-1", "s"),
        lane,
        status: Status::Active,
        version: 1,
        created: Timestamp(0),
        updated: None,
        destination: Configured::S3(S3Spec {
            role_arn: "arn:aws:iam::000000000000:role/r".to_owned(),
            bucket_arn: "arn:aws:s3:::b".to_owned(),
            prefix: None,
            buffering: BufferingHints::DEFAULT,
            compression: CompressionFormat::Uncompressed,
            encryption: Encryption::None,
            echoed: serde_json::Map::new(),
        }),
        tags: Vec::new(),
    }
}

#[tokio::test]
async fn a_flush_is_not_waited_for_for_ever() {
    let engine = Engine::mem();
    let registry = Registry::open(engine.catalog.clone()).await.unwrap();
    let created = registry.create(stream).await.unwrap();
    let clock = ManualClock::new(Timestamp(0));
    let metrics = Arc::new(Metrics::new());
    let delivery = Delivery::start(
        engine.clone(),
        registry.clone(),
        Arc::new(Silent),
        Arc::new(Silent),
        metrics.delivery.clone(),
        Arc::new(clock.clone()),
        Chance::seeded(1),
        Settings::default(),
    );
    // The supervisor gives the stream a worker at its first look.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    let frame = Frame::new(Timestamp(0), ["a"]);
    engine.log.append(created.lane, frame).await.unwrap();
    let console = Arc::new(Console {
        engine,
        registry,
        delivery: delivery.clone(),
        metrics,
        clock: Arc::new(clock.clone()),
        any_host: false,
        stopping: AtomicBool::new(false),
    });
    let StreamKey {
        account,
        region,
        name,
    } = created.key.clone();
    let asked = tokio::spawn(flush(State(console), Path((account, region, name))));
    // The object is on its way, and will be for ever.
    while delivery.status(&created.key).unwrap().in_flight == 0 {
        tokio::task::yield_now().await;
    }
    assert!(!asked.is_finished());
    clock.advance(FLUSH_WAIT);
    let answer = asked.await.unwrap();
    assert_eq!(answer.status(), StatusCode::GATEWAY_TIMEOUT);
    let body = to_bytes(answer.into_body(), 1 << 10).await.unwrap();
    let problem: model::Problem = serde_json::from_slice(&body).unwrap();
    assert!(
        problem.error.contains("delivery goes on"),
        "{}",
        problem.error
    );
}
