//! What a node runs on in a simulation: a clock that jumps, and threads that are slow at times.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use futures::{FutureExt, future::BoxFuture};
use hydrant_engine::{Chance, Clock, SystemClock, Threads, Timestamp, threads::Stopped};

/// The time of one life. tokio's clock is paused, so it passes only while everybody waits.
#[derive(Debug)]
pub(super) struct SimClock {
    passing: SystemClock,
    /// The wall clock's milliseconds when the life began.
    began: u64,
    /// By how many milliseconds somebody has set the wall clock wrong since.
    wrong: AtomicI64,
}

impl SimClock {
    /// To be made inside of the runtime.
    pub(super) fn new(began: Timestamp) -> Arc<Self> {
        Arc::new(SimClock {
            passing: SystemClock::new(),
            began: began.0,
            wrong: AtomicI64::new(0),
        })
    }

    /// Somebody sets the wall clock.
    pub(super) fn jump(&self, milliseconds: i64) {
        self.wrong.fetch_add(milliseconds, Ordering::Relaxed);
    }
}

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        let passed = u64::try_from(self.passing.monotonic().as_millis()).unwrap_or(u64::MAX);
        let right = self.began.saturating_add(passed);
        Timestamp(right.saturating_add_signed(self.wrong.load(Ordering::Relaxed)))
    }

    fn monotonic(&self) -> Duration {
        self.passing.monotonic()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.passing.sleep(duration)
    }
}

/// Threads as tasks of the one that runs. What blocks is done at once, but now and then its disk is slow.
#[derive(Debug)]
pub(super) struct Tasks {
    pub(super) chance: Chance,
    pub(super) clock: Arc<SimClock>,
    /// How likely a piece of work is late.
    pub(super) slow: f64,
}

/// The longest that a disk takes.
const SLOWEST: Duration = Duration::from_secs(4);

impl Tasks {
    fn lateness(&self) -> Option<BoxFuture<'static, ()>> {
        let late = self.slow > 0.0 && self.chance.fraction() < self.slow;
        late.then(|| self.clock.sleep(SLOWEST.mul_f64(self.chance.fraction())))
    }
}

impl Threads for Tasks {
    fn spawn(&self, _name: &'static str, work: BoxFuture<'static, ()>) -> io::Result<()> {
        let tasks = Tasks {
            chance: self.chance.clone(),
            clock: self.clock.clone(),
            slow: self.slow,
        };
        tokio::spawn(Slow {
            tasks,
            late: None,
            work,
        });
        Ok(())
    }

    fn run(&self, work: Box<dyn FnOnce() + Send>) -> BoxFuture<'static, Result<(), Stopped>> {
        let late = self.lateness();
        // A task, because it goes on when nobody waits for it any more.
        let running = tokio::spawn(async move {
            if let Some(late) = late {
                late.await;
            }
            work();
        });
        Box::pin(async move { running.await.map_err(|ended| Stopped(ended.to_string())) })
    }
}

/// Work that is late now and then.
struct Slow {
    tasks: Tasks,
    late: Option<BoxFuture<'static, ()>>,
    work: BoxFuture<'static, ()>,
}

impl Future for Slow {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.late.is_none() {
            self.late = self.tasks.lateness();
        }
        if let Some(late) = &mut self.late {
            if late.poll_unpin(context).is_pending() {
                return Poll::Pending;
            }
            self.late = None;
        }
        self.work.poll_unpin(context)
    }
}
