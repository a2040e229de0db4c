//! Loading and crashes: whatever happens when, every object ends in exactly one manifest that was loaded or given up.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use hydrant_engine::{
    Catalog, CatalogError, Chance, Change, Clock, Engine, Expect, Frame, ManualClock, Version,
    Versioned,
};
use proptest::prelude::*;

use super::{
    rig::{BEGIN, Scripted, Store, calm},
    table::{Next, Tables, loading, lost, no_table},
};
use crate::{
    delivery::{CopyState, Delivery, Settings, StreamStatus, load},
    destination::DeliveryError,
    metrics::Metrics,
    stream::{DeliveryStream, Destination as Configured, RedshiftSpec, Registry, RegistryError},
};

/// The catalog of a process that dies at a write, which may happen all the same.
#[derive(Debug)]
struct Mortal {
    inner: Arc<dyn Catalog>,
    /// Writes that are left to it.
    left: AtomicU64,
    /// The last one happens, and nobody hears of it.
    last_happens: bool,
    dead: AtomicBool,
}

impl Mortal {
    fn write(&self) -> Result<(), CatalogError> {
        self.read()?;
        if self.left.fetch_sub(1, SeqCst) == 0 {
            self.dead.store(true, SeqCst);
        }
        if self.dead.load(SeqCst) && !self.last_happens {
            return Err(CatalogError::Closed);
        }
        Ok(())
    }

    fn read(&self) -> Result<(), CatalogError> {
        match self.dead.load(SeqCst) {
            true => Err(CatalogError::Closed),
            false => Ok(()),
        }
    }
}

#[async_trait]
impl Catalog for Mortal {
    async fn get(&self, key: &str) -> Result<Option<Versioned>, CatalogError> {
        self.read()?;
        self.inner.get(key).await
    }

    async fn put(&self, key: &str, value: Bytes, expect: Expect) -> Result<Version, CatalogError> {
        self.write()?;
        let version = self.inner.put(key, value, expect).await?;
        self.read().map(|()| version)
    }

    async fn delete(&self, key: &str, version: Version) -> Result<(), CatalogError> {
        self.write()?;
        self.inner.delete(key, version).await?;
        self.read()
    }

    async fn list(&self, prefix: &str) -> Result<Vec<(String, Versioned)>, CatalogError> {
        self.read()?;
        self.inner.list(prefix).await
    }

    fn watch(&self, prefix: &str) -> BoxStream<'static, Result<Change, CatalogError>> {
        self.inner.watch(prefix)
    }

    async fn close(&self) -> Result<(), CatalogError> {
        self.inner.close().await
    }
}

/// One stream through the lives of several processes.
struct Lives {
    engine: Engine,
    registry: Arc<Registry>,
    stream: Arc<DeliveryStream>,
    clock: ManualClock,
    store: Arc<Scripted>,
    tables: Arc<Tables>,
    lived: u64,
    delivery: Option<Delivery>,
    put: BTreeSet<String>,
}

impl Lives {
    async fn new() -> Self {
        let engine = Engine::mem();
        let registry = Registry::open(engine.catalog.clone()).await.unwrap();
        let stream = registry.create(|lane| loading("s", lane)).await.unwrap();
        let store = Scripted::new();
        Lives {
            tables: Tables::over(&store),
            engine,
            registry,
            stream,
            clock: ManualClock::new(BEGIN),
            store,
            lived: 0,
            delivery: None,
            put: BTreeSet::new(),
        }
    }

    /// A process that dies at its `writes`th write, if it comes to that.
    async fn live(&mut self, writes: u64, last_happens: bool) {
        self.die().await;
        self.lived += 1;
        let catalog = Arc::new(Mortal {
            inner: self.engine.catalog.clone(),
            left: AtomicU64::new(writes),
            last_happens,
            dead: AtomicBool::new(false),
        });
        let engine = Engine {
            log: self.engine.log.clone(),
            catalog,
        };
        self.delivery = Some(Delivery::start(
            engine,
            self.registry.clone(),
            Arc::new(Store(self.store.clone())),
            self.tables.clone(),
            Metrics::new().delivery,
            Arc::new(self.clock.clone()),
            Chance::seeded(self.lived),
            Settings::default(),
        ));
        calm().await;
    }

    async fn die(&mut self) {
        if let Some(delivery) = self.delivery.take() {
            let stop = tokio::spawn(async move { delivery.stop().await });
            while !stop.is_finished() {
                self.pass(1).await;
            }
        }
    }

    /// A record, which ends in `;`.
    async fn put(&mut self, record: &str) {
        let record = format!("{record};");
        let frame = Frame::new(self.clock.now(), [&record]);
        self.engine
            .log
            .append(self.stream.lane, frame)
            .await
            .unwrap();
        self.put.insert(record);
    }

    async fn pass(&self, seconds: u64) {
        calm().await;
        self.clock.advance(Duration::from_secs(seconds));
        calm().await;
    }

    async fn update(&self, change: impl Fn(&mut RedshiftSpec)) {
        let update = |present: &DeliveryStream| {
            let mut stream = present.clone();
            stream.version += 1;
            if let Configured::Redshift(spec) = &mut stream.destination {
                change(spec);
            }
            Ok::<_, RegistryError>(stream)
        };
        self.registry
            .change(&self.stream.key, update)
            .await
            .unwrap();
    }

    /// Everything works again: what is left is loaded, or given up where that was decided. Then it is counted.
    async fn reckon(&mut self) {
        self.tables.heal("t");
        self.store.heal("b");
        self.live(u64::MAX, false).await;
        for tries in 0.. {
            assert!(tries < 100, "it is never done: {:?}", self.status());
            let delivery = self.delivery.clone().unwrap();
            let key = self.stream.key.clone();
            let flush = tokio::spawn(async move { delivery.flush(&key).await });
            for _ in 0..20 {
                calm().await;
            }
            if flush.is_finished() && flush.await.unwrap().is_ok() {
                break;
            }
            self.pass(300).await;
        }
        let status = self.status();
        let copy = status.copy.unwrap();
        assert_eq!((copy.state, &copy.error), (CopyState::Idle, &None));
        let given_up = copy.given_up;
        let mut manifests: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for copied in self.tables.copies() {
            let given_up = given_up.iter().any(|it| it.tried == copied.manifest);
            if copied.succeeded || given_up {
                let objects = copied.objects.concat();
                for record in objects.split_inclusive(';') {
                    let of_it = manifests.entry(record.to_owned()).or_default();
                    of_it.insert(copied.manifest.clone());
                }
            }
        }
        assert!(manifests.keys().all(|record| self.put.contains(record)));
        for (record, of_it) in &manifests {
            assert_eq!(
                of_it.len(),
                1,
                "{record}: {of_it:?}\n{:?}",
                self.tables.copies()
            );
        }
        // Nothing is missing but what no bucket took for a day: objects, or a manifest before its first COPY.
        let copied: BTreeSet<_> = self
            .tables
            .copies()
            .into_iter()
            .map(|c| c.manifest)
            .collect();
        let never = given_up.iter().filter(|it| !copied.contains(&it.tried));
        let never: u64 = never.map(|it| it.records).sum();
        let missing = (self.put.len() - manifests.len()) as u64;
        assert_eq!(
            missing,
            status.dropped_records + never,
            "{:?}",
            self.tables.copies()
        );
        // A COPY was repeated only by a process that followed one that died.
        let repeated: usize = self.tables.rows().values().map(|times| times - 1).sum();
        assert!(repeated as u64 <= self.lived * self.put.len() as u64);
        let left = self.engine.catalog.list(load::entry::CATALOG_PREFIX).await;
        assert_eq!(left.unwrap(), []);
        self.die().await;
    }

    fn status(&self) -> StreamStatus {
        let delivery = self.delivery.as_ref().unwrap();
        delivery.status(&self.stream.key).unwrap()
    }
}

#[tokio::test]
async fn a_crash_at_any_write_loses_nothing_and_loads_nothing_under_two_names() {
    for gives_up in [false, true] {
        for last_happens in [false, true] {
            let mut deaths = 0;
            for writes in 0..40 {
                let mut lives = Lives::new().await;
                if gives_up {
                    lives.update(|spec| spec.retry_s = 0).await;
                    lives.tables.next(Next::Fail(no_table()));
                }
                lives.live(writes, last_happens).await;
                for body in ["a", "b"] {
                    lives.put(body).await;
                    lives.pass(60).await;
                }
                let done = lives.status().copy.unwrap();
                deaths += usize::from(done.last_success.is_none());
                let copies = lives.tables.copies().len();
                lives.reckon().await;
                // Nothing was repeated but what the crash left open.
                assert!(lives.tables.copies().len() <= copies.max(1) + 2);
            }
            assert!(
                (8..40).contains(&deaths),
                "{deaths}: too few writes, or too many"
            );
        }
    }
}

#[derive(Clone, Debug)]
enum Event {
    Put,
    Pass(u64),
    TableFails,
    TableHeals,
    Lost,
    Panics,
    BucketFails,
    BucketHeals,
    Update { retry_s: u32 },
    Restart { writes: u64, last_happens: bool },
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        5 => Just(Event::Put),
        5 => prop_oneof![Just(1), Just(60), Just(300), Just(3600)].prop_map(Event::Pass),
        2 => Just(Event::TableFails),
        2 => Just(Event::TableHeals),
        1 => Just(Event::Lost),
        1 => Just(Event::Panics),
        1 => Just(Event::BucketFails),
        1 => Just(Event::BucketHeals),
        1 => prop_oneof![Just(0), Just(60), Just(3600)].prop_map(|retry_s| Event::Update { retry_s }),
        3 => (0_u64..40, any::<bool>())
            .prop_map(|(writes, last_happens)| Event::Restart { writes, last_happens }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn whatever_happens_every_object_is_settled_once(events in prop::collection::vec(event(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut lives = Lives::new().await;
            lives.live(u64::MAX, false).await;
            for (n, event) in events.into_iter().enumerate() {
                match event {
                    Event::Put => lives.put(&n.to_string()).await,
                    Event::Pass(seconds) => lives.pass(seconds).await,
                    Event::TableFails => lives.tables.fail("t", no_table()),
                    Event::TableHeals => lives.tables.heal("t"),
                    Event::Lost => lives.tables.next(Next::Fail(lost())),
                    Event::Panics => lives.tables.next(Next::Panic),
                    Event::BucketFails => {
                        lives.store.fail("b", DeliveryError::refused("S3.AccessDenied", "no"));
                    }
                    Event::BucketHeals => lives.store.heal("b"),
                    Event::Update { retry_s } => lives.update(|spec| spec.retry_s = retry_s).await,
                    Event::Restart { writes, last_happens } => {
                        lives.live(writes, last_happens).await;
                    }
                }
            }
            lives.reckon().await;
        });
    }
}
