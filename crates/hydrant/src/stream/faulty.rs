//! A catalog that fails as the test says.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::SeqCst},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use hydrant_engine::{Catalog, CatalogError, Change, Expect, Version, Versioned};

/// A working catalog behind faults. As a real one whose commit failed, it tells watchers nothing.
#[derive(Debug)]
pub(crate) struct FaultyCatalog {
    inner: Arc<dyn Catalog>,
    /// Writes happen and are said to have failed.
    pub(crate) lying: AtomicBool,
    /// Writes do not happen.
    pub(crate) read_only: AtomicBool,
    /// Reads fail.
    pub(crate) unreadable: AtomicBool,
}

impl FaultyCatalog {
    pub(crate) fn new(inner: Arc<dyn Catalog>) -> Arc<Self> {
        Arc::new(FaultyCatalog {
            inner,
            lying: AtomicBool::default(),
            read_only: AtomicBool::default(),
            unreadable: AtomicBool::default(),
        })
    }
}

fn fails(when: &AtomicBool) -> Result<(), CatalogError> {
    if when.load(SeqCst) {
        Err(CatalogError::Failed("injected".to_owned()))
    } else {
        Ok(())
    }
}

#[async_trait]
impl Catalog for FaultyCatalog {
    async fn get(&self, key: &str) -> Result<Option<Versioned>, CatalogError> {
        fails(&self.unreadable)?;
        self.inner.get(key).await
    }

    async fn put(&self, key: &str, value: Bytes, expect: Expect) -> Result<Version, CatalogError> {
        fails(&self.read_only)?;
        let version = self.inner.put(key, value, expect).await?;
        fails(&self.lying).map(|()| version)
    }

    async fn delete(&self, key: &str, version: Version) -> Result<(), CatalogError> {
        fails(&self.read_only)?;
        self.inner.delete(key, version).await?;
        fails(&self.lying)
    }

    async fn list(&self, prefix: &str) -> Result<Vec<(String, Versioned)>, CatalogError> {
        fails(&self.unreadable)?;
        self.inner.list(prefix).await
    }

    fn watch(&self, _prefix: &str) -> BoxStream<'static, Result<Change, CatalogError>> {
        Box::pin(stream::pending())
    }

    async fn close(&self) -> Result<(), CatalogError> {
        self.inner.close().await
    }
}
