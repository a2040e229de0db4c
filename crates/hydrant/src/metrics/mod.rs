//! What the node counts, for Prometheus: the metrics of SPEC §6.2 with `_` for `.`.
//!
//! * One [`Metrics`] holds one registry; there are no globals. Each area registers its families when
//!   it is made ([`Metrics::new`]) and is a field here.
//! * Series of a stream carry `delivery_stream`, `account` and `region`, since streams of different
//!   accounts or regions may share a name. They are made for streams that exist and removed with
//!   them, so that what clients send cannot make the registry grow.
//! * Families are for finding a series; the hot path holds the series itself
//!   ([`ingest::StreamSeries`]), so that counting is an atomic addition.
//!
//! OpenMetrics wants counters to end in `_total`; the encoder adds that: `IncomingBytes_total`.

pub mod delivery;
pub mod ingest;
pub mod node;

use std::sync::Arc;

use hydrant_engine::Log;
use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{
        family::Family,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Metric, Registry},
};

pub use delivery::DeliveryMetrics;
pub use ingest::Ingest;
use node::LogCollector;
pub use node::{AnswerLabels, Answers};

/// The media type of [`Metrics::encode`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Everything that the node counts.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// What the API takes in.
    pub ingest: Ingest,
    /// What delivery gets done.
    pub delivery: DeliveryMetrics,
    /// What the API port answered.
    pub answers: Answers,
}

impl Metrics {
    /// Every family, all without series.
    pub fn new() -> Self {
        let mut registry = Registry::default();
        Metrics {
            ingest: Ingest::register(&mut registry),
            delivery: DeliveryMetrics::register(&mut registry),
            answers: Answers::register(&mut registry),
            registry,
        }
    }

    /// Adds the room and health of `log`, asked whenever metrics are read.
    pub fn observe_log(&mut self, log: Arc<dyn Log>) {
        self.registry
            .register_collector(Box::new(LogCollector(log)));
    }

    /// All series in OpenMetrics text ([`CONTENT_TYPE`]).
    pub fn encode(&self) -> String {
        let mut text = String::new();
        // Writing to a String fails only if a metric's own encoding does, and ours do not.
        if let Err(error) = text::encode(&mut text, &self.registry) {
            tracing::error!(%error, "metrics could not be encoded");
        }
        text
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// The labels of one stream's series.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct StreamLabels {
    /// The stream's name.
    pub delivery_stream: String,
    /// Its account.
    pub account: String,
    /// Its region.
    pub region: String,
}

/// Labels of what concerns no single stream.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RegionLabels {
    /// The caller's account.
    pub account: String,
    /// The region of the request.
    pub region: String,
}

/// A family of histograms of milliseconds.
pub type Latencies<L> = Family<L, Histogram, fn() -> Histogram>;

/// A histogram of milliseconds: 0.25 ms to 16 s.
pub fn milliseconds() -> Histogram {
    Histogram::new(exponential_buckets(0.25, 2.0, 17))
}

/// Registers a family under `name` and gives it back.
pub fn registered<M: Metric + Clone>(
    registry: &mut Registry,
    name: &str,
    help: &str,
    family: M,
) -> M {
    registry.register(name, help, family.clone());
    family
}
