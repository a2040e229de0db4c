//! What every destination promises, as one suite over whatever can also be looked into.

use std::{fmt, io::Write, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream::BoxStream};

use super::{Body, BodyError, DeliveryError, Destination, Object, Receipt};

/// Looks into a bucket by other means than the destination's.
#[async_trait]
pub(crate) trait Inspect: Sync {
    /// The object under exactly this key.
    async fn read(&self, key: &str) -> Option<Vec<u8>>;
    /// How many objects there are, half written ones and leftovers included.
    async fn count(&self) -> usize;
}

/// A body of given chunks that may break off.
#[derive(Clone)]
pub(crate) struct Given {
    chunks: Vec<Bytes>,
    breaks: bool,
}

impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Given")
    }
}

impl Body for Given {
    fn open(&self) -> BoxStream<'static, Result<Bytes, BodyError>> {
        let end = self.breaks.then(|| Err(BodyError("a test".to_owned())));
        let chunks: Vec<_> = self.chunks.iter().cloned().map(Ok).chain(end).collect();
        futures::stream::iter(chunks).boxed()
    }
}

pub(crate) fn object(key: &str, bytes: &[u8]) -> Object {
    let chunks = pieces(bytes);
    given(
        key,
        Given {
            chunks,
            breaks: false,
        },
    )
}

fn broken(key: &str, bytes: &[u8]) -> Object {
    let chunks = pieces(bytes);
    given(
        key,
        Given {
            chunks,
            breaks: true,
        },
    )
}

/// Pieces of an odd size, so that nobody relies on their borders.
fn pieces(bytes: &[u8]) -> Vec<Bytes> {
    bytes
        .chunks(1_000_003)
        .map(Bytes::copy_from_slice)
        .collect()
}

fn given(key: &str, body: Given) -> Object {
    Object {
        key: key.to_owned(),
        content_type: "application/octet-stream",
        content_encoding: None,
        body: Arc::new(body),
    }
}

/// Bytes that no other length has as a prefix, and that do not compress.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut state = length as u64 ^ 0x9e37_79b9_7f4a_7c15;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

/// The whole suite. The bucket is empty before.
pub(crate) async fn suite(destination: &dyn Destination, bucket: &dyn Inspect) {
    let keys = exact_keys_and_bytes(destination, bucket).await;
    assert_eq!(bucket.count().await, keys);
    let keys = keys + sizes(destination, bucket).await;
    assert_eq!(bucket.count().await, keys);
    twice_is_once(destination, bucket).await;
    assert_eq!(bucket.count().await, keys + 1);
    half_a_body_is_nothing(destination, bucket).await;
    assert_eq!(bucket.count().await, keys + 2);
    impossible_keys_are_refused(destination).await;
    assert_eq!(bucket.count().await, keys + 2);
    many_at_a_time(destination, bucket).await;
    comes_back_as_stored(destination).await;
    destination.probe().await.unwrap();
}

async fn exact_keys_and_bytes(destination: &dyn Destination, bucket: &dyn Inspect) -> usize {
    let keys = [
        "plain",
        "a/2015/10/07/13/s-1-2015-10-07-13-05-42-a9fa96af-e4e4-409f-bac3-1f804714faaa.gz",
        "/leading/slash",
        "double//slash",
        "white space/and+plus/and%25percent",
        "ümläut/…/日本",
        "!'()*&$@=;:,?#[]{}^~`|<>\"",
        "dots../..dots/.dot",
    ];
    for key in keys {
        let bytes = key.as_bytes();
        let receipt = destination.deliver(&object(key, bytes)).await;
        let receipt = receipt.unwrap_or_else(|error| panic!("{key}: {error}"));
        assert_eq!(
            receipt,
            Receipt {
                bytes: bytes.len() as u64
            },
            "{key}"
        );
        assert_eq!(bucket.read(key).await.as_deref(), Some(bytes), "{key}");
        assert_eq!(read(destination, key).await.unwrap(), bytes, "{key}");
    }
    keys.len()
}

async fn sizes(destination: &dyn Destination, bucket: &dyn Inspect) -> usize {
    const PART: usize = super::s3::PART_BYTES;
    let sizes = [0, 1, PART - 1, PART, PART + 1, 2 * PART, 3 * PART + 7];
    for size in sizes {
        // Large ones also under a key that needs the long way round.
        let key = if size > 2 * PART {
            format!("sizes//{size}")
        } else {
            format!("sizes/{size}")
        };
        let bytes = noise(size);
        let receipt = destination.deliver(&object(&key, &bytes)).await.unwrap();
        assert_eq!(receipt.bytes, size as u64);
        assert!(
            bucket.read(&key).await.unwrap() == bytes,
            "{size} bytes differ"
        );
        assert!(
            read(destination, &key).await.unwrap() == bytes,
            "{size} bytes come back changed"
        );
    }
    sizes.len()
}

async fn twice_is_once(destination: &dyn Destination, bucket: &dyn Inspect) {
    let bytes = noise(100_000);
    for _ in 0..2 {
        destination.deliver(&object("twice", &bytes)).await.unwrap();
        assert!(bucket.read("twice").await.unwrap() == bytes);
    }
}

async fn half_a_body_is_nothing(destination: &dyn Destination, bucket: &dyn Inspect) {
    destination
        .deliver(&object("whole", b"before"))
        .await
        .unwrap();
    for size in [0, 10, 20 << 20] {
        let error = destination.deliver(&broken("whole", &noise(size))).await;
        assert!(
            matches!(error, Err(DeliveryError::Retry { .. })),
            "{error:?}"
        );
        let error = destination.deliver(&broken("half", &noise(size))).await;
        assert!(
            matches!(error, Err(DeliveryError::Retry { .. })),
            "{error:?}"
        );
    }
    assert_eq!(bucket.read("whole").await.as_deref(), Some(&b"before"[..]));
    assert_eq!(bucket.read("half").await, None);
}

async fn impossible_keys_are_refused(destination: &dyn Destination) {
    let long = format!("{}/{}", "k".repeat(200), "x/".repeat(500));
    for key in [long.as_str(), &"k".repeat(2_000)] {
        let error = destination.deliver(&object(key, b"x")).await.unwrap_err();
        assert!(matches!(error, DeliveryError::Refused { .. }), "{error:?}");
        assert_eq!(error.code(), "S3.InvalidKey");
    }
}

async fn many_at_a_time(destination: &dyn Destination, bucket: &dyn Inspect) {
    let objects: Vec<_> = (0..24)
        .map(|n| object(&format!("many/{}/{n}", n % 3), &noise(n * 1000)))
        .collect();
    let deliveries = objects.iter().map(|object| destination.deliver(object));
    for delivered in futures::future::join_all(deliveries).await {
        delivered.unwrap();
    }
    for n in 0..24 {
        assert!(bucket.read(&format!("many/{}/{n}", n % 3)).await.unwrap() == noise(n * 1000));
    }
}

/// An object's bytes by the destination's own means.
pub(crate) async fn read(
    destination: &dyn Destination,
    key: &str,
) -> Result<Vec<u8>, DeliveryError> {
    let mut bytes = Vec::new();
    let mut pieces = destination.read(key).await?;
    while let Some(piece) = pieces.next().await {
        bytes.extend_from_slice(&piece?);
    }
    Ok(bytes)
}

async fn comes_back_as_stored(destination: &dyn Destination) {
    // Read by a client that honours the header, this would be six letters.
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(b"record").unwrap();
    let gzip = encoder.finish().unwrap();
    let compressed = Object {
        content_encoding: Some("gzip"),
        ..object("stored/as.gz", &gzip)
    };
    destination.deliver(&compressed).await.unwrap();
    assert_eq!(read(destination, "stored/as.gz").await.unwrap(), gzip);
    for missing in ["stored/missing", "missing//it", "stored", "stored/as.gz/x"] {
        let error = read(destination, missing).await.unwrap_err();
        assert!(matches!(error, DeliveryError::Refused { .. }), "{error:?}");
        assert_eq!(error.code(), "S3.NoSuchKey", "{missing}");
    }
    // One who reads slowly holds up nobody, and one who stops reading leaves nothing open.
    let bytes = noise(3 * super::s3::PART_BYTES);
    destination
        .deliver(&object("stored/large", &bytes))
        .await
        .unwrap();
    let mut half = destination.read("stored/large").await.unwrap();
    let first = half.next().await.unwrap().unwrap();
    assert_eq!(bytes[..first.len()], first);
    drop(half);
    assert!(read(destination, "stored/large").await.unwrap() == bytes);
}
