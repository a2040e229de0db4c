//! `hydrant streams`: every delivery stream, in a table.

use std::process::ExitCode;

use futures::{StreamExt, TryStreamExt};
use serde_json::Value;

use super::{
    connect::{AdminArgs, ApiArgs},
    output,
};
use crate::{
    client::{CallError, Firehose, admin::AdminError},
    config::ByteSize,
    console::model::{StreamStatus, Streams},
};

/// `DescribeDeliveryStream` calls at once.
const DESCRIBES: usize = 4;
/// Longest error text in the table; `--json` has all of it.
const ERROR_CHARS: usize = 60;

/// Shows every delivery stream: status, backlog, last delivery, last error
///
/// RECORDS and BYTES are acknowledged and not yet delivered; OLDEST is how long the oldest of them waits. Asks the
/// node's admin port; the API, which knows names and status only, where that does not answer or --endpoint is named
/// alone.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Prints JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    admin: AdminArgs,

    #[command(flatten)]
    api: ApiArgs,
}

pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let streams = find(&args).await?;
    if args.json {
        output::line(serde_json::to_string_pretty(&Streams { streams })?)?;
    } else if streams.is_empty() {
        output::line("no delivery streams yet; `aws firehose create-delivery-stream` makes one")?;
    } else {
        output::line(table(&streams))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// From the admin port, unless only an API is named or answers.
async fn find(args: &Args) -> anyhow::Result<Vec<StreamStatus>> {
    if args.api.named() && !args.admin.named() {
        return Ok(described(&args.api.connect().await?).await?);
    }
    let error = match args.admin.connect()?.streams().await {
        Err(error @ AdminError::Unreachable { .. }) if !args.admin.named() => error,
        answered => return Ok(answered?),
    };
    let firehose = args.api.connect().await?;
    match described(&firehose).await {
        Err(CallError::Unreachable { .. }) => anyhow::bail!(
            "{error}, nor an API at {}: start a node with `hydrant serve`, or name one with --admin",
            firehose.endpoint()
        ),
        described => Ok(described?),
    }
}

/// What the API tells.
async fn described(firehose: &Firehose) -> Result<Vec<StreamStatus>, CallError> {
    let names = firehose.list().await?;
    futures::stream::iter(names)
        .map(|name| async move { Ok(from_description(&firehose.describe(&name).await?)) })
        .buffered(DESCRIBES)
        .try_collect()
        .await
}

fn from_description(description: &Value) -> StreamStatus {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let arn = text(&description["DeliveryStreamARN"]);
    let mut parts = arn.split(':').skip(3);
    let destination = &description["Destinations"][0];
    let s3 = &destination["S3DestinationDescription"];
    let bucket = text(&s3["BucketARN"]);
    let destination = if bucket.is_empty() {
        String::new()
    } else {
        let bucket = bucket.rsplit(':').next().unwrap_or_default();
        format!("s3://{bucket}/{}", text(&s3["Prefix"]))
    };
    StreamStatus {
        region: parts.next().unwrap_or_default().to_owned(),
        account: parts.next().unwrap_or_default().to_owned(),
        name: text(&description["DeliveryStreamName"]),
        status: text(&description["DeliveryStreamStatus"]),
        version: text(&description["VersionId"]).parse().unwrap_or_default(),
        destination,
        compression: text(&s3["CompressionFormat"]),
        ..StreamStatus::default()
    }
}

fn table(streams: &[StreamStatus]) -> String {
    let first = &streams[0];
    let scoped = streams
        .iter()
        .any(|s| s.account != first.account || s.region != first.region);
    let row = |s: &StreamStatus| {
        let name = if scoped {
            format!("{}/{}/{}", s.account, s.region, s.name)
        } else {
            s.name.clone()
        };
        let none = || "-".to_owned();
        let seconds = |s: f64| output::age(std::time::Duration::from_secs_f64(s.max(0.0)));
        vec![
            name,
            s.status.clone(),
            s.backlog_records.map_or_else(none, output::count),
            s.backlog_bytes
                .map_or_else(none, |bytes| ByteSize(bytes).to_string()),
            s.oldest_age_seconds.map_or_else(none, seconds),
            s.last_delivery.as_ref().map_or_else(none, |delivered| {
                format!("{} ago", seconds(delivered.age_seconds.floor()))
            }),
            s.destination.clone(),
            s.last_error.as_ref().map_or_else(none, |failure| {
                shortened(&format!("{}: {}", failure.code, failure.message))
            }),
        ]
    };
    let rows: Vec<Vec<String>> = streams.iter().map(row).collect();
    let header = [
        "STREAM",
        "STATUS",
        "RECORDS",
        "BYTES",
        "OLDEST",
        "DELIVERED",
        "DESTINATION",
        "LAST ERROR",
    ];
    output::table(&header, &rows, &[2, 3, 4])
}

fn shortened(text: &str) -> String {
    let line = text.replace(['\n', '\r'], " ");
    if line.chars().count() <= ERROR_CHARS {
        return line;
    }
    let head: String = line.chars().take(ERROR_CHARS - 1).collect();
    format!("{head}…")
}
