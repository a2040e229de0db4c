//! From delivery's words to the admin port's.

use hydrant_engine::Timestamp;

use super::model;
use crate::{
    delivery::{Flushed, LastError, StreamStatus, Trace},
    stream::DeliveryStream,
};

pub(super) fn stream(
    status: &StreamStatus,
    stream: Option<&DeliveryStream>,
    now: Timestamp,
) -> model::StreamStatus {
    let s3 = stream.map(|stream| stream.destination.s3());
    let ago = |then: Timestamp| now.since(then).as_secs_f64();
    model::StreamStatus {
        account: status.key.account.clone(),
        region: status.key.region.clone(),
        name: status.key.name.clone(),
        status: status.status.as_str().to_owned(),
        version: status.version,
        destination: s3.map_or_else(String::new, |s3| {
            format!("s3://{}/{}", s3.bucket(), s3.prefix())
        }),
        compression: s3.map_or_else(String::new, |s3| s3.compression.as_str().to_owned()),
        backlog_records: Some(status.backlog_records),
        backlog_bytes: Some(status.backlog_bytes),
        oldest_age_seconds: status.oldest.map(ago),
        in_flight: status.in_flight as u64,
        dropped_records: status.dropped_records,
        last_delivery: status.last_delivery.as_ref().map(|last| model::Delivered {
            at: last.time.as_millis(),
            age_seconds: ago(last.time),
            bucket: last.bucket.clone(),
            key: last.key.clone(),
        }),
        last_error: status.last_error.as_ref().map(failure),
    }
}

pub(super) fn flushed(flushed: Flushed) -> model::Flushed {
    model::Flushed {
        objects: flushed.objects,
    }
}

pub(super) fn fate(trace: Trace) -> model::Fate {
    match trace {
        Trace::Delivered { bucket, key, time } => model::Fate::Delivered {
            bucket,
            key,
            at: time.as_millis(),
        },
        Trace::InFlight { bucket, key } => model::Fate::InFlight { bucket, key },
        Trace::Buffered { since } => model::Fate::Buffered {
            since: since.as_millis(),
        },
        Trace::Failing { error, next_retry } => model::Fate::Failing {
            error: failure(&error),
            next_retry: next_retry.map(Timestamp::as_millis),
        },
        Trace::Expired { time } => model::Fate::Expired {
            at: time.as_millis(),
        },
        Trace::Empty => model::Fate::Empty,
        Trace::Unknown => model::Fate::Unknown,
    }
}

fn failure(error: &LastError) -> model::Failure {
    model::Failure {
        at: error.time.as_millis(),
        code: error.code.clone(),
        message: error.message.clone(),
    }
}
