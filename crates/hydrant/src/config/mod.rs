//! Configuration: one TOML file, `HYDRANT_*` variables and flags become one [`Config`].
//!
//! ```text
//! flags > environment > file > default          Settings (optional fields) ─resolve→ Config (checked, complete)
//! ```
//!
//! * [`Settings`] is what a source says; [`Config`] is what holds. Only `Config` leaves this module.
//! * Nothing here reads the environment or a file: the command line does and hands over text.
//! * A key that is not known is an error that names it. A typo must not become a default.

pub mod buckets;
pub mod hosts;
pub mod loopback;
pub mod quotas;
pub mod settings;
pub mod units;

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

pub use buckets::{BucketRule, DirectoryRule, S3Rule};
pub use hosts::HostRule;
pub use loopback::is_loopback;
use quotas::limit;
pub use quotas::{Quotas, Throughput};
pub use settings::{LogFormat, QuotaPreset, RedshiftCredentials, Settings};
pub use units::{ByteSize, Seconds};

use crate::credentials::{Keyring, keyring::KeyringError};

/// Port of the API when none is named: the one that local Firehose stand-ins have long used.
pub const DEFAULT_PORT: u16 = 4573;
/// Port of the admin port when neither it nor the API's is named.
pub const DEFAULT_ADMIN_PORT: u16 = DEFAULT_PORT + 1;
/// Directory for data when none is named.
pub const DEFAULT_DATA_DIR: &str = "hydrant-data";

/// Pause between attempts at a COPY that is refused, when none is named: Firehose's own (SPEC §5.1).
pub const DEFAULT_COPY_RETRY_INTERVAL: Duration = Duration::from_secs(300);
/// The key that seals passwords, in the data directory, when no other file is named.
pub const DEFAULT_SECRET_KEY_FILE: &str = "secret.key";

/// Level of GZIP and ZIP when none is named: half of all processor time is compression, and higher levels
/// cost two to three times as much for a sixth less size.
pub const DEFAULT_GZIP_LEVEL: u32 = 1;

/// Everything that a node is told before it starts: complete and checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where everything lies that must survive.
    pub data_dir: PathBuf,
    /// Where the API listens.
    pub listen: SocketAddr,
    /// Where the admin port listens.
    pub admin_listen: SocketAddr,
    /// File of the token that the admin port asks for; without one it asks for nothing, and is then on loopback only.
    pub admin_token_file: Option<PathBuf>,
    /// Certificate and key of the API, and of the admin port beyond loopback; plain HTTP without.
    pub tls: Option<TlsFiles>,
    /// The keys that may call. None: the node is open, and then only on loopback.
    pub keyring: Keyring,
    /// How many streams there may be and what each may take.
    pub quotas: Quotas,
    /// What buckets' names mean; those that no rule matches are directories in the data directory.
    pub buckets: Vec<BucketRule>,
    /// Caps every stream's buffer interval.
    pub max_interval: Option<Duration>,
    /// Level of GZIP and ZIP, 1 to 9.
    pub gzip_level: u32,
    /// The most bytes that the log's files may take; `None` is what the disk has.
    pub max_log_bytes: Option<u64>,
    /// Bytes to leave free on the file system; `None` is the engine's default.
    pub min_free_bytes: Option<u64>,
    /// Pause between attempts at a COPY that is refused.
    pub copy_retry_interval: Duration,
    /// Whose word lets Redshift read the intermediate bucket.
    pub redshift_credentials: RedshiftCredentials,
    /// PEM file of what databases' certificates are checked against; `None` is the system's.
    pub database_ca: Option<PathBuf>,
    /// The databases that streams may name; `None` is any.
    pub database_hosts: Option<Vec<HostRule>>,
    /// The key that seals passwords; `None` is [`DEFAULT_SECRET_KEY_FILE`] in the data directory.
    pub secret_key_file: Option<PathBuf>,
    /// What to log.
    pub log_level: String,
    /// How log lines look.
    pub log_format: LogFormat,
    /// How many files the process may have open; `None` is no limit that is known. Not a setting: the system's.
    pub open_files: Option<u64>,
}

/// Where certificate and key lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// Certificate chain, PEM.
    pub cert: PathBuf,
    /// Private key, PEM.
    pub key: PathBuf,
}

/// Why a configuration cannot hold; each names the setting and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The config file's text is wrong.
    #[error("{name}, line {line}: {detail}")]
    File {
        /// The file's name.
        name: String,
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        detail: String,
    },
    /// A `[[keys]]` table is wrong.
    #[error("[[keys]]: {0}")]
    Keys(#[from] KeyringError),
    /// Settings that do not go together or are not safe.
    #[error("{0}")]
    Refused(String),
}

impl Config {
    /// Fills in defaults and checks what must fit together.
    ///
    /// # Errors
    /// [`ConfigError::Refused`] with the setting's name and what to do about it.
    pub fn resolve(settings: Settings) -> Result<Self, ConfigError> {
        let quotas = quotas(&settings);
        let mut buckets = settings.buckets;
        buckets.extend(settings.s3_endpoint.map(every_bucket_at));
        let listen = settings
            .listen
            .unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, DEFAULT_PORT)));
        let admin_listen = settings
            .admin_listen
            .unwrap_or_else(|| admin_beside(listen));
        let config = Config {
            data_dir: settings.data_dir.unwrap_or_else(|| DEFAULT_DATA_DIR.into()),
            listen,
            admin_listen,
            admin_token_file: settings.admin_token_file,
            tls: tls(settings.tls_cert, settings.tls_key)?,
            keyring: Keyring::new(settings.keys)?,
            quotas,
            buckets,
            max_interval: settings.max_interval.map(|seconds| seconds.0),
            gzip_level: gzip_level(settings.gzip_level)?,
            max_log_bytes: settings.max_log_bytes.map(|size| size.0),
            min_free_bytes: settings.min_free_bytes.map(|size| size.0),
            copy_retry_interval: settings
                .copy_retry_interval
                .map_or(DEFAULT_COPY_RETRY_INTERVAL, |seconds| seconds.0),
            redshift_credentials: settings.redshift_credentials.unwrap_or_default(),
            database_ca: settings.database_ca,
            database_hosts: settings.database_hosts,
            secret_key_file: settings.secret_key_file,
            log_level: settings.log_level.unwrap_or_else(|| "info".to_owned()),
            log_format: settings.log_format.unwrap_or_default(),
            open_files: None,
        };
        if config.keyring.is_open() && !listen.ip().is_loopback() {
            return Err(ConfigError::Refused(format!(
                "listen = {listen} is not loopback and there are no keys: whoever reaches it could read \
                 and change every stream. Declare [[keys]] in the config file, or listen on 127.0.0.1:{}",
                listen.port()
            )));
        }
        let mut lacking = Vec::new();
        lacking.extend(
            config
                .admin_token_file
                .is_none()
                .then_some("admin_token_file"),
        );
        lacking.extend(config.tls.is_none().then_some("tls_cert and tls_key"));
        if !admin_listen.ip().is_loopback() && !lacking.is_empty() {
            return Err(ConfigError::Refused(format!(
                "admin_listen = {admin_listen} is not loopback: there the admin port needs a token and TLS. Set {}, or \
                 listen on 127.0.0.1:{}",
                lacking.join(", "),
                admin_listen.port()
            )));
        }
        Ok(config)
    }
}

impl Config {
    /// Whether secrets came with it: keys of callers or of stores.
    pub fn holds_secrets(&self) -> bool {
        let secret = |rule: &BucketRule| match rule {
            BucketRule::S3(rule) => rule.secret_access_key.is_some(),
            BucketRule::Directory(_) => false,
        };
        !self.keyring.is_open() || self.buckets.iter().any(secret)
    }
}

/// The flag is checked by clap; the config file's key here.
fn gzip_level(level: Option<u32>) -> Result<u32, ConfigError> {
    match level.unwrap_or(DEFAULT_GZIP_LEVEL) {
        level @ 1..=9 => Ok(level),
        level => Err(ConfigError::Refused(format!(
            "gzip_level is {level}: it must be 1 to 9"
        ))),
    }
}

/// `--s3-endpoint`: comes after every rule of the file.
fn every_bucket_at(endpoint: String) -> BucketRule {
    match endpoint.as_str() {
        "aws" => BucketRule::every_bucket_at_aws(),
        _ => BucketRule::every_bucket_at(endpoint),
    }
}

/// The preset, changed by what is set one by one.
fn quotas(settings: &Settings) -> Quotas {
    let preset = match settings.quotas.unwrap_or_default() {
        QuotaPreset::Default => Quotas::DEFAULT,
        QuotaPreset::Unlimited => Quotas::UNLIMITED,
    };
    Quotas {
        streams: limit(settings.max_streams, preset.streams),
        throughput: Throughput {
            calls: limit(settings.calls_per_second, preset.throughput.calls),
            records: limit(settings.records_per_second, preset.throughput.records),
            bytes: limit(
                settings.bytes_per_second.map(|size| size.0),
                preset.throughput.bytes,
            ),
        },
        overrides: settings.stream_quotas.clone(),
    }
}

/// Loopback, one port up. A free port beside a free port.
fn admin_beside(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        ip if ip.is_loopback() => ip,
        IpAddr::V4(_) | IpAddr::V6(_) => Ipv4Addr::LOCALHOST.into(),
    };
    let port = match listen.port() {
        0 => 0,
        port => port.checked_add(1).unwrap_or(DEFAULT_ADMIN_PORT),
    };
    SocketAddr::new(ip, port)
}

fn tls(cert: Option<PathBuf>, key: Option<PathBuf>) -> Result<Option<TlsFiles>, ConfigError> {
    match (cert, key) {
        (None, None) => Ok(None),
        (Some(cert), Some(key)) => Ok(Some(TlsFiles { cert, key })),
        (Some(_), None) => Err(ConfigError::Refused(
            "tls_cert without tls_key: name the certificate's private key too".to_owned(),
        )),
        (None, Some(_)) => Err(ConfigError::Refused(
            "tls_key without tls_cert: name the certificate too".to_owned(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str =
        "[[keys]]\naccess_key = 'AK'\nsecret_key = 'secret'\naccount = '111111111111'";

    fn file(text: &str) -> Settings {
        Settings::from_toml(text, "hydrant.toml").unwrap()
    }

    #[test]
    fn a_gzip_level_out_of_range_is_refused_wherever_it_stands() {
        let settings = Settings::from_toml("gzip_level = 10", "f").unwrap();
        let refused = Config::resolve(settings).unwrap_err().to_string();
        assert_eq!(refused, "gzip_level is 10: it must be 1 to 9");
        let settings = Settings::from_toml("gzip_level = 6", "f").unwrap();
        assert_eq!(Config::resolve(settings).unwrap().gzip_level, 6);
    }

    #[test]
    fn what_is_said_first_holds() {
        let flags = Settings {
            listen: Some(([127, 0, 0, 1], 1).into()),
            ..Settings::default()
        };
        let file = file("listen = '127.0.0.1:2'\nmax_interval = '2s'\nquotas = 'unlimited'");
        let merged = flags.or(file);
        assert_eq!(merged.listen, Some(([127, 0, 0, 1], 1).into()));
        assert_eq!(merged.quotas, Some(QuotaPreset::Unlimited));
        let config = Config::resolve(merged).unwrap();
        assert_eq!(config.max_interval, Some(Duration::from_secs(2)));
        assert_eq!(config.admin_listen.port(), 2, "beside the API's");
    }

    #[test]
    fn defaults() {
        let config = Config::resolve(Settings::default()).unwrap();
        assert_eq!(config.listen.to_string(), "127.0.0.1:4573");
        assert_eq!(config.admin_listen.to_string(), "127.0.0.1:4574");
        assert_eq!(config.data_dir, PathBuf::from("hydrant-data"));
        assert_eq!(config.quotas, Quotas::DEFAULT);
        let config = Config::resolve(file(&format!("listen = '0.0.0.0:80'\n{KEY}"))).unwrap();
        assert_eq!(config.admin_listen.to_string(), "127.0.0.1:81");
    }

    #[test]
    fn a_typo_is_named() {
        let error = Settings::from_toml("\nlisen = '127.0.0.1:1'", "h.toml").unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("h.toml, line 2:"), "{text}");
        assert!(text.contains("`lisen`"), "{text}");
        let error = Settings::from_toml("bytes_per_second = 'fast'", "h.toml").unwrap_err();
        assert!(error.to_string().contains("fast"), "{error}");
        let error = Settings::from_toml("listen = 'example.com:80'", "h.toml").unwrap_err();
        assert!(error.to_string().contains("not IP:PORT"), "{error}");
        let local = file("listen = 'localhost:81'").listen;
        assert_eq!(local, Some(([127, 0, 0, 1], 81).into()));
    }

    #[test]
    fn without_keys_loopback_alone() {
        let error = Config::resolve(file("listen = '0.0.0.0:80'")).unwrap_err();
        assert!(error.to_string().contains("[[keys]]"), "{error}");
        assert!(Config::resolve(file("listen = '[::1]:80'")).is_ok());
        let twice = Config::resolve(file(&format!("{KEY}\n{KEY}"))).unwrap_err();
        assert!(twice.to_string().contains("AK"), "{twice}");
        let config = Config::resolve(file(KEY)).unwrap();
        assert!(!format!("{config:?}").contains("secret'"), "{config:?}");
    }

    #[test]
    fn database_hosts_are_a_list_and_an_empty_one_is_none() {
        let hosts = |text: &str| Config::resolve(file(text)).unwrap().database_hosts;
        assert_eq!(hosts(""), None);
        assert_eq!(hosts("database_hosts = []"), Some(Vec::new()));
        let two = hosts("database_hosts = ['db.internal:5432', '*.example.com']").unwrap();
        assert!(two[0].matches("db.internal", 5432) && two[1].matches("a.example.com", 1));
        let wrong = Settings::from_toml("database_hosts = ['*']", "f").unwrap_err();
        assert!(wrong.to_string().contains("HOST:PORT"), "{wrong}");
    }

    #[test]
    fn quotas_one_by_one() {
        let config = Config::resolve(file(
            "quotas = 'unlimited'\nrecords_per_second = 10\n[[stream_quotas]]\nstream = 'big'\ncalls_per_second = 7",
        ))
        .unwrap();
        let other = config.quotas.throughput_of("other");
        assert_eq!((other.calls, other.records), (None, Some(10)));
        assert_eq!(config.quotas.throughput_of("big").calls, Some(7));
        let lifted = Config::resolve(file("max_streams = 0")).unwrap();
        assert_eq!(lifted.quotas.streams, None);
    }

    #[test]
    fn beyond_loopback_the_admin_port_needs_a_token_and_tls() {
        const TOKEN: &str = "admin_token_file = 't'\n";
        const TLS: &str = "tls_cert = 'c'\ntls_key = 'k'\n";
        for listen in ["0.0.0.0:9", "192.168.0.7:9", "[::]:9"] {
            let resolve =
                |more: &str| Config::resolve(file(&format!("admin_listen = '{listen}'\n{more}")));
            for (more, lacks) in [
                ("", "Set admin_token_file, tls_cert and tls_key,"),
                (TOKEN, "Set tls_cert and tls_key,"),
                (TLS, "Set admin_token_file,"),
            ] {
                let refused = resolve(more).unwrap_err().to_string();
                assert!(refused.contains(lacks), "{refused}");
            }
            resolve(&format!("{TOKEN}{TLS}")).unwrap();
        }
        Config::resolve(file(TOKEN)).unwrap();
    }

    #[test]
    fn half_a_certificate_is_refused() {
        let error = Config::resolve(file("tls_cert = 'a.pem'")).unwrap_err();
        assert!(error.to_string().contains("tls_key"), "{error}");
    }
}
