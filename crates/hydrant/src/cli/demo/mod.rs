//! `hydrant demo`: the whole service in one command, with a proof at the end.
//!
//! A node as `serve` would run it, on a temporary directory and free ports; records over HTTP, signed;
//! objects read back with another gzip than the one that wrote them.

mod lines;
mod proof;

use std::{
    collections::BTreeSet,
    convert::Infallible,
    fs,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, ensure};
use hydrant_engine::{Chance, Clock, SystemClock};
use indicatif::ProgressBar;
use serde_json::json;
use url::Url;

use self::{
    lines::Lines,
    proof::{Found, Proof, objects, prove},
};
use super::{
    log, output,
    stop::{INTERRUPTED, Stop},
};
use crate::{
    client::{
        Firehose, Sender, Totals, admin::Admin, batches, firehose::StreamOf, sender::Counters,
    },
    config::{ByteSize, Config, LogFormat, QuotaPreset, Settings},
    node::Node,
    sigv4::sign::Credentials,
};

const STREAM: &str = "access-log";
const BUCKET: &str = "demo-bucket";
const ACCOUNT: &str = "000000000000";
const REGION: &str = "us-east-1";
/// Batches on their way at once.
const IN_FLIGHT: usize = 4;
/// How often the bucket is looked at for new objects.
const LOOK: Duration = Duration::from_millis(100);
/// Longest wait for a stream to become ACTIVE, in looks.
const LOOKS_FOR_ACTIVE: usize = 300;

/// Shows in seconds that it works: a node, a stream, log lines, objects, proof
///
/// Starts a node on a temporary directory, sends it log lines over HTTP, shows the objects that
/// arrive, and proves that every line is in them. Exits with 0 only if it is proven.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// How many lines to send
    #[arg(long, value_name = "N", default_value_t = 300_000, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    records: u64,

    /// Keeps the node's directory to look at
    #[arg(long)]
    keep: bool,
}

pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    log::start("warn", LogFormat::Text)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let chance = Chance::from_os().context("the system has no randomness")?;
    let directory = temporary_directory(&chance)?;
    let done = demo(&args, &directory, &clock, &chance).await;
    match &done {
        Ok(End::Proven) if args.keep => output::line(what_was_kept(&directory))?,
        Ok(_) => fs::remove_dir_all(&directory)
            .with_context(|| format!("{} could not be removed", directory.display()))?,
        Err(_) => eprintln!("the node's directory is kept: {}", directory.display()),
    }
    Ok(match done? {
        End::Proven => ExitCode::SUCCESS,
        End::Interrupted => ExitCode::from(INTERRUPTED),
    })
}

/// How a demo ends that does not fail.
enum End {
    Proven,
    Interrupted,
}

async fn demo(
    args: &Args,
    directory: &Path,
    clock: &Arc<dyn Clock>,
    chance: &Chance,
) -> anyhow::Result<End> {
    let settings = Settings {
        data_dir: Some(directory.to_owned()),
        listen: Some(([127, 0, 0, 1], 0).into()),
        quotas: Some(QuotaPreset::Unlimited),
        ..Settings::default()
    };
    let mut stop = Stop::listen()?;
    let node = Node::start(Config::resolve(settings)?, clock.clone(), chance.clone()).await?;
    let told = tokio::select! {
        told = tell(args, directory, clock, chance, &node) => told.map(|()| End::Proven),
        _ = stop.requested() => Ok(End::Interrupted),
    };
    let stopped = node.stop().await;
    let end = told?;
    stopped?;
    if let End::Proven = end {
        output::line(next_steps())?;
    }
    Ok(end)
}

fn what_was_kept(directory: &Path) -> String {
    let directory = directory.display();
    format!(
        "
kept: {directory}
  look into the objects:  find {directory}/buckets -type f -exec zcat {{}} + | head
  run a node on it:       hydrant serve --data-dir {directory}"
    )
}

async fn tell(
    args: &Args,
    directory: &Path,
    clock: &Arc<dyn Clock>,
    chance: &Chance,
    node: &Node,
) -> anyhow::Result<()> {
    output::line(format!(
        "A node on {}, its data in {}.",
        node.api_url(),
        directory.display()
    ))?;
    let credentials = Credentials {
        access_key: "demo".to_owned(),
        secret_key: "demo".to_owned(),
        session_token: None,
    };
    let endpoint = Url::parse(&node.api_url())?;
    let firehose = Firehose::new(endpoint, REGION, Arc::new(credentials), clock.clone())?;
    create_stream(&firehose, clock).await?;
    output::line(format!(
        "Stream {STREAM} delivers to bucket {BUCKET}: GZIP, whenever 5 MiB or 60 s are reached.\n"
    ))?;

    let bucket = directory.join("buckets").join(BUCKET);
    let lines = Lines {
        seed: chance.next_u64(),
        begin: clock.now(),
    };
    let bar = output::progress(Some(args.records), false, false);
    let mut arrivals = Arrivals::of(&bucket);
    let (totals, took) = tokio::select! {
        sent = send(args.records, lines, &firehose, &bar, clock, chance) => sent?,
        failed = arrivals.watch(&bar, clock) => {
            failed?;
            unreachable!("arrivals are watched until sending ends")
        }
    };
    let last_line = clock.monotonic();
    let admin = Admin::new(Url::parse(&node.admin_url())?)?;
    admin.flush(ACCOUNT, REGION, STREAM).await?;
    let waited = clock.monotonic().saturating_sub(last_line);
    let found = arrivals.show(&bar)?;
    bar.finish_and_clear();

    output::line(format!(
        "\n  sent       {} ({}) in {:.1} s: {} records/s, each fsynced before it was acknowledged",
        output::counted(totals.records, "line"),
        ByteSize(totals.bytes),
        took.as_secs_f64(),
        output::count(output::rate(totals.records, took)),
    ))?;
    let bytes = found.iter().map(|object| object.bytes).sum();
    output::line(format!(
        "  delivered  {} ({} of gzip), the last one {} ms after the last line",
        output::counted(found.len() as u64, "object"),
        ByteSize(bytes),
        output::count(u64::try_from(waited.as_millis()).unwrap_or(u64::MAX)),
    ))?;
    let proof = read_back(found, lines, args.records).await?;
    ensure!(
        proof.holds(args.records),
        "the proof failed: of {} lines {} were found, {} are there twice and {} were never sent",
        args.records,
        proof.found,
        proof.twice,
        proof.foreign
    );
    output::line(format!(
        "  proved     all {} read back from the objects, byte for byte, each exactly once",
        output::counted(proof.found, "line"),
    ))?;
    Ok(())
}

async fn create_stream(firehose: &Firehose, clock: &Arc<dyn Clock>) -> anyhow::Result<()> {
    let configuration = json!({
        "RoleARN": format!("arn:aws:iam::{ACCOUNT}:role/demo"),
        "BucketARN": format!("arn:aws:s3:::{BUCKET}"),
        "BufferingHints": { "SizeInMBs": 5, "IntervalInSeconds": 60 },
        "CompressionFormat": "GZIP",
    });
    let request = json!({
        "DeliveryStreamName": STREAM,
        "S3DestinationConfiguration": configuration,
    });
    firehose.call("CreateDeliveryStream", &request).await?;
    for _ in 0..LOOKS_FOR_ACTIVE {
        if firehose.describe(STREAM).await?["DeliveryStreamStatus"] == "ACTIVE" {
            return Ok(());
        }
        clock.sleep(LOOK).await;
    }
    anyhow::bail!("stream {STREAM} did not become ACTIVE")
}

async fn send(
    records: u64,
    lines: Lines,
    firehose: &Firehose,
    bar: &ProgressBar,
    clock: &Arc<dyn Clock>,
    chance: &Chance,
) -> anyhow::Result<(Totals, Duration)> {
    let sender = Sender {
        stream: StreamOf {
            firehose: firehose.clone(),
            name: STREAM.to_owned(),
        },
        in_flight: IN_FLIGHT,
        patience: Duration::from_secs(60),
        clock: clock.clone(),
        chance: chance.clone(),
        counters: Counters::default(),
    };
    let began = clock.monotonic();
    let all = (0..records).map(move |number| Ok::<_, Infallible>(lines.line(number)));
    sender
        .send(futures::stream::iter(batches(all)), |totals| {
            bar.set_position(totals.records);
        })
        .await?;
    Ok((sender.totals(), clock.monotonic().saturating_sub(began)))
}

/// The objects of a bucket, shown as they arrive.
struct Arrivals<'b> {
    bucket: &'b Path,
    shown: BTreeSet<PathBuf>,
}

impl<'b> Arrivals<'b> {
    fn of(bucket: &'b Path) -> Self {
        Arrivals {
            bucket,
            shown: BTreeSet::new(),
        }
    }

    /// Shows what arrives, for ever.
    async fn watch(&mut self, bar: &ProgressBar, clock: &Arc<dyn Clock>) -> anyhow::Result<()> {
        loop {
            self.show(bar)?;
            clock.sleep(LOOK).await;
        }
    }

    /// Shows what has arrived since the last look; everything that is there.
    fn show(&mut self, bar: &ProgressBar) -> anyhow::Result<Vec<Found>> {
        let found = objects(self.bucket)?;
        for object in &found {
            if self.shown.insert(object.path.clone()) {
                let key = object
                    .path
                    .strip_prefix(self.bucket)
                    .unwrap_or(&object.path);
                let line = format!("  {}  {}", key.display(), ByteSize(object.bytes));
                bar.suspend(|| output::line(line))?;
            }
        }
        Ok(found)
    }
}

async fn read_back(found: Vec<Found>, lines: Lines, sent: u64) -> anyhow::Result<Proof> {
    let bar = output::progress(Some(sent), false, false);
    bar.set_message("read back");
    let shown = bar.clone();
    let proof = tokio::task::spawn_blocking(move || {
        prove(&found, lines, sent, |looked_at| {
            shown.set_position(looked_at)
        })
    });
    let proof = proof.await?;
    bar.finish_and_clear();
    Ok(proof?)
}

fn next_steps() -> &'static str {
    "
Next, a node of your own. In one terminal:

  hydrant serve

and in another:

  aws firehose create-delivery-stream --endpoint-url http://127.0.0.1:4573 \\
      --delivery-stream-name logs --s3-destination-configuration \\
      RoleARN=arn:aws:iam::000000000000:role/any,BucketARN=arn:aws:s3:::my-bucket
  hydrant put logs /var/log/*.log
  hydrant flush logs
  find hydrant-data/buckets -type f"
}

/// A directory that only this user can read, under the system's temporary directory.
fn temporary_directory(chance: &Chance) -> anyhow::Result<PathBuf> {
    let name = format!("hydrant-demo-{:012x}", chance.next_u64() >> 16);
    let path = std::env::temp_dir().join(name);
    fs::DirBuilder::new()
        .mode(0o700)
        .create(&path)
        .with_context(|| path.display().to_string())?;
    Ok(path)
}
