//! The local engine on a disk that does its worst, held against what it owes.
//!
//! One seed is one run: a disk goes through several *lives* of an engine. In each, producers append, workers follow,
//! save their cursor in the catalog and trim to it, lanes are removed, and trouble strikes as the [`Plan`] has it; then
//! power goes, or the process is killed, or the log is closed. After each, all that is [`Owed`] must be there.

mod owed;
mod plan;
mod work;

use std::{path::Path, sync::Arc};

use hydrant_engine::{
    Chance, Engine, EngineConfig, EngineParts, ManualClock, OpenError, RecoveryReport, Threads,
    Timestamp, local::disk::Disk,
};
use tokio::sync::Notify;

pub(crate) use self::plan::{End, pick};
use self::{
    owed::Owed,
    plan::{Life, Plan},
};
use crate::{
    baton,
    disk::{Faults, SimDisk, World},
    outcome::{Outcome, Violation},
};

/// Where the engine lies on its disk.
const DIR: &str = "/data";

/// Runs one seed.
pub fn run(seed: u64, keep_history: bool) -> Outcome {
    let chance = Chance::seeded(seed);
    let plan = Plan::draw(&chance);
    let world = World::new(chance.clone(), plan.capacity);
    if keep_history {
        world.keep_history();
    }
    world.note(&format!("{plan:?}"));
    let mut owed = Owed::default();
    let mut switches = 0;
    let mut violation = None;
    let last = Life::quiet();
    for life in plan.lives.iter().chain([&last, &last]) {
        let ran = baton::run(chance.clone(), |threads| {
            live(&world, threads, &chance, &plan, life, &mut owed)
        });
        switches += ran.switches;
        violation = match ran.made {
            Some(Err(violation)) => Some(violation),
            _ if !ran.faults.is_empty() => Some(Violation(ran.faults.join("; "))),
            _ => None,
        };
        if violation.is_some() {
            break;
        }
        end(&world, &chance, life, &mut owed);
    }
    Outcome {
        seed,
        violation,
        digest: world.digest(),
        history: world.history(),
        counts: vec![
            ("operations of the disk", world.ops()),
            ("faults", world.struck()),
            ("frames acknowledged", owed.acknowledged()),
            ("switches between threads", switches),
        ],
    }
}

/// One life of an engine, until its end, which its plan has, or until there is no power.
async fn live(
    world: &World,
    threads: Arc<dyn Threads>,
    chance: &Chance,
    plan: &Plan,
    life: &Life,
    owed: &mut Owed,
) -> Result<(), Violation> {
    let gone = Arc::new(Notify::new());
    if let Some(after) = life.cut_after {
        world.cut_at(world.ops() + after, gone.clone());
    }
    world.set_foreign(life.foreign_at_start);
    world.set_faults(if life.faults_while_opening {
        life.faults
    } else {
        Faults::default()
    });
    owed.misread |= life.faults_while_opening && life.faults.read > 0.0;
    let opened = Engine::open_with(config(plan), parts(world, &threads, chance)).await;
    let (engine, report) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            owed.died_opening();
            return may_refuse(world, life, &error);
        }
    };
    world.note(&format!("opened, {} frames", report.frames));
    world.set_faults(Faults::default());
    let checked = owed.check(&engine, &report, world).await;
    if !world.is_powered() {
        return Ok(());
    }
    checked?;
    owed.rotten |= life.faults.dead_sector > 0.0;
    owed.misread |= life.faults.read > 0.0;
    world.set_faults(life.faults);
    let worked = work::work(&engine, world, chance, plan, life, owed).await;
    world.set_faults(Faults::default());
    if !world.is_powered() {
        return Ok(());
    }
    worked?;
    // Between two lives nothing is hidden: what is owed is there now, too.
    let checked = owed.check_running(&engine, world).await;
    if !world.is_powered() {
        return Ok(());
    }
    checked?;
    if life.end == End::Closed {
        let closed = close(&engine).await;
        if world.is_powered() {
            closed?;
        }
    }
    Ok(())
}

async fn close(engine: &Engine) -> Result<(), Violation> {
    let failed = |error: &dyn std::fmt::Display| Violation(format!("closing: {error}"));
    engine.log.close().await.map_err(|error| failed(&error))?;
    engine.catalog.close().await.map_err(|error| failed(&error))
}

/// What becomes of the disk after a life.
fn end(world: &World, chance: &Chance, life: &Life, owed: &mut Owed) {
    world.cut_now();
    match life.end {
        // A closed engine owes the same as one that was killed.
        End::Closed | End::Killed => world.revive(),
        End::PowerCut { likely } => world.restore(likely),
    }
    if life.rot > 0 {
        for _ in 0..life.rot {
            owed.rotten |= rot(world, chance);
        }
    }
}

/// A sector of a segment rots, where it is known to have been durable before the last batch.
fn rot(world: &World, chance: &Chance) -> bool {
    let segments: Vec<_> = world
        .files()
        .into_iter()
        .filter(|path| path.extension().is_some_and(|it| it == "seg"))
        .collect();
    if segments.is_empty() {
        return false;
    }
    let path = &segments[chance.next_u64() as usize % segments.len()];
    let below = world.last_batch(path);
    if below == 0 {
        return false;
    }
    let at = chance.next_u64() as usize % below;
    let len = [1, 1, 8, 64][chance.next_u64() as usize % 4];
    world.rot(path, at, len.min(below - at));
    true
}

/// An engine may refuse to open while the disk fails, and else not.
fn may_refuse(world: &World, life: &Life, error: &OpenError) -> Result<(), Violation> {
    world.note(&format!("not opened: {error}"));
    let excused = !world.is_powered() || life.faults_while_opening || life.foreign_at_start > 0;
    match excused {
        true => Ok(()),
        false => Err(Violation(format!("it does not open: {error}"))),
    }
}

fn config(plan: &Plan) -> EngineConfig {
    EngineConfig {
        segment_bytes: plan.segment_bytes,
        min_free_bytes: 64 << 10,
        catalog_cache_bytes: 1 << 20,
        ..EngineConfig::new(Path::new(DIR))
    }
}

fn parts(world: &World, threads: &Arc<dyn Threads>, chance: &Chance) -> EngineParts {
    EngineParts {
        disk: Disk::over(Arc::new(SimDisk::of(world))),
        chance: chance.clone(),
        clock: Arc::new(ManualClock::new(Timestamp(0))),
        threads: threads.clone(),
    }
}

/// Whether what opening found can be: damage comes of rot, or of reads that failed.
fn report_is_honest(report: &RecoveryReport, excused: bool) -> Result<(), Violation> {
    if !excused && (!report.damage.is_empty() || report.damaged_lane_records > 0) {
        return Err(Violation(format!("damage without rot: {report:?}")));
    }
    Ok(())
}
