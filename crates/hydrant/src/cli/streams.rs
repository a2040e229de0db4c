//! `hydrant streams`: every delivery stream, in a table.

use std::process::ExitCode;

use futures::{StreamExt, TryStreamExt};
use hydrant_engine::{Clock, SystemClock, Timestamp};
use serde_json::Value;

use super::{
    connect::{AdminArgs, ApiArgs},
    output,
};
use crate::{
    client::{CallError, Firehose, admin::AdminError},
    config::ByteSize,
    console::model::{Copying, StreamStatus, Streams},
};

/// `DescribeDeliveryStream` calls at once.
const DESCRIBES: usize = 4;
/// Longest error text in the table; `--json` has all of it.
const ERROR_CHARS: usize = 60;

/// Shows every delivery stream: status, backlog, last delivery, last error
///
/// RECORDS and BYTES are acknowledged and not yet delivered; OLDEST is how long the oldest of them waits. Of a stream with a
/// warehouse, COPY says how loading stands and LOADED when it succeeded last. Asks the node's admin port; the API, which knows names and status only, where that does not answer or --endpoint is named
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
        output::line(table(&streams, SystemClock::new().now()))?;
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
    let redshift = &destination["RedshiftDestinationDescription"];
    let s3 = match &destination["S3DestinationDescription"] {
        Value::Null => &redshift["S3DestinationDescription"],
        s3 => s3,
    };
    let bucket = text(&s3["BucketARN"]);
    let bucket = (!bucket.is_empty()).then(|| {
        let name = bucket.rsplit(':').next().unwrap_or_default();
        format!("s3://{name}/{}", text(&s3["Prefix"]))
    });
    let warehouse = redshift.is_object().then(|| {
        let url = text(&redshift["ClusterJDBCURL"]);
        let url = url.split(['?', ';']).next().unwrap_or_default();
        let url = url.strip_prefix("jdbc:").unwrap_or(url);
        format!("{url} {}", text(&redshift["CopyCommand"]["DataTableName"]))
    });
    StreamStatus {
        region: parts.next().unwrap_or_default().to_owned(),
        account: parts.next().unwrap_or_default().to_owned(),
        name: text(&description["DeliveryStreamName"]),
        status: text(&description["DeliveryStreamStatus"]),
        version: text(&description["VersionId"]).parse().unwrap_or_default(),
        bucket: bucket.clone().filter(|_| warehouse.is_some()),
        destination: warehouse.or(bucket).unwrap_or_default(),
        compression: text(&s3["CompressionFormat"]),
        ..StreamStatus::default()
    }
}

fn table(streams: &[StreamStatus], now: Timestamp) -> String {
    let first = &streams[0];
    let scoped = streams
        .iter()
        .any(|s| s.account != first.account || s.region != first.region);
    // Who has no warehouse needs no columns for one.
    let loads = streams.iter().any(|s| s.copy.is_some());
    let none = || "-".to_owned();
    let seconds = |s: f64| output::age(std::time::Duration::from_secs_f64(s.max(0.0)));
    let ago = |age: f64| format!("{} ago", seconds(age.floor()));
    let row = |s: &StreamStatus| {
        let name = if scoped {
            format!("{}/{}/{}", s.account, s.region, s.name)
        } else {
            s.name.clone()
        };
        let mut row = vec![
            name,
            s.status.clone(),
            s.backlog_records.map_or_else(none, output::count),
            s.backlog_bytes
                .map_or_else(none, |bytes| ByteSize(bytes).to_string()),
            s.oldest_age_seconds.map_or_else(none, seconds),
            s.last_delivery
                .as_ref()
                .map_or_else(none, |delivered| ago(delivered.age_seconds)),
        ];
        if loads {
            row.push(s.copy.as_ref().map_or_else(none, |copy| copying(copy, now)));
            let last = s.copy.as_ref().and_then(|copy| copy.last_success.as_ref());
            row.push(last.map_or_else(none, |last| ago(last.age_seconds)));
        }
        row.push(s.destination.clone());
        row.push(s.last_error.as_ref().map_or_else(none, |failure| {
            shortened(&format!("{}: {}", failure.code, failure.message))
        }));
        row
    };
    let rows: Vec<Vec<String>> = streams.iter().map(row).collect();
    let mut header = vec![
        "STREAM",
        "STATUS",
        "RECORDS",
        "BYTES",
        "OLDEST",
        "DELIVERED",
    ];
    if loads {
        header.extend(["COPY", "LOADED"]);
    }
    header.extend(["DESTINATION", "LAST ERROR"]);
    let mut told = output::table(&header, &rows, &[2, 3, 4]);
    for stream in streams {
        told.push_str(&given_up(stream));
    }
    told
}

/// How loading stands, in few words.
fn copying(copy: &Copying, now: Timestamp) -> String {
    let mut told = copy.state.replace('_', " ");
    if let Some(at) = copy.next_retry {
        let left = Timestamp(at).since(now);
        let seconds = std::time::Duration::from_secs(left.as_secs());
        told.push_str(&format!(" in {}", output::age(seconds)));
    }
    if copy.objects > 0 {
        told.push_str(&format!(": {}", output::counted(copy.objects, "object")));
    }
    told
}

/// What somebody has to load by hand.
fn given_up(stream: &StreamStatus) -> String {
    let Some(latest) = stream.copy.as_ref().and_then(|copy| copy.given_up.first()) else {
        return String::new();
    };
    let others = match stream.copy.as_ref().map_or(0, |copy| copy.given_up.len()) {
        1 => String::new(),
        manifests => format!(" ({} more: --json names them)", manifests - 1),
    };
    format!(
        "\n{}: not loaded, given up: {}: {}; `hydrant copy {}` loads it{others}",
        stream.name,
        latest.error.code,
        shortened(&latest.error.message),
        latest.manifest
    )
}

fn shortened(text: &str) -> String {
    let line = text.replace(['\n', '\r'], " ");
    if line.chars().count() <= ERROR_CHARS {
        return line;
    }
    let head: String = line.chars().take(ERROR_CHARS - 1).collect();
    format!("{head}…")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::model::{Failure, GivenUp};

    #[test]
    fn who_loads_nothing_has_no_columns_for_it() {
        let plain = StreamStatus {
            name: "plain".to_owned(),
            ..StreamStatus::default()
        };
        assert!(!table(std::slice::from_ref(&plain), Timestamp(0)).contains("COPY"));
        let loading = StreamStatus {
            name: "loading".to_owned(),
            copy: Some(Copying {
                state: "retrying".to_owned(),
                objects: 3,
                next_retry: Some(280_900),
                given_up: vec![GivenUp {
                    manifest: "s3://b/errors/manifests/m".to_owned(),
                    error: Failure {
                        at: 0,
                        code: "Redshift.TableNotFound".to_owned(),
                        message: "relation \"t\" does not exist".to_owned(),
                    },
                    ..GivenUp::default()
                }],
                ..Copying::default()
            }),
            ..StreamStatus::default()
        };
        let told = table(&[plain, loading], Timestamp(100_000));
        for part in [
            "LOADED",
            "retrying in 3 min: 3 objects",
            "loading: not loaded, given up: Redshift.TableNotFound: relation \"t\" does not exist; \
             `hydrant copy s3://b/errors/manifests/m` loads it",
        ] {
            assert!(told.contains(part), "{part}: {told}");
        }
    }

    #[test]
    fn a_warehouse_is_shown_without_its_parameters() {
        let description = serde_json::json!({
            "DeliveryStreamARN": "arn:aws:firehose:us-east-1:000000000000:deliverystream/s",
            "Destinations": [{"RedshiftDestinationDescription": {
                "ClusterJDBCURL": "jdbc:postgresql://h:5432/db?sslmode=require",
                "CopyCommand": {"DataTableName": "public.t"},
                "S3DestinationDescription": {"BucketARN": "arn:aws:s3:::b", "Prefix": "p/"}
            }}]
        });
        let status = from_description(&description);
        assert_eq!(status.destination, "postgresql://h:5432/db public.t");
        assert_eq!(status.bucket.as_deref(), Some("s3://b/p/"));
    }
}
