//! Attempts at a manifest, and what follows from each.

use std::{sync::Arc, time::Duration};

use super::Loader;
use crate::{
    delivery::{
        ended::Ended,
        lane::in_words,
        load::{
            attempt, batch,
            retry::{self, Patience},
            state::{Manifest, Step},
            status::{LastSuccess, LoadFate, LoadShown, warehouse_name},
        },
        retry::Next,
    },
    destination::DeliveryError,
    stream::{DeliveryStream, RedshiftSpec, S3Spec},
    warehouse::{Load, Loaded},
};

impl Loader {
    /// One attempt at the manifest, and what follows from it.
    pub(super) async fn load(&mut self, manifest: Manifest) -> Result<(), Ended> {
        let stream = self.stream.borrow().clone();
        self.nudge.forget();
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

    pub(super) async fn write(
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

    pub(super) async fn loaded(
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

    /// SPEC §6.3's members.
    pub(super) fn log(
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
