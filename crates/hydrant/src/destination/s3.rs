//! A bucket of any S3-compatible store.
//!
//! * One [`AmazonS3`] for each attempt, all on one HTTP client: building it is a handful of strings,
//!   and what goes wrong on the wire can then be told to belong to this attempt.
//! * Objects up to one part are put in one request; larger ones go up in parts of [`PART_BYTES`], two at a
//!   time, so that memory is the same for any size. What fails is aborted.
//! * Objects come back in requests of [`read::READ_BYTES`], so that no request lasts as long as a slow reader.
//! * `object_store` retries for [`RETRY_TIMEOUT`] what passes by itself; the day-long patience is delivery's.
//! * Errors are told apart by status and by the error code in the body, never by messages: stores differ
//!   in those, and some send none.
//! * A key is sent exactly as it is. [`object_store::path::Path`] cannot hold a leading `/` or `//`; for such
//!   a key the [`door`] puts the real one into the request and signs it again.

mod door;
mod errors;
pub(in crate::destination) mod payload;
mod read;
#[cfg(test)]
mod tests;

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::{FutureExt, StreamExt, stream::BoxStream};
use object_store::{
    Attribute, AttributeValue, Attributes, BackoffConfig, ClientOptions, MultipartUpload,
    ObjectStore, ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, RetryConfig,
    aws::{AmazonS3, AmazonS3Builder},
    path::Path,
};

#[cfg(test)]
pub(crate) use door::REQUEST_TIMEOUT;
pub use door::SharedClient;
use door::{Door, Seen};

use super::{BodyError, Bytestream, DeliveryError, Destination, Object, Receipt, key};
use crate::{credentials::outbound::Source, stream::Encryption};

/// The largest object that is put in one request, and the size of the parts of larger ones. With S3's limit of
/// 10,000 parts this allows for objects of 80 GB.
pub const PART_BYTES: usize = 8 << 20;
/// Parts under way at a time.
pub(crate) const PARTS_AT_ONCE: usize = 2;
/// How long `object_store` itself retries.
const RETRY_TIMEOUT: Duration = Duration::from_secs(20);
const MAX_RETRIES: usize = 2;
const RETRY_PAUSE: Duration = Duration::from_millis(200);

/// Where a bucket is and how objects are put there.
#[derive(Clone, Debug)]
pub struct Place {
    /// The bucket.
    pub bucket: String,
    /// The region that requests are signed for.
    pub region: String,
    /// The store; `None` is AWS.
    pub endpoint: Option<String>,
    /// The bucket is in the URL's path, not in its host name.
    pub path_style: bool,
    /// Signatures cover the bodies of uploads.
    pub sign_payload: bool,
    /// `x-amz-acl` of every object.
    pub acl: Option<String>,
    /// SSE headers.
    pub encryption: Encryption,
}

/// One bucket.
#[derive(Debug, Clone)]
pub struct S3 {
    client: SharedClient,
    place: Arc<Place>,
    credentials: Arc<Source>,
}

impl S3 {
    /// The bucket at `place`. Touches no network.
    pub fn new(client: &SharedClient, place: Place, credentials: Arc<Source>) -> Self {
        S3 {
            client: client.clone(),
            place: Arc::new(place),
            credentials,
        }
    }

    /// A store for one attempt to put `key`, the path to name there, and what its requests met.
    fn store(&self, key: &str) -> Result<(AmazonS3, Path, Arc<Seen>), DeliveryError> {
        self.store_with(key, self.place.acl.as_deref())
    }

    fn store_with(
        &self,
        key: &str,
        acl: Option<&str>,
    ) -> Result<(AmazonS3, Path, Arc<Seen>), DeliveryError> {
        let invalid = |detail: String| DeliveryError::refused("S3.InvalidKey", detail);
        key::check_url(key).map_err(invalid)?;
        let place = &*self.place;
        let (path, literal) = match Path::parse(key) {
            Ok(path) if path.as_ref() == key => (path, None),
            // Not a path: the door replaces the stand-in by the key.
            _ => (Path::from("stand-in"), Some(key.to_owned())),
        };
        let seen = Arc::new(Seen::default());
        let door = Door::new(
            self.client.clone(),
            place.region.clone(),
            self.credentials.clone(),
            literal,
            seen.clone(),
        );
        let mut options = ClientOptions::new().with_allow_http(true);
        if let Some(acl) = acl {
            let value = http::HeaderValue::from_str(acl)
                .map_err(|error| DeliveryError::internal(error.to_string()))?;
            let name = http::HeaderName::from_static("x-amz-acl");
            options = options.with_default_headers([(name, value)].into_iter().collect());
        }
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&place.bucket)
            .with_region(&place.region)
            .with_allow_http(true)
            .with_unsigned_payload(!place.sign_payload)
            .with_client_options(options)
            .with_credentials(self.credentials.clone())
            .with_http_connector(door)
            .with_retry(RetryConfig {
                // The same pause each time: delivery's own pauses have the jitter, and grow.
                backoff: BackoffConfig {
                    init_backoff: RETRY_PAUSE,
                    max_backoff: RETRY_PAUSE,
                    base: 2.0,
                },
                max_retries: MAX_RETRIES,
                retry_timeout: RETRY_TIMEOUT,
            })
            .with_virtual_hosted_style_request(!place.path_style);
        if let Some(endpoint) = &place.endpoint {
            builder = builder.with_endpoint(endpoint_of(endpoint, place)?);
        }
        if let Encryption::Kms { key_arn } = &place.encryption {
            builder = builder.with_sse_kms_encryption(key_arn);
        }
        let store = builder
            .build()
            .map_err(|error| DeliveryError::internal(error.to_string()))?;
        Ok((store, path, seen))
    }

    async fn put(&self, store: &AmazonS3, path: &Path, object: &Object) -> Result<Receipt, Failed> {
        let mut parts = Parts::new(object.body.open());
        let first = parts.next().await?.unwrap_or_default();
        let mut bytes = first.len() as u64;
        let Some(second) = parts.next().await? else {
            let options = PutOptions {
                attributes: attributes(object),
                ..PutOptions::default()
            };
            store
                .put_opts(path, PutPayload::from_bytes(first), options)
                .await?;
            return Ok(Receipt { bytes });
        };
        let options = PutMultipartOptions {
            attributes: attributes(object),
            ..PutMultipartOptions::default()
        };
        let mut upload = Upload(Some(store.put_multipart_opts(path, options).await?));
        let mut under_way = futures::stream::FuturesUnordered::new();
        let mut part = Some(first);
        let mut following = Some(second);
        while let Some(now) = part.take() {
            under_way.push(upload.put_part(now.into()));
            if under_way.len() >= PARTS_AT_ONCE {
                under_way.next().await.transpose()?;
            }
            part = match following.take() {
                Some(part) => Some(part),
                None => parts.next().await?,
            };
            bytes += part.as_ref().map_or(0, |part| part.len() as u64);
        }
        while let Some(done) = under_way.next().await {
            done?;
        }
        upload.complete().await?;
        Ok(Receipt { bytes })
    }
}

/// With virtual-host style, `object_store` expects the bucket in the endpoint's host.
fn endpoint_of(endpoint: &str, place: &Place) -> Result<String, DeliveryError> {
    if place.path_style {
        return Ok(endpoint.to_owned());
    }
    let invalid = || DeliveryError::internal(format!("the endpoint {endpoint} is no URL"));
    let mut url = url::Url::parse(endpoint).map_err(|_| invalid())?;
    let host = url.host_str().ok_or_else(invalid)?;
    let host = format!("{}.{host}", place.bucket);
    url.set_host(Some(&host)).map_err(|_| invalid())?;
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

fn attributes(object: &Object) -> Attributes {
    let mut attributes = Attributes::new();
    attributes.insert(Attribute::ContentType, object.content_type.into());
    if let Some(encoding) = object.content_encoding {
        attributes.insert(Attribute::ContentEncoding, AttributeValue::from(encoding));
    }
    attributes
}

/// Why an object is not there.
enum Failed {
    Body(BodyError),
    Store(object_store::Error),
}

impl From<BodyError> for Failed {
    fn from(error: BodyError) -> Self {
        Failed::Body(error)
    }
}

impl From<object_store::Error> for Failed {
    fn from(error: object_store::Error) -> Self {
        Failed::Store(error)
    }
}

/// A body in pieces of [`PART_BYTES`], but for the last one.
struct Parts {
    body: BoxStream<'static, Result<Bytes, BodyError>>,
    rest: Bytes,
}

impl Parts {
    fn new(body: BoxStream<'static, Result<Bytes, BodyError>>) -> Self {
        Parts {
            body,
            rest: Bytes::new(),
        }
    }

    /// The next piece; `None` after the last. Never empty.
    async fn next(&mut self) -> Result<Option<Bytes>, BodyError> {
        if self.rest.len() >= PART_BYTES {
            return Ok(Some(self.rest.split_to(PART_BYTES)));
        }
        let mut part = BytesMut::from(std::mem::take(&mut self.rest));
        while part.len() < PART_BYTES {
            let Some(chunk) = self.body.next().await.transpose()? else {
                return Ok((!part.is_empty()).then(|| part.freeze()));
            };
            let mut chunk = chunk;
            let fits = chunk.len().min(PART_BYTES - part.len());
            if part.is_empty() && fits == chunk.len() {
                // The usual small object: no copy.
                part = BytesMut::from(chunk);
                continue;
            }
            part.extend_from_slice(&chunk.split_to(fits));
            self.rest = chunk;
        }
        Ok(Some(part.freeze()))
    }
}

/// A multipart upload that is aborted unless it is completed.
struct Upload(Option<Box<dyn MultipartUpload>>);

impl Upload {
    fn put_part(&mut self, part: PutPayload) -> object_store::UploadPart {
        match &mut self.0 {
            Some(upload) => upload.put_part(part),
            None => std::future::ready(Err(object_store::Error::NotImplemented {
                operation: "a part after completion".to_owned(),
                implementer: "Upload".to_owned(),
            }))
            .boxed(),
        }
    }

    async fn complete(&mut self) -> object_store::Result<()> {
        if let Some(upload) = &mut self.0 {
            upload.complete().await?;
        }
        self.0 = None;
        Ok(())
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if let Some(mut upload) = self.0.take()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            // Best effort: a store's lifecycle rule removes what a crash leaves.
            runtime.spawn(async move {
                if let Err(error) = upload.abort().await {
                    tracing::debug!(%error, "an upload was not aborted");
                }
            });
        }
    }
}

impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Upload")
    }
}

#[async_trait]
impl Destination for S3 {
    async fn deliver(&self, object: &Object) -> Result<Receipt, DeliveryError> {
        let (store, path, seen) = self.store(&object.key)?;
        match self.put(&store, &path, object).await {
            Ok(receipt) => Ok(receipt),
            Err(Failed::Body(error)) => Err(error.into()),
            Err(Failed::Store(error)) => Err(errors::in_words(&error, &seen, &self.place)),
        }
    }

    async fn read(&self, key: &str) -> Result<Bytestream, DeliveryError> {
        read::read(self, key).await
    }

    async fn holds(&self, key: &str) -> Result<bool, DeliveryError> {
        let (store, path, seen) = self.store_with(key, None)?;
        match store.head(&path).await {
            Ok(_) => Ok(true),
            // Of a bucket that is not there the answer to HEAD says the same.
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(errors::in_words(&error, &seen, &self.place)),
        }
    }

    /// Asks for an object that is not there: "not found" and "forbidden" are answers.
    async fn probe(&self) -> Result<(), DeliveryError> {
        let (store, path, seen) = self.store("hydrant-probe")?;
        match store.head(&path).await {
            Ok(_) => Ok(()),
            Err(_) if seen.answered() => Ok(()),
            Err(error) => Err(errors::in_words(&error, &seen, &self.place)),
        }
    }
}
