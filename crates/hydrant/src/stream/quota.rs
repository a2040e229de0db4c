//! The throughput quota of one stream: three token buckets that both put operations share.
//!
//! A decision is a pure function of the state, the time and the demand. Each bucket holds one
//! second's worth, so that an idle stream takes a burst of that much at once, and never less than the
//! largest single record, which could else never pass. A request pays for what is admitted of it
//! and for nothing else.
//!
//! Tokens are counted in billionths: at `rate` tokens a second, `n` nanoseconds refill exactly
//! `n · rate` of them, without rounding.

use std::time::Duration;

use crate::config::quotas::Throughput;

/// The largest record that AWS takes (SPEC §2.0): a bucket of bytes must hold one.
const LARGEST_RECORD: u64 = 1_024_000;
const BILLION: u128 = 1_000_000_000;

/// What a stream may still take.
#[derive(Clone, Debug)]
pub struct Quota {
    calls: Option<Bucket>,
    records: Option<Bucket>,
    bytes: Option<Bucket>,
}

impl Quota {
    /// The quota of a stream that was idle for long.
    pub fn new(throughput: &Throughput) -> Self {
        let bucket = |rate: Option<u64>, least: u64| rate.map(|rate| Bucket::full(rate, least));
        Quota {
            calls: bucket(throughput.calls, 1),
            records: bucket(throughput.records, 1),
            bytes: bucket(throughput.bytes, LARGEST_RECORD),
        }
    }

    /// One put call at `now` (monotonic) with records that end at `ends` when laid back to back: how
    /// many of them, from the first, are admitted. What is admitted is paid for.
    ///
    /// Those that fit are always the first ones: what is refused and sent again comes after what was
    /// taken, as the producer had it.
    pub fn admit(&mut self, now: Duration, ends: &[u32]) -> usize {
        let (calls, records, bytes) = (
            Bucket::tokens(&mut self.calls, now),
            Bucket::tokens(&mut self.records, now),
            Bucket::tokens(&mut self.bytes, now),
        );
        if calls == 0 {
            return 0;
        }
        let by_bytes = ends.partition_point(|&end| u64::from(end) <= bytes);
        let admitted = by_bytes.min(usize::try_from(records).unwrap_or(usize::MAX));
        let Some(last) = admitted.checked_sub(1) else {
            return 0;
        };
        Bucket::take(&mut self.calls, 1);
        Bucket::take(&mut self.records, admitted as u64);
        Bucket::take(&mut self.bytes, u64::from(ends[last]));
        admitted
    }
}

#[derive(Clone, Debug)]
struct Bucket {
    /// Tokens a second.
    rate: u64,
    /// Billionths of tokens at most.
    capacity: u128,
    /// Billionths of tokens at `at`.
    level: u128,
    at: Duration,
}

impl Bucket {
    fn full(rate: u64, least: u64) -> Self {
        let capacity = u128::from(rate.max(least)) * BILLION;
        Bucket {
            rate,
            capacity,
            level: capacity,
            at: Duration::ZERO,
        }
    }

    /// Refills; whole tokens that are there now. Without a bucket there is no end of them.
    fn tokens(bucket: &mut Option<Bucket>, now: Duration) -> u64 {
        let Some(bucket) = bucket else {
            return u64::MAX;
        };
        let passed = now.saturating_sub(bucket.at).as_nanos();
        let refill = passed.saturating_mul(u128::from(bucket.rate));
        bucket.level = bucket.level.saturating_add(refill).min(bucket.capacity);
        bucket.at = bucket.at.max(now);
        u64::try_from(bucket.level / BILLION).unwrap_or(u64::MAX)
    }

    fn take(bucket: &mut Option<Bucket>, tokens: u64) {
        if let Some(bucket) = bucket {
            bucket.level = bucket.level.saturating_sub(u128::from(tokens) * BILLION);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn quota(calls: u64, records: u64, bytes: u64) -> Quota {
        Quota::new(&Throughput {
            calls: Some(calls),
            records: Some(records),
            bytes: Some(bytes),
        })
    }

    fn ends(sizes: &[u32]) -> Vec<u32> {
        sizes
            .iter()
            .scan(0, |end, size| {
                *end += size;
                Some(*end)
            })
            .collect()
    }

    #[test]
    fn the_full_batch_passes_an_idle_stream_of_the_default_quota() {
        let mut quota = Quota::new(&Throughput::DEFAULT);
        let batch = ends(&[8_388; 500]);
        assert_eq!(quota.admit(SECOND, &batch), 500);
        // 5 MiB less 4,194,000 bytes leave room for 125 more.
        assert_eq!(quota.admit(SECOND, &batch), 125);
        assert_eq!(quota.admit(SECOND, &batch), 0);
        assert_eq!(quota.admit(SECOND * 2, &batch), 500);
    }

    #[test]
    fn calls_and_records_run_out_and_come_back() {
        let mut calls = quota(2, 1_000, 1 << 30);
        assert_eq!(calls.admit(SECOND, &[1]), 1);
        assert_eq!(calls.admit(SECOND, &[1]), 1);
        assert_eq!(calls.admit(SECOND, &[1]), 0);
        assert_eq!(
            calls.admit(SECOND * 3 / 2 - Duration::from_nanos(1), &[1]),
            0
        );
        assert_eq!(calls.admit(SECOND * 3 / 2, &[1]), 1);

        let mut records = quota(1_000, 3, 1 << 30);
        assert_eq!(records.admit(SECOND, &ends(&[1; 5])), 3);
        assert_eq!(records.admit(SECOND, &ends(&[0])), 0);
    }

    #[test]
    fn the_largest_record_passes_the_smallest_quota() {
        let mut quota = quota(1_000, 1_000, 1_000);
        let largest = [u32::try_from(LARGEST_RECORD).unwrap()];
        assert_eq!(quota.admit(SECOND, &largest), 1);
        assert_eq!(quota.admit(SECOND * 1_000, &largest), 0);
        assert_eq!(quota.admit(SECOND * 1_025, &largest), 1);
    }

    #[test]
    fn without_limits_all_is_admitted() {
        let mut quota = Quota::new(&Throughput::UNLIMITED);
        assert_eq!(quota.admit(Duration::ZERO, &ends(&[1_024_000; 500])), 500);
    }

    proptest! {
        /// Over any time, no more passes than the burst and what the rate gave since; and what is
        /// refused would indeed have been too much.
        #[test]
        fn never_more_than_burst_and_rate(
            requests in proptest::collection::vec(
                (0u64..2_000_000_000, proptest::collection::vec(0u32..3_000, 1..20)),
                1..60,
            )
        ) {
            let (calls, records, bytes) = (5, 40, 2_000_000u64);
            let mut quota = quota(calls, records, bytes);
            let mut now = Duration::ZERO;
            let (mut taken_calls, mut taken_records, mut taken_bytes) = (0u128, 0u128, 0u128);
            for (wait, sizes) in requests {
                now += Duration::from_nanos(wait);
                let ends = ends(&sizes);
                let admitted = quota.admit(now, &ends);
                prop_assert!(admitted <= ends.len());
                let most = |rate: u64| u128::from(rate) * (BILLION + now.as_nanos());
                if admitted > 0 {
                    taken_calls += 1;
                    taken_records += admitted as u128;
                    taken_bytes += u128::from(ends[admitted - 1]);
                }
                prop_assert!(taken_calls * BILLION <= most(calls));
                prop_assert!(taken_records * BILLION <= most(records));
                prop_assert!(taken_bytes * BILLION <= most(bytes));
                // Greedy: asking again at once for one record of what was refused is refused.
                if let Some(&end) = ends.get(admitted) {
                    let before = admitted.checked_sub(1).map_or(0, |last| ends[last]);
                    prop_assert_eq!(quota.clone().admit(now, &[end - before]), 0);
                }
            }
        }
    }
}
