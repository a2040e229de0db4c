//! Retries, the 24 hours, healing, crashes and fencing.

use std::{sync::Arc, time::Duration};

use hydrant_engine::{Engine, Frame, Timestamp};

use super::rig::{BEGIN, Rig, Scripted, calm, until};
use crate::{
    delivery::{Settings, attempt::attempt_limit, checkpoint, retry},
    destination::DeliveryError,
    stream::CompressionFormat,
};

fn refused() -> DeliveryError {
    DeliveryError::refused("S3.NoSuchBucket", "there is no such bucket")
}

fn unreachable() -> DeliveryError {
    DeliveryError::Retry {
        code: "InternalError".to_owned(),
        message: "connection refused".to_owned(),
        unreachable: true,
    }
}

#[tokio::test]
async fn a_failure_is_shown_and_heals_when_it_is_fixed() {
    let rig = Rig::new().await;
    let stream = rig.stream("s", (5, 60)).await;
    rig.store.fail("b", refused());
    rig.put(stream.lane, &["a"]).await;
    rig.pass(60).await;
    until("an attempt failed", || {
        rig.status(&stream.key).unwrap().last_error.is_some()
    })
    .await;
    let status = rig.status(&stream.key).unwrap();
    let error = status.last_error.unwrap();
    assert_eq!(error.code, "S3.NoSuchBucket");
    assert_eq!(status.backlog_records, 1);
    let retry = status.next_retry.unwrap().since(error.time).as_millis();
    assert!((500..=1000).contains(&retry), "{retry}");

    for _ in 0..12 {
        rig.pass(300).await;
    }
    let attempts = rig.store.attempts();
    assert!(
        (10..=14).contains(&attempts),
        "{attempts} attempts in an hour"
    );
    rig.store.heal("b");
    rig.pass(300).await;
    rig.delivered(1).await;
    rig.drained(&stream.key).await;
    assert_eq!(rig.status(&stream.key).unwrap().last_error, None);
    assert_eq!(rig.store.contents(), ["a"]);
}

#[tokio::test]
async fn an_update_heals_at_once_under_the_new_version() {
    let rig = Rig::new().await;
    let stream = rig.stream("s", (5, 60)).await;
    rig.store.fail("b", refused());
    rig.put(stream.lane, &["a"]).await;
    rig.pass(60).await;
    until("an attempt failed", || rig.store.attempts() == 1).await;
    calm().await;
    // No time passes: the update itself wakes the span.
    rig.update(&stream.key, |spec| {
        spec.bucket_arn = "arn:aws:s3:::right".to_owned();
        spec.prefix = Some("new/".to_owned());
        spec.compression = CompressionFormat::Zip;
    })
    .await;
    rig.delivered(1).await;
    let key = rig.store.keys()[0].clone();
    assert!(
        key.starts_with("new/") && key.contains("/s-2-") && key.ends_with(".zip"),
        "{key}"
    );
    assert_eq!(rig.store.bodies("right", &key).len(), 1);
    rig.drained(&stream.key).await;
}

#[tokio::test]
async fn after_a_day_records_are_dropped_loudly_and_later_ones_delivered() {
    let rig = Rig::new().await;
    let stream = rig.stream("s", (5, 60)).await;
    rig.store.fail("b", refused());
    rig.put(stream.lane, &["old", "older"]).await;
    rig.pass(60).await;
    for _ in 0..23 * 12 {
        rig.pass(300).await;
    }
    rig.put(stream.lane, &["young"]).await;
    rig.pass(60).await;
    let before = rig.status(&stream.key).unwrap();
    assert_eq!((before.dropped_records, before.backlog_records), (0, 3));
    for _ in 0..12 {
        rig.pass(300).await;
    }
    until("the old ones are dropped", || {
        rig.status(&stream.key).unwrap().dropped_records == 2
    })
    .await;
    let status = rig.status(&stream.key).unwrap();
    assert_eq!((status.dropped_bytes, status.backlog_records), (8, 1));
    assert!(rig.metrics.encode().contains("DroppedRecords_total{"));

    rig.store.heal("b");
    rig.pass(300).await;
    rig.drained(&stream.key).await;
    assert_eq!(rig.store.contents(), ["young"]);
    assert_eq!(
        rig.status(&stream.key).unwrap().dropped_records,
        2,
        "and stays known"
    );
}

#[tokio::test]
async fn a_dead_destination_is_only_probed_and_one_attempt_is_made_at_a_time() {
    let rig = Rig::new().await;
    let stream = rig.stream("s", (1, 60)).await;
    rig.store.fail("b", unreachable());
    for _ in 0..3 {
        rig.put_bytes(stream.lane, 1 << 20).await;
    }
    until("all three failed", || {
        rig.store.attempts() + rig.store.probes() >= 3
    })
    .await;
    let attempts = rig.store.attempts();
    for _ in 0..10 {
        rig.pass(300).await;
    }
    assert_eq!(rig.store.attempts(), attempts, "nothing was read or sent");
    assert!(rig.store.probes() > 10);
    rig.store.heal("b");
    rig.pass(300).await;
    rig.drained(&stream.key).await;
    assert_eq!(rig.store.keys().len(), 3);
}

#[tokio::test]
async fn spans_commit_in_any_order_and_the_log_waits_for_the_lowest() {
    let rig = Rig::new().await;
    let stream = rig.stream("s", (1, 60)).await;
    // The first span fails under the first version only.
    rig.store.fail("b", refused());
    rig.put_bytes(stream.lane, 1 << 20).await;
    until("the first failed", || rig.store.attempts() == 1).await;
    calm().await;
    rig.store.heal("b");
    let second = rig.put_bytes(stream.lane, (1 << 20) + 1).await;
    // The second goes first: the first still waits, unless its sibling's success wakes it.
    rig.delivered(2).await;
    rig.drained(&stream.key).await;
    let sizes: Vec<_> = rig.store.contents().iter().map(String::len).collect();
    assert_eq!(sizes, [(1 << 20) + 1, 1 << 20]);
    let state = checkpoint::look(&*rig.engine.catalog, stream.lane)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((state.cursor, state.spans.len()), (second.next(), 0));
}

#[tokio::test]
async fn after_a_crash_the_same_bytes_go_to_the_same_key_and_the_old_worker_is_fenced() {
    let rig = Rig::new().await;
    let stream = rig.stream("s", (5, 60)).await;
    rig.update(&stream.key, |spec| {
        spec.compression = CompressionFormat::Snappy
    })
    .await;
    rig.store.hold_answers();
    rig.put(stream.lane, &["a", "b"]).await;
    rig.pass(60).await;
    // Uploaded, but the answer never comes: nothing is committed.
    rig.delivered(1).await;
    let key = rig.store.keys()[0].clone();
    // The configuration changes in between, too: the object may be in the old bucket already.
    rig.update(&stream.key, |spec| {
        spec.bucket_arn = "arn:aws:s3:::elsewhere".to_owned()
    })
    .await;
    rig.put(stream.lane, &["c"]).await;

    let second_store = Scripted::new();
    let second = rig.restart(&second_store);
    until("the span is delivered again", || {
        second_store.keys().len() == 1
    })
    .await;
    assert_eq!(second_store.keys(), std::slice::from_ref(&key));
    assert_eq!(second_store.bodies("b", &key), rig.store.bodies("b", &key));
    until("it is committed", || {
        second
            .status(&stream.key)
            .unwrap()
            .last_delivery
            .is_some_and(|last| last.key == key)
    })
    .await;

    // The first process wakes up: its success is not committed a second time, and it cuts nothing more.
    rig.store.answer(10);
    calm().await;
    rig.clock.advance(std::time::Duration::from_secs(60));
    until("the rest is delivered by the second", || {
        second_store.keys().len() == 2
    })
    .await;
    calm().await;
    assert_eq!(rig.store.keys().len(), 1);
    assert_eq!(
        second_store
            .bodies("elsewhere", &second_store.keys()[1])
            .len(),
        1
    );
    let fenced = rig.status(&stream.key).unwrap().last_error.unwrap();
    assert!(
        fenced.message.contains("another worker"),
        "{}",
        fenced.message
    );
    drop(second);
}

#[tokio::test]
async fn a_stop_finishes_what_runs_and_a_start_goes_on() {
    let rig = Rig::new().await;
    let stream = rig.stream("s", (5, 60)).await;
    rig.store.hold_answers();
    rig.put(stream.lane, &["a"]).await;
    rig.pass(60).await;
    rig.delivered(1).await;
    rig.put(stream.lane, &["b"]).await;
    let stopping = {
        let delivery = rig.delivery.clone();
        tokio::spawn(async move { delivery.stop().await })
    };
    calm().await;
    assert!(!stopping.is_finished(), "an attempt runs");
    rig.store.answer(1 << 10);
    stopping.await.unwrap();
    let store = Arc::clone(&rig.store);
    let again = rig.restart(&store);
    until("the worker is back", || {
        again.status(&stream.key).unwrap().last_delivery.is_some()
    })
    .await;
    calm().await;
    rig.clock.advance(std::time::Duration::from_secs(60));
    rig.delivered(2).await;
    assert_eq!(rig.store.contents(), ["a", "b"]);
    assert_eq!(
        rig.store.attempts(),
        2,
        "what was committed is not delivered again"
    );
}

#[tokio::test]
async fn a_stop_does_not_wait_for_what_hangs_or_sleeps() {
    let rig = Rig::new().await;
    let stream = rig.stream("s", (5, 60)).await;
    let other = rig.stream("other", (5, 60)).await;
    rig.update(&other.key, |spec| {
        spec.bucket_arn = "arn:aws:s3:::bad".to_owned()
    })
    .await;
    rig.store.fail("bad", refused());
    rig.store.hold_answers();
    rig.put(stream.lane, &["a"]).await;
    rig.put(other.lane, &["a"]).await;
    rig.pass(60).await;
    rig.delivered(1).await;
    let stopping = {
        let delivery = rig.delivery.clone();
        tokio::spawn(async move { delivery.stop().await })
    };
    calm().await;
    rig.clock.advance(super::super::STOP_GRACE);
    stopping.await.unwrap();
    assert_eq!(rig.status(&stream.key).unwrap().backlog_records, 1);
    assert_eq!(rig.status(&other.key).unwrap().backlog_records, 1);
}

#[tokio::test]
async fn what_is_older_than_a_day_at_the_start_is_not_given_up_at_the_first_failure() {
    let rig = Rig::new().await;
    let stream = rig.stream("s", (5, 60)).await;
    rig.store.fail("b", unreachable());
    // The node was down over a weekend, and its network is not up yet.
    let weekend = Duration::from_secs(60 * 60 * 60).as_millis() as u64;
    let arrival = Timestamp(BEGIN.as_millis() - weekend);
    let old = Frame::new(arrival, ["a"]);
    rig.engine.log.append(stream.lane, old).await.unwrap();
    until("an attempt failed", || rig.store.attempts() == 1).await;
    rig.pass(30 * 60).await;
    assert_eq!(rig.status(&stream.key).unwrap().dropped_records, 0);
    rig.store.heal("b");
    rig.pass(300).await;
    rig.drained(&stream.key).await;
    assert_eq!(rig.store.contents(), ["a"]);

    // But not for ever.
    rig.store.fail("b", refused());
    let old = Frame::new(arrival, ["b"]);
    rig.engine.log.append(stream.lane, old).await.unwrap();
    until("an attempt failed", || {
        rig.status(&stream.key).unwrap().last_error.is_some()
    })
    .await;
    for _ in 0..=retry::GRACE.as_secs() / 300 {
        rig.pass(300).await;
    }
    until("it is dropped", || {
        rig.status(&stream.key).unwrap().dropped_records == 1
    })
    .await;
}

#[tokio::test]
async fn a_clock_that_was_ahead_when_an_attempt_began_drops_nothing_once_it_is_right() {
    let rig = Rig::new().await;
    let stream = rig.stream("s", (5, 60)).await;
    rig.store.fail("b", refused());
    rig.put(stream.lane, &["a"]).await;
    let day = retry::RETENTION;
    rig.clock.set_wall(BEGIN.plus(day * 100));
    rig.pass(60).await;
    until("an attempt failed", || rig.store.attempts() >= 1).await;
    rig.clock.set_wall(BEGIN.plus(Duration::from_secs(60)));
    for _ in 0..24 {
        rig.pass(300).await;
    }
    assert_eq!(rig.status(&stream.key).unwrap().dropped_records, 0);
    rig.store.heal("b");
    rig.pass(300).await;
    rig.drained(&stream.key).await;
}

#[tokio::test]
async fn attempts_that_wait_for_room_while_a_sibling_fails_give_it_to_others() {
    let settings = Settings {
        uploads: 1,
        ..Settings::default()
    };
    let rig = Rig::over(Engine::mem(), settings).await;
    let alive = rig.stream("alive", (1, 60)).await;
    let dead = rig.stream("dead", (1, 60)).await;
    rig.update(&dead.key, |spec| {
        spec.bucket_arn = "arn:aws:s3:::dead".to_owned()
    })
    .await;
    rig.store.fail("dead", unreachable());
    rig.store.hold_answers();
    rig.put_bytes(alive.lane, 1 << 20).await;
    rig.delivered(1).await;
    for _ in 0..5 {
        rig.put_bytes(dead.lane, 1 << 20).await;
    }
    until("all wait for the one upload", || {
        rig.status(&dead.key).unwrap().in_flight == 5
    })
    .await;
    calm().await;
    rig.store.answer(1);
    until("all have met the failure", || rig.store.probes() >= 4).await;
    assert_eq!(rig.store.attempts(), 2, "the others found out in the queue");
}

#[tokio::test]
async fn a_destination_that_never_answers_is_given_up_and_asked_again() {
    let rig = Rig::new().await;
    let stream = rig.stream("s", (5, 60)).await;
    rig.store.hold_answers();
    rig.put(stream.lane, &["a"]).await;
    rig.pass(60).await;
    rig.delivered(1).await;
    rig.pass(attempt_limit(1).as_secs()).await;
    until("it is told", || {
        let error = rig.status(&stream.key).unwrap().last_error;
        error.is_some_and(|error| error.message.contains("no answer"))
    })
    .await;
    rig.store.answer(1 << 10);
    rig.pass(60).await;
    rig.drained(&stream.key).await;
    let key = rig.store.keys()[0].clone();
    assert_eq!(rig.store.bodies("b", &key), [b"a", b"a"]);
}
