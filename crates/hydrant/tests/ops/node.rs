//! A node without socket and delivery; the tests play the supervisor.

use std::{
    ops::Range,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use futures::{StreamExt, stream::BoxStream};
use hydrant::{
    api::{
        Dispatch, Operation,
        ops::{Operations, Parts, Vet},
    },
    config::Quotas,
    credentials::{Identity, Vault},
    metrics::Metrics,
    stream::{DeliveryStream, Destination, Registry, RegistryError, Status, StreamKey},
};
use hydrant_engine::{
    Catalog, CatalogError, Chance, Change, Engine, Expect, Frame, FrameMeta, LaneId, LaneUsage,
    Log, LogError, ManualClock, Position, Timestamp, Usage, Version, Versioned,
};
use serde_json::{Value, json};

pub(crate) const ACCOUNT: &str = "000000000000";
pub(crate) const REGION: &str = "us-east-1";
pub(crate) const ROLE: &str = "arn:aws:iam::000000000000:role/r";

pub(crate) struct Node {
    pub(crate) operations: Operations,
    pub(crate) registry: Arc<Registry>,
    pub(crate) log: Arc<Faulty>,
    pub(crate) clock: ManualClock,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) vet: Arc<Judge>,
    pub(crate) vault: Arc<Vault>,
}

impl Node {
    pub(crate) async fn new() -> Self {
        Node::with(Quotas::DEFAULT).await
    }

    pub(crate) async fn with(quotas: Quotas) -> Self {
        let mut engine = Engine::mem();
        let log = Arc::new(Faulty {
            inner: engine.log.clone(),
            healthy: AtomicUsize::new(usize::MAX),
            error: Mutex::default(),
            limit: AtomicUsize::new(engine.log.frame_limit()),
        });
        engine.log = log.clone();
        engine.catalog = Arc::new(Yielding(engine.catalog));
        let registry = Registry::open(engine.catalog.clone()).await.unwrap();
        let clock = ManualClock::new(Timestamp(1_444_222_333_444));
        let metrics = Arc::new(Metrics::new());
        let vet = Arc::new(Judge::default());
        let vault = Arc::new(Vault::ephemeral(&Chance::seeded(1)).unwrap());
        let operations = Operations::new(Parts {
            engine,
            registry: registry.clone(),
            clock: Arc::new(clock.clone()),
            metrics: metrics.clone(),
            quotas,
            vet: vet.clone(),
            vault: vault.clone(),
        });
        Node {
            operations,
            registry,
            log,
            clock,
            metrics,
            vet,
            vault,
        }
    }

    /// The body of a 200 answer, or name and text of the error.
    pub(crate) async fn raw(
        &self,
        operation: Operation,
        body: &str,
    ) -> Result<String, (String, String)> {
        let identity = Identity::unverified(ACCOUNT, REGION);
        self.raw_as(&identity, operation, body).await
    }

    pub(crate) async fn raw_as(
        &self,
        identity: &Identity,
        operation: Operation,
        body: &str,
    ) -> Result<String, (String, String)> {
        let body = Bytes::from(body.to_owned());
        match self.operations.call(operation, identity, body).await {
            Ok(answer) => Ok(String::from_utf8(answer.to_vec()).unwrap()),
            Err(error) => Err((error.name().to_owned(), error.message().unwrap_or_default())),
        }
    }

    pub(crate) async fn call(
        &self,
        operation: Operation,
        body: Value,
    ) -> Result<Value, (String, String)> {
        let answer = self.raw(operation, &body.to_string()).await?;
        Ok(serde_json::from_str(&answer).unwrap())
    }

    pub(crate) async fn create(&self, name: &str) -> Result<Value, (String, String)> {
        let configuration = json!({"RoleARN": ROLE, "BucketARN": "arn:aws:s3:::b"});
        let body = json!({
            "DeliveryStreamName": name,
            "S3DestinationConfiguration": configuration,
        });
        self.call(Operation::CreateDeliveryStream, body).await
    }

    /// Creates a stream and, as the supervisor would, makes it ACTIVE.
    pub(crate) async fn active(&self, name: &str) -> Arc<DeliveryStream> {
        self.create(name).await.unwrap();
        self.activate(name).await
    }

    pub(crate) async fn activate(&self, name: &str) -> Arc<DeliveryStream> {
        let activated = |present: &DeliveryStream| {
            Ok::<_, RegistryError>(DeliveryStream {
                status: Status::Active,
                ..present.clone()
            })
        };
        self.registry.change(&key(name), activated).await.unwrap()
    }

    /// Finishes a deletion, as the supervisor would.
    pub(crate) async fn bury(&self, name: &str) {
        let stream = self.registry.get(&key(name)).unwrap();
        self.log.remove(stream.lane).await.unwrap();
        self.registry
            .forget(&stream.key, stream.lane)
            .await
            .unwrap();
    }

    /// `DeliveryStreamDescription`.
    pub(crate) async fn describe(&self, name: &str) -> Value {
        let body = json!({ "DeliveryStreamName": name });
        let mut answer = self
            .call(Operation::DescribeDeliveryStream, body)
            .await
            .unwrap();
        answer["DeliveryStreamDescription"].take()
    }

    pub(crate) async fn put(&self, name: &str, data: &[u8]) -> Result<Value, (String, String)> {
        let record = json!({"Data": STANDARD.encode(data)});
        let body = json!({"DeliveryStreamName": name, "Record": record});
        self.call(Operation::PutRecord, body).await
    }

    pub(crate) async fn put_batch<D: AsRef<[u8]>>(
        &self,
        name: &str,
        records: impl IntoIterator<Item = D>,
    ) -> Result<Value, (String, String)> {
        let record = |data: D| json!({"Data": STANDARD.encode(data)});
        let records: Vec<Value> = records.into_iter().map(record).collect();
        let body = json!({"DeliveryStreamName": name, "Records": records});
        self.call(Operation::PutRecordBatch, body).await
    }

    /// Every record of the stream's lane, with its frame's position.
    pub(crate) async fn stored(&self, stream: &DeliveryStream) -> Vec<(Position, Vec<Bytes>)> {
        let all = Position::START..Position(u64::MAX);
        let frames = self.log.read(stream.lane, all);
        frames
            .map(|frame| {
                let (position, frame) = frame.unwrap();
                (position, frame.iter().collect())
            })
            .collect()
            .await
    }
}

pub(crate) fn key(name: &str) -> StreamKey {
    StreamKey::new(ACCOUNT, REGION, name)
}

pub(crate) fn error(name: &str, text: &str) -> (String, String) {
    (name.to_owned(), text.to_owned())
}

/// Judges destinations as told, and remembers what it was asked.
#[derive(Debug, Default)]
pub(crate) struct Judge {
    pub(crate) refuse: AtomicBool,
    pub(crate) asked: Mutex<Vec<(Destination, String)>>,
}

pub(crate) const REFUSED: &str = "Firehose is unable to assume role arn:aws:iam::000000000000:role/r. Please check the role provided.";

#[async_trait]
impl Vet for Judge {
    async fn vet(&self, destination: &Destination, region: &str) -> Result<(), String> {
        self.asked
            .lock()
            .unwrap()
            .push((destination.clone(), region.to_owned()));
        if self.refuse.load(Ordering::SeqCst) {
            return Err(REFUSED.to_owned());
        }
        Ok(())
    }
}

/// A catalog that lets others run in the midst of each call, as one on a disk does.
#[derive(Debug)]
struct Yielding(Arc<dyn Catalog>);

#[async_trait]
impl Catalog for Yielding {
    async fn get(&self, key: &str) -> Result<Option<Versioned>, CatalogError> {
        tokio::task::yield_now().await;
        self.0.get(key).await
    }

    async fn put(&self, key: &str, value: Bytes, expect: Expect) -> Result<Version, CatalogError> {
        tokio::task::yield_now().await;
        self.0.put(key, value, expect).await
    }

    async fn delete(&self, key: &str, version: Version) -> Result<(), CatalogError> {
        tokio::task::yield_now().await;
        self.0.delete(key, version).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<(String, Versioned)>, CatalogError> {
        self.0.list(prefix).await
    }

    fn watch(&self, prefix: &str) -> BoxStream<'static, Result<Change, CatalogError>> {
        self.0.watch(prefix)
    }

    async fn close(&self) -> Result<(), CatalogError> {
        self.0.close().await
    }
}

/// A log that fails appends as told.
#[derive(Debug)]
pub(crate) struct Faulty {
    inner: Arc<dyn Log>,
    healthy: AtomicUsize,
    error: Mutex<Option<LogError>>,
    limit: AtomicUsize,
}

impl Faulty {
    /// Takes `appends` more, then fails with `error`.
    pub(crate) fn fail_after(&self, appends: usize, error: LogError) {
        *self.error.lock().unwrap() = Some(error);
        self.healthy.store(appends, Ordering::SeqCst);
    }

    pub(crate) fn limit_frames(&self, bytes: usize) {
        self.limit.store(bytes, Ordering::SeqCst);
    }
}

#[async_trait]
impl Log for Faulty {
    async fn append(&self, lane: LaneId, frame: Frame) -> Result<Position, LogError> {
        if self.healthy.load(Ordering::SeqCst) == 0 {
            return Err(self.error.lock().unwrap().clone().unwrap());
        }
        self.healthy.fetch_sub(1, Ordering::SeqCst);
        assert!(frame.bytes() <= self.frame_limit() && frame.records() > 0);
        self.inner.append(lane, frame).await
    }

    fn follow(
        &self,
        lane: LaneId,
        from: Position,
    ) -> BoxStream<'static, Result<FrameMeta, LogError>> {
        self.inner.follow(lane, from)
    }

    fn read(
        &self,
        lane: LaneId,
        range: Range<Position>,
    ) -> BoxStream<'static, Result<(Position, Frame), LogError>> {
        self.inner.read(lane, range)
    }

    async fn trim(&self, lane: LaneId, keep_from: Position) -> Result<(), LogError> {
        self.inner.trim(lane, keep_from).await
    }

    async fn remove(&self, lane: LaneId) -> Result<(), LogError> {
        self.inner.remove(lane).await
    }

    async fn lanes(&self) -> Result<Vec<LaneId>, LogError> {
        self.inner.lanes().await
    }

    fn lane_usage(&self, lane: LaneId) -> LaneUsage {
        self.inner.lane_usage(lane)
    }

    fn usage(&self) -> Usage {
        self.inner.usage()
    }

    fn frame_limit(&self) -> usize {
        self.limit.load(Ordering::SeqCst)
    }

    async fn close(&self) -> Result<(), LogError> {
        self.inner.close().await
    }
}

pub(crate) const SECOND: Duration = Duration::from_secs(1);
