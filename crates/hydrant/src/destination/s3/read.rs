//! An object read back, in one request for each piece.
//!
//! One request for the whole would have to stay open for as long as the reader takes, which may be hours when that is
//! a database with locks; stores and proxies close it before. So pieces are asked for one after another, one
//! ahead of the reader, each checked for its length and for belonging to the object as it was at the first one.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use futures::StreamExt;
use http::StatusCode;
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStore, aws::AmazonS3, path::Path};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::{Place, S3, door::Seen, errors};
use crate::destination::{Bytestream, DeliveryError};

/// A piece. Three of them exist at most: one with the reader, one that waits, one that is being asked for.
pub(super) const READ_BYTES: u64 = 4 << 20;

/// The object under `key`, once its first piece is there.
pub(super) async fn read(bucket: &S3, key: &str) -> Result<Bytestream, DeliveryError> {
    // The ACL is for those who put.
    let (store, path, seen) = bucket.store_with(key, None)?;
    let reading = Reading {
        store,
        path,
        seen,
        place: bucket.place.clone(),
    };
    let (first, meta) = reading.first().await?;
    let (pieces, mut reader) = mpsc::channel(1);
    let ahead = AbortOnDropHandle::new(tokio::spawn(async move {
        let mut at = first.len() as u64;
        let mut piece = Ok(first);
        loop {
            let last = piece.is_err() || at >= meta.size;
            if pieces.send(piece).await.is_err() || last {
                return;
            }
            let range = at..meta.size.min(at + READ_BYTES);
            at = range.end;
            piece = reading.next(range, &meta).await;
        }
    }));
    Ok(async_stream::stream! {
        let _ahead = ahead;
        while let Some(piece) = reader.recv().await {
            yield piece;
        }
    }
    .boxed())
}

struct Reading {
    store: AmazonS3,
    path: Path,
    seen: Arc<Seen>,
    place: Arc<Place>,
}

impl Reading {
    async fn first(&self) -> Result<(Bytes, ObjectMeta), DeliveryError> {
        let options = GetOptions {
            range: Some(GetRange::Bounded(0..READ_BYTES)),
            ..GetOptions::default()
        };
        match self.get(options).await {
            // An empty object has no range.
            Err(_) if self.status() == Some(StatusCode::RANGE_NOT_SATISFIABLE) => {
                self.get(GetOptions::default()).await
            }
            got => got,
        }
    }

    async fn next(&self, range: Range<u64>, meta: &ObjectMeta) -> Result<Bytes, DeliveryError> {
        let options = GetOptions {
            range: Some(GetRange::Bounded(range)),
            if_match: meta.e_tag.clone(),
            ..GetOptions::default()
        };
        match self.get(options).await {
            Ok((_, now)) if now.size != meta.size || now.e_tag != meta.e_tag => {
                Err(self.replaced())
            }
            Err(_) if self.status() == Some(StatusCode::PRECONDITION_FAILED) => {
                Err(self.replaced())
            }
            got => got.map(|(bytes, _)| bytes),
        }
    }

    async fn get(&self, options: GetOptions) -> Result<(Bytes, ObjectMeta), DeliveryError> {
        let got = async {
            let result = self.store.get_opts(&self.path, options).await?;
            let (range, meta) = (result.range.clone(), result.meta.clone());
            Ok((result.bytes().await?, range, meta))
        };
        match got.await {
            Ok((bytes, range, _)) if bytes.len() as u64 != range.end - range.start => {
                Err(DeliveryError::internal(format!(
                    "{} of {} bytes of an object came from bucket {}",
                    bytes.len(),
                    range.end - range.start,
                    self.place.bucket
                )))
            }
            Ok((bytes, _, meta)) => Ok((bytes, meta)),
            Err(error) => Err(self.in_words(&error)),
        }
    }

    fn in_words(&self, error: &object_store::Error) -> DeliveryError {
        match self.seen.latest() {
            // Some stores send no code; it is the key that is missing far more often than the bucket.
            Some(answer) if answer.status == StatusCode::NOT_FOUND && answer.code.is_none() => {
                DeliveryError::refused(
                    "S3.NoSuchKey",
                    format!("there is no such object in bucket {}", self.place.bucket),
                )
            }
            _ => errors::in_words(error, &self.seen, &self.place),
        }
    }

    fn status(&self) -> Option<StatusCode> {
        self.seen.latest().map(|answer| answer.status)
    }

    fn replaced(&self) -> DeliveryError {
        DeliveryError::internal(format!(
            "an object in bucket {} was replaced while it was being read",
            self.place.bucket
        ))
    }
}
