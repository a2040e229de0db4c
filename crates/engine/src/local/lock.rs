//! One process to a directory: the lock and the file that says what the directory is.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use super::disk::{Disk, Locked};
use crate::engine::OpenError;

pub(crate) const FORMAT: &str = "FORMAT";
pub(crate) const LOCK: &str = "LOCK";
/// What [`FORMAT`] begins with; the version follows.
pub(crate) const FORMAT_MAGIC: &str = "hydrant-data ";
pub(crate) const FORMAT_VERSION: u32 = 1;
/// More than any version of the file has.
pub(crate) const FORMAT_BYTES: usize = 1 << 10;

/// Held while the engine is open. The lock goes when it is dropped, or with the process.
#[derive(Debug)]
pub(crate) struct DirLock {
    _file: Box<dyn fmt::Debug + Send + Sync>,
}

impl DirLock {
    /// Takes the directory for this process.
    fn acquire(disk: &Disk, dir: &Path) -> Result<Self, OpenError> {
        let note = format!("{}\n", std::process::id());
        Self::take(disk, dir, Some(&note))
    }

    /// Takes the directory for this process without changing a byte of it. `None` when there is nothing to lock: then
    /// nobody has it.
    pub(crate) fn acquire_quietly(disk: &Disk, dir: &Path) -> Result<Option<Self>, OpenError> {
        match Self::take(disk, dir, None) {
            Err(OpenError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Ok(None)
            }
            taken => taken.map(Some),
        }
    }

    fn take(disk: &Disk, dir: &Path, note: Option<&str>) -> Result<Self, OpenError> {
        let path = dir.join(LOCK);
        match disk.lock(&path, note) {
            Ok(file) => Ok(DirLock { _file: file }),
            Err(Locked::By(note)) => Err(OpenError::Locked {
                dir: dir.to_owned(),
                pid: note.trim().parse().ok(),
            }),
            Err(Locked::Failed(source)) => Err(OpenError::io("lock", &path, source)),
        }
    }
}

/// Creates the directory if need be, takes it for this process, and makes sure that it is ours and
/// of a version that we know.
pub(crate) fn prepare_directory(disk: &Disk, dir: &Path) -> Result<DirLock, OpenError> {
    disk.create_dir_all(dir)
        .map_err(|source| OpenError::io("create", dir, source))?;
    let lock = DirLock::acquire(disk, dir)?;
    let path = dir.join(FORMAT);
    let text = disk
        .open_read(path.clone())
        .and_then(|file| file.read_at(0, FORMAT_BYTES));
    match text {
        Ok(text) => check_format(&path, &String::from_utf8_lossy(&text))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => begin(disk, dir, &path)?,
        Err(error) => return Err(OpenError::io("read", &path, error)),
    }
    Ok(lock)
}

fn check_format(path: &Path, text: &str) -> Result<(), OpenError> {
    let version = text
        .lines()
        .next()
        .and_then(|line| line.strip_prefix(FORMAT_MAGIC));
    match version {
        Some(version) if version.parse() == Ok(FORMAT_VERSION) => Ok(()),
        Some(version) => Err(OpenError::Format {
            path: path.to_owned(),
            detail: format!(
                "its version is {version:?} and this program knows version {FORMAT_VERSION} alone; \
                 use the program that wrote it, or a newer one"
            ),
        }),
        None => Err(OpenError::Format {
            path: path.to_owned(),
            detail: format!("it does not begin with {FORMAT_MAGIC:?}"),
        }),
    }
}

fn begin(disk: &Disk, dir: &Path, path: &Path) -> Result<(), OpenError> {
    let present: Option<PathBuf> = ["log", "catalog.redb"]
        .iter()
        .map(|name| dir.join(name))
        .find(|path| disk.exists(path));
    if let Some(present) = present {
        return Err(OpenError::Format {
            path: path.to_owned(),
            detail: format!(
                "it is missing although {} exists; restore the file, or name another directory",
                present.display()
            ),
        });
    }
    write_format(disk, path).map_err(|source| OpenError::io("write", path, source))
}

/// Says durably what the directory is.
pub(crate) fn write_format(disk: &Disk, path: &Path) -> io::Result<()> {
    let text = format!("{FORMAT_MAGIC}{FORMAT_VERSION}\n");
    disk.durable_write(path, text.as_bytes())
}
