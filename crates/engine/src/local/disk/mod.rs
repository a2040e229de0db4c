//! The one door to files: every byte that the engine writes, syncs, renames or removes goes through
//! [`Disk`], the catalog's too.
//!
//! That makes three things possible. Durable operations have names, so that nobody writes the
//! rename dance twice. Each mutation and each read first passes a [`Hook`], so that a test can fail it (a
//! *fault point*: no space, a failed fsync, a bad sector) or record it; and below it all lies a [`FileSystem`],
//! which a simulation replaces by one that loses power. And a reader of the code sees in one place what is asked
//! of the operating system.
//!
//! What is asked of the hardware: an fsync that returned survives a power cut, and rewriting bytes
//! of a disk block with themselves does not endanger them (SQLite calls it *powersafe overwrite*).

mod system;

use std::{
    fmt,
    io::{self, IoSlice},
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::io::Errno;

use self::system::System;
pub use self::system::{FileSystem, Locked, PathKind, RawFile};

/// The machine's file system, for files that others may read as far as the umask lets them.
pub fn system() -> Arc<dyn FileSystem> {
    Arc::new(System::SHARED)
}

/// How often a read is tried: what a disk fails to read once it often reads the next time.
const READ_TRIES: usize = 3;
/// In pieces of so many bytes is read what cannot be read as a whole.
const READ_PIECE: u64 = 512;
/// "Structure needs cleaning": what Linux's file systems say of metadata that is no good.
const EUCLEAN: i32 = 117;

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
#[derive(Clone)]
pub struct Disk {
    files: Arc<dyn FileSystem>,
    hook: Option<Hook>,
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Disk")
    }
}

impl Default for Disk {
    fn default() -> Self {
        Self::over(Arc::new(System::PRIVATE))
    }
}

impl Disk {
    /// The machine's disk. What is made there is for the user alone who runs the process.
    pub fn new() -> Self {
        Self::default()
    }

    /// The machine's disk, but `hook` sees first what is asked of it.
    pub fn with_hook(hook: Hook) -> Self {
        Disk {
            hook: Some(hook),
            ..Self::default()
        }
    }

    /// Another disk.
    pub fn over(files: Arc<dyn FileSystem>) -> Self {
        Disk { files, hook: None }
    }

    fn pass(&self, op: &Op<'_>) -> io::Result<()> {
        match &self.hook {
            Some(hook) => hook(op),
            None => Ok(()),
        }
    }

    fn file(&self, raw: Box<dyn RawFile>, path: PathBuf) -> DiskFile {
        DiskFile {
            disk: self.clone(),
            raw,
            path,
        }
    }

    /// A new file for writing and reading; fails when it exists.
    pub(crate) fn create(&self, path: PathBuf) -> io::Result<DiskFile> {
        self.pass(&Op::Create { path: &path })?;
        Ok(self.file(self.files.create(&path)?, path))
    }

    /// An existing file for reading and writing.
    pub(crate) fn open(&self, path: PathBuf) -> io::Result<DiskFile> {
        Ok(self.file(self.files.open(&path, true)?, path))
    }

    /// An existing file for reading alone.
    pub(crate) fn open_read(&self, path: PathBuf) -> io::Result<DiskFile> {
        Ok(self.file(self.files.open(&path, false)?, path))
    }

    /// Takes a file for this process, see [`FileSystem::lock`].
    pub(crate) fn lock(
        &self,
        path: &Path,
        note: Option<&str>,
    ) -> Result<Box<dyn fmt::Debug + Send + Sync>, Locked> {
        self.files.lock(path, note)
    }

    /// Whether there is something at `path`.
    pub(crate) fn exists(&self, path: &Path) -> bool {
        self.files.kind(path).is_some()
    }

    /// Whether there is a directory at `path`.
    pub(crate) fn is_directory(&self, path: &Path) -> bool {
        self.files.kind(path) == Some(PathKind::Directory)
    }

    /// The paths in a directory, in order.
    pub(crate) fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let mut paths = self.files.list(path)?;
        paths.sort_unstable();
        Ok(paths)
    }

    /// Creates a directory and its parents, all durable, also those that are there: whoever made them may have been
    /// killed before their names were, and all that lies in them would go with the power.
    pub(crate) fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        let parent = parent(path);
        if path == parent || path == Path::new("/") {
            return Ok(());
        }
        self.create_dir_all(parent)?;
        if self.files.kind(path) != Some(PathKind::Directory) {
            match self.files.create_dir(path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                other => other?,
            }
            return self.sync_dir(parent);
        }
        match self.sync_dir(parent) {
            // Not ours to sync: then it is not we who made what is in it.
            Err(error) if is_others(&error) => Ok(()),
            synced => synced,
        }
    }

    /// Renames a file whose bytes are durable, and makes the new name durable.
    pub(crate) fn durable_rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.pass(&Op::Rename { from, to })?;
        self.files.rename(from, to)?;
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
        self.files.sync_dir(path)
    }

    /// Removes a file. Not durable before [`sync_dir`](Self::sync_dir).
    pub(crate) fn remove(&self, path: &Path) -> io::Result<()> {
        self.pass(&Op::Remove { path })?;
        self.files.remove(path)
    }

    /// Removes a file that may not be there.
    pub(crate) fn remove_if_present(&self, path: &Path) -> io::Result<()> {
        if self.exists(path) {
            self.remove(path)?;
        }
        Ok(())
    }

    /// Bytes that this process may still write to the file system of `path`.
    pub(crate) fn available(&self, path: &Path) -> io::Result<u64> {
        self.files.available(path)
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
    raw: Box<dyn RawFile>,
    path: PathBuf,
}

impl DiskFile {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn len(&self) -> io::Result<u64> {
        self.raw.len()
    }

    /// Writes all of `parts`, one after another, from `offset` on. Consumes `parts`.
    pub(crate) fn write_all_at(&self, parts: &mut [IoSlice<'_>], offset: u64) -> io::Result<()> {
        self.disk.pass(&Op::Write {
            path: &self.path,
            offset,
            parts,
        })?;
        self.raw.write_all_at(parts, offset)
    }

    /// Makes the file's bytes and length durable.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.disk.pass(&Op::Sync { path: &self.path })?;
        self.raw.sync(false)
    }

    /// Makes the file's bytes and all that the file system knows of it durable.
    pub(crate) fn sync_all(&self) -> io::Result<()> {
        self.disk.pass(&Op::Sync { path: &self.path })?;
        self.raw.sync(true)
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
        self.raw.forget_clean_pages();
    }

    pub(crate) fn set_len(&self, len: u64) -> io::Result<()> {
        self.disk.pass(&Op::SetLen {
            path: &self.path,
            len,
        })?;
        self.raw.set_len(len)
    }

    /// Sets `len` bytes of disk aside, so that writing them cannot run out of space.
    pub(crate) fn allocate(&self, len: u64) -> io::Result<()> {
        self.disk.pass(&Op::Allocate {
            path: &self.path,
            len,
        })?;
        self.raw.allocate(len)
    }

    /// Up to `len` bytes from `offset`; fewer only at the end of the file.
    pub(crate) fn read_at(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        self.reading(offset, len, || self.raw.read_at(offset, len))
    }

    /// Fills `out` from `offset` on.
    pub(crate) fn read_into(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let len = out.len();
        self.reading(offset, len, || self.raw.read_exact_at(offset, out))
    }

    fn reading<T>(
        &self,
        offset: u64,
        len: usize,
        mut read: impl FnMut() -> io::Result<T>,
    ) -> io::Result<T> {
        let op = Op::Read {
            path: &self.path,
            offset,
            len,
        };
        let mut tries = 1;
        loop {
            match self.disk.pass(&op).and_then(|()| read()) {
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

    /// As [`read_at`](Self::read_at), but what the disk cannot read is zeros: one bad sector must not take along what
    /// lies around it. Also whether there was such.
    pub(crate) fn read_around(&self, offset: u64, len: usize) -> io::Result<(Vec<u8>, bool)> {
        match self.read_at(offset, len) {
            Ok(bytes) => return Ok((bytes, false)),
            Err(error) if is_unreadable(&error) => {}
            Err(error) => return Err(error),
        }
        let end = self.len()?.min(offset + len as u64);
        let (mut bytes, mut unreadable) = (Vec::with_capacity(len), false);
        let mut at = offset;
        while at < end {
            let next = (at + 1).next_multiple_of(READ_PIECE).min(end);
            let piece = usize::try_from(next - at).map_err(io::Error::other)?;
            match self.read_exact_at(at, piece) {
                Ok(read) => bytes.extend_from_slice(&read),
                Err(error) if is_unreadable(&error) => {
                    bytes.resize(bytes.len() + piece, 0);
                    unreadable = true;
                }
                Err(error) => return Err(error),
            }
            at = next;
        }
        Ok((bytes, unreadable))
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

/// Whether an error says that the disk has lost what was to be read: a bad sector, or a file system's own checksum.
pub(crate) fn is_unreadable(error: &io::Error) -> bool {
    let Some(code) = Errno::from_io_error(error) else {
        return false;
    };
    [Errno::IO, Errno::BADMSG, Errno::ILSEQ].contains(&code) || code.raw_os_error() == EUCLEAN
}

/// Whether a directory cannot be synced because it is others', or of a kind that needs no sync.
fn is_others(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::PermissionDenied
            | io::ErrorKind::ReadOnlyFilesystem
            | io::ErrorKind::Unsupported
            | io::ErrorKind::InvalidInput
    )
}

/// Whether an error says that there is no room, now: on the disk, or for another open file.
pub(crate) fn is_full(error: &io::Error) -> bool {
    let for_files = [Errno::MFILE, Errno::NFILE];
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    ) || Errno::from_io_error(error).is_some_and(|error| for_files.contains(&error))
}
