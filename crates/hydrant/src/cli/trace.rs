//! `hydrant trace`: where is my record?

use std::process::ExitCode;

use super::{connect::AdminArgs, output};
use crate::console::model::{Fate, Trace};

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
        Fate::Delivered { bucket, key, at } => {
            format!("delivered at {}: s3://{bucket}/{key}", time(*at))
        }
        Fate::InFlight { bucket, key } => format!("being delivered: s3://{bucket}/{key}"),
        Fate::Buffered { since } => format!(
            "buffered since {}: acknowledged and on disk; `hydrant flush` delivers it now",
            time(*since)
        ),
        Fate::Failing { error, next_retry } => format!(
            "on disk, but its destination does not take it: {}: {} (tried again {})",
            error.code,
            error.message,
            next_retry.map_or_else(|| "now".to_owned(), |at| format!("at {}", time(at)))
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

/// Milliseconds since the epoch as RFC 3339, to the second.
fn time(millis: u64) -> String {
    let at = i64::try_from(millis)
        .ok()
        .and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok());
    at.map_or_else(|| millis.to_string(), |at| format!("{at:.0}"))
}
