//! Size, interval, hints, compression, empty records, falling behind.

use std::{io::Read, time::Duration};

use super::rig::{Rig, calm, until};
use crate::{
    delivery::{SPANS_IN_FLIGHT, Settings},
    stream::CompressionFormat,
};

#[tokio::test]
async fn the_interval_counts_from_the_first_record_and_needs_no_traffic() {
    let rig = Rig::new().await;
    let stream = rig.stream("s", (5, 300)).await;
    rig.pass(1_000).await;
    rig.put(stream.lane, &["a", "b"]).await;
    rig.pass(200).await;
    rig.put(stream.lane, &["c"]).await;
    rig.pass(99).await;
    assert_eq!(rig.store.keys(), [""; 0], "too early");
    rig.pass(1).await;
    rig.delivered(1).await;
    assert_eq!(rig.store.contents(), ["abc"]);
    // The arrival of the oldest record: 1,000 seconds after 13:05:42.
    let key = &rig.store.keys()[0];
    assert!(
        key.starts_with("p/2015/10/07/13/s-1-2015-10-07-13-22-22-"),
        "{key}"
    );
    rig.drained(&stream.key).await;

    // The next record begins a buffer of its own.
    rig.put(stream.lane, &["d"]).await;
    rig.pass(299).await;
    assert_eq!(rig.store.keys().len(), 1);
    rig.pass(1).await;
    rig.delivered(2).await;
    assert_eq!(rig.store.contents(), ["abc", "d"]);
}

#[tokio::test]
async fn the_size_is_measured_before_compression_and_cuts_at_once() {
    let rig = Rig::new().await;
    let stream = rig.stream("s", (1, 900)).await;
    rig.update(&stream.key, |spec| {
        spec.compression = CompressionFormat::Gzip
    })
    .await;
    rig.put_bytes(stream.lane, 1 << 19).await;
    calm().await;
    assert_eq!(rig.store.attempts(), 0);
    rig.put_bytes(stream.lane, 1 << 19).await;
    rig.delivered(1).await;
    let key = &rig.store.keys()[0];
    assert!(key.contains("/s-2-") && key.ends_with(".gz"), "{key}");
    let mut content = Vec::new();
    let object = &rig.store.bodies("b", key)[0];
    flate2::bufread::GzDecoder::new(&object[..])
        .read_to_end(&mut content)
        .unwrap();
    assert_eq!(content, vec![b'x'; 1 << 20]);
    assert!(object.len() < 1 << 14);
}

#[tokio::test]
async fn large_objects_flow_through_in_pieces_as_one_member() {
    let rig = Rig::new().await;
    let stream = rig.stream("s", (20, 900)).await;
    rig.update(&stream.key, |spec| {
        spec.compression = CompressionFormat::Gzip
    })
    .await;
    for _ in 0..5 {
        rig.put_bytes(stream.lane, 4 << 20).await;
    }
    rig.delivered(1).await;
    let mut content = Vec::new();
    let object = &rig.store.bodies("b", &rig.store.keys()[0])[0];
    let mut decoder = flate2::bufread::GzDecoder::new(&object[..]);
    decoder.read_to_end(&mut content).unwrap();
    assert_eq!(decoder.into_inner(), b"", "one member");
    assert_eq!(content.len(), 20 << 20);
}

#[tokio::test]
async fn new_hints_hold_for_the_open_buffer() {
    let rig = Rig::new().await;
    let stream = rig.stream("s", (5, 900)).await;
    rig.put(stream.lane, &["a"]).await;
    rig.pass(100).await;
    rig.update(&stream.key, |spec| spec.buffering.interval_s = 60)
        .await;
    rig.delivered(1).await;
    assert!(
        rig.store.keys()[0].contains("/s-2-"),
        "with the new version"
    );
}

#[tokio::test]
async fn the_cap_on_intervals_holds() {
    let rig = Rig::with(Settings {
        max_interval: Some(Duration::from_secs(2)),
        ..Settings::default()
    })
    .await;
    let stream = rig.stream("s", (5, 900)).await;
    rig.put(stream.lane, &["a"]).await;
    rig.pass(1).await;
    assert_eq!(rig.store.attempts(), 0);
    rig.pass(1).await;
    rig.delivered(1).await;
}

#[tokio::test]
async fn records_without_a_byte_make_no_object() {
    let rig = Rig::new().await;
    let stream = rig.stream("s", (5, 60)).await;
    rig.put(stream.lane, &["", ""]).await;
    rig.pass(60).await;
    rig.drained(&stream.key).await;
    assert_eq!(rig.store.attempts(), 0);
    rig.put(stream.lane, &["", "a", ""]).await;
    rig.pass(60).await;
    rig.delivered(1).await;
    assert_eq!(rig.store.contents(), ["a"]);
}

#[tokio::test]
async fn falling_behind_raises_the_spans_in_flight_and_then_their_size() {
    let rig = Rig::new().await;
    let stream = rig.stream("s", (1, 60)).await;
    rig.store.hold_answers();
    for _ in 0..30 {
        rig.put_bytes(stream.lane, 1 << 20).await;
    }
    until("all spans are in flight", || {
        rig.store.keys().len() == SPANS_IN_FLIGHT
    })
    .await;
    calm().await;
    assert_eq!(rig.status(&stream.key).unwrap().in_flight, SPANS_IN_FLIGHT);
    assert_eq!(rig.store.keys().len(), SPANS_IN_FLIGHT, "and no more");
    rig.store.answer(100);
    rig.drained(&stream.key).await;
    // What waited went as one.
    let contents = rig.store.contents();
    assert_eq!(contents.len(), SPANS_IN_FLIGHT + 1);
    assert_eq!(contents[SPANS_IN_FLIGHT].len(), 22 << 20);
}

#[tokio::test]
async fn the_memory_budget_holds_over_all_streams() {
    let rig = Rig::with(Settings {
        // Room for one attempt at a MiB: input, output and overhead.
        memory: 4 << 20,
        ..Settings::default()
    })
    .await;
    let mut streams = Vec::new();
    for n in 0..6 {
        streams.push(rig.stream(&format!("s{n}"), (1, 60)).await);
    }
    for stream in &streams {
        rig.put_bytes(stream.lane, 1 << 20).await;
    }
    for stream in &streams {
        rig.drained(&stream.key).await;
    }
    assert_eq!(rig.store.most_running(), 1);
    // A span that needs more than there is takes all there is.
    rig.put_bytes(streams[0].lane, 12 << 20).await;
    rig.drained(&streams[0].key).await;
}
