//! The guard against becoming slower: how many instructions the node takes for a byte of record data, counted by valgrind.
//!
//! Time and even processor time differ twofold from one shared machine to the next, and from one hour to the next.
//! Instructions do not: two runs differ by less than one in a hundred. What they leave out is the kernel's work and waiting.
//!
//! A node runs twice, with few requests and with many; the difference is what requests cost, without start and end.
//! valgrind has no SHA instructions, so that the count has a larger share of SHA-256 than a machine.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};

use crate::{
    load::{
        self, Load,
        body::{Recipe, bodies},
    },
    node::{Node, configure},
    suite::{
        rows::{USUAL, Workload},
        run::Bench,
    },
};

/// What a row may cost more than what is committed.
const MARGIN: f64 = 1.25;
/// Of a row that costs so much less, the committed figure should be lowered.
const SLACK: f64 = 0.8;

/// A row, and the two numbers of requests.
struct Row {
    name: &'static str,
    workload: Workload,
    few: u64,
    many: u64,
}

fn rows() -> [Row; 3] {
    let one = Workload {
        connections: 1,
        ..USUAL
    };
    let mut plain = one.clone();
    plain.hints.gzip = false;
    let put = Workload {
        batch: 1,
        ..plain.clone()
    };
    let row = |name, workload, few, many| Row {
        name,
        workload,
        few,
        many,
    };
    [
        row("batch-1k-gzip", one, 10, 50),
        row("batch-1k-plain", plain, 10, 50),
        row("put", put, 100, 1100),
    ]
}

/// Counts every row and holds it to `committed`, a file of names and figures; with `write` it writes that instead.
pub(crate) fn run(bench: &Bench, hydrant: &Path, committed: &Path, write: bool) -> Result<()> {
    let mut found = Vec::new();
    for row in rows() {
        let few = count(bench, hydrant, &row.workload, row.few)?;
        let many = count(bench, hydrant, &row.workload, row.many)?;
        let request_bytes = (row.workload.batch * row.workload.record_bytes) as f64;
        let bytes = (row.many - row.few) as f64 * request_bytes;
        found.push((row.name, (many - few) / bytes));
    }
    if write {
        let text: String = found
            .iter()
            .map(|(name, count)| format!("{name} {count:.2}\n"))
            .collect();
        return fs::write(committed, text).with_context(|| committed.display().to_string());
    }
    let text = fs::read_to_string(committed).with_context(|| committed.display().to_string())?;
    let mut slower = Vec::new();
    for (name, count) in found {
        let before = figure(&text, name)?;
        let ratio = count / before;
        let verdict = match ratio {
            _ if ratio > MARGIN => "TOO MANY",
            _ if ratio < SLACK => "fewer: write the new figure with --write",
            _ => "as before",
        };
        println!("{name}: {count:.2} instructions per byte, {ratio:.2} of {before:.2}: {verdict}");
        if ratio > MARGIN {
            slower.push(name);
        }
    }
    ensure!(
        slower.is_empty(),
        "{} take more instructions than {} allows; if that must be, say why and write new figures with --write",
        slower.join(", "),
        committed.display()
    );
    Ok(())
}

/// A row's figure in the committed file.
fn figure(text: &str, name: &str) -> Result<f64> {
    let line = text.lines().find_map(|line| {
        let (row, figure) = line.split_once(' ')?;
        (row == name).then_some(figure)
    });
    let figure = line.with_context(|| format!("there is no figure of {name}"))?;
    Ok(figure.trim().parse()?)
}

/// Instructions of a whole run of a node that gets and delivers so many requests.
fn count(bench: &Bench, hydrant: &Path, workload: &Workload, requests: u64) -> Result<f64> {
    let dir = bench.fresh()?;
    configure(dir.path(), &bench.sink.url())?;
    let out: PathBuf = dir.path().join("callgrind.out");
    let valgrind = [
        "valgrind".to_owned(),
        "--tool=callgrind".to_owned(),
        format!("--callgrind-out-file={}", out.display()),
    ];
    let streams = workload.streams();
    let (bodies, _) = bodies(&Recipe {
        kind: workload.kind,
        record_bytes: workload.record_bytes,
        batch: workload.batch,
        bodies: 4,
        streams: streams.clone(),
        seed: 1,
    });
    let node = Node::start_under(&valgrind, hydrant, dir.path())?;
    node.create(&streams, workload.hints)?;
    load::run(&Load {
        endpoint: node.api.clone(),
        signer: node.signer(),
        bodies,
        connections: workload.connections,
        requests,
        pace: workload.pace,
    })?;
    node.drain(&streams)?;
    node.stop()?;
    bench.sink.take();
    total(&fs::read_to_string(&out).with_context(|| out.display().to_string())?)
}

/// The sum in callgrind's output.
fn total(out: &str) -> Result<f64> {
    let total = out.lines().find_map(|line| {
        let totals = line.strip_prefix("totals:");
        totals.or_else(|| line.strip_prefix("summary:"))
    });
    let total = total.context("valgrind's output has no total")?;
    Ok(total.trim().parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read() {
        assert_eq!(figure("a 1.50\nab 2\n", "ab").unwrap(), 2.0);
        assert!(figure("a 1.50\n", "b").is_err());
        assert_eq!(total("events: Ir\nsummary: 12345\n").unwrap(), 12345.0);
        assert!(total("events: Ir\n").is_err());
    }
}
