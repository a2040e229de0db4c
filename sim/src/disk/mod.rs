//! A disk that loses power, fails, fills up and rots.
//!
//! What is known of real ones goes into it:
//!
//! * What was written and not synced is in the page cache alone. When power goes, each sector of it is on disk or
//!   not, for itself, in no order; so are lengths and names.
//! * A failed fsync leaves anything of what it was asked for on disk, and calls the pages clean: the next fsync
//!   succeeds and writes nothing. Until the cache is dropped, reads show what the disk does not have.
//! * A write that fails may have written a part. A full disk says so at the write, unless space was set aside.
//! * A sector that rots reads as something else, or not at all, until it is written again.
//!
//! [`SimDisk`] is the [`FileSystem`](hydrant_engine::disk::FileSystem) that an engine is given; [`World`] is the hand that breaks it.

mod file;
mod fs;

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use hydrant_engine::Chance;

use self::file::File;

/// What a disk writes as a whole.
pub const SECTOR: usize = 512;
/// The unit of space.
pub const BLOCK: u64 = 4096;

/// How a disk misbehaves while it has power.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Faults {
    /// How likely a write fails.
    pub write: f64,
    /// How likely an fsync of a file fails.
    pub sync: f64,
    /// How likely an fsync of a directory, a rename, a removal or the making of a file fails.
    pub name: f64,
    /// How likely a read fails, to be repeated.
    pub read: f64,
    /// How likely a read fails for good: its first sector is dead until it is written again.
    pub dead_sector: f64,
}

/// The disk, as the world sees it. Cheap to clone.
#[derive(Clone)]
pub struct World {
    state: Arc<Mutex<State>>,
    chance: Chance,
}

pub(crate) struct State {
    files: Vec<File>,
    /// Names as the running process sees them.
    names: BTreeMap<PathBuf, Entry>,
    durable_names: BTreeMap<PathBuf, Entry>,
    /// Since the last sync of its directory: a name, and what it now means.
    pending_names: Vec<(PathBuf, Option<Entry>)>,
    locked: Option<PathBuf>,
    /// In bytes.
    capacity: u64,
    /// Space that others take, in bytes.
    foreign: u64,
    faults: Faults,
    ops: u64,
    /// Power goes at this operation.
    cut_at: Option<u64>,
    powered: bool,
    /// How many faults struck.
    struck: u64,
    /// All that happened, if it is kept.
    history: Option<String>,
    digest: crc32fast::Hasher,
    /// Told of when power goes.
    gone: Option<Arc<tokio::sync::Notify>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entry {
    File(usize),
    Directory,
}

/// What is about to happen to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doing {
    Write,
    Sync,
    Name,
    Read,
    Look,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("World")
    }
}

/// Power is off.
fn dark() -> io::Error {
    io::Error::other("the power is off")
}

/// EIO.
fn broken() -> io::Error {
    io::Error::from_raw_os_error(5)
}

fn full() -> io::Error {
    io::ErrorKind::StorageFull.into()
}

impl World {
    /// An empty disk of this size.
    pub fn new(chance: Chance, capacity: u64) -> Self {
        let root: BTreeMap<_, _> = [(PathBuf::from("/"), Entry::Directory)].into();
        World {
            state: Arc::new(Mutex::new(State {
                files: Vec::new(),
                names: root.clone(),
                durable_names: root,
                pending_names: Vec::new(),
                locked: None,
                capacity,
                foreign: 0,
                faults: Faults::default(),
                ops: 0,
                cut_at: None,
                powered: true,
                struck: 0,
                history: None,
                digest: crc32fast::Hasher::new(),
                gone: None,
            })),
            chance,
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps all that happens from now on, word for word.
    pub fn keep_history(&self) {
        self.state().history = Some(String::new());
    }

    /// What was kept.
    pub fn history(&self) -> String {
        self.state().history.clone().unwrap_or_default()
    }

    /// A line into the history.
    pub fn note(&self, line: &str) {
        self.state().note(line);
    }

    /// Stands for all that happened.
    pub fn digest(&self) -> u32 {
        self.state().digest.clone().finalize()
    }

    /// Sets what goes wrong from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.state().faults = faults;
    }

    /// How many faults struck so far.
    pub fn struck(&self) -> u64 {
        self.state().struck
    }

    /// Others take so much of the disk now, in bytes.
    pub fn set_foreign(&self, bytes: u64) {
        self.state().foreign = bytes;
    }

    /// Bytes that are left.
    pub fn free(&self) -> u64 {
        self.state().free()
    }

    /// How many things were asked of the disk so far.
    pub fn ops(&self) -> u64 {
        self.state().ops
    }

    /// Power goes at the operation of this number, and `gone` is told.
    pub fn cut_at(&self, op: u64, gone: Arc<tokio::sync::Notify>) {
        let mut state = self.state();
        state.cut_at = Some(op);
        state.gone = Some(gone);
    }

    /// Power goes now.
    pub fn cut_now(&self) {
        self.state().lose_power();
    }

    /// Whether there is power.
    pub fn is_powered(&self) -> bool {
        self.state().powered
    }

    /// Only the process was gone, and its lock with it: the page cache is as it was.
    pub fn revive(&self) {
        let mut state = self.state();
        state.locked = None;
        state.cut_at = None;
        state.powered = true;
        state.note("the process is back");
    }

    /// Power is back. What was not synced is there, piece by piece, with this likelihood; the page cache is empty.
    pub fn restore(&self, likely: f64) {
        let mut state = self.state();
        let state = &mut *state;
        let mut lucky = || self.chance.fraction() < likely;
        for (name, entry) in std::mem::take(&mut state.pending_names) {
            if lucky() {
                set(&mut state.durable_names, name, entry);
            }
        }
        // What lies in a directory that is not there is not there either.
        let names = state.durable_names.clone();
        let reachable = |path: &Path| {
            let mut above = path.ancestors().skip(1);
            above.all(|it| names.get(it) == Some(&Entry::Directory))
        };
        state.durable_names.retain(|path, _| reachable(path));
        state.names = state.durable_names.clone();
        for file in &mut state.files {
            file.lose_cache(&mut lucky);
        }
        state.locked = None;
        state.cut_at = None;
        state.powered = true;
        state.note(&format!("power is back ({likely})"));
    }

    /// The names of files, in order.
    pub fn files(&self) -> Vec<PathBuf> {
        let state = self.state();
        let files = state.names.iter();
        let files = files.filter(|(_, entry)| matches!(entry, Entry::File(_)));
        files.map(|(path, _)| path.clone()).collect()
    }

    /// What a process would read in a file.
    pub fn bytes(&self, path: &Path) -> Option<Vec<u8>> {
        let state = self.state();
        match state.names.get(path)? {
            Entry::File(file) => Some(state.files[*file].seen.clone()),
            Entry::Directory => None,
        }
    }

    /// Bits rot in these bytes of a file, on disk and in the cache.
    pub fn rot(&self, path: &Path, at: usize, len: usize) {
        let mut state = self.state();
        let Some(&Entry::File(file)) = state.names.get(path) else {
            return;
        };
        state.note(&format!("rot {} {at}+{len}", path.display()));
        let file = &mut state.files[file];
        for at in at..at + len {
            let bit = 1 << (self.chance.next_u64() % 8);
            file.flip(at, bit);
        }
    }

    /// Where in a file the write began that was synced last: what lies before was durable when it was written.
    pub fn last_batch(&self, path: &Path) -> usize {
        let state = self.state();
        match state.names.get(path) {
            Some(&Entry::File(file)) => state.files[file].last_batch,
            _ => 0,
        }
    }
}

fn set(names: &mut BTreeMap<PathBuf, Entry>, name: PathBuf, entry: Option<Entry>) {
    match entry {
        Some(entry) => names.insert(name, entry),
        None => names.remove(&name),
    };
}

impl State {
    fn note(&mut self, line: &str) {
        self.digest.update(line.as_bytes());
        self.digest.update(b"\n");
        if let Some(history) = &mut self.history {
            let _ = writeln!(history, "{line}");
        }
    }

    fn lose_power(&mut self) {
        if self.powered {
            self.powered = false;
            self.note("power goes");
            if let Some(gone) = self.gone.take() {
                gone.notify_one();
            }
        }
    }

    fn used(&self) -> u64 {
        let live = self.names.values().filter_map(|entry| match entry {
            Entry::File(file) => Some(self.files[*file].space()),
            Entry::Directory => None,
        });
        live.sum()
    }

    fn free(&self) -> u64 {
        self.capacity
            .saturating_sub(self.used())
            .saturating_sub(self.foreign)
    }

    /// Counts an operation. `Err` when it does not happen at all; `Ok(true)` when power goes in the middle of it.
    fn begin(&mut self, what: &dyn Fn() -> String) -> io::Result<bool> {
        if !self.powered {
            return Err(dark());
        }
        self.ops += 1;
        let line = format!("{} {}", self.ops, what());
        self.note(&line);
        Ok(self.cut_at.is_some_and(|at| self.ops >= at))
    }

    /// Whether a fault strikes.
    fn strikes(&mut self, doing: Doing, chance: &Chance) -> bool {
        let likely = match doing {
            Doing::Write => self.faults.write,
            Doing::Sync => self.faults.sync,
            Doing::Name => self.faults.name,
            Doing::Read => self.faults.read,
            Doing::Look => 0.0,
        };
        let strikes = likely > 0.0 && chance.fraction() < likely;
        if strikes {
            self.struck += 1;
            self.note("fails");
        }
        strikes
    }

    /// The file or directory of this name.
    fn find(&self, path: &Path) -> io::Result<Entry> {
        let found = self.names.get(path).copied();
        found.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Gives a path a meaning, until the directory is synced for the running process alone.
    fn name(&mut self, path: &Path, entry: Option<Entry>) -> io::Result<()> {
        let parent = path.parent().unwrap_or(Path::new("/"));
        match self.names.get(parent) {
            Some(Entry::Directory) => {}
            Some(Entry::File(_)) => return Err(io::ErrorKind::NotADirectory.into()),
            None => return Err(io::ErrorKind::NotFound.into()),
        }
        set(&mut self.names, path.to_owned(), entry);
        self.pending_names.push((path.to_owned(), entry));
        Ok(())
    }
}

/// The disk as a process sees it.
#[derive(Clone, Debug)]
pub struct SimDisk {
    world: World,
}

impl SimDisk {
    /// The disk of this world.
    pub fn of(world: &World) -> Self {
        SimDisk {
            world: world.clone(),
        }
    }
}
