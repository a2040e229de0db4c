//! Reads a segment's frames without its index: recovery of the last segment, and the way out when
//! an index is damaged.
//!
//! The question that matters is what a bad frame is. A batch is written only after everything before
//! it is durable, and each frame names where its batch began. So:
//!
//! * a bad frame, and later a valid frame whose batch began **after** it: the bad one was durable once,
//!   it is **damage**, and what follows it is kept;
//! * a bad frame and no such proof: the bad frame is part of the last batch, which was never
//!   acknowledged as a whole. It is the **torn tail** and cut, with what follows it in the same batch.
//!
//! A sector that cannot be read is damage, too: a torn write leaves none.
//!
//! What this cannot tell is rot in the very last batch before a crash from a torn write. A segment that
//! was sealed, as closing the log does, has no such doubt: all of it was durable.

use std::{collections::BTreeMap, io, ops::Range};

use memchr::memmem::Finder;

use super::{
    disk::DiskFile,
    footer,
    format::{ALIGN, DATA_START, FRAME_HEADER, FrameHeader, PAGE, SegmentHeader},
    index::Entry,
};
use crate::log::LaneId;

/// How much is read at once.
const WINDOW: usize = if cfg!(test) { 256 } else { 1 << 20 };

/// A stretch of a segment that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hole {
    pub(crate) offset: u64,
    pub(crate) end: u64,
    /// Whose it was, when its header is sound.
    pub(crate) lane: Option<LaneId>,
    /// The first and last position that may have been there.
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) why: &'static str,
}

impl Hole {
    /// How many frames may have been there: positions have gaps, and a frame has a header.
    pub(crate) fn frames(&self) -> u64 {
        let fit = (self.end - self.offset).div_ceil(u64::from(FRAME_HEADER));
        (self.last - self.first).saturating_add(1).min(fit.max(1))
    }
}

/// What a segment's frames turned out to be.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    pub(crate) lanes: BTreeMap<LaneId, Vec<Entry>>,
    pub(crate) frames: u64,
    /// Where sound frames end.
    pub(crate) data_end: u32,
    /// Above every position that was found.
    pub(crate) end: u64,
    pub(crate) holes: Vec<Hole>,
    /// Something lay behind `data_end` that is not part of the log.
    pub(crate) torn: bool,
}

#[derive(Debug)]
enum Item {
    Frame(u64, FrameHeader),
    Hole(Hole),
}

struct Search {
    found: Option<u64>,
    /// The segment's nonce is somewhere there, if only in what is left of a frame.
    traces: bool,
}

/// Scans a segment up to `limit`, or its end. `durable`: all of that is known to have been on disk, so nothing
/// of it is torn.
pub(crate) fn scan(
    file: &DiskFile,
    header: &SegmentHeader,
    limit: Option<u32>,
    durable: bool,
) -> io::Result<Scan> {
    let len = file.len()?;
    let mut scanner = Scanner {
        bytes: Window {
            file,
            len: limit.map_or(len, |limit| len.min(u64::from(limit))),
            start: 0,
            bytes: Vec::new(),
            unreadable: false,
        },
        nonce: header.nonce,
        highest: header.end.checked_sub(1),
        sound: Vec::new(),
        doubted: Vec::new(),
        last_position: header.base.checked_sub(1),
        at: u64::from(DATA_START),
        durable,
        torn: false,
    };
    scanner.run()?;
    Ok(scanner.finish(header))
}

struct Scanner<'a> {
    bytes: Window<'a>,
    nonce: u64,
    /// No position in the segment is above, if that is known.
    highest: Option<u64>,
    /// Known to belong to the log.
    sound: Vec<Item>,
    /// Begins with a hole: belongs to the log only if that hole was durable once.
    doubted: Vec<Item>,
    last_position: Option<u64>,
    at: u64,
    durable: bool,
    torn: bool,
}

impl Scanner<'_> {
    fn run(&mut self) -> io::Result<()> {
        loop {
            if let Some(header) = self.frame_at(self.at)? {
                self.prove(u64::from(header.batch_start));
                let body_at = self.at + u64::from(FRAME_HEADER);
                let body = self.bytes.get(body_at, header.body_len as usize)?;
                let sound = body.is_some_and(|body| crc32fast::hash(body) == header.body_crc);
                let end = self.at + header.stored();
                if sound {
                    self.push(Item::Frame(self.at, header));
                } else {
                    self.push(Item::Hole(Hole {
                        offset: self.at,
                        end,
                        lane: Some(header.lane),
                        first: header.position,
                        last: header.position,
                        why: "the frame's body fails its checksum",
                    }));
                }
                self.last_position = Some(header.position);
                self.at = end;
                continue;
            }
            if self.footer_at(self.at)? {
                self.durable = true;
                return Ok(());
            }
            let start = self.at;
            let Search { found, traces } = self.search(start)?;
            // Free space after the last frame is no hole, unless frames must have been there.
            if found.is_none() {
                // Power that goes tears writes, but leaves no sector that cannot be read.
                self.durable |= self.bytes.unreadable;
                // The file may have been another segment before, whose bytes are no part of this one's last batch. But
                // each batch is followed by zeros to the end of its last page.
                let page = start.next_multiple_of(PAGE).min(self.bytes.len);
                let free = match self.durable {
                    true => self.bytes.is_zero(start..self.bytes.len)? && !self.bytes.unreadable,
                    false => !traces && self.bytes.is_zero(start..page)?,
                };
                self.torn = !self.durable && !free;
                if free || self.torn {
                    return Ok(());
                }
            }
            self.at = found.unwrap_or(self.bytes.len);
            let first = self.last_position.map_or(0, |last| last + 1);
            let next = self.frame_at(self.at)?.map(|header| header.position);
            self.push(Item::Hole(Hole {
                offset: start,
                end: self.at,
                lane: None,
                first,
                last: match next {
                    Some(next) => next.saturating_sub(1).max(first),
                    None => self.highest.map_or(first, |highest| highest.max(first)),
                },
                why: "no frame begins where one should",
            }));
            if found.is_none() {
                return Ok(());
            }
        }
    }

    fn push(&mut self, item: Item) {
        let clean = self.doubted.is_empty() && matches!(item, Item::Frame(..));
        if clean || self.durable {
            self.sound.push(item);
        } else {
            self.doubted.push(item);
        }
    }

    /// Everything before `offset` was durable once.
    fn prove(&mut self, offset: u64) {
        let proven = self.doubted.iter().rposition(|item| match item {
            Item::Hole(hole) => hole.offset < offset,
            Item::Frame(..) => false,
        });
        if let Some(last) = proven {
            // Frames between holes in doubt belong to the hole before them.
            let rest = self.doubted.iter().skip(last + 1);
            let frames = rest
                .take_while(|item| matches!(item, Item::Frame(..)))
                .count();
            self.sound.extend(self.doubted.drain(..=last + frames));
        }
    }

    /// The header of the frame that begins at `at`, if one can.
    fn frame_at(&mut self, at: u64) -> io::Result<Option<FrameHeader>> {
        let len = self.bytes.len;
        let (nonce, last) = (self.nonce, self.last_position);
        let bytes = self.bytes.get(at, FRAME_HEADER as usize)?;
        let header = bytes.and_then(|bytes| FrameHeader::decode(bytes, nonce));
        Ok(header.filter(|header| {
            at + header.stored() <= len
                && u64::from(header.batch_start) <= at
                && last.is_none_or(|last| header.position > last)
        }))
    }

    fn footer_at(&mut self, at: u64) -> io::Result<bool> {
        let nonce = self.nonce;
        let bytes = self.bytes.get(at, footer::HEAD as usize)?;
        let at = u32::try_from(at).unwrap_or(u32::MAX);
        Ok(bytes.is_some_and(|bytes| footer::is_head(bytes, nonce, at)))
    }

    /// Where the next frame or the footer begins after `start`, and whether anything of this segment is there.
    fn search(&mut self, start: u64) -> io::Result<Search> {
        let nonce = self.nonce.to_le_bytes();
        let (mut from, mut traces) = (start, false);
        while let Some(at) = self.bytes.find(nonce, from)? {
            traces = true;
            // The nonce is the first thing in a frame, and the second in the footer.
            for begin in [at - u64::from(ALIGN), at] {
                if begin > start && (self.frame_at(begin)?.is_some() || self.footer_at(begin)?) {
                    let found = Some(begin);
                    return Ok(Search { found, traces });
                }
            }
            from = at + u64::from(ALIGN);
        }
        let found = None;
        Ok(Search { found, traces })
    }

    fn finish(mut self, header: &SegmentHeader) -> Scan {
        if self.durable {
            self.sound.append(&mut self.doubted);
        }
        let mut scan = Scan {
            data_end: DATA_START,
            end: header.base,
            ..Scan::default()
        };
        for item in self.sound {
            match item {
                Item::Frame(at, header) => scan.add_frame(at, &header),
                Item::Hole(hole) => scan.add_hole(hole),
            }
        }
        scan.torn = self.torn || !self.doubted.is_empty();
        // Should the tail be rot after all, its positions at least are not given again.
        let given = self.last_position.map_or(0, |last| last.saturating_add(1));
        scan.end = scan.end.max(given);
        scan
    }
}

impl Scan {
    fn add_frame(&mut self, at: u64, header: &FrameHeader) {
        let lane = self.lanes.entry(header.lane).or_default();
        // The frame before this one in its lane may lie in a hole that did not say whose it was.
        if header.lane_back > 0 {
            let before = header.position.saturating_sub(u64::from(header.lane_back));
            let hole = self
                .holes
                .iter()
                .rev()
                .find(|hole| hole.lane.is_none() && (hole.first..=hole.last).contains(&before));
            if let Some(hole) = hole
                && lane.last().is_none_or(|last| last.position < before)
            {
                lane.push(Entry {
                    position: before,
                    arrival: header.arrival,
                    offset: u32::try_from(hole.offset).unwrap_or(u32::MAX),
                    body_len: 0,
                    records: 0,
                    lost: true,
                });
            }
        }
        lane.push(Entry {
            position: header.position,
            arrival: header.arrival,
            offset: u32::try_from(at).unwrap_or(u32::MAX),
            body_len: header.body_len,
            records: header.records,
            lost: false,
        });
        self.frames += 1;
        self.data_end = u32::try_from(at + header.stored()).unwrap_or(u32::MAX);
        self.end = header.position.saturating_add(1);
    }

    fn add_hole(&mut self, hole: Hole) {
        if let Some(lane) = hole.lane {
            self.lanes.entry(lane).or_default().push(Entry {
                position: hole.first,
                arrival: Default::default(),
                offset: u32::try_from(hole.offset).unwrap_or(u32::MAX),
                body_len: 0,
                records: 0,
                lost: true,
            });
        }
        self.data_end = u32::try_from(hole.end).unwrap_or(u32::MAX);
        self.end = self.end.max(hole.last.saturating_add(1));
        self.holes.push(hole);
    }
}

/// A file, read in large pieces.
struct Window<'a> {
    file: &'a DiskFile,
    len: u64,
    start: u64,
    bytes: Vec<u8>,
    /// Some of what was read so far could not be read.
    unreadable: bool,
}

impl Window<'_> {
    /// `len` bytes at `at`, or `None` beyond the end of the file.
    fn get(&mut self, at: u64, len: usize) -> io::Result<Option<&[u8]>> {
        if at + len as u64 > self.len {
            return Ok(None);
        }
        let end = self.start + self.bytes.len() as u64;
        if at < self.start || at + len as u64 > end {
            let (bytes, unreadable) = self.file.read_around(at, len.max(WINDOW))?;
            self.bytes = bytes;
            self.unreadable |= unreadable;
            self.start = at;
            if self.bytes.len() < len {
                return Ok(None);
            }
        }
        let from = usize::try_from(at - self.start).map_err(io::Error::other)?;
        Ok(Some(&self.bytes[from..from + len]))
    }

    /// Where `wanted` is next, from `at` on, at a multiple of [`ALIGN`] as `at` is.
    fn find(&mut self, wanted: [u8; 8], mut at: u64) -> io::Result<Option<u64>> {
        let finder = Finder::new(&wanted);
        while at + wanted.len() as u64 <= self.len {
            let piece = usize::try_from(self.len - at).map_or(WINDOW, |left| left.min(WINDOW));
            let Some(bytes) = self.get(at, piece)? else {
                return Ok(None);
            };
            let mut from = 0;
            while let Some(found) = finder.find(&bytes[from..]).map(|found| from + found) {
                if found.is_multiple_of(ALIGN as usize) {
                    return Ok(Some(at + found as u64));
                }
                from = found + 1;
            }
            // What the piece's end cuts off begins the next.
            let step = piece + 1 - wanted.len();
            at += step.next_multiple_of(ALIGN as usize) as u64;
        }
        Ok(None)
    }

    /// Whether there is nothing but zeros in `range`.
    fn is_zero(&mut self, range: Range<u64>) -> io::Result<bool> {
        let mut at = range.start;
        while at < range.end {
            let piece = usize::try_from(range.end - at).map_or(WINDOW, |left| left.min(WINDOW));
            let Some(bytes) = self.get(at, piece)? else {
                return Ok(true);
            };
            if bytes.iter().any(|&byte| byte != 0) {
                return Ok(false);
            }
            at += piece as u64;
        }
        Ok(true)
    }
}
