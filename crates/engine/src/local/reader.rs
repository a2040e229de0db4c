//! `follow` and `read`: streams through a lane, in pieces of bounded size.
//!
//! A [`Cursor`] knows the position it comes to next, asks the index where that lies, and takes a
//! piece of entries from there: from memory for the active segment, from the footer for a sealed one.
//! Whatever touches the disk runs on tokio's threads for blocking work, one piece at a time, so a slow
//! consumer holds no thread, and no more memory than one piece.
//!
//! A segment may be deleted or compacted away while it is read. That is no damage: the cursor asks
//! the index again. So before damage is reported, the index is asked whether the segment is still there.

use std::{
    collections::VecDeque,
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;

use super::{
    Shared,
    disk::DiskFile,
    footer::{self, Block, FooterReader},
    format::{self, FRAME_HEADER, FrameHeader},
    index::{Entry, Located, Row, Segment},
    scan::scan,
    segment,
};
use crate::{
    frame::Frame,
    log::{LaneId, LogError, Position},
};

/// How many bytes of frames one piece has, but for its last frame.
const PIECE_BYTES: u64 = 1 << 20;
/// Other lanes' bytes between two frames that are read along rather than in two reads.
const READ_THROUGH: u64 = 32 << 10;

/// Goes through one lane.
pub(crate) struct Cursor {
    shared: Arc<Shared>,
    lane: LaneId,
    /// Everything below was shown, or is not wanted.
    next: u64,
    keep_from: Arc<AtomicU64>,
    /// Entries at or above `next`, in order, all in `source`.
    pending: VecDeque<Entry>,
    source: Source,
    section: Option<(u64, FooterReader)>,
}

/// The segment that entries are in.
#[derive(Clone, Copy, Default)]
struct Source {
    id: u64,
    nonce: u64,
}

/// Whether a cursor has entries.
pub(crate) enum Filled {
    /// It has.
    Ready,
    /// They lie in this sealed segment: call [`Cursor::fill_from`] where blocking is fine.
    OnDisk(Arc<Segment>, Row),
    /// There are none at present.
    Nothing {
        /// Nor will any ever come.
        ended: bool,
    },
}

impl Cursor {
    /// At the first frame of `lane` at or after `from`. `None` when the lane does not exist.
    pub(crate) fn new(shared: &Arc<Shared>, lane: LaneId, from: Position) -> Option<Self> {
        let keep_from = shared.state().lanes.get(&lane)?.keep_from.clone();
        Some(Cursor {
            shared: shared.clone(),
            lane,
            next: from.0,
            keep_from,
            pending: VecDeque::new(),
            source: Source::default(),
            section: None,
        })
    }

    /// Sees to it that there are entries, without blocking.
    pub(crate) fn fill(&mut self) -> Filled {
        if !self.pending.is_empty() {
            return Filled::Ready;
        }
        let state = self.shared.state();
        let located = state.locate(self.lane, self.next, footer::BLOCK_ENTRIES);
        drop(state);
        match located {
            Located::Active { id, nonce, entries } => {
                self.source = Source { id, nonce };
                self.pending = entries.into();
                Filled::Ready
            }
            Located::Sealed { segment, row } => Filled::OnDisk(segment, row),
            Located::Nothing { ended } => {
                // It may rest for long.
                (self.pending, self.section) = (VecDeque::new(), None);
                Filled::Nothing { ended }
            }
        }
    }

    /// The next entry that is not forgotten, of those that are at hand.
    pub(crate) fn pop(&mut self) -> Option<Entry> {
        let keep_from = self.keep_from.load(Ordering::Relaxed);
        loop {
            let entry = self.pending.pop_front()?;
            self.next = entry.position.saturating_add(1);
            if entry.position >= keep_from {
                return Some(entry);
            }
        }
    }

    /// Takes entries from a sealed segment's footer. Blocks. There may be none after it, when the
    /// segment went in the meantime: then [`fill`](Self::fill) knows better.
    pub(crate) fn fill_from(&mut self, segment: &Segment, row: &Row) -> Result<(), LogError> {
        match self.read_section(segment, row) {
            Ok(Some(entries)) => {
                self.source = Source {
                    id: segment.id,
                    nonce: segment.nonce,
                };
                self.pending = entries.into();
                Ok(())
            }
            Ok(None) if !self.shared.state().holds(segment.id) => Ok(()),
            Ok(None) => {
                // Neither the index nor a scan knows what the row speaks of.
                let first = row.first.max(self.next);
                self.next = row.last.saturating_add(1);
                Err(self.damaged(segment.id, row.section, first, "the lane's index is lost"))
            }
            Err(error) => Err(self.failed(segment.id, &error)),
        }
    }

    /// The next entries of a sealed segment; `None` when they cannot be found.
    fn read_section(&mut self, segment: &Segment, row: &Row) -> io::Result<Option<Vec<Entry>>> {
        let from = self.next.max(self.keep_from.load(Ordering::Relaxed));
        if from > row.last {
            // Trimmed since the index was asked: nothing of this is wanted, and nothing is damaged.
            self.next = from;
            return Ok(Some(Vec::new()));
        }
        let mut reader = match self.section.take() {
            Some((id, reader)) if id == segment.id => reader,
            _ => FooterReader::new(segment.nonce, row),
        };
        let Some(file) = open(&self.shared, segment.id)? else {
            return Ok(None);
        };
        match reader.next(&file, from) {
            Ok(Block::Entries(entries)) => {
                self.section = Some((segment.id, reader));
                return Ok(Some(entries));
            }
            Ok(Block::End | Block::Damaged) | Err(_) => {}
        }
        if !self.shared.state().holds(segment.id) {
            return Ok(None);
        }
        let what = "the index of a lane; its frames are looked for one by one";
        self.shared.note_damage(segment.id, row.section, what);
        let entries = scan_lane(&file, segment, row)?;
        let entries: Vec<_> = entries
            .into_iter()
            .filter(|it| it.position >= from)
            .collect();
        Ok(Some(entries).filter(|entries| !entries.is_empty()))
    }

    /// The next frames below `end`, about [`PIECE_BYTES`] of them; none at the end. Blocks.
    pub(crate) fn read_piece(&mut self, end: u64) -> Vec<Result<(Position, Frame), LogError>> {
        loop {
            match self.fill() {
                Filled::Ready => {}
                Filled::Nothing { .. } => return Vec::new(),
                Filled::OnDisk(segment, row) => {
                    match self.fill_from(&segment, &row) {
                        Ok(()) => {}
                        // What is lost there begins beyond what was asked for.
                        Err(LogError::Damaged { position, .. }) if position.0 >= end => {
                            return Vec::new();
                        }
                        Err(error) => return vec![Err(error)],
                    }
                    continue;
                }
            }
            let (mut entries, mut bytes) = (Vec::new(), 0);
            while bytes < PIECE_BYTES
                && let Some(entry) = self.pop()
            {
                if entry.position >= end {
                    self.pending.clear();
                    self.next = u64::MAX;
                    break;
                }
                bytes += entry.stored();
                entries.push(entry);
            }
            if entries.is_empty() && self.next == u64::MAX {
                return Vec::new();
            }
            let frames = self.read_entries(&entries);
            if !frames.is_empty() {
                return frames;
            }
        }
    }

    /// The frames of `entries`. Fewer, when their segment went in the meantime: then the cursor
    /// stands at the first that is missing.
    fn read_entries(&mut self, entries: &[Entry]) -> Vec<Result<(Position, Frame), LogError>> {
        let mut frames = Vec::with_capacity(entries.len());
        let Source { id, nonce } = self.source;
        let file = match open(&self.shared, id) {
            Ok(file) => file,
            Err(error) => return vec![Err(self.failed(id, &error))],
        };
        for run in runs(entries) {
            let bytes = match &file {
                Some(file) => read_run(file, run),
                None => Err(io::ErrorKind::NotFound.into()),
            };
            for entry in run {
                let at = (entry.offset - run[0].offset) as usize;
                let whole = bytes.as_ref().ok();
                let whole = whole.and_then(|bytes| decode(bytes, at, entry, nonce, self.lane).ok());
                let frame = match (whole, &file) {
                    _ if entry.lost => Err("lost"),
                    (Some(frame), _) => Ok(frame),
                    (None, Some(file)) => read_alone(file, entry)
                        .and_then(|bytes| decode(&bytes, 0, entry, nonce, self.lane)),
                    (None, None) => Err("its file is missing"),
                };
                match frame {
                    Ok(frame) => frames.push(Ok((Position(entry.position), frame))),
                    Err(_) if !self.shared.state().holds(id) => {
                        self.go_back(entry.position);
                        return frames;
                    }
                    Err(why) => {
                        let damage = self.damaged(id, entry.offset, entry.position, why);
                        frames.push(Err(damage));
                    }
                }
            }
        }
        frames
    }

    fn go_back(&mut self, position: u64) {
        self.pending.clear();
        self.section = None;
        self.next = position;
    }

    fn damaged(&self, id: u64, offset: u32, position: u64, why: &str) -> LogError {
        let lane = self.lane;
        let what = format!("lane {lane}, position {position}: {why}");
        self.shared.note_damage(id, offset, &what);
        LogError::Damaged {
            lane,
            position: Position(position),
            detail: format!("{}: {why}", self.shared.place(id, offset)),
        }
    }

    fn failed(&self, id: u64, error: &io::Error) -> LogError {
        LogError::Failed(format!("reading {}: {error}", self.shared.place(id, 0)))
    }

    /// The error that stands for a frame known to be lost.
    pub(crate) fn lost(&self, entry: &Entry) -> LogError {
        self.damaged(self.source.id, entry.offset, entry.position, "lost")
    }
}

/// The segment's file; `None` when there is none. It is not kept open from piece to piece: a thousand
/// followers that rest would hold a thousand of them.
fn open(shared: &Shared, id: u64) -> io::Result<Option<DiskFile>> {
    match shared.disk.open_read(segment::path(&shared.dir, id)) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The bytes of one frame, which was no good when it was read with its neighbours. One bad sector must not take
/// them along, and what is wrong may be in memory alone: so it is read again, by itself and from the disk.
pub(crate) fn read_alone(file: &DiskFile, entry: &Entry) -> Result<Bytes, &'static str> {
    file.forget_clean_pages();
    read_run(file, std::slice::from_ref(entry)).map_err(|_| "the disk cannot read it")
}

/// A lane's entries in a segment whose index is damaged: those that the index had. What lies there besides was trimmed
/// before the segment was sealed. Where the scan finds fewer than the row has, the rest lies in holes that do not say
/// whose they are: for each such hole there is an entry that is lost.
pub(crate) fn scan_lane(file: &DiskFile, segment: &Segment, row: &Row) -> io::Result<Vec<Entry>> {
    let mut found = scan(file, &segment.header(), Some(segment.data_end), true)?;
    let mut entries = found.lanes.remove(&row.lane).unwrap_or_default();
    entries.retain(|entry| (row.first..=row.last).contains(&entry.position));
    if entries.len() as u64 >= row.totals().entries {
        return Ok(entries);
    }
    for hole in found.holes.iter().filter(|hole| hole.lane.is_none()) {
        let (first, last) = match hole.end >= u64::from(segment.data_end) {
            // Behind the last hole no frame tells how far it reaches, but the index has told how far the lane does.
            true => (hole.first.max(row.last), row.last),
            false => (hole.first.max(row.first), hole.last.min(row.last)),
        };
        let at = entries.partition_point(|entry| entry.position < first);
        if first <= last && entries.get(at).is_none_or(|entry| entry.position > first) {
            let lost = Entry {
                position: first,
                arrival: row.arrival,
                offset: u32::try_from(hole.offset).unwrap_or(u32::MAX),
                body_len: 0,
                records: 0,
                lost: true,
            };
            entries.insert(at, lost);
        }
    }
    Ok(entries)
}

/// Splits entries into runs that are read at once: neighbours, or nearly so.
pub(crate) fn runs(entries: &[Entry]) -> Vec<&[Entry]> {
    let mut runs = Vec::new();
    let mut rest = entries;
    while let Some(first) = rest.first() {
        let mut end = u64::from(first.offset) + first.stored();
        let more = rest[1..].iter().take_while(|entry| {
            let gap = u64::from(entry.offset).saturating_sub(end);
            end = u64::from(entry.offset) + entry.stored();
            gap <= READ_THROUGH && end - u64::from(first.offset) <= 2 * PIECE_BYTES
        });
        let (run, others) = rest.split_at(1 + more.count());
        runs.push(run);
        rest = others;
    }
    runs
}

/// The bytes from the first frame of a run to the end of its last.
pub(crate) fn read_run(file: &DiskFile, run: &[Entry]) -> io::Result<Bytes> {
    let (Some(first), Some(last)) = (run.first(), run.last()) else {
        return Ok(Bytes::new());
    };
    let start = u64::from(first.offset);
    let end = u64::from(last.offset) + last.stored();
    let len = usize::try_from(end - start).map_err(io::Error::other)?;
    file.read_exact_at(start, len).map(Bytes::from)
}

/// The frame that lies at `at`, if it is the one that `entry` speaks of and it is sound.
fn decode(
    bytes: &Bytes,
    at: usize,
    entry: &Entry,
    nonce: u64,
    lane: LaneId,
) -> Result<Frame, &'static str> {
    let (header, body) = decode_raw(bytes, at, entry, nonce)?;
    if header.lane != lane {
        return Err("the frame is another lane's");
    }
    format::decode_body(&header, &body)
}

/// A frame's header and body, the latter unchecked.
pub(crate) fn decode_raw(
    bytes: &Bytes,
    at: usize,
    entry: &Entry,
    nonce: u64,
) -> Result<(FrameHeader, Bytes), &'static str> {
    let header = bytes
        .get(at..)
        .and_then(|bytes| FrameHeader::decode(bytes, nonce));
    let header = header.ok_or("the frame's header fails its checksum")?;
    if header.position != entry.position || header.body_len != entry.body_len {
        return Err("the frame is not the one that the index names");
    }
    let start = at + FRAME_HEADER as usize;
    let end = start + header.body_len as usize;
    if end > bytes.len() {
        return Err("the frame ends beyond its place");
    }
    Ok((header, bytes.slice(start..end)))
}
