//! Both ways to read a put, side by side: for tests and the fuzzer.

use bytes::Bytes;
use hydrant_engine::Timestamp;

use super::{Request, exact, scan};
use crate::{api::ApiError, metrics::ingest::Put};

/// Stream and records.
pub(crate) type Read = (String, Vec<Bytes>);

/// What a request asks for.
pub(super) fn outcome(request: Request) -> Read {
    let frame = request.records.build(Timestamp(0));
    (request.stream, frame.iter().collect())
}

/// What the fast way makes of a body, if it takes it, and what the exact one does.
pub(crate) fn both_ways(put: Put, body: &[u8]) -> (Option<Read>, Result<Read, ApiError>) {
    let fast = scan::scan(put, body).map(outcome);
    (fast, exact::exact(put, body).map(outcome))
}
