//! The rows of the table: one workload each.

use crate::{load::Pace, node::Hints, records::Kind};

/// A workload and how it is measured.
#[derive(Clone, Debug)]
pub(crate) enum Work {
    /// Records are sent, delivered, and checked.
    Load(Workload),
    /// Kill and start with so many GB (10⁹ bytes) behind a dead endpoint.
    Backlog(f64),
    /// Starts on an empty directory.
    ColdStart,
}

/// A row of the table.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) work: Work,
}

/// Records to send, and where they go.
#[derive(Clone, Debug)]
pub(crate) struct Workload {
    pub(crate) kind: Kind,
    /// Bytes in a record.
    pub(crate) record_bytes: usize,
    /// Records in a request; 1 is PutRecord.
    pub(crate) batch: usize,
    pub(crate) connections: usize,
    pub(crate) streams: usize,
    pub(crate) requests: u64,
    pub(crate) pace: Pace,
    pub(crate) hints: Hints,
    /// The bare write + fdatasync is measured before and after.
    pub(crate) beside_fsync: bool,
    /// CPU counts to the last answer and not to the last object: for loads that go on for ever.
    pub(crate) steady: bool,
}

/// 500 × 1 KiB, GZIP, four connections, objects of 5 MB: what everything else varies.
pub(crate) const USUAL: Workload = Workload {
    kind: Kind::Clicks,
    record_bytes: 1024,
    batch: 500,
    connections: 4,
    streams: 1,
    requests: 3000,
    pace: Pace::Closed,
    hints: Hints {
        gzip: true,
        megabytes: 5,
        seconds: 300,
    },
    beside_fsync: false,
    steady: false,
};

/// Seconds that `streams-1000` takes at scale 1: two intervals and the start.
const STEADY_SECONDS: u64 = 135;

/// All rows, in the table's order.
pub(crate) fn all(backlog_gb: f64) -> Vec<Row> {
    let load = |name, workload| Row {
        name,
        work: Work::Load(workload),
    };
    let log = Workload {
        kind: Kind::Log,
        record_bytes: 250,
        requests: 10_000,
        ..USUAL
    };
    let plain = Hints {
        gzip: false,
        ..USUAL.hints
    };
    let put = Workload { batch: 1, ..USUAL };
    let thousand = Workload {
        streams: 1000,
        connections: 64,
        requests: 1000 * STEADY_SECONDS,
        pace: Pace::Open(1000.0),
        hints: Hints {
            seconds: 60,
            ..USUAL.hints
        },
        steady: true,
        ..put.clone()
    };
    vec![
        load("batch-1k-gzip", USUAL),
        load("batch-250-gzip", log),
        load(
            "batch-1k-plain",
            Workload {
                hints: plain,
                requests: 4000,
                ..USUAL
            },
        ),
        load(
            "put-64",
            Workload {
                connections: 64,
                requests: 250_000,
                ..put.clone()
            },
        ),
        load(
            "put-1",
            Workload {
                connections: 1,
                requests: 8000,
                beside_fsync: true,
                ..put
            },
        ),
        load("streams-1000", thousand),
        Row {
            name: "backlog",
            work: Work::Backlog(backlog_gb),
        },
        Row {
            name: "cold-start",
            work: Work::ColdStart,
        },
    ]
}

impl Workload {
    /// With `scale` times the requests, at least one for each connection.
    pub(crate) fn scaled(mut self, scale: f64) -> Workload {
        let requests = (self.requests as f64 * scale) as u64;
        self.requests = requests.max(self.connections as u64);
        self
    }

    /// Names of its streams.
    pub(crate) fn streams(&self) -> Vec<String> {
        (0..self.streams)
            .map(|number| format!("bench-{number:04}"))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::targets::{ALL, TARGETS};

    #[test]
    fn every_target_is_one_of_a_row() {
        let rows = all(2.0);
        for target in TARGETS {
            assert!(
                target.row == ALL || rows.iter().any(|row| row.name == target.row),
                "{target:?}"
            );
        }
    }

    #[test]
    fn a_scale_leaves_every_connection_a_request() {
        let small = USUAL.scaled(0.0001);
        assert_eq!(small.requests, 4);
        assert_eq!(USUAL.scaled(2.0).requests, 6000);
    }
}
