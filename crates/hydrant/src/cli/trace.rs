//! `hydrant trace`: where is my record?

use std::process::ExitCode;

use super::{connect::AdminArgs, output};
use crate::console::model::{Failure, Fate, Load, Trace};

/// Says in which object a record is, or why it is in none yet
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The RecordId that PutRecord or PutRecordBatch answered
    #[arg(value_name = "RECORD_ID", allow_hyphen_values = true)]
    record_id: String,

    /// Prints JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    admin: AdminArgs,
}

pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let trace = args.admin.connect()?.trace(&args.record_id).await?;
    if args.json {
        output::line(serde_json::to_string(&trace)?)?;
    } else {
        output::line(told(&trace))?;
    }
    Ok(match trace.fate {
        Fate::Expired { .. } | Fate::Unknown => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    })
}

fn told(trace: &Trace) -> String {
    let what = match &trace.fate {
        Fate::Delivered {
            bucket,
            key,
            at,
            load,
        } => {
            let delivered = format!("delivered at {}: s3://{bucket}/{key}", time(*at));
            match load {
                Some(load) => format!("{delivered}\n{}", loaded(load)),
                None => delivered,
            }
        }
        Fate::InFlight { bucket, key } => format!("being delivered: s3://{bucket}/{key}"),
        Fate::Buffered { since } => format!(
            "buffered since {}: acknowledged and on disk; `hydrant flush` delivers it now",
            time(*since)
        ),
        Fate::Failing { error, next_retry } => format!(
            "on disk, but its destination does not take it: {}",
            failing(error, *next_retry)
        ),
        Fate::Expired { at } => format!(
            "dropped at {}: it could not be delivered for 24 hours",
            time(*at)
        ),
        Fate::Empty => "nothing to deliver: the record holds no byte".to_owned(),
        Fate::Unknown => "unknown: never stored, deleted with its stream, or delivered so long \
                          ago that its receipt is gone"
            .to_owned(),
    };
    match &trace.stream {
        Some(stream) => format!("{what}\nstream: {stream}"),
        None => what,
    }
}

fn loaded(load: &Load) -> String {
    match load {
        Load::Waiting => "waiting to be loaded; `hydrant flush` waits for it".to_owned(),
        Load::Failing { error, next_retry } => format!(
            "in the bucket, but its COPY fails: {}",
            failing(error, *next_retry)
        ),
        Load::Loaded { table, at } => format!("loaded at {}: {table}", time(*at)),
        Load::GivenUp { manifest, at } => format!(
            "not loaded, given up at {}: `hydrant copy {manifest}` loads it",
            time(*at)
        ),
    }
}

fn failing(error: &Failure, next_retry: Option<u64>) -> String {
    let when = next_retry.map_or_else(|| "now".to_owned(), |at| format!("at {}", time(at)));
    format!("{}: {} (tried again {when})", error.code, error.message)
}

/// Milliseconds since the epoch as RFC 3339, to the second.
fn time(millis: u64) -> String {
    let at = i64::try_from(millis)
        .ok()
        .and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok());
    at.map_or_else(|| millis.to_string(), |at| format!("{at:.0}"))
}
