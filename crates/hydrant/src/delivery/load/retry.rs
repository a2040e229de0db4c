//! When a load that failed is tried again, and when it is given up (SPEC §5.1). Pure.

use std::time::Duration;

use crate::{
    delivery::retry::{self, FIRST, Next},
    destination::DeliveryError,
};

/// Patience with one manifest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// `RetryOptions`: how long from the first failure on; zero is one attempt.
    pub(crate) period: Duration,
    /// The pause after a refusal, which waits for somebody to change something.
    pub(crate) interval: Duration,
}

/// For how long something has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failing {
    /// Since it failed first, also in an earlier process.
    pub(crate) age: Duration,
    /// Since it failed first in this process.
    pub(crate) here: Duration,
}

/// For how long this process tries at least, if that is not longer than the period. A node that was down for days comes back
/// before its network does, and sometimes with a clock that is wrong: one failure must not be the end.
const GRACE: Duration = Duration::from_secs(10 * 60);

/// What follows a COPY that failed; `failures` were seen in a row. A last attempt is made when the period is over.
pub(crate) fn after_copy(
    error: &DeliveryError,
    failures: u32,
    failing: Failing,
    patience: Patience,
    fraction: f64,
) -> Next {
    let interval = patience.interval.max(FIRST);
    let pause = match error {
        DeliveryError::Retry { .. } => retry::pause_up_to(interval, failures, fraction),
        DeliveryError::Refused { .. } => interval,
    };
    until(patience.period, failing, pause)
}

/// What follows a manifest that could not be written. It is retried for as long as an object is (`retention`); in a bucket
/// that the stream has left, for as long as a COPY is (`left`), and where that refuses, not at all: then nobody needs it
/// any more.
pub(crate) fn after_write(
    error: &DeliveryError,
    failures: u32,
    failing: Failing,
    retention: Duration,
    left: Option<Duration>,
    fraction: f64,
) -> Next {
    let period = match (left, error) {
        (Some(_), DeliveryError::Refused { .. }) => return Next::GiveUp,
        (Some(period), DeliveryError::Retry { .. }) => period,
        (None, _) => retention,
    };
    until(period, failing, retry::pause(failures, fraction))
}

fn until(period: Duration, failing: Failing, pause: Duration) -> Next {
    let grace = GRACE.min(period).saturating_sub(failing.here);
    match period.saturating_sub(failing.age).max(grace) {
        Duration::ZERO => Next::GiveUp,
        left => Next::After(pause.min(left)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience {
        period: Duration::from_secs(3600),
        interval: Duration::from_secs(300),
    };

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    /// In one process.
    fn since(age: u64) -> Failing {
        Failing {
            age: seconds(age),
            here: seconds(age),
        }
    }

    fn lost() -> DeliveryError {
        DeliveryError::internal("the connection was lost")
    }

    fn refused() -> DeliveryError {
        DeliveryError::refused("Redshift.TableNotFound", "no such table")
    }

    #[test]
    fn a_refusal_waits_five_minutes_and_what_passes_does_not() {
        let after = |error, failures, age| after_copy(&error, failures, since(age), PATIENCE, 0.0);
        assert_eq!(after(refused(), 1, 0), Next::After(seconds(300)));
        assert_eq!(after(refused(), 9, 2400), Next::After(seconds(300)));
        let pauses = [1, 2, 3, 8, 9, 10, 99].map(|failures| after(lost(), failures, 0));
        assert_eq!(
            pauses,
            [1, 2, 4, 128, 256, 300, 300].map(|pause| Next::After(seconds(pause)))
        );
    }

    #[test]
    fn the_last_attempt_is_made_when_the_period_is_over() {
        let after = |age| after_copy(&refused(), 1, since(age), PATIENCE, 0.5);
        assert_eq!(after(3500), Next::After(seconds(100)));
        assert_eq!(after(3600), Next::GiveUp);
        assert_eq!(after(9999), Next::GiveUp);
    }

    #[test]
    fn no_retry_is_no_retry() {
        let patience = Patience {
            period: Duration::ZERO,
            ..PATIENCE
        };
        for error in [lost(), refused()] {
            let next = after_copy(&error, 1, since(0), patience, 0.0);
            assert_eq!(next, Next::GiveUp);
        }
    }

    #[test]
    fn an_interval_of_nothing_is_no_busy_loop() {
        let patience = Patience {
            interval: Duration::ZERO,
            ..PATIENCE
        };
        for error in [lost(), refused()] {
            let next = after_copy(&error, 7, since(0), patience, 0.0);
            assert_eq!(next, Next::After(FIRST));
        }
    }

    #[test]
    fn one_failure_after_a_restart_is_not_the_end_but_a_few_are() {
        let after = |here, period| {
            let failing = Failing {
                age: seconds(1 << 30),
                here: seconds(here),
            };
            let patience = Patience {
                period: seconds(period),
                ..PATIENCE
            };
            after_copy(&refused(), 1, failing, patience, 0.0)
        };
        assert_eq!(after(0, 3600), Next::After(seconds(300)));
        assert_eq!(after(500, 3600), Next::After(seconds(100)));
        assert_eq!(after(600, 3600), Next::GiveUp);
        assert_eq!(after(0, 60), Next::After(seconds(60)));
        assert_eq!(after(60, 60), Next::GiveUp);
        assert_eq!(after(0, 0), Next::GiveUp);
    }

    #[test]
    fn a_bucket_gets_its_day_unless_it_is_left_behind() {
        let after = |error, age, left: Option<u64>| {
            after_write(
                &error,
                1,
                since(age),
                seconds(86_400),
                left.map(seconds),
                0.0,
            )
        };
        for error in [lost(), refused()] {
            assert_eq!(after(error.clone(), 0, None), Next::After(seconds(1)));
            assert_eq!(after(error, 86_400, None), Next::GiveUp);
        }
        assert_eq!(after(refused(), 0, Some(3600)), Next::GiveUp);
        assert_eq!(after(lost(), 0, Some(3600)), Next::After(seconds(1)));
        assert_eq!(after(lost(), 3600, Some(3600)), Next::GiveUp);
        assert_eq!(after(lost(), 0, Some(0)), Next::GiveUp);
    }
}
