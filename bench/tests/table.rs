//! The table at a tiny scale, on a real node: every record that was acknowledged is delivered, or this fails.

#![allow(clippy::unwrap_used)]

use std::{path::Path, process::Command};

/// Enough requests that every connection has one.
const SCALE: &str = "0.004";

#[test]
fn rows_run_and_deliver_what_was_acknowledged() {
    let bench = Path::new(env!("CARGO_BIN_EXE_hydrant-bench"));
    let hydrant = bench.with_file_name("hydrant");
    assert!(hydrant.exists(), "{} is not built", hydrant.display());
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let json = dir.path().join("runs.json");
    let rows = [
        "batch-1k-gzip",
        "batch-250-gzip",
        "batch-1k-plain",
        "put-64",
        "put-1",
        "backlog",
        "cold-start",
        "floor",
    ];
    let done = Command::new(bench)
        .arg("table")
        .arg("--hydrant")
        .arg(&hydrant)
        .args(["--rounds", "1", "--scale", SCALE, "--json"])
        .arg(&json)
        .arg("--dir")
        .arg(dir.path())
        .args(rows.iter().flat_map(|row| ["--row", row]))
        .output()
        .unwrap();
    let (out, err) = (
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr),
    );
    assert!(done.status.success(), "{err}");
    for row in rows {
        assert!(
            out.contains(&format!("| {row} |")),
            "{row} is missing:\n{out}"
        );
    }
    let runs: serde_json::Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    assert_eq!(runs.as_array().unwrap().len(), rows.len());
    let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "data directories are removed: {left:?}");
}
