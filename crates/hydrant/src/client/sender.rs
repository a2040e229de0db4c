//! Sends batches until every record is acknowledged.
//!
//! * Only records that failed are sent again; those acknowledged never are.
//! * A record that failed waits: exponential, with jitter, so that several senders do not return
//!   together. An answer that accepts some records halves the next wait.
//! * With one batch in flight records keep their order, also when some are throttled, because a
//!   node that throttles accepts the first ones that fit.
//! * When the answer to a call is lost, its records may or may not be stored (SPEC §6.1). They are
//!   sent again and counted as [`Totals::unsure`].

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{Stream, StreamExt, TryStreamExt};
use hydrant_engine::{Chance, Clock};

use super::{
    batch::Batch,
    firehose::{CallError, PutAnswer},
};

/// First wait after a failure.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// Answers that may be lost before the first one arrives, less one.
const FIRST_TRIES: u32 = 2;
/// Longest wait.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Takes batches: a delivery stream behind `PutRecordBatch`.
#[async_trait]
pub trait Put: Send + Sync {
    /// Sends `records` in one call; which of them failed.
    async fn put(&self, records: &[Bytes]) -> Result<PutAnswer, CallError>;
}

/// How sending went so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Records acknowledged.
    pub records: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Calls answered.
    pub calls: u64,
    /// Records that were refused and sent again, each time counted.
    pub resent: u64,
    /// Records sent again because an answer was lost: they may be stored twice.
    pub unsure: u64,
    /// The RecordId that was given last.
    pub last_id: Option<String>,
}

/// Why sending ended early. What was acknowledged until then is stored.
#[derive(Debug, thiserror::Error)]
pub enum SendError<E> {
    /// The source of records failed.
    #[error("{0}")]
    Source(E),
    /// A call failed in a way that sending it again does not mend.
    #[error(transparent)]
    Call(CallError),
    /// Nothing was accepted for too long.
    #[error("no record was accepted for {} s; the last answer was: {last}", patience.as_secs())]
    GaveUp {
        /// How long it was tried.
        patience: Duration,
        /// The last answer.
        last: String,
    },
}

/// Sends batches to one stream.
pub struct Sender<P> {
    /// Where to.
    pub stream: P,
    /// Batches on their way at once; 1 keeps records in order.
    pub in_flight: usize,
    /// How long to keep trying while nothing is accepted.
    pub patience: Duration,
    /// For waiting.
    pub clock: Arc<dyn Clock>,
    /// For jitter.
    pub chance: Chance,
    /// How it went so far.
    pub counters: Counters,
}

/// [`Totals`] as they grow.
#[derive(Debug, Default)]
pub struct Counters {
    records: AtomicU64,
    bytes: AtomicU64,
    calls: AtomicU64,
    resent: AtomicU64,
    unsure: AtomicU64,
    last_id: Mutex<Option<String>>,
}

impl Counters {
    fn totals(&self) -> Totals {
        Totals {
            records: self.records.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            calls: self.calls.load(Relaxed),
            resent: self.resent.load(Relaxed),
            unsure: self.unsure.load(Relaxed),
            last_id: self
                .last_id
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone(),
        }
    }
}

impl<P: Put> Sender<P> {
    /// Sends every batch; resolves when all records are acknowledged. `progress` is called after
    /// each answer.
    ///
    /// # Errors
    /// See [`SendError`]; batches after the failure are not sent.
    pub async fn send<E>(
        &self,
        batches: impl Stream<Item = Result<Batch, E>>,
        progress: impl Fn(Totals) + Send + Sync,
    ) -> Result<(), SendError<E>> {
        batches
            .map(|batch| async {
                let batch = batch.map_err(SendError::Source)?;
                self.send_batch(batch, &progress).await
            })
            .buffered(self.in_flight.max(1))
            .try_for_each(|()| std::future::ready(Ok(())))
            .await
    }

    /// How it went so far, also after an error.
    pub fn totals(&self) -> Totals {
        self.counters.totals()
    }

    async fn send_batch<E>(
        &self,
        batch: Batch,
        progress: &(impl Fn(Totals) + Sync),
    ) -> Result<(), SendError<E>> {
        let counters = &self.counters;
        let mut left = batch.records;
        let mut failures = 0u32;
        let mut accepted_at = self.clock.monotonic();
        while !left.is_empty() {
            let last = match self.stream.put(&left).await {
                Ok(answer) => {
                    let before = left.len();
                    counters.calls.fetch_add(1, Relaxed);
                    left = settle(left, &answer, counters);
                    if left.len() < before {
                        accepted_at = self.clock.monotonic();
                        failures /= 2;
                    }
                    counters.resent.fetch_add(left.len() as u64, Relaxed);
                    progress(counters.totals());
                    if left.is_empty() {
                        return Ok(());
                    }
                    answer.reason()
                }
                Err(error) if counters.calls.load(Relaxed) == 0 && is_wrong(&error, failures) => {
                    return Err(SendError::Call(error));
                }
                Err(error @ CallError::Lost { .. }) => {
                    counters.unsure.fetch_add(left.len() as u64, Relaxed);
                    error.to_string()
                }
                Err(error) if error.is_retryable() => {
                    counters.resent.fetch_add(left.len() as u64, Relaxed);
                    error.to_string()
                }
                Err(error) => return Err(SendError::Call(error)),
            };
            if self.clock.monotonic().saturating_sub(accepted_at) > self.patience {
                return Err(SendError::GaveUp {
                    patience: self.patience,
                    last,
                });
            }
            self.clock
                .sleep(wait(failures, self.chance.fraction()))
                .await;
            failures = failures.saturating_add(1);
        }
        Ok(())
    }
}

/// Whether `error`, where nothing was ever answered, means a wrong address rather than a restart.
fn is_wrong(error: &CallError, failures: u32) -> bool {
    match error {
        CallError::Unreachable { .. } => true,
        CallError::Lost { .. } => failures >= FIRST_TRIES,
        _ => false,
    }
}

/// Counts what was accepted; gives back what was not, in order.
fn settle(records: Vec<Bytes>, answer: &PutAnswer, counters: &Counters) -> Vec<Bytes> {
    if let Some(id) = answer.last_id() {
        let mut last = counters
            .last_id
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *last = Some(id.to_owned());
    }
    let mut left = Vec::new();
    for (index, record) in records.into_iter().enumerate() {
        if answer.failed(index) {
            left.push(record);
        } else {
            counters.records.fetch_add(1, Relaxed);
            counters.bytes.fetch_add(record.len() as u64, Relaxed);
        }
    }
    left
}

/// The wait before try number `failures + 2`: between half and all of an exponential.
fn wait(failures: u32, fraction: f64) -> Duration {
    let full = FIRST_WAIT
        .saturating_mul(1 << failures.min(16))
        .min(LONGEST_WAIT);
    full.mul_f64(0.5 + fraction / 2.0)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use hydrant_engine::{ManualClock, Timestamp};

    use super::*;

    /// Accepts `room` records a call, and says busy on every third call.
    struct Narrow {
        room: usize,
        state: Mutex<(u64, Vec<Bytes>)>,
    }

    #[async_trait]
    impl Put for Narrow {
        async fn put(&self, records: &[Bytes]) -> Result<PutAnswer, CallError> {
            let mut state = self.state.lock().unwrap();
            state.0 += 1;
            if state.0.is_multiple_of(3) {
                return Err(CallError::Busy {
                    code: "ServiceUnavailableException".to_owned(),
                    message: "Slow down.".to_owned(),
                });
            }
            let fits = records.len().min(self.room);
            state.1.extend_from_slice(&records[..fits]);
            Ok(PutAnswer::with_failures(records.len(), |index| {
                (index >= fits).then(|| ("ServiceUnavailableException".into(), "Slow down.".into()))
            }))
        }
    }

    fn sender<P>(stream: P, clock: &ManualClock) -> Sender<P> {
        Sender {
            stream,
            in_flight: 1,
            patience: Duration::from_secs(60),
            clock: Arc::new(clock.clone()),
            chance: Chance::seeded(1),
            counters: Counters::default(),
        }
    }

    /// Runs `future` while the clock moves whenever somebody sleeps.
    async fn with_time<F: Future>(clock: &ManualClock, future: F) -> F::Output {
        tokio::select! {
            biased;
            done = future => done,
            () = async {
                loop {
                    tokio::task::yield_now().await;
                    if clock.sleepers() > 0 {
                        clock.advance(LONGEST_WAIT);
                    }
                }
            } => unreachable!("the clock's loop has no end"),
        }
    }

    #[tokio::test]
    async fn throttled_records_arrive_once_and_in_order() {
        let clock = ManualClock::new(Timestamp(0));
        let records: Vec<Bytes> = (0..50).map(|n| Bytes::from(n.to_string())).collect();
        let all = records.iter().cloned().map(Ok::<_, Infallible>);
        let stream = Narrow {
            room: 7,
            state: Mutex::default(),
        };
        let sender = sender(stream, &clock);
        let sending = sender.send(futures::stream::iter(super::super::batches(all)), |_| {});
        with_time(&clock, sending).await.unwrap();
        let totals = sender.totals();
        assert_eq!(totals.records, 50);
        assert!(totals.resent > 50, "{totals:?}");
        assert_eq!(totals.unsure, 0);
        assert_eq!(sender.stream.state.into_inner().unwrap().1, records);
    }

    #[tokio::test]
    async fn a_stream_that_never_accepts_ends_it() {
        let clock = ManualClock::new(Timestamp(0));
        let stream = Narrow {
            room: 0,
            state: Mutex::default(),
        };
        let sender = sender(stream, &clock);
        let batch = [Ok::<_, Infallible>(Batch {
            records: vec![Bytes::from_static(b"a")],
            bytes: 1,
        })];
        let error = with_time(&clock, sender.send(futures::stream::iter(batch), |_| {})).await;
        let error = error.unwrap_err().to_string();
        assert!(
            error.contains("60 s") && error.contains("Slow down."),
            "{error}"
        );
    }

    /// What answers speaks something else.
    struct Strange;

    #[async_trait]
    impl Put for Strange {
        async fn put(&self, _: &[Bytes]) -> Result<PutAnswer, CallError> {
            Err(CallError::Lost {
                endpoint: "http://here".to_owned(),
                detail: "connection closed".to_owned(),
            })
        }
    }

    #[tokio::test]
    async fn an_address_that_never_answers_is_given_up_soon() {
        let clock = ManualClock::new(Timestamp(0));
        let sender = sender(Strange, &clock);
        let batch = [Ok::<_, Infallible>(Batch {
            records: vec![Bytes::from_static(b"a")],
            bytes: 1,
        })];
        let error = with_time(&clock, sender.send(futures::stream::iter(batch), |_| {})).await;
        assert!(matches!(
            error,
            Err(SendError::Call(CallError::Lost { .. }))
        ));
        assert_eq!(sender.totals().unsure, u64::from(FIRST_TRIES));
    }

    #[test]
    fn waits_grow_to_a_limit() {
        assert_eq!(wait(0, 0.0), FIRST_WAIT / 2);
        assert_eq!(wait(1, 1.0), FIRST_WAIT * 2);
        assert_eq!(wait(u32::MAX, 1.0), LONGEST_WAIT);
    }
}
