//! One life of a node, with all who come to it.

use std::{cell::RefCell, collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hydrant::{
    config::{BucketRule, Config, QuotaPreset, S3Rule, Settings},
    credentials::{Outbound, Secret, Vault},
    destination::{Buckets, directory::Machine, s3::SharedClient},
    node::{Core, Surroundings},
    warehouse::connect::Connector,
};
use hydrant_engine::{
    Chance, Clock, Engine, EngineConfig, EngineParts, Threads, Timestamp, local::disk::Disk,
};
use object_store::client::HttpClient;
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::{
    BEGIN, DATA_DIR,
    books::{Books, line},
    machine::{SimClock, Tasks},
    plan::{Life, Plan},
    store::{Mode, Store},
    wire::{Heard, Network},
};
use crate::{
    disk::{Faults, SimDisk, World},
    engine::{End, pick},
    outcome::{Violation, violated},
};

/// What outlives a node.
pub(super) struct Lasting {
    pub(super) world: World,
    pub(super) store: Store,
    pub(super) chance: Chance,
    pub(super) plan: Plan,
    pub(super) books: Books,
    /// By name: what is known of each stream.
    pub(super) streams: BTreeMap<String, Known>,
    /// The true time.
    pub(super) now: Timestamp,
}

/// What is known of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// It was asked for, and perhaps made.
    Perhaps,
    There,
    /// It was to be deleted, and perhaps is.
    Going,
}

/// Lives one life. What was given up of each stream, as the node counts it, goes into `dropped`.
pub(super) async fn live(
    lasting: &mut Lasting,
    life: &Life,
    dropped: &mut BTreeMap<String, u64>,
) -> Result<(), Violation> {
    let world = lasting.world.clone();
    let gone = Arc::new(Notify::new());
    if let Some(after) = life.cut_after {
        world.cut_at(world.ops() + after, gone.clone());
    } else {
        world.cut_at(u64::MAX, gone.clone());
    }
    lasting.store.cut_after(life.cut_after_requests);
    world.set_faults(life.faults);
    let clock = SimClock::new(lasting.now);
    let began = clock.monotonic();
    let lived = tokio::select! {
        biased;
        () = gone.notified() => Ok(()),
        lived = awake(lasting, life, &clock, dropped) => lived,
    };
    world.set_faults(Faults::default());
    let passed = clock.monotonic().saturating_sub(began);
    lasting.now = lasting.now.plus(passed);
    match world.is_powered() {
        true => lived,
        // What was seen in the dark does not count.
        false => Ok(()),
    }
}

async fn awake(
    lasting: &mut Lasting,
    life: &Life,
    clock: &Arc<SimClock>,
    dropped: &mut BTreeMap<String, u64>,
) -> Result<(), Violation> {
    let Some(core) = start(lasting, life, clock).await? else {
        return Ok(());
    };
    lasting.world.note("the node is up");
    let quiet = life.lasts.is_zero();
    if quiet {
        drain(lasting, &core, clock).await?;
    } else {
        let visitors = Visitors {
            network: Network {
                server: core.server.clone(),
                clock: clock.clone(),
                chance: lasting.chance.clone(),
                breaks: life.breaks,
            },
            clock,
            chance: lasting.chance.clone(),
            store: &lasting.store,
            life,
            plan: &lasting.plan,
            books: RefCell::new(&mut lasting.books),
            streams: RefCell::new(&mut lasting.streams),
        };
        tokio::select! {
            biased;
            () = visitors.visit() => {}
            () = clock.sleep(life.lasts) => {}
        }
    }
    for status in core.delivery.statuses() {
        if status.damaged_frames > 0 && life.faults.read == 0.0 {
            return violated(format!("{} has damaged frames", status.key));
        }
        dropped.insert(status.key.name.clone(), status.dropped_records);
        let age = status.oldest.map(|oldest| clock.now().since(oldest));
        let limit = Duration::from_secs(60 * 60 * 26);
        if age.is_some_and(|age| age > limit) && life.lasts > limit && life.jumps.is_empty() {
            return violated(format!("{} keeps records for {age:?}", status.key));
        }
    }
    if life.end == End::Closed {
        core.delivery.stop().await;
        let closed = core.engine.log.close().await;
        let closed = closed.map_err(|error| error.to_string());
        let catalog = core.engine.catalog.close().await;
        let catalog = catalog.map_err(|error| error.to_string());
        closed.and(catalog).map_err(Violation)?;
    }
    Ok(())
}

/// Starts a node; `None` when its disk does not let it.
async fn start(
    lasting: &Lasting,
    life: &Life,
    clock: &Arc<SimClock>,
) -> Result<Option<Core>, Violation> {
    let (world, chance) = (&lasting.world, &lasting.chance);
    let threads: Arc<dyn Threads> = Arc::new(Tasks {
        chance: chance.clone(),
        clock: clock.clone(),
        slow: life.slow,
    });
    let disk = Arc::new(SimDisk::of(world));
    let config = EngineConfig {
        segment_bytes: 256 << 10,
        min_free_bytes: 1 << 20,
        catalog_cache_bytes: 1 << 20,
        ..EngineConfig::new(DATA_DIR)
    };
    let parts = EngineParts {
        disk: Disk::over(disk.clone()),
        chance: chance.clone(),
        clock: clock.clone(),
        threads: threads.clone(),
    };
    let engine = match Engine::open_with(config, parts).await {
        Ok((engine, report)) if report.damage.is_empty() => engine,
        Ok((_, report)) => return violated(format!("damage without rot: {report:?}")),
        Err(_) if life.faults != Faults::default() || !world.is_powered() => return Ok(None),
        Err(error) => return violated(format!("the node does not start: {error}")),
    };
    let settings = Settings {
        data_dir: Some(DATA_DIR.into()),
        quotas: Some(QuotaPreset::Unlimited),
        buckets: vec![BucketRule::S3(S3Rule {
            pattern: "store-*".to_owned(),
            endpoint: Some("http://store".to_owned()),
            access_key_id: Some("AKID".to_owned()),
            secret_access_key: Some(Secret::new("secret")),
            ..S3Rule::default()
        })],
        ..Settings::default()
    };
    let broken = |what: String| Violation(format!("the simulation is wrong: {what}"));
    let config = Config::resolve(settings).map_err(|error| broken(error.to_string()))?;
    let root = Path::new(DATA_DIR).join("buckets");
    let buckets = Buckets::new(config.buckets.clone(), root, Outbound::new(clock.clone()));
    let client = SharedClient::of(HttpClient::new(lasting.store.client(clock)));
    let machine = Machine {
        files: disk,
        threads: threads.clone(),
    };
    let buckets = Arc::new(buckets.map_err(broken)?.on(machine, client));
    buckets.sweep();
    let vault = Vault::ephemeral(chance).ok_or_else(|| broken("no vault".to_owned()))?;
    let connector = Connector::new(clock.clone(), None);
    let around = Surroundings {
        buckets,
        vault: Arc::new(vault),
        connector: connector.map_err(|error| broken(error.to_string()))?,
        clock: clock.clone(),
        chance: chance.clone(),
        threads,
    };
    match Core::start(&config, engine, around).await {
        Ok(core) => Ok(Some(core)),
        Err(_) if life.faults != Faults::default() || !world.is_powered() => Ok(None),
        Err(error) => violated(format!("the node does not start: {error}")),
    }
}

/// Waits until all is delivered, and what was deleted is gone.
async fn drain(lasting: &Lasting, core: &Core, clock: &Arc<SimClock>) -> Result<(), Violation> {
    let patience = Duration::from_secs(4 * 60 * 60);
    let began = clock.monotonic();
    loop {
        clock.sleep(Duration::from_secs(20)).await;
        let statuses = core.delivery.statuses();
        let busy = statuses.iter().find(|status| {
            status.backlog_records > 0
                || status.in_flight > 0
                || status.status != hydrant::stream::Status::Active
        });
        let Some(busy) = busy else {
            break;
        };
        if clock.monotonic() - began > patience {
            return violated(format!("a healed node does not come to rest: {busy:?}"));
        }
    }
    // One more look of the supervisor.
    clock.sleep(Duration::from_secs(20)).await;
    let lanes: Vec<_> = core.registry.all().iter().map(|it| it.lane).collect();
    let held = core.engine.log.lanes().await;
    let held = held.map_err(|error| Violation(error.to_string()))?;
    if let Some(orphan) = held.iter().find(|lane| !lanes.contains(lane)) {
        return violated(format!("lane {orphan} of a deleted stream is still there"));
    }
    let kept = core.engine.catalog.list("").await;
    let kept = kept.map_err(|error| Violation(error.to_string()))?;
    for (key, _) in kept {
        let mut parts = key.split('/');
        let of_lane = matches!(
            parts.next(),
            Some("delivery" | "receipt" | "load" | "loading")
        );
        let lane = parts.next().and_then(|lane| lane.parse().ok());
        if of_lane && lane.is_none_or(|lane| !lanes.contains(&lane)) {
            return violated(format!("{key} of a deleted stream is still there"));
        }
    }
    lasting.world.note("at rest");
    Ok(())
}

/// All who come to a node while it lives.
struct Visitors<'a> {
    network: Network,
    clock: &'a Arc<SimClock>,
    chance: Chance,
    store: &'a Store,
    life: &'a Life,
    plan: &'a Plan,
    /// Never borrowed over an await.
    books: RefCell<&'a mut Books>,
    streams: RefCell<&'a mut BTreeMap<String, Known>>,
}

impl Visitors<'_> {
    async fn visit(&self) {
        let producers = (0..self.plan.producers).map(|_| self.produce());
        let producers = futures::future::join_all(producers);
        futures::join!(producers, self.manage(), self.weather(), self.set_clocks());
    }

    /// A moment of this life.
    fn moment(&self, times: u64) -> Duration {
        self.life
            .lasts
            .mul_f64(self.chance.fraction() * 2.0 / (times + 1) as f64)
    }

    async fn weather(&self) {
        for _ in 0..self.life.moods {
            self.clock.sleep(self.moment(self.life.moods)).await;
            let mode = Mode::ALL[pick(&self.chance, Mode::ALL.len() as u64) as usize];
            self.store.set(mode);
        }
    }

    async fn set_clocks(&self) {
        for jump in &self.life.jumps {
            self.clock
                .sleep(self.moment(self.life.jumps.len() as u64))
                .await;
            self.clock.jump(*jump);
        }
    }

    /// Makes the streams there are to be, and then changes, deletes and makes some.
    async fn manage(&self) {
        for number in 0..self.plan.streams {
            self.create(&format!("s{number}")).await;
        }
        for change in 0..self.life.changes {
            self.clock.sleep(self.moment(self.life.changes)).await;
            let names: Vec<String> = self.streams.borrow().keys().cloned().collect();
            let Some(name) = names.get(pick(&self.chance, names.len().max(1) as u64) as usize)
            else {
                continue;
            };
            match pick(&self.chance, 4) {
                0 => self.delete(name).await,
                1 => {
                    self.create(&format!("n{}x{change}", self.chance.next_u64() % 1000))
                        .await
                }
                _ => self.update(name).await,
            }
        }
    }

    async fn create(&self, name: &str) {
        if self.streams.borrow().contains_key(name) {
            return;
        }
        self.streams
            .borrow_mut()
            .insert(name.to_owned(), Known::Perhaps);
        let body = json!({
            "DeliveryStreamName": name,
            "ExtendedS3DestinationConfiguration": self.destination(),
        });
        for _ in 0..5 {
            let heard = self.network.call("CreateDeliveryStream", &body).await;
            self.store_note("create", name, &heard);
            match heard {
                Heard::Answer(200, _) => break,
                Heard::Answer(400, answer) if answer["__type"] == "ResourceInUseException" => break,
                _ => self.clock.sleep(Duration::from_secs(1)).await,
            }
        }
        let mut streams = self.streams.borrow_mut();
        if streams.get(name) == Some(&Known::Perhaps) {
            streams.insert(name.to_owned(), Known::There);
        }
    }

    fn destination(&self) -> Value {
        let bucket = ["store-a", "store-b", "dir-a"][pick(&self.chance, 3) as usize];
        let format = ["UNCOMPRESSED", "GZIP"][pick(&self.chance, 2) as usize];
        let prefix = ["", "a", "a/b/"][pick(&self.chance, 3) as usize];
        json!({
            "RoleARN": "arn:aws:iam::000000000000:role/r",
            "BucketARN": format!("arn:aws:s3:::{bucket}"),
            "Prefix": prefix,
            "CompressionFormat": format,
            "BufferingHints": {
                "SizeInMBs": if self.life.large { 64 } else { 1 },
                "IntervalInSeconds": 60 + pick(&self.chance, 3) * 60,
            },
        })
    }

    async fn update(&self, name: &str) {
        let described = self
            .network
            .call(
                "DescribeDeliveryStream",
                &json!({"DeliveryStreamName": name}),
            )
            .await;
        let Heard::Answer(200, answer) = described else {
            return;
        };
        let version = &answer["DeliveryStreamDescription"]["VersionId"];
        let body = json!({
            "DeliveryStreamName": name,
            "CurrentDeliveryStreamVersionId": version,
            "DestinationId": "destinationId-000000000001",
            "ExtendedS3DestinationUpdate": self.destination(),
        });
        let heard = self.network.call("UpdateDestination", &body).await;
        self.store_note("update", name, &heard);
    }

    async fn delete(&self, name: &str) {
        self.streams
            .borrow_mut()
            .insert(name.to_owned(), Known::Going);
        self.books.borrow_mut().deleted.insert(name.to_owned());
        let body = json!({"DeliveryStreamName": name});
        let heard = self.network.call("DeleteDeliveryStream", &body).await;
        self.store_note("delete", name, &heard);
    }

    async fn produce(&self) {
        // Days pass with fewer puts.
        let unhurried = if self.plan.long { 1800.0 } else { 12.0 };
        loop {
            let pause = Duration::from_secs_f64(self.chance.fraction() * unhurried);
            self.clock.sleep(pause).await;
            let names: Vec<String> = self.streams.borrow().keys().cloned().collect();
            if names.is_empty() {
                continue;
            }
            let name = &names[pick(&self.chance, names.len() as u64) as usize];
            self.put(name).await;
        }
    }

    async fn put(&self, name: &str) {
        let batch = pick(&self.chance, 4) > 0;
        let large = self.life.large && pick(&self.chance, 3) == 0;
        let count = match (batch, large) {
            (true, true) => 1 + pick(&self.chance, 4),
            (true, false) => 1 + pick(&self.chance, 12),
            (false, _) => 1,
        };
        let now = Timestamp(BEGIN.0).max(self.clock.now());
        let numbers: Vec<u64> = (0..count)
            .map(|_| self.books.borrow_mut().write(name, now))
            .collect();
        let record = |number: &u64| json!({"Data": STANDARD.encode(line(*number, large))});
        let (operation, body) = match batch {
            true => {
                let records: Vec<Value> = numbers.iter().map(record).collect();
                (
                    "PutRecordBatch",
                    json!({"DeliveryStreamName": name, "Records": records}),
                )
            }
            false => {
                let record = record(&numbers[0]);
                (
                    "PutRecord",
                    json!({"DeliveryStreamName": name, "Record": record}),
                )
            }
        };
        loop {
            // Should this life end before there is an answer, nobody knows.
            for number in &numbers {
                self.books.borrow_mut().unknown(*number);
            }
            let heard = self.network.call(operation, &body).await;
            self.heard(&numbers, &heard);
            // Some clients try again what may have been taken: those are their own duplicates.
            let again = matches!(heard, Heard::Nothing) && pick(&self.chance, 2) == 0;
            if !again {
                return;
            }
        }
    }

    fn heard(&self, numbers: &[u64], heard: &Heard) {
        let mut books = self.books.borrow_mut();
        let stored = |entry: &Value| match (&entry["RecordId"], &entry["ErrorCode"]) {
            (Value::String(_), _) => Stored::Yes,
            (_, Value::String(code)) if code == "InternalFailure" => Stored::Perhaps,
            _ => Stored::No,
        };
        let answers: Vec<Stored> = match heard {
            Heard::Nothing => return,
            Heard::NotSent => vec![Stored::No; numbers.len()],
            Heard::Answer(200, answer) => match &answer["RequestResponses"] {
                Value::Array(entries) => entries.iter().map(stored).collect(),
                _ => vec![stored(answer)],
            },
            Heard::Answer(500, _) => return,
            Heard::Answer(..) => vec![Stored::No; numbers.len()],
        };
        for (number, stored) in numbers.iter().zip(answers) {
            match stored {
                Stored::Yes => {
                    books.known(*number);
                    books.acknowledged(*number);
                }
                Stored::No => books.known(*number),
                Stored::Perhaps => {}
            }
        }
    }

    fn store_note(&self, what: &str, name: &str, heard: &Heard) {
        self.store.note(&format!("{what} {name}: {heard:?}"));
    }
}

#[derive(Clone, Copy)]
enum Stored {
    Yes,
    No,
    Perhaps,
}
