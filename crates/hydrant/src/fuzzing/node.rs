//! A node in memory, without socket and delivery; what the supervisor would do is done when asked.

use std::sync::{Arc, LazyLock};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use hydrant_engine::{Chance, Engine, LaneId, ManualClock, Position, Timestamp};

use crate::{
    api::{
        ApiError, Dispatch, Operation,
        ops::{Operations, Parts, Vet},
    },
    config::{BucketRule, Quotas, RedshiftCredentials, S3Rule},
    credentials::{Identity, Outbound, Vault},
    destination::Buckets,
    metrics::Metrics,
    stream::{DeliveryStream, Destination, Registry, RegistryError, Status},
    warehouse::{Warehouses, connect::Connector},
};

/// When everything happens: 2026-11-23T05:30:00Z, as in the recorded requests of `sigv4`.
pub(super) const NOW: Timestamp = Timestamp(1_795_411_800_000);
pub(super) const ACCOUNT: &str = "000000000000";
pub(super) const REGION: &str = "eu-west-1";

pub(super) struct Node {
    pub(super) operations: Arc<Operations>,
    pub(super) registry: Arc<Registry>,
    pub(super) engine: Engine,
    pub(super) clock: ManualClock,
}

impl Node {
    /// With one stream, `logs`, which is ACTIVE.
    pub(super) async fn new() -> Self {
        let engine = Engine::mem();
        let registry = Registry::open(engine.catalog.clone()).await;
        let registry = registry.expect("an empty catalog");
        let clock = ManualClock::new(NOW);
        let operations = Arc::new(Operations::new(Parts {
            engine: engine.clone(),
            registry: registry.clone(),
            clock: Arc::new(clock.clone()),
            metrics: Arc::new(Metrics::new()),
            quotas: Quotas::DEFAULT,
            vet: Arc::new(Judge),
            vault: VAULT.clone(),
        }));
        let node = Node {
            operations,
            registry,
            engine,
            clock,
        };
        let body = r#"{"DeliveryStreamName":"logs","S3DestinationConfiguration":{"RoleARN":"arn:aws:iam::000000000000:role/r","BucketARN":"arn:aws:s3:::b"}}"#;
        let created = node
            .call(Operation::CreateDeliveryStream, Bytes::from(body))
            .await;
        created.expect("a first stream");
        node.supervise().await;
        node
    }

    pub(super) async fn call(&self, operation: Operation, body: Bytes) -> Result<Bytes, ApiError> {
        let identity = Identity::unverified(ACCOUNT, REGION);
        self.operations.call(operation, &identity, body).await
    }

    /// New streams become ACTIVE, deleted ones vanish.
    pub(super) async fn supervise(&self) {
        for stream in self.registry.all() {
            match stream.status {
                Status::Creating => {
                    let activated = |present: &DeliveryStream| {
                        Ok::<_, RegistryError>(DeliveryStream {
                            status: Status::Active,
                            ..present.clone()
                        })
                    };
                    let changed = self.registry.change(&stream.key, activated).await;
                    changed.expect("an ACTIVE stream");
                }
                Status::Active => {}
                Status::Deleting => {
                    self.engine
                        .log
                        .remove(stream.lane)
                        .await
                        .expect("a lane removed");
                    let forgotten = self.registry.forget(&stream.key, stream.lane).await;
                    forgotten.expect("a stream forgotten");
                }
            }
        }
    }

    /// How many records the lane holds.
    pub(super) async fn records(&self, lane: LaneId) -> usize {
        let all = Position::START..Position(u64::MAX);
        let frames = self.engine.log.read(lane, all);
        let records = |frame: Result<(Position, hydrant_engine::Frame), _>| {
            frame.expect("a frame").1.records()
        };
        frames
            .map(records)
            .fold(0, async |sum, records| sum + records)
            .await
    }
}

/// One for all runs: to make a key takes longer than most runs.
static VAULT: LazyLock<Arc<Vault>> = LazyLock::new(|| {
    let vault = Vault::ephemeral(&Chance::seeded(1));
    Arc::new(vault.expect("a key"))
});

/// The judge that a real node has. Buckets are directories, but for those whose names begin with `s3`.
static WAREHOUSES: LazyLock<Warehouses> = LazyLock::new(|| {
    Warehouses::new(
        Arc::new(Judge::buckets()),
        VAULT.clone(),
        Connector::new(Judge::clock(), None).expect("a connector"),
        RedshiftCredentials::default(),
    )
});

#[derive(Debug)]
pub(super) struct Judge;

impl Judge {
    pub(super) fn clock() -> Arc<ManualClock> {
        Arc::new(ManualClock::new(NOW))
    }

    pub(super) fn buckets() -> Buckets {
        let store = BucketRule::S3(S3Rule {
            pattern: "s3*".to_owned(),
            endpoint: Some("http://127.0.0.1:1".to_owned()),
            ..S3Rule::default()
        });
        let outbound = Outbound::new(Judge::clock());
        Buckets::new(vec![store], "/nowhere".into(), outbound).expect("rules that hold")
    }
}

#[async_trait]
impl Vet for Judge {
    async fn vet(&self, destination: &Destination, region: &str) -> Result<(), String> {
        WAREHOUSES.vet(destination, region).await
    }
}
