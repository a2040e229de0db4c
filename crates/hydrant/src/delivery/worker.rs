//! One stream's worker: follows its lane, cuts spans, starts attempts and commits what they achieve.
//!
//! The worker alone writes the lane's checkpoint, in this order, which is what makes a crash harmless:
//!
//! ```text
//! intent saved → attempts → receipt kept → (entry kept) → span taken out of the checkpoint → log trimmed, (loader told)
//! ```
//!
//! The entry is what a stream with a warehouse owes ([`load`]).
//!
//! It holds a few numbers for the open buffer and at most [`SPANS_IN_FLIGHT`] intents, and stops following
//! when it has them, so that its memory is the same for ten records and for ten million.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::AtomicU64},
};

use futures::{FutureExt, StreamExt, stream::BoxStream};
use hydrant_engine::{FrameMeta, LogError, Position, Timestamp};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};

use super::{
    Context, LastDelivery, LastError, SPANS_IN_FLIGHT, STOP_GRACE,
    attempt::{Attempts, Done},
    checkpoint::{Checkpoint, Intent},
    cut::{Buffer, Limits},
    ended::{Ended, TROUBLE_PAUSE},
    flush::{Asked, Flushes},
    held::HeldError,
    lane::Lane,
    load::{self, ask, entry, loader},
    object::{self, Purpose, span_uuid},
    receipts::{self, Outcome, SpanReceipt},
};
use crate::stream::{DeliveryStream, RedshiftSpec};

/// Frames taken in a row before other events are looked at.
const FRAMES_AT_ONCE: usize = 1024;

/// What a worker is given besides the node's [`Context`].
#[derive(Debug)]
pub(crate) struct Inputs {
    pub(crate) lane: Arc<Lane>,
    pub(crate) stream: watch::Receiver<Arc<DeliveryStream>>,
    pub(crate) flushes: mpsc::Receiver<Asked>,
    pub(crate) copies: mpsc::Receiver<ask::Asked>,
}

/// Runs until it is told to stop or another takes over.
pub(crate) async fn run(context: Arc<Context>, inputs: Inputs) -> Ended {
    let lane = inputs.lane.clone();
    let ended = match Worker::open(context, inputs).await {
        Ok(mut worker) => worker.run().await,
        Err(ended) => ended,
    };
    tracing::debug!(stream = %lane.key, lane = %lane.id, ?ended, "worker ended");
    ended
}

type Following = BoxStream<'static, Result<FrameMeta, LogError>>;

struct Worker {
    context: Arc<Context>,
    lane: Arc<Lane>,
    stream: watch::Receiver<Arc<DeliveryStream>>,
    requests: mpsc::Receiver<Asked>,
    checkpoint: Checkpoint,
    /// `None` after the log's stream ended.
    following: Option<Following>,
    /// Above the last position that was taken from `following`.
    taken: Position,
    buffer: Option<Buffer>,
    /// A frame that does not belong to the buffer any more.
    next: Option<FrameMeta>,
    attempts: JoinSet<(Position, Done)>,
    /// What the loader is to be given, until there is one.
    copies: Option<mpsc::Receiver<ask::Asked>>,
    /// The one loader, once there is something to load. It ends with this.
    loader: JoinSet<Ended>,
    flushes: Flushes,
    /// A search for the log's end saw that there are frames up to here, which are still to be taken.
    ahead: Position,
    trimmed: Position,
}

impl Worker {
    async fn open(context: Arc<Context>, inputs: Inputs) -> Result<Self, Ended> {
        let Inputs {
            lane,
            stream,
            flushes: mut requests,
            copies,
        } = inputs;
        let seed = context.chance.next_u64();
        let checkpoint = loop {
            let catalog = context.engine.catalog.clone();
            match Checkpoint::take_over(catalog, lane.id, context.owner, seed).await {
                Ok(checkpoint) => break checkpoint,
                Err(error) => {
                    let error = trouble(&context, &lane, error)?;
                    pause(&context, &lane, &mut requests, &error).await?;
                }
            }
        };
        let owed = loop {
            match entry::list(&*context.engine.catalog, lane.id).await {
                Ok(owed) => break owed,
                Err(error) => {
                    let error = trouble(&context, &lane, error)?;
                    pause(&context, &lane, &mut requests, &error).await?;
                }
            }
        };
        lane.broken(None);
        lane.show(&checkpoint.state);
        let cursor = checkpoint.state.cursor;
        let mut worker = Worker {
            following: Some(context.engine.log.follow(lane.id, cursor)),
            context,
            lane,
            stream,
            requests,
            checkpoint,
            taken: cursor,
            buffer: None,
            next: None,
            attempts: JoinSet::new(),
            copies: Some(copies),
            loader: JoinSet::new(),
            flushes: Flushes::default(),
            ahead: Position::START,
            trimmed: Position::START,
        };
        // What a crash may have left undone.
        worker.settle_owed(owed).await?;
        worker.trim().await;
        for intent in worker.checkpoint.state.spans.clone() {
            worker.attempt(Arc::new(intent));
        }
        Ok(worker)
    }

    async fn run(&mut self) -> Ended {
        let ended = match self.work().await {
            Ok(()) => self.wind_down().await,
            Err(ended) => ended,
        };
        self.attempts.shutdown().await;
        self.loader.shutdown().await;
        ended
    }

    /// Works until it is told to stop.
    async fn work(&mut self) -> Result<(), Ended> {
        let mut failures = self.lane.failures.subscribe();
        let mut loads = self.lane.pending.subscribe();
        loop {
            tokio::task::consume_budget().await;
            self.employ_loader();
            self.sort_next().await?;
            self.cut_what_is_wanted().await?;
            self.answer_flushes();

            let hungry = self.next.is_none();
            let search = self.search(hungry);
            let due = self.due();
            tokio::select! {
                biased;
                () = self.lane.discard.cancelled() => return Err(Ended::Stopped),
                () = self.lane.stop.cancelled() => return Ok(()),
                Some(done) = self.attempts.join_next() => self.settle(done).await?,
                Some(ended) = self.loader.join_next() => self.loader_ended(ended)?,
                Some(asked) = self.requests.recv() => self.asked_to_flush(asked),
                // What changed is looked at by whoever answers flushes: back to the top.
                Ok(()) = failures.changed(), if !self.flushes.is_empty() => {}
                Ok(()) = loads.changed(), if !self.flushes.is_empty() => {}
                // New hints hold for the open buffer: back to the top. What fails may go elsewhere now.
                Ok(()) = self.stream.changed() => self.lane.nudge(),
                frame = next(&mut self.following), if hungry => self.took(frame).await?,
                found = search, if self.flushes.searching().is_some() => self.searched(found),
                () = due => self.plan().await?,
            }
        }
    }

    /// Begins to load, as soon as there is a warehouse or something left for one.
    fn employ_loader(&mut self) {
        let stream = self.stream.borrow();
        if stream.destination.redshift().is_none() && self.lane.pending.is_empty() {
            return;
        }
        let Some(asked) = self.copies.take() else {
            return;
        };
        let inputs = loader::Inputs {
            lane: self.lane.clone(),
            stream: self.stream.clone(),
            asked,
        };
        self.loader.spawn(loader::run(self.context.clone(), inputs));
    }

    fn loader_ended(&mut self, ended: Result<Ended, tokio::task::JoinError>) -> Result<(), Ended> {
        match ended {
            Ok(Ended::Fenced) => Err(Ended::Fenced),
            // It shows why; delivery to the bucket goes on without it.
            Ok(Ended::Stopped | Ended::Unreadable) => Ok(()),
            // A defect, which takes the worker along: the supervisor replaces both.
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Ok(()),
            },
        }
    }

    /// What makes a buffer full, now.
    fn limits(&self) -> Limits {
        let hints = self.stream.borrow().destination.s3().buffering;
        let hinted = Limits::hinted(hints, self.context.settings.max_interval);
        if !self.may_plan() {
            hinted.raised()
        } else if self.lane.pending.totals().objects >= load::RAISED_AT {
            hinted.enlarged()
        } else {
            hinted
        }
    }

    fn may_plan(&self) -> bool {
        self.checkpoint.state.spans.len() < SPANS_IN_FLIGHT
    }

    /// Resolves when the buffer's time has come; never while nothing can be planned.
    fn due(&self) -> impl Future<Output = ()> + use<> {
        let due = self.buffer.filter(|_| self.may_plan()).map(|buffer| {
            let due = buffer.due_in(self.limits(), self.context.moment());
            self.context.clock.sleep(due)
        });
        async move {
            match due {
                Some(due) => due.await,
                None => std::future::pending().await,
            }
        }
    }

    /// Finds a place for the frame that was taken last: in the buffer, or in a new one.
    async fn sort_next(&mut self) -> Result<(), Ended> {
        let Some(frame) = self.next else {
            return Ok(());
        };
        let (limits, may_plan) = (self.limits(), self.may_plan());
        match &mut self.buffer {
            Some(buffer) if buffer.takes(&frame, limits) => buffer.add(&frame),
            Some(_) if !may_plan => return Ok(()),
            _ => {
                self.plan().await?;
                self.buffer = Some(Buffer::begin(&frame, self.context.moment()));
            }
        }
        self.next = None;
        Ok(())
    }

    /// Cuts the buffer if it is full or a flush wants it.
    async fn cut_what_is_wanted(&mut self) -> Result<(), Ended> {
        let Some(buffer) = self.buffer.filter(|_| self.may_plan()) else {
            return Ok(());
        };
        if buffer.bytes >= self.limits().bytes || self.flushes.wants(buffer.span.start) {
            self.plan().await?;
        }
        Ok(())
    }

    /// Takes a frame and those that are ready behind it, as far as the buffer takes them.
    async fn took(&mut self, mut frame: Option<Result<FrameMeta, LogError>>) -> Result<(), Ended> {
        let limits = self.limits();
        for _ in 0..FRAMES_AT_ONCE {
            match frame {
                Some(Ok(meta)) => {
                    self.taken = meta.position.next();
                    match &mut self.buffer {
                        Some(buffer) if buffer.takes(&meta, limits) => buffer.add(&meta),
                        _ => {
                            self.next = Some(meta);
                            return Ok(());
                        }
                    }
                }
                Some(Err(error)) => return self.follow_failed(error).await,
                None => {
                    self.following = None;
                    return Ok(());
                }
            }
            let ready = next(&mut self.following).now_or_never();
            match ready {
                Some(following) => frame = following,
                None => return Ok(()),
            }
        }
        // The one that was taken last waits for its turn.
        match frame {
            Some(Ok(meta)) => {
                self.taken = meta.position.next();
                self.next = Some(meta);
            }
            Some(Err(error)) => return self.follow_failed(error).await,
            None => self.following = None,
        }
        Ok(())
    }

    async fn follow_failed(&mut self, error: LogError) -> Result<(), Ended> {
        if let LogError::Damaged { position, .. } = error {
            tracing::error!(stream = %self.lane.key, %error, "a damaged frame will not be delivered");
            self.taken = self.taken.max(position.next());
            match &mut self.buffer {
                // It is counted when the span is read.
                Some(buffer) => buffer.span.end = self.taken,
                None => {
                    self.count_damaged(1);
                    self.checkpoint.state.cursor = self.taken;
                    self.save().await?;
                    self.trim().await;
                }
            }
            return Ok(());
        }
        tracing::error!(stream = %self.lane.key, %error, "the log cannot be followed; trying again");
        let error = LastError::internal(self.context.clock.now(), &error);
        self.be_held_up(&error).await?;
        self.following = Some(self.context.engine.log.follow(self.lane.id, self.taken));
        Ok(())
    }

    /// Makes the buffer a span: saves the intent and begins to attempt it.
    async fn plan(&mut self) -> Result<(), Ended> {
        let Some(buffer) = self.buffer.take() else {
            return Ok(());
        };
        let stream = self.stream.borrow().clone();
        self.checkpoint.state.cursor = buffer.span.end;
        let intent = self.intent(&stream, buffer);
        if buffer.bytes == 0 {
            // Records without a byte make no object (SPEC §4.2).
            self.save_with(Some((&intent, Outcome::Empty))).await?;
            self.trim().await;
            return Ok(());
        }
        self.checkpoint.state.spans.push(intent.clone());
        self.save().await?;
        self.attempt(Arc::new(intent));
        Ok(())
    }

    fn intent(&self, stream: &DeliveryStream, buffer: Buffer) -> Intent {
        let spec = stream.destination.s3();
        Intent {
            span: buffer.span,
            key: self.key(stream, buffer.span, buffer.oldest),
            version: stream.version,
            oldest: buffer.oldest,
            newest: buffer.newest,
            records: buffer.records,
            bytes: buffer.bytes,
            destination: Arc::new(spec.clone()),
            load: load_of(stream),
        }
    }

    fn key(&self, stream: &DeliveryStream, span: super::Span, oldest: Timestamp) -> String {
        let spec = stream.destination.s3();
        let seed = self.checkpoint.state.seed;
        object::key(
            spec.prefix(),
            &stream.key.name,
            stream.version,
            oldest,
            span_uuid(seed, self.lane.id, span, Purpose::Key),
            spec.compression,
        )
    }

    fn attempt(&mut self, intent: Arc<Intent>) {
        let start = intent.span.start;
        let attempts = Attempts {
            context: self.context.clone(),
            lane: self.lane.clone(),
            seed: self.checkpoint.state.seed,
            intent,
            damaged: AtomicU64::new(0),
            stream: self.stream.clone(),
            nudge: self.lane.nudge.listen(),
        };
        self.attempts
            .spawn(async move { (start, attempts.run().await) });
    }

    /// Commits what an attempt achieved.
    async fn settle(
        &mut self,
        done: Result<(Position, Done), tokio::task::JoinError>,
    ) -> Result<(), Ended> {
        let (start, done) = match done {
            Ok(done) => done,
            Err(error) => {
                // A defect. The span stays planned: the next start attempts it again.
                tracing::error!(stream = %self.lane.key, %error, "an attempt ended by itself");
                return Ok(());
            }
        };
        let spans = &mut self.checkpoint.state.spans;
        let Some(at) = spans.iter().position(|intent| intent.span.start == start) else {
            return Ok(());
        };
        let mut owed = None;
        let (intent, outcome) = match done {
            Done::Stopped => return Ok(()),
            Done::Stale => {
                let stream = self.stream.borrow().clone();
                let mut intent = self.checkpoint.state.spans[at].clone();
                intent.key = self.key(&stream, intent.span, intent.oldest);
                intent.version = stream.version;
                intent.destination = Arc::new(stream.destination.s3().clone());
                intent.load = load_of(&stream);
                self.checkpoint.state.spans[at] = intent.clone();
                self.save().await?;
                self.attempt(Arc::new(intent));
                return Ok(());
            }
            Done::Delivered { damaged } => {
                let intent = spans.remove(at);
                owed = self.owe(&intent).await?;
                self.count_delivered(&intent);
                self.count_damaged(damaged);
                (intent, Outcome::Delivered)
            }
            Done::Void { damaged } => {
                let intent = spans.remove(at);
                self.count_damaged(damaged);
                (intent, Outcome::Empty)
            }
            Done::Expired(error) => {
                let intent = spans.remove(at);
                self.count_expired(&intent, &error);
                (intent, Outcome::Expired)
            }
        };
        self.lane.done(start);
        // With what is owed the receipt was kept already.
        let receipt = owed.is_none().then_some((&intent, outcome));
        self.save_with(receipt).await?;
        if let Some(owed) = owed {
            self.lane.pending.add([(start, owed)]);
        }
        self.trim().await;
        Ok(())
    }

    /// Takes up what was owed before a crash. What is owed was delivered, so a span that is still planned leaves the checkpoint
    /// now: planned anew, it might be owed twice, or not.
    async fn settle_owed(&mut self, owed: Vec<(Position, entry::Entry)>) -> Result<(), Ended> {
        let owed: BTreeMap<_, _> = owed.into_iter().collect();
        let spans = &mut self.checkpoint.state.spans;
        let planned = spans.len();
        spans.retain(|intent| !owed.contains_key(&intent.span.start));
        if spans.len() < planned {
            self.save().await?;
        }
        self.lane.pending.add(owed);
        Ok(())
    }

    /// Keeps receipt and entry of what is owed for a span that was delivered, however long it takes. Not when another has
    /// taken over meanwhile: it may have loaded that object already, and would load it again.
    async fn owe(&mut self, intent: &Intent) -> Result<Option<entry::Entry>, Ended> {
        let Some(owed) = entry::Entry::owed(intent) else {
            return Ok(None);
        };
        let catalog = self.context.engine.catalog.clone();
        loop {
            let kept = match self.checkpoint.check().await {
                Ok(()) => {
                    self.keep_receipt(intent, Outcome::Delivered).await;
                    let start = intent.span.start;
                    let kept = entry::keep(&*catalog, self.lane.id, start, &owed).await;
                    kept.map_err(HeldError::from)
                }
                Err(error) => Err(error),
            };
            let Err(error) = kept else {
                return Ok(Some(owed));
            };
            let error = trouble(&self.context, &self.lane, error)?;
            self.be_held_up(&error).await?;
        }
    }

    fn count_damaged(&mut self, frames: u64) {
        self.checkpoint.state.damaged_frames += frames;
        self.lane.series.damaged_frames.inc_by(frames);
    }

    fn count_delivered(&mut self, intent: &Intent) {
        self.checkpoint.state.last = Some(LastDelivery {
            time: self.context.clock.now(),
            bucket: intent.destination.bucket().to_owned(),
            key: intent.key.clone(),
        });
        let series = &self.lane.series;
        series.bytes.inc_by(intent.bytes);
        series.records.inc_by(intent.records);
        series.objects.inc();
        self.flushes.delivered();
        if self.lane.is_failing() {
            // What healed for one may have healed for the others.
            self.lane.nudge();
        }
    }

    fn count_expired(&mut self, intent: &Intent, error: &crate::destination::DeliveryError) {
        let state = &mut self.checkpoint.state;
        state.dropped_records += intent.records;
        state.dropped_bytes += intent.bytes;
        self.lane.series.dropped_records.inc_by(intent.records);
        self.lane.series.dropped_bytes.inc_by(intent.bytes);
        tracing::error!(
            deliveryStreamARN = self.lane.key.arn(),
            lane = %self.lane.id,
            from = %intent.span.start,
            to = %intent.span.end,
            records = intent.records,
            bytes = intent.bytes,
            errorCode = error.code(),
            "records could not be delivered for 24 hours and are lost: {}",
            error.message()
        );
    }

    /// Receipts serve tracing only: one that cannot be kept does not hold delivery up.
    fn keep_receipt(&self, intent: &Intent, outcome: Outcome) -> impl Future<Output = ()> + use<> {
        let receipt = SpanReceipt::new(
            intent.span,
            self.context.clock.now(),
            outcome,
            (intent.destination.bucket(), &intent.key),
            (intent.records, intent.bytes),
        );
        let (context, lane) = (self.context.clone(), self.lane.clone());
        let start = intent.span.start;
        async move {
            let kept = receipts::keep(&*context.engine.catalog, lane.id, start, &receipt).await;
            if let Err(error) = kept {
                tracing::warn!(stream = %lane.key, %error, "a receipt was not kept");
            }
        }
    }

    /// Keeps a receipt and saves the checkpoint. The catalog is asked for the receipt first, so that a checkpoint
    /// without the span is never older; and for both at once, so that they cost one commit.
    async fn save_with(&mut self, receipt: Option<(&Intent, Outcome)>) -> Result<(), Ended> {
        let kept = receipt.map(|(intent, outcome)| self.keep_receipt(intent, outcome));
        let kept = futures::future::OptionFuture::from(kept);
        let (_, saved) = futures::join!(kept, self.save());
        saved
    }

    /// Saves the checkpoint, however long it takes.
    async fn save(&mut self) -> Result<(), Ended> {
        loop {
            match self.checkpoint.save().await {
                Ok(()) => {
                    self.lane.broken(None);
                    self.lane.show(&self.checkpoint.state);
                    return Ok(());
                }
                Err(error) => {
                    let error = trouble(&self.context, &self.lane, error)?;
                    self.be_held_up(&error).await?;
                }
            }
        }
    }

    /// Tells all who wait for a flush that nothing goes on, and waits a while.
    async fn be_held_up(&mut self, error: &LastError) -> Result<(), Ended> {
        self.flushes.fail_all(error);
        pause(&self.context, &self.lane, &mut self.requests, error).await
    }

    /// Gives back what no span needs any more.
    async fn trim(&mut self) {
        let keep_from = self.checkpoint.state.keep_from();
        if keep_from <= self.trimmed {
            return;
        }
        match self.context.engine.log.trim(self.lane.id, keep_from).await {
            Ok(()) => self.trimmed = keep_from,
            // Trimmed with the next span.
            Err(error) => {
                tracing::warn!(stream = %self.lane.key, %error, "the log was not trimmed")
            }
        }
    }

    fn asked_to_flush(&mut self, asked: Asked) {
        let failures = self.lane.failures.borrow().count;
        self.flushes.add(asked, failures);
        // What has been taken so far may be old news.
        self.ahead = Position::START;
        self.lane.nudge();
    }

    /// Looks for a frame that has not been taken. Polled only when the log has nothing ready to follow, so
    /// that it nearly always finds the end at once.
    fn search(
        &self,
        hungry: bool,
    ) -> impl Future<Output = Option<Result<Position, LogError>>> + use<> {
        let wanted = hungry && self.ahead <= self.taken;
        let end = self.flushes.searching().filter(|_| wanted);
        let found = end.map(|end| self.context.engine.log.read(self.lane.id, self.taken..end));
        async move {
            match found {
                Some(mut frames) => {
                    let found = frames.next().await;
                    found.map(|found| found.map(|(position, _)| position))
                }
                None => std::future::pending().await,
            }
        }
    }

    fn searched(&mut self, found: Option<Result<Position, LogError>>) {
        match found {
            Some(Ok(position) | Err(LogError::Damaged { position, .. })) => {
                self.ahead = position.next();
            }
            Some(Err(error)) => {
                let error = LastError::internal(self.context.clock.now(), &error);
                self.flushes.fail_all(&error);
            }
            None => self.flushes.found(self.taken),
        }
    }

    fn answer_flushes(&mut self) {
        if self.flushes.is_empty() {
            return;
        }
        self.fail_flushes();
        let spans = self
            .checkpoint
            .state
            .spans
            .iter()
            .map(|intent| intent.span.start);
        let buffer = self.buffer.iter().map(|buffer| buffer.span.start);
        let next = self.next.iter().map(|frame| frame.position);
        let loads = self.lane.pending.first();
        let undone = spans.chain(buffer).chain(next).chain(loads).min();
        self.flushes.answer(undone.unwrap_or(self.taken));
    }

    fn fail_flushes(&mut self) {
        let failures = self.lane.failures.borrow().clone();
        if let Some(error) = failures.latest {
            self.flushes.fail(failures.count, &error);
        }
        let unloadable = self.copies.is_none() && self.loader.is_empty();
        if unloadable && !self.lane.pending.is_empty() {
            let broken = self.lane.shown().load.broken.clone();
            if let Some(error) = broken {
                self.flushes.fail_all(&error);
            }
        }
    }

    /// Lets running attempts finish for a moment; what they do not finish is attempted after the next start.
    async fn wind_down(&mut self) -> Ended {
        let grace = self.context.clock.sleep(STOP_GRACE);
        tokio::pin!(grace);
        while !(self.attempts.is_empty() && self.loader.is_empty()) {
            tokio::select! {
                biased;
                () = self.lane.discard.cancelled() => return Ended::Stopped,
                Some(done) = self.attempts.join_next() => if let Err(ended) = self.settle(done).await {
                    return ended;
                },
                Some(_) = self.loader.join_next() => {}
                () = &mut grace => return Ended::Stopped,
            }
        }
        Ended::Stopped
    }
}

/// The next frame; never, once the log's stream has ended.
async fn next(following: &mut Option<Following>) -> Option<Result<FrameMeta, LogError>> {
    match following {
        Some(following) => following.next().await,
        None => std::future::pending().await,
    }
}

/// Shows that the catalog makes trouble; an end, where waiting does not help.
fn trouble(context: &Context, lane: &Lane, error: HeldError) -> Result<LastError, Ended> {
    let words = LastError::internal(context.clock.now(), &error);
    let ended = error.end();
    if ended != Some(Ended::Stopped) {
        tracing::error!(stream = %lane.key, lane = %lane.id, %error, "delivery is held up");
        lane.broken(Some(words.clone()));
    }
    match ended {
        Some(ended) => Err(ended),
        None => Ok(words),
    }
}

/// The warehouse that objects planned for this stream now go on to.
fn load_of(stream: &DeliveryStream) -> Option<Arc<RedshiftSpec>> {
    stream.destination.redshift().cloned().map(Arc::new)
}

/// Waits a while, and answers who asks for a flush meanwhile.
async fn pause(
    context: &Context,
    lane: &Lane,
    requests: &mut mpsc::Receiver<Asked>,
    error: &LastError,
) -> Result<(), Ended> {
    let over = context.clock.sleep(TROUBLE_PAUSE);
    tokio::pin!(over);
    loop {
        tokio::select! {
            biased;
            () = lane.stop.cancelled() => return Err(Ended::Stopped),
            () = lane.discard.cancelled() => return Err(Ended::Stopped),
            () = &mut over => return Ok(()),
            Some(asked) = requests.recv() => asked.refuse(error),
        }
    }
}
