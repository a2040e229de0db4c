//! [`LocalLog`]: the trait [`Log`] over the parts of this module.

use std::{
    fmt,
    ops::Range,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use futures::stream::BoxStream;
use tokio::sync::{Notify, Semaphore, mpsc, oneshot, watch};

use super::{
    FRAME_LIMIT, QUEUE_BYTES, RecoveryReport, Settings, Shared, compact,
    format::{body_len, encode_ends},
    lock::DirLock,
    reader::{Cursor, Filled},
    recover, trim,
    writer::{Command, Request, Writer},
};
use crate::{
    engine::{EngineParts, OpenError},
    frame::Frame,
    log::{FrameMeta, LaneId, LaneUsage, Log, LogError, Position, Usage},
    threads::{self, Threads},
};

/// A queued frame takes at least this much of the queue, so that the number of frames is bounded too.
const QUEUE_LEAST: usize = 1 << 10;

/// The most records in one frame: 4 MiB of record ends. A request has 500.
const MAX_RECORDS: usize = 1 << 20;

/// A [`Log`] in segment files.
pub(crate) struct LocalLog {
    shared: Arc<Shared>,
    /// Room in the queue before the writer, in bytes.
    queue: Arc<Semaphore>,
    closing: AtomicBool,
    /// How many of the log's threads run.
    threads: watch::Receiver<u32>,
    /// Given up when the log closes.
    lock: Mutex<Option<Arc<DirLock>>>,
}

impl fmt::Debug for LocalLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalLog")
            .field("dir", &self.shared.dir)
            .finish()
    }
}

impl LocalLog {
    /// Opens the log in `dir`. Blocks.
    pub(crate) fn open(
        dir: PathBuf,
        settings: Settings,
        parts: &EngineParts,
        lock: &Arc<DirLock>,
    ) -> Result<(Self, RecoveryReport), OpenError> {
        let started = parts.clock.monotonic();
        let failed = |doing, source| OpenError::io(doing, &dir, source);
        let found = recover::find(&parts.disk, &dir)?;
        let next_id = AtomicU64::new(found.next_id);
        let (state, lanes, mut report) = found.into_state();
        let memory = lanes.memory().clone();
        let (commands, commanded) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            disk: parts.disk.clone(),
            dir: dir.clone(),
            settings,
            chance: parts.chance.clone(),
            next_id,
            state: Mutex::new(state),
            lanes: Mutex::new(lanes),
            commands,
            tidy: Notify::new(),
            threads: parts.threads.clone(),
        });
        recover::reapply(&shared, &memory);
        let writer = Writer::new(shared.clone(), commanded, lock.clone())
            .map_err(|why| failed("begin a segment in", std::io::Error::other(why)))?;
        {
            let state = shared.state();
            report.segments = state.segments.len();
            report.frames = state.lanes.values().map(|lane| lane.live.frames).sum();
        }
        let (running, threads) = watch::channel(0);
        let running = Arc::new(running);
        let alive = Alive::new(&running);
        let writing = async move {
            let _alive = alive;
            writer.run().await;
        };
        let (alive, kept, held) = (Alive::new(&running), shared.clone(), lock.clone());
        let clock = parts.clock.clone();
        let keeping = async move {
            let _alive = alive;
            compact::keep(&kept, &*clock, held).await;
        };
        parts
            .threads
            .spawn("log-writer", Box::pin(writing))
            .and_then(|()| parts.threads.spawn("log-keeper", Box::pin(keeping)))
            .map_err(|source| failed("start a thread for", source))?;
        shared.wake_keeper();
        report.took = parts.clock.monotonic().saturating_sub(started);
        let log = LocalLog {
            shared,
            queue: Arc::new(Semaphore::new(QUEUE_BYTES)),
            closing: AtomicBool::new(false),
            threads,
            lock: Mutex::new(Some(lock.clone())),
        };
        Ok((log, report))
    }

    /// Why the writer answers no more.
    fn gone(&self) -> LogError {
        let state = self.shared.state();
        match &state.failed {
            Some(why) => LogError::Failed(why.clone()),
            None if state.closed => LogError::Closed,
            None => LogError::Failed("the writing thread has stopped".to_owned()),
        }
    }
}

/// Counts a thread for as long as it lives, also should it panic.
struct Alive(Arc<watch::Sender<u32>>);

impl Alive {
    fn new(running: &Arc<watch::Sender<u32>>) -> Self {
        running.send_modify(|running| *running += 1);
        Alive(running.clone())
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.send_modify(|running| *running -= 1);
    }
}

impl Drop for LocalLog {
    fn drop(&mut self) {
        // The writer ends by itself, once it has written what waits; nobody can wait for it here.
        let _ = self.shared.commands.send(Command::Close);
    }
}

/// Runs what blocks where that is fine.
async fn blocking<T: Send + 'static>(
    threads: &dyn Threads,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, LogError> {
    let done = threads::blocking(threads, work).await;
    done.map_err(|stopped| LogError::Failed(format!("a task of the log stopped: {stopped}")))
}

#[async_trait]
impl Log for LocalLog {
    async fn append(&self, lane: LaneId, frame: Frame) -> Result<Position, LogError> {
        let too_large = LogError::TooLarge {
            bytes: frame.bytes() as u64,
            limit: FRAME_LIMIT as u64,
        };
        let body_len = match body_len(&frame) {
            Some(len) if frame.bytes() <= FRAME_LIMIT && frame.records() <= MAX_RECORDS => len,
            _ => return Err(too_large),
        };
        if self.closing.load(Ordering::Acquire) {
            return Err(LogError::Closed);
        }
        let size = (body_len as usize).clamp(QUEUE_LEAST, QUEUE_BYTES);
        let size = u32::try_from(size).unwrap_or(u32::MAX);
        let permit = self.queue.clone().acquire_many_owned(size).await;
        let permit = permit.map_err(|_| LogError::Closed)?;
        // Here rather than in the writer: appends come from all cores, the writer is one.
        let ends = encode_ends(&frame);
        let mut crc = crc32fast::Hasher::new();
        crc.update(&ends);
        crc.update(frame.payload());
        let (reply, answer) = oneshot::channel();
        let request = Request {
            lane,
            frame,
            ends,
            body_len,
            body_crc: crc.finalize(),
            reply,
            _permit: permit,
        };
        if self.shared.commands.send(Command::Append(request)).is_err() {
            return Err(self.gone());
        }
        answer.await.unwrap_or_else(|_| Err(self.gone()))
    }

    fn follow(
        &self,
        lane: LaneId,
        from: Position,
    ) -> BoxStream<'static, Result<FrameMeta, LogError>> {
        let shared = self.shared.clone();
        let begun = {
            let mut state = shared.state();
            // A lane may be followed before its first frame.
            let wake = state.lane(lane).map(|lane| lane.wake.subscribe());
            drop(state);
            wake.zip(Cursor::new(&shared, lane, from))
        };
        let threads = shared.threads.clone();
        // A follower must not keep a log alive that was dropped.
        drop(shared);
        Box::pin(async_stream::stream! {
            let Some((mut wake, mut cursor)) = begun else {
                return;
            };
            loop {
                wake.mark_unchanged();
                match cursor.fill() {
                    Filled::Ready => {}
                    Filled::OnDisk(segment, row) => {
                        let filled = blocking(&*threads, move || {
                            let filled = cursor.fill_from(&segment, &row);
                            (cursor, filled)
                        })
                        .await;
                        match filled {
                            Ok((back, filled)) => {
                                cursor = back;
                                if let Err(error) = filled {
                                    let final_one = matches!(error, LogError::Failed(_));
                                    yield Err(error);
                                    if final_one {
                                        break;
                                    }
                                }
                            }
                            Err(error) => {
                                yield Err(error);
                                break;
                            }
                        }
                    }
                    Filled::Nothing { ended: true } => break,
                    Filled::Nothing { ended: false } => {
                        // The lane was removed or the log dropped: nothing more will come.
                        if wake.changed().await.is_err() {
                            break;
                        }
                    }
                }
                while let Some(entry) = cursor.pop() {
                    if entry.lost {
                        yield Err(cursor.lost(&entry));
                    } else {
                        yield Ok(FrameMeta {
                            position: Position(entry.position),
                            arrival: entry.arrival,
                            records: entry.records,
                            bytes: entry.bytes(),
                        });
                    }
                }
            }
        })
    }

    fn read(
        &self,
        lane: LaneId,
        range: Range<Position>,
    ) -> BoxStream<'static, Result<(Position, Frame), LogError>> {
        let cursor = Cursor::new(&self.shared, lane, range.start);
        let threads = self.shared.threads.clone();
        // What becomes durable later is not waited for.
        let last = self
            .shared
            .state()
            .lanes
            .get(&lane)
            .map_or(0, |lane| lane.last);
        let end = range.end.0.min(last.saturating_add(1));
        Box::pin(async_stream::stream! {
            let Some(mut cursor) = cursor else {
                return;
            };
            loop {
                let piece = blocking(&*threads, move || {
                    let piece = cursor.read_piece(end);
                    (cursor, piece)
                })
                .await;
                let piece = match piece {
                    Ok((back, piece)) => {
                        cursor = back;
                        piece
                    }
                    Err(error) => {
                        yield Err(error);
                        break;
                    }
                };
                if piece.is_empty() {
                    break;
                }
                for frame in piece {
                    let final_one = matches!(frame, Err(LogError::Failed(_)));
                    yield frame;
                    if final_one {
                        return;
                    }
                }
            }
        })
    }

    async fn trim(&self, lane: LaneId, keep_from: Position) -> Result<(), LogError> {
        let shared = self.shared.clone();
        blocking(&*self.shared.threads, move || {
            trim::trim(&shared, lane, keep_from.0)
        })
        .await
    }

    async fn remove(&self, lane: LaneId) -> Result<(), LogError> {
        let shared = self.shared.clone();
        let removed = blocking(&*self.shared.threads, move || trim::remove(&shared, lane)).await?;
        removed.map_err(|error| LogError::Failed(format!("removing lane {lane}: {error}")))
    }

    async fn lanes(&self) -> Result<Vec<LaneId>, LogError> {
        let state = self.shared.state();
        let held = state.lanes.iter().filter(|(_, lane)| lane.live.frames > 0);
        let mut lanes: Vec<_> = held.map(|(&id, _)| id).collect();
        lanes.sort_unstable();
        Ok(lanes)
    }

    fn lane_usage(&self, lane: LaneId) -> LaneUsage {
        self.shared.state().lane_usage(lane)
    }

    fn usage(&self) -> Usage {
        let settings = &self.shared.settings;
        let free = self.shared.disk.available(&self.shared.dir);
        let state = self.shared.state();
        let spare = state.spare.bytes();
        let free = free.unwrap_or(u64::MAX).saturating_add(spare);
        let freed = state.freed_by_rolling();
        let unreserved = free
            .saturating_add(freed)
            .saturating_sub(settings.min_free_bytes);
        let allowed = settings.max_log_bytes.map_or(u64::MAX, |max| {
            max.saturating_add(freed + spare)
                .saturating_sub(state.disk_bytes + settings.segment_bytes)
        });
        // Only whole segments are begun, and what is left of this one counts no more once it was too little.
        let least = settings.least_segment_bytes().max(state.refused);
        let begun = Some(free.min(unreserved).min(allowed)).filter(|&room| room >= least);
        let left = match state.refused {
            0 => state.active.file_bytes.saturating_sub(state.active.written),
            _ => 0,
        };
        Usage {
            disk_bytes: state.disk_bytes,
            free_bytes: begun.unwrap_or(0).saturating_add(left),
            damaged_frames: state.damaged_frames,
            writable: state.failed.is_none() && !state.closed,
        }
    }

    fn frame_limit(&self) -> usize {
        FRAME_LIMIT
    }

    async fn close(&self) -> Result<(), LogError> {
        self.closing.store(true, Ordering::Release);
        // An error means that the writer has ended, which is what is wanted.
        let _ = self.shared.commands.send(Command::Close);
        let mut threads = self.threads.clone();
        // An error means that all have ended.
        let _ = threads.wait_for(|&running| running == 0).await;
        let shared = self.shared.clone();
        blocking(&*self.shared.threads, move || {
            if let Err(error) = shared.lanes().sync() {
                // A trim may be undone.
                tracing::warn!("the last trims may be forgotten: {error}");
            }
        })
        .await?;
        let mut lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        *lock = None;
        Ok(())
    }
}
