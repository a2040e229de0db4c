//! What the kernel says was written to a disk.

use std::{fs, os::unix::fs::MetadataExt, path::Path};

use anyhow::{Context, Result};
use rustix::fs::{major, minor};

/// The kernel's unit, whatever the device's is.
const SECTOR: u64 = 512;
/// Which number of `/sys/dev/block/…/stat` counts written sectors.
const SECTORS_WRITTEN: usize = 6;

/// Bytes written so far to the block device beneath `path`, whoever wrote them, the file system's journal with them.
/// `None` when there is no such device: in memory, over a network, in an overlay.
pub(crate) fn written(path: &Path) -> Result<Option<u64>> {
    let device = fs::metadata(path)
        .with_context(|| format!("cannot look at {}", path.display()))?
        .dev();
    let stat = format!("/sys/dev/block/{}:{}/stat", major(device), minor(device));
    let Ok(stat) = fs::read_to_string(stat) else {
        return Ok(None);
    };
    let sectors = stat.split_whitespace().nth(SECTORS_WRITTEN);
    Ok(sectors
        .and_then(|sectors| sectors.parse::<u64>().ok())
        .map(|sectors| sectors * SECTOR))
}
