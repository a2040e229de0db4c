//! Checks a stopped engine's directory, and repairs what can be repaired.
//!
//! # Constraints
//!
//! * An examination changes no byte: files are opened for reading alone, and the catalog's store, which repairs its file
//!   when it opens it, works on an [`overlay`] in memory.
//! * It reads every byte once, in one pass, in memory that does not grow with the log: what it shows of the catalog's values and
//!   of the log's frames goes to an [`Observer`].
//! * A repair first copies what it is about to change, or moves it, into a directory of its own; it changes one file after
//!   another, each in one step, so that a crash between them leaves a directory that is no worse.
//! * It never makes less of the log than the next start would: what is sound stays where it is.
//!
//! | module | is |
//! |---|---|
//! | [`finding`] | what is found |
//! | [`files`] | the directory itself: which files, of which format |
//! | [`overlay`], [`values`] | the catalog |
//! | [`segment`], [`log`] | one segment; the log |
//! | [`repair`] | what a repair does |

mod files;
mod finding;
mod log;
mod overlay;
mod repair;
mod segment;
mod values;

use std::{collections::BTreeMap, path::PathBuf};

pub use self::{
    finding::{Finding, Repair, Severity},
    repair::Repaired,
};

use super::{
    lanes::Memory,
    lock::{DirLock, LOCK},
};
use crate::{
    catalog::Version,
    clock::Timestamp,
    engine::{EngineConfig, EngineParts, OpenError},
    log::{LaneId, Position},
};

/// Sees what an examination passes.
pub trait Observer {
    /// A value of the catalog. All come before the first frame.
    fn value(&mut self, _key: &str, _version: Version, _value: &[u8]) {}
    /// A frame that the log still holds, or one that it lost. A lane's come in order of position.
    fn frame(&mut self, _frame: &SeenFrame) {}
    /// So many bytes of so many are read.
    fn progress(&mut self, _done: u64, _of: u64) {}
}

/// For those who look at nothing.
impl Observer for () {}

/// What is known of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeenFrame {
    /// Whose it is.
    pub lane: LaneId,
    /// Where it stands.
    pub position: Position,
    /// When it arrived; meaningless when it is lost.
    pub arrival: Timestamp,
    /// Its records; 0 when it is lost and that is not known.
    pub records: u64,
    /// Their bytes; likewise.
    pub bytes: u64,
    /// It cannot be read.
    pub lost: bool,
}

/// What a lane holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LaneHeld {
    /// Sound frames that are neither trimmed nor removed.
    pub frames: u64,
    /// Their records.
    pub records: u64,
    /// Their records' bytes.
    pub bytes: u64,
    /// When the oldest of them arrived.
    pub oldest: Option<Timestamp>,
}

/// What an examination found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnosis {
    /// In the order in which things were looked at.
    pub findings: Vec<Finding>,
    /// Segment files that hold part of the log.
    pub segments: usize,
    /// Frames that were read and found sound, also those that nobody needs any more.
    pub frames: u64,
    /// Values in the catalog; `None` when it could not be read.
    pub values: Option<u64>,
    /// Bytes that were read.
    pub bytes: u64,
    /// By lane, of those that hold anything.
    pub lanes: BTreeMap<LaneId, LaneHeld>,
    /// Lanes that were removed for good, as far as that is remembered.
    pub removed: Vec<LaneId>,
    /// The next frame gets this position or a higher one.
    pub next_position: Position,
}

impl Diagnosis {
    /// The worst that was found.
    pub fn worst(&self) -> Option<Severity> {
        self.findings.iter().map(|finding| finding.severity).max()
    }
}

/// Has a directory to itself while it looks at it.
#[derive(Debug)]
pub struct Doctor {
    config: EngineConfig,
    parts: EngineParts,
    /// `None` when there was no file to lock; then there must be none afterwards.
    lock: Option<DirLock>,
}

impl Doctor {
    /// Takes the directory, changing nothing.
    ///
    /// # Errors
    /// [`OpenError::Locked`] when a process has it open; [`OpenError::Format`] when it is no data directory at all.
    pub fn begin(config: EngineConfig, parts: EngineParts) -> Result<Self, OpenError> {
        let lock = DirLock::acquire_quietly(&parts.disk, &config.data_dir)?;
        let doctor = Doctor {
            config,
            parts,
            lock,
        };
        files::is_data_directory(&doctor.parts.disk, &doctor.config.data_dir)?;
        Ok(doctor)
    }

    /// Reads all of it and says what is wrong. Blocks, for as long as the disk takes to read the directory.
    ///
    /// # Errors
    /// [`OpenError::Locked`] when a process opened the directory meanwhile, and [`OpenError::Io`] when the directory itself cannot
    /// be read. All else is a finding.
    pub fn examine(&self, observer: &mut dyn Observer) -> Result<Diagnosis, OpenError> {
        let (disk, dir) = (&self.parts.disk, &self.config.data_dir);
        let mut diagnosis = Diagnosis::default();
        if files::examine(disk, dir, &mut diagnosis.findings)? {
            let log_dir = self.log_dir();
            let listed = log::list(disk, &log_dir, &mut diagnosis.findings)?;
            let mut reading = Reading {
                observer,
                done: 0,
                of: listed.bytes + values::file_bytes(disk, dir),
            };
            reading.advance(0);
            values::examine(&self.config, disk, &mut diagnosis, &mut reading);
            let memory = files::lanes(disk, &log_dir, &listed, &mut diagnosis.findings)?;
            diagnosis.removed = memory.removed.iter().copied().collect();
            log::examine(
                disk,
                &log_dir,
                &listed,
                &memory,
                &mut diagnosis,
                &mut reading,
            );
            diagnosis.bytes = reading.done;
        }
        self.undisturbed()?;
        Ok(diagnosis)
    }

    /// Repairs. What is changed or removed is kept in a new directory below `set-aside`, which is called `name` or, if that is
    /// there already, nearly so. Blocks.
    ///
    /// # Errors
    /// The disk's; what was done before stays done, and is said by the next examination.
    pub fn repair(&self, repairs: &[Repair], name: &str) -> Result<Repaired, OpenError> {
        self.undisturbed()?;
        repair::repair(&self.config, &self.parts, repairs, name)
    }

    /// Nobody can have the directory while it is locked; where there was nothing to lock, whoever has begun to use it has made
    /// the file.
    fn undisturbed(&self) -> Result<(), OpenError> {
        let dir = &self.config.data_dir;
        match self.lock.is_none() && self.parts.disk.exists(&dir.join(LOCK)) {
            true => Err(OpenError::Locked {
                dir: dir.clone(),
                pid: None,
            }),
            false => Ok(()),
        }
    }

    fn log_dir(&self) -> PathBuf {
        self.config.data_dir.join("log")
    }
}

/// How far the one pass is.
struct Reading<'a> {
    observer: &'a mut dyn Observer,
    done: u64,
    of: u64,
}

impl Reading<'_> {
    fn advance(&mut self, bytes: u64) {
        self.done += bytes;
        self.observer.progress(self.done, self.of);
    }
}

/// Whether a lane's frame at this position was neither trimmed nor removed.
fn is_live(memory: &Memory, lane: LaneId, position: u64) -> bool {
    let trimmed = memory.trimmed.get(&lane).copied().unwrap_or_default();
    position >= trimmed && !memory.removed.contains(&lane)
}
