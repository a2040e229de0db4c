//! The local log against the model in memory, under random operations of which reopening, with and without a
//! crash, is one.
//!
//! A failure prints the least sequence that fails and the command that replays it.

use std::{
    fs, io,
    path::Path,
    sync::{Arc, RwLock},
};

use futures::future::join_all;
use hydrant_engine::{
    Chance, Engine, EngineConfig, EngineParts, Frame, LaneId, LaneUsage, LogError, Position,
    Timestamp, local::disk::Disk,
};
use proptest::{
    prelude::*,
    test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner},
};
use tempfile::TempDir;

use crate::local::{open_with, read, scratch};

const LANES: u64 = 5;

#[derive(Clone, Debug)]
enum Op {
    /// Frames to lanes, all at once: each a lane and a size.
    Append(Vec<(u64, usize)>),
    /// Trims a lane to this part of what it holds, in 1/16.
    Trim(u64, usize),
    Remove(u64),
    Reopen,
    /// What was on disk at this moment is all that the next run gets.
    Crash,
    Check,
}

fn op() -> impl Strategy<Value = Op> {
    let size = prop_oneof![8 => 0usize..400, 3 => 400usize..4_000, 1 => 4_000usize..30_000];
    // Lane 0 gets little and is seldom trimmed: its leftovers pin segments.
    let lane = prop_oneof![1 => Just(0), 8 => 1..LANES];
    let appends = prop::collection::vec((lane, size), 1..40);
    prop_oneof![
        12 => appends.prop_map(Op::Append),
        8 => (1..LANES, 0usize..=16).prop_map(|(lane, part)| Op::Trim(lane, part)),
        1 => (0..1u64, 0usize..=16).prop_map(|(lane, part)| Op::Trim(lane, part)),
        1 => (0..LANES).prop_map(Op::Remove),
        2 => Just(Op::Reopen),
        2 => Just(Op::Crash),
        4 => Just(Op::Check),
    ]
}

#[test]
fn random_operations_give_what_the_model_gives() {
    let seed = match std::env::var("HYDRANT_SEED") {
        Ok(seed) => seed.parse().unwrap(),
        Err(_) => Chance::from_os().unwrap().next_u64(),
    };
    let cases = std::env::var("HYDRANT_CASES").map_or(40, |cases| cases.parse().unwrap());
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 300,
        ..Config::default()
    };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let ran =
        TestRunner::new_with_rng(config, rng).run(&prop::collection::vec(op(), 1..60), |ops| {
            let runtime = tokio::runtime::Builder::new_multi_thread();
            let runtime = { runtime }.worker_threads(2).enable_all().build().unwrap();
            runtime.block_on(run(ops));
            Ok(())
        });
    if let Err(failure) = ran {
        let failure = match failure {
            TestError::Fail(why, ops) => format!("{why}\nleast failing operations: {ops:?}"),
            aborted => aborted.to_string(),
        };
        panic!(
            "{failure}\nreplay: HYDRANT_SEED={seed} HYDRANT_CASES={cases} cargo test -p hydrant-engine \
             --test main model::random_operations"
        );
    }
}

/// Both logs, and which positions belong together.
struct Pair {
    model: Engine,
    local: Engine,
    dir: TempDir,
    /// Held for writing while a crash is staged: nothing on disk changes then.
    frozen: Arc<RwLock<()>>,
    /// Of each lane: every frame ever appended, with its position in the model and in the log.
    frames: Vec<Vec<(Position, Position, Frame)>>,
    next: u64,
}

async fn run(ops: Vec<Op>) {
    let dir = scratch();
    let frozen = Arc::default();
    let mut pair = Pair {
        model: Engine::mem(),
        local: open(dir.path(), &frozen).await,
        dir,
        frozen,
        frames: vec![Vec::new(); LANES as usize],
        next: 0,
    };
    for op in ops {
        match op {
            Op::Append(frames) => pair.append(frames).await,
            Op::Trim(lane, part) => pair.trim(lane, part).await,
            Op::Remove(lane) => {
                pair.model.log.remove(LaneId(lane)).await.unwrap();
                pair.local.log.remove(LaneId(lane)).await.unwrap();
            }
            Op::Reopen => pair.reopen().await,
            Op::Crash => pair.crash().await,
            Op::Check => {}
        }
        pair.check().await;
    }
    pair.reopen().await;
    pair.check().await;
}

async fn open(dir: &Path, frozen: &Arc<RwLock<()>>) -> Engine {
    let gate = frozen.clone();
    let disk = Disk::with_hook(Arc::new(move |_| {
        drop(gate.read());
        Ok(())
    }));
    let parts = EngineParts {
        disk,
        ..EngineParts::system().unwrap()
    };
    let config = EngineConfig {
        segment_bytes: 16 << 10,
        ..EngineConfig::new(dir)
    };
    let (engine, report) = open_with(config, parts).await;
    assert_eq!(report.damage, []);
    engine
}

impl Pair {
    async fn append(&mut self, frames: Vec<(u64, usize)>) {
        let mut begun = Vec::new();
        for (lane, size) in frames {
            self.next += 1;
            let number = self.next;
            let bytes = vec![number as u8; size];
            let records = bytes.chunks(1 + size / (1 + number as usize % 4));
            let frame = Frame::new(Timestamp(number), records);
            let appended = self.local.log.append(LaneId(lane), frame.clone());
            begun.push((lane, frame, appended));
        }
        let (facts, appends): (Vec<_>, Vec<_>) = begun
            .into_iter()
            .map(|(lane, frame, append)| ((lane, frame), append))
            .unzip();
        // Appends at the same time have no order but the one that the log gave them.
        let mut done: Vec<_> = facts.into_iter().zip(join_all(appends).await).collect();
        done.sort_by_key(|(_, appended)| appended.as_ref().map_or(Position::START, |at| *at));
        for ((lane, frame), position) in done {
            let expected = self.model.log.append(LaneId(lane), frame.clone()).await;
            match (expected, position) {
                (Ok(expected), Ok(position)) => {
                    let frames = &mut self.frames[lane as usize];
                    assert!(frames.last().is_none_or(|(_, last, _)| *last < position));
                    frames.push((expected, position, frame));
                }
                (Err(LogError::LaneRemoved(_)), Err(LogError::LaneRemoved(_))) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    async fn trim(&mut self, lane: u64, part: usize) {
        let frames = &self.frames[lane as usize];
        let Some((first, last, _)) = frames.get(frames.len() * part / 17) else {
            return;
        };
        let (model, local) = if part == 16 {
            let (model, local, _) = &frames[frames.len() - 1];
            (model.next(), local.next())
        } else {
            (*first, *last)
        };
        self.model.log.trim(LaneId(lane), model).await.unwrap();
        self.local.log.trim(LaneId(lane), local).await.unwrap();
    }

    async fn reopen(&mut self) {
        self.local.log.close().await.unwrap();
        self.local.catalog.close().await.unwrap();
        self.local = open(self.dir.path(), &self.frozen).await;
    }

    async fn crash(&mut self) {
        let copy = scratch();
        {
            let _frozen = self.frozen.write().unwrap();
            copy_dir(self.dir.path(), copy.path()).unwrap();
        }
        self.local.log.close().await.unwrap();
        self.local.catalog.close().await.unwrap();
        self.local = open(copy.path(), &self.frozen).await;
        self.dir = copy;
        // A crash may undo trims, and nothing else.
        for lane in 0..LANES {
            let kept = self.kept(lane).await;
            let found = read(&*self.local.log, LaneId(lane)).await;
            assert!(found.ends_with(&kept), "lane {lane} lost something");
            let all = &self.frames[lane as usize];
            let back = &found[..found.len() - kept.len()];
            let known = |it: &(Position, Frame)| {
                all.iter()
                    .any(|(_, at, frame)| (at, frame) == (&it.0, &it.1))
            };
            assert!(back.iter().all(known), "lane {lane} made something up");
            if let Some((last, _)) = back.last() {
                self.local
                    .log
                    .trim(LaneId(lane), last.next())
                    .await
                    .unwrap();
            }
        }
    }

    /// What the model holds, at the positions of the log.
    async fn kept(&self, lane: u64) -> Vec<(Position, Frame)> {
        let frames = read(&*self.model.log, LaneId(lane)).await;
        let all = &self.frames[lane as usize];
        let position = |at| all[all.binary_search_by_key(&at, |it| it.0).unwrap()].1;
        frames
            .into_iter()
            .map(|(at, frame)| (position(at), frame))
            .collect()
    }

    async fn check(&self) {
        for lane in 0..LANES {
            let expected = self.kept(lane).await;
            let found = read(&*self.local.log, LaneId(lane)).await;
            assert!(
                found == expected,
                "lane {lane} holds {:?}, not {:?}",
                found.iter().map(|it| it.0.0).collect::<Vec<_>>(),
                expected.iter().map(|it| it.0.0).collect::<Vec<_>>()
            );
            let usage = self.local.log.lane_usage(LaneId(lane));
            let last = found.last().map(|(position, _)| position.next());
            assert_eq!(usage.end, last.unwrap_or_default(), "end of lane {lane}");
            // The two give different positions.
            let model = LaneUsage {
                end: usage.end,
                ..self.model.log.lane_usage(LaneId(lane))
            };
            assert_eq!(usage, model, "usage of lane {lane}");
        }
        assert_eq!(
            self.local.log.lanes().await.unwrap(),
            self.model.log.lanes().await.unwrap()
        );
        assert_eq!(self.local.log.usage().damaged_frames, 0);
    }
}

/// Copies what is there; what goes away meanwhile was not there.
pub(crate) fn copy_dir(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_dir(&entry.path(), &target)?;
            continue;
        }
        match fs::copy(entry.path(), target) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => drop(other?),
        }
    }
    Ok(())
}
