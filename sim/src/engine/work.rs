//! Those who use an engine: producers, a worker for each lane, and others who come and go.

use std::cell::RefCell;

use bytes::Bytes;
use futures::{StreamExt, future::join_all};
use hydrant_engine::{Chance, Engine, Expect, LaneId, LogError, Position};
use tokio::sync::watch;

use super::{
    owed::{Owed, cursor_key},
    plan::{Life, Plan, pick},
};
use crate::{
    disk::World,
    outcome::{Violation, violated},
};

/// Lets everybody work until the producers are done, or nothing works any more.
pub(super) async fn work(
    engine: &Engine,
    world: &World,
    chance: &Chance,
    plan: &Plan,
    life: &Life,
    owed: &mut Owed,
) -> Result<(), Violation> {
    let (done, finished) = watch::channel(false);
    let shop = Shop {
        engine,
        world,
        chance,
        plan,
        life,
        owed: RefCell::new(owed),
        finished,
    };
    let producers = async {
        let all = join_all((0..plan.producers).map(|_| shop.produce())).await;
        done.send_replace(true);
        all.into_iter().collect::<Result<(), Violation>>()
    };
    let workers = async {
        let all = join_all((1..=plan.lanes).map(|lane| shop.follow(LaneId(lane)))).await;
        all.into_iter().collect::<Result<(), Violation>>()
    };
    let (produced, worked, filed, removed) =
        futures::join!(producers, workers, shop.file(), shop.remove());
    produced.and(worked).and(filed).and(removed)
}

struct Shop<'a> {
    engine: &'a Engine,
    world: &'a World,
    chance: &'a Chance,
    plan: &'a Plan,
    life: &'a Life,
    /// Never borrowed over an await.
    owed: RefCell<&'a mut Owed>,
    finished: watch::Receiver<bool>,
}

impl Shop<'_> {
    async fn produce(&self) -> Result<(), Violation> {
        let highest = self.owed.borrow().highest();
        for round in 0..self.plan.appends {
            let lane = LaneId(1 + pick(self.chance, self.plan.lanes));
            let bytes = pick(self.chance, self.plan.largest);
            let (number, frame) = self.owed.borrow_mut().send(lane, bytes);
            let answer = self.engine.log.append(lane, frame).await;
            self.world
                .note(&format!("append {number} to {lane}: {answer:?}"));
            self.owed.borrow_mut().answered(lane, number, &answer)?;
            match answer {
                Ok(position) if Some(position) <= highest => {
                    return violated(format!("position {position} is given twice"));
                }
                Ok(_) | Err(LogError::LaneRemoved(_)) => {}
                Err(LogError::Full(_)) => {}
                Err(_) => return Ok(()),
            }
            if self.life.fills_up {
                // The disk fills up a third of the way, and has room again after two thirds.
                let third = round * 3 / self.plan.appends;
                let foreign = if third == 1 { 1 << 40 } else { 0 };
                self.world.set_foreign(foreign);
            }
        }
        Ok(())
    }

    /// Follows a lane, reads what it shows, saves its cursor and trims to it.
    async fn follow(&self, lane: LaneId) -> Result<(), Violation> {
        let mut finished = self.finished.clone();
        let key = cursor_key(lane);
        let Ok(found) = self.engine.catalog.get(&key).await else {
            return Ok(());
        };
        let value = found.as_ref().map(|found| &found.value[..]);
        self.owed.borrow_mut().found(&key, value)?;
        let mut cursor = self.owed.borrow().cursor(lane);
        let mut expect = found.map_or(Expect::Absent, |found| Expect::Exactly(found.version));
        let mut following = self.engine.log.follow(lane, cursor);
        let mut last = None;
        loop {
            let wanted = 1 + pick(self.chance, 12);
            let mut end = cursor;
            for _ in 0..wanted {
                let shown = tokio::select! {
                    biased;
                    shown = following.next() => shown,
                    _ = finished.wait_for(|done| *done) => None,
                };
                match shown {
                    Some(Ok(meta)) => {
                        if last.is_some_and(|last| last >= meta.position) {
                            return violated(format!("lane {lane} follows backwards"));
                        }
                        last = Some(meta.position);
                        self.owed
                            .borrow_mut()
                            .shown(lane, meta.position, meta.arrival.0)?;
                        end = meta.position.next();
                    }
                    Some(Err(LogError::Damaged { position, .. })) => end = position.next(),
                    Some(Err(_)) | None => break,
                }
            }
            if end == cursor {
                return Ok(());
            }
            if !self.is_whole(lane, cursor..end).await? {
                return Ok(());
            }
            if self.chance.fraction() < self.life.lazy {
                // It goes on without having saved anything.
                continue;
            }
            let value = end.0.to_string().into_bytes();
            self.owed.borrow_mut().writes(&key, Some(value.clone()));
            let put = self
                .engine
                .catalog
                .put(&key, Bytes::from(value.clone()), expect)
                .await;
            self.world.note(&format!("cursor {lane} {end}: {put:?}"));
            let done = put.clone().map(Some);
            self.owed.borrow_mut().wrote(&key, Some(value), &done)?;
            match put {
                Ok(version) => expect = Expect::Exactly(version),
                Err(hydrant_engine::CatalogError::Full(_)) => continue,
                Err(hydrant_engine::CatalogError::Conflict { .. }) => {
                    return violated(format!("somebody else moved the cursor of lane {lane}"));
                }
                Err(_) => return Ok(()),
            }
            cursor = end;
            self.owed.borrow_mut().trims(lane, cursor);
            let _ = self.engine.log.trim(lane, cursor).await;
        }
    }

    /// Whether a lane's frames can be read, all that are owed among them.
    async fn is_whole(
        &self,
        lane: LaneId,
        span: std::ops::Range<Position>,
    ) -> Result<bool, Violation> {
        let mut frames = self.engine.log.read(lane, span.clone());
        let mut next = span.start;
        while let Some(frame) = frames.next().await {
            match frame {
                Ok((position, frame)) => {
                    let mut owed = self.owed.borrow_mut();
                    owed.shown(lane, position, frame.arrival().0)?;
                    next = position.next();
                }
                Err(LogError::Damaged { position, .. }) => next = position.next(),
                Err(_) => return Ok(false),
            }
        }
        let owed = self.owed.borrow();
        let removed = owed.removed.contains(&lane) || owed.removing.contains(&lane);
        let mut missing = owed.frames.range((lane, next)..(lane, span.end));
        match missing.next() {
            Some(((_, position), _)) if !removed && !owed.rotten => violated(format!(
                "lane {lane}: {position} was shown and cannot be read"
            )),
            _ => Ok(true),
        }
    }

    /// Puts and deletes values.
    async fn file(&self) -> Result<(), Violation> {
        for round in 0..self.plan.appends / 2 {
            let key = format!("key/{}", pick(self.chance, 6));
            let Ok(found) = self.engine.catalog.get(&key).await else {
                return Ok(());
            };
            let value = found.as_ref().map(|found| &found.value[..]);
            self.owed.borrow_mut().found(&key, value)?;
            let done = match found {
                Some(found) if pick(self.chance, 3) == 0 => {
                    self.owed.borrow_mut().writes(&key, None);
                    let deleted = self.engine.catalog.delete(&key, found.version).await;
                    let deleted = deleted.map(|()| None);
                    self.owed.borrow_mut().wrote(&key, None, &deleted)?;
                    deleted
                }
                found => {
                    let expect = found.map_or(Expect::Absent, |it| Expect::Exactly(it.version));
                    let size = pick(self.chance, 2000) as usize;
                    let value = vec![round as u8; size];
                    self.owed.borrow_mut().writes(&key, Some(value.clone()));
                    let put = Bytes::from(value.clone());
                    let put = self.engine.catalog.put(&key, put, expect).await.map(Some);
                    self.owed.borrow_mut().wrote(&key, Some(value), &put)?;
                    put
                }
            };
            self.world.note(&format!("{key}: {done:?}"));
        }
        Ok(())
    }

    /// Removes a lane, now and then.
    async fn remove(&self) -> Result<(), Violation> {
        if pick(self.chance, 3) > 0 {
            return Ok(());
        }
        let lane = LaneId(1 + pick(self.chance, self.plan.lanes));
        for _ in 0..pick(self.chance, 30) {
            let _ = self.engine.catalog.get("key/0").await;
        }
        self.owed.borrow_mut().removing.insert(lane);
        let removed = self.engine.log.remove(lane).await;
        self.world.note(&format!("remove {lane}: {removed:?}"));
        if removed.is_ok() {
            self.owed.borrow_mut().removed.insert(lane);
        }
        Ok(())
    }
}
