//! What the disk alone takes.

use std::{fs::File, io::Write, os::unix::fs::FileExt, path::Path, time::Duration};

use anyhow::Result;
use rustix::fs::FallocateFlags;

use super::median;

/// What the file is before it is written to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Space {
    /// Full of zeros: nothing but the data has to reach the disk.
    Filled,
    /// Only reserved, so that the file system notes with each sync what is written now.
    Reserved,
}

/// Seconds of one write of `bytes` bytes and its fdatasync, at the median of `count`, on the disk of `dir`. The file is as
/// long as it gets before; writes follow each other. On a slow or busy disk fewer than `count` are made.
pub(crate) fn fsync_p50(dir: &Path, space: Space, bytes: usize, count: usize) -> Result<f64> {
    let file = match space {
        Space::Filled => filled(dir, bytes * count)?,
        Space::Reserved => reserved(dir, bytes * count)?,
    };
    let piece = vec![b'x'; bytes];
    let time = median(count, |index| {
        file.write_all_at(&piece, (index * bytes) as u64)?;
        Ok(file.sync_data()?)
    })?;
    Ok(time.max(Duration::from_nanos(1).as_secs_f64()))
}

/// A file of `bytes` zeros in `dir`, on the disk, without a name.
pub(crate) fn filled(dir: &Path, bytes: usize) -> Result<File> {
    let mut file = tempfile::tempfile_in(dir)?;
    let zeros = vec![0; 1 << 20];
    let mut left = bytes;
    while left > 0 {
        let piece = left.min(zeros.len());
        file.write_all(&zeros[..piece])?;
        left -= piece;
    }
    file.sync_all()?;
    Ok(file)
}

/// A file of `bytes` bytes in `dir` that are reserved and not written, without a name.
fn reserved(dir: &Path, bytes: usize) -> Result<File> {
    let file = tempfile::tempfile_in(dir)?;
    rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, bytes as u64)?;
    file.sync_all()?;
    Ok(file)
}
