//! A frame: one accepted request's records, durable as a whole and in one piece.
//!
//! In memory the records lie back to back in one `payload`, so that decoding a request copies
//! each record once and delivering an uncompressed object copies none.

use std::ops::Range;

use bytes::{Bytes, BytesMut};

use crate::clock::Timestamp;

/// One accepted request's records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    arrival: Timestamp,
    /// Where each record ends in `payload`; rises, may repeat (a record may be empty).
    ends: Vec<u32>,
    payload: Bytes,
}

impl Frame {
    /// A frame of records given one by one.
    pub fn new<R: AsRef<[u8]>>(arrival: Timestamp, records: impl IntoIterator<Item = R>) -> Self {
        let mut builder = FrameBuilder::new();
        for record in records {
            builder.push(record.as_ref());
        }
        builder.build(arrival)
    }

    /// A frame from its parts, or `None` when `ends` does not fit `payload`: the ends must rise and
    /// the last be the payload's length. For decoders of stored bytes.
    pub fn from_parts(arrival: Timestamp, ends: Vec<u32>, payload: Bytes) -> Option<Self> {
        let last = ends.last().copied().unwrap_or(0);
        let fits = usize::try_from(last).ok()? == payload.len() && ends.is_sorted();
        fits.then_some(Frame {
            arrival,
            ends,
            payload,
        })
    }

    /// When the node took the records in.
    pub fn arrival(&self) -> Timestamp {
        self.arrival
    }

    /// How many records it holds.
    pub fn records(&self) -> usize {
        self.ends.len()
    }

    /// Record data in bytes, without any overhead.
    pub fn bytes(&self) -> usize {
        self.payload.len()
    }

    /// All records, back to back.
    pub fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// Where each record ends in [`payload`](Self::payload).
    pub fn ends(&self) -> &[u32] {
        &self.ends
    }

    /// The record at `index`, without copying.
    pub fn record(&self, index: usize) -> Option<Bytes> {
        let end = *self.ends.get(index)? as usize;
        let start = index
            .checked_sub(1)
            .map_or(0, |before| self.ends[before] as usize);
        Some(self.payload.slice(start..end))
    }

    /// The records in `range`, as far as there are any, as a frame of their own; without copying
    /// them.
    pub fn slice(&self, range: Range<usize>) -> Frame {
        let end = range.end.min(self.ends.len());
        let range = range.start.min(end)..end;
        let end_of = |records: usize| records.checked_sub(1).map_or(0, |last| self.ends[last]);
        let (from, to) = (end_of(range.start), end_of(range.end));
        Frame {
            arrival: self.arrival,
            ends: self.ends[range].iter().map(|end| end - from).collect(),
            payload: self.payload.slice(from as usize..to as usize),
        }
    }

    /// Every record in order, without copying.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Bytes> + '_ {
        let mut start = 0;
        self.ends.iter().map(move |&end| {
            let record = self.payload.slice(start..end as usize);
            start = end as usize;
            record
        })
    }
}

/// Collects records into a [`Frame`].
#[derive(Debug, Default)]
pub struct FrameBuilder {
    ends: Vec<u32>,
    payload: BytesMut,
}

impl FrameBuilder {
    /// An empty frame.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty frame with room for `records` records of `bytes` bytes together.
    pub fn with_capacity(records: usize, bytes: usize) -> Self {
        FrameBuilder {
            ends: Vec::with_capacity(records),
            payload: BytesMut::with_capacity(bytes),
        }
    }

    /// Adds a record.
    pub fn push(&mut self, record: &[u8]) {
        self.payload.extend_from_slice(record);
        self.seal_record();
    }

    /// Adds a record that `write` appends to the buffer, so that decoding needs no copy between.
    /// When `write` fails the frame is as it was before.
    pub fn push_with<E>(
        &mut self,
        write: impl FnOnce(&mut BytesMut) -> Result<(), E>,
    ) -> Result<(), E> {
        let before = self.payload.len();
        match write(&mut self.payload) {
            Ok(()) => {
                self.seal_record();
                Ok(())
            }
            Err(error) => {
                self.payload.truncate(before);
                Err(error)
            }
        }
    }

    /// How many records it holds so far.
    pub fn records(&self) -> usize {
        self.ends.len()
    }

    /// Record data so far, in bytes.
    pub fn bytes(&self) -> usize {
        self.payload.len()
    }

    /// The finished frame.
    pub fn build(self, arrival: Timestamp) -> Frame {
        Frame {
            arrival,
            ends: self.ends,
            payload: self.payload.freeze(),
        }
    }

    fn seal_record(&mut self) {
        // A request body is capped at 8 MiB and `Log::frame_limit` lies far below 4 GiB.
        self.ends
            .push(u32::try_from(self.payload.len()).unwrap_or(u32::MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices() {
        let frame = Frame::new(Timestamp(7), ["a", "", "bcd", "e"]);
        for from in 0..6 {
            for to in 0..6 {
                let expected: Vec<Bytes> = frame.iter().take(to).skip(from).collect();
                let slice = frame.slice(from..to);
                assert_eq!(slice.iter().collect::<Vec<_>>(), expected, "{from}..{to}");
                assert_eq!(slice, Frame::new(Timestamp(7), expected));
            }
        }
    }
}
