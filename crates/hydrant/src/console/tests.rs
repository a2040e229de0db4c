use async_trait::async_trait;
use axum::body::to_bytes;
use hydrant_engine::{Chance, Frame, LaneId, ManualClock, SystemThreads, Timestamp};

use super::*;
use crate::{
    delivery::{Parts, Settings},
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

/// A console over delivery whose destination and warehouse never answer.
async fn console() -> (Arc<Console>, Arc<DeliveryStream>, ManualClock) {
    let engine = Engine::mem();
    let registry = Registry::open(engine.catalog.clone()).await.unwrap();
    let created = registry.create(stream).await.unwrap();
    let clock = ManualClock::new(Timestamp(0));
    let metrics = Arc::new(Metrics::new());
    let delivery = Delivery::start(
        Parts {
            engine: engine.clone(),
            registry: registry.clone(),
            destinations: Arc::new(Silent),
            warehouse: Arc::new(Silent),
            metrics: metrics.delivery.clone(),
            clock: Arc::new(clock.clone()),
            chance: Chance::seeded(1),
            threads: Arc::new(SystemThreads),
        },
        Settings::default(),
    );
    let console = Arc::new(Console {
        engine,
        registry,
        delivery,
        metrics,
        clock: Arc::new(clock.clone()),
        token: None,
        stopping: AtomicBool::new(false),
    });
    (console, created, clock)
}

#[tokio::test]
async fn a_flush_is_not_waited_for_for_ever() {
    let (console, created, clock) = console().await;
    let (engine, delivery) = (console.engine.clone(), console.delivery.clone());
    // The supervisor gives the stream a worker at its first look.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    let frame = Frame::new(Timestamp(0), ["a"]);
    engine.log.append(created.lane, frame).await.unwrap();
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

#[tokio::test]
async fn what_cannot_be_copied_is_refused_in_words() {
    let (console, created, _) = console().await;
    let ask = async |name: &str, body: &'static str| {
        let place = (
            created.key.account.clone(),
            created.key.region.clone(),
            name.to_owned(),
        );
        let answer = copy(State(console.clone()), Path(place), Bytes::from(body)).await;
        let status = answer.status();
        let body = to_bytes(answer.into_body(), 1 << 10).await.unwrap();
        let problem: model::Problem = serde_json::from_slice(&body).unwrap();
        (status, problem.error)
    };
    for (name, body, status, words) in [
        (
            "s",
            "{}",
            StatusCode::BAD_REQUEST,
            "missing field `manifest`",
        ),
        (
            "s",
            r#"{"manifest":"s3://b"}"#,
            StatusCode::BAD_REQUEST,
            "s3://BUCKET/KEY names a manifest",
        ),
        (
            "t",
            r#"{"manifest":"s3://b/m"}"#,
            StatusCode::NOT_FOUND,
            "no active delivery stream",
        ),
        (
            "s",
            r#"{"manifest":"s3://b/m"}"#,
            StatusCode::CONFLICT,
            "has no warehouse",
        ),
    ] {
        let (answered, error) = ask(name, body).await;
        assert_eq!(answered, status, "{error}");
        assert!(error.contains(words), "{error}");
    }
}
