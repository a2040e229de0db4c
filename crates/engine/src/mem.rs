//! The reference model of both traits: the shortest code that keeps their promises, but for
//! surviving a crash. Other engines are tested against it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use tokio::sync::watch;

use crate::{
    catalog::{Catalog, CatalogError, Change, Expect, Version, Versioned},
    frame::Frame,
    log::{FrameMeta, LaneId, LaneUsage, Log, LogError, Position, Usage},
};

/// The largest frame that [`MemLog`] takes.
const FRAME_LIMIT: usize = 16 << 20;

/// A [`Log`] in memory.
pub struct MemLog {
    state: Arc<Mutex<LogState>>,
    /// Told of each change; followers wait on it.
    changed: watch::Sender<()>,
}

#[derive(Default)]
struct LogState {
    lanes: BTreeMap<LaneId, BTreeMap<Position, Frame>>,
    removed: BTreeSet<LaneId>,
    /// Shared by all lanes, so that nobody comes to rely on dense positions.
    last_position: u64,
    closed: bool,
}

impl MemLog {
    /// An empty log.
    pub fn new() -> Self {
        MemLog {
            state: Arc::default(),
            changed: watch::Sender::new(()),
        }
    }

    fn state(&self) -> MutexGuard<'_, LogState> {
        lock(&self.state)
    }
}

impl Default for MemLog {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemLog")
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn meta(position: Position, frame: &Frame) -> FrameMeta {
    FrameMeta {
        position,
        arrival: frame.arrival(),
        records: u32::try_from(frame.records()).unwrap_or(u32::MAX),
        bytes: frame.bytes() as u64,
    }
}

#[async_trait]
impl Log for MemLog {
    async fn append(&self, lane: LaneId, frame: Frame) -> Result<Position, LogError> {
        if frame.bytes() > FRAME_LIMIT {
            let (bytes, limit) = (frame.bytes() as u64, FRAME_LIMIT as u64);
            return Err(LogError::TooLarge { bytes, limit });
        }
        let mut state = self.state();
        if state.closed {
            return Err(LogError::Closed);
        }
        if state.removed.contains(&lane) {
            return Err(LogError::LaneRemoved(lane));
        }
        state.last_position += 1;
        let position = Position(state.last_position);
        state.lanes.entry(lane).or_default().insert(position, frame);
        drop(state);
        self.changed.send_replace(());
        Ok(position)
    }

    fn follow(
        &self,
        lane: LaneId,
        from: Position,
    ) -> BoxStream<'static, Result<FrameMeta, LogError>> {
        let state = self.state.clone();
        let mut changed = self.changed.subscribe();
        Box::pin(async_stream::stream! {
            let mut next = from;
            loop {
                changed.mark_unchanged();
                let (found, ended) = {
                    let state = lock(&state);
                    let found = state
                        .lanes
                        .get(&lane)
                        .and_then(|frames| frames.range(next..).next())
                        .map(|(&position, frame)| meta(position, frame));
                    (found, state.closed || state.removed.contains(&lane))
                };
                match found {
                    Some(meta) => {
                        next = meta.position.next();
                        yield Ok(meta);
                    }
                    None if ended => break,
                    // The log was dropped: nothing more will come.
                    None if changed.changed().await.is_err() => break,
                    None => {}
                }
            }
        })
    }

    fn read(
        &self,
        lane: LaneId,
        range: Range<Position>,
    ) -> BoxStream<'static, Result<(Position, Frame), LogError>> {
        let frames: Vec<_> = match self.state().lanes.get(&lane) {
            Some(frames) if range.start < range.end => frames
                .range(range)
                .map(|(&position, frame)| Ok((position, frame.clone())))
                .collect(),
            _ => Vec::new(),
        };
        stream::iter(frames).boxed()
    }

    async fn trim(&self, lane: LaneId, keep_from: Position) -> Result<(), LogError> {
        let mut state = self.state();
        if let Some(frames) = state.lanes.get_mut(&lane) {
            *frames = frames.split_off(&keep_from);
        }
        Ok(())
    }

    async fn remove(&self, lane: LaneId) -> Result<(), LogError> {
        let mut state = self.state();
        state.lanes.remove(&lane);
        state.removed.insert(lane);
        drop(state);
        self.changed.send_replace(());
        Ok(())
    }

    async fn lanes(&self) -> Result<Vec<LaneId>, LogError> {
        let state = self.state();
        Ok(state
            .lanes
            .iter()
            .filter(|(_, frames)| !frames.is_empty())
            .map(|(&l, _)| l)
            .collect())
    }

    fn lane_usage(&self, lane: LaneId) -> LaneUsage {
        let state = self.state();
        let mut usage = LaneUsage::default();
        for (position, frame) in state.lanes.get(&lane).into_iter().flatten() {
            usage.frames += 1;
            usage.records += frame.records() as u64;
            usage.bytes += frame.bytes() as u64;
            usage.oldest.get_or_insert(frame.arrival());
            usage.end = position.next();
        }
        usage
    }

    fn usage(&self) -> Usage {
        let state = self.state();
        let frames = state.lanes.values().flat_map(BTreeMap::values);
        Usage {
            disk_bytes: frames.map(|frame| frame.bytes() as u64).sum(),
            free_bytes: u64::MAX,
            damaged_frames: 0,
            writable: !state.closed,
        }
    }

    fn frame_limit(&self) -> usize {
        FRAME_LIMIT
    }

    async fn close(&self) -> Result<(), LogError> {
        self.state().closed = true;
        self.changed.send_replace(());
        Ok(())
    }
}

/// A [`Catalog`] in memory.
pub struct MemCatalog {
    state: Arc<Mutex<CatalogState>>,
    /// Told of each change; watchers wait on it.
    changed: watch::Sender<()>,
}

#[derive(Default)]
struct CatalogState {
    values: BTreeMap<String, Versioned>,
    /// The latest deletion of each key, for watchers.
    deleted: BTreeMap<String, Version>,
    last_version: u64,
    closed: bool,
}

impl CatalogState {
    fn open(&self) -> Result<(), CatalogError> {
        if self.closed {
            Err(CatalogError::Closed)
        } else {
            Ok(())
        }
    }

    fn next_version(&mut self) -> Version {
        self.last_version += 1;
        Version(self.last_version)
    }

    fn present(&self, prefix: &str) -> Vec<(String, Versioned)> {
        self.values
            .range(prefix.to_owned()..)
            .take_while(|(key, _)| key.starts_with(prefix))
            .map(|(key, versioned)| (key.clone(), versioned.clone()))
            .collect()
    }

    fn changes_after(&self, prefix: &str, after: Version) -> Vec<Change> {
        let puts = self
            .present(prefix)
            .into_iter()
            .map(|(key, versioned)| Change {
                key,
                version: versioned.version,
                value: Some(versioned.value),
            });
        let deletions = self
            .deleted
            .iter()
            .filter(|(key, _)| key.starts_with(prefix))
            .map(|(key, &version)| Change {
                key: key.clone(),
                version,
                value: None,
            });
        let mut changes: Vec<_> = puts
            .chain(deletions)
            .filter(|change| change.version > after)
            .collect();
        changes.sort_by_key(|change| change.version);
        changes
    }
}

impl MemCatalog {
    /// An empty catalog.
    pub fn new() -> Self {
        MemCatalog {
            state: Arc::default(),
            changed: watch::Sender::new(()),
        }
    }

    fn state(&self) -> MutexGuard<'_, CatalogState> {
        lock(&self.state)
    }
}

impl Default for MemCatalog {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemCatalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemCatalog")
    }
}

#[async_trait]
impl Catalog for MemCatalog {
    async fn get(&self, key: &str) -> Result<Option<Versioned>, CatalogError> {
        let state = self.state();
        state.open()?;
        Ok(state.values.get(key).cloned())
    }

    async fn put(&self, key: &str, value: Bytes, expect: Expect) -> Result<Version, CatalogError> {
        let mut state = self.state();
        state.open()?;
        let present = state.values.get(key).map(|versioned| versioned.version);
        let expected = match expect {
            Expect::Absent => None,
            Expect::Exactly(version) => Some(version),
        };
        if present != expected {
            return Err(CatalogError::Conflict {
                key: key.to_owned(),
            });
        }
        let version = state.next_version();
        state
            .values
            .insert(key.to_owned(), Versioned { version, value });
        state.deleted.remove(key);
        drop(state);
        self.changed.send_replace(());
        Ok(version)
    }

    async fn delete(&self, key: &str, version: Version) -> Result<(), CatalogError> {
        let mut state = self.state();
        state.open()?;
        if state
            .values
            .get(key)
            .is_none_or(|versioned| versioned.version != version)
        {
            return Err(CatalogError::Conflict {
                key: key.to_owned(),
            });
        }
        state.values.remove(key);
        let version = state.next_version();
        state.deleted.insert(key.to_owned(), version);
        drop(state);
        self.changed.send_replace(());
        Ok(())
    }

    async fn list(&self, prefix: &str) -> Result<Vec<(String, Versioned)>, CatalogError> {
        let state = self.state();
        state.open()?;
        Ok(state.present(prefix))
    }

    fn watch(&self, prefix: &str) -> BoxStream<'static, Result<Change, CatalogError>> {
        let state = self.state.clone();
        let mut changed = self.changed.subscribe();
        let prefix = prefix.to_owned();
        Box::pin(async_stream::stream! {
            let mut shown = {
                let (present, last) = {
                    let state = lock(&state);
                    (state.present(&prefix), Version(state.last_version))
                };
                for (key, Versioned { version, value }) in present {
                    yield Ok(Change { key, version, value: Some(value) });
                }
                last
            };
            loop {
                changed.mark_unchanged();
                let (changes, closed) = {
                    let state = lock(&state);
                    (state.changes_after(&prefix, shown), state.closed)
                };
                for change in changes {
                    shown = change.version;
                    yield Ok(change);
                }
                // A dropped catalog will not change any more.
                if closed || changed.changed().await.is_err() {
                    break;
                }
            }
        })
    }

    async fn close(&self) -> Result<(), CatalogError> {
        self.state().closed = true;
        self.changed.send_replace(());
        Ok(())
    }
}
