//! A node as a child process: its configuration, its start and end, its streams, and what it used.

pub(crate) mod admin;
pub(crate) mod device;
pub(crate) mod process;

use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use hydrant_engine::{Clock, SystemClock};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use self::process::Cost;
use crate::{
    http,
    pause::until,
    sign::{self, Signer, sha256},
};

const ACCESS_KEY: &str = "AKIDBENCH";
const SECRET_KEY: &str = "bench/secret+key";
const ACCOUNT: &str = "123456789012";
const REGION: &str = "us-east-1";
/// Longest wait for a node to do as it was told.
const LONGEST: Duration = Duration::from_secs(120);

/// A stream's destination.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hints {
    pub(crate) gzip: bool,
    /// `SizeInMBs`.
    pub(crate) megabytes: u32,
    /// `IntervalInSeconds`.
    pub(crate) seconds: u32,
}

/// A running node; killed when dropped.
#[derive(Debug)]
pub(crate) struct Node {
    child: Child,
    /// Address of the API, `HOST:PORT`.
    pub(crate) api: String,
    /// Address of the admin port.
    pub(crate) admin: String,
    /// From exec to the line that says it is ready.
    pub(crate) ready_after: Duration,
}

/// Writes `dir`'s config file: signatures verified, no quotas, all buckets at `endpoint`.
pub(crate) fn configure(dir: &Path, endpoint: &str) -> Result<()> {
    let text = format!(
        r#"quotas = "unlimited"

[[keys]]
access_key = "{ACCESS_KEY}"
secret_key = "{SECRET_KEY}"
account = "{ACCOUNT}"

[[buckets]]
match = "*"
type = "s3"
endpoint = "{endpoint}"
region = "{REGION}"
access_key_id = "sink"
secret_access_key = "sink-secret"
"#
    );
    fs::write(config_of(dir), text)?;
    Ok(())
}

fn config_of(dir: &Path) -> PathBuf {
    dir.join("hydrant.toml")
}

impl Node {
    /// Starts `binary` on `dir`, which is configured, and waits until it is ready.
    pub(crate) fn start(binary: &Path, dir: &Path) -> Result<Node> {
        Node::start_under(&[], binary, dir)
    }

    /// As [`start`](Self::start), as an argument of `wrapper`, a command.
    pub(crate) fn start_under(wrapper: &[String], binary: &Path, dir: &Path) -> Result<Node> {
        let clock = SystemClock::new();
        let log = File::options()
            .create(true)
            .append(true)
            .open(dir.join("node.log"))?;
        let mut command = match wrapper.split_first() {
            Some((wrapper, arguments)) => {
                let mut command = Command::new(wrapper);
                command.args(arguments).arg(binary);
                command
            }
            None => Command::new(binary),
        };
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            if name.starts_with("AWS_")
                || name.starts_with("HYDRANT_")
                || name.to_lowercase().ends_with("_proxy")
            {
                command.env_remove(name);
            }
        }
        command
            .arg("serve")
            .arg("--config")
            .arg(config_of(dir))
            .arg("--data-dir")
            .arg(dir.join("data"))
            .args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"])
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log);
        let started = clock.monotonic();
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {} {}", wrapper.join(" "), binary.display()))?;
        let mut node = Node {
            child,
            api: String::new(),
            admin: String::new(),
            ready_after: Duration::ZERO,
        };
        let stdout = node.child.stdout.take().context("no stdout")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        node.ready_after = clock.monotonic() - started;
        let Some((api, admin)) = addresses(&line) else {
            let log = fs::read_to_string(dir.join("node.log")).unwrap_or_default();
            bail!("the node did not start: {line}{log}");
        };
        (node.api, node.admin) = (api, admin);
        Ok(node)
    }

    /// Signs as the key that the node knows.
    pub(crate) fn signer(&self) -> Signer {
        Signer::new(ACCESS_KEY, SECRET_KEY, REGION, &self.api)
    }

    /// One API request, and its answer.
    pub(crate) fn call(&self, operation: &str, body: &serde_json::Value) -> Result<String> {
        let body = body.to_string();
        let hash = sha256(body.as_bytes());
        let target = format!("Firehose_20150804.{operation}");
        let now = SystemClock::new().now();
        let mut request = sign::head(&self.signer(), &target, &hash, body.len(), now);
        request.extend_from_slice(body.as_bytes());
        let (status, text) = http::ask(&self.api, &request)?;
        ensure!(status == 200, "{operation}: {status}: {text}");
        Ok(text)
    }

    /// Creates `streams` and waits until all are ACTIVE.
    pub(crate) fn create(&self, streams: &[String], hints: Hints) -> Result<()> {
        for stream in streams {
            let compression = if hints.gzip { "GZIP" } else { "UNCOMPRESSED" };
            let destination = json!({
                "RoleARN": format!("arn:aws:iam::{ACCOUNT}:role/firehose"),
                "BucketARN": format!("arn:aws:s3:::{stream}"),
                "CompressionFormat": compression,
                "BufferingHints": {"SizeInMBs": hints.megabytes, "IntervalInSeconds": hints.seconds},
            });
            let request =
                json!({"DeliveryStreamName": stream, "S3DestinationConfiguration": destination});
            self.call("CreateDeliveryStream", &request)?;
        }
        let all = || Ok(admin::active(&self.admin)? == streams.len());
        until(
            "all streams are ACTIVE",
            Duration::from_millis(20),
            LONGEST,
            all,
        )
    }

    /// Delivers everything that waits.
    pub(crate) fn drain(&self, streams: &[String]) -> Result<()> {
        for stream in streams {
            admin::flush(&self.admin, ACCOUNT, REGION, stream)?;
        }
        let none = || Ok(admin::backlog(&self.admin, |_| true)? == 0);
        until(
            "everything is delivered",
            Duration::from_millis(10),
            LONGEST,
            none,
        )
    }

    /// What it used so far.
    pub(crate) fn cost(&self) -> Result<Cost> {
        process::cost(self.child.id())
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// SIGTERM, and waits for its end, which must be a good one.
    pub(crate) fn stop(mut self) -> Result<()> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.context("no process id")?, Signal::TERM)?;
        let mut ended = None;
        until("the node stops", Duration::from_millis(10), LONGEST, || {
            ended = self.child.try_wait()?;
            Ok(ended.is_some())
        })?;
        ensure!(
            ended.is_some_and(|it| it.success()),
            "the node ended badly: {ended:?}"
        );
        Ok(())
    }

    /// SIGKILL, and waits until it is gone.
    pub(crate) fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// API and admin address in the line that says the node is ready.
fn addresses(line: &str) -> Option<(String, String)> {
    let mut urls = line.split("http://").skip(1);
    let mut next = || {
        let url = urls.next()?;
        let end = url.find([' ', ')', '/', '\n']).unwrap_or(url.len());
        Some(url[..end].to_owned())
    };
    Some((next()?, next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ready_line_has_both_addresses() {
        let line = "hydrant is ready: http://127.0.0.1:4573 (admin http://127.0.0.1:4574)\n";
        let both = ("127.0.0.1:4573".to_owned(), "127.0.0.1:4574".to_owned());
        assert_eq!(addresses(line), Some(both));
        assert_eq!(addresses("error: no\n"), None);
    }
}
