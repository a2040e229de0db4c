//! `hydrant serve`: runs a node until it is told to stop.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use anyhow::Context;
use clap::ValueHint;
use hydrant_engine::{Chance, SystemClock};
use rustix::process::{Resource, getrlimit, setrlimit};

use super::{log, output, stop::Stop};
use crate::{
    config::{Config, Settings},
    node::Node,
};

/// Runs a node: takes records over Firehose's API, keeps them on disk, delivers them
///
/// Every setting can be a flag, a HYDRANT_ variable, or a key of the config file (`max_interval` for
/// --max-interval); the first of these that names it holds. Keys and policies, buckets and quotas of
/// single streams are tables of the file alone: see docs/operations.md.
///
/// SIGTERM and SIGINT stop it within seconds. It loses nothing that it acknowledged, however it ends.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Config file (TOML)
    #[arg(long, env = "HYDRANT_CONFIG", value_name = "FILE", value_hint = ValueHint::FilePath)]
    config: Option<PathBuf>,

    #[command(flatten)]
    settings: Settings,
}

pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    // Before anything is started, so that no signal is missed.
    let mut stop = Stop::listen()?;
    let file = args.config.clone();
    let mut config = configure(args)?;
    log::start(&config.log_level, config.log_format)?;
    let file = file.filter(|_| config.holds_secrets());
    for secret in file.iter().chain(config.tls.as_ref().map(|tls| &tls.key)) {
        warn_if_exposed(secret);
    }
    config.open_files = raise_open_files();
    let clock = Arc::new(SystemClock::new());
    let chance = Chance::from_os().context("the system has no randomness")?;
    let node = Node::start(config, clock, chance).await?;
    // The line that scripts wait for.
    output::line(format!(
        "hydrant is ready: {} (admin {})",
        node.api_url(),
        node.admin_url()
    ))?;
    let signal = stop.requested().await;
    tracing::info!("{signal}: stopping; a second one stops at once");
    tokio::select! {
        stopped = node.stop() => stopped?,
        signal = stop.requested() => {
            tracing::warn!("{signal} again: not waiting; what was acknowledged is on disk");
            return Ok(ExitCode::FAILURE);
        }
    }
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}

fn configure(args: Args) -> anyhow::Result<Config> {
    let file = match &args.config {
        None => Settings::default(),
        Some(path) => {
            let name = path.display().to_string();
            let text = fs::read_to_string(path).with_context(|| name.clone())?;
            Settings::from_toml(&text, &name)?
        }
    };
    Ok(Config::resolve(args.settings.or(file))?)
}

/// The config file may hold secret keys, and a certificate's key is one. Whether others may read them is the operator's to
/// say, but not unknowingly.
fn warn_if_exposed(path: &Path) {
    // Who cannot be looked at is told of where it is read.
    let mode = fs::metadata(path).map_or(0, |metadata| metadata.permissions().mode());
    if mode & 0o004 != 0 {
        tracing::warn!(
            "{} may be read by everybody on this machine: chmod 600 it",
            path.display()
        );
    }
}

/// Each connection is an open file, and the usual limit of 1,024 is for programs that cannot count
/// higher. Takes what the system lets it have, and says how many that are; `None` is no limit.
fn raise_open_files() -> Option<u64> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "the limit on open files stays as it is");
    }
    getrlimit(Resource::Nofile).current
}

/// Every setting of `serve` as a Markdown table, for docs/operations.md; a test compares them.
pub fn settings_table() -> String {
    let command = super::command();
    let serve = command.find_subcommand("serve");
    let mut table = String::from("| flag | variable | default | meaning |\n|---|---|---|---|\n");
    for arg in serve.into_iter().flat_map(clap::Command::get_arguments) {
        let (Some(flag), Some(variable)) = (arg.get_long(), arg.get_env()) else {
            continue;
        };
        let value = arg.get_value_names().map(|names| names.join(" "));
        let help = arg.get_long_help().or(arg.get_help());
        let (meaning, default) = split_default(&help.map(ToString::to_string).unwrap_or_default());
        let row = [
            format!("`--{flag} {}`", value.unwrap_or_default()),
            format!("`{}`", variable.to_string_lossy()),
            default,
            meaning,
        ];
        table += &format!(
            "| {} |\n",
            row.map(|cell| cell.replace('|', "\\|")).join(" | ")
        );
    }
    table
}

/// A help text in one line, and the `[default: …]` that it holds.
fn split_default(help: &str) -> (String, String) {
    let (help, default) = match help.split_once("[default: ") {
        None => (help.to_owned(), String::new()),
        Some((before, rest)) => {
            let (default, after) = rest.split_once(']').unwrap_or((rest, ""));
            (format!("{}{after}", before.trim_end()), default.to_owned())
        }
    };
    // The first paragraph is a heading without a full stop.
    let paragraphs: Vec<String> = help
        .split("\n\n")
        .map(|paragraph| paragraph.replace('\n', " "))
        .filter(|paragraph| !paragraph.trim().is_empty())
        .collect();
    (paragraphs.join(". "), default)
}
