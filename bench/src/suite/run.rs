//! Runs a row once, on a node and a directory of its own.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::{Context, Result, anyhow, ensure};
use hydrant_engine::{Clock, SystemClock};
use tempfile::TempDir;

use super::{
    measure::*,
    rows::{Row, Work, Workload},
    starts,
};
use crate::{
    check,
    floor::disk::{Space, fsync_p50},
    load::{
        self, Load,
        body::{Recipe, bodies},
    },
    node::{Node, configure, device, process},
    pause::pause,
    sink::Sink,
    stats::at,
};

/// Different request bodies: enough that no cache of one body helps.
pub(crate) const BODIES: usize = 64;
/// How many bare writes `put-1` is compared with at most, before and after: enough that a moment's load does not decide.
const FSYNCS: usize = 4000;
/// Between two looks at resident memory.
const SAMPLE: Duration = Duration::from_millis(100);

/// Where and at what size rows run.
#[derive(Clone, Debug)]
pub(crate) struct Bench {
    pub(crate) sink: Sink,
    /// Data directories are made, and removed, in here.
    pub(crate) dir: PathBuf,
    /// Share of the usual amount.
    pub(crate) scale: f64,
}

impl Bench {
    /// A new directory for one run.
    pub(crate) fn fresh(&self) -> Result<TempDir> {
        std::fs::create_dir_all(&self.dir)?;
        tempfile::Builder::new()
            .prefix("bench-")
            .tempdir_in(&self.dir)
            .with_context(|| self.dir.display().to_string())
    }

    /// Runs `row` once with `binary`.
    pub(crate) fn run(&self, binary: &Path, row: &Row) -> Result<Measures> {
        match &row.work {
            Work::Load(workload) => self.load(binary, &workload.clone().scaled(self.scale)),
            Work::Backlog(gb) => starts::backlog(self, binary, gb * self.scale),
            Work::ColdStart => starts::cold(self, binary),
        }
        .with_context(|| row.name)
    }

    /// Sends a workload, waits for its delivery, reads what that cost, and then checks every record.
    pub(crate) fn load(&self, binary: &Path, workload: &Workload) -> Result<Measures> {
        let dir = self.fresh()?;
        configure(dir.path(), &self.sink.url())?;
        let streams = workload.streams();
        let (bodies, sums) = bodies(&Recipe {
            kind: workload.kind,
            record_bytes: workload.record_bytes,
            batch: workload.batch,
            bodies: BODIES,
            streams: streams.clone(),
            seed: 1,
        });
        let bare = || match workload.beside_fsync {
            true => [Space::Filled, Space::Reserved]
                .into_iter()
                .map(|space| fsync_p50(dir.path(), space, workload.record_bytes, FSYNCS))
                .collect::<Result<Vec<f64>>>(),
            false => Ok(Vec::new()),
        };
        let bare_before = bare()?;
        let node = Node::start(binary, dir.path())?;
        node.create(&streams, workload.hints)?;
        let load = Load {
            endpoint: node.api.clone(),
            signer: node.signer(),
            bodies,
            connections: workload.connections,
            requests: workload.requests,
            pace: workload.pace,
        };

        let clock = SystemClock::new();
        let own_before = process::cost(std::process::id())?;
        let memory = Memory::watch(node.pid());
        let device_before = device::written(dir.path())?;
        let (before, started) = (node.cost()?, clock.monotonic());
        let outcome = load::run(&load)?;
        let answered = node.cost()?;
        node.drain(&streams)?;
        let took = clock.monotonic() - started;
        let after = node.cost()?;
        let written = match (device_before, device::written(dir.path())?) {
            (Some(before), Some(after)) => after - before,
            _ => after.written - before.written,
        };
        let resident = memory.median();
        let own = process::cost(std::process::id())?.cpu - own_before.cpu;
        let bare_after = bare()?;

        let (pace_bytes, records) = (workload.record_bytes as f64, outcome.records());
        let bytes = records as f64 * pace_bytes;
        ensure!(
            records == workload.requests * workload.batch as u64,
            "{records} records were acknowledged"
        );
        let found = check::delivered(
            &self.sink.take(),
            workload.hints.gzip,
            &outcome.acked,
            &sums,
        )?;
        node.stop()?;

        let end = if workload.steady { answered } else { after };
        let cpu = end.cpu - before.cpu;
        let acked = outcome.took.as_secs_f64();
        let p50 = at(&outcome.latencies, 0.5) * 1e3;
        let mut measures = Measures::from([
            (CPU_PER_GB, cpu / (bytes / 1e9)),
            (CPU_US, cpu * 1e6 / records as f64),
            (RECORDS_PER_CORE_S, records as f64 / cpu),
            (MB_PER_S, bytes / 1e6 / acked),
            (DELIVERED_MB_PER_S, bytes / 1e6 / took.as_secs_f64()),
            (RECORDS_PER_S, records as f64 / acked),
            (
                CORE_PERCENT,
                cpu / if workload.steady {
                    acked
                } else {
                    took.as_secs_f64()
                } * 100.0,
            ),
            (P50_MS, p50),
            (P99_MS, at(&outcome.latencies, 0.99) * 1e3),
            (PEAK_RSS_MB, after.peak_rss as f64 / 1e6),
            (MEDIAN_RSS_MB, resident / 1e6),
            (DEVICE_BYTES, written as f64 / bytes),
            (OBJECT_RATIO, bytes / found.bytes as f64),
            (LOAD_CPU_PER_GB, own / (bytes / 1e9)),
        ]);
        // The lower ones: what else the machine did meanwhile must not flatter the node.
        let bare: Vec<f64> = bare_before
            .iter()
            .zip(&bare_after)
            .map(|(one, other)| one.min(*other) * 1e3)
            .collect();
        if let [filled, reserved] = bare[..] {
            measures.extend([
                (FSYNC_P50_MS, filled),
                (FSYNC_RESERVED_P50_MS, reserved),
                (P50_OVER_FSYNC, p50 / filled),
                (P50_OVER_RESERVED, p50 / reserved),
            ]);
        }
        Ok(measures)
    }
}

/// A thread that looks at a process's resident memory.
struct Memory {
    done: Arc<AtomicBool>,
    thread: thread::JoinHandle<Vec<f64>>,
}

impl Memory {
    fn watch(pid: u32) -> Memory {
        let done = Arc::new(AtomicBool::new(false));
        let seen = done.clone();
        let thread = thread::spawn(move || {
            let mut samples = Vec::new();
            while !seen.load(Ordering::Relaxed) {
                samples.extend(process::cost(pid).map(|cost| cost.rss as f64));
                pause(SAMPLE);
            }
            samples
        });
        Memory { done, thread }
    }

    /// The median so far, bytes.
    fn median(self) -> f64 {
        self.done.store(true, Ordering::Relaxed);
        let samples = self.thread.join().map_err(|_| anyhow!("sampling failed"));
        let samples = samples.unwrap_or_default();
        crate::stats::spread(&samples).map_or(0.0, |spread| spread.median)
    }
}
