//! What is asked of a file system, and the machine's answer to it.

use std::{
    fmt,
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, IoSlice},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use rustix::{
    buffer::spare_capacity,
    fs::FallocateFlags,
    io::{Errno, pread, pwritev},
};

/// How many slices one `pwritev` takes on every platform (`IOV_MAX`).
const SLICES_PER_WRITE: usize = 1024;

/// A file system: the machine's, or one that a simulation brings.
///
/// What it must keep: bytes and lengths of a file survive a power cut once `sync_data` returned, a name once
/// `sync_dir` of its directory did. All else may be lost, in part and in any order.
pub trait FileSystem: Send + Sync + fmt::Debug {
    /// A new, empty file for writing and reading; fails when it exists.
    fn create(&self, path: &Path) -> io::Result<Box<dyn RawFile>>;
    /// An existing file, for reading and, if `write`, writing.
    fn open(&self, path: &Path, write: bool) -> io::Result<Box<dyn RawFile>>;
    /// Takes a file for this process until the answer is dropped; [`Locked::By`] when another has it, with what that
    /// wrote into it. With a `note` the file is created when missing and holds the note afterwards, if there is room
    /// for it. Without one it stays as it is, and must be there.
    fn lock(
        &self,
        path: &Path,
        note: Option<&str>,
    ) -> Result<Box<dyn fmt::Debug + Send + Sync>, Locked>;
    /// A new directory; fails when it exists.
    fn create_dir(&self, path: &Path) -> io::Result<()>;
    /// What is at `path`, if anything is.
    fn kind(&self, path: &Path) -> Option<PathKind>;
    /// The paths in a directory, in any order.
    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>>;
    /// A file gets another name, in place of the file that had it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes a directory's entries durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// Bytes that this process may still write to the file system of `path`.
    fn available(&self, path: &Path) -> io::Result<u64>;
}

/// An open file of a [`FileSystem`].
pub trait RawFile: Send + Sync + fmt::Debug {
    /// Its length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Whether it has no byte.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
    /// Writes all of `parts`, one after another, from `offset` on. Consumes `parts`.
    fn write_all_at(&self, parts: &mut [IoSlice<'_>], offset: u64) -> io::Result<()>;
    /// Up to `len` bytes from `offset`; fewer only at the end of the file.
    fn read_at(&self, offset: u64, len: usize) -> io::Result<Vec<u8>>;
    /// Fills `out` from `offset` on; `UnexpectedEof` when the file ends before.
    fn read_exact_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()>;
    /// Makes bytes and length durable; if `all`, whatever else the file system knows of the file, too.
    fn sync(&self, all: bool) -> io::Result<()>;
    /// Cuts it or extends it with zeros.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Sets `len` bytes aside, so that writing them cannot run out of space, and makes the file at least that long.
    fn allocate(&self, len: u64) -> io::Result<()>;
    /// What is read next comes from the disk, as far as it has all that was written. Best effort.
    fn forget_clean_pages(&self);
}

/// What a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathKind {
    /// A directory.
    Directory,
    /// A file, or whatever else is none.
    File,
}

/// Why a file was not locked.
#[derive(Debug)]
pub enum Locked {
    /// Another has it, who left this in it.
    By(String),
    /// It could not be tried.
    Failed(io::Error),
}

/// The machine's.
#[derive(Debug)]
pub(super) struct System {
    /// What files are made with, before the umask takes from it.
    pub(super) file_mode: u32,
    /// The same of directories.
    pub(super) dir_mode: u32,
}

impl System {
    /// What it makes is its user's alone: for records that nobody else should read.
    pub(super) const PRIVATE: System = System {
        file_mode: 0o600,
        dir_mode: 0o700,
    };
    /// What it makes is for whom the umask lets it be.
    pub(super) const SHARED: System = System {
        file_mode: 0o666,
        dir_mode: 0o777,
    };
}

impl FileSystem for System {
    fn create(&self, path: &Path) -> io::Result<Box<dyn RawFile>> {
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create_new(true);
        let file = options.mode(self.file_mode).open(path)?;
        Ok(Box::new(SystemFile(file)))
    }

    fn open(&self, path: &Path, write: bool) -> io::Result<Box<dyn RawFile>> {
        let file = OpenOptions::new().read(true).write(write).open(path)?;
        Ok(Box::new(SystemFile(file)))
    }

    fn lock(
        &self,
        path: &Path,
        note: Option<&str>,
    ) -> Result<Box<dyn fmt::Debug + Send + Sync>, Locked> {
        let mut options = OpenOptions::new();
        options.read(true);
        if note.is_some() {
            options.write(true).create(true).truncate(false);
            options.mode(self.file_mode);
        }
        let file = options.open(path).map_err(Locked::Failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                // Only for the message.
                let by = io::read_to_string(&file).unwrap_or_default();
                return Err(Locked::By(by));
            }
            Err(TryLockError::Error(error)) => return Err(Locked::Failed(error)),
        }
        let Some(note) = note else {
            return Ok(Box::new(file));
        };
        let noted = file
            .set_len(0)
            .and_then(|()| write_all_at(&file, &mut [IoSlice::new(note.as_bytes())], 0));
        match noted {
            // The lock holds; on a full disk it merely cannot say by whom.
            Err(error) if !super::is_full(&error) => Err(Locked::Failed(error)),
            _ => Ok(Box::new(file)),
        }
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        DirBuilder::new().mode(self.dir_mode).create(path)
    }

    fn kind(&self, path: &Path) -> Option<PathKind> {
        let found = fs::metadata(path).ok()?;
        Some(match found.is_dir() {
            true => PathKind::Directory,
            false => PathKind::File,
        })
    }

    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let entries = fs::read_dir(path)?;
        entries.map(|entry| Ok(entry?.path())).collect()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn available(&self, path: &Path) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(path)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}

#[derive(Debug)]
struct SystemFile(File);

impl RawFile for SystemFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn write_all_at(&self, parts: &mut [IoSlice<'_>], offset: u64) -> io::Result<()> {
        write_all_at(&self.0, parts, offset)
    }

    fn read_at(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(len);
        while bytes.len() < len {
            let at = offset + bytes.len() as u64;
            // The capacity may have come out larger than asked for.
            match pread(&self.0, spare_capacity(&mut bytes), at) {
                Ok(0) => break,
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        bytes.truncate(len);
        Ok(bytes)
    }

    fn read_exact_at(&self, mut offset: u64, mut out: &mut [u8]) -> io::Result<()> {
        while !out.is_empty() {
            match pread(&self.0, &mut *out, offset) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => {
                    offset += read as u64;
                    out = &mut out[read..];
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn sync(&self, all: bool) -> io::Result<()> {
        match all {
            true => self.0.sync_all(),
            false => self.0.sync_data(),
        }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        loop {
            match rustix::fs::fallocate(&self.0, FallocateFlags::empty(), 0, len) {
                Ok(()) => return Ok(()),
                Err(Errno::INTR) => {}
                // A file system that cannot promise space without filling it (ZFS, some network ones).
                Err(Errno::OPNOTSUPP | Errno::NOSYS) => return self.fill(len),
                Err(error) => return Err(error.into()),
            }
        }
    }

    #[cfg(target_os = "linux")]
    fn forget_clean_pages(&self) {
        let _ = rustix::fs::fadvise(&self.0, 0, None, rustix::fs::Advice::DontNeed);
    }

    #[cfg(not(target_os = "linux"))]
    fn forget_clean_pages(&self) {}
}

impl SystemFile {
    fn fill(&self, len: u64) -> io::Result<()> {
        let zeros = vec![0u8; 1 << 20];
        let mut offset = self.len()?;
        while offset < len {
            let piece = usize::try_from(len - offset).map_or(zeros.len(), |n| n.min(zeros.len()));
            let written = pwritev(&self.0, &[IoSlice::new(&zeros[..piece])], offset)?;
            offset += written as u64;
        }
        Ok(())
    }
}

fn write_all_at(file: &File, parts: &mut [IoSlice<'_>], offset: u64) -> io::Result<()> {
    let (mut parts, mut offset) = (parts, offset);
    loop {
        while parts.first().is_some_and(|part| part.is_empty()) {
            parts = &mut parts[1..];
        }
        if parts.is_empty() {
            return Ok(());
        }
        let count = parts.len().min(SLICES_PER_WRITE);
        match pwritev(file, &parts[..count], offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                offset += written as u64;
                IoSlice::advance_slices(&mut parts, written);
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
