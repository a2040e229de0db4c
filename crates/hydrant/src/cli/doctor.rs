//! `hydrant doctor`: is a stopped node's data directory healthy?

use std::{collections::HashMap, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::Context;
use clap::ValueHint;
use hydrant_engine::{
    Clock, EngineConfig, EngineParts, LaneId, SystemClock,
    doctor::{Doctor, Finding, Repaired, Severity},
};
use serde_json::{Value, json};

use super::{output, printable::printable};
use crate::{
    config::{ByteSize, DEFAULT_DATA_DIR},
    node::doctor::{self, Examination, Surroundings},
};

/// Checks the data directory of a node that is stopped, and repairs what can be repaired
///
/// Reads every byte once: each frame, index, checkpoint and format version. Says what is damaged, what is lost by it and what is
/// not, and what to do; exits with 0 when nothing is damaged, else 1. Without --repair nothing on the disk is changed.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The data directory [default: hydrant-data]
    #[arg(long, env = "HYDRANT_DATA_DIR", value_name = "DIR", value_hint = ValueHint::DirPath)]
    data_dir: Option<PathBuf>,

    /// Key that seals database passwords in the catalog [default: secret.key in the data directory]
    #[arg(long, env = "HYDRANT_SECRET_KEY_FILE", value_name = "FILE", value_hint = ValueHint::FilePath)]
    secret_key_file: Option<PathBuf>,

    /// Repairs what can be repaired
    ///
    /// What is changed or removed is kept in DATA_DIR/set-aside/TIME. Copy the directory first if there is room.
    #[arg(long)]
    repair: bool,

    /// Prints JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    // One long read of the disk, with nothing beside it.
    tokio::task::spawn_blocking(move || check(&args)).await?
}

fn check(args: &Args) -> anyhow::Result<ExitCode> {
    let data_dir = args.data_dir.clone();
    let data_dir = data_dir.unwrap_or_else(|| DEFAULT_DATA_DIR.into());
    let parts = EngineParts::system().context("the system has no randomness")?;
    let doctor = Doctor::begin(EngineConfig::new(&data_dir), parts)?;
    let now = SystemClock::new().now();
    let around = Surroundings {
        data_dir,
        key_file: args.secret_key_file.clone(),
        now,
    };
    let (found, took) = examine(&doctor, &around)?;
    let mut healthy = found.is_healthy();
    let mut repaired = None;
    let mut after = None;
    if args.repair && !found.repairs().is_empty() {
        repaired = Some(doctor::repair(&doctor, &found, now)?);
        let (again, _) = examine(&doctor, &around)?;
        healthy = again.is_healthy();
        after = Some(again);
    }
    if args.json {
        let told = json!({
            "healthy": healthy,
            "findings": findings_json(&found),
            "repair": repaired.as_ref().map(repaired_json),
            "findings_after": after.as_ref().map(findings_json),
            "segments": found.diagnosis.segments,
            "frames": found.diagnosis.frames,
            "values": found.diagnosis.values,
            "streams": found.streams.len(),
            "bytes": found.diagnosis.bytes,
        });
        output::line(told)?;
    } else {
        tell(&found, took)?;
        if let (Some(repaired), Some(after)) = (&repaired, &after) {
            tell_repaired(repaired, after)?;
        }
        output::line(verdict(args, &found, after.as_ref()))?;
    }
    Ok(match healthy {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// Examines, with a bar on stderr where somebody looks.
fn examine(doctor: &Doctor, around: &Surroundings) -> anyhow::Result<(Examination, Duration)> {
    let clock = SystemClock::new();
    let begun = clock.monotonic();
    let bar = output::progress(Some(0), true, false);
    let mut progress = |done, of| {
        bar.set_length(of);
        bar.set_position(done);
    };
    let found = doctor::examine(doctor, around, &mut progress);
    bar.finish_and_clear();
    Ok((found?, clock.monotonic().saturating_sub(begun)))
}

fn tell(found: &Examination, took: Duration) -> anyhow::Result<()> {
    let diagnosis = &found.diagnosis;
    let values = match diagnosis.values {
        Some(values) => output::counted(values, "value"),
        None => "no value".to_owned(),
    };
    output::line(format!(
        "read {} in {:.1} s: {} with {}; {} of {} in the catalog",
        ByteSize(diagnosis.bytes),
        took.as_secs_f64(),
        output::counted(diagnosis.segments as u64, "segment"),
        output::counted(diagnosis.frames, "sound frame"),
        values,
        output::counted(found.streams.len() as u64, "stream"),
    ))?;
    for finding in &diagnosis.findings {
        output::line(told(finding, &found.streams))?;
    }
    Ok(())
}

/// A finding in a few lines, each with one thing to say. Names in a directory that is damaged may be anything.
fn told(finding: &Finding, streams: &HashMap<LaneId, String>) -> String {
    let found = finding.to_string();
    let mut text = format!("{}: {}", finding.severity.as_str(), printable(&found, &[]));
    let mut add = |what: &str, words: &str| {
        if !words.is_empty() {
            text.push_str(&format!("\n  {what}: {}", printable(words, &[])));
        }
    };
    let stream = finding.lane.and_then(|lane| streams.get(&lane));
    add("stream", stream.map(String::as_str).unwrap_or_default());
    add("lost", &finding.lost);
    add("do", &finding.remedy);
    let repair = finding.repair.as_ref().map(ToString::to_string);
    add("--repair would", &repair.unwrap_or_default());
    text
}

fn tell_repaired(repaired: &Repaired, after: &Examination) -> anyhow::Result<()> {
    output::line(format!(
        "repaired: {}",
        output::counted(repaired.done.len() as u64, "thing")
    ))?;
    if let Some(kept) = &repaired.set_aside {
        output::line(format!(
            "what was changed or removed is kept in {}; remove it when all is well",
            kept.display()
        ))?;
    }
    for finding in &after.diagnosis.findings {
        if finding.severity > Severity::Note {
            output::line(format!("left: {}", told(finding, &after.streams)))?;
        }
    }
    Ok(())
}

fn verdict(args: &Args, found: &Examination, after: Option<&Examination>) -> String {
    let now = after.unwrap_or(found);
    if now.is_healthy() {
        return match after {
            Some(_) => "healthy now".to_owned(),
            None => "healthy".to_owned(),
        };
    }
    let bad = now.diagnosis.findings.iter();
    let bad = bad.filter(|finding| finding.severity > Severity::Note);
    let count = output::counted(bad.count() as u64, "finding");
    let next = match (now.repairs().is_empty(), args.repair) {
        (true, _) => "a repair can do nothing about them",
        (false, false) => "copy the directory if there is room, then run this again with --repair",
        (false, true) => "run this again with --repair",
    };
    format!("not healthy: {count}; {next}")
}

fn findings_json(found: &Examination) -> Vec<Value> {
    let one = |finding: &Finding| {
        json!({
            "severity": finding.severity.as_str(),
            "file": finding.place.display().to_string(),
            "offset": finding.offset,
            "key": finding.key,
            "lane": finding.lane,
            "stream": finding.lane.and_then(|lane| found.streams.get(&lane)),
            "first_position": finding.positions.map(|(first, _)| first),
            "last_position": finding.positions.map(|(_, last)| last),
            "what": finding.what,
            "lost": finding.lost,
            "do": finding.remedy,
            "repair": finding.repair.as_ref().map(ToString::to_string),
        })
    };
    found.diagnosis.findings.iter().map(one).collect()
}

fn repaired_json(repaired: &Repaired) -> Value {
    json!({
        "done": repaired.done.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "set_aside": repaired.set_aside.as_ref().map(|path| path.display().to_string()),
    })
}
