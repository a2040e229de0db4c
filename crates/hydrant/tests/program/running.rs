//! A node in a process of its own, and the other commands run against it.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::Arc,
};

use hydrant::{client::Firehose, sigv4::sign::Credentials};
use hydrant_engine::SystemClock;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

/// `hydrant`, with nothing of the caller's environment.
pub(crate) fn hydrant(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hydrant"));
    command.args(args).env_clear();
    command
}

/// Runs it to its end, with `input` on stdin.
pub(crate) fn run(args: &[&str], input: &[u8]) -> Output {
    let mut child = hydrant(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may refuse before it reads.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// A node that runs until it is dropped.
pub(crate) struct Running {
    child: Child,
    pub(crate) api: String,
    pub(crate) admin: String,
    pub(crate) data: PathBuf,
}

impl Running {
    /// `hydrant serve` on `data` and free ports.
    pub(crate) fn serve(data: &Path, more: &[&str]) -> Self {
        Running::serve_logging(data, more, "warn", Stdio::inherit())
    }

    /// As [`serve`](Self::serve), with what it logs at `level` written to `log`.
    pub(crate) fn serve_logging(
        data: &Path,
        more: &[&str],
        level: &str,
        log: impl Into<Stdio>,
    ) -> Self {
        let data_dir = data.to_str().unwrap();
        let mut child = hydrant(&["serve", "--data-dir", data_dir, "--listen", "127.0.0.1:0"])
            .args(more)
            .env("HYDRANT_LOG_LEVEL", level)
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut ready = String::new();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        output.read_line(&mut ready).unwrap();
        let urls = ready.trim().strip_prefix("hydrant is ready: ");
        let (api, admin) = urls
            .and_then(|urls| urls.strip_suffix(')')?.split_once(" (admin "))
            .unwrap_or_else(|| panic!("the node did not start: {ready:?}"));
        Running {
            api: api.to_owned(),
            admin: admin.to_owned(),
            data: data.to_owned(),
            child,
        }
    }

    pub(crate) fn firehose(&self) -> Firehose {
        let credentials = Credentials {
            access_key: "any".to_owned(),
            secret_key: "any".to_owned(),
            session_token: None,
        };
        let clock = Arc::new(SystemClock::new());
        Firehose::new(
            self.api.parse().unwrap(),
            "us-east-1",
            Arc::new(credentials),
            clock,
        )
        .unwrap()
    }

    /// A stream that delivers to the bucket of its own name, and only when it is flushed or full.
    pub(crate) async fn create(&self, stream: &str) {
        let firehose = self.firehose();
        let request = json!({
            "DeliveryStreamName": stream,
            "S3DestinationConfiguration": {
                "RoleARN": "arn:aws:iam::000000000000:role/r",
                "BucketARN": format!("arn:aws:s3:::{stream}"),
                "BufferingHints": { "SizeInMBs": 128, "IntervalInSeconds": 900 },
            },
        });
        firehose
            .call("CreateDeliveryStream", &request)
            .await
            .unwrap();
        while firehose.describe(stream).await.unwrap()["DeliveryStreamStatus"] != "ACTIVE" {
            tokio::task::yield_now().await;
        }
    }

    /// A command against this node.
    pub(crate) fn command(&self, args: &[&str], input: &[u8]) -> Output {
        let mut all = args.to_vec();
        let (flag, url) = match args[0] {
            "put" => ("--endpoint", &self.api),
            _ => ("--admin", &self.admin),
        };
        all.extend([flag, url]);
        run(&all, input)
    }

    /// As [`command`](Self::command), which must succeed; what it printed.
    pub(crate) fn succeed(&self, args: &[&str], input: &[u8]) -> String {
        let output = self.command(args, input);
        assert!(
            output.status.success(),
            "{args:?}: {}",
            text(&output.stderr)
        );
        text(&output.stdout).to_owned()
    }

    /// Delivers everything; the bucket's bytes in order of key.
    pub(crate) fn flushed(&self, stream: &str) -> Vec<u8> {
        self.succeed(&["flush", stream], b"");
        bucket(&self.data, stream)
    }

    /// Asks it to stop; how it ended.
    pub(crate) fn terminate(mut self) -> ExitStatus {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::TERM).unwrap();
        self.child.wait().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Every object of a directory bucket, glued together in order of key.
pub(crate) fn bucket(data: &Path, name: &str) -> Vec<u8> {
    let mut files = Vec::new();
    let mut directories = vec![data.join("buckets").join(name)];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path
                .file_name()
                .unwrap()
                .as_encoded_bytes()
                .starts_with(b".")
            {
                continue;
            }
            if path.is_dir() {
                directories.push(path);
            } else {
                files.push(path);
            }
        }
    }
    files.sort();
    files
        .iter()
        .flat_map(|file| fs::read(file).unwrap())
        .collect()
}

/// What a command printed with `--json`.
pub(crate) fn parsed(output: &str) -> Value {
    serde_json::from_str(output).unwrap_or_else(|error| panic!("{error}: {output}"))
}
