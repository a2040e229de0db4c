//! Rot is noticed, named, counted, never passed on, and costs what it hit alone.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use futures::StreamExt;
use hydrant_engine::{
    Engine, EngineParts, Frame, LaneId, LogError, Position,
    local::disk::{Disk, Op},
};

use super::{
    close, config, frame, open, open_with, read, read_all, scratch, shrinks_to, small_and_large,
};

const LANE: LaneId = LaneId(1);
const OTHER: LaneId = LaneId(2);

/// The log's segment files, oldest first.
pub(crate) fn segments(dir: &Path) -> Vec<PathBuf> {
    let mut segments: Vec<_> = fs::read_dir(dir.join("log"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it == "seg"))
        .collect();
    segments.sort();
    segments
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 0x40;
    fs::write(path, bytes).unwrap();
}

/// Where in a file these bytes are.
fn find(path: &Path, needle: &[u8]) -> usize {
    let bytes = fs::read(path).unwrap();
    position_of(&bytes, needle).unwrap()
}

fn position_of(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|it| it == wanted)
}

/// Frames to two lanes in turn, each acknowledged before the next begins.
async fn fill(engine: &Engine, count: u64, size: usize) -> Vec<(Position, Frame)> {
    let mut frames = Vec::new();
    for number in 0..count {
        let one = frame(1000 + number, size);
        let position = engine.log.append(LANE, one.clone()).await.unwrap();
        frames.push((position, one));
        let other = frame(5000 + number, size);
        engine.log.append(OTHER, other).await.unwrap();
    }
    frames
}

/// A copy of what is on disk while the log is open: what a crash would leave.
fn crash(dir: &Path) -> tempfile::TempDir {
    let copy = scratch();
    crate::model::copy_dir(dir, copy.path()).unwrap();
    copy
}

/// Segments that are lost may have been all that said how far the log had come, but for the trims.
#[tokio::test]
async fn what_is_appended_after_a_loss_lies_above_what_was_trimmed() {
    let scratch = scratch();
    let (engine, _) = open(scratch.path()).await;
    let frames = fill(&engine, 5, 100).await;
    let trimmed = frames.last().unwrap().0.next();
    engine.log.trim(LANE, trimmed).await.unwrap();
    close(engine).await;
    for file in segments(scratch.path()) {
        fs::write(file, []).unwrap();
    }
    let (engine, report) = open(scratch.path()).await;
    assert!(!report.damage.is_empty());
    let one = frame(1, 10);
    let position = engine.log.append(LANE, one.clone()).await.unwrap();
    assert!(position >= trimmed, "{position:?} {trimmed:?}");
    close(engine).await;
    let (engine, _) = open(scratch.path()).await;
    assert_eq!(read(&*engine.log, LANE).await, [(position, one)]);
    close(engine).await;
}

/// Without its index a segment is scanned, and there lie frames, too, that were forgotten before it was sealed.
#[tokio::test]
async fn a_trim_by_a_damaged_index_forgets_nothing_else() {
    let scratch = scratch();
    let (engine, _) = open(scratch.path()).await;
    let mut frames = fill(&engine, 20, 100).await;
    engine.log.trim(LANE, frames[15].0).await.unwrap();
    // More than one segment: the first is sealed.
    frames.extend(fill(&engine, 100, 100).await);
    let first = segments(scratch.path()).remove(0);
    // The first lane's index begins after the footer's head.
    flip(&first, find(&first, b"HYDRFTR\0") + 26);
    engine.log.trim(LANE, frames[18].0).await.unwrap();
    assert!(read(&*engine.log, LANE).await == frames[18..]);
    assert_eq!(engine.log.lane_usage(LANE).frames, 102);
    close(engine).await;
}

/// All but the damaged frame are read; it is shown as one error in its place.
fn assert_one_lost(
    found: Vec<Result<(Position, Frame), LogError>>,
    expected: &[(Position, Frame)],
    lost: usize,
    file: &Path,
) {
    assert_eq!(found.len(), expected.len());
    for (index, (found, expected)) in found.into_iter().zip(expected).enumerate() {
        match found {
            Ok(found) => assert!(index != lost && found == *expected),
            Err(LogError::Damaged {
                lane,
                position,
                detail,
            }) => {
                assert_eq!((index, lane, position), (lost, LANE, expected.0));
                let name = file.file_name().unwrap().to_str().unwrap();
                assert!(detail.contains(name), "{detail}");
            }
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test]
async fn a_flipped_bit_in_a_sealed_segment_costs_one_frame() {
    let dir = scratch();
    let (engine, _) = open(dir.path()).await;
    let frames = fill(&engine, 40, 700).await;
    close(engine).await;
    let file = segments(dir.path()).remove(1);
    let lost = (0..40)
        .find(|number| {
            let bytes = fs::read(&file).unwrap();
            let needle = frame(1000 + number, 700).payload().clone();
            bytes.windows(needle.len()).any(|it| it == needle)
        })
        .unwrap() as usize;
    let payload = frames[lost].1.payload().clone();
    let at = find(&file, &payload);
    // In the payload, in the record ends, in the header.
    for at in [at + 100, at - 2, at - 30, at - 60] {
        flip(&file, at);
        let (engine, report) = open(dir.path()).await;
        assert_eq!(report.damage, [], "a sealed segment is not read to open it");
        for _ in 0..2 {
            let found = read_all(&*engine.log, LANE).await;
            assert_one_lost(found, &frames, lost, &file);
            assert_eq!(engine.log.usage().damaged_frames, 1, "counted once");
        }
        assert_eq!(read(&*engine.log, OTHER).await.len(), 40);
        close(engine).await;
        flip(&file, at);
    }
    let (engine, _) = open(dir.path()).await;
    assert!(read(&*engine.log, LANE).await == frames);
    close(engine).await;
}

#[tokio::test]
async fn a_flipped_bit_before_the_last_batch_of_an_unsealed_segment_is_damage() {
    let dir = scratch();
    let (engine, _) = open(dir.path()).await;
    let frames = fill(&engine, 5, 700).await;
    let crashed = crash(dir.path());
    let file = segments(crashed.path()).remove(0);
    let at = find(&file, frames[2].1.payload());
    for at in [at + 100, at - 2, at - 30, at - 60] {
        let copy = crash(crashed.path());
        let file = segments(copy.path()).remove(0);
        flip(&file, at);
        let (engine, report) = open(copy.path()).await;
        assert_eq!(report.torn_tail, None);
        let [damage] = &report.damage[..] else {
            panic!("{report:?}");
        };
        assert_eq!(damage.file, file);
        let position = frames[2].0;
        assert_eq!(damage.positions, Some((position, position)));
        assert_one_lost(read_all(&*engine.log, LANE).await, &frames, 2, &file);
        assert_eq!(engine.log.usage().damaged_frames, 1);
        assert_eq!(engine.log.lane_usage(LANE).frames, 4);
        // A follower is told, and goes on.
        let shown: Vec<_> = engine
            .log
            .follow(LANE, Position::START)
            .take(5)
            .collect()
            .await;
        assert!(matches!(shown[2], Err(LogError::Damaged { .. })));
        assert_eq!(shown.iter().filter(|it| it.is_ok()).count(), 4);
        assert_eq!(read(&*engine.log, OTHER).await.len(), 5);
        // It is the same after the next restart, and positions are not given again.
        let next = engine.log.append(LANE, frame(1, 1)).await.unwrap();
        assert!(next > frames[4].0);
        close(engine).await;
        let (engine, report) = open(copy.path()).await;
        assert_eq!(report.damage, []);
        let found = read_all(&*engine.log, LANE).await;
        assert_eq!(found.iter().filter(|it| it.is_ok()).count(), 5);
        assert!(matches!(found[2], Err(LogError::Damaged { .. })));
        close(engine).await;
    }
    close(engine).await;
}

#[tokio::test]
async fn any_flipped_bit_of_a_footer_costs_no_frame() {
    let dir = scratch();
    let (engine, _) = open(dir.path()).await;
    let frames = fill(&engine, 30, 700).await;
    close(engine).await;
    let file = segments(dir.path()).remove(0);
    let bytes = fs::read(&file).unwrap();
    let footer = find(&file, b"HYDRFTR\0");
    for at in (footer..bytes.len()).step_by(5) {
        let copy = crash(dir.path());
        flip(&segments(copy.path())[0], at);
        let (engine, report) = open(copy.path()).await;
        assert_eq!(report.torn_tail, None, "byte {at}");
        let found = read_all(&*engine.log, LANE).await;
        let sound: Vec<_> = found.into_iter().filter_map(Result::ok).collect();
        assert!(sound == frames, "byte {at}");
        engine.log.trim(LANE, frames[3].0).await.unwrap();
        assert!(read(&*engine.log, LANE).await == frames[3..], "byte {at}");
        assert_eq!(engine.log.lane_usage(LANE).frames, 27, "byte {at}");
        close(engine).await;
    }
}

#[tokio::test]
async fn a_destroyed_segment_leaves_the_rest_readable() {
    let dir = scratch();
    let (engine, _) = open(dir.path()).await;
    let frames = fill(&engine, 60, 700).await;
    close(engine).await;
    let files = segments(dir.path());
    assert!(files.len() > 3);
    // The last one, too: its positions must not be given again.
    for file in [&files[1], &files[files.len() - 1]] {
        let len = fs::metadata(file).unwrap().len();
        fs::write(file, vec![0xa5; len as usize]).unwrap();
    }
    let (engine, report) = open(dir.path()).await;
    assert_eq!(report.damage.len(), 2, "{report:?}");
    let found = read(&*engine.log, LANE).await;
    assert!(!found.is_empty() && found.len() < frames.len());
    assert!(found.iter().all(|it| frames.contains(it)));
    let next = engine.log.append(LANE, frame(1, 1)).await.unwrap();
    assert!(next > frames[59].0);
    close(engine).await;
}

/// What becomes of the log's frames when `on_read` sees each read of a segment that is longer than a header.
async fn read_with(
    dir: &Path,
    on_read: impl Fn() -> io::Result<()> + Send + Sync + 'static,
) -> (Vec<Result<(Position, Frame), LogError>>, u64) {
    let hook = move |op: &Op<'_>| match op {
        Op::Read { path, len, .. } if path.extension().is_some_and(|it| it == "seg") => {
            if *len >= 700 { on_read() } else { Ok(()) }
        }
        _ => Ok(()),
    };
    let parts = EngineParts {
        disk: Disk::with_hook(Arc::new(hook)),
        ..EngineParts::system().unwrap()
    };
    let (engine, _) = open_with(config(dir), parts).await;
    let found = read_all(&*engine.log, LANE).await;
    let damaged = engine.log.usage().damaged_frames;
    close(engine).await;
    (found, damaged)
}

#[tokio::test]
async fn a_read_that_fails_now_and_then_is_no_damage() {
    let dir = scratch();
    let (engine, _) = open(dir.path()).await;
    let frames = fill(&engine, 40, 700).await;
    close(engine).await;
    let reads = AtomicUsize::new(0);
    let every_other = move || match reads.fetch_add(1, Relaxed) % 2 {
        0 => Err(io::Error::other("injected")),
        _ => Ok(()),
    };
    let (found, damaged) = read_with(dir.path(), every_other).await;
    let found: Vec<_> = found.into_iter().map(Result::unwrap).collect();
    assert!(found == frames);
    assert_eq!(damaged, 0);
}

/// What cannot be read at once but in pieces is whole: that the read failed proves nothing about free space.
#[tokio::test]
async fn a_large_read_that_fails_where_small_ones_do_not_is_no_damage() {
    let dir = scratch();
    let (engine, _) = open(dir.path()).await;
    let frames = fill(&engine, 5, 700).await;
    let crashed = crash(dir.path());
    close(engine).await;
    let large = |op: &Op<'_>| match op {
        Op::Read { path, len, .. } if path.ends_with("0000000000000001.seg") && *len > 4096 => {
            Err(io::Error::from_raw_os_error(5)) // EIO
        }
        _ => Ok(()),
    };
    let parts = EngineParts {
        disk: Disk::with_hook(Arc::new(large)),
        ..EngineParts::system().unwrap()
    };
    let (engine, report) = open_with(config(crashed.path()), parts).await;
    assert_eq!(report.damage, []);
    close(engine).await;
    let (engine, _) = open(crashed.path()).await;
    assert!(read(&*engine.log, LANE).await == frames);
    close(engine).await;
}

#[tokio::test]
async fn bytes_that_are_sound_when_they_are_read_again_are_no_damage() {
    let dir = scratch();
    let (engine, _) = open(dir.path()).await;
    let frames = fill(&engine, 5, 700).await;
    close(engine).await;
    let file = segments(dir.path()).remove(0);
    let at = find(&file, frames[2].1.payload()) + 100;
    flip(&file, at);
    // Before the second read after the open's, the right bytes are there again.
    let reads = Arc::new(AtomicUsize::new(0));
    let (mended, seen) = (file.clone(), reads.clone());
    let mend = move || {
        if seen.fetch_add(1, Relaxed) == 1 {
            let sound = fs::read(&mended).unwrap()[at] ^ 0x40;
            let bytes = fs::File::options().write(true).open(&mended).unwrap();
            std::os::unix::fs::FileExt::write_all_at(&bytes, &[sound], at as u64).unwrap();
        }
        Ok(())
    };
    let (found, damaged) = read_with(dir.path(), mend).await;
    assert_eq!(
        reads.load(Relaxed),
        2,
        "once with its neighbours, once alone"
    );
    let found: Vec<_> = found.into_iter().map(Result::unwrap).collect();
    assert!(found == frames);
    assert_eq!(damaged, 0);
}

/// Positions in a copy are far apart: nothing behind the last hole tells how far it reaches.
#[tokio::test]
async fn a_last_frame_that_is_lost_together_with_its_index_is_told() {
    let dir = scratch();
    let (engine, _) = open(dir.path()).await;
    let last = small_and_large(&engine, LANE, OTHER, 40).await;
    engine.log.trim(OTHER, last.next()).await.unwrap();
    shrinks_to(&engine, 48 << 10).await;
    let frames = read(&*engine.log, LANE).await;
    close(engine).await;
    let copy = segments(dir.path()).pop().unwrap();
    let mut bytes = fs::read(&copy).unwrap();
    let holds = |frame: &Frame| position_of(&bytes, frame.payload());
    let (lost, at) = frames
        .iter()
        .enumerate()
        .filter_map(|(index, (_, frame))| Some((index, holds(frame)?)))
        .next_back()
        .unwrap();
    assert!(frames[lost].0.0 > frames[lost - 1].0.0 + 1);
    let footer = position_of(&bytes, b"HYDRFTR\0").unwrap();
    let header = at - 4 * frames[lost].1.records() - 56;
    bytes[header..footer + 64].fill(0x5a);
    fs::write(&copy, bytes).unwrap();
    let (engine, _) = open(dir.path()).await;
    let found = read_all(&*engine.log, LANE).await;
    assert_eq!(found.len(), frames.len());
    for (index, (found, expected)) in found.into_iter().zip(&frames).enumerate() {
        match found {
            Ok(found) => assert!(found == *expected && index != lost),
            Err(LogError::Damaged { position, .. }) => {
                assert_eq!((index, position), (lost, expected.0));
            }
            Err(error) => panic!("{error}"),
        }
    }
    close(engine).await;
}
