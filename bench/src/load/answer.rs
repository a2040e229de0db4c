//! What a put's answer says of each record.

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

/// Which of `records` records must be sent again: none, some, or all of them when the node was asked to slow down.
pub(crate) fn failed(status: u16, body: &[u8], records: usize, batch: bool) -> Result<Vec<usize>> {
    match status {
        200 if !batch => return Ok(Vec::new()),
        200 => {}
        503 => return Ok((0..records).collect()),
        _ => bail!("{status}: {}", String::from_utf8_lossy(body)),
    }
    // The usual answer, without a look at each record.
    let start = &body[..body.len().min(128)];
    if memchr::memmem::find(start, br#""FailedPutCount":0,"#).is_some() {
        return Ok(Vec::new());
    }
    let answer: Value = serde_json::from_slice(body)?;
    let entries = answer["RequestResponses"].as_array();
    let entries = entries.context("an answer without RequestResponses")?;
    ensure!(
        entries.len() == records,
        "{} answers to {records} records",
        entries.len()
    );
    let refused = entries.iter().enumerate();
    let refused =
        refused.filter(|(_, entry)| entry.get("ErrorCode").is_some_and(|code| !code.is_null()));
    let refused: Vec<usize> = refused.map(|(index, _)| index).collect();
    ensure!(
        answer["FailedPutCount"].as_u64() == Some(refused.len() as u64),
        "FailedPutCount is not the number of errors: {}",
        String::from_utf8_lossy(body)
    );
    Ok(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_failed_records_are_to_be_sent_again() {
        let all = br#"{"Encrypted":false,"FailedPutCount":0,"RequestResponses":[{"RecordId":"a"},{"RecordId":"b"}]}"#;
        assert_eq!(failed(200, all, 2, true).unwrap(), [] as [usize; 0]);
        let some = br#"{"FailedPutCount": 1, "RequestResponses":[{"RecordId":"a"},{"ErrorCode":"X","ErrorMessage":""}]}"#;
        assert_eq!(failed(200, some, 2, true).unwrap(), [1]);
        assert_eq!(failed(503, b"", 2, true).unwrap(), [0, 1]);
        assert_eq!(
            failed(200, br#"{"RecordId":"a"}"#, 1, false).unwrap(),
            [] as [usize; 0]
        );
    }

    #[test]
    fn an_answer_that_makes_no_sense_is_an_error() {
        assert!(failed(400, b"{}", 1, false).is_err());
        let short = br#"{"FailedPutCount":1,"RequestResponses":[{"ErrorCode":"X"}]}"#;
        assert!(failed(200, short, 2, true).is_err());
        let wrong =
            br#"{"FailedPutCount":2,"RequestResponses":[{"ErrorCode":"X"},{"RecordId":"a"}]}"#;
        assert!(failed(200, wrong, 2, true).is_err());
    }
}
