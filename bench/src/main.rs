//! A load generator for a running node: signed requests over keep-alive connections, closed loop,
//! then the wait for delivery, then what it all cost according to the kernel.

mod process;
mod records;
mod sign;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use clap::Parser;
use http_body_util::{BodyExt, Full};
use hydrant_engine::{Chance, Clock, SystemClock};
use hyper::{Request, client::conn::http1::SendRequest};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, task::JoinSet};

use crate::sign::{Signer, sha256};

/// Different request bodies: enough that no cache of one body helps.
const BODIES: usize = 64;

/// Puts records into a delivery stream as fast as it takes them, and reports what that cost.
#[derive(Clone, Debug, Parser)]
struct Args {
    /// The node's API address.
    #[arg(long, default_value = "127.0.0.1:4573")]
    endpoint: String,
    /// The node's admin address; with it the run goes on until everything is delivered.
    #[arg(long)]
    admin: Option<String>,
    /// The node's process id; with it the report has CPU, memory and bytes written.
    #[arg(long)]
    pid: Option<u32>,
    /// The delivery stream, which must be ACTIVE.
    #[arg(long)]
    stream: String,
    /// Connections, each with one request at a time.
    #[arg(long, default_value_t = 4)]
    connections: usize,
    /// Records in a request; 1 means PutRecord.
    #[arg(long, default_value_t = 500)]
    batch: usize,
    /// Bytes in a record.
    #[arg(long, default_value_t = 1024)]
    record_bytes: usize,
    /// Requests in all.
    #[arg(long, default_value_t = 2000)]
    requests: u64,
    /// Seconds between the requests of one connection's start and the next one's; 0 is as fast as answers come.
    #[arg(long, default_value_t = 0.0)]
    pace: f64,
    /// Access key.
    #[arg(long, default_value = "000000000000")]
    access_key: String,
    /// Secret key.
    #[arg(long, default_value = "any")]
    secret_key: String,
    /// Region of the credential scope.
    #[arg(long, default_value = "us-east-1")]
    region: String,
    /// Seed of the records.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

struct Body {
    bytes: Bytes,
    hash: String,
}

fn bodies(args: &Args) -> Vec<Body> {
    let chance = Chance::seeded(args.seed);
    let mut number = 0;
    let mut event = || {
        number += 1;
        STANDARD.encode(records::event(&chance, number, args.record_bytes))
    };
    (0..BODIES)
        .map(|_| {
            let text = if args.batch == 1 {
                format!(
                    r#"{{"DeliveryStreamName":"{}","Record":{{"Data":"{}"}}}}"#,
                    args.stream,
                    event()
                )
            } else {
                let records: Vec<_> = (0..args.batch)
                    .map(|_| format!(r#"{{"Data":"{}"}}"#, event()))
                    .collect();
                format!(
                    r#"{{"DeliveryStreamName":"{}","Records":[{}]}}"#,
                    args.stream,
                    records.join(",")
                )
            };
            Body {
                hash: sha256(text.as_bytes()),
                bytes: Bytes::from(text),
            }
        })
        .collect()
}

async fn connect(endpoint: &str) -> Result<SendRequest<Full<Bytes>>> {
    let socket = TcpStream::connect(endpoint)
        .await
        .with_context(|| format!("cannot connect to {endpoint}"))?;
    socket.set_nodelay(true)?;
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(socket)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

struct Load {
    args: Args,
    bodies: Vec<Body>,
    signer: Signer,
    clock: SystemClock,
    next: AtomicU64,
}

/// One connection's work: the latency of each request.
async fn client(load: Arc<Load>) -> Result<Vec<Duration>> {
    let target = match load.args.batch {
        1 => "Firehose_20150804.PutRecord",
        _ => "Firehose_20150804.PutRecordBatch",
    };
    let mut sender = connect(&load.args.endpoint).await?;
    let mut latencies = Vec::new();
    loop {
        let number = load.next.fetch_add(1, Ordering::Relaxed);
        if number >= load.args.requests {
            return Ok(latencies);
        }
        let body = &load.bodies[(number % BODIES as u64) as usize];
        let signed = load.signer.sign(target, &body.hash, load.clock.now());
        let request = Request::post("/")
            .header("host", &load.args.endpoint)
            .header("content-type", "application/x-amz-json-1.1")
            .header("x-amz-date", signed.date)
            .header("x-amz-target", target)
            .header("authorization", signed.authorization)
            .body(Full::new(body.bytes.clone()))?;
        let started = load.clock.monotonic();
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        let answer = answer.into_body().collect().await?.to_bytes();
        let took = load.clock.monotonic() - started;
        latencies.push(took);
        let text = String::from_utf8_lossy(&answer);
        ensure!(status == 200, "{status}: {text}");
        if load.args.batch > 1 {
            ensure!(
                text.contains(r#""FailedPutCount":0"#),
                "records were throttled: {text}"
            );
        }
        if load.args.pace > 0.0 {
            load.clock
                .sleep(Duration::from_secs_f64(load.args.pace).saturating_sub(took))
                .await;
        }
    }
}

async fn get(admin: &str, method: &str, path: &str) -> Result<String> {
    let mut sender = connect(admin).await?;
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", admin)
        .body(Full::new(Bytes::new()))?;
    let answer = sender.send_request(request).await?;
    let status = answer.status();
    let body = answer.into_body().collect().await?.to_bytes();
    let text = String::from_utf8_lossy(&body).into_owned();
    ensure!(status.is_success(), "{path}: {status}: {text}");
    Ok(text)
}

/// Waits until the stream has no backlog.
async fn delivered(load: &Load, admin: &str) -> Result<()> {
    loop {
        let streams: serde_json::Value =
            serde_json::from_str(&get(admin, "GET", "/api/streams").await?)?;
        let list = streams.as_array().or_else(|| streams["streams"].as_array());
        let stream = list
            .and_then(|list| list.iter().find(|s| s["name"] == load.args.stream.as_str()))
            .with_context(|| format!("the admin port does not know {:?}", load.args.stream))?;
        let backlog = stream["backlog_records"].as_u64();
        match backlog.context("no backlog_records in the admin port's answer")? {
            0 => return Ok(()),
            _ => load.clock.sleep(Duration::from_millis(20)).await,
        }
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    if args.batch == 0 || args.batch > 500 {
        bail!("--batch is 1 to 500");
    }
    let load = Arc::new(Load {
        bodies: bodies(&args),
        signer: Signer::new(
            &args.access_key,
            &args.secret_key,
            &args.region,
            &args.endpoint,
        ),
        clock: SystemClock::new(),
        next: AtomicU64::new(0),
        args: args.clone(),
    });
    let before = args.pid.map(process::cost).transpose()?.unwrap_or_default();
    let started = load.clock.monotonic();
    let mut clients = JoinSet::new();
    for _ in 0..args.connections {
        clients.spawn(client(load.clone()));
    }
    let mut latencies = Vec::new();
    while let Some(client) = clients.join_next().await {
        latencies.extend(client??);
    }
    let acked = load.clock.monotonic() - started;
    let after_ack = args.pid.map(process::cost).transpose()?.unwrap_or_default();

    latencies.sort_unstable();
    let at = |fraction: f64| {
        let index = (latencies.len() as f64 * fraction) as usize;
        latencies
            .get(index.min(latencies.len().saturating_sub(1)))
            .copied()
            .unwrap_or_default()
    };
    let records = args.requests * args.batch as u64;
    let bytes = records * args.record_bytes as u64;
    let gb = bytes as f64 / 1e9;
    println!(
        "acknowledged {records} records, {:.1} MB in {:.2} s: {:.0} records/s, {:.1} MB/s; latency p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms",
        bytes as f64 / 1e6,
        acked.as_secs_f64(),
        records as f64 / acked.as_secs_f64(),
        bytes as f64 / 1e6 / acked.as_secs_f64(),
        at(0.5).as_secs_f64() * 1e3,
        at(0.99).as_secs_f64() * 1e3,
        at(1.0).as_secs_f64() * 1e3,
    );
    if args.pid.is_some() {
        let cpu = after_ack.cpu - before.cpu;
        println!(
            "cost to the last acknowledgement (with what was delivered meanwhile): {:.2} CPU s/GB, {:.1} µs of CPU per record",
            cpu / gb,
            cpu * 1e6 / records as f64,
        );
    }
    if let Some(admin) = &args.admin {
        delivered(&load, admin).await?;
        let all = load.clock.monotonic() - started;
        println!(
            "delivered after {:.2} s: {:.1} MB/s",
            all.as_secs_f64(),
            bytes as f64 / 1e6 / all.as_secs_f64()
        );
        if let Some(pid) = args.pid {
            let after = process::cost(pid)?;
            let cpu = after.cpu - before.cpu;
            println!(
                "cost in all: {:.2} CPU s/GB, {:.0} records per core-second, peak RSS {:.1} MB, {:.2} bytes written per byte",
                cpu / gb,
                records as f64 / cpu,
                after.peak_rss as f64 / 1e6,
                (after.written - before.written) as f64 / bytes as f64,
            );
        }
    }
    Ok(())
}
