//! One file of the simulated disk: what a process sees of it, and what power cannot take.

use std::{collections::BTreeSet, ops::Range};

use super::{BLOCK, SECTOR};

/// A file.
#[derive(Clone, Debug, Default)]
pub(super) struct File {
    /// The page cache: what a process reads.
    pub(super) seen: Vec<u8>,
    durable: Vec<u8>,
    /// Since the last sync, in order.
    pending: Vec<Pending>,
    /// Blocks that space is set aside for.
    blocks: BTreeSet<u64>,
    /// Sectors that cannot be read.
    dead: BTreeSet<usize>,
    /// Where the write began that was synced last.
    pub(super) last_batch: usize,
}

#[derive(Clone, Debug)]
enum Pending {
    Write(usize, Vec<u8>),
    Len(usize),
}

fn put(bytes: &mut Vec<u8>, at: usize, new: &[u8]) {
    if bytes.len() < at + new.len() {
        bytes.resize(at + new.len(), 0);
    }
    bytes[at..at + new.len()].copy_from_slice(new);
}

impl File {
    /// What it takes of the disk, in bytes.
    pub(super) fn space(&self) -> u64 {
        self.blocks.len() as u64 * BLOCK
    }

    /// The blocks that a range of bytes would newly take.
    pub(super) fn new_blocks(&self, range: Range<u64>) -> Vec<u64> {
        if range.is_empty() {
            return Vec::new();
        }
        let blocks = range.start / BLOCK..=(range.end - 1) / BLOCK;
        blocks
            .filter(|block| !self.blocks.contains(block))
            .collect()
    }

    pub(super) fn take(&mut self, blocks: impl IntoIterator<Item = u64>) {
        self.blocks.extend(blocks);
    }

    pub(super) fn write(&mut self, at: usize, bytes: &[u8]) {
        put(&mut self.seen, at, bytes);
        let sectors = at.div_ceil(SECTOR)..(at + bytes.len()) / SECTOR;
        self.dead.retain(|sector| !sectors.contains(sector));
        self.pending.push(Pending::Write(at, bytes.to_vec()));
    }

    pub(super) fn set_len(&mut self, len: usize) {
        if len < self.seen.len() {
            let kept = (len as u64).div_ceil(BLOCK);
            self.blocks.retain(|&block| block < kept);
        }
        self.seen.resize(len, 0);
        self.pending.push(Pending::Len(len));
    }

    /// All that was written is durable.
    pub(super) fn sync(&mut self) {
        for change in std::mem::take(&mut self.pending) {
            match change {
                Pending::Write(at, bytes) => {
                    self.last_batch = at;
                    put(&mut self.durable, at, &bytes);
                }
                Pending::Len(len) => self.durable.resize(len, 0),
            }
        }
    }

    /// Each piece of what was not synced is on disk or not; what is seen stays as it is, and counts as clean.
    pub(super) fn half_sync(&mut self, mut lucky: impl FnMut() -> bool) {
        for change in std::mem::take(&mut self.pending) {
            match change {
                Pending::Len(len) => {
                    if lucky() {
                        self.durable.resize(len, 0);
                    }
                }
                Pending::Write(at, new) => {
                    let mut done = 0;
                    while done < new.len() {
                        let next = ((at + done) / SECTOR + 1) * SECTOR - at;
                        let end = next.min(new.len());
                        if lucky() {
                            put(&mut self.durable, at + done, &new[done..end]);
                        }
                        done = end;
                    }
                }
            }
        }
    }

    /// Power goes: what is seen from now on is what is on disk.
    pub(super) fn lose_cache(&mut self, lucky: impl FnMut() -> bool) {
        self.half_sync(lucky);
        self.drop_cache();
    }

    /// Clean pages are read from the disk from now on; the others stay.
    pub(super) fn drop_cache(&mut self) {
        self.seen.clone_from(&self.durable);
        for change in &self.pending {
            match change {
                Pending::Write(at, bytes) => put(&mut self.seen, *at, bytes),
                Pending::Len(len) => self.seen.resize(*len, 0),
            }
        }
    }

    pub(super) fn kill_sector(&mut self, at: usize) {
        self.dead.insert(at / SECTOR);
    }

    /// Whether a range can be read.
    pub(super) fn is_readable(&self, range: Range<usize>) -> bool {
        let sectors = range.start / SECTOR..range.end.div_ceil(SECTOR);
        self.dead.range(sectors).next().is_none()
    }

    pub(super) fn flip(&mut self, at: usize, bits: u8) {
        for bytes in [&mut self.seen, &mut self.durable] {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= bits;
            }
        }
    }
}
