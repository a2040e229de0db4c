//! What a lane's delivery has done and promised: lease, fence and checkpoint in one catalog value.
//!
//! ```text
//! key    delivery/LANE
//! value  JSON: {"format":1, "owner", "epoch", "seed", "cursor", "spans":[{"start","end","key","version","oldest",
//!               "newest","records","bytes","destination","load"}], "last":{"time","bucket","key"}, "dropped_records", "dropped_bytes",
//!               "damaged_frames"}
//! ```
//!
//! * Everything below `cursor` that is in no span is done: delivered, or given up. So spans may be
//!   finished in any order.
//! * A span in `spans` is an *intent*: it was planned under that key, for that destination, and may or may not
//!   be in the bucket. It is delivered again under the same key.
//! * `owner` and `epoch` name the worker, and fence another ([`held`]).
//! * `load` is there when the object must be loaded into a warehouse after its delivery ([`load`](super::load)).
//! * `seed` is drawn once and makes object names unique to this lane of this node.

use std::sync::Arc;

use hydrant_engine::{Catalog, LaneId, Position, Timestamp};
use serde::{Deserialize, Serialize};

use super::held::{self, Held, HeldError, Lease};
use crate::stream::{RedshiftSpec, S3Spec};

/// The catalog prefix of all checkpoints.
pub const CATALOG_PREFIX: &str = "delivery/";

/// Where a lane's checkpoint lies in the catalog.
pub(crate) fn catalog_key(lane: LaneId) -> String {
    format!("{CATALOG_PREFIX}{lane}")
}

/// The lane of such a key.
pub(crate) fn lane_of(catalog_key: &str) -> Option<LaneId> {
    catalog_key.strip_prefix(CATALOG_PREFIX)?.parse().ok()
}

/// The half-open range of positions that one delivery takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Span {
    /// The first frame's position.
    pub start: Position,
    /// Above the last frame's position.
    pub end: Position,
}

impl Span {
    /// Whether `position` lies in it.
    pub fn contains(self, position: Position) -> bool {
        self.start <= position && position < self.end
    }
}

/// A span that is to be delivered under a key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Intent {
    #[serde(flatten)]
    pub(crate) span: Span,
    /// The object's key.
    pub(crate) key: String,
    /// The stream's version under which it was planned.
    pub(crate) version: u64,
    /// The least arrival in the span.
    pub(crate) oldest: Timestamp,
    /// The greatest arrival in the span.
    pub(crate) newest: Timestamp,
    pub(crate) records: u64,
    /// Record data before compression.
    pub(crate) bytes: u64,
    /// The destination of that version: after a crash, the object may already be there.
    pub(crate) destination: Arc<S3Spec>,
    /// The warehouse of that version, which the object is to be loaded into.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) load: Option<Arc<RedshiftSpec>>,
}

/// Where the latest object went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastDelivery {
    /// When the destination had it.
    pub time: Timestamp,
    /// The bucket.
    pub bucket: String,
    /// The key.
    pub key: String,
}

/// What the catalog keeps of a lane's delivery.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    #[serde(flatten)]
    lease: Lease,
    pub(crate) seed: u64,
    /// The first position that no span was planned for.
    pub(crate) cursor: Position,
    pub(crate) spans: Vec<Intent>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last: Option<LastDelivery>,
    /// Records given up in the life of the lane.
    #[serde(default)]
    pub(crate) dropped_records: u64,
    /// Their bytes.
    #[serde(default)]
    pub(crate) dropped_bytes: u64,
    /// Frames that could not be read back.
    #[serde(default)]
    pub(crate) damaged_frames: u64,
}

impl State {
    /// The lowest position that is still needed.
    pub(crate) fn keep_from(&self) -> Position {
        self.spans
            .iter()
            .map(|intent| intent.span.start)
            .min()
            .unwrap_or(self.cursor)
    }

    /// The intent whose span holds `position`.
    pub(crate) fn intent_for(&self, position: Position) -> Option<&Intent> {
        self.spans
            .iter()
            .find(|intent| intent.span.contains(position))
    }
}

/// A lane's state, owned by this worker.
pub(crate) type Checkpoint = Held<State>;

impl held::State for State {
    const FORMAT: u32 = 1;
    const WHAT: &str = "the checkpoint";

    fn lease(&mut self) -> &mut Lease {
        &mut self.lease
    }
}

impl Checkpoint {
    /// Takes the lane over from whoever had it; `seed` is used if nobody ever had.
    pub(crate) async fn take_over(
        catalog: Arc<dyn Catalog>,
        lane: LaneId,
        owner: u64,
        seed: u64,
    ) -> Result<Self, HeldError> {
        let first = |lease| State {
            lease,
            seed,
            cursor: Position::START,
            spans: Vec::new(),
            last: None,
            dropped_records: 0,
            dropped_bytes: 0,
            damaged_frames: 0,
        };
        Held::take(catalog, catalog_key(lane), lane, owner, first).await
    }
}

/// A lane's state, for looking only.
pub(crate) async fn look(catalog: &dyn Catalog, lane: LaneId) -> Result<Option<State>, HeldError> {
    held::look(catalog, &catalog_key(lane), lane).await
}

#[cfg(test)]
mod tests {
    use hydrant_engine::Engine;

    use super::*;

    const LANE: LaneId = LaneId(3);

    #[tokio::test]
    async fn a_worker_that_was_taken_over_finds_itself_fenced() {
        let catalog = Engine::mem().catalog;
        let mut first = Checkpoint::take_over(catalog.clone(), LANE, 1, 7)
            .await
            .unwrap();
        first.state.cursor = Position(10);
        first.save().await.unwrap();
        first.save().await.unwrap();

        let mut second = Checkpoint::take_over(catalog.clone(), LANE, 2, 8)
            .await
            .unwrap();
        assert_eq!(second.state.cursor, Position(10));
        assert_eq!(second.state.seed, 7, "the seed is drawn once");
        first.state.cursor = Position(20);
        assert!(matches!(first.save().await, Err(HeldError::Fenced(LANE))));
        second.state.cursor = Position(11);
        second.save().await.unwrap();
        assert!(matches!(first.save().await, Err(HeldError::Fenced(LANE))));

        let stored = look(&*catalog, LANE).await.unwrap().unwrap();
        assert_eq!(stored.cursor, Position(11));
    }

    #[tokio::test]
    async fn the_same_owner_in_a_new_epoch_fences_too() {
        let catalog = Engine::mem().catalog;
        let mut first = Checkpoint::take_over(catalog.clone(), LANE, 1, 7)
            .await
            .unwrap();
        Checkpoint::take_over(catalog, LANE, 1, 7).await.unwrap();
        assert!(matches!(first.save().await, Err(HeldError::Fenced(LANE))));
    }

    #[tokio::test]
    async fn a_later_format_is_refused() {
        let catalog = Engine::mem().catalog;
        let mut checkpoint = Checkpoint::take_over(catalog.clone(), LANE, 1, 7)
            .await
            .unwrap();
        checkpoint.state.lease.format += 1;
        checkpoint.save().await.unwrap();
        let taken = Checkpoint::take_over(catalog, LANE, 1, 7).await;
        assert!(matches!(taken, Err(HeldError::Unreadable { .. })));
    }
}
