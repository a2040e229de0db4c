//! A whole node in a world that does its worst: clients, a network that breaks, the node itself on a simulated disk,
//! and a store that fails as real ones do.
//!
//! One seed is one run: a node goes through several *lives*, in which streams are made, changed and deleted, records
//! are put, the store has its moods, the clock is set wrong, and power goes: at any operation of the disk, or when an
//! object has just been stored. Then all heals, one last life delivers what is left, and every object is held
//! against the producers' [`Books`].
//!
//! Each life has a runtime of its own, whose end ends every task of it, as the end of a process would.

mod books;
mod life;
mod machine;
mod plan;
mod store;
mod wire;

use std::{
    collections::BTreeMap,
    io::Read,
    path::{Path, PathBuf},
    time::Duration,
};

use hydrant_engine::{Chance, Timestamp};

use self::{
    books::{Audit, Books},
    life::{Lasting, live},
    plan::{Life, Plan},
    store::{Mode, Store},
};
use crate::{
    disk::World,
    engine::End,
    outcome::{Outcome, Violation, violated},
};

/// Where the node's data lie.
const DATA_DIR: &str = "/data";
/// 2015-10-07T13:05:42.000Z
const BEGIN: Timestamp = Timestamp(1_444_223_142_000);
/// Room for log, catalog and buckets.
const CAPACITY: u64 = 1 << 30;

/// Runs one seed.
pub fn run(seed: u64, keep_history: bool) -> Outcome {
    let chance = Chance::seeded(seed);
    let plan = Plan::draw(&chance);
    let world = World::new(chance.clone(), CAPACITY);
    if keep_history {
        world.keep_history();
    }
    world.note(&format!("{plan:?}"));
    let mut lasting = Lasting {
        store: Store::new(&world, &chance),
        world,
        chance,
        plan,
        books: Books::default(),
        streams: BTreeMap::new(),
        now: BEGIN,
    };
    let ran = lives(&mut lasting);
    let (violation, excused) = match ran {
        Ok(excused) => (None, excused),
        Err(violation) => (Some(violation), 0),
    };
    Outcome {
        seed,
        violation,
        digest: lasting.world.digest(),
        history: lasting.world.history(),
        counts: vec![
            ("operations of the disk", lasting.world.ops()),
            ("faults of the disk", lasting.world.struck()),
            ("records acknowledged", lasting.books.count()),
            ("requests to the store", lasting.store.requests()),
            ("objects", lasting.store.objects().len() as u64),
            ("records twice for an excused reason", excused),
        ],
    }
}

fn lives(lasting: &mut Lasting) -> Result<u64, Violation> {
    let mut dropped = BTreeMap::new();
    for life in lasting.plan.lives.clone() {
        one(lasting, &life, &mut dropped)?;
    }
    lasting.store.set(Mode::Healthy);
    lasting.store.cut_after(None);
    one(lasting, &Life::quiet(), &mut dropped)?;
    audit(lasting, &dropped)
}

/// One life, and what becomes of the disk after it.
fn one(
    lasting: &mut Lasting,
    life: &Life,
    dropped: &mut BTreeMap<String, u64>,
) -> Result<(), Violation> {
    let pause = u64::try_from(life.down_before.as_millis()).unwrap_or(0);
    lasting.now = Timestamp(lasting.now.0 + pause);
    let built = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    let runtime = built.map_err(|error| Violation(error.to_string()))?;
    let lived = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        runtime.block_on(live(lasting, life, dropped))
    }));
    // The process is gone before its tasks can do anything more.
    lasting.world.cut_now();
    drop(runtime);
    match lived {
        Ok(lived) => lived?,
        Err(panic) => return violated(crate::baton::words(&*panic)),
    }
    match life.end {
        End::Closed | End::Killed => lasting.world.revive(),
        End::PowerCut { likely } => lasting.world.restore(likely),
    }
    Ok(())
}

/// What arrived, against what was sent.
fn audit(lasting: &Lasting, dropped: &BTreeMap<String, u64>) -> Result<u64, Violation> {
    if let Some(complaint) = lasting.store.complaints().first() {
        return violated(complaint.clone());
    }
    let mut objects = BTreeMap::new();
    for (name, body) in lasting.store.objects() {
        objects.insert(name.clone(), decode(&name, body.to_vec())?);
    }
    let buckets = Path::new(DATA_DIR).join("buckets");
    for path in lasting.world.files() {
        if path.starts_with(&buckets) && !is_part(&path) {
            let name = path.display().to_string();
            let body = lasting.world.bytes(&path).unwrap_or_default();
            objects.insert(name.clone(), decode(&name, body)?);
        }
    }
    let Audit { missing, excused } = lasting.books.audit(&objects, &lasting.store.unanswered())?;
    for (stream, (count, latest)) in missing {
        let given_up = dropped.get(&stream).copied().unwrap_or(0);
        let age = lasting.now.since(latest);
        if count > given_up {
            return violated(format!(
                "{count} acknowledged records of {stream} are lost, {given_up} were given up"
            ));
        }
        if age + lasting.plan.clock_error() < Duration::from_secs(24 * 60 * 60) {
            return violated(format!("a record of {stream} was given up after {age:?}"));
        }
    }
    Ok(excused)
}

fn is_part(path: &Path) -> bool {
    path.components().any(|it| it.as_os_str() == ".hydrant")
}

fn decode(name: &str, body: Vec<u8>) -> Result<Vec<u8>, Violation> {
    if PathBuf::from(name).extension().is_none_or(|it| it != "gz") {
        return Ok(body);
    }
    let mut decoded = Vec::new();
    match flate2::read::MultiGzDecoder::new(&body[..]).read_to_end(&mut decoded) {
        Ok(_) => Ok(decoded),
        Err(error) => violated(format!("{name} is no gzip: {error}")),
    }
}
