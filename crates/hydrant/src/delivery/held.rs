//! A catalog value that has one writer: lease, fence and state in one.
//!
//! `owner` and `epoch` name the writer. Every write is a compare-and-set; a writer that finds another's value is
//! *fenced*: it stops and changes nothing more. A write that was said to have failed may have happened, and
//! is recognised by the same two numbers.

use std::sync::Arc;

use bytes::Bytes;
use hydrant_engine::{Catalog, CatalogError, Expect, LaneId, Version, Versioned};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// What every held value begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lease {
    pub(crate) format: u32,
    owner: u64,
    epoch: u64,
}

impl Lease {
    /// The lease of a value that nobody held before.
    pub(crate) fn first(format: u32, owner: u64) -> Self {
        Lease {
            format,
            owner,
            epoch: 1,
        }
    }
}

/// A state that can be held.
pub(crate) trait State: Serialize + DeserializeOwned {
    /// The format that this release writes and reads.
    const FORMAT: u32;
    /// What it is, in errors.
    const WHAT: &str;

    fn lease(&mut self) -> &mut Lease;
}

/// Why a held value could not be written or read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HeldError {
    /// Another worker owns the lane.
    #[error("another worker took lane {0} over")]
    Fenced(LaneId),
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// Written by something else, or by a later release.
    #[error("{what} of lane {lane} is unreadable: {detail}")]
    Unreadable {
        what: &'static str,
        lane: LaneId,
        detail: String,
    },
}

/// A state, owned by this writer.
#[derive(Debug)]
pub(crate) struct Held<S> {
    catalog: Arc<dyn Catalog>,
    key: String,
    lane: LaneId,
    lease: Lease,
    version: Version,
    pub(crate) state: S,
}

impl<S: State> Held<S> {
    /// Takes the value over from whoever had it; `first` makes it if nobody ever had.
    pub(crate) async fn take(
        catalog: Arc<dyn Catalog>,
        key: String,
        lane: LaneId,
        owner: u64,
        first: impl Fn(Lease) -> S,
    ) -> Result<Self, HeldError> {
        loop {
            let found = catalog.get(&key).await?;
            let (mut state, expect) = match found {
                None => (first(Lease::first(S::FORMAT, owner)), Expect::Absent),
                Some(Versioned { version, value }) => {
                    let mut state: S = decode(lane, &value)?;
                    let lease = state.lease();
                    lease.owner = owner;
                    lease.epoch += 1;
                    (state, Expect::Exactly(version))
                }
            };
            match catalog.put(&key, encode(&state), expect).await {
                Ok(version) => {
                    return Ok(Held {
                        catalog,
                        key,
                        lane,
                        lease: *state.lease(),
                        version,
                        state,
                    });
                }
                Err(CatalogError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Whether the value is still this writer's, without writing it: before something is done that is not fenced itself.
    pub(crate) async fn check(&self) -> Result<(), HeldError> {
        let Some(found) = self.catalog.get(&self.key).await? else {
            return Err(HeldError::Fenced(self.lane));
        };
        match *decode::<S>(self.lane, &found.value)?.lease() == self.lease {
            true => Ok(()),
            false => Err(HeldError::Fenced(self.lane)),
        }
    }

    /// Writes the state as it is now. After an error other than `Fenced` it may be called again.
    pub(crate) async fn save(&mut self) -> Result<(), HeldError> {
        let value = encode(&self.state);
        loop {
            let expect = Expect::Exactly(self.version);
            match self.catalog.put(&self.key, value.clone(), expect).await {
                Ok(version) => {
                    self.version = version;
                    return Ok(());
                }
                Err(CatalogError::Conflict { .. }) => {
                    // Perhaps an earlier write of ours that was said to have failed.
                    let Some(found) = self.catalog.get(&self.key).await? else {
                        return Err(HeldError::Fenced(self.lane));
                    };
                    let ours = *decode::<S>(self.lane, &found.value)?.lease() == self.lease;
                    if !ours || found.version == self.version {
                        return Err(HeldError::Fenced(self.lane));
                    }
                    self.version = found.version;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// A state, for looking only.
pub(crate) async fn look<S: State>(
    catalog: &dyn Catalog,
    key: &str,
    lane: LaneId,
) -> Result<Option<S>, HeldError> {
    match catalog.get(key).await? {
        Some(found) => decode(lane, &found.value).map(Some),
        None => Ok(None),
    }
}

fn encode<S: State>(state: &S) -> Bytes {
    // A struct of strings and numbers always serialises.
    Bytes::from(serde_json::to_vec(state).unwrap_or_default())
}

/// The state in a value, if it is of the format that this release knows.
pub(crate) fn decode<S: State>(lane: LaneId, value: &[u8]) -> Result<S, HeldError> {
    let unreadable = |detail: String| HeldError::Unreadable {
        what: S::WHAT,
        lane,
        detail,
    };
    let mut state: S =
        serde_json::from_slice(value).map_err(|error| unreadable(error.to_string()))?;
    match state.lease().format {
        format if format == S::FORMAT => Ok(state),
        format => Err(unreadable(format!(
            "format {format}; this release knows {}",
            S::FORMAT
        ))),
    }
}
