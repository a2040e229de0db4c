//! A child process that appends, trims and puts is killed with SIGKILL, again and again. What it had said was
//! acknowledged must be there, where it said, once.
//!
//! The child is this test binary, told by a variable to be it.

use std::{
    collections::{BTreeMap, HashSet},
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
};

use bytes::Bytes;
use futures::future::join_all;
use hydrant_engine::{Chance, Expect, LaneId, Position, doctor::Severity};

use crate::local::{close, doctor, frame, open, read};

const DIR: &str = "HYDRANT_KILL_DIR";
const SEED: &str = "HYDRANT_SEED";
const LANES: u64 = 4;
const TASKS: u64 = 12;
const ROUNDS: usize = 6;

/// The child: not a test of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child() {
    let Ok(dir) = std::env::var(DIR) else {
        return;
    };
    let (engine, report) = open(Path::new(&dir)).await;
    assert_eq!(report.damage, []);
    let base: u64 = std::env::var("HYDRANT_KILL_BASE").unwrap().parse().unwrap();
    say("\nready");
    let task = |task: u64| {
        let engine = engine.clone();
        async move {
            let lane = 1 + task % LANES;
            let key = format!("task/{task}");
            for round in 0u64.. {
                let number = base + round * TASKS + task;
                let size = (number * 37 % 700) as usize;
                let appended = engine.log.append(LaneId(lane), frame(number, size)).await;
                let position = appended.unwrap();
                say(&format!("ack {lane} {position} {number}"));
                if task < LANES && round % 16 == 15 {
                    say(&format!("trim {lane} {position}"));
                    engine.log.trim(LaneId(lane), position).await.unwrap();
                }
                if round % 8 == 0 {
                    let present = engine.catalog.get(&key).await.unwrap();
                    let expect = present.map_or(Expect::Absent, |it| Expect::Exactly(it.version));
                    let value = Bytes::from(number.to_string());
                    let version = engine.catalog.put(&key, value, expect).await.unwrap();
                    say(&format!("put {task} {} {number}", version.0));
                }
            }
        }
    };
    join_all((0..TASKS).map(|it| tokio::spawn(task(it)))).await;
}

/// One line, whole, at once: what was said before a kill was said.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("{line}\n").as_bytes()).unwrap();
}

#[derive(Default)]
struct Said {
    /// By lane and position, the number of each acknowledged frame.
    acked: BTreeMap<(u64, u64), u64>,
    trimmed: BTreeMap<u64, u64>,
    /// By task: version and number of its last acknowledged put.
    put: BTreeMap<u64, (u64, u64)>,
}

impl Said {
    fn hear(&mut self, line: &str) {
        let mut words = line.split(' ');
        let verb = words.next().unwrap();
        let numbers: Vec<u64> = words.filter_map(|word| word.parse().ok()).collect();
        match (verb, &numbers[..]) {
            ("ack", &[lane, position, number]) => {
                let twice = self.acked.insert((lane, position), number);
                assert_eq!(
                    twice, None,
                    "position {position} of lane {lane} was given twice"
                );
            }
            ("trim", &[lane, position]) => {
                let before = self.trimmed.entry(lane).or_default();
                *before = position.max(*before);
            }
            ("put", &[task, version, number]) => {
                self.put.insert(task, (version, number));
            }
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_sigkill() {
    let seed = match std::env::var(SEED) {
        Ok(seed) => seed.parse().unwrap(),
        Err(_) => Chance::from_os().unwrap().next_u64(),
    };
    println!("replay: {SEED}={seed} cargo test -p hydrant-engine --test main kill::what");
    let chance = Chance::seeded(seed);
    let dir = tempfile::tempdir().unwrap();
    let mut said = Said::default();
    for round in 0..ROUNDS {
        let lines = 1 + chance.next_u64() % 1500;
        run_and_kill(dir.path(), round as u64 * 10_000_000, lines, &mut said);
        verify(dir.path(), &said).await;
    }
    assert!(said.acked.len() > ROUNDS);
}

/// Starts the child, hears so many lines, kills it, and hears what it had still said.
fn run_and_kill(dir: &Path, base: u64, lines: u64, said: &mut Said) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["kill::child", "--exact", "--nocapture", "--test-threads=1"])
        .env(DIR, dir)
        .env("HYDRANT_KILL_BASE", base.to_string())
        .stdout(Stdio::piped());
    let mut child: Child = command.spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    let mut heard = 0;
    while heard < lines {
        line.clear();
        let read = out.read_line(&mut line).unwrap();
        assert!(read > 0, "the child ended by itself: {:?}", child.wait());
        said.hear(line.trim_end());
        heard += u64::from(line.starts_with("ack"));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    loop {
        line.clear();
        // The pipe holds whole lines alone, but for one that the kill may have cut.
        if out.read_line(&mut line).unwrap() == 0 || !line.ends_with('\n') {
            break;
        }
        said.hear(line.trim_end());
    }
}

async fn verify(dir: &Path, said: &Said) {
    let examined = doctor::examine(dir);
    let harmless = examined.worst() <= Some(Severity::Note);
    assert!(harmless, "{:#?}", examined.findings);
    let (engine, report) = open(dir).await;
    assert_eq!(report.damage, [], "{report:?}");
    let mut numbers = HashSet::new();
    for lane in 1..=LANES {
        let found = read(&*engine.log, LaneId(lane)).await;
        assert!(found.is_sorted_by(|before, after| before.0 < after.0));
        let by_position: BTreeMap<_, _> = found.iter().map(|(at, it)| (at.0, it)).collect();
        let kept = said.trimmed.get(&lane).copied().unwrap_or(0);
        for (&(_, position), &number) in said.acked.range((lane, kept)..(lane + 1, 0)) {
            let expected = frame(number, (number * 37 % 700) as usize);
            let found = by_position.get(&position);
            assert!(found == Some(&&expected), "lane {lane} lost {position}");
        }
        // What was not acknowledged may be there, but whole, and once.
        for (position, found) in &found {
            let number = found.arrival().0;
            assert!(*found == frame(number, (number * 37 % 700) as usize));
            assert!(numbers.insert(number), "frame {number} is there twice");
            let acked = said.acked.get(&(lane, position.0));
            assert!(acked.is_none_or(|&acked| acked == number));
        }
        assert_eq!(
            engine.log.lane_usage(LaneId(lane)).frames,
            by_position.len() as u64
        );
        // Keeps the test from growing, and lets trims meet restarts.
        let last = by_position.last_key_value().map_or(0, |(&at, _)| at);
        engine
            .log
            .trim(LaneId(lane), Position(kept.min(last)))
            .await
            .unwrap();
    }
    for (task, &(version, number)) in &said.put {
        let present = engine
            .catalog
            .get(&format!("task/{task}"))
            .await
            .unwrap()
            .unwrap();
        let value: u64 = std::str::from_utf8(&present.value)
            .unwrap()
            .parse()
            .unwrap();
        assert!(present.version.0 >= version && value >= number);
    }
    close(engine).await;
}
