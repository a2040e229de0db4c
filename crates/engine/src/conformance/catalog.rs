//! The cases of [`Catalog`].

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use futures::{FutureExt, StreamExt, future::join_all, stream::BoxStream};

use super::{next, soon};
use crate::catalog::{Catalog, CatalogError, Change, Expect, Version, Versioned};

type Subject = Arc<dyn Catalog>;
type Watch = BoxStream<'static, Result<Change, CatalogError>>;

async fn create(catalog: &Subject, key: &str, value: &'static str) -> Version {
    let value = Bytes::from_static(value.as_bytes());
    soon(catalog.put(key, value, Expect::Absent)).await.unwrap()
}

async fn replace(catalog: &Subject, key: &str, value: &'static str, version: Version) -> Version {
    let value = Bytes::from_static(value.as_bytes());
    let put = catalog.put(key, value, Expect::Exactly(version));
    soon(put).await.unwrap()
}

async fn get(catalog: &Subject, key: &str) -> Option<Versioned> {
    soon(catalog.get(key)).await.unwrap()
}

async fn keys(catalog: &Subject, prefix: &str) -> Vec<String> {
    let listed = soon(catalog.list(prefix)).await.unwrap();
    listed.into_iter().map(|(key, _)| key).collect()
}

async fn seen(watch: &mut Watch) -> (String, Version, Option<Bytes>) {
    let Change {
        key,
        version,
        value,
    } = next(watch).await.unwrap();
    (key, version, value)
}

fn put_of(key: &str, version: Version, value: &'static str) -> (String, Version, Option<Bytes>) {
    (
        key.to_owned(),
        version,
        Some(Bytes::from_static(value.as_bytes())),
    )
}

fn is_conflict<T>(result: &Result<T, CatalogError>, key: &str) -> bool {
    matches!(result, Err(CatalogError::Conflict { key: of }) if of == key)
}

/// Values and keys of all shapes.
pub async fn a_value_comes_back_as_it_was(catalog: &Subject) {
    let large: Bytes = (0..300_000u32).map(|byte| byte as u8).collect();
    let cases = [
        ("a", Bytes::new()),
        ("a/b", Bytes::from_static(b"\0\xff")),
        ("", Bytes::from_static(b"under the empty key")),
        ("kühl/✓", large),
    ];
    for (key, value) in cases {
        let version = soon(catalog.put(key, value.clone(), Expect::Absent))
            .await
            .unwrap();
        assert_eq!(get(catalog, key).await, Some(Versioned { version, value }));
    }
    assert_eq!(get(catalog, "b").await, None);
}

/// Promise 2, for `put`.
pub async fn a_put_needs_the_expected_value(catalog: &Subject) {
    let put = |expect| soon(catalog.put("key", Bytes::from_static(b"new"), expect));
    let other = create(catalog, "other", "x").await;
    assert!(is_conflict(&put(Expect::Exactly(other)).await, "key"));
    assert_eq!(get(catalog, "key").await, None);
    let first = create(catalog, "key", "old").await;
    assert!(is_conflict(&put(Expect::Absent).await, "key"));
    assert!(is_conflict(&put(Expect::Exactly(other)).await, "key"));
    assert_eq!(get(catalog, "key").await.unwrap().value, "old");
    let second = put(Expect::Exactly(first)).await.unwrap();
    assert!(is_conflict(&put(Expect::Exactly(first)).await, "key"));
    assert_eq!(get(catalog, "key").await.unwrap().version, second);
}

/// Promise 2, for `delete`.
pub async fn a_delete_needs_the_expected_version(catalog: &Subject) {
    let first = create(catalog, "key", "one").await;
    let second = replace(catalog, "key", "two", first).await;
    assert!(is_conflict(
        &soon(catalog.delete("key", first)).await,
        "key"
    ));
    assert_eq!(get(catalog, "key").await.unwrap().value, "two");
    soon(catalog.delete("key", second)).await.unwrap();
    assert_eq!(get(catalog, "key").await, None);
    assert!(is_conflict(
        &soon(catalog.delete("key", second)).await,
        "key"
    ));
}

/// Promise 4, also for a key that was deleted in between.
pub async fn versions_rise_and_are_never_given_twice(catalog: &Subject) {
    let mut before = create(catalog, "key", "x").await;
    for _ in 0..20 {
        soon(catalog.delete("key", before)).await.unwrap();
        let other = get(catalog, "other").await;
        let expect = other.map_or(Expect::Absent, |it| Expect::Exactly(it.version));
        let other = soon(catalog.put("other", Bytes::new(), expect))
            .await
            .unwrap();
        let now = create(catalog, "key", "x").await;
        assert!(before < other && other < now);
        let stale = soon(catalog.delete("key", before)).await;
        assert!(is_conflict(&stale, "key"), "another value has that version");
        before = now;
    }
}

/// `list` knows prefixes of bytes, not of path segments.
pub async fn a_list_is_what_begins_with_the_prefix_in_order(catalog: &Subject) {
    for key in ["b/2", "a", "b/10", "b", "b/", "c", "b0", "é", "b/2/x"] {
        create(catalog, key, "v").await;
    }
    assert_eq!(keys(catalog, "b/").await, ["b/", "b/10", "b/2", "b/2/x"]);
    let all = ["a", "b", "b/", "b/10", "b/2", "b/2/x", "b0", "c", "é"];
    assert_eq!(keys(catalog, "").await, all);
    assert!(keys(catalog, "b/3").await.is_empty());
    let listed = soon(catalog.list("c")).await.unwrap();
    assert_eq!(listed, [("c".to_owned(), get(catalog, "c").await.unwrap())]);
}

/// Promise 3, from many tasks.
pub async fn reads_see_what_was_written(catalog: &Subject) {
    let one = |task: u64| async move {
        let key = format!("task/{task}");
        let mut expect = Expect::Absent;
        for round in 0..20u64 {
            let value = Bytes::from(round.to_le_bytes().to_vec());
            let version = soon(catalog.put(&key, value.clone(), expect))
                .await
                .unwrap();
            let now = Versioned { version, value };
            assert_eq!(get(catalog, &key).await, Some(now.clone()));
            let listed = soon(catalog.list(&key)).await.unwrap();
            assert!(listed.contains(&(key.clone(), now)));
            expect = Expect::Exactly(version);
        }
    };
    join_all((0..16).map(one)).await;
}

/// Promise 2, when many want the same.
pub async fn of_concurrent_puts_one_wins(catalog: &Subject) {
    for round in 0..10 {
        let key = format!("round/{round}");
        let put = |task: u64| {
            let value = Bytes::from(task.to_string());
            let key = key.as_str();
            async move { (task, soon(catalog.put(key, value, Expect::Absent)).await) }
        };
        let results = join_all((0..16).map(put)).await;
        let (mut winners, losers): (Vec<_>, Vec<_>) =
            results.into_iter().partition(|(_, result)| result.is_ok());
        assert_eq!(winners.len(), 1);
        assert!(losers.iter().all(|(_, lost)| is_conflict(lost, &key)));
        let (task, version) = winners.remove(0);
        let present = get(catalog, &key).await.unwrap();
        assert_eq!(present.value, task.to_string());
        assert_eq!(present.version, version.unwrap());
    }
}

/// Promises 2 and 3: the classic counter.
pub async fn concurrent_increments_are_all_counted(catalog: &Subject) {
    create(catalog, "counter", "0").await;
    let one = |_| async move {
        for _ in 0..10 {
            loop {
                let Versioned { version, value } = get(catalog, "counter").await.unwrap();
                let count: u32 = std::str::from_utf8(&value).unwrap().parse().unwrap();
                let value = Bytes::from((count + 1).to_string());
                let put = catalog.put("counter", value, Expect::Exactly(version));
                match soon(put).await {
                    Ok(_) => break,
                    Err(CatalogError::Conflict { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        }
    };
    join_all((0..8).map(one)).await;
    assert_eq!(get(catalog, "counter").await.unwrap().value, "80");
}

/// A change that was begun happens, though nobody waits for it.
pub async fn a_dropped_put_is_not_withdrawn(catalog: &Subject) {
    let mut watch = catalog.watch("");
    let mut put = catalog.put("key", Bytes::from_static(b"v"), Expect::Absent);
    // One poll begins it.
    let _ = futures::poll!(&mut put);
    drop(put);
    assert_eq!(seen(&mut watch).await.0, "key");
}

/// Promise 5.
pub async fn a_watch_shows_what_is_there_and_then_each_change(catalog: &Subject) {
    let b = create(catalog, "b", "1").await;
    let a = create(catalog, "a", "2").await;
    let mut watch = catalog.watch("");
    assert_eq!(seen(&mut watch).await, put_of("a", a, "2"));
    assert_eq!(seen(&mut watch).await, put_of("b", b, "1"));
    assert!(watch.next().now_or_never().is_none());
    let b = replace(catalog, "b", "3", b).await;
    assert_eq!(seen(&mut watch).await, put_of("b", b, "3"));
    let c = create(catalog, "c", "4").await;
    assert_eq!(seen(&mut watch).await, put_of("c", c, "4"));
}

/// A deletion takes a version of its own, above the one it deleted.
pub async fn a_watch_shows_deletions(catalog: &Subject) {
    let gone = create(catalog, "gone before", "x").await;
    soon(catalog.delete("gone before", gone)).await.unwrap();
    let version = create(catalog, "key", "1").await;
    let mut watch = catalog.watch("");
    assert_eq!(seen(&mut watch).await, put_of("key", version, "1"));
    soon(catalog.delete("key", version)).await.unwrap();
    let (key, deleted, value) = seen(&mut watch).await;
    assert_eq!((key.as_str(), value), ("key", None));
    assert!(deleted > version);
    let again = create(catalog, "key", "2").await;
    assert!(again > deleted);
    assert_eq!(seen(&mut watch).await, put_of("key", again, "2"));
}

/// What lies outside of the prefix neither shows nor wakes.
pub async fn a_watch_sees_its_prefix_alone(catalog: &Subject) {
    create(catalog, "a/1", "x").await;
    let first = create(catalog, "b/1", "x").await;
    let mut watch = catalog.watch("b/");
    assert_eq!(seen(&mut watch).await, put_of("b/1", first, "x"));
    create(catalog, "a/2", "x").await;
    create(catalog, "b", "x").await;
    assert!(watch.next().now_or_never().is_none());
    let second = create(catalog, "b/2", "x").await;
    assert_eq!(seen(&mut watch).await, put_of("b/2", second, "x"));
}

/// It may skip values, but never ends on an old one.
pub async fn a_slow_watcher_sees_the_latest(catalog: &Subject) {
    let mut watch = catalog.watch("");
    assert!(watch.next().now_or_never().is_none());
    let mut version = create(catalog, "key", "0").await;
    for _ in 0..100 {
        version = replace(catalog, "key", "again", version).await;
    }
    let end = create(catalog, "last", "x").await;
    let mut latest = None;
    let mut before = Version(0);
    loop {
        let (key, version, _) = seen(&mut watch).await;
        assert!(before < version, "changes come in order of version");
        before = version;
        if version == end {
            break;
        }
        assert_eq!(key, "key");
        latest = Some(version);
    }
    assert_eq!(latest, Some(version));
}

/// Watchers that begin at any moment end up with the same picture as a list.
pub async fn a_watch_misses_nothing_of_a_busy_catalog(catalog: &Subject) {
    let writer = |task: u64| async move {
        let key = format!("k/{task}");
        let mut version = None;
        for round in 0..25u32 {
            let deletes = version.filter(|_| round % 5 == 4);
            if let Some(present) = deletes {
                soon(catalog.delete(&key, present)).await.unwrap();
                version = None;
                continue;
            }
            let expect = version.map_or(Expect::Absent, Expect::Exactly);
            let put = catalog.put(&key, Bytes::from(round.to_string()), expect);
            version = Some(soon(put).await.unwrap());
        }
    };
    let watcher = |late: usize| async move {
        for _ in 0..late {
            tokio::task::yield_now().await;
        }
        let mut watch = catalog.watch("");
        let mut picture = BTreeMap::new();
        loop {
            let (key, version, value) = seen(&mut watch).await;
            if key == "the end" {
                return picture;
            }
            let before = picture.insert(key, (version, value));
            assert!(before.is_none_or(|(before, _)| before < version));
        }
    };
    let writers = async {
        join_all((0..8).map(writer)).await;
        create(catalog, "the end", "").await;
    };
    let watchers = join_all((0..8).map(|late| watcher(late * 20)));
    let ((), pictures) = futures::join!(writers, watchers);
    let listed = soon(catalog.list("k/")).await.unwrap();
    let expected: BTreeMap<_, _> = listed
        .into_iter()
        .map(|(key, it)| (key, (it.version, Some(it.value))))
        .collect();
    for mut picture in pictures {
        picture.retain(|_, (_, value)| value.is_some());
        assert_eq!(picture, expected);
    }
}

/// `close` is for good.
pub async fn close_refuses_and_ends_watches(catalog: &Subject) {
    let version = create(catalog, "key", "x").await;
    let mut watch = catalog.watch("");
    assert_eq!(seen(&mut watch).await, put_of("key", version, "x"));
    soon(catalog.close()).await.unwrap();
    assert!(soon(watch.next()).await.is_none());
    let closed = soon(catalog.get("key")).await;
    assert!(matches!(closed, Err(CatalogError::Closed)), "{closed:?}");
    let closed = soon(catalog.list("")).await;
    assert!(matches!(closed, Err(CatalogError::Closed)), "{closed:?}");
    let put = catalog.put("key", Bytes::new(), Expect::Exactly(version));
    assert!(matches!(soon(put).await, Err(CatalogError::Closed)));
    let deleted = soon(catalog.delete("key", version)).await;
    assert!(matches!(deleted, Err(CatalogError::Closed)), "{deleted:?}");
    soon(catalog.close()).await.unwrap();
}
