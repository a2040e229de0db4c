//! Compaction: what little is left in old segments is copied together, so that one lane whose
//! destination is dead does not hold the disk of all others.
//!
//! Only neighbours are put together, so that segments stay ordered by position without overlap. The
//! copy keeps every position. It becomes part of the log by one durable rename; from then on it stands for
//! every older segment in its range, and a crash that leaves those behind loses nothing and doubles
//! nothing: the next open deletes them.
//!
//! The price is bounded: segments are copied when at least half of what they take is dead, so that each byte copied gives
//! back at least one; what was copied is copied again only while it is small. And as long as there is room, only when a
//! whole segment's worth is given back or hardly anything must be copied: what is half dead because its lane is
//! delivered in order will soon be dead altogether, and to copy it would be for nothing.

use std::{
    collections::BTreeMap,
    io::{self, IoSlice},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;

use super::{
    MAX_SEGMENT_FRAMES, Shared,
    disk::DiskFile,
    footer::{self, Block, FooterBuilder, FooterReader},
    format::{self, DATA_START, FrameHeader, Kind, SegmentHeader},
    index::{Entry, Row, Segment, Slot, State, Totals},
    lock::DirLock,
    reader::{decode_raw, read_alone, read_run, runs, scan_lane},
    recover::next_id,
    segment::{self, Prepared, write_footer},
    trim::delete_doomed,
};
use crate::{clock::Clock, log::LaneId};

/// A segment with at most this part of the usual size in frames is small: it may be copied although
/// all of it lives.
const SMALL: u64 = 8;
/// A copy of this part of a file costs hardly anything.
const HARDLY_ANY: u64 = 32;
/// So many small neighbours are worth putting together.
const MANY: usize = 8;
/// How much is written at once.
const WRITE_BYTES: usize = 1 << 20;

/// The pause after a compaction that failed. It is woken at every trim, and a disk that has no room or cannot read
/// has none a moment later either.
const FAILED_PAUSE: Duration = Duration::from_secs(60);

/// The keeper: deletes and compacts whenever it is woken, until the log is closed.
pub(crate) async fn keep(shared: &Shared, clock: &dyn Clock, _lock: Arc<DirLock>) {
    let mut paused_until = Duration::ZERO;
    let mut stray = Vec::new();
    loop {
        shared.tidy.notified().await;
        delete_doomed(shared);
        while !shared.state().closed
            && clock.monotonic() >= paused_until
            && let Some(run) = pick(shared)
        {
            let done = clear(shared, &mut stray).and_then(|()| compact(shared, &run, &mut stray));
            match done {
                Ok(()) => {}
                // A segment was forgotten while it was read: there is less to do.
                Err(_) if !run.iter().all(|it| shared.state().holds(it.id)) => {}
                Err(error) => {
                    let pause = FAILED_PAUSE.as_secs();
                    tracing::warn!("compaction failed; it is tried again in {pause} s: {error}");
                    paused_until = clock.monotonic().saturating_add(FAILED_PAUSE);
                    // What cannot be removed now is before the next one.
                    let _ = clear(shared, &mut stray);
                }
            }
        }
        if shared.state().closed {
            return;
        }
    }
}

/// Removes copies that are not part of the log although they may have its name: at the next start they would stand for
/// segments of which another copy was made in the meantime.
fn clear(shared: &Shared, stray: &mut Vec<PathBuf>) -> io::Result<()> {
    while let Some(path) = stray.last() {
        shared.disk.remove_if_present(path)?;
        stray.pop();
    }
    Ok(())
}

/// Neighbouring segments that are worth copying together.
fn pick(shared: &Shared) -> Option<Vec<Arc<Segment>>> {
    let state = shared.state();
    let settings = &shared.settings;
    let least = match state.is_short(settings) {
        true => 0,
        false => settings.segment_bytes,
    };
    let mut run = Run::default();
    for slot in state.segments.values() {
        if !eligible(slot, settings.segment_bytes) || !run.has_room(slot, settings.segment_bytes) {
            if run.gives_back(least) {
                break;
            }
            run = Run::default();
        }
        if eligible(slot, settings.segment_bytes) {
            run.add(slot);
        }
    }
    run.gives_back(least).then_some(run.segments)
}

fn eligible(slot: &Slot, segment_bytes: u64) -> bool {
    let data = u64::from(slot.segment.data_end - DATA_START);
    slot.live.stored * 2 <= data || slot.live.stored * SMALL <= segment_bytes
}

#[derive(Default)]
struct Run {
    segments: Vec<Arc<Segment>>,
    live: Totals,
    file_bytes: u64,
}

impl Run {
    fn has_room(&self, slot: &Slot, segment_bytes: u64) -> bool {
        self.live.stored + slot.live.stored <= segment_bytes
            && self.live.entries + slot.live.entries <= MAX_SEGMENT_FRAMES
    }

    fn add(&mut self, slot: &Slot) {
        self.segments.push(slot.segment.clone());
        self.live += slot.live;
        self.file_bytes += slot.segment.file_bytes;
    }

    /// Whether to copy it gives back `least` bytes and as many as are copied, or nearly all, or makes one small file of
    /// many.
    fn gives_back(&self, least: u64) -> bool {
        let lanes: usize = self
            .segments
            .iter()
            .map(|it| it.rows.len())
            .max()
            .unwrap_or(0);
        let after = u64::from(DATA_START)
            + self.live.stored
            + footer::bound(self.live.entries, lanes as u64);
        let freed = self.file_bytes.saturating_sub(after);
        let halved = freed >= self.live.stored && freed * 2 >= self.file_bytes;
        let cheap = freed >= least || (self.file_bytes - freed) * HARDLY_ANY <= self.file_bytes;
        // Segments that are little more than header and footer are not worth a copy by themselves.
        let worth = freed > 4 * u64::from(DATA_START);
        (halved && cheap && worth) || self.segments.len() >= MANY
    }
}

/// Copies what lives in `run` into one segment, and puts it in their place. `stray`: where it lies should its name be in
/// doubt.
fn compact(shared: &Shared, run: &[Arc<Segment>], stray: &mut Vec<PathBuf>) -> io::Result<()> {
    let (Some(first), Some(last)) = (run.first(), run.last()) else {
        return Ok(());
    };
    let header = SegmentHeader {
        kind: Kind::Compacted,
        id: next_id(shared),
        nonce: shared.chance.next_u64(),
        base: first.base,
        end: last.end,
    };
    let prepared = Prepared::create(&shared.disk, &shared.dir, header, None)?;
    let mut copy = Copy {
        shared,
        header,
        output: &prepared.file,
        at: u64::from(DATA_START),
        buffer: Vec::with_capacity(WRITE_BYTES),
        lanes: BTreeMap::new(),
    };
    let done = run
        .iter()
        .try_for_each(|segment| copy.segment(segment))
        .and_then(|()| copy.finish());
    let (output, entries) = match done {
        Ok(done) => done,
        Err(error) => {
            prepared.discard();
            return Err(error);
        }
    };
    if let Err(error) = prepared.activate() {
        stray.push(segment::path(&shared.dir, header.id));
        return Err(error);
    }
    let inputs: Vec<_> = run.iter().map(|segment| segment.base).collect();
    let before = {
        let mut state = shared.state();
        let before = state.disk_bytes;
        state.replace(&inputs, output, &entries);
        before
    };
    delete_doomed(shared);
    // The copy may be deleted one day; its inputs must be gone for good by then.
    shared.disk.sync_dir(&shared.dir)?;
    let after = shared.state().disk_bytes;
    tracing::debug!(segments = run.len(), before, after, "compacted");
    Ok(())
}

/// A compacted segment in the making.
struct Copy<'a> {
    shared: &'a Shared,
    header: SegmentHeader,
    output: &'a DiskFile,
    /// Where the next frame goes, were the buffer written.
    at: u64,
    buffer: Vec<u8>,
    lanes: BTreeMap<LaneId, Vec<Entry>>,
}

impl Copy<'_> {
    /// Copies the frames of one segment that are not forgotten, in their order.
    fn segment(&mut self, segment: &Segment) -> io::Result<()> {
        let file = self
            .shared
            .disk
            .open_read(segment::path(&self.shared.dir, segment.id))?;
        let mut wanted = Vec::new();
        for row in &segment.rows {
            let Some(keep_from) = keep_from(&self.shared.state(), row) else {
                continue;
            };
            for entry in entries_from(self.shared, &file, segment, row, keep_from)? {
                wanted.push((row.lane, entry));
            }
        }
        wanted.sort_unstable_by_key(|(_, entry)| entry.position);
        let (lanes, entries): (Vec<LaneId>, Vec<Entry>) = wanted.into_iter().unzip();
        let mut lanes = lanes.into_iter();
        for run in runs(&entries) {
            let bytes = read_run(&file, run);
            for (entry, lane) in run.iter().zip(&mut lanes) {
                let at = (entry.offset - run[0].offset) as usize;
                let whole = bytes.as_ref().ok();
                let whole =
                    whole.and_then(|bytes| sound(bytes, at, entry, segment.nonce, lane).ok());
                let frame = match whole {
                    _ if entry.lost => Err("lost"),
                    Some(frame) => Ok(frame),
                    None => read_alone(&file, entry)
                        .and_then(|bytes| sound(&bytes, 0, entry, segment.nonce, lane)),
                };
                match frame {
                    Ok((header, body)) => self.frame(&header, &body, entry)?,
                    Err(why) => self.lost(segment.id, lane, entry, why),
                }
            }
        }
        Ok(())
    }

    fn frame(&mut self, header: &FrameHeader, body: &[u8], entry: &Entry) -> io::Result<()> {
        let header = FrameHeader {
            nonce: self.header.nonce,
            batch_start: DATA_START,
            ..*header
        };
        let offset = self.offset()?;
        header.encode_into(&mut self.buffer);
        self.buffer.extend_from_slice(body);
        let len = self.buffer.len().next_multiple_of(format::ALIGN as usize);
        self.buffer.resize(len, 0);
        self.at += header.stored();
        let entries = self.lanes.entry(header.lane).or_default();
        entries.push(Entry { offset, ..*entry });
        if self.buffer.len() >= WRITE_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    /// A frame that cannot be read stays known as lost.
    fn lost(&mut self, segment: u64, lane: LaneId, entry: &Entry, why: &str) {
        let what = format!("lane {lane}, position {}: {why}", entry.position);
        if !entry.lost {
            self.shared.note_damage(segment, entry.offset, &what);
        }
        let offset = self.offset().unwrap_or(u32::MAX);
        // It was counted where it was found.
        self.shared.state().move_damage(self.header.id, offset);
        self.lanes.entry(lane).or_default().push(Entry {
            offset,
            body_len: 0,
            records: 0,
            lost: true,
            ..*entry
        });
    }

    fn offset(&self) -> io::Result<u32> {
        u32::try_from(self.at).map_err(io::Error::other)
    }

    fn flush(&mut self) -> io::Result<()> {
        let start = self.at - self.buffer.len() as u64;
        self.output
            .write_all_at(&mut [IoSlice::new(&self.buffer)], start)?;
        self.buffer.clear();
        Ok(())
    }

    /// Ends the copy with its index, durable; the file still has its temporary name.
    fn finish(mut self) -> io::Result<(Segment, BTreeMap<LaneId, Vec<Entry>>)> {
        self.flush()?;
        let data_end = self.offset()?;
        let mut footer = FooterBuilder::new(self.header, data_end);
        for (&lane, entries) in &self.lanes {
            footer.lane(lane, entries);
        }
        let (footer, rows) = footer.finish(self.header.end);
        let file_bytes = write_footer(self.output, data_end, &footer)?;
        let segment = Segment {
            kind: self.header.kind,
            id: self.header.id,
            nonce: self.header.nonce,
            base: self.header.base,
            end: self.header.end,
            data_end,
            file_bytes,
            rows,
        };
        Ok((segment, self.lanes))
    }
}

/// A frame's header and body, if they are the ones that `entry` speaks of.
fn sound(
    bytes: &Bytes,
    at: usize,
    entry: &Entry,
    nonce: u64,
    lane: LaneId,
) -> Result<(FrameHeader, Bytes), &'static str> {
    let (header, body) = decode_raw(bytes, at, entry, nonce)?;
    if header.lane == lane && crc32fast::hash(&body) == header.body_crc {
        Ok((header, body))
    } else {
        Err("the frame's body fails its checksum")
    }
}

/// From where on the lane's frames in this row are wanted, if any are.
fn keep_from(state: &State, row: &Row) -> Option<u64> {
    let keep_from = state.lanes.get(&row.lane)?.keep_from();
    (row.last >= keep_from).then_some(keep_from)
}

/// A lane's entries in a segment, at or above `from`.
fn entries_from(
    shared: &Shared,
    file: &DiskFile,
    segment: &Segment,
    row: &Row,
    from: u64,
) -> io::Result<Vec<Entry>> {
    let mut section = FooterReader::new(segment.nonce, row);
    let mut found = Vec::new();
    loop {
        match section.next(file, from)? {
            Block::Entries(entries) => found.extend(entries),
            Block::End => return Ok(found),
            Block::Damaged => break,
        }
    }
    let what = "the index of a lane; its frames are looked for one by one";
    shared.note_damage(segment.id, row.section, what);
    let mut found = scan_lane(file, segment, row)?;
    found.retain(|entry| entry.position >= from);
    Ok(found)
}
