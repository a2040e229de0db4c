//! The bucket's side of a load: the manifest, the objects it lists, and a JSONPaths file.
//!
//! What cannot be read is told as Redshift would tell it: it is Redshift that reads the bucket there.

use std::collections::HashSet;

use futures::{StreamExt, TryStreamExt};
use hydrant_copy::{
    jsonpaths::{JsonPaths, MAX_JSONPATHS_BYTES},
    manifest::{Entry, MAX_MANIFEST_BYTES, Manifest, S3Url},
};

use crate::{
    destination::{Bytestream, DeliveryError, Destinations},
    stream::S3Spec,
    warehouse::errors::Code,
};

/// Objects that are looked for at a time: a manifest may name 100,000 that need not be there.
const LOOKS_AT_ONCE: usize = 8;

/// Reads objects with the credentials of a stream's S3 leg.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source<'a> {
    pub(super) buckets: &'a dyn Destinations,
    pub(super) leg: &'a S3Spec,
    pub(super) region: &'a str,
}

impl Source<'_> {
    /// The objects that the manifest at `key` lists, each once.
    pub(super) async fn manifest(&self, key: &str) -> Result<Vec<Entry>, DeliveryError> {
        let url = format!("s3://{}/{key}", self.leg.bucket());
        let bytes = match self.leg_object(self.leg.bucket(), key).await {
            Ok(object) => gather(object, MAX_MANIFEST_BYTES).await,
            Err(error) => Err(error),
        };
        let bytes = bytes.map_err(|error| as_redshift(error, &url))?;
        let manifest = Manifest::parse(&bytes)
            .map_err(|error| Code::MissingS3File.refused(format_args!("{url}: {error}.")))?;
        let mut known = HashSet::new();
        let mut entries = manifest.entries;
        entries.retain(|entry| known.insert(entry.url.clone()));
        Ok(entries)
    }

    /// Those of `entries` that must be there or are.
    pub(super) async fn present(&self, entries: Vec<Entry>) -> Result<Vec<S3Url>, DeliveryError> {
        let present = futures::stream::iter(entries).map(async |entry| {
            if !entry.mandatory {
                match self.open(&entry.url).await {
                    Err(error) if error.code() == Code::MissingS3File.as_str() => return Ok(None),
                    opened => drop(opened?),
                }
            }
            Ok(Some(entry.url))
        });
        let present = present.buffered(LOOKS_AT_ONCE);
        present
            .try_filter_map(async |found| Ok(found))
            .try_collect()
            .await
    }

    /// An object's bytes, as they are stored.
    pub(super) async fn open(&self, url: &S3Url) -> Result<Bytestream, DeliveryError> {
        let opened = self.leg_object(url.bucket(), url.key()).await;
        opened.map_err(|error| as_redshift(error, &url.to_string()))
    }

    /// The paths in the JSONPaths file at `url`.
    pub(super) async fn json_paths(&self, url: &str) -> Result<JsonPaths, DeliveryError> {
        let wrong =
            |detail: String| Code::IncorrectJsonPathsFile.refused(format_args!("{url}: {detail}"));
        let place = S3Url::parse(url).map_err(|error| wrong(error.to_string()))?;
        let bytes = match self.leg_object(place.bucket(), place.key()).await {
            Ok(object) => gather(object, MAX_JSONPATHS_BYTES).await,
            Err(error) => Err(error),
        };
        let bytes = bytes.map_err(|error| match as_redshift(error, url) {
            DeliveryError::Refused { code, message } if code == Code::MissingS3File.as_str() => {
                wrong(message)
            }
            error => error,
        })?;
        JsonPaths::parse(&bytes).map_err(|error| wrong(error.to_string()))
    }

    async fn leg_object(&self, bucket: &str, key: &str) -> Result<Bytestream, DeliveryError> {
        let found = if bucket == self.leg.bucket() {
            self.buckets.find(self.leg, self.region)?
        } else {
            // Another bucket is reached as the leg's would be if that were its name.
            let leg = S3Spec {
                bucket_arn: format!("arn:aws:s3:::{bucket}"),
                ..self.leg.clone()
            };
            self.buckets.find(&leg, self.region)?
        };
        found.read(key).await
    }
}

/// All of an object that has `limit` bytes at most; of a larger one, so much more that it is seen to be.
async fn gather(mut object: Bytestream, limit: usize) -> Result<Vec<u8>, DeliveryError> {
    let mut bytes = Vec::new();
    while let Some(piece) = object.next().await {
        bytes.extend_from_slice(&piece?);
        if bytes.len() > limit {
            break;
        }
    }
    Ok(bytes)
}

/// The codes of a COPY for those of a bucket.
fn as_redshift(error: DeliveryError, url: &str) -> DeliveryError {
    match error {
        DeliveryError::Refused { code, message } => {
            let text = format!("{url}: {message}.");
            match code.as_str() {
                "S3.NoSuchKey" | "S3.NoSuchBucket" | "S3.InvalidKey" => {
                    Code::MissingS3File.refused(text)
                }
                "S3.AccessDenied" | "S3.AllAccessDisabled" => {
                    Code::S3BucketAccessDenied.refused(text)
                }
                _ => DeliveryError::Refused {
                    code,
                    message: text,
                },
            }
        }
        passing => passing,
    }
}
