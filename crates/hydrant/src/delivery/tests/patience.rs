//! How long loading is tried, whatever the clock does and whoever is in the way.

use std::time::Duration;

use hydrant_engine::{Engine, Timestamp};

use super::{
    rig::{calm, until},
    table::{Loading, Next, loading, lost, no_table},
};
use crate::{
    delivery::{CopyState, Delivery, LoadFate, Settings, Trace},
    destination::DeliveryError,
    stream::{Destination as Configured, RecordId, StreamKey},
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn given_up(delivery: &Delivery, key: &StreamKey) -> u64 {
    let status = delivery.status(key).unwrap();
    status.copy.unwrap().given_up_manifests
}

#[tokio::test]
async fn a_clock_that_is_set_back_does_not_make_a_manifest_last_for_ever() {
    for restarts in [false, true] {
        let loading = Loading::new().await;
        let rig = &loading.rig;
        let stream = loading.stream("s").await;
        loading.tables.fail("t", no_table());
        loading.deliver(stream.lane, "a").await;
        loading.attempted(1).await;
        calm().await;
        // It was wrong by decades.
        rig.clock.set_wall(Timestamp(1_000));
        let mut delivery = rig.delivery.clone();
        if restarts {
            delivery.stop().await;
            delivery = rig.restart(&rig.store);
            loading.attempted(2).await;
        }
        for _ in 0..11 {
            rig.pass(300).await;
            assert_eq!(given_up(&delivery, &stream.key), 0);
        }
        rig.pass(300).await;
        until("it is given up", || given_up(&delivery, &stream.key) == 1).await;
    }
}

#[tokio::test]
async fn one_failure_after_a_long_sleep_is_not_the_end() {
    let loading = Loading::new().await;
    let rig = &loading.rig;
    let stream = loading.stream("s").await;
    loading.tables.fail("t", lost());
    loading.deliver(stream.lane, "a").await;
    loading.attempted(1).await;
    calm().await;
    rig.delivery.stop().await;
    // The node is down over a weekend, and back before its network is.
    rig.clock.advance(DAY * 3);
    let before = loading.tables.attempts();
    let delivery = rig.restart(&rig.store);
    loading.attempted(before + 1).await;
    for _ in 0..5 {
        rig.pass(60).await;
    }
    assert_eq!(given_up(&delivery, &stream.key), 0);
    loading.tables.heal("t");
    rig.pass(300).await;
    until("it is loaded", || loading.tables.loads() == [["a"]]).await;
    // The same for the bucket.
    loading.tables.fail("t", lost());
    rig.put(stream.lane, &["b"]).await;
    rig.pass(60).await;
    until("its COPY fails", || {
        delivery.status(&stream.key).unwrap().copy.unwrap().state == CopyState::Retrying
    })
    .await;
    delivery.stop().await;
    rig.clock.advance(DAY * 3);
    rig.store
        .fail("b", DeliveryError::internal("no route to host"));
    let delivery = rig.again(&rig.store, 3);
    until("its manifest is not written", || {
        let copy = delivery.status(&stream.key).unwrap().copy.unwrap();
        copy.error
            .is_some_and(|error| error.message.contains("no route"))
    })
    .await;
    rig.pass(60).await;
    rig.store.heal("b");
    loading.tables.heal("t");
    rig.pass(300).await;
    until("it is loaded, too", || {
        loading.tables.loads() == [["a"], ["b"]]
    })
    .await;
    assert_eq!(given_up(&delivery, &stream.key), 0);
}

#[tokio::test]
async fn a_period_that_is_over_ends_soon_after_a_restart() {
    let loading = Loading::new().await;
    let rig = &loading.rig;
    let stream = loading.stream("s").await;
    loading.tables.fail("t", no_table());
    loading.deliver(stream.lane, "a").await;
    loading.attempted(1).await;
    calm().await;
    rig.delivery.stop().await;
    rig.clock.advance(DAY);
    let delivery = rig.restart(&rig.store);
    loading.attempted(2).await;
    for _ in 0..3 {
        rig.pass(300).await;
    }
    until("it is given up", || given_up(&delivery, &stream.key) == 1).await;
}

#[tokio::test]
async fn a_bucket_that_the_stream_has_left_may_fail_once() {
    let loading = Loading::new().await;
    let rig = &loading.rig;
    let stream = loading.stream("s").await;
    loading.tables.hold_answers();
    loading.deliver(stream.lane, "a").await;
    loading.deliver(stream.lane, "b").await;
    rig.store
        .fail("b", DeliveryError::internal("503 Slow Down"));
    loading
        .update(&stream.key, |spec| {
            spec.s3.bucket_arn = "arn:aws:s3:::new".to_owned();
        })
        .await;
    loading.tables.answer(10);
    until("b's manifest fails", || {
        loading.copy(&stream.key).error.is_some()
    })
    .await;
    rig.store.heal("b");
    rig.pass(5).await;
    loading.settled(&stream.key).await;
    assert_eq!(loading.tables.loads(), [["a"], ["b"]]);

    // But not for longer than a COPY may.
    loading.tables.hold_answers();
    loading.deliver(stream.lane, "c").await;
    loading.deliver(stream.lane, "d").await;
    rig.store
        .fail("new", DeliveryError::internal("503 Slow Down"));
    loading
        .update(&stream.key, |spec| {
            spec.s3.bucket_arn = "arn:aws:s3:::newer".to_owned();
        })
        .await;
    loading.tables.answer(10);
    for _ in 0..14 {
        rig.pass(300).await;
    }
    loading.settled(&stream.key).await;
    assert_eq!(given_up(&rig.delivery, &stream.key), 1);
}

#[tokio::test]
async fn a_role_that_is_replaced_heals_what_waits() {
    let loading = Loading::new().await;
    let rig = &loading.rig;
    let stream = loading.stream("s").await;
    loading.tables.hold_answers();
    loading.deliver(stream.lane, "a").await;
    loading.deliver(stream.lane, "b").await;
    rig.store.revoke(&stream.destination.s3().role_arn);
    loading.tables.answer(10);
    until("b's manifest is refused", || {
        loading.copy(&stream.key).error.is_some()
    })
    .await;
    loading
        .update(&stream.key, |spec| {
            spec.role_arn = "arn:aws:iam::000000000000:role/new".to_owned();
            spec.s3.role_arn = spec.role_arn.clone();
        })
        .await;
    loading.settled(&stream.key).await;
    assert_eq!(loading.tables.loads(), [["a"], ["b"]]);
    assert_eq!(given_up(&rig.delivery, &stream.key), 0);
}

#[tokio::test]
async fn a_database_that_hangs_holds_up_no_other() {
    let settings = Settings {
        copies: 8,
        ..Settings::default()
    };
    let loading_ = Loading::over(Engine::mem(), settings).await;
    let rig = &loading_.rig;
    let hanging = "jdbc:postgresql://hanging:5432/db";
    loading_.tables.hang(hanging);
    let mut lanes = Vec::new();
    for n in 0..20 {
        let stream = rig
            .create(|lane| {
                let mut stream = loading(&format!("hanging-{n}"), lane);
                if let Configured::Redshift(spec) = &mut stream.destination {
                    spec.jdbc_url = hanging.to_owned();
                }
                stream
            })
            .await;
        lanes.push(stream.lane);
    }
    let stream = loading_.stream("s").await;
    for lane in lanes {
        rig.put(lane, &["x"]).await;
    }
    rig.pass(60).await;
    until("COPYs hang", || loading_.tables.attempts() > 1).await;
    loading_.deliver(stream.lane, "a").await;
    until("another loads", || loading_.tables.rows().contains_key("a")).await;
    assert!(loading_.tables.attempts() <= 8);
}

#[tokio::test]
async fn what_was_given_up_long_ago_is_known_when_it_is_loaded() {
    let loading = Loading::new().await;
    let rig = &loading.rig;
    let stream = loading.stream("s").await;
    loading.update(&stream.key, |spec| spec.retry_s = 0).await;
    let first = RecordId {
        lane: stream.lane,
        position: rig.put(stream.lane, &["first"]).await,
        index: 0,
    };
    loading.tables.next(Next::Fail(no_table()));
    rig.pass(60).await;
    loading.settled(&stream.key).await;
    let fate = async || match rig.delivery.trace(first).await.unwrap() {
        Trace::Delivered { load, .. } => load.unwrap(),
        other => panic!("{other:?}"),
    };
    for n in 0..22 {
        loading.tables.next(Next::Fail(no_table()));
        loading.deliver(stream.lane, &format!("{n}")).await;
        loading.settled(&stream.key).await;
    }
    let LoadFate::GivenUp { manifest, .. } = fate().await else {
        panic!("{:?}", fate().await);
    };
    let shown = loading.copy(&stream.key).given_up;
    assert!(shown.iter().all(|shown| shown.manifest != manifest));
    rig.delivery.copy(&stream.key, &manifest).await.unwrap();
    assert!(matches!(fate().await, LoadFate::Loaded { .. }));
}
