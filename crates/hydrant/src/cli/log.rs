//! Log lines on stderr.

use std::io::IsTerminal;

use anyhow::Context;
use tracing_subscriber::{EnvFilter, fmt};

use crate::config::LogFormat;

/// What others tell at `info` and Hydrant tells in its own words.
const QUIET: &str = "object_store=warn,aws_config=warn";

/// Starts logging, for the rest of the process.
pub(crate) fn start(level: &str, format: LogFormat) -> anyhow::Result<()> {
    // A filter that names modules is taken as it is.
    let single = !level.contains(['=', ',']);
    let filter = match single && level.eq_ignore_ascii_case("info") {
        true => format!("{level},{QUIET}"),
        false => level.to_owned(),
    };
    let filter = EnvFilter::try_new(filter).with_context(|| format!("log_level {level:?}"))?;
    let lines = fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let started = match format {
        LogFormat::Text => lines.with_target(false).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("logging could not be started: {error}"))
}
