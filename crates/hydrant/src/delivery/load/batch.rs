//! Which objects one COPY takes, and what their manifest is and is called (SPEC §5.2). Pure.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use hydrant_copy::manifest::{Manifest, S3Url, S3UrlError};
use hydrant_engine::Position;

use super::entry::Entry;
use crate::stream::{RedshiftSpec, S3Spec};

/// Objects in one manifest, at most.
pub(crate) const MAX_OBJECTS: usize = 1_000;
/// Record data of one manifest, at most, but for a single object: a COPY is one transaction, and begins anew when it fails.
pub(crate) const MAX_BYTES: u64 = 16 << 30;

/// Objects that are loaded together.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Batch {
    /// First positions of their spans, in order.
    pub(crate) objects: Vec<Position>,
    pub(crate) records: u64,
    pub(crate) bytes: u64,
    /// The configuration that the youngest of them was planned under.
    pub(crate) warehouse: Arc<RedshiftSpec>,
}

/// The oldest object and everything that can go with it.
pub(crate) fn next(waiting: &BTreeMap<Position, Entry>) -> Option<Batch> {
    let (_, oldest) = waiting.first_key_value()?;
    let mut batch = Batch {
        objects: Vec::new(),
        records: 0,
        bytes: 0,
        warehouse: oldest.warehouse.clone(),
    };
    let together = waiting
        .iter()
        .filter(|(_, entry)| alike(&entry.warehouse.s3, &oldest.warehouse.s3));
    for (start, entry) in together.take(MAX_OBJECTS) {
        if !batch.objects.is_empty() && batch.bytes + entry.bytes > MAX_BYTES {
            break;
        }
        batch.objects.push(*start);
        batch.records += entry.records;
        batch.bytes += entry.bytes;
        batch.warehouse = entry.warehouse.clone();
    }
    Some(batch)
}

/// Whether one COPY can read the objects of both: the same bucket, by the same role, equally compressed.
fn alike(a: &S3Spec, b: &S3Spec) -> bool {
    (&a.bucket_arn, &a.role_arn, &a.encryption, a.compression)
        == (&b.bucket_arn, &b.role_arn, &b.encryption, b.compression)
}

/// The URL of an object.
pub(crate) fn url(bucket: &str, key: &str) -> String {
    format!("s3://{bucket}/{key}")
}

/// The manifest of these objects of one bucket; the same bytes each time.
///
/// # Errors
/// What is wrong, when an object cannot be named by a URL. None that was delivered can be so.
pub(crate) fn manifest(bucket: &str, keys: &[String]) -> Result<Bytes, S3UrlError> {
    let urls: Result<Vec<_>, _> = keys.iter().map(|key| S3Url::new(bucket, key)).collect();
    Ok(Bytes::from(Manifest::mandatory(urls?).to_json()))
}
