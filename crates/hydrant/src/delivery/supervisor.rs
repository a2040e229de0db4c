//! Makes true what the registry says, for all streams: a reconciler.
//!
//! It is told only *that* something changed, looks at everything, and does what is missing. Doing
//! it twice does no harm, and what failed is done at the next look.
//!
//! | the registry says | so |
//! |---|---|
//! | CREATING | the stream becomes ACTIVE |
//! | ACTIVE | it has a worker, which knows the latest configuration |
//! | DELETING | its worker ends at once; lane, checkpoint, receipts and what was to be loaded go; then the registry forgets it |
//! | nothing, but there is a lane or checkpoint | that goes, with its receipts: a crash cut a deletion short |

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::StreamExt;
use hydrant_engine::{CatalogError, LaneId, Position};
use tokio::{
    sync::{mpsc, watch},
    task::{JoinHandle, JoinSet},
};
use tokio_util::sync::CancellationToken;

use super::{
    Context, TraceError, checkpoint,
    ended::Ended,
    flush::Asked,
    lane::{Lane, Shown},
    load::{self, ask, entry, pending::Totals, status::LoadFate},
    receipts::{self, Outcome},
    status::Trace,
    worker::{self, Inputs},
};
use crate::stream::{DeliveryStream, RecordId, RegistryError, Status};

/// How often gauges are refreshed and what failed is tried again.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);
/// How often receipts are swept.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60 * 60);
/// Flushes of one stream that may wait for its worker.
const FLUSHES: usize = 16;
/// Manifests of one stream that may wait to be loaded by hand.
const COPIES: usize = 16;

/// The one supervisor.
#[derive(Debug)]
pub(crate) struct Supervisor {
    context: Arc<Context>,
    workers: Mutex<BTreeMap<LaneId, Arc<Worker>>>,
    stop: CancellationToken,
    task: Mutex<Option<JoinHandle<()>>>,
}

/// A worker, from outside.
#[derive(Debug)]
pub(crate) struct Worker {
    lane: Arc<Lane>,
    stream: watch::Sender<Arc<DeliveryStream>>,
    pub(crate) flushes: mpsc::Sender<Asked>,
    pub(crate) copies: mpsc::Sender<ask::Asked>,
    /// Its end, when it has come.
    ended: watch::Receiver<Option<Ended>>,
}

impl Worker {
    pub(crate) fn shown(&self) -> Shown {
        self.lane.shown().clone()
    }

    pub(crate) fn lane(&self) -> LaneId {
        self.lane.id
    }

    async fn ended(&self) {
        let mut ended = self.ended.clone();
        // An error means that the task is gone, which is an end too.
        let _ = ended.wait_for(Option::is_some).await;
    }

    /// Objects and records that wait to be loaded.
    pub(crate) fn pending(&self) -> Totals {
        self.lane.pending.totals()
    }

    /// It went without a word: it panicked.
    fn is_lost(&self) -> bool {
        self.ended.borrow().is_none() && self.ended.has_changed().is_err()
    }
}

impl Supervisor {
    pub(crate) fn start(context: Arc<Context>) -> Arc<Self> {
        let supervisor = Arc::new(Supervisor {
            context,
            workers: Mutex::default(),
            stop: CancellationToken::new(),
            task: Mutex::default(),
        });
        let task = tokio::spawn(supervisor.clone().run());
        *lock(&supervisor.task) = Some(task);
        supervisor
    }

    /// The worker of a lane, if it has one.
    pub(crate) fn worker(&self, lane: LaneId) -> Option<Arc<Worker>> {
        lock(&self.workers).get(&lane).cloned()
    }

    /// Stops the supervisor, then all workers together.
    pub(crate) async fn stop(&self) {
        self.stop.cancel();
        let task = lock(&self.task).take();
        if let Some(task) = task {
            // It ended by itself only if it panicked, which was reported then.
            let _ = task.await;
        }
        let workers: Vec<_> = lock(&self.workers).values().cloned().collect();
        for worker in &workers {
            worker.lane.stop.cancel();
        }
        for worker in workers {
            worker.ended().await;
        }
    }

    async fn run(self: Arc<Self>) {
        let mut changed = self.context.registry.subscribe();
        let mut removals: JoinSet<LaneId> = JoinSet::new();
        let mut removing: BTreeSet<LaneId> = BTreeSet::new();
        let mut orphans_removed = false;
        let mut swept = self.context.clock.monotonic();
        let mut refreshed = None;
        loop {
            changed.mark_unchanged();
            if !orphans_removed {
                orphans_removed = self.remove_orphans().await;
            }
            self.context.registry.settle().await;
            self.reconcile(&mut removals, &mut removing).await;
            let now = self.context.clock.monotonic();
            // Not at each change: a thousand changes of a thousand streams would be a million lanes to look at.
            if refreshed.is_none_or(|at| now.saturating_sub(at) >= LOOK_INTERVAL) {
                refreshed = Some(now);
                self.refresh_gauges();
            }
            if now.saturating_sub(swept) >= SWEEP_INTERVAL {
                swept = now;
                self.sweep_receipts().await;
            }
            tokio::select! {
                biased;
                () = self.stop.cancelled() => break,
                Ok(()) = changed.changed() => {}
                Some(removed) = removals.join_next() => {
                    // A removal that failed is begun again at the next look.
                    match removed {
                        Ok(lane) => { removing.remove(&lane); }
                        Err(error) => tracing::error!(%error, "a removal ended by itself"),
                    }
                }
                () = self.context.clock.sleep(LOOK_INTERVAL) => {}
            }
        }
        removals.shutdown().await;
    }

    async fn reconcile(
        self: &Arc<Self>,
        removals: &mut JoinSet<LaneId>,
        removing: &mut BTreeSet<LaneId>,
    ) {
        let streams = self.context.registry.all();
        let mut lanes = BTreeSet::new();
        for stream in streams {
            lanes.insert(stream.lane);
            match stream.status {
                Status::Creating => self.activate(&stream).await,
                Status::Active => self.employ(stream),
                Status::Deleting => {
                    if removing.insert(stream.lane) {
                        let supervisor = self.clone();
                        removals.spawn(async move {
                            supervisor.remove(&stream).await;
                            stream.lane
                        });
                    }
                }
            }
        }
        // Streams that are gone without having been seen DELETING here.
        lock(&self.workers).retain(|lane, worker| {
            let stays = lanes.contains(lane) || removing.contains(lane);
            if !stays {
                worker.lane.discard.cancel();
            }
            stays
        });
    }

    async fn activate(&self, stream: &DeliveryStream) {
        let lane = stream.lane;
        let activated = self
            .context
            .registry
            .change(&stream.key, |present| {
                let mut present = present.clone();
                if present.lane == lane && present.status == Status::Creating {
                    present.status = Status::Active;
                }
                Ok::<_, RegistryError>(present)
            })
            .await;
        match activated {
            // The change itself brings the supervisor back, which then gives it a worker.
            Ok(_) | Err(RegistryError::NotFound(_)) => {}
            Err(error) => {
                tracing::error!(stream = %stream.key, %error, "a stream is not activated yet")
            }
        }
    }

    /// Gives the stream a worker, or its worker the latest configuration.
    fn employ(&self, stream: Arc<DeliveryStream>) {
        let mut workers = lock(&self.workers);
        if let Some(worker) = workers.get(&stream.lane)
            && !worker.is_lost()
        {
            worker.stream.send_if_modified(|known| {
                let changed = !Arc::ptr_eq(known, &stream) && *known != stream;
                *known = stream;
                changed
            });
            return;
        }
        if workers.remove(&stream.lane).is_some() {
            // A defect, which the panic's message told. The checkpoint knows where to go on.
            tracing::error!(stream = %stream.key, "the stream's worker panicked; here is another one");
        }
        let series = self.context.metrics.series(&stream.key.labels());
        let lane = Arc::new(Lane::new(&stream, series));
        let id = stream.lane;
        let (stream, configuration) = watch::channel(stream);
        let (flushes, requests) = mpsc::channel(FLUSHES);
        let (copies, asked) = mpsc::channel(COPIES);
        let (end, ended) = watch::channel(None);
        let inputs = Inputs {
            lane: lane.clone(),
            stream: configuration,
            flushes: requests,
            copies: asked,
        };
        let context = self.context.clone();
        tokio::spawn(async move {
            let how = worker::run(context, inputs).await;
            end.send_replace(Some(how));
        });
        let worker = Worker {
            lane,
            stream,
            flushes,
            copies,
            ended,
        };
        workers.insert(id, Arc::new(worker));
    }

    /// Removes all that a DELETING stream holds, and then the stream. What is left when it fails is
    /// removed when it is called again.
    async fn remove(&self, stream: &DeliveryStream) {
        let worker = self.worker(stream.lane);
        if let Some(worker) = worker {
            worker.lane.discard.cancel();
            worker.ended().await;
        }
        if let Err(error) = self.remove_all_of(stream.lane).await {
            tracing::error!(stream = %stream.key, error, "a stream is not removed yet");
            // The supervisor looks again when this task ends; not at once.
            self.context.clock.sleep(Duration::from_secs(1)).await;
            return;
        }
        // Before the name is free: another stream may have it a moment later.
        self.context.metrics.remove(&stream.key.labels());
        match self.context.registry.forget(&stream.key, stream.lane).await {
            Ok(()) => {
                lock(&self.workers).remove(&stream.lane);
            }
            Err(error) => {
                tracing::error!(stream = %stream.key, %error, "a stream is not removed yet")
            }
        }
    }

    async fn remove_all_of(&self, lane: LaneId) -> Result<(), String> {
        let (log, catalog) = (&self.context.engine.log, &*self.context.engine.catalog);
        log.remove(lane).await.map_err(|error| error.to_string())?;
        let key = checkpoint::catalog_key(lane);
        let removed = async {
            // The checkpoint last: while there is anything else, it says that there is something to remove.
            receipts::remove(catalog, lane).await?;
            entry::remove_all(catalog, lane).await?;
            let loading = load::state::catalog_key(lane);
            if let Some(found) = catalog.get(&loading).await? {
                receipts::delete(catalog, &loading, found.version).await?;
            }
            match catalog.get(&key).await? {
                Some(found) => receipts::delete(catalog, &key, found.version).await,
                None => Ok(()),
            }
        };
        removed.await.map_err(|error| error.to_string())
    }

    /// Removes what belongs to no stream; false when that must be tried again.
    async fn remove_orphans(&self) -> bool {
        match self.find_orphans().await {
            Ok(orphans) => {
                let mut removed = true;
                for lane in orphans {
                    tracing::info!(%lane, "removing what a deleted stream left");
                    if let Err(error) = self.remove_all_of(lane).await {
                        tracing::warn!(%lane, error, "not removed yet");
                        removed = false;
                    }
                }
                removed
            }
            Err(error) => {
                tracing::warn!(error, "cannot look for what deleted streams left");
                false
            }
        }
    }

    async fn find_orphans(&self) -> Result<BTreeSet<LaneId>, String> {
        let catalog = &self.context.engine.catalog;
        let log = &self.context.engine.log;
        let mut lanes: BTreeSet<LaneId> = BTreeSet::new();
        lanes.extend(log.lanes().await.map_err(|error| error.to_string())?);
        // A lane with receipts has a checkpoint too. There may be millions of them; they are not listed.
        let found = catalog.list(checkpoint::CATALOG_PREFIX).await;
        let found = found.map_err(|error| error.to_string())?;
        lanes.extend(found.iter().filter_map(|(key, _)| checkpoint::lane_of(key)));
        // After the lanes, so that a stream that is being created is not mistaken.
        for stream in self.context.registry.all() {
            lanes.remove(&stream.lane);
        }
        Ok(lanes)
    }

    fn refresh_gauges(&self) {
        let now = self.context.clock.now();
        for worker in lock(&self.workers).values() {
            let usage = self.context.engine.log.lane_usage(worker.lane.id);
            let series = &worker.lane.series;
            series.backlog_records.set(usage.records);
            series.backlog_bytes.set(usage.bytes);
            let age = usage.oldest.map(|oldest| now.since(oldest));
            series.freshness.set(age.unwrap_or_default().as_secs_f64());
            worker.lane.refresh_load_gauges();
        }
    }

    async fn sweep_receipts(&self) {
        let now = self.context.clock.now();
        let catalog = &*self.context.engine.catalog;
        for stream in self.context.registry.all() {
            if let Err(error) = receipts::sweep(catalog, stream.lane, now).await {
                tracing::warn!(stream = %stream.key, %error, "receipts were not swept");
            }
        }
    }

    /// Where a record is.
    pub(crate) async fn trace(&self, id: RecordId) -> Result<Trace, TraceError> {
        let words = |error: &dyn std::fmt::Display| TraceError(error.to_string());
        let (log, catalog) = (&self.context.engine.log, &*self.context.engine.catalog);
        let streams = self.context.registry.all();
        if !streams.iter().any(|stream| stream.lane == id.lane) {
            return Ok(Trace::Unknown);
        }
        let state = checkpoint::look(catalog, id.lane).await;
        let state = state.map_err(|error| words(&error))?;
        if let Some(intent) = state.as_ref().and_then(|s| s.intent_for(id.position)) {
            let shown = self.worker(id.lane).map(|worker| worker.shown());
            let failing = shown.and_then(|shown| shown.failing(intent.span.start));
            return Ok(match failing {
                Some((error, next_retry)) => Trace::Failing { error, next_retry },
                None => Trace::InFlight {
                    bucket: intent.destination.bucket().to_owned(),
                    key: intent.key.clone(),
                },
            });
        }
        if state.is_some_and(|state| id.position < state.cursor) {
            let receipt = receipts::find(catalog, id.lane, id.position).await;
            let receipt = receipt.map_err(|error| words(&error))?;
            return Ok(match receipt {
                None => Trace::Unknown,
                Some((start, receipt)) => match receipt.outcome {
                    Outcome::Empty => Trace::Empty,
                    Outcome::Expired => Trace::Expired { time: receipt.time },
                    Outcome::Delivered => Trace::Delivered {
                        load: match receipt.load {
                            Some(fate) => Some(fate),
                            None => self.loading(id.lane, start).await.map_err(|e| words(&e))?,
                        },
                        bucket: receipt.bucket,
                        key: receipt.key,
                        time: receipt.time,
                    },
                },
            });
        }
        let mut frames = log.read(id.lane, id.position..id.position.next());
        match frames.next().await {
            Some(Ok((_, frame))) if usize::from(id.index) < frame.records() => {
                Ok(Trace::Buffered {
                    since: frame.arrival(),
                })
            }
            Some(Err(error)) => Err(words(&error)),
            _ => Ok(Trace::Unknown),
        }
    }
}

impl Supervisor {
    /// How the loading of an object stands that is not settled.
    async fn loading(
        &self,
        lane: LaneId,
        start: Position,
    ) -> Result<Option<LoadFate>, CatalogError> {
        let catalog = &*self.context.engine.catalog;
        if !entry::is_kept(catalog, lane, start).await? {
            return Ok(None);
        }
        let load = self.worker(lane).map(|worker| worker.shown().load);
        let load = load.unwrap_or_default();
        Ok(Some(match load.last_error().cloned() {
            Some(error) => LoadFate::Failing {
                error,
                next_retry: load.next_retry,
            },
            None => LoadFate::Waiting,
        }))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
