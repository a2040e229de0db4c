//! The trait [`Catalog`]: small versioned values, changed by compare-and-set.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;

/// Which write made a value what it is. Rises with every change of the whole catalog and is never
/// given twice, also not to a key that was deleted and put again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u64);

/// A value and the version to name when changing it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versioned {
    /// The write that made it.
    pub version: Version,
    /// The bytes that were put.
    pub value: Bytes,
}

/// What a writer believes of the value that it is about to replace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// The key has no value.
    Absent,
    /// The key has the value of this version.
    Exactly(Version),
}

/// A change of one key, as shown by [`Catalog::watch`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The key.
    pub key: String,
    /// The version of the put, or the version that the deletion took.
    pub version: Version,
    /// The new value; `None` when the key was deleted.
    pub value: Option<Bytes>,
}

/// Why a catalog could not do as asked, by what the caller can do about it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CatalogError {
    /// Somebody else changed the value. Nothing was written: read it again and decide anew.
    #[error("the value of {key:?} changed in the meantime")]
    Conflict {
        /// The key.
        key: String,
    },
    /// No room on disk. Nothing was written.
    #[error("the catalog is full: {0}")]
    Full(String),
    /// The storage failed. The change may or may not be there.
    #[error("the catalog failed: {0}")]
    Failed(String),
    /// The catalog was closed.
    #[error("the catalog is closed")]
    Closed,
}

/// Small versioned values under `/`-separated keys.
///
/// 1. **Durable.** `put` and `delete` resolve with `Ok` only when the change would survive a power cut.
/// 2. **Compare-and-set.** A change happens only if the value is as expected, and then as a whole.
/// 3. **Read your writes.** `get` and `list` see every change that resolved before they were called.
/// 4. **Versions rise** over the whole catalog, across restarts, and are never given twice.
/// 5. **Watch misses nothing**: first every present value (in key order), then every change, in
///    order of version. A watcher that is too slow may see only the latest change of a key.
#[async_trait]
pub trait Catalog: Send + Sync + fmt::Debug {
    /// The value of `key`.
    async fn get(&self, key: &str) -> Result<Option<Versioned>, CatalogError>;

    /// Sets `key` if its present value is as expected; its new version.
    async fn put(&self, key: &str, value: Bytes, expect: Expect) -> Result<Version, CatalogError>;

    /// Deletes `key` if it has this version.
    async fn delete(&self, key: &str, version: Version) -> Result<(), CatalogError>;

    /// All keys that begin with `prefix`, in byte order.
    async fn list(&self, prefix: &str) -> Result<Vec<(String, Versioned)>, CatalogError>;

    /// Every key that begins with `prefix` as it is now, then each change. Ends when the catalog
    /// is closed.
    fn watch(&self, prefix: &str) -> BoxStream<'static, Result<Change, CatalogError>>;

    /// Refuses further calls. Idempotent.
    async fn close(&self) -> Result<(), CatalogError>;
}
