//! The trait [`Log`]: frames in lanes, durable before they are acknowledged.

use std::{fmt, ops::Range, str::FromStr};

use async_trait::async_trait;
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};

use crate::{clock::Timestamp, frame::Frame};

/// One ordered sequence of frames. Each delivery stream incarnation has one, never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LaneId(pub u64);

impl fmt::Display for LaneId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl FromStr for LaneId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(LaneId)
    }
}

/// Where a frame stands in its lane. Positions rise within a lane but need not be dense, and the
/// first one is above [`Position::START`] or equal to it.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Position(pub u64);

impl Position {
    /// At or before the first frame of any lane.
    pub const START: Position = Position(0);

    /// The least position after this one: the exclusive end of a range that ends with this frame.
    pub fn next(self) -> Position {
        Position(self.0.saturating_add(1))
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// What is known of a frame without reading its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameMeta {
    /// Where it stands.
    pub position: Position,
    /// When it was taken in.
    pub arrival: Timestamp,
    /// How many records it holds.
    pub records: u32,
    /// Their data in bytes, without overhead.
    pub bytes: u64,
}

/// What a whole log holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes on disk, overhead and not yet reclaimed space included.
    pub disk_bytes: u64,
    /// Bytes that can still be appended before [`LogError::Full`]; `u64::MAX` when unknown. 0 also while frames
    /// are refused that would not fit, though smaller ones may.
    pub free_bytes: u64,
    /// Frames that recovery or a read found damaged since the log was opened.
    pub damaged_frames: u64,
    /// `false` after a failed write or fsync: appends are refused and the node must say so.
    pub writable: bool,
}

/// What one lane holds that is not trimmed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LaneUsage {
    /// Frames.
    pub frames: u64,
    /// Records.
    pub records: u64,
    /// Record data in bytes.
    pub bytes: u64,
    /// Arrival of the frame with the lowest position.
    pub oldest: Option<Timestamp>,
    /// Above the highest position; [`Position::START`] without frames. All that was acknowledged lies below.
    pub end: Position,
}

/// Why a log could not do as asked, by what the caller can do about it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LogError {
    /// No room. Nothing was stored; try again when delivery has given space back.
    #[error("the log is full: {0}")]
    Full(String),
    /// The frame is larger than [`Log::frame_limit`]. Split it.
    #[error("a frame of {bytes} bytes is larger than the limit of {limit}")]
    TooLarge {
        /// The frame's size.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// The lane was removed. Nothing was stored.
    #[error("lane {0} was removed")]
    LaneRemoved(LaneId),
    /// Stored bytes fail their checksum. The rest of the log stays readable: go on after `position`.
    #[error("lane {lane}: damaged frame at position {position}: {detail}")]
    Damaged {
        /// The lane that held the frame.
        lane: LaneId,
        /// The damaged frame's position, or the first of those lost.
        position: Position,
        /// File, offset and what was wrong with it.
        detail: String,
    },
    /// The disk failed. A frame being appended may or may not be stored. Appends fail until the
    /// node is restarted.
    #[error("the log's disk failed: {0}")]
    Failed(String),
    /// The log was closed.
    #[error("the log is closed")]
    Closed,
}

/// Frames in lanes.
///
/// 1. **Durable.** `append` resolves with `Ok` only when the frame would survive a power cut.
/// 2. **Whole.** A frame is there with all its records or not at all.
/// 3. **Ordered.** Within a lane, an append that began after another resolved has a higher position.
///    `follow` and `read` show frames in order of position, each once, none that was not appended.
/// 4. **Only what is durable is shown.** `follow` and `read` never show a frame that a crash could
///    still take back.
/// 5. **Kept.** A frame stays until `trim` or `remove` takes it; damage is reported, never passed on.
/// 6. **Honest failure.** After an error other than `Full`, `TooLarge`, `LaneRemoved` or `Closed`, a frame may or
///    may not be stored; an error that says a fsync failed is never followed by an acknowledgement
///    that depends on it.
/// 7. **Cancellation is harmless.** Dropping the future of `append` does not withdraw the frame.
/// 8. **Isolation.** What happens in one lane does not hold back another.
#[async_trait]
pub trait Log: Send + Sync + fmt::Debug {
    /// Resolves once the frame is durable.
    async fn append(&self, lane: LaneId, frame: Frame) -> Result<Position, LogError>;

    /// Every durable frame at or after `from`, then each new one as it becomes durable. Ends when
    /// the lane is removed or the log closed. A damaged frame is shown as one
    /// [`LogError::Damaged`], after which the stream goes on.
    fn follow(
        &self,
        lane: LaneId,
        from: Position,
    ) -> BoxStream<'static, Result<FrameMeta, LogError>>;

    /// The durable frames in `range` with their records, in order; ends. A damaged frame is shown as one
    /// [`LogError::Damaged`], after which the stream goes on.
    fn read(
        &self,
        lane: LaneId,
        range: Range<Position>,
    ) -> BoxStream<'static, Result<(Position, Frame), LogError>>;

    /// Forgets every frame below `keep_from`. Idempotent. A trim may be undone by a crash soon after.
    async fn trim(&self, lane: LaneId, keep_from: Position) -> Result<(), LogError>;

    /// Forgets the lane, gives its disk back and refuses further appends to it. Idempotent, and
    /// durable when it resolves.
    async fn remove(&self, lane: LaneId) -> Result<(), LogError>;

    /// The lanes that hold at least one frame, in order. Lets the node remove what a crash orphaned.
    async fn lanes(&self) -> Result<Vec<LaneId>, LogError>;

    /// What `lane` holds; zero for an unknown lane. Cheap: no disk access.
    fn lane_usage(&self, lane: LaneId) -> LaneUsage;

    /// What the whole log holds. Cheap.
    fn usage(&self) -> Usage;

    /// The largest frame that `append` takes, in bytes of record data.
    fn frame_limit(&self) -> usize;

    /// Waits for pending appends, then refuses new ones with [`LogError::Closed`]. Idempotent.
    async fn close(&self) -> Result<(), LogError>;
}
