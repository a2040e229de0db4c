//! Objects that are in the bucket and not yet in the warehouse.
//!
//! ```text
//! key    load/LANE/START      START: the span's first position, 20 digits, so that keys sort as positions do
//! value  JSON: {"format":1, "key", "warehouse", "records", "bytes"}
//! ```
//!
//! `warehouse` is the stream's configuration when the object was planned: its bucket says where the object is, the rest
//! serves a stream that has no warehouse any more. Unlike a receipt, an entry is a duty: it is kept before its
//! span leaves the checkpoint, and removed only when a settled manifest held it.

use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use hydrant_engine::{Catalog, CatalogError, LaneId, Position};
use serde::{Deserialize, Serialize};

use crate::{
    delivery::{by_span, checkpoint::Intent, held::HeldError},
    stream::RedshiftSpec,
};

/// The catalog prefix of all entries.
pub(crate) const CATALOG_PREFIX: &str = "load/";
/// Entries that are removed at a time.
const REMOVALS_AT_ONCE: usize = 256;
pub(crate) const FORMAT: u32 = 1;

/// One object to load.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Entry {
    format: u32,
    /// The object's key.
    pub(crate) key: String,
    pub(crate) warehouse: Arc<RedshiftSpec>,
    pub(crate) records: u64,
    /// Record data, before compression.
    pub(crate) bytes: u64,
}

impl Entry {
    /// What is owed once `intent` is delivered, if anything is.
    pub(crate) fn owed(intent: &Intent) -> Option<Self> {
        Some(Entry {
            format: FORMAT,
            key: intent.key.clone(),
            warehouse: intent.load.clone()?,
            records: intent.records,
            bytes: intent.bytes,
        })
    }
}

fn lane_prefix(lane: LaneId) -> String {
    by_span::lane_prefix(CATALOG_PREFIX, lane)
}

fn catalog_key(lane: LaneId, start: Position) -> String {
    by_span::catalog_key(CATALOG_PREFIX, lane, start)
}

/// Keeps an entry; one that is there from before a crash is replaced.
pub(crate) async fn keep(
    catalog: &dyn Catalog,
    lane: LaneId,
    start: Position,
    entry: &Entry,
) -> Result<(), CatalogError> {
    by_span::keep(catalog, &catalog_key(lane, start), entry).await
}

/// Whether the object of the span that begins at `start` is still to be loaded.
pub(crate) async fn is_kept(
    catalog: &dyn Catalog,
    lane: LaneId,
    start: Position,
) -> Result<bool, CatalogError> {
    Ok(catalog.get(&catalog_key(lane, start)).await?.is_some())
}

/// Every entry of a lane.
pub(crate) async fn list(
    catalog: &dyn Catalog,
    lane: LaneId,
) -> Result<Vec<(Position, Entry)>, HeldError> {
    let prefix = lane_prefix(lane);
    let kept = catalog.list(&prefix).await?;
    let read = |(key, value): (String, Bytes)| {
        let unreadable = |detail: String| HeldError::Unreadable {
            what: "an object to load",
            lane,
            detail: format!("{key}: {detail}"),
        };
        let start = key
            .strip_prefix(&prefix)
            .and_then(|start| start.parse().ok());
        let start = start.ok_or_else(|| unreadable("no such key".to_owned()))?;
        let entry: Entry =
            serde_json::from_slice(&value).map_err(|error| unreadable(error.to_string()))?;
        if entry.format != FORMAT {
            return Err(unreadable(format!(
                "format {}; this release knows {FORMAT}",
                entry.format
            )));
        }
        Ok((Position(start), entry))
    };
    kept.into_iter()
        .map(|(key, found)| read((key, found.value)))
        .collect()
}

/// Removes the entries of these spans; those that are gone already do no harm.
pub(crate) async fn remove(
    catalog: &dyn Catalog,
    lane: LaneId,
    starts: &[Position],
) -> Result<(), CatalogError> {
    let keys = starts.iter().map(|start| catalog_key(lane, *start));
    remove_keys(catalog, keys).await
}

/// Removes every entry of a lane.
pub(crate) async fn remove_all(catalog: &dyn Catalog, lane: LaneId) -> Result<(), CatalogError> {
    let kept = catalog.list(&lane_prefix(lane)).await?;
    remove_keys(catalog, kept.into_iter().map(|(key, _)| key)).await
}

/// Not one at a time: those that wait together become durable together.
async fn remove_keys(
    catalog: &dyn Catalog,
    keys: impl Iterator<Item = String>,
) -> Result<(), CatalogError> {
    futures::stream::iter(keys.map(Ok))
        .try_for_each_concurrent(REMOVALS_AT_ONCE, async |key| {
            // Until it is certainly gone: one that is left would be loaded again.
            while let Some(found) = catalog.get(&key).await? {
                match catalog.delete(&key, found.version).await {
                    Ok(()) | Err(CatalogError::Conflict { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(())
        })
        .await
}
