//! How a worker or a loader ends, and which troubles make it end.

use std::time::Duration;

use hydrant_engine::CatalogError;

use super::held::HeldError;

/// The pause after the log or the catalog failed.
pub(crate) const TROUBLE_PAUSE: Duration = Duration::from_secs(1);

/// Why it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It was told to.
    Stopped,
    /// Another owns the lane.
    Fenced,
    /// Its value in the catalog is not one that this release can read.
    Unreadable,
}

impl HeldError {
    /// The end that such an error means; `None` where waiting may help.
    pub(crate) fn end(&self) -> Option<Ended> {
        match self {
            HeldError::Fenced(_) => Some(Ended::Fenced),
            HeldError::Unreadable { .. } => Some(Ended::Unreadable),
            HeldError::Catalog(CatalogError::Closed) => Some(Ended::Stopped),
            HeldError::Catalog(_) => None,
        }
    }
}
