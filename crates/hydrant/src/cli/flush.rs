//! `hydrant flush`: deliver now.

use std::process::ExitCode;

use anyhow::{Context, bail};

use super::{connect::AdminArgs, output};
use crate::{client::admin::Admin, console::model::StreamStatus};

/// Delivers what a stream has buffered now
///
/// Does not wait for its size or interval hint; returns when it is delivered and, where the stream has a warehouse, its
/// rows are loaded. What arrives meanwhile is buffered as ever.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The delivery stream: NAME, or ACCOUNT/REGION/NAME where a name is there twice
    #[arg(value_name = "STREAM")]
    stream: String,

    /// Prints JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    admin: AdminArgs,
}

pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let admin = args.admin.connect()?;
    let stream = find(&admin, &args.stream).await?;
    let flushed = admin
        .flush(&stream.account, &stream.region, &stream.name)
        .await
        .with_context(|| {
            let (name, destination) = (&stream.name, &stream.destination);
            match stream.copy {
                Some(_) => format!("{name} is not all loaded into {destination}; nothing is lost"),
                None => {
                    format!("{name} is not delivered to {destination}; it is kept and tried again")
                }
            }
        })?;
    // What was in the bucket already, and is in the table now.
    let waited = stream.copy.as_ref().map_or(0, |copy| copy.objects);
    let objects = flushed.objects + waited;
    if args.json {
        output::line(serde_json::to_string(&flushed)?)?;
    } else if objects == 0 {
        output::line(format!("{}: nothing was waiting", stream.name))?;
    } else {
        let done = match stream.copy {
            Some(_) => "loaded into",
            None => "delivered to",
        };
        output::line(format!(
            "{}: {} {done} {}",
            stream.name,
            output::counted(objects, "object"),
            stream.destination
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The one stream that `wanted` names.
pub(super) async fn find(admin: &Admin, wanted: &str) -> anyhow::Result<StreamStatus> {
    let full = |s: &StreamStatus| format!("{}/{}/{}", s.account, s.region, s.name);
    let mut found = admin.streams().await?;
    found.retain(|s| s.name == wanted || full(s) == wanted);
    match found.len() {
        0 => bail!("there is no stream {wanted}; `hydrant streams` lists them"),
        1 => Ok(found.swap_remove(0)),
        _ => {
            let names: Vec<String> = found.iter().map(full).collect();
            bail!("which one: {}?", names.join(" or "))
        }
    }
}
