//! A lane's objects that wait to be loaded, shared by worker (adds), loader (takes away), flush and trace (look).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use hydrant_engine::Position;
use tokio::sync::watch;

use super::{
    batch::{self, Batch},
    entry::Entry,
};

/// What waits, by the first position of its span. Nothing is here whose span is still in the checkpoint.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    waiting: Mutex<Waiting>,
    /// Raised with every change.
    changes: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Waiting {
    entries: BTreeMap<Position, Entry>,
    totals: Totals,
}

/// How much waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) objects: u64,
    pub(crate) records: u64,
    /// Record data, before compression.
    pub(crate) bytes: u64,
}

impl Pending {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds objects that were delivered, whose spans have left the checkpoint.
    pub(crate) fn add(&self, entries: impl IntoIterator<Item = (Position, Entry)>) {
        let mut waiting = self.waiting();
        for (start, mut entry) in entries {
            // Thousands of objects share few configurations.
            if let Some((_, last)) = waiting.entries.last_key_value()
                && last.warehouse == entry.warehouse
            {
                entry.warehouse = last.warehouse.clone();
            }
            waiting.totals.objects += 1;
            waiting.totals.records += entry.records;
            waiting.totals.bytes += entry.bytes;
            waiting.entries.insert(start, entry);
        }
        drop(waiting);
        self.changes.send_modify(|changes| *changes += 1);
    }

    /// Takes away objects that are settled.
    pub(crate) fn remove(&self, starts: &[Position]) {
        let mut waiting = self.waiting();
        for start in starts {
            if let Some(entry) = waiting.entries.remove(start) {
                waiting.totals.objects -= 1;
                waiting.totals.records -= entry.records;
                waiting.totals.bytes -= entry.bytes;
            }
        }
        drop(waiting);
        self.changes.send_modify(|changes| *changes += 1);
    }

    /// Wakes with every change.
    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// The lowest position that is not in the warehouse.
    pub(crate) fn first(&self) -> Option<Position> {
        let waiting = self.waiting();
        waiting.entries.first_key_value().map(|(start, _)| *start)
    }

    /// First positions of all spans.
    pub(crate) fn starts(&self) -> BTreeSet<Position> {
        self.waiting().entries.keys().copied().collect()
    }

    pub(crate) fn totals(&self) -> Totals {
        self.waiting().totals
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.totals().objects == 0
    }

    /// What the next COPY takes.
    pub(crate) fn batch(&self) -> Option<Batch> {
        batch::next(&self.waiting().entries)
    }

    /// The keys of these objects.
    pub(crate) fn keys(&self, starts: &[Position]) -> Vec<String> {
        let waiting = self.waiting();
        let key = |start| Some(waiting.entries.get(start)?.key.clone());
        starts.iter().filter_map(key).collect()
    }
}
