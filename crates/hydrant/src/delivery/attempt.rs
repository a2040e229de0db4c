//! One span in flight: attempted until it is delivered, given up, or to be planned anew.

use std::{
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use futures::FutureExt;
use tokio::sync::watch;

use super::{
    Context,
    bell::Listener,
    checkpoint::Intent,
    cut::Age,
    encode::{self, SpanBody},
    lane::Lane,
    object,
    retry::{self, Next},
};
use crate::{
    destination::{DeliveryError, Object},
    stream::DeliveryStream,
};

/// How long a destination may take for one attempt at an object without a byte. Far longer than any that works
/// needs; one that hangs (a network file system that is gone) must not keep the uploads and memory of
/// all streams for ever.
const ATTEMPT_BASE: Duration = Duration::from_secs(15 * 60);
/// The slowest line that delivery is meant to work on, in bytes per second: slower than what the time-out of
/// one request to S3 allows for, so that an attempt that moves is not given up here.
const SLOWEST_LINE: u64 = 32 << 10;

/// How long a destination may take for one attempt at an object of so many bytes.
pub(crate) fn attempt_limit(bytes: u64) -> Duration {
    ATTEMPT_BASE + Duration::from_secs(bytes / SLOWEST_LINE)
}

/// How long a destination that failed is waited for when it is asked what it has after all.
const LAST_WORD: Duration = Duration::from_secs(30);

/// How it ended.
#[derive(Debug)]
pub(crate) enum Done {
    /// It is in the bucket, but for so many damaged frames.
    Delivered { damaged: u64 },
    /// Every frame of it is damaged: there is nothing to deliver.
    Void { damaged: u64 },
    /// Its records are too old.
    Expired(DeliveryError),
    /// It fails, and the stream's configuration has changed since it was planned.
    Stale,
    /// The worker stops.
    Stopped,
}

/// A span to deliver and all that it takes.
#[derive(Debug)]
pub(crate) struct Attempts {
    pub(crate) context: Arc<Context>,
    pub(crate) lane: Arc<Lane>,
    pub(crate) seed: u64,
    pub(crate) intent: Arc<Intent>,
    /// Damaged frames that the latest attempt passed over.
    pub(crate) damaged: AtomicU64,
    pub(crate) stream: watch::Receiver<Arc<DeliveryStream>>,
    pub(crate) nudge: Listener,
}

impl Attempts {
    /// Attempts until there is an end.
    pub(crate) async fn run(mut self) -> Done {
        let start = self.intent.span.start;
        let began = self.context.moment();
        let youngest = Age::of(self.intent.newest, began);
        let mut failures = 0;
        loop {
            self.nudge.forget();
            self.lane.trying(start);
            // The first attempt is made as planned even if the configuration has changed: after a crash the
            // object may be there already, and elsewhere it would be there twice.
            let once = AssertUnwindSafe(self.once(failures > 0)).catch_unwind();
            let error = match once.await {
                Ok(Ok(done)) => return done,
                Ok(Err(error)) => error,
                // A defect, here or in a library; it must not take the span out of the world.
                Err(_) => DeliveryError::internal("the attempt panicked"),
            };
            failures += 1;
            let pause = retry::pause(failures, self.context.chance.fraction());
            let now = self.context.moment();
            // Old by both clocks: the wall clock may have jumped, or been wrong when this began.
            let age = youngest.at(now).min(now.wall.since(self.intent.newest));
            let tried = now.monotonic.saturating_sub(began.monotonic);
            let next = retry::next(pause, age, tried, self.context.settings.retention);
            let next_retry = match next {
                Next::After(pause) => Some(now.wall.plus(pause)),
                Next::GiveUp => None,
            };
            self.lane.failed(start, &error, now.wall, next_retry);
            self.log(&error, failures);
            if self.is_stale() {
                return self.end(Done::Stale).await;
            }
            let Next::After(pause) = next else {
                return self.end(Done::Expired(error)).await;
            };
            if !self.wait(self.context.clock.sleep(pause)).await {
                return Done::Stopped;
            }
            if self.is_stale() {
                return self.end(Done::Stale).await;
            }
        }
    }

    /// The end of a span that fails: this one, unless an attempt has succeeded unheard. What is planned anew would be in
    /// two objects then, and what is given up would not be lost.
    async fn end(&self, end: Done) -> Done {
        let held = async {
            let intent = &self.intent;
            let region = &self.lane.key.region;
            let destination = self
                .context
                .destinations
                .find(&intent.destination, region)?;
            destination.holds(&intent.key).await
        };
        let held = tokio::select! {
            biased;
            held = held => held.unwrap_or(false),
            () = self.context.clock.sleep(LAST_WORD) => false,
        };
        if !held {
            return end;
        }
        let (stream, key) = (&self.lane.key, &self.intent.key);
        tracing::info!(%stream, key, "an attempt that seemed to fail has delivered");
        self.lane.done(self.intent.span.start);
        Done::Delivered {
            damaged: self.damaged.load(Relaxed),
        }
    }

    /// Waits for the pause to pass or a nudge, as a new configuration is one; false when the worker stops.
    async fn wait(&mut self, pause: impl Future<Output = ()>) -> bool {
        tokio::select! {
            biased;
            () = self.lane.stop.cancelled() => false,
            () = pause => true,
            () = self.nudge.heard() => true,
        }
    }

    fn is_stale(&self) -> bool {
        self.stream.borrow().version != self.intent.version
    }

    async fn once(&self, again: bool) -> Result<Done, DeliveryError> {
        let Context {
            destinations,
            engine,
            settings,
            uploads,
            memory,
            ..
        } = &*self.context;
        let closed = |_| DeliveryError::internal("delivery stopped");
        let permits = self
            .context
            .memory_permits(encode::memory(self.intent.bytes));
        let mut turn = None;
        let (destination, _upload, _memory) = loop {
            // A stream that fails makes one attempt at a time, so that many that fail leave room for the others.
            if turn.is_none() && self.lane.is_failing() {
                turn = Some(self.lane.turn.lock().await);
                if again && self.is_stale() {
                    return Ok(self.end(Done::Stale).await);
                }
            }
            let destination = destinations.find(&self.intent.destination, &self.lane.key.region)?;
            if self.lane.unreachable() {
                destination.probe().await?;
            }
            let upload = uploads.acquire().await.map_err(closed)?;
            let memory = memory.acquire_many(permits).await.map_err(closed)?;
            // A sibling may have failed while this one waited for room: then it waits for its turn instead.
            if turn.is_some() || !self.lane.is_failing() {
                break (destination, upload, memory);
            }
        };

        let body = Arc::new(SpanBody::new(
            engine.log.clone(),
            self.context.threads.clone(),
            self.lane.id,
            self.seed,
            self.intent.clone(),
            settings.gzip_level,
        ));
        let object = Object {
            key: self.intent.key.clone(),
            content_type: object::CONTENT_TYPE,
            content_encoding: object::content_encoding(self.intent.destination.compression),
            body: body.clone(),
        };
        self.lane.series.attempts.inc();
        let limit = attempt_limit(self.intent.bytes);
        let delivered = tokio::select! {
            biased;
            delivered = destination.deliver(&object) => delivered,
            () = self.context.clock.sleep(limit) => Err(DeliveryError::Retry {
                code: "InternalError".to_owned(),
                message: format!("no answer in {} s", limit.as_secs()),
                unreachable: true,
            }),
        };
        let damaged = body.damaged();
        self.damaged.store(damaged, Relaxed);
        if body.is_void() {
            return Ok(Done::Void { damaged });
        }
        let receipt = delivered?;
        self.lane.series.success.inc();
        self.lane.reached();
        self.lane.done(self.intent.span.start);
        tracing::debug!(
            stream = %self.lane.key, key = object.key, bytes = receipt.bytes,
            records = self.intent.records, "delivered"
        );
        Ok(Done::Delivered { damaged })
    }

    /// SPEC §6.3's members, as far as a log line has them.
    fn log(&self, error: &DeliveryError, failures: u32) {
        tracing::warn!(
            deliveryStreamARN = self.lane.key.arn(),
            destination = self.intent.destination.bucket_arn,
            deliveryStreamVersionId = self.intent.version,
            errorCode = error.code(),
            failures,
            key = self.intent.key,
            "delivery failed: {}",
            error.message()
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::destination::s3::{PART_BYTES, PARTS_AT_ONCE, REQUEST_TIMEOUT};

    #[test]
    fn an_object_whose_every_part_just_makes_it_is_not_given_up() {
        for parts in [1, 2, 16, 17] {
            let rounds = u32::try_from(parts).unwrap().div_ceil(PARTS_AT_ONCE as u32);
            let bytes = parts * PART_BYTES as u64;
            assert!(
                attempt_limit(bytes) > REQUEST_TIMEOUT * rounds,
                "{parts} parts"
            );
        }
    }
}
