//! `CreateDeliveryStream` (SPEC §2.2).
//!
//! Order of checks: shape, permission, number of destinations, meaning, name in use, quota. The
//! stream is CREATING when the answer goes out; delivery turns it ACTIVE.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    Operations, authorized, destination,
    destination::Sealer,
    tags::{self, Tag},
};
use crate::{
    api::{
        ApiError, Operation, limits,
        wire::{self, CreateOutput, DIRECT_PUT},
    },
    credentials::Identity,
    stream::{DeliveryStream, Destination, RegistryError, Status, StreamKey},
};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Input {
    delivery_stream_name: String,
    delivery_stream_type: Option<String>,
    #[serde(default)]
    tags: Vec<Tag>,
    /// Destinations, sources and what else there is.
    #[serde(flatten)]
    others: Map<String, Value>,
}

impl Operations {
    pub(super) async fn create(
        &self,
        identity: &Identity,
        mut input: Input,
    ) -> Result<Bytes, ApiError> {
        let name = &input.delivery_stream_name;
        let key = authorized(Operation::CreateDeliveryStream, identity, name)?;
        let sealer = Sealer::new(&self.parts.vault, &key);
        let destination = destination(&mut input, &sealer)?;
        self.vet(&destination, &key).await?;
        let tags = tags::over(&[], &input.tags)?;

        let _creating = self.creating.lock().await;
        if self.parts.registry.get(&key).is_some() {
            return Err(RegistryError::Exists(key).into());
        }
        self.within_quota(&key)?;
        let created = self.parts.clock.now();
        let stream = self.parts.registry.create(|lane| DeliveryStream {
            key,
            lane,
            status: Status::Creating,
            version: 1,
            created,
            updated: None,
            destination,
            tags,
        });
        let arn = stream.await?.key.arn();
        wire::encode(&CreateOutput { arn })
    }

    /// Asks whether the destination can be used.
    pub(super) async fn vet(
        &self,
        destination: &Destination,
        key: &StreamKey,
    ) -> Result<(), ApiError> {
        let vetted = self.parts.vet.vet(destination, &key.region).await;
        vetted.map_err(ApiError::InvalidArgument)
    }

    /// Streams in every status count, as they do in List.
    fn within_quota(&self, key: &StreamKey) -> Result<(), ApiError> {
        let Some(quota) = self.parts.quotas.streams else {
            return Ok(());
        };
        let streams = self.parts.registry.list(&key.account, &key.region);
        if (streams.len() as u64) < quota {
            return Ok(());
        }
        let mut names = String::new();
        for stream in &streams {
            if names.len() > limits::ECHO_BYTES {
                names.push_str(", …");
                break;
            }
            if !names.is_empty() {
                names.push_str(", ");
            }
            names.push_str(&stream.key.name);
        }
        Err(ApiError::LimitExceeded(format!(
            "You have already consumed your firehose quota of {quota} hoses. Firehose names: [{names}]"
        )))
    }
}

/// What the request asks for, if this service can do all of it.
fn destination(input: &mut Input, sealer: &Sealer<'_>) -> Result<Destination, ApiError> {
    let asked = destination::only(&mut input.others, "DestinationConfiguration", sealer)?;
    let stream_type = input.delivery_stream_type.as_deref().unwrap_or(DIRECT_PUT);
    if stream_type != DIRECT_PUT {
        let what = format!("DeliveryStreamType {stream_type}");
        return Err(destination::unsupported(&what));
    }
    if input
        .others
        .contains_key("KinesisStreamSourceConfiguration")
    {
        return Err(ApiError::InvalidArgument(
            "KinesisSourceStreamConfig is only applicable for KinesisStreamAsSource stream type"
                .into(),
        ));
    }
    if let Some(name) = input.others.keys().next() {
        return Err(destination::unsupported(name));
    }
    asked.apply(None)
}
