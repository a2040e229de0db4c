//! Log lines on stderr. One event is one line, whatever strangers put into names and errors: control characters are written
//! out ([`printable`]), in JSON by JSON itself.

use std::{fmt::Debug, io::IsTerminal};

use anyhow::Context;
use tracing::{Dispatch, field::Field};
use tracing_subscriber::{
    EnvFilter, fmt,
    fmt::{
        MakeWriter,
        format::{FormatFields, Writer, debug_fn},
    },
    util::SubscriberInitExt,
};

use super::printable::printable;
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
    let ansi = std::io::stderr().is_terminal();
    subscriber(level, format, ansi, std::io::stderr)?
        .try_init()
        .map_err(|error| anyhow::anyhow!("logging could not be started: {error}"))
}

fn subscriber<W>(level: &str, format: LogFormat, ansi: bool, to: W) -> anyhow::Result<Dispatch>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let lines = fmt()
        .with_env_filter(filter(level)?)
        .with_writer(to)
        .with_ansi(ansi);
    Ok(match format {
        LogFormat::Text => lines
            .with_target(false)
            .fmt_fields(fields())
            .finish()
            .into(),
        LogFormat::Json => lines.json().flatten_event(true).finish().into(),
    })
}

/// The message, then `name=value` for all else, with nothing that ends the line or moves a terminal.
fn fields() -> impl for<'w> FormatFields<'w> + 'static {
    debug_fn(|line: &mut Writer<'_>, field: &Field, value: &dyn Debug| {
        let text = format!("{value:?}");
        match field.name() {
            "message" => write!(line, "{}", printable(&text, &[])),
            // Where in which library, of events that come from the `log` crate.
            name if name.starts_with("log.") => Ok(()),
            // The message comes first in every event.
            name => write!(line, " {name}={}", printable(&text, &[])),
        }
    })
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
    fn logged(level: &str, format: LogFormat, log: impl FnOnce()) -> String {
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
        let subscriber = subscriber(level, format, false, move || writer.clone()).unwrap();
        tracing::dispatcher::with_default(&subscriber, log);
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
            let lines = logged(level, LogFormat::Text, || {
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

    /// An error whose text a store has chosen.
    #[derive(Debug, thiserror::Error)]
    #[error("no\n2026-01-01T00:00:00Z  INFO forged\r\u{1b}[2J\u{9b}0m\u{2028}")]
    struct Forged;

    #[test]
    fn one_event_is_one_line_whatever_it_says() {
        let log = || {
            let error = Forged;
            let text = error.to_string();
            tracing::error!(%error, ?text, text, name = text.as_str(), "a message: {error}");
            tracing::warn!(error = &error as &dyn std::error::Error, "another");
            let span = tracing::info_span!("span", text = %error);
            span.in_scope(|| tracing::info!("within"));
        };
        let lines = logged("info", LogFormat::Text, log);
        assert_eq!(lines.lines().count(), 3, "{lines}");
        assert!(
            lines.contains(r"a message: no\n2026-01-01T00:00:00Z  INFO forged\r\u{1b}[2J"),
            "{lines}"
        );
        assert!(lines.contains(" error=no\\n2026"), "{lines}");
        let odd = |c: char| c != '\n' && (c.is_control() || c == '\u{2028}');
        assert!(!lines.contains(odd), "{lines:?}");

        let lines = logged("info", LogFormat::Json, log);
        assert_eq!(lines.lines().count(), 3, "{lines}");
        for line in lines.lines() {
            let event: serde_json::Value = serde_json::from_str(line).unwrap();
            assert!(event["level"].is_string(), "{line}");
        }
        assert!(!lines.contains(['\r', '\u{1b}']), "{lines:?}");
    }
}
