//! Log lines on stderr.

use std::io::IsTerminal;

use anyhow::Context;
use tracing_subscriber::{EnvFilter, fmt};

use crate::config::LogFormat;

/// What others tell at `info` and Hydrant tells in its own words.
const QUIET: &str = "object_store=warn,aws_config=warn,tokio_postgres=warn";
/// What the database client tells and nobody may read: statements, of which a COPY for Redshift holds an access key; their
/// parameters, among which are lines that users load; and the server's notices, which may repeat either and have no end.
const NEVER: [&str; 3] = [
    "tokio_postgres::simple_query=info",
    "tokio_postgres::query=info",
    "tokio_postgres::connection=warn",
];

/// Starts logging, for the rest of the process.
pub(crate) fn start(level: &str, format: LogFormat) -> anyhow::Result<()> {
    let lines = fmt()
        .with_env_filter(filter(level)?)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let started = match format {
        LogFormat::Text => lines.with_target(false).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("logging could not be started: {error}"))
}

fn filter(level: &str) -> anyhow::Result<EnvFilter> {
    // A filter that names modules is taken as it is.
    let single = !level.contains(['=', ',']);
    let filter = match single && level.eq_ignore_ascii_case("info") {
        true => format!("{level},{QUIET}"),
        false => level.to_owned(),
    };
    let mut filter = EnvFilter::try_new(filter).with_context(|| format!("log_level {level:?}"))?;
    for never in NEVER {
        filter = filter.add_directive(never.parse()?);
    }
    Ok(filter)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// What is logged by `log` under the filter of `level`.
    fn logged(level: &str, log: impl FnOnce()) -> String {
        #[derive(Clone, Default)]
        struct Lines(Arc<Mutex<Vec<u8>>>);
        impl std::io::Write for Lines {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                self.0.lock().unwrap().extend(bytes);
                Ok(bytes.len())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = fmt()
            .with_env_filter(filter(level).unwrap())
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, log);
        String::from_utf8(lines.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn statements_are_never_logged() {
        for level in [
            "trace",
            "tokio_postgres=debug",
            "info,tokio_postgres::simple_query=trace",
            "info,tokio_postgres::connection=trace,tokio_postgres::query=trace",
        ] {
            let lines = logged(level, || {
                tracing::debug!(target: "tokio_postgres::simple_query", "COPY … hush");
                tracing::debug!(target: "tokio_postgres::query", "a row: hush");
                tracing::info!(target: "tokio_postgres::connection", "NOTICE: hush");
                tracing::error!(target: "tokio_postgres::connection", "told");
            });
            assert!(
                lines.contains("told") && !lines.contains("hush"),
                "{level}: {lines}"
            );
        }
    }
}
