//! What a repair does: first it keeps what it is about to change, durably; then it changes it, in one step.

use std::{
    io::{self, IoSlice},
    path::{Path, PathBuf},
};

use super::{
    Diagnosis, Reading, Repair,
    files::{self, SET_ASIDE},
    log::{self, LANES},
    segment::assess,
    values,
};
use crate::{
    engine::{EngineConfig, EngineParts, OpenError},
    local::{
        disk::{Disk, DiskFile},
        footer::FooterBuilder,
        format::{DATA_START, HeaderError, Kind, SegmentHeader},
        lanes::{self, Memory},
        lock::{FORMAT, write_format},
        segment::{self, Prepared, write_footer},
    },
    log::Position,
};

/// How much is copied at once.
const COPY_BYTES: usize = 1 << 20;

/// What was repaired.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Repaired {
    /// Where the bytes that were changed or removed are kept, below it under the paths that they had; `None` when there were
    /// none.
    pub set_aside: Option<PathBuf>,
    /// What was done.
    pub done: Vec<Repair>,
}

/// Does `repairs`, each once.
pub(super) fn repair(
    config: &EngineConfig,
    parts: &EngineParts,
    repairs: &[Repair],
    name: &str,
) -> Result<Repaired, OpenError> {
    let mut wanted: Vec<&Repair> = Vec::new();
    for repair in repairs {
        if !wanted.contains(&repair) {
            wanted.push(repair);
        }
    }
    let disk = &parts.disk;
    let shelf = config.data_dir.join(SET_ASIDE);
    let names = std::iter::once(name.to_owned()).chain((2..).map(|n| format!("{name}-{n}")));
    let free = names
        .map(|name| shelf.join(name))
        .find(|it| !disk.exists(it));
    let mut work = Work {
        config,
        parts,
        disk,
        log_dir: config.data_dir.join("log"),
        kept: free.unwrap_or(shelf),
        any_kept: false,
        least: None,
        changes: Vec::new(),
        check_catalog: false,
        done: Vec::new(),
    };
    // What the log would give out is known only before anything is moved out of it.
    let moves = |it: &&Repair| matches!(it, Repair::MoveAway(_) | Repair::Positions(_));
    if wanted.iter().any(moves) {
        work.least = Some(work.next_position()?);
    }
    for repair in wanted {
        work.one(repair)?;
        work.done.push(repair.clone());
    }
    work.finish()
}

struct Work<'a> {
    config: &'a EngineConfig,
    parts: &'a EngineParts,
    disk: &'a Disk,
    log_dir: PathBuf,
    /// Where what is changed is kept.
    kept: PathBuf,
    any_kept: bool,
    /// No position below this one may be given out afterwards.
    least: Option<Position>,
    changes: Vec<(String, Option<Vec<u8>>)>,
    check_catalog: bool,
    done: Vec<Repair>,
}

impl Work<'_> {
    fn one(&mut self, repair: &Repair) -> Result<(), OpenError> {
        match repair {
            Repair::Format => {
                let path = self.config.data_dir.join(FORMAT);
                self.keep_if_present(&path)?;
                write_format(self.disk, &path)
                    .map_err(|source| OpenError::io("write", &path, source))
            }
            Repair::Segment(id) => self.segment(*id),
            Repair::MoveAway(path) => self.move_away(path),
            Repair::Lanes => self.lanes(),
            Repair::Catalog => {
                self.check_catalog = true;
                Ok(())
            }
            Repair::RemoveValue(key) => {
                self.changes.push((key.clone(), None));
                Ok(())
            }
            Repair::PutValue(key, value) => {
                self.changes.push((key.clone(), Some(value.clone())));
                Ok(())
            }
            Repair::Positions(least) => {
                self.least = self.least.max(Some(*least));
                Ok(())
            }
        }
    }

    fn finish(mut self) -> Result<Repaired, OpenError> {
        if self.check_catalog || !self.changes.is_empty() {
            self.catalog()?;
        }
        if let Some(least) = self.least {
            self.raise_positions(least)?;
        }
        Ok(Repaired {
            set_aside: self.any_kept.then_some(self.kept),
            done: self.done,
        })
    }

    /// The position that the log gives out next, as things are.
    fn next_position(&self) -> Result<Position, OpenError> {
        let mut diagnosis = Diagnosis::default();
        let listed = log::list(self.disk, &self.log_dir, &mut diagnosis.findings)?;
        let mut reading = Reading {
            observer: &mut (),
            done: 0,
            of: listed.bytes,
        };
        let memory = Memory::default();
        log::examine(
            self.disk,
            &self.log_dir,
            &listed,
            &memory,
            &mut diagnosis,
            &mut reading,
        );
        Ok(diagnosis.next_position)
    }

    /// Where the bytes of `path` are kept; its directory is there afterwards.
    fn place(&mut self, path: &Path) -> Result<PathBuf, OpenError> {
        let inside = path.strip_prefix(&self.config.data_dir).unwrap_or(path);
        let place = self.kept.join(inside);
        let parent = place.parent().unwrap_or(&self.kept);
        self.disk
            .create_dir_all(parent)
            .map_err(|source| OpenError::io("create", parent, source))?;
        self.any_kept = true;
        Ok(place)
    }

    /// Copies a file aside, durably, unless it is there already.
    fn keep(&mut self, path: &Path) -> Result<(), OpenError> {
        let place = self.place(path)?;
        if self.disk.exists(&place) {
            return Ok(());
        }
        copy(self.disk, path, &place).map_err(|source| OpenError::io("keep", path, source))
    }

    fn keep_if_present(&mut self, path: &Path) -> Result<(), OpenError> {
        match self.disk.exists(path) {
            true => self.keep(path),
            false => Ok(()),
        }
    }

    fn move_away(&mut self, path: &Path) -> Result<(), OpenError> {
        let place = self.place(path)?;
        self.disk
            .durable_rename(path, &place)
            .and_then(|()| self.disk.sync_dir(&self.log_dir))
            .map_err(|source| OpenError::io("move", path, source))
    }

    fn segment(&mut self, id: u64) -> Result<(), OpenError> {
        let path = segment::path(&self.log_dir, id);
        self.keep(&path)?;
        let listed = log::list(self.disk, &self.log_dir, &mut Vec::new())?;
        let last = log::find_last_log(self.disk, &self.log_dir, &listed.ids) == Some(id);
        rebuild(self.disk, &self.log_dir, id, last)
            .map_err(|source| OpenError::io("rewrite", &path, source))
    }

    fn lanes(&mut self) -> Result<(), OpenError> {
        let path = self.log_dir.join(LANES);
        self.keep_if_present(&path)?;
        let failed = |source| OpenError::io("rewrite", &path, source);
        let memory = match self.disk.exists(&path) {
            false => Memory::default(),
            true => {
                let bytes = files::read(self.disk, &path).map_err(failed)?;
                match lanes::decode(&bytes) {
                    Ok(decoded) => decoded.memory,
                    Err(HeaderError::Damaged(_)) => lanes::salvage(&bytes).memory,
                    Err(HeaderError::Unknown(why)) => return Err(failed(io::Error::other(why))),
                }
            }
        };
        lanes::rewrite(self.disk, &path, &memory).map_err(failed)?;
        Ok(())
    }

    fn catalog(&mut self) -> Result<(), OpenError> {
        let path = values::path(&self.config.data_dir);
        self.keep(&path)?;
        let failed = |error: &dyn std::fmt::Display| OpenError::Catalog {
            path: path.clone(),
            detail: error.to_string(),
        };
        let changes = std::mem::take(&mut self.changes);
        for (key, _) in &changes {
            let value = values::get(self.config, self.disk, key).map_err(|error| failed(&error))?;
            if let Some(value) = value {
                // Whole in the copy of the catalog; here for people.
                let name = key.replace('/', "%2F");
                let place = self.place(&self.config.data_dir.join("values").join(name))?;
                write(self.disk, &place, &value)
                    .map_err(|source| OpenError::io("write", &place, source))?;
            }
        }
        values::change(self.config, self.disk, &changes).map_err(|error| failed(&error))
    }

    /// Sees to it that no position below `least` is given out, by an empty segment that names it.
    fn raise_positions(&mut self, least: Position) -> Result<(), OpenError> {
        let dir = self.log_dir.clone();
        self.disk
            .create_dir_all(&dir)
            .map_err(|source| OpenError::io("create", &dir, source))?;
        if self.next_position()? >= least {
            return Ok(());
        }
        // A log that is gone altogether begins anew.
        if !self.disk.exists(&dir.join(LANES)) {
            self.lanes()?;
        }
        let listed = log::list(self.disk, &dir, &mut Vec::new())?;
        // A segment that is not the last one is taken for one that was sealed.
        if let Some(last) = log::find_last_log(self.disk, &dir, &listed.ids) {
            let (_, opened) = segment::look(self.disk, &dir, last)
                .map_err(|source| OpenError::io("read", &segment::path(&dir, last), source))?;
            if !matches!(opened, segment::Opened::Sealed(_)) {
                self.segment(last)?;
            }
        }
        let header = SegmentHeader {
            kind: Kind::Log,
            id: listed.ids.last().map_or(1, |id| id + 1),
            nonce: self.parts.chance.next_u64(),
            base: least.0,
            end: 0,
        };
        let made = Prepared::create(self.disk, &dir, header, None).and_then(|prepared| {
            let (footer, _) = FooterBuilder::new(header, DATA_START).finish(least.0);
            write_footer(&prepared.file, DATA_START, &footer)?;
            prepared.activate()
        });
        made.map(|_| ())
            .map_err(|source| OpenError::io("write a segment in", &dir, source))
    }
}

/// Writes a segment anew beside itself, and puts it in place.
fn rebuild(disk: &Disk, dir: &Path, id: u64, last: bool) -> io::Result<()> {
    let (file, opened) = segment::look(disk, dir, id)?;
    let Some(assessment) = assess(&file, opened, last)? else {
        return Err(io::Error::other("it cannot be read any more"));
    };
    let header = assessment.header;
    let temporary = segment::temporary_path(dir, id);
    disk.remove_if_present(&temporary)?;
    let prepared = Prepared::create(disk, dir, header, None)?;
    let frames = u64::from(DATA_START)..u64::from(assessment.data_end);
    copy_range(&file, &prepared.file, frames)?;
    let mut footer = FooterBuilder::new(header, assessment.data_end);
    for (&lane, entries) in &assessment.lanes {
        footer.lane(lane, entries);
    }
    let (footer, _) = footer.finish(assessment.end);
    write_footer(&prepared.file, assessment.data_end, &footer)?;
    prepared.activate()?;
    Ok(())
}

/// A new file with the bytes of another, durable.
fn copy(disk: &Disk, from: &Path, to: &Path) -> io::Result<()> {
    let source = disk.open_read(from.to_owned())?;
    let target = disk.create(to.to_owned())?;
    let len = source.len()?;
    copy_range(&source, &target, 0..len)?;
    target.sync_all()?;
    disk.sync_dir(to.parent().unwrap_or(Path::new(".")))
}

fn copy_range(source: &DiskFile, target: &DiskFile, range: std::ops::Range<u64>) -> io::Result<()> {
    let mut at = range.start;
    while at < range.end {
        let want = usize::try_from(range.end - at).map_or(COPY_BYTES, |left| left.min(COPY_BYTES));
        // What the disk does not give back is zeros from now on: that is no frame either.
        let (bytes, _) = source.read_around(at, want)?;
        if bytes.len() < want {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        target.write_all_at(&mut [IoSlice::new(&bytes)], at)?;
        at += bytes.len() as u64;
    }
    Ok(())
}

fn write(disk: &Disk, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let file = disk.create(path.to_owned())?;
    file.write_all_at(&mut [IoSlice::new(bytes)], 0)?;
    file.sync_all()?;
    disk.sync_dir(path.parent().unwrap_or(Path::new(".")))
}
