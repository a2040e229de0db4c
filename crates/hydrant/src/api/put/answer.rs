//! The answers of puts, written by hand: one buffer, no allocation for each record.
//!
//! Keys come in the order of the real service, and `"FailedPutCount":0` has no space: Fluent Bit
//! searches for just that text (SPEC §2.8).

use std::io::Write as _;

use bytes::Bytes;
use hydrant_engine::LaneId;

use super::append::Appended;
use crate::{
    api::ApiError,
    stream::record_id::{RECORD_ID_LEN, RecordIds},
};

/// Longest entry of a stored record: `{"RecordId":""},` around the id.
const ENTRY: usize = 16 + RECORD_ID_LEN;
/// What is around the entries, generously.
const AROUND: usize = 96;

/// The answer of `PutRecord`, whose one record is stored.
pub(super) fn one(lane: LaneId, appended: &Appended) -> Bytes {
    let mut out = Vec::with_capacity(ENTRY + AROUND);
    if let Some(&(position, _)) = appended.frames.first() {
        out.extend_from_slice(b"{\"RecordId\":\"");
        out.extend_from_slice(RecordIds::of(lane, position).encode(0).as_bytes());
        out.extend_from_slice(b"\",\"Encrypted\":false}");
    }
    out.into()
}

/// The answer of `PutRecordBatch`: first the stored records, then those that were not, with the reason.
pub(super) fn batch(lane: LaneId, appended: &Appended, refused: &[(usize, ApiError)]) -> Bytes {
    let failed: usize = refused.iter().map(|(records, _)| records).sum();
    let refused: Vec<(usize, String)> = refused
        .iter()
        .filter(|(records, _)| *records > 0)
        .map(|(records, error)| (*records, refusal(error)))
        .collect();
    let room: usize = refused
        .iter()
        .map(|(records, text)| records * text.len())
        .sum();
    let mut out = Vec::with_capacity(AROUND + appended.records() * ENTRY + room);
    // Writing to a Vec cannot fail.
    let _ = write!(
        out,
        "{{\"Encrypted\":false,\"FailedPutCount\":{failed},\"RequestResponses\":["
    );
    for &(position, records) in &appended.frames {
        let mut ids = RecordIds::of(lane, position);
        // A frame has `BATCH_RECORDS` records at most.
        for index in 0..u16::try_from(records).unwrap_or(u16::MAX) {
            out.extend_from_slice(b"{\"RecordId\":\"");
            out.extend_from_slice(ids.encode(index).as_bytes());
            out.extend_from_slice(b"\"},");
        }
    }
    for (records, text) in &refused {
        for _ in 0..*records {
            out.extend_from_slice(text.as_bytes());
        }
    }
    if out.last() == Some(&b',') {
        out.pop();
    }
    out.extend_from_slice(b"]}");
    out.into()
}

/// The entry of a record that was not stored, with the comma after it.
fn refusal(error: &ApiError) -> String {
    let entry = serde_json::json!({
        "ErrorCode": error.name(),
        "ErrorMessage": error.message().unwrap_or_default(),
    });
    format!("{entry},")
}

#[cfg(test)]
mod tests {
    use hydrant_engine::Position;

    use super::*;
    use crate::stream::RecordId;

    fn id(position: u64, index: u16) -> String {
        let (lane, position) = (LaneId(7), Position(position));
        RecordId {
            lane,
            position,
            index,
        }
        .to_string()
    }

    fn appended(frames: &[(u64, usize)]) -> Appended {
        Appended {
            frames: frames
                .iter()
                .map(|&(at, records)| (Position(at), records))
                .collect(),
            ..Appended::default()
        }
    }

    #[test]
    fn answers_to_the_letter() {
        let answer = one(LaneId(7), &appended(&[(3, 1)]));
        assert_eq!(
            answer,
            format!(r#"{{"RecordId":"{}","Encrypted":false}}"#, id(3, 0))
        );

        let answer = batch(LaneId(7), &appended(&[(3, 2), (9, 1)]), &[]);
        let expected = format!(
            r#"{{"Encrypted":false,"FailedPutCount":0,"RequestResponses":[{{"RecordId":"{}"}},{{"RecordId":"{}"}},{{"RecordId":"{}"}}]}}"#,
            id(3, 0),
            id(3, 1),
            id(9, 0)
        );
        assert_eq!(answer, expected);
        assert!(answer.len() <= AROUND + 3 * ENTRY);
    }

    #[test]
    fn refused_records_have_a_reason_and_no_id() {
        let refused = [
            (0, ApiError::internal("x")),
            (1, ApiError::internal("x")),
            (2, ApiError::slow_down()),
        ];
        let answer = batch(LaneId(7), &appended(&[(3, 1)]), &refused);
        let slow = r#"{"ErrorCode":"ServiceUnavailableException","ErrorMessage":"Slow down."}"#;
        let internal = r#"{"ErrorCode":"InternalFailure","ErrorMessage":"The service failed to process the request. Try again."}"#;
        let stored = format!(r#"{{"RecordId":"{}"}}"#, id(3, 0));
        let expected = format!(
            r#"{{"Encrypted":false,"FailedPutCount":3,"RequestResponses":[{stored},{internal},{slow},{slow}]}}"#
        );
        assert_eq!(answer, expected);
    }
}
