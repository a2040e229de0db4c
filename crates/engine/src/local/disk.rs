//! The one door to files: every byte that the engine writes, syncs, renames or removes goes through
//! [`Disk`].
//!
//! That makes three things possible. Durable operations have names, so that nobody writes the
//! rename dance twice. Each mutation and each read first passes a [`Hook`], so that a test can fail it (a
//! *fault point*: no space, a failed fsync, a bad sector) or record it (and then build every disk that a
//! power cut could have left). And a reader of the code sees in one file what is asked of the operating system.
//!
//! What is asked of the hardware: an fsync that returned survives a power cut, and rewriting bytes
//! of a disk block with themselves does not endanger them (SQLite calls it *powersafe overwrite*).

use std::{
    fmt,
    fs::{self, File, OpenOptions},
    io::{self, IoSlice},
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::{
    buffer::spare_capacity,
    fs::FallocateFlags,
    io::{Errno, pread, pwritev},
};

/// How many slices one `pwritev` takes on every platform (`IOV_MAX`).
const SLICES_PER_WRITE: usize = 1024;
/// How often a read is tried: what a disk fails to read once it often reads the next time.
const READ_TRIES: usize = 3;

/// What is about to be asked of the disk.
#[derive(Debug)]
pub enum Op<'a> {
    /// A new, empty file.
    Create {
        /// Its path.
        path: &'a Path,
    },
    /// Bytes into a file.
    Write {
        /// The file.
        path: &'a Path,
        /// Where the first byte goes.
        offset: u64,
        /// The bytes, one slice after another.
        parts: &'a [IoSlice<'a>],
    },
    /// A file is cut or extended to this length.
    SetLen {
        /// The file.
        path: &'a Path,
        /// Its new length in bytes.
        len: u64,
    },
    /// Space is set aside for a file, and its length set.
    Allocate {
        /// The file.
        path: &'a Path,
        /// Its new length in bytes.
        len: u64,
    },
    /// A file's bytes and length are made durable.
    Sync {
        /// The file.
        path: &'a Path,
    },
    /// A file gets another name, in place of the file that had it.
    Rename {
        /// The old name.
        from: &'a Path,
        /// The new name.
        to: &'a Path,
    },
    /// A file is removed.
    Remove {
        /// The file.
        path: &'a Path,
    },
    /// A directory's entries are made durable.
    SyncDir {
        /// The directory.
        path: &'a Path,
    },
    /// Bytes of a file are read. The one that changes nothing.
    Read {
        /// The file.
        path: &'a Path,
        /// Where the first byte is.
        offset: u64,
        /// How many.
        len: usize,
    },
}

/// Sees every [`Op`] before it happens, and may make it fail. For tests and simulations.
pub type Hook = Arc<dyn Fn(&Op<'_>) -> io::Result<()> + Send + Sync>;

/// The disk. Cheap to clone.
#[derive(Clone, Default)]
pub struct Disk {
    hook: Option<Hook>,
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Disk")
    }
}

impl Disk {
    /// The machine's disk.
    pub fn new() -> Self {
        Self::default()
    }

    /// The machine's disk, but `hook` sees first what is asked of it.
    pub fn with_hook(hook: Hook) -> Self {
        Disk { hook: Some(hook) }
    }

    fn pass(&self, op: &Op<'_>) -> io::Result<()> {
        match &self.hook {
            Some(hook) => hook(op),
            None => Ok(()),
        }
    }

    /// A new file for writing and reading; fails when it exists.
    pub(crate) fn create(&self, path: PathBuf) -> io::Result<DiskFile> {
        self.pass(&Op::Create { path: &path })?;
        let mut options = OpenOptions::new();
        let file = options
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)?;
        Ok(DiskFile {
            disk: self.clone(),
            file,
            path,
        })
    }

    /// An existing file for reading and writing.
    pub(crate) fn open(&self, path: PathBuf) -> io::Result<DiskFile> {
        let file = OpenOptions::new().read(true).write(true).open(&path)?;
        Ok(DiskFile {
            disk: self.clone(),
            file,
            path,
        })
    }

    /// An existing file for reading alone.
    pub(crate) fn open_read(&self, path: PathBuf) -> io::Result<DiskFile> {
        let file = File::open(&path)?;
        Ok(DiskFile {
            disk: self.clone(),
            file,
            path,
        })
    }

    /// Creates a directory and its parents, all durable.
    pub(crate) fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        if path.is_dir() {
            return Ok(());
        }
        let parent = parent(path);
        self.create_dir_all(parent)?;
        match fs::create_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            other => other?,
        }
        self.sync_dir(parent)
    }

    /// Renames a file whose bytes are durable, and makes the new name durable.
    pub(crate) fn durable_rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.pass(&Op::Rename { from, to })?;
        fs::rename(from, to)?;
        self.sync_dir(parent(to))
    }

    /// Puts a small file in place, whole and durable, or not at all.
    pub(crate) fn durable_write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let temporary = path.with_extension("tmp");
        self.remove_if_present(&temporary)?;
        let file = self.create(temporary)?;
        file.write_all_at(&mut [IoSlice::new(bytes)], 0)?;
        file.sync()?;
        self.durable_rename(&file.path, path)
    }

    /// Makes a directory's entries durable.
    pub(crate) fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.pass(&Op::SyncDir { path })?;
        File::open(path)?.sync_all()
    }

    /// Removes a file. Not durable before [`sync_dir`](Self::sync_dir).
    pub(crate) fn remove(&self, path: &Path) -> io::Result<()> {
        self.pass(&Op::Remove { path })?;
        fs::remove_file(path)
    }

    /// Removes a file that may not be there.
    pub(crate) fn remove_if_present(&self, path: &Path) -> io::Result<()> {
        if path.exists() {
            self.remove(path)?;
        }
        Ok(())
    }

    /// Bytes that this process may still write to the file system of `path`.
    pub(crate) fn available(&self, path: &Path) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(path)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// An open file.
#[derive(Debug)]
pub(crate) struct DiskFile {
    disk: Disk,
    file: File,
    path: PathBuf,
}

impl DiskFile {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// Writes all of `parts`, one after another, from `offset` on. Consumes `parts`.
    pub(crate) fn write_all_at(&self, parts: &mut [IoSlice<'_>], offset: u64) -> io::Result<()> {
        self.disk.pass(&Op::Write {
            path: &self.path,
            offset,
            parts,
        })?;
        let (mut parts, mut offset) = (parts, offset);
        loop {
            while parts.first().is_some_and(|part| part.is_empty()) {
                parts = &mut parts[1..];
            }
            if parts.is_empty() {
                return Ok(());
            }
            let count = parts.len().min(SLICES_PER_WRITE);
            match pwritev(&self.file, &parts[..count], offset) {
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

    /// Makes the file's bytes and length durable.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.disk.pass(&Op::Sync { path: &self.path })?;
        self.file.sync_data()
    }

    /// Makes the file's bytes and all that the file system knows of it durable.
    pub(crate) fn sync_all(&self) -> io::Result<()> {
        self.disk.pass(&Op::Sync { path: &self.path })?;
        self.file.sync_all()
    }

    /// Sees to it that what is read next comes from the disk.
    ///
    /// After a failed fsync the kernel may call pages clean that the disk never got, and shows them to
    /// whoever reads, also to the next process. Best effort: where it does not work, nothing is worse.
    pub(crate) fn read_from_disk(&self) {
        // Pages that were merely not written yet are kept by writing them.
        let _ = self.sync();
        self.forget_clean_pages();
    }

    /// As [`read_from_disk`](Self::read_from_disk), for what is known to be durable.
    pub(crate) fn forget_clean_pages(&self) {
        forget_clean_pages(&self.file);
    }

    pub(crate) fn set_len(&self, len: u64) -> io::Result<()> {
        self.disk.pass(&Op::SetLen {
            path: &self.path,
            len,
        })?;
        self.file.set_len(len)
    }

    /// Sets `len` bytes of disk aside, so that writing them cannot run out of space.
    pub(crate) fn allocate(&self, len: u64) -> io::Result<()> {
        self.disk.pass(&Op::Allocate {
            path: &self.path,
            len,
        })?;
        loop {
            match rustix::fs::fallocate(&self.file, FallocateFlags::empty(), 0, len) {
                Ok(()) => return Ok(()),
                Err(Errno::INTR) => {}
                // A file system that cannot promise space without filling it (ZFS, some network ones).
                Err(Errno::OPNOTSUPP | Errno::NOSYS) => return self.fill(len),
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn fill(&self, len: u64) -> io::Result<()> {
        let zeros = vec![0u8; 1 << 20];
        let mut offset = self.len()?;
        while offset < len {
            let piece = usize::try_from(len - offset).map_or(zeros.len(), |n| n.min(zeros.len()));
            let written = pwritev(&self.file, &[IoSlice::new(&zeros[..piece])], offset)?;
            offset += written as u64;
        }
        Ok(())
    }

    /// Up to `len` bytes from `offset`; fewer only at the end of the file.
    pub(crate) fn read_at(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        let mut tries = 1;
        loop {
            match self.read_once(offset, len) {
                Err(error) if tries < READ_TRIES => {
                    tracing::warn!(
                        "reading {} at byte {offset}: {error}; again",
                        self.path.display()
                    );
                    tries += 1;
                }
                read => return read,
            }
        }
    }

    fn read_once(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        self.disk.pass(&Op::Read {
            path: &self.path,
            offset,
            len,
        })?;
        let mut bytes = Vec::with_capacity(len);
        while bytes.len() < len {
            let at = offset + bytes.len() as u64;
            // The capacity may have come out larger than asked for.
            match pread(&self.file, spare_capacity(&mut bytes), at) {
                Ok(0) => break,
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        bytes.truncate(len);
        Ok(bytes)
    }

    /// Exactly `len` bytes from `offset`.
    pub(crate) fn read_exact_at(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        let bytes = self.read_at(offset, len)?;
        if bytes.len() < len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(bytes)
    }
}

#[cfg(target_os = "linux")]
fn forget_clean_pages(file: &File) {
    let _ = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed);
}

#[cfg(not(target_os = "linux"))]
fn forget_clean_pages(_: &File) {}

/// Whether an error says that there is no room, now.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}
