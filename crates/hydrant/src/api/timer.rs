//! hyper's timers, driven by the engine's clock, so that a simulation's time holds for head
//! time-outs too.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use futures::future::BoxFuture;
use hydrant_engine::Clock;
use hyper::rt::{Sleep, Timer};

/// A [`Timer`] over a [`Clock`].
#[derive(Clone)]
pub(super) struct ClockTimer {
    clock: Arc<dyn Clock>,
    /// Stands for the clock's zero: hyper reckons in `Instant`s, which cannot be made from nothing.
    zero: Instant,
}

impl ClockTimer {
    #[expect(
        clippy::disallowed_methods,
        reason = "an arbitrary origin for hyper's deadlines; only differences to it are used"
    )]
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        ClockTimer {
            clock,
            zero: Instant::now(),
        }
    }
}

impl fmt::Debug for ClockTimer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClockTimer")
    }
}

impl Timer for ClockTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        Box::pin(ClockSleep(Mutex::new(self.clock.sleep(duration))))
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        self.sleep(deadline.saturating_duration_since(self.now()))
    }

    fn now(&self) -> Instant {
        self.zero + self.clock.monotonic()
    }
}

/// hyper asks for `Sync`, which the clock's future is not; it is only ever polled by its owner.
struct ClockSleep(Mutex<BoxFuture<'static, ()>>);

impl Sleep for ClockSleep {}

impl Future for ClockSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let sleep = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        sleep.as_mut().poll(cx)
    }
}
