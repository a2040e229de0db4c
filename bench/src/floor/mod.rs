//! The floor: what the bare parts of the way of a record cost on one thread, without the node around them.
//!
//! The same bodies as in the rows; CPU seconds of the thread that does the work for 10⁹ bytes of record data. Beneath
//! single puts lie the disk, the way to the client and back, and an HTTP server that does nothing.

pub(crate) mod answerer;
pub(crate) mod disk;
mod net;

use std::{
    io::{Read, Write},
    net::TcpStream,
    os::unix::fs::FileExt,
    path::Path,
    sync::LazyLock,
    time::Duration,
};

use anyhow::{Context, Result, anyhow, ensure};
use base64::{Engine as _, engine::general_purpose::PAD};
use hydrant_engine::{Clock, SystemClock};
use libdeflater::{CompressionLvl, Compressor};
use rustix::time::{ClockId, clock_gettime};

use self::disk::{Space, filled, fsync_p50};
use crate::{
    http,
    load::body::{Body, Recipe, bodies},
    records::Kind,
    sign::sha256,
    sink::Sink,
    stats::at,
    suite::measure::{BARE_HTTP_US, FLOOR_1K, FLOOR_1K_PLAIN, FLOOR_250, Measures},
};

/// Bytes that one fdatasync is for.
const GROUP: usize = 512 << 10;
/// Groups that the log file has room for; then it is written anew.
const GROUPS: u64 = 64;
/// Bytes of records in an object.
const OBJECT: usize = 5 << 20;
/// Bytes of records that the floor is measured with at scale 1.
const AMOUNT: f64 = 500e6;
/// Bytes of a PutRecord with a record of 1 KiB, and of its answer.
const REQUEST: usize = 2 << 10;
const ANSWER: usize = 300;
/// Round trips whose median counts.
const TRIPS: usize = 4000;
/// Longest that a median is measured.
const LONGEST: Duration = Duration::from_secs(3);
/// Bare writes whose median counts.
const FSYNCS: usize = 4000;

/// Standard base64 with padding, as fast as this machine can.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
static BASE64: LazyLock<base64::engine::Simd> =
    LazyLock::new(|| base64::engine::Simd::standard(PAD));
/// Standard base64 with padding.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
static BASE64: LazyLock<base64::engine::GeneralPurpose> =
    LazyLock::new(|| base64::engine::GeneralPurpose::new(&base64::alphabet::STANDARD, PAD));

/// Measures the floor beneath 500 × 1 KiB clicks and 500 × 250 B log lines, and the disk's.
pub(crate) fn measure(sink: &Sink, dir: &Path, scale: f64) -> Result<Measures> {
    std::fs::create_dir_all(dir)?;
    let mut measures = Measures::new();
    let names = [
        [
            "1k: receive s/GB",
            "1k: SHA-256 s/GB",
            "1k: scan + base64 s/GB",
            "1k: CRC-32 s/GB",
            "1k: write + fdatasync s/GB",
            "1k: deflate s/GB",
            "1k: PUT s/GB",
            FLOOR_1K,
            FLOOR_1K_PLAIN,
        ],
        [
            "250: receive s/GB",
            "250: SHA-256 s/GB",
            "250: scan + base64 s/GB",
            "250: CRC-32 s/GB",
            "250: write + fdatasync s/GB",
            "250: deflate s/GB",
            "250: PUT s/GB",
            FLOOR_250,
            "250: sum without deflate s/GB",
        ],
    ];
    for ((kind, record_bytes), names) in [(Kind::Clicks, 1024), (Kind::Log, 250)]
        .into_iter()
        .zip(names)
    {
        let recipe = Recipe {
            kind,
            record_bytes,
            batch: 500,
            bodies: 64,
            streams: vec!["floor".into()],
            seed: 1,
        };
        let parts = parts(sink, dir, &bodies(&recipe).0, AMOUNT * scale)?;
        let sum: f64 = parts.iter().sum();
        measures.extend(
            names
                .into_iter()
                .zip(parts.into_iter().chain([sum, sum - parts[5]])),
        );
    }
    for (name, space) in [
        ("1 KiB write + fdatasync p50 ms", Space::Filled),
        (
            "1 KiB write + fdatasync into reserved space p50 ms",
            Space::Reserved,
        ),
    ] {
        measures.insert(name, fsync_p50(dir, space, 1024, FSYNCS)? * 1e3);
    }
    let requests = (AMOUNT * scale / 5000.0) as u64;
    let (spent, rate) = answerer::measure(64, requests.max(1))?;
    measures.extend([
        (
            "loopback round trip of a put p50 ms",
            net::round_trip(REQUEST, ANSWER, TRIPS)? * 1e3,
        ),
        (
            "thread to thread and back p50 ms",
            net::hand_over(TRIPS)? * 1e3,
        ),
        (BARE_HTTP_US, spent * 1e6),
        ("64 connections, bare HTTP server: requests/s", rate),
    ]);
    Ok(measures)
}

/// CPU seconds for 10⁹ bytes of records, of: receive, hash, scan, checksum, log, deflate, upload.
fn parts(sink: &Sink, dir: &Path, bodies: &[Body], amount: f64) -> Result<[f64; 7]> {
    let mut spent = [0.0; 7];
    let file = filled(dir, GROUP * GROUPS as usize)?;
    let mut compressor =
        Compressor::new(CompressionLvl::new(1).map_err(|_| anyhow!("no level 1"))?);
    let mut upload = TcpStream::connect(sink.address())?;
    upload.set_nodelay(true)?;
    let (mut group, mut object, mut packed) = (Vec::new(), Vec::new(), Vec::new());
    let (mut received, mut records, mut groups, mut objects) = (0usize, 0usize, 0u64, 0u64);
    for body in bodies.iter().cycle() {
        let hash = timed(&mut spent[1], || Ok(sha256(&body.text)))?;
        ensure!(hash == body.hash, "another hash");
        received += body.text.len();
        let start = group.len();
        timed(&mut spent[2], || decode(&body.text, &mut group))?;
        let sum = timed(&mut spent[3], || Ok(crc32fast::hash(&group[start..])))?;
        std::hint::black_box(sum);
        object.extend_from_slice(&group[start..]);
        records += group.len() - start;
        while group.len() >= GROUP {
            timed(&mut spent[4], || {
                file.write_all_at(&group[..GROUP], groups % GROUPS * GROUP as u64)?;
                Ok(file.sync_data()?)
            })?;
            groups += 1;
            group.drain(..GROUP);
        }
        if object.len() >= OBJECT {
            let bound = compressor.gzip_compress_bound(object.len());
            if packed.len() < bound {
                packed.resize(bound, 0);
            }
            let length = timed(&mut spent[5], || {
                Ok(compressor.gzip_compress(&object, &mut packed)?)
            })?;
            timed(&mut spent[6], || {
                put(&mut upload, objects, &packed[..length])
            })?;
            objects += 1;
            object.clear();
            if records as f64 >= amount {
                break;
            }
        }
    }
    sink.take();
    spent[0] = net::receive(bodies, received)?;
    Ok(spent.map(|seconds| seconds / (records as f64 / 1e9)))
}

/// Scans a batch's JSON, and puts all of its records' bytes behind `out`.
fn decode(text: &[u8], out: &mut Vec<u8>) -> Result<()> {
    const DATA: &[u8] = br#""Data":""#;
    let mut rest = text;
    while let Some(at) = memchr::memmem::find(rest, DATA) {
        rest = &rest[at + DATA.len()..];
        let end = memchr::memchr(b'"', rest).context("a string without end")?;
        BASE64.decode_vec(&rest[..end], out)?;
        rest = &rest[end..];
    }
    Ok(())
}

/// Puts one object over a connection that is kept.
fn put(socket: &mut TcpStream, number: u64, body: &[u8]) -> Result<()> {
    let head = format!(
        "PUT /floor/{number} HTTP/1.1\r\nhost: floor\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    socket.write_all(head.as_bytes())?;
    socket.write_all(body)?;
    let mut answer = [0; 1024];
    let mut length = 0;
    loop {
        let read = socket.read(&mut answer[length..])?;
        ensure!(read > 0, "the sink closed the connection");
        length += read;
        if let Some(head) = http::head(&answer[..length])? {
            ensure!(head.status == 200, "the sink answered {}", head.status);
            return Ok(());
        }
    }
}

/// Seconds that `work` takes, at the median of `count`. Where it takes long it is done fewer times; it is told how many
/// times it was done before.
fn median(count: usize, mut work: impl FnMut(usize) -> Result<()>) -> Result<f64> {
    let clock = SystemClock::new();
    let mut times = Vec::with_capacity(count);
    let begun = clock.monotonic();
    for index in 0..count {
        let started = clock.monotonic();
        if started - begun > LONGEST {
            break;
        }
        work(index)?;
        times.push(clock.monotonic() - started);
    }
    times.sort_unstable();
    Ok(at(&times, 0.5))
}

/// Adds the CPU time that this thread spends in `work` to `spent`, in seconds.
fn timed<T>(spent: &mut f64, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let now = || {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
    };
    let before = now();
    let done = work();
    *spent += now() - before;
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scan_gives_the_records() {
        let mut out = Vec::new();
        decode(
            br#"{"DeliveryStreamName":"s","Records":[{"Data":"YQ=="},{"Data":"YmM="}]}"#,
            &mut out,
        )
        .unwrap();
        assert_eq!(out, b"abc");
        assert!(decode(br#"{"Data":"YQ"#, &mut out).is_err());
    }
}
