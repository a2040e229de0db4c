//! Time and chance enter Hydrant by this door alone (`clippy.toml` bans the others), so that a
//! whole node can run in a simulation with a seed and a clock of its own.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use futures::future::BoxFuture;
use rand_chacha::ChaCha12Rng;
use rand_core::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

/// A point in time: milliseconds since the Unix epoch, UTC.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// Milliseconds since the Unix epoch.
    pub fn as_millis(self) -> u64 {
        self.0
    }

    /// The time that has passed since `earlier`; zero when `earlier` lies in the future, as it may
    /// after a clock was set back.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// This time plus `duration`.
    pub fn plus(self, duration: Duration) -> Timestamp {
        Timestamp(
            self.0
                .saturating_add(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)),
        )
    }
}

/// Reads the time and waits for it to pass.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The wall-clock time. May jump, also backwards.
    fn now(&self) -> Timestamp;

    /// Time since some fixed moment; never goes backwards. For measuring, pacing and time-outs.
    fn monotonic(&self) -> Duration;

    /// Resolves when `duration` has passed on the monotonic clock.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;
}

/// The machine's clock, with tokio's timers.
#[derive(Debug)]
pub struct SystemClock {
    started: tokio::time::Instant,
}

impl SystemClock {
    /// The clock of this machine.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the door that the ban points to"
    )]
    pub fn new() -> Self {
        SystemClock {
            started: tokio::time::Instant::now(),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the door that the ban points to"
    )]
    fn now(&self) -> Timestamp {
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "this is the door that the ban points to"
    )]
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// A clock that stands still until a test moves it.
#[derive(Clone, Debug)]
pub struct ManualClock {
    inner: Arc<Mutex<ManualState>>,
}

#[derive(Debug)]
struct ManualState {
    now: Timestamp,
    elapsed: Duration,
    sleepers: BTreeMap<(Duration, u64), oneshot::Sender<()>>,
    next_sleeper: u64,
}

impl ManualClock {
    /// A clock that shows `now`.
    pub fn new(now: Timestamp) -> Self {
        let state = ManualState {
            now,
            elapsed: Duration::ZERO,
            sleepers: BTreeMap::new(),
            next_sleeper: 0,
        };
        ManualClock {
            inner: Arc::new(Mutex::new(state)),
        }
    }

    /// Moves both clocks forward and wakes every sleeper whose time has come, in order.
    pub fn advance(&self, duration: Duration) {
        let mut state = self.state();
        state.now = state.now.plus(duration);
        state.elapsed += duration;
        let beyond = state.elapsed + Duration::from_nanos(1);
        let later = state.sleepers.split_off(&(beyond, 0));
        let due = std::mem::replace(&mut state.sleepers, later);
        drop(state);
        for (_, waker) in due {
            // The sleeper may have lost interest; that is no fault.
            let _ = waker.send(());
        }
    }

    /// Sets the wall clock alone, as an operator or NTP would.
    pub fn set_wall(&self, now: Timestamp) {
        self.state().now = now;
    }

    /// How many sleepers wait at the moment: lets a test await that a task went to sleep.
    pub fn sleepers(&self) -> usize {
        let mut state = self.state();
        state.sleepers.retain(|_, waker| !waker.is_closed());
        state.sleepers.len()
    }

    fn state(&self) -> MutexGuard<'_, ManualState> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.state().now
    }

    fn monotonic(&self) -> Duration {
        self.state().elapsed
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        if duration.is_zero() {
            return Box::pin(std::future::ready(()));
        }
        let (waker, woken) = oneshot::channel();
        let mut state = self.state();
        let id = state.next_sleeper;
        state.next_sleeper += 1;
        let until = state.elapsed + duration;
        state.sleepers.insert((until, id), waker);
        drop(state);
        Box::pin(async move {
            // The clock was dropped: nothing will ever move it, so neither do we.
            if woken.await.is_err() {
                std::future::pending::<()>().await;
            }
        })
    }
}

/// Seeded chance: request ids, jitter, keys. Cheap to clone; clones share one sequence.
#[derive(Clone)]
pub struct Chance {
    rng: Arc<Mutex<ChaCha12Rng>>,
}

impl Chance {
    /// The same seed gives the same sequence.
    pub fn seeded(seed: u64) -> Self {
        Chance {
            rng: Arc::new(Mutex::new(ChaCha12Rng::seed_from_u64(seed))),
        }
    }

    /// Seeded by the operating system.
    ///
    /// # Errors
    /// When the operating system has no randomness to give.
    pub fn from_os() -> std::io::Result<Self> {
        let mut seed = [0u8; 32];
        let mut filled = 0;
        while filled < seed.len() {
            filled += rustix::rand::getrandom(
                &mut seed[filled..],
                rustix::rand::GetRandomFlags::empty(),
            )?;
        }
        Ok(Chance {
            rng: Arc::new(Mutex::new(ChaCha12Rng::from_seed(seed))),
        })
    }

    /// A uniformly random number.
    pub fn next_u64(&self) -> u64 {
        self.rng().next_u64()
    }

    /// Fills `bytes` with random bytes.
    pub fn fill(&self, bytes: &mut [u8]) {
        self.rng().fill_bytes(bytes);
    }

    /// A uniformly random fraction in `[0, 1)`.
    pub fn fraction(&self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn rng(&self) -> MutexGuard<'_, ChaCha12Rng> {
        self.rng.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Chance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Chance")
    }
}
