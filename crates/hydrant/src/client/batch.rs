//! Packs records into the largest batches that `PutRecordBatch` takes. Pure.

use bytes::Bytes;

use super::limits::{BATCH_BYTES, BATCH_RECORDS};

/// Records for one call: 1–500 of them, 4 MiB together at most.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// In the order in which they were given.
    pub records: Vec<Bytes>,
    /// Their data together.
    pub bytes: usize,
}

/// Collects records until a batch is full.
#[derive(Debug, Default)]
pub struct Packer {
    open: Batch,
}

impl Packer {
    /// Adds a record; the batch that it did not fit into any more, if so.
    pub fn push(&mut self, record: Bytes) -> Option<Batch> {
        let full = self.open.records.len() == BATCH_RECORDS
            || self.open.bytes + record.len() > BATCH_BYTES;
        // A record alone always fits: its limit lies below the batch's.
        let done = (full && !self.open.records.is_empty()).then(|| std::mem::take(&mut self.open));
        self.open.bytes += record.len();
        self.open.records.push(record);
        done
    }

    /// What is left.
    pub fn finish(self) -> Option<Batch> {
        (!self.open.records.is_empty()).then_some(self.open)
    }
}

/// The batches of `records`. What came before an error is given before the error, which ends it.
pub fn batches<E>(
    records: impl IntoIterator<Item = Result<Bytes, E>>,
) -> impl Iterator<Item = Result<Batch, E>> {
    let mut records = records.into_iter();
    let mut packer = Some(Packer::default());
    let mut failed = None;
    std::iter::from_fn(move || {
        while let Some(open) = packer.as_mut() {
            match records.next() {
                Some(Ok(record)) => {
                    if let Some(batch) = open.push(record) {
                        return Some(Ok(batch));
                    }
                    continue;
                }
                Some(Err(error)) => failed = Some(error),
                None => {}
            }
            if let Some(rest) = packer.take().and_then(Packer::finish) {
                return Some(Ok(rest));
            }
        }
        failed.take().map(Err)
    })
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::{super::limits::RECORD_BYTES, *};

    fn pack(sizes: &[usize]) -> Vec<Batch> {
        let records = sizes
            .iter()
            .map(|&size| Ok::<_, Infallible>(Bytes::from(vec![7; size])));
        batches(records).map(Result::unwrap).collect()
    }

    #[test]
    fn exactly_full() {
        let batches = pack(&[1; BATCH_RECORDS + 1]);
        assert_eq!(batches[0].records.len(), BATCH_RECORDS);
        assert_eq!(batches[1].records.len(), 1);
        let quarter = BATCH_BYTES / 4;
        // Larger than a record may be, but here only sums count.
        assert_eq!(pack(&[quarter; 4]).len(), 1);
        assert_eq!(pack(&[quarter, quarter, quarter, quarter, 1]).len(), 2);
        assert!(pack(&[]).is_empty());
    }

    #[test]
    fn an_error_ends_it_after_what_came_before() {
        let first = Bytes::from_static(b"a");
        let records = [Ok(first.clone()), Err("gone"), Ok(Bytes::new())];
        let before = Batch {
            bytes: 1,
            records: vec![first],
        };
        let all: Vec<_> = batches(records).collect();
        assert_eq!(all, [Ok(before), Err("gone")]);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_limits_hold(sizes in proptest::collection::vec(0..=RECORD_BYTES, 0..30)) {
            let batches = pack(&sizes);
            let back: Vec<usize> =
                batches.iter().flat_map(|batch| &batch.records).map(Bytes::len).collect();
            prop_assert_eq!(back, sizes);
            for batch in &batches {
                prop_assert!(batch.records.len() <= BATCH_RECORDS && batch.bytes <= BATCH_BYTES);
                prop_assert_eq!(batch.bytes, batch.records.iter().map(Bytes::len).sum::<usize>());
            }
        }
    }
}
