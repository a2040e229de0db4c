//! One stream's loader: makes manifests of what waits and sees them into the warehouse, one at a time.
//!
//! It is a walk through the steps of one [`Manifest`], each of which is in the catalog before it is done:
//!
//! ```text
//! nothing ─(objects wait)→ copying ─(COPY)→ settled ─(receipts, entries)→ nothing
//!                            │ ↺ retry         ↑
//!                            ╰─(period over)→ giving up ─(manifest below errors/)
//! ```
//!
//! `copying` and `giving_up` are those steps; `by_hand` is what somebody asks for meanwhile.

mod by_hand;
mod copying;
mod giving_up;

use std::{collections::HashMap, sync::Arc, time::Duration};

use hydrant_engine::Timestamp;
use tokio::sync::{mpsc, watch};
use uuid::Builder;

use super::{
    super::bell::Listener,
    ask::Asked,
    batch::Batch,
    entry,
    retry::Failing,
    state::{self, Manifest, State, Step},
    status::{LoadFate, LoadShown},
};
use crate::{
    delivery::{
        Context,
        cut::Age,
        ended::{Ended, TROUBLE_PAUSE},
        held::{Held, HeldError},
        lane::Lane,
        receipts,
        status::LastError,
    },
    metrics::delivery::LoadSeries,
    stream::DeliveryStream,
};

/// What a loader is given besides the node's [`Context`].
#[derive(Debug)]
pub(crate) struct Inputs {
    pub(crate) lane: Arc<Lane>,
    pub(crate) stream: watch::Receiver<Arc<DeliveryStream>>,
    pub(crate) asked: mpsc::Receiver<Asked>,
}

/// Runs until it is told to stop or another takes over.
pub(crate) async fn run(context: Arc<Context>, inputs: Inputs) -> Ended {
    let lane = inputs.lane.clone();
    let Err(ended) = (async { Loader::open(context, inputs).await?.work().await }).await;
    tracing::debug!(stream = %lane.key, lane = %lane.id, ?ended, "loader ended");
    ended
}

/// A loader ends only for a reason.
type Never = std::convert::Infallible;

struct Loader {
    context: Arc<Context>,
    lane: Arc<Lane>,
    stream: watch::Receiver<Arc<DeliveryStream>>,
    asked: mpsc::Receiver<Asked>,
    nudge: Listener,
    pending: watch::Receiver<u64>,
    series: LoadSeries,
    held: Held<State>,
    /// Attempts at the present step that failed in a row.
    failures: u32,
    /// When the manifest first could not be written, of the failures in a row.
    unwritten: Option<Timestamp>,
    /// The ages of what patience began with, since this process knows of it.
    ages: HashMap<Timestamp, Age>,
}

impl Loader {
    async fn open(context: Arc<Context>, inputs: Inputs) -> Result<Self, Ended> {
        let Inputs {
            lane,
            stream,
            asked,
        } = inputs;
        let held = loop {
            let catalog = context.engine.catalog.clone();
            match state::take_over(catalog, lane.id, context.owner).await {
                Ok(held) => break held,
                Err(error) => held_up(&context, &lane, &error).await?,
            }
        };
        forget_settled(&context, &lane).await?;
        let loader = Loader {
            nudge: lane.nudge.listen(),
            pending: lane.pending.subscribe(),
            series: lane.load_series(&context.metrics).clone(),
            context,
            lane,
            stream,
            asked,
            held,
            failures: 0,
            unwritten: None,
            ages: HashMap::new(),
        };
        loader.show(|shown| shown.broken = None);
        Ok(loader)
    }

    async fn work(&mut self) -> Result<Never, Ended> {
        loop {
            self.show_state();
            if self.lane.stop.is_cancelled() {
                return Err(Ended::Stopped);
            }
            let Some(manifest) = self.held.state.manifest.clone() else {
                self.gather().await?;
                continue;
            };
            match manifest.step.clone() {
                Step::Copying => self.load(manifest).await?,
                Step::GivingUp(error) => self.give_up(manifest, error).await?,
                Step::Settled(fate) => self.tidy_up(&manifest, fate).await?,
            }
        }
    }

    /// Plans a manifest of what waits, or waits for something to do.
    async fn gather(&mut self) -> Result<(), Ended> {
        while let Ok(asked) = self.asked.try_recv() {
            self.answer(asked).await?;
        }
        self.pending.mark_unchanged();
        let Some(batch) = self.lane.pending.batch() else {
            tokio::select! {
                biased;
                () = self.lane.stop.cancelled() => return Err(Ended::Stopped),
                Some(asked) = self.asked.recv() => {
                    self.answer(asked).await?;
                }
                // The lane outlives its loader.
                _ = self.pending.changed() => {}
            }
            return Ok(());
        };
        self.begin(batch).await
    }

    async fn begin(&mut self, batch: Batch) -> Result<(), Ended> {
        let mut chance = [0; 16];
        self.context.chance.fill(&mut chance);
        let id = Builder::from_random_bytes(chance).into_uuid();
        let version = self.stream.borrow().version;
        let manifest = Manifest::new(batch, id, self.context.clock.now(), version);
        self.held.state.manifest = Some(manifest);
        self.start_over();
        self.save().await
    }

    /// What is left to do when the manifest is settled: all of it may be done twice.
    async fn tidy_up(&mut self, manifest: &Manifest, fate: LoadFate) -> Result<(), Ended> {
        let catalog = self.context.engine.catalog.clone();
        let (lane, objects) = (self.lane.id, &manifest.objects);
        if let Err(error) = receipts::note_load(&*catalog, lane, objects, &fate).await {
            tracing::warn!(stream = %self.lane.key, %error, "receipts do not say what became of objects");
        }
        while let Err(error) = entry::remove(&*catalog, lane, objects).await {
            held_up(&self.context, &self.lane, &error.into()).await?;
        }
        // Saved with what comes next: a crash before that only tidies up again.
        self.held.state.manifest = None;
        if let (LoadFate::GivenUp { .. }, Some(latest)) = (&fate, self.held.state.given_up.first())
        {
            // Whoever flushes learns of it before there is nothing left to wait for.
            self.lane.load_failed(latest.error.clone(), |_| {});
        }
        self.show(LoadShown::heal);
        self.lane.pending.remove(objects);
        Ok(())
    }

    /// Waits for the pause to pass, a nudge, a new configuration, or a manifest that somebody has loaded.
    async fn wait(&mut self, pause: Duration, version: u64) -> Result<(), Ended> {
        let over = self.context.clock.sleep(pause);
        tokio::pin!(over);
        loop {
            let asked = tokio::select! {
                biased;
                () = self.lane.stop.cancelled() => return Err(Ended::Stopped),
                () = &mut over => return Ok(()),
                _ = self.stream.wait_for(|stream| stream.version != version) => return Ok(()),
                () = self.nudge.heard() => return Ok(()),
                Some(asked) = self.asked.recv() => asked,
            };
            if self.answer(asked).await? {
                return Ok(());
            }
        }
    }

    /// A new step begins.
    fn start_over(&mut self) {
        self.failures = 0;
        self.unwritten = None;
        self.ages.clear();
    }

    /// For how long it has failed that began to at `began`: old by both clocks, for the wall clock may have jumped. Set back
    /// behind that, it counts for nothing, or what failed would do so for ever.
    fn failing_since(&mut self, began: Timestamp) -> Failing {
        let now = self.context.moment();
        let known = *self
            .ages
            .entry(began)
            .or_insert_with(|| Age::of(began, now));
        let age = known.at(now);
        Failing {
            age: match now.wall < began {
                true => age,
                false => age.min(now.wall.since(began)),
            },
            here: known.seen_for(now),
        }
    }

    /// Saves the state, however long it takes.
    async fn save(&mut self) -> Result<(), Ended> {
        while let Err(error) = self.held.save().await {
            held_up(&self.context, &self.lane, &error).await?;
        }
        self.show(|shown| shown.broken = None);
        Ok(())
    }

    fn show(&self, change: impl FnOnce(&mut LoadShown)) {
        change(&mut self.lane.shown().load);
    }

    fn show_state(&self) {
        let state = &self.held.state;
        let manifest = state.manifest.as_ref();
        self.show(|shown| {
            shown.giving_up =
                manifest.is_some_and(|manifest| matches!(manifest.step, Step::GivingUp(_)));
            shown.last_success.clone_from(&state.last_success);
            shown.given_up_manifests = state.given_up_manifests;
            shown.given_up_records = state.given_up_records;
            shown.given_up.clone_from(&state.given_up);
        });
    }
}

/// Shows that the catalog makes trouble, and waits a while; an end, where waiting does not help.
async fn held_up(context: &Context, lane: &Lane, error: &HeldError) -> Result<(), Ended> {
    let ended = error.end();
    if ended != Some(Ended::Stopped) {
        tracing::error!(stream = %lane.key, lane = %lane.id, %error, "loading is held up");
        let words = LastError::internal(context.clock.now(), error);
        lane.shown().load.broken = Some(words.clone());
        lane.failed_once(words);
    }
    if let Some(ended) = ended {
        return Err(ended);
    }
    tokio::select! {
        biased;
        () = lane.stop.cancelled() => Err(Ended::Stopped),
        () = context.clock.sleep(TROUBLE_PAUSE) => Ok(()),
    }
}

/// Takes away what waits no more: whoever had the lane before may have settled it after the worker looked.
async fn forget_settled(context: &Context, lane: &Lane) -> Result<(), Ended> {
    let mut settled = lane.pending.starts();
    let kept = loop {
        match entry::list(&*context.engine.catalog, lane.id).await {
            Ok(kept) => break kept,
            Err(error) => held_up(context, lane, &error).await?,
        }
    };
    for (start, _) in kept {
        settled.remove(&start);
    }
    let settled: Vec<_> = settled.into_iter().collect();
    lane.pending.remove(&settled);
    Ok(())
}
