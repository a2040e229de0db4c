//! [`SimDisk`] as a [`FileSystem`].

use std::{
    fmt,
    io::{self, IoSlice},
    path::{Path, PathBuf},
};

use hydrant_engine::Chance;
use hydrant_engine::local::disk::{FileSystem, Locked, PathKind, RawFile};

use super::{BLOCK, Doing, Entry, SECTOR, SimDisk, State, World, broken, dark, full};
use crate::baton::breathe;

/// Segment files and their copies in the making: nothing holds a lock while it works on one, so another thread may
/// come in between.
fn is_segment(path: &Path) -> bool {
    let stem = path.file_stem().and_then(|stem| stem.to_str());
    stem.is_some_and(|stem| u64::from_str_radix(stem, 16).is_ok())
}

impl SimDisk {
    /// Does something to the disk that may fail, or be the last thing that happens.
    fn act<T>(
        &self,
        path: &Path,
        doing: Doing,
        what: &dyn Fn() -> String,
        act: impl FnOnce(&mut State, Outcome) -> io::Result<T>,
    ) -> io::Result<T> {
        if is_segment(path) {
            breathe();
        }
        let mut state = self.world.state();
        let last = state.begin(what)?;
        let outcome = match (last, state.strikes(doing, &self.world.chance)) {
            (true, _) => Outcome::Cut,
            (false, false) => Outcome::Whole,
            (false, true) => Outcome::Half,
        };
        let done = act(&mut state, outcome);
        match outcome {
            Outcome::Whole => done,
            Outcome::Half => done.and_then(|_| Err(broken())),
            Outcome::Cut => {
                state.lose_power();
                Err(dark())
            }
        }
    }
}

/// How much of an operation happens.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Whole,
    /// A part of it, or nothing, or all; and it is said to have failed.
    Half,
    /// It is under way when power goes: what it writes is not synced, what it syncs is not yet.
    Cut,
}

impl Outcome {
    /// Whether a change that cannot be halved happens.
    fn happens(self, chance: &Chance) -> bool {
        self != Outcome::Half || chance.fraction() < 0.5
    }
}

impl FileSystem for SimDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn RawFile>> {
        let what = || format!("create {}", path.display());
        let file = self.act(path, Doing::Name, &what, |state, outcome| {
            if state.names.contains_key(path) {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            let file = state.files.len();
            if outcome.happens(&self.world.chance) {
                state.files.push(Default::default());
                state.name(path, Some(Entry::File(file)))?;
            }
            Ok(file)
        })?;
        Ok(self.file(path, file))
    }

    fn open(&self, path: &Path, _write: bool) -> io::Result<Box<dyn RawFile>> {
        let what = || format!("open {}", path.display());
        let file = self.act(path, Doing::Look, &what, |state, _| {
            match state.find(path)? {
                Entry::File(file) => Ok(file),
                Entry::Directory => Err(io::ErrorKind::IsADirectory.into()),
            }
        })?;
        Ok(self.file(path, file))
    }

    fn lock(
        &self,
        path: &Path,
        note: Option<&str>,
    ) -> Result<Box<dyn fmt::Debug + Send + Sync>, Locked> {
        let mut state = self.world.state();
        if !state.powered {
            return Err(Locked::Failed(dark()));
        }
        if state.locked.is_some() {
            return Err(Locked::By(note.unwrap_or_default().to_owned()));
        }
        state.locked = Some(path.to_owned());
        Ok(Box::new(Lock(self.world.clone())))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let what = || format!("mkdir {}", path.display());
        self.act(path, Doing::Name, &what, |state, outcome| {
            if state.names.contains_key(path) {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            if outcome.happens(&self.world.chance) {
                state.name(path, Some(Entry::Directory))?;
            }
            Ok(())
        })
    }

    fn kind(&self, path: &Path) -> Option<PathKind> {
        match self.world.state().find(path).ok()? {
            Entry::File(_) => Some(PathKind::File),
            Entry::Directory => Some(PathKind::Directory),
        }
    }

    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let what = || format!("list {}", path.display());
        self.act(path, Doing::Look, &what, |state, _| {
            match state.find(path)? {
                Entry::Directory => {}
                Entry::File(_) => return Err(io::ErrorKind::NotADirectory.into()),
            }
            let inside = state.names.keys().filter(|it| it.parent() == Some(path));
            Ok(inside.cloned().collect())
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let what = || format!("rename {} {}", from.display(), to.display());
        self.act(from, Doing::Name, &what, |state, outcome| {
            let entry = state.find(from)?;
            if state.names.get(to) == Some(&Entry::Directory) {
                return Err(io::ErrorKind::IsADirectory.into());
            }
            if outcome.happens(&self.world.chance) {
                state.name(to, Some(entry))?;
                state.name(from, None)?;
            }
            Ok(())
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let what = || format!("remove {}", path.display());
        self.act(path, Doing::Name, &what, |state, outcome| {
            match state.find(path)? {
                Entry::File(_) => {}
                Entry::Directory => return Err(io::ErrorKind::IsADirectory.into()),
            }
            if outcome.happens(&self.world.chance) {
                state.name(path, None)?;
            }
            Ok(())
        })
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let what = || format!("syncdir {}", path.display());
        self.act(path, Doing::Name, &what, |state, outcome| {
            if state.find(path)? != Entry::Directory {
                return Err(io::ErrorKind::NotADirectory.into());
            }
            let (inside, outside) = std::mem::take(&mut state.pending_names)
                .into_iter()
                .partition(|(name, _)| name.parent() == Some(path));
            state.pending_names = outside;
            let inside: Vec<_> = inside;
            for (name, entry) in inside {
                // A journal forgets nothing: what was not made durable is still to be.
                if outcome == Outcome::Whole {
                    super::set(&mut state.durable_names, name, entry);
                } else {
                    state.pending_names.push((name, entry));
                }
            }
            Ok(())
        })
    }

    fn available(&self, _path: &Path) -> io::Result<u64> {
        Ok(self.world.state().free())
    }
}

impl SimDisk {
    fn file(&self, path: &Path, file: usize) -> Box<dyn RawFile> {
        Box::new(Open {
            disk: self.clone(),
            path: path.to_owned(),
            file,
        })
    }
}

#[derive(Debug)]
struct Lock(World);

impl Drop for Lock {
    fn drop(&mut self) {
        self.0.state().locked = None;
    }
}

#[derive(Debug)]
struct Open {
    disk: SimDisk,
    path: PathBuf,
    file: usize,
}

impl Open {
    fn act<T>(
        &self,
        doing: Doing,
        what: &dyn Fn() -> String,
        act: impl FnOnce(&mut State, Outcome) -> io::Result<T>,
    ) -> io::Result<T> {
        let what = || format!("{} {}", what(), self.path.display());
        self.disk.act(&self.path, doing, &what, act)
    }

    fn chance(&self) -> f64 {
        self.disk.world.chance.fraction()
    }

    fn read(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        let what = || format!("read {offset}+{len}");
        self.act(Doing::Read, &what, |state, _| {
            let dead = state.faults.dead_sector;
            let struck = dead > 0.0 && is_segment(&self.path) && self.chance() < dead;
            let at = usize::try_from(offset).map_err(io::Error::other)?;
            if struck {
                state.struck += 1;
                state.note("and a sector dies");
                state.files[self.file].kill_sector(at);
            }
            let file = &state.files[self.file];
            let end = (at + len).min(file.seen.len());
            if !file.is_readable(at..end.max(at)) {
                return Err(broken());
            }
            Ok(file.seen.get(at..end).unwrap_or_default().to_vec())
        })
    }
}

impl RawFile for Open {
    fn len(&self) -> io::Result<u64> {
        let state = self.disk.world.state();
        if !state.powered {
            return Err(dark());
        }
        Ok(state.files[self.file].seen.len() as u64)
    }

    fn write_all_at(&self, parts: &mut [IoSlice<'_>], offset: u64) -> io::Result<()> {
        let bytes: Vec<u8> = parts.iter().flat_map(|part| part.iter().copied()).collect();
        let hash = crc32fast::hash(&bytes);
        let what = || format!("write {offset}+{} {hash:08x}", bytes.len());
        self.act(Doing::Write, &what, |state, outcome| {
            let mut len = bytes.len();
            if outcome == Outcome::Half {
                // What a failed write leaves ends with a sector.
                let end = offset as usize + (self.chance() * (len + 1) as f64) as usize;
                len = (end / SECTOR * SECTOR).saturating_sub(offset as usize);
            }
            let free = state.free() / BLOCK;
            let file = &mut state.files[self.file];
            let wanted = file.new_blocks(offset..offset + len as u64);
            let lacks = wanted.get(free as usize).copied();
            if let Some(first) = lacks {
                // It has room for what comes before.
                len = (first * BLOCK).saturating_sub(offset) as usize;
            }
            file.take(wanted.into_iter().take(free as usize));
            let at = usize::try_from(offset).map_err(io::Error::other)?;
            if len > 0 {
                file.write(at, &bytes[..len.min(bytes.len())]);
            }
            match lacks {
                Some(_) => Err(full()),
                None => Ok(()),
            }
        })
    }

    fn read_at(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        self.read(offset, len)
    }

    fn read_exact_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let bytes = self.read(offset, out.len())?;
        if bytes.len() < out.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        out.copy_from_slice(&bytes);
        Ok(())
    }

    fn sync(&self, _all: bool) -> io::Result<()> {
        self.act(Doing::Sync, &|| "sync".to_owned(), |state, outcome| {
            let file = &mut state.files[self.file];
            match outcome {
                Outcome::Whole => file.sync(),
                Outcome::Half => file.half_sync(|| self.chance() < 0.5),
                Outcome::Cut => {}
            }
            Ok(())
        })
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.act(
            Doing::Write,
            &|| format!("setlen {len}"),
            |state, outcome| {
                if outcome.happens(&self.disk.world.chance) {
                    let len = usize::try_from(len).map_err(io::Error::other)?;
                    state.files[self.file].set_len(len);
                }
                Ok(())
            },
        )
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.act(
            Doing::Write,
            &|| format!("allocate {len}"),
            |state, outcome| {
                let free = state.free() / BLOCK;
                let file = &mut state.files[self.file];
                let wanted = file.new_blocks(0..len);
                if wanted.len() as u64 > free {
                    return Err(full());
                }
                if outcome.happens(&self.disk.world.chance) {
                    file.take(wanted);
                    let len = usize::try_from(len).map_err(io::Error::other)?;
                    if file.seen.len() < len {
                        file.set_len(len);
                    }
                }
                Ok(())
            },
        )
    }

    fn forget_clean_pages(&self) {
        self.disk.world.state().files[self.file].drop_cache();
    }
}
