//! Segment files that hold nothing any more become the next ones.
//!
//! To write into blocks that a file has already costs half of what new ones cost, in processor time and in waiting for
//! fsync: none must be found, none is new to the page cache, and the file system has nothing to note. So one file of about the
//! usual size, the **spare**, is kept when it would be deleted.
//!
//! The order of steps keeps a crash from showing an old name with new bytes: the file loses its name, durably; then it
//! gets its new header, durably; then its new name. What else it holds are frames of another nonce, which are nobody's.
//!
//! Nobody may still read it: that would find new bytes where the index promises old ones. So a segment that somebody
//! else holds is deleted as ever, which leaves its readers what they have.

use std::{path::PathBuf, sync::Arc};

use super::{
    Shared,
    index::{Segment, State},
    segment,
};

/// Whether there is a file for the next segment.
#[derive(Debug, Default)]
pub(crate) enum Spare {
    #[default]
    None,
    /// One is losing its name.
    Making,
    Ready(SpareFile),
}

impl Spare {
    /// What it takes on disk, and gives back when a segment is begun.
    pub(crate) fn bytes(&self) -> u64 {
        match self {
            Spare::Ready(file) => file.bytes,
            Spare::None | Spare::Making => 0,
        }
    }
}

/// A file that is no part of the log, and whose blocks are there.
#[derive(Debug)]
pub(crate) struct SpareFile {
    pub(crate) path: PathBuf,
    pub(crate) bytes: u64,
}

/// Keeps the file of a forgotten segment, if it is of use. `false`: it is to be deleted.
pub(crate) fn keep(shared: &Shared, segment: &Arc<Segment>) -> bool {
    let usual = shared.settings.segment_bytes;
    if Arc::strong_count(segment) > 1 || !(usual / 2..=usual).contains(&segment.file_bytes) {
        return false;
    }
    {
        let mut state = shared.state();
        if !matches!(state.spare, Spare::None) || !wants_spare(&state, shared) {
            return false;
        }
        state.spare = Spare::Making;
    }
    let path = segment::temporary_path(&shared.dir, segment.id);
    let renamed = shared
        .disk
        .durable_rename(&segment::path(&shared.dir, segment.id), &path);
    let mut state = shared.state();
    state.spare = Spare::None;
    match renamed {
        Ok(()) if wants_spare(&state, shared) => {
            let bytes = segment.file_bytes;
            state.spare = Spare::Ready(SpareFile { path, bytes });
            return true;
        }
        Ok(()) => {}
        Err(error) => {
            tracing::warn!(
                segment = segment.id,
                "cannot keep a segment's file: {error}"
            );
        }
    }
    drop(state);
    // Whichever name it has by now. Opening the log removes this one if this does not.
    let _ = shared.disk.remove_if_present(&path);
    false
}

/// None is kept where its space may be needed for anything else.
fn wants_spare(state: &State, shared: &Shared) -> bool {
    !state.closed && state.failed.is_none() && !state.is_short(&shared.settings)
}

/// Takes the spare, if there is one. It counts no more as part of the log.
pub(crate) fn take(shared: &Shared) -> Option<SpareFile> {
    let mut state = shared.state();
    match std::mem::take(&mut state.spare) {
        Spare::Ready(file) => {
            state.disk_bytes = state.disk_bytes.saturating_sub(file.bytes);
            Some(file)
        }
        other => {
            state.spare = other;
            None
        }
    }
}

/// Deletes the spare, if there is one.
pub(crate) fn give_up(shared: &Shared) {
    if let Some(file) = take(shared) {
        remove(shared, &file);
    }
}

/// Deletes a spare that was taken.
pub(crate) fn remove(shared: &Shared, file: &SpareFile) {
    if let Err(error) = shared.disk.remove(&file.path) {
        // Opening the log removes it.
        tracing::warn!("cannot delete {}: {error}", file.path.display());
    }
}
