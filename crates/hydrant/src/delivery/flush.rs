//! Flushes that a worker has been asked for: what each waits for and when it is answered. Pure but for the reply.

use hydrant_engine::Position;
use tokio::sync::oneshot;

use super::status::{FlushError, Flushed, LastError};

/// A flush that was asked for.
#[derive(Debug)]
pub(crate) struct Asked {
    /// Where the answer goes.
    pub(crate) reply: oneshot::Sender<Result<Flushed, FlushError>>,
    /// All that was acknowledged before lies below. By position, not by time: clocks jump.
    pub(crate) end: Position,
}

impl Asked {
    /// Nothing can be delivered at present.
    pub(crate) fn refuse(self, error: &LastError) {
        // Whoever asked may have gone.
        let _ = self.reply.send(Err(FlushError::Failing(error.clone())));
    }
}

/// The flushes that wait.
#[derive(Debug, Default)]
pub(crate) struct Flushes {
    waiting: Vec<Flush>,
}

#[derive(Debug)]
struct Flush {
    asked: Asked,
    /// Attempts that had failed when it was asked for.
    failures: u64,
    /// Everything below must be delivered; unknown until the worker has seen all that was acknowledged.
    below: Option<Position>,
    objects: u64,
}

impl Flushes {
    pub(crate) fn add(&mut self, asked: Asked, failures: u64) {
        // Those who have gone are not waited for.
        self.waiting.retain(|flush| !flush.asked.reply.is_closed());
        self.waiting.push(Flush {
            asked,
            failures,
            below: None,
            objects: 0,
        });
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether the worker must find out if it has seen all, and the highest end that matters.
    pub(crate) fn searching(&self) -> Option<Position> {
        let open = self.waiting.iter().filter(|flush| flush.below.is_none());
        open.map(|flush| flush.asked.end).max()
    }

    /// Everything acknowledged before the flushes lies below `end`.
    pub(crate) fn found(&mut self, end: Position) {
        for flush in &mut self.waiting {
            flush.below.get_or_insert(end);
        }
    }

    /// Whether a buffer that begins at `start` must be cut now.
    pub(crate) fn wants(&self, start: Position) -> bool {
        let mut known = self.waiting.iter().filter_map(|flush| flush.below);
        known.any(|below| start < below)
    }

    /// An object was delivered.
    pub(crate) fn delivered(&mut self) {
        for flush in &mut self.waiting {
            flush.objects += 1;
        }
    }

    /// Answers those that have what they asked for: `undone` is the lowest position not delivered yet.
    pub(crate) fn answer(&mut self, undone: Position) {
        let done = |flush: &mut Flush| flush.below.is_some_and(|below| below <= undone);
        for flush in self.waiting.extract_if(.., done) {
            let flushed = Flushed {
                objects: flush.objects,
            };
            // Whoever asked may have gone.
            let _ = flush.asked.reply.send(Ok(flushed));
        }
    }

    /// Answers those that saw an attempt fail.
    pub(crate) fn fail(&mut self, failures: u64, error: &LastError) {
        for flush in self
            .waiting
            .extract_if(.., |flush| flush.failures < failures)
        {
            flush.asked.refuse(error);
        }
    }

    /// Answers all: nothing goes on at present.
    pub(crate) fn fail_all(&mut self, error: &LastError) {
        for flush in self.waiting.drain(..) {
            flush.asked.refuse(error);
        }
    }
}
