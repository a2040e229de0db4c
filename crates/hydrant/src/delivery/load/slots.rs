//! How many COPYs run at a time: so many of the node, and of those a part into one database.
//!
//! A COPY may take hours by right, so one that hangs is not told from one that works. A database that answers nobody, with
//! many streams that load into it, must leave room for the others.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore, SemaphorePermit};

use crate::warehouse::jdbc::JdbcUrl;

/// One database may have this part of all.
const PART: usize = 4;

/// The one for all streams.
#[derive(Debug)]
pub(crate) struct Slots {
    all: Semaphore,
    each: usize,
    /// By host and port; those that are in use, and some that were.
    servers: Mutex<HashMap<String, Weak<Semaphore>>>,
}

/// A COPY may run for as long as this is held.
#[derive(Debug)]
pub(crate) struct Slot<'a> {
    _all: SemaphorePermit<'a>,
    _each: OwnedSemaphorePermit,
}

impl Slots {
    /// For `copies` at a time.
    pub(crate) fn new(copies: usize) -> Self {
        Slots {
            all: Semaphore::new(copies),
            each: (copies / PART).max(1),
            servers: Mutex::default(),
        }
    }

    /// A slot for a COPY into the database at `jdbc_url`, once there is one.
    pub(crate) async fn acquire(&self, jdbc_url: &str) -> Result<Slot<'_>, AcquireError> {
        // In this order: whoever waits for a database holds nothing that others need.
        let each = self.server(jdbc_url).acquire_owned().await?;
        let all = self.all.acquire().await?;
        Ok(Slot {
            _all: all,
            _each: each,
        })
    }

    fn server(&self, jdbc_url: &str) -> Arc<Semaphore> {
        let name = match JdbcUrl::parse(jdbc_url) {
            Ok(url) => format!("{}:{}", url.host, url.port),
            Err(_) => jdbc_url.to_owned(),
        };
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = servers.get(&name).and_then(Weak::upgrade) {
            return known;
        }
        servers.retain(|_, known| known.strong_count() > 0);
        let new = Arc::new(Semaphore::new(self.each));
        servers.insert(name, Arc::downgrade(&new));
        new
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn one_server_has_a_part_of_all() {
        let slots = Slots::new(8);
        let a = "jdbc:postgresql://a:5432/x";
        let mut held = Vec::new();
        for url in [a, "jdbc:postgresql://a:5432/y?ssl=false"] {
            held.push(slots.acquire(url).await.unwrap());
        }
        assert!(slots.acquire(a).now_or_never().is_none());
        for url in ["b", "c", "d"] {
            for _ in 0..2 {
                held.push(slots.acquire(url).await.unwrap());
            }
        }
        assert!(slots.acquire("e").now_or_never().is_none());
        held.clear();
        slots.acquire(a).await.unwrap();
        // Those that nobody uses are not kept.
        assert_eq!(slots.servers.lock().unwrap().len(), 1);
    }

    #[tokio::test]
    async fn one_is_the_least() {
        Slots::new(1).acquire("a").await.unwrap();
    }
}
