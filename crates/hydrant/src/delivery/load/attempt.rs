//! One attempt: a manifest into a bucket, or a COPY. Neither can panic its way out, hang for ever, or keep others out.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{FutureExt, stream::BoxStream};

use crate::{
    delivery::{Context, attempt::attempt_limit, lane::Lane},
    destination::{Body, BodyError, DeliveryError, Object},
    metrics::delivery::LoadSeries,
    stream::S3Spec,
    warehouse::{Load, Loaded},
};

/// `Content-Type` of manifests.
const CONTENT_TYPE: &str = "application/json";
/// How long a COPY may run. Far longer than any that works needs; one that hangs must not hold the stream up for ever.
const COPY_LIMIT: Duration = Duration::from_secs(24 * 60 * 60);

/// Bytes that are all there.
#[derive(Debug)]
struct Whole(Bytes);

impl Body for Whole {
    fn open(&self) -> BoxStream<'static, Result<Bytes, BodyError>> {
        let bytes = self.0.clone();
        Box::pin(futures::stream::once(async { Ok(bytes) }))
    }
}

/// Puts a manifest into the bucket of `leg`.
pub(crate) async fn write(
    context: &Context,
    lane: &Lane,
    leg: &S3Spec,
    key: String,
    manifest: Bytes,
) -> Result<(), DeliveryError> {
    let bytes = manifest.len() as u64;
    let object = Object {
        key,
        content_type: CONTENT_TYPE,
        content_encoding: None,
        body: Arc::new(Whole(manifest)),
    };
    let put = async {
        let destination = context.destinations.find(leg, &lane.key.region)?;
        let _upload = context.uploads.acquire().await.map_err(closed)?;
        destination.deliver(&object).await.map(|_| ())
    };
    let what = || format!("{} in {}", object.key, leg.bucket());
    guarded(context, attempt_limit(bytes), what, put).await
}

/// Runs a COPY.
pub(crate) async fn copy(
    context: &Context,
    series: &LoadSeries,
    load: &Load,
) -> Result<Loaded, DeliveryError> {
    let copy = async {
        let slot = context.copies.acquire(&load.warehouse.jdbc_url);
        let _slot = slot.await.map_err(closed)?;
        series.attempts.inc();
        let loaded = context.warehouse.copy(load).await?;
        series.success.inc();
        Ok(loaded)
    };
    guarded(context, COPY_LIMIT, || "COPY".to_owned(), copy).await
}

fn closed(_: tokio::sync::AcquireError) -> DeliveryError {
    DeliveryError::internal("delivery stopped")
}

async fn guarded<T>(
    context: &Context,
    limit: Duration,
    what: impl Fn() -> String,
    attempt: impl Future<Output = Result<T, DeliveryError>>,
) -> Result<T, DeliveryError> {
    tokio::select! {
        done = AssertUnwindSafe(attempt).catch_unwind() => match done {
            Ok(done) => done,
            // A defect, here or in a library; it must not take the stream's loading out of the world.
            Err(_) => Err(DeliveryError::internal(format!("{}: the attempt panicked", what()))),
        },
        () = context.clock.sleep(limit) => Err(DeliveryError::internal(format!(
            "{}: no answer in {} s",
            what(),
            limit.as_secs()
        ))),
    }
}
