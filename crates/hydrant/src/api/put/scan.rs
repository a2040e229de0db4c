//! The fast way to read a put that is in order: one pass over the JSON, each record decoded from
//! base64 straight into the frame.
//!
//! It knows the requests that clients send, and no JSON beyond that: what has an escape in it, a member that is unknown
//! or comes twice, a wrong type, a value out of bounds or bad base64 may still be fine or must be refused in AWS's
//! words, and both are [`exact`](super::exact)'s business. So there is one answer to everything unusual here, [`None`].
//!
//! A string is looked at once, where it is used: it ends at the next quotation mark, since neither base64 nor a stream's
//! name nor a member's can have a `\"` in it. That is what makes this several times as fast as a JSON parser.

use std::sync::LazyLock;

use base64::{Engine as _, decoded_len_estimate, engine::general_purpose::PAD};
use hydrant_engine::FrameBuilder;
use memchr::memchr;

use super::Request;
use crate::{
    api::{limits, shape::patterns},
    metrics::ingest::Put,
};

/// Standard base64 with padding, as fast as this machine can.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(super) static BASE64: LazyLock<base64::engine::Simd> =
    LazyLock::new(|| base64::engine::Simd::standard(PAD));
/// Standard base64 with padding.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(super) static BASE64: LazyLock<base64::engine::GeneralPurpose> =
    LazyLock::new(|| base64::engine::GeneralPurpose::new(&base64::alphabet::STANDARD, PAD));

/// The least JSON that a record takes in a batch: `{"Data":""},`.
const LEAST_RECORD: usize = 12;

/// Reads a put that is in order; `None` sends it to the exact way.
pub(super) fn scan(put: Put, body: &[u8]) -> Option<Request> {
    let records = match put {
        Put::Record => 1,
        Put::Batch => (body.len() / LEAST_RECORD).min(limits::BATCH_RECORDS),
    };
    let bytes = decoded_len_estimate(body.len()).min(limits::BATCH_BYTES);
    let mut frame = FrameBuilder::with_capacity(records, bytes);
    let mut json = Json(body);
    let stream = request(put, &mut json, &mut frame)?;
    json.end()?;
    let stream = std::str::from_utf8(stream).ok()?;
    let named =
        stream.len() as u64 <= limits::STREAM_NAME_CHARS && patterns::STREAM_NAME.matches(stream);
    named.then(|| Request {
        stream: stream.to_owned(),
        records: frame,
    })
}

/// The request as a whole; gives the stream's name.
fn request<'b>(put: Put, json: &mut Json<'b>, frame: &mut FrameBuilder) -> Option<&'b [u8]> {
    let mut stream = None;
    let mut seen = false;
    json.take(b'{')?;
    loop {
        match (put, json.member()?) {
            (_, b"DeliveryStreamName") if stream.is_none() => stream = Some(json.text()?),
            (Put::Record, b"Record") if !seen => {
                record(json, frame)?;
                seen = true;
            }
            (Put::Batch, b"Records") if !seen => {
                records(json, frame)?;
                seen = true;
            }
            _ => return None,
        }
        if json.ends_with(b'}')? {
            return stream.filter(|_| seen);
        }
    }
}

/// `Records`: one at least.
fn records(json: &mut Json<'_>, frame: &mut FrameBuilder) -> Option<()> {
    json.take(b'[')?;
    loop {
        record(json, frame)?;
        if frame.records() > limits::BATCH_RECORDS {
            return None;
        }
        if json.ends_with(b']')? {
            return Some(());
        }
    }
}

/// `{"Data": …}`.
fn record(json: &mut Json<'_>, frame: &mut FrameBuilder) -> Option<()> {
    json.take(b'{')?;
    if json.member()? != b"Data" {
        return None;
    }
    let data = json.text()?;
    json.take(b'}')?;
    let before = frame.bytes();
    let decode = |payload: &mut bytes::BytesMut| {
        payload.resize(before + decoded_len_estimate(data.len()), 0);
        let mut decoded = BASE64.decode_slice(data, &mut payload[before..]).ok();
        if decoded.is_none() && data.contains(&b'\\') {
            let data = without_escaped_slashes(data);
            decoded = BASE64.decode_slice(data, &mut payload[before..]).ok();
        }
        let decoded = decoded.filter(|length| *length <= limits::RECORD_BYTES);
        payload.truncate(before + decoded.ok_or(())?);
        Ok::<(), ()>(())
    };
    frame.push_with(decode).ok()
}

/// PHP writes `/` as `\/`, and base64 has many of them. Any other escape stays, and is no base64.
fn without_escaped_slashes(data: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(data.len());
    let mut rest = data;
    while let Some(at) = memchr(b'\\', rest) {
        plain.extend_from_slice(&rest[..at]);
        rest = &rest[at..];
        if !rest.starts_with(br"\/") {
            break;
        }
        plain.push(b'/');
        rest = &rest[2..];
    }
    plain.extend_from_slice(rest);
    plain
}

/// What is left of the body.
struct Json<'b>(&'b [u8]);

impl<'b> Json<'b> {
    /// This byte, after spaces.
    fn take(&mut self, byte: u8) -> Option<()> {
        let (first, rest) = self.next()?;
        self.0 = rest;
        (first == byte).then_some(())
    }

    /// The first byte that is no space, and what comes after it.
    fn next(&self) -> Option<(u8, &'b [u8])> {
        let (first, rest) = self.0.split_first()?;
        if *first > b' ' {
            return Some((*first, rest));
        }
        let start = self.0.iter().position(|byte| !is_space(*byte))?;
        let (first, rest) = self.0[start..].split_first()?;
        Some((*first, rest))
    }

    /// The bytes of a string in which nothing is escaped. Whoever takes them sees to it that no byte of them may
    /// not be in a string.
    fn text(&mut self) -> Option<&'b [u8]> {
        self.take(b'"')?;
        let (text, rest) = self.0.split_at(memchr(b'"', self.0)?);
        self.0 = &rest[1..];
        Some(text)
    }

    /// A member's name, up to its value.
    fn member(&mut self) -> Option<&'b [u8]> {
        let name = self.text()?;
        self.take(b':')?;
        Some(name)
    }

    /// Whether this byte ends the list, and no comma goes on with it.
    fn ends_with(&mut self, byte: u8) -> Option<bool> {
        let (first, rest) = self.next()?;
        self.0 = rest;
        match first {
            b',' => Some(false),
            _ => (first == byte).then_some(true),
        }
    }

    /// Nothing but spaces is left.
    fn end(&self) -> Option<()> {
        self.0.iter().all(|byte| is_space(*byte)).then_some(())
    }
}

/// What JSON allows between its parts.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}
