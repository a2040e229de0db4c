//! What an engine owes: the model that every life is held against.

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt;
use hydrant_engine::{
    CatalogError, Engine, Frame, LaneId, LogError, Position, RecoveryReport, Timestamp, Version,
};

use super::report_is_honest;
use crate::{
    disk::World,
    outcome::{Violation, violated},
};

/// All that was promised so far.
#[derive(Debug, Default)]
pub(super) struct Owed {
    /// Acknowledged, or shown to a reader: the number of the frame at each place.
    pub(super) frames: BTreeMap<(LaneId, Position), u64>,
    /// Every frame that was ever appended, and where.
    sent: BTreeMap<u64, LaneId>,
    /// Refused with the word that nothing was stored.
    refused: BTreeSet<u64>,
    /// Below this, frames may be gone.
    trimmed: BTreeMap<LaneId, Position>,
    /// Gone for good.
    pub(super) removed: BTreeSet<LaneId>,
    /// Perhaps gone.
    pub(super) removing: BTreeSet<LaneId>,
    /// What a key may hold now. More than one where a write's end is not known.
    values: BTreeMap<String, Vec<Option<Vec<u8>>>>,
    /// Every version that was given or seen.
    versions: BTreeSet<Version>,
    /// The highest that was known when this life began.
    version_floor: Option<Version>,
    /// Places that were said to be damaged.
    damaged: Vec<(Option<LaneId>, Position, Position)>,
    /// Something rotted.
    pub(super) rotten: bool,
    /// Reads failed, perhaps as often as it takes to be taken for damage, which is told.
    pub(super) misread: bool,
    acknowledged: u64,
    next: u64,
}

/// The frame of this number.
pub(super) fn frame(number: u64, bytes: u64) -> Frame {
    let size = usize::try_from(bytes).unwrap_or(0);
    let mut text = format!("{number} ").into_bytes();
    text.resize(size.max(text.len()), number as u8);
    let cut = 1 + text.len() / (1 + number as usize % 4);
    Frame::new(Timestamp(number), text.chunks(cut))
}

impl Owed {
    pub(super) fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// A new frame for a lane.
    pub(super) fn send(&mut self, lane: LaneId, bytes: u64) -> (u64, Frame) {
        self.next += 1;
        self.sent.insert(self.next, lane);
        (self.next, frame(self.next, bytes))
    }

    /// What became of an append.
    pub(super) fn answered(
        &mut self,
        lane: LaneId,
        number: u64,
        answer: &Result<Position, LogError>,
    ) -> Result<(), Violation> {
        match answer {
            Ok(position) => {
                self.acknowledged += 1;
                self.shown(lane, *position, number)?;
            }
            Err(LogError::Full(_) | LogError::TooLarge { .. } | LogError::LaneRemoved(_)) => {
                self.refused.insert(number);
            }
            Err(_) => {}
        }
        Ok(())
    }

    /// A frame was acknowledged or shown at a place: it must stay there.
    pub(super) fn shown(
        &mut self,
        lane: LaneId,
        position: Position,
        number: u64,
    ) -> Result<(), Violation> {
        if self.sent.get(&number) != Some(&lane) || self.refused.contains(&number) {
            return violated(format!(
                "lane {lane} has made up frame {number} at {position}"
            ));
        }
        let before = self.frames.insert((lane, position), number);
        if before.is_some_and(|before| before != number) {
            return violated(format!("lane {lane}: two frames at {position}"));
        }
        Ok(())
    }

    pub(super) fn trims(&mut self, lane: LaneId, keep_from: Position) {
        let trimmed = self.trimmed.entry(lane).or_default();
        *trimmed = keep_from.max(*trimmed);
    }

    /// A write of a key begins: until its end is known, either value may be there.
    pub(super) fn writes(&mut self, key: &str, value: Option<Vec<u8>>) {
        let values = self
            .values
            .entry(key.to_owned())
            .or_insert_with(|| vec![None]);
        values.push(value);
    }

    /// What became of it.
    pub(super) fn wrote(
        &mut self,
        key: &str,
        value: Option<Vec<u8>>,
        done: &Result<Option<Version>, CatalogError>,
    ) -> Result<(), Violation> {
        let values = self.values.entry(key.to_owned()).or_default();
        match done {
            Ok(version) => {
                *values = vec![value];
                // Those of one life may be heard of in any order.
                if let Some(version) = *version
                    && (!self.versions.insert(version) || Some(version) <= self.version_floor)
                {
                    return violated(format!("version {} is given twice", version.0));
                }
            }
            Err(CatalogError::Conflict { .. } | CatalogError::Full(_) | CatalogError::Closed) => {
                values.pop();
            }
            Err(CatalogError::Failed(_)) => {}
        }
        Ok(())
    }

    /// What a key may be found to hold.
    pub(super) fn found(&mut self, key: &str, value: Option<&[u8]>) -> Result<(), Violation> {
        let values = self
            .values
            .entry(key.to_owned())
            .or_insert_with(|| vec![None]);
        if !values.iter().any(|it| it.as_deref() == value) {
            return violated(format!(
                "{key} holds {value:?}, which was not put there last"
            ));
        }
        *values = vec![value.map(<[u8]>::to_vec)];
        Ok(())
    }

    /// An engine that was just opened.
    pub(super) async fn check(
        &mut self,
        engine: &Engine,
        report: &RecoveryReport,
        world: &World,
    ) -> Result<(), Violation> {
        report_is_honest(report, self.rotten || self.misread)?;
        for damage in &report.damage {
            let (first, last) = damage
                .positions
                .unwrap_or((Position(0), Position(u64::MAX)));
            self.damaged.push((damage.lane, first, last));
        }
        self.check_running(engine, world).await?;
        self.version_floor = self.versions.last().copied();
        Ok(())
    }

    /// An engine at rest.
    pub(super) async fn check_running(
        &mut self,
        engine: &Engine,
        world: &World,
    ) -> Result<(), Violation> {
        self.check_catalog(engine).await?;
        let lanes: BTreeSet<_> = self.sent.values().copied().collect();
        let mut seen = BTreeSet::new();
        for &lane in &lanes {
            self.check_lane(engine, lane, &mut seen).await?;
        }
        let held = engine.log.lanes().await;
        let held = held.map_err(|error| Violation(error.to_string()))?;
        if let Some(strange) = held.iter().find(|lane| !lanes.contains(lane)) {
            return violated(format!("nobody knows lane {strange}"));
        }
        let damaged = engine.log.usage().damaged_frames;
        if damaged > 0 && !self.rotten && !self.misread {
            return violated(format!("{damaged} frames are damaged without rot"));
        }
        world.note(&format!("checked: {} frames", seen.len()));
        Ok(())
    }

    async fn check_catalog(&mut self, engine: &Engine) -> Result<(), Violation> {
        let failed = |error: CatalogError| Violation(format!("the catalog: {error}"));
        let listed = engine.catalog.list("").await.map_err(failed)?;
        let present: BTreeMap<_, _> = listed.iter().map(|(key, found)| (key, found)).collect();
        for key in self.values.keys().cloned().collect::<Vec<_>>() {
            let found = present.get(&key).map(|found| &found.value[..]);
            self.found(&key, found)?;
        }
        for (key, found) in &listed {
            if !self.values.contains_key(key) {
                return violated(format!("nobody put {key}"));
            }
            self.versions.insert(found.version);
        }
        Ok(())
    }

    /// Where the catalog says that a lane's worker stands: all from there on must be in the log.
    pub(super) fn cursor(&self, lane: LaneId) -> Position {
        let values = self.values.get(&cursor_key(lane));
        let value = values.and_then(|values| values.last()?.as_deref());
        let text = value.and_then(|value| std::str::from_utf8(value).ok());
        Position(text.and_then(|text| text.parse().ok()).unwrap_or(0))
    }

    async fn check_lane(
        &mut self,
        engine: &Engine,
        lane: LaneId,
        seen: &mut BTreeSet<u64>,
    ) -> Result<(), Violation> {
        let found: Vec<_> = engine
            .log
            .read(lane, Position::START..Position(u64::MAX))
            .collect()
            .await;
        let mut there = BTreeMap::new();
        let (mut last, mut lost_from) = (None, None);
        for frame in found {
            let position = match &frame {
                Ok((position, _)) => *position,
                Err(LogError::Damaged { position, .. }) => {
                    lost_from.get_or_insert(*position);
                    *position
                }
                Err(error) => return violated(format!("reading lane {lane}: {error}")),
            };
            if last.is_some_and(|last| last >= position) {
                return violated(format!("lane {lane}: {position} comes after {last:?}"));
            }
            last = Some(position);
            let Ok((_, found)) = frame else {
                continue;
            };
            // What is lost may be all up to the next one that is there.
            if let Some(first) = lost_from.take() {
                self.damaged.push((Some(lane), first, position));
            }
            let number = found.arrival().0;
            if found != frame_of(&found) {
                return violated(format!("lane {lane}: frame {number} is not what was sent"));
            }
            if !seen.insert(number) {
                return violated(format!("frame {number} is there twice"));
            }
            self.shown(lane, position, number)?;
            there.insert(position, number);
        }
        if let Some(first) = lost_from {
            self.damaged.push((Some(lane), first, Position(u64::MAX)));
        }
        if self.removed.contains(&lane) && !there.is_empty() {
            return violated(format!("lane {lane} was removed and holds {}", there.len()));
        }
        if self.removed.contains(&lane) || (self.removing.contains(&lane) && there.is_empty()) {
            return Ok(());
        }
        let keep_from = self.trimmed.get(&lane).copied().unwrap_or_default();
        if keep_from > self.cursor(lane) {
            return violated(format!(
                "lane {lane} was trimmed to {keep_from}, and its cursor is {}",
                self.cursor(lane)
            ));
        }
        for (&(_, position), number) in self
            .frames
            .range((lane, keep_from)..=(lane, Position(u64::MAX)))
        {
            if there.get(&position) != Some(number) && !self.is_damaged(lane, position) {
                return violated(format!("lane {lane} lost frame {number} at {position}"));
            }
        }
        let usage = engine.log.lane_usage(lane);
        if !self.rotten && usage.frames != there.len() as u64 {
            return violated(format!(
                "lane {lane} counts {}, not {}",
                usage.frames,
                there.len()
            ));
        }
        let end = there.last_key_value().map(|(last, _)| last.next());
        if !self.rotten && usage.end < end.unwrap_or_default() {
            return violated(format!("lane {lane} ends at {}, not {end:?}", usage.end));
        }
        Ok(())
    }

    /// A recovery died before it gave its report. What it found of rot it told its log of events alone, so any frame of
    /// before may be damaged; those that come later may not.
    pub(super) fn died_opening(&mut self) {
        if self.rotten {
            // The last of each lane stands.
            let ends: BTreeMap<_, _> = self.frames.keys().copied().collect();
            let damaged = ends
                .into_iter()
                .map(|(lane, last)| (Some(lane), Position(0), last));
            self.damaged.extend(damaged);
        }
    }

    fn is_damaged(&self, lane: LaneId, position: Position) -> bool {
        let damaged = &mut self.damaged.iter();
        damaged.any(|(whose, first, last)| {
            whose.is_none_or(|whose| whose == lane) && (*first..=*last).contains(&position)
        })
    }

    /// Above every position that was ever given.
    pub(super) fn highest(&self) -> Option<Position> {
        self.frames.keys().map(|(_, position)| *position).max()
    }
}

/// What the frame of this number and size must be.
fn frame_of(found: &Frame) -> Frame {
    frame(found.arrival().0, found.bytes() as u64)
}

pub(super) fn cursor_key(lane: LaneId) -> String {
    format!("cursor/{lane}")
}
