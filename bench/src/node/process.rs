//! What the kernel says a process has used.

use std::fs;

use anyhow::{Context, Result};

/// Clock ticks per second in `/proc/PID/stat`: fixed by Linux's ABI.
const TICKS: f64 = 100.0;

/// A process's use of the machine so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cost {
    /// User plus system time, seconds.
    pub(crate) cpu: f64,
    /// Resident memory at its highest, bytes.
    pub(crate) peak_rss: u64,
    /// Resident memory now, bytes.
    pub(crate) rss: u64,
    /// Bytes that it made dirty in the page cache. More than a device gets where the page cache works in pieces larger
    /// than a page: see [`device`](super::device).
    pub(crate) written: u64,
}

/// Reads the cost of process `pid`.
pub(crate) fn cost(pid: u32) -> Result<Cost> {
    let read = |file: &str| {
        let path = format!("/proc/{pid}/{file}");
        fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))
    };
    let stat = read("stat")?;
    // The command name may hold spaces and brackets; the numbers begin after the last bracket.
    let after = stat.rsplit(')').next().unwrap_or_default();
    let fields: Vec<&str> = after.split_whitespace().collect();
    let ticks = |index: usize| {
        fields
            .get(index)
            .and_then(|f| f.parse::<f64>().ok())
            .unwrap_or(0.0)
    };
    Ok(Cost {
        cpu: (ticks(11) + ticks(12)) / TICKS,
        peak_rss: labelled(&read("status")?, "VmHWM:").unwrap_or(0) * 1024,
        rss: labelled(&read("status")?, "VmRSS:").unwrap_or(0) * 1024,
        written: labelled(&read("io")?, "write_bytes:").unwrap_or(0),
    })
}

fn labelled(text: &str, label: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(label))?;
    line.split_whitespace().next()?.parse().ok()
}
