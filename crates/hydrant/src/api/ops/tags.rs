//! Tags: `TagDeliveryStream`, `UntagDeliveryStream` and `ListTagsForDeliveryStream` (SPEC §3).
//!
//! Tags change no `VersionId`: they have nothing to do with the destination.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{Operations, authorized, not_active, page::page};
use crate::{
    api::{ApiError, Operation, limits, wire},
    credentials::Identity,
    stream::{DeliveryStream, Status, StreamKey},
};

/// One tag on the wire. A tag without value and one with an empty value are the same.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Tag {
    key: String,
    #[serde(default)]
    value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct TagInput {
    delivery_stream_name: String,
    tags: Vec<Tag>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct UntagInput {
    delivery_stream_name: String,
    tag_keys: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListInput {
    delivery_stream_name: String,
    exclusive_start_tag_key: Option<String>,
    limit: Option<usize>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ListOutput {
    tags: Vec<Tag>,
    has_more_tags: bool,
}

impl Operations {
    pub(super) async fn tag(
        &self,
        identity: &Identity,
        input: TagInput,
    ) -> Result<Bytes, ApiError> {
        let name = &input.delivery_stream_name;
        let key = authorized(Operation::TagDeliveryStream, identity, name)?;
        self.retag(&key, |present| over(present, &input.tags)).await
    }

    pub(super) async fn untag(
        &self,
        identity: &Identity,
        input: UntagInput,
    ) -> Result<Bytes, ApiError> {
        let name = &input.delivery_stream_name;
        let key = authorized(Operation::UntagDeliveryStream, identity, name)?;
        self.retag(&key, |present| {
            let kept = present
                .iter()
                .filter(|(key, _)| !input.tag_keys.contains(key));
            Ok(kept.cloned().collect())
        })
        .await
    }

    async fn retag(
        &self,
        key: &StreamKey,
        mut change: impl FnMut(&[(String, String)]) -> Result<Vec<(String, String)>, ApiError>,
    ) -> Result<Bytes, ApiError> {
        let retagged = |present: &DeliveryStream| {
            if present.status != Status::Active {
                return Err(ApiError::ResourceInUse(not_active(&present.key)));
            }
            Ok(DeliveryStream {
                tags: change(&present.tags)?,
                ..present.clone()
            })
        };
        self.parts.registry.change(key, retagged).await?;
        Ok(wire::EMPTY)
    }

    pub(super) fn list_tags(
        &self,
        identity: &Identity,
        input: ListInput,
    ) -> Result<Bytes, ApiError> {
        let name = &input.delivery_stream_name;
        let key = authorized(Operation::ListTagsForDeliveryStream, identity, name)?;
        let stream = self.find(&key)?;
        let start = input.exclusive_start_tag_key.as_deref();
        let limit = input.limit.unwrap_or(limits::TAGS);
        let (tags, more) = page(&stream.tags, |(key, _)| key, start, limit);
        let tag = |(key, value): &(String, String)| Tag {
            key: key.clone(),
            value: value.clone(),
        };
        wire::encode(&ListOutput {
            tags: tags.iter().map(tag).collect(),
            has_more_tags: more,
        })
    }
}

/// `added` over `present`, in order of key; the last of those with the same key holds.
pub(super) fn over(
    present: &[(String, String)],
    added: &[Tag],
) -> Result<Vec<(String, String)>, ApiError> {
    let added = added.iter().map(|tag| (tag.key.clone(), tag.value.clone()));
    let tags: BTreeMap<_, _> = present.iter().cloned().chain(added).collect();
    if tags.len() > limits::TAGS {
        return Err(ApiError::LimitExceeded(format!(
            "A delivery stream can have {} tags at most",
            limits::TAGS
        )));
    }
    Ok(tags.into_iter().collect())
}
