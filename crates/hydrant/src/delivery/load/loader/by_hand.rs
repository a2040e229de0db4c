//! Manifests that somebody wants to have loaded: `hydrant copy`.

use std::{collections::BTreeSet, sync::Arc};

use super::Loader;
use crate::{
    delivery::{
        ended::Ended,
        lane::in_words,
        load::{
            ask::{Asked, CopyError},
            attempt, batch,
            state::Step,
            status::{GivenUp, LastSuccess, LoadFate, warehouse_name},
        },
        receipts,
    },
    stream::RedshiftSpec,
    warehouse::{Load, Loaded},
};

impl Loader {
    /// Loads a manifest that somebody names, and tells them.
    pub(super) async fn answer(&mut self, asked: Asked) -> Result<bool, Ended> {
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
}
