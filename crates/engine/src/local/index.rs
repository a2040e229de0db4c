//! What the log holds, in memory: lane → position → place. Pure; no I/O.
//!
//! The budget: a full index (32 bytes a frame) of the active segment alone, which takes no more than
//! [`super::MAX_SEGMENT_FRAMES`] frames; of a sealed segment one [`Row`] for each of its lanes.
//! Neither grows with the number of frames that wait.
//!
//! Invariants:
//! * Segments are ordered by their base. Their ranges of positions do not overlap, so a lane's frames
//!   in one segment all lie below its frames in the next; the active segment is the last.
//! * A lane's `keep_from` lies inside at most one sealed segment: `cut` is what it forgets there.
//! * `live` of a lane = its rows above the cut + its entries in the active segment.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    ops::{AddAssign, SubAssign},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::sync::watch;

use super::{
    Settings,
    format::{Kind, SegmentHeader, stored},
    recycle::Spare,
};
use crate::{
    clock::Timestamp,
    log::{LaneId, LaneUsage, Position},
};

/// With room for so many segments space is not short.
const SPARE_SEGMENTS: u64 = 4;

/// Where a frame lies in its segment, and what is known of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) position: u64,
    pub(crate) arrival: Timestamp,
    pub(crate) offset: u32,
    pub(crate) body_len: u32,
    pub(crate) records: u32,
    /// Known to be damaged: shown as an error, never as a frame.
    pub(crate) lost: bool,
}

impl Entry {
    /// What it takes on disk, as far as it can be read.
    pub(crate) fn stored(&self) -> u64 {
        if self.lost { 0 } else { stored(self.body_len) }
    }

    /// Record data, without overhead.
    pub(crate) fn bytes(&self) -> u64 {
        u64::from(self.body_len).saturating_sub(u64::from(self.records) * 4)
    }
}

/// Sums over entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    /// Frames and lost frames: what keeps a segment from being deleted.
    pub(crate) entries: u64,
    /// Frames that are not lost. So with all below.
    pub(crate) frames: u64,
    pub(crate) records: u64,
    pub(crate) bytes: u64,
    /// What they take on disk.
    pub(crate) stored: u64,
}

impl Totals {
    pub(crate) fn of<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Self {
        let mut totals = Totals::default();
        for entry in entries {
            totals.add(entry);
        }
        totals
    }

    pub(crate) fn add(&mut self, entry: &Entry) {
        self.entries += 1;
        if !entry.lost {
            self.frames += 1;
            self.records += u64::from(entry.records);
            self.bytes += entry.bytes();
            self.stored += entry.stored();
        }
    }
}

impl AddAssign for Totals {
    fn add_assign(&mut self, other: Totals) {
        self.entries += other.entries;
        self.frames += other.frames;
        self.records += other.records;
        self.bytes += other.bytes;
        self.stored += other.stored;
    }
}

impl SubAssign for Totals {
    fn sub_assign(&mut self, other: Totals) {
        self.entries = self.entries.saturating_sub(other.entries);
        self.frames = self.frames.saturating_sub(other.frames);
        self.records = self.records.saturating_sub(other.records);
        self.bytes = self.bytes.saturating_sub(other.bytes);
        self.stored = self.stored.saturating_sub(other.stored);
    }
}

/// What one lane holds in one sealed segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) lane: LaneId,
    pub(crate) first: u64,
    pub(crate) last: u64,
    /// Of its first frame.
    pub(crate) arrival: Timestamp,
    pub(crate) frames: u32,
    pub(crate) records: u32,
    pub(crate) bytes: u32,
    pub(crate) stored: u32,
    pub(crate) lost: u32,
    /// Where the lane's index lies in the file.
    pub(crate) section: u32,
    pub(crate) section_len: u32,
}

impl Row {
    pub(crate) fn totals(&self) -> Totals {
        Totals {
            entries: u64::from(self.frames) + u64::from(self.lost),
            frames: u64::from(self.frames),
            records: u64::from(self.records),
            bytes: u64::from(self.bytes),
            stored: u64::from(self.stored),
        }
    }
}

/// A sealed segment file.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) kind: Kind,
    pub(crate) id: u64,
    pub(crate) nonce: u64,
    pub(crate) base: u64,
    pub(crate) end: u64,
    /// Where frames end in the file.
    pub(crate) data_end: u32,
    /// The whole file.
    pub(crate) file_bytes: u64,
    /// By lane.
    pub(crate) rows: Box<[Row]>,
}

impl Segment {
    /// As its file has it, with the true `end`.
    pub(crate) fn header(&self) -> SegmentHeader {
        SegmentHeader {
            kind: self.kind,
            id: self.id,
            nonce: self.nonce,
            base: self.base,
            end: self.end,
        }
    }

    pub(crate) fn row(&self, lane: LaneId) -> Option<&Row> {
        let index = self.rows.binary_search_by_key(&lane, |row| row.lane).ok()?;
        Some(&self.rows[index])
    }
}

/// A sealed segment in the log.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) segment: Arc<Segment>,
    /// What of it is neither trimmed nor removed.
    pub(crate) live: Totals,
}

/// The file that appends go to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Active {
    pub(crate) id: u64,
    pub(crate) nonce: u64,
    pub(crate) base: u64,
    /// Set aside on disk.
    pub(crate) file_bytes: u64,
    /// What its frames take.
    pub(crate) written: u64,
    /// What of it is neither trimmed nor removed.
    pub(crate) live: Totals,
}

/// One lane.
#[derive(Debug)]
pub(crate) struct Lane {
    /// Frames below are forgotten. Shared with those who show frames; `u64::MAX` once removed.
    pub(crate) keep_from: Arc<AtomicU64>,
    /// The highest position that is durable.
    pub(crate) last: u64,
    /// The highest position that was given out.
    pub(crate) assigned: u64,
    /// What is not forgotten.
    pub(crate) live: Totals,
    /// What `keep_from` forgets in the sealed segment that it lies in.
    pub(crate) cut: Totals,
    /// Of the frame with the lowest position.
    pub(crate) oldest: Option<Timestamp>,
    /// What is not forgotten in the active segment, in order.
    pub(crate) active: VecDeque<Entry>,
    pub(crate) active_live: Totals,
    /// Told when a frame became durable; dropped when the lane is removed.
    pub(crate) wake: watch::Sender<()>,
}

impl Default for Lane {
    fn default() -> Self {
        Lane {
            keep_from: Arc::default(),
            last: 0,
            assigned: 0,
            live: Totals::default(),
            cut: Totals::default(),
            oldest: None,
            active: VecDeque::new(),
            active_live: Totals::default(),
            wake: watch::Sender::new(()),
        }
    }
}

impl Lane {
    pub(crate) fn keep_from(&self) -> u64 {
        self.keep_from.load(Ordering::Relaxed)
    }

    /// Forgets what the active segment holds below `keep_from`; what that was.
    fn forget_active(&mut self, keep_from: u64) -> Totals {
        let below = |entry: &Entry| entry.position < keep_from;
        let count = self.active.partition_point(below);
        let gone: Vec<Entry> = self.active.drain(..count).collect();
        let gone = Totals::of(&gone);
        self.active_live -= gone;
        gone
    }
}

/// Where a lane's next frames lie.
#[derive(Debug)]
pub(crate) enum Located {
    /// In the active segment: these, in order, and perhaps more.
    Active {
        id: u64,
        nonce: u64,
        entries: Vec<Entry>,
    },
    /// In this sealed segment.
    Sealed { segment: Arc<Segment>, row: Row },
    /// Nowhere yet.
    Nothing {
        /// Nor will any ever come.
        ended: bool,
    },
}

/// All of it.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) lanes: HashMap<LaneId, Lane>,
    pub(crate) removed: HashSet<LaneId>,
    /// The sealed segments, by base.
    pub(crate) segments: BTreeMap<u64, Slot>,
    pub(crate) active: Active,
    /// Forgotten segments whose files wait to be deleted.
    pub(crate) doomed: Vec<Arc<Segment>>,
    /// A file for the next segment.
    pub(crate) spare: Spare,
    /// Of all files, also of those that wait to be deleted.
    pub(crate) disk_bytes: u64,
    pub(crate) damaged_frames: u64,
    /// Segment and offset of damage that was counted.
    pub(crate) known_damage: HashSet<(u64, u32)>,
    /// The size of the segment that a refused frame needed, and that could not be begun since; 0 when none was refused.
    pub(crate) refused: u64,
    /// Why nothing can be appended any more.
    pub(crate) failed: Option<String>,
    /// Nothing more will be published.
    pub(crate) closed: bool,
}

impl State {
    /// Nothing but an active segment.
    pub(crate) fn new(active: Active) -> Self {
        State {
            lanes: HashMap::new(),
            removed: HashSet::new(),
            segments: BTreeMap::new(),
            disk_bytes: active.file_bytes,
            active,
            doomed: Vec::new(),
            spare: Spare::None,
            damaged_frames: 0,
            known_damage: HashSet::new(),
            refused: 0,
            failed: None,
            closed: false,
        }
    }

    /// What the active segment gives back when the next is begun: all of it, when nothing in it is wanted any more.
    pub(crate) fn freed_by_rolling(&self) -> u64 {
        match self.active.live.entries {
            0 => self.active.file_bytes,
            _ => 0,
        }
    }

    /// Whether the next segments may find no room.
    pub(crate) fn is_short(&self, settings: &Settings) -> bool {
        let next = SPARE_SEGMENTS * settings.segment_bytes;
        let allowed = settings.max_log_bytes.unwrap_or(u64::MAX);
        self.refused > 0 || self.disk_bytes.saturating_add(next) > allowed
    }

    /// The lane, unless it was removed. A lane begins to exist when somebody asks for it.
    pub(crate) fn lane(&mut self, lane: LaneId) -> Option<&mut Lane> {
        if self.removed.contains(&lane) {
            return None;
        }
        Some(self.lanes.entry(lane).or_default())
    }

    pub(crate) fn lane_usage(&self, lane: LaneId) -> LaneUsage {
        self.lanes
            .get(&lane)
            .map_or_else(LaneUsage::default, |lane| LaneUsage {
                frames: lane.live.frames,
                records: lane.live.records,
                bytes: lane.live.bytes,
                oldest: lane.oldest.filter(|_| lane.live.frames > 0),
                end: match lane.live.frames {
                    0 => Position::START,
                    _ => Position(lane.last).next(),
                },
            })
    }

    /// Where the first entries of `lane` at or after `from` lie; no more than `limit` of them.
    pub(crate) fn locate(&self, lane: LaneId, from: u64, limit: usize) -> Located {
        let Some(known) = self.lanes.get(&lane) else {
            let ended = self.closed || self.removed.contains(&lane);
            return Located::Nothing { ended };
        };
        let from = from.max(known.keep_from());
        let nothing = Located::Nothing { ended: self.closed };
        if from > known.last {
            return nothing;
        }
        if from < self.active.base && known.live.entries > known.active_live.entries {
            for slot in self.segments_from(from) {
                match slot.segment.row(lane) {
                    Some(&row) if row.last >= from => {
                        let segment = slot.segment.clone();
                        return Located::Sealed { segment, row };
                    }
                    _ => {}
                }
            }
        }
        let first = known.active.partition_point(|entry| entry.position < from);
        let entries: Vec<_> = known.active.range(first..).take(limit).copied().collect();
        if entries.is_empty() {
            return nothing;
        }
        Located::Active {
            id: self.active.id,
            nonce: self.active.nonce,
            entries,
        }
    }

    /// The sealed segments that may hold positions at or above `from`.
    fn segments_from(&self, from: u64) -> impl Iterator<Item = &Slot> {
        let start = self.segments.range(..=from).next_back();
        let start = start.map_or(0, |(&base, _)| base);
        self.segments.range(start..).map(|(_, slot)| slot)
    }

    /// Whether this segment is still part of the log.
    pub(crate) fn holds(&self, id: u64) -> bool {
        self.active.id == id || self.segments.values().any(|slot| slot.segment.id == id)
    }

    /// Shows frames that became durable in the active segment, in order of position.
    pub(crate) fn publish(&mut self, written: impl IntoIterator<Item = (LaneId, Entry)>) {
        for (lane, entry) in written {
            self.active.written += entry.stored();
            // Removed in the meantime: its bytes are dead from birth.
            let Some(known) = self.lanes.get_mut(&lane) else {
                continue;
            };
            if known.live.frames == 0 {
                known.oldest = Some(entry.arrival);
            }
            known.last = entry.position;
            known.live.add(&entry);
            known.active_live.add(&entry);
            known.active.push_back(entry);
            self.active.live.add(&entry);
        }
    }

    /// Adds a sealed segment as it is found on disk; segments come in order.
    pub(crate) fn insert(&mut self, segment: Segment) {
        let mut live = Totals::default();
        for row in &segment.rows {
            let lane = self.lanes.entry(row.lane).or_default();
            if lane.live.frames == 0 {
                lane.oldest = Some(row.arrival);
            }
            lane.last = lane.last.max(row.last);
            lane.assigned = lane.last;
            lane.live += row.totals();
            live += row.totals();
        }
        self.disk_bytes += segment.file_bytes;
        let segment = Arc::new(segment);
        if live.entries == 0 {
            self.doomed.push(segment);
        } else {
            self.segments.insert(segment.base, Slot { segment, live });
        }
    }

    /// The active segment was sealed as `segment`, and `next` takes its place.
    pub(crate) fn seal(&mut self, segment: Segment, next: Active) {
        let mut live = Totals::default();
        for row in &segment.rows {
            let Some(lane) = self.lanes.get_mut(&row.lane) else {
                continue;
            };
            let remaining = std::mem::take(&mut lane.active_live);
            lane.active = VecDeque::new();
            let mut cut = row.totals();
            cut -= remaining;
            if cut.entries > 0 && remaining.entries > 0 {
                lane.cut = cut;
            }
            live += remaining;
        }
        self.disk_bytes = (self.disk_bytes + segment.file_bytes + next.file_bytes)
            .saturating_sub(self.active.file_bytes);
        let segment = Arc::new(segment);
        if live.entries == 0 {
            self.doomed.push(segment);
        } else {
            self.segments.insert(segment.base, Slot { segment, live });
        }
        self.active = next;
    }

    /// The position that a trim to `keep_from` really trims to, when that changes anything.
    ///
    /// Never above what is durable: a frame that is appended later is kept, whatever the caller
    /// asked to forget before.
    pub(crate) fn trim_to(&self, lane: LaneId, keep_from: u64) -> Option<u64> {
        let known = self.lanes.get(&lane)?;
        let keep_from = keep_from.min(known.last.saturating_add(1));
        (keep_from > known.keep_from() && known.live.entries > 0).then_some(keep_from)
    }

    /// The sealed segment in which a trim to `keep_from` would forget some of the lane's frames
    /// and keep others.
    pub(crate) fn straddled(&self, lane: LaneId, keep_from: u64) -> Option<(Arc<Segment>, Row)> {
        let (_, slot) = self.segments.range(..keep_from).next_back()?;
        let row = slot.segment.row(lane)?;
        (row.first < keep_from && keep_from <= row.last).then(|| (slot.segment.clone(), *row))
    }

    /// Forgets all of `lane` below `keep_from`. `cut` is what that forgets of the straddled segment,
    /// with the arrival of the first frame that it keeps there.
    pub(crate) fn trim(&mut self, lane: LaneId, keep_from: u64, cut: Option<(Totals, Timestamp)>) {
        let Some(known) = self.lanes.get_mut(&lane) else {
            return;
        };
        let before = known.keep_from();
        let cut_before = std::mem::take(&mut known.cut);
        known.keep_from.store(keep_from, Ordering::Relaxed);
        let start = self.segments.range(..=before).next_back();
        let start = start.map_or(0, |(&base, _)| base).min(keep_from);
        let mut emptied = Vec::new();
        for (&base, slot) in self.segments.range_mut(start..keep_from) {
            let Some(row) = slot.segment.row(lane) else {
                continue;
            };
            if row.last < before {
                continue;
            }
            let mut gone = if row.last < keep_from {
                row.totals()
            } else {
                let (cut, _) = cut.unwrap_or_default();
                known.cut = cut;
                cut
            };
            if row.first < before {
                gone -= cut_before;
            }
            known.live -= gone;
            slot.live -= gone;
            if slot.live.entries == 0 {
                emptied.push(base);
            }
        }
        let gone = known.forget_active(keep_from);
        known.live -= gone;
        self.active.live -= gone;
        let oldest = match cut {
            Some((_, arrival)) => Some(arrival),
            None => match self.locate(lane, keep_from, 1) {
                Located::Sealed { row, .. } => Some(row.arrival),
                Located::Active { entries, .. } => entries.first().map(|entry| entry.arrival),
                Located::Nothing { .. } => None,
            },
        };
        if let Some(known) = self.lanes.get_mut(&lane) {
            known.oldest = oldest;
        }
        self.doom(emptied);
    }

    /// Forgets `lane` for good. Its followers end.
    pub(crate) fn remove(&mut self, lane: LaneId) {
        self.removed.insert(lane);
        let Some(known) = self.lanes.remove(&lane) else {
            return;
        };
        let keep_from = known.keep_from.swap(u64::MAX, Ordering::Relaxed);
        self.active.live -= known.active_live;
        let mut emptied = Vec::new();
        for (&base, slot) in &mut self.segments {
            let Some(row) = slot.segment.row(lane) else {
                continue;
            };
            if row.last >= keep_from {
                if row.first < keep_from {
                    slot.live += known.cut;
                }
                slot.live -= row.totals();
            }
            if slot.live.entries == 0 {
                emptied.push(base);
            }
        }
        self.doom(emptied);
    }

    fn doom(&mut self, bases: Vec<u64>) {
        for base in bases {
            if let Some(slot) = self.segments.remove(&base) {
                self.doomed.push(slot.segment);
            }
        }
    }

    /// Puts `output` in the place of the segments at `inputs`, whose live entries it holds: `entries`,
    /// by lane. An input that is gone by now was forgotten in the meantime.
    pub(crate) fn replace(
        &mut self,
        inputs: &[u64],
        output: Segment,
        entries: &BTreeMap<LaneId, Vec<Entry>>,
    ) {
        for base in inputs {
            let Some(Slot { segment, .. }) = self.segments.remove(base) else {
                continue;
            };
            for row in &segment.rows {
                let Some(lane) = self.lanes.get_mut(&row.lane) else {
                    continue;
                };
                let keep_from = lane.keep_from();
                if row.last >= keep_from {
                    if row.first < keep_from {
                        lane.live += std::mem::take(&mut lane.cut);
                    }
                    lane.live -= row.totals();
                }
            }
            self.doomed.push(segment);
        }
        let mut live = Totals::default();
        for (id, entries) in entries {
            let Some(lane) = self.lanes.get_mut(id) else {
                continue;
            };
            let keep_from = lane.keep_from();
            let below = entries.partition_point(|entry| entry.position < keep_from);
            let kept = Totals::of(&entries[below..]);
            if below > 0 && kept.entries > 0 {
                lane.cut = Totals::of(&entries[..below]);
            }
            lane.live += kept;
            live += kept;
        }
        self.disk_bytes += output.file_bytes;
        let segment = Arc::new(output);
        if live.entries == 0 {
            self.doomed.push(segment);
        } else {
            self.segments.insert(segment.base, Slot { segment, live });
        }
    }

    /// Damage that is known lies here now, too.
    pub(crate) fn move_damage(&mut self, segment: u64, offset: u32) {
        if self.known_damage.len() < super::MAX_KNOWN_DAMAGE {
            self.known_damage.insert((segment, offset));
        }
    }

    /// Counts damage, once for each place. `true` when it was not known before.
    pub(crate) fn note_damage(&mut self, segment: u64, offset: u32) -> bool {
        let new = self.known_damage.len() < super::MAX_KNOWN_DAMAGE
            && self.known_damage.insert((segment, offset));
        self.damaged_frames += u64::from(new);
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(positions: std::ops::Range<u64>) -> Vec<Entry> {
        let entry = |position| Entry {
            position,
            arrival: Timestamp(position),
            offset: 4096,
            body_len: 104,
            records: 1,
            lost: false,
        };
        positions.map(entry).collect()
    }

    /// A sealed segment with these lanes' entries.
    fn segment(id: u64, lanes: &BTreeMap<LaneId, Vec<Entry>>) -> Segment {
        let rows: Box<[Row]> = lanes
            .iter()
            .map(|(&lane, entries)| {
                let totals = Totals::of(entries);
                Row {
                    lane,
                    first: entries[0].position,
                    last: entries[entries.len() - 1].position,
                    arrival: entries[0].arrival,
                    frames: totals.frames as u32,
                    records: totals.records as u32,
                    bytes: totals.bytes as u32,
                    stored: totals.stored as u32,
                    lost: 0,
                    section: 0,
                    section_len: 0,
                }
            })
            .collect();
        Segment {
            kind: Kind::Log,
            id,
            nonce: id,
            base: rows.iter().map(|row| row.first).min().unwrap(),
            end: rows.iter().map(|row| row.last).max().unwrap() + 1,
            data_end: 10_000,
            file_bytes: 10_000,
            rows,
        }
    }

    fn active(base: u64) -> Active {
        Active {
            id: 1000,
            nonce: 1000,
            base,
            file_bytes: 0,
            written: 0,
            live: Totals::default(),
        }
    }

    const A: LaneId = LaneId(1);
    const B: LaneId = LaneId(2);

    /// Trims, as the log does, where the frames of lane A are numbered without gaps.
    fn trim(state: &mut State, keep_from: u64) {
        let Some(keep_from) = state.trim_to(A, keep_from) else {
            return;
        };
        let cut = state.straddled(A, keep_from).map(|(_, row)| {
            let below = entries(row.first..keep_from);
            (Totals::of(&below), Timestamp(keep_from))
        });
        state.trim(A, keep_from, cut);
    }

    /// What is live in segments and lanes is the same, and as expected.
    fn check(state: &State, a: std::ops::Range<u64>, b: std::ops::Range<u64>) {
        for (lane, expected) in [(A, a), (B, b)] {
            let usage = state.lane_usage(lane);
            assert_eq!(usage.frames, expected.end - expected.start, "{lane}");
            let oldest = (usage.frames > 0).then_some(Timestamp(expected.start));
            assert_eq!(usage.oldest, oldest, "{lane}");
        }
        let mut in_segments = state.active.live;
        for slot in state.segments.values() {
            assert!(slot.live.entries > 0, "a dead segment is not deleted");
            in_segments += slot.live;
        }
        let mut in_lanes = Totals::default();
        for lane in state.lanes.values() {
            in_lanes += lane.live;
        }
        assert_eq!(in_segments, in_lanes);
    }

    /// Lane A at 1..41 in four segments of ten, the last of them active; B at 41..51 there, too.
    fn state() -> State {
        let mut state = State::new(active(31));
        for (id, start) in [(1, 1), (2, 11), (3, 21)] {
            state.insert(segment(id, &[(A, entries(start..start + 10))].into()));
        }
        let written = entries(31..41).into_iter().map(|entry| (A, entry));
        let others = entries(41..51).into_iter().map(|entry| (B, entry));
        for (lane, _) in [(A, 0), (B, 0)] {
            state.lane(lane).unwrap();
        }
        state.publish(written.chain(others));
        state
    }

    #[test]
    fn trims_of_every_length_leave_the_rest() {
        for first in 0..45 {
            for second in [first + 1, first + 7, first + 15] {
                let mut state = state();
                trim(&mut state, first);
                check(&state, first.clamp(1, 41)..41, 41..51);
                trim(&mut state, second);
                check(&state, second.clamp(1, 41)..41, 41..51);
                let sealed = [(A, entries(31..41)), (B, entries(41..51))].into();
                state.seal(segment(9, &sealed), active(51));
                check(&state, second.clamp(1, 41)..41, 41..51);
                state.remove(A);
                check(&state, 41..41, 41..51);
                state.remove(B);
                check(&state, 41..41, 51..51);
                assert!(state.segments.is_empty());
            }
        }
    }

    #[test]
    fn a_trim_while_segments_are_sealed_or_compacted_holds() {
        for before in 0..35 {
            for during in before..45 {
                let mut state = state();
                trim(&mut state, before);
                // What compaction and sealing saw, and what they then find.
                let seen = entries(before.clamp(11, 31)..31);
                let inputs: Vec<u64> = state.segments.range(11..).map(|(&base, _)| base).collect();
                let kept = before.clamp(31, 41);
                let mut sealed: BTreeMap<_, _> = [(B, entries(41..51))].into();
                if kept < 41 {
                    sealed.insert(A, entries(kept..41));
                }
                trim(&mut state, during);
                if !seen.is_empty() {
                    let lanes: BTreeMap<_, _> = [(A, seen)].into();
                    state.replace(&inputs, segment(8, &lanes), &lanes);
                }
                check(&state, during.clamp(1, 41)..41, 41..51);
                state.seal(segment(9, &sealed), active(51));
                check(&state, during.clamp(1, 41)..41, 41..51);
                trim(&mut state, during + 3);
                check(&state, (during + 3).clamp(1, 41)..41, 41..51);
            }
        }
    }
}
