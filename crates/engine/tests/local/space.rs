//! Disk that is full, disk that comes back.

use std::{
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use hydrant_engine::{
    EngineConfig, EngineParts, Expect, LaneId, LogError, ManualClock, Timestamp,
    conformance::soon,
    local::disk::{Disk, Op},
};

use super::{close, config, frame, open, open_with, read, scratch, shrinks_to, small_and_large};

const PINNED: LaneId = LaneId(1);
const BUSY: LaneId = LaneId(2);

fn parts(hook: impl Fn(&Op<'_>) -> io::Result<()> + Send + Sync + 'static) -> EngineParts {
    EngineParts {
        disk: Disk::with_hook(Arc::new(hook)),
        ..EngineParts::system().unwrap()
    }
}

#[tokio::test]
async fn leftovers_of_one_lane_hold_no_disk_of_others() {
    let dir = scratch();
    let (engine, _) = open(dir.path()).await;
    let mut pinned = Vec::new();
    for number in 0..400 {
        if number % 8 == 0 {
            let frame = frame(number, 40);
            pinned.push((
                engine.log.append(PINNED, frame.clone()).await.unwrap(),
                frame,
            ));
        }
        let last = engine.log.append(BUSY, frame(number, 3000)).await.unwrap();
        engine.log.trim(BUSY, last.next()).await.unwrap();
    }
    // 1.2 MB went through, 50 frames of 100 bytes are wanted.
    shrinks_to(&engine, 96 << 10).await;
    assert!(read(&*engine.log, PINNED).await == pinned);
    assert_eq!(engine.log.lane_usage(PINNED).frames, 50);
    close(engine).await;
    let (engine, report) = open(dir.path()).await;
    assert_eq!(report.damage, []);
    assert!(read(&*engine.log, PINNED).await == pinned);
    // The rest of it can be trimmed away as if it had never moved.
    engine.log.trim(PINNED, pinned[30].0).await.unwrap();
    assert!(read(&*engine.log, PINNED).await == pinned[30..]);
    engine.log.trim(PINNED, pinned[49].0.next()).await.unwrap();
    shrinks_to(&engine, 17 << 10).await;
    close(engine).await;
}

#[tokio::test]
async fn a_compaction_that_failed_is_not_tried_again_at_once() {
    let dir = scratch();
    let failing = Arc::new(AtomicBool::new(true));
    let failures = Arc::new(AtomicUsize::new(0));
    let (fails, counted) = (failing.clone(), failures.clone());
    let hook = move |op: &Op<'_>| match op {
        // The index of a copy; the writer's own segments have their names by then.
        Op::Write { path, parts, .. }
            if path.extension().is_some_and(|it| it == "tmp")
                && parts.iter().any(|part| part.starts_with(b"HYDRFTR\0"))
                && fails.load(Ordering::Relaxed) =>
        {
            counted.fetch_add(1, Ordering::Relaxed);
            Err(io::ErrorKind::StorageFull.into())
        }
        _ => Ok(()),
    };
    let clock = ManualClock::new(Timestamp(0));
    let parts = EngineParts {
        clock: Arc::new(clock.clone()),
        ..parts(hook)
    };
    let (engine, _) = open_with(config(dir.path()), parts).await;
    let churn = async |from: u64, to: u64| {
        for number in from..to {
            if number % 8 == 0 {
                engine.log.append(PINNED, frame(number, 40)).await.unwrap();
            }
            let last = engine.log.append(BUSY, frame(number, 3000)).await.unwrap();
            engine.log.trim(BUSY, last.next()).await.unwrap();
        }
    };
    let failed_times = async |times: usize| {
        soon(async {
            while failures.load(Ordering::Relaxed) < times {
                tokio::task::yield_now().await;
            }
        })
        .await;
    };
    churn(0, 200).await;
    failed_times(1).await;
    churn(200, 400).await;
    assert_eq!(failures.load(Ordering::Relaxed), 1);
    churn(400, 401).await;
    // The time of a failure is noted a moment after the disk has failed: one step of the clock could
    // come in between and count for nothing.
    let after_pauses = async |done: &dyn Fn() -> bool| {
        soon(async {
            while !done() {
                clock.advance(Duration::from_secs(60));
                churn(401, 402).await;
            }
        })
        .await;
    };
    after_pauses(&|| failures.load(Ordering::Relaxed) > 1).await;
    failing.store(false, Ordering::Relaxed);
    after_pauses(&|| engine.log.usage().disk_bytes <= 96 << 10).await;
    assert_eq!(read(&*engine.log, PINNED).await.len(), 51);
    close(engine).await;
}

/// While there is room, less than a segment is worth a copy only where hardly anything must be copied.
#[tokio::test]
async fn a_segment_that_is_nearly_all_dead_is_given_back_by_itself() {
    const SEGMENT: u64 = 1 << 20;
    let dir = scratch();
    let config = EngineConfig {
        segment_bytes: SEGMENT,
        ..config(dir.path())
    };
    let (engine, _) = open_with(config, EngineParts::system().unwrap()).await;
    let kept = frame(1, 40);
    let position = engine.log.append(PINNED, kept.clone()).await.unwrap();
    for number in 0..200 {
        engine.log.append(BUSY, frame(number, 3000)).await.unwrap();
    }
    engine.log.remove(BUSY).await.unwrap();
    // The active segment, and the copy.
    shrinks_to(&engine, SEGMENT + (16 << 10)).await;
    assert!(read(&*engine.log, PINNED).await == [(position, kept)]);
    close(engine).await;
}

#[tokio::test]
async fn a_removed_lane_gives_its_disk_back() {
    let dir = scratch();
    let (engine, _) = open(dir.path()).await;
    let mut kept = Vec::new();
    for number in 0..300 {
        engine.log.append(BUSY, frame(number, 2000)).await.unwrap();
        if number % 20 == 0 {
            let frame = frame(number, 100);
            kept.push((
                engine.log.append(PINNED, frame.clone()).await.unwrap(),
                frame,
            ));
        }
    }
    assert!(engine.log.usage().disk_bytes > 600_000);
    engine.log.remove(BUSY).await.unwrap();
    shrinks_to(&engine, 64 << 10).await;
    assert!(read(&*engine.log, PINNED).await == kept);
    close(engine).await;
}

#[tokio::test]
async fn a_full_log_refuses_and_recovers_without_a_restart() {
    let dir = scratch();
    let config = EngineConfig {
        max_log_bytes: Some(256 << 10),
        ..config(dir.path())
    };
    let (engine, _) = open_with(config, EngineParts::system().unwrap()).await;
    for round in 0..3 {
        let mut taken = Vec::new();
        let refused = loop {
            let frame = frame(taken.len() as u64, 1000);
            match engine.log.append(BUSY, frame.clone()).await {
                Ok(position) => taken.push((position, frame)),
                Err(error) => break error,
            }
        };
        assert!(matches!(refused, LogError::Full(_)), "{refused}");
        assert!(taken.len() > 150, "round {round}: {}", taken.len());
        assert!(engine.log.usage().disk_bytes <= 256 << 10);
        assert!(engine.log.usage().free_bytes < 16 << 10);
        assert!(engine.log.usage().writable, "full is not failed");
        // Everything else goes on.
        assert!(read(&*engine.log, BUSY).await == taken);
        let key = format!("{round}");
        let put = engine.catalog.put(&key, "v".into(), Expect::Absent);
        put.await.unwrap();
        let last = taken.last().unwrap().0;
        engine.log.trim(BUSY, last.next()).await.unwrap();
        let again = engine.log.append(BUSY, frame(0, 1000)).await.unwrap();
        assert!(again > last);
        engine.log.trim(BUSY, again.next()).await.unwrap();
    }
    close(engine).await;
}

#[tokio::test]
async fn a_full_disk_refuses_at_the_segment_and_opens_all_the_same() {
    let dir = scratch();
    let full = Arc::new(AtomicBool::new(false));
    let is_full = full.clone();
    let hook = move |op: &Op<'_>| match op {
        Op::Allocate { .. } if is_full.load(Ordering::Relaxed) => {
            Err(io::ErrorKind::StorageFull.into())
        }
        _ => Ok(()),
    };
    let parts = parts(hook);
    let (engine, _) = open_with(config(dir.path()), parts.clone()).await;
    full.store(true, Ordering::Relaxed);
    let mut taken = Vec::new();
    let refused = loop {
        let frame = frame(taken.len() as u64, 1000);
        match engine.log.append(BUSY, frame.clone()).await {
            Ok(position) => taken.push((position, frame)),
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, LogError::Full(_)), "{refused}");
    assert!(taken.len() > 8, "all of the segment is used first");
    // A smaller one still has room in what was set aside.
    let small = frame(99, 10);
    taken.push((engine.log.append(BUSY, small.clone()).await.unwrap(), small));
    engine.log.remove(PINNED).await.unwrap();
    close(engine).await;

    let (engine, report) = open_with(config(dir.path()), parts).await;
    assert_eq!(report.damage, []);
    assert!(read(&*engine.log, BUSY).await == taken);
    let refused = engine.log.append(BUSY, frame(0, 10)).await;
    assert!(matches!(refused, Err(LogError::Full(_))), "{refused:?}");
    let refused = engine.log.append(PINNED, frame(0, 10)).await;
    assert!(
        matches!(refused, Err(LogError::LaneRemoved(_))),
        "{refused:?}"
    );
    // Even when all is trimmed, positions are not forgotten.
    let last = taken.last().unwrap().0;
    engine.log.trim(BUSY, last.next()).await.unwrap();
    full.store(false, Ordering::Relaxed);
    assert!(engine.log.append(BUSY, frame(0, 10)).await.unwrap() > last);
    close(engine).await;
}

#[tokio::test]
async fn who_is_out_of_file_descriptors_waits_for_some() {
    let dir = scratch();
    let out = Arc::new(AtomicBool::new(false));
    let is_out = out.clone();
    let hook = move |op: &Op<'_>| match op {
        Op::Create { .. } if is_out.load(Ordering::Relaxed) => Err(rustix::io::Errno::MFILE.into()),
        _ => Ok(()),
    };
    let (engine, _) = open_with(config(dir.path()), parts(hook)).await;
    out.store(true, Ordering::Relaxed);
    let mut taken = Vec::new();
    let refused = loop {
        let frame = frame(taken.len() as u64, 1000);
        match engine.log.append(BUSY, frame.clone()).await {
            Ok(position) => taken.push((position, frame)),
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, LogError::Full(_)), "{refused}");
    assert!(engine.log.usage().writable, "it is not the end");
    out.store(false, Ordering::Relaxed);
    let frame = frame(99, 1000);
    taken.push((engine.log.append(BUSY, frame.clone()).await.unwrap(), frame));
    assert!(read(&*engine.log, BUSY).await == taken);
    close(engine).await;
}

#[tokio::test]
async fn a_log_that_refuses_frames_says_that_it_is_full() {
    let dir = scratch();
    let config = EngineConfig {
        max_log_bytes: Some(256 << 10),
        ..config(dir.path())
    };
    let (engine, _) = open_with(config, EngineParts::system().unwrap()).await;
    let refused = loop {
        let large = engine.log.append(BUSY, frame(0, 5000)).await;
        assert!(large.is_err() || engine.log.usage().free_bytes > 0);
        if let Err(refused) = large {
            break refused;
        }
    };
    assert!(matches!(refused, LogError::Full(_)), "{refused}");
    assert_eq!(engine.log.usage().free_bytes, 0);
    engine.log.remove(BUSY).await.unwrap();
    soon(async {
        while engine.log.usage().free_bytes == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    engine.log.append(PINNED, frame(0, 5000)).await.unwrap();
    close(engine).await;
}

#[tokio::test]
async fn a_failed_write_or_fsync_is_final_until_the_restart() {
    for fails_at_sync in [false, true] {
        let dir = scratch();
        let failing = Arc::new(AtomicBool::new(false));
        let is_failing = failing.clone();
        let hook = move |op: &Op<'_>| {
            let hit = match op {
                Op::Sync { path } => {
                    fails_at_sync && path.extension().is_some_and(|it| it == "seg")
                }
                Op::Write { path, .. } => {
                    !fails_at_sync && path.extension().is_some_and(|it| it == "seg")
                }
                _ => false,
            };
            if hit && is_failing.load(Ordering::Relaxed) {
                return Err(io::Error::other("injected"));
            }
            Ok(())
        };
        let (engine, _) = open_with(config(dir.path()), parts(hook)).await;
        let position = engine.log.append(BUSY, frame(1, 100)).await.unwrap();
        failing.store(true, Ordering::Relaxed);
        let failed = engine.log.append(BUSY, frame(2, 100)).await;
        assert!(matches!(failed, Err(LogError::Failed(_))), "{failed:?}");
        // The disk is well again, but what it holds is not known: no append is trusted.
        failing.store(false, Ordering::Relaxed);
        for lane in [BUSY, PINNED] {
            let failed = engine.log.append(lane, frame(3, 100)).await;
            assert!(matches!(failed, Err(LogError::Failed(_))), "{failed:?}");
        }
        assert!(!engine.log.usage().writable);
        // What was durable is shown, what was not is not, and delivery goes on.
        assert!(read(&*engine.log, BUSY).await == [(position, frame(1, 100))]);
        engine.log.trim(BUSY, position.next()).await.unwrap();
        assert!(read(&*engine.log, BUSY).await.is_empty());
        close(engine).await;

        let (engine, report) = open(dir.path()).await;
        assert_eq!(report.damage, []);
        let found = read(&*engine.log, BUSY).await;
        assert!(found.len() <= 1, "the failed one may be there, once");
        assert!(
            found
                .iter()
                .all(|(at, it)| *at > position && *it == frame(2, 100))
        );
        let next = engine.log.append(BUSY, frame(4, 100)).await.unwrap();
        assert!(next > position && found.iter().all(|(at, _)| *at < next));
        close(engine).await;
    }
}

#[tokio::test]
async fn a_writer_that_panics_is_seen_and_the_log_still_closes() {
    let dir = scratch();
    let panics = Arc::new(AtomicBool::new(false));
    let now = panics.clone();
    let hook = move |op: &Op<'_>| {
        let hit = matches!(op, Op::Sync { path } if path.extension().is_some_and(|it| it == "seg"));
        assert!(!(hit && now.load(Ordering::Relaxed)), "injected");
        Ok(())
    };
    let (engine, _) = open_with(config(dir.path()), parts(hook)).await;
    let position = engine.log.append(BUSY, frame(1, 100)).await.unwrap();
    assert!(engine.log.usage().writable);
    panics.store(true, Ordering::Relaxed);
    for _ in 0..2 {
        let failed = engine.log.append(BUSY, frame(2, 100)).await;
        assert!(matches!(failed, Err(LogError::Failed(_))), "{failed:?}");
    }
    assert!(!engine.log.usage().writable);
    assert!(read(&*engine.log, BUSY).await == [(position, frame(1, 100))]);
    // Nothing is left running that holds the directory.
    soon(close(engine)).await;
    let (engine, _) = open(dir.path()).await;
    assert!(engine.log.usage().writable);
    close(engine).await;
}

#[tokio::test]
async fn the_file_of_a_forgotten_segment_becomes_the_next_one() {
    let dir = scratch();
    let (made, begun) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (creates, renames) = (made.clone(), begun.clone());
    let hook = move |op: &Op<'_>| {
        match op {
            Op::Create { path } if path.extension().is_some_and(|it| it == "tmp") => {
                creates.fetch_add(1, Ordering::Relaxed);
            }
            Op::Rename { to, .. } if to.extension().is_some_and(|it| it == "seg") => {
                renames.fetch_add(1, Ordering::Relaxed);
            }
            _ => {}
        }
        Ok(())
    };
    let (engine, _) = open_with(config(dir.path()), parts(hook)).await;
    let mut kept = Vec::new();
    for number in 0..400 {
        let frame = frame(number, 3000);
        let position = engine.log.append(BUSY, frame.clone()).await.unwrap();
        kept.push((position, frame));
        if kept.len() > 4 {
            kept.remove(0);
            engine.log.trim(BUSY, kept[0].0).await.unwrap();
        }
        // The active segment, the two or three that its last frames lie in, and the spare.
        assert!(engine.log.usage().disk_bytes <= 6 * (16 << 10));
    }
    assert!(read(&*engine.log, BUSY).await == kept);
    let (made, begun) = (made.load(Ordering::Relaxed), begun.load(Ordering::Relaxed));
    assert!(begun > 70, "{begun} segments");
    assert!(made < begun / 4, "{made} new files for {begun} segments");
    // What a crash would leave: the last segment holds frames of an earlier one.
    let copy = scratch();
    crate::model::copy_dir(dir.path(), copy.path()).unwrap();
    let (crashed, report) = open(copy.path()).await;
    assert_eq!((report.damage, report.torn_tail), (vec![], None));
    assert!(read(&*crashed.log, BUSY).await == kept);
    close(crashed).await;
    close(engine).await;
    let left = std::fs::read_dir(dir.path().join("log")).unwrap();
    let left = left.map(|entry| entry.unwrap().path());
    let spare = left.filter(|path| path.extension().is_some_and(|it| it == "tmp"));
    assert_eq!(spare.count(), 0, "closing gives the spare back");
    let (engine, report) = open(dir.path()).await;
    assert_eq!(report.damage, []);
    assert!(read(&*engine.log, BUSY).await == kept);
    close(engine).await;
}

/// Compaction reads a segment that is forgotten in the meantime. Were its file written to again, compaction would copy
/// what it finds there, or take it for damage.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_somebody_reads_is_not_used_again() {
    let dir = scratch();
    let (reading, is_reading) = std::sync::mpsc::channel();
    let (go_on, may_go_on) = std::sync::mpsc::channel::<()>();
    let doors = Mutex::new(Some((reading, may_go_on)));
    let gone = Arc::new(Mutex::new(Vec::new()));
    let went = gone.clone();
    let hook = move |op: &Op<'_>| {
        match op {
            Op::Read { path, .. } if std::thread::current().name() == Some("log-keeper") => {
                let doors = doors.lock().unwrap().take();
                if let Some((reading, may_go_on)) = doors {
                    reading.send(path.to_path_buf()).unwrap();
                    may_go_on.recv().unwrap();
                }
            }
            Op::Rename { from, .. } => went.lock().unwrap().push(("kept", from.to_path_buf())),
            Op::Remove { path } => went.lock().unwrap().push(("removed", path.to_path_buf())),
            _ => {}
        }
        Ok(())
    };
    let (engine, _) = open_with(config(dir.path()), parts(hook)).await;
    let last = small_and_large(&engine, PINNED, BUSY, 40).await;
    engine.log.trim(BUSY, last.next()).await.unwrap();
    let read = tokio::task::spawn_blocking(move || is_reading.recv().unwrap());
    let read = read.await.unwrap();
    let end = engine.log.lane_usage(PINNED).end;
    engine.log.trim(PINNED, end).await.unwrap();
    for number in 0..40 {
        let last = engine.log.append(BUSY, frame(number, 3000)).await.unwrap();
        engine.log.trim(BUSY, last.next()).await.unwrap();
    }
    let gone = gone.lock().unwrap().clone();
    assert!(gone.contains(&("removed", read.clone())), "{gone:?}");
    assert!(!gone.contains(&("kept", read)), "{gone:?}");
    assert!(
        gone.iter()
            .any(|(how, path)| *how == "kept" && path.extension().is_some_and(|it| it == "seg"))
    );
    go_on.send(()).unwrap();
    shrinks_to(&engine, 3 * (16 << 10)).await;
    assert_eq!(engine.log.usage().damaged_frames, 0);
    close(engine).await;
}

/// A copy got its name, but the directory could not be synced. If it stayed, it would stand at the next start for
/// segments that a later copy holds, too, and a frame would count twice.
#[tokio::test]
async fn a_copy_whose_name_is_in_doubt_is_removed_before_another_is_made() {
    let dir = scratch();
    let clock = ManualClock::new(Timestamp(0));
    let seen = Arc::new(Mutex::new(Vec::new()));
    let told = seen.clone();
    let hook = move |op: &Op<'_>| {
        if std::thread::current().name() != Some("log-keeper") {
            return Ok(());
        }
        let mut seen = told.lock().unwrap();
        let is_segment = |path: &std::path::Path| path.extension().is_some_and(|it| it == "seg");
        let (what, first) = match op {
            Op::Rename { to, .. } if is_segment(to) => (format!("named {}", to.display()), false),
            Op::SyncDir { .. } => ("synced".to_owned(), true),
            Op::Remove { path } if is_segment(path) => {
                (format!("removed {}", path.display()), true)
            }
            _ => return Ok(()),
        };
        // The first sync and the first removal fail.
        let fails = first && !seen.iter().any(|it: &String| it[..5] == what[..5]);
        seen.push(what);
        match fails {
            true => Err(io::Error::other("not now")),
            false => Ok(()),
        }
    };
    let parts = EngineParts {
        clock: Arc::new(clock.clone()),
        ..parts(hook)
    };
    let (engine, _) = open_with(config(dir.path()), parts).await;
    let last = small_and_large(&engine, PINNED, BUSY, 40).await;
    engine.log.trim(BUSY, last.next()).await.unwrap();
    let named = async |copies: usize| {
        soon(async {
            loop {
                let seen = seen.lock().unwrap().clone();
                let named: Vec<_> = seen.iter().filter(|it| it.starts_with("named")).collect();
                if named.len() >= copies {
                    break seen;
                }
                clock.advance(Duration::from_secs(60));
                engine
                    .log
                    .remove(LaneId(100 + seen.len() as u64))
                    .await
                    .unwrap();
                tokio::task::yield_now().await;
            }
        })
        .await
    };
    let seen = named(2).await;
    let stray = seen[0].strip_prefix("named ").unwrap();
    let removed = format!("removed {stray}");
    assert_eq!(seen[1..4], ["synced".to_owned(), removed.clone(), removed]);
    assert!(!std::path::Path::new(stray).exists());
    close(engine).await;
    let (engine, report) = open(dir.path()).await;
    assert_eq!(report.damage, []);
    assert_eq!(engine.log.lane_usage(PINNED).frames, 40);
    close(engine).await;
}
