//! A span's records as an object's bytes: reads the log, compresses, hides both behind [`Body`].
//!
//! Small spans are read whole and compressed in one go; large ones flow through in pieces. In both
//! cases compression runs on blocking threads, and an attempt holds no more than [`memory`] says.
//! Damaged frames are passed over and counted: what is readable is delivered.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use bytes::{Bytes, BytesMut};
use futures::{StreamExt, stream::BoxStream};
use hydrant_engine::{LaneId, Log, LogError, Threads, threads};

use super::{
    checkpoint::Intent,
    compress::{self, CompressError, Stream},
    object::{Purpose, span_uuid},
};
use crate::{
    destination::{Body, BodyError},
    stream::CompressionFormat,
};

/// Spans up to this many bytes of record data are compressed as a whole.
pub const WHOLE_LIMIT: u64 = 16 << 20;
/// Small frames are put together to pieces of this many bytes: each piece costs a hop between threads.
const CHUNK: usize = 256 << 10;
/// Larger ones are compressed in pieces of this many bytes.
const PIECE: usize = 1 << 20;
/// What an attempt holds besides record data: a destination's parts in flight and the compressor's state.
const OVERHEAD: u64 = 1 << 20;
/// What an attempt on a large span holds: a few pieces, and three parts of a multipart upload.
const STREAMING: u64 = 28 << 20;

/// Bytes that delivering a span may hold at a time.
pub(crate) fn memory(bytes: u64) -> u64 {
    if bytes <= WHOLE_LIMIT {
        // Input and output, which is hardly ever larger.
        bytes * 2 + OVERHEAD
    } else {
        STREAMING
    }
}

/// The body of a span's object.
pub(crate) struct SpanBody {
    log: Arc<dyn Log>,
    threads: Arc<dyn Threads>,
    lane: LaneId,
    intent: Arc<Intent>,
    format: CompressionFormat,
    level: u32,
    entry: String,
    damaged: Arc<AtomicU64>,
    void: Arc<AtomicBool>,
}

impl SpanBody {
    pub(crate) fn new(
        log: Arc<dyn Log>,
        threads: Arc<dyn Threads>,
        lane: LaneId,
        seed: u64,
        intent: Arc<Intent>,
        level: u32,
    ) -> Self {
        SpanBody {
            log,
            threads,
            lane,
            format: intent.destination.compression,
            entry: span_uuid(seed, lane, intent.span, Purpose::Entry).to_string(),
            intent,
            level,
            damaged: Arc::default(),
            void: Arc::default(),
        }
    }

    /// Damaged frames that the latest reading passed over.
    pub(crate) fn damaged(&self) -> u64 {
        self.damaged.load(Ordering::Relaxed)
    }

    /// Whether the latest reading found no byte at all; it ended with an error then.
    pub(crate) fn is_void(&self) -> bool {
        self.void.load(Ordering::Relaxed)
    }

    /// Record data of the span, back to back, frame by frame.
    fn frames(&self) -> BoxStream<'static, Result<Bytes, BodyError>> {
        let mut frames = self
            .log
            .read(self.lane, self.intent.span.start..self.intent.span.end);
        let (damaged, void) = (self.damaged.clone(), self.void.clone());
        let expected = self.intent.records;
        damaged.store(0, Ordering::Relaxed);
        void.store(false, Ordering::Relaxed);
        Box::pin(async_stream::stream! {
            let (mut some, mut records) = (false, 0);
            while let Some(frame) = frames.next().await {
                match frame {
                    Ok((_, frame)) => {
                        some |= frame.bytes() > 0;
                        records += frame.records() as u64;
                        yield Ok(frame.payload().clone());
                    }
                    Err(error @ LogError::Damaged { .. }) => {
                        damaged.fetch_add(1, Ordering::Relaxed);
                        tracing::error!(%error, "a damaged frame is left out of its object");
                    }
                    Err(error) => {
                        yield Err(BodyError(error.to_string()));
                        return;
                    }
                }
            }
            if records < expected && damaged.load(Ordering::Relaxed) == 0 {
                // A file of the log is gone or unreadable as a whole: no frame is left to tell.
                damaged.store(1, Ordering::Relaxed);
                tracing::error!(
                    missing = expected - records,
                    "records that the log once had are gone from it, and left out of their object"
                );
            }
            if !some {
                void.store(true, Ordering::Relaxed);
                yield Err(BodyError("no record can be read".to_owned()));
            }
        })
    }
}

/// The same bytes in pieces of at least [`CHUNK`] but for the last one.
fn joined(
    mut frames: BoxStream<'static, Result<Bytes, BodyError>>,
) -> BoxStream<'static, Result<Bytes, BodyError>> {
    Box::pin(async_stream::try_stream! {
        let mut chunk = BytesMut::new();
        while let Some(frame) = frames.next().await.transpose()? {
            if chunk.is_empty() && frame.len() >= CHUNK {
                yield frame;
                continue;
            }
            chunk.extend_from_slice(&frame);
            if chunk.len() >= CHUNK {
                yield chunk.split().freeze();
            }
        }
        if !chunk.is_empty() {
            yield chunk.freeze();
        }
    })
}

impl fmt::Debug for SpanBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpanBody")
            .field("lane", &self.lane)
            .field("span", &self.intent.span)
            .field("format", &self.format)
            .finish_non_exhaustive()
    }
}

impl Body for SpanBody {
    fn open(&self) -> BoxStream<'static, Result<Bytes, BodyError>> {
        let frames = self.frames();
        if self.format == CompressionFormat::Uncompressed {
            return joined(frames);
        }
        let (format, level, entry) = (self.format, self.level, self.entry.clone());
        let threads = self.threads.clone();
        if self.intent.bytes <= WHOLE_LIMIT {
            let capacity = usize::try_from(self.intent.bytes).unwrap_or_default();
            let work = move |input| compress::whole(format, level, &entry, input);
            Box::pin(futures::stream::once(whole(
                threads, frames, capacity, work,
            )))
        } else {
            in_pieces(threads, joined(frames), format, level, entry)
        }
    }
}

async fn whole(
    threads: Arc<dyn Threads>,
    mut frames: BoxStream<'static, Result<Bytes, BodyError>>,
    capacity: usize,
    compress: impl FnOnce(Vec<u8>) -> Result<Vec<u8>, CompressError> + Send + 'static,
) -> Result<Bytes, BodyError> {
    let mut input = Vec::with_capacity(capacity);
    while let Some(frame) = frames.next().await {
        input.extend_from_slice(&frame?);
    }
    blocking(&*threads, move || compress(input))
        .await
        .map(|mut output| {
            output.shrink_to_fit();
            Bytes::from(output)
        })
}

fn in_pieces(
    threads: Arc<dyn Threads>,
    mut records: BoxStream<'static, Result<Bytes, BodyError>>,
    format: CompressionFormat,
    level: u32,
    entry: String,
) -> BoxStream<'static, Result<Bytes, BodyError>> {
    Box::pin(async_stream::try_stream! {
        let mut stream = Stream::new(format, level, &entry).map_err(body_error)?;
        let mut piece = BytesMut::new();
        loop {
            let more = records.next().await.transpose()?;
            let ended = more.is_none();
            piece.extend_from_slice(&more.unwrap_or_default());
            if piece.len() < PIECE && !ended {
                continue;
            }
            let input = std::mem::take(&mut piece);
            let (left, output) = blocking(&*threads, move || {
                let mut output = Vec::with_capacity(input.len() / 2);
                stream.push(&input, &mut output)?;
                if ended {
                    stream.finish(&mut output)?;
                    return Ok((None, output));
                }
                Ok((Some(stream), output))
            })
            .await?;
            if !output.is_empty() {
                yield Bytes::from(output);
            }
            match left {
                Some(left) => stream = left,
                None => break,
            }
        }
    })
}

fn body_error(error: CompressError) -> BodyError {
    BodyError(error.to_string())
}

/// Runs on a thread that may block: compression must not hold up the API.
async fn blocking<T: Send + 'static>(
    threads: &dyn Threads,
    work: impl FnOnce() -> Result<T, CompressError> + Send + 'static,
) -> Result<T, BodyError> {
    match threads::blocking(threads, work).await {
        Ok(done) => done.map_err(body_error),
        Err(stopped) => Err(BodyError(stopped.to_string())),
    }
}
