//! What a lane's loader has done and promised: lease, fence and the one manifest in hand, in one catalog value.
//!
//! ```text
//! key    loading/LANE
//! value  JSON: {"format":1, "owner", "epoch", "manifest":{"id","created","warehouse","objects":[START…],"records","bytes",
//!               "version","first_failure","step":"copying"|{"giving_up":ERROR}|{"settled":FATE}},
//!               "last_success", "given_up_manifests", "given_up_records", "given_up":[…]}
//! ```
//!
//! * A manifest is an *intent*: after a crash the same objects are loaded under the same name.
//! * Its step only goes on: copying → settled, or copying → giving up → settled. Once settled, it is loaded or
//!   given up for good, and all that is left is to tidy up.

use std::sync::Arc;

use hydrant_engine::{Catalog, LaneId, Position, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    batch::{self, Batch},
    status::{GIVEN_UP_SHOWN, GivenUp, LastSuccess, LoadFate},
};
use crate::{
    delivery::{
        held::{self, Held, HeldError, Lease},
        object,
        status::LastError,
    },
    stream::{DeliveryStream, RedshiftSpec, S3Spec},
};

/// The catalog prefix of all loaders' values.
pub(crate) const CATALOG_PREFIX: &str = "loading/";

/// Where a lane's value lies in the catalog.
pub(crate) fn catalog_key(lane: LaneId) -> String {
    format!("{CATALOG_PREFIX}{lane}")
}

/// What the catalog keeps of a lane's loading.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    #[serde(flatten)]
    lease: Lease,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) manifest: Option<Manifest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last_success: Option<LastSuccess>,
    /// In the life of the lane.
    #[serde(default)]
    pub(crate) given_up_manifests: u64,
    /// Their records.
    #[serde(default)]
    pub(crate) given_up_records: u64,
    /// The newest first, at most [`GIVEN_UP_SHOWN`].
    #[serde(default)]
    pub(crate) given_up: Vec<GivenUp>,
}

impl State {
    /// Remembers a manifest that was given up.
    pub(crate) fn give_up(&mut self, given_up: GivenUp) {
        self.given_up_manifests += 1;
        self.given_up_records += given_up.records;
        self.given_up.insert(0, given_up);
        self.given_up.truncate(GIVEN_UP_SHOWN);
    }
}

/// Objects to be loaded by one COPY.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) id: Uuid,
    pub(crate) created: Timestamp,
    /// The configuration that its youngest object was planned under. Its bucket holds the objects.
    pub(crate) warehouse: Arc<RedshiftSpec>,
    pub(crate) objects: Vec<Position>,
    pub(crate) records: u64,
    /// Record data, before compression.
    pub(crate) bytes: u64,
    /// The stream's version in the present retry period.
    pub(crate) version: u64,
    /// When a COPY failed first in that period.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) first_failure: Option<Timestamp>,
    pub(crate) step: Step,
}

/// How far a manifest is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Step {
    Copying,
    /// No more COPY; the manifest is to be written below `errors/`.
    GivingUp(LastError),
    /// Loaded, or given up.
    Settled(LoadFate),
}

impl Manifest {
    pub(crate) fn new(batch: Batch, id: Uuid, created: Timestamp, version: u64) -> Self {
        Manifest {
            id,
            created,
            warehouse: batch.warehouse,
            objects: batch.objects,
            records: batch.records,
            bytes: batch.bytes,
            version,
            first_failure: None,
            step: Step::Copying,
        }
    }

    /// Its key, below `prefix`.
    pub(crate) fn key(&self, stream: &str, prefix: &str) -> String {
        object::manifest_key(prefix, stream, self.created, self.id)
    }

    /// `s3://BUCKET/KEY`.
    pub(crate) fn url(&self, stream: &str) -> String {
        let s3 = &self.warehouse.s3;
        batch::url(s3.bucket(), &self.key(stream, s3.prefix()))
    }

    /// How its bucket is reached now: where the stream still writes there, in the role that it has today, for the one that the
    /// objects were planned under may be gone.
    pub(crate) fn leg_now(&self, stream: &DeliveryStream) -> S3Spec {
        let (planned, now) = (&self.warehouse.s3, stream.destination.s3());
        match now.bucket_arn == planned.bucket_arn {
            true => S3Spec {
                role_arn: now.role_arn.clone(),
                encryption: now.encryption.clone(),
                ..planned.clone()
            },
            false => planned.clone(),
        }
    }

    /// What it is loaded into now: what the stream says, as far as that fits objects that are there already.
    pub(crate) fn warehouse_now(&self, stream: &DeliveryStream) -> Arc<RedshiftSpec> {
        let Some(now) = stream.destination.redshift() else {
            return self.warehouse.clone();
        };
        let mut warehouse = now.clone();
        if now.s3.compression != self.warehouse.s3.compression {
            warehouse
                .copy
                .options
                .clone_from(&self.warehouse.copy.options);
        }
        Arc::new(warehouse)
    }
}

impl held::State for State {
    const FORMAT: u32 = 1;
    const WHAT: &str = "the state of loading";

    fn lease(&mut self) -> &mut Lease {
        &mut self.lease
    }
}

/// Takes a lane's loading over from whoever had it.
pub(crate) async fn take_over(
    catalog: Arc<dyn Catalog>,
    lane: LaneId,
    owner: u64,
) -> Result<Held<State>, HeldError> {
    let first = |lease| State {
        lease,
        manifest: None,
        last_success: None,
        given_up_manifests: 0,
        given_up_records: 0,
        given_up: Vec::new(),
    };
    Held::take(catalog, catalog_key(lane), lane, owner, first).await
}
