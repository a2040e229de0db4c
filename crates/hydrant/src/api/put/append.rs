//! From a frame to positions in the log, and what to do when the log cannot.

use std::sync::atomic::{AtomicU64, Ordering};

use hydrant_engine::{Frame, LaneId, Log, LogError, Position, Timestamp};

use crate::stream::StreamKey;

/// The text for "not now, and it is not your fault"; the service's own words for it.
pub(in crate::api) const UNAVAILABLE: &str =
    "The service is unavailable. Back off and retry the operation.";

/// What became of a frame.
#[derive(Debug, Default)]
pub(super) struct Appended {
    /// Where its records lie: one frame, or several where the log takes only smaller ones.
    pub(super) frames: Vec<(Position, usize)>,
    /// Their data in bytes.
    pub(super) bytes: u64,
    /// Why the rest is not there.
    pub(super) failure: Option<LogError>,
}

impl Appended {
    /// Records that are durable: the first ones of the request.
    pub(super) fn records(&self) -> usize {
        self.frames.iter().map(|(_, records)| records).sum()
    }
}

/// Appends all records of `frame`, in order; stops at the first failure. An empty frame is not
/// appended.
pub(super) async fn append(log: &dyn Log, lane: LaneId, frame: Frame) -> Appended {
    let mut appended = Appended::default();
    for range in pieces(frame.ends(), log.frame_limit()) {
        // Most often the one piece is all of it.
        let piece = if range.len() == frame.records() {
            frame.clone()
        } else {
            frame.slice(range)
        };
        let (records, bytes) = (piece.records(), piece.bytes() as u64);
        match log.append(lane, piece).await {
            Ok(position) => {
                appended.frames.push((position, records));
                appended.bytes += bytes;
            }
            Err(error) => {
                appended.failure = Some(error);
                break;
            }
        }
    }
    appended
}

/// Cuts records that end at `ends` into runs of `limit` bytes at most. A record that is larger by
/// itself is a run of its own, for the log to refuse.
fn pieces(ends: &[u32], limit: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    let limit = u32::try_from(limit).unwrap_or(u32::MAX);
    let mut from = 0usize;
    std::iter::from_fn(move || {
        let start = from.checked_sub(1).map_or(0, |last| ends[last]);
        let fit = ends[from..].partition_point(|end| end - start <= limit);
        let range = from..(from + fit.max(1)).min(ends.len());
        from = range.end;
        (!range.is_empty()).then_some(range)
    })
}

/// Logs failed appends, one in a second at most: a full disk fails thousands in that time.
#[derive(Debug, Default)]
pub(in crate::api) struct Complaints {
    last: AtomicU64,
    unsaid: AtomicU64,
}

impl Complaints {
    /// Logs that an append failed, or counts it for the next time.
    pub(super) fn complain(&self, error: &LogError, key: &StreamKey, now: Timestamp) {
        // A record on its way while its stream is deleted is no fault of the node.
        if matches!(error, LogError::LaneRemoved(_)) {
            return;
        }
        let second = now.as_millis() / 1_000;
        if self.last.swap(second, Ordering::Relaxed) == second {
            self.unsaid.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let unsaid = self.unsaid.swap(0, Ordering::Relaxed);
        tracing::error!(stream = %key, %error, unsaid, "records could not be stored");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn pieces_are_all_records_in_as_few_runs_as_can_be(
            sizes in proptest::collection::vec(0u32..20, 0..40),
            limit in 1usize..50,
        ) {
            let frame = Frame::new(Timestamp(0), sizes.iter().map(|&size| vec![0; size as usize]));
            let runs: Vec<_> = pieces(frame.ends(), limit).collect();
            let all: Vec<usize> = runs.iter().cloned().flatten().collect();
            prop_assert_eq!(all, (0..sizes.len()).collect::<Vec<_>>());
            for (at, run) in runs.iter().enumerate() {
                let bytes = frame.slice(run.clone()).bytes();
                prop_assert!(bytes <= limit || run.len() == 1);
                if at + 1 < runs.len() {
                    let one_more = frame.slice(run.start..run.end + 1).bytes();
                    prop_assert!(one_more > limit, "{:?} could have taken one more", run);
                }
            }
        }
    }
}
