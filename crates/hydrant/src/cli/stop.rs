//! The signals that ask a program to stop.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a shell shows for a program that Ctrl-C ended.
pub(crate) const INTERRUPTED: u8 = 130;

/// SIGTERM and SIGINT.
pub(crate) struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    /// From now on none is missed, and none ends the process.
    pub(crate) fn listen() -> anyhow::Result<Self> {
        Ok(Stop {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// The next one; its name.
    pub(crate) async fn requested(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
