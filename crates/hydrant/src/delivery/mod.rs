//! Delivery: follows the log, makes objects of it and sees them into buckets.
//!
//! ```text
//! follow → cut → intent (catalog) → encode → deliver → receipt, commit (catalog) → trim
//!                                                                       ╰─ load, where there is a warehouse
//! ```
//!
//! * **One supervisor** looks at the registry and makes true what it says: CREATING streams become ACTIVE, each
//!   ACTIVE stream has a worker, DELETING streams are removed with all they hold.
//! * **One worker for each stream** owns the lane's checkpoint and decides what becomes a span. Idle, it
//!   is a task that waits on the log and one timer.
//! * **One task for each span in flight** attempts it until it is delivered, given up or planned anew.
//!   At most [`SPANS_IN_FLIGHT`] of a stream; all of them together share two budgets,
//!   [`Settings::uploads`] and [`Settings::memory`], so that memory grows neither with streams nor with backlog.
//! * **No loss, no duplicate.** The intent is on disk before the first byte is sent, and names the object: after
//!   a crash the same bytes go to the same key. The log is trimmed only after the commit.
//! * **Always healing.** An attempt that failed is retried with growing pauses; a change of the
//!   stream's configuration, a flush or a success of a sibling wakes it at once.
//!
//! | module | is |
//! |---|---|
//! | [`cut`] | when a buffer becomes a span; pure |
//! | [`object`], [`compress`], [`encode`] | an object's name, headers and bytes |
//! | [`retry`] | pauses and the 24 hours; pure |
//! | [`held`], [`checkpoint`], [`by_span`], [`receipts`] | what the catalog keeps |
//! | [`attempt`], [`worker`], [`supervisor`] | a span, a stream, all streams |
//! | [`load`] | from the bucket into a warehouse |
//! | [`ended`], [`bell`] | how workers and loaders end, and are woken |
//! | [`status`] | what people are told |
//! | [`examine`] | what the catalog's values say, for those who check them at rest |

pub(crate) mod attempt;
pub(crate) mod bell;
pub(crate) mod by_span;
pub mod checkpoint;
pub(crate) mod compress;
pub mod cut;
pub mod encode;
pub(crate) mod ended;
pub(crate) mod examine;
pub(crate) mod flush;
pub(crate) mod held;
pub(crate) mod lane;
pub(crate) mod load;
pub(crate) mod object;
pub mod receipts;
pub mod retry;
pub mod status;
pub(crate) mod supervisor;
pub(crate) mod worker;

#[cfg(test)]
mod tests;

use std::{fmt, sync::Arc, time::Duration};

use hydrant_engine::{Chance, Clock, Engine, Threads};
use tokio::sync::{Semaphore, oneshot};

pub use self::{
    checkpoint::{LastDelivery, Span},
    load::{
        ask::CopyError,
        status::{CopyState, CopyStatus, GivenUp, LastSuccess, LoadFate, warehouse_name},
    },
    status::{FlushError, Flushed, LastError, StreamStatus, Trace},
};
use self::{
    cut::Moment,
    flush::Asked,
    load::{
        ask::{self, Place},
        slots::Slots,
    },
    supervisor::Supervisor,
};
pub use crate::warehouse::Loaded;
use crate::{
    destination::Destinations,
    metrics::DeliveryMetrics,
    stream::{DeliveryStream, RecordId, Registry, Status, StreamKey},
    warehouse::Warehouse,
};

/// Spans of one stream that are planned and not yet delivered, at most.
pub const SPANS_IN_FLIGHT: usize = 8;
/// How long a stop waits for attempts that run. What they do not finish is done after the next start.
pub const STOP_GRACE: Duration = Duration::from_secs(3);
/// The unit of the memory budget.
const KIB: u64 = 1 << 10;

/// What delivery may use and how it works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Caps every stream's buffer interval (`--max-interval`).
    pub max_interval: Option<Duration>,
    /// Level of GZIP and ZIP, 1 (fast) to 9 (small).
    pub gzip_level: u32,
    /// Attempts that run at a time, over all streams.
    pub uploads: usize,
    /// Bytes that running attempts may hold together: records read, compressed, being sent.
    pub memory: u64,
    /// How old records get before they are given up (SPEC §4.4).
    pub retention: Duration,
    /// COPYs that run at a time, over all streams; a quarter of them into one database server.
    pub copies: usize,
    /// The pause after a COPY that was refused (`--copy-retry-interval`).
    pub copy_retry_interval: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            max_interval: None,
            gzip_level: 1,
            uploads: 64,
            memory: 64 << 20,
            retention: retry::RETENTION,
            copies: 32,
            copy_retry_interval: Duration::from_secs(300),
        }
    }
}

/// What delivery is made of.
#[derive(Debug)]
pub struct Parts {
    /// The log that is followed, and the catalog.
    pub engine: Engine,
    /// The streams.
    pub registry: Arc<Registry>,
    /// Where objects go.
    pub destinations: Arc<dyn Destinations>,
    /// Where they go on to.
    pub warehouse: Arc<dyn Warehouse>,
    /// What is counted.
    pub metrics: DeliveryMetrics,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Ids and jitter.
    pub chance: Chance,
    /// Where objects are compressed.
    pub threads: Arc<dyn Threads>,
}

/// What every part of delivery is given.
pub(crate) struct Context {
    pub(crate) engine: Engine,
    pub(crate) registry: Arc<Registry>,
    pub(crate) destinations: Arc<dyn Destinations>,
    pub(crate) warehouse: Arc<dyn Warehouse>,
    pub(crate) metrics: DeliveryMetrics,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) chance: Chance,
    pub(crate) threads: Arc<dyn Threads>,
    pub(crate) settings: Settings,
    /// This process, in checkpoints.
    pub(crate) owner: u64,
    pub(crate) uploads: Semaphore,
    /// In KiB, since a semaphore counts in 32 bits.
    pub(crate) memory: Semaphore,
    pub(crate) copies: Slots,
}

impl Context {
    pub(crate) fn moment(&self) -> Moment {
        Moment {
            wall: self.clock.now(),
            monotonic: self.clock.monotonic(),
        }
    }

    /// What an attempt that holds `bytes` takes from the memory budget; never more than all of it.
    pub(crate) fn memory_permits(&self, bytes: u64) -> u32 {
        let all = self.settings.memory / KIB;
        u32::try_from((bytes / KIB + 1).min(all)).unwrap_or(u32::MAX)
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// Delivery of all streams: the handle for the rest of the program. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Delivery {
    context: Arc<Context>,
    supervisor: Arc<Supervisor>,
}

impl Delivery {
    /// Begins to deliver: everything that waits, then what comes. Returns at once.
    pub fn start(parts: Parts, settings: Settings) -> Self {
        let context = Arc::new(Context {
            engine: parts.engine,
            registry: parts.registry,
            destinations: parts.destinations,
            warehouse: parts.warehouse,
            metrics: parts.metrics,
            clock: parts.clock,
            owner: parts.chance.next_u64(),
            chance: parts.chance,
            threads: parts.threads,
            uploads: Semaphore::new(settings.uploads),
            memory: Semaphore::new(
                usize::try_from(settings.memory / KIB).unwrap_or(usize::MAX >> 3),
            ),
            copies: Slots::new(settings.copies),
            settings,
        });
        Delivery {
            supervisor: Supervisor::start(context.clone()),
            context,
        }
    }

    /// How a stream's delivery stands; `None` for a stream that does not exist. Cheap.
    pub fn status(&self, key: &StreamKey) -> Option<StreamStatus> {
        self.context
            .registry
            .get(key)
            .map(|stream| self.status_of(&stream))
    }

    /// How every stream's delivery stands, in order of their keys.
    pub fn statuses(&self) -> Vec<StreamStatus> {
        let mut streams = self.context.registry.all();
        streams.sort_by(|a, b| a.key.cmp(&b.key));
        streams
            .iter()
            .map(|stream| self.status_of(stream))
            .collect()
    }

    fn status_of(&self, stream: &DeliveryStream) -> StreamStatus {
        let usage = self.context.engine.log.lane_usage(stream.lane);
        let shown = self
            .supervisor
            .worker(stream.lane)
            .map(|worker| (worker.shown(), worker.pending()));
        let (shown, pending) = shown.unwrap_or_default();
        let loads = stream.destination.redshift().is_some() || pending.objects > 0;
        StreamStatus {
            key: stream.key.clone(),
            arn: stream.key.arn(),
            status: stream.status,
            version: stream.version,
            backlog_records: usage.records,
            backlog_bytes: usage.bytes,
            oldest: usage.oldest,
            in_flight: shown.in_flight,
            last_error: shown.last_error(),
            next_retry: shown.next_retry(),
            last_delivery: shown.last_delivery,
            dropped_records: shown.dropped_records,
            dropped_bytes: shown.dropped_bytes,
            damaged_frames: shown.damaged_frames,
            copy: loads.then(|| shown.load.status(pending.objects, pending.records)),
        }
    }

    /// Cuts the stream's buffer now, retries what waits, and resolves when everything that was acknowledged before
    /// the call is delivered.
    ///
    /// # Errors
    /// [`FlushError::Failing`] at the first attempt that fails, or when catalog or log do; delivery goes on trying.
    /// There may be no answer for as long as a destination gives none.
    pub async fn flush(&self, key: &StreamKey) -> Result<Flushed, FlushError> {
        let active = self
            .context
            .registry
            .get(key)
            .filter(|stream| stream.status == Status::Active);
        let worker = active.and_then(|stream| self.supervisor.worker(stream.lane));
        let worker = worker.ok_or_else(|| FlushError::NotActive(key.clone()))?;
        let (reply, answer) = oneshot::channel();
        let end = self.context.engine.log.lane_usage(worker.lane()).end;
        if worker.flushes.send(Asked { reply, end }).await.is_err() {
            return Err(FlushError::Stopped);
        }
        answer.await.unwrap_or(Err(FlushError::Stopped))
    }

    /// Loads a manifest now, into the stream's present warehouse, between its own COPYs: `s3://BUCKET/KEY`, or a key in
    /// the stream's bucket. One attempt. On success, it does not count as given up any more.
    ///
    /// # Errors
    /// When it was not loaded, in the database's words.
    pub async fn copy(&self, key: &StreamKey, manifest: &str) -> Result<Loaded, CopyError> {
        let place = Place::parse(manifest)?;
        let active = self
            .context
            .registry
            .get(key)
            .filter(|stream| stream.status == Status::Active)
            .ok_or_else(|| CopyError::NotActive(key.clone()))?;
        if active.destination.redshift().is_none() {
            return Err(CopyError::NoWarehouse(key.clone()));
        }
        let worker = self.supervisor.worker(active.lane);
        let worker = worker.ok_or_else(|| CopyError::NotActive(key.clone()))?;
        let (reply, answer) = oneshot::channel();
        let asked = ask::Asked { place, reply };
        if worker.copies.send(asked).await.is_err() {
            return Err(CopyError::Stopped);
        }
        answer.await.unwrap_or(Err(CopyError::Stopped))
    }

    /// Where a record is.
    ///
    /// # Errors
    /// When the catalog or the log cannot be read, in words for people.
    pub async fn trace(&self, id: RecordId) -> Result<Trace, TraceError> {
        self.supervisor.trace(id).await
    }

    /// Stops within [`STOP_GRACE`] and loses nothing: what is not done is done after the next start. Idempotent.
    pub async fn stop(&self) {
        self.supervisor.stop().await;
    }
}

/// A record could not be looked up.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the record cannot be traced: {0}")]
pub struct TraceError(pub String);
