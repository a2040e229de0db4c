//! `hydrant copy`: load a manifest now.

use std::process::ExitCode;

use anyhow::{Context, anyhow};

use super::{connect::AdminArgs, flush, output};

/// Loads a manifest into a stream's warehouse, such as one that was given up
///
/// Runs one COPY of the objects that the manifest names, with the stream's present table, options and password, and says how
/// many rows came of it. `hydrant streams --json` names the manifests that were given up. Into PostgreSQL nothing is
/// loaded twice: objects that were loaded before are skipped.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// s3://BUCKET/KEY, or a key in the stream's bucket
    #[arg(value_name = "MANIFEST")]
    manifest: String,

    /// The delivery stream: NAME, or ACCOUNT/REGION/NAME where a name is there twice [default: the one in the
    /// manifest's name]
    #[arg(long, value_name = "STREAM")]
    stream: Option<String>,

    /// Prints JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    admin: AdminArgs,
}

pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let wanted = match args.stream.as_deref() {
        Some(stream) => stream,
        None => stream_of(&args.manifest).ok_or_else(|| {
            anyhow!(
                "{} does not end in STREAM-yyyy-MM-dd-HH-mm-ss-UUID: name the stream with --stream",
                args.manifest
            )
        })?,
    };
    let admin = args.admin.connect()?;
    let stream = flush::find(&admin, wanted).await?;
    let copied = admin
        .copy(&stream, &args.manifest)
        .await
        .with_context(|| format!("not loaded into {}", stream.destination))?;
    if args.json {
        output::line(serde_json::to_string(&copied)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut told = match copied.rows {
        Some(rows) => output::counted(rows, "row"),
        None => "all rows".to_owned(),
    };
    told.push_str(&format!(" loaded into {}", copied.destination));
    if copied.rejected > 0 {
        told.push_str(&format!(
            ", {} rejected",
            output::counted(copied.rejected, "row")
        ));
    }
    if copied.skipped > 0 {
        told.push_str(&format!(
            ", {} skipped that had been loaded before",
            output::counted(copied.skipped, "object")
        ));
    }
    output::line(format!("{}: {told}", stream.name))?;
    Ok(ExitCode::SUCCESS)
}

/// The stream whose manifest has this key: `…/STREAM-yyyy-MM-dd-HH-mm-ss-UUID`.
fn stream_of(manifest: &str) -> Option<&str> {
    const DATE: &str = "-yyyy-MM-dd-HH-mm-ss";
    const UUID: &str = "-xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
    let name = manifest.rsplit('/').next()?;
    let (name, uuid) = name.split_at_checked(name.len().checked_sub(UUID.len())?)?;
    let (name, date) = name.split_at_checked(name.len().checked_sub(DATE.len())?)?;
    let shaped = |text: &str, like: &str, fits: fn(&char) -> bool| {
        text.chars()
            .zip(like.chars())
            .all(|(c, like)| if like == '-' { c == '-' } else { fits(&c) })
    };
    let is_manifest = !name.is_empty()
        && shaped(uuid, UUID, char::is_ascii_hexdigit)
        && shaped(date, DATE, char::is_ascii_digit);
    is_manifest.then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_is_in_the_name_of_its_manifest() {
        let tail = "2019-09-26-13-21-49-56371982-2375-4b28-8d79-45f01952667e";
        for stream in ["s", "collect-redshift", "a.b_c-2019-09-26-13-21-49"] {
            for place in [
                "s3://b/p/errors/manifests/2019/09/26/13/",
                "errors/manifests/",
                "",
            ] {
                let manifest = format!("{place}{stream}-{tail}");
                assert_eq!(stream_of(&manifest), Some(stream), "{manifest}");
            }
        }
        for other in [
            "",
            "s3://b/m",
            "s3://b/é",
            tail,
            &format!("-{tail}"),
            &format!("s-{tail}0"),
        ] {
            assert_eq!(stream_of(other), None, "{other}");
        }
    }
}
