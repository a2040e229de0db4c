//! A manifest whose period is over: it goes below `errors/`, where somebody finds it.

use super::Loader;
use crate::{
    delivery::{
        ended::Ended,
        lane::in_words,
        load::{
            batch, retry,
            state::{Manifest, Step},
            status::{GivenUp, LoadFate, warehouse_name},
        },
        retry::Next,
        status::LastError,
    },
    destination::DeliveryError,
};

/// Where the manifests that were given up lie, below the prefix.
const ERRORS: &str = "errors/";

impl Loader {
    /// Writes the manifest below `errors/`: into its bucket or, where that takes nothing, into the one that the stream
    /// has now. Then it is settled.
    pub(super) async fn give_up(
        &mut self,
        manifest: Manifest,
        error: LastError,
    ) -> Result<(), Ended> {
        self.nudge.forget();
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
}
