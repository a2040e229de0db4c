//! What a stream has while the node runs and that no catalog keeps: its quota's state and its series.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use hydrant_engine::LaneId;
use tokio::task::JoinHandle;

use crate::{
    config::Quotas,
    metrics::{Metrics, ingest::StreamSeries},
    stream::{DeliveryStream, Registry, StreamKey, quota::Quota},
};

/// One incarnation of a stream.
#[derive(Debug)]
pub(in crate::api) struct LiveStream {
    lane: LaneId,
    quota: Mutex<Quota>,
    pub(in crate::api) series: StreamSeries,
}

impl LiveStream {
    /// How many of the records that end at `ends` the quota admits, from the first.
    pub(in crate::api) fn admit(&self, now: Duration, ends: &[u32]) -> usize {
        let mut quota = self.quota.lock().unwrap_or_else(PoisonError::into_inner);
        quota.admit(now, ends)
    }
}

/// Every stream that was asked for since it was there. Follows the registry to forget the others.
#[derive(Debug)]
pub(in crate::api) struct Live {
    shared: Arc<Shared>,
    janitor: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    registry: Arc<Registry>,
    metrics: Arc<Metrics>,
    quotas: Quotas,
    streams: RwLock<HashMap<StreamKey, Arc<LiveStream>>>,
}

impl Live {
    pub(super) fn new(registry: Arc<Registry>, metrics: Arc<Metrics>, quotas: Quotas) -> Self {
        let mut changed = registry.subscribe();
        let shared = Arc::new(Shared {
            registry,
            metrics,
            quotas,
            streams: RwLock::default(),
        });
        let janitor = tokio::spawn({
            let shared = shared.clone();
            async move {
                while changed.changed().await.is_ok() {
                    shared.forget_gone();
                }
            }
        });
        Live { shared, janitor }
    }

    /// What `stream` has, made on first use: a new incarnation begins with a full quota.
    pub(in crate::api) fn of(&self, stream: &DeliveryStream) -> Arc<LiveStream> {
        {
            let streams = self
                .shared
                .streams
                .read()
                .unwrap_or_else(PoisonError::into_inner);
            if let Some(live) = streams.get(&stream.key)
                && live.lane == stream.lane
            {
                return live.clone();
            }
        }
        self.shared.add(stream)
    }
}

impl Shared {
    fn add(&self, stream: &DeliveryStream) -> Arc<LiveStream> {
        let mut streams = self.streams.write().unwrap_or_else(PoisonError::into_inner);
        // Somebody may have been faster.
        if let Some(live) = streams.get(&stream.key)
            && live.lane >= stream.lane
        {
            return live.clone();
        }
        let throughput = self.quotas.throughput_of(&stream.key.name);
        let live = Arc::new(LiveStream {
            lane: stream.lane,
            quota: Mutex::new(Quota::new(&throughput)),
            series: self.metrics.ingest.stream(&stream.key.labels(), throughput),
        });
        streams.insert(stream.key.clone(), live.clone());
        drop(streams);
        // The stream may have gone before it was added: then the janitor has passed already.
        if self.registry.get(&stream.key).is_none() {
            self.forget_gone();
        }
        live
    }

    fn forget_gone(&self) {
        let mut streams = self.streams.write().unwrap_or_else(PoisonError::into_inner);
        streams.retain(|key, _| {
            let there = self.registry.get(key).is_some();
            if !there {
                self.metrics.ingest.forget(&key.labels());
            }
            there
        });
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.janitor.abort();
    }
}
