//! One process to a directory: the lock and the file that says what the directory is.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
};

use super::disk::Disk;
use crate::engine::OpenError;

const FORMAT: &str = "FORMAT";
const LOCK: &str = "LOCK";
/// What [`FORMAT`] begins with; the version follows.
const FORMAT_MAGIC: &str = "hydrant-data ";
const FORMAT_VERSION: u32 = 1;

/// Held while the engine is open. The lock goes when it is dropped, or with the process.
#[derive(Debug)]
pub(crate) struct DirLock {
    _file: File,
}

impl DirLock {
    /// Takes the directory for this process.
    fn acquire(dir: &Path) -> Result<Self, OpenError> {
        let path = dir.join(LOCK);
        let failed = |source| OpenError::io("lock", &path, source);
        let mut options = OpenOptions::new();
        let mut file = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                // Only for the message.
                let _ = file.read_to_string(&mut pid);
                return Err(OpenError::Locked {
                    dir: dir.to_owned(),
                    pid: pid.trim().parse().ok(),
                });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        let note_pid = |file: &mut File| {
            file.set_len(0)?;
            file.rewind()?;
            writeln!(file, "{}", std::process::id())
        };
        match note_pid(&mut file) {
            // The lock holds; on a full disk it merely cannot say by whom.
            Err(error) if !super::disk::is_full(&error) => Err(failed(error)),
            _ => Ok(DirLock { _file: file }),
        }
    }
}

/// Creates the directory if need be, takes it for this process, and makes sure that it is ours and
/// of a version that we know.
pub(crate) fn prepare_directory(disk: &Disk, dir: &Path) -> Result<DirLock, OpenError> {
    disk.create_dir_all(dir)
        .map_err(|source| OpenError::io("create", dir, source))?;
    let lock = DirLock::acquire(dir)?;
    let path = dir.join(FORMAT);
    match std::fs::read_to_string(&path) {
        Ok(text) => check_format(&path, &text)?,
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
        .find(|path| path.exists());
    if let Some(present) = present {
        return Err(OpenError::Format {
            path: path.to_owned(),
            detail: format!(
                "it is missing although {} exists; restore the file, or name another directory",
                present.display()
            ),
        });
    }
    let text = format!("{FORMAT_MAGIC}{FORMAT_VERSION}\n");
    disk.durable_write(path, text.as_bytes())
        .map_err(|source| OpenError::io("write", path, source))
}
