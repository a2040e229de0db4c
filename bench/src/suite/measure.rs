//! What a run is measured in.

use std::collections::BTreeMap;

/// A run's figures by name.
pub(crate) type Measures = BTreeMap<&'static str, f64>;

pub(crate) const CPU_PER_GB: &str = "CPU s/GB";
pub(crate) const MB_PER_S: &str = "acked MB/s";
pub(crate) const DELIVERED_MB_PER_S: &str = "delivered MB/s";
pub(crate) const RECORDS_PER_S: &str = "records/s";
pub(crate) const RECORDS_PER_CORE_S: &str = "records per core-second";
pub(crate) const CPU_US: &str = "CPU µs/record";
pub(crate) const P50_MS: &str = "p50 ms";
pub(crate) const P99_MS: &str = "p99 ms";
pub(crate) const PEAK_RSS_MB: &str = "peak RSS MB";
pub(crate) const MEDIAN_RSS_MB: &str = "median RSS MB";
pub(crate) const DEVICE_BYTES: &str = "device bytes per record byte";
pub(crate) const OBJECT_RATIO: &str = "record bytes per stored byte";
pub(crate) const CORE_PERCENT: &str = "% of a core";
pub(crate) const LOAD_CPU_PER_GB: &str = "load and sink CPU s/GB";
pub(crate) const P50_OVER_FSYNC: &str = "p50 / p50 of write + fdatasync";
pub(crate) const P50_OVER_RESERVED: &str = "p50 / p50 of write + fdatasync into reserved space";
pub(crate) const FSYNC_RESERVED_P50_MS: &str = "write + fdatasync into reserved space p50 ms";
pub(crate) const FSYNC_P50_MS: &str = "write + fdatasync p50 ms";
pub(crate) const READY_MS: &str = "time to ready ms";
pub(crate) const FIRST_ANSWER_MS: &str = "exec to first answer ms";
pub(crate) const BACKLOG_GB: &str = "backlog GB";
pub(crate) const OVER_FLOOR: &str = "CPU / floor of the same round";
pub(crate) const FLOOR_1K: &str = "1k: sum s/GB";
pub(crate) const FLOOR_1K_PLAIN: &str = "1k: sum without deflate s/GB";
pub(crate) const BARE_HTTP_US: &str = "64 connections, bare HTTP server: CPU µs/request";
pub(crate) const FLOOR_250: &str = "250: sum s/GB";

/// A row's measure, and that of the floor that is beneath it.
pub(crate) fn floor_of(row: &str) -> Option<(&'static str, &'static str)> {
    match row {
        "batch-1k-gzip" => Some((CPU_PER_GB, FLOOR_1K)),
        "batch-1k-plain" => Some((CPU_PER_GB, FLOOR_1K_PLAIN)),
        "batch-250-gzip" => Some((CPU_PER_GB, FLOOR_250)),
        "put-64" => Some((CPU_US, BARE_HTTP_US)),
        _ => None,
    }
}
