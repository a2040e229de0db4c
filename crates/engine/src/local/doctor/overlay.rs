//! A file that redb may write to without writing to it: what it writes stays in memory.

use std::{
    collections::BTreeMap,
    io,
    sync::{Mutex, MutexGuard, PoisonError},
};

use redb::StorageBackend;

use crate::local::disk::DiskFile;

/// The unit in which what was written is kept. redb writes pages of this size.
const BLOCK: u64 = 4096;

/// Copy on write over a file that is read alone.
#[derive(Debug)]
pub(super) struct Overlay {
    file: DiskFile,
    written: Mutex<Written>,
}

#[derive(Debug, Default)]
struct Written {
    /// By number of the block.
    blocks: BTreeMap<u64, Vec<u8>>,
    len: u64,
    /// From here on nothing of the file shows any more: it was cut here once.
    file_len: u64,
}

impl Overlay {
    pub(super) fn new(file: DiskFile) -> io::Result<Self> {
        let len = file.len()?;
        let written = Written {
            blocks: BTreeMap::new(),
            len,
            file_len: len,
        };
        Ok(Overlay {
            file,
            written: Mutex::new(written),
        })
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the file holds there; zeros beyond what shows of it.
    fn read_file(&self, file_len: u64, offset: u64, out: &mut [u8]) -> io::Result<()> {
        out.fill(0);
        let shows = file_len.saturating_sub(offset).min(out.len() as u64);
        let shows = usize::try_from(shows).map_err(io::Error::other)?;
        match shows {
            0 => Ok(()),
            _ => self.file.read_into(offset, &mut out[..shows]),
        }
    }
}

/// The pieces of `offset..offset + len` that lie in one block each: its number, where in it, where in the whole, how long.
fn pieces(offset: u64, len: usize) -> impl Iterator<Item = (u64, usize, usize, usize)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let at = offset + done as u64;
        let inside = (at % BLOCK) as usize;
        let piece = (len - done).min(BLOCK as usize - inside);
        let found = (piece > 0).then_some((at / BLOCK, inside, done, piece));
        done += piece;
        found
    })
}

impl StorageBackend for Overlay {
    fn len(&self) -> Result<u64, io::Error> {
        Ok(self.written().len)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        let written = self.written();
        if offset + out.len() as u64 > written.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.read_file(written.file_len, offset, out)?;
        for (block, inside, done, piece) in pieces(offset, out.len()) {
            if let Some(bytes) = written.blocks.get(&block) {
                out[done..done + piece].copy_from_slice(&bytes[inside..inside + piece]);
            }
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        let mut written = self.written();
        if len < written.len {
            written.file_len = written.file_len.min(len);
            let _ = written.blocks.split_off(&len.div_ceil(BLOCK));
            if let Some(last) = written.blocks.get_mut(&(len / BLOCK)) {
                last[(len % BLOCK) as usize..].fill(0);
            }
        }
        written.len = len;
        Ok(())
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        let mut written = self.written();
        for (block, inside, done, piece) in pieces(offset, data.len()) {
            if !written.blocks.contains_key(&block) {
                let mut bytes = vec![0; BLOCK as usize];
                self.read_file(written.file_len, block * BLOCK, &mut bytes)?;
                written.blocks.insert(block, bytes);
            }
            if let Some(bytes) = written.blocks.get_mut(&block) {
                bytes[inside..inside + piece].copy_from_slice(&data[done..done + piece]);
            }
        }
        written.len = written.len.max(offset + data.len() as u64);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::PathBuf};

    use super::*;
    use crate::{Chance, local::disk::Disk};

    /// The same reads as a vector of bytes, whatever is written, cut and extended; and the file stays as it is.
    #[test]
    fn it_is_a_file_that_is_not_written() {
        let dir = tempfile::tempdir().unwrap();
        let path: PathBuf = dir.path().join("file");
        let original: Vec<u8> = (0..30_000u32).map(|n| (n % 251) as u8).collect();
        fs::write(&path, &original).unwrap();
        let chance = Chance::seeded(11);
        let below = |most: usize| (chance.next_u64() % most as u64) as usize;
        let overlay = Overlay::new(Disk::new().open_read(path.clone()).unwrap()).unwrap();
        let mut model = original.clone();
        for step in 0..2000 {
            match below(8) {
                0 => {
                    let len = below(60_000);
                    overlay.set_len(len as u64).unwrap();
                    model.resize(len, 0);
                }
                1..4 => {
                    let (at, len) = (below(model.len().max(1)), below(9000));
                    overlay.write(at as u64, &vec![step as u8; len]).unwrap();
                    model.resize(model.len().max(at + len), 0);
                    model[at..at + len].fill(step as u8);
                }
                _ => {
                    let at = below(model.len() + 1);
                    let len = below(model.len() - at + 1);
                    let mut out = vec![7; len];
                    overlay.read(at as u64, &mut out).unwrap();
                    assert!(out == model[at..at + len], "step {step}");
                }
            }
            assert_eq!(overlay.len().unwrap(), model.len() as u64);
        }
        let beyond = overlay.read(model.len() as u64, &mut [0]);
        assert_eq!(beyond.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert!(fs::read(&path).unwrap() == original);
    }
}
