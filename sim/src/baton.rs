//! Threads of which one runs at a time, and a seed says which.
//!
//! Each is a thread of the operating system, but goes on only while it holds the one *baton*. It passes the
//! baton when it waits for something, when it ends, and at every [`breathe`], which the simulated disk calls: there, and
//! only there, another thread may come in between. So a seed decides every interleaving, and the same seed gives the
//! same run.
//!
//! A thread must not breathe while it holds a lock that another might want: that one would wait for the lock with
//! the baton in hand, for ever.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
};

use futures::future::BoxFuture;
use hydrant_engine::{Chance, Threads, threads::Stopped};
use tokio::sync::oneshot;

/// Switches after which a run is taken to be going in circles.
const MOST_SWITCHES: u64 = 2_000_000;

thread_local! {
    /// Which simulated thread this is.
    static CURRENT: RefCell<Option<(Arc<Baton>, u64)>> = const { RefCell::new(None) };
}

/// All the threads of one run.
#[derive(Debug)]
pub struct Baton {
    chance: Chance,
    /// How likely a thread that breathes goes on.
    steadiness: f64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    holder: u64,
    ready: BTreeSet<u64>,
    /// Those that live. A thread is `None` until it has begun.
    threads: BTreeMap<u64, Option<Thread>>,
    next: u64,
    switches: u64,
    panics: Vec<String>,
    /// Nobody can go on, or all go in circles: each thread ends as soon as it can.
    stuck: Option<&'static str>,
}

/// What a run came to, besides what its main future made.
#[derive(Debug)]
pub struct Ran<T> {
    /// What the main future made; `None` if it panicked or never ended.
    pub made: Option<T>,
    /// What went wrong in threads: panics, and threads that never ended.
    pub faults: Vec<String>,
    /// How often the baton was passed.
    pub switches: u64,
}

/// Runs `main`, and all that it starts by the [`Threads`] that it is given, to the end.
pub fn run<T, F>(chance: Chance, main: impl FnOnce(Arc<dyn Threads>) -> F) -> Ran<T>
where
    F: Future<Output = T>,
{
    let steadiness = [0.0, 0.5, 0.9][chance.next_u64() as usize % 3];
    let baton = Arc::new(Baton {
        chance,
        steadiness,
        state: Mutex::default(),
    });
    let id = baton.enlist();
    baton.state().threads.insert(id, Some(thread::current()));
    baton.state().holder = id;
    CURRENT.set(Some((baton.clone(), id)));
    let threads: Arc<dyn Threads> = Arc::new(Simulated(baton.clone()));
    let made = catch_unwind(AssertUnwindSafe(|| baton.block_on(id, main(threads))));
    let made = match made {
        Ok(made) => made,
        Err(panic) => {
            baton.state().panics.push(words(&*panic));
            None
        }
    };
    // Whatever still runs comes to its end, or is found not to.
    while baton.state().threads.len() > 1 && baton.state().stuck.is_none() {
        baton.pass(id, false);
    }
    CURRENT.set(None);
    let mut state = baton.state();
    let mut faults = std::mem::take(&mut state.panics);
    faults.extend(state.stuck.map(str::to_owned));
    Ran {
        made,
        faults,
        switches: state.switches,
    }
}

/// Lets other threads come in between, should the seed want it. Does nothing outside of a run.
pub fn breathe() {
    let current = CURRENT.with_borrow(Clone::clone);
    if let Some((baton, id)) = current
        && baton.chance.fraction() >= baton.steadiness
    {
        baton.pass(id, true);
    }
}

impl Baton {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new thread, ready to run.
    fn enlist(&self) -> u64 {
        let mut state = self.state();
        let id = state.next;
        state.next += 1;
        state.threads.insert(id, None);
        state.ready.insert(id);
        id
    }

    /// Gives the baton to whom the seed says, and waits for it to come back. `ready`: this one may get it at once.
    fn pass(&self, id: u64, ready: bool) {
        {
            let mut state = self.state();
            if ready {
                state.ready.insert(id);
            }
            self.hand_on(&mut state);
        }
        self.await_turn(id);
    }

    fn hand_on(&self, state: &mut State) {
        state.switches += 1;
        if state.switches > MOST_SWITCHES {
            state.stuck.get_or_insert("the run goes in circles");
        }
        let count = state.ready.len();
        if count == 0 {
            state
                .stuck
                .get_or_insert("nobody can go on: a thread waits for what never comes");
            // All wake, see that, and end.
            for thread in state.threads.values().flatten() {
                thread.unpark();
            }
            return;
        }
        let at = self.chance.next_u64() as usize % count;
        let Some(next) = state.ready.iter().nth(at).copied() else {
            return;
        };
        state.ready.remove(&next);
        state.holder = next;
        if let Some(Some(thread)) = state.threads.get(&next) {
            thread.unpark();
        }
    }

    fn await_turn(&self, id: u64) {
        loop {
            {
                let state = self.state();
                if state.holder == id || state.stuck.is_some() {
                    return;
                }
            }
            thread::park();
        }
    }

    /// Runs a future on this thread; `None` when it would wait for ever.
    fn block_on<T>(self: &Arc<Self>, id: u64, future: impl Future<Output = T>) -> Option<T> {
        let waker = Waker::from(Arc::new(Awake {
            baton: self.clone(),
            id,
        }));
        let mut context = Context::from_waker(&waker);
        let mut future = pin!(future);
        loop {
            if let Poll::Ready(made) = future.as_mut().poll(&mut context) {
                return Some(made);
            }
            // Woken in the meantime, it is ready already.
            self.pass(id, false);
            if self.state().stuck.is_some() {
                return None;
            }
        }
    }

    fn start(
        self: &Arc<Self>,
        name: &str,
        work: impl FnOnce(&Arc<Self>, u64) + Send + 'static,
    ) -> io::Result<()> {
        let id = self.enlist();
        let baton = self.clone();
        let begun = thread::Builder::new().name(name.to_owned()).spawn(move || {
            {
                let mut state = baton.state();
                state.threads.insert(id, Some(thread::current()));
            }
            baton.await_turn(id);
            CURRENT.set(Some((baton.clone(), id)));
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| work(&baton, id))) {
                baton.state().panics.push(words(&*panic));
            }
            CURRENT.set(None);
            let mut state = baton.state();
            state.threads.remove(&id);
            state.ready.remove(&id);
            if state.holder == id {
                // The one who waits for the end of all is among those who wait.
                if state.threads.len() == 1 {
                    let main = state.threads.keys().next().copied();
                    state.ready.extend(main);
                }
                baton.hand_on(&mut state);
            }
        });
        begun.map(|_| ())
    }
}

pub(crate) fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    format!("panicked: {}", text.unwrap_or("without words"))
}

struct Awake {
    baton: Arc<Baton>,
    id: u64,
}

impl Wake for Awake {
    fn wake(self: Arc<Self>) {
        let mut state = self.baton.state();
        // Who holds the baton while it is woken polls once more.
        if state.threads.contains_key(&self.id) {
            state.ready.insert(self.id);
        }
    }
}

#[derive(Debug)]
struct Simulated(Arc<Baton>);

impl Threads for Simulated {
    fn spawn(&self, name: &'static str, work: BoxFuture<'static, ()>) -> io::Result<()> {
        self.0.start(name, move |baton, id| {
            baton.block_on(id, work);
        })
    }

    fn run(&self, work: Box<dyn FnOnce() + Send>) -> BoxFuture<'static, Result<(), Stopped>> {
        let (done, ended) = oneshot::channel();
        let started = self.0.start("blocking", move |_, _| {
            work();
            let _ = done.send(());
        });
        Box::pin(async move {
            started.map_err(|error| Stopped(error.to_string()))?;
            ended.await.map_err(|_| Stopped("it panicked".to_owned()))
        })
    }
}
