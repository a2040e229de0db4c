//! `hydrant put`: lines, delimited records or whole files, to a stream here or at AWS.

mod source;
mod split;

use std::{path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use anyhow::Context;
use hydrant_engine::{Chance, Clock, SystemClock};
use serde_json::json;

use self::split::Framing;
use super::{
    connect::ApiArgs,
    output,
    stop::{INTERRUPTED, Stop},
};
use crate::{
    client::{
        CallError, SendError, Sender, Totals,
        firehose::{Firehose, StreamOf},
        sender::Counters,
    },
    config::{ByteSize, Seconds},
};

/// Sends lines or files to a delivery stream, here or at AWS
///
/// Waits until each record is acknowledged. Records are lines by default. Every byte is kept, line ends too: the records glued together are the input.
/// Records that the stream refuses for now (throttling) are sent again, those alone, ever more slowly,
/// until all are in.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The delivery stream
    #[arg(value_name = "STREAM")]
    stream: String,

    /// Files to send, one after the other; `-` or none is standard input
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,

    /// What ends a record, and stays with it; escapes are \n \r \t \0 \\ \xHH
    #[arg(long, value_name = "TEXT", default_value = r"\n", value_parser = split::delimiter)]
    delimiter: Delimiter,

    /// Each file is one record (up to 1,024,000 bytes)
    #[arg(long, conflicts_with = "delimiter")]
    whole: bool,

    /// Batches on their way at once
    ///
    /// With 1, records keep their order; more are faster where the way is long.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    in_flight: u16,

    /// How long to go on while nothing at all is accepted
    #[arg(long, value_name = "SECONDS", default_value = "600")]
    give_up_after: Seconds,

    /// Prints the summary as JSON
    #[arg(long)]
    json: bool,

    /// No progress bar
    #[arg(long, short)]
    quiet: bool,

    #[command(flatten)]
    api: ApiArgs,
}

/// Bytes; an alias because clap takes `Vec` for a flag that may be repeated.
type Delimiter = std::vec::Vec<u8>;

pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let framing = if args.whole {
        Framing::Whole
    } else {
        Framing::Delimited(args.delimiter)
    };
    let inputs = source::inputs(&args.files)?;
    let firehose = args.api.connect().await?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let chance = Chance::from_os().context("the system has no randomness")?;
    let started = clock.monotonic();

    let bar = output::progress(source::total_bytes(&inputs), true, args.quiet || args.json);
    let sender = Sender {
        stream: StreamOf {
            firehose: firehose.clone(),
            name: args.stream.clone(),
        },
        in_flight: usize::from(args.in_flight),
        patience: args.give_up_after.0,
        clock: clock.clone(),
        chance,
        counters: Counters::default(),
    };
    let mut stop = Stop::listen()?;
    let sending = sender.send(source::stream(inputs, framing), |totals| {
        bar.set_position(totals.bytes);
        if totals.resent > 0 {
            bar.set_message(format!(
                "(throttled: {} sent again)",
                output::count(totals.resent)
            ));
        }
    });
    let sent = tokio::select! {
        sent = sending => Some(sent),
        _ = stop.requested() => None,
    };
    bar.finish_and_clear();
    let elapsed = clock.monotonic().saturating_sub(started);
    let totals = sender.totals();
    let complete = matches!(sent, Some(Ok(())));
    if args.json {
        output::line(summary_json(&args.stream, &totals, elapsed, complete))?;
    } else if complete {
        output::line(summary(&args.stream, &totals, elapsed))?;
    }
    match sent {
        Some(Ok(())) => Ok(ExitCode::SUCCESS),
        Some(Err(error)) => Err(explain(error, &firehose, &args.stream, &totals)),
        None => {
            eprintln!(
                "hydrant: interrupted; {} were acknowledged, those on their way may be stored too",
                output::counted(totals.records, "record")
            );
            Ok(ExitCode::from(INTERRUPTED))
        }
    }
}

fn summary(stream: &str, totals: &Totals, elapsed: Duration) -> String {
    let mut text = format!(
        "{} ({}) acknowledged by {stream} in {:.1} s: {} records/s",
        output::counted(totals.records, "record"),
        ByteSize(totals.bytes),
        elapsed.as_secs_f64(),
        output::count(output::rate(totals.records, elapsed)),
    );
    if totals.resent > 0 {
        text += &format!("; throttled, {} sent again", output::count(totals.resent));
    }
    if totals.unsure > 0 {
        text += &format!(
            "; {} sent again after a lost answer, so they may be stored twice",
            output::count(totals.unsure)
        );
    }
    if let Some(id) = &totals.last_id {
        text += &format!("\nlast RecordId: {id}");
    }
    text
}

fn summary_json(stream: &str, totals: &Totals, elapsed: Duration, complete: bool) -> String {
    json!({
        "stream": stream,
        "complete": complete,
        "records": totals.records,
        "bytes": totals.bytes,
        "calls": totals.calls,
        "resent": totals.resent,
        "unsure": totals.unsure,
        "last_record_id": totals.last_id,
        "seconds": elapsed.as_secs_f64(),
    })
    .to_string()
}

/// One line: what went wrong, what to do, and how much is in already.
fn explain(
    error: SendError<source::SourceError>,
    firehose: &Firehose,
    stream: &str,
    totals: &Totals,
) -> anyhow::Error {
    let advice = match &error {
        SendError::Call(CallError::Unreachable { detail, .. })
            if detail.contains("certificate") =>
        {
            "name a file with the certificates to trust in SSL_CERT_FILE".to_owned()
        }
        SendError::Call(CallError::Unreachable { .. }) => {
            "is a node running? Start one with `hydrant serve`, or name one with --endpoint"
                .to_owned()
        }
        SendError::Call(CallError::Lost { .. }) => {
            "is that the Firehose API, and is it http or https?".to_owned()
        }
        SendError::Call(refused) if refused.is("ResourceNotFoundException") => format!(
            "there is no ACTIVE stream {stream} in region {} at {}; `hydrant streams` lists them",
            firehose.region(),
            firehose.endpoint()
        ),
        _ => String::new(),
    };
    let mut text = error.to_string();
    if !advice.is_empty() {
        text = format!("{}; {advice}", text.trim_end_matches('.'));
    }
    if totals.records > 0 {
        text += &format!(
            "; the first {} acknowledged before that are stored",
            output::counted(totals.records, "record")
        );
    }
    anyhow::anyhow!(text)
}
