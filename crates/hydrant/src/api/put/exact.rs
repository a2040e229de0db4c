//! The exact way to read a put: by the request's table, with the service's own words for whatever
//! is wrong.

use base64::Engine as _;
use serde_json::Value;

use hydrant_engine::FrameBuilder;

use super::{Request, scan::BASE64};
use crate::{
    api::{ApiError, shape, shapes},
    metrics::ingest::Put,
};

/// Reads a put.
///
/// # Errors
/// `Serialization` and `Validation`, as SPEC §1.5 and §1.6 have them.
pub(super) fn exact(put: Put, body: &[u8]) -> Result<Request, ApiError> {
    let table = match put {
        Put::Record => &shapes::PUT_RECORD,
        Put::Batch => &shapes::PUT_RECORD_BATCH,
    };
    let mut value = shape::parse(table, body)?;
    shape::check(table, &mut value)?;
    let records = match put {
        Put::Record => std::slice::from_ref(&value["Record"]),
        Put::Batch => value["Records"].as_array().map_or(&[][..], Vec::as_slice),
    };
    let mut builder = FrameBuilder::new();
    for record in records {
        let data = record["Data"].as_str().unwrap_or_default();
        builder.push(&BASE64.decode(data).map_err(ApiError::internal)?);
    }
    let stream = match value["DeliveryStreamName"].take() {
        Value::String(stream) => stream,
        _ => String::new(),
    };
    Ok(Request {
        stream,
        records: builder,
    })
}
