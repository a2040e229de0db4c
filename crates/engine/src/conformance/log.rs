//! The cases of [`Log`].

use std::{collections::BTreeMap, ops::Range, sync::Arc};

use futures::{FutureExt, StreamExt, future::join_all};

use super::{next, soon};
use crate::{
    clock::Timestamp,
    frame::Frame,
    log::{FrameMeta, LaneId, LaneUsage, Log, LogError, Position},
};

type Subject = Arc<dyn Log>;

const LANE: LaneId = LaneId(7);
const OTHER: LaneId = LaneId(8);
const ALL: Range<Position> = Position::START..Position(u64::MAX);

/// A frame that can be told from others.
fn frame(number: u64) -> Frame {
    let records = [
        format!("record {number}"),
        String::new(),
        number.to_string(),
    ];
    Frame::new(Timestamp(1_000 + number), records)
}

async fn append(log: &Subject, lane: LaneId, frame: &Frame) -> Position {
    soon(log.append(lane, frame.clone())).await.unwrap()
}

/// Appends frames with these numbers, one after another.
async fn fill(log: &Subject, lane: LaneId, numbers: Range<u64>) -> Vec<(Position, Frame)> {
    let mut frames = Vec::new();
    for number in numbers {
        let frame = frame(number);
        frames.push((append(log, lane, &frame).await, frame));
    }
    frames
}

async fn read(log: &Subject, lane: LaneId, range: Range<Position>) -> Vec<(Position, Frame)> {
    let frames: Vec<_> = soon(log.read(lane, range).collect()).await;
    frames.into_iter().collect::<Result<_, _>>().unwrap()
}

/// What a follower shows at once, up to `count` frames.
async fn followed(log: &Subject, lane: LaneId, from: Position, count: usize) -> Vec<Position> {
    let metas: Vec<_> = soon(log.follow(lane, from).take(count).collect()).await;
    let positions = metas.into_iter().map(|meta| meta.unwrap().position);
    positions.collect()
}

fn positions(frames: &[(Position, Frame)]) -> Vec<Position> {
    frames.iter().map(|(position, _)| *position).collect()
}

fn meta_of((position, frame): &(Position, Frame)) -> FrameMeta {
    FrameMeta {
        position: *position,
        arrival: frame.arrival(),
        records: u32::try_from(frame.records()).unwrap(),
        bytes: frame.bytes() as u64,
    }
}

fn usage_of(frames: &[(Position, Frame)]) -> LaneUsage {
    LaneUsage {
        frames: frames.len() as u64,
        records: frames.iter().map(|(_, it)| it.records() as u64).sum(),
        bytes: frames.iter().map(|(_, it)| it.bytes() as u64).sum(),
        oldest: frames.first().map(|(_, it)| it.arrival()),
        end: frames.last().map_or(Position::START, |(at, _)| at.next()),
    }
}

/// Promise 2, for frames of all shapes.
pub async fn a_frame_comes_back_as_it_was(log: &Subject) {
    let none: [&[u8]; 0] = [];
    let large: Vec<u8> = (0..1_000_003u32).map(|byte| byte as u8).collect();
    let shapes = [
        Frame::new(Timestamp(0), none),
        Frame::new(Timestamp(u64::MAX), [b""]),
        Frame::new(Timestamp(1), [&[0u8][..], &[], &[0; 300], &[255; 7]]),
        Frame::new(Timestamp(2), [large]),
        Frame::new(Timestamp(3), (0..5_000u32).map(|n| n.to_string())),
    ];
    let mut expected = Vec::new();
    for shape in shapes {
        expected.push((append(log, LANE, &shape).await, shape));
    }
    assert!(read(log, LANE, ALL).await == expected);
    let metas: Vec<_> = soon(log.follow(LANE, Position::START).take(5).collect()).await;
    let metas: Vec<_> = metas.into_iter().map(Result::unwrap).collect();
    assert_eq!(metas, expected.iter().map(meta_of).collect::<Vec<_>>());
}

/// `frame_limit` is exact, and refusing leaves no trace.
pub async fn a_frame_of_the_greatest_size_is_taken_and_a_larger_one_refused(log: &Subject) {
    let limit = log.frame_limit();
    let greatest = Frame::new(Timestamp(1), [vec![1; limit]]);
    let larger = Frame::new(Timestamp(1), [vec![1; limit], vec![1; 1]]);
    let refused = soon(log.append(LANE, larger)).await;
    assert!(
        matches!(refused, Err(LogError::TooLarge { .. })),
        "{refused:?}"
    );
    let position = append(log, LANE, &greatest).await;
    assert!(read(log, LANE, ALL).await == [(position, greatest)]);
}

/// Promise 3.
pub async fn positions_rise_within_a_lane(log: &Subject) {
    let mut before = None;
    for number in 0..50 {
        append(log, OTHER, &frame(number)).await;
        let position = append(log, LANE, &frame(number)).await;
        assert!(before < Some(position));
        before = Some(position);
    }
}

/// Promise 3, with others appending at the same time.
pub async fn an_append_after_another_resolved_stands_higher(log: &Subject) {
    let one = |task: u64| async move {
        let mut before = Position::START;
        for number in 0..50 {
            let position = append(log, LANE, &frame(task * 100 + number)).await;
            assert!(position > before || number == 0);
            before = position;
        }
    };
    join_all((0..8).map(one)).await;
    assert_eq!(read(log, LANE, ALL).await.len(), 400);
}

/// `read` takes a half-open range whose ends need not be frames.
pub async fn reading_a_range_is_half_open(log: &Subject) {
    let frames = fill(log, LANE, 0..10).await;
    let (from, to) = (frames[3].0, frames[6].0);
    assert!(read(log, LANE, from..to).await == frames[3..6]);
    assert!(read(log, LANE, from..to.next()).await == frames[3..7]);
    assert!(read(log, LANE, frames[2].0.next()..to).await == frames[3..6]);
    assert!(read(log, LANE, Position::START..to).await == frames[..6]);
}

/// Empty, backward and unknown ranges.
pub async fn reading_nothing_ends_at_once(log: &Subject) {
    let frames = fill(log, LANE, 0..3).await;
    let (first, last) = (frames[0].0, frames[2].0);
    assert!(read(log, LANE, first..first).await.is_empty());
    let backward = last..first;
    assert!(read(log, LANE, backward).await.is_empty());
    assert!(
        read(log, LANE, last.next()..Position(u64::MAX))
            .await
            .is_empty()
    );
    assert!(read(log, OTHER, ALL).await.is_empty());
}

/// A read of many frames of all sizes, between those of another lane.
pub async fn a_long_read_is_complete_and_in_order(log: &Subject) {
    let one = |number: u64| async move {
        let size = [10, 700, 40_000][(number % 3) as usize];
        let frame = Frame::new(Timestamp(number), [vec![number as u8; size]]);
        append(log, OTHER, &frame).await;
        (append(log, LANE, &frame).await, frame)
    };
    let mut frames = join_all((0..300).map(one)).await;
    frames.sort_by_key(|(position, _)| *position);
    assert!(read(log, LANE, ALL).await == frames);
    // A reader that loses interest does no harm.
    let mut reader = log.read(LANE, ALL);
    assert!(next(&mut reader).await.unwrap() == frames[0]);
    drop(reader);
    assert!(read(log, LANE, ALL).await == frames);
}

/// `follow` goes from the past to the future without a seam.
pub async fn following_shows_what_is_there_and_then_what_comes(log: &Subject) {
    let mut frames = fill(log, LANE, 0..20).await;
    let mut follower = log.follow(LANE, Position::START);
    for frame in &frames {
        assert_eq!(next(&mut follower).await.unwrap(), meta_of(frame));
    }
    for number in 20..40 {
        assert!(follower.next().now_or_never().is_none(), "nothing is there");
        let frame = frame(number);
        frames.push((append(log, LANE, &frame).await, frame));
        assert_eq!(
            next(&mut follower).await.unwrap(),
            meta_of(&frames[frames.len() - 1])
        );
    }
}

/// `follow` begins at the first frame at or after the position it is given.
pub async fn following_from_the_middle(log: &Subject) {
    let frames = fill(log, LANE, 0..10).await;
    let expected = positions(&frames);
    assert_eq!(followed(log, LANE, expected[4], 6).await, expected[4..]);
    let after = expected[4].next();
    assert_eq!(followed(log, LANE, after, 5).await, expected[5..]);
    let mut beyond = log.follow(LANE, expected[9].next());
    assert!(beyond.next().now_or_never().is_none());
    let frame = frame(10);
    let position = append(log, LANE, &frame).await;
    assert_eq!(next(&mut beyond).await.unwrap().position, position);
}

/// A lane may be followed before anything was appended to it.
pub async fn following_before_the_first_frame(log: &Subject) {
    let mut follower = log.follow(LANE, Position::START);
    assert!(follower.next().now_or_never().is_none());
    assert_eq!(log.lane_usage(LANE), LaneUsage::default());
    assert!(soon(log.lanes()).await.unwrap().is_empty());
    let frames = fill(log, LANE, 0..1).await;
    assert_eq!(next(&mut follower).await.unwrap(), meta_of(&frames[0]));
}

/// Followers of one lane each see all of it.
pub async fn followers_do_not_disturb_each_other(log: &Subject) {
    let mut early: Vec<_> = (0..4).map(|_| log.follow(LANE, Position::START)).collect();
    let frames = fill(log, LANE, 0..30).await;
    for follower in &mut early {
        for frame in &frames {
            assert_eq!(next(follower).await.unwrap(), meta_of(frame));
        }
    }
}

/// What is appended to one lane is not shown in another.
pub async fn a_follower_of_one_lane_does_not_see_another(log: &Subject) {
    let mut follower = log.follow(LANE, Position::START);
    fill(log, OTHER, 0..10).await;
    assert!(follower.next().now_or_never().is_none());
    let frames = fill(log, LANE, 0..1).await;
    assert_eq!(next(&mut follower).await.unwrap(), meta_of(&frames[0]));
}

/// As many streams as a node may have, each woken by its own frame.
pub async fn a_thousand_followers(log: &Subject) {
    let one = |lane: u64| async move {
        let lane = LaneId(lane);
        let mut follower = log.follow(lane, Position::START);
        for number in 0..3 {
            let position = append(log, lane, &frame(number)).await;
            assert_eq!(next(&mut follower).await.unwrap().position, position);
        }
    };
    join_all((1..=1000).map(one)).await;
}

/// Promise 8: followers and readers that stand still cost the others nothing.
pub async fn lanes_do_not_hold_each_other_back(log: &Subject) {
    fill(log, LANE, 0..20).await;
    let mut stuck_follower = log.follow(LANE, Position::START);
    let mut stuck_reader = log.read(LANE, ALL);
    next(&mut stuck_follower).await.unwrap();
    next(&mut stuck_reader).await.unwrap();
    let frames = fill(log, OTHER, 0..200).await;
    assert!(read(log, OTHER, ALL).await == frames);
    soon(log.trim(OTHER, frames[100].0)).await.unwrap();
    soon(log.remove(OTHER)).await.unwrap();
    drop((stuck_follower, stuck_reader));
}

/// Promise 7.
pub async fn a_dropped_append_is_not_withdrawn(log: &Subject) {
    let mut follower = log.follow(LANE, Position::START);
    for number in 0..50 {
        let mut append = log.append(LANE, frame(number));
        // One poll begins it.
        let _ = futures::poll!(&mut append);
        drop(append);
    }
    for number in 0..50 {
        let meta = next(&mut follower).await.unwrap();
        assert_eq!(meta.arrival, frame(number).arrival());
    }
    assert_eq!(read(log, LANE, ALL).await.len(), 50);
}

/// Promises 1 to 4 under load: followers, readers and appenders at once.
pub async fn concurrent_appends_are_each_shown_once_in_order(log: &Subject) {
    const TASKS: u64 = 16;
    const EACH: u64 = 60;
    let lane_of = |task: u64| LaneId(1 + task % 4);
    let appender = |task: u64| async move {
        let mut appended = Vec::new();
        for number in 0..EACH {
            let frame = frame(task * EACH + number);
            let position = append(log, lane_of(task), &frame).await;
            // Promise 4, from the other side: what resolved can be read.
            let range = position..position.next();
            assert!(read(log, lane_of(task), range).await == [(position, frame.clone())]);
            appended.push((lane_of(task), position, frame));
        }
        appended
    };
    let follower = |lane: u64| {
        let mut follower = log.follow(LaneId(lane), Position::START);
        async move {
            let mut seen = Vec::new();
            for _ in 0..EACH * TASKS / 4 {
                seen.push(next(&mut follower).await.unwrap());
            }
            (LaneId(lane), seen)
        }
    };
    let followers = join_all((1..=4).map(follower));
    let (appended, seen) = futures::join!(join_all((0..TASKS).map(appender)), followers);
    let mut expected: BTreeMap<LaneId, Vec<(Position, Frame)>> = BTreeMap::new();
    for (lane, position, frame) in appended.into_iter().flatten() {
        expected.entry(lane).or_default().push((position, frame));
    }
    for (lane, seen) in seen {
        let expected = expected.get_mut(&lane).unwrap();
        expected.sort_by_key(|(position, _)| *position);
        assert_eq!(seen, expected.iter().map(meta_of).collect::<Vec<_>>());
        assert!(read(log, lane, ALL).await == *expected);
    }
}

/// `lane_usage`, and `usage` as far as engines agree on it.
pub async fn usage_counts_what_is_kept(log: &Subject) {
    assert_eq!(log.lane_usage(LANE), LaneUsage::default());
    let frames = fill(log, LANE, 0..10).await;
    let others = fill(log, OTHER, 100..103).await;
    assert_eq!(log.lane_usage(LANE), usage_of(&frames));
    assert_eq!(log.lane_usage(OTHER), usage_of(&others));
    let usage = log.usage();
    let data = log.lane_usage(LANE).bytes + log.lane_usage(OTHER).bytes;
    assert!(usage.disk_bytes >= data, "{usage:?}");
    assert!(usage.writable);
    assert_eq!(usage.damaged_frames, 0);
    soon(log.trim(LANE, frames[4].0)).await.unwrap();
    assert_eq!(log.lane_usage(LANE), usage_of(&frames[4..]));
    soon(log.trim(LANE, frames[9].0.next())).await.unwrap();
    assert_eq!(log.lane_usage(LANE), LaneUsage::default());
    assert_eq!(log.lane_usage(OTHER), usage_of(&others));
}

/// `trim` at a frame, between frames, and in one lane of several.
pub async fn trim_forgets_what_is_below_and_nothing_else(log: &Subject) {
    let frames = fill(log, LANE, 0..10).await;
    let others = fill(log, OTHER, 0..10).await;
    soon(log.trim(LANE, frames[3].0)).await.unwrap();
    assert!(read(log, LANE, ALL).await == frames[3..]);
    let expected = positions(&frames[3..]);
    assert_eq!(followed(log, LANE, Position::START, 7).await, expected);
    soon(log.trim(LANE, frames[5].0.next())).await.unwrap();
    assert!(read(log, LANE, ALL).await == frames[6..]);
    assert!(read(log, OTHER, ALL).await == others);
}

/// A trim below an earlier one brings nothing back.
pub async fn trim_is_idempotent_and_never_goes_back(log: &Subject) {
    let frames = fill(log, LANE, 0..10).await;
    for _ in 0..2 {
        soon(log.trim(LANE, frames[6].0)).await.unwrap();
        soon(log.trim(LANE, frames[2].0)).await.unwrap();
        soon(log.trim(LANE, Position::START)).await.unwrap();
        assert!(read(log, LANE, ALL).await == frames[6..]);
        assert_eq!(log.lane_usage(LANE), usage_of(&frames[6..]));
    }
}

/// Promise 5: a frame that did not yet exist cannot have been trimmed.
pub async fn trim_beyond_the_end_keeps_what_comes_later(log: &Subject) {
    let frames = fill(log, LANE, 0..3).await;
    let far = Position(frames[2].0.0 + 1_000_000);
    soon(log.trim(LANE, far)).await.unwrap();
    assert!(read(log, LANE, ALL).await.is_empty());
    let later = fill(log, LANE, 3..6).await;
    assert!(later[0].0 > frames[2].0, "positions are never given twice");
    assert!(read(log, LANE, ALL).await == later);
    assert_eq!(log.lane_usage(LANE), usage_of(&later));
}

/// Trimming what does not exist, and what exists no more.
pub async fn trim_of_an_unknown_lane_does_nothing(log: &Subject) {
    soon(log.trim(LANE, Position(1000))).await.unwrap();
    let frames = fill(log, LANE, 0..2).await;
    assert!(read(log, LANE, ALL).await == frames);
    soon(log.remove(LANE)).await.unwrap();
    soon(log.trim(LANE, Position(1000))).await.unwrap();
}

/// A follower that was slow does not show what is gone.
pub async fn a_follower_skips_what_was_trimmed(log: &Subject) {
    let frames = fill(log, LANE, 0..20).await;
    let mut follower = log.follow(LANE, Position::START);
    assert_eq!(next(&mut follower).await.unwrap(), meta_of(&frames[0]));
    soon(log.trim(LANE, frames[15].0)).await.unwrap();
    for frame in &frames[15..] {
        assert_eq!(next(&mut follower).await.unwrap(), meta_of(frame));
    }
}

/// A follower at the end stays there when everything is trimmed.
pub async fn a_follower_waits_through_a_trim_of_everything(log: &Subject) {
    let frames = fill(log, LANE, 0..3).await;
    let mut follower = log.follow(LANE, Position::START);
    soon(log.trim(LANE, frames[2].0.next())).await.unwrap();
    assert!(follower.next().now_or_never().is_none());
    let later = fill(log, LANE, 3..4).await;
    assert_eq!(next(&mut follower).await.unwrap(), meta_of(&later[0]));
}

/// `remove` is for good, and for one lane.
pub async fn remove_forgets_and_refuses(log: &Subject) {
    fill(log, LANE, 0..10).await;
    let others = fill(log, OTHER, 0..10).await;
    for _ in 0..2 {
        soon(log.remove(LANE)).await.unwrap();
        assert!(read(log, LANE, ALL).await.is_empty());
        assert_eq!(log.lane_usage(LANE), LaneUsage::default());
        assert_eq!(soon(log.lanes()).await.unwrap(), [OTHER]);
        let refused = soon(log.append(LANE, frame(1))).await;
        assert!(
            matches!(refused, Err(LogError::LaneRemoved(LANE))),
            "{refused:?}"
        );
    }
    assert!(read(log, OTHER, ALL).await == others);
    fill(log, OTHER, 10..20).await;
}

/// Whether they wait, have frames ahead, or come too late.
pub async fn remove_ends_followers(log: &Subject) {
    fill(log, LANE, 0..10).await;
    let mut waiting = log.follow(LANE, Position(u64::MAX));
    let mut in_the_midst = log.follow(LANE, Position::START);
    assert!(waiting.next().now_or_never().is_none());
    next(&mut in_the_midst).await.unwrap();
    soon(log.remove(LANE)).await.unwrap();
    assert!(soon(waiting.next()).await.is_none());
    assert!(soon(in_the_midst.next()).await.is_none());
    assert!(
        soon(log.follow(LANE, Position::START).next())
            .await
            .is_none()
    );
}

/// A lane may be removed before its first frame.
pub async fn remove_of_an_unknown_lane_is_remembered(log: &Subject) {
    soon(log.remove(LANE)).await.unwrap();
    let refused = soon(log.append(LANE, frame(1))).await;
    assert!(
        matches!(refused, Err(LogError::LaneRemoved(LANE))),
        "{refused:?}"
    );
    fill(log, OTHER, 0..1).await;
}

/// Appends that race a removal are taken or refused, and leave nothing.
pub async fn remove_while_appending_settles(log: &Subject) {
    let appender = |task: u64| async move {
        for number in 0..1000 {
            match soon(log.append(LANE, frame(task * 1000 + number))).await {
                Ok(_) => {}
                Err(LogError::LaneRemoved(LANE)) => return,
                Err(error) => panic!("{error}"),
            }
            // An engine may resolve at once.
            tokio::task::yield_now().await;
        }
        panic!("the removal was never noticed");
    };
    let remover = async {
        let mut follower = log.follow(LANE, Position::START);
        next(&mut follower).await.unwrap();
        soon(log.remove(LANE)).await.unwrap();
    };
    futures::join!(join_all((0..4).map(appender)), remover);
    assert!(read(log, LANE, ALL).await.is_empty());
    assert_eq!(log.lane_usage(LANE), LaneUsage::default());
    assert!(soon(log.lanes()).await.unwrap().is_empty());
}

/// `lanes` is sorted and leaves out what holds nothing.
pub async fn lanes_are_those_that_hold_something(log: &Subject) {
    assert!(soon(log.lanes()).await.unwrap().is_empty());
    let mut last = Position::START;
    for lane in [5, 3, 9, 1] {
        last = append(log, LaneId(lane), &frame(lane)).await;
    }
    let lanes = [1, 3, 5, 9].map(LaneId);
    assert_eq!(soon(log.lanes()).await.unwrap(), lanes);
    soon(log.trim(LaneId(3), last.next())).await.unwrap();
    soon(log.remove(LaneId(9))).await.unwrap();
    assert_eq!(soon(log.lanes()).await.unwrap(), [LaneId(1), LaneId(5)]);
}

/// What was begun is finished; what comes later is refused.
pub async fn close_waits_then_refuses(log: &Subject) {
    let mut begun: Vec<_> = (0..50)
        .map(|number| log.append(LANE, frame(number)))
        .collect();
    for append in &mut begun {
        // One poll begins it.
        if let std::task::Poll::Ready(done) = futures::poll!(append) {
            done.unwrap();
        }
    }
    soon(log.close()).await.unwrap();
    let refused = soon(log.append(LANE, frame(99))).await;
    assert!(matches!(refused, Err(LogError::Closed)), "{refused:?}");
    assert!(!log.usage().writable);
    assert_eq!(log.lane_usage(LANE).frames, 50);
    soon(log.close()).await.unwrap();
}

/// A follower sees everything before it ends.
pub async fn close_ends_followers_after_the_last_frame(log: &Subject) {
    let mut follower = log.follow(LANE, Position::START);
    assert!(follower.next().now_or_never().is_none());
    let frames = fill(log, LANE, 0..5).await;
    soon(log.close()).await.unwrap();
    for frame in &frames {
        assert_eq!(next(&mut follower).await.unwrap(), meta_of(frame));
    }
    assert!(soon(follower.next()).await.is_none());
}
