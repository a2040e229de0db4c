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
    Catalog, CatalogError, Chance, Change, Clock, Engine, Expect, Frame, ManualClock,
    SystemThreads, Timestamp, Version, Versioned,
};
use proptest::prelude::*;

use super::{
    rig::{BEGIN, Scripted, Store, calm},
    table::{Next, Tables, loading, lost, no_table},
};
use crate::{
    delivery::{CopyState, Delivery, Parts, Settings, StreamStatus, load},
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
    /// Writes to come that are said to have failed.
    ailing: AtomicU64,
    /// They happen all the same.
    ailing_happen: AtomicBool,
}

impl Mortal {
    /// Whether this write is said to fail.
    fn ails(&self) -> bool {
        let less = |left: u64| left.checked_sub(1);
        self.ailing.fetch_update(SeqCst, SeqCst, less).is_ok()
    }

    /// A write that may be said to fail.
    async fn ailing<T>(
        &self,
        write: impl Future<Output = Result<T, CatalogError>>,
    ) -> Result<T, CatalogError> {
        let failed = || CatalogError::Failed("no answer".to_owned());
        match self.ails() {
            false => write.await,
            true if self.ailing_happen.load(SeqCst) => {
                write.await?;
                Err(failed())
            }
            true => Err(failed()),
        }
    }

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
        let put = self.inner.put(key, value, expect);
        let version = self.ailing(put).await?;
        self.read().map(|()| version)
    }

    async fn delete(&self, key: &str, version: Version) -> Result<(), CatalogError> {
        self.write()?;
        self.ailing(self.inner.delete(key, version)).await?;
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
    catalog: Option<Arc<Mortal>>,
    /// Processes that do not know that another has taken over.
    rivals: Vec<Delivery>,
    /// Manifests that somebody wanted to have loaded.
    asked: u64,
    put: BTreeSet<String>,
    /// It had no warehouse for a while: what was planned then is not loaded.
    had_none: bool,
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
            catalog: None,
            rivals: Vec::new(),
            asked: 0,
            put: BTreeSet::new(),
            had_none: false,
        }
    }

    /// A process that dies at its `writes`th write, if it comes to that.
    async fn live(&mut self, writes: u64, last_happens: bool) {
        self.die().await;
        self.begin(writes, last_happens).await;
    }

    /// Another process, which takes over from one that goes on.
    async fn rival(&mut self) {
        self.rivals.extend(self.delivery.take());
        self.begin(u64::MAX, false).await;
    }

    async fn begin(&mut self, writes: u64, last_happens: bool) {
        self.lived += 1;
        let catalog = Arc::new(Mortal {
            inner: self.engine.catalog.clone(),
            left: AtomicU64::new(writes),
            last_happens,
            dead: AtomicBool::new(false),
            ailing: AtomicU64::new(0),
            ailing_happen: AtomicBool::new(false),
        });
        self.catalog = Some(catalog.clone());
        let engine = Engine {
            log: self.engine.log.clone(),
            catalog,
        };
        self.delivery = Some(Delivery::start(
            Parts {
                engine,
                registry: self.registry.clone(),
                destinations: Arc::new(Store(self.store.clone())),
                warehouse: self.tables.clone(),
                metrics: Metrics::new().delivery,
                clock: Arc::new(self.clock.clone()),
                chance: Chance::seeded(self.lived),
                threads: Arc::new(SystemThreads),
            },
            Settings::default(),
        ));
        calm().await;
    }

    async fn die(&mut self) {
        for delivery in std::mem::take(&mut self.rivals)
            .into_iter()
            .chain(self.delivery.take())
        {
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

    /// The destination, with its warehouse or without.
    async fn redirect(&self, to: impl Fn(&Configured) -> Configured) {
        let update = |present: &DeliveryStream| {
            Ok::<_, RegistryError>(DeliveryStream {
                version: present.version + 1,
                destination: to(&present.destination),
                ..present.clone()
            })
        };
        self.registry
            .change(&self.stream.key, update)
            .await
            .unwrap();
    }

    /// From a warehouse to the bucket alone, or back.
    async fn retype(&mut self) {
        self.had_none = true;
        let warehouse = self.stream.destination.clone();
        self.redirect(|present| match present {
            Configured::Redshift(spec) => Configured::S3(spec.s3.clone()),
            Configured::S3(_) => warehouse.clone(),
        })
        .await;
    }

    /// Somebody wants a manifest to be loaded; nobody waits for it.
    fn ask(&mut self, manifest: Option<String>) {
        if let (Some(manifest), Some(delivery)) = (manifest, self.delivery.clone()) {
            self.asked += 1;
            let key = self.stream.key.clone();
            tokio::spawn(async move { delivery.copy(&key, &manifest).await });
        }
    }

    /// Everything works again: what is left is loaded, or given up where that was decided. Then it is counted.
    async fn reckon(&mut self) {
        self.tables.heal("t");
        self.tables.answer(1 << 20);
        self.store.heal("b");
        self.live(u64::MAX, false).await;
        if self.had_none {
            let warehouse = self.stream.destination.clone();
            self.redirect(|_| warehouse.clone()).await;
        }
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
        // A manifest below errors/ is the same one.
        let id = |url: &str| url[url.len() - 36..].to_owned();
        let mut manifests: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for copied in self.tables.copies() {
            let manifest = id(&copied.manifest);
            let given_up = given_up.iter().any(|it| id(&it.tried) == manifest);
            if copied.succeeded || given_up {
                let objects = copied.objects.concat();
                for record in objects.split_inclusive(';') {
                    let of_it = manifests.entry(record.to_owned()).or_default();
                    of_it.insert(manifest.clone());
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
        let copies = self.tables.copies();
        let copied: BTreeSet<_> = copies.iter().map(|copied| id(&copied.manifest)).collect();
        let never = given_up
            .iter()
            .filter(|it| !copied.contains(&id(&it.tried)));
        let never: u64 = never.map(|it| it.records).sum();
        let missing = (self.put.len() - manifests.len()) as u64;
        if !self.had_none {
            assert_eq!(missing, status.dropped_records + never, "{copies:?}");
        }
        // A COPY was repeated only by a process that followed one that died.
        let repeated: usize = self.tables.rows().values().map(|times| times - 1).sum();
        assert!(repeated as u64 <= (self.lived + self.asked) * self.put.len() as u64);
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

#[tokio::test]
async fn what_a_crash_left_owed_is_loaded_whatever_becomes_of_the_stream() {
    let mut owed = 0;
    for writes in 0..20 {
        let mut lives = Lives::new().await;
        lives.live(writes, true).await;
        lives.put("a").await;
        lives.pass(60).await;
        lives.die().await;
        // Whatever is still planned cannot be delivered as it was planned, and is planned anew without a warehouse.
        let catalog = lives.engine.catalog.clone();
        let entries = catalog.list(load::entry::CATALOG_PREFIX).await.unwrap();
        lives
            .store
            .fail("b", DeliveryError::refused("S3.AccessDenied", "no"));
        lives.retype().await;
        lives.live(u64::MAX, false).await;
        lives.store.heal("b");
        lives.pass(300).await;
        if !entries.is_empty() {
            owed += 1;
            assert_eq!(lives.tables.rows().into_keys().collect::<Vec<_>>(), ["a;"]);
            let left = catalog.list(load::entry::CATALOG_PREFIX).await;
            assert_eq!(left.unwrap(), [], "{writes}");
        }
        lives.reckon().await;
    }
    assert!(owed > 1);
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
    Rival,
    Ails { writes: u64, happen: bool },
    Hold,
    Answer,
    Flush,
    CopyLatest,
    CopyGivenUp,
    Clock { ahead: bool },
    Retype,
    Move,
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
        1 => Just(Event::Rival),
        2 => (1_u64..5, any::<bool>()).prop_map(|(writes, happen)| Event::Ails { writes, happen }),
        1 => Just(Event::Hold),
        1 => Just(Event::Answer),
        1 => Just(Event::Flush),
        1 => Just(Event::CopyLatest),
        1 => Just(Event::CopyGivenUp),
        1 => any::<bool>().prop_map(|ahead| Event::Clock { ahead }),
        1 => Just(Event::Retype),
        1 => Just(Event::Move),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

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
                    Event::Rival => lives.rival().await,
                    Event::Ails { writes, happen } => {
                        let catalog = lives.catalog.as_ref().unwrap();
                        catalog.ailing_happen.store(happen, SeqCst);
                        catalog.ailing.store(writes, SeqCst);
                    }
                    Event::Hold => lives.tables.hold_answers(),
                    Event::Answer => lives.tables.answer(1 << 20),
                    Event::Flush => {
                        let (delivery, key) = (lives.delivery.clone().unwrap(), lives.stream.key.clone());
                        tokio::spawn(async move { delivery.flush(&key).await });
                    }
                    Event::CopyLatest => {
                        let latest = lives.tables.copies().pop();
                        lives.ask(latest.map(|copied| copied.manifest));
                    }
                    Event::CopyGivenUp => {
                        let given_up = lives.status().copy.map(|copy| copy.given_up);
                        let first = given_up.and_then(|mut given_up| given_up.pop());
                        lives.ask(first.map(|given_up| given_up.manifest));
                    }
                    Event::Clock { ahead } => {
                        let now = lives.clock.now();
                        lives.clock.set_wall(match ahead {
                            true => now.plus(Duration::from_secs(100 * 86_400)),
                            false => Timestamp(now.0 / 2),
                        });
                    }
                    Event::Retype => lives.retype().await,
                    Event::Move => {
                        lives.update(|spec| {
                            let other = if spec.s3.bucket() == "b" { "c" } else { "b" };
                            spec.s3.bucket_arn = format!("arn:aws:s3:::{other}");
                        }).await;
                    }
                }
            }
            lives.reckon().await;
        });
    }
}
