//! How long a node takes to start: on nothing, and on a backlog.

use std::{path::Path, time::Duration};

use anyhow::{Result, ensure};
use hydrant_engine::{Clock, SystemClock};
use serde_json::json;

use super::{
    measure::*,
    rows::USUAL,
    run::{BODIES, Bench},
};
use crate::{
    load::{
        self, Load, Pace,
        body::{Recipe, bodies},
    },
    node::{Node, admin, configure},
    records::Kind,
    stats::spread,
};

/// Starts whose median counts.
const STARTS: usize = 10;

/// From exec to the first answer of the API, on an empty directory.
pub(crate) fn cold(bench: &Bench, binary: &Path) -> Result<Measures> {
    let clock = SystemClock::new();
    let mut times = Vec::new();
    for _ in 0..STARTS {
        let dir = bench.fresh()?;
        configure(dir.path(), &bench.sink.url())?;
        let started = clock.monotonic();
        let node = Node::start(binary, dir.path())?;
        node.call("ListDeliveryStreams", &json!({}))?;
        times.push(millis(clock.monotonic() - started));
        node.stop()?;
    }
    let median = spread(&times).map(|spread| (FIRST_ANSWER_MS, spread.median));
    Ok(median.into_iter().collect())
}

/// `kill -9` with `gb` GB of records behind an endpoint where nobody listens, then the start until it is ready. What the
/// page cache holds stays there: this is the crash of a process, not of a machine.
pub(crate) fn backlog(bench: &Bench, binary: &Path, gb: f64) -> Result<Measures> {
    let dir = bench.fresh()?;
    configure(dir.path(), &nobody()?)?;
    let streams = USUAL.streams();
    let recipe = Recipe {
        kind: Kind::Clicks,
        record_bytes: USUAL.record_bytes,
        batch: USUAL.batch,
        bodies: BODIES,
        streams: streams.clone(),
        seed: 1,
    };
    let node = Node::start(binary, dir.path())?;
    node.create(&streams, USUAL.hints)?;
    let request_bytes = (recipe.batch * recipe.record_bytes) as f64;
    let load = Load {
        endpoint: node.api.clone(),
        signer: node.signer(),
        bodies: bodies(&recipe).0,
        connections: USUAL.connections,
        requests: (gb * 1e9 / request_bytes).ceil() as u64,
        pace: Pace::Closed,
    };
    let acked = load::run(&load)?.records();
    node.kill()?;

    let clock = SystemClock::new();
    let started = clock.monotonic();
    let node = Node::start(binary, dir.path())?;
    let ready = node.ready_after;
    node.call("ListDeliveryStreams", &json!({}))?;
    let answered = clock.monotonic() - started;
    let waiting = admin::backlog(&node.admin, |_| true)?;
    ensure!(
        waiting == acked,
        "{acked} records were acknowledged and {waiting} are there after the crash"
    );
    let rss = node.cost()?.peak_rss as f64 / 1e6;
    node.kill()?;
    Ok(Measures::from([
        (READY_MS, millis(ready)),
        (FIRST_ANSWER_MS, millis(answered)),
        (BACKLOG_GB, acked as f64 * USUAL.record_bytes as f64 / 1e9),
        (PEAK_RSS_MB, rss),
    ]))
}

/// An endpoint that refuses connections: a port that was free a moment ago.
fn nobody() -> Result<String> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    Ok(format!("http://{}", listener.local_addr()?))
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
