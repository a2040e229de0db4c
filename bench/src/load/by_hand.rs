//! `hydrant-bench load`: a load on a node that somebody else runs.

use std::time::Duration;

use anyhow::Result;
use hydrant_engine::{Clock, SystemClock};

use super::{
    Load, Pace,
    body::{Recipe, bodies},
};
use crate::{
    cli::LoadArgs,
    node::{admin, process},
    pause::until,
    sign::Signer,
    stats::at,
    suite::run::BODIES,
};

/// Longest wait for delivery.
const LONGEST: Duration = Duration::from_secs(3600);

/// Sends the load, and prints what came of it.
pub(crate) fn run(args: &LoadArgs) -> Result<()> {
    let (bodies, _) = bodies(&Recipe {
        kind: args.kind,
        record_bytes: args.record_bytes,
        batch: usize::from(args.batch),
        bodies: BODIES,
        streams: vec![args.stream.clone()],
        seed: args.seed,
    });
    let load = Load {
        endpoint: args.endpoint.clone(),
        signer: Signer::new(
            &args.access_key,
            &args.secret_key,
            &args.region,
            &args.endpoint,
        ),
        bodies,
        connections: args.connections,
        requests: args.requests,
        pace: match args.rate {
            Some(rate) => Pace::Open(rate),
            None if args.pace > 0.0 => Pace::Each(args.pace),
            None => Pace::Closed,
        },
    };
    let clock = SystemClock::new();
    let cost =
        || Ok::<_, anyhow::Error>(args.pid.map(process::cost).transpose()?.unwrap_or_default());
    let (before, started) = (cost()?, clock.monotonic());
    let outcome = super::run(&load)?;
    let after_ack = cost()?;
    let records = outcome.records();
    let bytes = records as f64 * args.record_bytes as f64;
    let seconds = outcome.took.as_secs_f64();
    let latency = |fraction| at(&outcome.latencies, fraction) * 1e3;
    println!(
        "acknowledged {records} records, {:.1} MB in {seconds:.2} s: {:.0} records/s, {:.1} MB/s; {} sent again; latency p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms",
        bytes / 1e6,
        records as f64 / seconds,
        bytes / 1e6 / seconds,
        outcome.again,
        latency(0.5),
        latency(0.99),
        latency(1.0),
    );
    if args.pid.is_some() {
        let cpu = after_ack.cpu - before.cpu;
        println!(
            "cost to the last acknowledgement (with what was delivered meanwhile): {:.2} CPU s/GB, {:.1} µs of CPU per record",
            cpu / (bytes / 1e9),
            cpu * 1e6 / records as f64,
        );
    }
    let Some(address) = &args.admin else {
        return Ok(());
    };
    let none = || Ok(admin::backlog(address, |name| name == args.stream)? == 0);
    until(
        "everything is delivered",
        Duration::from_millis(20),
        LONGEST,
        none,
    )?;
    let all = (clock.monotonic() - started).as_secs_f64();
    println!("delivered after {all:.2} s: {:.1} MB/s", bytes / 1e6 / all);
    if args.pid.is_some() {
        let after = cost()?;
        let cpu = after.cpu - before.cpu;
        println!(
            "cost in all: {:.2} CPU s/GB, {:.0} records per core-second, peak RSS {:.1} MB, {:.2} bytes written per byte",
            cpu / (bytes / 1e9),
            records as f64 / cpu,
            after.peak_rss as f64 / 1e6,
            (after.written - before.written) as f64 / bytes,
        );
    }
    Ok(())
}
