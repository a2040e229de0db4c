//! `UpdateDestination` (SPEC §2.6): compare-and-set on `VersionId`.
//!
//! The decision ([`updated`]) is a pure function of the stream and the request. It is taken twice:
//! on what is known, so that the outcome can be vetted before anything is written, and within the
//! registry's compare-and-set. As the version is part of the decision, the second can only agree
//! with the first or be refused.

use bytes::Bytes;
use hydrant_engine::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    Operations, authorized,
    destination::{self, Asked, Sealer},
    not_active,
};
use crate::{
    api::{ApiError, Operation, wire},
    credentials::Identity,
    metrics::ingest::StreamOperation,
    stream::{DeliveryStream, Status, spec::DESTINATION_ID},
};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Input {
    delivery_stream_name: String,
    current_delivery_stream_version_id: String,
    destination_id: String,
    /// The updates.
    #[serde(flatten)]
    others: Map<String, Value>,
}

impl Operations {
    pub(super) async fn update(
        &self,
        identity: &Identity,
        mut input: Input,
    ) -> Result<Bytes, ApiError> {
        let began = self.parts.clock.monotonic();
        let name = &input.delivery_stream_name;
        let key = authorized(Operation::UpdateDestination, identity, name)?;
        let present = self.find(&key)?;
        let now = self.parts.clock.now();
        let sealer = Sealer::new(&self.parts.vault, &key);
        // Read once, told later: what is wrong with the stream comes first.
        let asked = destination::only(&mut input.others, "DestinationUpdate", &sealer);
        let outcome = async {
            let planned = updated(&present, &input, &asked, now)?;
            self.vet(&planned.destination, &key).await?;
            let registry = &self.parts.registry;
            registry
                .change(&key, |present| updated(present, &input, &asked, now))
                .await
        };
        let outcome = outcome.await;
        self.count(&present, StreamOperation::Update, began);
        outcome.map(|_| wire::EMPTY)
    }
}

/// What `present` becomes.
fn updated(
    present: &DeliveryStream,
    input: &Input,
    asked: &Result<Asked, ApiError>,
    now: Timestamp,
) -> Result<DeliveryStream, ApiError> {
    let name = &present.key.name;
    if present.status != Status::Active {
        return Err(ApiError::ResourceInUse(not_active(&present.key)));
    }
    let (current, given) = (present.version, &input.current_delivery_stream_version_id);
    if current.to_string() != *given {
        return Err(ApiError::ConcurrentModification(format!(
            "Cannot update firehose: {name} since the current version id: {current} and specified \
             version id: {given} do not match"
        )));
    }
    if input.destination_id != DESTINATION_ID {
        let id = &input.destination_id;
        return Err(ApiError::InvalidArgument(format!(
            "Destination Id {id} not found"
        )));
    }
    let destination = asked.clone()?.apply(Some(&present.destination))?;
    Ok(DeliveryStream {
        version: current + 1,
        updated: Some(now),
        destination,
        ..present.clone()
    })
}
