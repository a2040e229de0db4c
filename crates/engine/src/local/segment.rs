//! One segment file: how it comes to be, is sealed, and is opened again.
//!
//! A crash may come between any two steps, so their order is the design:
//!
//! * **Create**: a temporary file, new or one that was a segment before; its space set aside, its header
//!   written, all durable; then renamed to `<id>.seg`, and the directory made durable. So a file of that name
//!   always has a header, and writing frames into it cannot run out of space.
//! * **Seal**: the footer is written over free space after the last frame, the file cut after it, both made durable.
//!   Until then the trailer is not at the end of the file and recovery scans the frames instead.
//! * **Roll over**: create the temporary file of the next; seal this one; rename. So at most one
//!   segment, the last, is not sealed, and a full disk is noticed before anything was done.
//!
//! A file that is not sealed was written by one run of one process: opening the log seals what the
//! last run left, and goes on in a new file with a new nonce. So bytes beyond a torn tail never
//! come back to life; nor do those of a file that was another segment before (see [`recycle`](super::recycle)).

use std::{
    io::{self, IoSlice},
    path::{Path, PathBuf},
};

use super::{
    disk::{Disk, DiskFile},
    footer::{self, TRAILER, Trailer},
    format::{DATA_START, HeaderError, Kind, NEVER, SegmentHeader},
    index::Segment,
};

/// The end of the name of a segment file.
const EXTENSION: &str = "seg";
/// The end of the name of a file that is not yet, or no longer, part of the log.
const TEMPORARY: &str = "tmp";

/// Where the segment of this number lies.
pub(crate) fn path(dir: &Path, id: u64) -> PathBuf {
    dir.join(format!("{id:016x}.{EXTENSION}"))
}

/// Where it lies before it is part of the log.
pub(crate) fn temporary_path(dir: &Path, id: u64) -> PathBuf {
    dir.join(format!("{id:016x}.{TEMPORARY}"))
}

/// The number that a file's name begins with, as [`path()`] makes it; whatever else there is, is others'.
pub(crate) fn number(path: &Path) -> Option<u64> {
    let stem = path.file_stem().and_then(|stem| stem.to_str());
    let id = stem
        .filter(|stem| stem.len() == 16)
        .and_then(|stem| u64::from_str_radix(stem, 16).ok());
    id.filter(|id| *id < NEVER)
}

/// The segments in a directory, by number, and the files that a crash left half made.
pub(crate) fn list(disk: &Disk, dir: &Path) -> io::Result<(Vec<u64>, Vec<PathBuf>)> {
    let (mut segments, mut leftovers) = (Vec::new(), Vec::new());
    for path in disk.list(dir)? {
        match (
            number(&path),
            path.extension().and_then(|extension| extension.to_str()),
        ) {
            (Some(id), Some(EXTENSION)) => segments.push(id),
            (Some(_), Some(TEMPORARY)) => leftovers.push(path),
            _ => {}
        }
    }
    segments.sort_unstable();
    Ok((segments, leftovers))
}

/// A segment file that is whole but for its name.
#[derive(Debug)]
pub(crate) struct Prepared {
    disk: Disk,
    pub(crate) file: DiskFile,
    target: PathBuf,
}

impl Prepared {
    /// A new file with `header`, and with `size` bytes of disk set aside when given.
    pub(crate) fn create(
        disk: &Disk,
        dir: &Path,
        header: SegmentHeader,
        size: Option<u64>,
    ) -> io::Result<Self> {
        let file = disk.create(temporary_path(dir, header.id))?;
        let prepared = Prepared {
            disk: disk.clone(),
            file,
            target: path(dir, header.id),
        };
        prepared.begin(header, size)
    }

    /// As [`create`](Self::create), out of a file that has most of the blocks already. It is removed when that fails.
    pub(crate) fn reuse(
        disk: &Disk,
        dir: &Path,
        header: SegmentHeader,
        size: u64,
        spare: PathBuf,
    ) -> io::Result<Self> {
        let prepared = Prepared {
            disk: disk.clone(),
            file: disk.open(spare)?,
            target: path(dir, header.id),
        };
        prepared.begin(header, Some(size))
    }

    /// Sets the space aside and writes the header, durably.
    fn begin(self, header: SegmentHeader, size: Option<u64>) -> io::Result<Self> {
        let written = size
            .map_or(Ok(()), |size| self.file.allocate(size))
            .and_then(|()| {
                self.file
                    .write_all_at(&mut [IoSlice::new(&header.encode())], 0)
            })
            .and_then(|()| self.file.sync_all());
        match written {
            Ok(()) => Ok(self),
            Err(error) => {
                self.discard();
                Err(error)
            }
        }
    }

    /// Gives the file its name, durably. From now on it is part of the log.
    pub(crate) fn activate(self) -> io::Result<DiskFile> {
        self.disk.durable_rename(self.file.path(), &self.target)?;
        self.disk.open(self.target)
    }

    /// Removes it again.
    pub(crate) fn discard(self) {
        // Opening the log removes it if this does not.
        let _ = self.disk.remove(self.file.path());
    }
}

/// Writes the footer after the frames, ends the file with it, and makes all durable. The file's length.
pub(crate) fn write_footer(file: &DiskFile, data_end: u32, footer: &[u8]) -> io::Result<u64> {
    let len = u64::from(data_end) + footer.len() as u64;
    file.write_all_at(&mut [IoSlice::new(footer)], u64::from(data_end))?;
    file.set_len(len)?;
    file.sync_all()?;
    Ok(len)
}

/// What a segment file turned out to be.
#[derive(Debug)]
pub(crate) enum Opened {
    /// Sealed; its index is at hand.
    Sealed(Segment),
    /// No sound footer: its frames must be scanned.
    Unsealed {
        header: SegmentHeader,
        file: DiskFile,
        /// Where frames end, when the trailer can still tell; then the segment had been sealed.
        data_end: Option<u32>,
    },
    /// Neither header nor trailer can be read.
    Unreadable(&'static str),
    /// Of a format that this program does not know.
    Unknown(String),
}

impl Opened {
    /// What made it, if that is known.
    pub(crate) fn kind(&self) -> Option<Kind> {
        match self {
            Opened::Sealed(segment) => Some(segment.kind),
            Opened::Unsealed { header, .. } => Some(header.kind),
            Opened::Unreadable(_) | Opened::Unknown(_) => None,
        }
    }
}

/// Opens the segment of this number by its trailer, or else its header.
pub(crate) fn open(disk: &Disk, dir: &Path, id: u64) -> io::Result<Opened> {
    let file = disk.open(path(dir, id))?;
    open_file(file, id, |_, _| Ok(true))
}

/// As [`open`], for looking only.
pub(crate) fn look(disk: &Disk, dir: &Path, id: u64) -> io::Result<(DiskFile, Opened)> {
    let file = disk.open_read(path(dir, id))?;
    let opened = open_file(disk.open_read(path(dir, id))?, id, |_, _| Ok(true))?;
    Ok((file, opened))
}

/// As [`open`], for the last one that appends made, which the last run may not have sealed to the end: a process that
/// was killed leaves in memory what is not on the disk, and a power cut any sectors of a footer. So the disk is
/// asked, and the whole footer must be sound.
pub(crate) fn open_last(disk: &Disk, dir: &Path, id: u64) -> io::Result<Opened> {
    let file = disk.open(path(dir, id))?;
    file.read_from_disk();
    open_file(file, id, footer::is_whole)
}

fn open_file(
    file: DiskFile,
    id: u64,
    believe: impl FnOnce(&DiskFile, &Segment) -> io::Result<bool>,
) -> io::Result<Opened> {
    let len = file.len()?;
    let trailer = read_trailer(&file, len, id)?;
    if let Some(trailer) = &trailer
        && let Some(segment) = open_sealed(&file, len, trailer)?
        && believe(&file, &segment)?
    {
        return Ok(Opened::Sealed(segment));
    }
    let data_end = trailer.as_ref().map(|trailer| trailer.data_end);
    let (block, _) = file.read_around(0, DATA_START as usize)?;
    // The trailer repeats the header.
    let header = match trailer {
        Some(trailer) => Ok(trailer.header),
        None => SegmentHeader::decode(&block),
    };
    Ok(match header {
        Ok(header) if header.id == id => Opened::Unsealed {
            header,
            file,
            data_end,
        },
        Ok(_) => Opened::Unreadable("its header is that of another segment"),
        Err(HeaderError::Damaged(why)) => Opened::Unreadable(why),
        Err(HeaderError::Unknown(why)) => Opened::Unknown(why),
    })
}

fn read_trailer(file: &DiskFile, len: u64, id: u64) -> io::Result<Option<Trailer>> {
    let Some(trailer_at) = len.checked_sub(u64::from(TRAILER)) else {
        return Ok(None);
    };
    let (bytes, _) = file.read_around(trailer_at, TRAILER as usize)?;
    let trailer = Trailer::decode(&bytes);
    Ok(trailer.filter(|trailer| trailer.header.id == id))
}

fn open_sealed(file: &DiskFile, len: u64, trailer: &Trailer) -> io::Result<Option<Segment>> {
    let rows = trailer.rows_range();
    if rows.start > rows.end || rows.end + u64::from(TRAILER) != len {
        return Ok(None);
    }
    let rows_len = usize::try_from(rows.end - rows.start).map_err(io::Error::other)?;
    let (rows, _) = file.read_around(rows.start, rows_len)?;
    let header = trailer.header;
    Ok(trailer.decode_rows(&rows).map(|rows| Segment {
        kind: header.kind,
        id: header.id,
        nonce: header.nonce,
        base: header.base,
        end: header.end,
        data_end: trailer.data_end,
        file_bytes: len,
        rows,
    }))
}
