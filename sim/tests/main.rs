//! The simulation itself: the same seed is the same run, what was found once does not come back, and a few fresh
//! seeds each time.

// In helpers of tests, too, a panic is how a test fails.
#![allow(clippy::unwrap_used)]

use hydrant_engine::Chance;
use hydrant_sim::{engine, node, outcome::Outcome};

type Run = fn(u64, bool) -> Outcome;

/// Fresh seeds of a test run; `HYDRANT_SEEDS` names another number.
const FRESH: u64 = 20;

fn twice(name: &str, run: Run, seeds: std::ops::Range<u64>) {
    for seed in seeds {
        let (first, second) = (run(seed, true), run(seed, true));
        let mut lines = first.history.lines().zip(second.history.lines());
        let differs = lines.find(|(a, b)| a != b);
        assert!(differs.is_none(), "{name} {seed}: {differs:?}");
        assert_eq!(first.history, second.history, "{name} {seed}");
        assert_eq!(first.digest, second.digest, "{name} {seed}");
        assert!(first.history.lines().count() > 50, "{name} {seed}");
    }
}

fn hold(name: &str, run: Run, seeds: impl IntoIterator<Item = u64>) {
    for seed in seeds {
        let outcome = run(seed, false);
        assert_eq!(
            outcome.violation, None,
            "replay: cargo run --release -p hydrant-sim -- {name} --seed {seed}"
        );
    }
}

fn kept(list: &str) -> impl Iterator<Item = u64> {
    let lines = list.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split_whitespace().next().unwrap().parse().unwrap())
}

fn fresh() -> std::ops::Range<u64> {
    let count = std::env::var("HYDRANT_SEEDS").map_or(FRESH, |count| count.parse().unwrap());
    let from = match std::env::var("HYDRANT_SEED") {
        Ok(seed) => seed.parse().unwrap(),
        Err(_) => Chance::from_os().unwrap().next_u64() >> 20,
    };
    println!("replay: HYDRANT_SEED={from} HYDRANT_SEEDS={count} cargo test -p hydrant-sim");
    from..from + count
}

#[test]
fn the_same_seed_is_the_same_run_of_the_disk() {
    twice("disk", engine::run, 1..7);
}

#[test]
fn the_same_seed_is_the_same_run_of_the_node() {
    twice("node", node::run, 1..7);
}

#[test]
fn what_the_disk_found_once_stays_mended() {
    hold("disk", engine::run, kept(include_str!("../seeds/disk")));
}

#[test]
fn what_the_node_found_once_stays_mended() {
    hold("node", node::run, kept(include_str!("../seeds/node")));
}

#[test]
fn fresh_seeds_of_the_disk_hold() {
    hold("disk", engine::run, fresh());
}

#[test]
fn fresh_seeds_of_the_node_hold() {
    hold("node", node::run, fresh());
}
