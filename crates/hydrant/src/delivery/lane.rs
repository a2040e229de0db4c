//! What a stream's worker, its spans and the rest of the program share: what is shown, and signals.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use hydrant_engine::{LaneId, Position, Timestamp};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{
    bell::Bell,
    checkpoint::{LastDelivery, State},
    load::{pending::Pending, status::LoadShown},
    status::LastError,
};
use crate::{
    destination::DeliveryError,
    metrics::{
        DeliveryMetrics,
        delivery::{DeliverySeries, LoadSeries},
    },
    stream::{DeliveryStream, StreamKey},
};

/// Characters of an error's text that are kept.
const MAX_MESSAGE: usize = 4_096;

/// One stream's delivery, as seen by everyone who takes part in it.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) id: LaneId,
    pub(crate) key: StreamKey,
    pub(crate) series: DeliverySeries,
    /// Finish and go.
    pub(crate) stop: CancellationToken,
    /// Go at once: the stream is being deleted.
    pub(crate) discard: CancellationToken,
    /// Held by the one attempt that a failing stream may make at a time.
    pub(crate) turn: tokio::sync::Mutex<()>,
    /// Raised to make every waiting attempt go ahead.
    pub(crate) nudge: Bell,
    /// How many attempts have failed, and the latest of them.
    pub(crate) failures: watch::Sender<Failures>,
    /// What is delivered and to be loaded.
    pub(crate) pending: Pending,
    load_series: OnceLock<LoadSeries>,
    unreachable: AtomicBool,
    shown: Mutex<Shown>,
}

/// Attempts that failed, of delivery and of loading.
#[derive(Clone, Debug, Default)]
pub(crate) struct Failures {
    pub(crate) count: u64,
    pub(crate) latest: Option<LastError>,
}

/// What people may see.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shown {
    pub(crate) in_flight: usize,
    pub(crate) last_delivery: Option<LastDelivery>,
    pub(crate) dropped_records: u64,
    pub(crate) dropped_bytes: u64,
    pub(crate) damaged_frames: u64,
    pub(crate) load: LoadShown,
    /// By the first position of each span whose latest attempt failed.
    failing: BTreeMap<Position, Failing>,
    /// The worker itself cannot go on.
    broken: Option<LastError>,
}

#[derive(Clone, Debug)]
struct Failing {
    error: LastError,
    next_retry: Option<Timestamp>,
}

impl Shown {
    /// The latest failure of what is still failing.
    pub(crate) fn last_error(&self) -> Option<LastError> {
        let failing = self.failing.values().map(|failing| &failing.error);
        failing
            .chain(&self.broken)
            .chain(self.load.last_error())
            .max_by_key(|error| error.time)
            .cloned()
    }

    /// The earliest retry.
    pub(crate) fn next_retry(&self) -> Option<Timestamp> {
        let retries = self
            .failing
            .values()
            .filter_map(|failing| failing.next_retry);
        retries.chain(self.load.next_retry).min()
    }

    /// Why the span that begins at `start` fails, and when it is tried again.
    pub(crate) fn failing(&self, start: Position) -> Option<(LastError, Option<Timestamp>)> {
        let failing = self.failing.get(&start)?;
        Some((failing.error.clone(), failing.next_retry))
    }
}

impl Lane {
    pub(crate) fn new(stream: &DeliveryStream, series: DeliverySeries) -> Self {
        Lane {
            id: stream.lane,
            key: stream.key.clone(),
            series,
            stop: CancellationToken::new(),
            discard: CancellationToken::new(),
            turn: tokio::sync::Mutex::default(),
            nudge: Bell::default(),
            failures: watch::Sender::default(),
            pending: Pending::default(),
            load_series: OnceLock::new(),
            unreachable: AtomicBool::new(false),
            shown: Mutex::default(),
        }
    }

    pub(crate) fn shown(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows what a checkpoint says.
    pub(crate) fn show(&self, state: &State) {
        let mut shown = self.shown();
        shown.in_flight = state.spans.len();
        shown.last_delivery.clone_from(&state.last);
        shown.dropped_records = state.dropped_records;
        shown.dropped_bytes = state.dropped_bytes;
        shown.damaged_frames = state.damaged_frames;
    }

    /// An attempt begins: no retry is pending.
    pub(crate) fn trying(&self, start: Position) {
        if let Some(failing) = self.shown().failing.get_mut(&start) {
            failing.next_retry = None;
        }
    }

    /// An attempt failed.
    pub(crate) fn failed(
        &self,
        start: Position,
        error: &DeliveryError,
        time: Timestamp,
        next_retry: Option<Timestamp>,
    ) {
        let words = in_words(error, time);
        let shown = Failing {
            error: words.clone(),
            next_retry,
        };
        self.shown().failing.insert(start, shown);
        self.unreachable
            .store(error.is_unreachable(), Ordering::Relaxed);
        self.failed_once(words);
    }

    /// An attempt to load failed.
    pub(crate) fn load_failed(&self, error: LastError, change: impl FnOnce(&mut LoadShown)) {
        {
            let load = &mut self.shown().load;
            load.error = Some(error.clone());
            change(load);
        }
        self.failed_once(error);
    }

    /// Tells those who wait that something failed.
    pub(crate) fn failed_once(&self, error: LastError) {
        self.failures.send_modify(|failures| {
            failures.count += 1;
            failures.latest = Some(error);
        });
    }

    /// What loading gets done; made when there is something to load, so that streams to S3 have no such series.
    pub(crate) fn load_series(&self, metrics: &DeliveryMetrics) -> &LoadSeries {
        self.load_series
            .get_or_init(|| metrics.load_series(&self.key.labels()))
    }

    /// Refreshes what is shown of the objects that wait to be loaded.
    pub(crate) fn refresh_load_gauges(&self) {
        if let Some(series) = self.load_series.get() {
            series.pending.set(self.pending.totals().objects);
        }
    }

    /// A span is done with, one way or the other.
    pub(crate) fn done(&self, start: Position) {
        self.shown().failing.remove(&start);
    }

    /// The worker cannot go on, or (with `None`) it can again.
    pub(crate) fn broken(&self, error: Option<LastError>) {
        self.shown().broken = error;
    }

    /// The destination answered.
    pub(crate) fn reached(&self) {
        self.unreachable.store(false, Ordering::Relaxed);
    }

    /// Whether the latest attempt found nobody there.
    pub(crate) fn unreachable(&self) -> bool {
        self.unreachable.load(Ordering::Relaxed)
    }

    /// Whether anything is failing.
    pub(crate) fn is_failing(&self) -> bool {
        !self.shown().failing.is_empty()
    }

    /// Wakes every attempt that waits.
    pub(crate) fn nudge(&self) {
        self.nudge.ring();
    }
}

pub(crate) fn in_words(error: &DeliveryError, time: Timestamp) -> LastError {
    LastError {
        time,
        code: error.code().to_owned(),
        message: error.message().chars().take(MAX_MESSAGE).collect(),
    }
}
