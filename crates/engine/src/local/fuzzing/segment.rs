//! A whole directory as a disk may hand it back, opened, read, used and opened again.
//!
//! The input is no directory but how one came to be: frames in segments, sealed or not, then what the disk did to them. So
//! nearly every input reaches the log's own code.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use futures::{FutureExt, StreamExt};

use super::{
    frame::put,
    memory::{Memory, OneThread},
};
use crate::{
    clock::{Chance, ManualClock, Timestamp},
    engine::{Engine, EngineConfig, EngineParts},
    frame::Frame,
    local::{
        MIN_SEGMENT_BYTES, RecoveryReport,
        disk::Disk,
        footer::FooterBuilder,
        format::{
            self, ALIGN, DATA_START, FRAME_HEADER, FrameHeader, Kind, SegmentHeader, body_len,
            encode_ends,
        },
        index::Entry,
        segment,
    },
    log::{LaneId, Position},
};

const DIR: &str = "/data";
const LANES: std::ops::RangeInclusive<u64> = 1..=4;
/// The most steps of one run.
const STEPS: usize = 64;

/// Every four bytes are a step: what, and three arguments. See [`Directory::step`].
///
/// Opening says no or says what is damaged; what is read was written, unless checksums were forged; what is undamaged is
/// all there; and what is appended afterwards is there when it is opened again, with all that was there before.
pub fn segment(bytes: &[u8]) {
    let mut directory = Directory::default();
    for step in bytes.chunks_exact(4).take(STEPS) {
        directory.step([step[0], step[1], step[2], step[3]]);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.expect("a runtime").block_on(run(directory));
}

/// A lane's frames by position.
type Frames = BTreeMap<(u64, u64), Frame>;

/// An empty catalog's file; a log without one is not opened.
static CATALOG: OnceLock<Vec<u8>> = OnceLock::new();

async fn run(directory: Directory) {
    if CATALOG.get().is_none() {
        let disk = Memory::default();
        let (engine, _) = open(&disk, 0).await.expect("an empty directory");
        let _ = engine.log.close().await;
        let _ = engine.catalog.close().await;
        let _ = CATALOG.set(disk.content(&Path::new(DIR).join("catalog.redb")));
    }
    let written = directory.written.clone();
    let (forged, damaged, forgets) = (directory.forged, directory.damaged, directory.forgets);
    let disk = Memory::default();
    directory.put_onto(&disk);
    let Some((engine, report)) = open(&disk, 1).await else {
        assert!(damaged, "what is whole is opened");
        return;
    };
    for damage in &report.damage {
        assert!(!damage.to_string().is_empty());
    }
    assert!(damaged || report.damage.is_empty(), "{report:?}");
    let found = read(&engine).await;
    if !forged {
        for (place, frame) in &found {
            assert_eq!(written.get(place), Some(frame), "{place:?}");
        }
    }
    if !damaged && !forgets {
        assert_eq!(found, written);
    }

    let frame = Frame::new(Timestamp(5), ["new", ""]);
    let mut expected = found;
    if let Ok(position) = engine.log.append(LaneId(1), frame.clone()).await {
        let last = expected.range(..(2, 0)).next_back();
        assert!(forged || last.is_none_or(|((_, last), _)| *last < position.0));
        expected.insert((1, position.0), frame);
    } else {
        assert!(forged || forgets, "a log that was opened takes frames");
    }
    assert!(forged || read(&engine).await == expected);
    let _ = engine.log.close().await;
    let _ = engine.catalog.close().await;
    drop(engine);
    match open(&disk, 2).await {
        Some((engine, _)) => assert!(forged || read(&engine).await == expected),
        None => assert!(forged, "what was opened once is opened again"),
    }
}

async fn open(disk: &Memory, seed: u64) -> Option<(Engine, RecoveryReport)> {
    let config = EngineConfig {
        segment_bytes: MIN_SEGMENT_BYTES,
        catalog_cache_bytes: 64 << 10,
        ..EngineConfig::new(DIR)
    };
    let parts = EngineParts {
        disk: Disk::over(Arc::new(disk.clone())),
        chance: Chance::seeded(seed),
        clock: Arc::new(ManualClock::new(Timestamp(1))),
        threads: Arc::new(OneThread),
    };
    match Engine::open_with(config, parts).await {
        Ok(opened) => Some(opened),
        Err(error) => {
            assert!(!error.to_string().is_empty());
            None
        }
    }
}

/// Every frame of every lane, read; following shows the same, and no other.
async fn read(engine: &Engine) -> Frames {
    let mut found = Frames::new();
    for lane in LANES {
        let all = Position::START..Position(u64::MAX);
        let mut frames = engine.log.read(LaneId(lane), all);
        while let Some(frame) = frames.next().await {
            if let Ok((position, frame)) = frame {
                found.insert((lane, position.0), frame);
            }
        }
        let mut followed = engine.log.follow(LaneId(lane), Position::START);
        let mut last = None;
        // It goes on when it has shown all that there is.
        while let Some(Some(meta)) = followed.next().now_or_never() {
            if let Ok(meta) = meta {
                assert!(last < Some(meta.position), "{lane}: {last:?} {meta:?}");
                last = Some(meta.position);
                if let Some(frame) = found.get(&(lane, meta.position.0)) {
                    let records = (meta.records as usize, meta.bytes as usize);
                    assert_eq!(records, (frame.records(), frame.bytes()));
                }
            }
        }
    }
    found
}

/// What is on the disk.
#[derive(Default)]
struct Directory {
    segments: Vec<File>,
    lanes: Vec<u8>,
    written: Frames,
    /// The last position given out.
    last: u64,
    /// By lane.
    last_of: BTreeMap<u64, u64>,
    /// Something is not as it was written.
    damaged: bool,
    /// Something is not as it was written, and its checksum says that it is.
    forged: bool,
    /// Lanes were removed or trimmed.
    forgets: bool,
}

/// A segment in the making.
struct File {
    header: SegmentHeader,
    bytes: Vec<u8>,
    /// Where its frames begin, in order, with their lanes.
    frames: Vec<(LaneId, Entry)>,
    batch: u32,
    sealed: bool,
}

impl Directory {
    /// One step. The low three bits of `what` say which, its high bits are one more argument.
    fn step(&mut self, [what, a, b, c]: [u8; 4]) {
        let more = what >> 3;
        match what & 7 {
            0 => self.begin(a, b),
            1 | 2 => self.append(more, a, b, c),
            3 => self.damage(a, u16::from_le_bytes([b, c]), more),
            4 => self.forge(more, a, b, c),
            5 => self.cut(a, u16::from_le_bytes([b, c])),
            6 => self.forget(more, a, b),
            _ => self.seal(),
        }
    }

    /// The next segment, once the one before it is sealed.
    fn begin(&mut self, skipped: u8, nonce: u8) {
        self.seal();
        let id = self.segments.last().map_or(1, |file| file.header.id + 1) + u64::from(skipped % 4);
        let header = SegmentHeader {
            kind: Kind::Log,
            id,
            nonce: 0x0102_0304_0506_0700 | u64::from(nonce),
            base: self.last + 1,
            end: 0,
        };
        self.segments.push(File {
            header,
            bytes: header.encode(),
            frames: Vec::new(),
            batch: DATA_START,
            sealed: false,
        });
    }

    fn append(&mut self, more: u8, lane: u8, records: u8, size: u8) {
        if self.segments.last().is_none_or(|file| file.sealed) {
            self.begin(0, more);
        }
        let Some(file) = self.segments.last_mut() else {
            return;
        };
        let lane = 1 + u64::from(lane) % LANES.count() as u64;
        self.last += 1 + u64::from(more >> 4);
        let (position, offset) = (self.last, file.bytes.len() as u32);
        let record = |index: u8| vec![index ^ size; usize::from(size) >> (index % 4)];
        let arrival = Timestamp(1_000 + position);
        let frame = Frame::new(arrival, (0..records % 6).map(record));
        if more & 1 == 0 {
            file.batch = offset;
        }
        let mut body = encode_ends(&frame);
        body.extend_from_slice(frame.payload());
        let before = self.last_of.insert(lane, position);
        let header = FrameHeader {
            nonce: file.header.nonce,
            lane: LaneId(lane),
            position,
            arrival,
            body_len: body_len(&frame).unwrap_or_default(),
            body_crc: crc32fast::hash(&body),
            records: frame.records() as u32,
            batch_start: file.batch,
            lane_back: before.map_or(0, |before| (position - before) as u32),
        };
        header.encode_into(&mut file.bytes);
        file.bytes.extend_from_slice(&body);
        let aligned = file.bytes.len().next_multiple_of(ALIGN as usize);
        file.bytes.resize(aligned, 0);
        let entry = Entry {
            position,
            arrival,
            offset,
            body_len: header.body_len,
            records: header.records,
            lost: false,
        };
        file.frames.push((LaneId(lane), entry));
        self.written.insert((lane, position), frame);
    }

    fn seal(&mut self) {
        let end = self.last + 1;
        let Some(file) = self.segments.last_mut().filter(|file| !file.sealed) else {
            return;
        };
        let mut lanes: BTreeMap<LaneId, Vec<Entry>> = BTreeMap::new();
        for (lane, entry) in &file.frames {
            lanes.entry(*lane).or_default().push(*entry);
        }
        let mut footer = FooterBuilder::new(file.header, file.bytes.len() as u32);
        for (lane, entries) in &lanes {
            footer.lane(*lane, entries);
        }
        let (footer, _) = footer.finish(end);
        file.bytes.extend_from_slice(&footer);
        file.sealed = true;
    }

    /// A byte rots.
    fn damage(&mut self, which: u8, place: u16, change: u8) {
        let count = self.segments.len().max(1);
        let Some(file) = self.segments.get_mut(usize::from(which) % count) else {
            return;
        };
        // The second half of the places are those that end the file, where the footer is.
        let at = match place.checked_sub(1 << 15) {
            None => Some(usize::from(place)),
            Some(back) => file.bytes.len().checked_sub(1 + usize::from(back)),
        };
        if let Some(byte) = at.and_then(|at| file.bytes.get_mut(at)) {
            *byte ^= change + 1;
            self.damaged = true;
        }
    }

    /// A number in a header, a footer's row or its trailer becomes another, and its checksum is made right.
    fn forge(&mut self, field: u8, which: u8, small: u8, shift: u8) {
        let value = (u64::from(small) << (shift % 64)).wrapping_sub(u64::from(shift >> 6 & 1));
        let value = value.to_le_bytes();
        let count = self.segments.len().max(1);
        let Some(file) = self.segments.get_mut(usize::from(which) % count) else {
            return;
        };
        let number = usize::from(which) / count;
        let len = file.bytes.len();
        let within = |field: u8, wide: usize, narrow: usize| {
            let field = usize::from(field) % (wide + narrow);
            match field.checked_sub(wide) {
                None => (field * 8, 8),
                Some(field) => (wide * 8 + field * 4, 4),
            }
        };
        match field / 11 {
            // A frame's header: all but the nonce.
            0 => {
                let frames = file.frames.len().max(1);
                let Some((_, entry)) = file.frames.get(number % frames) else {
                    return;
                };
                let start = entry.offset as usize;
                let Some(header) = file.bytes.get_mut(start..start + FRAME_HEADER as usize) else {
                    return;
                };
                let (at, size) = within(field % 8, 3, 5);
                put(header, 8 + at, &value[..size]);
                let crc = crc32fast::hash(&header[..52]);
                put(header, 52, &crc.to_le_bytes());
            }
            // The trailer: all but its magic and version.
            1 if file.sealed => {
                let Some(start) = len.checked_sub(96) else {
                    return;
                };
                let trailer = &mut file.bytes[start..];
                let (at, size) = within(field % 8, 4, 4);
                put(trailer, 16 + at, &value[..size]);
                let crc = crc32fast::hash(&trailer[..92]);
                put(trailer, 92, &crc.to_le_bytes());
            }
            // A row, and with it the trailer.
            2 if file.sealed => {
                let Some(start) = len.checked_sub(96) else {
                    return;
                };
                let rows_at = format::u32_at(&file.bytes, start + 52) as usize;
                let rows = format::u32_at(&file.bytes, start + 56) as usize;
                if rows == 0 || rows_at + rows * 64 != start {
                    return;
                }
                let row = rows_at + number % rows * 64;
                let (at, size) = within(field % 11, 4, 7);
                put(&mut file.bytes, row + at, &value[..size]);
                let crc = crc32fast::hash(&file.bytes[rows_at..start]);
                put(&mut file.bytes, start + 60, &crc.to_le_bytes());
                let crc = crc32fast::hash(&file.bytes[start..start + 92]);
                put(&mut file.bytes, start + 92, &crc.to_le_bytes());
            }
            // The segment's header, both copies of it.
            _ => {
                let (at, size) = within(field % 4, 4, 0);
                for start in [0, 2048] {
                    let Some(header) = file.bytes.get_mut(start..start + 52) else {
                        return;
                    };
                    put(header, 16 + at, &value[..size]);
                    let crc = crc32fast::hash(&header[..48]);
                    put(header, 48, &crc.to_le_bytes());
                }
            }
        }
        (self.damaged, self.forged) = (true, true);
    }

    /// The end of a file is gone.
    fn cut(&mut self, which: u8, bytes: u16) {
        let count = self.segments.len().max(1);
        if let Some(file) = self.segments.get_mut(usize::from(which) % count) {
            let len = file.bytes.len().saturating_sub(1 + usize::from(bytes));
            file.bytes.truncate(len);
            self.damaged = true;
        }
    }

    /// A lane is removed, or trimmed.
    fn forget(&mut self, kind: u8, lane: u8, position: u8) {
        let lane = 1 + u64::from(lane) % LANES.count() as u64;
        let mut record = Vec::new();
        record.extend_from_slice(&u32::from(kind % 3).to_le_bytes());
        record.extend_from_slice(&[0; 4]);
        record.extend_from_slice(&lane.to_le_bytes());
        // Nothing is trimmed beyond what was given out.
        let position = u64::from(position).min(self.last + 1);
        record.extend_from_slice(&position.to_le_bytes());
        record.extend_from_slice(&[0; 8]);
        let crc = crc32fast::hash(&record);
        put(&mut record, 4, &crc.to_le_bytes());
        self.lanes.extend_from_slice(&record);
        self.forgets = true;
    }

    fn put_onto(self, disk: &Memory) {
        disk.put(Path::new(DIR).join("FORMAT"), b"hydrant-data 1\n".to_vec());
        let catalog = CATALOG.get().cloned().unwrap_or_default();
        disk.put(Path::new(DIR).join("catalog.redb"), catalog);
        let log = PathBuf::from(DIR).join("log");
        for file in self.segments {
            disk.put(segment::path(&log, file.header.id), file.bytes);
        }
        if self.forgets {
            let mut bytes = b"HYDRLANE".to_vec();
            bytes.extend_from_slice(&2u32.to_le_bytes());
            let crc = crc32fast::hash(&bytes);
            bytes.extend_from_slice(&crc.to_le_bytes());
            bytes.resize(32, 0);
            bytes.extend_from_slice(&self.lanes);
            disk.put(log.join("lanes"), bytes);
        }
    }
}
