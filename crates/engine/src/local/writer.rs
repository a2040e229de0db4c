//! The thread that writes: takes everything that waits → one write → one fdatasync → index → replies.
//!
//! It never waits for more to come: while one group is being synced the next one gathers by itself. So a
//! lone append costs one fsync, and a thousand at once cost hardly more. But where all processors are busy, it lets
//! those have them first who are about to append: each fsync that is not needed leaves more for them.
//!
//! A failed write or fsync is final. After a failed fsync the kernel may have dropped the pages and
//! called them clean, so a later fsync that succeeds proves nothing: every append fails until the
//! log is opened anew, which reads what the disk really holds.

use std::{
    collections::{BTreeSet, VecDeque},
    io::{self, IoSlice},
    sync::Arc,
    thread,
};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, mpsc::UnboundedReceiver, oneshot};

use super::{
    MAX_SEGMENT_FRAMES, Shared,
    disk::{DiskFile, is_full},
    footer::{self, FooterBuilder},
    format::{self, DATA_START, FrameHeader, Kind, PAGE, SegmentHeader},
    index::{Active, Entry, Segment},
    lock::DirLock,
    recover::next_id,
    recycle::{self, SpareFile},
    segment::{Prepared, write_footer},
};
use crate::{
    frame::Frame,
    log::{LaneId, LogError, Position},
};

/// A group is closed when it has this many bytes: large enough that the fsync hardly counts, small
/// enough that the first in it does not wait long for the last.
const GROUP_BYTES: u64 = 4 << 20;
/// A group of so many bytes is written as it is.
const FAIR_BYTES: u64 = 256 << 10;
/// How often a smaller one lets others have the processor first.
const YIELDS: usize = 3;
/// Payloads from this size on are written from where they lie; smaller ones are copied together first.
const SHARE_FROM: usize = 8 << 10;

/// What the writer is asked to do.
pub(crate) enum Command {
    Append(Request),
    /// Seal the active segment if it holds anything, so that its dead space can be given back.
    Roll,
    /// Finish what came before, seal, and stop.
    Close,
}

/// A frame that waits to be written.
pub(crate) struct Request {
    pub(crate) lane: LaneId,
    pub(crate) frame: Frame,
    /// The body's first part; the second is the frame's payload.
    pub(crate) ends: Vec<u8>,
    pub(crate) body_len: u32,
    pub(crate) body_crc: u32,
    pub(crate) reply: oneshot::Sender<Result<Position, LogError>>,
    /// Its place in the queue.
    pub(crate) _permit: OwnedSemaphorePermit,
}

impl Request {
    fn stored(&self) -> u64 {
        format::stored(self.body_len)
    }

    fn answer(self, answer: Result<Position, LogError>) {
        // The caller may have gone; the frame stays.
        let _ = self.reply.send(answer);
    }
}

/// The segment being written.
struct Current {
    file: DiskFile,
    header: SegmentHeader,
    size: u64,
    /// Where the next frame goes. Everything before is durable between two groups.
    end: u32,
    frames: u64,
    lanes: BTreeSet<LaneId>,
}

impl Current {
    /// How many of `requests`, from the first on, have room together with the index of all.
    fn room_for(&self, requests: &VecDeque<Request>) -> usize {
        let mut end = u64::from(self.end);
        let (mut frames, mut lanes) = (self.frames, self.lanes.len() as u64);
        let mut new_lanes = BTreeSet::new();
        for (index, request) in requests.iter().enumerate() {
            end += request.stored();
            frames += 1;
            if !self.lanes.contains(&request.lane) && new_lanes.insert(request.lane) {
                lanes += 1;
            }
            if end + footer::bound(frames, lanes) > self.size || frames > MAX_SEGMENT_FRAMES {
                return index;
            }
        }
        requests.len()
    }
}

/// Why a segment could not be begun.
enum RollError {
    /// No room. Nothing has changed.
    Full(String),
    /// The disk failed.
    Failed(String),
}

/// The state of the writing thread.
pub(crate) struct Writer {
    shared: Arc<Shared>,
    commands: UnboundedReceiver<Command>,
    current: Option<Current>,
    next_position: u64,
    failed: Option<String>,
    /// How many frames were taken at once the last time.
    last_group: usize,
    /// Headers, record ends and small payloads of a group.
    staged: Vec<u8>,
    /// Until this thread has ended nobody else may have the directory.
    _lock: Arc<DirLock>,
}

/// A piece of a group's bytes.
enum Part {
    /// These of the staged ones.
    Staged(std::ops::Range<usize>),
    Shared(Bytes),
}

impl Writer {
    /// A writer that begins a new segment, or tries to: a full disk is no reason not to start.
    pub(crate) fn new(
        shared: Arc<Shared>,
        commands: UnboundedReceiver<Command>,
        lock: Arc<DirLock>,
    ) -> Result<Self, String> {
        let next_position = shared.state().active.base;
        let mut writer = Writer {
            shared,
            commands,
            current: None,
            next_position,
            failed: None,
            last_group: 0,
            staged: Vec::new(),
            _lock: lock,
        };
        match writer.roll(0) {
            Ok(()) => Ok(writer),
            Err(RollError::Full(why)) => {
                tracing::warn!("no room for a new segment: {why}");
                Ok(writer)
            }
            Err(RollError::Failed(why)) => Err(why),
        }
    }

    /// Works until the log is closed or dropped.
    pub(crate) async fn run(mut self) {
        let mut waiting = VecDeque::new();
        while let Some(command) = self.commands.recv().await {
            let mut bytes = 0;
            let mut next = Some(command);
            let mut then = None;
            // Whoever was alone the last time need not wait.
            let mut yields = if self.last_group > 1 { YIELDS } else { 0 };
            while let Some(command) = next {
                match command {
                    Command::Append(request) => {
                        bytes += request.stored();
                        waiting.push_back(request);
                    }
                    other => {
                        then = Some(other);
                        break;
                    }
                }
                if bytes >= GROUP_BYTES {
                    break;
                }
                next = self.commands.try_recv().ok();
                while next.is_none() && yields > 0 && bytes < FAIR_BYTES {
                    yields -= 1;
                    thread::yield_now();
                    next = self.commands.try_recv().ok();
                }
            }
            self.last_group = waiting.len();
            self.append(&mut waiting);
            match then {
                Some(Command::Roll) => self.roll_if_used(),
                Some(_) => break,
                None => {}
            }
        }
        self.close();
    }

    /// Writes or answers all that wait.
    fn append(&mut self, waiting: &mut VecDeque<Request>) {
        while !waiting.is_empty() {
            if let Some(why) = &self.failed {
                for request in waiting.drain(..) {
                    request.answer(Err(LogError::Failed(why.clone())));
                }
                return;
            }
            let room = self.current.as_ref().map_or(0, |it| it.room_for(waiting));
            if room > 0 {
                let group: Vec<_> = waiting.drain(..room).collect();
                if let Err(error) = self.write(group) {
                    self.fail(&error);
                }
                continue;
            }
            if let Some(request) = self.pop_if_removed(waiting) {
                let gone = LogError::LaneRemoved(request.lane);
                request.answer(Err(gone));
                continue;
            }
            let need = waiting.front().map_or(0, Request::stored);
            match self.roll(need) {
                Ok(()) => {}
                Err(RollError::Full(why)) => {
                    // A smaller one behind it may still have room.
                    self.shared.state().refused = self.least_for(need);
                    // What it leaves alone while there is room may make some now.
                    self.shared.wake_keeper();
                    if let Some(request) = waiting.pop_front() {
                        request.answer(Err(LogError::Full(why)));
                    }
                }
                Err(RollError::Failed(why)) => self.fail(&why),
            }
        }
    }

    /// No room is made for a frame that will not be taken.
    fn pop_if_removed(&self, waiting: &mut VecDeque<Request>) -> Option<Request> {
        let lane = waiting.front()?.lane;
        let removed = self.shared.state().removed.contains(&lane);
        removed.then(|| waiting.pop_front()).flatten()
    }

    fn fail(&mut self, why: &dyn std::fmt::Display) {
        let why = format!("{why}; appends are refused until the node is restarted");
        tracing::error!("the log failed: {why}");
        self.shared.state().failed = Some(why.clone());
        self.failed = Some(why);
    }

    /// Writes a group that has room, makes it durable, shows it, replies, and wakes those who follow.
    fn write(&mut self, group: Vec<Request>) -> Result<(), String> {
        let Some(current) = &mut self.current else {
            return Ok(());
        };
        let batch_start = current.end;
        let mut written = Vec::with_capacity(group.len());
        let mut replies = Vec::with_capacity(group.len());
        let mut parts = Vec::new();
        self.staged.clear();
        {
            let mut state = self.shared.state();
            for request in group {
                let Some(lane) = state.lane(request.lane) else {
                    let gone = LogError::LaneRemoved(request.lane);
                    request.answer(Err(gone));
                    continue;
                };
                let position = self.next_position;
                self.next_position += 1;
                let back = position - lane.assigned;
                let back = if lane.assigned == 0 { 0 } else { back };
                lane.assigned = position;
                let header = FrameHeader {
                    nonce: current.header.nonce,
                    lane: request.lane,
                    position,
                    arrival: request.frame.arrival(),
                    body_len: request.body_len,
                    body_crc: request.body_crc,
                    records: u32::try_from(request.frame.records()).unwrap_or(u32::MAX),
                    batch_start,
                    lane_back: u32::try_from(back).unwrap_or(0),
                };
                let entry = Entry {
                    position,
                    arrival: header.arrival,
                    offset: current.end,
                    body_len: header.body_len,
                    records: header.records,
                    lost: false,
                };
                current.end += u32::try_from(header.stored()).unwrap_or(u32::MAX);
                written.push((request.lane, entry));
                replies.push((header, request));
            }
        }
        for (header, request) in &replies {
            stage(header, request, &mut self.staged, &mut parts);
        }
        if written.is_empty() {
            return Ok(());
        }
        pad(current.end, current.size, &mut self.staged, &mut parts);
        let mut slices: Vec<_> = parts
            .iter()
            .map(|part| match part {
                Part::Staged(range) => IoSlice::new(&self.staged[range.clone()]),
                Part::Shared(bytes) => IoSlice::new(bytes),
            })
            .collect();
        let file = &current.file;
        let durable = file
            .write_all_at(&mut slices, u64::from(batch_start))
            .and_then(|()| file.sync());
        if let Err(error) = durable {
            let why = format!("writing {}: {error}", file.path().display());
            for (_, request) in replies {
                request.answer(Err(LogError::Failed(why.clone())));
            }
            return Err(why);
        }
        current.frames += written.len() as u64;
        current.lanes.extend(written.iter().map(|(lane, _)| *lane));
        self.shared.state().publish(written.iter().copied());
        let lanes: BTreeSet<_> = written.iter().map(|(lane, _)| *lane).collect();
        for ((_, request), (_, entry)) in replies.into_iter().zip(written) {
            request.answer(Ok(Position(entry.position)));
        }
        self.wake_followers(&lanes);
        Ok(())
    }

    /// After the answers: clients wait for those.
    fn wake_followers(&self, lanes: &BTreeSet<LaneId>) {
        let state = self.shared.state();
        for lane in lanes {
            if let Some(lane) = state.lanes.get(lane) {
                lane.wake.send_replace(());
            }
        }
    }

    fn roll_if_used(&mut self) {
        let used = self.current.as_ref().is_some_and(|it| it.frames > 0);
        if !used || self.failed.is_some() {
            return;
        }
        if let Err(RollError::Failed(why)) = self.roll(0) {
            self.fail(&why);
        }
    }

    /// Begins a new segment that has room for a frame of `need` bytes, and seals the one before.
    fn roll(&mut self, need: u64) -> Result<(), RollError> {
        let spare = recycle::take(&self.shared);
        let size = match self.affordable(need, spare.as_ref().map_or(0, |it| it.bytes)) {
            Ok(size) => size,
            Err(why) => {
                if let Some(spare) = spare {
                    recycle::remove(&self.shared, &spare);
                }
                return Err(RollError::Full(why));
            }
        };
        let header = SegmentHeader {
            kind: Kind::Log,
            id: next_id(&self.shared),
            nonce: self.shared.chance.next_u64(),
            base: self.next_position,
            end: 0,
        };
        let failed = |error: io::Error| RollError::Failed(format!("a new segment: {error}"));
        let prepared = match self.prepare(header, size, spare) {
            Ok(prepared) => prepared,
            Err(error) if is_full(&error) => return Err(RollError::Full(error.to_string())),
            Err(error) => return Err(failed(error)),
        };
        let sealed = match self.current.as_ref().map(|it| self.seal(it)).transpose() {
            Ok(sealed) => sealed,
            Err(error) => {
                prepared.discard();
                return Err(RollError::Failed(format!("sealing a segment: {error}")));
            }
        };
        let file = prepared.activate().map_err(failed)?;
        let active = Active {
            id: header.id,
            nonce: header.nonce,
            base: header.base,
            file_bytes: size,
            written: 0,
            live: Default::default(),
        };
        {
            let mut state = self.shared.state();
            state.refused = 0;
            match sealed {
                Some(segment) => state.seal(segment, active),
                None => {
                    state.disk_bytes += size;
                    state.active = active;
                }
            }
        }
        self.current = Some(Current {
            file,
            header,
            size,
            end: DATA_START,
            frames: 0,
            lanes: BTreeSet::new(),
        });
        self.shared.wake_keeper();
        Ok(())
    }

    /// The file of the next segment: the spare, or else a new one.
    fn prepare(
        &self,
        header: SegmentHeader,
        size: u64,
        spare: Option<SpareFile>,
    ) -> io::Result<Prepared> {
        let Shared { disk, dir, .. } = &*self.shared;
        match spare {
            Some(spare) if spare.bytes <= size => {
                match Prepared::reuse(disk, dir, header, size, spare.path) {
                    Ok(prepared) => return Ok(prepared),
                    Err(error) => tracing::warn!("a new file, for the old one: {error}"),
                }
            }
            Some(spare) => recycle::remove(&self.shared, &spare),
            None => {}
        }
        Prepared::create(disk, dir, header, Some(size))
    }

    /// Writes the active segment's index to its end.
    fn seal(&self, current: &Current) -> io::Result<Segment> {
        let mut footer = FooterBuilder::new(current.header, current.end);
        for &lane in &current.lanes {
            // Lane by lane, so that readers do not wait for the whole.
            let entries: Vec<_> = match self.shared.state().lanes.get(&lane) {
                Some(lane) => lane.active.iter().copied().collect(),
                None => continue,
            };
            footer.lane(lane, &entries);
        }
        let (footer, rows) = footer.finish(self.next_position);
        let file_bytes = write_footer(&current.file, current.end, &footer)?;
        Ok(Segment {
            kind: Kind::Log,
            id: current.header.id,
            nonce: current.header.nonce,
            base: current.header.base,
            end: self.next_position,
            data_end: current.end,
            file_bytes,
            rows,
        })
    }

    /// The least size of a segment that has room for a frame of `need` bytes.
    fn least_for(&self, need: u64) -> u64 {
        let least = u64::from(DATA_START) + need + footer::bound(1, 1);
        least.max(self.shared.settings.least_segment_bytes())
    }

    /// How large the next segment may be, with room for `need` bytes, or why it may not even be that. `spare` bytes of
    /// disk are at hand.
    ///
    /// Short of space it is a smaller one. Otherwise, on a disk with room for one segment alone, that one could
    /// never make place for the next, though nothing in it were wanted any more.
    fn affordable(&self, need: u64, spare: u64) -> Result<u64, String> {
        let least = self.least_for(need);
        let mut size = self.shared.settings.segment_bytes.max(least);
        loop {
            match self.has_space(size, spare) {
                Ok(()) => return Ok(size),
                Err(why) if size == least => return Err(why),
                Err(_) => size = (size / 2).max(least),
            }
        }
    }

    /// Whether the log may take `size` more bytes of disk, `spare` of them at hand, or why not.
    fn has_space(&self, size: u64, spare: u64) -> Result<(), String> {
        let shared = &self.shared;
        let (used, freed) = {
            let state = shared.state();
            (state.disk_bytes, state.freed_by_rolling())
        };
        let settings = &shared.settings;
        if let Some(max) = settings.max_log_bytes
            // A segment's worth is kept for compaction, which needs space to give some back.
            && (used + size + settings.segment_bytes).saturating_sub(freed) > max
        {
            return Err(format!(
                "{used} of at most {max} bytes are in use; space returns as records are delivered"
            ));
        }
        let free = match shared.disk.available(&shared.dir) {
            Ok(free) => free.saturating_add(spare),
            Err(error) => return Err(format!("the free space is not known: {error}")),
        };
        // The new file is there before the old one goes.
        if free < size || free + freed < size + settings.min_free_bytes {
            return Err(format!(
                "the disk has {free} bytes free, of which {} are kept in reserve",
                settings.min_free_bytes
            ));
        }
        Ok(())
    }

    fn close(mut self) {
        if self.failed.is_none()
            && let Some(current) = self.current.take()
            && let Err(error) = self.seal(&current)
        {
            // All that was acknowledged is durable; the next open seals it.
            tracing::warn!("sealing the last segment: {error}");
        }
        self.shared.ended(None);
        recycle::give_up(&self.shared);
    }
}

impl Drop for Writer {
    /// Does nothing after [`close`](Writer::close); after a panic, nothing is appended any more, and all must know.
    fn drop(&mut self) {
        let why = "the writing thread stopped; restart the node";
        self.shared.ended(Some(why));
    }
}

/// Adds a frame's bytes to a group's.
fn stage(header: &FrameHeader, request: &Request, staged: &mut Vec<u8>, parts: &mut Vec<Part>) {
    let start = staged.len();
    header.encode_into(staged);
    staged.extend_from_slice(&request.ends);
    let payload = request.frame.payload();
    let shared = payload.len() >= SHARE_FROM;
    if shared {
        add_staged(start..staged.len(), parts);
        parts.push(Part::Shared(payload.clone()));
    } else {
        staged.extend_from_slice(payload);
    }
    let start = if shared { staged.len() } else { start };
    let padding = header.stored() - u64::from(format::FRAME_HEADER) - u64::from(header.body_len);
    staged.extend((0..padding).map(|_| 0));
    add_staged(start..staged.len(), parts);
}

/// Zeros to the end of the last page that a group touches. Without them, in a file that was another segment before, the
/// kernel would have to read that page to write a part of it, and recovery could not tell where the group was to end.
fn pad(end: u32, size: u64, staged: &mut Vec<u8>, parts: &mut Vec<Part>) {
    let page = u64::from(end).next_multiple_of(PAGE).min(size);
    let start = staged.len();
    staged.extend((u64::from(end)..page).map(|_| 0));
    add_staged(start..staged.len(), parts);
}

fn add_staged(range: std::ops::Range<usize>, parts: &mut Vec<Part>) {
    match parts.last_mut() {
        Some(Part::Staged(last)) if last.end == range.start => last.end = range.end,
        _ => parts.push(Part::Staged(range)),
    }
}
