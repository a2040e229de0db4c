//! When a failed delivery is tried again, and when it is given up (SPEC §4.4). Pure.

use std::time::Duration;

/// The first pause.
pub(crate) const FIRST: Duration = Duration::from_secs(1);
/// The longest pause.
pub(crate) const LONGEST: Duration = Duration::from_secs(300);
/// How old records get before they are given up.
pub const RETENTION: Duration = Duration::from_secs(24 * 60 * 60);
/// How long records are tried at least, however old they are. A node that was down over a weekend comes back
/// before its network does, and sometimes with a clock that is wrong: one failure must not be the end.
pub(crate) const GRACE: Duration = Duration::from_secs(60 * 60);

/// The pause after `failures` failures in a row: doubling from [`FIRST`] to [`LONGEST`], of which a random part
/// of up to a half is taken away, so that streams that failed together do not come back together.
/// `fraction` lies in `[0, 1)`.
pub(crate) fn pause(failures: u32, fraction: f64) -> Duration {
    pause_up_to(LONGEST, failures, fraction)
}

/// The same, up to another longest pause.
pub(crate) fn pause_up_to(longest: Duration, failures: u32, fraction: f64) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let whole = FIRST.saturating_mul(1 << doublings).min(longest);
    whole.mul_f64(1.0 - fraction.clamp(0.0, 1.0) / 2.0)
}

/// What follows a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Another attempt after this pause.
    After(Duration),
    /// The records are too old.
    GiveUp,
}

/// Decides with the age of the span's youngest record, and for how long it has been tried without a
/// break: no record is given up before its time, and a last attempt is made when the time is up.
pub(crate) fn next(
    pause: Duration,
    youngest: Duration,
    tried: Duration,
    retention: Duration,
) -> Next {
    let grace = GRACE.min(retention).saturating_sub(tried);
    match retention.saturating_sub(youngest).max(grace) {
        Duration::ZERO => Next::GiveUp,
        left => Next::After(pause.min(left)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_five_minutes() {
        let pauses: Vec<u64> = (1..=11).map(|n| pause(n, 0.0).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        assert_eq!(pause(u32::MAX, 0.0), LONGEST);
        assert_eq!(pause(3, 0.5), Duration::from_secs(3));
        assert!(pause(1, 0.999) > Duration::from_millis(500));
    }

    #[test]
    fn the_last_attempt_is_made_when_the_day_is_over() {
        let hours = |n: u64| Duration::from_secs(n * 3600);
        let next = |age| super::next(Duration::from_secs(300), age, hours(2), hours(24));
        assert_eq!(next(hours(1)), Next::After(Duration::from_secs(300)));
        let minute = Duration::from_secs(60);
        assert_eq!(next(hours(24) - minute), Next::After(minute));
        assert_eq!(next(hours(24)), Next::GiveUp);
        assert_eq!(next(hours(30)), Next::GiveUp);
    }

    #[test]
    fn what_is_old_already_is_tried_for_a_while() {
        let minutes = |n: u64| Duration::from_secs(n * 60);
        let next = |tried| super::next(minutes(5), minutes(60 * 70), tried, RETENTION);
        assert_eq!(next(Duration::ZERO), Next::After(minutes(5)));
        assert_eq!(next(minutes(58)), Next::After(minutes(2)));
        assert_eq!(next(minutes(60)), Next::GiveUp);
    }
}
