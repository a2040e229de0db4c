//! Opening a log: what the last run left becomes what this run begins with.
//!
//! Sealed segments are taken by their trailers and rows alone, so the time does not grow with the
//! frames that wait. The one segment that is not sealed, the last, is scanned; its torn tail is cut and
//! it is sealed. A segment whose footer is damaged is scanned and sealed anew. Nothing else is changed.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::atomic::Ordering,
    time::Duration,
};

use super::{
    MAX_SEGMENT_FRAMES, Shared,
    disk::{Disk, DiskFile},
    footer::FooterBuilder,
    format::{FRAME_HEADER, Kind, SegmentHeader},
    index::{Active, Segment, State},
    lanes::{LanesFile, Memory},
    scan::{Scan, scan},
    segment::{self, Opened},
    trim,
};
use crate::{
    engine::OpenError,
    log::{LaneId, Position},
};

/// A stretch of the log that was found damaged when it was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The segment file.
    pub file: PathBuf,
    /// Where in it the damage begins, in bytes.
    pub offset: u64,
    /// How much of it is lost, in bytes; 0 when unknown.
    pub bytes: u64,
    /// Whose frame it was; `None` when that, too, is lost.
    pub lane: Option<LaneId>,
    /// The first and the last position that may have been there; `None` when unknown.
    pub positions: Option<(Position, Position)>,
    /// What is wrong.
    pub detail: String,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}: ", self.file.display(), self.offset)?;
        match self.lane {
            Some(lane) => write!(f, "lane {lane}, ")?,
            None => f.write_str("unknown lane, ")?,
        }
        match self.positions {
            Some((first, last)) => write!(f, "positions {first} to {last}: ")?,
            None => f.write_str("unknown positions: ")?,
        }
        f.write_str(&self.detail)
    }
}

/// The unfinished end of the last segment, which recovery cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// The segment file.
    pub file: PathBuf,
    /// Where it was cut, in bytes.
    pub offset: u64,
}

/// What opening a log found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// Segment files that hold something.
    pub segments: usize,
    /// Frames that wait to be trimmed.
    pub frames: u64,
    /// Frames that were read one by one, because their segment had no index.
    pub scanned_frames: u64,
    /// The unacknowledged end of the last segment, when a crash left one.
    pub torn_tail: Option<TornTail>,
    /// What is damaged. The rest is readable.
    pub damage: Vec<Damage>,
    /// Records of removals or trims that are damaged: a removed lane may be back.
    pub damaged_lane_records: usize,
    /// How long it took.
    pub took: Duration,
}

/// What was found on disk, before it becomes a [`State`].
pub(crate) struct Found {
    pub(crate) lanes: LanesFile,
    segments: Vec<Segment>,
    /// Above every position ever given out.
    pub(crate) next_position: u64,
    /// Above every segment's number.
    pub(crate) next_id: u64,
    /// What cannot be read but takes space.
    unreadable_bytes: u64,
    /// Frames known to be lost.
    damaged_frames: u64,
    /// Where: segment and offset.
    known_damage: Vec<(u64, u32)>,
    pub(crate) report: RecoveryReport,
}

/// Reads the directory, and seals what is not sealed.
pub(crate) fn find(disk: &Disk, dir: &Path) -> Result<Found, OpenError> {
    let failed = |doing, path: &Path| {
        let path = path.to_owned();
        move |source| OpenError::io(doing, &path, source)
    };
    disk.create_dir_all(dir).map_err(failed("create", dir))?;
    let lanes_path = dir.join(super::LANES);
    let (lanes, damaged_lane_records) =
        LanesFile::open(disk, &lanes_path).map_err(failed("open", &lanes_path))?;
    let (ids, leftovers) = segment::list(disk, dir).map_err(failed("list", dir))?;
    for leftover in leftovers {
        disk.remove(&leftover)
            .map_err(failed("remove", &leftover))?;
    }
    let next_position = lanes.memory().next_position.max(1);
    let mut found = Found {
        lanes,
        segments: Vec::new(),
        next_position,
        next_id: ids.last().map_or(1, |id| id + 1),
        unreadable_bytes: 0,
        damaged_frames: 0,
        known_damage: Vec::new(),
        report: RecoveryReport {
            damaged_lane_records,
            ..RecoveryReport::default()
        },
    };
    let (mut unsealed, mut last_log) = (Vec::new(), None);
    let mut opened = Vec::with_capacity(ids.len());
    for &id in &ids {
        let path = segment::path(dir, id);
        let segment = segment::open(disk, dir, id).map_err(failed("open", &path))?;
        if segment.kind() == Some(Kind::Log) {
            last_log = Some(id);
        }
        opened.push((id, path, segment));
    }
    for (id, path, mut segment) in opened {
        // The last run may have ended while it sealed this one: what is seen of that need not be on the disk.
        if Some(id) == last_log && matches!(segment, Opened::Sealed(_)) {
            segment = segment::open_last(disk, dir, id).map_err(failed("open", &path))?;
        }
        match segment {
            Opened::Sealed(segment) => found.segments.push(segment),
            Opened::Unsealed {
                header,
                file,
                data_end,
            } => unsealed.push((header, file, data_end)),
            Opened::Unknown(detail) => return Err(OpenError::Format { path, detail }),
            Opened::Unreadable(why) => {
                let len = disk.open_read(path.clone()).and_then(|file| file.len());
                let len = len.map_err(failed("read", &path))?;
                found.unreadable(path, len, why);
            }
        }
    }
    for (header, file, data_end) in unsealed {
        // Only the last one that appends made may have been left unfinished: the one before was
        // sealed, durably, before the next was begun.
        let last = Some(header.id) == last_log;
        let reseal = found.reseal(&file, header, data_end, last);
        reseal.map_err(failed("recover", file.path()))?;
    }
    found.drop_superseded(disk, dir)?;
    let ends = found.segments.iter().map(|segment| segment.end);
    found.next_position = ends.fold(found.next_position, u64::max);
    Ok(found)
}

impl Found {
    fn unreadable(&mut self, file: PathBuf, bytes: u64, detail: &str) {
        self.unreadable_bytes += bytes;
        self.damaged_frames += 1;
        self.report.damage.push(Damage {
            file,
            offset: 0,
            bytes,
            lane: None,
            positions: None,
            detail: format!("{detail}; the file is left as it is"),
        });
    }

    fn reseal(
        &mut self,
        file: &DiskFile,
        header: SegmentHeader,
        data_end: Option<u32>,
        last: bool,
    ) -> io::Result<()> {
        file.read_from_disk();
        // A trailer says that the segment was being sealed, so all its frames were durable.
        let mut scan = scan(file, &header, data_end, !last || data_end.is_some())?;
        if last && data_end.is_none() {
            // Positions may have been given out beyond what is left. If a disk lied about an fsync, somebody
            // has seen them, and would pass over new frames that had them again.
            scan.end = scan.end.max(header.base + MAX_SEGMENT_FRAMES);
        }
        self.report.scanned_frames += scan.frames;
        for hole in &scan.holes {
            // At once: sealing makes it known to the index, and should this process die before its report is read,
            // the next one has nothing more to tell of frames that are nobody's.
            tracing::error!(
                file = %file.path().display(), offset = hole.offset, bytes = hole.end - hole.offset,
                "damaged: {}", hole.why
            );
            let offset = u32::try_from(hole.offset).unwrap_or(u32::MAX);
            self.known_damage.push((header.id, offset));
            self.damaged_frames += hole.frames();
            self.report.damage.push(Damage {
                file: file.path().to_owned(),
                offset: hole.offset,
                bytes: hole.end - hole.offset,
                lane: hole.lane,
                positions: Some((Position(hole.first), Position(hole.last))),
                detail: hole.why.to_owned(),
            });
        }
        if scan.torn {
            self.report.torn_tail = Some(TornTail {
                file: file.path().to_owned(),
                offset: u64::from(scan.data_end),
            });
        } else if !last && scan.holes.is_empty() {
            self.report.damage.push(Damage {
                file: file.path().to_owned(),
                offset: u64::from(scan.data_end),
                bytes: 0,
                lane: None,
                positions: None,
                detail: "the index was damaged and is made anew; no frame is lost".to_owned(),
            });
        }
        self.segments.push(seal(file, header, scan)?);
        Ok(())
    }

    /// Deletes the segments that a compacted one stands for, which a crash kept from being deleted.
    fn drop_superseded(&mut self, disk: &Disk, dir: &Path) -> Result<(), OpenError> {
        self.segments
            .sort_by_key(|segment| (segment.base, segment.id));
        let compacted: Vec<(u64, u64, u64)> = self
            .segments
            .iter()
            .filter(|segment| segment.kind == Kind::Compacted)
            .map(|segment| (segment.id, segment.base, segment.end))
            .collect();
        let synced = |source| OpenError::io("sync", dir, source);
        // The last run may have ended between the rename and the sync that makes it durable.
        disk.sync_dir(dir).map_err(synced)?;
        let mut failure = None;
        self.segments.retain(|segment| {
            let superseded = compacted.iter().any(|&(id, base, end)| {
                segment.id < id && base <= segment.base && segment.end <= end
            });
            if superseded {
                let path = segment::path(dir, segment.id);
                if let Err(source) = disk.remove(&path) {
                    failure = Some(OpenError::io("remove", &path, source));
                }
            }
            !superseded
        });
        match failure {
            Some(failure) => Err(failure),
            None => disk.sync_dir(dir).map_err(synced),
        }
    }

    /// The state that this becomes. No segment is active yet.
    pub(crate) fn into_state(self) -> (State, LanesFile, RecoveryReport) {
        // A file that cannot be read holds no more frames than fit it.
        let unreadable_frames = self.unreadable_bytes.div_ceil(u64::from(FRAME_HEADER));
        let next_position = self.next_position + unreadable_frames;
        let mut state = State::new(Active {
            id: 0,
            nonce: 0,
            base: next_position,
            file_bytes: 0,
            written: 0,
            live: Default::default(),
        });
        state.disk_bytes = self.unreadable_bytes;
        state.damaged_frames = self.damaged_frames;
        state.known_damage = self.known_damage.into_iter().collect();
        for segment in self.segments {
            state.insert(segment);
        }
        (state, self.lanes, self.report)
    }
}

/// Ends a segment with the index that a scan found.
fn seal(file: &DiskFile, header: SegmentHeader, scan: Scan) -> io::Result<Segment> {
    let end = scan.end.max(header.end);
    let mut footer = FooterBuilder::new(header, scan.data_end);
    for (&lane, entries) in &scan.lanes {
        footer.lane(lane, entries);
    }
    let (footer, rows) = footer.finish(end);
    let file_bytes = segment::write_footer(file, scan.data_end, &footer)?;
    Ok(Segment {
        kind: header.kind,
        id: header.id,
        nonce: header.nonce,
        base: header.base,
        end,
        data_end: scan.data_end,
        file_bytes,
        rows,
    })
}

/// Forgets again what was forgotten before.
pub(crate) fn reapply(shared: &Shared, memory: &Memory) {
    for &lane in &memory.removed {
        shared.state().remove(lane);
    }
    for (&lane, &keep_from) in &memory.trimmed {
        trim::forget(shared, lane, keep_from);
    }
    let state = shared.state();
    shared
        .lanes()
        .forget_trims(|lane| state.lanes.contains_key(&lane));
}

/// The next segment's number.
pub(crate) fn next_id(shared: &Shared) -> u64 {
    shared.next_id.fetch_add(1, Ordering::Relaxed)
}
