//! Files that hold a secret: read only if nobody but their owner may.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// So much of a file is read: a secret and what an editor may add to it.
const MAX_BYTES: u64 = 1024;

/// Why a file that holds a secret was not read. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum PrivateFileError {
    /// It cannot be read or made.
    #[error("{}: {source}", .path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Others may read it.
    #[error("{} may be read by others (mode {mode:o}): chmod 600 it", .path.display())]
    Exposed {
        /// Which file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
}

/// The first 1,024 bytes of the text at `path`.
///
/// # Errors
/// See [`PrivateFileError`].
pub(super) fn read(path: &Path) -> Result<String, PrivateFileError> {
    let failed = |source| PrivateFileError::Io {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(PrivateFileError::Exposed {
            path: path.to_owned(),
            mode,
        });
    }
    let mut text = String::new();
    file.take(MAX_BYTES)
        .read_to_string(&mut text)
        .map_err(failed)?;
    Ok(text)
}
