//! From the bucket into the warehouse: manifests, retries, giving up, healing.

use std::time::Duration;

use hydrant_copy::Manifest;
use hydrant_engine::Engine;

use super::{
    rig::{Rig, calm, until},
    table::{Loading, Next, lost, no_table},
};
use crate::{
    delivery::{CopyState, CopyStatus, FlushError, LoadFate, Settings, Trace, load},
    destination::DeliveryError,
    stream::{CompressionFormat, Destination as Configured, RecordId},
};

/// Nothing of it is left in the catalog but the loader's own value.
async fn no_entries(rig: &Rig) {
    let entries = rig.engine.catalog.list(load::entry::CATALOG_PREFIX);
    assert_eq!(entries.await.unwrap(), []);
}

#[tokio::test]
async fn an_object_is_loaded_by_a_manifest_that_names_it() {
    let loading = Loading::new().await;
    let rig = &loading.rig;
    let stream = loading.stream("s").await;
    assert_eq!(loading.copy(&stream.key).state, CopyState::Idle);
    loading.deliver(stream.lane, "a").await;
    loading.settled(&stream.key).await;

    assert_eq!(loading.tables.loads(), [["a"]]);
    let keys = rig.store.keys();
    assert!(
        keys[1].starts_with("p/manifests/2015/10/07/13/s-2015-10-07-13-06-42-"),
        "{keys:?}"
    );
    let text = rig.store.bodies("b", &keys[1]).pop().unwrap();
    let manifest = Manifest::parse(&text).unwrap();
    assert_eq!(
        manifest.entries[0].url.to_string(),
        format!("s3://b/{}", keys[0])
    );
    assert!(manifest.entries[0].mandatory);

    let copy = loading.copy(&stream.key);
    assert_eq!(copy.state, CopyState::Idle);
    let success = copy.last_success.unwrap();
    assert_eq!(success.rows, Some(1));
    assert_eq!(success.manifest, format!("s3://b/{}", keys[1]));
    no_entries(rig).await;
    let metrics = rig.metrics.encode();
    for series in ["Bytes", "Records", "Success", "Attempts"] {
        let series = format!(
            "DeliveryToRedshift_{series}_total{{delivery_stream=\"s\",account=\"000000000000\",region=\"us-east-1\"}} 1"
        );
        assert!(metrics.contains(&series), "{series}\n{metrics}");
    }
}

#[tokio::test]
async fn one_copy_runs_at_a_time_and_the_next_takes_all_that_came_meanwhile() {
    let loading = Loading::new().await;
    let stream = loading.stream("s").await;
    loading.tables.hold_answers();
    loading.deliver(stream.lane, "a").await;
    loading.attempted(1).await;
    for body in ["b", "c", "d"] {
        loading.deliver(stream.lane, body).await;
    }
    let copy = loading.copy(&stream.key);
    assert_eq!(
        (copy.state, copy.objects, copy.records),
        (CopyState::Copying, 4, 4)
    );
    loading.tables.answer(2);
    loading.settled(&stream.key).await;
    assert_eq!(loading.tables.loads(), [vec!["a"], vec!["b", "c", "d"]]);
    assert_eq!(loading.tables.most_running(), 1);
}

#[tokio::test]
async fn a_refusal_is_shown_at_once_and_retried_every_five_minutes() {
    let loading = Loading::new().await;
    let stream = loading.stream("s").await;
    loading.tables.fail("t", no_table());
    loading.deliver(stream.lane, "a").await;
    loading.attempted(1).await;
    calm().await;
    let status = loading.rig.status(&stream.key).unwrap();
    let error = status.last_error.unwrap();
    assert_eq!(error.code, "Redshift.TableNotFound");
    assert_eq!(error.message, "relation \"t\" does not exist");
    let copy = status.copy.unwrap();
    assert_eq!(copy.state, CopyState::Retrying);
    assert_eq!(copy.error.as_ref(), Some(&error));
    assert_eq!(copy.since, Some(error.time));
    assert_eq!(
        status.next_retry,
        Some(error.time.plus(Duration::from_secs(300)))
    );

    // The bucket is fine: it goes on taking objects, and they do not hasten the retry.
    loading.deliver(stream.lane, "b").await;
    loading.rig.pass(239).await;
    assert_eq!(loading.tables.attempts(), 1);
    loading.rig.pass(1).await;
    loading.attempted(2).await;
    calm().await;
    loading.tables.heal("t");
    loading.rig.pass(300).await;
    loading.settled(&stream.key).await;
    assert_eq!(loading.tables.loads(), [["a"], ["b"]]);
    let copies = loading.tables.copies();
    assert_eq!(
        copies[0].manifest, copies[2].manifest,
        "the same, until it is settled"
    );
    let status = loading.rig.status(&stream.key).unwrap();
    assert_eq!((status.last_error, status.next_retry), (None, None));
    assert_eq!(loading.copy(&stream.key).state, CopyState::Idle);
}

#[tokio::test]
async fn what_may_pass_is_tried_sooner() {
    let loading = Loading::new().await;
    let stream = loading.stream("s").await;
    loading.tables.fail("t", lost());
    loading.deliver(stream.lane, "a").await;
    for attempts in 1..=6 {
        loading.attempted(attempts).await;
        loading.rig.pass(1 << (attempts - 1)).await;
    }
    loading.attempted(7).await;
    loading.tables.heal("t");
    loading.rig.pass(64).await;
    loading.settled(&stream.key).await;
    assert_eq!(loading.tables.loads(), [["a"]]);
}

#[tokio::test]
async fn after_the_retry_period_the_manifest_is_given_up_and_the_next_proceeds() {
    let loading = Loading::new().await;
    let rig = &loading.rig;
    let stream = loading.stream("s").await;
    loading.tables.fail("t", no_table());
    loading.deliver(stream.lane, "a").await;
    loading.deliver(stream.lane, "b").await;
    for _ in 0..12 {
        assert_eq!(loading.copy(&stream.key).given_up_manifests, 0);
        rig.pass(300).await;
    }
    until("the first is given up", || {
        loading.copy(&stream.key).given_up_manifests == 1
    })
    .await;
    loading.tables.heal("t");
    let copy = loading.copy(&stream.key);
    assert_eq!(copy.given_up_records, 1);
    let given_up = &copy.given_up[0];
    assert_eq!(given_up.error.code, "Redshift.TableNotFound");
    assert_eq!(
        (given_up.objects, given_up.records, given_up.bytes),
        (1, 1, 1)
    );
    let key = given_up.manifest.strip_prefix("s3://b/").unwrap();
    assert!(
        key.starts_with("p/errors/manifests/2015/10/07/13/s-2015-10-07-13-06-42-"),
        "{key}"
    );
    let tried = loading.tables.copies()[0].manifest.clone();
    assert_eq!(
        tried.replace("/manifests/", "/errors/manifests/"),
        given_up.manifest,
        "the same UUID"
    );
    assert_eq!(
        rig.store.bodies("b", key),
        rig.store
            .bodies("b", tried.strip_prefix("s3://b/").unwrap())[..1]
    );
    rig.pass(300).await;
    loading.settled(&stream.key).await;
    assert_eq!(loading.tables.loads(), [["b"]]);
    assert_eq!(loading.tables.rows().get("a"), None);
    assert!(rig.metrics.encode().contains("RedshiftManifestsGivenUp_total{delivery_stream=\"s\",account=\"000000000000\",region=\"us-east-1\"} 1"));
    no_entries(rig).await;
}

#[tokio::test]
async fn a_retry_period_of_zero_is_one_attempt() {
    let loading = Loading::new().await;
    let stream = loading.stream("s").await;
    loading.update(&stream.key, |spec| spec.retry_s = 0).await;
    loading.tables.next(Next::Fail(lost()));
    loading.deliver(stream.lane, "a").await;
    loading.settled(&stream.key).await;
    loading.deliver(stream.lane, "b").await;
    loading.settled(&stream.key).await;
    assert_eq!(loading.tables.attempts(), 2);
    assert_eq!(loading.tables.loads(), [["b"]]);
    assert_eq!(loading.copy(&stream.key).given_up_manifests, 1);
}

#[tokio::test]
async fn an_update_heals_at_once_and_begins_a_new_period() {
    let loading = Loading::new().await;
    let stream = loading.stream("s").await;
    loading.tables.fail("t", no_table());
    loading.tables.fail("u", no_table());
    loading.deliver(stream.lane, "a").await;
    for _ in 0..11 {
        loading.rig.pass(300).await;
    }
    loading.attempted(12).await;
    // No time passes: the update itself wakes it.
    loading
        .update(&stream.key, |spec| spec.copy.table = "u".to_owned())
        .await;
    loading.attempted(13).await;
    for _ in 0..11 {
        loading.rig.pass(300).await;
    }
    assert_eq!(loading.copy(&stream.key).given_up_manifests, 0);
    loading.attempted(24).await;
    calm().await;
    loading
        .update(&stream.key, |spec| spec.copy.table = "v".to_owned())
        .await;
    loading.settled(&stream.key).await;
    let copies = loading.tables.copies();
    assert_eq!(copies.last().unwrap().table, "v");
    assert!(
        copies
            .iter()
            .all(|copied| copied.manifest == copies[0].manifest)
    );
    assert_eq!(loading.tables.loads(), [["a"]]);
}

#[tokio::test]
async fn options_stay_with_objects_that_are_compressed_otherwise() {
    let loading = Loading::new().await;
    let stream = loading.stream("s").await;
    loading.tables.hold_answers();
    loading.deliver(stream.lane, "a").await;
    loading.deliver(stream.lane, "b").await;
    loading
        .update(&stream.key, |spec| {
            spec.s3.compression = CompressionFormat::Gzip;
            spec.copy.options = Some("gzip".to_owned());
            spec.copy.table = "u".to_owned();
        })
        .await;
    loading.tables.answer(10);
    loading.settled(&stream.key).await;
    let copied = loading.tables.copies().pop().unwrap();
    assert_eq!((copied.table.as_str(), copied.options), ("u", None));
}

#[tokio::test]
async fn a_panic_in_an_attempt_is_a_failure_like_others() {
    let loading = Loading::new().await;
    let stream = loading.stream("s").await;
    loading.tables.next(Next::Panic);
    loading.deliver(stream.lane, "a").await;
    loading.attempted(1).await;
    calm().await;
    let error = loading.copy(&stream.key).error.unwrap();
    assert!(error.message.contains("panicked"), "{error:?}");
    loading.rig.pass(1).await;
    loading.settled(&stream.key).await;
    assert_eq!(loading.tables.loads(), [["a"]]);
}

#[tokio::test]
async fn a_bucket_that_takes_no_manifest_does_not_use_up_the_retry_period() {
    let loading = Loading::new().await;
    let rig = &loading.rig;
    let stream = loading.stream("s").await;
    loading.tables.hold_answers();
    loading.deliver(stream.lane, "a").await;
    loading.deliver(stream.lane, "b").await;
    let refused = DeliveryError::refused("S3.AccessDenied", "no");
    rig.store.fail("b", refused);
    loading.tables.answer(1);
    until("b's manifest is refused", || {
        loading
            .copy(&stream.key)
            .error
            .is_some_and(|error| error.code == "S3.AccessDenied")
    })
    .await;
    for _ in 0..36 {
        rig.pass(300).await;
    }
    assert_eq!(loading.copy(&stream.key).since, None);
    rig.store.heal("b");
    loading.tables.answer(1);
    rig.pass(300).await;
    loading.settled(&stream.key).await;
    assert_eq!(loading.tables.loads(), [["a"], ["b"]]);
}

#[tokio::test]
async fn a_bucket_that_the_stream_has_left_holds_nothing_up() {
    let loading = Loading::new().await;
    let rig = &loading.rig;
    let stream = loading.stream("s").await;
    loading.tables.hold_answers();
    loading.deliver(stream.lane, "a").await;
    loading.deliver(stream.lane, "b").await;
    rig.store
        .fail("b", DeliveryError::refused("S3.NoSuchBucket", "gone"));
    loading
        .update(&stream.key, |spec| {
            spec.s3.bucket_arn = "arn:aws:s3:::new".to_owned()
        })
        .await;
    loading.tables.answer(10);
    until("b is given up", || {
        loading.copy(&stream.key).given_up_manifests == 1
    })
    .await;
    let given_up = loading.copy(&stream.key).given_up.remove(0);
    assert!(
        given_up
            .manifest
            .starts_with("s3://new/p/errors/manifests/"),
        "{given_up:?}"
    );
    loading.deliver(stream.lane, "c").await;
    loading.settled(&stream.key).await;
    assert_eq!(loading.tables.loads(), [["a"], ["c"]]);
}

#[tokio::test]
async fn no_bucket_for_the_error_manifest_for_a_day_is_not_for_ever() {
    let loading = Loading::new().await;
    let rig = &loading.rig;
    let stream = loading.stream("s").await;
    loading.update(&stream.key, |spec| spec.retry_s = 0).await;
    loading.tables.hold_answers();
    loading.tables.fail("t", no_table());
    loading.deliver(stream.lane, "a").await;
    loading.attempted(1).await;
    rig.store
        .fail("b", DeliveryError::refused("S3.AccessDenied", "no"));
    loading.tables.answer(1);
    until("it is being given up", || {
        loading.copy(&stream.key).state == CopyState::GivingUp
    })
    .await;
    for _ in 0..23 * 12 {
        rig.pass(300).await;
    }
    assert_eq!(loading.copy(&stream.key).given_up_manifests, 0);
    assert_eq!(
        loading.copy(&stream.key).error.unwrap().code,
        "S3.AccessDenied"
    );
    for _ in 0..13 {
        rig.pass(300).await;
    }
    loading.settled(&stream.key).await;
    let given_up = loading.copy(&stream.key).given_up.remove(0);
    assert_eq!(given_up.manifest, loading.tables.copies()[0].manifest);
    assert_eq!(given_up.error.code, "Redshift.TableNotFound");
}

#[tokio::test]
async fn a_flush_waits_for_the_rows_and_fails_with_the_copy() {
    let loading = Loading::new().await;
    let rig = &loading.rig;
    let stream = loading.stream("s").await;
    rig.put(stream.lane, &["a"]).await;
    loading.tables.hold_answers();
    let delivery = rig.delivery.clone();
    let key = stream.key.clone();
    let flush = tokio::spawn(async move { delivery.flush(&key).await });
    loading.attempted(1).await;
    calm().await;
    assert!(!flush.is_finished(), "the rows are not there");
    loading.tables.answer(1 << 20);
    assert_eq!(flush.await.unwrap().unwrap().objects, 1);
    assert_eq!(loading.tables.loads(), [["a"]]);

    loading.tables.fail("t", no_table());
    rig.put(stream.lane, &["b"]).await;
    let Err(FlushError::Failing(error)) = rig.delivery.flush(&stream.key).await else {
        panic!("it was flushed");
    };
    assert_eq!(error.code, "Redshift.TableNotFound");
    // A flush wakes what waits, and no time passes.
    loading.tables.heal("t");
    rig.delivery.flush(&stream.key).await.unwrap();
    assert_eq!(loading.tables.loads(), [["a"], ["b"]]);
    // With nothing to retry, what is given up is no success.
    loading.update(&stream.key, |spec| spec.retry_s = 0).await;
    loading.tables.next(Next::Fail(no_table()));
    rig.put(stream.lane, &["c"]).await;
    rig.delivery.flush(&stream.key).await.unwrap_err();
    loading.settled(&stream.key).await;
    rig.delivery.flush(&stream.key).await.unwrap();
}

#[tokio::test]
async fn a_trace_says_what_became_of_the_load() {
    let loading = Loading::new().await;
    let rig = &loading.rig;
    let stream = loading.stream("s").await;
    let trace = async |position| {
        let id = RecordId {
            lane: stream.lane,
            position,
            index: 0,
        };
        match rig.delivery.trace(id).await.unwrap() {
            Trace::Delivered { load, .. } => load.unwrap(),
            other => panic!("{other:?}"),
        }
    };
    loading.tables.hold_answers();
    let a = rig.put(stream.lane, &["a"]).await;
    rig.pass(60).await;
    loading.attempted(1).await;
    assert_eq!(trace(a).await, LoadFate::Waiting);
    loading.tables.fail("t", no_table());
    loading.tables.answer(1 << 20);
    loading.settled(&stream.key).await;
    let LoadFate::Loaded { table, time } = trace(a).await else {
        panic!("{:?}", trace(a).await);
    };
    assert_eq!(table, "redshift://cluster.example:5439/db t");
    assert_eq!(
        time,
        rig.status(&stream.key).unwrap().last_delivery.unwrap().time
    );

    let b = rig.put(stream.lane, &["b"]).await;
    rig.pass(60).await;
    loading.attempted(2).await;
    calm().await;
    let fate = trace(b).await;
    assert!(
        matches!(&fate, LoadFate::Failing { error, next_retry: Some(_) } if error.code == "Redshift.TableNotFound"),
        "{fate:?}"
    );
    for _ in 0..12 {
        rig.pass(300).await;
    }
    loading.settled(&stream.key).await;
    let LoadFate::GivenUp { manifest, .. } = trace(b).await else {
        panic!("{:?}", trace(b).await);
    };
    assert_eq!(manifest, loading.copy(&stream.key).given_up[0].manifest);

    loading.tables.heal("t");
    rig.delivery.copy(&stream.key, &manifest).await.unwrap();
    assert!(matches!(trace(b).await, LoadFate::Loaded { .. }));
}

#[tokio::test]
async fn a_stream_changes_its_type_and_back() {
    let loading = Loading::new().await;
    let rig = &loading.rig;
    let stream = loading.stream("s").await;
    loading.tables.fail("t", no_table());
    loading.deliver(stream.lane, "a").await;
    loading.attempted(1).await;
    calm().await;
    let warehouse = stream.destination.clone();
    rig.redirect(&stream.key, |present| Configured::S3(present.s3().clone()))
        .await;
    loading.attempted(2).await;
    // What is pending is finished with the warehouse that there was; what comes is for the bucket alone.
    loading.deliver(stream.lane, "b").await;
    loading.tables.heal("t");
    rig.pass(300).await;
    loading.settled(&stream.key).await;
    assert_eq!(loading.tables.loads(), [["a"]]);
    assert_eq!(rig.status(&stream.key).unwrap().copy, None::<CopyStatus>);
    let refused = rig.delivery.copy(&stream.key, "m").await;
    assert!(refused.unwrap_err().to_string().contains("no warehouse"));

    rig.redirect(&stream.key, |_| warehouse.clone()).await;
    loading.deliver(stream.lane, "c").await;
    loading.settled(&stream.key).await;
    assert_eq!(loading.tables.loads(), [["a"], ["c"]]);
}

#[tokio::test]
async fn a_manifest_is_loaded_on_request_between_others() {
    let loading = Loading::new().await;
    let rig = &loading.rig;
    let stream = loading.stream("s").await;
    loading.tables.fail("t", no_table());
    loading.deliver(stream.lane, "a").await;
    for _ in 0..12 {
        rig.pass(300).await;
    }
    loading.settled(&stream.key).await;
    let given_up = loading.copy(&stream.key).given_up.remove(0);
    let refused = rig.delivery.copy(&stream.key, &given_up.manifest).await;
    assert!(
        refused
            .unwrap_err()
            .to_string()
            .starts_with("Redshift.TableNotFound")
    );
    assert_eq!(loading.copy(&stream.key).given_up.len(), 1);
    // One waits; what somebody loads by hand shows that it may go on.
    loading.deliver(stream.lane, "b").await;
    loading.attempted(15).await;
    calm().await;
    loading.tables.heal("t");
    let key = given_up.manifest.strip_prefix("s3://b/").unwrap();
    let loaded = rig.delivery.copy(&stream.key, key).await.unwrap();
    assert_eq!(loaded.rows, Some(1));
    loading.settled(&stream.key).await;
    assert_eq!(loading.tables.loads(), [["a"], ["b"]]);
    let copy = loading.copy(&stream.key);
    assert_eq!((copy.given_up.len(), copy.given_up_manifests), (0, 1));
    // The one that is being tried, too: it is not loaded twice.
    loading.tables.fail("t", no_table());
    loading.deliver(stream.lane, "c").await;
    calm().await;
    let live = loading.tables.copies().pop().unwrap().manifest;
    loading.tables.heal("t");
    rig.delivery.copy(&stream.key, &live).await.unwrap();
    loading.settled(&stream.key).await;
    assert_eq!(loading.tables.rows().get("c"), Some(&1));
    rig.delivery.copy(&stream.key, "s3://b").await.unwrap_err();
}

#[tokio::test]
async fn a_deleted_stream_leaves_nothing_of_its_loading() {
    let loading = Loading::new().await;
    let rig = &loading.rig;
    let stream = loading.stream("s").await;
    loading.tables.hold_answers();
    loading.deliver(stream.lane, "a").await;
    loading.attempted(1).await;
    loading.deliver(stream.lane, "b").await;
    rig.delete(&stream.key).await;
    until("the stream is gone", || {
        rig.registry.get(&stream.key).is_none()
    })
    .await;
    for prefix in ["delivery/", "receipt/", "load/", "loading/", "stream/"] {
        assert_eq!(rig.engine.catalog.list(prefix).await.unwrap(), []);
    }
    loading.tables.answer(10);
    rig.pass(900).await;
    assert_eq!(loading.tables.loads(), [[""; 0]; 0]);
    assert!(!rig.metrics.encode().contains("delivery_stream=\"s\""));
}

#[tokio::test]
async fn a_manifest_has_its_limit_and_one_bucket() {
    let loading = Loading::over(Engine::mem(), Settings::default()).await;
    let stream = loading.stream("s").await;
    loading.tables.hold_answers();
    loading.deliver(stream.lane, "a").await;
    loading.attempted(1).await;
    loading.deliver(stream.lane, "b").await;
    loading
        .update(&stream.key, |spec| {
            spec.s3.bucket_arn = "arn:aws:s3:::other".to_owned()
        })
        .await;
    loading.deliver(stream.lane, "c").await;
    loading
        .update(&stream.key, |spec| {
            spec.s3.bucket_arn = "arn:aws:s3:::b".to_owned()
        })
        .await;
    loading.deliver(stream.lane, "d").await;
    loading.tables.answer(10);
    loading.settled(&stream.key).await;
    assert_eq!(
        loading.tables.loads(),
        [vec!["a"], vec!["b", "d"], vec!["c"]]
    );
}
