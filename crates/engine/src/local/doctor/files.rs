//! The directory itself: is it one of ours, of a version that is known, and what else lies in it; and the lanes file.

use std::{io, path::Path};

use super::{
    Finding, Repair, Severity,
    log::{LANES, Listed},
};
use crate::{
    engine::OpenError,
    local::{
        disk::Disk,
        format::HeaderError,
        lanes::{self, Memory},
        lock::{FORMAT, FORMAT_BYTES, FORMAT_MAGIC, FORMAT_VERSION, LOCK},
    },
};

/// What lies in a data directory, whoever put it there.
const KNOWN: [&str; 7] = [
    FORMAT,
    LOCK,
    "catalog.redb",
    "log",
    "buckets",
    "secret.key",
    SET_ASIDE,
];
/// Where repairs keep what they change.
pub(super) const SET_ASIDE: &str = "set-aside";

/// Fails unless there is anything here that could be a data directory.
pub(super) fn is_data_directory(disk: &Disk, dir: &Path) -> Result<(), OpenError> {
    disk.list(dir)
        .map_err(|source| OpenError::io("open", dir, source))?;
    let marks = [FORMAT, "log", "catalog.redb"];
    match marks.iter().any(|name| disk.exists(&dir.join(name))) {
        true => Ok(()),
        false => Err(OpenError::Format {
            path: dir.to_owned(),
            detail: "it holds neither FORMAT nor log nor catalog, so it is no data directory; name another one"
                .to_owned(),
        }),
    }
}

/// Looks at `FORMAT` and at names; whether the rest can be looked at.
pub(super) fn examine(
    disk: &Disk,
    dir: &Path,
    findings: &mut Vec<Finding>,
) -> Result<bool, OpenError> {
    let path = dir.join(FORMAT);
    let text = disk
        .open_read(path.clone())
        .and_then(|file| file.read_at(0, FORMAT_BYTES));
    let (what, known) = match text {
        Ok(text) => match version(&String::from_utf8_lossy(&text)) {
            Some(version) if version == FORMAT_VERSION => (None, true),
            Some(version) => {
                let what = format!(
                    "its version is {version} and this program knows version {FORMAT_VERSION} alone"
                );
                let unknown = Finding::new(Severity::Fatal, &path, what)
                    .losing("nothing; it was not looked at")
                    .remedy("use the program that wrote it, or a newer one");
                findings.push(unknown);
                return Ok(false);
            }
            None => (
                Some("it does not say which version the directory is of"),
                false,
            ),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            (Some("it is missing, although the rest is there"), false)
        }
        Err(error) => return Err(OpenError::io("read", &path, error)),
    };
    if let (Some(what), false) = (what, known) {
        // Each segment and the catalog say their own version, so it is not believed that these are of version 1; it is seen.
        let damaged = Finding::new(Severity::Fatal, &path, what)
            .losing("nothing: segments and catalog say their own versions")
            .repaired_by(Repair::Format);
        findings.push(damaged);
    }
    for path in disk
        .list(dir)
        .map_err(|source| OpenError::io("list", dir, source))?
    {
        let name = path.file_name().and_then(|name| name.to_str());
        if name.is_some_and(|name| KNOWN.contains(&name)) {
            continue;
        }
        let extension = path.extension().and_then(|it| it.to_str());
        let what = match extension {
            Some("tmp" | "part") => "left half made by a crash; it may be removed",
            _ => "not a file of this program's; it is left alone",
        };
        findings.push(Finding::new(Severity::Note, path, what));
    }
    Ok(true)
}

/// The version that the text of `FORMAT` names; `None` when it names none.
fn version(text: &str) -> Option<u32> {
    let line = text.lines().next()?;
    line.strip_prefix(FORMAT_MAGIC)?.parse().ok()
}

/// What the lanes file remembers, as far as it can be read.
pub(super) fn lanes(
    disk: &Disk,
    log_dir: &Path,
    listed: &Listed,
    findings: &mut Vec<Finding>,
) -> Result<Memory, OpenError> {
    let path = log_dir.join(LANES);
    let lost = "at worst a deleted stream's records are back, which the next start removes, and frames that were \
                delivered are, which checkpoints know";
    let finding = |severity, what: String| {
        Finding::new(severity, &path, what)
            .losing(lost)
            .repaired_by(Repair::Lanes)
    };
    let bytes = match read(disk, &path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if !listed.ids.is_empty() {
                let what = "it is missing: which lanes were removed, and how far others were trimmed, is forgotten";
                findings.push(finding(Severity::Damage, what.to_owned()));
            }
            return Ok(Memory::default());
        }
        Err(error) => {
            let what = format!("the disk cannot read it: {error}");
            let unreadable = Finding::new(Severity::Fatal, &path, what)
                .remedy("look at the disk; save what can be read of it to another one");
            findings.push(unreadable);
            return Ok(Memory::default());
        }
    };
    let (decoded, intact) = match lanes::decode(&bytes) {
        Ok(decoded) => (decoded, true),
        Err(HeaderError::Unknown(why)) => {
            findings.push(Finding::new(Severity::Fatal, &path, why));
            return Ok(Memory::default());
        }
        Err(HeaderError::Damaged(why)) => {
            findings.push(finding(Severity::Fatal, why.to_owned()).at(0));
            (lanes::salvage(&bytes), false)
        }
    };
    for &offset in &decoded.damaged {
        let what = "a record of a removal or a trim fails its checksum".to_owned();
        findings.push(finding(Severity::Damage, what).at(offset));
    }
    if intact && decoded.used > 0 && (bytes.len() as u64) < lanes::LEAST_BYTES {
        let what = format!(
            "it was cut: it has {} bytes, and never fewer than {} were written",
            bytes.len(),
            lanes::LEAST_BYTES
        );
        findings.push(finding(Severity::Damage, what).at(bytes.len() as u64));
    }
    Ok(decoded.memory)
}

/// All bytes of a small file.
pub(super) fn read(disk: &Disk, path: &Path) -> io::Result<Vec<u8>> {
    let file = disk.open_read(path.to_owned())?;
    file.forget_clean_pages();
    let len = usize::try_from(file.len()?).map_err(io::Error::other)?;
    file.read_at(0, len)
}
