//! The parts that the tests of delivery share.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use hydrant_engine::{
    Chance, Clock, Engine, Frame, LaneId, ManualClock, Position, SystemClock, SystemThreads,
    Timestamp,
};
use tokio::sync::Semaphore;

use crate::{
    delivery::{Delivery, Parts, Settings, StreamStatus, checkpoint},
    destination::{Bytestream, DeliveryError, Destination, Destinations, Object, Receipt},
    metrics::Metrics,
    stream::{
        BufferingHints, CompressionFormat, DeliveryStream, Destination as Configured, Encryption,
        Registry, RegistryError, S3Spec, Status, StreamKey,
    },
    warehouse::{Load, Loaded, Warehouse},
};

/// 2015-10-07T13:05:42.000Z
pub(super) const BEGIN: Timestamp = Timestamp(1_444_223_142_000);
/// How long a test waits for what it awaits, in real time.
const PATIENCE: Duration = Duration::from_secs(30);

/// A store of objects that does as the test says.
#[derive(Debug)]
pub(super) struct Scripted {
    state: Mutex<State>,
    /// One permit for each answer; plenty unless a test holds answers back.
    answers: Semaphore,
}

#[derive(Debug, Default)]
struct State {
    objects: BTreeMap<(String, String), Vec<Vec<u8>>>,
    order: Vec<String>,
    attempts: usize,
    probes: usize,
    failing: BTreeMap<String, DeliveryError>,
    /// Roles that may do nothing any more.
    revoked: BTreeSet<String>,
    running: usize,
    most_running: usize,
}

impl Scripted {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Scripted {
            state: Mutex::default(),
            answers: Semaphore::new(1 << 20),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every delivery to this bucket fails from now on.
    pub(super) fn fail(&self, bucket: &str, error: DeliveryError) {
        self.state().failing.insert(bucket.to_owned(), error);
    }

    pub(super) fn heal(&self, bucket: &str) {
        self.state().failing.remove(bucket);
    }

    /// Every bucket refuses whoever comes in this role from now on.
    pub(super) fn revoke(&self, role_arn: &str) {
        self.state().revoked.insert(role_arn.to_owned());
    }

    /// Takes objects but answers nobody, until [`Self::answer`].
    pub(super) fn hold_answers(&self) {
        self.answers.forget_permits(1 << 20);
    }

    pub(super) fn answer(&self, deliveries: usize) {
        self.answers.add_permits(deliveries);
    }

    pub(super) fn attempts(&self) -> usize {
        self.state().attempts
    }

    pub(super) fn probes(&self) -> usize {
        self.state().probes
    }

    pub(super) fn most_running(&self) -> usize {
        self.state().most_running
    }

    /// Keys in order of their first delivery.
    pub(super) fn keys(&self) -> Vec<String> {
        self.state().order.clone()
    }

    /// The bodies that were delivered under a key, in order.
    pub(super) fn bodies(&self, bucket: &str, key: &str) -> Vec<Vec<u8>> {
        let place = (bucket.to_owned(), key.to_owned());
        self.state()
            .objects
            .get(&place)
            .cloned()
            .unwrap_or_default()
    }

    /// All objects' bodies, in order of their first delivery.
    pub(super) fn contents(&self) -> Vec<String> {
        let state = self.state();
        let body = |key: &String| {
            let found = state.objects.iter().find(|((_, known), _)| known == key);
            String::from_utf8(found.unwrap().1.last().unwrap().clone()).unwrap()
        };
        state.order.iter().map(body).collect()
    }
}

#[derive(Debug)]
struct Bucket {
    store: Arc<Scripted>,
    name: String,
    role: String,
}

#[async_trait]
impl Destination for Bucket {
    async fn deliver(&self, object: &Object) -> Result<Receipt, DeliveryError> {
        {
            let mut state = self.store.state();
            state.attempts += 1;
            if state.revoked.contains(&self.role) {
                return Err(DeliveryError::refused("S3.AccessDenied", "that role"));
            }
            if let Some(error) = state.failing.get(&self.name) {
                return Err(error.clone());
            }
            state.running += 1;
            state.most_running = state.most_running.max(state.running);
        }
        let mut bytes = Vec::new();
        let mut body = object.body.open();
        while let Some(chunk) = body.next().await {
            bytes.extend_from_slice(&chunk?);
        }
        let receipt = Receipt {
            bytes: bytes.len() as u64,
        };
        {
            let mut state = self.store.state();
            let place = (self.name.clone(), object.key.clone());
            if !state.order.contains(&object.key) {
                state.order.push(object.key.clone());
            }
            state.objects.entry(place).or_default().push(bytes);
        }
        self.store.answers.acquire().await.unwrap().forget();
        self.store.state().running -= 1;
        Ok(receipt)
    }

    async fn read(&self, key: &str) -> Result<Bytestream, DeliveryError> {
        let Some(body) = self.store.bodies(&self.name, key).pop() else {
            return Err(DeliveryError::refused("S3.NoSuchKey", key));
        };
        Ok(futures::stream::iter([Ok(Bytes::from(body))]).boxed())
    }

    async fn probe(&self) -> Result<(), DeliveryError> {
        let mut state = self.store.state();
        state.probes += 1;
        match state.failing.get(&self.name) {
            Some(error) if error.is_unreachable() => Err(error.clone()),
            _ => Ok(()),
        }
    }
}

#[derive(Debug)]
pub(super) struct Store(pub(super) Arc<Scripted>);

impl Destinations for Store {
    fn find(&self, spec: &S3Spec, _region: &str) -> Result<Arc<dyn Destination>, DeliveryError> {
        Ok(Arc::new(Bucket {
            store: self.0.clone(),
            name: spec.bucket().to_owned(),
            role: spec.role_arn.clone(),
        }))
    }
}

/// A warehouse that must not be asked.
#[derive(Debug)]
pub(super) struct NoWarehouse;

#[async_trait]
impl Warehouse for NoWarehouse {
    async fn copy(&self, load: &Load) -> Result<Loaded, DeliveryError> {
        panic!("nobody loads anything here, but {load:?}")
    }
}

/// A node without a wire.
pub(super) struct Rig {
    pub(super) engine: Engine,
    pub(super) registry: Arc<Registry>,
    pub(super) clock: ManualClock,
    pub(super) store: Arc<Scripted>,
    pub(super) warehouse: Arc<dyn Warehouse>,
    pub(super) settings: Settings,
    pub(super) delivery: Delivery,
    pub(super) metrics: Metrics,
}

impl Rig {
    pub(super) async fn new() -> Self {
        Self::with(Settings::default()).await
    }

    pub(super) async fn with(settings: Settings) -> Self {
        Self::over(Engine::mem(), settings).await
    }

    pub(super) async fn over(engine: Engine, settings: Settings) -> Self {
        Self::loading(engine, settings, Scripted::new(), Arc::new(NoWarehouse)).await
    }

    /// With a warehouse.
    pub(super) async fn loading(
        engine: Engine,
        settings: Settings,
        store: Arc<Scripted>,
        warehouse: Arc<dyn Warehouse>,
    ) -> Self {
        let registry = Registry::open(engine.catalog.clone()).await.unwrap();
        let clock = ManualClock::new(BEGIN);
        let metrics = Metrics::new();
        let delivery = Delivery::start(
            Parts {
                engine: engine.clone(),
                registry: registry.clone(),
                destinations: Arc::new(Store(store.clone())),
                warehouse: warehouse.clone(),
                metrics: metrics.delivery.clone(),
                clock: Arc::new(clock.clone()),
                chance: Chance::seeded(1),
                threads: Arc::new(SystemThreads),
            },
            settings.clone(),
        );
        Rig {
            engine,
            registry,
            clock,
            store,
            warehouse,
            settings,
            delivery,
            metrics,
        }
    }

    /// A second process over the same engine: what a restart after a crash is to the first.
    pub(super) fn restart(&self, store: &Arc<Scripted>) -> Delivery {
        self.again(store, 2)
    }

    /// Another process, with its own chance.
    pub(super) fn again(&self, store: &Arc<Scripted>, seed: u64) -> Delivery {
        Delivery::start(
            Parts {
                engine: self.engine.clone(),
                registry: self.registry.clone(),
                destinations: Arc::new(Store(store.clone())),
                warehouse: self.warehouse.clone(),
                metrics: self.metrics.delivery.clone(),
                clock: Arc::new(self.clock.clone()),
                chance: Chance::seeded(seed),
                threads: Arc::new(SystemThreads),
            },
            self.settings.clone(),
        )
    }

    /// An ACTIVE stream with a worker.
    pub(super) async fn stream(&self, name: &str, hints: (u32, u32)) -> Arc<DeliveryStream> {
        self.create(|lane| stream(name, lane, hints)).await
    }

    /// This stream, ACTIVE and with a worker.
    pub(super) async fn create(
        &self,
        stream: impl Fn(LaneId) -> DeliveryStream,
    ) -> Arc<DeliveryStream> {
        let created = self.registry.create(stream).await.unwrap();
        let key = created.key.clone();
        until("the stream is ACTIVE", || {
            self.status(&key)
                .is_some_and(|status| status.status == Status::Active)
        })
        .await;
        // The worker owns the lane when its checkpoint is there.
        while checkpoint::look(&*self.engine.catalog, created.lane)
            .await
            .unwrap()
            .is_none()
        {
            tokio::task::yield_now().await;
        }
        self.registry.get(&key).unwrap()
    }

    pub(super) fn status(&self, key: &StreamKey) -> Option<StreamStatus> {
        self.delivery.status(key)
    }

    pub(super) async fn put(&self, lane: LaneId, records: &[&str]) -> Position {
        let frame = Frame::new(self.clock.now(), records);
        self.engine.log.append(lane, frame).await.unwrap()
    }

    pub(super) async fn put_bytes(&self, lane: LaneId, bytes: usize) -> Position {
        let frame = Frame::new(self.clock.now(), [vec![b'x'; bytes]]);
        self.engine.log.append(lane, frame).await.unwrap()
    }

    /// UpdateDestination.
    pub(super) async fn update(&self, key: &StreamKey, change: impl Fn(&mut S3Spec)) {
        let update = |present: &DeliveryStream| {
            let mut stream = present.clone();
            stream.version += 1;
            let Configured::S3(spec) = &mut stream.destination else {
                panic!("another type");
            };
            change(spec);
            Ok::<_, RegistryError>(stream)
        };
        self.registry.change(key, update).await.unwrap();
    }

    /// UpdateDestination, of whatever type.
    pub(super) async fn redirect(&self, key: &StreamKey, to: impl Fn(&Configured) -> Configured) {
        let update = |present: &DeliveryStream| {
            Ok::<_, RegistryError>(DeliveryStream {
                version: present.version + 1,
                destination: to(&present.destination),
                ..present.clone()
            })
        };
        self.registry.change(key, update).await.unwrap();
    }

    /// DeleteDeliveryStream.
    pub(super) async fn delete(&self, key: &StreamKey) {
        let delete = |present: &DeliveryStream| {
            Ok::<_, RegistryError>(DeliveryStream {
                status: Status::Deleting,
                ..present.clone()
            })
        };
        self.registry.change(key, delete).await.unwrap();
    }

    /// Time passes, a moment after everybody has gone to sleep.
    pub(super) async fn pass(&self, seconds: u64) {
        calm().await;
        self.clock.advance(Duration::from_secs(seconds));
        calm().await;
    }

    pub(super) async fn delivered(&self, objects: usize) {
        until(&format!("{objects} objects are delivered"), || {
            self.store.keys().len() >= objects
        })
        .await;
    }

    /// Nothing waits and nothing is in flight.
    pub(super) async fn drained(&self, key: &StreamKey) {
        until("nothing is left in the log", || {
            self.status(key)
                .is_some_and(|status| status.backlog_records == 0 && status.in_flight == 0)
        })
        .await;
    }
}

/// A stream that delivers to bucket `b` with prefix `p/`, uncompressed.
pub(super) fn stream(
    name: &str,
    lane: LaneId,
    (size_mb, interval_s): (u32, u32),
) -> DeliveryStream {
    DeliveryStream {
        key: StreamKey::new("000000000000", "us-east-1", name),
        lane,
        status: Status::Creating,
        version: 1,
        created: BEGIN,
        updated: None,
        destination: Configured::S3(S3Spec {
            role_arn: "arn:aws:iam::000000000000:role/r".to_owned(),
            bucket_arn: "arn:aws:s3:::b".to_owned(),
            prefix: Some("p/".to_owned()),
            buffering: BufferingHints {
                size_mb,
                interval_s,
            },
            compression: CompressionFormat::Uncompressed,
            encryption: Encryption::None,
            echoed: serde_json::Map::new(),
        }),
        tags: Vec::new(),
    }
}

/// Waits until it is so.
pub(super) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let clock = SystemClock::new();
    while !condition() {
        assert!(clock.monotonic() < PATIENCE, "waited in vain until {what}");
        tokio::task::yield_now().await;
    }
}

/// Lets every task of this single-threaded runtime go on until it waits.
pub(super) async fn calm() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}
