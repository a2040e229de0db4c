//! Bodies of puts: both ways to read one, against each other and against the plainest reading there is.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::{
    api::{ApiError, both_ways, limits},
    metrics::ingest::Put,
};

/// Stream and records, or the kind of refusal.
type Outcome = Result<(String, Vec<Bytes>), Refusal>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    /// No JSON, or neither object nor array.
    Json,
    /// A member of the wrong type.
    Type,
    /// A member that breaks a constraint.
    Constraint,
}

/// ```text
/// B or another byte (PutRecordBatch or PutRecord)  the body
/// ```
///
/// The fast way takes nothing that the exact one refuses, and makes the same of what it takes. The exact one does what
/// serde_json and base64 do and the shapes say.
pub fn put_body(bytes: &[u8]) {
    let Some((kind, body)) = bytes.split_first() else {
        return;
    };
    let put = match kind {
        b'B' => Put::Batch,
        _ => Put::Record,
    };
    let (fast, exact) = both_ways(put, body);
    let exact: Outcome = exact.map_err(|error| match error {
        ApiError::Serialization(None) => Refusal::Json,
        ApiError::Serialization(Some(_)) => Refusal::Type,
        ApiError::Validation(_) => Refusal::Constraint,
        other => panic!("{other:?}"),
    });
    if let Some(fast) = fast {
        assert_eq!(exact.as_ref(), Ok(&fast));
    }
    if let Some(plain) = plain(put, body) {
        assert_eq!(exact, plain);
    }
}

/// What a tree of the whole body says. `None` where a tree is stricter than the way that skips what it does not know: about
/// numbers out of range, surrogates and depth, in members that mean nothing.
fn plain(put: Put, body: &[u8]) -> Option<Outcome> {
    let tree = match serde_json::from_slice::<Value>(body) {
        Ok(tree) => tree,
        Err(_) if serde_json::from_slice::<IgnoredAny>(body).is_ok() => return None,
        Err(_) => return Some(Err(Refusal::Json)),
    };
    Some(match &tree {
        Value::Object(_) | Value::Array(_) => typed(put, &tree).and_then(constrained),
        _ => Err(Refusal::Json),
    })
}

/// A put whose types are right; what may be missing is optional. A record is what its data decodes to.
struct Typed<'t> {
    stream: Option<&'t str>,
    /// The list itself, its elements, their data.
    records: Option<Vec<Option<Option<Vec<u8>>>>>,
}

fn typed(put: Put, tree: &Value) -> Result<Typed<'_>, Refusal> {
    let members = tree.as_object().ok_or(Refusal::Type)?;
    let member = |name: &str| members.get(name).filter(|value| !value.is_null());
    let stream = member("DeliveryStreamName").map(|name| name.as_str().ok_or(Refusal::Type));
    let records = match put {
        Put::Record => member("Record").map(|value| Ok(vec![Some(record(value)?)])),
        Put::Batch => member("Records").map(|value| {
            let elements = value.as_array().ok_or(Refusal::Type)?;
            // Far beyond the bound nobody looks.
            let seen = limits::BATCH_RECORDS + limits::ELEMENTS_BEYOND as usize;
            let element = |value: &Value| match value {
                Value::Null => Ok(None),
                value => record(value).map(Some),
            };
            elements.iter().take(seen).map(element).collect()
        }),
    };
    Ok(Typed {
        stream: stream.transpose()?,
        records: records.transpose()?,
    })
}

fn record(value: &Value) -> Result<Option<Vec<u8>>, Refusal> {
    match value.as_object().ok_or(Refusal::Type)?.get("Data") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(data)) => STANDARD.decode(data).map(Some).map_err(|_| Refusal::Type),
        Some(_) => Err(Refusal::Type),
    }
}

fn constrained(put: Typed<'_>) -> Outcome {
    let letter = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    let stream = put
        .stream
        .filter(|name| (1..=64).contains(&name.len()) && name.chars().all(letter));
    let data = |record: Option<Option<Vec<u8>>>| {
        let data = record.flatten()?;
        (data.len() <= 1_024_000).then(|| data.into())
    };
    let records = put
        .records
        .filter(|records| (1..=500).contains(&records.len()))
        .and_then(|records| records.into_iter().map(data).collect());
    match (stream, records) {
        (Some(stream), Some(records)) => Ok((stream.to_owned(), records)),
        _ => Err(Refusal::Constraint),
    }
}
