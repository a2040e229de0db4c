//! The small file that remembers which lanes were removed, and how far the others were trimmed.
//!
//! Constraints: a removal is durable before `remove` resolves, also on a full disk, so room for
//! records is set aside ahead. A trim is written without a sync: a crash may undo it. Records are of one
//! size and stand for themselves, in any order: a rotten one is skipped, and the others hold. None crosses the
//! border of a sector, so none is ever torn: a damaged one is damage.
//!
//! When the file is full it is written anew, with what still matters, and renamed into place.
//!
//! Trims are also the second witness, beside the segments, of positions that were given out. Should somebody
//! delete segments, no later frame may get a position that was trimmed, which is to say delivered.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, IoSlice},
    path::{Path, PathBuf},
};

use super::{
    disk::{Disk, DiskFile, is_full},
    format::{HeaderError, NEVER, u32_at, u64_at},
};
use crate::log::LaneId;

const MAGIC: [u8; 8] = *b"HYDRLANE";
const VERSION: u32 = 2;
const HEADER: u64 = 32;
const RECORD: u64 = 32;
/// Header and record of version 1, whose records could be torn. It is read, and written as version 2.
const FIRST: (u64, u64) = (16, 24);
const TRIMMED: u32 = 1;
const REMOVED: u32 = 2;
/// Stands in a trim for lanes that are known no more.
const FORGOTTEN: LaneId = LaneId(u64::MAX);
/// How many free records a fresh file has room for.
const HEADROOM: u64 = if cfg!(test) { 8 } else { 16 << 10 };

/// No file of this version is shorter: room for records is set aside ahead.
pub(crate) const LEAST_BYTES: u64 = HEADER * 2 + HEADROOM * RECORD;

/// What the file remembers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Memory {
    pub(crate) removed: BTreeSet<LaneId>,
    pub(crate) trimmed: BTreeMap<LaneId, u64>,
    /// Above every position that was ever trimmed.
    pub(crate) next_position: u64,
}

/// The open file.
#[derive(Debug)]
pub(crate) struct LanesFile {
    disk: Disk,
    path: PathBuf,
    file: DiskFile,
    memory: Memory,
    next: u64,
    len: u64,
}

impl LanesFile {
    /// Opens or creates the file, and cleans it: a lane that `keep` does not know loses its trim.
    /// Also how many records were damaged.
    pub(crate) fn open(disk: &Disk, path: &Path) -> io::Result<(Self, usize)> {
        let found = match disk.open_read(path.to_owned()) {
            Ok(file) => {
                let len = usize::try_from(file.len()?).map_err(io::Error::other)?;
                decode(&file.read_at(0, len)?).map_err(|error| {
                    let why = match error {
                        HeaderError::Damaged(why) => why.to_owned(),
                        HeaderError::Unknown(why) => why,
                    };
                    io::Error::other(format!("{}: {why}", path.display()))
                })?
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Default::default(),
            Err(error) => return Err(error),
        };
        let (file, next, len) = match rewrite(disk, path, &found.memory) {
            // A full disk must not keep the node from starting: that is how it gets space back.
            Err(error) if is_full(&error) && found.used > 0 => {
                let file = disk.open(path.to_owned())?;
                let len = file.len()?;
                (file, found.used, len)
            }
            other => other?,
        };
        let lanes = LanesFile {
            disk: disk.clone(),
            path: path.to_owned(),
            file,
            memory: found.memory,
            next,
            len,
        };
        Ok((lanes, found.damaged.len()))
    }

    /// What is remembered.
    pub(crate) fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Drops the trims of lanes that hold nothing: what they forgot is gone from the disk.
    pub(crate) fn forget_trims(&mut self, mut holds: impl FnMut(LaneId) -> bool) {
        self.memory.trimmed.retain(|&lane, _| holds(lane));
    }

    /// Notes a trim, soon durable.
    pub(crate) fn trim(&mut self, lane: LaneId, keep_from: u64) -> io::Result<()> {
        // Two trims at once may come in either order.
        let before = self.memory.trimmed.entry(lane).or_default();
        *before = keep_from.max(*before);
        self.memory.next_position = keep_from.max(self.memory.next_position);
        self.append(TRIMMED, lane, keep_from)
    }

    /// Notes a removal, durable on return.
    pub(crate) fn remove(&mut self, lane: LaneId) -> io::Result<()> {
        self.append(REMOVED, lane, 0)?;
        if let Err(error) = self.file.sync() {
            // What this file holds is no longer known: the next record goes into a new one.
            self.len = 0;
            return Err(error);
        }
        self.memory.trimmed.remove(&lane);
        self.memory.removed.insert(lane);
        Ok(())
    }

    /// Makes every trim durable.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }

    fn append(&mut self, kind: u32, lane: LaneId, position: u64) -> io::Result<()> {
        if self.next + RECORD > self.len {
            (self.file, self.next, self.len) = rewrite(&self.disk, &self.path, &self.memory)?;
        }
        let mut record = Vec::new();
        encode_record(kind, lane, position, &mut record);
        self.file
            .write_all_at(&mut [IoSlice::new(&record)], self.next)?;
        self.next += RECORD;
        Ok(())
    }
}

/// Writes a whole new file and puts it in place; its handle, where the next record goes, its length.
pub(crate) fn rewrite(
    disk: &Disk,
    path: &Path,
    memory: &Memory,
) -> io::Result<(DiskFile, u64, u64)> {
    let mut bytes = Vec::new();
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    let crc = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
    bytes.resize(HEADER as usize, 0);
    for &lane in &memory.removed {
        encode_record(REMOVED, lane, 0, &mut bytes);
    }
    for (&lane, &position) in &memory.trimmed {
        encode_record(TRIMMED, lane, position, &mut bytes);
    }
    if memory.next_position > 0 {
        encode_record(TRIMMED, FORGOTTEN, memory.next_position, &mut bytes);
    }
    let next = bytes.len() as u64;
    // At least as much again, so that a file of many lanes is not written anew all the time.
    let len = next * 2 + HEADROOM * RECORD;
    let temporary = path.with_extension("tmp");
    disk.remove_if_present(&temporary)?;
    let file = disk.create(temporary.clone())?;
    let written = file
        .allocate(len)
        .and_then(|()| file.write_all_at(&mut [IoSlice::new(&bytes)], 0))
        .and_then(|()| file.sync_all())
        .and_then(|()| disk.durable_rename(&temporary, path));
    if let Err(error) = written {
        // The file in place is as good as it was.
        let _ = disk.remove_if_present(&temporary);
        return Err(error);
    }
    Ok((disk.open(path.to_owned())?, next, len))
}

fn encode_record(kind: u32, lane: LaneId, position: u64, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&kind.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&lane.0.to_le_bytes());
    out.extend_from_slice(&position.to_le_bytes());
    out.extend_from_slice(&[0; 8]);
    let crc = crc32fast::hash(&out[start..]);
    out[start + 4..start + 8].copy_from_slice(&crc.to_le_bytes());
}

/// What the bytes of a file say.
#[derive(Debug, Default)]
pub(crate) struct Decoded {
    pub(crate) memory: Memory,
    /// Where records are damaged.
    pub(crate) damaged: Vec<u64>,
    /// Where the next record goes; 0 when the file cannot be gone on with.
    pub(crate) used: u64,
}

/// What the file with these bytes remembers, or why that cannot be known.
pub(crate) fn decode(bytes: &[u8]) -> Result<Decoded, HeaderError> {
    let header = bytes
        .get(..FIRST.0 as usize)
        .filter(|header| {
            header[..8] == MAGIC && crc32fast::hash(&header[..12]) == u32_at(header, 12)
        })
        .ok_or(HeaderError::Damaged(
            "this is not a file of lanes, or its first bytes are damaged",
        ))?;
    match u32_at(header, 8) {
        1 => Ok(records(bytes, FIRST)),
        VERSION => Ok(records(bytes, (HEADER, RECORD))),
        other => Err(HeaderError::Unknown(format!(
            "lanes format {other}: this program knows versions 1 and {VERSION} alone; use the program that \
             wrote it, or a newer one"
        ))),
    }
}

/// What the records say in a file whose first bytes are damaged, were it of the latest version: each stands for itself.
pub(crate) fn salvage(bytes: &[u8]) -> Decoded {
    records(bytes, (HEADER, RECORD))
}

fn records(bytes: &[u8], (header, size): (u64, u64)) -> Decoded {
    let mut found = Decoded {
        used: header,
        ..Decoded::default()
    };
    let memory = &mut found.memory;
    let records = bytes.get(header as usize..).unwrap_or_default();
    for (index, record) in records.chunks(size as usize).enumerate() {
        // Never written.
        if record.iter().all(|&byte| byte == 0) {
            continue;
        }
        found.used = header + (index as u64 + 1) * size;
        let sound = record.len() as u64 == size && {
            let mut copy = record.to_vec();
            copy[4..8].fill(0);
            crc32fast::hash(&copy) == u32_at(record, 4)
        };
        if !sound {
            found.damaged.push(found.used - size);
            continue;
        }
        let (lane, position) = (LaneId(u64_at(record, 8)), u64_at(record, 16));
        match u32_at(record, 0) {
            TRIMMED if position < NEVER => {
                memory.next_position = position.max(memory.next_position);
                if lane != FORGOTTEN {
                    let keep_from = memory.trimmed.entry(lane).or_default();
                    *keep_from = position.max(*keep_from);
                }
            }
            REMOVED => {
                memory.removed.insert(lane);
            }
            _ => found.damaged.push(found.used - size),
        }
    }
    for lane in &memory.removed {
        memory.trimmed.remove(lane);
    }
    if size != RECORD {
        found.used = 0;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_through_many_rewrites() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lanes");
        let disk = Disk::new();
        let (mut lanes, _) = LanesFile::open(&disk, &path).unwrap();
        for round in 0..100u64 {
            lanes.trim(LaneId(round % 7), round).unwrap();
            if round % 10 == 9 {
                lanes.remove(LaneId(1000 + round)).unwrap();
            }
        }
        lanes.remove(LaneId(3)).unwrap();
        let expected = lanes.memory().clone();
        assert_eq!(expected.next_position, 99);
        assert_eq!(expected.trimmed.len(), 6);
        assert_eq!(expected.removed.len(), 11);
        drop(lanes);
        let (lanes, damaged) = LanesFile::open(&disk, &path).unwrap();
        assert_eq!((lanes.memory(), damaged), (&expected, 0));
    }

    #[test]
    fn a_damaged_record_costs_itself_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lanes");
        let disk = Disk::new();
        let (mut lanes, _) = LanesFile::open(&disk, &path).unwrap();
        for lane in 1..=3 {
            lanes.remove(LaneId(lane)).unwrap();
        }
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[(HEADER + RECORD + 10) as usize] ^= 1;
        let found = decode(&bytes).unwrap();
        assert_eq!(found.memory.removed, [LaneId(1), LaneId(3)].into());
        assert_eq!(found.damaged, [HEADER + RECORD]);
    }

    #[test]
    fn version_1_is_read_and_written_as_version_2() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lanes");
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&1u32.to_le_bytes());
        bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
        for (kind, lane, position) in [(REMOVED, 5u64, 0u64), (TRIMMED, 7, 99)] {
            let start = bytes.len();
            bytes.extend_from_slice(&kind.to_le_bytes());
            bytes.extend_from_slice(&[0; 4]);
            bytes.extend_from_slice(&lane.to_le_bytes());
            bytes.extend_from_slice(&position.to_le_bytes());
            let crc = crc32fast::hash(&bytes[start..]);
            bytes[start + 4..start + 8].copy_from_slice(&crc.to_le_bytes());
        }
        bytes.resize(1000, 0);
        std::fs::write(&path, &bytes).unwrap();
        let (lanes, damaged) = LanesFile::open(&Disk::new(), &path).unwrap();
        assert_eq!(damaged, 0);
        assert_eq!(lanes.memory().removed, [LaneId(5)].into());
        assert_eq!(lanes.memory().trimmed, [(LaneId(7), 99)].into());
        assert_eq!(std::fs::read(&path).unwrap()[8], 2);
    }

    #[test]
    fn no_record_crosses_the_border_of_a_sector() {
        assert_eq!((512 - HEADER) % RECORD, 0);
        assert_eq!(512 % RECORD, 0);
    }
}
