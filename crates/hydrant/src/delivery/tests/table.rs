//! A warehouse that does as the test says, and a stream that loads into it.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use hydrant_copy::Manifest;
use hydrant_engine::{Engine, LaneId};
use tokio::sync::Semaphore;

use super::rig::{Rig, Scripted, stream, until};
use crate::{
    delivery::{CopyStatus, Settings},
    destination::DeliveryError,
    stream::{
        CopyCommand, DeliveryStream, Destination as Configured, RedshiftSpec, S3Spec, StreamKey,
    },
    warehouse::{Load, Loaded, Warehouse},
};

/// A COPY that the warehouse was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Copied {
    /// `s3://BUCKET/KEY`.
    pub(super) manifest: String,
    pub(super) table: String,
    pub(super) options: Option<String>,
    /// The objects' contents, in the manifest's order.
    pub(super) objects: Vec<String>,
    pub(super) succeeded: bool,
}

/// A warehouse with a ledger of objects, over the scripted store.
#[derive(Debug)]
pub(super) struct Tables {
    store: Arc<Scripted>,
    state: Mutex<State>,
    /// One permit for each answer; plenty unless a test holds answers back.
    answers: Semaphore,
}

#[derive(Debug, Default)]
struct State {
    copies: Vec<Copied>,
    /// How often each object's rows came into a table. The ledger does not keep them out: it is what is tested.
    rows: BTreeMap<String, usize>,
    failing: BTreeMap<String, DeliveryError>,
    /// Databases, by the URLs that streams have for them, whose COPYs never end.
    hanging: BTreeSet<String>,
    /// What the next COPYs do, before anything else is looked at.
    next: VecDeque<Next>,
    running: usize,
    most_running: usize,
}

#[derive(Debug)]
pub(super) enum Next {
    Panic,
    Fail(DeliveryError),
}

impl Tables {
    pub(super) fn over(store: &Arc<Scripted>) -> Arc<Self> {
        Arc::new(Tables {
            store: store.clone(),
            state: Mutex::default(),
            answers: Semaphore::new(1 << 20),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every COPY into this table fails from now on.
    pub(super) fn fail(&self, table: &str, error: DeliveryError) {
        self.state().failing.insert(table.to_owned(), error);
    }

    pub(super) fn heal(&self, table: &str) {
        self.state().failing.remove(table);
    }

    /// Every COPY into this database hangs from now on.
    pub(super) fn hang(&self, jdbc_url: &str) {
        self.state().hanging.insert(jdbc_url.to_owned());
    }

    pub(super) fn next(&self, next: Next) {
        self.state().next.push_back(next);
    }

    /// Begins COPYs but ends none, until [`Self::answer`].
    pub(super) fn hold_answers(&self) {
        self.answers.forget_permits(1 << 20);
    }

    pub(super) fn answer(&self, copies: usize) {
        self.answers.add_permits(copies);
    }

    pub(super) fn most_running(&self) -> usize {
        self.state().most_running
    }

    pub(super) fn attempts(&self) -> usize {
        self.state().copies.len()
    }

    pub(super) fn copies(&self) -> Vec<Copied> {
        self.state().copies.clone()
    }

    /// What each COPY that succeeded loaded.
    pub(super) fn loads(&self) -> Vec<Vec<String>> {
        let state = self.state();
        let succeeded = state.copies.iter().filter(|copied| copied.succeeded);
        succeeded.map(|copied| copied.objects.clone()).collect()
    }

    /// How often each object was loaded.
    pub(super) fn rows(&self) -> BTreeMap<String, usize> {
        self.state().rows.clone()
    }

    fn read(&self, url: (&str, &str)) -> Option<String> {
        let bodies = self.store.bodies(url.0, url.1);
        String::from_utf8(bodies.last()?.clone()).ok()
    }
}

#[async_trait]
impl Warehouse for Tables {
    async fn copy(&self, load: &Load) -> Result<Loaded, DeliveryError> {
        let missing =
            || DeliveryError::refused("Redshift.MissingS3File", "there is no such object");
        let manifest = self.read((load.leg.bucket(), &load.manifest));
        let manifest = Manifest::parse(manifest.ok_or_else(missing)?.as_bytes()).unwrap();
        let urls = manifest.entries.iter().map(|entry| &entry.url);
        let objects: Option<Vec<String>> = urls
            .map(|url| self.read((url.bucket(), url.key())))
            .collect();
        let objects = objects.ok_or_else(missing)?;
        let outcome = {
            let mut state = self.state();
            state.copies.push(Copied {
                manifest: format!("s3://{}/{}", load.leg.bucket(), load.manifest),
                table: load.warehouse.copy.table.clone(),
                options: load.warehouse.copy.options.clone(),
                objects: objects.clone(),
                succeeded: false,
            });
            state.running += 1;
            state.most_running = state.most_running.max(state.running);
            match state.next.pop_front() {
                Some(Next::Panic) => {
                    state.running -= 1;
                    drop(state);
                    panic!("a defect, on purpose");
                }
                Some(Next::Fail(error)) => Err(error),
                None => match state.failing.get(&load.warehouse.copy.table) {
                    Some(error) => Err(error.clone()),
                    None => Ok(()),
                },
            }
        };
        let at = self.attempts() - 1;
        if self.state().hanging.contains(&load.warehouse.jdbc_url) {
            std::future::pending::<()>().await;
        }
        self.answers.acquire().await.unwrap().forget();
        let mut state = self.state();
        state.running -= 1;
        outcome?;
        state.copies[at].succeeded = true;
        for object in &objects {
            *state.rows.entry(object.clone()).or_default() += 1;
        }
        Ok(Loaded {
            rows: Some(objects.len() as u64),
            ..Loaded::default()
        })
    }
}

/// A rig, and the warehouse behind it.
pub(super) struct Loading {
    pub(super) rig: Rig,
    pub(super) tables: Arc<Tables>,
}

impl Loading {
    pub(super) async fn new() -> Self {
        Self::over(Engine::mem(), Settings::default()).await
    }

    pub(super) async fn over(engine: Engine, settings: Settings) -> Self {
        let store = Scripted::new();
        let tables = Tables::over(&store);
        let rig = Rig::loading(engine, settings, store, tables.clone()).await;
        Loading { rig, tables }
    }

    /// An ACTIVE stream into table `t`, cut every 60 s, COPYs retried for an hour.
    pub(super) async fn stream(&self, name: &str) -> Arc<DeliveryStream> {
        self.rig.create(|lane| loading(name, lane)).await
    }

    pub(super) fn copy(&self, key: &StreamKey) -> CopyStatus {
        self.rig.status(key).unwrap().copy.unwrap()
    }

    /// An object with this body is delivered.
    pub(super) async fn deliver(&self, lane: LaneId, body: &str) {
        self.rig.put(lane, &[body]).await;
        self.rig.pass(60).await;
        until("the object is delivered", || {
            self.rig.store.contents().iter().any(|known| known == body)
        })
        .await;
    }

    pub(super) async fn attempted(&self, attempts: usize) {
        until(&format!("{attempts} COPYs were attempted"), || {
            self.tables.attempts() >= attempts
        })
        .await;
    }

    /// Nothing waits to be loaded.
    pub(super) async fn settled(&self, key: &StreamKey) {
        self.rig.drained(key).await;
        until("nothing waits to be loaded", || {
            self.rig
                .status(key)
                .is_some_and(|status| status.copy.is_none_or(|copy| copy.objects == 0))
        })
        .await;
    }

    /// UpdateDestination of the warehouse.
    pub(super) async fn update(&self, key: &StreamKey, change: impl Fn(&mut RedshiftSpec)) {
        self.rig
            .redirect(key, |present| {
                let mut spec = present.redshift().unwrap().clone();
                change(&mut spec);
                Configured::Redshift(Box::new(spec))
            })
            .await;
    }
}

/// As [`Loading::stream`], not yet created.
pub(super) fn loading(name: &str, lane: LaneId) -> DeliveryStream {
    let stream = stream(name, lane, (5, 60));
    DeliveryStream {
        destination: Configured::Redshift(Box::new(warehouse(stream.destination.s3().clone()))),
        ..stream
    }
}

/// A warehouse behind this bucket.
pub(super) fn warehouse(s3: S3Spec) -> RedshiftSpec {
    RedshiftSpec {
        role_arn: s3.role_arn.clone(),
        jdbc_url: "jdbc:redshift://user:hush@cluster.example:5439/db?password=hush".to_owned(),
        username: "loader".to_owned(),
        password: serde_json::from_value("1:sealed".into()).unwrap(),
        copy: CopyCommand {
            table: "t".to_owned(),
            columns: None,
            options: None,
        },
        retry_s: 3600,
        s3,
        echoed: serde_json::Map::new(),
    }
}

pub(super) fn no_table() -> DeliveryError {
    DeliveryError::refused("Redshift.TableNotFound", "relation \"t\" does not exist")
}

pub(super) fn lost() -> DeliveryError {
    DeliveryError::internal("the connection was lost")
}
