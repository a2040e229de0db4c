//! One stream's loader: makes manifests of what waits and sees them into the warehouse, one at a time.
//!
//! It is a walk through the steps of one [`Manifest`], each of which is in the catalog before it is done:
//!
//! ```text
//! nothing ─(objects wait)→ copying ─(COPY)→ settled ─(receipts, entries)→ nothing
//!                            │ ↺ retry         ↑
//!                            ╰─(period over)→ giving up ─(manifest below errors/)
//! ```

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use hydrant_engine::Timestamp;
use tokio::sync::{mpsc, watch};
use uuid::Builder;

use super::{
    ask::{Asked, CopyError},
    attempt,
    batch::{self, Batch},
    entry,
    retry::{self, Failing, Patience},
    state::{self, Manifest, State, Step},
    status::{GivenUp, LastSuccess, LoadFate, LoadShown, warehouse_name},
};
use crate::{
    delivery::{
        Context,
        cut::Age,
        held::{Held, HeldError},
        lane::{Lane, in_words},
        receipts,
        retry::Next,
        status::LastError,
        worker::{Ended, TROUBLE_PAUSE, fatal, internal},
    },
    destination::DeliveryError,
    metrics::delivery::LoadSeries,
    stream::{DeliveryStream, RedshiftSpec, S3Spec},
    warehouse::{Load, Loaded},
};

/// Where the manifests that were given up lie, below the prefix.
const ERRORS: &str = "errors/";

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
    nudge: watch::Receiver<u64>,
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
        let loader = Loader {
            nudge: lane.nudge.subscribe(),
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

    /// One attempt at the manifest, and what follows from it.
    async fn load(&mut self, manifest: Manifest) -> Result<(), Ended> {
        let stream = self.stream.borrow().clone();
        self.nudge.mark_unchanged();
        self.show(|shown| shown.next_retry = None);
        let warehouse = manifest.warehouse_now(&stream);
        match self.attempt(&manifest, warehouse.clone()).await {
            Ok(loaded) => self.loaded(manifest, &warehouse, loaded).await,
            Err((during, error)) => {
                self.failed(manifest, &stream, &warehouse, during, error)
                    .await
            }
        }
    }

    /// Writes the manifest, each time: whoever removed it meanwhile does not stop the stream. Then runs the COPY.
    async fn attempt(
        &self,
        manifest: &Manifest,
        warehouse: Arc<RedshiftSpec>,
    ) -> Result<Loaded, (During, DeliveryError)> {
        let leg = manifest.leg_now(&self.stream.borrow());
        let key = manifest.key(&self.lane.key.name, leg.prefix());
        let written = self.write(manifest, &leg, key.clone()).await;
        written.map_err(|error| (During::Write, error))?;
        let load = Load {
            stream: self.lane.key.clone(),
            warehouse,
            leg: Arc::new(leg),
            manifest: key,
        };
        let copied = attempt::copy(&self.context, &self.series, &load).await;
        copied.map_err(|error| (During::Copy, error))
    }

    async fn write(
        &self,
        manifest: &Manifest,
        leg: &S3Spec,
        key: String,
    ) -> Result<(), DeliveryError> {
        let keys = self.lane.pending.keys(&manifest.objects);
        if keys.len() < manifest.objects.len() {
            // Never a smaller one: what it does not name would pass for loaded.
            return Err(DeliveryError::internal(format!(
                "{} of the manifest's {} objects are not known any more",
                manifest.objects.len() - keys.len(),
                manifest.objects.len()
            )));
        }
        let text = batch::manifest(manifest.warehouse.s3.bucket(), &keys)
            .map_err(|error| DeliveryError::internal(error.to_string()))?;
        attempt::write(&self.context, &self.lane, leg, key, text).await
    }

    async fn loaded(
        &mut self,
        mut manifest: Manifest,
        warehouse: &RedshiftSpec,
        loaded: Loaded,
    ) -> Result<(), Ended> {
        let time = self.context.clock.now();
        let url = manifest.url(&self.lane.key.name);
        manifest.step = Step::Settled(LoadFate::Loaded {
            table: warehouse_name(warehouse),
            time,
        });
        tracing::info!(
            stream = %self.lane.key,
            manifest = url,
            objects = manifest.objects.len(),
            records = manifest.records,
            rows = loaded.rows,
            rejected = loaded.rejected,
            skipped = loaded.skipped,
            "loaded"
        );
        self.series.bytes.inc_by(manifest.bytes);
        self.series.records.inc_by(manifest.records);
        let state = &mut self.held.state;
        state.manifest = Some(manifest);
        state.last_success = Some(LastSuccess {
            time,
            rows: loaded.rows,
            manifest: url,
        });
        self.start_over();
        self.show(LoadShown::heal);
        self.save().await
    }

    async fn failed(
        &mut self,
        mut manifest: Manifest,
        stream: &DeliveryStream,
        warehouse: &RedshiftSpec,
        during: During,
        error: DeliveryError,
    ) -> Result<(), Ended> {
        self.failures += 1;
        if during == During::Copy {
            self.unwritten = None;
        }
        let now = self.context.clock.now();
        let fraction = self.context.chance.fraction();
        let next = match during {
            During::Copy => {
                let began = manifest
                    .first_failure
                    .filter(|_| manifest.version == stream.version);
                let began = *manifest.first_failure.insert(began.unwrap_or(now));
                manifest.version = stream.version;
                let patience = Patience {
                    period: warehouse.retry(),
                    interval: self.context.settings.copy_retry_interval,
                };
                let failing = self.failing_since(began);
                retry::after_copy(&error, self.failures, failing, patience, fraction)
            }
            During::Write => {
                let moved = stream.destination.s3().bucket_arn != manifest.warehouse.s3.bucket_arn;
                let began = *self.unwritten.get_or_insert(now);
                let failing = self.failing_since(began);
                let retention = self.context.settings.retention;
                let left = moved.then(|| warehouse.retry());
                retry::after_write(&error, self.failures, failing, retention, left, fraction)
            }
        };
        // A change in the meantime deserves an attempt at once.
        let changed = self.stream.borrow().version != stream.version;
        let pause = match next {
            _ if changed => Some(Duration::ZERO),
            Next::After(pause) => Some(pause),
            Next::GiveUp => None,
        };
        self.log(&error, stream, warehouse, &manifest);
        let error = in_words(&error, now);
        let since = manifest.first_failure;
        if pause.is_none() {
            manifest.step = Step::GivingUp(error.clone());
            self.start_over();
        }
        self.held.state.manifest = Some(manifest);
        self.lane.load_failed(error, |shown| {
            shown.since = since;
            shown.next_retry = pause.map(|pause| now.plus(pause));
        });
        self.save().await?;
        match pause {
            Some(pause) => self.wait(pause, stream.version).await,
            None => Ok(()),
        }
    }

    /// Writes the manifest below `errors/`: into its bucket or, where that takes nothing, into the one that the stream
    /// has now. Then it is settled.
    async fn give_up(&mut self, manifest: Manifest, error: LastError) -> Result<(), Ended> {
        self.nudge.mark_unchanged();
        self.show(|shown| shown.next_retry = None);
        let stream = self.stream.borrow().clone();
        let own = &manifest.leg_now(&stream);
        let current = stream.destination.s3();
        let mut legs = vec![own];
        if current.bucket_arn != own.bucket_arn {
            legs.push(current);
        }
        let mut refusal = None;
        for leg in legs {
            let prefix = format!("{}{ERRORS}", leg.prefix());
            let key = manifest.key(&self.lane.key.name, &prefix);
            match self.write(&manifest, leg, key.clone()).await {
                Ok(()) => {
                    let url = batch::url(leg.bucket(), &key);
                    return self.given_up(manifest, error, Some(url)).await;
                }
                Err(error) => refusal = refusal.or(Some(error)),
            }
        }
        let refusal = refusal.unwrap_or_else(|| DeliveryError::internal("there is no bucket"));
        self.failures += 1;
        let now = self.context.clock.now();
        let failing = self.failing_since(error.time);
        let retention = self.context.settings.retention;
        let fraction = self.context.chance.fraction();
        self.log(
            &refusal,
            &stream,
            &manifest.warehouse_now(&stream),
            &manifest,
        );
        match retry::after_write(&refusal, self.failures, failing, retention, None, fraction) {
            Next::After(pause) => {
                self.lane.load_failed(in_words(&refusal, now), |shown| {
                    shown.next_retry = Some(now.plus(pause));
                });
                self.wait(pause, stream.version).await
            }
            Next::GiveUp => self.given_up(manifest, error, None).await,
        }
    }

    async fn given_up(
        &mut self,
        mut manifest: Manifest,
        error: LastError,
        written: Option<String>,
    ) -> Result<(), Ended> {
        let stream = self.stream.borrow().clone();
        let time = self.context.clock.now();
        let tried = manifest.url(&self.lane.key.name);
        let url = written.clone().unwrap_or_else(|| tried.clone());
        tracing::error!(
            deliveryStreamARN = self.lane.key.arn(),
            destination = warehouse_name(&manifest.warehouse_now(&stream)),
            deliveryStreamVersionId = manifest.version,
            errorCode = error.code,
            objects = manifest.objects.len(),
            records = manifest.records,
            bytes = manifest.bytes,
            manifest = url,
            written = written.is_some(),
            "objects could not be loaded and are skipped; they stay in the bucket, and `hydrant copy` loads their manifest: {}",
            error.message
        );
        self.series.given_up.inc();
        manifest.step = Step::Settled(LoadFate::GivenUp {
            manifest: url.clone(),
            time,
        });
        let state = &mut self.held.state;
        state.give_up(GivenUp {
            manifest: url,
            tried,
            error: LastError { time, ..error },
            objects: manifest.objects.len() as u64,
            records: manifest.records,
            bytes: manifest.bytes,
        });
        state.manifest = Some(manifest);
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

    /// Loads a manifest that somebody names, and tells them.
    async fn answer(&mut self, asked: Asked) -> Result<bool, Ended> {
        let answer = self.copy_asked(&asked).await?;
        let succeeded = answer.is_ok();
        // Whoever asked may have gone.
        let _ = asked.reply.send(answer);
        Ok(succeeded)
    }

    async fn copy_asked(&mut self, asked: &Asked) -> Result<Result<Loaded, CopyError>, Ended> {
        let stream = self.stream.borrow().clone();
        let Some(warehouse) = stream.destination.redshift() else {
            return Ok(Err(CopyError::NoWarehouse(self.lane.key.clone())));
        };
        let mut leg = warehouse.s3.clone();
        if let Some(bucket) = &asked.place.bucket {
            leg.bucket_arn = format!("arn:aws:s3:::{bucket}");
        }
        let url = batch::url(leg.bucket(), &asked.place.key);
        let load = Load {
            stream: self.lane.key.clone(),
            warehouse: Arc::new(warehouse.clone()),
            leg: Arc::new(leg),
            manifest: asked.place.key.clone(),
        };
        let loaded = match attempt::copy(&self.context, &self.series, &load).await {
            Ok(loaded) => loaded,
            Err(error) => {
                let error = in_words(&error, self.context.clock.now());
                return Ok(Err(CopyError::Failed(error)));
            }
        };
        tracing::info!(stream = %self.lane.key, manifest = url, rows = loaded.rows, "loaded by hand");
        // The one in hand: it needs no COPY any more.
        if let Some(manifest) = self.held.state.manifest.clone()
            && manifest.url(&self.lane.key.name) == url
            && !matches!(manifest.step, Step::Settled(_))
        {
            self.loaded(manifest, warehouse, loaded).await?;
            return Ok(Ok(loaded));
        }
        self.loaded_by_hand(&url, warehouse, loaded).await?;
        Ok(Ok(loaded))
    }

    async fn loaded_by_hand(
        &mut self,
        url: &str,
        warehouse: &RedshiftSpec,
        loaded: Loaded,
    ) -> Result<(), Ended> {
        let time = self.context.clock.now();
        let state = &mut self.held.state;
        state.last_success = Some(LastSuccess {
            time,
            rows: loaded.rows,
            manifest: url.to_owned(),
        });
        let (found, rest): (Vec<_>, _) = std::mem::take(&mut state.given_up)
            .into_iter()
            .partition(|given_up: &GivenUp| given_up.manifest == url || given_up.tried == url);
        state.given_up = rest;
        self.save().await?;
        for given_up in &found {
            self.series.bytes.inc_by(given_up.bytes);
            self.series.records.inc_by(given_up.records);
        }
        // What was given up long ago is told of no more, but receipts may still know.
        let found = found.iter().map(|given_up| given_up.manifest.as_str());
        let manifests: BTreeSet<&str> = found.chain([url]).collect();
        let fate = LoadFate::Loaded {
            table: warehouse_name(warehouse),
            time,
        };
        for manifest in manifests {
            let catalog = &*self.context.engine.catalog;
            let noted = receipts::note_late_load(catalog, self.lane.id, manifest, &fate).await;
            if let Err(error) = noted {
                tracing::warn!(stream = %self.lane.key, %error, "receipts do not say what became of objects");
            }
        }
        self.show_state();
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
                _ = self.nudge.changed() => return Ok(()),
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

    /// SPEC §6.3's members.
    fn log(
        &self,
        error: &DeliveryError,
        stream: &DeliveryStream,
        warehouse: &RedshiftSpec,
        manifest: &Manifest,
    ) {
        tracing::warn!(
            deliveryStreamARN = self.lane.key.arn(),
            destination = warehouse_name(warehouse),
            deliveryStreamVersionId = stream.version,
            errorCode = error.code(),
            failures = self.failures,
            manifest = manifest.url(&self.lane.key.name),
            "loading failed: {}",
            error.message()
        );
    }
}

/// What failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum During {
    /// The manifest was not written.
    Write,
    /// The COPY.
    Copy,
}

/// Shows that the catalog makes trouble, and waits a while; an end, where waiting does not help.
async fn held_up(context: &Context, lane: &Lane, error: &HeldError) -> Result<(), Ended> {
    let ended = fatal(error);
    if ended != Some(Ended::Stopped) {
        tracing::error!(stream = %lane.key, lane = %lane.id, %error, "loading is held up");
        let words = internal(context.clock.now(), error);
        lane.shown().load.broken = Some(words.clone());
        lane.failed_once(words);
    }
    if let Some(ended) = ended {
        return Err(ended);
    }
    tokio::select! {
        () = lane.stop.cancelled() => Err(Ended::Stopped),
        () = context.clock.sleep(TROUBLE_PAUSE) => Ok(()),
    }
}
