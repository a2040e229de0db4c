//! A bell: rung by some, heard by all who listen, in the order in which they began to wait. (A `watch` channel wakes
//! in an order of its own making, which no seed decides.)

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::SeqCst},
};

use tokio::sync::Notify;

/// The bell. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bell(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    rung: AtomicU64,
    waiting: Notify,
}

impl Bell {
    pub(crate) fn ring(&self) {
        self.0.rung.fetch_add(1, SeqCst);
        self.0.waiting.notify_waiters();
    }

    /// Hears what is rung from now on.
    pub(crate) fn listen(&self) -> Listener {
        Listener {
            heard: self.0.rung.load(SeqCst),
            bell: self.clone(),
        }
    }
}

/// One who listens.
#[derive(Debug)]
pub(crate) struct Listener {
    bell: Bell,
    heard: u64,
}

impl Listener {
    /// What was rung so far counts as heard.
    pub(crate) fn forget(&mut self) {
        self.heard = self.bell.0.rung.load(SeqCst);
    }

    /// Resolves when the bell was rung since it was heard last.
    pub(crate) async fn heard(&mut self) {
        loop {
            // From here on nothing is missed.
            let rings = self.bell.0.waiting.notified();
            let rung = self.bell.0.rung.load(SeqCst);
            if rung != self.heard {
                self.heard = rung;
                return;
            }
            rings.await;
        }
    }
}
