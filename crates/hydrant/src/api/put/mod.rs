//! `PutRecord` and `PutRecordBatch` (SPEC §2.7, §2.8): the hot path.
//!
//! ```text
//! body ─(scan, or exactly)→ records → quota admits the first n → frame → log: on disk → RecordIds
//! ```
//!
//! * A record is acknowledged only when the log says that its frame is durable. If the client
//!   goes away meanwhile, the frame stays: an append cannot be withdrawn.
//! * [`scan`] reads what is in order in one pass, decoding base64 straight into the frame. Whatever
//!   it does not know goes to [`exact`], which says what is wrong. Both take the same requests and
//!   make the same records of them.
//! * A request is one frame, unless the log takes only smaller ones.

mod answer;
mod append;
mod exact;
#[cfg(any(test, fuzzing))]
mod fuzzing;
mod scan;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use hydrant_engine::{FrameBuilder, LogError};

use self::append::append;
pub(super) use self::append::{Complaints, UNAVAILABLE};
#[cfg(any(test, fuzzing))]
pub(crate) use self::fuzzing::both_ways;
use super::{
    ApiError, Operation, limits,
    ops::{Operations, authorized, not_active, not_found},
};
use crate::{
    credentials::Identity,
    metrics::ingest::Put,
    stream::{Status, StreamKey},
};

/// Bodies from this size on are read on a thread of their own, so that they hold up no other request.
/// Scanning takes 0.2 ms for each MiB (4 to 6 GB/s measured), the change of threads some 10 µs.
const SCAN_ELSEWHERE: usize = 1 << 20;

/// What a put asks for.
#[derive(Debug)]
struct Request {
    stream: String,
    records: FrameBuilder,
}

impl Operations {
    pub(super) async fn put(
        &self,
        operation: Operation,
        identity: &Identity,
        body: Bytes,
    ) -> Result<Bytes, ApiError> {
        let put = match operation {
            Operation::PutRecord => Put::Record,
            _ => Put::Batch,
        };
        let clock = &self.parts.clock;
        let began = clock.monotonic();
        let Request { stream, records } = read(put, body).await?;
        let key = authorized(operation, identity, &stream)?;
        if records.bytes() > limits::BATCH_BYTES {
            return Err(ApiError::InvalidArgument(
                "Records size exceeds 4 MB limit".into(),
            ));
        }
        let stream = self.find(&key)?;
        if stream.status != Status::Active {
            return Err(ApiError::ResourceNotFound(not_active(&key)));
        }

        let live = self.live.of(&stream);
        let frame = records.build(clock.now());
        let asked = frame.records();
        let admitted = live.admit(clock.monotonic(), frame.ends());
        let appended = append(
            &*self.parts.engine.log,
            stream.lane,
            frame.slice(0..admitted),
        )
        .await;

        let throttled = asked - admitted;
        let took = clock.monotonic().saturating_sub(began);
        let (records, bytes) = (appended.records() as u64, appended.bytes);
        live.series.put(put, records, bytes, throttled as u64, took);

        if let Some(error) = &appended.failure {
            self.complaints.complain(error, &key, clock.now());
        }
        let failure = appended.failure.as_ref().map(|error| failure(error, &key));
        match put {
            _ if appended.records() == 0 => Err(failure.unwrap_or_else(ApiError::slow_down)),
            Put::Record => Ok(answer::one(stream.lane, &appended)),
            Put::Batch => {
                let failed = admitted - appended.records();
                let failure = failure.unwrap_or_else(ApiError::slow_down);
                let refused = [(failed, failure), (throttled, ApiError::slow_down())];
                Ok(answer::batch(stream.lane, &appended, &refused))
            }
        }
    }
}

/// Reads a request: fast when it is in order, else exactly.
async fn read(put: Put, body: Bytes) -> Result<Request, ApiError> {
    let small = body.len() < SCAN_ELSEWHERE;
    if small && let Some(request) = scan::scan(put, &body) {
        return Ok(request);
    }
    if body.len() < limits::TABLE_ELSEWHERE {
        return exact::exact(put, &body);
    }
    let read = move || {
        let scanned = if small { None } else { scan::scan(put, &body) };
        scanned.map_or_else(|| exact::exact(put, &body), Ok)
    };
    tokio::task::spawn_blocking(read)
        .await
        .map_err(ApiError::internal)?
}

/// What a failed append means to the client.
fn failure(error: &LogError, key: &StreamKey) -> ApiError {
    match error {
        LogError::Full(_) | LogError::Closed => ApiError::ServiceUnavailable(UNAVAILABLE.into()),
        // Deleted while the request was on its way.
        LogError::LaneRemoved(_) => not_found(key),
        LogError::Failed(_) | LogError::TooLarge { .. } | LogError::Damaged { .. } => {
            ApiError::internal(error)
        }
    }
}
