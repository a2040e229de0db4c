//! A disk in memory, and one thread for everything: a run takes less than a millisecond and leaves nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    io::{self, IoSlice},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::future::BoxFuture;

use crate::{
    local::disk::{FileSystem, Locked, PathKind, RawFile},
    threads::{Stopped, Threads},
};

type Content = Arc<Mutex<Vec<u8>>>;

/// Files and directories.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory {
    files: Arc<Mutex<BTreeMap<PathBuf, Content>>>,
    directories: Arc<Mutex<BTreeSet<PathBuf>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Memory {
    /// A file of this content, in place of any other; its directory is there.
    pub(super) fn put(&self, path: PathBuf, bytes: Vec<u8>) {
        let parents = path.ancestors().skip(1);
        lock(&self.directories).extend(parents.map(Path::to_owned));
        lock(&self.files).insert(path, Arc::new(Mutex::new(bytes)));
    }

    /// What a file holds; nothing if there is none.
    pub(super) fn content(&self, path: &Path) -> Vec<u8> {
        self.get(path)
            .map_or_else(|_| Vec::new(), |content| lock(&content).clone())
    }

    fn get(&self, path: &Path) -> io::Result<Content> {
        let found = lock(&self.files).get(path).cloned();
        found.ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl FileSystem for Memory {
    fn create(&self, path: &Path) -> io::Result<Box<dyn RawFile>> {
        let mut files = lock(&self.files);
        if files.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let content = Content::default();
        files.insert(path.to_owned(), content.clone());
        Ok(Box::new(File(content)))
    }

    fn open(&self, path: &Path, _write: bool) -> io::Result<Box<dyn RawFile>> {
        Ok(Box::new(File(self.get(path)?)))
    }

    fn lock(
        &self,
        path: &Path,
        note: Option<&str>,
    ) -> Result<Box<dyn fmt::Debug + Send + Sync>, Locked> {
        match note {
            Some(_) => self.put(path.to_owned(), Vec::new()),
            None => drop(self.open(path, false).map_err(Locked::Failed)?),
        }
        Ok(Box::new(()))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let new = lock(&self.directories).insert(path.to_owned());
        new.then_some(())
            .ok_or_else(|| io::ErrorKind::AlreadyExists.into())
    }

    fn kind(&self, path: &Path) -> Option<PathKind> {
        if path == Path::new("/") || lock(&self.directories).contains(path) {
            return Some(PathKind::Directory);
        }
        self.get(path).ok().map(|_| PathKind::File)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let files = lock(&self.files);
        let inside = files.keys().filter(|file| file.parent() == Some(path));
        Ok(inside.cloned().collect())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut files = lock(&self.files);
        let content = files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        files.insert(to.to_owned(), content);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let removed = lock(&self.files).remove(path);
        removed
            .map(drop)
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn sync_dir(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    fn available(&self, _path: &Path) -> io::Result<u64> {
        Ok(1 << 40)
    }
}

#[derive(Debug)]
struct File(Content);

impl RawFile for File {
    fn len(&self) -> io::Result<u64> {
        Ok(lock(&self.0).len() as u64)
    }

    fn write_all_at(&self, parts: &mut [IoSlice<'_>], offset: u64) -> io::Result<()> {
        let mut bytes = lock(&self.0);
        let mut at = offset as usize;
        for part in parts {
            let end = at + part.len();
            if bytes.len() < end {
                bytes.resize(end, 0);
            }
            bytes[at..end].copy_from_slice(part);
            at = end;
        }
        Ok(())
    }

    fn read_at(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        // As much as the machine's disk takes for it, so that a length that nobody checked shows.
        let mut read = Vec::with_capacity(len);
        let bytes = lock(&self.0);
        let start = usize::try_from(offset).map_or(bytes.len(), |at| at.min(bytes.len()));
        let end = start.saturating_add(len).min(bytes.len());
        read.extend_from_slice(&bytes[start..end]);
        Ok(read)
    }

    fn read_exact_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let read = self.read_at(offset, out.len())?;
        if read.len() < out.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        out.copy_from_slice(&read);
        Ok(())
    }

    fn sync(&self, _all: bool) -> io::Result<()> {
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        lock(&self.0).resize(len as usize, 0);
        Ok(())
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        let mut bytes = lock(&self.0);
        let len = bytes.len().max(len as usize);
        bytes.resize(len, 0);
        Ok(())
    }

    fn forget_clean_pages(&self) {}
}

/// Everything runs on the caller's thread, in tokio's turns.
#[derive(Debug)]
pub(super) struct OneThread;

impl Threads for OneThread {
    fn spawn(&self, _name: &'static str, work: BoxFuture<'static, ()>) -> io::Result<()> {
        tokio::spawn(work);
        Ok(())
    }

    fn run(&self, work: Box<dyn FnOnce() + Send>) -> BoxFuture<'static, Result<(), Stopped>> {
        work();
        Box::pin(std::future::ready(Ok(())))
    }
}
