//! What became of each span, kept for some days so that a record can be traced.
//!
//! ```text
//! key    receipt/LANE/START      START: the span's first position, 20 digits, so that keys sort as positions do
//! value  JSON: {"format":1, "end", "time", "outcome":"delivered"|"expired"|"empty", "bucket", "key", "records", "bytes",
//!               "load":{"state":"loaded"|"given_up", …}}
//! ```
//!
//! Receipts are for people: losing one loses no data. They are kept [`KEPT`] long and [`PER_LANE`] for
//! each lane, whichever is less; the supervisor sweeps the rest.

use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use hydrant_engine::{
    Catalog, CatalogError, Expect, LaneId, Position, Timestamp, Version, Versioned,
};
use serde::{Deserialize, Serialize};

use super::{by_span, checkpoint::Span, load::status::LoadFate};

/// The catalog prefix of all receipts.
pub const CATALOG_PREFIX: &str = "receipt/";
/// How long a receipt is kept.
pub const KEPT: Duration = Duration::from_secs(3 * 24 * 60 * 60);
/// How many are kept of one lane.
pub const PER_LANE: usize = 5_000;
/// Receipts that are changed or deleted at a time.
const WRITES_AT_ONCE: usize = 256;
pub(crate) const FORMAT: u32 = 1;

/// What became of a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// It is in the bucket.
    Delivered,
    /// It was given up after 24 hours.
    Expired,
    /// It held no byte, so there is no object.
    Empty,
}

/// The receipt of one span.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SpanReceipt {
    format: u32,
    pub(crate) end: Position,
    /// When it was delivered or given up.
    pub(crate) time: Timestamp,
    pub(crate) outcome: Outcome,
    pub(crate) bucket: String,
    pub(crate) key: String,
    pub(crate) records: u64,
    /// Of record data, before compression.
    pub(crate) bytes: u64,
    /// What became of the object in the warehouse, once that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) load: Option<LoadFate>,
}

impl SpanReceipt {
    pub(crate) fn new(
        span: Span,
        time: Timestamp,
        outcome: Outcome,
        (bucket, key): (&str, &str),
        (records, bytes): (u64, u64),
    ) -> Self {
        SpanReceipt {
            format: FORMAT,
            end: span.end,
            time,
            outcome,
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            records,
            bytes,
            load: None,
        }
    }
}

fn lane_prefix(lane: LaneId) -> String {
    by_span::lane_prefix(CATALOG_PREFIX, lane)
}

fn catalog_key(lane: LaneId, start: Position) -> String {
    by_span::catalog_key(CATALOG_PREFIX, lane, start)
}

/// The lane and first position of such a key.
pub(crate) fn parse_key(catalog_key: &str) -> Option<(LaneId, Position)> {
    let (lane, start) = catalog_key.strip_prefix(CATALOG_PREFIX)?.split_once('/')?;
    Some((lane.parse().ok()?, Position(start.parse().ok()?)))
}

/// Keeps a receipt; one that is there from before a crash is replaced.
pub(crate) async fn keep(
    catalog: &dyn Catalog,
    lane: LaneId,
    start: Position,
    receipt: &SpanReceipt,
) -> Result<(), CatalogError> {
    by_span::keep(catalog, &catalog_key(lane, start), receipt).await
}

/// The receipt of the span that held `position`, if it is still kept, and where that span began.
pub(crate) async fn find(
    catalog: &dyn Catalog,
    lane: LaneId,
    position: Position,
) -> Result<Option<(Position, SpanReceipt)>, CatalogError> {
    let kept = catalog.list(&lane_prefix(lane)).await?;
    let holds = |(key, found): &(String, Versioned)| {
        let (_, start) = parse_key(key)?;
        let receipt: SpanReceipt = serde_json::from_slice(&found.value).ok()?;
        let span = Span {
            start,
            end: receipt.end,
        };
        span.contains(position).then_some((start, receipt))
    };
    Ok(kept.iter().find_map(holds))
}

/// Notes what became of the objects of these spans; of those that have a receipt.
pub(crate) async fn note_load(
    catalog: &dyn Catalog,
    lane: LaneId,
    starts: &[Position],
    fate: &LoadFate,
) -> Result<(), CatalogError> {
    let keys = starts.iter().map(|start| Ok(catalog_key(lane, *start)));
    futures::stream::iter(keys)
        .try_for_each_concurrent(WRITES_AT_ONCE, async |key| {
            match catalog.get(&key).await? {
                Some(found) => note(catalog, &key, found, |_| true, fate).await,
                None => Ok(()),
            }
        })
        .await
}

/// Notes what became of objects whose manifest was given up, and loaded by somebody after all.
pub(crate) async fn note_late_load(
    catalog: &dyn Catalog,
    lane: LaneId,
    manifest: &str,
    fate: &LoadFate,
) -> Result<(), CatalogError> {
    let of_it = |receipt: &SpanReceipt| match &receipt.load {
        Some(LoadFate::GivenUp {
            manifest: known, ..
        }) => known == manifest,
        _ => false,
    };
    let kept = catalog.list(&lane_prefix(lane)).await?;
    futures::stream::iter(kept.into_iter().map(Ok))
        .try_for_each_concurrent(WRITES_AT_ONCE, async |(key, found)| {
            note(catalog, &key, found, of_it, fate).await
        })
        .await
}

async fn note(
    catalog: &dyn Catalog,
    key: &str,
    found: Versioned,
    wanted: impl Fn(&SpanReceipt) -> bool,
    fate: &LoadFate,
) -> Result<(), CatalogError> {
    let Ok(mut receipt) = serde_json::from_slice::<SpanReceipt>(&found.value) else {
        return Ok(());
    };
    if !wanted(&receipt) {
        return Ok(());
    }
    receipt.load = Some(fate.clone());
    let value = Bytes::from(serde_json::to_vec(&receipt).unwrap_or_default());
    match catalog
        .put(key, value, Expect::Exactly(found.version))
        .await
    {
        // Swept in the meantime.
        Ok(_) | Err(CatalogError::Conflict { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Removes every receipt of a lane.
pub(crate) async fn remove(catalog: &dyn Catalog, lane: LaneId) -> Result<(), CatalogError> {
    let kept = catalog.list(&lane_prefix(lane)).await?;
    let kept = kept.into_iter().map(|(key, found)| (key, found.version));
    delete_all(catalog, kept).await
}

/// Removes receipts of a lane that are too old or too many; how many went.
pub(crate) async fn sweep(
    catalog: &dyn Catalog,
    lane: LaneId,
    now: Timestamp,
) -> Result<usize, CatalogError> {
    let mut kept: Vec<(Timestamp, String, Version)> = catalog
        .list(&lane_prefix(lane))
        .await?
        .into_iter()
        .map(|(key, found)| {
            // What cannot be read is swept as if it were old.
            let time = serde_json::from_slice::<SpanReceipt>(&found.value)
                .map(|receipt| receipt.time)
                .unwrap_or_default();
            (time, key, found.version)
        })
        .collect();
    kept.sort_by_key(|(time, _, _)| std::cmp::Reverse(*time));
    let fresh = kept
        .iter()
        .take_while(|(time, _, _)| now.since(*time) < KEPT)
        .count();
    let swept = kept.split_off(fresh.min(PER_LANE));
    let count = swept.len();
    delete_all(
        catalog,
        swept.into_iter().map(|(_, key, version)| (key, version)),
    )
    .await?;
    Ok(count)
}

/// Deletes many at a time: those that wait together become durable together.
async fn delete_all(
    catalog: &dyn Catalog,
    keys: impl Iterator<Item = (String, Version)>,
) -> Result<(), CatalogError> {
    futures::stream::iter(keys.map(Ok))
        .try_for_each_concurrent(WRITES_AT_ONCE, async |(key, version)| {
            delete(catalog, &key, version).await
        })
        .await
}

/// Deletes a value unless it was changed, or deleted, in the meantime.
pub(crate) async fn delete(
    catalog: &dyn Catalog,
    key: &str,
    version: Version,
) -> Result<(), CatalogError> {
    match catalog.delete(key, version).await {
        Ok(()) | Err(CatalogError::Conflict { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use hydrant_engine::Engine;

    use super::*;

    const LANE: LaneId = LaneId(12);

    fn receipt(start: u64, end: u64, time: Timestamp) -> (Position, SpanReceipt) {
        let span = Span {
            start: Position(start),
            end: Position(end),
        };
        let key = format!("key-{start}");
        let receipt = SpanReceipt::new(span, time, Outcome::Delivered, ("b", &key), (1, 1));
        (span.start, receipt)
    }

    #[tokio::test]
    async fn a_position_finds_its_receipt_and_age_takes_it_away() {
        let catalog = Engine::mem().catalog;
        let day = Duration::from_secs(24 * 60 * 60);
        let begin = Timestamp(1_444_222_333_444);
        for (start, end, days) in [(1, 5, 0), (5, 100, 1), (200, 201, 2)] {
            let (start, receipt) = receipt(start, end, begin.plus(day * days));
            keep(&*catalog, LANE, start, &receipt).await.unwrap();
            keep(&*catalog, LANE, start, &receipt).await.unwrap();
        }
        let key = async |position| {
            let found = find(&*catalog, LANE, Position(position)).await.unwrap();
            found.map(|(_, receipt)| receipt.key)
        };
        assert_eq!(key(4).await.as_deref(), Some("key-1"));
        assert_eq!(key(99).await.as_deref(), Some("key-5"));
        assert_eq!(key(100).await, None);
        assert_eq!(key(200).await.as_deref(), Some("key-200"));
        assert_eq!(find(&*catalog, LaneId(1), Position(4)).await.unwrap(), None);

        assert_eq!(
            sweep(&*catalog, LANE, begin.plus(day * 4)).await.unwrap(),
            2
        );
        assert_eq!(key(99).await, None);
        assert_eq!(key(200).await.as_deref(), Some("key-200"));
        remove(&*catalog, LANE).await.unwrap();
        assert_eq!(key(200).await, None);
    }

    #[tokio::test]
    async fn the_oldest_of_too_many_are_swept() {
        let catalog = Engine::mem().catalog;
        for n in 0..PER_LANE as u64 + 3 {
            let (start, receipt) = receipt(n, n + 1, Timestamp(n));
            keep(&*catalog, LANE, start, &receipt).await.unwrap();
        }
        assert_eq!(
            sweep(&*catalog, LANE, Timestamp(PER_LANE as u64))
                .await
                .unwrap(),
            3
        );
        assert_eq!(find(&*catalog, LANE, Position(2)).await.unwrap(), None);
        assert!(find(&*catalog, LANE, Position(3)).await.unwrap().is_some());
    }
}
