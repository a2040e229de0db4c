//! From delivery's words to the admin port's.

use hydrant_engine::Timestamp;

use super::model;
use crate::{
    delivery::{
        CopyStatus, Flushed, LastError, LoadFate, Loaded, StreamStatus, Trace, warehouse_name,
    },
    stream::DeliveryStream,
};

pub(super) fn stream(
    status: &StreamStatus,
    stream: Option<&DeliveryStream>,
    now: Timestamp,
) -> model::StreamStatus {
    let s3 = stream.map(|stream| stream.destination.s3());
    let bucket = s3.map(|s3| format!("s3://{}/{}", s3.bucket(), s3.prefix()));
    let warehouse = stream.and_then(|stream| stream.destination.redshift());
    let warehouse = warehouse.map(warehouse_name);
    let ago = |then: Timestamp| now.since(then).as_secs_f64();
    model::StreamStatus {
        account: status.key.account.clone(),
        region: status.key.region.clone(),
        name: status.key.name.clone(),
        status: status.status.as_str().to_owned(),
        version: status.version,
        bucket: bucket.clone().filter(|_| warehouse.is_some()),
        destination: warehouse.or(bucket).unwrap_or_default(),
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
        next_retry: status.next_retry.map(Timestamp::as_millis),
        copy: status.copy.as_ref().map(|copy| copying(copy, now)),
    }
}

fn copying(copy: &CopyStatus, now: Timestamp) -> model::Copying {
    model::Copying {
        state: copy.state.as_str().to_owned(),
        objects: copy.objects,
        records: copy.records,
        last_success: copy.last_success.as_ref().map(|last| model::Loaded {
            at: last.time.as_millis(),
            age_seconds: now.since(last.time).as_secs_f64(),
            rows: last.rows,
            manifest: last.manifest.clone(),
        }),
        error: copy.error.as_ref().map(failure),
        since: copy.since.map(Timestamp::as_millis),
        next_retry: copy.next_retry.map(Timestamp::as_millis),
        given_up_manifests: copy.given_up_manifests,
        given_up_records: copy.given_up_records,
        given_up: copy
            .given_up
            .iter()
            .map(|given_up| model::GivenUp {
                manifest: given_up.manifest.clone(),
                error: failure(&given_up.error),
                objects: given_up.objects,
                records: given_up.records,
                bytes: given_up.bytes,
            })
            .collect(),
    }
}

pub(super) fn flushed(flushed: Flushed) -> model::Flushed {
    model::Flushed {
        objects: flushed.objects,
    }
}

pub(super) fn copied(loaded: Loaded, stream: Option<&DeliveryStream>) -> model::Copied {
    let warehouse = stream.and_then(|stream| stream.destination.redshift());
    model::Copied {
        rows: loaded.rows,
        rejected: loaded.rejected,
        skipped: loaded.skipped,
        destination: warehouse.map(warehouse_name).unwrap_or_default(),
    }
}

pub(super) fn fate(trace: Trace) -> model::Fate {
    match trace {
        Trace::Delivered {
            bucket,
            key,
            time,
            load: fate,
        } => model::Fate::Delivered {
            bucket,
            key,
            at: time.as_millis(),
            load: fate.map(load),
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

fn load(fate: LoadFate) -> model::Load {
    match fate {
        LoadFate::Waiting => model::Load::Waiting,
        LoadFate::Failing { error, next_retry } => model::Load::Failing {
            error: failure(&error),
            next_retry: next_retry.map(Timestamp::as_millis),
        },
        LoadFate::Loaded { table, time } => model::Load::Loaded {
            table,
            at: time.as_millis(),
        },
        LoadFate::GivenUp { manifest, time } => model::Load::GivenUp {
            manifest,
            at: time.as_millis(),
        },
    }
}

fn failure(error: &LastError) -> model::Failure {
    model::Failure {
        at: error.time.as_millis(),
        code: error.code.clone(),
        message: error.message.clone(),
    }
}
