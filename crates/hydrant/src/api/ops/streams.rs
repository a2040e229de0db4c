//! `DescribeDeliveryStream`, `ListDeliveryStreams` and `DeleteDeliveryStream` (SPEC §2.3–2.5).

use bytes::Bytes;
use serde::Deserialize;

use super::{Operations, authorized, not_active, page::page};
use crate::{
    api::{
        ApiError, Operation, limits,
        wire::{self, DIRECT_PUT, DescribeOutput, ListOutput, StreamDescription},
    },
    credentials::Identity,
    metrics::{RegionLabels, ingest::StreamOperation},
    stream::{DeliveryStream, Status},
};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Describe {
    delivery_stream_name: String,
    exclusive_start_destination_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct List {
    limit: Option<usize>,
    delivery_stream_type: Option<String>,
    exclusive_start_delivery_stream_name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Delete {
    delivery_stream_name: String,
}

impl Operations {
    /// `Limit` may be any that the table allows: there is one destination.
    pub(super) fn describe(&self, identity: &Identity, input: Describe) -> Result<Bytes, ApiError> {
        let began = self.parts.clock.monotonic();
        let name = &input.delivery_stream_name;
        let key = authorized(Operation::DescribeDeliveryStream, identity, name)?;
        let stream = self.find(&key)?;
        let start = input.exclusive_start_destination_id.as_deref();
        let answer = wire::encode(&DescribeOutput {
            delivery_stream_description: StreamDescription::new(&stream, start),
        });
        self.count(&stream, StreamOperation::Describe, began);
        answer
    }

    /// Every stream of the caller's account and region, whatever its status.
    pub(super) fn list(&self, identity: &Identity, input: List) -> Result<Bytes, ApiError> {
        let began = self.parts.clock.monotonic();
        // IAM knows no resource for it but all of them.
        identity.authorize(Operation::ListDeliveryStreams.action(), || "*".into())?;
        let mut streams = self
            .parts
            .registry
            .list(&identity.account, &identity.region);
        if input
            .delivery_stream_type
            .is_some_and(|wanted| wanted != DIRECT_PUT)
        {
            streams.clear();
        }
        let start = input.exclusive_start_delivery_stream_name.as_deref();
        let limit = input.limit.unwrap_or(limits::DEFAULT_PAGE_SIZE);
        let (streams, more) = page(&streams, |stream| &stream.key.name, start, limit);
        let answer = wire::encode(&ListOutput {
            delivery_stream_names: streams.iter().map(|s| s.key.name.as_str()).collect(),
            has_more_delivery_streams: more,
        });
        let labels = RegionLabels {
            account: identity.account.clone(),
            region: identity.region.clone(),
        };
        let took = self.parts.clock.monotonic().saturating_sub(began);
        self.parts.metrics.ingest.listed(&labels, took);
        answer
    }

    /// Marks the stream DELETING; delivery discards what it holds and forgets it.
    /// `AllowForceDelete` is about grants of KMS, of which there are none.
    pub(super) async fn delete(
        &self,
        identity: &Identity,
        input: Delete,
    ) -> Result<Bytes, ApiError> {
        let name = &input.delivery_stream_name;
        let key = authorized(Operation::DeleteDeliveryStream, identity, name)?;
        let deleting = |present: &DeliveryStream| match present.status {
            Status::Creating => Err(ApiError::ResourceInUse(not_active(&present.key))),
            Status::Active | Status::Deleting => Ok(DeliveryStream {
                status: Status::Deleting,
                ..present.clone()
            }),
        };
        self.parts.registry.change(&key, deleting).await?;
        Ok(wire::EMPTY)
    }
}
