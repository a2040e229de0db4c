//! The command line: the only place that reads the environment, prints, and knows exit codes.
//!
//! | exit code | means |
//! |---|---|
//! | 0 | done, as asked |
//! | 1 | not done; one line on stderr says why and what to do. Of `doctor` also: something is damaged |
//! | 2 | the arguments are wrong |
//! | 130 | interrupted |
//!
//! Results go to stdout, everything else (progress, logs, errors) to stderr, so that output can be
//! piped. A reader that closes the pipe early is no error.

mod connect;
mod copy;
mod demo;
mod doctor;
mod flush;
mod log;
mod output;
mod printable;
mod put;
mod serve;
mod stop;
mod streams;
mod trace;

use std::{io, process::ExitCode};

use clap::{CommandFactory, Parser, Subcommand};

use printable::printable;
pub use serve::settings_table;

/// Amazon Kinesis Firehose that you run yourself.
#[derive(Debug, Parser)]
#[command(
    name = "hydrant",
    version,
    about,
    after_help = "Begin with `hydrant demo`: it starts a node, sends it log lines and proves that every one arrives.",
    max_term_width = 100,
    arg_required_else_help = true
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    // The help of each stands with its arguments.
    Serve(Box<serve::Args>),
    Demo(demo::Args),
    Put(put::Args),
    Streams(streams::Args),
    Flush(flush::Args),
    Trace(trace::Args),
    Copy(copy::Args),
    Doctor(doctor::Args),
}

/// Reads the arguments, does what they say, and gives the exit code.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli) {
        Ok(code) => code,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hydrant: {}", printable(&one_line(&error), &[]));
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let done = runtime.block_on(async {
        match cli.command {
            Command::Serve(args) => serve::run(*args).await,
            Command::Demo(args) => demo::run(args).await,
            Command::Put(args) => put::run(args).await,
            Command::Streams(args) => streams::run(args).await,
            Command::Flush(args) => flush::run(args).await,
            Command::Trace(args) => trace::run(args).await,
            Command::Copy(args) => copy::run(args).await,
            Command::Doctor(args) => doctor::run(args).await,
        }
    });
    // Somebody may still read from a terminal in a blocking thread: do not wait for it.
    runtime.shutdown_background();
    done
}

/// An error and its causes. Errors of libraries often repeat their cause's words; nobody needs them twice.
fn one_line(error: &anyhow::Error) -> String {
    let mut line = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !line.contains(&cause) {
            line.push_str(": ");
            line.push_str(&cause);
        }
    }
    line
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    })
}

/// The whole command line, for tests of its help.
pub fn command() -> clap::Command {
    Cli::command()
}
