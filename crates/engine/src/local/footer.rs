//! The footer of a sealed segment: the index of its frames, lane by lane; pure but for [`FooterReader`].
//!
//! ```text
//! head       24 bytes   marks where frames end
//! sections   per lane   blocks of up to BLOCK_ENTRIES entries, delta-coded, each with a checksum
//! rows       64 bytes per lane, by lane: what the lane holds here, and where its section lies
//! trailer    96 bytes   the last bytes of the file: the segment header again, and where the rows lie
//! ```
//!
//! Opening a log reads trailers and rows alone. A follower or reader streams through a section in
//! small pieces, so that memory does not grow with the backlog.

use std::{io, ops::Range};

use super::{
    disk::{DiskFile, is_unreadable},
    format::{DATA_START, Kind, MAX_BODY, NEVER, SegmentHeader, VERSION, u32_at, u64_at},
    index::{Entry, Row, Segment, Totals},
};
use crate::{clock::Timestamp, log::LaneId};

const HEAD_MAGIC: [u8; 8] = *b"HYDRFTR\0";
const TRAILER_MAGIC: [u8; 8] = *b"HYDREND\0";
/// The bytes of the footer's head.
pub(crate) const HEAD: u32 = 24;
pub(super) const BLOCK_HEAD: usize = 56;
const ROW: usize = 64;
/// The bytes of the trailer.
pub(crate) const TRAILER: u32 = 96;
/// The most entries in one block, the unit of reading.
pub(crate) const BLOCK_ENTRIES: usize = if cfg!(test) { 4 } else { 512 };
/// The most bytes that one entry takes, its share of the block's head included.
const ENTRY_BOUND: u64 = if cfg!(test) { 48 } else { 32 };
/// How much of a section is read at once.
const READ_AHEAD: usize = 8 << 10;

/// At or above the size of a footer with so many entries and lanes.
pub(crate) fn bound(entries: u64, lanes: u64) -> u64 {
    let fixed = u64::from(HEAD + TRAILER);
    fixed + entries * ENTRY_BOUND + lanes * (ROW + BLOCK_HEAD) as u64
}

/// Builds a footer, lane by lane in order.
pub(crate) struct FooterBuilder {
    header: SegmentHeader,
    data_end: u32,
    bytes: Vec<u8>,
    rows: Vec<Row>,
}

impl FooterBuilder {
    /// For the segment with this header, whose frames end at `data_end`.
    pub(crate) fn new(header: SegmentHeader, data_end: u32) -> Self {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&HEAD_MAGIC);
        bytes.extend_from_slice(&header.nonce.to_le_bytes());
        bytes.extend_from_slice(&data_end.to_le_bytes());
        let crc = crc32fast::hash(&bytes);
        bytes.extend_from_slice(&crc.to_le_bytes());
        FooterBuilder {
            header,
            data_end,
            bytes,
            rows: Vec::new(),
        }
    }

    /// Adds a lane, above all lanes before it, with its entries in order of position.
    pub(crate) fn lane(&mut self, lane: LaneId, entries: &[Entry]) {
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else {
            return;
        };
        let offset = self.bytes.len();
        for block in entries.chunks(BLOCK_ENTRIES) {
            encode_block(block, self.header.nonce, &mut self.bytes);
        }
        let totals = Totals::of(entries);
        let arrival = entries.iter().find(|entry| !entry.lost);
        self.rows.push(Row {
            lane,
            first: first.position,
            last: last.position,
            arrival: arrival.map_or(first.arrival, |entry| entry.arrival),
            frames: small(totals.frames),
            records: small(totals.records),
            bytes: small(totals.bytes),
            stored: small(totals.stored),
            lost: small(totals.entries - totals.frames),
            section: self.data_end + small(offset as u64),
            section_len: small((self.bytes.len() - offset) as u64),
        });
    }

    /// The footer's bytes, to be written at `data_end` and to end the file; and its rows.
    pub(crate) fn finish(mut self, end: u64) -> (Vec<u8>, Box<[Row]>) {
        let rows_at = self.bytes.len();
        for row in &self.rows {
            encode_row(row, &mut self.bytes);
        }
        let rows_crc = crc32fast::hash(&self.bytes[rows_at..]);
        let start = self.bytes.len();
        let out = &mut self.bytes;
        out.extend_from_slice(&TRAILER_MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&self.header.kind.code().to_le_bytes());
        for number in [self.header.id, self.header.nonce, self.header.base, end] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        let rows_at = self.data_end + small(rows_at as u64);
        for number in [
            self.data_end,
            rows_at,
            small(self.rows.len() as u64),
            rows_crc,
        ] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.resize(start + TRAILER as usize - 4, 0);
        let crc = crc32fast::hash(&out[start..]);
        out.extend_from_slice(&crc.to_le_bytes());
        (self.bytes, self.rows.into_boxed_slice())
    }
}

/// Sizes inside a segment fit 32 bits: no segment is larger than [`super::MAX_SEGMENT_BYTES`].
fn small(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Whether frames end here: `bytes` begin with the footer's head of the segment with this nonce, which lies at `offset`.
pub(crate) fn is_head(bytes: &[u8], nonce: u64, offset: u32) -> bool {
    bytes.len() >= HEAD as usize
        && bytes[..8] == HEAD_MAGIC
        && u64_at(bytes, 8) == nonce
        && u32_at(bytes, 16) == offset
        && crc32fast::hash(&bytes[..20]) == u32_at(bytes, 20)
}

/// What the trailer says.
#[derive(Debug)]
pub(crate) struct Trailer {
    /// As at the file's beginning, with the true `end`.
    pub(crate) header: SegmentHeader,
    pub(crate) data_end: u32,
    rows_at: u32,
    rows: u32,
    rows_crc: u32,
}

impl Trailer {
    /// The trailer in the last [`TRAILER`] bytes of a file.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let crc_at = TRAILER as usize - 4;
        if bytes.len() != TRAILER as usize
            || bytes[..8] != TRAILER_MAGIC
            || crc32fast::hash(&bytes[..crc_at]) != u32_at(bytes, crc_at)
            || u32_at(bytes, 8) != VERSION
        {
            return None;
        }
        let trailer = Trailer {
            header: SegmentHeader {
                kind: Kind::from_code(u32_at(bytes, 12))?,
                id: u64_at(bytes, 16),
                nonce: u64_at(bytes, 24),
                base: u64_at(bytes, 32),
                end: u64_at(bytes, 40),
            },
            data_end: u32_at(bytes, 48),
            rows_at: u32_at(bytes, 52),
            rows: u32_at(bytes, 56),
            rows_crc: u32_at(bytes, 60),
        };
        let places = DATA_START <= trailer.data_end && trailer.data_end <= trailer.rows_at;
        (places && trailer.header.is_possible()).then_some(trailer)
    }

    /// Where the rows lie.
    pub(crate) fn rows_range(&self) -> Range<u64> {
        let start = u64::from(self.rows_at);
        start..start + u64::from(self.rows) * ROW as u64
    }

    /// The rows in the bytes of [`rows_range`](Self::rows_range), if they are sound.
    pub(crate) fn decode_rows(&self, bytes: &[u8]) -> Option<Box<[Row]>> {
        if crc32fast::hash(bytes) != self.rows_crc {
            return None;
        }
        let rows: Box<[Row]> = bytes.chunks_exact(ROW).map(decode_row).collect();
        rows.iter().all(|row| self.can_hold(row)).then_some(rows)
    }

    /// Whether the row's section lies where sections do, and its positions are below the segment's end.
    fn can_hold(&self, row: &Row) -> bool {
        let section = u64::from(row.section)..u64::from(row.section) + u64::from(row.section_len);
        u64::from(self.data_end) <= section.start
            && section.end <= u64::from(self.rows_at)
            && row.first <= row.last
            && row.last < self.header.end
    }
}

fn encode_row(row: &Row, out: &mut Vec<u8>) {
    for number in [row.lane.0, row.first, row.last, row.arrival.0] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    for number in [
        row.frames,
        row.records,
        row.bytes,
        row.stored,
        row.lost,
        row.section,
        row.section_len,
        0,
    ] {
        out.extend_from_slice(&number.to_le_bytes());
    }
}

fn decode_row(bytes: &[u8]) -> Row {
    Row {
        lane: LaneId(u64_at(bytes, 0)),
        first: u64_at(bytes, 8),
        last: u64_at(bytes, 16),
        arrival: Timestamp(u64_at(bytes, 24)),
        frames: u32_at(bytes, 32),
        records: u32_at(bytes, 36),
        bytes: u32_at(bytes, 40),
        stored: u32_at(bytes, 44),
        lost: u32_at(bytes, 48),
        section: u32_at(bytes, 52),
        section_len: u32_at(bytes, 56),
    }
}

pub(super) fn encode_block(entries: &[Entry], nonce: u64, out: &mut Vec<u8>) {
    let start = out.len();
    let (first, last) = (entries[0], entries[entries.len() - 1]);
    let totals = Totals::of(entries);
    out.extend_from_slice(&[0; 8]);
    for number in [nonce, first.position, last.position, first.arrival.0] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    out.extend_from_slice(&first.offset.to_le_bytes());
    out.extend_from_slice(&small(entries.len() as u64).to_le_bytes());
    out.extend_from_slice(&small(totals.records).to_le_bytes());
    out.extend_from_slice(&small(totals.bytes).to_le_bytes());
    let mut before = Entry {
        // The first entry's frame seems to begin where the one before it ends.
        lost: true,
        ..first
    };
    for entry in entries {
        let gap = u64::from(entry.offset).saturating_sub(before.offset_after()) / 8;
        put_varint(entry.position - before.position, out);
        put_varint(gap << 1 | u64::from(entry.lost), out);
        put_varint(u64::from(entry.body_len), out);
        put_varint(u64::from(entry.records), out);
        put_varint(
            zigzag(entry.arrival.0.wrapping_sub(before.arrival.0) as i64),
            out,
        );
        before = *entry;
    }
    let len = small((out.len() - start - BLOCK_HEAD) as u64);
    out[start + 4..start + 8].copy_from_slice(&len.to_le_bytes());
    let crc = crc32fast::hash(&out[start + 4..]);
    out[start..start + 4].copy_from_slice(&crc.to_le_bytes());
}

/// What a block says before its entries are decoded.
struct BlockHead {
    len: usize,
    last: u64,
}

impl BlockHead {
    fn decode(bytes: &[u8], nonce: u64) -> Option<Self> {
        (bytes.len() >= BLOCK_HEAD && u64_at(bytes, 8) == nonce).then(|| BlockHead {
            len: u32_at(bytes, 4) as usize,
            last: u64_at(bytes, 24),
        })
    }
}

/// The entries of a whole block, if it is sound.
pub(super) fn decode_block(bytes: &[u8]) -> Option<Vec<Entry>> {
    if crc32fast::hash(&bytes[4..]) != u32_at(bytes, 0) {
        return None;
    }
    let count = u32_at(bytes, 44) as usize;
    let mut before = Entry {
        position: u64_at(bytes, 16),
        arrival: Timestamp(u64_at(bytes, 32)),
        offset: u32_at(bytes, 40),
        body_len: 0,
        records: 0,
        lost: true,
    };
    let mut rest = &bytes[BLOCK_HEAD..];
    let mut entries = Vec::with_capacity(count.min(BLOCK_ENTRIES));
    for _ in 0..count {
        let position = before.position.checked_add(take_varint(&mut rest)?)?;
        let gap = take_varint(&mut rest)?;
        let gap_bytes = (gap >> 1).checked_mul(8)?;
        let offset = before.offset_after().checked_add(gap_bytes)?;
        let entry = Entry {
            position,
            offset: u32::try_from(offset).ok()?,
            body_len: u32::try_from(take_varint(&mut rest)?).ok()?,
            records: u32::try_from(take_varint(&mut rest)?).ok()?,
            arrival: Timestamp(
                before
                    .arrival
                    .0
                    .wrapping_add(unzigzag(take_varint(&mut rest)?) as u64),
            ),
            lost: gap & 1 == 1,
        };
        if entry.position >= NEVER || entry.body_len > MAX_BODY {
            return None;
        }
        entries.push(entry);
        before = entry;
    }
    rest.is_empty().then_some(entries)
}

impl Entry {
    /// Where the frame after it would begin.
    fn offset_after(&self) -> u64 {
        u64::from(self.offset) + self.stored()
    }
}

fn put_varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn zigzag(number: i64) -> u64 {
    (number << 1 ^ number >> 63) as u64
}

fn unzigzag(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

/// Streams through one lane's section, block by block.
#[derive(Debug)]
pub(crate) struct FooterReader {
    nonce: u64,
    /// What is not yet read.
    ahead: Range<u64>,
    /// Read, not yet decoded.
    buffer: Vec<u8>,
    used: usize,
}

/// What a [`FooterReader`] found.
pub(crate) enum Block {
    /// Entries in order; at least one.
    Entries(Vec<Entry>),
    /// The section ends.
    End,
    /// The section is damaged from here on.
    Damaged,
}

impl FooterReader {
    /// Before the first block of `row` in the segment with this nonce.
    pub(crate) fn new(nonce: u64, row: &Row) -> Self {
        let start = u64::from(row.section);
        FooterReader {
            nonce,
            ahead: start..start + u64::from(row.section_len),
            buffer: Vec::new(),
            used: 0,
        }
    }

    /// The next block that holds an entry at or after `from`; blocks before it are skipped.
    pub(crate) fn next(&mut self, file: &DiskFile, from: u64) -> io::Result<Block> {
        loop {
            if self.ahead.is_empty() && self.used == self.buffer.len() {
                return Ok(Block::End);
            }
            if !self.fill(file, BLOCK_HEAD)? {
                return Ok(Block::Damaged);
            }
            let Some(head) = BlockHead::decode(&self.buffer[self.used..], self.nonce) else {
                return Ok(Block::Damaged);
            };
            let len = BLOCK_HEAD + head.len;
            if !self.fill(file, len)? {
                return Ok(Block::Damaged);
            }
            let block = &self.buffer[self.used..self.used + len];
            self.used += len;
            if head.last < from {
                continue;
            }
            return Ok(match decode_block(block) {
                Some(mut entries) => {
                    entries.retain(|entry| entry.position >= from);
                    if entries.is_empty() {
                        continue;
                    }
                    Block::Entries(entries)
                }
                None => Block::Damaged,
            });
        }
    }

    /// Has `len` bytes in the buffer, or says that the section is too short for that.
    fn fill(&mut self, file: &DiskFile, len: usize) -> io::Result<bool> {
        let have = self.buffer.len() - self.used;
        if have >= len {
            return Ok(true);
        }
        let left = self.ahead.end - self.ahead.start;
        if (len - have) as u64 > left {
            return Ok(false);
        }
        let want = (len - have).max(READ_AHEAD);
        let want = usize::try_from(left).map_or(want, |left| want.min(left));
        self.buffer.drain(..self.used);
        self.used = 0;
        let bytes = match file.read_exact_at(self.ahead.start, want) {
            // As good as rotten.
            Err(error) if is_unreadable(&error) => return Ok(false),
            read => read?,
        };
        self.ahead.start += want as u64;
        self.buffer.extend_from_slice(&bytes);
        Ok(true)
    }
}

/// Whether every section of a segment's footer is sound.
pub(crate) fn is_whole(file: &DiskFile, segment: &Segment) -> io::Result<bool> {
    for row in &segment.rows {
        let mut section = FooterReader::new(segment.nonce, row);
        loop {
            match section.next(file, 0)? {
                Block::Entries(_) => {}
                Block::End => break,
                Block::Damaged => return Ok(false),
            }
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(count: u64) -> Vec<Entry> {
        let mut offset = 4096;
        (0..count)
            .map(|index| {
                let entry = Entry {
                    position: 10 + index * 3,
                    arrival: Timestamp(1_000_000 - index * 7),
                    offset,
                    body_len: 100 + index as u32,
                    records: 2,
                    lost: index % 5 == 4,
                };
                offset = entry.offset_after() as u32 + if index % 2 == 0 { 64 } else { 0 };
                entry
            })
            .collect()
    }

    #[test]
    fn blocks_round_trip_and_notice_any_flipped_bit() {
        let entries = entries(BLOCK_ENTRIES as u64);
        let mut bytes = Vec::new();
        encode_block(&entries, 77, &mut bytes);
        assert_eq!(decode_block(&bytes), Some(entries));
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode_block(&bytes), None, "bit {bit}");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }

    #[test]
    fn a_gap_larger_than_any_file_is_no_entry() {
        let mut bytes = Vec::new();
        encode_block(&entries(1), 77, &mut bytes);
        bytes.truncate(BLOCK_HEAD);
        put_varint(0, &mut bytes);
        put_varint(u64::MAX, &mut bytes);
        bytes.extend([0; 3]);
        let crc = crc32fast::hash(&bytes[4..]);
        bytes[..4].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(decode_block(&bytes), None);
    }

    #[test]
    fn rows_and_entries_that_no_file_can_hold_are_damage() {
        let header = SegmentHeader {
            kind: Kind::Log,
            id: 1,
            nonce: 2,
            base: 0,
            end: 0,
        };
        let mut footer = FooterBuilder::new(header, DATA_START);
        footer.lane(LaneId(1), &entries(3));
        let (bytes, rows) = footer.finish(1000);
        let trailer = Trailer::decode(&bytes[bytes.len() - TRAILER as usize..]).unwrap();
        assert!(trailer.can_hold(&rows[0]));
        for change in [
            |row: &mut Row| row.section = 0,
            |row: &mut Row| row.section_len = u32::MAX,
            |row: &mut Row| row.last = 1000,
            |row: &mut Row| row.last = row.first - 1,
        ] {
            let mut row = rows[0];
            change(&mut row);
            assert!(!trailer.can_hold(&row), "{row:?}");
        }
        let mut large = entries(1);
        large[0].body_len = MAX_BODY + 1;
        let mut block = Vec::new();
        encode_block(&large, 77, &mut block);
        assert_eq!(decode_block(&block), None);
    }

    #[test]
    fn varints_round_trip() {
        for number in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
            let mut bytes = Vec::new();
            put_varint(number, &mut bytes);
            assert_eq!(take_varint(&mut &bytes[..]), Some(number));
            assert_eq!(unzigzag(zigzag(number as i64)), number as i64);
        }
    }

    #[test]
    fn the_bound_holds_for_the_longest_entries() {
        let entries: Vec<_> = (0..100u64)
            .map(|index| Entry {
                position: index << 20,
                arrival: Timestamp(if index % 2 == 0 { 0 } else { u64::MAX / 2 }),
                offset: (index << 24) as u32,
                body_len: 16 << 20,
                records: 4 << 20,
                lost: false,
            })
            .collect();
        let header = SegmentHeader {
            kind: Kind::Log,
            id: 1,
            nonce: 2,
            base: 0,
            end: 0,
        };
        let mut footer = FooterBuilder::new(header, 4096);
        footer.lane(LaneId(1), &entries);
        let (bytes, _) = footer.finish(1000);
        assert!(bytes.len() as u64 <= bound(100, 1));
    }
}
