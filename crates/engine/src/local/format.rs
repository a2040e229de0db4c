//! The bytes of a segment file; pure. `docs/formats.md` describes them for people, and a test
//! below holds the two sizes that matter most. All numbers are little-endian.
//!
//! A segment begins with its header (twice, so that one rotten sector does not make the whole file
//! unreadable), then frames back to back, each at a multiple of 8, and, once it is sealed, a footer
//! (see [`footer`](super::footer)).
//!
//! Every segment has a random **nonce** of 64 bits that each of its frames repeats. Bytes that lie in
//! the file from another life, or that a client put into a record, are never taken for a frame.
//!
//! Every frame names the **offset where its batch began**. A batch is written only after the one
//! before it is durable: so a valid frame proves that everything before its batch was on disk, and
//! recovery can tell damage from a torn tail.

use bytes::Bytes;

use crate::{clock::Timestamp, frame::Frame, log::LaneId};

/// The version of every format in this module.
pub(crate) const VERSION: u32 = 1;
/// Where frames begin.
pub(crate) const DATA_START: u32 = 4096;
/// Where the second copy of the segment header lies.
const SECOND_HEADER: usize = 2048;
const SEGMENT_MAGIC: [u8; 8] = *b"HYDRSEG\0";
const SEGMENT_HEADER: usize = 52;
/// The bytes of a frame's header.
pub(crate) const FRAME_HEADER: u32 = 56;
/// Frames begin at multiples of this.
pub(crate) const ALIGN: u32 = 8;
/// A batch is followed by zeros to the next multiple of this: what a page cache reads and writes at once.
pub(crate) const PAGE: u64 = 4096;

/// Above every position and every segment's number: at a million a second they take a hundred thousand years to get
/// there. What says more is damaged, whatever its checksum says; so one can be added to any of them.
pub(crate) const NEVER: u64 = 1 << 62;
/// Above the length of every frame's body: [`super::FRAME_LIMIT`] and where the records end.
pub(crate) const MAX_BODY: u32 = 32 << 20;

/// What made a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Appends did.
    Log,
    /// Compaction did: it stands for all older segments in its range of positions.
    Compacted,
}

impl Kind {
    pub(crate) fn code(self) -> u32 {
        match self {
            Kind::Log => 1,
            Kind::Compacted => 2,
        }
    }

    pub(crate) fn from_code(code: u32) -> Option<Self> {
        match code {
            1 => Some(Kind::Log),
            2 => Some(Kind::Compacted),
            _ => None,
        }
    }
}

/// The first bytes of a segment file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) kind: Kind,
    /// The file's number; rises, never used again.
    pub(crate) id: u64,
    pub(crate) nonce: u64,
    /// At or below every position in it.
    pub(crate) base: u64,
    /// Above every position in it; 0 while it is not known.
    pub(crate) end: u64,
}

/// Why a segment's header cannot be had.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum HeaderError {
    /// It is not what was written.
    Damaged(&'static str),
    /// It is sound, but of a format that this program does not know.
    Unknown(String),
}

impl SegmentHeader {
    /// Whether there can be such a segment.
    pub(crate) fn is_possible(&self) -> bool {
        self.id < NEVER && self.base < NEVER && self.end < NEVER
    }

    /// The first [`DATA_START`] bytes of the file.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut one = Vec::with_capacity(SEGMENT_HEADER);
        one.extend_from_slice(&SEGMENT_MAGIC);
        one.extend_from_slice(&VERSION.to_le_bytes());
        one.extend_from_slice(&self.kind.code().to_le_bytes());
        for number in [self.id, self.nonce, self.base, self.end] {
            one.extend_from_slice(&number.to_le_bytes());
        }
        one.extend_from_slice(&crc32fast::hash(&one).to_le_bytes());
        let mut block = vec![0; DATA_START as usize];
        block[..SEGMENT_HEADER].copy_from_slice(&one);
        block[SECOND_HEADER..SECOND_HEADER + SEGMENT_HEADER].copy_from_slice(&one);
        block
    }

    /// The header in the first [`DATA_START`] bytes of a file, or why there is none.
    pub(crate) fn decode(block: &[u8]) -> Result<Self, HeaderError> {
        let first = Self::decode_one(block.get(..SEGMENT_HEADER));
        let second = || Self::decode_one(block.get(SECOND_HEADER..SECOND_HEADER + SEGMENT_HEADER));
        match first {
            Err(HeaderError::Damaged(why)) => second().map_err(|second| match second {
                HeaderError::Damaged(_) => HeaderError::Damaged(why),
                unknown => unknown,
            }),
            other => other,
        }
    }

    fn decode_one(bytes: Option<&[u8]>) -> Result<Self, HeaderError> {
        let bytes = bytes.ok_or(HeaderError::Damaged("it is too short for a segment"))?;
        if bytes[..8] != SEGMENT_MAGIC {
            return Err(HeaderError::Damaged("it does not begin as a segment does"));
        }
        if crc32fast::hash(&bytes[..48]) != u32_at(bytes, 48) {
            return Err(HeaderError::Damaged("its header fails its checksum"));
        }
        let version = u32_at(bytes, 8);
        let kind = Kind::from_code(u32_at(bytes, 12));
        match kind {
            Some(kind) if version == VERSION => Some(SegmentHeader {
                kind,
                id: u64_at(bytes, 16),
                nonce: u64_at(bytes, 24),
                base: u64_at(bytes, 32),
                end: u64_at(bytes, 40),
            })
            .filter(Self::is_possible)
            .ok_or(HeaderError::Damaged("its header says what cannot be")),
            _ => Err(HeaderError::Unknown(format!(
                "it is a segment of version {version}, kind {}, and this program knows version {VERSION} \
                 alone; use the program that wrote it, or a newer one",
                u32_at(bytes, 12)
            ))),
        }
    }
}

/// What stands before each frame's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    pub(crate) nonce: u64,
    pub(crate) lane: LaneId,
    pub(crate) position: u64,
    pub(crate) arrival: Timestamp,
    pub(crate) body_len: u32,
    pub(crate) body_crc: u32,
    pub(crate) records: u32,
    /// Where the batch that holds this frame began. Everything before was durable when it was written.
    pub(crate) batch_start: u32,
    /// How far back the lane's previous frame lies in positions; 0 when unknown or too far.
    pub(crate) lane_back: u32,
}

impl FrameHeader {
    pub(crate) fn encode_into(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&self.nonce.to_le_bytes());
        out.extend_from_slice(&self.lane.0.to_le_bytes());
        out.extend_from_slice(&self.position.to_le_bytes());
        out.extend_from_slice(&self.arrival.0.to_le_bytes());
        for number in [
            self.body_len,
            self.body_crc,
            self.records,
            self.batch_start,
            self.lane_back,
        ] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        let crc = crc32fast::hash(&out[start..]);
        out.extend_from_slice(&crc.to_le_bytes());
    }

    /// The header at the start of `bytes`, if it is one of the segment with this nonce.
    pub(crate) fn decode(bytes: &[u8], nonce: u64) -> Option<Self> {
        let bytes = bytes.get(..FRAME_HEADER as usize)?;
        if u64_at(bytes, 0) != nonce || crc32fast::hash(&bytes[..52]) != u32_at(bytes, 52) {
            return None;
        }
        let header = FrameHeader {
            nonce,
            lane: LaneId(u64_at(bytes, 8)),
            position: u64_at(bytes, 16),
            arrival: Timestamp(u64_at(bytes, 24)),
            body_len: u32_at(bytes, 32),
            body_crc: u32_at(bytes, 36),
            records: u32_at(bytes, 40),
            batch_start: u32_at(bytes, 44),
            lane_back: u32_at(bytes, 48),
        };
        let fits = u64::from(header.records) * 4 <= u64::from(header.body_len);
        (fits && header.position < NEVER).then_some(header)
    }

    /// What the whole frame takes on disk.
    pub(crate) fn stored(&self) -> u64 {
        stored(self.body_len)
    }
}

/// What a frame with a body of this length takes on disk.
pub(crate) fn stored(body_len: u32) -> u64 {
    (u64::from(FRAME_HEADER) + u64::from(body_len)).next_multiple_of(u64::from(ALIGN))
}

/// The length of a frame's body: where each record ends, then the records. `None` beyond 4 GiB.
pub(crate) fn body_len(frame: &Frame) -> Option<u32> {
    u32::try_from(frame.records() as u64 * 4 + frame.bytes() as u64).ok()
}

/// The first part of a frame's body: where each record ends.
pub(crate) fn encode_ends(frame: &Frame) -> Vec<u8> {
    let mut ends = Vec::with_capacity(frame.records() * 4);
    for end in frame.ends() {
        ends.extend_from_slice(&end.to_le_bytes());
    }
    ends
}

/// The frame in the body that belongs to `header`, without copying its payload, or what is wrong.
pub(crate) fn decode_body(header: &FrameHeader, body: &Bytes) -> Result<Frame, &'static str> {
    if crc32fast::hash(body) != header.body_crc {
        return Err("the frame's body fails its checksum");
    }
    let ends_len = header.records as usize * 4;
    let ends = body
        .get(..ends_len)
        .ok_or("the frame's records do not fit its body")?
        .chunks_exact(4)
        .map(|end| u32_at(end, 0))
        .collect();
    Frame::from_parts(header.arrival, ends, body.slice(ends_len..))
        .ok_or("the frame's records do not fit its body")
}

/// The number at `at`; the caller has checked the length.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut number = [0; 4];
    number.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(number)
}

/// The number at `at`; the caller has checked the length.
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut number = [0; 8];
    number.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> SegmentHeader {
        SegmentHeader {
            kind: Kind::Log,
            id: 7,
            nonce: 0x1122_3344_5566_7788,
            base: 41,
            end: 0,
        }
    }

    #[test]
    fn a_segment_header_survives_one_rotten_copy() {
        let mut block = header().encode();
        assert_eq!(block.len(), DATA_START as usize);
        for at in 0..SEGMENT_HEADER {
            block[at] ^= 1;
            assert_eq!(SegmentHeader::decode(&block), Ok(header()), "byte {at}");
            block[at] ^= 1;
        }
        block[20] ^= 1;
        block[SECOND_HEADER + 20] ^= 1;
        assert!(SegmentHeader::decode(&block).is_err());
    }

    #[test]
    fn a_frame_header_is_refused_with_any_bit_changed_and_under_another_nonce() {
        let header = FrameHeader {
            nonce: 99,
            lane: LaneId(3),
            position: 1 << 40,
            arrival: Timestamp(1_700_000_000_000),
            body_len: 1000,
            body_crc: 5,
            records: 10,
            batch_start: 4096,
            lane_back: 2,
        };
        let mut bytes = Vec::new();
        header.encode_into(&mut bytes);
        assert_eq!(bytes.len(), FRAME_HEADER as usize);
        assert_eq!(FrameHeader::decode(&bytes, 99), Some(header));
        assert_eq!(FrameHeader::decode(&bytes, 98), None);
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(FrameHeader::decode(&bytes, 99), None, "bit {bit}");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }

    #[test]
    fn positions_and_numbers_that_nothing_reaches_are_damage() {
        for change in [
            |header: &mut SegmentHeader| header.id = NEVER,
            |header: &mut SegmentHeader| header.base = u64::MAX,
            |header: &mut SegmentHeader| header.end = NEVER,
        ] {
            let mut header = header();
            change(&mut header);
            let decoded = SegmentHeader::decode(&header.encode());
            assert!(
                matches!(decoded, Err(HeaderError::Damaged(_))),
                "{header:?}"
            );
        }
        for (position, taken) in [(NEVER - 1, true), (NEVER, false), (u64::MAX, false)] {
            let header = FrameHeader {
                nonce: 99,
                lane: LaneId(3),
                position,
                arrival: Timestamp(0),
                body_len: 0,
                body_crc: 0,
                records: 0,
                batch_start: 4096,
                lane_back: 0,
            };
            let mut bytes = Vec::new();
            header.encode_into(&mut bytes);
            assert_eq!(FrameHeader::decode(&bytes, 99).is_some(), taken);
        }
    }

    #[test]
    fn a_body_round_trips() {
        let frame = Frame::new(Timestamp(5), ["a", "", "bcd"]);
        let mut body = encode_ends(&frame);
        body.extend_from_slice(frame.payload());
        let header = FrameHeader {
            nonce: 1,
            lane: LaneId(1),
            position: 1,
            arrival: Timestamp(5),
            body_len: body_len(&frame).unwrap(),
            body_crc: crc32fast::hash(&body),
            records: 3,
            batch_start: 0,
            lane_back: 0,
        };
        assert_eq!(header.body_len as usize, body.len());
        assert_eq!(decode_body(&header, &Bytes::from(body.clone())), Ok(frame));
        body[13] ^= 1;
        assert!(decode_body(&header, &Bytes::from(body)).is_err());
    }
}
