//! What an operator is told in the log when a node starts.

use std::path::Path;

use hydrant_engine::local::RecoveryReport;

use super::{BUCKETS_DIR, open_files::OpenFiles};
use crate::{
    api::ServerLimits,
    config::{BucketRule, ByteSize, Config, Quotas, quotas::Throughput},
    credentials::Vault,
    stream::Registry,
};

/// Streams that are named in one line; more are only counted.
const NAMED: usize = 10;

/// What a node is, at a glance.
#[derive(Debug)]
pub(super) struct Glance<'a> {
    pub(super) config: &'a Config,
    pub(super) api_url: &'a str,
    pub(super) admin_url: &'a str,
    pub(super) streams: usize,
    pub(super) disk_bytes: u64,
}

impl Glance<'_> {
    pub(super) fn log(&self) {
        let config = self.config;
        tracing::info!("API on {}; admin port on {}", self.api_url, self.admin_url);
        if config.keyring.is_open() {
            tracing::info!(
                "security: open, on loopback only; any access key is accepted, signed or not. \
                 Declare [[keys]] to close it"
            );
        } else {
            tracing::info!("security: every request must be signed by one of the configured keys");
            if config.tls.is_none() && !config.listen.ip().is_loopback() {
                tracing::warn!(
                    "security: the API is served without TLS: what clients send can be read on its way, and sent \
                     again for 5 minutes. Set tls_cert and tls_key, or let something in front speak TLS"
                );
            }
        }
        tracing::info!("quotas: {}", quotas_told(&config.quotas));
        for told in buckets_told(config) {
            tracing::info!("{told}");
        }
        if let Some(cap) = config.max_interval {
            tracing::info!("every buffer interval is capped at {} s", cap.as_secs_f64());
        }
        if self.streams > 0 {
            tracing::info!(
                "{} delivery stream{}, {} of log on disk",
                self.streams,
                if self.streams == 1 { "" } else { "s" },
                ByteSize(self.disk_bytes)
            );
        }
    }
}

/// Says which streams have a password that the key file does not open: it was lost, or is another node's. They go on
/// delivering into their buckets, and cannot load.
pub(super) fn log_lost_passwords(registry: &Registry, vault: &Vault, key_file: &Path) {
    let streams = registry.all();
    let lost: Vec<String> = streams
        .iter()
        .filter(|stream| {
            stream.destination.redshift().is_some_and(|spec| {
                let opened = vault.unseal(&spec.password, &stream.key.to_string());
                opened.is_err()
            })
        })
        .map(|stream| stream.key.to_string())
        .collect();
    if lost.is_empty() {
        return;
    }
    let more = match lost.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    tracing::error!(
        "the key file {} does not open the passwords of {}{more}: nothing is loaded for them until it is restored, or \
         UpdateDestination sets their passwords again",
        key_file.display(),
        lost.iter()
            .take(NAMED)
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join(", ")
    );
}

/// Where objects go, a line for each rule and one for what no rule names.
fn buckets_told(config: &Config) -> Vec<String> {
    let default = config.data_dir.join(BUCKETS_DIR);
    let directory = |path: &Path| format!("directories in {}", path.display());
    let mut told = Vec::new();
    for rule in &config.buckets {
        let place = match rule {
            BucketRule::Directory(rule) => directory(rule.path.as_deref().unwrap_or(&default)),
            BucketRule::S3(rule) => match &rule.endpoint {
                Some(endpoint) => format!("buckets of {endpoint}"),
                None => "buckets of Amazon S3".to_owned(),
            },
        };
        told.push(format!("buckets {}: {place}", rule.pattern()));
        if rule.pattern() == "*" {
            return told;
        }
    }
    let others = if told.is_empty() {
        "buckets"
    } else {
        "other buckets"
    };
    told.push(format!("{others}: {}", directory(&default)));
    told
}

fn quotas_told(quotas: &Quotas) -> String {
    let Throughput {
        calls,
        records,
        bytes,
    } = quotas.throughput;
    let mut rates = Vec::new();
    rates.extend(calls.map(|calls| format!("{calls} calls")));
    rates.extend(records.map(|records| format!("{records} records")));
    rates.extend(bytes.map(|bytes| ByteSize(bytes).to_string()));
    let throughput = if rates.is_empty() {
        "no limit on a stream's throughput".to_owned()
    } else {
        format!("{} a second for each stream", rates.join(", "))
    };
    let streams = match quotas.streams {
        Some(streams) => format!("{streams} streams in each account and region"),
        None => "any number of streams".to_owned(),
    };
    let overrides = match quotas.overrides.len() {
        0 => String::new(),
        _ => "; other numbers for the streams that [[stream_quotas]] name".to_owned(),
    };
    format!("{throughput}; {streams}{overrides}")
}

/// That clients get fewer connections than they might, and what to do about it.
pub(super) fn log_open_files(limit: Option<u64>, share: OpenFiles) {
    let wanted = ServerLimits::default().connections;
    if let Some(limit) = limit
        && share.connections < wanted
    {
        tracing::warn!(
            "this process may open {limit} files, so it serves {} connections at a time and others wait; raise the limit \
             (LimitNOFILE, ulimit -Hn) for up to {wanted}",
            share.connections
        );
    }
}

/// What was found on disk, and what is wrong with it.
pub(super) fn log_recovery(directory: &Path, report: &RecoveryReport) {
    let directory = directory
        .canonicalize()
        .unwrap_or_else(|_| directory.to_owned());
    tracing::info!(
        "data in {}: opened in {:.0?}, {} frames wait to be delivered",
        directory.display(),
        report.took,
        report.frames,
    );
    if let Some(torn) = &report.torn_tail {
        tracing::info!(
            "cut what a crash left unacknowledged at the end of the log: {} from byte {}",
            torn.file.display(),
            torn.offset
        );
    }
    for damage in &report.damage {
        tracing::error!("the log is damaged, its disk may be failing: {damage}");
    }
    if report.damaged_lane_records > 0 {
        tracing::error!(
            records = report.damaged_lane_records,
            "records of deletions are damaged: data of a deleted stream may be back"
        );
    }
}
