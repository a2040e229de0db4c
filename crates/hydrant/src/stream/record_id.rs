//! RecordIds: opaque to clients, but they say where the record lies, so that it can be traced.
//!
//! ```text
//! version 1 │ lane 8 │ position 8 │ index 2 │ check 2      big endian, 21 bytes → 28 characters of base64url
//! ```
//! AWS's are 224 characters (SPEC §2.7); at 250 bytes a record that would make the answer as large
//! as the request.

use std::{fmt, str::FromStr};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hydrant_engine::{LaneId, Position};

const VERSION: u8 = 1;
const RAW_LEN: usize = 21;
const CHECKED_LEN: usize = RAW_LEN - 2;
/// Where the index begins.
const INDEX: usize = CHECKED_LEN - 2;
/// From here on the characters of two records of a frame differ.
const OWN: usize = INDEX / 3 * 3;
/// Characters of a RecordId.
pub const RECORD_ID_LEN: usize = RAW_LEN / 3 * 4;

/// Where one acknowledged record lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RecordId {
    /// The incarnation of the stream that took it.
    pub lane: LaneId,
    /// Its frame.
    pub position: Position,
    /// Its place in the frame.
    pub index: u16,
}

/// Writes the RecordIds of one frame: what they have in common is made once.
#[derive(Clone, Debug)]
pub struct RecordIds {
    raw: [u8; RAW_LEN],
    /// The checksum of what is before the index.
    common: crc32fast::Hasher,
    text: [u8; RECORD_ID_LEN],
}

impl RecordIds {
    /// The ids of the records of the frame at `position` of `lane`.
    pub fn of(lane: LaneId, position: Position) -> Self {
        let mut raw = [0; RAW_LEN];
        raw[0] = VERSION;
        raw[1..9].copy_from_slice(&lane.0.to_be_bytes());
        raw[9..INDEX].copy_from_slice(&position.0.to_be_bytes());
        let mut common = crc32fast::Hasher::new();
        common.update(&raw[..INDEX]);
        let mut ids = RecordIds {
            raw,
            common,
            text: [0; RECORD_ID_LEN],
        };
        ids.write_text(0);
        ids
    }

    /// The text of the id of the record at `index`, without allocating.
    pub fn encode(&mut self, index: u16) -> &str {
        self.raw[INDEX..CHECKED_LEN].copy_from_slice(&index.to_be_bytes());
        let mut check = self.common.clone();
        check.update(&self.raw[INDEX..CHECKED_LEN]);
        self.raw[CHECKED_LEN..].copy_from_slice(&low_half(check.finalize()));
        self.write_text(OWN);
        std::str::from_utf8(&self.text).unwrap_or_default()
    }

    /// Writes the text of the bytes from `from` on, which is a multiple of 3: so many bytes are 4 characters.
    fn write_text(&mut self, from: usize) {
        // The text has exactly the length that the bytes need, and base64 is ASCII.
        let text = &mut self.text[from / 3 * 4..];
        let _ = URL_SAFE_NO_PAD.encode_slice(&self.raw[from..], text);
    }
}

fn check(raw: &[u8; RAW_LEN]) -> [u8; 2] {
    low_half(crc32fast::hash(&raw[..CHECKED_LEN]))
}

fn low_half(crc: u32) -> [u8; 2] {
    let [_, _, high, low] = crc.to_be_bytes();
    [high, low]
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(RecordIds::of(self.lane, self.position).encode(self.index))
    }
}

/// The text is not a RecordId that this node gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a RecordId of Hydrant: it has {RECORD_ID_LEN} characters of A-Z a-z 0-9 - _")]
pub struct InvalidRecordId;

impl FromStr for RecordId {
    type Err = InvalidRecordId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let raw = URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidRecordId)?;
        let raw: [u8; RAW_LEN] = raw.try_into().map_err(|_| InvalidRecordId)?;
        if raw[0] != VERSION || raw[CHECKED_LEN..] != check(&raw) {
            return Err(InvalidRecordId);
        }
        let number = |from: usize| {
            raw[from..from + 8]
                .iter()
                .fold(0u64, |number, &byte| number << 8 | u64::from(byte))
        };
        Ok(RecordId {
            lane: LaneId(number(1)),
            position: Position(number(9)),
            index: u16::from_be_bytes([raw[17], raw[18]]),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn text_and_back(lane: u64, position: u64, index: u16) {
            let id = RecordId { lane: LaneId(lane), position: Position(position), index };
            let text = id.to_string();
            prop_assert_eq!(text.len(), RECORD_ID_LEN);
            prop_assert_eq!(text.parse(), Ok(id));
        }

        #[test]
        fn a_changed_character_is_noticed(at in 0..RECORD_ID_LEN) {
            let id = RecordId { lane: LaneId(7), position: Position(42), index: 3 };
            let mut text = id.to_string().into_bytes();
            text[at] = if text[at] == b'x' { b'y' } else { b'x' };
            let text = String::from_utf8(text).unwrap();
            prop_assert_eq!(text.parse::<RecordId>(), Err(InvalidRecordId));
        }
    }

    #[test]
    fn the_ids_of_a_frame() {
        let (lane, position) = (LaneId(7), Position(42));
        let mut ids = RecordIds::of(lane, position);
        for index in [0, 1, 499, u16::MAX, 2] {
            let id: RecordId = ids.encode(index).parse().unwrap();
            assert_eq!((id.lane, id.position, id.index), (lane, position, index));
        }
    }

    #[test]
    fn junk_is_refused() {
        for junk in ["", "abc", "arn:aws:firehose", &"A".repeat(RECORD_ID_LEN)] {
            assert_eq!(junk.parse::<RecordId>(), Err(InvalidRecordId), "{junk:?}");
        }
    }
}
