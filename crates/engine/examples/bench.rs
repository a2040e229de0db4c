//! Measures the local engine on this machine's disk:
//!
//! ```text
//! cargo run --release -p hydrant-engine --example bench -- [append|single|read|backlog] [DIR] [MILLIONS]
//! ```
//!
//! * `append`: frames of 500 records of 1 KiB from 64 tasks;
//! * `single`: frames of one record of 250 bytes from 64 tasks, and from one;
//! * `read`: what `append` wrote, in spans of 128 MB;
//! * `backlog`: so many million single frames in 8 lanes, then the time to open and the memory in use.
//!
//! Without arguments, all of them, in a directory of its own below the present one.

#![allow(clippy::unwrap_used)]

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::{StreamExt, future::join_all};
use hydrant_engine::{
    Clock, Engine, EngineConfig, EngineParts, Frame, LaneId, Log, Position, SystemClock, Timestamp,
    local::disk::{Disk, Op},
};

const TASKS: u64 = 64;

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let what = arguments.first().map_or("all", String::as_str);
    let dir = arguments.get(1).map_or("bench-data", String::as_str);
    let dir = PathBuf::from(dir);
    let millions: u64 = arguments.get(2).map_or(10, |it| it.parse().unwrap());
    let all = what == "all";
    if all || what == "append" || what == "read" {
        appends(&dir, "500 x 1 KiB, 64 tasks", TASKS, 500, 1024, 2 << 30).await;
    }
    if all || what == "read" {
        reads(&dir).await;
    }
    if all || what == "single" {
        appends(&dir, "1 x 250 B, 64 tasks", TASKS, 1, 250, 100 << 20).await;
        appends(&dir, "1 x 250 B, 1 task", 1, 1, 250, 1 << 20).await;
    }
    if all || what == "backlog" {
        backlog(&dir, millions).await;
    }
    let _ = std::fs::remove_dir_all(&dir);
}

async fn open(dir: &Path, fsyncs: &Arc<AtomicU64>) -> Engine {
    let fsyncs = fsyncs.clone();
    let hook = move |op: &Op<'_>| {
        if matches!(op, Op::Sync { .. }) {
            fsyncs.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    };
    let parts = EngineParts {
        disk: Disk::with_hook(Arc::new(hook)),
        ..EngineParts::system().unwrap()
    };
    let (engine, report) = Engine::open_with(EngineConfig::new(dir), parts)
        .await
        .unwrap();
    println!(
        "  opened {} segments, {} frames in {:?}",
        report.segments, report.frames, report.took
    );
    engine
}

async fn close(engine: Engine) {
    engine.log.close().await.unwrap();
    engine.catalog.close().await.unwrap();
}

async fn appends(dir: &Path, name: &str, tasks: u64, records: usize, size: usize, total: u64) {
    println!("{name}:");
    let _ = std::fs::remove_dir_all(dir);
    let fsyncs = Arc::default();
    let engine = open(dir, &fsyncs).await;
    let frame = Frame::new(Timestamp(1), (0..records).map(|n| vec![n as u8; size]));
    let each = (total / frame.bytes() as u64 / tasks).max(1);
    let clock = SystemClock::new();
    let slowest = AtomicU64::new(0);
    let (started, cpu) = (clock.monotonic(), cpu_seconds());
    let task = |task: u64| {
        let (engine, frame, clock, slowest) = (&engine, &frame, &clock, &slowest);
        async move {
            for _ in 0..each {
                let begun = clock.monotonic();
                let lane = LaneId(1 + task % 8);
                engine.log.append(lane, frame.clone()).await.unwrap();
                let took = (clock.monotonic() - begun).as_micros();
                slowest.fetch_max(u64::try_from(took).unwrap(), Ordering::Relaxed);
            }
        }
    };
    join_all((0..tasks).map(task)).await;
    let took = (clock.monotonic() - started).as_secs_f64();
    let cpu = cpu_seconds() - cpu;
    let (frames, bytes) = (each * tasks, each * tasks * frame.bytes() as u64);
    println!(
        "  {:.0} MB/s, {:.0} frames/s, {:.1} frames per fsync, {:.2} CPU s per GB, {:.0} us an append, \
         slowest {:.1} ms",
        bytes as f64 / took / 1e6,
        frames as f64 / took,
        frames as f64 / fsyncs.load(Ordering::Relaxed) as f64,
        cpu / (bytes as f64 / 1e9),
        took * 1e6 * tasks as f64 / frames as f64,
        slowest.load(Ordering::Relaxed) as f64 / 1e3,
    );
    close(engine).await;
}

async fn reads(dir: &Path) {
    println!("reading that, in spans of 128 MB:");
    let engine = open(dir, &Arc::default()).await;
    let clock = SystemClock::new();
    let (started, cpu, mut bytes) = (clock.monotonic(), cpu_seconds(), 0);
    for lane in engine.log.lanes().await.unwrap() {
        bytes += read_lane(&*engine.log, lane).await;
    }
    let took = (clock.monotonic() - started).as_secs_f64();
    println!(
        "  {:.0} MB/s, {:.2} CPU s per GB, {} MB resident",
        bytes as f64 / took / 1e6,
        (cpu_seconds() - cpu) / (bytes as f64 / 1e9),
        resident_mb()
    );
    close(engine).await;
}

async fn read_lane(log: &dyn Log, lane: LaneId) -> u64 {
    let mut follower = log.follow(lane, Position::START);
    let held = log.lane_usage(lane).frames;
    let (mut from, mut span, mut all) = (Position::START, 0, 0);
    for index in 1..=held {
        let meta = follower.next().await.unwrap().unwrap();
        span += meta.bytes;
        if span >= 128 << 20 || index == held {
            let mut frames = log.read(lane, from..meta.position.next());
            while let Some(frame) = frames.next().await {
                all += frame.unwrap().1.bytes() as u64;
            }
            (from, span) = (meta.position.next(), 0);
        }
    }
    all
}

async fn backlog(dir: &Path, millions: u64) {
    println!("{millions} million frames of 250 B in 8 lanes:");
    let _ = std::fs::remove_dir_all(dir);
    let engine = open(dir, &Arc::default()).await;
    let frame = Frame::new(Timestamp(1), [vec![7; 250]]);
    // As many at once as the queue takes: this is about what is there, not about how it came.
    const AT_ONCE: u64 = 20_000;
    for batch in 0..millions * 1_000_000 / AT_ONCE {
        let appends = (0..AT_ONCE).map(|n| engine.log.append(LaneId(1 + n % 8), frame.clone()));
        for appended in join_all(appends).await {
            appended.unwrap();
        }
        if batch % 100 == 0 {
            print!("\r  {} million", batch * AT_ONCE / 1_000_000);
        }
    }
    println!("\r  written; {} MB resident", resident_mb());
    close(engine).await;
    let engine = open(dir, &Arc::default()).await;
    println!("  {} MB resident after opening", resident_mb());
    let clock = SystemClock::new();
    let started = clock.monotonic();
    let mut follower = engine.log.follow(LaneId(1), Position::START);
    let held = engine.log.lane_usage(LaneId(1)).frames;
    let mut last = Position::START;
    for _ in 0..held {
        last = follower.next().await.unwrap().unwrap().position;
    }
    let took = clock.monotonic() - started;
    println!(
        "  followed {held} frames in {took:?}; {} MB resident",
        resident_mb()
    );
    let started = clock.monotonic();
    engine
        .log
        .trim(LaneId(1), Position(last.0 / 2))
        .await
        .unwrap();
    println!("  trimmed half a lane in {:?}", clock.monotonic() - started);
    let started = clock.monotonic();
    for lane in 2..=8 {
        engine.log.remove(LaneId(lane)).await.unwrap();
    }
    println!("  removed seven lanes in {:?}", clock.monotonic() - started);
    let before = engine.log.usage().disk_bytes;
    let mut now = before;
    loop {
        clock.sleep(Duration::from_millis(200)).await;
        let then = std::mem::replace(&mut now, engine.log.usage().disk_bytes);
        if then == now {
            break;
        }
    }
    println!(
        "  compacted from {} to {} MB in {:?}; {} MB resident",
        before >> 20,
        now >> 20,
        clock.monotonic() - started,
        resident_mb()
    );
    close(engine).await;
}

/// Processor time of this process, user and system, in seconds.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let fields: Vec<f64> = after_name
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|ticks| ticks.parse().ok())
        .collect();
    fields.iter().sum::<f64>() / 100.0
}

/// Memory in use, in MB.
fn resident_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kib.unwrap_or(0) / 1024
}
