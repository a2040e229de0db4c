//! The door to threads: whatever blocks, or runs beside everything else, is started here, so that a simulation can
//! decide what runs when.

use std::{
    fmt, io,
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use futures::future::BoxFuture;

/// Starts threads, and runs what blocks.
pub trait Threads: Send + Sync + fmt::Debug {
    /// Runs `work` to its end on a thread of its own, where it may block.
    ///
    /// # Errors
    /// When the operating system has no thread to give.
    fn spawn(&self, name: &'static str, work: BoxFuture<'static, ()>) -> io::Result<()>;

    /// Runs `work` where blocking is fine; resolves when it is done. Goes on when the future is dropped.
    fn run(&self, work: Box<dyn FnOnce() + Send>) -> BoxFuture<'static, Result<(), Stopped>>;
}

/// Work ended before it was done: it panicked, or the program is ending.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct Stopped(pub String);

/// Runs what blocks where that is fine, and gives back what it makes.
///
/// # Errors
/// When it did not come to its end.
pub async fn blocking<T: Send + 'static>(
    threads: &dyn Threads,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Stopped> {
    let made = Arc::new(Mutex::new(None));
    let place = made.clone();
    threads
        .run(Box::new(move || {
            let made = work();
            *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(made);
        }))
        .await?;
    let made = made.lock().unwrap_or_else(PoisonError::into_inner).take();
    made.ok_or_else(|| Stopped("it made nothing".to_owned()))
}

/// The machine's threads, and tokio's for blocking work.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemThreads;

impl Threads for SystemThreads {
    fn spawn(&self, name: &'static str, work: BoxFuture<'static, ()>) -> io::Result<()> {
        let named = thread::Builder::new().name(name.to_owned());
        named.spawn(move || futures::executor::block_on(work))?;
        Ok(())
    }

    fn run(&self, work: Box<dyn FnOnce() + Send>) -> BoxFuture<'static, Result<(), Stopped>> {
        let running = tokio::task::spawn_blocking(work);
        Box::pin(async move { running.await.map_err(|ended| Stopped(ended.to_string())) })
    }
}
