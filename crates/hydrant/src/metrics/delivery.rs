//! What delivery gets done, per stream.

use std::sync::atomic::AtomicU64;

use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use super::{StreamLabels, registered};

type Counters = Family<StreamLabels, Counter>;
type Gauges = Family<StreamLabels, Gauge<u64, AtomicU64>>;
type Seconds = Family<StreamLabels, Gauge<f64, AtomicU64>>;

/// The families of delivery.
#[derive(Clone, Debug)]
pub struct DeliveryMetrics {
    bytes: Counters,
    records: Counters,
    objects: Counters,
    success: Counters,
    attempts: Counters,
    freshness: Seconds,
    dropped_records: Counters,
    dropped_bytes: Counters,
    damaged_frames: Counters,
    backlog_records: Gauges,
    backlog_bytes: Gauges,
    loaded_bytes: Counters,
    loaded_records: Counters,
    copy_success: Counters,
    copy_attempts: Counters,
    manifests_given_up: Counters,
    copy_pending: Gauges,
}

/// The series of one stream. Clones count in the same series.
#[derive(Clone, Debug)]
pub struct DeliverySeries {
    /// `DeliveryToS3_Bytes`: record data delivered, before compression.
    pub bytes: Counter,
    /// `DeliveryToS3_Records`.
    pub records: Counter,
    /// `DeliveryToS3_ObjectCount`.
    pub objects: Counter,
    /// `DeliveryToS3_Success`: attempts that succeeded. AWS's ratio is its rate over that of `attempts`.
    pub success: Counter,
    /// `DeliveryToS3_Attempts`: all attempts.
    pub attempts: Counter,
    /// `DeliveryToS3_DataFreshness`: age of the oldest undelivered record, in seconds.
    pub freshness: Gauge<f64, AtomicU64>,
    /// Records given up after 24 hours.
    pub dropped_records: Counter,
    /// Their bytes.
    pub dropped_bytes: Counter,
    /// Frames that could not be read back from the log.
    pub damaged_frames: Counter,
    /// Records not yet delivered.
    pub backlog_records: Gauge<u64, AtomicU64>,
    /// Their bytes.
    pub backlog_bytes: Gauge<u64, AtomicU64>,
}

/// The series of one stream that is loaded into a warehouse. Clones count in the same series.
#[derive(Clone, Debug)]
pub struct LoadSeries {
    /// `DeliveryToRedshift_Bytes`: record data loaded, before compression.
    pub bytes: Counter,
    /// `DeliveryToRedshift_Records`.
    pub records: Counter,
    /// `DeliveryToRedshift_Success`: COPYs that succeeded. AWS's ratio is its rate over that of `attempts`.
    pub success: Counter,
    /// `DeliveryToRedshift_Attempts`: all COPYs.
    pub attempts: Counter,
    /// `RedshiftManifestsGivenUp`.
    pub given_up: Counter,
    /// `CopyPendingObjects`: objects in the bucket that are not in the warehouse.
    pub pending: Gauge<u64, AtomicU64>,
}

impl DeliveryMetrics {
    /// Every family, without series, in `registry`.
    pub fn register(registry: &mut Registry) -> Self {
        let mut counter =
            |name: &str, help: &str| registered(registry, name, help, Counters::default());
        DeliveryMetrics {
            bytes: counter("DeliveryToS3_Bytes", "Bytes delivered, before compression"),
            records: counter("DeliveryToS3_Records", "Records delivered"),
            objects: counter("DeliveryToS3_ObjectCount", "Objects delivered"),
            success: counter(
                "DeliveryToS3_Success",
                "Attempts at an object that succeeded",
            ),
            attempts: counter("DeliveryToS3_Attempts", "Attempts at an object"),
            dropped_records: counter("DroppedRecords", "Records given up after 24 hours"),
            dropped_bytes: counter("DroppedBytes", "Bytes given up after 24 hours"),
            loaded_bytes: counter(
                "DeliveryToRedshift_Bytes",
                "Bytes loaded into a warehouse, before compression",
            ),
            loaded_records: counter(
                "DeliveryToRedshift_Records",
                "Records loaded into a warehouse",
            ),
            copy_success: counter("DeliveryToRedshift_Success", "COPYs that succeeded"),
            copy_attempts: counter("DeliveryToRedshift_Attempts", "COPYs"),
            manifests_given_up: counter(
                "RedshiftManifestsGivenUp",
                "Manifests that could not be loaded and were written below errors/",
            ),
            damaged_frames: counter("DamagedFrames", "Frames that could not be read back"),
            freshness: registered(
                registry,
                "DeliveryToS3_DataFreshness",
                "Age of the oldest undelivered record, in seconds",
                Seconds::default(),
            ),
            backlog_records: registered(
                registry,
                "BacklogRecords",
                "Records not yet delivered",
                Gauges::default(),
            ),
            backlog_bytes: registered(
                registry,
                "BacklogBytes",
                "Bytes not yet delivered",
                Gauges::default(),
            ),
            copy_pending: registered(
                registry,
                "CopyPendingObjects",
                "Objects delivered to the bucket and not yet loaded",
                Gauges::default(),
            ),
        }
    }

    /// The series of one stream.
    pub fn series(&self, labels: &StreamLabels) -> DeliverySeries {
        DeliverySeries {
            bytes: self.bytes.get_or_create_owned(labels),
            records: self.records.get_or_create_owned(labels),
            objects: self.objects.get_or_create_owned(labels),
            success: self.success.get_or_create_owned(labels),
            attempts: self.attempts.get_or_create_owned(labels),
            freshness: self.freshness.get_or_create_owned(labels),
            dropped_records: self.dropped_records.get_or_create_owned(labels),
            dropped_bytes: self.dropped_bytes.get_or_create_owned(labels),
            damaged_frames: self.damaged_frames.get_or_create_owned(labels),
            backlog_records: self.backlog_records.get_or_create_owned(labels),
            backlog_bytes: self.backlog_bytes.get_or_create_owned(labels),
        }
    }

    /// The series of one stream that is loaded into a warehouse.
    pub fn load_series(&self, labels: &StreamLabels) -> LoadSeries {
        LoadSeries {
            bytes: self.loaded_bytes.get_or_create_owned(labels),
            records: self.loaded_records.get_or_create_owned(labels),
            success: self.copy_success.get_or_create_owned(labels),
            attempts: self.copy_attempts.get_or_create_owned(labels),
            given_up: self.manifests_given_up.get_or_create_owned(labels),
            pending: self.copy_pending.get_or_create_owned(labels),
        }
    }

    /// Forgets the series of a stream that is gone.
    pub fn remove(&self, labels: &StreamLabels) {
        for counters in [
            &self.bytes,
            &self.records,
            &self.objects,
            &self.success,
            &self.attempts,
            &self.dropped_records,
            &self.dropped_bytes,
            &self.damaged_frames,
            &self.loaded_bytes,
            &self.loaded_records,
            &self.copy_success,
            &self.copy_attempts,
            &self.manifests_given_up,
        ] {
            counters.remove(labels);
        }
        self.freshness.remove(labels);
        self.backlog_records.remove(labels);
        self.backlog_bytes.remove(labels);
        self.copy_pending.remove(labels);
    }
}
