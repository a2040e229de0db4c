//! Subcommands and their options.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::records::Kind;

/// What a Hydrant node costs: load, table of targets, comparison of two builds, and the floor beneath.
#[derive(Debug, Parser)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Puts records into a delivery stream of a running node, and reports what that cost.
    Load(LoadArgs),
    /// Runs every row on nodes of its own and prints the table with targets.
    Table(TableArgs),
    /// Runs rows with two builds in turn (A B A B) and prints the ratios.
    Compare(CompareArgs),
    /// Measures the bare parts without a node.
    Floor(Common),
    /// Only the S3 endpoint, which keeps objects in memory.
    Sink {
        /// Where to listen.
        #[arg(long, default_value = "127.0.0.1:9900")]
        listen: String,
    },
    /// Only the HTTP server of the floor, which answers puts and keeps nothing.
    Answer,
    /// Varies one parameter at a time and writes a CSV for bench/plot.py.
    Sweep(SweepArgs),
    /// Counts instructions with valgrind and fails where they are many more than those that are committed.
    Guard(GuardArgs),
}

/// What all that start nodes have in common.
#[derive(Clone, Debug, Args)]
pub(crate) struct Common {
    /// Share of the usual amount: 0.1 is a quick look.
    #[arg(long, default_value_t = 1.0)]
    pub(crate) scale: f64,
    /// Data directories are made in here, and removed; its disk is what is measured.
    #[arg(long, default_value = "bench-data")]
    pub(crate) dir: PathBuf,
}

/// Which rows.
#[derive(Clone, Debug, Args)]
pub(crate) struct Chosen {
    /// Only this row, or these; `floor` is one, too. All without it.
    #[arg(long = "row")]
    pub(crate) rows: Vec<String>,
    /// GB of records behind the dead endpoint of row `backlog`, at scale 1.
    #[arg(long, default_value_t = 2.0)]
    pub(crate) backlog_gb: f64,
}

#[derive(Debug, Args)]
pub(crate) struct TableArgs {
    /// The program to measure.
    #[arg(long)]
    pub(crate) hydrant: PathBuf,
    /// How often each row runs.
    #[arg(long, default_value_t = 3)]
    pub(crate) rounds: usize,
    #[command(flatten)]
    pub(crate) chosen: Chosen,
    #[command(flatten)]
    pub(crate) common: Common,
    /// Every run's figures go here.
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct CompareArgs {
    /// One build.
    #[arg(long)]
    pub(crate) a: PathBuf,
    /// The other one.
    #[arg(long)]
    pub(crate) b: PathBuf,
    /// How often each runs.
    #[arg(long, default_value_t = 5)]
    pub(crate) rounds: usize,
    #[command(flatten)]
    pub(crate) chosen: Chosen,
    #[command(flatten)]
    pub(crate) common: Common,
}

#[derive(Debug, Args)]
pub(crate) struct SweepArgs {
    /// The program to measure.
    #[arg(long)]
    pub(crate) hydrant: PathBuf,
    /// The CSV file.
    #[arg(long)]
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) common: Common,
}

#[derive(Debug, Args)]
pub(crate) struct GuardArgs {
    /// The program to measure: a release build.
    #[arg(long)]
    pub(crate) hydrant: PathBuf,
    /// The file of figures to hold it to.
    #[arg(long, default_value = "bench/instructions.txt")]
    pub(crate) figures: PathBuf,
    /// Writes the file instead.
    #[arg(long)]
    pub(crate) write: bool,
    #[command(flatten)]
    pub(crate) common: Common,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct LoadArgs {
    /// The node's API address.
    #[arg(long, default_value = "127.0.0.1:4573")]
    pub(crate) endpoint: String,
    /// The node's admin address; with it the run goes on until everything is delivered.
    #[arg(long)]
    pub(crate) admin: Option<String>,
    /// The node's process id; with it the report has CPU, memory and bytes written.
    #[arg(long)]
    pub(crate) pid: Option<u32>,
    /// The delivery stream, which must be ACTIVE.
    #[arg(long)]
    pub(crate) stream: String,
    /// Connections, each with one request at a time.
    #[arg(long, default_value_t = 4)]
    pub(crate) connections: usize,
    /// Records in a request; 1 means PutRecord.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u16).range(1..=500))]
    pub(crate) batch: u16,
    /// Bytes in a record.
    #[arg(long, default_value_t = 1024)]
    pub(crate) record_bytes: usize,
    /// What the records are.
    #[arg(long, value_enum, default_value_t = Kind::Clicks)]
    pub(crate) kind: Kind,
    /// Requests in all.
    #[arg(long, default_value_t = 2000)]
    pub(crate) requests: u64,
    /// Seconds between the requests of one connection's start and the next one's; 0 is as fast as answers come.
    #[arg(long, default_value_t = 0.0)]
    pub(crate) pace: f64,
    /// Open loop: requests due each second over all connections; latency counts from when a request is due.
    #[arg(long, conflicts_with = "pace")]
    pub(crate) rate: Option<f64>,
    /// Access key.
    #[arg(long, default_value = "000000000000")]
    pub(crate) access_key: String,
    /// Secret key.
    #[arg(long, default_value = "any")]
    pub(crate) secret_key: String,
    /// Region of the credential scope.
    #[arg(long, default_value = "us-east-1")]
    pub(crate) region: String,
    /// Seed of the records.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
}
