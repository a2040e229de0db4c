//! When the open buffer becomes a span. Pure: frames' metadata, hints and time in, decisions out.
//!
//! The open buffer is a few numbers, however much it holds: the bytes are in the log.
//!
//! * It is cut when it holds `SizeInMBs` (before compression), or when its first record is
//!   `IntervalInSeconds` old, whichever comes first (SPEC §4.3); the latter needs no new frame.
//! * A frame that arrived an interval or more after the buffer's first begins the next buffer: after a restart, a
//!   backlog is grouped as it would have been.
//! * Falling behind raises the size: while as many spans are in flight as may be, nothing can be cut, and the
//!   buffer grows on, up to [`MAX_SPAN_BYTES`] and [`MAX_SPAN_WIDTH`]. The slower the destination, the
//!   larger the objects. So do objects that wait to be loaded, when they are many.
//! * Age is measured on the monotonic clock from the moment the frame is first seen. A wall clock
//!   that jumps cuts nothing early and holds nothing back.

use std::time::Duration;

use hydrant_engine::{FrameMeta, Timestamp};

use super::checkpoint::Span;
use crate::stream::BufferingHints;

/// The largest size that falling behind raises a span to, in bytes of record data.
pub const MAX_SPAN_BYTES: u64 = 128 << 20;
/// The widest that falling behind makes a span, in time of arrival: the widest that hints can ask for.
pub const MAX_SPAN_WIDTH: Duration = Duration::from_secs(900);

/// Now, on both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) wall: Timestamp,
    pub(crate) monotonic: Duration,
}

/// An age that grows with the monotonic clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Age {
    when_seen: Duration,
    seen: Duration,
}

impl Age {
    /// The age of what arrived at `arrival`, first looked at now.
    pub(crate) fn of(arrival: Timestamp, now: Moment) -> Self {
        Age {
            when_seen: now.wall.since(arrival),
            seen: now.monotonic,
        }
    }

    /// How long ago it was first looked at.
    pub(crate) fn seen_for(self, now: Moment) -> Duration {
        now.monotonic.saturating_sub(self.seen)
    }

    /// How old it is now.
    pub(crate) fn at(self, now: Moment) -> Duration {
        self.when_seen.saturating_add(self.seen_for(now))
    }
}

/// What makes a buffer full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) bytes: u64,
    pub(crate) interval: Duration,
}

impl Limits {
    /// What the hints ask for, and no longer interval than `cap`.
    pub(crate) fn hinted(hints: BufferingHints, cap: Option<Duration>) -> Self {
        let interval = hints.interval();
        Limits {
            bytes: hints.size_bytes(),
            interval: cap.map_or(interval, |cap| interval.min(cap)),
        }
    }

    /// These limits while a warehouse falls behind: larger objects, as often as before.
    pub(crate) fn enlarged(self) -> Self {
        Limits {
            bytes: self.bytes.max(MAX_SPAN_BYTES),
            ..self
        }
    }

    /// These limits while nothing can be cut.
    pub(crate) fn raised(self) -> Self {
        Limits {
            bytes: self.bytes.max(MAX_SPAN_BYTES),
            interval: self.interval.max(MAX_SPAN_WIDTH),
        }
    }
}

/// The open buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Buffer {
    pub(crate) span: Span,
    pub(crate) oldest: Timestamp,
    pub(crate) newest: Timestamp,
    pub(crate) records: u64,
    pub(crate) bytes: u64,
    age: Age,
}

impl Buffer {
    /// A buffer of one frame.
    pub(crate) fn begin(frame: &FrameMeta, now: Moment) -> Self {
        Buffer {
            span: Span {
                start: frame.position,
                end: frame.position.next(),
            },
            oldest: frame.arrival,
            newest: frame.arrival,
            records: u64::from(frame.records),
            bytes: frame.bytes,
            age: Age::of(frame.arrival, now),
        }
    }

    /// Whether `frame`, which comes next, belongs to this buffer.
    pub(crate) fn takes(&self, frame: &FrameMeta, limits: Limits) -> bool {
        self.bytes < limits.bytes && frame.arrival.since(self.oldest) < limits.interval
    }

    /// Adds the next frame.
    pub(crate) fn add(&mut self, frame: &FrameMeta) {
        self.span.end = frame.position.next();
        self.oldest = self.oldest.min(frame.arrival);
        self.newest = self.newest.max(frame.arrival);
        self.records += u64::from(frame.records);
        self.bytes += frame.bytes;
    }

    /// How long until it is due; zero when it is. It never becomes due later than said, unless the
    /// limits change.
    pub(crate) fn due_in(&self, limits: Limits, now: Moment) -> Duration {
        if self.bytes >= limits.bytes {
            return Duration::ZERO;
        }
        limits.interval.saturating_sub(self.age.at(now))
    }
}

#[cfg(test)]
mod tests {
    use hydrant_engine::Position;
    use proptest::prelude::*;

    use super::*;

    const HINTS: BufferingHints = BufferingHints {
        size_mb: 5,
        interval_s: 300,
    };
    const BEGIN: Timestamp = Timestamp(1_444_222_333_444);

    fn frame(position: u64, after_s: u64, bytes: u64) -> FrameMeta {
        FrameMeta {
            position: Position(position),
            arrival: BEGIN.plus(Duration::from_secs(after_s)),
            records: 2,
            bytes,
        }
    }

    fn at(after_s: u64) -> Moment {
        let since = Duration::from_secs(after_s);
        Moment {
            wall: BEGIN.plus(since),
            monotonic: since,
        }
    }

    fn limits() -> Limits {
        Limits::hinted(HINTS, None)
    }

    const SECONDS: fn(u64) -> Duration = Duration::from_secs;

    #[test]
    fn due_by_age_without_traffic() {
        let buffer = Buffer::begin(&frame(3, 0, 10), at(0));
        assert_eq!(buffer.due_in(limits(), at(0)), SECONDS(300));
        assert_eq!(buffer.due_in(limits(), at(299)), SECONDS(1));
        assert_eq!(buffer.due_in(limits(), at(300)), Duration::ZERO);
        assert_eq!(buffer.due_in(limits(), at(10_000)), Duration::ZERO);
    }

    #[test]
    fn due_by_size_before_compression() {
        let mut buffer = Buffer::begin(&frame(3, 0, 4 << 20), at(0));
        assert!(buffer.takes(&frame(4, 1, 4 << 20), limits()));
        buffer.add(&frame(4, 1, 4 << 20));
        assert_eq!(buffer.due_in(limits(), at(1)), Duration::ZERO);
        assert!(!buffer.takes(&frame(5, 1, 1), limits()));
        let span = Span {
            start: Position(3),
            end: Position(5),
        };
        assert_eq!(
            (buffer.span, buffer.records, buffer.bytes),
            (span, 4, 8 << 20)
        );
    }

    #[test]
    fn new_hints_hold_for_the_open_buffer() {
        let buffer = Buffer::begin(&frame(3, 0, 2 << 20), at(0));
        let shorter = Limits::hinted(
            BufferingHints {
                interval_s: 60,
                ..HINTS
            },
            None,
        );
        assert_eq!(buffer.due_in(shorter, at(50)), SECONDS(10));
        let smaller = Limits::hinted(
            BufferingHints {
                size_mb: 1,
                ..HINTS
            },
            None,
        );
        assert_eq!(buffer.due_in(smaller, at(0)), Duration::ZERO);
        let capped = Limits::hinted(HINTS, Some(SECONDS(2)));
        assert_eq!(buffer.due_in(capped, at(0)), SECONDS(2));
    }

    #[test]
    fn a_backlog_is_grouped_as_it_would_have_been() {
        // Seen long after it arrived.
        let mut buffer = Buffer::begin(&frame(3, 0, 10), at(5_000));
        assert_eq!(buffer.due_in(limits(), at(5_000)), Duration::ZERO);
        assert!(buffer.takes(&frame(4, 299, 10), limits()));
        buffer.add(&frame(4, 299, 10));
        assert!(!buffer.takes(&frame(5, 300, 10), limits()));
        assert_eq!(buffer.newest, BEGIN.plus(SECONDS(299)));
    }

    #[test]
    fn a_jumping_wall_clock_changes_nothing() {
        let buffer = Buffer::begin(&frame(3, 0, 10), at(0));
        for wall in [Timestamp(0), BEGIN.plus(SECONDS(1_000_000))] {
            let now = Moment { wall, ..at(100) };
            assert_eq!(buffer.due_in(limits(), now), SECONDS(200));
        }
        // A frame stamped by a clock that was set back since.
        let early = Moment {
            wall: Timestamp(5),
            ..at(0)
        };
        let buffer = Buffer::begin(&frame(3, 0, 10), early);
        assert_eq!(buffer.due_in(limits(), early), SECONDS(300));
    }

    #[test]
    fn falling_behind_raises_the_size_up_to_the_cap() {
        let mut buffer = Buffer::begin(&frame(3, 0, 100 << 20), at(0));
        assert!(!buffer.takes(&frame(4, 1, 1), limits()));
        assert!(buffer.takes(&frame(4, 899, 1), limits().raised()));
        assert!(!buffer.takes(&frame(4, 900, 1), limits().raised()));
        buffer.add(&frame(4, 899, 28 << 20));
        assert!(!buffer.takes(&frame(5, 899, 1), limits().raised()));
        let large = Limits {
            bytes: 200 << 20,
            ..limits()
        };
        assert_eq!(large.raised().bytes, 200 << 20);
    }

    proptest! {
        /// Whatever comes: spans cover every frame once, in order, and none is larger or wider than asked.
        #[test]
        fn spans_cover_every_frame_once(
            frames in prop::collection::vec((1u64..4, 0u64..400, 0u64..(4 << 20)), 1..60),
            raised: bool,
        ) {
            let limits = if raised { limits().raised() } else { limits() };
            let (mut position, mut second) = (0, 0);
            let mut spans: Vec<Buffer> = Vec::new();
            let mut taken = Vec::new();
            for (step, pause, bytes) in frames {
                position += step;
                second += pause;
                let frame = frame(position, second, bytes);
                taken.push(frame);
                match spans.last_mut() {
                    Some(open) if open.takes(&frame, limits) => open.add(&frame),
                    _ => spans.push(Buffer::begin(&frame, at(second))),
                }
            }
            for frame in &taken {
                let holders = spans.iter().filter(|b| b.span.contains(frame.position)).count();
                prop_assert_eq!(holders, 1);
            }
            for (before, after) in spans.iter().zip(&spans[1..]) {
                prop_assert!(before.span.end <= after.span.start);
            }
            for buffer in &spans {
                prop_assert!(buffer.newest.since(buffer.oldest) < limits.interval);
                prop_assert!(buffer.bytes < limits.bytes + (4 << 20));
            }
            prop_assert_eq!(
                spans.iter().map(|b| b.bytes).sum::<u64>(),
                taken.iter().map(|f| f.bytes).sum::<u64>()
            );
        }
    }
}
