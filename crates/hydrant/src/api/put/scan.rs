//! The fast way to read a put that is in order: one pass over the JSON, each record decoded from
//! base64 straight into the frame.
//!
//! What it does not take (a member that it does not know or that comes twice, a wrong type, a value
//! out of bounds, bad base64) may still be fine or must be refused in AWS's words: both are
//! [`exact`](super::exact)'s business. So there is one answer to everything unusual here, [`None`].

use std::{fmt, sync::LazyLock};

use base64::{Engine as _, decoded_len_estimate, engine::general_purpose::PAD};
use hydrant_engine::FrameBuilder;
use serde::{
    Deserialize,
    de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor},
};

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
    let mut json = serde_json::Deserializer::from_slice(body);
    let stream = Top(put, &mut frame).deserialize(&mut json).ok()?;
    json.end().ok()?;
    let named =
        stream.len() as u64 <= limits::STREAM_NAME_CHARS && patterns::STREAM_NAME.matches(&stream);
    named.then_some(Request {
        stream,
        records: frame,
    })
}

#[derive(Deserialize)]
#[serde(field_identifier)]
enum Key {
    DeliveryStreamName,
    Record,
    Records,
    Data,
}

/// The request as a whole; gives the stream's name.
struct Top<'f>(Put, &'f mut FrameBuilder);
/// `Records`.
struct Records<'f>(&'f mut FrameBuilder);
/// `{"Data": …}`.
struct Record<'f>(&'f mut FrameBuilder);
/// The base64.
struct Data<'f>(&'f mut FrameBuilder);

fn unusual<E: Error>() -> E {
    E::custom("unusual")
}

impl<'de> DeserializeSeed<'de> for Top<'_> {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Top<'_> {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a put request")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<String, A::Error> {
        let Top(put, frame) = self;
        let mut stream: Option<String> = None;
        let mut seen = false;
        while let Some(key) = map.next_key()? {
            match (put, key) {
                (_, Key::DeliveryStreamName) if stream.is_none() => {
                    stream = Some(map.next_value()?);
                }
                (Put::Record, Key::Record) if !seen => {
                    map.next_value_seed(Record(frame))?;
                    seen = true;
                }
                (Put::Batch, Key::Records) if !seen => {
                    map.next_value_seed(Records(frame))?;
                    seen = true;
                }
                _ => return Err(unusual()),
            }
        }
        stream.filter(|_| seen).ok_or_else(unusual)
    }
}

impl<'de> DeserializeSeed<'de> for Records<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Records<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of records")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(Record(self.0))?.is_some() {
            if self.0.records() > limits::BATCH_RECORDS {
                return Err(unusual());
            }
        }
        if self.0.records() == 0 {
            return Err(unusual());
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Record<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Record<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Some(Key::Data) = map.next_key()? else {
            return Err(unusual());
        };
        map.next_value_seed(Data(self.0))?;
        match map.next_key::<Key>()? {
            None => Ok(()),
            Some(_) => Err(unusual()),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Data<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Data<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("base64")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        let before = self.0.bytes();
        let estimate = decoded_len_estimate(text.len());
        self.0.push_with(|payload| {
            payload.resize(before + estimate, 0);
            let decoded = BASE64.decode_slice(text, &mut payload[before..]);
            let decoded = decoded
                .ok()
                .filter(|length| *length <= limits::RECORD_BYTES);
            payload.truncate(before + decoded.ok_or_else(unusual)?);
            Ok(())
        })
    }
}
