//! The embedded engine: a log in segment files, and a catalog in redb, in one directory.
//!
//! # Constraints
//!
//! * An append is acknowledged when an fsync covers it, and one fsync covers every append that waits,
//!   of all lanes.
//! * Memory does not grow with the backlog, nor does the time to open.
//! * What a crash can leave behind is either whole or recognised as not whole.
//! * A full disk is noticed before anything is at risk.
//!
//! # Layout
//!
//! ```text
//! <data-dir>/FORMAT            what this directory is, in words
//! <data-dir>/LOCK              held by the process that has it open; holds its pid
//! <data-dir>/catalog.redb      the catalog
//! <data-dir>/log/lanes         removed lanes, trim points                       → lanes.rs
//! <data-dir>/log/<id>.seg      segments: frames of all lanes, as they came      → format.rs, footer.rs
//! <data-dir>/log/<id>.tmp      not yet part of the log; deleted when it opens
//! ```
//!
//! # Operation
//!
//! A frame goes `append` → queue → [`writer`] (one thread: everything waiting → one write → one
//! fdatasync → index → replies) → active segment. A full segment is sealed: its index moves from memory to
//! its end, as a *footer*. Positions are numbered through all lanes, so they rise in each, and a
//! segment holds one range of them: a lane's place is found by comparing numbers.
//!
//! [`reader`] looks where a lane's next frames lie: in memory for the active segment, else through
//! the footer, piece by piece. [`trim`] forgets in memory, notes it in the lanes file, and deletes segments that
//! hold nothing more. [`compact`] moves what little is left in old segments together, so that one
//! lane's leftovers hold no other lane's disk. [`recover`] puts it all together on open.
//!
//! # Invariants
//!
//! * A file named `.seg` has a durable header and, but for the last one, a durable footer.
//! * Every frame shown or acknowledged lies before the last successful fsync of its segment.
//! * After a failed write or fsync nothing is appended, published or acknowledged until the next open.
//! * A position is never given out twice: the next one lies above what any segment's header or footer
//!   names, and the segment that names the highest is not deleted before another takes its place.

mod catalog;
mod compact;
pub mod disk;
pub mod doctor;
mod footer;
mod format;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod index;
mod lanes;
mod lock;
mod log;
mod reader;
mod recover;
mod recycle;
mod scan;
mod segment;
mod trim;
mod writer;

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicU64},
};

use tokio::sync::{Notify, mpsc::UnboundedSender};

pub use self::recover::{Damage, RecoveryReport, TornTail};

use self::{
    catalog::LocalCatalog, disk::Disk, index::State, lanes::LanesFile, lock::prepare_directory,
    log::LocalLog, writer::Command,
};
use crate::{
    clock::Chance,
    engine::{EngineConfig, EngineParts, OpenError},
    threads::Threads,
};

/// The file of removed lanes and trim points, in the log's directory.
pub(crate) const LANES: &str = "lanes";
/// How large a segment file becomes by default. Small in unit tests, so that each of them rolls over.
pub const DEFAULT_SEGMENT_BYTES: u64 = if cfg!(test) { 64 << 10 } else { 64 << 20 };
/// The least size of a segment file.
pub const MIN_SEGMENT_BYTES: u64 = 16 << 10;
/// The greatest size of a segment file: offsets in it are 32 bits.
pub const MAX_SEGMENT_BYTES: u64 = 1 << 30;
/// How many segments `max_log_bytes` must have room for.
pub(crate) const MIN_SEGMENTS: u64 = 8;
/// The most frames in one segment: bounds the index in memory to 32 bytes times this.
pub(crate) const MAX_SEGMENT_FRAMES: u64 = 512 << 10;
/// The largest frame that the log takes, in bytes of record data.
pub const FRAME_LIMIT: usize = 16 << 20;
/// Frames that wait for the writer may hold this many bytes; more appends wait their turn.
pub(crate) const QUEUE_BYTES: usize = 64 << 20;
/// How many damaged places are remembered so as to count each once.
pub(crate) const MAX_KNOWN_DAMAGE: usize = 100_000;

/// The log's settings, checked.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) segment_bytes: u64,
    pub(crate) max_log_bytes: Option<u64>,
    pub(crate) min_free_bytes: u64,
}

/// What the log's threads and callers share.
pub(crate) struct Shared {
    pub(crate) disk: Disk,
    /// Where the segments lie.
    pub(crate) dir: PathBuf,
    pub(crate) settings: Settings,
    pub(crate) chance: Chance,
    pub(crate) next_id: AtomicU64,
    state: Mutex<State>,
    lanes: Mutex<LanesFile>,
    /// To the writer.
    commands: UnboundedSender<Command>,
    /// Wakes the keeper, which deletes and compacts.
    tidy: Notify,
    pub(crate) threads: Arc<dyn Threads>,
}

impl Shared {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn lanes(&self) -> MutexGuard<'_, LanesFile> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the keeper look for something to do.
    pub(crate) fn wake_keeper(&self) {
        self.tidy.notify_one();
    }

    /// The writer has ended, by itself or (`why`) not. Once is enough.
    pub(crate) fn ended(&self, why: Option<&str>) {
        let mut state = self.state();
        if state.closed {
            return;
        }
        state.closed = true;
        if let Some(why) = why {
            state.failed.get_or_insert_with(|| why.to_owned());
        }
        // In order, so that a simulation wakes them in the same order each time.
        let mut lanes: Vec<_> = state.lanes.iter().collect();
        lanes.sort_unstable_by_key(|(id, _)| **id);
        for (_, lane) in lanes {
            lane.wake.send_replace(());
        }
        drop(state);
        // So that it ends, too.
        self.wake_keeper();
    }

    /// Where damage lies, for people.
    pub(crate) fn place(&self, segment: u64, offset: u32) -> String {
        let path = segment::path(&self.dir, segment);
        format!("{} at byte {offset}", path.display())
    }

    /// Counts damage and says so in the log of events, once for each place.
    pub(crate) fn note_damage(&self, segment: u64, offset: u32, what: &str) {
        if self.state().note_damage(segment, offset) {
            tracing::error!(place = self.place(segment, offset), "damaged: {what}");
        }
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("dir", &self.dir).finish()
    }
}

/// Both halves, for [`Engine::open`](crate::Engine::open).
pub(crate) struct Opened {
    pub(crate) log: Arc<LocalLog>,
    pub(crate) catalog: Arc<LocalCatalog>,
    pub(crate) report: RecoveryReport,
}

/// Opens the engine in its directory. Blocks.
pub(crate) fn open(config: &EngineConfig, parts: &EngineParts) -> Result<Opened, OpenError> {
    let settings = Settings::of(config)?;
    let lock = Arc::new(prepare_directory(&parts.disk, &config.data_dir)?);
    let dir = config.data_dir.join("log");
    // Before the log: a log without its catalog is a sign of loss, see there.
    let catalog = LocalCatalog::open(config, parts, lock.clone(), &dir)?;
    // A log that began anew would give out positions that, by the catalog, were delivered long ago.
    if !parts.disk.exists(&dir.join(LANES)) && !catalog.is_unused()? {
        return Err(OpenError::Format {
            path: dir.join(LANES),
            detail: format!(
                "it is missing although {} is not empty; restore the log, or name another directory",
                config.data_dir.join("catalog.redb").display()
            ),
        });
    }
    let (log, report) = LocalLog::open(dir, settings, parts, &lock)?;
    Ok(Opened {
        log: Arc::new(log),
        catalog: Arc::new(catalog),
        report,
    })
}

impl Settings {
    /// The least size of a segment that is begun short of space: not so small that a busy log has millions.
    pub(crate) fn least_segment_bytes(&self) -> u64 {
        self.segment_bytes / 16
    }

    fn of(config: &EngineConfig) -> Result<Self, OpenError> {
        let sizes = MIN_SEGMENT_BYTES..=MAX_SEGMENT_BYTES;
        if !sizes.contains(&config.segment_bytes) {
            return Err(OpenError::Config(format!(
                "segment_bytes is {}: it must lie between {MIN_SEGMENT_BYTES} and {MAX_SEGMENT_BYTES}",
                config.segment_bytes
            )));
        }
        let least = MIN_SEGMENTS * MIN_SEGMENT_BYTES;
        if let Some(max) = config.max_log_bytes
            && max < least
        {
            return Err(OpenError::Config(format!(
                "max_log_bytes is {max}: it must be at least {least}"
            )));
        }
        let room = config
            .max_log_bytes
            .map_or(u64::MAX, |max| max / MIN_SEGMENTS);
        Ok(Settings {
            segment_bytes: config.segment_bytes.min(room),
            max_log_bytes: config.max_log_bytes,
            min_free_bytes: config.min_free_bytes,
        })
    }
}
