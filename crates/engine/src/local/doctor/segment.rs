//! One segment: what its index says against what its frames are.
//!
//! The index is what the log goes by, so it is what must be true: each frame that it names is there and sound. A frame that
//! it does not name was trimmed before the segment was sealed, and nobody reads it any more.

use std::{collections::BTreeMap, io};

use crate::{
    local::{
        MAX_SEGMENT_FRAMES,
        disk::DiskFile,
        footer::{self, Block, FooterReader},
        format::{DATA_START, Kind, SegmentHeader},
        index::{Entry, Row, Segment, Totals},
        scan::{Hole, Scan, scan},
        segment::Opened,
    },
    log::LaneId,
};

/// What a segment turned out to be, and what it would be sealed with were it made anew.
pub(super) struct Assessment {
    /// As it stands in the file's first bytes.
    pub(super) header: SegmentHeader,
    /// Above every position in it.
    pub(super) end: u64,
    /// Where frames end.
    pub(super) data_end: u32,
    /// What is there, and what is lost, by lane.
    pub(super) lanes: BTreeMap<LaneId, Vec<Entry>>,
    /// Frames that were read and found sound.
    pub(super) frames: u64,
    pub(super) troubles: Vec<Trouble>,
}

/// What is wrong with a segment.
pub(super) enum Trouble {
    /// The first bytes are not what was written, from here on.
    Header(u64),
    /// The index is not, in a segment that must have one.
    Index(u64, &'static str),
    /// It is the last one, and has no whole index: the log was not closed, or power was cut while it was.
    Unsealed,
    /// The unfinished end of the last one.
    Torn(u64),
    /// A frame that was on disk cannot be read.
    Frames(Loss),
    /// It was known before that frames cannot be read.
    KnownLost(Loss),
    /// Bytes that no index names cannot be read.
    Unused(u64),
}

/// Frames of one lane, next to each other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Loss {
    pub(super) offset: u64,
    pub(super) lane: Option<LaneId>,
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) frames: u64,
    /// Their records, as far as the index tells.
    pub(super) records: u64,
    pub(super) why: &'static str,
}

/// Reads a segment, all of it. `None` when it is neither header nor trailer. `last`: appends made it, and none after it.
pub(super) fn assess(
    file: &DiskFile,
    opened: Opened,
    last: bool,
) -> io::Result<Option<Assessment>> {
    file.forget_clean_pages();
    let mut assessment = match opened {
        Opened::Sealed(segment) => sealed(file, &segment, last)?,
        Opened::Unsealed {
            header, data_end, ..
        } => unsealed(file, header, data_end, last)?,
        Opened::Unreadable(_) | Opened::Unknown(_) => return Ok(None),
    };
    let (block, _) = file.read_around(0, DATA_START as usize)?;
    let written = assessment.header.encode();
    let differs = written.iter().zip(&block).position(|(a, b)| a != b);
    if let Some(at) = differs {
        assessment.troubles.insert(0, Trouble::Header(at as u64));
    }
    Ok(Some(assessment))
}

/// The header as it was written when the segment was made: what appends make does not know its end yet.
fn as_written(header: SegmentHeader) -> SegmentHeader {
    match header.kind {
        Kind::Log => SegmentHeader { end: 0, ..header },
        Kind::Compacted => header,
    }
}

fn unsealed(
    file: &DiskFile,
    header: SegmentHeader,
    data_end: Option<u32>,
    last: bool,
) -> io::Result<Assessment> {
    // As recovery sees it: a trailer says that all frames were durable.
    let scan = scan(file, &header, data_end, !last || data_end.is_some())?;
    let mut troubles = Vec::new();
    match last {
        true => troubles.push(Trouble::Unsealed),
        false => troubles.push(Trouble::Index(
            u64::from(scan.data_end),
            "the index at its end is damaged",
        )),
    }
    if scan.torn {
        troubles.push(Trouble::Torn(u64::from(scan.data_end)));
    }
    troubles.extend(scan.holes.iter().map(|hole| Trouble::Frames(hole.loss())));
    let mut end = scan.end.max(header.end);
    if last && data_end.is_none() {
        end = end.max(header.base + MAX_SEGMENT_FRAMES);
    }
    Ok(Assessment {
        header: as_written(header),
        end,
        data_end: scan.data_end,
        frames: scan.frames,
        lanes: scan.lanes,
        troubles,
    })
}

fn sealed(file: &DiskFile, segment: &Segment, last: bool) -> io::Result<Assessment> {
    let header = segment.header();
    let data_end = u64::from(segment.data_end);
    let mut index_troubles = Vec::new();
    let mut index_trouble = |offset, why| index_troubles.push(Trouble::Index(offset, why));
    let (head, _) = file.read_around(data_end, footer::HEAD as usize)?;
    if !footer::is_head(&head, segment.nonce, segment.data_end) {
        index_trouble(data_end, "the first bytes of its index are damaged");
    }
    let mut scan = scan(file, &header, Some(segment.data_end), true)?;
    let mut lanes = BTreeMap::new();
    let mut losses = Vec::new();
    let mut whole = true;
    for row in &segment.rows {
        let found = scan.lanes.remove(&row.lane).unwrap_or_default();
        let entries = match section(file, segment, row)? {
            Some(entries) => compare(row.lane, entries, &found, &scan, &mut losses),
            None => {
                index_trouble(u64::from(row.section), "the index of a lane is damaged");
                whole = false;
                found
            }
        };
        lanes.insert(row.lane, entries);
    }
    if last && !index_troubles.is_empty() {
        index_troubles = vec![Trouble::Unsealed];
    }
    let mut troubles = index_troubles;
    for hole in &scan.holes {
        let named = losses
            .iter()
            .any(|(_, loss)| (hole.offset..hole.end).contains(&loss.offset));
        match (named, whole) {
            (true, _) => {}
            (false, true) => troubles.push(Trouble::Unused(hole.offset)),
            // Without a whole index it may have been anybody's.
            (false, false) => losses.push((true, hole.loss())),
        }
    }
    losses.sort_by_key(|(_, loss)| (loss.offset, loss.first));
    troubles.extend(losses.into_iter().map(|(new, loss)| match new {
        true => Trouble::Frames(loss),
        false => Trouble::KnownLost(loss),
    }));
    Ok(Assessment {
        header: as_written(header),
        end: segment.end,
        data_end: segment.data_end,
        lanes,
        frames: scan.frames,
        troubles,
    })
}

/// A lane's part of the index, if it is sound and adds up to what its row says.
fn section(file: &DiskFile, segment: &Segment, row: &Row) -> io::Result<Option<Vec<Entry>>> {
    let mut reader = FooterReader::new(segment.nonce, row);
    let mut entries = Vec::new();
    loop {
        match reader.next(file, 0) {
            Ok(Block::Entries(more)) => entries.extend(more),
            Ok(Block::End) => break,
            Ok(Block::Damaged) => return Ok(None),
            // A row that names bytes beyond the file.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    let ends = entries.first().zip(entries.last());
    let adds_up = ends.is_some_and(|(first, last)| {
        (first.position, last.position) == (row.first, row.last)
            && Totals::of(&entries) == row.totals()
    });
    Ok(adds_up.then_some(entries))
}

/// The index's entries, those that are not there marked as lost; new losses are `true`.
fn compare(
    lane: LaneId,
    mut entries: Vec<Entry>,
    found: &[Entry],
    scan: &Scan,
    losses: &mut Vec<(bool, Loss)>,
) -> Vec<Entry> {
    let mut open: Option<(bool, Loss)> = None;
    for entry in &mut entries {
        let there = found
            .binary_search_by_key(&entry.position, |it| it.position)
            .is_ok_and(|at| found[at] == *entry);
        if there && !entry.lost {
            losses.extend(open.take());
            continue;
        }
        let offset = u64::from(entry.offset);
        let hole = scan
            .holes
            .iter()
            .find(|hole| (hole.offset..hole.end).contains(&offset));
        let loss = Loss {
            offset: hole.map_or(offset, |hole| hole.offset),
            lane: Some(lane),
            first: entry.position,
            last: entry.position,
            frames: 1,
            records: u64::from(entry.records),
            why: hole.map_or("the frame is not the one that the index names", |it| it.why),
        };
        open = Some(match open.take() {
            Some((new, before)) if new != entry.lost && before.offset == loss.offset => {
                let grown = Loss {
                    last: loss.last,
                    frames: before.frames + 1,
                    records: before.records + loss.records,
                    ..before
                };
                (new, grown)
            }
            before => {
                losses.extend(before);
                (!entry.lost, loss)
            }
        });
        *entry = Entry {
            body_len: 0,
            records: 0,
            lost: true,
            ..*entry
        };
    }
    losses.extend(open);
    entries
}

impl Hole {
    fn loss(&self) -> Loss {
        Loss {
            offset: self.offset,
            lane: self.lane,
            first: self.first,
            last: self.last,
            frames: self.frames(),
            records: 0,
            why: self.why,
        }
    }
}
