//! One parameter at a time, everything else as usual.

use std::{io::Write, path::Path};

use anyhow::Result;

use super::{
    measure::*,
    rows::{USUAL, Workload},
    run::Bench,
};
use crate::node::Hints;

/// Most bytes of records in a request: the API's limit of 4 MiB, and room for its rounding.
const REQUEST_BYTES: usize = 4 << 20;
/// Bytes of records that a point is measured with at scale 1.
const AMOUNT: u64 = 500_000_000;
/// Most requests of a point: small ones cost by the piece.
const REQUESTS: u64 = 50_000;
/// Columns of the CSV behind parameter and value.
const COLUMNS: [&str; 6] = [
    CPU_PER_GB,
    RECORDS_PER_S,
    P50_MS,
    P99_MS,
    PEAK_RSS_MB,
    MEDIAN_RSS_MB,
];

/// A point of the sweep.
struct Point {
    parameter: &'static str,
    value: usize,
    workload: Workload,
}

fn points() -> Vec<Point> {
    let mut points = Vec::new();
    let mut add = |parameter, values: &[usize], of: &dyn Fn(usize) -> Workload| {
        for &value in values {
            let workload = sized(of(value));
            points.push(Point {
                parameter,
                value,
                workload,
            });
        }
    };
    let sizes = [64, 256, 1024, 4096, 16 << 10, 64 << 10, 256 << 10];
    add("record bytes", &sizes, &|record_bytes| Workload {
        record_bytes,
        ..USUAL
    });
    add("records in a batch", &[1, 5, 20, 100, 500], &|batch| {
        Workload { batch, ..USUAL }
    });
    add("connections", &[1, 4, 16, 64, 256], &|connections| {
        Workload {
            connections,
            ..USUAL
        }
    });
    add("streams", &[1, 10, 100, 1000], &|streams| Workload {
        streams,
        ..USUAL
    });
    add("buffer MiB", &[1, 4, 16, 64], &|megabytes| {
        let hints = Hints {
            megabytes: megabytes as u32,
            ..USUAL.hints
        };
        Workload { hints, ..USUAL }
    });
    points
}

/// With no larger batches than the API takes, and the usual amount of records.
fn sized(mut workload: Workload) -> Workload {
    workload.batch = workload
        .batch
        .min(REQUEST_BYTES / workload.record_bytes)
        .max(1);
    let request = (workload.batch * workload.record_bytes) as u64;
    workload.requests = (AMOUNT / request).clamp(workload.connections as u64, REQUESTS);
    workload
}

/// Measures all points and writes them as CSV, each as soon as it is known.
pub(crate) fn csv(bench: &Bench, binary: &Path, out: &mut impl Write) -> Result<()> {
    writeln!(out, "parameter,value,{}", COLUMNS.join(","))?;
    for point in points() {
        let measures = bench.load(binary, &point.workload.scaled(bench.scale))?;
        let values =
            COLUMNS.map(|column| measures.get(column).map_or(String::new(), f64::to_string));
        let line = format!("{},{},{}", point.parameter, point.value, values.join(","));
        eprintln!("{line}");
        writeln!(out, "{line}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_batch_is_larger_than_the_api_takes() {
        for point in points() {
            let workload = &point.workload;
            assert!(workload.batch * workload.record_bytes <= REQUEST_BYTES);
            assert!(
                workload.requests >= workload.connections as u64 && workload.requests <= REQUESTS
            );
        }
        assert_eq!(points().len(), 25);
    }
}
