//! A directory as a bucket: the embedded default, so that Hydrant works with nothing else.
//!
//! ```text
//! ROOT/BUCKET/KEY            an object; the key's components as in destination/key.rs
//! ROOT/BUCKET/.hydrant/*.part    objects being written; swept when the node starts
//! ```
//!
//! An object appears whole: it is written aside, fsynced, renamed to its name, and each directory
//! above it is fsynced: the last one for each object, the others once in the life of the process
//! ([`Durable`]), since one that merely exists may have been made just before a crash. So a receipt
//! holds over a power cut. A crash leaves a `.part` file at worst.

use std::{
    collections::HashSet,
    ffi::OsStr,
    fmt,
    io::{self, IoSlice},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use hydrant_engine::{
    SystemThreads, Threads,
    disk::{self, FileSystem, PathKind, RawFile},
    threads,
};

use super::{Bytestream, DeliveryError, Destination, Object, Receipt, key};

/// Where a bucket keeps objects that are being written.
const PARTS: &str = ".hydrant";
/// What their names end in.
const PART_SUFFIX: &str = "part";

/// How much of an object is read at a time.
const READ_BYTES: u64 = 256 << 10;

/// How many directories are remembered as durable before all are forgotten: memory is bounded, and
/// to forget costs an fsync.
const DURABLE_LIMIT: usize = 4096;

/// One bucket in a directory.
#[derive(Debug, Clone)]
pub struct Directory {
    bucket: PathBuf,
    durable: Arc<Durable>,
}

/// The directories below a root whose own entries this process has synced.
#[derive(Debug)]
pub struct Durable {
    root: PathBuf,
    machine: Machine,
    known: Mutex<HashSet<PathBuf>>,
    /// How many objects this process has begun to write here.
    attempts: AtomicU64,
}

/// What directories lie on, and who works on them. Cheap to clone.
#[derive(Clone)]
pub struct Machine {
    /// The file system.
    pub files: Arc<dyn FileSystem>,
    /// Where its calls may block.
    pub threads: Arc<dyn Threads>,
}

impl Default for Machine {
    fn default() -> Self {
        Machine {
            files: disk::system(),
            threads: Arc::new(SystemThreads),
        }
    }
}

impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Machine")
    }
}

impl Directory {
    /// The bucket `bucket` below the root; made at the first delivery. The caller has checked the
    /// bucket's name ([`key::check_bucket`]).
    pub fn new(durable: Arc<Durable>, bucket: &str) -> Self {
        Directory {
            bucket: durable.root.join(bucket),
            durable,
        }
    }

    /// Where the object under `key` lies.
    fn place(&self, key: &str) -> Result<PathBuf, DeliveryError> {
        let components = key::path_components(key)
            .map_err(|detail| DeliveryError::refused("S3.InvalidKey", detail))?;
        let join = |path: PathBuf, component: &String| path.join(component);
        Ok(components.iter().fold(self.bucket.clone(), join))
    }

    /// Removes what a crash left half written in every bucket below `root`; how many objects. To be
    /// called before the first delivery, by the only process that delivers there.
    ///
    /// What cannot be read or removed is told in the log and left: one bucket that is out of order, or
    /// a `lost+found` among them, is no reason for a node not to start.
    pub fn sweep(files: &dyn FileSystem, root: &Path) -> usize {
        let entries = |directory: &Path| {
            entries(files, directory).unwrap_or_else(|error| {
                tracing::warn!("{} is not tidied up: {error}", directory.display());
                Vec::new()
            })
        };
        let mut swept = 0;
        for bucket in entries(root) {
            for part in entries(&bucket.join(PARTS)) {
                if part.extension() != Some(OsStr::new(PART_SUFFIX)) {
                    continue;
                }
                match files.remove(&part) {
                    Ok(()) => swept += 1,
                    Err(error) => tracing::warn!("{} is not removed: {error}", part.display()),
                }
            }
        }
        swept
    }
}

/// What lies in `directory`; nothing if it is not there.
fn entries(files: &dyn FileSystem, directory: &Path) -> io::Result<Vec<PathBuf>> {
    match files.list(directory) {
        Ok(found) => Ok(found),
        Err(error) if not_a_directory(&error) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn not_a_directory(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

#[async_trait]
impl Destination for Directory {
    async fn deliver(&self, object: &Object) -> Result<Receipt, DeliveryError> {
        let target = self.place(&object.key)?;
        let name = target.file_name().unwrap_or_default();
        let part = self
            .bucket
            .join(PARTS)
            .join(part_name(&name.to_string_lossy(), self.durable.attempt()));

        let threads = &*self.durable.machine.threads;
        let mut body = object.body.open();
        let mut writing = {
            let durable = self.durable.clone();
            blocking(threads, move || Part::create(part, durable)).await?
        };
        while let Some(chunk) = body.next().await {
            let chunk = chunk?;
            writing = blocking(threads, move || {
                writing.write(&chunk)?;
                Ok(writing)
            })
            .await?;
        }
        let bytes = blocking(threads, move || writing.publish(&target)).await?;
        Ok(Receipt { bytes })
    }

    async fn read(&self, key: &str) -> Result<Bytestream, DeliveryError> {
        let path = self.place(key)?;
        let named = key.to_owned();
        let Machine { files, threads } = self.durable.machine.clone();
        let reading = threads::blocking(&*threads, move || Reading::open(&*files, &path))
            .await
            .map_err(|stopped| DeliveryError::internal(stopped.to_string()))?
            .map_err(|error| match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
                    DeliveryError::refused("S3.NoSuchKey", format!("there is no object {named}"))
                }
                _ => in_words(&error),
            })?;
        let pieces = futures::stream::try_unfold(reading, move |mut reading| {
            let threads = threads.clone();
            async move {
                let piece = move || Ok(reading.piece()?.map(|piece| (piece, reading)));
                blocking(&*threads, piece).await
            }
        });
        Ok(pieces.boxed())
    }

    async fn probe(&self) -> Result<(), DeliveryError> {
        Ok(())
    }
}

/// An object being read. Renaming replaces objects whole, so what was opened stays as it was.
#[derive(Debug)]
struct Reading {
    file: Box<dyn RawFile>,
    at: u64,
    end: u64,
}

impl Reading {
    fn open(files: &dyn FileSystem, path: &Path) -> io::Result<Self> {
        if files.kind(path) == Some(PathKind::Directory) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let file = files.open(path, false)?;
        Ok(Reading {
            end: file.len()?,
            file,
            at: 0,
        })
    }

    /// The next piece; none at the end that the object had when it was opened.
    fn piece(&mut self) -> io::Result<Option<Bytes>> {
        let length = (self.end - self.at).min(READ_BYTES);
        if length == 0 {
            return Ok(None);
        }
        let piece = self.file.read_at(self.at, length as usize)?;
        if piece.len() as u64 != length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.at += length;
        Ok(Some(piece.into()))
    }
}

/// A part's name must fit a directory entry though the object's own may be as long as one can be.
/// It is never used twice: an attempt that was given up may still have a thread that hangs in the file
/// system, and when that comes back it must not meet the next attempt's bytes.
fn part_name(object: &str, attempt: u64) -> String {
    let mut tail = object.len().saturating_sub(200);
    while !object.is_char_boundary(tail) {
        tail += 1;
    }
    format!("{}.{attempt}.{PART_SUFFIX}", &object[tail..])
}

async fn blocking<T: Send + 'static>(
    threads: &dyn Threads,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, DeliveryError> {
    match threads::blocking(threads, work).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(in_words(&error)),
        Err(stopped) => Err(DeliveryError::internal(stopped.to_string())),
    }
}

/// SPEC §6.4's words for a file system's errors.
fn in_words(error: &io::Error) -> DeliveryError {
    let message = error.to_string();
    match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            DeliveryError::refused("S3.AccessDenied", message)
        }
        io::ErrorKind::NotADirectory
        | io::ErrorKind::IsADirectory
        | io::ErrorKind::InvalidFilename => DeliveryError::refused("S3.InvalidKey", message),
        _ => DeliveryError::internal(message),
    }
}

/// An object being written. Dropped unpublished, it leaves nothing.
#[derive(Debug)]
struct Part {
    path: PathBuf,
    file: Box<dyn RawFile>,
    durable: Arc<Durable>,
    bytes: u64,
    published: bool,
}

impl Part {
    fn create(path: PathBuf, durable: Arc<Durable>) -> io::Result<Self> {
        if let Some(parent) = path.parent() {
            durable.create(parent)?;
        }
        let files = &durable.machine.files;
        let file = match files.create(&path) {
            // Left by another life of this process, and not swept.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                files.remove(&path)?;
                files.create(&path)?
            }
            created => created?,
        };
        Ok(Part {
            path,
            file,
            durable,
            bytes: 0,
            published: false,
        })
    }

    fn write(&mut self, chunk: &[u8]) -> io::Result<()> {
        self.file
            .write_all_at(&mut [IoSlice::new(chunk)], self.bytes)?;
        self.bytes += chunk.len() as u64;
        Ok(())
    }

    fn publish(mut self, target: &Path) -> io::Result<u64> {
        self.file.sync(true)?;
        if let Some(parent) = target.parent() {
            self.durable.create(parent)?;
            let files = &self.durable.machine.files;
            files.rename(&self.path, target)?;
            self.published = true;
            files.sync_dir(parent)?;
        }
        Ok(self.bytes)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.published {
            // Best effort: what stays is swept at the next start.
            let _ = self.durable.machine.files.remove(&self.path);
        }
    }
}

impl Durable {
    /// Nothing is known below `root` yet.
    pub fn new(root: PathBuf, machine: Machine) -> Arc<Self> {
        Arc::new(Durable {
            root,
            machine,
            known: Mutex::default(),
            attempts: AtomicU64::new(0),
        })
    }

    /// Never the same number twice.
    fn attempt(&self) -> u64 {
        self.attempts.fetch_add(1, Ordering::Relaxed)
    }

    /// Makes `directory`, which lies below the root, and those above it that are missing.
    fn create(&self, directory: &Path) -> io::Result<()> {
        // Held over the syncs: nobody may rely on a directory that somebody else is making.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        // Directories may have been removed by hand since.
        if known.contains(directory) && self.is_directory(directory) {
            return Ok(());
        }
        if known.len() >= DURABLE_LIMIT {
            known.clear();
        }
        self.create_durably(directory, &mut known)
    }

    fn is_directory(&self, path: &Path) -> bool {
        self.machine.files.kind(path) == Some(PathKind::Directory)
    }

    fn create_durably(&self, directory: &Path, known: &mut HashSet<PathBuf>) -> io::Result<()> {
        // What is above the root, and the root if it was there before, is somebody else's care.
        if self.is_directory(directory)
            && (known.contains(directory) || !directory.starts_with(&self.root))
        {
            return Ok(());
        }
        let parent = match directory.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        if directory != Path::new(".") {
            self.create_durably(parent, known)?;
            let files = &self.machine.files;
            match files.create_dir(directory) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                Err(_) if !self.is_directory(directory) => {
                    let detail = format!("{} is a file", directory.display());
                    return Err(io::Error::new(io::ErrorKind::NotADirectory, detail));
                }
                _ => files.sync_dir(parent)?,
            }
        }
        known.insert(directory.to_owned());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use super::{entries as listed, *};
    use crate::destination::conformance::{self, Inspect, object};

    struct Looked(PathBuf);

    #[async_trait]
    impl Inspect for Looked {
        async fn read(&self, key: &str) -> Option<Vec<u8>> {
            let path = key
                .split('/')
                .fold(self.0.clone(), |path, part| path.join(part));
            fs::read(path).ok()
        }

        async fn count(&self) -> usize {
            fn files(directory: &Path) -> usize {
                let entries = entries(directory).unwrap();
                let count = |path: &PathBuf| if path.is_dir() { files(path) } else { 1 };
                entries.iter().map(count).sum()
            }
            files(&self.0)
        }
    }

    fn bucket(root: &Path) -> Directory {
        let durable = Durable::new(root.to_owned(), Machine::default());
        Directory::new(durable, "my-bucket")
    }

    fn entries(directory: &Path) -> io::Result<Vec<PathBuf>> {
        listed(&*disk::system(), directory)
    }

    fn sweep(root: &Path) -> usize {
        Directory::sweep(&*disk::system(), root)
    }

    #[tokio::test]
    async fn keeps_the_promises() {
        let root = tempfile::tempdir().unwrap();
        let looked = Looked(root.path().join("my-bucket"));
        conformance::suite(&bucket(root.path()), &looked).await;
    }

    #[tokio::test]
    async fn an_object_that_was_cut_short_is_not_taken_for_whole() {
        let root = tempfile::tempdir().unwrap();
        let bucket = bucket(root.path());
        let bytes = conformance::noise(3 * READ_BYTES as usize);
        bucket.deliver(&object("a", &bytes)).await.unwrap();
        let mut pieces = bucket.read("a").await.unwrap();
        assert_eq!(
            pieces.next().await.unwrap().unwrap(),
            bytes[..READ_BYTES as usize]
        );
        let file = root.path().join("my-bucket/a");
        let file = File::options().write(true).open(file).unwrap();
        file.set_len(2 * READ_BYTES + 1).unwrap();
        pieces.next().await.unwrap().unwrap();
        pieces.next().await.unwrap().unwrap_err();
        assert!(pieces.next().await.is_none());
    }

    #[tokio::test]
    async fn nothing_is_made_before_the_first_delivery_and_nothing_outside_the_bucket() {
        let top = tempfile::tempdir().unwrap();
        let root = top.path().join("data/buckets");
        let bucket = bucket(&root);
        bucket.probe().await.unwrap();
        assert!(!root.exists());
        for key in [
            "../../../escape",
            "a/../../../escape",
            "/escape",
            "b/..",
            "a\0b",
            "a\\..\\b",
        ] {
            bucket.deliver(&object(key, b"x")).await.unwrap();
        }
        let outside: Vec<_> = entries(top.path()).unwrap();
        assert_eq!(outside, [top.path().join("data")]);
        assert_eq!(entries(&root).unwrap(), [root.join("my-bucket")]);
        let looked = Looked(root.join("my-bucket"));
        assert_eq!(looked.count().await, 6);
        let last = "%2E%2E/%2E%2E/%2E%2E/escape";
        assert_eq!(looked.read(last).await.as_deref(), Some(&b"x"[..]));
    }

    #[tokio::test]
    async fn a_link_that_somebody_made_in_the_root_is_followed() {
        // Whoever may write there may say where a bucket lies; no client can make a link.
        let (root, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::os::unix::fs::symlink(other.path(), root.path().join("my-bucket")).unwrap();
        bucket(root.path())
            .deliver(&object("a", b"x"))
            .await
            .unwrap();
        assert_eq!(fs::read(other.path().join("a")).unwrap(), b"x");
    }

    #[tokio::test]
    async fn what_a_crash_left_is_swept_and_objects_are_not() {
        let root = tempfile::tempdir().unwrap();
        let bucket = bucket(root.path());
        bucket.deliver(&object("a/kept.part", b"x")).await.unwrap();
        fs::write(root.path().join("my-bucket/.hydrant/half.part"), b"half").unwrap();
        assert_eq!(sweep(root.path()), 1);
        assert_eq!(Looked(root.path().join("my-bucket")).count().await, 1);
        assert_eq!(sweep(&root.path().join("missing")), 0);
    }

    #[tokio::test]
    async fn what_cannot_be_swept_stops_nothing() {
        let root = tempfile::tempdir().unwrap();
        let bucket = bucket(root.path());
        bucket.deliver(&object("a", b"x")).await.unwrap();
        let parts = root.path().join("my-bucket/.hydrant");
        // Not a file, so it cannot be removed as one, whoever runs the test.
        fs::create_dir_all(parts.join("odd.part")).unwrap();
        fs::write(parts.join("half.part"), b"half").unwrap();
        assert_eq!(sweep(root.path()), 1);
    }

    #[test]
    fn no_two_attempts_write_to_one_file() {
        let durable = Durable::new("/nowhere".into(), Machine::default());
        let names = [(); 2].map(|()| part_name("object", durable.attempt()));
        assert_ne!(names[0], names[1]);
        assert!(part_name(&"ü".repeat(200), u64::MAX).len() < 255);
    }

    #[tokio::test]
    async fn a_file_in_the_way_is_refused_and_removed_directories_are_made_again() {
        let root = tempfile::tempdir().unwrap();
        let bucket = bucket(root.path());
        bucket.deliver(&object("a/b", b"x")).await.unwrap();
        let error = bucket.deliver(&object("a/b/c", b"x")).await.unwrap_err();
        assert!(matches!(error, DeliveryError::Refused { .. }), "{error:?}");
        let error = bucket.deliver(&object("a", b"x")).await.unwrap_err();
        assert!(matches!(error, DeliveryError::Refused { .. }), "{error:?}");
        fs::remove_dir_all(root.path().join("my-bucket")).unwrap();
        bucket.deliver(&object("a/b/c", b"x")).await.unwrap();
    }
}
