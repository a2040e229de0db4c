//! What the operations mean (SPEC §2): the control operations here, puts in `put`.
//!
//! Each control operation is: read the request by its table, authorise, decide, answer. What it
//! decides about lies in the [`Registry`]; delivery follows the registry and does the rest, so that
//! no operation waits for it.

mod create;
mod destination;
mod live;
mod page;
mod streams;
mod tags;
mod update;

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use hydrant_engine::{CatalogError, Clock, Engine};
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;

use self::live::Live;
use super::{ApiError, Dispatch, Operation, limits, put, shape, shapes};
use crate::{
    config::Quotas,
    credentials::{Identity, Vault},
    metrics::{Metrics, ingest::StreamOperation},
    stream::{DeliveryStream, Destination, Registry, RegistryError, StreamKey},
};

/// Says whether a destination can be used at all, before a stream has it.
#[async_trait]
pub trait Vet: Send + Sync + fmt::Debug {
    /// Whether `destination`, for a stream in `region`, may be had: its role can be assumed, the store
    /// can name the bucket and encrypt as asked, and the warehouse can do what the COPY options say.
    ///
    /// # Errors
    /// The text of an `InvalidArgumentException`.
    async fn vet(&self, destination: &Destination, region: &str) -> Result<(), String>;
}

/// What the operations work with.
#[derive(Debug)]
pub struct Parts {
    /// The log that takes records and the catalog behind `registry`.
    pub engine: Engine,
    /// Every stream.
    pub registry: Arc<Registry>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Where to count.
    pub metrics: Arc<Metrics>,
    /// How many streams, and how much for each.
    pub quotas: Quotas,
    /// Who judges destinations.
    pub vet: Arc<dyn Vet>,
    /// Seals passwords.
    pub vault: Arc<Vault>,
}

/// The operations, behind [`Dispatch`].
#[derive(Debug)]
pub struct Operations {
    pub(super) parts: Parts,
    pub(super) live: Live,
    pub(super) complaints: put::Complaints,
    /// Held over the quota's check and the creation that it permits.
    creating: Mutex<()>,
}

impl Operations {
    /// Operations over `parts`. Must be called within a Tokio runtime.
    pub fn new(parts: Parts) -> Self {
        Operations {
            live: Live::new(
                parts.registry.clone(),
                parts.metrics.clone(),
                parts.quotas.clone(),
            ),
            complaints: put::Complaints::default(),
            creating: Mutex::new(()),
            parts,
        }
    }

    /// The stream of that name, in whatever status.
    pub(super) fn find(&self, key: &StreamKey) -> Result<Arc<DeliveryStream>, ApiError> {
        self.parts.registry.get(key).ok_or_else(|| not_found(key))
    }

    fn count(&self, stream: &DeliveryStream, operation: StreamOperation, began: Duration) {
        let took = self.parts.clock.monotonic().saturating_sub(began);
        self.live.of(stream).series.controlled(operation, took);
    }
}

#[async_trait]
impl Dispatch for Operations {
    async fn call(
        &self,
        operation: Operation,
        identity: &Identity,
        body: Bytes,
    ) -> Result<Bytes, ApiError> {
        match operation {
            Operation::PutRecord | Operation::PutRecordBatch => {
                self.put(operation, identity, body).await
            }
            Operation::CreateDeliveryStream => {
                self.create(identity, read(operation, body).await?).await
            }
            Operation::DeleteDeliveryStream => {
                self.delete(identity, read(operation, body).await?).await
            }
            Operation::DescribeDeliveryStream => {
                self.describe(identity, read(operation, body).await?)
            }
            Operation::ListDeliveryStreams => self.list(identity, read(operation, body).await?),
            Operation::UpdateDestination => {
                self.update(identity, read(operation, body).await?).await
            }
            Operation::TagDeliveryStream => self.tag(identity, read(operation, body).await?).await,
            Operation::UntagDeliveryStream => {
                self.untag(identity, read(operation, body).await?).await
            }
            Operation::ListTagsForDeliveryStream => {
                self.list_tags(identity, read(operation, body).await?)
            }
        }
    }
}

async fn read<T>(operation: Operation, body: Bytes) -> Result<T, ApiError>
where
    T: DeserializeOwned + Send + 'static,
{
    let large = body.len() >= limits::TABLE_ELSEWHERE;
    let read = move || shape::read(shapes::of(operation), &body);
    if !large {
        return read();
    }
    let read = tokio::task::spawn_blocking(read).await;
    read.map_err(ApiError::internal)?
}

/// The stream that a request names, once the caller may do `operation` to it.
pub(super) fn authorized(
    operation: Operation,
    identity: &Identity,
    name: &str,
) -> Result<StreamKey, ApiError> {
    let key = StreamKey::new(&identity.account, &identity.region, name);
    identity.authorize(operation.action(), || key.arn())?;
    Ok(key)
}

/// No such stream (SPEC §2.3).
pub(super) fn not_found(key: &StreamKey) -> ApiError {
    ApiError::ResourceNotFound(format!(
        "Firehose {} under account {} not found.",
        key.name, key.account
    ))
}

/// The text for a stream in a status that does not allow the operation (SPEC §2.1).
pub(super) fn not_active(key: &StreamKey) -> String {
    format!("Firehose {} is not in ACTIVE state", key.name)
}

impl From<RegistryError> for ApiError {
    fn from(error: RegistryError) -> Self {
        match error {
            RegistryError::Exists(key) => ApiError::ResourceInUse(format!(
                "Firehose {} under accountId {} already exists",
                key.name, key.account
            )),
            RegistryError::NotFound(key) => not_found(&key),
            RegistryError::Catalog(CatalogError::Full(_) | CatalogError::Closed) => {
                ApiError::ServiceUnavailable(put::UNAVAILABLE.into())
            }
            other => ApiError::internal(other),
        }
    }
}
