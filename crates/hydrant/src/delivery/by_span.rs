//! Catalog values that each belong to one span: receipts, and entries for a warehouse.
//!
//! ```text
//! key    KIND/LANE/START      START: the span's first position, 20 digits, so that keys sort as positions do
//! ```

use bytes::Bytes;
use hydrant_engine::{Catalog, CatalogError, Expect, LaneId, Position};
use serde::Serialize;

/// What the keys of all of a lane's values begin with; `kind` ends in `/`.
pub(crate) fn lane_prefix(kind: &str, lane: LaneId) -> String {
    format!("{kind}{lane}/")
}

/// The key of the value for the span that begins at `start`.
pub(crate) fn catalog_key(kind: &str, lane: LaneId, start: Position) -> String {
    format!("{kind}{lane}/{:020}", start.0)
}

/// Keeps a value; one that is there from before a crash is replaced.
pub(crate) async fn keep(
    catalog: &dyn Catalog,
    key: &str,
    value: &impl Serialize,
) -> Result<(), CatalogError> {
    // A struct of strings and numbers always serialises.
    let value = Bytes::from(serde_json::to_vec(value).unwrap_or_default());
    let mut expect = Expect::Absent;
    loop {
        match catalog.put(key, value.clone(), expect).await {
            Ok(_) => return Ok(()),
            Err(CatalogError::Conflict { .. }) => {
                expect = match catalog.get(key).await? {
                    Some(found) => Expect::Exactly(found.version),
                    None => Expect::Absent,
                };
            }
            Err(error) => return Err(error),
        }
    }
}
