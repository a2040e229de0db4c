//! What the API takes in, per stream.

use std::{sync::atomic::AtomicU64, time::Duration};

use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use crate::config::Throughput;

use super::{Latencies, RegionLabels, StreamLabels, milliseconds, registered};

type Counters<L = StreamLabels> = Family<L, Counter>;
type Gauges = Family<StreamLabels, Gauge<u64, AtomicU64>>;

/// The families of the API.
#[derive(Clone, Debug)]
pub struct Ingest {
    incoming_bytes: Counters,
    incoming_records: Counters,
    incoming_put_requests: Counters,
    put_record_bytes: Counters,
    put_record_latency: Latencies<StreamLabels>,
    put_record_requests: Counters,
    put_record_batch_bytes: Counters,
    put_record_batch_latency: Latencies<StreamLabels>,
    put_record_batch_records: Counters,
    put_record_batch_requests: Counters,
    throttled_records: Counters,
    bytes_per_second_limit: Gauges,
    records_per_second_limit: Gauges,
    put_requests_per_second_limit: Gauges,
    describe: Control<StreamLabels>,
    update: Control<StreamLabels>,
    list: Control<RegionLabels>,
}

/// Latency and count of one control operation.
#[derive(Clone, Debug)]
struct Control<L: Clone + std::hash::Hash + Eq> {
    latency: Latencies<L>,
    requests: Counters<L>,
}

/// The series of one stream, at hand without a look-up. Clones count in the same series.
#[derive(Clone, Debug)]
pub struct StreamSeries {
    incoming_bytes: Counter,
    incoming_records: Counter,
    incoming_put_requests: Counter,
    put_record: PutSeries,
    put_record_batch: PutSeries,
    put_record_batch_records: Counter,
    throttled_records: Counter,
    describe: ControlSeries,
    update: ControlSeries,
}

#[derive(Clone, Debug)]
struct ControlSeries {
    latency: Histogram,
    requests: Counter,
}

#[derive(Clone, Debug)]
struct PutSeries {
    bytes: Counter,
    latency: Histogram,
    requests: Counter,
}

/// Which put operation is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// `PutRecord`.
    Record,
    /// `PutRecordBatch`.
    Batch,
}

/// Which control operation on a stream is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamOperation {
    /// `DescribeDeliveryStream`.
    Describe,
    /// `UpdateDestination`; AWS names its metrics `UpdateDeliveryStream`.
    Update,
}

impl Ingest {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let mut counter =
            |name: &str, help: &str| registered(registry, name, help, Counters::default());
        let incoming_bytes = counter("IncomingBytes", "Bytes stored");
        let incoming_records = counter("IncomingRecords", "Records stored");
        let incoming_put_requests = counter(
            "IncomingPutRequests",
            "Put requests of which at least one record was stored",
        );
        let put_record_bytes = counter("PutRecord_Bytes", "Bytes stored by PutRecord");
        let put_record_requests = counter("PutRecord_Requests", "PutRecord requests");
        let put_record_batch_bytes =
            counter("PutRecordBatch_Bytes", "Bytes stored by PutRecordBatch");
        let put_record_batch_records =
            counter("PutRecordBatch_Records", "Records stored by PutRecordBatch");
        let put_record_batch_requests =
            counter("PutRecordBatch_Requests", "PutRecordBatch requests");
        let throttled_records = counter(
            "ThrottledRecords",
            "Records refused because of the stream's quota",
        );

        let latency = |registry: &mut Registry, name: &str, operation: &str| {
            let help = format!("Milliseconds that {operation} took");
            registered(registry, name, &help, latencies())
        };
        let put_record_latency = latency(registry, "PutRecord_Latency", "PutRecord");
        let put_record_batch_latency =
            latency(registry, "PutRecordBatch_Latency", "PutRecordBatch");

        let mut gauge =
            |name: &str, help: &str| registered(registry, name, help, Gauges::default());
        let bytes_per_second_limit = gauge("BytesPerSecondLimit", "The stream's quota of bytes");
        let records_per_second_limit =
            gauge("RecordsPerSecondLimit", "The stream's quota of records");
        let put_requests_per_second_limit = gauge(
            "PutRequestsPerSecondLimit",
            "The stream's quota of put requests",
        );

        Ingest {
            incoming_bytes,
            incoming_records,
            incoming_put_requests,
            put_record_bytes,
            put_record_latency,
            put_record_requests,
            put_record_batch_bytes,
            put_record_batch_latency,
            put_record_batch_records,
            put_record_batch_requests,
            throttled_records,
            bytes_per_second_limit,
            records_per_second_limit,
            put_requests_per_second_limit,
            describe: Control::register(registry, "DescribeDeliveryStream"),
            update: Control::register(registry, "UpdateDeliveryStream"),
            list: Control::register(registry, "ListDeliveryStreams"),
        }
    }

    /// The series of a stream, made on first use.
    pub fn stream(&self, labels: &StreamLabels, limits: Throughput) -> StreamSeries {
        for (family, limit) in [
            (&self.bytes_per_second_limit, limits.bytes),
            (&self.records_per_second_limit, limits.records),
            (&self.put_requests_per_second_limit, limits.calls),
        ] {
            match limit {
                Some(limit) => {
                    family.get_or_create(labels).set(limit);
                }
                None => {
                    family.remove(labels);
                }
            }
        }
        let counter = |family: &Counters| family.get_or_create_owned(labels);
        StreamSeries {
            incoming_bytes: counter(&self.incoming_bytes),
            incoming_records: counter(&self.incoming_records),
            incoming_put_requests: counter(&self.incoming_put_requests),
            put_record: PutSeries {
                bytes: counter(&self.put_record_bytes),
                latency: self.put_record_latency.get_or_create_owned(labels),
                requests: counter(&self.put_record_requests),
            },
            put_record_batch: PutSeries {
                bytes: counter(&self.put_record_batch_bytes),
                latency: self.put_record_batch_latency.get_or_create_owned(labels),
                requests: counter(&self.put_record_batch_requests),
            },
            put_record_batch_records: counter(&self.put_record_batch_records),
            throttled_records: counter(&self.throttled_records),
            describe: self.describe.series(labels),
            update: self.update.series(labels),
        }
    }

    /// Removes every series of a stream that is gone.
    pub fn forget(&self, labels: &StreamLabels) {
        for family in [
            &self.incoming_bytes,
            &self.incoming_records,
            &self.incoming_put_requests,
            &self.put_record_bytes,
            &self.put_record_requests,
            &self.put_record_batch_bytes,
            &self.put_record_batch_records,
            &self.put_record_batch_requests,
            &self.throttled_records,
        ] {
            family.remove(labels);
        }
        for family in [
            &self.bytes_per_second_limit,
            &self.records_per_second_limit,
            &self.put_requests_per_second_limit,
        ] {
            family.remove(labels);
        }
        self.put_record_latency.remove(labels);
        self.put_record_batch_latency.remove(labels);
        for control in [&self.describe, &self.update] {
            control.latency.remove(labels);
            control.requests.remove(labels);
        }
    }

    /// Counts a `ListDeliveryStreams`.
    pub fn listed(&self, labels: &RegionLabels, took: Duration) {
        self.list.series(labels).count(took);
    }
}

impl StreamSeries {
    /// Counts a control operation on the stream.
    pub fn controlled(&self, operation: StreamOperation, took: Duration) {
        match operation {
            StreamOperation::Describe => self.describe.count(took),
            StreamOperation::Update => self.update.count(took),
        }
    }

    /// Counts a put that stored `records` records of `bytes` bytes and refused `throttled` because
    /// of the quota.
    pub fn put(&self, put: Put, records: u64, bytes: u64, throttled: u64, took: Duration) {
        let series = match put {
            Put::Record => &self.put_record,
            Put::Batch => &self.put_record_batch,
        };
        series.requests.inc();
        series.latency.observe(took.as_secs_f64() * 1_000.0);
        if throttled > 0 {
            self.throttled_records.inc_by(throttled);
        }
        if records > 0 {
            self.incoming_put_requests.inc();
            self.incoming_records.inc_by(records);
            self.incoming_bytes.inc_by(bytes);
            series.bytes.inc_by(bytes);
            if put == Put::Batch {
                self.put_record_batch_records.inc_by(records);
            }
        }
    }
}

impl<L> Control<L>
where
    L: Clone
        + std::hash::Hash
        + Eq
        + prometheus_client::encoding::EncodeLabelSet
        + std::fmt::Debug
        + Send
        + Sync
        + 'static,
{
    fn register(registry: &mut Registry, operation: &str) -> Self {
        let name = |what: &str| format!("{operation}_{what}");
        let help = format!("Milliseconds that {operation} took");
        let latency = registered(registry, &name("Latency"), &help, latencies());
        let help = format!("{operation} requests");
        let requests = registered(registry, &name("Requests"), &help, Counters::default());
        Control { latency, requests }
    }

    fn series(&self, labels: &L) -> ControlSeries {
        ControlSeries {
            latency: self.latency.get_or_create_owned(labels),
            requests: self.requests.get_or_create_owned(labels),
        }
    }
}

impl ControlSeries {
    fn count(&self, took: Duration) {
        self.requests.inc();
        self.latency.observe(took.as_secs_f64() * 1_000.0);
    }
}

fn latencies<L: Clone + std::hash::Hash + Eq>() -> Latencies<L> {
    Family::new_with_constructor(milliseconds as fn() -> Histogram)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;

    fn labels() -> StreamLabels {
        StreamLabels {
            delivery_stream: "logs".to_owned(),
            account: "000000000000".to_owned(),
            region: "us-east-1".to_owned(),
        }
    }

    const LABELS: &str = r#"{delivery_stream="logs",account="000000000000",region="us-east-1"}"#;

    #[test]
    fn a_streams_series_come_and_go() {
        let metrics = Metrics::new();
        let limits = Throughput {
            calls: Some(2_000),
            records: Some(5_000),
            bytes: None,
        };
        let series = metrics.ingest.stream(&labels(), limits);
        let took = Duration::from_millis(3);
        series.put(Put::Record, 1, 10, 0, took);
        series.put(Put::Batch, 3, 50, 2, took);
        series.put(Put::Batch, 0, 0, 5, took);
        series.controlled(StreamOperation::Describe, took);
        series.controlled(StreamOperation::Update, took);

        let text = metrics.encode();
        for (name, value) in [
            ("IncomingBytes_total", 60),
            ("IncomingRecords_total", 4),
            ("IncomingPutRequests_total", 2),
            ("PutRecord_Bytes_total", 10),
            ("PutRecord_Requests_total", 1),
            ("PutRecord_Latency_count", 1),
            ("PutRecordBatch_Bytes_total", 50),
            ("PutRecordBatch_Records_total", 3),
            ("PutRecordBatch_Requests_total", 2),
            ("PutRecordBatch_Latency_count", 2),
            ("ThrottledRecords_total", 7),
            ("RecordsPerSecondLimit", 5_000),
            ("PutRequestsPerSecondLimit", 2_000),
            ("DescribeDeliveryStream_Requests_total", 1),
            ("UpdateDeliveryStream_Latency_count", 1),
        ] {
            let line = format!("\n{name}{LABELS} {value}\n");
            assert!(text.contains(&line), "{line:?} is not in\n{text}");
        }
        assert!(!text.contains("BytesPerSecondLimit{"), "{text}");

        metrics.ingest.forget(&labels());
        assert!(!metrics.encode().contains("logs"), "{}", metrics.encode());
    }

    #[test]
    fn listing_is_counted_by_region() {
        let metrics = Metrics::new();
        let labels = RegionLabels {
            account: "000000000000".to_owned(),
            region: "us-east-1".to_owned(),
        };
        metrics.ingest.listed(&labels, Duration::from_millis(1));
        let line =
            r#"ListDeliveryStreams_Requests_total{account="000000000000",region="us-east-1"} 1"#;
        assert!(metrics.encode().contains(line), "{}", metrics.encode());
    }
}
