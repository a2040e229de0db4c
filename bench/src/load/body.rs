//! Request bodies, made before the load begins.

use std::ops::Range;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hydrant_engine::Chance;

use crate::{records::Kind, sign::sha256};

/// What to make bodies of.
#[derive(Clone, Debug)]
pub(crate) struct Recipe {
    pub(crate) kind: Kind,
    /// Bytes in a record.
    pub(crate) record_bytes: usize,
    /// Records in a request; 1 means PutRecord.
    pub(crate) batch: usize,
    /// How many bodies there are at least; there is one for each stream at least.
    pub(crate) bodies: usize,
    /// The streams that bodies are for, in turn.
    pub(crate) streams: Vec<String>,
    pub(crate) seed: u64,
}

/// A request's body.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) text: Vec<u8>,
    /// Hex SHA-256 of it.
    pub(crate) hash: String,
    /// The numbers of its records.
    pub(crate) numbers: Vec<u64>,
    stream: String,
    batch: bool,
    /// Where each record's base64 is.
    encoded: Vec<Range<usize>>,
}

/// All bodies, and each record's CRC-32 by its number.
pub(crate) fn bodies(recipe: &Recipe) -> (Vec<Body>, Vec<u32>) {
    let chance = Chance::seeded(recipe.seed);
    let count = recipe.bodies.max(recipe.streams.len());
    let mut sums = Vec::with_capacity(count * recipe.batch);
    let body = |index: usize| {
        let first = (index * recipe.batch) as u64;
        let numbers: Vec<u64> = (first..first + recipe.batch as u64).collect();
        let records = numbers.iter().map(|&number| {
            let record = recipe.kind.record(&chance, number, recipe.record_bytes);
            sums.push(crc32fast::hash(&record));
            STANDARD.encode(record)
        });
        let records: Vec<String> = records.collect();
        let stream = &recipe.streams[index % recipe.streams.len()];
        Body::new(stream, recipe.batch > 1, numbers, &records)
    };
    let bodies = (0..count).map(body).collect();
    (bodies, sums)
}

impl Body {
    fn new<S: AsRef<str>>(stream: &str, batch: bool, numbers: Vec<u64>, records: &[S]) -> Body {
        let mut text = format!(r#"{{"DeliveryStreamName":"{stream}","#);
        text.push_str(if batch {
            r#""Records":["#
        } else {
            r#""Record":"#
        });
        let mut encoded = Vec::with_capacity(records.len());
        for (index, record) in records.iter().enumerate() {
            text.push_str(if index == 0 {
                r#"{"Data":""#
            } else {
                r#",{"Data":""#
            });
            let from = text.len();
            text.push_str(record.as_ref());
            encoded.push(from..text.len());
            text.push_str(r#""}"#);
        }
        text.push_str(if batch { "]}" } else { "}" });
        Body {
            hash: sha256(text.as_bytes()),
            text: text.into_bytes(),
            numbers,
            stream: stream.to_owned(),
            batch,
            encoded,
        }
    }

    /// The body that sends only the records of these indices.
    pub(crate) fn only(&self, indices: &[usize]) -> Body {
        let records: Vec<_> = indices
            .iter()
            .map(|&index| String::from_utf8_lossy(&self.text[self.encoded[index].clone()]))
            .collect();
        let numbers = indices.iter().map(|&index| self.numbers[index]).collect();
        Body::new(&self.stream, self.batch, numbers, &records)
    }

    /// The operation that takes it.
    pub(crate) fn target(&self) -> &'static str {
        match self.batch {
            true => "Firehose_20150804.PutRecordBatch",
            false => "Firehose_20150804.PutRecord",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe() -> Recipe {
        Recipe {
            kind: Kind::Clicks,
            record_bytes: 100,
            batch: 3,
            bodies: 4,
            streams: vec!["a".into(), "b".into()],
            seed: 1,
        }
    }

    #[test]
    fn bodies_are_requests_with_numbered_records_for_each_stream_in_turn() {
        let (bodies, sums) = bodies(&recipe());
        assert_eq!((bodies.len(), sums.len()), (4, 12));
        let request: serde_json::Value = serde_json::from_slice(&bodies[1].text).unwrap();
        assert_eq!(request["DeliveryStreamName"], "b");
        let data = request["Records"][2]["Data"].as_str().unwrap();
        let record = STANDARD.decode(data).unwrap();
        assert_eq!(bodies[1].numbers, [3, 4, 5]);
        assert_eq!(crate::records::number_of(&record), Some(5));
        assert_eq!(crc32fast::hash(&record), sums[5]);
    }

    #[test]
    fn a_body_of_some_records_holds_just_them() {
        let (bodies, _) = bodies(&recipe());
        let some = bodies[2].only(&[0, 2]);
        assert_eq!(some.numbers, [6, 8]);
        let request: serde_json::Value = serde_json::from_slice(&some.text).unwrap();
        assert_eq!(request["Records"].as_array().unwrap().len(), 2);
        assert_eq!(bodies[2].only(&[0, 1, 2]).text, bodies[2].text);
    }
}
