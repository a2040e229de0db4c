//! Waiting on threads that have no runtime.

use std::time::Duration;

use anyhow::{Result, bail};
use hydrant_engine::{Clock, SystemClock};

/// Waits for `duration`.
#[expect(
    clippy::disallowed_methods,
    reason = "a tool that measures real time, on a thread of its own"
)]
pub(crate) fn pause(duration: Duration) {
    std::thread::sleep(duration);
}

/// Asks `check` every `step` until it says true; an error after `longest`.
pub(crate) fn until(
    what: &str,
    step: Duration,
    longest: Duration,
    mut check: impl FnMut() -> Result<bool>,
) -> Result<()> {
    let clock = SystemClock::new();
    let started = clock.monotonic();
    while !check()? {
        if clock.monotonic() - started > longest {
            bail!("not within {} s: {what}", longest.as_secs());
        }
        pause(step);
    }
    Ok(())
}
