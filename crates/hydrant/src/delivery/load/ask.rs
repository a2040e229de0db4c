//! A manifest that somebody wants to have loaded: `hydrant copy MANIFEST`.

use hydrant_copy::S3Url;
use tokio::sync::oneshot;

use crate::{delivery::status::LastError, stream::StreamKey, warehouse::Loaded};

/// Where a manifest lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The stream's own bucket where none is named.
    pub(crate) bucket: Option<String>,
    pub(crate) key: String,
}

/// Why a manifest was not loaded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CopyError {
    /// No such stream, or it is not ACTIVE.
    #[error("no active delivery stream {0}")]
    NotActive(StreamKey),
    /// It delivers to S3 alone.
    #[error("delivery stream {0} has no warehouse to load into")]
    NoWarehouse(StreamKey),
    /// That names no object.
    #[error("{0}; s3://BUCKET/KEY names a manifest, or a key in the stream's bucket")]
    NoManifest(String),
    /// The COPY failed.
    #[error("{}: {}", .0.code, .0.message)]
    Failed(LastError),
    /// The node stops, or the stream was deleted. The COPY may have happened.
    #[error("delivery stopped")]
    Stopped,
}

/// A COPY that was asked for.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) place: Place,
    /// Where the answer goes.
    pub(crate) reply: oneshot::Sender<Result<Loaded, CopyError>>,
}

impl Place {
    /// Reads `s3://BUCKET/KEY`, or `KEY`.
    pub(crate) fn parse(text: &str) -> Result<Self, CopyError> {
        let named = text.starts_with("s3://");
        let url = if named {
            S3Url::parse(text)
        } else {
            // Any bucket will do: the key is what is checked.
            S3Url::new("bucket", text)
        };
        let url = url.map_err(|error| CopyError::NoManifest(error.to_string()))?;
        Ok(Place {
            bucket: named.then(|| url.bucket().to_owned()),
            key: url.key().to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places() {
        let place = |text| Place::parse(text).map(|place| (place.bucket, place.key));
        let named = |bucket: &str, key: &str| Ok((Some(bucket.to_owned()), key.to_owned()));
        assert_eq!(place("s3://b/errors/m"), named("b", "errors/m"));
        assert_eq!(place("s3://b//m"), named("b", "/m"));
        assert_eq!(place("errors/m"), Ok((None, "errors/m".to_owned())));
        for bad in ["", "s3://", "s3://b", "s3://b/", "s3:///m", "s3://../m"] {
            assert!(matches!(place(bad), Err(CopyError::NoManifest(_))), "{bad}");
        }
    }
}
