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

/// What follows a COPY that failed: `age` has passed since the first failure of this period, `failures` were seen in a
/// row. A last attempt is made when the time is up.
pub(crate) fn after_copy(
    error: &DeliveryError,
    failures: u32,
    age: Duration,
    patience: Patience,
    fraction: f64,
) -> Next {
    let interval = patience.interval.max(FIRST);
    let pause = match error {
        DeliveryError::Retry { .. } => retry::pause_up_to(interval, failures, fraction),
        DeliveryError::Refused { .. } => interval,
    };
    until(patience.period, age, pause)
}

/// What follows a manifest that could not be written: it is retried for as long as an object is, unless the stream
/// writes to another bucket now (`moved`): then nobody needs this one any more.
pub(crate) fn after_write(
    failures: u32,
    age: Duration,
    retention: Duration,
    moved: bool,
    fraction: f64,
) -> Next {
    if moved {
        return Next::GiveUp;
    }
    until(retention, age, retry::pause(failures, fraction))
}

fn until(period: Duration, age: Duration, pause: Duration) -> Next {
    match period.saturating_sub(age) {
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

    fn lost() -> DeliveryError {
        DeliveryError::internal("the connection was lost")
    }

    fn refused() -> DeliveryError {
        DeliveryError::refused("Redshift.TableNotFound", "no such table")
    }

    #[test]
    fn a_refusal_waits_five_minutes_and_what_passes_does_not() {
        let after =
            |error, failures, age| after_copy(&error, failures, seconds(age), PATIENCE, 0.0);
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
        let after = |age| after_copy(&refused(), 1, seconds(age), PATIENCE, 0.5);
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
            let next = after_copy(&error, 1, Duration::ZERO, patience, 0.0);
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
            let next = after_copy(&error, 7, Duration::ZERO, patience, 0.0);
            assert_eq!(next, Next::After(FIRST));
        }
    }

    #[test]
    fn a_bucket_gets_its_day_unless_it_is_left_behind() {
        let after = |age, moved| after_write(1, seconds(age), seconds(86_400), moved, 0.0);
        assert_eq!(after(0, false), Next::After(seconds(1)));
        assert_eq!(after(86_400, false), Next::GiveUp);
        assert_eq!(after(0, true), Next::GiveUp);
    }
}
