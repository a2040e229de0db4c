//! [`Settings`]: every setting, as flag, environment variable and key of the config file at once.
//!
//! One struct is all three, so that they cannot drift apart: the doc comment of a field is its help
//! text, the flag `--max-streams` is `HYDRANT_MAX_STREAMS` is `max_streams = …`. Every field is
//! optional here; [`Settings::or`] lays one source over another, and defaults come last, in
//! [`Config`](super::Config).

use std::{net::SocketAddr, path::PathBuf};

use clap::ValueHint;
use serde::Deserialize;

use super::{
    ConfigError,
    units::{ByteSize, Seconds},
};

/// What one source (flags and environment, or a file) sets.
#[derive(Clone, Debug, Default, Deserialize, clap::Args)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Directory for everything that must survive: log, catalog and, by default, buckets.
    /// One process at a time [default: hydrant-data]
    #[arg(long, env = "HYDRANT_DATA_DIR", value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub data_dir: Option<PathBuf>,

    /// Address of the Firehose API. Port 0 takes a free one, which the first line of output names.
    /// Other than loopback needs [[keys]] in the config file [default: 127.0.0.1:4573]
    #[arg(long, env = "HYDRANT_LISTEN", value_name = "ADDR")]
    pub listen: Option<SocketAddr>,

    /// Address of the admin port (health, metrics, and what `streams`, `flush` and `trace` ask)
    /// [default: loopback, the API's port + 1]
    #[arg(long, env = "HYDRANT_ADMIN_LISTEN", value_name = "ADDR")]
    pub admin_listen: Option<SocketAddr>,

    /// Lets the admin port listen on an address that is not loopback. It asks nobody for a password:
    /// whoever reaches it sees every stream's name and can flush it [default: false]
    #[arg(long, env = "HYDRANT_ADMIN_ALLOW_REMOTE", value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub admin_allow_remote: Option<bool>,

    /// Certificate chain (PEM) to serve the API over TLS with; needs --tls-key
    #[arg(long, env = "HYDRANT_TLS_CERT", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub tls_cert: Option<PathBuf>,

    /// Private key (PEM) of the certificate
    #[arg(long, env = "HYDRANT_TLS_KEY", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub tls_key: Option<PathBuf>,

    /// Throughput quotas of each stream and the number of streams: as Firehose had them in 2015
    /// (2,000 calls, 5,000 records and 5 MiB a second; 5 streams), or none [default: default]
    #[arg(long, env = "HYDRANT_QUOTAS", value_name = "default|unlimited")]
    pub quotas: Option<QuotaPreset>,

    /// Put calls a second and stream; 0 is no limit
    #[arg(long, env = "HYDRANT_CALLS_PER_SECOND", value_name = "N")]
    pub calls_per_second: Option<u64>,

    /// Records a second and stream; 0 is no limit
    #[arg(long, env = "HYDRANT_RECORDS_PER_SECOND", value_name = "N")]
    pub records_per_second: Option<u64>,

    /// Bytes a second and stream, for instance 5MiB; 0 is no limit
    #[arg(long, env = "HYDRANT_BYTES_PER_SECOND", value_name = "SIZE")]
    pub bytes_per_second: Option<ByteSize>,

    /// Streams for each account and region; 0 is no limit
    #[arg(long, env = "HYDRANT_MAX_STREAMS", value_name = "N")]
    pub max_streams: Option<u64>,

    /// Caps every stream's buffer interval, whatever its IntervalInSeconds says. For tests and CI,
    /// where nobody wants to wait 300 s [default: no cap]
    #[arg(long, env = "HYDRANT_MAX_INTERVAL", value_name = "SECONDS")]
    pub max_interval: Option<Seconds>,

    /// Every bucket is a bucket of this S3-compatible store (path style, region of the stream,
    /// credentials from the usual AWS variables and profiles) instead of a directory
    #[arg(long, env = "HYDRANT_S3_ENDPOINT", value_name = "URL", value_hint = ValueHint::Url)]
    pub s3_endpoint: Option<String>,

    /// What to log: error, warn, info, debug, trace, or a filter such as `info,hydrant::delivery=debug`
    /// [default: info]
    #[arg(long, env = "HYDRANT_LOG_LEVEL", value_name = "LEVEL")]
    pub log_level: Option<String>,

    /// How log lines look [default: text]
    #[arg(long, env = "HYDRANT_LOG_FORMAT", value_name = "text|json")]
    pub log_format: Option<LogFormat>,
}

/// `--quotas`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum QuotaPreset {
    /// As the founding document has them (SPEC §2.9).
    #[default]
    Default,
    /// No throttling and any number of streams.
    Unlimited,
}

/// `--log-format`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl Settings {
    /// The settings of a config file's text. `name` is for error messages.
    ///
    /// # Errors
    /// When the text is not TOML, a key is unknown or a value has the wrong type: names the key and
    /// the line.
    pub fn from_toml(text: &str, name: &str) -> Result<Self, ConfigError> {
        toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            ConfigError::File {
                name: name.to_owned(),
                line: text[..at.min(text.len())].matches('\n').count() + 1,
                detail: error.message().replace('\n', " "),
            }
        })
    }
}

impl Settings {
    /// These settings, and where they say nothing, those of `lower`.
    #[must_use]
    pub fn or(self, lower: Settings) -> Settings {
        // Naming every field makes the compiler notice a forgotten one.
        macro_rules! overlay {
            ($($field:ident),* $(,)?) => {
                Settings { $($field: self.$field.or(lower.$field)),* }
            };
        }
        overlay!(
            data_dir,
            listen,
            admin_listen,
            admin_allow_remote,
            tls_cert,
            tls_key,
            quotas,
            calls_per_second,
            records_per_second,
            bytes_per_second,
            max_streams,
            max_interval,
            s3_endpoint,
            log_level,
            log_format,
        )
    }
}
