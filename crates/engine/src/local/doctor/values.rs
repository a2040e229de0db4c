//! The catalog: is its file what redb wrote, and what are its values.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use redb::{Builder, Database, ReadableDatabase, ReadableTable, StorageBackend};

use super::{Diagnosis, Finding, Reading, Repair, Severity, overlay::Overlay};
use crate::{
    catalog::Version,
    engine::EngineConfig,
    local::{
        catalog::{Backend, FORMAT, FORMAT_VERSION, LAST_VERSION, META, StoreError, VALUES},
        disk::Disk,
    },
};

/// What to do about a catalog that nothing can be done about.
const RESTORE: &str = "restore it from a backup. Without it a node does not start, because it would take all records for those of \
                       deleted streams; they stay in the log meanwhile";
/// What is lost with it.
const ALL_LOST: &str = "streams, checkpoints and receipts: what says whose the records in the log are and which were \
                        delivered. The records themselves are not lost";

pub(super) fn path(dir: &Path) -> PathBuf {
    dir.join("catalog.redb")
}

/// How long the catalog's file is, if there is one.
pub(super) fn file_bytes(disk: &Disk, dir: &Path) -> u64 {
    let file = disk.open_read(path(dir));
    file.and_then(|file| file.len()).unwrap_or_default()
}

/// Checks every page of the catalog and shows its values.
pub(super) fn examine(
    config: &EngineConfig,
    disk: &Disk,
    diagnosis: &mut Diagnosis,
    reading: &mut Reading<'_>,
) {
    let path = path(&config.data_dir);
    let mut find = |severity, what: String| {
        let found = Finding::new(severity, &path, what);
        let found = found.losing(ALL_LOST).remedy(RESTORE);
        diagnosis.findings.push(found);
    };
    if !disk.exists(&path) {
        return find(Severity::Fatal, "it is missing".to_owned());
    }
    let bytes = file_bytes(disk, &config.data_dir);
    // What redb does with damage that it does not expect is to panic.
    let shown = catch_unwind(AssertUnwindSafe(|| {
        show(config, disk, &path, reading).map_err(|error| error.to_string())
    }));
    reading.advance(bytes);
    match shown.unwrap_or_else(|_| Err("its store gave up on it".to_owned())) {
        Ok(Shown::Values(count)) => diagnosis.values = Some(count),
        Ok(Shown::Unknown(version)) => {
            let unknown = Finding::new(
                Severity::Fatal,
                &path,
                format!("its format is {version} and this program knows {FORMAT_VERSION} alone"),
            );
            let unknown = unknown.remedy("use the program that wrote it, or a newer one");
            return diagnosis.findings.push(unknown);
        }
        Ok(Shown::Foreign) => {
            let what = "it is a redb database, but not a catalog of this program's";
            return find(Severity::Fatal, what.to_owned());
        }
        Err(why) => return find(Severity::Fatal, format!("it is damaged: {why}")),
    }
    let sound = catch_unwind(AssertUnwindSafe(|| {
        is_sound(config, disk, &path).map_err(|error| error.to_string())
    }));
    match sound.unwrap_or_else(|_| Err("its store gave up on it".to_owned())) {
        Ok(true) => {}
        Ok(false) => diagnosis.findings.push(
            Finding::new(
                Severity::Damage,
                &path,
                "what it says of its own free space is not true",
            )
            .losing("nothing: every value was read and is sound")
            .repaired_by(Repair::Catalog),
        ),
        Err(why) => find(Severity::Fatal, format!("it is damaged: {why}")),
    }
}

enum Shown {
    Values(u64),
    /// Of a format that is not known.
    Unknown(u64),
    /// No catalog.
    Foreign,
}

/// Verifies the checksum of every page in use, then shows the values.
fn show(
    config: &EngineConfig,
    disk: &Disk,
    path: &Path,
    reading: &mut Reading<'_>,
) -> Result<Shown, StoreError> {
    let database = verified(config, overlay(disk, path)?)?;
    let read = database.begin_read()?;
    let format = match read.open_table(META) {
        Ok(meta) => meta.get(FORMAT)?.map(|format| format.value()),
        Err(redb::TableError::TableDoesNotExist(_)) => None,
        Err(error) => return Err(error.into()),
    };
    match format {
        Some(FORMAT_VERSION) => {}
        Some(other) => return Ok(Shown::Unknown(other)),
        None => return Ok(Shown::Foreign),
    }
    let mut count = 0;
    for item in read.open_table(VALUES)?.iter()? {
        let (key, value) = item?;
        let (version, value) = value.value();
        reading.observer.value(key.value(), Version(version), value);
        count += 1;
    }
    Ok(Shown::Values(count))
}

/// Whether redb's own check has nothing to say, of a file whose every page in use is sound.
fn is_sound(config: &EngineConfig, disk: &Disk, path: &Path) -> Result<bool, StoreError> {
    let mut builder = builder(config);
    let mut database = builder
        .set_check_integrity_on_open(false)
        .create_with_backend(overlay(disk, path)?)?;
    Ok(database.check_integrity()?)
}

/// Changes the catalog for good: repairs its file, then takes out and puts in the values of these keys.
pub(super) fn change(
    config: &EngineConfig,
    disk: &Disk,
    changes: &[(String, Option<Vec<u8>>)],
) -> Result<(), StoreError> {
    let path = path(&config.data_dir);
    let mut database = verified(config, Backend(disk.open(path)?))?;
    database.check_integrity()?;
    if changes.is_empty() {
        return Ok(());
    }
    let mut write = database.begin_write()?;
    write.set_quick_repair(true);
    {
        let mut values = write.open_table(VALUES)?;
        let mut meta = write.open_table(META)?;
        let mut version = meta.get(LAST_VERSION)?.map_or(0, |last| last.value());
        for (key, value) in changes {
            version += 1;
            match value {
                Some(value) => values.insert(key.as_str(), (version, value.as_slice()))?,
                None => values.remove(key.as_str())?,
            };
        }
        meta.insert(LAST_VERSION, version)?;
    }
    write.commit()?;
    Ok(())
}

/// The present value of a key.
pub(super) fn get(
    config: &EngineConfig,
    disk: &Disk,
    key: &str,
) -> Result<Option<Vec<u8>>, StoreError> {
    let path = path(&config.data_dir);
    let database = verified(config, overlay(disk, &path)?)?;
    let values = database.begin_read()?.open_table(VALUES)?;
    Ok(values.get(key)?.map(|found| found.value().1.to_vec()))
}

fn builder(config: &EngineConfig) -> Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(config.catalog_cache_bytes);
    builder
}

fn verified(config: &EngineConfig, backend: impl StorageBackend) -> Result<Database, StoreError> {
    let mut builder = builder(config);
    builder.set_check_integrity_on_open(true);
    Ok(builder.create_with_backend(backend)?)
}

fn overlay(disk: &Disk, path: &Path) -> Result<Overlay, StoreError> {
    let file = disk.open_read(path.to_owned())?;
    file.forget_clean_pages();
    Ok(Overlay::new(file)?)
}
