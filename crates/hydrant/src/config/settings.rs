//! [`Settings`]: every setting, as flag, environment variable and key of the config file at once.
//!
//! One struct is all three, so that they cannot drift apart: the doc comment of a field is its help
//! text, the flag `--max-streams` is `HYDRANT_MAX_STREAMS` is `max_streams = …`. Every field is
//! optional here; [`Settings::or`] lays one source over another, and defaults come last, in
//! [`Config`](super::Config).

use std::{net::SocketAddr, path::PathBuf};

use clap::ValueHint;
use serde::{Deserialize, Deserializer, de};

use super::{
    ConfigError,
    buckets::BucketRule,
    hosts::HostRule,
    quotas::Override,
    units::{ByteSize, Seconds},
};
use crate::credentials::Key;

/// What one source (flags and environment, or a file) sets.
#[derive(Clone, Debug, Default, Deserialize, clap::Args)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Directory for everything that must survive [default: hydrant-data]
    ///
    /// Log, catalog and, by default, buckets. One process at a time.
    #[arg(long, env = "HYDRANT_DATA_DIR", value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub data_dir: Option<PathBuf>,

    /// Address of the Firehose API [default: 127.0.0.1:4573]
    ///
    /// Port 0 takes a free one, which the first line on stdout names. Any address but loopback needs
    /// `[[keys]]` in the config file.
    #[arg(long, env = "HYDRANT_LISTEN", value_name = "ADDR", value_parser = address)]
    #[serde(deserialize_with = "some_address")]
    pub listen: Option<SocketAddr>,

    /// Address of the admin port [default: loopback, the API's port + 1]
    ///
    /// It serves health, metrics, and what `streams`, `flush`, `trace` and `copy` ask. Any address but loopback needs
    /// --admin-token-file and --tls-cert.
    #[arg(long, env = "HYDRANT_ADMIN_LISTEN", value_name = "ADDR", value_parser = address)]
    #[serde(deserialize_with = "some_address")]
    pub admin_listen: Option<SocketAddr>,

    /// File with the token that the admin port asks for [default: it asks for nothing]
    ///
    /// Of mode 0600, 16 characters or more. `streams`, `flush`, `trace` and `copy` are told of it in the same way; others send it
    /// as `Authorization: Bearer TOKEN`. `/livez` and `/readyz` need none.
    #[arg(long, env = "HYDRANT_ADMIN_TOKEN_FILE", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub admin_token_file: Option<PathBuf>,

    /// Certificate chain (PEM) to serve the API over TLS with, and the admin port beyond loopback; needs --tls-key
    #[arg(long, env = "HYDRANT_TLS_CERT", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub tls_cert: Option<PathBuf>,

    /// Private key (PEM) of the certificate
    #[arg(long, env = "HYDRANT_TLS_KEY", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub tls_key: Option<PathBuf>,

    /// Quotas: as Firehose had them in 2015, or none [default: default]
    ///
    /// As in 2015 a stream takes 2,000 calls, 5,000 records and 5 MiB a second, and there are 5 streams in
    /// each account and region. The four settings below change single numbers.
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

    /// Caps every stream's buffer interval [default: no cap]
    ///
    /// Whatever its IntervalInSeconds says, which stays as it is. For tests and CI, where nobody wants
    /// to wait 300 s.
    #[arg(long, env = "HYDRANT_MAX_INTERVAL", value_name = "SECONDS")]
    pub max_interval: Option<Seconds>,

    /// Level of GZIP and ZIP, 1 (fast) to 9 (small) [default: 1]
    #[arg(long, env = "HYDRANT_GZIP_LEVEL", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=9))]
    pub gzip_level: Option<u32>,

    /// The most disk that undelivered records may take [default: what there is, less min_free_bytes]
    ///
    /// For instance 50GiB. Beyond it puts fail with ServiceUnavailableException until delivery has given
    /// space back; what was acknowledged is not at risk.
    #[arg(long, env = "HYDRANT_MAX_LOG_BYTES", value_name = "SIZE")]
    pub max_log_bytes: Option<ByteSize>,

    /// What to leave free on the data directory's file system [default: 256 MiB]
    #[arg(long, env = "HYDRANT_MIN_FREE_BYTES", value_name = "SIZE")]
    pub min_free_bytes: Option<ByteSize>,

    /// Every bucket is one of this S3-compatible store instead of a directory
    ///
    /// Path style, the stream's region, credentials from the usual AWS variables and profiles. `aws` is
    /// Amazon's own S3. Buckets that a `[[buckets]]` rule of the config file names are as the rule says.
    #[arg(long, env = "HYDRANT_S3_ENDPOINT", value_name = "URL")]
    pub s3_endpoint: Option<String>,

    /// Pause between attempts at a COPY that the warehouse refuses [default: 300]
    ///
    /// Firehose's own is five minutes. What may pass by itself, such as a lost connection, is tried sooner.
    #[arg(long, env = "HYDRANT_COPY_RETRY_INTERVAL", value_name = "SECONDS")]
    pub copy_retry_interval: Option<Seconds>,

    /// Whose word lets Redshift read the intermediate bucket [default: keys]
    ///
    /// `keys` puts the bucket's credentials, temporary ones where a role is assumed, into the COPY statement; `role` names
    /// the stream's RoleARN there, which must be attached to the cluster.
    #[arg(long, env = "HYDRANT_REDSHIFT_CREDENTIALS", value_name = "keys|role")]
    pub redshift_credentials: Option<RedshiftCredentials>,

    /// Certificates (PEM) that databases' certificates are checked against [default: those of the system]
    #[arg(long, env = "HYDRANT_DATABASE_CA", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub database_ca: Option<PathBuf>,

    /// The databases that streams may name in ClusterJDBCURL [default: any]
    ///
    /// Comma-separated in a flag, a list in the file. `*.example.com` is every name that ends so. A stream for another one is
    /// refused; the COPYs of one that is older fail.
    #[arg(
        long,
        env = "HYDRANT_DATABASE_HOSTS",
        value_name = "HOST[:PORT],…",
        value_delimiter = ','
    )]
    pub database_hosts: Option<Vec<HostRule>>,

    /// Key that seals database passwords in the catalog [default: secret.key in the data directory]
    ///
    /// Made at the first start, of mode 0600. Without it stored passwords cannot be used.
    #[arg(long, env = "HYDRANT_SECRET_KEY_FILE", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub secret_key_file: Option<PathBuf>,

    /// What to log: error, warn, info, debug or trace [default: info]
    ///
    /// Or a filter for single modules, such as `info,hydrant::delivery=debug`.
    #[arg(long, env = "HYDRANT_LOG_LEVEL", value_name = "LEVEL")]
    pub log_level: Option<String>,

    /// How log lines look [default: text]
    #[arg(long, env = "HYDRANT_LOG_FORMAT", value_name = "text|json")]
    pub log_format: Option<LogFormat>,

    /// The access keys that may call; without any, the node is open and on loopback only.
    #[arg(skip)]
    pub keys: Vec<Key>,

    /// What buckets' names mean; the first rule that matches holds.
    #[arg(skip)]
    pub buckets: Vec<BucketRule>,

    /// Other throughput quotas for the streams whose name matches.
    #[arg(skip)]
    pub stream_quotas: Vec<Override>,
}

/// `--quotas`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum QuotaPreset {
    /// As Firehose had them in 2015.
    #[default]
    Default,
    /// No throttling and any number of streams.
    Unlimited,
}

/// `--redshift-credentials`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum RedshiftCredentials {
    /// `aws_access_key_id=…;aws_secret_access_key=…;token=…`.
    #[default]
    Keys,
    /// `aws_iam_role=…`.
    Role,
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
                Settings {
                    $($field: self.$field.or(lower.$field),)*
                    keys: first_given(self.keys, lower.keys),
                    buckets: first_given(self.buckets, lower.buckets),
                    stream_quotas: first_given(self.stream_quotas, lower.stream_quotas),
                }
            };
        }
        overlay!(
            data_dir,
            listen,
            admin_listen,
            admin_token_file,
            tls_cert,
            tls_key,
            quotas,
            calls_per_second,
            records_per_second,
            bytes_per_second,
            max_streams,
            max_interval,
            gzip_level,
            max_log_bytes,
            min_free_bytes,
            s3_endpoint,
            copy_retry_interval,
            redshift_credentials,
            database_ca,
            database_hosts,
            secret_key_file,
            log_level,
            log_format,
        )
    }
}

/// `127.0.0.1:4573`, `[::1]:4573` or `localhost:4573`. No other names: what a name resolves to may
/// change, and with it who can reach the node.
fn address(text: &str) -> Result<SocketAddr, String> {
    let numeric = match text.strip_prefix("localhost:") {
        Some(port) => format!("127.0.0.1:{port}"),
        None => text.to_owned(),
    };
    numeric
        .parse()
        .map_err(|_| format!("{text:?} is not IP:PORT, as 127.0.0.1:4573 or [::1]:4573 are"))
}

fn some_address<'de, D: Deserializer<'de>>(from: D) -> Result<Option<SocketAddr>, D::Error> {
    address(&String::deserialize(from)?)
        .map(Some)
        .map_err(de::Error::custom)
}

/// Tables come whole from one source.
fn first_given<T>(upper: Vec<T>, lower: Vec<T>) -> Vec<T> {
    if upper.is_empty() { lower } else { upper }
}
