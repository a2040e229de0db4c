//! [`Engine`]: a log and a catalog that belong together.

use std::sync::Arc;

use crate::{catalog::Catalog, log::Log, mem};

/// All that must survive a crash. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Engine {
    /// The record log.
    pub log: Arc<dyn Log>,
    /// The small values: streams, checkpoints, receipts.
    pub catalog: Arc<dyn Catalog>,
}

impl Engine {
    /// The reference model: keeps everything in memory, survives nothing. For tests.
    pub fn mem() -> Self {
        Engine {
            log: Arc::new(mem::MemLog::new()),
            catalog: Arc::new(mem::MemCatalog::new()),
        }
    }
}
