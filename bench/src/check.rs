//! Delivered is acknowledged, to the record: every object is read, every record counted by its number.

use std::io::Read;

use anyhow::{Context, Result, bail, ensure};
use flate2::read::MultiGzDecoder;

use crate::{records::number_of, sink::Object};

/// What was found in the objects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) objects: usize,
    /// As they were stored.
    pub(crate) bytes: u64,
}

/// Checks that `objects` hold each record as often as it was acknowledged, byte for byte: `acked` and the CRC-32 in
/// `sums` are by record number.
pub(crate) fn delivered(
    objects: &[Object],
    gzip: bool,
    acked: &[u64],
    sums: &[u32],
) -> Result<Found> {
    let mut counts = vec![0u64; acked.len()];
    let mut found = Found::default();
    let mut plain = Vec::new();
    for object in objects {
        let stored: Vec<u8> = object
            .iter()
            .flat_map(|part| part.iter().copied())
            .collect();
        found.objects += 1;
        found.bytes += stored.len() as u64;
        let text = match gzip {
            false => &stored,
            true => {
                plain.clear();
                MultiGzDecoder::new(&stored[..])
                    .read_to_end(&mut plain)
                    .context("an object is not GZIP")?;
                &plain
            }
        };
        for record in text.split_inclusive(|&byte| byte == b'\n') {
            let number = number_of(record).context("an object holds what is no record")? as usize;
            let sum = sums.get(number).context("a record that was never sent")?;
            ensure!(
                *sum == crc32fast::hash(record),
                "record {number} was delivered with other bytes"
            );
            counts[number] += 1;
        }
    }
    if let Some(number) = (0..acked.len()).find(|&number| counts[number] != acked[number]) {
        let (delivered, acked): (u64, u64) = (counts.iter().sum(), acked.iter().sum());
        bail!(
            "{acked} records were acknowledged and {delivered} delivered; the first that differs is number {number}, delivered {} times",
            counts[number]
        );
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use hydrant_engine::Chance;

    use super::*;
    use crate::records::Kind;

    #[test]
    fn a_lost_a_doubled_and_a_changed_record_are_found() {
        let records: Vec<_> = (0..3)
            .map(|n| Kind::Log.record(&Chance::seeded(n), n, 250))
            .collect();
        let sums: Vec<u32> = records.iter().map(|it| crc32fast::hash(it)).collect();
        let object = |numbers: &[usize]| {
            let bytes = numbers.iter().flat_map(|&n| records[n].clone()).collect();
            vec![Arc::new(bytes)]
        };
        let check = |acked: &[u64], objects: &[Object]| delivered(objects, false, acked, &sums);
        let right = [object(&[0, 2]), object(&[1, 2])];
        assert_eq!(
            check(&[1, 1, 2], &right).unwrap(),
            Found {
                objects: 2,
                bytes: 1000
            }
        );
        assert!(check(&[1, 1, 2], &right[..1]).is_err());
        assert!(check(&[1, 1, 1], &right).is_err());
        let mut changed = records[0].clone();
        changed[5] ^= 1;
        assert!(check(&[1, 0, 0], &[vec![Arc::new(changed)]]).is_err());
    }
}
