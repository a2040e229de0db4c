//! The local engine over its directory: reopening, damage, full and failing disks.

mod damage;
pub(crate) mod doctor;
mod reopen;
mod space;
mod torn;

use std::{ops::Range, path::Path};

use futures::StreamExt;
use hydrant_engine::{
    Engine, EngineConfig, EngineParts, Frame, LaneId, Log, LogError, OpenError, Position,
    RecoveryReport, Timestamp, conformance::soon,
};

pub(crate) const ALL: Range<Position> = Position::START..Position(u64::MAX);

/// A directory to throw away. In memory where there is enough of it: these tests open a log thousands of
/// times, and what they look for does not depend on how long an fsync takes. The conformance suite
/// and the tests of `reopen` and `kill` run on the disk.
pub(crate) fn scratch() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let roomy = rustix::fs::statvfs(memory).is_ok_and(|it| it.f_bavail * it.f_frsize > 1 << 30);
    match roomy.then(|| tempfile::tempdir_in(memory)) {
        Some(Ok(dir)) => dir,
        _ => tempfile::tempdir().unwrap(),
    }
}

/// Small segments, so that every test rolls over.
pub(crate) fn config(dir: &Path) -> EngineConfig {
    EngineConfig {
        segment_bytes: 16 << 10,
        ..EngineConfig::new(dir)
    }
}

pub(crate) async fn open(dir: &Path) -> (Engine, RecoveryReport) {
    open_with(config(dir), EngineParts::system().unwrap()).await
}

/// Opens an engine. A child that another test starts has this process's files, and with them a lock that
/// was just given up, from its fork to its exec: that is waited for.
pub(crate) async fn open_with(
    config: EngineConfig,
    parts: EngineParts,
) -> (Engine, RecoveryReport) {
    soon(async {
        loop {
            match Engine::open_with(config.clone(), parts.clone()).await {
                Err(OpenError::Locked { .. }) => tokio::task::yield_now().await,
                opened => return opened.unwrap(),
            }
        }
    })
    .await
}

pub(crate) async fn close(engine: Engine) {
    engine.log.close().await.unwrap();
    engine.catalog.close().await.unwrap();
}

/// Awaits that the log takes no more than this.
pub(crate) async fn shrinks_to(engine: &Engine, bytes: u64) {
    soon(async {
        while engine.log.usage().disk_bytes > bytes {
            // Compaction has no end that could be awaited; it is polled.
            tokio::task::yield_now().await;
        }
    })
    .await;
}

pub(crate) fn frame(number: u64, size: usize) -> Frame {
    let mut record = format!("{number} ").into_bytes();
    record.resize(size.max(record.len()), number as u8);
    Frame::new(Timestamp(number), [record])
}

/// Frames of 40 bytes to one lane and of 3,000 to another in turn, `count` of each; where the last one lies.
pub(crate) async fn small_and_large(
    engine: &Engine,
    small: LaneId,
    large: LaneId,
    count: u64,
) -> Position {
    let mut last = Position::START;
    for number in 0..count {
        engine.log.append(small, frame(number, 40)).await.unwrap();
        last = engine.log.append(large, frame(number, 3000)).await.unwrap();
    }
    last
}

pub(crate) async fn read(log: &dyn Log, lane: LaneId) -> Vec<(Position, Frame)> {
    let frames = read_all(log, lane).await;
    frames.into_iter().map(Result::unwrap).collect()
}

pub(crate) async fn read_all(
    log: &dyn Log,
    lane: LaneId,
) -> Vec<Result<(Position, Frame), LogError>> {
    log.read(lane, ALL).collect().await
}
