//! An examination names every kind of damage and changes nothing; a repair makes a healthy directory and keeps what it changed.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use hydrant_engine::{
    Engine, EngineParts, Expect, Frame, LaneId, OpenError, Position, Version,
    doctor::{Diagnosis, Doctor, Finding, Observer, Repair, SeenFrame, Severity},
    local::disk::{Disk, Op},
};

use super::{
    close, config, damage::segments, frame, open, read, read_all, scratch, shrinks_to,
    small_and_large,
};

const LANE: LaneId = LaneId(1);
const OTHER: LaneId = LaneId(2);

fn doctor(dir: &Path) -> Doctor {
    loop {
        match Doctor::begin(config(dir), EngineParts::system().unwrap()) {
            // See `open_with`: a child of another test may have the lock for a moment.
            Err(OpenError::Locked { .. }) => std::thread::yield_now(),
            begun => return begun.unwrap(),
        }
    }
}

/// Examines the directory, and sees to it that no byte of it changed.
pub(crate) fn examine(dir: &Path) -> Diagnosis {
    // An engine that was dropped may still be closing until it lets go of the directory.
    let doctor = doctor(dir);
    let before = snapshot(dir);
    let diagnosis = doctor.examine(&mut ()).unwrap();
    assert!(snapshot(dir) == before, "an examination changed something");
    diagnosis
}

/// Every file below `dir`.
fn snapshot(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(snapshot(&path));
        } else {
            files.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    files
}

/// Repairs what can be repaired; where the bytes went that it changed.
fn repair(dir: &Path, diagnosis: &Diagnosis) -> PathBuf {
    let repairs: Vec<Repair> = diagnosis
        .findings
        .iter()
        .filter_map(|finding| finding.repair.clone())
        .collect();
    let repaired = doctor(dir).repair(&repairs, "now").unwrap();
    assert!(repaired.done.iter().all(|it| repairs.contains(it)));
    repaired.set_aside.unwrap_or_else(|| dir.join("nothing"))
}

/// A directory with several sealed segments of two lanes, and a value in the catalog.
async fn filled(dir: &Path) -> Vec<(Position, Frame)> {
    let (engine, _) = open(dir).await;
    let mut frames = Vec::new();
    for number in 0..60 {
        let one = frame(1000 + number, 700);
        let position = engine.log.append(LANE, one.clone()).await.unwrap();
        frames.push((position, one));
        engine
            .log
            .append(OTHER, frame(5000 + number, 700))
            .await
            .unwrap();
    }
    engine.log.trim(LANE, frames[2].0).await.unwrap();
    for lane in 900..903 {
        engine.log.append(LaneId(lane), frame(1, 1)).await.unwrap();
        engine.log.remove(LaneId(lane)).await.unwrap();
    }
    let value = Bytes::from_static(b"a value that is easily found");
    engine
        .catalog
        .put("some/key", value, Expect::Absent)
        .await
        .unwrap();
    close(engine).await;
    frames.split_off(2)
}

fn edit(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

fn find(path: &Path, needle: &[u8]) -> usize {
    let bytes = fs::read(path).unwrap();
    let found = bytes.windows(needle.len()).position(|it| it == needle);
    found.unwrap()
}

/// The first segment that is full, and the first frame of lane 1 in it that the log still holds.
fn victim(dir: &Path, frames: &[(Position, Frame)]) -> (PathBuf, usize, usize) {
    let file = segments(dir).remove(1);
    let bytes = fs::read(&file).unwrap();
    let held = frames.iter().enumerate().find_map(|(index, (_, frame))| {
        let payload = frame.payload();
        let at = bytes.windows(payload.len()).position(|it| it == payload);
        Some((index, at?))
    });
    let (index, at) = held.unwrap();
    (file, index, at)
}

fn flip(path: &Path, at: usize) {
    edit(path, |bytes| bytes[at] ^= 0x40);
}

fn only(diagnosis: &Diagnosis, file: &Path) -> Finding {
    let of_file: Vec<_> = diagnosis
        .findings
        .iter()
        .filter(|finding| finding.severity > Severity::Note)
        .collect();
    assert_eq!(of_file.len(), 1, "{:#?}", diagnosis.findings);
    assert_eq!(of_file[0].place, file);
    of_file[0].clone()
}

/// What a repair must lead to: the same frames but for `lost`, nothing to find, and the old bytes kept.
async fn assert_mended(
    dir: &Path,
    file: &Path,
    diagnosis: &Diagnosis,
    frames: &[(Position, Frame)],
    lost: &[Position],
) {
    let original = fs::read(file).ok();
    let kept = repair(dir, diagnosis);
    if let Some(original) = original {
        let kept = kept.join(file.strip_prefix(dir).unwrap());
        assert!(fs::read(&kept).unwrap() == original, "{}", kept.display());
    }
    let after = examine(dir);
    let bad = after.worst() > Some(Severity::Note);
    assert!(!bad, "{:#?}", after.findings);
    assert!(after.next_position >= diagnosis.next_position);
    let (engine, report) = open(dir).await;
    assert_eq!(report.damage, []);
    let mut expected = frames.iter().filter(|(at, _)| !lost.contains(at));
    for found in read_all(&*engine.log, LANE).await {
        match found {
            Ok(found) => assert!(Some(&found) == expected.next()),
            Err(error) => assert!(!lost.is_empty(), "{error}"),
        }
    }
    assert_eq!(expected.next(), None);
    let next = engine.log.append(LANE, frame(1, 1)).await.unwrap();
    assert!(next >= diagnosis.next_position);
    close(engine).await;
}

#[derive(Default)]
struct Seen {
    frames: Vec<SeenFrame>,
    values: Vec<(String, Version, Vec<u8>)>,
    progress: Vec<(u64, u64)>,
}

impl Observer for Seen {
    fn value(&mut self, key: &str, version: Version, value: &[u8]) {
        assert!(self.frames.is_empty());
        self.values.push((key.to_owned(), version, value.to_vec()));
    }

    fn frame(&mut self, frame: &SeenFrame) {
        self.frames.push(*frame);
    }

    fn progress(&mut self, done: u64, of: u64) {
        self.progress.push((done, of));
    }
}

#[tokio::test]
async fn a_healthy_directory_is_shown_and_nothing_is_found() {
    let dir = scratch();
    let frames = filled(dir.path()).await;
    assert_eq!(examine(dir.path()).findings, []);
    let mut seen = Seen::default();
    let diagnosis = doctor(dir.path()).examine(&mut seen).unwrap();
    let of_lane: Vec<_> = seen.frames.iter().filter(|it| it.lane == LANE).collect();
    assert_eq!(of_lane.len(), frames.len());
    for (seen, (position, frame)) in of_lane.iter().zip(&frames) {
        assert_eq!((seen.position, seen.lost), (*position, false));
        assert_eq!((seen.records, seen.bytes), (1, frame.bytes() as u64));
    }
    let held = diagnosis.lanes[&LANE];
    assert_eq!(
        (held.frames, held.records),
        (frames.len() as u64, frames.len() as u64)
    );
    assert_eq!(held.oldest, Some(frames[0].1.arrival()));
    assert_eq!(
        diagnosis.removed,
        [900, 901, 902].map(LaneId),
        "removed lanes"
    );
    let value = b"a value that is easily found".to_vec();
    assert_eq!(seen.values, [("some/key".to_owned(), Version(1), value)]);
    assert!(seen.progress.windows(2).all(|it| it[0].0 <= it[1].0));
    let &(done, of) = seen.progress.last().unwrap();
    assert_eq!((done, diagnosis.bytes), (of, of));
    let (engine, _) = open(dir.path()).await;
    assert!(engine.log.append(LANE, frame(1, 1)).await.unwrap() >= diagnosis.next_position);
    close(engine).await;
}

#[tokio::test]
async fn an_open_directory_and_one_that_is_none_are_refused() {
    let dir = scratch();
    let (engine, _) = open(dir.path()).await;
    let begun = Doctor::begin(config(dir.path()), EngineParts::system().unwrap());
    assert!(
        matches!(begun, Err(OpenError::Locked { pid: Some(pid), .. }) if pid == std::process::id())
    );
    close(engine).await;
    let empty = scratch();
    let begun = Doctor::begin(config(empty.path()), EngineParts::system().unwrap());
    assert!(matches!(begun, Err(OpenError::Format { .. })), "{begun:?}");
    let missing = empty.path().join("missing");
    let begun = Doctor::begin(config(&missing), EngineParts::system().unwrap());
    assert!(matches!(begun, Err(OpenError::Io { .. })), "{begun:?}");
    assert!(!missing.exists());
}

#[tokio::test]
async fn any_byte_of_a_frame_is_missed_and_marked_as_lost() {
    let dir = scratch();
    let frames = filled(dir.path()).await;
    let (file, lost, payload) = victim(dir.path(), &frames);
    let start = payload - 60;
    for at in (start..payload + 700).step_by(13) {
        flip(&file, at);
        let diagnosis = examine(dir.path());
        let finding = only(&diagnosis, &file);
        assert_eq!(finding.severity, Severity::Damage, "byte {at}");
        assert_eq!(finding.lane, Some(LANE), "byte {at}");
        let position = frames[lost].0;
        assert_eq!(finding.positions, Some((position, position)), "byte {at}");
        assert_eq!(finding.offset, Some(start as u64), "byte {at}");
        assert!(finding.lost.starts_with("1 frame"), "{}", finding.lost);
        flip(&file, at);
    }
    flip(&file, payload + 10);
    let diagnosis = examine(dir.path());
    assert_mended(dir.path(), &file, &diagnosis, &frames, &[frames[lost].0]).await;
    // What is lost stays known.
    let known = examine(dir.path()).findings;
    assert!(known.iter().any(|it| it.positions.is_some()), "{known:?}");
}

#[tokio::test]
async fn a_frame_that_nobody_needs_any_more_is_a_note() {
    let dir = scratch();
    let (engine, _) = open(dir.path()).await;
    let gone = frame(7, 700);
    engine.log.append(LANE, gone.clone()).await.unwrap();
    for number in 0..60 {
        engine.log.append(LANE, frame(number, 700)).await.unwrap();
    }
    engine.log.trim(LANE, Position(2)).await.unwrap();
    close(engine).await;
    let file = segments(dir.path()).remove(0);
    flip(&file, find(&file, gone.payload()) + 3);
    let diagnosis = examine(dir.path());
    assert_eq!(diagnosis.worst(), Some(Severity::Note));
    assert_eq!(diagnosis.findings.len(), 1, "{:?}", diagnosis.findings);
}

#[tokio::test]
async fn every_byte_of_an_index_and_of_both_headers_is_checked() {
    let dir = scratch();
    let frames = filled(dir.path()).await;
    let (file, _, _) = victim(dir.path(), &frames);
    let len = fs::metadata(&file).unwrap().len() as usize;
    let footer = find(&file, b"HYDRFTR\0");
    for at in (0..4096).step_by(61).chain(footer..len) {
        flip(&file, at);
        let diagnosis = examine(dir.path());
        let finding = only(&diagnosis, &file);
        assert_eq!(finding.severity, Severity::Damage, "byte {at}");
        assert!(finding.lost.starts_with("nothing"), "{}", finding.lost);
        assert_eq!(finding.repair, Some(Repair::Segment(2)));
        flip(&file, at);
    }
    // Head, section, rows, trailer; each header and both.
    for places in [
        vec![footer + 3],
        vec![footer + 40],
        vec![len - 120],
        vec![len - 50],
        vec![20],
        vec![2070],
        vec![20, 2070],
    ] {
        let copy = scratch();
        crate::model::copy_dir(dir.path(), copy.path()).unwrap();
        let file = segments(copy.path()).remove(1);
        places.iter().for_each(|&at| flip(&file, at));
        let diagnosis = examine(copy.path());
        only(&diagnosis, &file);
        assert_mended(copy.path(), &file, &diagnosis, &frames, &[]).await;
    }
}

#[tokio::test]
async fn a_segment_that_cannot_be_read_at_all_is_moved_away() {
    let dir = scratch();
    let frames = filled(dir.path()).await;
    let count = segments(dir.path()).len();
    // In the middle, and the last: its positions must not be given again.
    for victim in [1, count - 1] {
        for cut in [0, 100, 5000] {
            let copy = scratch();
            crate::model::copy_dir(dir.path(), copy.path()).unwrap();
            let file = segments(copy.path()).remove(victim);
            let held = fs::read(&file).unwrap();
            edit(&file, |bytes| {
                bytes.truncate(cut);
                bytes.fill(0xa5);
            });
            let diagnosis = examine(copy.path());
            let finding = only(&diagnosis, &file);
            assert_eq!(finding.repair, Some(Repair::MoveAway(file.clone())));
            let lost: Vec<Position> = frames
                .iter()
                .filter(|(_, frame)| held.windows(700).any(|it| it == frame.payload()))
                .map(|(position, _)| *position)
                .collect();
            assert_mended(copy.path(), &file, &diagnosis, &frames, &lost).await;
        }
    }
}

#[tokio::test]
async fn a_cut_segment_loses_what_was_cut_off() {
    let dir = scratch();
    let frames = filled(dir.path()).await;
    let (file, index, at) = victim(dir.path(), &frames);
    let held = fs::read(&file).unwrap();
    edit(&file, |bytes| bytes.truncate(at + 100));
    let diagnosis = examine(dir.path());
    assert_eq!(diagnosis.worst(), Some(Severity::Damage));
    let findings = &diagnosis.findings;
    assert!(findings.iter().all(|it| it.place == file), "{findings:?}");
    let lost: Vec<Position> = frames[index..]
        .iter()
        .filter(|(_, frame)| held.windows(700).any(|it| it == frame.payload()))
        .map(|(position, _)| *position)
        .collect();
    assert!(!lost.is_empty());
    assert_mended(dir.path(), &file, &diagnosis, &frames, &lost).await;
}

#[tokio::test]
async fn damage_to_the_lanes_file_is_named_and_what_can_be_read_is_kept() {
    let dir = scratch();
    let frames = filled(dir.path()).await;
    let first = 32;
    type Change = fn(&mut Vec<u8>);
    let cases: [(&str, Severity, Change, usize); 5] = [
        ("record", Severity::Damage, |it| it[40] ^= 1, 0),
        ("header", Severity::Fatal, |it| it[3] ^= 1, 0),
        ("version", Severity::Fatal, |it| it[8] ^= 1, 0),
        ("cut", Severity::Damage, |it| it.truncate(32 + 3 * 32), 1),
        ("empty", Severity::Fatal, |it| it.truncate(0), 3),
    ];
    for (what, severity, change, forgotten) in cases {
        let copy = scratch();
        crate::model::copy_dir(dir.path(), copy.path()).unwrap();
        let file = copy.path().join("log/lanes");
        edit(&file, change);
        let diagnosis = examine(copy.path());
        let finding = only(&diagnosis, &file);
        assert_eq!(
            (finding.severity, finding.repair.clone()),
            (severity, Some(Repair::Lanes)),
            "{what}"
        );
        if what == "record" {
            assert_eq!(finding.offset, Some(first));
        }
        // How far lane 1 was trimmed may be forgotten, too: then its first frames are back.
        let kept = repair(copy.path(), &diagnosis);
        assert!(kept.join("log/lanes").exists(), "{what}");
        let after = examine(copy.path());
        assert_eq!(after.findings, [], "{what}");
        assert_eq!(after.removed.len(), 3 - forgotten, "{what}");
        let (engine, _) = open(copy.path()).await;
        let found = read(&*engine.log, LANE).await;
        assert!(found.ends_with(&frames), "{what}");
        close(engine).await;
    }
    // Missing altogether.
    let file = dir.path().join("log/lanes");
    fs::remove_file(&file).unwrap();
    let diagnosis = examine(dir.path());
    only(&diagnosis, &file);
    repair(dir.path(), &diagnosis);
    assert_eq!(examine(dir.path()).findings, []);
}

#[tokio::test]
async fn a_format_that_is_damaged_is_written_again_and_an_unknown_one_is_not() {
    let dir = scratch();
    let frames = filled(dir.path()).await;
    for text in [
        Some("hydrant-dbta 1\n"),
        Some(""),
        Some("hydrant-data x\n"),
        None,
    ] {
        let copy = scratch();
        crate::model::copy_dir(dir.path(), copy.path()).unwrap();
        let file = copy.path().join("FORMAT");
        match text {
            Some(text) => fs::write(&file, text).unwrap(),
            None => fs::remove_file(&file).unwrap(),
        }
        let diagnosis = examine(copy.path());
        assert_eq!(only(&diagnosis, &file).severity, Severity::Fatal);
        assert_mended(copy.path(), &file, &diagnosis, &frames, &[]).await;
    }
    let file = dir.path().join("FORMAT");
    fs::write(&file, "hydrant-data 2\n").unwrap();
    let diagnosis = examine(dir.path());
    let finding = only(&diagnosis, &file);
    assert_eq!((finding.severity, finding.repair), (Severity::Fatal, None));
    assert!(finding.remedy.contains("the program that wrote it"));
    assert_eq!(diagnosis.segments, 0, "nothing else is looked at");
}

#[tokio::test]
async fn what_is_of_a_newer_version_is_named_and_left_alone() {
    let dir = scratch();
    let frames = filled(dir.path()).await;
    let (file, _, _) = victim(dir.path(), &frames);
    edit(&file, |bytes| {
        // As a later program might write it: another version, sound checksums, and no trailer that this one knows.
        for at in [0, 2048] {
            bytes[at + 8] = 9;
            let crc = crc32(&bytes[at..at + 48]);
            bytes[at + 48..at + 52].copy_from_slice(&crc.to_le_bytes());
        }
        let len = bytes.len();
        bytes[len - 96 + 8] = 9;
        let crc = crc32(&bytes[len - 96..len - 4]);
        bytes[len - 4..].copy_from_slice(&crc.to_le_bytes());
    });
    let diagnosis = examine(dir.path());
    let finding = only(&diagnosis, &file);
    assert_eq!((finding.severity, finding.repair), (Severity::Fatal, None));
    assert!(finding.what.contains("version 9"), "{}", finding.what);
}

/// CRC-32 (IEEE), bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for &byte in bytes {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & 0u32.wrapping_sub(crc & 1));
        }
    }
    !crc
}

#[tokio::test]
async fn damage_to_the_catalog_is_named_and_left_alone() {
    let dir = scratch();
    filled(dir.path()).await;
    let file = dir.path().join("catalog.redb");
    let value = find(&file, b"a value that is easily found");
    for at in [0, 12, value, value + 5] {
        flip(&file, at);
        let diagnosis = examine(dir.path());
        let finding = only(&diagnosis, &file);
        assert_eq!(
            (finding.severity, &finding.repair),
            (Severity::Fatal, &None)
        );
        assert!(finding.remedy.contains("backup"), "byte {at}: {finding}");
        assert_eq!(diagnosis.values, None);
        assert!(diagnosis.frames > 100, "the log is examined all the same");
        flip(&file, at);
    }
    // A byte anywhere is named, or does no harm: the value is there.
    let len = fs::metadata(&file).unwrap().len() as usize;
    let (mut named, mut harmless) = (0, 0);
    for at in (0..320).step_by(3).chain((320..len).step_by(len / 60)) {
        flip(&file, at);
        let mut seen = Seen::default();
        let diagnosis = doctor(dir.path()).examine(&mut seen).unwrap();
        match diagnosis.values {
            Some(_) => {
                assert_eq!(seen.values.len(), 1, "byte {at}");
                harmless += 1;
            }
            None => named += 1,
        }
        flip(&file, at);
    }
    assert!(named > 10 && harmless > 10, "{named} {harmless}");
    assert_eq!(examine(dir.path()).findings, []);
    for cut in [0, 9, 4096, len / 2] {
        let copy = scratch();
        crate::model::copy_dir(dir.path(), copy.path()).unwrap();
        let file = copy.path().join("catalog.redb");
        edit(&file, |bytes| bytes.truncate(cut));
        let finding = only(&examine(copy.path()), &file);
        assert_eq!(finding.severity, Severity::Fatal, "cut to {cut}");
    }
    fs::remove_file(&file).unwrap();
    let finding = only(&examine(dir.path()), &file);
    assert!(finding.remedy.contains("backup"), "{finding}");
}

#[tokio::test]
async fn values_are_taken_out_and_put_in_and_the_old_ones_kept() {
    let dir = scratch();
    filled(dir.path()).await;
    let repairs = [
        Repair::RemoveValue("some/key".to_owned()),
        Repair::PutValue("other/key".to_owned(), b"new".to_vec()),
        Repair::Positions(Position(1 << 40)),
    ];
    let catalog = fs::read(dir.path().join("catalog.redb")).unwrap();
    let repaired = doctor(dir.path()).repair(&repairs, "now").unwrap();
    let kept = repaired.set_aside.unwrap();
    assert!(fs::read(kept.join("catalog.redb")).unwrap() == catalog);
    let value = fs::read(kept.join("values/some%2Fkey")).unwrap();
    assert_eq!(value, b"a value that is easily found");
    let diagnosis = examine(dir.path());
    assert_eq!(diagnosis.findings, []);
    assert!(diagnosis.next_position >= Position(1 << 40));
    let (engine, _) = open(dir.path()).await;
    assert_eq!(engine.catalog.get("some/key").await.unwrap(), None);
    let put = engine.catalog.get("other/key").await.unwrap().unwrap();
    assert_eq!(&put.value[..], b"new");
    assert!(put.version > Version(1));
    let next = engine.log.append(LANE, frame(1, 1)).await.unwrap();
    assert!(next >= Position(1 << 40));
    close(engine).await;
    // Another repair in the same second has a place of its own.
    let again = doctor(dir.path()).repair(&[Repair::Lanes], "now").unwrap();
    assert_ne!(again.set_aside.unwrap(), kept);
}

/// What a crash leaves while records come in, at many points: a copy of what is on the disk then.
#[tokio::test]
async fn what_a_crash_leaves_is_no_damage() {
    let dir = scratch();
    let (engine, _) = open(dir.path()).await;
    for round in 0..12 {
        load(&engine, round).await;
        let copy = scratch();
        crate::model::copy_dir(dir.path(), copy.path()).unwrap();
        fs::write(copy.path().join("log/00000000000000ff.tmp"), "half").unwrap();
        // A batch that was being written.
        let last = segments(copy.path()).pop().unwrap();
        let end = sound_end(&last);
        edit(&last, |bytes| bytes[end..end + 200].fill(0x5a));
        let diagnosis = examine(copy.path());
        assert_eq!(diagnosis.worst(), Some(Severity::Note), "{diagnosis:#?}");
        assert_eq!(diagnosis.findings.len(), 3, "{:#?}", diagnosis.findings);
        assert!(
            diagnosis
                .findings
                .iter()
                .any(|it| it.offset == Some(end as u64))
        );
    }
    close(engine).await;
}

/// The segment that is written to begins where the copy of all before it ends.
#[tokio::test]
async fn what_comes_after_a_compaction_is_not_taken_for_compacted() {
    let dir = scratch();
    let (engine, _) = open(dir.path()).await;
    // Several segments, little of which is needed any more.
    let last = small_and_large(&engine, LANE, OTHER, 7).await;
    engine.log.trim(OTHER, last.next()).await.unwrap();
    shrinks_to(&engine, 28 << 10).await;
    engine.log.append(LANE, frame(7, 40)).await.unwrap();
    let copy = scratch();
    crate::model::copy_dir(dir.path(), copy.path()).unwrap();
    let diagnosis = examine(copy.path());
    assert_eq!(diagnosis.lanes[&LANE].frames, 8, "{diagnosis:#?}");
    assert_eq!(diagnosis.findings.len(), 1, "{:#?}", diagnosis.findings);
    close(engine).await;
}

async fn load(engine: &Engine, round: u64) {
    for number in 0..11 {
        let number = round * 11 + number;
        let lane = LaneId(1 + number % 3);
        engine.log.append(lane, frame(number, 600)).await.unwrap();
    }
}

/// Where the zeros after a segment's last frame begin.
fn sound_end(file: &Path) -> usize {
    let bytes = fs::read(file).unwrap();
    let end = bytes.iter().rposition(|&byte| byte != 0).unwrap() + 1;
    end.next_multiple_of(8)
}

#[tokio::test]
async fn files_of_others_are_named_and_left_alone_unless_they_are_in_the_way() {
    let dir = scratch();
    filled(dir.path()).await;
    let harmless = [dir.path().join("notes.txt"), dir.path().join("log/readme")];
    for path in &harmless {
        fs::write(path, "mine").unwrap();
    }
    let diagnosis = examine(dir.path());
    assert_eq!(diagnosis.worst(), Some(Severity::Note));
    assert_eq!(diagnosis.findings.len(), 2);
    // A segment's number, but not as segments are called.
    let in_the_way = dir.path().join("log/00000000000000AB.seg");
    fs::write(&in_the_way, "mine").unwrap();
    let opened = Engine::open(config(dir.path())).await;
    assert!(opened.is_err(), "it keeps a node from starting");
    let diagnosis = examine(dir.path());
    let finding = only(&diagnosis, &in_the_way);
    assert_eq!(finding.severity, Severity::Fatal);
    let kept = repair(dir.path(), &diagnosis);
    assert_eq!(
        fs::read(kept.join("log/00000000000000AB.seg")).unwrap(),
        b"mine"
    );
    assert_eq!(examine(dir.path()).worst(), Some(Severity::Note));
    assert!(harmless.iter().all(|path| path.exists()));
    // A copy of a segment under another number.
    let files = segments(dir.path());
    let copied = dir.path().join("log/00000000000000aa.seg");
    fs::copy(&files[1], &copied).unwrap();
    let diagnosis = examine(dir.path());
    let finding = only(&diagnosis, &copied);
    assert_eq!(finding.repair, Some(Repair::MoveAway(copied.clone())));
}

#[tokio::test]
async fn a_bad_sector_is_named_and_the_rest_examined() {
    let dir = scratch();
    let frames = filled(dir.path()).await;
    let (file, lost, at) = victim(dir.path(), &frames);
    let name = file.clone();
    let hook = move |op: &Op<'_>| match op {
        Op::Read { path, offset, len } if *path == name => {
            let bad = (*offset..*offset + *len as u64).contains(&(at as u64));
            match bad {
                // EIO
                true => Err(io::Error::from_raw_os_error(5)),
                false => Ok(()),
            }
        }
        _ => Ok(()),
    };
    let parts = EngineParts {
        disk: Disk::with_hook(Arc::new(hook)),
        ..EngineParts::system().unwrap()
    };
    let doctor = Doctor::begin(config(dir.path()), parts).unwrap();
    let diagnosis = doctor.examine(&mut ()).unwrap();
    // The sector holds parts of its neighbours, too: of both lanes.
    let found = diagnosis
        .findings
        .iter()
        .filter(|it| it.severity > Severity::Note);
    let found: Vec<_> = found.collect();
    assert!(
        found
            .iter()
            .all(|it| it.place == file && it.severity == Severity::Damage)
    );
    let named = found.iter().any(|finding| {
        let (first, last) = finding.positions.unwrap();
        finding.lane == Some(LANE) && (first..=last).contains(&frames[lost].0)
    });
    assert!(named, "{found:#?}");
    assert!(diagnosis.frames > 60);
    let repairs: Vec<_> = found.iter().filter_map(|it| it.repair.clone()).collect();
    doctor.repair(&repairs, "now").unwrap();
    drop(doctor);
    assert_eq!(examine(dir.path()).worst(), Some(Severity::Note));
}
