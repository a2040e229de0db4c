//! A log that has lost frames: what is readable is delivered, the rest is told.

use std::{
    collections::BTreeSet,
    ops::Range,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use futures::{StreamExt, stream::BoxStream};
use hydrant_engine::{Engine, Frame, FrameMeta, LaneId, LaneUsage, Log, LogError, Position, Usage};

use super::rig::{Rig, until};
use crate::delivery::Settings;

/// The reference log, of which frames can be damaged.
#[derive(Debug)]
struct Damaging {
    inner: Arc<dyn Log>,
    damaged: Arc<Mutex<BTreeSet<Position>>>,
}

fn damage(lane: LaneId, position: Position) -> LogError {
    LogError::Damaged {
        lane,
        position,
        detail: "by a test".to_owned(),
    }
}

#[async_trait]
impl Log for Damaging {
    async fn append(&self, lane: LaneId, frame: Frame) -> Result<Position, LogError> {
        self.inner.append(lane, frame).await
    }

    fn follow(
        &self,
        lane: LaneId,
        from: Position,
    ) -> BoxStream<'static, Result<FrameMeta, LogError>> {
        let damaged = self.damaged.clone();
        let metas = self.inner.follow(lane, from);
        metas
            .map(move |meta| match meta {
                Ok(meta) if damaged.lock().unwrap().contains(&meta.position) => {
                    Err(damage(lane, meta.position))
                }
                meta => meta,
            })
            .boxed()
    }

    fn read(
        &self,
        lane: LaneId,
        range: Range<Position>,
    ) -> BoxStream<'static, Result<(Position, Frame), LogError>> {
        let damaged = self.damaged.clone();
        let frames = self.inner.read(lane, range);
        frames
            .map(move |frame| match frame {
                Ok((position, _)) if damaged.lock().unwrap().contains(&position) => {
                    Err(damage(lane, position))
                }
                frame => frame,
            })
            .boxed()
    }

    async fn trim(&self, lane: LaneId, keep_from: Position) -> Result<(), LogError> {
        self.inner.trim(lane, keep_from).await
    }

    async fn remove(&self, lane: LaneId) -> Result<(), LogError> {
        self.inner.remove(lane).await
    }

    async fn lanes(&self) -> Result<Vec<LaneId>, LogError> {
        self.inner.lanes().await
    }

    fn lane_usage(&self, lane: LaneId) -> LaneUsage {
        self.inner.lane_usage(lane)
    }

    fn usage(&self) -> Usage {
        self.inner.usage()
    }

    fn frame_limit(&self) -> usize {
        self.inner.frame_limit()
    }

    async fn close(&self) -> Result<(), LogError> {
        self.inner.close().await
    }
}

async fn rig() -> (Rig, Arc<Mutex<BTreeSet<Position>>>) {
    let mem = Engine::mem();
    let damaged = Arc::<Mutex<BTreeSet<Position>>>::default();
    let engine = Engine {
        log: Arc::new(Damaging {
            inner: mem.log,
            damaged: damaged.clone(),
        }),
        catalog: mem.catalog,
    };
    (Rig::over(engine, Settings::default()).await, damaged)
}

#[tokio::test]
async fn a_frame_that_is_damaged_on_disk_is_left_out_and_counted() {
    let (rig, damaged) = rig().await;
    let stream = rig.stream("s", (5, 60)).await;
    rig.put(stream.lane, &["a"]).await;
    let lost = rig.put(stream.lane, &["b"]).await;
    rig.put(stream.lane, &["c"]).await;
    super::rig::calm().await;
    // After it was followed, before it is read.
    damaged.lock().unwrap().insert(lost);
    rig.pass(60).await;
    rig.drained(&stream.key).await;
    assert_eq!(rig.store.contents(), ["ac"]);
    assert_eq!(rig.status(&stream.key).unwrap().damaged_frames, 1);
    let text = rig.metrics.encode();
    let line = text
        .lines()
        .find(|line| line.starts_with("DamagedFrames_total{"));
    assert!(line.unwrap().ends_with(" 1"), "{text}");
}

#[tokio::test]
async fn damage_that_is_seen_while_following_is_passed_over_wherever_it_lies() {
    let (rig, damaged) = rig().await;
    let stream = rig.stream("s", (5, 60)).await;
    // Positions of the reference engine count up from 1: the first, one in between and the last.
    damaged.lock().unwrap().extend([1, 3, 5].map(Position));
    for record in ["a", "b", "c", "d", "e"] {
        rig.put(stream.lane, &[record]).await;
    }
    rig.pass(60).await;
    rig.drained(&stream.key).await;
    assert_eq!(rig.store.contents(), ["bd"]);
    assert_eq!(rig.status(&stream.key).unwrap().damaged_frames, 3);
}

#[tokio::test]
async fn a_span_of_which_nothing_is_left_makes_no_object_and_holds_nothing_back() {
    let (rig, damaged) = rig().await;
    let stream = rig.stream("s", (5, 60)).await;
    let lost = rig.put(stream.lane, &["a"]).await;
    super::rig::calm().await;
    damaged.lock().unwrap().insert(lost);
    rig.pass(60).await;
    until("it is passed over", || {
        rig.status(&stream.key).unwrap().damaged_frames == 1
    })
    .await;
    rig.drained(&stream.key).await;
    assert_eq!(rig.store.keys(), [""; 0]);
}

#[tokio::test]
async fn records_that_are_gone_without_a_trace_are_counted_too() {
    let rig = Rig::new().await;
    let stream = rig.stream("s", (5, 60)).await;
    rig.put(stream.lane, &["a"]).await;
    let kept = rig.put(stream.lane, &["b"]).await;
    super::rig::calm().await;
    // As when the file that held the first is gone.
    rig.engine.log.trim(stream.lane, kept).await.unwrap();
    rig.pass(60).await;
    rig.drained(&stream.key).await;
    assert_eq!(rig.store.contents(), ["b"]);
    assert_eq!(rig.status(&stream.key).unwrap().damaged_frames, 1);
}
