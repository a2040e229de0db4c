//! What was acknowledged, trimmed and removed is so after a restart.

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
};

use hydrant_engine::{
    Engine, EngineConfig, EngineParts, Expect, LaneId, LogError, OpenError, Position,
    local::disk::{Disk, Hook, Op},
};

use super::{close, config, frame, open, read, shrinks_to};

#[tokio::test]
async fn frames_of_many_segments_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut expected = vec![Vec::new(); 5];
    for round in 0..4u64 {
        let (engine, report) = open(dir.path()).await;
        assert_eq!(report.damage, []);
        assert_eq!(report.torn_tail, None);
        assert_eq!(report.scanned_frames, 0, "closing seals");
        for number in 0..200u64 {
            let lane = (number * 7 + round) % 5;
            let frame = frame(round * 1000 + number, (number * 13 % 900) as usize);
            let appended = engine.log.append(LaneId(lane), frame.clone()).await;
            expected[lane as usize].push((appended.unwrap(), frame));
        }
        for (lane, expected) in expected.iter().enumerate() {
            assert!(read(&*engine.log, LaneId(lane as u64)).await == *expected);
            let usage = engine.log.lane_usage(LaneId(lane as u64));
            assert_eq!(usage.frames, expected.len() as u64);
            assert_eq!(usage.oldest, Some(expected[0].1.arrival()));
        }
        close(engine).await;
    }
}

#[tokio::test]
async fn positions_are_not_given_again_when_all_was_trimmed() {
    let dir = tempfile::tempdir().unwrap();
    let mut last = Position::START;
    for round in 0..5 {
        let (engine, _) = open(dir.path()).await;
        assert_eq!(engine.log.lane_usage(LaneId(1)).frames, 0);
        for number in 0..50 {
            let appended = engine.log.append(LaneId(1), frame(number, 1000)).await;
            let position = appended.unwrap();
            assert!(position > last, "round {round}");
            last = position;
        }
        engine.log.trim(LaneId(1), last.next()).await.unwrap();
        close(engine).await;
    }
}

#[tokio::test]
async fn positions_that_were_trimmed_are_not_given_again_even_without_segments() {
    let dir = tempfile::tempdir().unwrap();
    let mut trimmed = Position::START;
    for removed in [false, false, true] {
        let (engine, _) = open(dir.path()).await;
        let first = engine.log.append(LaneId(1), frame(0, 10)).await.unwrap();
        assert!(first >= trimmed, "{first} was trimmed below {trimmed}");
        for number in 0..20 {
            let appended = engine.log.append(LaneId(2), frame(number, 10)).await;
            trimmed = appended.unwrap().next();
        }
        engine.log.trim(LaneId(2), trimmed).await.unwrap();
        if removed {
            engine.log.remove(LaneId(2)).await.unwrap();
            engine.log.remove(LaneId(1)).await.unwrap();
        }
        close(engine).await;
        for entry in fs::read_dir(dir.path().join("log")).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "seg") {
                fs::remove_file(path).unwrap();
            }
        }
    }
    let (engine, _) = open(dir.path()).await;
    let position = engine.log.append(LaneId(3), frame(0, 10)).await.unwrap();
    assert!(position >= trimmed);
    close(engine).await;
}

#[tokio::test]
async fn a_catalog_that_could_not_be_made_is_made_the_next_time() {
    let made = tempfile::tempdir().unwrap();
    for fails_at in 0.. {
        let dir = made.path().join(fails_at.to_string());
        let (count, failed) = (
            Arc::new(AtomicUsize::new(0)),
            Arc::new(AtomicBool::new(false)),
        );
        let (counted, told) = (count.clone(), failed.clone());
        let hook: Hook = Arc::new(move |op| {
            let of_catalog = match op {
                Op::Write { path, .. } | Op::SetLen { path, .. } | Op::Sync { path } => {
                    path.file_stem() == Some("catalog".as_ref())
                }
                Op::Rename { to, .. } => to.file_stem() == Some("catalog".as_ref()),
                _ => false,
            };
            if of_catalog && counted.fetch_add(1, Relaxed) == fails_at {
                told.store(true, Relaxed);
                return Err(std::io::ErrorKind::StorageFull.into());
            }
            Ok(())
        });
        let parts = EngineParts {
            disk: Disk::with_hook(hook),
            ..EngineParts::system().unwrap()
        };
        if let Ok((engine, _)) = Engine::open_with(config(&dir), parts).await {
            close(engine).await;
        }
        let (engine, _) = open(&dir).await;
        let put = engine.catalog.put("key", "value".into(), Expect::Absent);
        put.await.unwrap();
        close(engine).await;
        if !failed.load(Relaxed) {
            assert!(fails_at > 5, "the catalog was written");
            return;
        }
    }
}

#[tokio::test]
async fn trims_and_removals_hold() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, _) = open(dir.path()).await;
    let mut kept = Vec::new();
    for number in 0..300 {
        for lane in [1, 2, 3] {
            let frame = frame(number, 200);
            let position = engine
                .log
                .append(LaneId(lane), frame.clone())
                .await
                .unwrap();
            if lane == 1 {
                kept.push((position, frame));
            }
        }
    }
    let before = engine.log.usage().disk_bytes;
    let kept = kept.split_off(123);
    engine.log.trim(LaneId(1), kept[0].0).await.unwrap();
    engine.log.remove(LaneId(2)).await.unwrap();
    engine.log.remove(LaneId(3)).await.unwrap();
    let usage = engine.log.lane_usage(LaneId(1));
    close(engine).await;

    let (engine, _) = open(dir.path()).await;
    assert!(read(&*engine.log, LaneId(1)).await == kept);
    assert_eq!(engine.log.lane_usage(LaneId(1)), usage);
    assert_eq!(engine.log.lanes().await.unwrap(), [LaneId(1)]);
    let refused = engine.log.append(LaneId(2), frame(1, 1)).await;
    assert!(matches!(refused, Err(LogError::LaneRemoved(LaneId(2)))));
    shrinks_to(&engine, before / 2).await;
    close(engine).await;
}

#[tokio::test]
async fn a_second_process_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, _) = open(dir.path()).await;
    let refused = Engine::open(config(dir.path())).await;
    let Err(OpenError::Locked { dir: named, pid }) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(named, dir.path());
    assert_eq!(pid, Some(std::process::id()));
    close(engine).await;
    let (engine, _) = open(dir.path()).await;
    close(engine).await;
}

/// Why the directory is not opened. A lock may be held for a moment, see [`super::open_with`].
async fn refusal(dir: &Path) -> OpenError {
    loop {
        match Engine::open(config(dir)).await {
            Err(OpenError::Locked { .. }) => tokio::task::yield_now().await,
            Err(refused) => return refused,
            Ok(_) => panic!("a directory that should be refused was opened"),
        }
    }
}

#[tokio::test]
async fn what_is_not_ours_or_not_whole_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, _) = open(dir.path()).await;
    let position = engine.log.append(LaneId(1), frame(1, 1)).await.unwrap();
    let put = engine.catalog.put("key", "value".into(), Expect::Absent);
    put.await.unwrap();
    close(engine).await;
    // Of another version, not of ours, without what says what it is.
    let format = dir.path().join("FORMAT");
    for text in [Some("hydrant-data 2\n"), Some("something else\n"), None] {
        match text {
            Some(text) => fs::write(&format, text).unwrap(),
            None => fs::remove_file(&format).unwrap(),
        }
        let refused = refusal(dir.path()).await;
        assert!(matches!(refused, OpenError::Format { .. }), "{refused:?}");
    }
    fs::write(&format, "hydrant-data 1\n").unwrap();
    // A log without its catalog.
    let catalog = dir.path().join("catalog.redb");
    let aside = dir.path().join("aside");
    fs::rename(&catalog, &aside).unwrap();
    let refused = refusal(dir.path()).await;
    assert!(matches!(refused, OpenError::Catalog { .. }), "{refused:?}");
    // An empty file is no new catalog: all lanes would be orphans of it.
    fs::write(&catalog, "").unwrap();
    let refused = refusal(dir.path()).await;
    assert!(matches!(refused, OpenError::Catalog { .. }), "{refused:?}");
    assert_eq!(fs::metadata(&catalog).unwrap().len(), 0);
    fs::rename(&aside, &catalog).unwrap();
    // A catalog without its log, or without the part of it that knows what was given out.
    for path in [dir.path().join("log"), dir.path().join("log/lanes")] {
        fs::rename(&path, &aside).unwrap();
        let refused = refusal(dir.path()).await;
        assert!(matches!(refused, OpenError::Format { .. }), "{refused:?}");
        fs::rename(&aside, &path).unwrap();
    }
    let (engine, _) = open(dir.path()).await;
    assert!(read(&*engine.log, LaneId(1)).await == [(position, frame(1, 1))]);
    close(engine).await;
    // Settings that make no sense.
    let config = EngineConfig {
        max_log_bytes: Some(1000),
        ..config(dir.path())
    };
    let refused = Engine::open(config).await;
    assert!(matches!(refused, Err(OpenError::Config(_))), "{refused:?}");
}

#[tokio::test]
async fn the_catalog_comes_back_and_its_versions_rise() {
    let dir = tempfile::tempdir().unwrap();
    let mut last = None;
    for round in 0..3 {
        let (engine, _) = open(dir.path()).await;
        let catalog = &engine.catalog;
        let present = catalog.get("kept").await.unwrap();
        assert_eq!(present.as_ref().map(|it| it.version), last);
        let expect = last.map_or(Expect::Absent, Expect::Exactly);
        let kept = catalog
            .put("kept", format!("{round}").into(), expect)
            .await
            .unwrap();
        assert!(Some(kept) > last);
        // The highest version is remembered though its value is gone.
        let gone = catalog
            .put("gone", "x".into(), Expect::Absent)
            .await
            .unwrap();
        catalog.delete("gone", gone).await.unwrap();
        last = Some(kept);
        close(engine).await;
        let (engine, _) = open(dir.path()).await;
        let next = engine
            .catalog
            .put("next", "x".into(), Expect::Absent)
            .await
            .unwrap();
        assert!(next.0 > gone.0 + 1, "the deletion had a version, too");
        engine.catalog.delete("next", next).await.unwrap();
        close(engine).await;
    }
}

#[tokio::test]
async fn what_it_makes_is_for_its_user_alone() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let (engine, _) = open(&data).await;
    engine.log.append(LaneId(1), frame(1, 10)).await.unwrap();
    close(engine).await;
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    let mut seen = 0;
    for folder in [data.clone(), data.join("log")] {
        assert_eq!(mode(&folder), 0o700, "{}", folder.display());
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                assert_eq!(mode(&path), 0o600, "{}", path.display());
                seen += 1;
            }
        }
    }
    assert!(seen >= 5, "FORMAT, LOCK, catalog, lanes and a segment");
}
