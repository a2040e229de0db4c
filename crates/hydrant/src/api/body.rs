//! A request's body, read under limits: size, rate, and the bytes that all bodies together may hold.
//!
//! The hash is made while the bytes arrive, so that it costs no second pass over cold memory.

use std::sync::Arc;

use aws_lc_rs::digest;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hydrant_engine::Clock;
use hyper::body::Body;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{ApiError, limits::ServerLimits};

/// One permit stands for so many bytes.
const PERMIT_BYTES: usize = 1024;

/// Why a body could not be had.
#[derive(Debug)]
pub(super) enum BodyError {
    /// Answer this; `close` when the rest of the body was not read.
    Refused { error: ApiError, close: bool },
    /// The connection broke: there is nobody to answer.
    Broken,
}

/// A body that has arrived. It holds its share of the bytes in flight until it is dropped.
#[derive(Debug)]
pub(super) struct Arrived {
    pub(super) bytes: Bytes,
    /// Lower-case hex, when it was asked for; empty otherwise.
    pub(super) sha256: String,
    _share: OwnedSemaphorePermit,
}

/// Reads bodies within limits. One for each node.
#[derive(Debug)]
pub(super) struct BodyReader {
    clock: Arc<dyn Clock>,
    limits: ServerLimits,
    in_flight: Arc<Semaphore>,
}

impl BodyReader {
    pub(super) fn new(clock: Arc<dyn Clock>, limits: ServerLimits) -> Self {
        // A node that could not hold one body could not work at all.
        let bytes = limits.bytes_in_flight.max(limits.body_bytes + PERMIT_BYTES);
        let permits = (bytes / PERMIT_BYTES).min(Semaphore::MAX_PERMITS);
        BodyReader {
            clock,
            limits,
            in_flight: Arc::new(Semaphore::new(permits)),
        }
    }

    /// Reads `body` to its end; with its hash if `hashed`.
    ///
    /// hyper answers `Expect: 100-continue` at the first poll of the body, so all that can be
    /// refused by the declared length is refused before.
    pub(super) async fn read<B>(&self, mut body: B, hashed: bool) -> Result<Arrived, BodyError>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let most = self.limits.body_bytes;
        let declared = body.size_hint().exact().map(usize::try_from);
        let expected = match declared {
            Some(Ok(length)) if length <= most => length,
            Some(length) => {
                let drains = length.is_ok_and(|length| length <= self.limits.drained_bytes);
                let close = !drains || self.drain(&mut body).await.is_err();
                let error = ApiError::RequestEntityTooLarge;
                return Err(BodyError::Refused { error, close });
            }
            // Its length is unknown, so it has room for the largest.
            None => most,
        };
        let share = self.share(expected).await?;
        let mut hash = hashed.then(|| digest::Context::new(&digest::SHA256));
        let mut single = Bytes::new();
        let mut joined = BytesMut::new();
        let started = self.clock.monotonic();
        let mut received = 0;
        while let Some(chunk) = self.next(&mut body, started, received).await? {
            received += chunk.len();
            if received > most {
                drop((single, joined, share));
                let close = self.drain(&mut body).await.is_err();
                let error = ApiError::RequestEntityTooLarge;
                return Err(BodyError::Refused { error, close });
            }
            if let Some(hash) = &mut hash {
                hash.update(&chunk);
            }
            // Small bodies come in one piece, which needs no copy.
            if single.is_empty() && joined.is_empty() {
                single = chunk;
            } else {
                if joined.is_empty() {
                    joined.reserve(if declared.is_some() {
                        expected
                    } else {
                        2 * received
                    });
                    joined.extend_from_slice(&std::mem::take(&mut single));
                }
                joined.extend_from_slice(&chunk);
            }
        }
        Ok(Arrived {
            bytes: if joined.is_empty() {
                single
            } else {
                joined.freeze()
            },
            sha256: hash
                .map(|hash| hex::encode(hash.finish()))
                .unwrap_or_default(),
            _share: share,
        })
    }

    async fn share(&self, bytes: usize) -> Result<OwnedSemaphorePermit, BodyError> {
        let permits = u32::try_from(bytes.div_ceil(PERMIT_BYTES)).unwrap_or(u32::MAX);
        if let Ok(share) = self.in_flight.clone().try_acquire_many_owned(permits) {
            return Ok(share);
        }
        tokio::select! {
            biased;
            share = self.in_flight.clone().acquire_many_owned(permits) => {
                share.map_err(|_| BodyError::Broken)
            }
            () = self.clock.sleep(self.limits.in_flight_wait) => {
                Err(BodyError::Refused { error: ApiError::slow_down(), close: true })
            }
        }
    }

    /// The next piece of data, unless the body is slower than it may be.
    async fn next<B>(
        &self,
        body: &mut B,
        started: std::time::Duration,
        received: usize,
    ) -> Result<Option<Bytes>, BodyError>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let earned = received as u64 * 1000 / self.limits.body_bytes_per_second.max(1);
        let allowed = self.limits.body_grace + std::time::Duration::from_millis(earned);
        let spent = self.clock.monotonic().saturating_sub(started);
        let out_of_time = self.clock.sleep(allowed.saturating_sub(spent));
        tokio::pin!(out_of_time);
        loop {
            tokio::select! {
                biased;
                frame = body.frame() => match frame {
                    None => return Ok(None),
                    Some(Err(_)) => return Err(BodyError::Broken),
                    Some(Ok(frame)) => if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    },
                },
                () = &mut out_of_time => {
                    return Err(BodyError::Refused { error: ApiError::RequestTimeout, close: true });
                }
            }
        }
    }

    /// Reads and forgets, so that the client is done sending when it gets its answer.
    async fn drain<B>(&self, body: &mut B) -> Result<(), BodyError>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let started = self.clock.monotonic();
        let mut received = 0;
        while let Some(chunk) = self.next(body, started, received).await? {
            received += chunk.len();
            if received > self.limits.drained_bytes {
                return Err(BodyError::Broken);
            }
        }
        Ok(())
    }
}
